#include "reconcile/explain_next.h"

#include <assert.h>

#include "clients/base/limits.h"
#include "clients/store.h"
#include "reconcile/pipeline.h"
#include "reconcile/policy.h"

static const char *const action_names[] = {
    [NEXT_NONE] = "none",
    [NEXT_WAIT] = "wait",
    [NEXT_ADVANCE] = "advance",
    [NEXT_HOLD] = "hold",
    [NEXT_QUARANTINE] = "quarantine",
};
static_assert(ARRAY_LEN(action_names) == NEXT_MAX_, "every action has a name");

const char *next_action_name(enum next_action action)
{
    return (unsigned)action < NEXT_MAX_ ? action_names[action] : "none";
}

bool task_is_quarantined(const struct store_task_entry *entry)
{
    return entry->task.recent_heals > LIMIT_HEALS_PER_WINDOW;
}

/* Of a task that nothing keeps back but its rest: when that is over, and the timer makes a pass. */
static int64_t earliest(const struct next_view *view)
{
    int64_t rested_us = view->entry->updated_us + policy_grace_s(view->policy, view->stage->name) * 1000000;
    return rested_us > view->next_pass_us ? rested_us : view->next_pass_us;
}

/* What keeps a green task back, as pass_hold_reason says it; NULL: nothing. */
static const char *hold_of(const struct next_view *view, int64_t *ret_until_us)
{
    const struct policy *policy = view->policy;
    const struct policy_hold *hold = !policy->enabled               ? &policy->enabled_hold
                                     : policy->mode == MODE_OBSERVE ? &policy->mode_hold
                                                                    : NULL;
    *ret_until_us = 0;
    if (view->unreadable)
        return view->unreadable;
    if (!hold)
        return NULL;
    *ret_until_us = hold->until_us;
    return hold->words;
}

static void decide_green(const struct next_view *view, struct next *ret)
{
    int64_t until_us;
    const char *hold = hold_of(view, &until_us);
    ret->to = view->stage->next;
    if (hold) {
        ret->action = NEXT_HOLD;
        ret->at_us = until_us;
        ret->words = mem_printf("its gate is green, but it is %s", hold);
        return;
    }
    ret->action = NEXT_ADVANCE;
    ret->at_us = earliest(view);
    int64_t grace_s = policy_grace_s(view->policy, view->stage->name);
    if (view->entry->stuck)
        ret->words =
            mem_printf("its gate is green: the next pass that looks at it moves it to %s", ret->to->name);
    else
        ret->words =
            mem_printf("its gate is green: unless its webhook does so before, a pass moves it to %s once it "
                       "has rested for %lld s",
                       ret->to->name, (long long)grace_s);
}

static void decide_gated(const struct next_view *view, struct next *ret)
{
    const struct verdict *verdict = view->verdict;
    if (task_is_quarantined(view->entry)) {
        ret->action = NEXT_QUARANTINE;
        ret->words = mem_printf("it left this stage %lld times in %d h: left to a person",
                                (long long)view->entry->task.recent_heals, LIMIT_HEALS_WINDOW_S / 3600);
    } else if (verdict->kind == VERDICT_GREEN) {
        decide_green(view, ret);
    } else if (verdict->kind == VERDICT_RED) {
        ret->words = mem_printf("waits for its gate: %s", verdict->reason);
    } else {
        ret->at_us = earliest(view);
        ret->words = mem_printf("what its gate says is unknown, and is asked again: %s", verdict->reason);
    }
}

void next_decide(const struct next_view *view, struct next *ret)
{
    const struct store_task_entry *entry = view->entry;
    *ret = (struct next){.action = NEXT_WAIT};
    if (!view->stage) {
        ret->action = NEXT_NONE;
        ret->words =
            mem_printf("the pipeline knows no stage %.100s: the task is left alone", entry->task.stage);
    } else if (view->stage->terminal) {
        ret->action = NEXT_NONE;
        ret->words = mem_dup("it is done");
    } else if (entry->job_id) {
        ret->words = mem_printf("the job of %.100s is %.20s: a task that is worked on is left alone",
                                entry->job_agent ? entry->job_agent : "its agent", entry->job_status);
    } else if (view->stage->human) {
        ret->words = mem_dup("waits for a person's verdict in Plane");
    } else if (view->stage->n_gates == 0) {
        ret->to = view->stage->next;
        ret->words =
            mem_dup("waits for its start: its stage has no gate, and is left as soon as its branch is there");
    } else {
        decide_gated(view, ret);
    }
}
