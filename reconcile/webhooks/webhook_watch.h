/* webhook_watch.h - the thread that looks at the senders' webhooks now and then (webhook_audit.h), in
 * nobody's way: no pass waits for it, and it asks Gitea in turns with the passes.
 *
 * The status shows what it found; the log names what changed since the look before.
 */
#ifndef RECONCILED_WEBHOOK_WATCH_H
#define RECONCILED_WEBHOOK_WATCH_H

#include "clients/base/err.h"
#include "reconcile/heal/services.h"

struct webhook_watch;
struct status;

/* webhook_watch_start: looks at once, and every LIMIT_WEBHOOKS_EVERY_S from then on; sooner again when the
 * database could not be asked. `services` and `status` must outlive it; `target`: see webhook_check, copied.
 */
ATTR_NODISCARD enum err webhook_watch_start(struct services *services, struct status *status,
                                            const char *target, struct webhook_watch **ret, struct why *why);

/* webhook_watch_stop: once services->stopping is set: a look under way ends within a moment; joins the
 * thread, and frees it. NULL is fine. */
void webhook_watch_stop(struct webhook_watch *watch);

#endif
