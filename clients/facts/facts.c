#include "clients/facts/facts.h"

#include <assert.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/facts/fact_source.h"
#include "clients/http/fetch.h"

/* the fact set */

/* A waiter. In `ready` at most once, however many of its facts came in. */
struct waiter {
    STAILQ_ENTRY(waiter) link; /* in `ready` */
    void *who;
    bool is_ready;
};

struct fact_waiter {
    STAILQ_ENTRY(fact_waiter) link;
    struct waiter *waiter;
};

struct fact_after {
    STAILQ_ENTRY(fact_after) link;
    fact_then_fn *fn;
    void *arg;
};

struct exchange {
    facts_answered_fn *answered;
    void *arg;
};

struct facts {
    struct fetch *fetch;
    struct fetch_inbox *inbox;
    int64_t deadline_ms;
    struct facts_asker asker;
    bool unasked; /* what is settled now is settled by an answer that was never asked for */
    struct arena arena;
    SLIST_HEAD(all_rows, facts_rows) rows; /* of all lists */
    size_t exchanges;

    void *requests, *waiters; /* trees of struct fact_request and struct waiter; see tsearch(3) */
    struct waiter *current;
    STAILQ_HEAD(ready_waiters, waiter) ready;
};

struct facts *facts_new(struct fetch *fetch, int64_t deadline_ms)
{
    struct facts *facts = mem_zero(1, sizeof *facts);
    facts->fetch = fetch;
    facts->inbox = fetch_inbox_new(fetch);
    facts->deadline_ms = deadline_ms;
    SLIST_INIT(&facts->rows);
    STAILQ_INIT(&facts->ready);
    return facts;
}

static void arena_owns(void *item)
{
    (void)item;
}

void facts_free(struct facts *facts)
{
    if (!facts)
        return;
    fetch_inbox_free(facts->inbox);
    tdestroy(facts->requests, arena_owns);
    tdestroy(facts->waiters, arena_owns);
    struct facts_rows *rows;
    SLIST_FOREACH(rows, &facts->rows, link)
    facts_drop(facts, rows);
    arena_done(&facts->arena);
    free(facts);
}

void facts_asked_by(struct facts *facts, const struct facts_asker *asker)
{
    facts->asker = *asker;
}

void facts_gather(struct facts *facts)
{
    fetch_gather(facts->inbox);
}

void facts_on_ready(struct facts *facts, facts_ready_fn *on_ready, void *arg)
{
    fetch_inbox_on_ready(facts->inbox, on_ready, arg);
}

size_t facts_exchanges(const struct facts *facts)
{
    return facts->exchanges;
}

struct arena *facts_arena(struct facts *facts)
{
    return &facts->arena;
}

/* what is kept of lists */

bool facts_keep(struct facts *facts, struct facts_rows *rows)
{
    if (!rows->known) {
        rows->known = true;
        SLIST_INSERT_HEAD(&facts->rows, rows, link);
    }
    size_t more = rows->arena.bytes - rows->counted, kept = fetch_keep(facts->fetch, more);
    rows->counted = rows->arena.bytes;
    if (rows->counted <= LIMIT_KEPT_SHORT)
        return kept <= LIMIT_KEPT_BYTES;
    size_t others = kept - rows->counted; /* never less: what is counted was kept */
    return others < LIMIT_KEPT_LONG_BYTES &&
           rows->counted <= (LIMIT_KEPT_LONG_BYTES - others) / LIMIT_KEPT_SHARE;
}

void facts_drop(struct facts *facts, struct facts_rows *rows)
{
    fetch_unkeep(facts->fetch, rows->counted);
    rows->counted = 0;
    arena_done(&rows->arena);
}

/* waiters */

static int waiter_compare(const void *a, const void *b)
{
    const struct waiter *one = a, *other = b;
    return ((uintptr_t)one->who > (uintptr_t)other->who) - ((uintptr_t)one->who < (uintptr_t)other->who);
}

void facts_subscribe(struct facts *facts, void *who)
{
    assert(who);
    const struct waiter wanted = {.who = who};
    void *found = tfind(&wanted, &facts->waiters, waiter_compare);
    if (found) {
        facts->current = *(struct waiter **)found;
        return;
    }
    facts->current = arena_zero(&facts->arena, 1, sizeof *facts->current);
    facts->current->who = who;
    if (!tsearch(facts->current, &facts->waiters, waiter_compare))
        abort(); /* out of memory, see err.h */
}

void fact_await(struct facts *facts, struct fact_request *request)
{
    if (request->fact->state != FACT_PENDING || !facts->current)
        return;
    if (request->last_waiter == facts->current)
        return;
    struct fact_waiter *entry = arena_zero(&facts->arena, 1, sizeof *entry);
    entry->waiter = facts->current;
    STAILQ_INSERT_TAIL(&request->waiters, entry, link);
    request->last_waiter = facts->current;
}

static void waiter_ready(struct facts *facts, struct waiter *waiter)
{
    if (waiter->is_ready)
        return;
    waiter->is_ready = true;
    STAILQ_INSERT_TAIL(&facts->ready, waiter, link);
}

static struct waiter *waiter_take(struct facts *facts)
{
    struct waiter *waiter = STAILQ_FIRST(&facts->ready);
    if (waiter) {
        STAILQ_REMOVE_HEAD(&facts->ready, link);
        waiter->is_ready = false;
    }
    return waiter;
}

/* requests */

static int request_compare(const void *a, const void *b)
{
    const struct fact_request *one = a, *other = b;
    return strcmp(one->key, other->key);
}

struct fact_request *fact_request_get(struct facts *facts, const char *key, size_t size, bool *ret_new)
{
    assert(size >= sizeof(struct fact_request));
    const struct fact_request wanted = {.key = key};
    void *found = tfind(&wanted, &facts->requests, request_compare);
    *ret_new = !found;
    if (found)
        return *(struct fact_request **)found;
    struct fact_request *request = arena_zero(&facts->arena, 1, size);
    request->key = arena_text(&facts->arena, key);
    STAILQ_INIT(&request->waiters);
    STAILQ_INIT(&request->afters);
    if (!tsearch(request, &facts->requests, request_compare))
        abort(); /* out of memory, see err.h */
    return request;
}

void fact_then(struct facts *facts, struct fact_request *request, fact_then_fn *fn, void *arg)
{
    if (request->fact->state != FACT_PENDING) {
        fn(facts, arg);
        return;
    }
    struct fact_after *after = arena_zero(&facts->arena, 1, sizeof *after);
    after->fn = fn;
    after->arg = arg;
    STAILQ_INSERT_TAIL(&request->afters, after, link);
}

void fact_settle(struct facts *facts, struct fact_request *request, enum fact_state state, const char *error)
{
    assert(request->fact->state == FACT_PENDING && state != FACT_PENDING);
    request->fact->state = state;
    request->fact->error = state == FACT_KNOWN ? NULL : error;
    request->fact->unasked = facts->unasked && state == FACT_FAILED;
    struct fact_waiter *waiter;
    STAILQ_FOREACH(waiter, &request->waiters, link)
    waiter_ready(facts, waiter->waiter);
    struct fact_after *after;
    STAILQ_FOREACH(after, &request->afters, link)
    after->fn(facts, after->arg);
}

/* exchanges */

void facts_get(struct facts *facts, const struct fetch_request *request, facts_answered_fn *answered,
               void *arg)
{
    struct exchange *exchange = arena_zero(&facts->arena, 1, sizeof *exchange);
    exchange->answered = answered;
    exchange->arg = arg;
    facts->exchanges++;
    struct fetch_request sent = *request;
    sent.deadline_ms = facts->deadline_ms;
    sent.pass = facts->asker.pass;
    sent.forced = facts->asker.forced;
    sent.waited_for = facts->asker.waited_for;
    sent.tag = exchange;
    fetch_send(facts->inbox, &sent);
}

enum facts_step facts_wait(struct facts *facts, int64_t wait_ms, void **ret_waiter)
{
    int64_t until_ms = clock_mono_ms() + wait_ms;
    for (;;) {
        struct waiter *waiter = waiter_take(facts);
        if (waiter) {
            *ret_waiter = waiter->who;
            facts->current = waiter;
            return FACTS_READY;
        }
        if (fetch_pending(facts->inbox) == 0)
            return FACTS_ALL_ANSWERED;
        int64_t left_ms = until_ms - clock_mono_ms();
        struct fetch_answer *answer = fetch_take(facts->inbox, wait_ms < 0 ? -1 : left_ms > 0 ? left_ms : 0);
        if (!answer)
            return FACTS_NOTHING_YET;
        struct exchange *exchange = answer->tag;
        facts->unasked = answer->result == FETCH_NOT_ASKED;
        exchange->answered(facts, exchange->arg, answer);
        facts->unasked = false;
        fetch_answer_free(answer);
    }
}
