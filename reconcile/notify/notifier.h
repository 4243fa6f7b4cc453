/* notifier.h - the thread that sends messages: it sends what waits in the outbox, and marks what Telegram
 * took.
 *
 * A message was written in the transaction of what it reports (store.h), so none is lost; here it is seen to
 * that none is sent twice. One process sends at a time: the one that holds the lease "notifier", and it
 * begins no call unless the lease outlasts it and the mark that follows. What Telegram took and the database
 * could not mark is kept and marked before anything else is sent. Only a process that is killed between
 * the two, or a call that got no answer though it arrived, makes a message come twice.
 *
 * It looks when something was written here, and now and then for what another process left behind; a message
 * that is young is its writer's to send. More than LIMIT_DIGEST_FROM that wait at once become one. An
 * upstream that fails is asked again after growing pauses (send_limiter.h), with the lease given back:
 * another process may reach it.
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

/* notifier_start: starts the thread, which waits for the first notifier_wake: before it, the tables may not
 * be there. notifier_stop: a call under way comes to its end or is aborted, and its message stays; joins the
 * thread. NULL is fine. */
ATTR_NODISCARD enum err notifier_start(struct notifier *notifier, struct why *why);
void notifier_stop(struct notifier *notifier);

/* notifier_wake: something may wait in the outbox. From any thread; NULL is fine. */
void notifier_wake(struct notifier *notifier);

/* notifier_drain: in place of the thread: sends what waits, in the caller's thread, until there is no more,
 * Telegram or the database fails, another process is at it, or deadline_ms (clock_mono_ms) would pass. What
 * is left is the next process's. services_stop and then notifier_wake end it early. */
void notifier_drain(struct notifier *notifier, int64_t deadline_ms);

#endif
