/* webhook_check.h - whether the orchestrator gets the events that it needs, judged by the webhooks of its
 * senders and by what had to be healed. Pure.
 *
 * The events that are needed follow from the pipeline's gates (pipeline/gate_event.h).
 */
#ifndef RECONCILED_WEBHOOK_CHECK_H
#define RECONCILED_WEBHOOK_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"
#include "clients/gitea/gitea.h"

struct pipeline;
struct store_ledger_page;

enum webhook_state {
    WEBHOOK_OK,
    WEBHOOK_MISSING,        /* the repo, its owner and the Gitea instance have none */
    WEBHOOK_ELSEWHERE,      /* there is one, but none that goes to the orchestrator */
    WEBHOOK_INACTIVE,       /* it is switched off */
    WEBHOOK_EVENTS_MISSING, /* it does not send an event that a gate needs */
    WEBHOOK_FILTERED,       /* its branch filter drops the pushes of a task's branch */
    WEBHOOK_UNKNOWN,        /* webhooks that might send the events cannot be read */
    WEBHOOK_STATE_MAX_
};
const char *webhook_state_name(enum webhook_state state);

struct webhook_verdict {
    enum webhook_state state;
    char *detail; /* for a person; shows only scheme, host and port of a webhook's URL. NULL: WEBHOOK_OK */
    char *mark;   /* stays the same until a webhook is changed, so that a message is not repeated */
};
void webhook_verdict_done(struct webhook_verdict *verdict);

/* What is known of a repo. Nothing in it may be pending. */
struct webhook_facts {
    const struct gitea_hooks *levels[GITEA_HOOKS_MAX_]; /* NULL: not asked, and counts as empty */
    const char *target;          /* the URL where the orchestrator takes Gitea's events; NULL: not known, any
                                    webhook may go to it */
    bool sends_status;           /* Gitea has the event "status" */
    const char *release_unknown; /* why it is not known whether it has; NULL: it is */
    const char *const *branches; /* of the repo's tasks */
    size_t n_branches;
};
void webhook_check(const struct webhook_facts *facts, const struct pipeline *pipeline,
                   struct webhook_verdict *ret);

/* webhook_needs_ci: a gate of the pipeline needs Gitea's event "status". */
bool webhook_needs_ci(const struct pipeline *pipeline);
/* webhook_has_filter: one of these webhooks has a branch filter. */
bool webhook_has_filter(const struct gitea_hooks *hooks);

/* The lost events of a source ("plane", "gitea") in the last hour, from the newest rows of the ledger. */
struct webhook_losses {
    size_t tasks; /* tasks that were moved within LIMIT_SILENCE_S before now because an event was lost */
    bool silent;  /* at least LIMIT_SILENCE_LOSSES, with at least LIMIT_SILENCE_SPREAD_S between the first and
                     the last: one outage loses many events at once, a silent source loses them again and again
                   */
};
struct webhook_losses webhook_losses(const struct store_ledger_page *newest, const char *source,
                                     int64_t now_us);

#endif
