/* hook_look.h - one look at whether the orchestrator is told what it has to be told: the webhooks of every
 * configured repo, and how often lost events had to be healed of late.
 *
 * What is bad is shown, and told once: a message is named after what is wrong and who touched the webhooks
 * last, so that every replica and every later look names it alike. Nothing is told, as nothing else is
 * written, while the kill switch is off, the mode is observe, or nobody wants messages.
 */
#ifndef RECONCILED_HOOK_LOOK_H
#define RECONCILED_HOOK_LOOK_H

#include <jansson.h>

#include "reconcile/sweep/pass.h"

/* hook_look: in the caller's thread, which may take LIMIT_HOOKS_LOOK_MS; ends within a moment once
 * world->stopping is set. `target`: see hook_judge. *ret is the status's member "hooks"; caller owns it. An
 * error is the database's, which is asked first: Gitea is not asked then. */
ATTR_NODISCARD enum err hook_look(struct pass_world *world, const char *target, json_t **ret,
                                  struct why *why);

#endif
