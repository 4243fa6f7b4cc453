/* status.h - the document of GET /reconcile/status, updated by the modules that change it.
 *
 * One small struct behind one lock; no lock is held over input or output. After each change the whole
 * document is built and published, in the order of the changes. So a reader never waits for a database or an
 * upstream.
 */
#ifndef RECONCILED_STATUS_H
#define RECONCILED_STATUS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"

struct pass_result;
struct plane_status;
struct policy;
struct services;
struct status;
struct store_ledger_count;

/* status_new: `on_change` (may be NULL) gets each new document, borrowed, under the status's lock: it must
 * only copy. The clients of `services` must outlive the status. */
typedef void status_change_fn(void *arg, const json_t *document);
struct status *status_new(const struct services *services, status_change_fn *on_change, void *arg);
void status_free(struct status *status);

/* What changed. All thread-safe. */
void status_policy(struct status *status, const struct policy *policy);
/* status_ledger: a count that is older than the one shown changes nothing. */
void status_ledger(struct status *status, const struct store_ledger_count *count);
void status_holds(struct status *status, size_t count);
void status_database(struct status *status, enum err err, const struct why *why);
/* status_hooks: the newest result of the webhook audit, the status's member "hooks"; borrowed. */
void status_hooks(struct status *status, const json_t *found);
/* status_plane: takes how the Plane side stands. */
void status_plane(struct status *status, struct plane_status *plane_take);
void status_pass_begins(struct status *status);
/* status_pass_ended: takes result->plane out of the result and copies the rest that it shows. */
void status_pass_ended(struct status *status, struct pass_result *result);
/* status_outbox: `depth` messages wait, the oldest for oldest_age_s. Reads the health of the destinations
 * itself. */
void status_outbox(struct status *status, size_t depth, int64_t oldest_age_s);

#endif
