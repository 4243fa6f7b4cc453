/* notifier.h - sends messages: a thread for each destination that is set up (sender.h), so that one that does
 * not answer delays no other.
 */
#ifndef RECONCILED_NOTIFIER_H
#define RECONCILED_NOTIFIER_H

#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"
#include "reconcile/heal/services.h"

struct notifier;

/* notifier_new: for the destinations of `services`, which must outlive it. `on_outbox` (may be NULL) gets the
 * number of messages that wait, a message to two destinations counting twice, and the age of the oldest, from
 * a thread of the notifier, after each look at the outbox. */
typedef void notifier_outbox_fn(void *arg, size_t depth, int64_t oldest_age_s);
struct notifier *notifier_new(struct services *services, notifier_outbox_fn *on_outbox, void *arg);
/* notifier_free: after notifier_stop, or never started. NULL is fine. */
void notifier_free(struct notifier *notifier);

/* notifier_start: starts the threads, which wait for the first notifier_wake, because the tables may not
 * exist before. notifier_stop: waits until the calls under way end or are aborted (then their messages stay
 * in the outbox), and joins the threads. NULL is fine. */
ATTR_NODISCARD enum err notifier_start(struct notifier *notifier, struct why *why);
void notifier_stop(struct notifier *notifier);

/* notifier_wake: something may wait in the outbox. From any thread; NULL is fine. */
void notifier_wake(struct notifier *notifier);

/* notifier_drain: instead of notifier_start: sends the waiting messages before it returns, until for each
 * destination none is left, it or the database fails, another process holds the lease, or deadline_ms
 * (clock_mono_ms) would pass. The next process sends the rest. services_stop and then notifier_wake end it
 * early. */
void notifier_drain(struct notifier *notifier, int64_t deadline_ms);

#endif
