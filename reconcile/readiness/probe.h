/* probe.h - whether the database works, asked once a second for all readers.
 *
 * A thread asks on a connection of its own, so that it waits behind no other work. Callers read its last
 * result and never wait: when the database hangs, the result becomes too old.
 */
#ifndef RECONCILED_PROBE_H
#define RECONCILED_PROBE_H

#include <stdint.h>

#include "clients/base/err.h"

struct probe;
struct store;

/* Called in the probe's thread with each good answer of the database; it may ask `store` more. */
struct store_pulse;
typedef void probe_pulse_fn(void *arg, struct store *store, const struct store_pulse *pulse);

/* probe_start: takes ownership of `store`, even on failure; nothing else may use it. `clock_ms` is a
 * monotonic clock, for the age of results; NULL: clock_mono_ms. `on_pulse` may be NULL. */
ATTR_NODISCARD enum err probe_start(struct store *store_take, int64_t (*clock_ms)(void),
                                    probe_pulse_fn *on_pulse, void *arg, struct probe **ret, struct why *why);

/* probe_read: ERR_OK, or why the database cannot be worked with; ERR_TIMEOUT when it did not answer for
 * LIMIT_PROBE_STALE_MS. Any thread. */
ATTR_NODISCARD enum err probe_read(struct probe *probe, struct why *why);

/* probe_stop: ends the thread; from then on results grow old. probe_free: after it. NULL is fine for both. */
void probe_stop(struct probe *probe);
void probe_free(struct probe *probe);

#endif
