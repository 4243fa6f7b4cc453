/* query_pool.h - the threads that answer questions which need an upstream, outside of any pass.
 *
 * A query is looked at like a gate: its `look` is a function of facts in a fact set of its own, called again
 * whenever one came in, until it has an answer. One thread serves all such queries at once and waits in
 * none of their fact sets, so that an upstream that hangs delays only the callers that asked for it, and
 * those no longer than the upstream's time-out: then every fact is settled. An upstream that is asked one
 * call at a time has the other thread, which makes the calls of one query after another.
 *
 * Equal questions share one query: who asks for a key that is under way waits with the others. Each is
 * answered by a look that began after it asked.
 */
#ifndef RECONCILED_QUERY_POOL_H
#define RECONCILED_QUERY_POOL_H

#include <stdint.h>

#include "clients/base/err.h"

struct facts;
struct fetch;
struct query_pool;

/* One of look and ask, and free. Both may touch the database; what they return is valid until their next
 * call. */
struct query_ops {
    /* look: the answer; NULL while facts that it needs are pending (at least one must be). */
    const void *(*look)(void *subject, struct facts *facts);
    /* ask: the answer, by calls that end by deadline_ms (clock_mono_ms; it may have passed) and when `fetch`
     * is stopped. */
    const void *(*ask)(void *subject, int64_t deadline_ms);
    void (*free)(void *subject);
    /* 0: a person waits for the answer, for the pool's time-out at most. Else a background query, which may
     * take so long: its requests take turns with those of the passes and use no slot that is kept for
     * people. */
    int64_t background_ms;
};

/* query_pool_start: `timeout_ms` is what a query may take for which a person waits. `fetch` must outlive it.
 */
ATTR_NODISCARD enum err query_pool_start(struct fetch *fetch, int64_t timeout_ms, struct query_pool **ret,
                                         struct why *why);

/* query_pool_stop: after fetch_stop, which ends a query that is being asked. Every waiter gets NULL, later
 * queries are refused; joins the threads. query_pool_free: after it. NULL is fine. */
void query_pool_stop(struct query_pool *query_pool);
void query_pool_free(struct query_pool *query_pool);

/* query_pool_ask: from any thread. `done` is called exactly once, from another thread, with the answer, valid
 * until it returns, or NULL when the process stops; unless this returns ERR_UNAVAILABLE: stopping, or
 * LIMIT_QUERIES are under way. `key` NULL: not shared. Takes `subject`, whatever happens. */
typedef void query_done_fn(void *arg, const void *answer);
ATTR_NODISCARD enum err query_pool_ask(struct query_pool *query_pool, const char *key,
                                       const struct query_ops *kind, void *subject_take, query_done_fn *done,
                                       void *arg, struct why *why);

#endif
