#include "clients/http/upstream_health.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "clients/base/err.h"
#include "clients/base/text.h"
#include "clients/base/wait.h"

struct part {
    TAILQ_ENTRY(part) link;
    char *name;
    int64_t used_ms;                 /* the newest call, or wish for one */
    int64_t worked_ms, failed_ms;    /* the newest of each; UPSTREAM_NEVER */
    uint64_t failed_at;              /* in the order of all records */
    unsigned failures;               /* in a row; 0: the newest call succeeded */
    unsigned silent;                 /* in a row; no more than `failures` */
    int64_t retry_ms;                /* while it backs off */
    unsigned backoffs;               /* so many in a row before this one */
    bool trying;                     /* the one call that may go when a back-off is over is under way */
    bool wanted_down;                /* its newest call was wished for while the host was down, … */
    uint64_t wanted_at;              /* … after so many records */
    int64_t since_us;                /* of the first of `failures` */
    char error[UPSTREAM_ERROR_SIZE]; /* of the last of them */
};

struct upstream_health {
    atomic_size_t refs;
    pthread_mutex_t lock;          /* guards the rest */
    TAILQ_HEAD(parts, part) parts; /* the one used last is first */
    size_t n_parts;
    uint64_t records, worked_at; /* how many so far; which the newest success was */
    bool down;
    bool shown_ok;
    int64_t shown_since_us;
    char error[UPSTREAM_ERROR_SIZE]; /* of the newest failure of any part */
};

struct upstream_health *upstream_health_new(void)
{
    struct upstream_health *health = mem_zero(1, sizeof *health);
    atomic_init(&health->refs, 1);
    pthread_mutex_init(&health->lock, NULL);
    TAILQ_INIT(&health->parts);
    health->shown_ok = true;
    return health;
}

static void part_forget(struct upstream_health *health, struct part *part)
{
    TAILQ_REMOVE(&health->parts, part, link);
    health->n_parts--;
    free(part->name);
    free(part);
}

struct upstream_health *upstream_health_ref(struct upstream_health *health)
{
    if (health)
        atomic_fetch_add(&health->refs, 1);
    return health;
}

void upstream_health_free(struct upstream_health *health)
{
    if (!health || atomic_fetch_sub(&health->refs, 1) != 1)
        return;
    struct part *part, *next;
    for (part = TAILQ_FIRST(&health->parts); part; part = next) {
        next = TAILQ_NEXT(part, link);
        part_forget(health, part);
    }
    pthread_mutex_destroy(&health->lock);
    free(health);
}

static struct part *part_find(struct upstream_health *health, const char *name)
{
    struct part *part;
    TAILQ_FOREACH(part, &health->parts, link)
    if (strcmp(part->name, name ? name : "") == 0)
        break;
    return part;
}

static struct part *part_use(struct upstream_health *health, const char *name, int64_t now_ms)
{
    struct part *part = part_find(health, name);
    if (part) {
        TAILQ_REMOVE(&health->parts, part, link);
    } else {
        if (health->n_parts >= UPSTREAM_PARTS_KEPT)
            part_forget(health, TAILQ_LAST(&health->parts, parts));
        part = mem_zero(1, sizeof *part);
        part->name = mem_dup(name ? name : "");
        part->worked_ms = part->failed_ms = UPSTREAM_NEVER;
        health->n_parts++;
    }
    TAILQ_INSERT_HEAD(&health->parts, part, link);
    part->used_ms = now_ms;
    return part;
}

static bool is_in_use(const struct part *part, int64_t now_ms)
{
    return now_ms - part->used_ms < UPSTREAM_WINDOW_MS;
}

/* Counts of parts in use: all; those with a call; those whose newest call failed; of these, those that failed
 * after the host's newest success. */
struct tally {
    size_t used, known, failing, counting;
};

static struct tally tally_of(const struct upstream_health *health, int64_t now_ms)
{
    struct tally tally = {0};
    const struct part *part;
    TAILQ_FOREACH(part, &health->parts, link)
    {
        if (!is_in_use(part, now_ms))
            break; /* the parts are in the order of their use */
        tally.used++;
        tally.known += part->failures || part->worked_ms != UPSTREAM_NEVER;
        if (part->failures == 0)
            continue;
        tally.failing++;
        if (part->failed_at > health->worked_at && now_ms - part->failed_ms < UPSTREAM_WINDOW_MS)
            tally.counting++;
    }
    return tally;
}

static bool shows_ok(const struct upstream_health *health, const struct tally *tally)
{
    return !health->down && (tally->failing == 0 || tally->failing < tally->known);
}

/* While no part is in use, what was seen last stays. */
static void shown_update(struct upstream_health *health, int64_t now_ms)
{
    struct tally tally = tally_of(health, now_ms);
    if (tally.known == 0)
        return;
    bool ok = shows_ok(health, &tally);
    if (ok == health->shown_ok && health->shown_since_us)
        return;
    health->shown_ok = ok;
    health->shown_since_us = clock_wall_us();
}

static void retry_set(struct part *part, int64_t now_ms)
{
    part->retry_ms = now_ms + backoff_ms(UPSTREAM_BACKOFF_FIRST_MS, UPSTREAM_BACKOFF_MAX_MS, part->backoffs);
}

/* A call that was sent before the back-off began, and fails during it, does not make it longer. */
static void part_backs_off(struct part *part, int64_t now_ms)
{
    if (part->retry_ms == 0)
        part->backoffs = 0;
    else if (part->trying || now_ms >= part->retry_ms)
        part->backoffs++;
    else
        return;
    part->trying = false;
    retry_set(part, now_ms);
}

bool upstream_health_record(struct upstream_health *health, const char *name, enum upstream_result result,
                            const char *error, int64_t now_ms)
{
    pthread_mutex_lock(&health->lock);
    struct part *part = part_use(health, name, now_ms);
    health->records++;
    if (result == UPSTREAM_WORKED) {
        part->failures = part->silent = 0;
        part->retry_ms = 0;
        part->trying = false;
        part->error[0] = '\0';
        part->worked_ms = now_ms;
        health->worked_at = health->records;
        health->down = false;
    } else {
        if (part->failures++ == 0)
            part->since_us = clock_wall_us();
        part->silent = result == UPSTREAM_SILENT ? part->silent + 1 : 0;
        part->failed_ms = now_ms;
        /* A call that was wanted while the host was down, and fails after another call has succeeded, does
         * not make the host down again: the pass that found it up goes on. */
        part->failed_at = part->wanted_down ? part->wanted_at : health->records;
        AUTO_FREE char *cut = text_cut(error ? error : "failed", sizeof part->error - 1);
        snprintf(part->error, sizeof part->error, "%s", cut);
        memcpy(health->error, part->error, sizeof health->error);
        if (part->failures >= UPSTREAM_FAILURES_IN_A_ROW)
            part_backs_off(part, now_ms);
        struct tally tally = tally_of(health, now_ms);
        if (tally.counting >= UPSTREAM_PARTS_DOWN || (tally.used == 2 && tally.counting == 2))
            health->down = true;
    }
    shown_update(health, now_ms);
    bool ok = health->shown_ok;
    pthread_mutex_unlock(&health->lock);
    return ok;
}

enum upstream_permit upstream_health_permit(struct upstream_health *health, const char *name, bool forced,
                                            int64_t now_ms)
{
    enum upstream_permit permit = UPSTREAM_ASK;
    pthread_mutex_lock(&health->lock);
    struct part *part = part_use(health, name, now_ms);
    if (health->down) {
        permit = UPSTREAM_DOWN;
    } else if (part->retry_ms && !forced) {
        if (now_ms < part->retry_ms) {
            permit = UPSTREAM_BACKING_OFF;
        } else { /* this one tries; the others wait as long again */
            part->trying = true;
            retry_set(part, now_ms);
        }
    }
    pthread_mutex_unlock(&health->lock);
    return permit;
}

void upstream_health_want(struct upstream_health *health, const char *name, int64_t now_ms)
{
    pthread_mutex_lock(&health->lock);
    struct part *part = part_use(health, name, now_ms);
    part->wanted_down = health->down;
    part->wanted_at = health->records;
    pthread_mutex_unlock(&health->lock);
}

bool upstream_health_is_down(struct upstream_health *health)
{
    pthread_mutex_lock(&health->lock);
    bool down = health->down;
    pthread_mutex_unlock(&health->lock);
    return down;
}

void upstream_health_part(struct upstream_health *health, const char *name, struct upstream_part *ret)
{
    *ret = (struct upstream_part){.worked_ms = UPSTREAM_NEVER, .failed_ms = UPSTREAM_NEVER};
    pthread_mutex_lock(&health->lock);
    const struct part *part = part_find(health, name);
    if (part) {
        ret->worked_ms = part->worked_ms;
        ret->failed_ms = part->failed_ms;
        ret->retry_ms = part->retry_ms;
        ret->failures = part->failures;
        ret->silent = part->silent;
        memcpy(ret->error, part->error, sizeof ret->error);
    }
    pthread_mutex_unlock(&health->lock);
}

static int newest_failure_first(const void *a, const void *b)
{
    const struct part *left = *(const struct part *const *)a, *right = *(const struct part *const *)b;
    return (left->failed_at < right->failed_at) - (left->failed_at > right->failed_at);
}

/* The failing parts in use, newest failure first. Called with the lock held; caller frees. */
static const struct part **failing_parts(struct upstream_health *health, int64_t now_ms, size_t *ret_n)
{
    const struct part **parts = mem_zero(health->n_parts + 1, sizeof(struct part *)), *part;
    size_t n = 0;
    TAILQ_FOREACH(part, &health->parts, link)
    if (is_in_use(part, now_ms) && part->failures)
        parts[n++] = part;
    qsort(parts, n, sizeof(struct part *), newest_failure_first);
    *ret_n = n;
    return parts;
}

void upstream_health_view(struct upstream_health *health, int64_t now_ms, struct upstream_view *ret)
{
    *ret = (struct upstream_view){0};
    pthread_mutex_lock(&health->lock);
    if (health->shown_since_us)
        shown_update(health, now_ms);
    ret->ok = health->shown_ok;
    ret->down = health->down;
    ret->since_us = health->shown_since_us;
    const struct part **parts = failing_parts(health, now_ms, &ret->failing);
    for (size_t i = 0; i < ret->failing; i++)
        ret->in_a_row = parts[i]->failures > ret->in_a_row ? parts[i]->failures : ret->in_a_row;
    if (!ret->ok)
        memcpy(ret->error, health->error, sizeof ret->error);
    pthread_mutex_unlock(&health->lock);
    free(parts);
}

size_t upstream_health_failing(struct upstream_health *health, int64_t now_ms, struct upstream_failing *ret,
                               size_t max)
{
    size_t n;
    pthread_mutex_lock(&health->lock);
    const struct part **parts = failing_parts(health, now_ms, &n);
    for (size_t i = 0; i < n && i < max; i++) {
        snprintf(ret[i].part, sizeof ret[i].part, "%.*s", (int)sizeof ret[i].part - 1, parts[i]->name);
        memcpy(ret[i].error, parts[i]->error, sizeof ret[i].error);
        ret[i].since_us = parts[i]->since_us;
    }
    pthread_mutex_unlock(&health->lock);
    free(parts);
    return n < max ? n : max;
}
