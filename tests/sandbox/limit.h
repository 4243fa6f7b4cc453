/* limit.h - who may ask how often: keys, each with a sliding log.
 *
 * As Django REST framework's SimpleRateThrottle, which Plane uses: a call is taken while fewer than `calls`
 * were taken within the last `window_ms`; a refused call leaves no trace. For Telegram a key is a chat.
 */
#ifndef SANDBOX_LIMIT_H
#define SANDBOX_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sandbox/arena.h"
#include "tests/sandbox/map.h"
#include "tests/sandbox/out.h"

struct limit_key {
    const char *text;
    bool revoked;
    bool zoned;
    int zone_min;  /* of its user, when zoned */
    int64_t calls; /* its own limit; 0: the usual one */
    int64_t *log;  /* instants of the calls taken, a ring */
    size_t first, n, size;
    int64_t accepted, refused, refused_again, refused_early;
    bool last_refused;
    int64_t retry_at_us; /* as in the last refusal */
};

struct limit {
    int64_t calls, window_ms; /* calls 0: no limit */
    bool named;               /* keys were named: others are unknown */
    struct map keys;
    struct list list;              /* struct limit_key */
    int64_t unauthorized, unknown; /* answered 401, 403 for the key */
};

void limit_init(struct limit *limit);
void limit_done(struct limit *limit);

/* limit_key: the key, made when it is to be (`make`) or when any will do; NULL when it is unknown or revoked
 * (and is not to be made). */
struct limit_key *limit_key(struct limit *limit, struct arena *arena, const char *text, bool make);

/* limit_take: one call now. True: taken, *ret is how many are left in the window; false: refused, *ret is
 * the seconds after which to come again. -1 left: no limit. */
bool limit_take(struct limit *limit, struct limit_key *key, int64_t now_us, int64_t *ret);

/* limit_refuse: counts a refusal that others decided. */
void limit_refuse(struct limit_key *key, int64_t now_us, int64_t retry_s);

/* limit_write: members of an object; limit_reset: zeroes what they count. The log stays. */
void limit_write(const struct limit *limit, struct out *out);
void limit_reset(struct limit *limit);

#endif
