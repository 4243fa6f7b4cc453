/* sender.h - the thread that sends the messages to one destination: it sends what waits in the outbox for
 * that destination, and marks what was taken. Private to notifier.c.
 *
 * A message is written in the transaction of what it reports (store.h), so none is lost. This module prevents
 * messages from being sent twice. Only the process that holds the destination's lease sends, and it begins a
 * call only if the lease outlasts the call and the mark that follows. A message that was taken and the
 * database could not mark is kept in memory and marked before anything else is sent. A message can arrive
 * twice only if the process is killed between the two steps, or if a call arrived but its answer did not.
 *
 * It reads the outbox when this process wrote a message, and at intervals for messages of other processes.
 * Young messages are left to the process that wrote them. If more than LIMIT_DIGEST_FROM wait at once, they
 * become one message. After a failure of the destination it tries again after growing pauses (send_limiter.h)
 * and releases the lease meanwhile, because another process may reach it.
 */
#ifndef RECONCILED_SENDER_H
#define RECONCILED_SENDER_H

#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"
#include "clients/store/store.h"
#include "reconcile/heal/services.h"

struct sender;

/* sender_new: `services`, which must outlive it, has a client for the destination. `on_outbox` gets the
 * number of messages that wait for it and the age of the oldest, from the sender's thread, after each look at
 * the outbox. */
typedef void sender_outbox_fn(void *arg, enum store_destination to, size_t depth, int64_t oldest_age_s);
struct sender *sender_new(struct services *services, enum store_destination to, sender_outbox_fn *on_outbox,
                          void *arg);
/* sender_free: after sender_stop, or never started. NULL is fine. */
void sender_free(struct sender *sender);

/* As notifier_start, notifier_stop, notifier_wake and notifier_drain. */
ATTR_NODISCARD enum err sender_start(struct sender *sender, struct why *why);
void sender_stop(struct sender *sender);
void sender_wake(struct sender *sender);
void sender_drain(struct sender *sender, int64_t deadline_ms);

#endif
