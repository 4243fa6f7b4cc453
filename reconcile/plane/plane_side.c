#include "reconcile/plane/plane_side.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "clients/base/text.h"
#include "clients/plane/plane.h"
#include "clients/store/store.h"
#include "reconcile/pipeline/evidence.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/plane/plane_decide.h"
#include "reconcile/plane/plane_scan.h"
#include "reconcile/plane/plane_start.h"
#include "reconcile/plane/plane_unstarted.h"
#include "reconcile/plane/task_issue.h"
#include "reconcile/settings/settings.h"
#include "reconcile/heal/transition.h"
#include "reconcile/settings/weblink.h"
#include "reconcile/settings/work_item.h"

static const char lease_name[] = "plane";

/* An issue from which something would follow. */
struct act {
    struct open_issue *open;
    const struct store_issue_task *task; /* NULL: none */
    struct plane_decision decision;
    size_t rank;    /* among those of its project, the oldest is 0 */
    bool looked_at; /* what must be known before something is done has been asked */
    char *reason;
    struct evidence evidence;
};

struct plane_side {
    struct pass *pass;
    struct plane_scan *scan;
    struct plane_call call;
    struct open_issue **issues;
    size_t n_issues;
    struct store_issue_tasks tasks;
    struct act *found; /* in the order in which they may take place */
    size_t n_found;
    bool late;        /* it is the turn of the projects whose reading failed the last time */
    struct act *acts; /* those of them that have their turn now */
    size_t n;
};

/* what there is to do */

static struct plane_decision decide(const struct plane_side *side, const struct act *act, bool asked,
                                    bool replayed)
{
    const struct pass *pass = side->pass;
    const struct plane_view view = {
        .issue = act->open,
        .task = act->task,
        .pipeline = pass->services->pipeline,
        .now_us = side->tasks.now_us,
        .skew_us = plane_skew_us(pass->services->plane),
        .grace_s = pass->request->ignore_grace ? 0 : pass->policy->grace_default_s,
        .asked = asked,
        .replayed = replayed,
        .unrecorded = !plane_records_api_changes(pass->services->plane),
    };
    return plane_decide(&view);
}

static int by_age(const struct act *left, const struct act *right)
{
    return (left->open->issue.updated_us > right->open->issue.updated_us) -
           (left->open->issue.updated_us < right->open->issue.updated_us);
}

static int by_failure_project_and_age(const void *a, const void *b)
{
    const struct act *left = a, *right = b;
    if (left->open->failed != right->open->failed)
        return left->open->failed ? 1 : -1;
    if (left->open->project != right->open->project)
        return left->open->project < right->open->project ? -1 : 1; /* of one array */
    return by_age(left, right);
}

static int by_failure_rank_and_age(const void *a, const void *b)
{
    const struct act *left = a, *right = b;
    if (left->open->failed != right->open->failed)
        return left->open->failed ? 1 : -1;
    if (left->rank != right->rank)
        return left->rank < right->rank ? -1 : 1;
    return by_age(left, right);
}

/* The oldest of each project, then the second oldest of each, …: no project starves another. An issue whose
 * last call failed comes after all others: otherwise ten that hang would use up the time of every pass. */
static void put_in_order(struct plane_side *side)
{
    struct act *found = side->found;
    if (side->n_found == 0)
        return;
    qsort(found, side->n_found, sizeof *found, by_failure_project_and_age);
    for (size_t i = 1; i < side->n_found; i++)
        if (found[i].open->project == found[i - 1].open->project &&
            found[i].open->failed == found[i - 1].open->failed)
            found[i].rank = found[i - 1].rank + 1;
    qsort(found, side->n_found, sizeof *found, by_failure_rank_and_age);
}

static enum err read_tasks(struct plane_side *side, struct why *why)
{
    const struct pass *pass = side->pass;
    bool resting = pass->request->trigger != TRIGGER_TIMER;
    side->n_issues = plane_scan_issues(side->scan, resting, &side->issues);
    if (side->n_issues == 0)
        return ERR_OK;
    const char **ids = mem_zero(side->n_issues, sizeof *ids);
    for (size_t i = 0; i < side->n_issues; i++)
        ids[i] = side->issues[i]->issue.id;
    enum err err = store_issue_tasks(pass->services->store, ids, side->n_issues, &side->tasks, why);
    free(ids);
    if (!err)
        err = pass_policy_check(side->pass, side->tasks.settings_revision, side->tasks.now_us, why);
    if (pass->db_now_us)
        plane_skew_measure(pass->services->plane, pass->db_now_us, pass->db_ms);
    return err;
}

/* in words */

static void item_add(struct plane_side *side, const struct act *act, enum outcome outcome,
                     const char *verdict, const char *reason)
{
    const struct store_task *task = act->task ? &act->task->task : NULL;
    bool is_green = strcmp(verdict, "green") == 0;
    AUTO_FREE char *id = work_item_id(act->open->project->prefix, act->open->issue.sequence);
    pass_item(side->pass, SIDE_PLANE,
              &(struct report_item){.task_id = task ? task->id : 0,
                                    .work_item_id = task && task->work_item_id ? task->work_item_id : id,
                                    .stage = task ? task->stage : NULL,
                                    .to_stage = is_green && act->decision.to ? act->decision.to->name : NULL,
                                    .verdict = verdict,
                                    .reason = reason,
                                    .outcome = outcome});
}

static void tell_unknown(struct plane_side *side, struct act *act, const char *error)
{
    AUTO_FREE char *reason = mem_printf("Plane: %s, but %s", act->open->state_name, error);
    item_add(side, act, OUTCOME_UNKNOWN, "unknown", reason);
}

static void put_in_words(struct pass *pass, struct act *act)
{
    char at[INSTANT_TEXT_SIZE];
    const struct open_issue *open = act->open;
    int64_t since_us = act->task ? open->change.at_us : open->issue.updated_us;
    instant_format(since_us - since_us % 1000000, at); /* to the second, for a person */
    if (act->task)
        act->reason = mem_printf("Plane: %s since %s; the task stood at %s", open->state_name, at,
                                 act->task->task.stage);
    else
        act->reason = mem_printf("Plane: %s, untouched since %s; no task", open->state_name, at);
    act->evidence = (struct evidence){
        .side = SIDE_PLANE,
        .issue = {.issue = open->issue.id,
                  .html_url = pass_keep(pass, weblink_issue(pass->services->settings,
                                                            open->project->plane_project_id, open->issue.id)),
                  .state = open->state_name,
                  .activity = act->task ? open->change.id : NULL,
                  .changed_us = act->task ? open->change.at_us : 0,
                  .updated_us = open->issue.updated_us}};
}

static void unknown_for_now(struct plane_side *side, struct act *act, const char *error)
{
    tell_unknown(side, act, error);
    plane_scan_recheck_later(side->scan, act->open, PLANE_RECHECK_USELESS);
}

/* Whether the decision calls for an action or for a question to Plane. Other decisions are only reported. */
static bool calls_for_something(struct plane_side *side, struct act *act)
{
    switch (act->decision.step) {
    case STEP_SETTLED:
        act->open->settled = true;
        return false;
    case STEP_UNREADABLE:
        if (act->task)
            unknown_for_now(side, act, act->task->task.unreadable);
        return false;
    case STEP_NO_ACTIVITY:
        unknown_for_now(side, act, "it does not show yet which change made it so");
        return false;
    case STEP_UNRECORDED:
        unknown_for_now(side, act, PLANE_UNRECORDED);
        return false;
    case STEP_NEEDS_ACTIVITY:
    case STEP_START:
    case STEP_APPROVE:
    case STEP_REJECT:
        return true;
    case STEP_IN_GRACE:
    case STEP_BUSY:
    case STEP_MAX_:
        break;
    }
    return false;
}

static enum err compare(struct plane_side *side, struct why *why)
{
    enum err err = read_tasks(side, why);
    if (err)
        return err;
    side->found = mem_zero(side->n_issues, sizeof *side->found);
    for (size_t i = 0, row = 0; i < side->n_issues; i++) {
        struct act act = {.open = side->issues[i]};
        while (row < side->tasks.n && side->tasks.rows[row].issue < i)
            row++;
        if (row < side->tasks.n && side->tasks.rows[row].issue == i)
            act.task = &side->tasks.rows[row];
        if (plane_scan_is_late(side->scan, act.open->project) != side->late)
            continue;
        act.decision = decide(side, &act, false, false);
        if (calls_for_something(side, &act))
            side->found[side->n_found++] = act;
    }
    put_in_order(side);
    return ERR_OK;
}

/* what must be known before something is done */

static const char *words_of(const struct act *act)
{
    return act->open->error ? act->open->error : "it could not be confirmed";
}

static bool not_learnt(struct plane_side *side, struct act *act)
{
    tell_unknown(side, act, words_of(act));
    if (act->open->useless)
        plane_scan_recheck_later(side->scan, act->open, PLANE_RECHECK_FAILED);
    return false;
}

/* Plane has shown the issue in this pass: what does it call for now? */
static bool is_confirmed(struct plane_side *side, struct act *act)
{
    if (act->open->gone)
        return false;
    if (!act->open->confirmed)
        return not_learnt(side, act);
    act->decision = decide(side, act, false, false);
    return calls_for_something(side, act);
}

/* Whether the change behind the verdict is known and the newest one, so that the verdict is still valid. An
 * issue that is gone has none. */
static bool is_identified(struct plane_side *side, struct act *act)
{
    if (!plane_scan_identify(side->scan, &side->call, act->open))
        return not_learnt(side, act);
    if (!act->open->activity_known && !act->open->confirmed) {
        plane_scan_confirm(side->scan, &side->call, &act->open, 1);
        if (!is_confirmed(side, act))
            return false;
    }
    act->decision = decide(side, act, true, false);
    act->open->acted_on = act->decision.step == STEP_SETTLED;
    return calls_for_something(side, act);
}

/* What an act calls for, once what must be known is. */
static bool calls_for_it(struct plane_side *side, struct act *act)
{
    act->looked_at = true;
    return act->task ? is_identified(side, act) : is_confirmed(side, act);
}

/* prepare: copies those of acts[from, to) that still call for an action to acts[ret, …), in their order, and
 * returns the end of these. Each verdict costs a call of its own; the issues to be started are confirmed
 * together. If calls about a project fail, its other issues come after those of the other projects. */
static size_t prepare(struct plane_side *side, size_t from, size_t to, size_t ret)
{
    struct open_issue **issues = mem_zero(to - from, sizeof(struct open_issue *));
    size_t n = 0;
    for (size_t i = from; i < to; i++)
        if (!side->acts[i].task)
            issues[n++] = side->acts[i].open;
    plane_scan_confirm(side->scan, &side->call, issues, n);
    free(issues);
    bool *due = mem_zero(to - from, sizeof *due);
    for (int patience = 0; patience < 2; patience++)
        for (size_t i = from; i < to && !pass_stopping(side->pass); i++) {
            struct act *act = &side->acts[i];
            if (!act->looked_at && (patience > 0 || !plane_scan_tired(side->scan, act->open->project)))
                due[i - from] = calls_for_it(side, act);
        }
    for (size_t i = from; i < to; i++)
        if (due[i - from])
            side->acts[ret++] = side->acts[i];
    free(due);
    return ret;
}

static void hold_by_limit(struct plane_side *side, const struct act *act)
{
    pass_held(side->pass, HELD_BY_LIMIT, 1);
    AUTO_FREE char *reason =
        mem_printf("Plane: %s; the limit on heals in one pass is reached", act->open->state_name);
    item_add(side, act, OUTCOME_HELD, act->decision.step == STEP_NEEDS_ACTIVITY ? "unknown" : "green",
             reason);
}

/* As many as the limit on heals allows, in their order. For a verdict beyond the limit no call is made. */
static void choose(struct plane_side *side)
{
    size_t at = 0, chosen = 0, most = pass_heals_left(side->pass);
    while (at < side->n && chosen < most && !pass_stopping(side->pass)) {
        size_t to = side->n - at < most - chosen ? side->n : at + (most - chosen);
        chosen = prepare(side, at, to, chosen);
        at = to;
    }
    for (; at < side->n && !pass_stopping(side->pass); at++)
        hold_by_limit(side, &side->acts[at]);
    side->n = chosen;
}

static enum err drop_replayed(struct plane_side *side, struct why *why)
{
    const char **ids = mem_zero(side->n, sizeof *ids);
    struct act **who = mem_zero(side->n, sizeof(struct act *));
    bool *replayed = mem_zero(side->n, sizeof *replayed);
    size_t n = 0;
    for (size_t i = 0; i < side->n; i++)
        if (side->acts[i].task) {
            who[n] = &side->acts[i];
            ids[n++] = side->acts[i].open->change.id;
        }
    enum err err = n ? store_verdicts_replayed(side->pass->services->store, ids, n, replayed, why) : ERR_OK;
    for (size_t i = 0; i < n && !err; i++) {
        who[i]->decision = decide(side, who[i], true, replayed[i]);
        who[i]->open->settled = who[i]->open->acted_on = who[i]->decision.step == STEP_SETTLED;
    }
    free(ids);
    free(who);
    free(replayed);
    return err;
}

/* acting */

static void settle_verdict(struct plane_side *side, struct act *act, const struct transition *moved)
{
    item_add(side, act, moved->outcome, "green", moved->outcome_reason ? moved->outcome_reason : act->reason);
    act->open->settled = act->open->acted_on = moved->outcome == moved->success;
    bool failed = moved->outcome == OUTCOME_FAILED || moved->outcome == OUTCOME_UNKNOWN;
    if (failed || moved->outcome == OUTCOME_HELD)
        plane_scan_recheck_later(side->scan, act->open,
                                 failed ? PLANE_RECHECK_FAILED : PLANE_RECHECK_USELESS);
}

static enum err replay(struct plane_side *side, struct why *why)
{
    for (size_t i = 0; i < side->n;) {
        struct transition batch[LIMIT_BATCH];
        struct transition_issue issues[LIMIT_BATCH];
        struct act *who[LIMIT_BATCH];
        size_t n = 0;
        for (; i < side->n && n < LIMIT_BATCH; i++) {
            struct act *act = &side->acts[i];
            bool approves = act->decision.step == STEP_APPROVE;
            if (!approves && act->decision.step != STEP_REJECT)
                continue;
            put_in_words(side->pass, act);
            who[n] = act;
            issues[n] = (struct transition_issue){.call = &side->call,
                                                  .project_id = act->open->project->plane_project_id,
                                                  .id = act->open->issue.id,
                                                  .state = act->open->issue.state,
                                                  .change = &act->open->change};
            batch[n] = (struct transition){.task = &act->task->task,
                                           .to = act->decision.to,
                                           .side = SIDE_PLANE,
                                           .success = approves ? OUTCOME_APPROVED : OUTCOME_REJECTED,
                                           .reason = act->reason,
                                           .evidence = &act->evidence,
                                           .verdict_id = act->open->change.id,
                                           .since_us = act->open->change.at_us,
                                           .issue = &issues[n]};
            n++;
        }
        enum err err = transition_apply(side->pass, batch, n, why);
        for (size_t k = 0; k < n; k++)
            settle_verdict(side, who[k], &batch[k]);
        if (err)
            return err;
    }
    return ERR_OK;
}

static enum err start(struct plane_side *side, struct why *why)
{
    struct plane_start *starts = mem_zero(side->n, sizeof *starts);
    struct act **who = mem_zero(side->n, sizeof(struct act *));
    size_t n = 0;
    for (size_t i = 0; i < side->n; i++) {
        struct act *act = &side->acts[i];
        if (act->decision.step != STEP_START)
            continue;
        put_in_words(side->pass, act);
        who[n] = act;
        starts[n++] = (struct plane_start){.project = act->open->project,
                                           .call = &side->call,
                                           .plane_id = act->open->issue.id,
                                           .state = act->open->issue.state,
                                           .title = act->open->issue.name,
                                           .sequence = act->open->issue.sequence,
                                           .reason = act->reason,
                                           .evidence = &act->evidence};
    }
    enum err err = plane_start_issues(side->pass, starts, n, why);
    for (size_t i = 0; i < n; i++) {
        who[i]->open->settled = starts[i].there;
        if (starts[i].not_made)
            plane_scan_recheck_later(side->scan, who[i]->open,
                                     starts[i].failed ? PLANE_RECHECK_FAILED : PLANE_RECHECK_USELESS);
    }
    free(starts);
    free(who);
    return err;
}

static enum err act_on_some(struct plane_side *side, struct why *why)
{
    choose(side);
    if (side->n == 0 || pass_stopping(side->pass))
        return ERR_OK;
    enum err err = drop_replayed(side, why);
    if (!err)
        err = replay(side, why);
    if (!err && !pass_stopping(side->pass))
        err = start(side, why);
    return err;
}

static void acts_done(struct plane_side *side)
{
    for (size_t i = 0; i < side->n; i++)
        free(side->acts[i].reason);
    side->n = 0;
}

/* Issues that failed last time are asked about when everything else is done, even if that takes long. */
static enum err act_on(struct plane_side *side, struct why *why)
{
    enum err err = ERR_OK;
    size_t well = 0;
    if (side->n_found == 0)
        return ERR_OK;
    while (well < side->n_found && !side->found[well].open->failed)
        well++;
    for (int failed = 0; failed < 2 && !err && !pass_stopping(side->pass); failed++) {
        acts_done(side);
        side->acts = failed ? side->found + well : side->found;
        side->n = failed ? side->n_found - well : well;
        err = act_on_some(side, why);
    }
    return err;
}

/* reading */

/* A pass about one task that waits for a verdict reports that the verdict is not known. */
static void tell_unread(struct plane_side *side, struct task_issue *issue)
{
    const struct store_task *task = &issue->task.task;
    const struct stage *stage = pipeline_stage(side->pass->services->pipeline, task->stage);
    if (stage && stage->human)
        pass_item(side->pass, SIDE_PLANE,
                  &(struct report_item){.task_id = task->id,
                                        .work_item_id = task->work_item_id,
                                        .stage = task->stage,
                                        .verdict = "unknown",
                                        .reason = issue->error,
                                        .outcome = OUTCOME_UNKNOWN});
    if (issue->open && issue->open->useless)
        plane_scan_recheck_later(side->scan, issue->open, PLANE_RECHECK_FAILED);
}

static enum err act_on_one(struct plane_side *side, struct task_issue *issue, struct why *why)
{
    struct act act = {.open = issue->open, .task = &issue->task, .decision = issue->decision};
    if (issue->error && act.decision.step == STEP_NEEDS_ACTIVITY)
        (void)not_learnt(side, &act);
    else if (issue->error && !issue->gone)
        tell_unread(side, issue);
    if (issue->error || !issue->open)
        return ERR_OK;
    act.open->acted_on = issue->asked && act.decision.step == STEP_SETTLED;
    if (!calls_for_something(side, &act) || pass_stopping(side->pass))
        return ERR_OK;
    if (pass_heals_left(side->pass) == 0) {
        hold_by_limit(side, &act);
        return ERR_OK;
    }
    side->acts = &act;
    side->n = 1;
    enum err err = replay(side, why);
    acts_done(side);
    side->acts = NULL;
    return err;
}

/* Of a pass about one task, its issue alone. */
static enum err look_at_one(struct plane_side *side, struct why *why)
{
    struct pass *pass = side->pass;
    const struct store_tasks_query any = {.limit = 1};
    struct store_task_entry entry;
    struct task_issue_query query = {.services = pass->services,
                                     .policy = pass->policy,
                                     .ignore_grace = pass->request->ignore_grace,
                                     .scan = side->scan,
                                     .call = &side->call,
                                     .entry = &entry};
    enum err err =
        store_task_get(pass->services->store, pass->request->task_id, &any, &entry, &query.now_us, why);
    query.now_ms = clock_mono_ms();
    if (err)
        return err == ERR_NOT_FOUND ? ERR_OK : err;
    if (!task_issue_obstacle(pass->services, &entry.task)) {
        struct task_issue issue;
        err = task_issue_read(&query, &issue, why);
        if (!err) {
            err = act_on_one(side, &issue, why);
            task_issue_done(&issue);
        }
    }
    store_task_entry_done(&entry);
    return err;
}

static void found_done(struct plane_side *side)
{
    acts_done(side);
    free(side->found);
    free(side->issues);
    store_issue_tasks_done(&side->tasks);
    side->found = side->acts = NULL;
    side->issues = NULL;
    side->n_found = side->n_issues = 0;
    side->tasks = (struct store_issue_tasks){0};
}

static bool any_late(const struct plane_side *side)
{
    const struct settings *settings = side->pass->services->settings;
    bool any = false;
    for (size_t i = 0; i < settings->n_projects && !any; i++)
        any =
            settings->projects[i].plane_project_id && plane_scan_is_late(side->scan, &settings->projects[i]);
    return any;
}

/* The healthy projects are finished before a project that failed the last time is read. */
static enum err look_at_all(struct plane_side *side, struct why *why)
{
    plane_scan_read(side->scan, &side->call);
    enum err err = pass_stopping(side->pass) ? ERR_OK : compare(side, why);
    if (!err && !pass_stopping(side->pass))
        err = act_on(side, why);
    if (err || pass_stopping(side->pass) || !any_late(side))
        return err;
    found_done(side);
    side->late = true;
    plane_scan_read_late(side->scan, &side->call);
    err = pass_stopping(side->pass) ? ERR_OK : compare(side, why);
    return err || pass_stopping(side->pass) ? err : act_on(side, why);
}

/* the side */

/* One line when something broke or has to wait, and one when all is well again. */
static void log_edges(const struct plane_scan_seen *seen, int64_t wait_s)
{
    if (seen->wait_begins)
        log_warn("Plane is not read to the end", LOG_I("projects", seen->waiting_projects),
                 LOG_I("issues", seen->waiting - seen->waiting_projects), LOG_I("wait_s", wait_s),
                 LOG_S("reason", seen->wait_reason));
    if (seen->wait_ends)
        log_info("Plane is read to the end again");
    if (seen->broke)
        log_warn("Plane cannot be read as it should", LOG_I("projects", seen->errors),
                 LOG_S("reason", seen->error));
    if (seen->recovered)
        log_info("Plane can be read again");
}

/* Each row once. */
static void log_odd(struct plane_scan *scan)
{
    struct plane_scan_odd odd;
    while (plane_scan_odd(scan, &odd))
        log_warn("an issue in Plane cannot be read and is skipped", LOG_S("repo", odd.project->repo),
                 LOG_S("issue", odd.row.id), LOG_S("reason", odd.row.wrong));
}

static void log_clock(struct plane *plane, struct plane_scan *scan)
{
    bool off = plane_clock_is_off(plane);
    if (!plane_scan_clock(scan, off))
        return;
    if (off)
        log_warn("Plane's clock and the database's differ; Plane's times are corrected by that",
                 LOG_I("clock_skew_s", plane_skew_us(plane) / 1000000));
    else
        log_info("Plane's clock and the database's agree again");
}

struct plane_status *plane_side_status(const struct services *services, const struct pass_memory *memory)
{
    struct plane_status *status = plane_scan_status(memory->scan);
    status->n_interrupted = plane_unstarted_count(services->unstarted, &status->interrupted_error);
    return status;
}

/* Once in the life of the process. */
static void log_unrecorded(const struct pass *pass)
{
    if (pass->memory->unrecorded || plane_records_api_changes(pass->services->plane))
        return;
    pass->memory->unrecorded = true;
    log_warn("Plane does not record all verdicts", LOG_S("reason", PLANE_UNRECORDED));
}

static void sum_up(struct plane_side *side)
{
    struct pass *pass = side->pass;
    struct plane_scan_seen seen;
    plane_scan_end(side->scan, &seen);
    pass->report.projects = seen.projects;
    pass->report.issues = seen.rows;
    pass->report.errors = seen.errors;
    pass->report.unreadable = seen.odd;
    pass->report.waiting = (struct report_waiting){.projects = seen.waiting_projects,
                                                   .issues = seen.waiting - seen.waiting_projects,
                                                   .seconds = side->call.wait_s};
    memcpy(pass->report.waiting.reason, seen.wait_reason, sizeof seen.wait_reason);
    if (!pass->request->dry_run) {
        log_edges(&seen, side->call.wait_s);
        log_odd(side->scan);
        log_unrecorded(pass);
        if (pass->db_now_us)
            plane_skew_measure(pass->services->plane, pass->db_now_us, pass->db_ms);
        log_clock(pass->services->plane, side->scan);
        pass->plane = plane_side_status(pass->services, pass->memory);
    }
}

/* Passes of the timer alone: what a person asks for is done here. */
static enum err take_lease(struct pass *pass, bool *ret_ours, struct why *why)
{
    *ret_ours = true;
    if (pass->request->trigger != TRIGGER_TIMER)
        return ERR_OK;
    int64_t seconds = 2 * pass->policy->interval_s + 60;
    enum err err =
        store_lease_take(pass->services->store, lease_name, pass->services->owner.s,
                         seconds < LIMIT_PLANE_LEASE_S ? seconds : LIMIT_PLANE_LEASE_S, ret_ours, why);
    if (err)
        return err;
    plane_scan_lease(pass->memory->scan, *ret_ours);
    if (!*ret_ours)
        pass->plane = plane_side_status(pass->services, pass->memory);
    return ERR_OK;
}

static enum err look(struct pass *pass, struct why *why)
{
    const struct pass_request *request = pass->request;
    struct plane_side side = {.pass = pass, .scan = pass->memory->scan};
    int64_t now_ms = services_mono_ms(pass->services), deadline_ms = now_ms + LIMIT_PLANE_SIDE_MS;
    /* A dry run leaves no trace, not even in what this process knows of Plane. */
    if (request->dry_run)
        side.scan = plane_scan_copy(pass->memory->scan);
    plane_call_begin(&side.call, pass->services->plane, pass->services->fetch,
                     request->trigger != TRIGGER_TIMER,
                     deadline_ms < pass->deadline_ms ? deadline_ms : pass->deadline_ms);
    plane_scan_begin(side.scan, &(struct plane_scan_pass){.now_ms = now_ms,
                                                          .revision = pass->policy->revision,
                                                          .interval_ms = pass->policy->interval_s * 1000,
                                                          .forced = request->trigger != TRIGGER_TIMER});
    enum err err = request->task_id ? look_at_one(&side, why) : look_at_all(&side, why);
    if (!err && !request->task_id && !pass_stopping(pass))
        plane_scan_read_states(side.scan, &side.call);
    sum_up(&side);
    found_done(&side);
    plane_call_end(&side.call);
    if (request->dry_run)
        plane_scan_free(side.scan);
    return err;
}

enum err plane_side_run(struct pass *pass, struct why *why)
{
    bool ours = false;
    enum err err = take_lease(pass, &ours, why);
    if (err || !ours)
        return err;
    err = plane_start_interrupted(pass, why);
    if (!err && !pass_stopping(pass))
        err = look(pass, why);
    if (pass_stopping(pass))
        pass->report.state = PASS_INTERRUPTED;
    return err;
}

void plane_side_leave(struct services *services, const struct pass_memory *memory)
{
    struct why why;
    if (plane_scan_leased(memory->scan) &&
        store_lease_drop(services->store, lease_name, services->owner.s, &why) != ERR_OK)
        log_debug("a lease was not given back", LOG_S("lease", lease_name), LOG_S("reason", why.text));
}
