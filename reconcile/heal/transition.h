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

struct evidence;
struct plane_call;
struct plane_change;
struct stage;
struct store_task;

/* The issue behind a transition, and how Plane is asked about it. */
struct transition_issue {
    struct plane_call *call;
    const char *project_id, *id, *state;
    const struct plane_change *change; /* what made its state what it is; NULL: not asked */
};

struct transition {
    const struct store_task *task; /* id 0: yet to be made, of its plane_id; a replay alone can mean that */
    const struct stage *to;
    enum pass_side side;
    enum outcome success; /* the outcome's word if it moves: advanced, approved, rejected */
    const char *reason;
    const struct evidence *evidence;
    const char *verdict_id;               /* the state-change activity that this replays; NULL: none */
    const struct transition_issue *issue; /* of the Plane side, for a replay; else NULL */
    /* Filled in: */
    enum outcome outcome;
    const char *outcome_reason; /* in place of `reason` where the outcome needs another; NULL, or valid as
                                   long as the pass and this transition */
    bool counts;                /* against max_heals_per_pass: written or sent, or a dry run would have */
    struct why refusal;         /* what the database said when it refused the write */
};

/* transition_apply: up to LIMIT_BATCH transitions in one transaction. Each gets its outcome, even on error
 * (failed). Returns an error only when the database could not be asked, after which the pass had better end.
 */
ATTR_NODISCARD enum err transition_apply(struct pass *pass, struct transition *batch, size_t n,
                                         struct why *why);

#endif
