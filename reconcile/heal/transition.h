/* transition.h - the only way a task moves. Both sides heal through transition_apply, which writes to the
 * database or (ORCH_ADVANCE_VIA=webhook) sends a replay to the orchestrator; see replay.h.
 *
 * It enforces the policy: nothing is written while a switch is off or in a dry run. It is also the only place
 * that logs what the database wrote. The compare-and-set itself is store_transition's.
 */
#ifndef RECONCILED_TRANSITION_H
#define RECONCILED_TRANSITION_H

#include "clients/base/err.h"
#include "reconcile/heal/pass_context.h"

/* transition_apply: up to LIMIT_BATCH transitions in one transaction. Each gets its outcome, even on error
 * (failed). Returns an error only when the database could not be asked; the pass should then end. */
ATTR_NODISCARD enum err transition_apply(struct pass *pass, struct transition *batch, size_t n,
                                         struct why *why);

#endif
