/* gate_side.h - F-1: the stuck tasks, the verdicts of their gates, and the transitions that follow. */
#ifndef RECONCILED_GATE_SIDE_H
#define RECONCILED_GATE_SIDE_H

#include "clients/base/err.h"
#include "reconcile/heal/pass_context.h"

/* gate_side_run: one look at all stuck tasks. The first statement chooses them; their gates are read
 * together; what is green moves as soon as its turn in the fair order is certain. Errors are the database's
 * alone. */
ATTR_NODISCARD enum err gate_side_run(struct pass *pass, struct why *why);

#endif
