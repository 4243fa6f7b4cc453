#include "reconcile/plane/plane_decide.h"

#include <string.h>

#include "clients/store/store.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/plane/plane_scan.h"

/* The stage that a verdict leads to from the task's stage; NULL: none. */
static const struct stage *destination(const struct plane_view *view)
{
    const struct stage *stage = pipeline_stage(view->pipeline, view->task->task.stage);
    if (!stage || !stage->human)
        return NULL;
    return view->issue->meaning == ISSUE_APPROVED ? stage->next : stage->on_rejected;
}

/* The change that set the state, as Plane shows it; NULL: it is not known. */
static const struct plane_change *change_of(const struct plane_view *view)
{
    const struct open_issue *issue = view->issue;
    return (view->asked || issue->activity_known) && issue->change.found &&
                   strcmp(issue->change.new_state, issue->issue.state) == 0
               ? &issue->change
               : NULL;
}

static bool has_rested(const struct plane_view *view)
{
    const struct plane_change *change = view->task ? change_of(view) : NULL;
    int64_t since_us = (change ? change->at_us : view->issue->since_us) - view->skew_us;
    return view->grace_s == 0 || view->now_us - since_us >= view->grace_s * 1000000;
}

/* at_us may be in whole seconds: if the task was updated in that second, created_us decides. */
static bool is_newer(const struct plane_view *view, const struct plane_change *change)
{
    int64_t touched_us = view->task->updated_us + view->skew_us;
    bool same_second = change->at_us <= touched_us && touched_us < change->at_us + 1000000;
    return (same_second ? change->created_us : change->at_us) > touched_us;
}

/* How long after a change the issue's updated_at may still move because of it: Plane's queue writes it once
 * more.
 */
#define AFTERWARDS_US ((int64_t)60 * 1000000)

/* Whether the issue was updated after that change and after the task's last transition: then the verdict may
 * be a later one that Plane did not record. */
static bool is_touched_since(const struct plane_view *view, int64_t change_us)
{
    int64_t updated_us = view->issue->issue.updated_us;
    return updated_us > view->task->updated_us + view->skew_us && updated_us - change_us > AFTERWARDS_US;
}

/* A verdict that is not newer than the task's last transition was acted on then, by any process. */
static enum plane_step step_of_verdict(const struct plane_view *view)
{
    const struct open_issue *issue = view->issue;
    const struct plane_change *change = change_of(view);
    if (!view->asked && !issue->activity_known)
        return STEP_NEEDS_ACTIVITY;
    if (!change && !view->unrecorded)
        return STEP_NO_ACTIVITY;
    if (!change || !is_newer(view, change) || view->replayed)
        return view->unrecorded && is_touched_since(view, change ? change->at_us : 0) ? STEP_UNRECORDED
                                                                                      : STEP_SETTLED;
    return issue->meaning == ISSUE_APPROVED ? STEP_APPROVE : STEP_REJECT;
}

struct plane_decision plane_decide(const struct plane_view *view)
{
    const struct stage *to = NULL;
    enum issue_meaning meaning = view->issue->meaning;
    if (meaning == ISSUE_OTHER || (meaning == ISSUE_IN_PROGRESS) == (view->task != NULL))
        return (struct plane_decision){STEP_SETTLED, NULL};
    to = view->task ? destination(view) : view->pipeline->stages[0].next;
    if (!to)
        return (struct plane_decision){STEP_SETTLED, NULL};
    if (!has_rested(view))
        return (struct plane_decision){STEP_IN_GRACE, NULL};
    if (!view->task)
        return (struct plane_decision){STEP_START, to};
    if (view->task->active)
        return (struct plane_decision){STEP_BUSY, NULL};
    if (view->task->task.unreadable)
        return (struct plane_decision){STEP_UNREADABLE, NULL};
    return (struct plane_decision){step_of_verdict(view), to};
}
