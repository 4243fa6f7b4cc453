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

struct waiter {
    inquiry_done_fn *done;
    void *arg;
};

/* The two threads: one looks at facts as they come in, the other asks and waits. */
enum worker_kind { LOOKS, ASKS, WORKERS };

struct worker {
    struct inquirer *inquirer;
    pthread_t thread;
    STAILQ_HEAD(turns, inquiry) turns; /* have something to look at, or to ask; under the inquirer's lock */
};

struct inquiry {
    struct inquirer *inquirer;
    struct worker *worker;
    char *key; /* NULL: shared with nobody */
    const struct inquiry_kind *kind;
    void *subject;
    int64_t deadline_ms;
    struct book *book; /* the worker's alone; NULL before the first look, and where nothing is looked at */

    /* Under the inquirer's lock. */
    LIST_ENTRY(inquiry) link;
    STAILQ_ENTRY(inquiry) turn;
    bool has_turn; /* is in its worker's turns */
    struct waiter *waiters;
    size_t n_waiters, waiters_size;
};

struct inquirer {
    struct fetch *fetch;
    int64_t timeout_ms;
    struct worker workers[WORKERS];
    unsigned n_started;
    atomic_bool stopping; /* `stop`, for who is in the middle of a call */

    pthread_mutex_t lock; /* guards all that follows */
    pthread_cond_t wake;
    LIST_HEAD(inquiries, inquiry) inquiries; /* under way */
    size_t n;
    bool stop;
};

/* under the lock */

static void turn_give(struct inquiry *inquiry)
{
    if (inquiry->has_turn)
        return;
    inquiry->has_turn = true;
    STAILQ_INSERT_TAIL(&inquiry->worker->turns, inquiry, turn);
    pthread_cond_broadcast(&inquiry->inquirer->wake);
}

static struct inquiry *turn_take(struct worker *worker)
{
    struct inquiry *inquiry = STAILQ_FIRST(&worker->turns);
    STAILQ_REMOVE_HEAD(&worker->turns, turn);
    inquiry->has_turn = false;
    return inquiry;
}

static void waiter_add(struct inquiry *inquiry, inquiry_done_fn *done, void *arg)
{
    if (inquiry->n_waiters == inquiry->waiters_size) {
        inquiry->waiters_size = inquiry->waiters_size ? 2 * inquiry->waiters_size : 4;
        inquiry->waiters = mem_grow(inquiry->waiters, inquiry->waiters_size, sizeof *inquiry->waiters);
    }
    inquiry->waiters[inquiry->n_waiters++] = (struct waiter){done, arg};
}

static struct inquiry *inquiry_of(struct inquirer *inquirer, const char *key)
{
    struct inquiry *inquiry;
    LIST_FOREACH(inquiry, &inquirer->inquiries, link)
    if (key && inquiry->key && strcmp(inquiry->key, key) == 0)
        return inquiry;
    return NULL;
}

/* one inquiry */

/* From the fetcher's thread. The inquiry is there: its book, freed first, rings no more. */
static void on_answer(void *arg)
{
    struct inquiry *inquiry = arg;
    pthread_mutex_lock(&inquiry->inquirer->lock);
    turn_give(inquiry);
    pthread_mutex_unlock(&inquiry->inquirer->lock);
}

/* Takes it out of the lists, so that nobody joins it any more. Under the lock. */
static void inquiry_close(struct inquiry *inquiry)
{
    struct inquirer *inquirer = inquiry->inquirer;
    LIST_REMOVE(inquiry, link);
    inquirer->n--;
}

static void inquiry_free(struct inquiry *inquiry)
{
    book_free(inquiry->book); /* from here on nothing rings */
    pthread_mutex_lock(&inquiry->inquirer->lock);
    if (inquiry->has_turn)
        STAILQ_REMOVE(&inquiry->worker->turns, inquiry, inquiry, turn);
    pthread_mutex_unlock(&inquiry->inquirer->lock);
    inquiry->kind->free(inquiry->subject);
    free(inquiry->waiters);
    free(inquiry->key);
    free(inquiry);
}

/* Tells the first `n` waiters. True when others have come since, who want a look of their own. */
static bool tell(struct inquiry *inquiry, size_t n, const void *answer)
{
    struct inquirer *inquirer = inquiry->inquirer;
    pthread_mutex_lock(&inquirer->lock);
    struct waiter *waiters = inquiry->waiters;
    size_t left = inquiry->n_waiters - n;
    inquiry->waiters = NULL;
    inquiry->n_waiters = inquiry->waiters_size = 0;
    for (size_t i = 0; i < left; i++)
        waiter_add(inquiry, waiters[n + i].done, waiters[n + i].arg);
    if (left == 0)
        inquiry_close(inquiry);
    pthread_mutex_unlock(&inquirer->lock);
    for (size_t i = 0; i < n; i++)
        waiters[i].done(waiters[i].arg, answer);
    free(waiters);
    return left > 0;
}

static size_t count_waiters(struct inquiry *inquiry)
{
    pthread_mutex_lock(&inquiry->inquirer->lock);
    size_t n = inquiry->n_waiters;
    pthread_mutex_unlock(&inquiry->inquirer->lock);
    return n;
}

static bool ask_and_tell(struct inquiry *inquiry)
{
    bool more = true;
    while (more && !atomic_load(&inquiry->inquirer->stopping)) {
        size_t n = count_waiters(inquiry);
        more = tell(inquiry, n,
                    inquiry->kind->ask(inquiry->subject, inquiry->deadline_ms, &inquiry->inquirer->stopping));
    }
    return !more;
}

/* Looks until it is answered (true: it is over) or nothing but what is under way can help. */
static bool look_and_tell(struct inquiry *inquiry)
{
    void *self;
    if (!inquiry->book) {
        inquiry->book = book_new(inquiry->inquirer->fetch, inquiry->deadline_ms);
        book_asked_by(inquiry->book, &(const struct book_asker){.waited_for = true});
        book_bell(inquiry->book, on_answer, inquiry);
    } else if (book_next(inquiry->book, 0, &self) == BOOK_NOTHING_YET) {
        return false; /* a part of an answer, or one that was read before the bell was heard */
    }
    for (;;) {
        size_t n = count_waiters(inquiry);
        book_waiter(inquiry->book, inquiry);
        const void *answer = inquiry->kind->look(inquiry->subject, inquiry->book);
        if (answer && !tell(inquiry, n, answer))
            return true;
        if (answer)
            continue;
        enum book_step step = book_next(inquiry->book, 0, &self);
        assert(step != BOOK_ALL_ANSWERED); /* look's promise */
        if (step == BOOK_NOTHING_YET)
            return false;
    }
}

/* the threads */

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct inquirer *inquirer = worker->inquirer;
    pthread_mutex_lock(&inquirer->lock);
    for (;;) {
        while (!inquirer->stop && STAILQ_EMPTY(&worker->turns))
            pthread_cond_wait(&inquirer->wake, &inquirer->lock);
        if (inquirer->stop)
            break;
        struct inquiry *inquiry = turn_take(worker);
        pthread_mutex_unlock(&inquirer->lock);
        if (inquiry->kind->ask ? ask_and_tell(inquiry) : look_and_tell(inquiry))
            inquiry_free(inquiry);
        pthread_mutex_lock(&inquirer->lock);
    }
    pthread_mutex_unlock(&inquirer->lock);
    return NULL;
}

enum err inquirer_start(struct fetch *fetch, int64_t timeout_ms, struct inquirer **ret, struct why *why)
{
    static const char *const names[] = {[LOOKS] = "inquirer", [ASKS] = "asker"};
    struct inquirer *inquirer = mem_zero(1, sizeof *inquirer);
    inquirer->fetch = fetch;
    inquirer->timeout_ms = timeout_ms;
    LIST_INIT(&inquirer->inquiries);
    pthread_mutex_init(&inquirer->lock, NULL);
    pthread_cond_init(&inquirer->wake, NULL);
    for (; inquirer->n_started < WORKERS; inquirer->n_started++) {
        struct worker *worker = &inquirer->workers[inquirer->n_started];
        worker->inquirer = inquirer;
        STAILQ_INIT(&worker->turns);
        if (pthread_create(&worker->thread, NULL, work, worker) != 0) {
            inquirer_stop(inquirer);
            inquirer_free(inquirer);
            return why_set(why, ERR_INTERNAL, "the inquirer's threads cannot be started");
        }
        pthread_setname_np(worker->thread, names[inquirer->n_started]);
    }
    *ret = inquirer;
    return ERR_OK;
}

static struct inquiry *inquiry_take(struct inquirer *inquirer)
{
    pthread_mutex_lock(&inquirer->lock);
    struct inquiry *inquiry = LIST_FIRST(&inquirer->inquiries);
    if (inquiry)
        inquiry_close(inquiry);
    pthread_mutex_unlock(&inquirer->lock);
    return inquiry;
}

/* What is left when the threads have ended has nobody to answer it; nobody joins it once `stop` is set. */
static void tell_the_rest(struct inquirer *inquirer)
{
    struct inquiry *inquiry;
    while ((inquiry = inquiry_take(inquirer))) {
        for (size_t i = 0; i < inquiry->n_waiters; i++)
            inquiry->waiters[i].done(inquiry->waiters[i].arg, NULL);
        inquiry_free(inquiry);
    }
}

void inquirer_stop(struct inquirer *inquirer)
{
    atomic_store(&inquirer->stopping, true);
    pthread_mutex_lock(&inquirer->lock);
    inquirer->stop = true;
    pthread_cond_broadcast(&inquirer->wake);
    pthread_mutex_unlock(&inquirer->lock);
    for (; inquirer->n_started > 0; inquirer->n_started--)
        pthread_join(inquirer->workers[inquirer->n_started - 1].thread, NULL);
    tell_the_rest(inquirer);
}

void inquirer_free(struct inquirer *inquirer)
{
    if (!inquirer)
        return;
    pthread_cond_destroy(&inquirer->wake);
    pthread_mutex_destroy(&inquirer->lock);
    free(inquirer);
}

/* for other threads */

enum err inquirer_ask(struct inquirer *inquirer, const char *key, const struct inquiry_kind *kind,
                      void *subject_take, inquiry_done_fn *done, void *arg, struct why *why)
{
    enum err err = ERR_OK;
    pthread_mutex_lock(&inquirer->lock);
    struct inquiry *inquiry = inquiry_of(inquirer, key);
    if (inquirer->stop) {
        err = why_set(why, ERR_UNAVAILABLE, "the service is stopping");
    } else if (!inquiry && inquirer->n >= LIMIT_INQUIRIES) {
        err = why_set(why, ERR_UNAVAILABLE, "too many questions to upstreams wait already");
    } else {
        if (!inquiry) {
            inquiry = mem_zero(1, sizeof *inquiry);
            *inquiry = (struct inquiry){.inquirer = inquirer,
                                        .worker = &inquirer->workers[kind->ask ? ASKS : LOOKS],
                                        .key = mem_dup(key),
                                        .kind = kind,
                                        .subject = subject_take,
                                        .deadline_ms = clock_mono_ms() + inquirer->timeout_ms};
            subject_take = NULL;
            LIST_INSERT_HEAD(&inquirer->inquiries, inquiry, link);
            inquirer->n++;
            turn_give(inquiry);
        }
        waiter_add(inquiry, done, arg);
    }
    pthread_mutex_unlock(&inquirer->lock);
    if (subject_take)
        kind->free(subject_take);
    return err;
}
