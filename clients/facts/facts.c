#include "clients/facts/facts.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/facts/fact_source.h"
#include "clients/http/fetch.h"

/* the fact set */

/* A waiter. In `ready` at most once, however many of its facts came in. */
struct waiter {
    struct waiter *next_same_hash, *next_ready;
    void *who;
    bool is_ready;
};

struct fact_waiter {
    struct fact_waiter *next;
    struct waiter *waiter;
};

struct fact_after {
    struct fact_after *next;
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
    atomic_bool aborted;
    struct arena arena;
    struct facts_rows *rows; /* of all lists */
    size_t exchanges;

    struct fact_request **requests; /* hash tables; n_* buckets, a power of two */
    size_t n_requests, n_request_buckets;
    struct waiter **waiters;
    size_t n_waiters, n_waiter_buckets;

    struct waiter *current;
    struct waiter *ready, **ready_end;
};

#define FIRST_BUCKETS 256u

struct facts *facts_new(struct fetch *fetch, int64_t deadline_ms)
{
    struct facts *facts = mem_zero(1, sizeof *facts);
    facts->fetch = fetch;
    facts->inbox = fetch_inbox_new(fetch);
    facts->deadline_ms = deadline_ms;
    facts->n_request_buckets = facts->n_waiter_buckets = FIRST_BUCKETS;
    facts->requests = mem_zero(FIRST_BUCKETS, sizeof(struct fact_request *));
    facts->waiters = mem_zero(FIRST_BUCKETS, sizeof(struct waiter *));
    facts->ready_end = &facts->ready;
    return facts;
}

void facts_free(struct facts *facts)
{
    if (!facts)
        return;
    fetch_inbox_free(facts->inbox);
    free(facts->requests);
    free(facts->waiters);
    for (struct facts_rows *rows = facts->rows; rows; rows = rows->next)
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

void facts_abort(struct facts *facts)
{
    atomic_store(&facts->aborted, true);
    fetch_inbox_abort(facts->inbox);
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
        rows->next = facts->rows;
        facts->rows = rows;
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

static uint64_t hash_pointer(const void *pointer)
{
    uint64_t x = (uint64_t)(uintptr_t)pointer * 0x9e3779b97f4a7c15u;
    return x ^ x >> 32;
}

static void waiters_grow(struct facts *facts)
{
    size_t n = 2 * facts->n_waiter_buckets;
    struct waiter **larger = mem_zero(n, sizeof(struct waiter *));
    for (size_t i = 0; i < facts->n_waiter_buckets; i++) {
        struct waiter *next;
        for (struct waiter *waiter = facts->waiters[i]; waiter; waiter = next) {
            next = waiter->next_same_hash;
            struct waiter **bucket = &larger[hash_pointer(waiter->who) & (n - 1)];
            waiter->next_same_hash = *bucket;
            *bucket = waiter;
        }
    }
    free(facts->waiters);
    facts->waiters = larger;
    facts->n_waiter_buckets = n;
}

void facts_subscribe(struct facts *facts, void *who)
{
    assert(who);
    struct waiter **bucket = &facts->waiters[hash_pointer(who) & (facts->n_waiter_buckets - 1)];
    struct waiter *waiter = *bucket;
    while (waiter && waiter->who != who)
        waiter = waiter->next_same_hash;
    if (!waiter) {
        waiter = arena_zero(&facts->arena, 1, sizeof *waiter);
        waiter->who = who;
        waiter->next_same_hash = *bucket;
        *bucket = waiter;
        if (++facts->n_waiters > facts->n_waiter_buckets)
            waiters_grow(facts);
    }
    facts->current = waiter;
}

void fact_await(struct facts *facts, struct fact_request *request)
{
    if (request->fact->state != FACT_PENDING || !facts->current)
        return;
    if (request->last_waiter == facts->current)
        return;
    struct fact_waiter *entry = arena_zero(&facts->arena, 1, sizeof *entry);
    entry->waiter = facts->current;
    *request->waiters_end = entry;
    request->waiters_end = &entry->next;
    request->last_waiter = facts->current;
}

static void waiter_ready(struct facts *facts, struct waiter *waiter)
{
    if (waiter->is_ready)
        return;
    waiter->is_ready = true;
    waiter->next_ready = NULL;
    *facts->ready_end = waiter;
    facts->ready_end = &waiter->next_ready;
}

static struct waiter *waiter_take(struct facts *facts)
{
    struct waiter *waiter = facts->ready;
    if (waiter) {
        facts->ready = waiter->next_ready;
        if (!facts->ready)
            facts->ready_end = &facts->ready;
        waiter->is_ready = false;
    }
    return waiter;
}

/* requests */

static uint64_t hash_text(const char *text) /* FNV-1a */
{
    uint64_t hash = 14695981039346656037u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash;
}

static void requests_grow(struct facts *facts)
{
    size_t n = 2 * facts->n_request_buckets;
    struct fact_request **larger = mem_zero(n, sizeof(struct fact_request *));
    for (size_t i = 0; i < facts->n_request_buckets; i++) {
        struct fact_request *next;
        for (struct fact_request *request = facts->requests[i]; request; request = next) {
            next = request->next_same_hash;
            struct fact_request **bucket = &larger[request->hash & (n - 1)];
            request->next_same_hash = *bucket;
            *bucket = request;
        }
    }
    free(facts->requests);
    facts->requests = larger;
    facts->n_request_buckets = n;
}

struct fact_request *fact_request_get(struct facts *facts, const char *key, size_t size, bool *ret_new)
{
    assert(size >= sizeof(struct fact_request));
    uint64_t hash = hash_text(key);
    struct fact_request **bucket = &facts->requests[hash & (facts->n_request_buckets - 1)];
    for (struct fact_request *request = *bucket; request; request = request->next_same_hash)
        if (request->hash == hash && strcmp(request->key, key) == 0) {
            *ret_new = false;
            return request;
        }
    struct fact_request *request = arena_zero(&facts->arena, 1, size);
    request->hash = hash;
    request->key = arena_text(&facts->arena, key);
    request->waiters_end = &request->waiters;
    request->afters_end = &request->afters;
    request->next_same_hash = *bucket;
    *bucket = request;
    if (++facts->n_requests > facts->n_request_buckets)
        requests_grow(facts);
    *ret_new = true;
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
    *request->afters_end = after;
    request->afters_end = &after->next;
}

void fact_settle(struct facts *facts, struct fact_request *request, enum fact_state state, const char *error)
{
    assert(request->fact->state == FACT_PENDING && state != FACT_PENDING);
    request->fact->state = state;
    request->fact->error = state == FACT_KNOWN ? NULL : error;
    request->fact->unasked = facts->unasked && state == FACT_FAILED;
    for (struct fact_waiter *entry = request->waiters; entry; entry = entry->next)
        waiter_ready(facts, entry->waiter);
    request->waiters = NULL;
    struct fact_after *after = request->afters;
    request->afters = NULL;
    for (; after; after = after->next)
        after->fn(facts, after->arg);
}

/* exchanges */

void facts_get(struct facts *facts, const struct fetch_request *request, facts_answered_fn *answered,
               void *arg)
{
    if (atomic_load(&facts->aborted)) {
        const struct fetch_answer stopped = {.result = FETCH_ABORTED, .error = "stopped"};
        answered(facts, arg, &stopped);
        return;
    }
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
    if (atomic_load(&facts->aborted)) /* between the look above and the sending */
        fetch_inbox_abort(facts->inbox);
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
