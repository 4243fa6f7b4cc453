#include "reconcile/sweep/query_pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/facts/facts.h"
#include "clients/http/fetch.h"

struct waiter {
    query_done_fn *done;
    void *arg;
};

/* The two threads: one calls `look` when facts arrive, the other calls `ask`, which waits. */
enum worker_kind { LOOKS, ASKS, WORKERS };

struct worker {
    struct query_pool *query_pool;
    pthread_t thread;
    STAILQ_HEAD(turns, query) turns; /* have something to look at, or to ask; under the query pool's lock */
};

struct query {
    struct query_pool *query_pool;
    struct worker *worker;
    char *key; /* NULL: not shared */
    const struct query_ops *kind;
    void *subject;
    int64_t deadline_ms;
    struct facts *facts; /* used only by the worker; NULL before the first look, and without a `look` */

    /* Under the query pool's lock. */
    LIST_ENTRY(query) link;
    STAILQ_ENTRY(query) turn;
    bool has_turn; /* is in its worker's turns */
    struct waiter *waiters;
    size_t n_waiters, waiters_size;
};

struct query_pool {
    struct fetch *fetch;
    int64_t timeout_ms;
    struct worker workers[WORKERS];
    unsigned n_started;

    pthread_mutex_t lock; /* guards all that follows */
    pthread_cond_t wake;
    LIST_HEAD(queries, query) queries; /* under way */
    size_t n;
    bool stop;
};

/* under the lock */

static void turn_give(struct query *query)
{
    if (query->has_turn)
        return;
    query->has_turn = true;
    STAILQ_INSERT_TAIL(&query->worker->turns, query, turn);
    pthread_cond_broadcast(&query->query_pool->wake);
}

static struct query *turn_take(struct worker *worker)
{
    struct query *query = STAILQ_FIRST(&worker->turns);
    STAILQ_REMOVE_HEAD(&worker->turns, turn);
    query->has_turn = false;
    return query;
}

static void waiter_add(struct query *query, query_done_fn *done, void *arg)
{
    if (query->n_waiters == query->waiters_size) {
        query->waiters_size = query->waiters_size ? 2 * query->waiters_size : 4;
        query->waiters = mem_grow(query->waiters, query->waiters_size, sizeof *query->waiters);
    }
    query->waiters[query->n_waiters++] = (struct waiter){done, arg};
}

static struct query *query_of(struct query_pool *query_pool, const char *key)
{
    struct query *query;
    LIST_FOREACH(query, &query_pool->queries, link)
    if (key && query->key && strcmp(query->key, key) == 0)
        return query;
    return NULL;
}

/* one query */

/* Called in the fetcher's thread. The query still exists: its fact set is freed first, and then makes no more
 * calls. */
static void on_answer(void *arg)
{
    struct query *query = arg;
    pthread_mutex_lock(&query->query_pool->lock);
    turn_give(query);
    pthread_mutex_unlock(&query->query_pool->lock);
}

/* Removes it from the lists, so that no more callers join it. Call it under the lock. */
static void query_close(struct query *query)
{
    struct query_pool *query_pool = query->query_pool;
    LIST_REMOVE(query, link);
    query_pool->n--;
}

static void query_free(struct query *query)
{
    facts_free(query->facts); /* from here on nothing rings */
    pthread_mutex_lock(&query->query_pool->lock);
    if (query->has_turn)
        STAILQ_REMOVE(&query->worker->turns, query, query, turn);
    pthread_mutex_unlock(&query->query_pool->lock);
    query->kind->free(query->subject);
    free(query->waiters);
    free(query->key);
    free(query);
}

/* Answers the first `n` waiters. True: others have joined since and need a new look. An answer made from
 * requests that the stop aborted is not passed on. */
static bool part_deliver(struct query *query, size_t n, const void *answer)
{
    struct query_pool *query_pool = query->query_pool;
    bool stopped = query_pool->fetch && fetch_is_stopped(query_pool->fetch);
    pthread_mutex_lock(&query_pool->lock);
    struct waiter *waiters = query->waiters;
    size_t left = query->n_waiters - n;
    query->waiters = NULL;
    query->n_waiters = query->waiters_size = 0;
    for (size_t i = 0; i < left; i++)
        waiter_add(query, waiters[n + i].done, waiters[n + i].arg);
    if (left == 0)
        query_close(query);
    pthread_mutex_unlock(&query_pool->lock);
    for (size_t i = 0; i < n; i++)
        waiters[i].done(waiters[i].arg, stopped ? NULL : answer);
    free(waiters);
    return left > 0;
}

static size_t count_waiters(struct query *query)
{
    pthread_mutex_lock(&query->query_pool->lock);
    size_t n = query->n_waiters;
    pthread_mutex_unlock(&query->query_pool->lock);
    return n;
}

/* Asks until all waiters are answered; after the fetcher was stopped, each `ask` returns at once. */
static bool ask_and_tell(struct query *query)
{
    size_t n;
    do
        n = count_waiters(query);
    while (part_deliver(query, n, query->kind->ask(query->subject, query->deadline_ms)));
    return true;
}

/* Looks until all waiters are answered (true) or until an answer needs facts that are under way (false). */
static bool look_and_tell(struct query *query)
{
    void *self;
    if (!query->facts) {
        query->facts = facts_new(query->query_pool->fetch, query->deadline_ms);
        if (query->kind->background_ms)
            facts_gather(query->facts);
        else
            facts_asked_by(query->facts, &(const struct facts_asker){.waited_for = true});
        facts_on_ready(query->facts, on_answer, query);
    } else if (facts_wait(query->facts, 0, &self) == FACTS_NOTHING_YET) {
        return false; /* a part of an answer, or one that was read before the wake-up */
    }
    for (;;) {
        size_t n = count_waiters(query);
        facts_subscribe(query->facts, query);
        const void *answer = query->kind->look(query->subject, query->facts);
        if (answer && !part_deliver(query, n, answer))
            return true;
        if (answer)
            continue;
        enum facts_step step = facts_wait(query->facts, 0, &self);
        assert(step != FACTS_ALL_ANSWERED); /* look's promise */
        if (step == FACTS_NOTHING_YET)
            return false;
    }
}

/* the threads */

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct query_pool *query_pool = worker->query_pool;
    pthread_mutex_lock(&query_pool->lock);
    for (;;) {
        while (!query_pool->stop && STAILQ_EMPTY(&worker->turns))
            pthread_cond_wait(&query_pool->wake, &query_pool->lock);
        if (query_pool->stop)
            break;
        struct query *query = turn_take(worker);
        pthread_mutex_unlock(&query_pool->lock);
        if (query->kind->ask ? ask_and_tell(query) : look_and_tell(query))
            query_free(query);
        pthread_mutex_lock(&query_pool->lock);
    }
    pthread_mutex_unlock(&query_pool->lock);
    return NULL;
}

enum err query_pool_start(struct fetch *fetch, int64_t timeout_ms, struct query_pool **ret, struct why *why)
{
    static const char *const names[] = {[LOOKS] = "query-facts", [ASKS] = "query-calls"};
    struct query_pool *query_pool = mem_zero(1, sizeof *query_pool);
    query_pool->fetch = fetch;
    query_pool->timeout_ms = timeout_ms;
    LIST_INIT(&query_pool->queries);
    pthread_mutex_init(&query_pool->lock, NULL);
    pthread_cond_init(&query_pool->wake, NULL);
    for (; query_pool->n_started < WORKERS; query_pool->n_started++) {
        struct worker *worker = &query_pool->workers[query_pool->n_started];
        worker->query_pool = query_pool;
        STAILQ_INIT(&worker->turns);
        if (pthread_create(&worker->thread, NULL, work, worker) != 0) {
            query_pool_stop(query_pool);
            query_pool_free(query_pool);
            return why_set(why, ERR_INTERNAL, "the query pool's threads cannot be started");
        }
        pthread_setname_np(worker->thread, names[query_pool->n_started]);
    }
    *ret = query_pool;
    return ERR_OK;
}

static struct query *query_take(struct query_pool *query_pool)
{
    pthread_mutex_lock(&query_pool->lock);
    struct query *query = LIST_FIRST(&query_pool->queries);
    if (query)
        query_close(query);
    pthread_mutex_unlock(&query_pool->lock);
    return query;
}

/* Queries that are left when the threads have ended get NULL; after `stop` is set no caller joins them. */
static void tell_the_rest(struct query_pool *query_pool)
{
    struct query *query;
    while ((query = query_take(query_pool))) {
        for (size_t i = 0; i < query->n_waiters; i++)
            query->waiters[i].done(query->waiters[i].arg, NULL);
        query_free(query);
    }
}

void query_pool_stop(struct query_pool *query_pool)
{
    pthread_mutex_lock(&query_pool->lock);
    query_pool->stop = true;
    pthread_cond_broadcast(&query_pool->wake);
    pthread_mutex_unlock(&query_pool->lock);
    for (; query_pool->n_started > 0; query_pool->n_started--)
        pthread_join(query_pool->workers[query_pool->n_started - 1].thread, NULL);
    tell_the_rest(query_pool);
}

void query_pool_free(struct query_pool *query_pool)
{
    if (!query_pool)
        return;
    pthread_cond_destroy(&query_pool->wake);
    pthread_mutex_destroy(&query_pool->lock);
    free(query_pool);
}

/* for other threads */

enum err query_pool_ask(struct query_pool *query_pool, const char *key, const struct query_ops *kind,
                        void *subject_take, query_done_fn *done, void *arg, struct why *why)
{
    enum err err = ERR_OK;
    pthread_mutex_lock(&query_pool->lock);
    struct query *query = query_of(query_pool, key);
    if (query_pool->stop) {
        err = why_set(why, ERR_UNAVAILABLE, "the service is stopping");
    } else if (!query && query_pool->n >= LIMIT_QUERIES) {
        err = why_set(why, ERR_UNAVAILABLE, "too many questions to upstreams wait already");
    } else {
        if (!query) {
            int64_t limit_ms = kind->background_ms ? kind->background_ms : query_pool->timeout_ms;
            query = mem_zero(1, sizeof *query);
            *query = (struct query){.query_pool = query_pool,
                                    .worker = &query_pool->workers[kind->ask ? ASKS : LOOKS],
                                    .key = mem_dup(key),
                                    .kind = kind,
                                    .subject = subject_take,
                                    .deadline_ms = clock_mono_ms() + limit_ms};
            subject_take = NULL;
            LIST_INSERT_HEAD(&query_pool->queries, query, link);
            query_pool->n++;
            turn_give(query);
        }
        waiter_add(query, done, arg);
    }
    pthread_mutex_unlock(&query_pool->lock);
    if (subject_take)
        kind->free(subject_take);
    return err;
}
