/* webhook_audit.h - one look at whether the orchestrator is told what it has to be told: the webhooks of
 * every configured repo, and how often lost events had to be healed of late.
 *
 * What is bad is shown, and told once: a message is named after what is wrong and who touched the webhooks
 * last, so that every replica and every later look names it alike. Nothing is told, as nothing else is
 * written, while the kill switch is off, the mode is observe, or nobody wants messages.
 */
#ifndef RECONCILED_WEBHOOK_AUDIT_H
#define RECONCILED_WEBHOOK_AUDIT_H

#include <jansson.h>

#include "clients/base/err.h"
#include "reconcile/heal/services.h"

/* webhook_audit: in the caller's thread, which may take LIMIT_WEBHOOKS_AUDIT_MS; ends within a moment once
 * services->stopping is set. `target`: see webhook_check. *ret is the status's member "hooks"; caller owns
 * it. An error is the database's, which is asked first: Gitea is not asked then. */
ATTR_NODISCARD enum err webhook_audit(struct services *services, const char *target, json_t **ret,
                                      struct why *why);

#endif
