#include "reconcile/plane/plane_start.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "clients/base/text.h"
#include "clients/facts/facts.h"
#include "clients/gitea/gitea.h"
#include "clients/store/store.h"
#include "reconcile/pipeline/evidence.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/plane/plane_unstarted.h"
#include "reconcile/settings/settings.h"
#include "reconcile/heal/transition.h"
#include "reconcile/settings/weblink.h"
#include "reconcile/settings/work_item.h"

static const char interrupted_words[] = "the start was interrupted: the task was made and got no job";
static const char limit_words[] = "the limit on heals in one pass is reached";

static const struct stage *first_stage(const struct pass *pass)
{
    return &pass->services->pipeline->stages[0];
}

const char *plane_start_obstacle(const struct services *services)
{
    if (services->orchestrator)
        return NULL;
    if (services->pipeline->stages[0].n_gates > 0)
        return "the pipeline's first stage has a gate: no task is started there";
    if (!gitea_configured(services->gitea))
        return "ORCH_GITEA_URL is not set: there is nowhere to make the branch";
    return NULL;
}

/* tasks that stand at the first stage */

struct unstarted {
    const struct store_task *task;
    const struct plane_start *start; /* NULL: an earlier pass, or another process, made the task */
    const struct gitea_branch_made *made;
    bool settled;
};

struct starter {
    struct pass *pass;
    struct facts *facts;
    struct store_task_list found;
    struct unstarted *tasks;
    size_t n;
};

static const char *reason_of(const struct unstarted *unstarted)
{
    return unstarted->start ? unstarted->start->reason : interrupted_words;
}

static void settle(struct starter *starter, struct unstarted *unstarted, enum outcome outcome,
                   const char *reason)
{
    struct pass *pass = starter->pass;
    const struct store_task *task = unstarted->task;
    pass_item(pass, SIDE_PLANE,
              &(struct report_item){.task_id = task->id,
                                    .work_item_id = task->work_item_id,
                                    .stage = task->stage,
                                    .to_stage = first_stage(pass)->next->name,
                                    .verdict = "green",
                                    .reason = reason ? reason : reason_of(unstarted),
                                    .outcome = outcome});
    unstarted->settled = true;
    if (pass->request->dry_run)
        return;
    if (outcome == OUTCOME_FAILED)
        plane_unstarted_failed(pass->services->unstarted, task, reason ? reason : "it failed",
                               services_mono_ms(pass->services));
    else if (outcome == OUTCOME_STARTED || outcome == OUTCOME_RACED)
        plane_unstarted_ended(pass->services->unstarted, task);
}

static struct evidence evidence_of(const struct starter *starter, const struct unstarted *unstarted)
{
    const struct store_task *task = unstarted->task;
    struct evidence evidence = {.side = SIDE_PLANE, .issue = {.issue = task->plane_id}};
    const struct settings *settings = starter->pass->services->settings;
    if (unstarted->start)
        evidence = *unstarted->start->evidence;
    else
        evidence.issue.html_url =
            pass_keep(starter->pass, weblink_task(settings, task->repo, task->work_item_id, task->plane_id));
    evidence.issue.branch = task->branch;
    evidence.issue.base = settings_base_branch(settings, task->repo, task->work_item_id);
    evidence.issue.branch_made = unstarted->made && unstarted->made->made;
    return evidence;
}

static bool has_branch(const struct unstarted *unstarted)
{
    return !unstarted->settled && unstarted->made && unstarted->made->fact.state == FACT_KNOWN;
}

/* move: those whose branch is there, out of the first stage. */
static enum err move(struct starter *starter, bool dry, struct why *why)
{
    struct pass *pass = starter->pass;
    for (size_t i = 0; i < starter->n;) {
        struct transition batch[LIMIT_BATCH];
        struct unstarted *who[LIMIT_BATCH];
        struct evidence evidence[LIMIT_BATCH];
        size_t n = 0;
        for (; i < starter->n && n < LIMIT_BATCH; i++) {
            if (!dry && !has_branch(&starter->tasks[i]))
                continue;
            who[n] = &starter->tasks[i];
            evidence[n] = evidence_of(starter, who[n]);
            batch[n] = (struct transition){.task = who[n]->task,
                                           .to = first_stage(pass)->next,
                                           .side = SIDE_PLANE,
                                           .success = OUTCOME_STARTED,
                                           .reason = reason_of(who[n]),
                                           .evidence = &evidence[n]};
            n++;
        }
        enum err err = transition_apply(pass, batch, n, why);
        for (size_t k = 0; k < n; k++)
            settle(starter, who[k], batch[k].outcome, batch[k].outcome_reason);
        if (err)
            return err;
    }
    return ERR_OK;
}

static bool is_settled_by_its_row(struct starter *starter, struct unstarted *unstarted)
{
    const struct store_task *task = unstarted->task;
    if (task->unreadable)
        settle(starter, unstarted, OUTCOME_FAILED, task->unreadable);
    else if (!task->repo || !strchr(task->repo, '/') || !task->branch || !*task->branch)
        settle(starter, unstarted, OUTCOME_FAILED, "the task names no repo, or no branch");
    return unstarted->settled;
}

static char *taken_words(const char *branch, int64_t task_id)
{
    return mem_printf("its branch %s belongs to task %" PRId64 " already", branch, task_id);
}

enum err plane_start_taken(const struct services *services, const struct store_task *task, char **ret,
                           struct why *why)
{
    const struct store_branch branch = {.repo = task->repo, .name = task->branch, .task_id = task->id};
    int64_t taker = 0;
    enum err err =
        store_branches_taken(services->store, &branch, 1, services->pipeline->stages[0].name, &taker, why);
    if (!err)
        *ret = taker ? taken_words(task->branch, taker) : NULL;
    return err;
}

/* settle_taken: reports the tasks whose branch belongs to another task, so that no two tasks share a branch.
 */
static enum err settle_taken(struct starter *starter, struct why *why)
{
    AUTO_FREE struct store_branch *branches = mem_zero(starter->n, sizeof *branches);
    AUTO_FREE int64_t *takers = mem_zero(starter->n, sizeof *takers);
    for (size_t i = 0; i < starter->n; i++) {
        const struct store_task *task = starter->tasks[i].task;
        branches[i] = (struct store_branch){.repo = task->repo, .name = task->branch, .task_id = task->id};
    }
    enum err err = store_branches_taken(starter->pass->services->store, branches, starter->n,
                                        first_stage(starter->pass)->name, takers, why);
    size_t kept = 0;
    for (size_t i = 0; i < starter->n && !err; i++) {
        AUTO_FREE char *words = takers[i] ? taken_words(branches[i].name, takers[i]) : NULL;
        if (words)
            settle(starter, &starter->tasks[i], OUTCOME_FAILED, words);
        else
            starter->tasks[kept++] = starter->tasks[i];
    }
    if (!err)
        starter->n = kept;
    return err;
}

static void look_at_branch(void *arg, void *task)
{
    struct starter *starter = arg;
    struct unstarted *unstarted = task;
    const struct services *services = starter->pass->services;
    if (unstarted->settled || pass_stopping(starter->pass))
        return;
    facts_subscribe(starter->facts, unstarted);
    unstarted->made = gitea_branch_make(
        starter->facts, services->gitea, unstarted->task->repo,
        settings_base_branch(services->settings, unstarted->task->repo, unstarted->task->work_item_id),
        unstarted->task->branch);
    if (unstarted->made->fact.state == FACT_ABSENT || unstarted->made->fact.state == FACT_FAILED)
        settle(starter, unstarted, OUTCOME_FAILED, unstarted->made->fact.error);
}

/* All branches are made at once, so that one request that hangs delays the others at most by the time limit
 * of a call. */
static void make_branches(struct starter *starter)
{
    starter->facts = facts_new(starter->pass->services->fetch, starter->pass->deadline_ms);
    facts_asked_by(starter->facts, &starter->pass->asker);
    facts_gather(starter->facts);
    for (size_t i = 0; i < starter->n; i++)
        look_at_branch(starter, &starter->tasks[i]);
    facts_run(starter->facts, &(struct facts_loop){.on_ready = look_at_branch, .arg = starter});
    if (pass_stopping(starter->pass))
        starter->pass->report.state = PASS_INTERRUPTED;
}

/* By the limit; or by a switch, the mode or settings that start nothing. */
static void count_held(struct pass *pass, size_t n, const char *reason)
{
    bool limited = reason == limit_words, off = pass_hold_reason(pass, SIDE_PLANE);
    pass_held(pass, limited ? HELD_BY_LIMIT : off ? pass_held_by(pass, SIDE_PLANE) : HELD_BY_SWITCH, n);
}

static void hold(struct starter *starter, size_t from, const char *reason)
{
    count_held(starter->pass, starter->n - from, reason);
    for (size_t i = from; i < starter->n; i++)
        settle(starter, &starter->tasks[i], OUTCOME_HELD, reason);
    starter->n = from;
}

static enum err start_found(struct starter *starter, struct why *why)
{
    struct pass *pass = starter->pass;
    if (starter->n == 0)
        return ERR_OK;
    enum err err = pass_policy_check(pass, starter->found.settings_revision, starter->found.now_us, why);
    if (err)
        return err;
    const char *held = pass_hold_reason(pass, SIDE_PLANE);
    if (held || (held = plane_start_obstacle(pass->services))) {
        hold(starter, 0, held);
        return ERR_OK;
    }
    size_t kept = 0;
    for (size_t i = 0; i < starter->n; i++)
        if (!is_settled_by_its_row(starter, &starter->tasks[i]))
            starter->tasks[kept++] = starter->tasks[i];
    starter->n = kept;
    if ((err = settle_taken(starter, why)))
        return err;
    size_t left = pass_heals_left(pass);
    if (starter->n > left)
        hold(starter, left, limit_words);
    if (pass->request->dry_run)
        return move(starter, true, why);
    make_branches(starter);
    return pass_stopping(pass) ? ERR_OK : move(starter, false, why);
}

static void starter_done(struct starter *starter)
{
    facts_free(starter->facts);
    free(starter->tasks);
    store_task_list_done(&starter->found);
}

/* The tasks at the first stage that have rested for their grace, and those that this process began and that
 * are due. */
static enum err find_interrupted(struct starter *starter, int64_t now_ms, struct why *why)
{
    struct pass *pass = starter->pass;
    struct plane_unstarted *unstarted = pass->services->unstarted;
    int64_t grace_s = pass->request->ignore_grace ? 0 : pass->policy->grace_default_s;
    char **due = NULL;
    size_t n = plane_unstarted_due(unstarted, pass->request->trigger != TRIGGER_TIMER,
                                   pass->policy->interval_s * 1000, now_ms, &due);
    enum err err = store_unstarted(pass->services->store, first_stage(pass)->name, grace_s,
                                   (const char *const *)due, n, LIMIT_PASS_CANDIDATES, &starter->found, why);
    if (!err && !pass->request->dry_run && starter->found.n_tasks < LIMIT_PASS_CANDIDATES)
        plane_unstarted_keep(unstarted, due, n, starter->found.tasks, starter->found.n_tasks);
    for (size_t i = 0; i < n; i++)
        free(due[i]);
    free(due);
    return err;
}

static bool pauses(const struct pass *pass, const struct store_task *task, int64_t now_ms)
{
    struct plane_unstarted_start start;
    return pass->request->trigger == TRIGGER_TIMER &&
           plane_unstarted_get(pass->services->unstarted, task, pass->policy->interval_s * 1000, &start) &&
           start.retry_ms > now_ms;
}

enum err plane_start_interrupted(struct pass *pass, struct why *why)
{
    struct starter starter = {.pass = pass};
    int64_t now_ms = services_mono_ms(pass->services);
    if (first_stage(pass)->n_gates > 0 || pass->services->orchestrator)
        return ERR_OK;
    enum err err = find_interrupted(&starter, now_ms, why);
    if (err)
        return err;
    starter.tasks = mem_zero(starter.found.n_tasks, sizeof *starter.tasks);
    for (size_t i = 0; i < starter.found.n_tasks; i++) {
        const struct store_task *task = &starter.found.tasks[i];
        if ((pass->request->task_id && pass->request->task_id != task->id) || pauses(pass, task, now_ms))
            continue;
        starter.tasks[starter.n++] = (struct unstarted){.task = task};
    }
    err = start_found(&starter, why);
    starter_done(&starter);
    return err;
}

/* issues without a task */

static void settle_issue(struct pass *pass, const struct plane_start *start, enum outcome outcome,
                         const char *reason)
{
    AUTO_FREE char *id = work_item_id(start->project->prefix, start->sequence);
    pass_item(pass, SIDE_PLANE,
              &(struct report_item){.work_item_id = id,
                                    .to_stage = first_stage(pass)->next->name,
                                    .verdict = "green",
                                    .reason = reason ? reason : start->reason,
                                    .outcome = outcome});
}

static void hold_issues(struct pass *pass, struct plane_start *starts, size_t n, const char *reason)
{
    count_held(pass, n, reason);
    for (size_t i = 0; i < n; i++) {
        settle_issue(pass, &starts[i], OUTCOME_HELD, reason);
        starts[i].not_made = reason != limit_words;
    }
}

static void fail_issues(struct pass *pass, struct plane_start *starts, size_t n, const char *reason)
{
    for (size_t i = 0; i < n; i++) {
        settle_issue(pass, &starts[i], OUTCOME_FAILED, reason);
        starts[i].not_made = starts[i].failed = true;
    }
}

struct creation {
    struct store_new_task tasks[LIMIT_BATCH];
    enum store_creation results[LIMIT_BATCH];
    struct why refusals[LIMIT_BATCH];
    size_t n;
};

static enum err create(struct pass *pass, void *arg, struct why *why)
{
    struct creation *creation = arg;
    return store_create_tasks(pass->services->store, pass->policy->revision, pass->policy->valid_until_us,
                              creation->tasks, creation->n, creation->results, why);
}

static void settle_created(struct pass *pass, struct plane_start *start, enum store_creation created,
                           const struct why *refusal)
{
    switch (created) {
    case STORE_CREATED:
        start->there = true;
        plane_unstarted_begun(pass->services->unstarted, start->plane_id);
        break;
    case STORE_EXISTS:
        start->there = true;
        settle_issue(pass, start, OUTCOME_RACED, "another process made its task first");
        break;
    case STORE_BRANCH_TAKEN:
        fail_issues(pass, start, 1, "another task was made of its branch meanwhile");
        break;
    case STORE_START_HELD:
        pass_held(pass, HELD_BY_HOLD, 1);
        start->not_made = true;
        settle_issue(pass, start, OUTCOME_HELD, refusal->text);
        break;
    case STORE_NOT_CREATED:
        start->not_made = start->failed = true;
        settle_issue(pass, start, OUTCOME_FAILED, refusal->text);
        break;
    }
}

/* One line for all that were refused in the same words. */
static void log_not_created(const struct plane_start *starts, const struct creation *creation)
{
    for (size_t i = 0; i < creation->n; i++) {
        size_t first = i, tasks = 0;
        for (size_t k = 0; k < creation->n; k++)
            if (creation->results[i] == STORE_NOT_CREATED && creation->results[k] == STORE_NOT_CREATED &&
                strcmp(creation->refusals[k].text, creation->refusals[i].text) == 0) {
                first = k < first ? k : first;
                tasks++;
            }
        if (tasks > 0 && first == i)
            log_error("the database refused to make a task", LOG_S("plane_id", starts[i].plane_id),
                      LOG_S("repo", starts[i].project->repo), LOG_S("reason", creation->refusals[i].text),
                      LOG_I("tasks", tasks));
    }
}

static const struct plane_start *start_of(const struct plane_start *starts, size_t n, const char *plane_id)
{
    for (size_t i = 0; plane_id && i < n; i++)
        if (strcmp(starts[i].plane_id, plane_id) == 0)
            return &starts[i];
    return NULL;
}

/* The tasks just made, as the database has them. */
static enum err start_created(struct pass *pass, const struct plane_start *starts, size_t n,
                              const char *const *fresh, size_t n_fresh, struct why *why)
{
    struct starter starter = {.pass = pass};
    if (n_fresh == 0)
        return ERR_OK;
    enum err err = store_unstarted(pass->services->store, first_stage(pass)->name, INT32_MAX, fresh, n_fresh,
                                   LIMIT_PASS_CANDIDATES, &starter.found, why);
    if (err)
        return err;
    starter.tasks = mem_zero(starter.found.n_tasks, sizeof *starter.tasks);
    for (size_t i = 0; i < starter.found.n_tasks; i++) {
        const struct store_task *task = &starter.found.tasks[i];
        const struct plane_start *start = start_of(starts, n, task->plane_id);
        if (start)
            starter.tasks[starter.n++] = (struct unstarted){.task = task, .start = start};
    }
    err = start_found(&starter, why);
    starter_done(&starter);
    return err;
}

static enum err start_batch(struct pass *pass, struct plane_start *starts, size_t n, struct why *why)
{
    struct creation creation;
    char *ids[LIMIT_BATCH], *branches[LIMIT_BATCH];
    const char *fresh[LIMIT_BATCH], *held = NULL;
    size_t n_fresh = 0;
    creation.n = n;
    for (size_t i = 0; i < n; i++) {
        const struct plane_start *start = &starts[i];
        ids[i] = work_item_id(start->project->prefix, start->sequence);
        branches[i] = work_item_branch(start->project->prefix, start->sequence, start->title);
        creation.tasks[i] = (struct store_new_task){.plane_id = start->plane_id,
                                                    .work_item_id = ids[i],
                                                    .title = start->title,
                                                    .repo = start->project->repo,
                                                    .branch = branches[i],
                                                    .stage = first_stage(pass)->name,
                                                    .refusal = &creation.refusals[i]};
    }
    enum err err = pass_write(pass, SIDE_PLANE, create, &creation, &held, why);
    if (err == ERR_INTERNAL) {
        /* The database works, but its tables accept no task; everything else goes on. */
        log_error("no task can be made", LOG_S("reason", why->text));
        fail_issues(pass, starts, n, why->text);
        err = ERR_OK;
    } else if (err) {
        fail_issues(pass, starts, n, "the database could not be written");
    } else if (held) {
        hold_issues(pass, starts, n, held);
    } else {
        for (size_t i = 0; i < n; i++) {
            settle_created(pass, &starts[i], creation.results[i], &creation.refusals[i]);
            if (creation.results[i] == STORE_CREATED)
                fresh[n_fresh++] = starts[i].plane_id;
        }
        log_not_created(starts, &creation);
        err = start_created(pass, starts, n, fresh, n_fresh, why);
    }
    for (size_t i = 0; i < n; i++) {
        free(ids[i]);
        free(branches[i]);
    }
    return err;
}

/* The same where the orchestrator makes the tasks: the expected row, as far as it is known. */
static struct store_task task_to_be(const struct pass *pass, const struct plane_start *start)
{
    return (struct store_task){.plane_id = mem_dup(start->plane_id),
                               .work_item_id = work_item_id(start->project->prefix, start->sequence),
                               .title = mem_dup(start->title),
                               .repo = mem_dup(start->project->repo),
                               .stage = mem_dup(first_stage(pass)->name)};
}

static enum err replay_batch(struct pass *pass, struct plane_start *starts, size_t n, struct why *why)
{
    struct transition batch[LIMIT_BATCH];
    struct transition_issue issues[LIMIT_BATCH];
    struct store_task tasks[LIMIT_BATCH];
    for (size_t i = 0; i < n; i++) {
        const struct plane_start *start = &starts[i];
        tasks[i] = task_to_be(pass, start);
        issues[i] = (struct transition_issue){.call = start->call,
                                              .project_id = start->project->plane_project_id,
                                              .id = start->plane_id,
                                              .state = start->state};
        batch[i] = (struct transition){.task = &tasks[i],
                                       .to = first_stage(pass)->next,
                                       .side = SIDE_PLANE,
                                       .success = OUTCOME_STARTED,
                                       .reason = start->reason,
                                       .evidence = start->evidence,
                                       .since_us = start->evidence->issue.updated_us,
                                       .issue = &issues[i]};
    }
    enum err err = transition_apply(pass, batch, n, why);
    for (size_t i = 0; i < n; i++) {
        settle_issue(pass, &starts[i], batch[i].outcome, batch[i].outcome_reason);
        starts[i].there = batch[i].outcome == OUTCOME_STARTED || batch[i].outcome == OUTCOME_RACED;
        starts[i].not_made = !starts[i].there;
        starts[i].failed = batch[i].outcome == OUTCOME_FAILED || batch[i].outcome == OUTCOME_UNKNOWN;
        store_task_done(&tasks[i]);
    }
    return err;
}

static void try_issue(struct pass *pass, const struct plane_start *start)
{
    struct store_task task = task_to_be(pass, start);
    const char *hold = pass_would_hold(pass, &task);
    settle_issue(pass, start, hold ? OUTCOME_HELD : OUTCOME_STARTED, hold);
    pass_heals_take(pass, hold ? 0 : 1);
    store_task_done(&task);
}

static enum err start_issues(struct pass *pass, struct plane_start *starts, size_t n, struct why *why)
{
    const char *held = n ? plane_start_obstacle(pass->services) : NULL;
    size_t left = pass_heals_left(pass), may = held ? 0 : left < n ? left : n;
    for (size_t i = 0; pass->request->dry_run && i < may; i++)
        try_issue(pass, &starts[i]);
    for (size_t at = 0; at < may && !pass->request->dry_run && !pass_stopping(pass); at += LIMIT_BATCH) {
        size_t some = may - at < LIMIT_BATCH ? may - at : LIMIT_BATCH;
        enum err err = pass->services->orchestrator ? replay_batch(pass, &starts[at], some, why)
                                                    : start_batch(pass, &starts[at], some, why);
        if (err)
            return err;
    }
    hold_issues(pass, &starts[may], n - may, held ? held : limit_words);
    return ERR_OK;
}

/* A task with the issue's work item id belongs to this issue if its plane_id is no UUID, or is this issue's
 * (it was then made after the tasks were read). If it is another issue's UUID, the start is blocked: two
 * tasks would share the work item's branch and documents. */
static void settle_known(struct pass *pass, struct plane_start *start, const struct store_work_item *known)
{
    bool in_the_way = known->of_issue && strcmp(known->plane_id.s, start->plane_id) != 0;
    AUTO_FREE char *id = work_item_id(start->project->prefix, start->sequence);
    AUTO_FREE char *reason = mem_printf("task %" PRId64 " has the work item id %s already%s", known->task_id,
                                        id, in_the_way ? ", and the plane_id of another issue" : "");
    settle_issue(pass, start, in_the_way ? OUTCOME_FAILED : OUTCOME_RACED, reason);
    start->there = !in_the_way;
    start->not_made = in_the_way;
}

/* find_known: for each start whether a task has its work item id. */
static enum err find_known(struct pass *pass, const struct plane_start *starts, size_t n,
                           struct store_work_item *ret, struct why *why)
{
    char **ids = mem_zero(n, sizeof *ids);
    for (size_t i = 0; i < n; i++)
        ids[i] = work_item_id(starts[i].project->prefix, starts[i].sequence);
    enum err err = store_work_items(pass->services->store, (const char *const *)ids, n, ret, why);
    for (size_t i = 0; i < n; i++)
        free(ids[i]);
    free(ids);
    return err;
}

/* find_taken: for each start, the task that has its branch. The branch that the orchestrator would choose is
 * not known. */
static enum err find_taken(struct pass *pass, const struct plane_start *starts, size_t n, int64_t *ret,
                           struct why *why)
{
    if (pass->services->orchestrator)
        return ERR_OK;
    char **names = mem_zero(n, sizeof *names);
    AUTO_FREE struct store_branch *branches = mem_zero(n, sizeof *branches);
    for (size_t i = 0; i < n; i++) {
        names[i] = work_item_branch(starts[i].project->prefix, starts[i].sequence, starts[i].title);
        branches[i] = (struct store_branch){.repo = starts[i].project->repo, .name = names[i]};
    }
    enum err err =
        store_branches_taken(pass->services->store, branches, n, first_stage(pass)->name, ret, why);
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
    return err;
}

/* settle_alike: refuses the second of two issues with the same sequence number, which would share work item
 * id and branch. */
static bool settle_alike(struct pass *pass, const struct plane_start *open, size_t n_open,
                         struct plane_start *start)
{
    for (size_t i = 0; i < n_open; i++) {
        if (open[i].project != start->project || open[i].sequence != start->sequence)
            continue;
        AUTO_FREE char *words = mem_printf("issue %s has the same sequence number", open[i].plane_id);
        fail_issues(pass, start, 1, words);
        return true;
    }
    return false;
}

enum err plane_start_issues(struct pass *pass, struct plane_start *starts, size_t n, struct why *why)
{
    struct store_work_item *known = mem_zero(n, sizeof *known);
    AUTO_FREE int64_t *takers = mem_zero(n, sizeof *takers);
    struct plane_start *open = mem_zero(n, sizeof *open);
    size_t *place = mem_zero(n, sizeof *place), n_open = 0;
    /* In this order: a branch that was taken by the issue's own task, made meanwhile, is of a task that is
     * known. */
    enum err err = find_taken(pass, starts, n, takers, why);
    if (!err)
        err = find_known(pass, starts, n, known, why);
    for (size_t i = 0; i < n && !err; i++) {
        if (known[i].found) {
            settle_known(pass, &starts[i], &known[i]);
        } else if (takers[i]) {
            AUTO_FREE char *branch =
                work_item_branch(starts[i].project->prefix, starts[i].sequence, starts[i].title);
            AUTO_FREE char *words = taken_words(branch, takers[i]);
            fail_issues(pass, &starts[i], 1, words);
        } else if (!settle_alike(pass, open, n_open, &starts[i])) {
            place[n_open] = i;
            open[n_open++] = starts[i];
        }
    }
    if (!err)
        err = start_issues(pass, open, n_open, why);
    for (size_t i = 0; i < n_open; i++)
        starts[place[i]] = open[i];
    free(known);
    free(open);
    free(place);
    return err;
}
