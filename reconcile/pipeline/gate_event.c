#include "reconcile/pipeline/gate_event.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "clients/base/err.h"

/* Gitea, modules/webhook/type.go; the names in a webhook's list of events: routers/api/v1/utils/hook.go. */
static const struct gate_event events[] = {
    [GATE_HUMAN] = {.replay = EVENT_ADVANCE},
    [GATE_CI] = {.name = "status", .listed = "status", .replay = EVENT_STATUS},
    [GATE_FILES] = {.name = "push", .listed = "push", .replay = EVENT_ADVANCE},
    [GATE_REVIEW] = {.name = "pull_request_approved",
                     .listed = "pull_request_review",
                     .listed_by_older = "pull_request_review_approved",
                     .replay = EVENT_APPROVED},
    [GATE_MERGED] = {.name = "pull_request", .listed = "pull_request", .replay = EVENT_CLOSED},
    [GATE_HTTP] = {.replay = EVENT_ADVANCE},
};
static_assert(ARRAY_LEN(events) == GATE_KIND_MAX_, "every gate kind has its event, or none");
static_assert(sizeof "status+push+pull_request_approved+pull_request" <= sizeof(struct lost_event){0}.event,
              "all of them fit");

const struct gate_event *gate_event_of(enum gate_kind kind)
{
    return &events[kind];
}

void lost_event_of(enum pass_side side, const struct stage *stage, struct lost_event *ret)
{
    *ret = (struct lost_event){.source = NULL};
    if (side == SIDE_PLANE) {
        *ret = (struct lost_event){.source = "plane", .event = "issue.updated"};
        return;
    }
    bool named[GATE_KIND_MAX_] = {false};
    for (size_t i = 0; stage && i < stage->n_gates; i++) {
        enum gate_kind kind = stage->gates[i].kind;
        const char *name = gate_event_of(kind)->name;
        if (!name || named[kind])
            continue;
        named[kind] = true;
        size_t used = strlen(ret->event);
        snprintf(ret->event + used, sizeof ret->event - used, "%s%s", used ? "+" : "", name);
        ret->source = "gitea";
    }
}
