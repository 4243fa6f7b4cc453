#include "server/defer.h"

#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "handlers/handler.h"
#include "server/answer.h"
#include "server/peers.h"
#include "server/request.h"

struct deferrals {
    pthread_mutex_t lock; /* guards what follows, every deferred's links, and request->deferred */
    size_t references;    /* the listener's, and one of each deferred */
    struct deferred *first;
    bool stopping;
};

struct deferred {
    struct deferrals *deferrals;
    struct request *request; /* NULL: it is gone, nobody waits any more */
    struct deferred *previous, *next;
};

struct deferrals *deferrals_new(void)
{
    struct deferrals *deferrals = mem_zero(1, sizeof *deferrals);
    deferrals->references = 1;
    pthread_mutex_init(&deferrals->lock, NULL);
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
    deferred->next = deferrals->first;
    if (deferred->next)
        deferred->next->previous = deferred;
    deferrals->first = deferred;
    deferrals->references++;
}

/* Parts the two; the request then belongs to the caller, who answers it and lets go. NULL when it is gone. */
static struct request *unlink_out(struct deferred *deferred)
{
    struct request *request = deferred->request;
    if (!request)
        return NULL;
    if (deferred->previous)
        deferred->previous->next = deferred->next;
    else
        deferred->deferrals->first = deferred->next;
    if (deferred->next)
        deferred->next->previous = deferred->previous;
    deferred->previous = deferred->next = NULL;
    deferred->request = NULL;
    request->deferred = NULL;
    return request;
}

struct deferred *request_defer(struct request *request)
{
    struct deferrals *deferrals = request->world->deferrals;
    struct deferred *deferred = mem_zero(1, sizeof *deferred);
    deferred->deferrals = deferrals;
    pthread_mutex_lock(&deferrals->lock);
    bool stopping = deferrals->stopping;
    bool taken = !stopping && request_suspend(request);
    if (taken) {
        atomic_fetch_add(&request->holds, 1);
        request->handed_over = true;
        link_in(deferrals, deferred, request);
    }
    pthread_mutex_unlock(&deferrals->lock);
    if (taken)
        return deferred;
    free(deferred);
    request_refuse_waiting(request, stopping ? "the service is stopping" : "too many requests wait already");
    return NULL;
}

void deferred_answer(struct deferred *deferred, int status, json_t *body_take)
{
    struct MHD_Response *response = answer_json_response(status, body_take);
    if (status == 503)
        answer_response_header(response, "Retry-After", RETRY_AFTER);
    struct deferrals *deferrals = deferred->deferrals;
    pthread_mutex_lock(&deferrals->lock);
    struct request *request = unlink_out(deferred);
    pthread_mutex_unlock(&deferrals->lock);
    free(deferred);
    deferrals_release(deferrals);
    if (!request) {
        MHD_destroy_response(response);
        return;
    }
    request->response = response;
    request->status = status;
    request_release(request);
}

/* POLLRDHUP: the peer has sent its end. As everywhere in HTTP servers that counts as having left; a client
 * that only half-closes gets no answer. Descriptors stay valid: a suspended connection is never closed by the
 * library, and under the lock nobody resumes one. */
void deferrals_reap(struct deferrals *deferrals)
{
    struct pollfd polls[LIMIT_WAITING_REQUESTS];
    struct deferred *waiting[LIMIT_WAITING_REQUESTS];
    struct request *left[LIMIT_WAITING_REQUESTS];
    nfds_t n = 0;
    size_t n_left = 0;
    pthread_mutex_lock(&deferrals->lock);
    for (struct deferred *deferred = deferrals->first; deferred; deferred = deferred->next) {
        polls[n] = (struct pollfd){.fd = peer_fd(deferred->request->peer), .events = POLLRDHUP};
        waiting[n++] = deferred;
    }
    if (n > 0 && poll(polls, n, 0) > 0)
        for (nfds_t i = 0; i < n; i++)
            if (polls[i].revents & (POLLRDHUP | POLLHUP | POLLERR))
                left[n_left++] = unlink_out(waiting[i]);
    pthread_mutex_unlock(&deferrals->lock);
    for (size_t i = 0; i < n_left; i++) {
        left[i]->gone = true;
        request_release(left[i]);
    }
}

void deferrals_refuse(struct deferrals *deferrals)
{
    pthread_mutex_lock(&deferrals->lock);
    deferrals->stopping = true;
    pthread_mutex_unlock(&deferrals->lock);
}

void deferrals_stop(struct deferrals *deferrals)
{
    deferrals_refuse(deferrals);
    for (;;) {
        pthread_mutex_lock(&deferrals->lock);
        struct request *request = deferrals->first ? unlink_out(deferrals->first) : NULL;
        pthread_mutex_unlock(&deferrals->lock);
        if (!request)
            return;
        request->response = answer_json_response(503, problem_document(503, "the service is stopping"));
        request->status = 503;
        request_release(request);
    }
}
