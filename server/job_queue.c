#include "server/job_queue.h"

#include <pthread.h>
#include <stdlib.h>

struct job {
    offload_fn *fn;
    void *arg;
};

struct offload {
    pthread_t *threads;
    unsigned n_threads;
    pthread_mutex_t lock; /* guards all that follows */
    pthread_cond_t wake;
    struct job *ring;
    size_t size, first, n;
    bool stopping;
};

static void *work(void *arg)
{
    struct offload *offload = arg;
    pthread_mutex_lock(&offload->lock);
    for (;;) {
        while (offload->n == 0 && !offload->stopping)
            pthread_cond_wait(&offload->wake, &offload->lock);
        if (offload->n == 0)
            break;
        struct job job = offload->ring[offload->first];
        offload->first = (offload->first + 1) % offload->size;
        offload->n--;
        bool cancelled = offload->stopping;
        pthread_mutex_unlock(&offload->lock);
        job.fn(job.arg, cancelled);
        pthread_mutex_lock(&offload->lock);
    }
    pthread_mutex_unlock(&offload->lock);
    return NULL;
}

enum err offload_start(unsigned threads, size_t max_queued, struct offload **ret, struct why *why)
{
    struct offload *offload = mem_zero(1, sizeof *offload);
    offload->threads = mem_zero(threads, sizeof *offload->threads);
    offload->ring = mem_zero(max_queued, sizeof *offload->ring);
    offload->size = max_queued;
    pthread_mutex_init(&offload->lock, NULL);
    pthread_cond_init(&offload->wake, NULL);
    for (; offload->n_threads < threads; offload->n_threads++) {
        pthread_t *thread = &offload->threads[offload->n_threads];
        if (pthread_create(thread, NULL, work, offload) != 0) {
            offload_stop(offload);
            offload_free(offload);
            return why_set(why, ERR_INTERNAL, "the threads of the handlers cannot be started");
        }
        pthread_setname_np(*thread, "handler");
    }
    *ret = offload;
    return ERR_OK;
}

bool offload_submit(struct offload *offload, offload_fn *fn, void *arg)
{
    pthread_mutex_lock(&offload->lock);
    bool taken = !offload->stopping && offload->n < offload->size;
    if (taken) {
        offload->ring[(offload->first + offload->n) % offload->size] = (struct job){fn, arg};
        offload->n++;
        pthread_cond_signal(&offload->wake);
    }
    pthread_mutex_unlock(&offload->lock);
    return taken;
}

void offload_stop(struct offload *offload)
{
    pthread_mutex_lock(&offload->lock);
    offload->stopping = true;
    pthread_cond_broadcast(&offload->wake);
    pthread_mutex_unlock(&offload->lock);
    for (; offload->n_threads > 0; offload->n_threads--)
        pthread_join(offload->threads[offload->n_threads - 1], NULL);
}

void offload_free(struct offload *offload)
{
    if (!offload)
        return;
    pthread_cond_destroy(&offload->wake);
    pthread_mutex_destroy(&offload->lock);
    free(offload->ring);
    free(offload->threads);
    free(offload);
}
