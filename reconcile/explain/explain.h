/* explain.h - why a task is where it is and what happens to it next, for the API.
 *
 * Explaining runs the code of a pass (the same query makes a task stuck, gate_evaluate judges it, the same
 * policy holds it) and writes nothing. Questions to an upstream go through the query pool. When its time-out
 * ends one, the verdict is unknown and its reason states why. Thread-safe.
 */
#ifndef RECONCILED_EXPLAIN_H
#define RECONCILED_EXPLAIN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "clients/base/err.h"

struct explainer;
struct explanation;
struct query_pool;
struct services;
struct sweeper;

/* explainer_new: everything given must outlive it, and the query pool must have been stopped before
 * explainer_free. */
struct explainer *explainer_new(struct services *services, struct sweeper *sweeper,
                                struct query_pool *query_pool);
void explainer_free(struct explainer *explainer);

/* explain_list: {"items":[…],"next":…}: tasks that are not done, stuck ones first. ERR_INVALID: `after` is
 * not the `next` of an earlier page. Caller owns *ret. */
struct explain_list_query {
    const char *stage, *repo, *part; /* NULL: any; as in store_tasks_query */
    bool stuck_only, held_only, quarantined_only;
    const char *after; /* NULL: from the beginning */
    size_t limit;
};
ATTR_NODISCARD enum err explain_list(struct explainer *explainer, const struct explain_list_query *query,
                                     json_t **ret, struct why *why);

/* explain_read: what the database holds about one task: ERR_NOT_FOUND. Free with explanation_free. */
ATTR_NODISCARD enum err explain_read(struct explainer *explainer, int64_t task_id, struct explanation **ret,
                                     struct why *why);
void explanation_free(struct explanation *explanation);

/* explanation_is_whole: no upstream need be asked; explanation_document is complete. Caller owns the
 * document. */
bool explanation_is_whole(const struct explanation *explanation);
json_t *explanation_document(const struct explanation *explanation);

/* explain_ask: takes the explanation; `done` gets the document (const json_t *), or NULL when the process
 * stops. `done` and the errors are as in query_pool_ask. */
ATTR_NODISCARD enum err explain_ask(struct explainer *explainer, struct explanation *explanation_take,
                                    void (*done)(void *arg, const void *document), void *arg,
                                    struct why *why);

#endif
