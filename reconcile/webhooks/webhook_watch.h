/* hook_watch.h - the thread that looks at the senders' webhooks now and then (hook_look.h), in nobody's way:
 * no pass waits for it, and it asks Gitea in turns with the passes.
 *
 * The status shows what it found; the log names what changed since the look before.
 */
#ifndef RECONCILED_HOOK_WATCH_H
#define RECONCILED_HOOK_WATCH_H

#include "clients/base/err.h"
#include "reconcile/sweep/pass.h"

struct hook_watch;
struct status;

/* hook_watch_start: looks at once, and every LIMIT_HOOKS_EVERY_S from then on; sooner again when the database
 * could not be asked. `world` and `status` must outlive it; `target`: see hook_judge, copied. */
ATTR_NODISCARD enum err hook_watch_start(struct pass_world *world, struct status *status, const char *target,
                                         struct hook_watch **ret, struct why *why);

/* hook_watch_stop: once world->stopping is set: a look under way ends within a moment; joins the thread, and
 * frees it. NULL is fine. */
void hook_watch_stop(struct hook_watch *watch);

#endif
