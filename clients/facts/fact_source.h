/* fact_source.h - how a kind of request is put into a fact set: gitea*.c and http_gate.c are written against
 * this.
 *
 * A request is a struct of its own type that begins with struct fact_request and holds the fact that callers
 * see. fact_request_get makes it pending; it may take several exchanges and other requests, and is settled
 * once.
 */
#ifndef RECONCILED_FACT_SOURCE_H
#define RECONCILED_FACT_SOURCE_H

#include <sys/queue.h>

#include "clients/base/arena.h"
#include "clients/facts/facts.h"
#include "clients/http/fetch.h"

struct fact_request;
typedef void fact_then_fn(struct facts *facts, void *arg);

struct fact_request {
    const char *key;
    struct fact *fact;
    STAILQ_HEAD(fact_waiters, fact_waiter) waiters; /* in the order they asked */
    const struct waiter *last_waiter;
    STAILQ_HEAD(fact_afters, fact_after) afters;
};

/* fact_request_get: the request of that key, made of `size` zeroed bytes when *ret_new. If *ret_new, the
 * caller must first set `fact` to the request's fact, which is pending. */
struct fact_request *fact_request_get(struct facts *facts, const char *key, size_t size, bool *ret_new);

/* fact_await: the current waiter (facts_subscribe) waits for it, if it is pending. */
void fact_await(struct facts *facts, struct fact_request *request);

/* fact_then: runs fn(facts, arg) when the request is settled; at once if it is settled already. */
void fact_then(struct facts *facts, struct fact_request *request, fact_then_fn *fn, void *arg);

/* fact_settle: settles the fact as `state`, once. `error` (in the fact set's arena, or static) is needed for
 * every state except FACT_KNOWN. */
void fact_settle(struct facts *facts, struct fact_request *request, enum fact_state state, const char *error);

/* facts_get: sends a request with the deadline and the asker of the fact set, in place of those in `request`.
 * `answered` is called once, with an answer that is valid until it returns. A POST is sent at most once; if
 * it gets no answer, it may have been carried out. */
typedef void facts_answered_fn(struct facts *facts, void *arg, const struct fetch_answer *answer);
void facts_get(struct facts *facts, const struct fetch_request *request, facts_answered_fn *answered,
               void *arg);

struct arena *facts_arena(struct facts *facts);

/* Rows of a list that is still growing; zeroed at first. They live as long as the fact set, or until
 * facts_drop. facts_keep: counts the growth of `rows`. False: the list takes more than its share of what all
 * fact sets may keep, and must be dropped. A short list is refused only when nothing is left at all, so that
 * long lists do not crowd out short ones. */
struct facts_rows {
    struct arena arena;
    size_t counted;
    bool known; /* to its fact set */
    SLIST_ENTRY(facts_rows) link;
};
ATTR_NODISCARD bool facts_keep(struct facts *facts, struct facts_rows *rows);
void facts_drop(struct facts *facts, struct facts_rows *rows);

#endif
