/* explain_gate.h - the view by which F-1 decides about a task in the timer's next pass. Private to
 * reconcile/explain. */
#ifndef RECONCILED_EXPLAIN_GATE_H
#define RECONCILED_EXPLAIN_GATE_H

#include <stdint.h>

#include "clients/base/err.h"
#include "reconcile/gates/gate_decide.h"

struct policy;
struct services;
struct store_holds;
struct store_task_entry;

/* explain_gate_ahead: *ret: how many tasks the timer's next pass heals before this one if all their gates are
 * green, not counting quarantined ones; 0 when that pass does not list the task. Reads the database only if
 * the task is stuck. Thread-safe. */
ATTR_NODISCARD enum err explain_gate_ahead(struct services *services, const struct policy *policy,
                                           const struct store_holds *holds,
                                           const struct store_task_entry *entry, int64_t *ret,
                                           struct why *why);

/* Everything is borrowed. */
struct explain_gate {
    struct services *services;
    const struct policy *policy;
    const char *unreadable; /* why the stored settings cannot be understood, which counts as off; or NULL */
    const struct store_task_entry *entry;
    const struct stage *stage; /* NULL: the pipeline does not know it */
    const struct verdict *verdict;
    int64_t ahead;                /* of explain_gate_ahead */
    int64_t now_us, next_pass_us; /* by the database's clock */
};

/* explain_gate_view: the view for gate_decide; it borrows from the same owners as `gate`. */
struct gate_decide_view explain_gate_view(const struct explain_gate *gate);

#endif
