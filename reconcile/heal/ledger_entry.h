/* draft.h - what is written of a transition, by whichever way it takes place. Private to transition.c and
 * replay.c. */
#ifndef RECONCILED_DRAFT_H
#define RECONCILED_DRAFT_H

#include "clients/store/store.h"
#include "reconcile/pipeline/gate_event.h"
#include "reconcile/heal/pass_context.h"

struct transition;

/* A ledger row, and what it points to. */
struct draft {
    struct store_transition row; /* without a message */
    char *evidence;
    char *message; /* what people would be told */
    struct missed missed;
};
void draft_make(const struct pass *pass, const struct transition *transition, struct draft *ret);
void draft_done(struct draft *draft);

/* draft_written: the row is in the database: logs and counts it, once, here. The task had rested for so long.
 */
void draft_written(struct pass *pass, const struct store_transition *row, int64_t rested_s);

#endif
