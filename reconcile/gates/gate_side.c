#include "reconcile/gates/gate_side.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/facts/facts.h"
#include "clients/gitea/gitea.h"
#include "clients/store/store.h"
#include "reconcile/gates/gate.h"
#include "reconcile/gates/gate_decide.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/heal/quarantine.h"
#include "reconcile/heal/recheck.h"
#include "reconcile/heal/transition.h"

/* How long to wait for answers before what is green already is written. */
enum { FLUSH_MS = 50 };

struct candidate {
    const struct store_task *task;
    const struct stage *stage;
    struct verdict verdict;
    bool settled; /* its outcome is in the report */
};

struct gate_side {
    struct pass *pass;
    struct facts *facts;
    struct store_task_list stuck;
    struct candidate *candidates; /* in fair order, as the store listed them */
    size_t first_open;            /* all before it are settled */
    size_t green;                 /* green and not settled */
    int64_t oldest_left_s;        /* age of the oldest that did not move */
    enum err err;                 /* the database's, once it failed: nothing more is moved */
    struct why *why;
};

/* choosing */

enum err gate_side_list(struct services *services, const struct policy *policy,
                        const struct gate_side_query *query, struct store_task_list *ret, struct why *why)
{
    const struct pipeline *pipeline = services->pipeline;
    size_t n;
    struct store_stage_grace *graces = policy_graces(policy, pipeline, &n);
    for (size_t i = 0; i < n && query->ignore_grace; i++)
        graces[i].grace_s = 0;
    struct store_stuck_query stuck = {
        .stages = graces,
        .n_stages = n,
        .known = pipeline->names,
        .n_known = pipeline->n_stages,
        .only_task = query->only_task,
        .limit = query->limit,
        .heals_window_s = policy->quarantine_window_s,
    };
    int64_t *resting = NULL;
    if (query->by_timer)
        recheck_waiting(services->recheck, services_mono_ms(services), &resting, &stuck.n_resting);
    stuck.resting = resting;
    enum err err = store_task_list(services->store, &stuck, ret, why);
    free(resting);
    free(graces);
    return err;
}

/* The single statement of a converged pass also checks that the settings have not changed since the pass
 * began.
 */
static enum err choose(struct pass *pass, void *arg, struct why *why)
{
    struct gate_side *side = arg;
    const struct gate_side_query query = {.by_timer = pass->request->trigger == TRIGGER_TIMER,
                                          .ignore_grace = pass->request->ignore_grace,
                                          .only_task = pass->request->task_id,
                                          .limit = LIMIT_PASS_CANDIDATES};
    store_task_list_done(&side->stuck);
    enum err err = gate_side_list(pass->services, pass->policy, &query, &side->stuck, why);
    if (err)
        return err;
    return pass_policy_stands(pass, side->stuck.settings_revision, side->stuck.now_us) ? ERR_OK
                                                                                       : ERR_CONFLICT;
}

/* outcomes */

static void settle(struct gate_side *side, struct candidate *candidate, enum outcome outcome,
                   const char *reason)
{
    struct pass *pass = side->pass;
    const struct store_task *task = candidate->task;
    const struct stage *to = candidate->verdict.kind == VERDICT_GREEN ? candidate->stage->next : NULL;
    pass_item(pass, SIDE_GATE,
              &(struct report_item){
                  .task_id = task->id,
                  .work_item_id = task->work_item_id,
                  .stage = task->stage,
                  .to_stage = to ? to->name : NULL,
                  .verdict = candidate->verdict.kind == VERDICT_PENDING
                                 ? NULL
                                 : verdict_name(candidate->verdict.kind),
                  .reason = reason ? reason : candidate->verdict.reason,
                  .outcome = outcome,
              });
    candidate->settled = true;
    if (outcome != OUTCOME_ADVANCED && task->age_s > side->oldest_left_s)
        side->oldest_left_s = task->age_s;
    int64_t interval_ms = pass->policy->interval_s * 1000;
    if (pass->request->dry_run)
        ; /* a dry run leaves no trace, not even in memory */
    else if (outcome == OUTCOME_RED || outcome == OUTCOME_FAILED)
        recheck_later(pass->services->recheck, task->id, task->stage, candidate->verdict.sha, RECHECK_RED,
                      interval_ms, services_mono_ms(pass->services));
    else if (outcome == OUTCOME_UNKNOWN && !candidate->verdict.unasked)
        recheck_later(pass->services->recheck, task->id, task->stage, NULL, RECHECK_UNKNOWN, interval_ms,
                      services_mono_ms(pass->services));
    else if (outcome == OUTCOME_ADVANCED)
        recheck_forget(pass->services->recheck, task->id);
    verdict_done(&candidate->verdict);
}

/* The decision about the candidate, from what is known of it; `has_room`: the limit on heals has room for it.
 */
static struct gate_decision decide(const struct gate_side *side, const struct candidate *candidate,
                                   bool has_room)
{
    const struct gate_decide_view view = {.task = candidate->task,
                                          .stage = candidate->stage,
                                          .listed = true,
                                          .verdict = &candidate->verdict,
                                          .hold = pass_hold_reason(side->pass, SIDE_GATE),
                                          .quarantine_heals = side->pass->policy->quarantine_heals,
                                          .has_room = has_room};
    return gate_decide(&view);
}

static void quarantine(struct gate_side *side, struct candidate *candidate)
{
    AUTO_FREE char *reason = quarantine_reason(side->pass->policy, candidate->task);
    settle(side, candidate, OUTCOME_QUARANTINED, reason);
    quarantine_announce(side->pass, candidate->task);
}

/* evaluating */

static void evaluate(struct gate_side *side, struct candidate *candidate)
{
    if (candidate->settled || candidate->verdict.kind != VERDICT_PENDING)
        return;
    const struct gate_view view = {
        .facts = side->facts,
        .gitea = side->pass->services->gitea,
        .task = candidate->task,
        .stage = candidate->stage,
        .settings = side->pass->services->settings,
    };
    facts_subscribe(side->facts, candidate);
    gate_evaluate(&view, &candidate->verdict);
    struct gate_decision decision = decide(side, candidate, true);
    if (decision.action == GATE_WAIT)
        settle(side, candidate, decision.cause == GATE_CAUSE_RED ? OUTCOME_RED : OUTCOME_UNKNOWN, NULL);
    else if (decision.action != GATE_EVALUATE)
        side->green++;
}

/* moving */

static struct transition transition_of(const struct candidate *candidate,
                                       const struct gate_decision *decision)
{
    return (struct transition){.task = candidate->task,
                               .to = decision->to,
                               .side = SIDE_GATE,
                               .success = OUTCOME_ADVANCED,
                               .reason = candidate->verdict.reason,
                               .evidence = &candidate->verdict.evidence};
}

static void settle_held(struct gate_side *side, struct candidate *candidate,
                        const struct gate_decision *decision)
{
    bool limited = decision->cause == GATE_CAUSE_LIMIT;
    pass_held(side->pass, limited ? HELD_BY_LIMIT : pass_held_by(side->pass, SIDE_GATE), 1);
    settle(side, candidate, OUTCOME_HELD, decision->reason);
}

/* choose_batch: the green candidates that certainly fit into the limit on heals, which is used up in the fair
 * order. An undecided candidate may still turn green, so a green one moves only if it fits together with all
 * green and undecided ones before it. Candidates that a switch holds need no room. */
static size_t choose_batch(struct gate_side *side, struct transition *batch,
                           struct candidate **ret_candidates)
{
    size_t n = 0, room = pass_heals_left(side->pass);
    for (size_t i = side->first_open; i < side->stuck.n_tasks && n < LIMIT_BATCH && room > 0; i++) {
        struct candidate *candidate = &side->candidates[i];
        if (candidate->settled)
            continue;
        struct gate_decision decision = decide(side, candidate, true);
        if (decision.action == GATE_HOLD) {
            settle_held(side, candidate, &decision);
            side->green--;
            continue;
        }
        room--;
        if (decision.action != GATE_ADVANCE)
            continue;
        ret_candidates[n] = candidate;
        batch[n++] = transition_of(candidate, &decision);
    }
    return n;
}

/* flush: moves what choose_batch finds, batch by batch. */
static void flush(struct gate_side *side)
{
    struct pass *pass = side->pass;
    while (side->first_open < side->stuck.n_tasks && side->candidates[side->first_open].settled)
        side->first_open++;
    while (side->green > 0 && !side->err && !pass_stopping(pass)) {
        struct transition batch[LIMIT_BATCH];
        struct candidate *candidates[LIMIT_BATCH];
        size_t n = choose_batch(side, batch, candidates);
        if (n == 0)
            return;
        side->err = transition_apply(pass, batch, n, side->why);
        for (size_t i = 0; i < n; i++)
            settle(side, candidates[i], batch[i].outcome, batch[i].outcome_reason);
        side->green -= n;
    }
}

static void hold_the_rest(struct gate_side *side)
{
    for (size_t i = side->first_open; i < side->stuck.n_tasks; i++) {
        if (side->candidates[i].settled)
            continue;
        struct gate_decision decision = decide(side, &side->candidates[i], false);
        if (decision.action == GATE_HOLD)
            settle_held(side, &side->candidates[i], &decision);
    }
}

/* the side */

static bool asks_for_head(const struct stage *stage)
{
    for (size_t i = 0; i < stage->n_gates; i++)
        if (stage->gates[i].kind == GATE_CI || stage->gates[i].kind == GATE_FILES)
            return true;
    return false;
}

static int compare_repo(const void *a, const void *b)
{
    return repo_compare(*(const char *const *)a, *(const char *const *)b);
}

/* announce_heads: passes the number of heads needed of each repo to Gitea's client, which can then list
 * branches instead of asking for each. */
static void announce_heads(struct gate_side *side)
{
    const char **repos = mem_zero(side->stuck.n_tasks, sizeof *repos);
    size_t n = 0;
    for (size_t i = 0; i < side->stuck.n_tasks; i++)
        if (!side->candidates[i].settled && side->candidates[i].task->repo &&
            side->candidates[i].task->branch && !side->candidates[i].task->unreadable &&
            asks_for_head(side->candidates[i].stage))
            repos[n++] = side->candidates[i].task->repo;
    qsort(repos, n, sizeof *repos, compare_repo);
    for (size_t i = 0, run = 1; i < n; i += run, run = 1) {
        while (i + run < n && repo_compare(repos[i], repos[i + run]) == 0)
            run++;
        gitea_heads_wanted(side->facts, side->pass->services->gitea, repos[i], run);
    }
    free(repos);
}

/* Tasks that could not be read last time come last, so that a task that fails again does not delay the others
 * of its repository. */
static void ask_all(struct gate_side *side)
{
    for (int failing = 0; failing <= 1; failing++)
        for (size_t i = 0; i < side->stuck.n_tasks; i++)
            if (recheck_is_unknown(side->pass->services->recheck, side->stuck.tasks[i].id) == (failing == 1))
                evaluate(side, &side->candidates[i]);
}

static void on_answer(void *arg, void *candidate)
{
    struct gate_side *side = arg;
    if (pass_stopping(side->pass))
        return;
    evaluate(side, candidate);
    if (side->green >= LIMIT_BATCH)
        flush(side);
}

static void on_idle(void *arg)
{
    flush(arg);
}

static enum err heal(struct gate_side *side)
{
    const struct facts_loop loop = {
        .on_ready = on_answer, .on_idle = on_idle, .idle_ms = FLUSH_MS, .arg = side};
    ask_all(side);
    facts_run(side->facts, &loop);
    if (pass_stopping(side->pass)) {
        side->pass->report.state = PASS_INTERRUPTED;
        return ERR_OK;
    }
    flush(side);
    if (!side->err)
        hold_the_rest(side);
    return side->err;
}

/* take_candidates: returns their number. A stage that the database matches although the pipeline has no such
 * stage counts as unknown. */
static size_t take_candidates(struct gate_side *side)
{
    struct pass *pass = side->pass;
    size_t n = side->stuck.n_tasks;
    side->candidates = mem_zero(n, sizeof *side->candidates);
    for (size_t i = 0; i < side->stuck.n_tasks; i++) {
        struct candidate *candidate = &side->candidates[i];
        candidate->task = &side->stuck.tasks[i];
        candidate->stage = pipeline_stage(pass->services->pipeline, candidate->task->stage);
        struct gate_decision decision = decide(side, candidate, true);
        if (decision.action == GATE_NONE) {
            candidate->settled = true;
            pass->report.unknown_stage++;
            n--;
        } else if (decision.action == GATE_QUARANTINE) {
            quarantine(side, candidate);
        }
    }
    return n;
}

enum err gate_side_run(struct pass *pass, struct why *why)
{
    struct gate_side side = {.pass = pass, .why = why};
    enum err err = pass_retry(pass, choose, &side, why);
    if (err)
        goto out;
    pass->report.stuck = side.stuck.count;
    pass->report.oldest_age_s = side.stuck.oldest_age_s;
    pass->report.unknown_stage = side.stuck.unknown_stage;
    if (!pass->policy->enabled && !pass->request->dry_run)
        goto out;
    if (pass->request->task_id == 0)
        pass->report.resting = side.stuck.count - side.stuck.n_tasks;
    pass->report.candidates = pass->report.resting + take_candidates(&side);
    if (side.stuck.n_tasks == 0)
        goto out;
    side.facts = facts_new(pass->services->fetch, pass->deadline_ms);
    facts_asked_by(side.facts, &pass->asker);
    facts_gather(side.facts);
    announce_heads(&side);
    err = heal(&side);
    if (side.stuck.count == side.stuck.n_tasks && !pass->request->dry_run)
        pass->report.oldest_age_s = side.oldest_left_s;
    for (size_t i = 0; i < side.stuck.n_tasks; i++)
        verdict_done(&side.candidates[i].verdict);
out:
    facts_free(side.facts);
    free(side.candidates);
    store_task_list_done(&side.stuck);
    return err;
}
