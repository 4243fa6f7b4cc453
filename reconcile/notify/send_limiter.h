/* send_limiter.h - when the next message may be sent: Telegram's limits for a bot, and pauses after failures.
 *
 * At most one message a second to a chat and 20 a minute to a group (core.telegram.org/bots/faq); the pause
 * that a 429 asks for; and after failures in a row 2, 4, 8 … 600 s, until Telegram takes a message. Pure: the
 * caller has the clock (clock_mono_ms). One thread.
 */
#ifndef RECONCILED_SEND_LIMITER_H
#define RECONCILED_SEND_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

#include "clients/base/limits.h"

struct send_limiter {
    bool group;                            /* the chat is not one person's */
    int64_t sent_ms[LIMIT_GROUP_MESSAGES]; /* ring of the times of the last messages; `sent` is the count of
                                              all */
    uint64_t sent;
    int64_t asked_ms;  /* not before this, by Telegram's answer */
    int64_t failed_ms; /* not before this, after `failures` in a row */
    unsigned failures;
};

/* send_limiter_begin: nothing has been sent. `chat` is an id, or a channel's @name: only a person's is a
 * number above 0. NULL: a webhook, which is no group. */
void send_limiter_begin(struct send_limiter *limiter, const char *chat);

/* The result of sending a message, at now_ms. */
void send_limiter_sent(struct send_limiter *limiter, int64_t now_ms);
void send_limiter_asked(struct send_limiter *limiter, int64_t seconds, int64_t now_ms);
void send_limiter_failed(struct send_limiter *limiter, int64_t now_ms);

/* send_limiter_due_ms: when the next may go. */
int64_t send_limiter_due_ms(const struct send_limiter *limiter);

#endif
