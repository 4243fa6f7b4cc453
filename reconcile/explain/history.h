/* history.h - the ledger of transitions for the API: which task moved, when, on what evidence, and which
 * event was lost. */
#ifndef RECONCILED_HISTORY_H
#define RECONCILED_HISTORY_H

#include <jansson.h>
#include <stdint.h>

#include "clients/base/err.h"

struct store;

/* history_list: {"items":[…],"next":seq as text or null}: newest first, rows with a seq below before_seq (0:
 * from the newest), of one task or of all (0). At most `limit` items, and fewer once they have
 * LIMIT_LIST_BYTES; `next` is set when more follow. Caller owns *ret. */
ATTR_NODISCARD enum err history_list(struct store *store, int64_t task_id, int64_t before_seq, size_t limit,
                                     json_t **ret, struct why *why);

/* history_changes: GET /reconcile/config/history: what people changed, newest first, as
 * {"items":[{"seq","at", "kind","name","from","to","by","reason","until"}],"next"}. Caller owns *ret. */
ATTR_NODISCARD enum err history_changes(struct store *store, int64_t before_seq, size_t limit, json_t **ret,
                                        struct why *why);

#endif
