#include "reconcile/gates/gate_decide.h"

#include "clients/base/limits.h"
#include "clients/store/store.h"
#include "reconcile/gates/gate.h"
#include "reconcile/pipeline/pipeline.h"

static struct gate_decision of_green(const struct gate_decide_view *view)
{
    struct gate_decision decision = {.action = GATE_ADVANCE,
                                     .cause = GATE_CAUSE_GREEN,
                                     .to = view->stage->next,
                                     .at_us = view->due_us,
                                     .reason = view->verdict->reason};
    if (view->hold) {
        decision.action = GATE_HOLD;
        decision.cause = GATE_CAUSE_SWITCH;
        decision.at_us = view->hold_until_us;
        decision.reason = view->hold;
    } else if (!view->has_room) {
        decision.action = GATE_HOLD;
        decision.cause = GATE_CAUSE_LIMIT;
        decision.at_us = view->room_us;
        decision.reason = "the limit on heals in one pass is reached";
    }
    return decision;
}

static struct gate_decision of_verdict(const struct gate_decide_view *view)
{
    enum verdict_kind kind = view->verdict ? view->verdict->kind : VERDICT_PENDING;
    switch (kind) {
    case VERDICT_GREEN:
        return of_green(view);
    case VERDICT_RED:
        return (struct gate_decision){.action = GATE_WAIT,
                                      .cause = GATE_CAUSE_RED,
                                      .at_us = view->due_us,
                                      .reason = view->verdict->reason};
    case VERDICT_UNKNOWN:
        return (struct gate_decision){.action = GATE_WAIT,
                                      .cause = GATE_CAUSE_UNKNOWN,
                                      .at_us = view->due_us,
                                      .reason = view->verdict->reason};
    case VERDICT_PENDING:
    case VERDICT_MAX_:
        break;
    }
    return (struct gate_decision){.action = GATE_EVALUATE, .cause = GATE_CAUSE_NO_VERDICT};
}

bool gate_quarantines(const struct store_task *task, int64_t quarantine_heals)
{
    return task->recent_heals > quarantine_heals;
}

struct gate_decision gate_decide(const struct gate_decide_view *view)
{
    if (!view->stage)
        return (struct gate_decision){.action = GATE_NONE, .cause = GATE_CAUSE_STAGE_UNKNOWN};
    if (!stage_is_gated(view->stage))
        return (struct gate_decision){.action = GATE_NONE, .cause = GATE_CAUSE_NOT_GATED};
    if (view->has_job)
        return (struct gate_decision){.action = GATE_WAIT, .cause = GATE_CAUSE_JOB};
    if (gate_quarantines(view->task, view->quarantine_heals))
        return (struct gate_decision){.action = GATE_QUARANTINE, .cause = GATE_CAUSE_HEALED_OFTEN};
    if (!view->listed)
        return (struct gate_decision){.action = GATE_WAIT, .cause = GATE_CAUSE_NOT_LISTED};
    return of_verdict(view);
}
