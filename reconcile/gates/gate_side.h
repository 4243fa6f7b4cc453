/* gate_side.h - F-1: the stuck tasks, the verdicts of their gates, and the transitions that follow. */
#ifndef RECONCILED_GATE_SIDE_H
#define RECONCILED_GATE_SIDE_H

#include "clients/base/err.h"
#include "reconcile/heal/pass_context.h"

struct policy;
struct services;
struct store_task_list;

/* gate_side_list: the stuck tasks that a pass looks at, in the fair order in which it heals them. The pass
 * and explain both list by it. Free *ret with store_task_list_done. Errors are the database's. Thread-safe.
 */
struct gate_side_query {
    bool by_timer;     /* leave out tasks whose recheck is not due yet */
    bool ignore_grace; /* include tasks that have not rested for their grace */
    int64_t only_task; /* a task id, or 0 for all */
    size_t limit;
};
ATTR_NODISCARD enum err gate_side_list(struct services *services, const struct policy *policy,
                                       const struct gate_side_query *query, struct store_task_list *ret,
                                       struct why *why);

/* gate_side_run: one look at all stuck tasks. The first statement chooses them and their gates are read
 * together. A green task moves as soon as it is certain that the limit on heals has room for it in the fair
 * order. Errors are the database's alone. */
ATTR_NODISCARD enum err gate_side_run(struct pass *pass, struct why *why);

#endif
