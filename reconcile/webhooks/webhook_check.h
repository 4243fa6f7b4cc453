/* webhook_check.h - do the senders deliver what the orchestrator needs? By what they have set up, and by
 * what had to be healed. Pure.
 *
 * The events that are needed follow from the pipeline's gates (pipeline/gate_event.h).
 */
#ifndef RECONCILED_WEBHOOK_CHECK_H
#define RECONCILED_WEBHOOK_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"

struct gitea_hooks;
struct pipeline;
struct store_ledger_page;

enum webhook_state {
    WEBHOOK_OK,
    WEBHOOK_MISSING,        /* the repo has none */
    WEBHOOK_ELSEWHERE,      /* it has, but none that goes to the orchestrator */
    WEBHOOK_INACTIVE,       /* it is switched off */
    WEBHOOK_EVENTS_MISSING, /* it does not send an event that a gate needs */
    WEBHOOK_UNKNOWN,        /* the webhooks cannot be read */
    WEBHOOK_STATE_MAX_
};
const char *webhook_state_name(enum webhook_state state);

struct webhook_verdict {
    enum webhook_state state;
    char *detail; /* for a person; holds the host of a URL at most. NULL: WEBHOOK_OK */
    char *mark;   /* the same as long as the webhooks do not change: what was logged is not logged again */
};
void webhook_verdict_done(struct webhook_verdict *verdict);

/* webhook_check: of a repo's webhooks, which must not be pending. `target`: the URL where the orchestrator
 * takes Gitea's events; NULL: not known, any webhook may go to it. */
void webhook_check(const struct gitea_hooks *hooks, const struct pipeline *pipeline, const char *target,
                   struct webhook_verdict *ret);

/* What became of the events of a source ("plane", "gitea"), by the newest rows of the ledger. */
struct webhook_losses {
    size_t tasks; /* had to be moved within LIMIT_SILENCE_S before now because an event was lost */
    bool
        silent; /* LIMIT_SILENCE_LOSSES at least, and LIMIT_SILENCE_SPREAD_S between the first and the last of
                   them: one outage loses many at once; a source that is silent loses them again and again */
};
struct webhook_losses webhook_losses(const struct store_ledger_page *newest, const char *source,
                                     int64_t now_us);

#endif
