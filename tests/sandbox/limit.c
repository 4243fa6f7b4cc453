#include "tests/sandbox/limit.h"

#include <stdlib.h>

#define CALLS_DEFAULT 60
#define WINDOW_DEFAULT_MS 60000

void limit_init(struct limit *limit)
{
    *limit = (struct limit){.calls = CALLS_DEFAULT, .window_ms = WINDOW_DEFAULT_MS};
}

void limit_done(struct limit *limit)
{
    for (size_t i = 0; i < limit->list.n; i++)
        free(((struct limit_key *)limit->list.items[i])->log);
    map_done(&limit->keys);
}

struct limit_key *limit_key(struct limit *limit, struct arena *arena, const char *text, bool make)
{
    struct limit_key *key = map_get(&limit->keys, text);
    if (key)
        return key->revoked && !make ? NULL : key;
    if (limit->named && !make)
        return NULL;
    key = arena_get(arena, sizeof *key);
    key->text = arena_text(arena, text);
    map_put(&limit->keys, key->text, key);
    list_add(arena, &limit->list, key);
    return key;
}

static void log_add(struct limit_key *key, int64_t now_us)
{
    if (key->n == key->size) {
        size_t size = key->size ? key->size * 2 : 64;
        int64_t *log = mem_zero(size, sizeof *log);
        for (size_t i = 0; i < key->n; i++)
            log[i] = key->log[(key->first + i) % key->size];
        free(key->log);
        key->log = log;
        key->first = 0;
        key->size = size;
    }
    key->log[(key->first + key->n++) % key->size] = now_us;
}

/* A client that was asked to wait and comes before its time is counted apart from one that could not know. */
void limit_refuse(struct limit_key *key, int64_t now_us, int64_t retry_s)
{
    key->refused++;
    key->refused_again += key->last_refused;
    key->refused_early += key->last_refused && now_us < key->retry_at_us;
    key->last_refused = true;
    key->retry_at_us = now_us + retry_s * 1000000;
}

bool limit_take(struct limit *limit, struct limit_key *key, int64_t now_us, int64_t *ret)
{
    int64_t calls = key->calls ? key->calls : limit->calls, window_us = limit->window_ms * 1000;
    while (key->n && key->log[key->first] <= now_us - window_us) {
        key->first = (key->first + 1) % key->size;
        key->n--;
    }
    if (calls && (int64_t)key->n >= calls) {
        int64_t left_us = window_us - (now_us - key->log[key->first]);
        *ret = (left_us + 999999) / 1000000;
        limit_refuse(key, now_us, *ret);
        return false;
    }
    if (calls)
        log_add(key, now_us);
    key->accepted++;
    key->last_refused = false;
    *ret = calls ? calls - (int64_t)key->n : -1;
    return true;
}

void limit_write(const struct limit *limit, struct out *out)
{
    struct limit_key sum = {0};
    for (size_t i = 0; i < limit->list.n; i++) {
        const struct limit_key *key = limit->list.items[i];
        sum.accepted += key->accepted;
        sum.refused += key->refused;
        sum.refused_again += key->refused_again;
        sum.refused_early += key->refused_early;
    }
    out_int(out, "accepted", sum.accepted);
    out_int(out, "refused", sum.refused);
    out_int(out, "refused_again", sum.refused_again);
    out_int(out, "refused_early", sum.refused_early);
    out_int(out, "unauthorized", limit->unauthorized);
    out_int(out, "unknown_key", limit->unknown);
}

void limit_reset(struct limit *limit)
{
    for (size_t i = 0; i < limit->list.n; i++) {
        struct limit_key *key = limit->list.items[i];
        key->accepted = key->refused = key->refused_again = key->refused_early = 0;
        key->last_refused = false;
    }
    limit->unauthorized = limit->unknown = 0;
}
