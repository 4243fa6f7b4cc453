/* explain_plane.h - what Plane says of a task that waits at a human gate, and what a pass would make of it.
 * Private to reconcile/explain*.c and tests.
 *
 * Plane is asked about the one issue: for its state, and where that is a verdict, for the change that set it;
 * the states of its project are kept for LIMIT_EXPLAIN_STATES_MS. plane_decide, as in a pass, says what that
 * calls for. Plane's budget is everybody's: nothing is asked while fewer than LIMIT_EXPLAIN_PLANE_LEFT calls
 * are left to passes.
 */
#ifndef RECONCILED_EXPLAIN_PLANE_H
#define RECONCILED_EXPLAIN_PLANE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "clients/plane/plane.h"
#include "reconcile/plane/plane_decide.h"

struct explain_plane;
struct services;
struct policy;
struct store_task_entry;

/* explain_plane_new: what is kept. `services` must outlive it. One thread at a time asks. */
struct explain_plane *explain_plane_new(const struct services *services);
/* explain_plane_free: NULL is fine. */
void explain_plane_free(struct explain_plane *plane);

/* explain_plane_obstacle: why Plane cannot be asked about a task at all, for a person; NULL: it can. */
const char *explain_plane_obstacle(const struct services *services, const struct store_task_entry *entry);

struct plane_said {
    char *error;      /* why nothing was learnt; NULL: the rest is valid */
    char *state_name; /* of the issue; NULL: it has none that is known */
    enum issue_meaning meaning;
    char *problem;      /* which of the three states the project lacks, for a person; NULL: none */
    int64_t updated_us; /* of the issue */
    bool told;          /* `change` was asked for */
    struct plane_change change;
    struct plane_decision decision;
};
void plane_said_done(struct plane_said *said);

struct plane_asking {
    const struct store_task_entry *entry;
    const struct policy *policy;
    int64_t now_us;      /* the database's clock */
    int64_t deadline_ms; /* clock_mono_ms() */
    const atomic_bool *stopping;
};
/* explain_plane_ask: of a task without an obstacle. Free with plane_said_done. */
void explain_plane_ask(struct explain_plane *plane, const struct plane_asking *asking,
                       struct plane_said *ret);

#endif
