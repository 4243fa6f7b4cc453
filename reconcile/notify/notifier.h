/* notifier.h - the thread that sends messages: it sends what waits in the outbox, and marks what Telegram
 * took.
 *
 * A message is written in the transaction of what it reports (store.h), so none is lost. This module prevents
 * messages from being sent twice. Only the process that holds the lease "notifier" sends, and it begins a
 * call only if the lease outlasts the call and the mark that follows. A message that Telegram took and the
 * database could not mark is kept in memory and marked before anything else is sent. A message can arrive
 * twice only if the process is killed between the two steps, or if a call arrived but its answer did not.
 *
 * It reads the outbox when this process wrote a message, and at intervals for messages of other processes.
 * Young messages are left to the process that wrote them. If more than LIMIT_DIGEST_FROM wait at once, they
 * become one message. After a failure of Telegram it tries again after growing pauses (send_limiter.h) and
 * releases the lease meanwhile, because another process may reach Telegram.
 */
#ifndef RECONCILED_NOTIFIER_H
#define RECONCILED_NOTIFIER_H

#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"
#include "reconcile/heal/services.h"

struct notifier;

/* notifier_new: `services`, which must outlive it, has a Telegram. `on_outbox` (may be NULL) gets the number
 * of messages that wait and the age of the oldest, from the notifier's thread, after each look at the outbox.
 */
typedef void notifier_outbox_fn(void *arg, size_t depth, int64_t oldest_age_s);
struct notifier *notifier_new(struct services *services, notifier_outbox_fn *on_outbox, void *arg);
/* notifier_free: after notifier_stop, or never started. NULL is fine. */
void notifier_free(struct notifier *notifier);

/* notifier_start: starts the thread, which waits for the first notifier_wake, because the tables may not
 * exist before. notifier_stop: waits until a call under way ends or is aborted (then its message stays in the
 * outbox), and joins the thread. NULL is fine. */
ATTR_NODISCARD enum err notifier_start(struct notifier *notifier, struct why *why);
void notifier_stop(struct notifier *notifier);

/* notifier_wake: something may wait in the outbox. From any thread; NULL is fine. */
void notifier_wake(struct notifier *notifier);

/* notifier_drain: instead of the thread: sends the waiting messages in the caller's thread, until none is
 * left, Telegram or the database fails, another process holds the lease, or deadline_ms (clock_mono_ms) would
 * pass. The next process sends the rest. services_stop and then notifier_wake end it early. */
void notifier_drain(struct notifier *notifier, int64_t deadline_ms);

#endif
