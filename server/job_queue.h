/* job_queue.h - a few threads for handlers that touch the database.
 *
 * A listener thread serves many connections; one that waited for a database would make GET /reconcile/status
 * wait with it, which the contract forbids. So such handlers run here, with their connection suspended. How
 * long a client waits for one of them is bounded elsewhere (deferrals_expire).
 */
#ifndef RECONCILED_JOB_QUEUE_H
#define RECONCILED_JOB_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include "clients/base/err.h"

struct job_queue;

/* What to do; `cancelled`: the service is stopping, answer without the database. */
typedef void job_queue_fn(void *arg, bool cancelled);

ATTR_NODISCARD enum err job_queue_start(unsigned threads, size_t max_queued, struct job_queue **ret,
                                        struct why *why);

/* job_queue_submit: false, and nothing will be called, when max_queued wait already or it was stopped. */
bool job_queue_submit(struct job_queue *job_queue, job_queue_fn *fn, void *arg);

/* job_queue_stop: waits for what runs, cancels what waits, joins the threads. job_queue_free: after it. NULL
 * is fine. */
void job_queue_stop(struct job_queue *job_queue);
void job_queue_free(struct job_queue *job_queue);

#endif
