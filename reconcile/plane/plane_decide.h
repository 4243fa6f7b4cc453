/* plane_decide.h - what an issue's state and its task, seen together, call for. Pure, thread-safe.
 *
 * In Progress and no task: it is to be started. Approved or Rejected, and the task at its human gate: the
 * verdict is to be replayed, if it is newer than the task's last transition and has not been replayed.
 * Everything else is in sync. Age never acts by itself: an issue that has not rested for its grace waits, one
 * that has is looked at. Grace counts from the change that set the state where that is known, else from the
 * first time at which the issue was seen in it, so that edits postpone nothing.
 */
#ifndef RECONCILED_PLANE_DECIDE_H
#define RECONCILED_PLANE_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

struct open_issue;
struct pipeline;
struct stage;
struct store_issue_task;

struct plane_view {
    const struct open_issue *issue;
    const struct store_issue_task *task; /* NULL: there is none */
    const struct pipeline *pipeline;
    int64_t now_us, grace_s; /* the database's clock */
    int64_t skew_us;         /* plane_skew_us() */
    bool asked;              /* issue->change is the newest change of its state, and may be not found */
    bool replayed;           /* that change has been replayed */
    bool unrecorded;         /* Plane records no change made with an API key */
};

/* Of a Plane for which plane_records_api_changes is false. */
#define PLANE_UNRECORDED                                                                                   \
    "this Plane is older than v1.1.0 and records no change of state made with an API key; such a verdict " \
    "cannot be replayed, and is to be set on the web"

enum plane_step {
    STEP_SETTLED, /* in sync, or the verdict was acted on before: nothing will be due while the issue stays as
                     it is */
    STEP_IN_GRACE,       /* it has not rested for its grace */
    STEP_BUSY,           /* a job of its task is queued or running */
    STEP_UNREADABLE,     /* its task is: see struct store_task */
    STEP_NEEDS_ACTIVITY, /* a verdict at the human gate: to be asked when its state was set */
    STEP_NO_ACTIVITY,    /* Plane does not show yet which change made it so */
    STEP_UNRECORDED,     /* Plane may never show it: see PLANE_UNRECORDED */
    STEP_START,
    STEP_APPROVE,
    STEP_REJECT,
    STEP_MAX_
};

struct plane_decision {
    enum plane_step step;
    const struct stage *to; /* of START, APPROVE, REJECT and ASK: where it would lead */
};
struct plane_decision plane_decide(const struct plane_view *view);

#endif
