/* gate_event.h - whose event was lost, when a task is found to have stood still. Pure, thread-safe.
 *
 * What the orchestrator was never told of follows from what turned green: CI is Gitea's "status", a review
 * its "pull_request_approved", a merge its "pull_request" (closed, merged), files on the branch its "push";
 * what a person did in Plane is Plane's "issue.updated". The gate kind "http" is the orchestrator's own:
 * nobody sends an event for it.
 *
 * Of a stage with several gates it cannot be known from outside which turned green last: all events that may
 * have been the lost one are named, once each, in the order of the gates, joined by "+". It is still one
 * loss.
 */
#ifndef RECONCILED_GATE_EVENT_H
#define RECONCILED_GATE_EVENT_H

#include "reconcile/pipeline/side.h"

struct stage;

struct lost_event {
    const char *source; /* "plane", "gitea"; NULL: nobody sends one */
    char event[64];     /* as its sender calls it; "" when nobody does */
};

/* missed_event: of a task that `side` found at `stage`, the stage it was in. */
void missed_event(enum pass_side side, const struct stage *stage, struct lost_event *ret);

#endif
