#include "reconcile/pipeline/gate_event.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "clients/base/err.h"
#include "reconcile/pipeline/pipeline.h"

/* X-Gitea-Event of what is sent when the gate turns green (Gitea, modules/webhook/type.go). */
static const char *const gitea_events[] = {
    [GATE_HUMAN] = NULL,
    [GATE_CI] = "status",
    [GATE_FILES] = "push",
    [GATE_REVIEW] = "pull_request_approved",
    [GATE_MERGED] = "pull_request",
    [GATE_HTTP] = NULL,
};
static_assert(ARRAY_LEN(gitea_events) == GATE_KIND_MAX_, "every gate kind has its event, or none");
static_assert(sizeof "status+push+pull_request_approved+pull_request" <= sizeof(struct lost_event){0}.event,
              "all of them fit");

void missed_event(enum pass_side side, const struct stage *stage, struct lost_event *ret)
{
    *ret = (struct lost_event){.source = NULL};
    if (side == SIDE_PLANE) {
        *ret = (struct lost_event){.source = "plane", .event = "issue.updated"};
        return;
    }
    bool named[GATE_KIND_MAX_] = {false};
    for (size_t i = 0; stage && i < stage->n_gates; i++) {
        enum gate_kind kind = stage->gates[i].kind;
        if (!gitea_events[kind] || named[kind])
            continue;
        named[kind] = true;
        size_t used = strlen(ret->event);
        snprintf(ret->event + used, sizeof ret->event - used, "%s%s", used ? "+" : "", gitea_events[kind]);
        ret->source = "gitea";
    }
}
