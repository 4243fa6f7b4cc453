/* offload.h - a few threads for handlers that touch the database.
 *
 * A listener thread serves many connections; one that waited for a database would make GET /reconcile/status
 * wait with it, which the contract forbids. So such handlers run here, with their connection suspended. How
 * long a client waits for one of them is bounded elsewhere (deferrals_expire).
 */
#ifndef RECONCILED_OFFLOAD_H
#define RECONCILED_OFFLOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "clients/base/err.h"

struct offload;

/* What to do; `cancelled`: the service is stopping, answer without the database. */
typedef void offload_fn(void *arg, bool cancelled);

ATTR_NODISCARD enum err offload_start(unsigned threads, size_t max_queued, struct offload **ret,
                                      struct why *why);

/* offload_submit: false, and nothing will be called, when max_queued wait already or it was stopped. */
bool offload_submit(struct offload *offload, offload_fn *fn, void *arg);

/* offload_stop: waits for what runs, cancels what waits, joins the threads. offload_free: after it. NULL is
 * fine. */
void offload_stop(struct offload *offload);
void offload_free(struct offload *offload);

#endif
