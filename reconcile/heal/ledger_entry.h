/* ledger_entry.h - what is written of a transition, by whichever way it takes place. Private to transition.c
 * and replay.c. */
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
    char *message; /* for people; NULL without a Telegram to send it */
    struct lost_event lost;
};
void ledger_entry_make(const struct pass *pass, const struct transition *transition,
                       struct ledger_entry *ret);
void ledger_entry_done(struct ledger_entry *entry);

/* ledger_entry_written: the row is in the database: logs and counts it, once, here. The task had rested for
 * so long.
 */
void ledger_entry_written(struct pass *pass, const struct store_transition *row, int64_t rested_s);

#endif
