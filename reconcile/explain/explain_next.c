#include "reconcile/explain/explain_next.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/store/store.h"
#include "reconcile/heal/quarantine.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/plane/plane_unstarted.h"
#include "reconcile/plane/task_issue.h"
#include "reconcile/settings/policy.h"

static const char *const action_names[] = {
    [NEXT_NONE] = "none",       [NEXT_WAIT] = "wait",
    [NEXT_ADVANCE] = "advance", [NEXT_START] = "start",
    [NEXT_APPROVE] = "approve", [NEXT_REJECT] = "reject",
    [NEXT_HOLD] = "hold",       [NEXT_QUARANTINE] = "quarantine",
};
static_assert(ARRAY_LEN(action_names) == NEXT_MAX_, "every action has a name");

const char *next_action_name(enum next_action action)
{
    return (unsigned)action < NEXT_MAX_ ? action_names[action] : "none";
}

/* Earliest time at which a pass of the timer acts on a task that is only waiting for its grace. */
static int64_t earliest(const struct next_view *view, int64_t touched_us, int64_t grace_s)
{
    int64_t rested_us = touched_us + grace_s * 1000000;
    return rested_us > view->next_pass_us ? rested_us : view->next_pass_us;
}

/* The reason why a side is held, from pass_hold_reason; NULL: it is not. */
static const char *hold_of(const struct next_view *view, enum pass_side side, int64_t *ret_until_us)
{
    const struct policy_hold *hold = policy_held_by(view->policy, side == SIDE_PLANE);
    *ret_until_us = hold && !view->unreadable ? hold->until_us : 0;
    return view->unreadable ? view->unreadable : hold ? hold->text : NULL;
}

/* What the transition itself would find: it asks for holds last. */
static void decide_held(const struct store_hold *hold, const char *seen, struct next *ret)
{
    ret->action = NEXT_HOLD;
    ret->at_us = hold->until_us;
    ret->reason = mem_printf("%s, but it is %s", seen, store_hold_words(hold).text);
}

/* Completes the decision of a side: NEXT_HOLD if the side or the task is held or the limit on heals is 0,
 * else the action of *ret. The reason begins with `seen`, and with `then` after it if nothing holds the task.
 * Takes both.
 */
static void decide_due(const struct next_view *view, enum pass_side side, char *seen_take, char *then_take,
                       struct next *ret)
{
    int64_t until_us;
    const char *hold = hold_of(view, side, &until_us);
    if (hold) {
        ret->action = NEXT_HOLD;
        ret->at_us = until_us;
        ret->reason = mem_printf("%s, but it is %s", seen_take, hold);
    } else if (view->policy->max_heals_per_pass == 0) {
        ret->action = NEXT_HOLD;
        ret->at_us = 0;
        ret->reason = mem_printf("%s, but max_heals_per_pass is 0", seen_take);
    } else if (view->hold) {
        decide_held(view->hold, seen_take, ret);
    } else {
        ret->reason = mem_printf("%s: %s", seen_take, then_take);
    }
    free(seen_take);
    free(then_take);
}

/* What a pass does about a task that is to go there. Caller frees. */
static char *step_to(const struct next_view *view, const struct stage *to)
{
    return view->sends
               ? mem_printf("sends its event to the orchestrator, which is to move it to %s", to->name)
               : mem_printf("moves it to %s", to->name);
}

/* Its event was sent, and it has not moved. On entry *ret holds the action, and its time as if nothing had
 * been sent. */
static void decide_sent(const struct next_view *view, enum pass_side side, struct next *ret)
{
    const struct store_replay_open *replay = view->replay;
    const char *plural = replay->tries == 1 ? "" : "s";
    char at[INSTANT_TEXT_SIZE];
    if (replay->given_up) {
        *ret = (struct next){.action = NEXT_WAIT,
                             .reason =
                                 mem_printf("its event was sent %" PRId64 " time%s in vain: left to a person",
                                            replay->tries, plural)};
        return;
    }
    bool last = replay->tries >= LIMIT_REPLAY_TRIES;
    if (last)
        *ret = (struct next){.action = NEXT_WAIT, .at_us = ret->at_us};
    if (replay->next_us > ret->at_us)
        ret->at_us = replay->next_us;
    instant_format(ret->at_us, at);
    decide_due(view, side,
               mem_printf("its event was sent %" PRId64 " time%s and it has not been seen to move",
                          replay->tries, plural),
               mem_printf("%s at %s", last ? "given up" : "sent again", at), ret);
}

/* at a gate that can be read */

static void decide_green(const struct next_view *view, const struct gate_decision *gate, struct next *ret)
{
    ret->action = NEXT_ADVANCE;
    ret->to = gate->to;
    ret->at_us = view->gate.due_us > view->next_pass_us ? view->gate.due_us : view->next_pass_us;
    if (view->replay && gate->cause != GATE_CAUSE_LIMIT) {
        decide_sent(view, SIDE_GATE, ret);
        return;
    }
    AUTO_FREE char *step = step_to(view, gate->to);
    ret->action = gate->action == GATE_HOLD ? NEXT_HOLD : NEXT_ADVANCE;
    ret->at_us = gate->at_us;
    if (gate->cause == GATE_CAUSE_SWITCH)
        ret->reason = mem_printf("its gate is green, but it is %s", gate->reason);
    else if (gate->cause == GATE_CAUSE_LIMIT)
        ret->reason =
            mem_printf("its gate is green, but %" PRId64 " task%s come%s before it and a pass heals at "
                       "most %" PRId64 " (max_heals_per_pass)",
                       view->ahead, view->ahead == 1 ? "" : "s", view->ahead == 1 ? "s" : "",
                       view->policy->max_heals_per_pass);
    else if (view->hold)
        decide_held(view->hold, "its gate is green", ret);
    else if (view->entry->stuck)
        ret->reason = mem_printf("its gate is green: the next pass that looks at it %s", step);
    else
        ret->reason =
            mem_printf("its gate is green: unless its webhook %s before, a pass %s%s once it has rested for "
                       "%" PRId64 " s",
                       view->sends ? "moves it" : "does so", step, view->sends ? "," : "",
                       policy_grace_s(view->policy, view->gate.stage->name));
}

static void decide_gated(const struct next_view *view, const struct gate_decision *gate, struct next *ret)
{
    switch (gate->cause) {
    case GATE_CAUSE_HEALED_OFTEN:
        ret->action = NEXT_QUARANTINE;
        ret->reason = quarantine_reason(view->policy, &view->entry->task);
        return;
    case GATE_CAUSE_NOT_LISTED:
        ret->reason = mem_dup("its updated_at is in a form that a pass cannot compare, so no pass finds it");
        return;
    case GATE_CAUSE_RED:
        ret->at_us = gate->at_us;
        ret->reason = mem_printf("waits for its gate: %s", gate->reason);
        return;
    case GATE_CAUSE_NO_VERDICT:
    case GATE_CAUSE_UNKNOWN:
        ret->at_us = gate->at_us;
        ret->reason = mem_printf("the verdict of its gate is unknown and is evaluated again: %s",
                                 gate->reason ? gate->reason : "it was not evaluated");
        return;
    case GATE_CAUSE_SWITCH:
    case GATE_CAUSE_LIMIT:
    case GATE_CAUSE_GREEN:
    case GATE_CAUSE_STAGE_UNKNOWN:
    case GATE_CAUSE_NOT_GATED:
    case GATE_CAUSE_JOB:
        break;
    }
    decide_green(view, gate, ret);
}

/* at a human gate */

static void decide_replay(const struct next_view *view, const char *since, struct next *ret)
{
    const struct task_issue *issue = view->issue;
    bool approves = issue->decision.step == STEP_APPROVE;
    ret->action = approves ? NEXT_APPROVE : NEXT_REJECT;
    ret->to = issue->decision.to;
    ret->at_us = earliest(view, issue->since_us, 0);
    if (view->replay) {
        decide_sent(view, SIDE_PLANE, ret);
        return;
    }
    AUTO_FREE char *step = step_to(view, ret->to);
    decide_due(view, SIDE_PLANE, mem_printf("its issue is %s since %s", issue->state_name, since),
               mem_printf("the next pass that looks at it %s", step), ret);
}

static bool is_verdict(const struct task_issue *issue)
{
    return issue->meaning == ISSUE_APPROVED || issue->meaning == ISSUE_REJECTED;
}

/* What the same decision makes of the issue in a pass. */
static void decide_issue(const struct next_view *view, struct next *ret)
{
    const struct task_issue *issue = view->issue;
    const char *state = issue->state_name ? issue->state_name : "in a state that is not known";
    char since[INSTANT_TEXT_SIZE] = "";
    if (issue->asked && issue->change.found)
        instant_format(issue->change.at_us, since);
    switch (issue->decision.step) {
    case STEP_APPROVE:
    case STEP_REJECT:
        decide_replay(view, since, ret);
        return;
    case STEP_IN_GRACE:
        ret->at_us = earliest(view, issue->since_us, view->policy->grace_default_s);
        ret->reason = mem_printf("its issue is %s: looked at once it has rested for %lld s", state,
                                 (long long)view->policy->grace_default_s);
        return;
    case STEP_NO_ACTIVITY:
        ret->at_us = earliest(view, issue->since_us, 0);
        ret->reason =
            mem_printf("its issue is %s, but Plane does not show yet which change made it so", state);
        return;
    case STEP_UNRECORDED:
        ret->reason = mem_printf("its issue is %s, but %s", state, PLANE_UNRECORDED);
        return;
    case STEP_SETTLED:
    case STEP_BUSY:
    case STEP_UNREADABLE: /* an obstacle, before Plane is asked */
    case STEP_NEEDS_ACTIVITY:
    case STEP_START:
    case STEP_MAX_:
        break;
    }
    if (is_verdict(issue) && issue->asked)
        ret->reason = mem_printf(
            "its issue is %s since %s, which was handled: waits for a verdict that is newer", state, since);
    else if (is_verdict(issue))
        ret->reason = mem_printf("its issue is %s, which leads nowhere from this stage", state);
    else
        ret->reason = mem_printf("waits for a person's verdict in Plane: its issue is %s%s%s", state,
                                 issue->problem ? "; " : "", issue->problem ? issue->problem : "");
}

static void decide_human(const struct next_view *view, struct next *ret)
{
    if (view->obstacle)
        ret->reason = mem_printf("waits for a person's verdict in Plane; %s", view->obstacle);
    else if (view->issue->error)
        ret->reason =
            mem_printf("waits for a person's verdict in Plane, which cannot be read: %s", view->issue->error);
    else
        decide_issue(view, ret);
}

/* at no gate */

/* The task exists, and this process repeats the failed step without waiting for a grace again. */
static void decide_begun(const struct next_view *view, struct next *ret)
{
    const char *reason = view->start->error;
    char at[INSTANT_TEXT_SIZE];
    ret->at_us = view->start_us > view->next_pass_us ? view->start_us : view->next_pass_us;
    instant_format(ret->at_us, at);
    decide_due(view, SIDE_PLANE,
               *reason ? mem_printf("its start failed %u time%s (%s)", view->start->failures,
                                    view->start->failures == 1 ? "" : "s", reason)
                       : mem_dup("its start was not finished"),
               mem_printf("a pass makes its branch and moves it to %s, at %s or when one is forced",
                          ret->to->name, at),
               ret);
}

static void decide_ungated(const struct next_view *view, struct next *ret)
{
    int64_t grace_s = view->policy->grace_default_s;
    if (view->gate.stage != &view->pipeline->stages[0]) {
        ret->reason = mem_dup("its stage has no gate: it is left by the orchestrator alone");
    } else if (view->obstacle) {
        ret->reason = mem_printf("waits for its start; %s", view->obstacle);
    } else if (view->start) {
        ret->action = NEXT_START;
        ret->to = view->gate.stage->next;
        decide_begun(view, ret);
    } else {
        ret->action = NEXT_START;
        ret->to = view->gate.stage->next;
        ret->at_us = earliest(view, view->entry->updated_us, grace_s);
        decide_due(view, SIDE_PLANE, mem_dup("its start was not finished"),
                   mem_printf("a pass makes its branch and moves it to %s once it has rested for %lld s",
                              ret->to->name, (long long)grace_s),
                   ret);
    }
}

static void decide_job(const struct store_task_entry *entry, struct next *ret)
{
    ret->reason = mem_printf("the job of %.100s is %.20s: a task with a job is left alone",
                             entry->job_agent ? entry->job_agent : "its agent", entry->job_status);
}

/* Where F-1 does nothing. */
static void decide_not_gated(const struct next_view *view, struct next *ret)
{
    if (view->gate.stage->terminal) {
        ret->action = NEXT_NONE;
        ret->reason = mem_dup("it is done");
    } else if (view->entry->job_id) {
        decide_job(view->entry, ret);
    } else if (view->gate.stage->human) {
        decide_human(view, ret);
    } else {
        decide_ungated(view, ret);
    }
}

void next_decide(const struct next_view *view, struct next *ret)
{
    const struct gate_decision gate = gate_decide(&view->gate);
    *ret = (struct next){.action = NEXT_WAIT};
    if (gate.cause == GATE_CAUSE_STAGE_UNKNOWN) {
        ret->action = NEXT_NONE;
        ret->reason =
            mem_printf("the pipeline knows no stage %.100s: the task is left alone", view->entry->task.stage);
    } else if (gate.cause == GATE_CAUSE_NOT_GATED) {
        decide_not_gated(view, ret);
    } else if (gate.cause == GATE_CAUSE_JOB) {
        decide_job(view->entry, ret);
    } else if (view->entry->task.age_s < -LIMIT_CLOCK_SLACK_S) {
        ret->at_us = view->gate.due_us;
        ret->reason = mem_printf("its updated_at is %" PRId64 " s in the future of the database's clock: no "
                                 "pass looks at it until it has rested from then on",
                                 -view->entry->task.age_s);
    } else {
        decide_gated(view, &gate, ret);
    }
}
