/* pace.h - when the next message may be sent: the pace that Telegram asks of a bot, and the pauses after what
 * went wrong.
 *
 * At most one message a second to a chat and 20 a minute to a group (core.telegram.org/bots/faq); what a 429
 * asks for on top of it; after a failure 2, 4, 8 … 600 s, until one is taken. Pure: the caller has the clock
 * (clock_mono_ms). One thread.
 */
#ifndef RECONCILED_PACE_H
#define RECONCILED_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "clients/base/limits.h"

struct pace {
    bool group;                            /* the chat is not one person's */
    int64_t sent_ms[LIMIT_GROUP_MESSAGES]; /* a ring of when the last were sent; `sent` have been in all */
    uint64_t sent;
    int64_t asked_ms;  /* not before this, says Telegram */
    int64_t failed_ms; /* not before this, after `failures` in a row */
    unsigned failures;
};

/* pace_begin: nothing has been sent. `chat` is an id, or a channel's @name: only a person's is a number above
 * 0. */
void pace_begin(struct pace *pace, const char *chat);

/* What became of a message, at now_ms. */
void pace_sent(struct pace *pace, int64_t now_ms);
void pace_asked(struct pace *pace, int64_t seconds, int64_t now_ms);
void pace_failed(struct pace *pace, int64_t now_ms);

/* pace_due_ms: when the next may go. */
int64_t pace_due_ms(const struct pace *pace);

#endif
