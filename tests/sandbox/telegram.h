/* telegram.h - the stand-in Telegram: a bot that can send messages, which are kept to be looked at.
 *
 * Guarded by the sandbox's lock, except the number of messages, which a waiter for one reads without.
 */
#ifndef SANDBOX_TELEGRAM_H
#define SANDBOX_TELEGRAM_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdint.h>

#include "clients/base/err.h"
#include "tests/sandbox/arena.h"
#include "tests/sandbox/limit.h"
#include "tests/sandbox/map.h"
#include "tests/sandbox/out.h"

struct telegram_chat {
    const char *id;
    const char *forbidden;   /* words of the 403 it answers; NULL: none */
    const char *migrated_to; /* the supergroup that it became; NULL: none */
};

struct telegram {
    struct arena arena;
    const char *token;       /* NULL: any that is well-formed */
    struct map chats;        /* by id */
    bool named;              /* chats were named: others are not found */
    struct limit limit;      /* of messages to one chat */
    int64_t refuse, retry_s; /* the next so many are refused, and how long they are asked to wait */
    int64_t bad_requests;
    struct list messages; /* struct telegram_message */
    atomic_size_t n_messages;
};

struct telegram_message {
    const char *chat, *thread, *text, *parse_mode;
    int64_t at_us;
};

struct telegram *telegram_new(void);
void telegram_free(struct telegram *telegram);
/* telegram_reset: as new. */
void telegram_reset(struct telegram *telegram);
/* telegram_load: {"token","chats","limit","window_ms","refuse","retry_after"}. telegram_write: members of an
 * object. */
ATTR_NODISCARD enum err telegram_load(struct telegram *telegram, const json_t *document, struct why *why);
void telegram_write(const struct telegram *telegram, struct out *out);
/* telegram_forget: the messages and what was counted. */
void telegram_forget(struct telegram *telegram);

/* telegram_plain: the text without its HTML, appended to `out`; false when the Bot API would refuse it, with
 * the words it has for that. */
bool telegram_plain(const char *html, struct out *out, struct why *why);

#endif
