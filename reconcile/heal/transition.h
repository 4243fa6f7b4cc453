/* transition.h - THE way a task moves: everything that heals comes through transition_apply, whichever side
 * found it: in the database, or (ORCH_ADVANCE_VIA=webhook) by a replay to the orchestrator, see replay.h.
 *
 * It is the policy's gate keeper: nothing is written while a switch is off, a dry run writes nothing, and
 * what the database wrote is logged once, here. The compare-and-set itself is store_transition's.
 */
#ifndef RECONCILED_TRANSITION_H
#define RECONCILED_TRANSITION_H

#include "clients/base/err.h"
#include "reconcile/heal/pass_context.h"

/* transition_apply: up to LIMIT_BATCH transitions in one transaction. Each gets its outcome, even on error
 * (failed). Returns an error only when the database could not be asked, after which the pass had better end.
 */
ATTR_NODISCARD enum err transition_apply(struct pass *pass, struct transition *batch, size_t n,
                                         struct why *why);

#endif
