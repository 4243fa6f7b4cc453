#include "server/job_queue.h"

#include <pthread.h>
#include <stdlib.h>

struct job {
    job_queue_fn *fn;
    void *arg;
};

struct job_queue {
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
    struct job_queue *job_queue = arg;
    pthread_mutex_lock(&job_queue->lock);
    for (;;) {
        while (job_queue->n == 0 && !job_queue->stopping)
            pthread_cond_wait(&job_queue->wake, &job_queue->lock);
        if (job_queue->n == 0)
            break;
        struct job job = job_queue->ring[job_queue->first];
        job_queue->first = (job_queue->first + 1) % job_queue->size;
        job_queue->n--;
        bool cancelled = job_queue->stopping;
        pthread_mutex_unlock(&job_queue->lock);
        job.fn(job.arg, cancelled);
        pthread_mutex_lock(&job_queue->lock);
    }
    pthread_mutex_unlock(&job_queue->lock);
    return NULL;
}

enum err job_queue_start(unsigned threads, size_t max_queued, struct job_queue **ret, struct why *why)
{
    struct job_queue *job_queue = mem_zero(1, sizeof *job_queue);
    job_queue->threads = mem_zero(threads, sizeof *job_queue->threads);
    job_queue->ring = mem_zero(max_queued, sizeof *job_queue->ring);
    job_queue->size = max_queued;
    pthread_mutex_init(&job_queue->lock, NULL);
    pthread_cond_init(&job_queue->wake, NULL);
    for (; job_queue->n_threads < threads; job_queue->n_threads++) {
        pthread_t *thread = &job_queue->threads[job_queue->n_threads];
        if (pthread_create(thread, NULL, work, job_queue) != 0) {
            job_queue_stop(job_queue);
            job_queue_free(job_queue);
            return why_set(why, ERR_INTERNAL, "the threads of the handlers cannot be started");
        }
        pthread_setname_np(*thread, "handler");
    }
    *ret = job_queue;
    return ERR_OK;
}

bool job_queue_submit(struct job_queue *job_queue, job_queue_fn *fn, void *arg)
{
    pthread_mutex_lock(&job_queue->lock);
    bool taken = !job_queue->stopping && job_queue->n < job_queue->size;
    if (taken) {
        job_queue->ring[(job_queue->first + job_queue->n) % job_queue->size] = (struct job){fn, arg};
        job_queue->n++;
        pthread_cond_signal(&job_queue->wake);
    }
    pthread_mutex_unlock(&job_queue->lock);
    return taken;
}

void job_queue_stop(struct job_queue *job_queue)
{
    pthread_mutex_lock(&job_queue->lock);
    job_queue->stopping = true;
    pthread_cond_broadcast(&job_queue->wake);
    pthread_mutex_unlock(&job_queue->lock);
    for (; job_queue->n_threads > 0; job_queue->n_threads--)
        pthread_join(job_queue->threads[job_queue->n_threads - 1], NULL);
}

void job_queue_free(struct job_queue *job_queue)
{
    if (!job_queue)
        return;
    pthread_cond_destroy(&job_queue->wake);
    pthread_mutex_destroy(&job_queue->lock);
    free(job_queue->ring);
    free(job_queue->threads);
    free(job_queue);
}
