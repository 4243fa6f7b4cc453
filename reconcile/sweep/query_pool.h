/* query_pool.h - the threads that ask upstreams outside of passes, for the API and for background checks.
 *
 * A query works like a gate: its `look` is a function of facts in its own fact set and is called again after
 * each new fact, until it returns an answer. One thread serves all such queries at once and never waits in a
 * single fact set. So an upstream that hangs delays only the queries that need it, and only until the
 * upstream's time-out, which settles every fact. A second thread serves the upstream that is asked one call
 * at a time: it makes the calls of one query after the other.
 *
 * Equal questions share one query: a caller that asks for a key that is under way waits with the others. Each
 * caller is answered by a look that began after it asked.
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
    /* 0: a person waits for the answer, at most for the pool's time-out. Otherwise the query runs in the
     * background and may take this long: its requests take turns with those of the passes and use no slot
     * that is kept for people. */
    int64_t background_ms;
};

/* query_pool_start: `timeout_ms` limits a query for which a person waits. `fetch` must outlive it. */
ATTR_NODISCARD enum err query_pool_start(struct fetch *fetch, int64_t timeout_ms, struct query_pool **ret,
                                         struct why *why);

/* query_pool_stop: after fetch_stop, which ends a query that is being asked. Every waiter gets NULL, later
 * queries are refused; joins the threads. query_pool_free: after it. NULL is fine. */
void query_pool_stop(struct query_pool *query_pool);
void query_pool_free(struct query_pool *query_pool);

/* query_pool_ask: from any thread. On ERR_OK, `done` is called exactly once, from another thread, with the
 * answer (valid until `done` returns) or with NULL when the process stops. ERR_UNAVAILABLE: the pool is
 * stopping, or LIMIT_QUERIES are under way; `done` is not called. `key` NULL: the query is not shared. Takes
 * ownership of `subject` in every case. */
typedef void query_done_fn(void *arg, const void *answer);
ATTR_NODISCARD enum err query_pool_ask(struct query_pool *query_pool, const char *key,
                                       const struct query_ops *kind, void *subject_take, query_done_fn *done,
                                       void *arg, struct why *why);

#endif
