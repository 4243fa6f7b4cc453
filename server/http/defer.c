#include "server/http/defer.h"

#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "handlers/handler.h"
#include "server/http/answer.h"
#include "server/http/connections.h"
#include "server/http/request.h"

struct deferrals {
    pthread_mutex_t lock; /* guards what follows, every deferred's links, and request->deferred */
    size_t references;    /* the listener's, and one of each deferred */
    LIST_HEAD(awaited, deferred) awaited;
    bool stopping;
    unsigned n_refused; /* deferreds of refused requests */
    int64_t (*clock_ms)(void);
};

struct deferred {
    struct deferrals *deferrals;
    struct request *request; /* NULL: it is gone, no client waits any more */
    int64_t until_ms;        /* when it is answered 503; 0: never */
    bool refused;            /* its request only waits; it has no other owner */
    bool of_job; /* the wait is short: for a handler thread or a delay, not for a pass or an upstream */
    LIST_ENTRY(deferred) link;
};

struct deferrals *deferrals_new(int64_t (*clock_ms)(void))
{
    struct deferrals *deferrals = mem_zero(1, sizeof *deferrals);
    deferrals->references = 1;
    deferrals->clock_ms = clock_ms;
    pthread_mutex_init(&deferrals->lock, NULL);
    LIST_INIT(&deferrals->awaited);
    return deferrals;
}

void deferrals_release(struct deferrals *deferrals)
{
    pthread_mutex_lock(&deferrals->lock);
    bool last = --deferrals->references == 0;
    pthread_mutex_unlock(&deferrals->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&deferrals->lock);
    free(deferrals);
}

static void link_in(struct deferrals *deferrals, struct deferred *deferred, struct request *request)
{
    deferred->request = request;
    request->deferred = deferred;
    LIST_INSERT_HEAD(&deferrals->awaited, deferred, link);
    deferrals->references++;
}

/* Removes the link between a deferred and its request, and returns the request, which the caller must answer
 * and release. NULL: the request has ended. */
static struct request *unlink_out(struct deferred *deferred)
{
    struct request *request = deferred->request;
    if (!request)
        return NULL;
    LIST_REMOVE(deferred, link);
    deferred->request = NULL;
    request->deferred = NULL;
    return request;
}

/* The same when a tick or a stop ends the wait; also frees a deferred without another owner. */
static struct request *cut_short(struct deferred *deferred)
{
    struct deferrals *deferrals = deferred->deferrals;
    struct request *request = unlink_out(deferred);
    if (deferred->refused) {
        deferrals->n_refused--;
        deferrals->references--; /* the listener has one too */
        free(deferred);
    }
    return request;
}

static void refuse_new(struct request *request, bool stopping)
{
    request_refuse_waiting(request, stopping ? "the service is stopping" : "too many requests wait already");
}

struct deferred *deferred_new(struct request *request, bool for_job)
{
    struct deferrals *deferrals = request->world->deferrals;
    struct deferred *deferred = mem_zero(1, sizeof *deferred);
    deferred->deferrals = deferrals;
    deferred->of_job = for_job;
    deferred->until_ms = for_job ? deferrals->clock_ms() + LIMIT_ANSWER_MS : 0;
    pthread_mutex_lock(&deferrals->lock);
    bool stopping = deferrals->stopping;
    bool taken = !stopping && request_suspend(request);
    if (taken) {
        atomic_fetch_add(&request->holds, 1);
        link_in(deferrals, deferred, request);
    }
    pthread_mutex_unlock(&deferrals->lock);
    if (taken)
        return deferred;
    free(deferred);
    refuse_new(request, stopping);
    return NULL;
}

bool deferred_refuse_later(struct request *request, int64_t delay_ms)
{
    struct deferrals *deferrals = request->world->deferrals;
    struct deferred *deferred = mem_zero(1, sizeof *deferred);
    *deferred = (struct deferred){.deferrals = deferrals,
                                  .refused = true,
                                  .of_job = true,
                                  .until_ms = deferrals->clock_ms() + delay_ms};
    atomic_store(&request->holds, 1);
    pthread_mutex_lock(&deferrals->lock);
    bool taken =
        !deferrals->stopping && deferrals->n_refused < LIMIT_AUTH_DELAYED && request_suspend(request);
    if (taken) {
        link_in(deferrals, deferred, request);
        deferrals->n_refused++;
    }
    pthread_mutex_unlock(&deferrals->lock);
    if (!taken)
        free(deferred);
    return taken;
}

bool deferred_begin(struct deferred *deferred, bool to_the_end)
{
    struct deferrals *deferrals = deferred->deferrals;
    pthread_mutex_lock(&deferrals->lock);
    bool waits = deferred->request != NULL;
    if (to_the_end)
        deferred->until_ms = 0;
    pthread_mutex_unlock(&deferrals->lock);
    return waits;
}

/* The carrier of a job becomes the deferred that the handler passes on. */
static struct deferred *carrier_pass_on(struct request *job)
{
    struct deferred *deferred = job->carrier;
    struct deferrals *deferrals = deferred->deferrals;
    pthread_mutex_lock(&deferrals->lock);
    bool stopping = deferrals->stopping;
    if (!stopping) {
        deferred->until_ms = 0;
        deferred->of_job = false;
    }
    pthread_mutex_unlock(&deferrals->lock);
    if (stopping) {
        refuse_new(job, true);
        return NULL;
    }
    job->carrier = NULL;
    return deferred;
}

struct deferred *request_defer(struct request *request)
{
    struct deferred *deferred = request->carrier ? carrier_pass_on(request) : deferred_new(request, false);
    if (deferred)
        request->handed_over = true;
    return deferred;
}

/* Ends a deferred; the request as unlink_out gives it. */
static struct request *part(struct deferred *deferred)
{
    struct deferrals *deferrals = deferred->deferrals;
    pthread_mutex_lock(&deferrals->lock);
    struct request *request = unlink_out(deferred);
    pthread_mutex_unlock(&deferrals->lock);
    free(deferred);
    deferrals_release(deferrals);
    return request;
}

void deferred_carry(struct deferred *deferred, struct request *job)
{
    struct request *request = part(deferred);
    if (!request)
        return;
    request->response = job->response;
    request->published = job->published;
    request->status = job->status;
    job->response = NULL;
    request_release(request);
}

void deferred_answer(struct deferred *deferred, int status, json_t *body_take)
{
    struct MHD_Response *response = answer_json_response(status, body_take);
    if (status == 503)
        answer_response_header(response, "Retry-After", RETRY_AFTER);
    struct request *request = part(deferred);
    if (!request) {
        MHD_destroy_response(response);
        return;
    }
    request->response = response;
    request->status = status;
    request_release(request);
}

/* POLLRDHUP: the peer has closed its side. As in other HTTP servers this counts as having left; a client that
 * closes only one direction gets no answer. Descriptors stay valid: the library never closes a suspended
 * connection, and none is resumed under the lock. */
void deferrals_reap(struct deferrals *deferrals)
{
    struct pollfd polls[LIMIT_WAITING_REQUESTS];
    struct deferred *waiting[LIMIT_WAITING_REQUESTS];
    struct request *left[LIMIT_WAITING_REQUESTS];
    nfds_t n = 0;
    size_t n_left = 0;
    struct deferred *deferred;
    pthread_mutex_lock(&deferrals->lock);
    LIST_FOREACH(deferred, &deferrals->awaited, link)
    {
        if (deferred->of_job)
            continue; /* it is answered soon, and a client that has closed only its side may wait for that */
        polls[n] = (struct pollfd){.fd = connection_fd(deferred->request->client), .events = POLLRDHUP};
        waiting[n++] = deferred;
    }
    if (n > 0 && poll(polls, n, 0) > 0)
        for (nfds_t i = 0; i < n; i++)
            if (polls[i].revents & (POLLRDHUP | POLLHUP | POLLERR))
                left[n_left++] = cut_short(waiting[i]);
    pthread_mutex_unlock(&deferrals->lock);
    for (size_t i = 0; i < n_left; i++) {
        left[i]->gone = true;
        request_release(left[i]);
    }
}

static void answer_503(struct request *request, const char *detail)
{
    request->response = answer_json_response(503, problem_document(503, detail));
    answer_response_header(request->response, "Retry-After", RETRY_AFTER);
    request->status = 503;
    request_release(request);
}

/* The first that is due, parted; NULL when none is. */
static struct request *take_due(struct deferrals *deferrals, int64_t now_ms)
{
    struct request *request = NULL;
    struct deferred *deferred;
    pthread_mutex_lock(&deferrals->lock);
    LIST_FOREACH(deferred, &deferrals->awaited, link)
    if ((deferred->until_ms && deferred->until_ms <= now_ms) || (deferred->refused && deferrals->stopping)) {
        request = cut_short(deferred);
        break;
    }
    pthread_mutex_unlock(&deferrals->lock);
    return request;
}

void deferrals_expire(struct deferrals *deferrals)
{
    struct request *request;
    while ((request = take_due(deferrals, deferrals->clock_ms()))) {
        if (!request->refusal.status) {
            answer_503(request, "the answer took too long; try again");
            continue;
        }
        answer_refusal(request, request->refusal);
        request_release(request);
    }
}

void deferrals_refuse(struct deferrals *deferrals)
{
    pthread_mutex_lock(&deferrals->lock);
    deferrals->stopping = true;
    pthread_mutex_unlock(&deferrals->lock);
    deferrals_expire(deferrals);
}

void deferrals_stop(struct deferrals *deferrals)
{
    deferrals_refuse(deferrals);
    for (;;) {
        pthread_mutex_lock(&deferrals->lock);
        struct deferred *deferred = LIST_FIRST(&deferrals->awaited);
        struct request *request = deferred ? cut_short(deferred) : NULL;
        pthread_mutex_unlock(&deferrals->lock);
        if (!request)
            return;
        answer_503(request, "the service is stopping");
    }
}
