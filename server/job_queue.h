/* job_queue.h - a few threads for handlers that touch the database.
 *
 * A listener thread serves many connections. If it waited for a database, GET /reconcile/status would wait
 * too, which the contract forbids. So handlers that use the database run on these threads, with their
 * connection suspended. deferrals_expire limits how long a client waits for them.
 */
#ifndef RECONCILED_JOB_QUEUE_H
#define RECONCILED_JOB_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include "clients/base/err.h"

struct job_queue;

/* A job. `cancelled`: the service is stopping; answer without the database. */
typedef void job_queue_fn(void *arg, bool cancelled);

ATTR_NODISCARD enum err job_queue_start(unsigned threads, size_t max_queued, struct job_queue **ret,
                                        struct why *why);

/* job_queue_submit: false: max_queued jobs wait already or the queue was stopped, and `fn` is not called. */
bool job_queue_submit(struct job_queue *job_queue, job_queue_fn *fn, void *arg);

/* job_queue_stop: waits for running jobs, cancels waiting ones, joins the threads. job_queue_free: after it.
 * NULL is fine. */
void job_queue_stop(struct job_queue *job_queue);
void job_queue_free(struct job_queue *job_queue);

#endif
