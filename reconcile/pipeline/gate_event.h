/* gate_event.h - the event that a gate's turning green sends, and the event that was lost when a task is
 * found stuck. Pure, thread-safe.
 *
 * The ledger, the check of webhooks and the choice of replays all use this one table.
 */
#ifndef RECONCILED_GATE_EVENT_H
#define RECONCILED_GATE_EVENT_H

#include "clients/orchestrator.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/pipeline/side.h"

struct gate_event {
    const char *name;               /* its X-Gitea-Event; NULL: no sender has an event for such a gate */
    const char *listed;             /* its name in a webhook's list of events */
    const char *listed_by_older;    /* the same in an older version of Gitea, or NULL */
    enum orchestrator_event replay; /* what a replay sends; EVENT_ADVANCE: not the sender's event, our own */
};
/* gate_event_of: the row of that kind of gate. Never NULL. */
const struct gate_event *gate_event_of(enum gate_kind kind);

struct lost_event {
    const char *source; /* "plane", "gitea"; NULL: no sender has an event for it */
    char event[64];     /* its name at the sender; "" without a source */
};

/* lost_event_of: the event that was lost when `side` found a task stuck at `stage`. What a person did in
 * Plane is "issue.updated". This program cannot know which of several gates turned green last, so the result
 * names the events of all gates once each, in the order of the gates, joined by "+". It still counts as one
 * loss. */
void lost_event_of(enum pass_side side, const struct stage *stage, struct lost_event *ret);

#endif
