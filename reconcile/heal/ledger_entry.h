/* ledger_entry.h - the ledger row of a transition, whether the database or a replay moved the task. Private
 * to transition.c and replay.c. */
#ifndef RECONCILED_LEDGER_ENTRY_H
#define RECONCILED_LEDGER_ENTRY_H

#include "clients/store/store.h"
#include "reconcile/pipeline/gate_event.h"
#include "reconcile/heal/pass_context.h"

struct transition;

/* A ledger row, and what it points to. */
struct ledger_entry {
    struct store_transition row; /* without a message */
    char *evidence;
    char *message; /* for people; NULL where no destination is set up */
    struct lost_event lost;
};
void ledger_entry_make(const struct pass *pass, const struct transition *transition,
                       struct ledger_entry *ret);
void ledger_entry_done(struct ledger_entry *entry);

/* ledger_entry_written: logs and counts a row that is now in the database; no other place does. `rested_s` is
 * how long the task had rested. */
void ledger_entry_written(struct pass *pass, const struct store_transition *row, int64_t rested_s);

#endif
