/* plane_decide.h - decides what to do about an issue from its state and its task. Pure, thread-safe.
 *
 * In Progress and no task: it is to be started. Approved or Rejected, and the task at its human gate: the
 * verdict is to be replayed, if it is newer than the task's last transition and has not been replayed.
 * Everything else is in sync. Age alone causes no action: it only decides whether the issue waits for its
 * grace or is looked at. The grace starts at the change that set the state, if that is known, else when Plane
 * first showed the issue in that state. So an edit of the issue does not postpone it.
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
    bool asked; /* Plane was asked for the newest change of its state; issue->change is that, if there is one
                 */
    bool replayed;   /* that change has been replayed */
    bool unrecorded; /* Plane records no change made with an API key */
};

/* Of a Plane for which plane_records_api_changes is false. */
#define PLANE_UNRECORDED                                                                                   \
    "this Plane is older than v1.1.0 and records no change of state made with an API key; such a verdict " \
    "cannot be replayed, and is to be set on the web"

enum plane_step {
    STEP_SETTLED,    /* in sync, or the verdict was acted on before: nothing to do until the issue changes */
    STEP_IN_GRACE,   /* it has not rested for its grace */
    STEP_BUSY,       /* a job of its task is queued or running */
    STEP_UNREADABLE, /* its task cannot be read: see struct store_task */
    STEP_NEEDS_ACTIVITY, /* a verdict at the human gate: ask Plane when its state was set */
    STEP_NO_ACTIVITY,    /* Plane does not show yet which change set its state */
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
