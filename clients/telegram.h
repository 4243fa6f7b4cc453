/* telegram.h - a bot that sends messages to one chat.
 *
 * Requests and answers follow the Bot API's source (tdlib/telegram-bot-api: Query.cpp for the shape of
 * errors, Client.cpp for their texts, HttpConnection.cpp for Retry-After). The token is part of the URL's
 * path, so errors contain neither the token nor the URL.
 */
#ifndef RECONCILED_TELEGRAM_H
#define RECONCILED_TELEGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "clients/base/err.h"

struct delivery;
struct fetch;
struct fetch_answer;
struct telegram;
struct upstream_names;

/* telegram_new: `chat` is a chat's id or a channel's @name, `topic` a topic of that forum; 0: none. `names`
 * must outlive the fetcher. ERR_INVALID as of telegram_url. Free with telegram_free. */
ATTR_NODISCARD enum err telegram_new(const char *base_url, const char *token, const char *chat, int64_t topic,
                                     const struct upstream_names *names, struct telegram **ret,
                                     struct why *why);
/* telegram_free: NULL is fine. */
void telegram_free(struct telegram *telegram);

/* telegram_send: sends `html` (parse_mode HTML, no previews of links) to the chat, and waits for the answer
 * until deadline_ms (clock_mono_ms) or the fetcher's limit for a call. Sent once: a message that got no
 * answer may have been taken. If the group has become a supergroup, this and later messages go to that, so
 * that DELIVERY_MOVED is returned only after two moves in a row. After fetch_stop a call under way has one
 * second to end. One thread at a time. */
void telegram_send(struct telegram *telegram, struct fetch *fetch, const char *html, int64_t deadline_ms,
                   struct delivery *ret);

/* telegram_check: calls getMe once. Returns NULL when Telegram answers it, else what is wrong, for a person;
 * caller frees. */
char *telegram_check(const struct telegram *telegram, struct fetch *fetch);

/* telegram_answer_read: what an answer to sendMessage means; `names` are the names of the settings, for
 * errors. Pure; the error may quote the server. */
void telegram_answer_read(const struct fetch_answer *answer, const struct upstream_names *names,
                          struct delivery *ret);

/* telegram_health: it has a single part, and lives as long as `telegram`. A request to wait counts as
 * success. */
struct upstream_health;
struct upstream_health *telegram_health(const struct telegram *telegram);

#endif
