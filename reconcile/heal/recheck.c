#include "reconcile/heal/recheck.h"

#include <pthread.h>
#include <search.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/base/wait.h"
#include "reconcile/heal/report.h"

struct resting {
    int64_t task_id;
    int64_t until_ms;
    unsigned looks; /* at this stage and sha */
    enum recheck_cause cause;
    char stage[65];
    char sha[65];
};

struct seen {
    int64_t task_id;
    char stage[65]; /* where the look left it */
    struct recheck_look look;
};

struct recheck {
    pthread_mutex_t lock;              /* guards all that follows */
    struct seen *seen[LIMIT_RECHECKS]; /* by task_id, modulo their number */
    void *tree;                        /* of struct resting, by task_id; see tsearch(3) */
    size_t n;
};

/* An entry whose recheck was due this long ago belongs to a task that is no candidate any more. */
enum { CAP_RED = 10, CAP_UNKNOWN_MS = 60000, STALE_MS = 24 * 3600 * 1000 };

static int compare(const void *a, const void *b)
{
    int64_t left = ((const struct resting *)a)->task_id, right = ((const struct resting *)b)->task_id;
    return (left > right) - (left < right);
}

struct recheck *recheck_new(void)
{
    struct recheck *recheck = mem_zero(1, sizeof *recheck);
    pthread_mutex_init(&recheck->lock, NULL);
    return recheck;
}

void recheck_free(struct recheck *recheck)
{
    if (!recheck)
        return;
    tdestroy(recheck->tree, free);
    for (size_t i = 0; i < ARRAY_LEN(recheck->seen); i++)
        free(recheck->seen[i]);
    pthread_mutex_destroy(&recheck->lock);
    free(recheck);
}

static bool text_moved(char *kept, size_t size, const char *now)
{
    if (strncmp(kept, now, size - 1) == 0)
        return false;
    strncpy(kept, now, size - 1);
    return true;
}

static struct resting *resting_of(const struct recheck *recheck, int64_t task_id)
{
    const struct resting key = {.task_id = task_id};
    void *found = tfind(&key, &recheck->tree, compare);
    return found ? *(struct resting **)found : NULL;
}

/* A number below `bound` that differs for each task and each evaluation. */
static int64_t spread(int64_t task_id, unsigned look, int64_t bound)
{
    uint64_t x = ((uint64_t)task_id + look) * 0x9e3779b97f4a7c15u;
    return bound > 0 ? (int64_t)((x ^ x >> 32) % (uint64_t)bound) : 0;
}

static struct resting *resting_made(struct recheck *recheck, int64_t task_id)
{
    struct resting *entry = resting_of(recheck, task_id);
    if (entry || recheck->n >= LIMIT_RECHECKS)
        return entry;
    entry = mem_zero(1, sizeof *entry);
    entry->task_id = task_id;
    if (!tsearch(entry, &recheck->tree, compare))
        abort();
    recheck->n++;
    return entry;
}

static void put_off(struct resting *entry, const char *stage, const char *sha, enum recheck_cause cause,
                    int64_t interval_ms, int64_t now_ms)
{
    bool other_stage = text_moved(entry->stage, sizeof entry->stage, stage);
    bool other_sha = text_moved(entry->sha, sizeof entry->sha, sha ? sha : "");
    if (other_stage || other_sha)
        entry->looks = 0;
    entry->cause = cause;
    int64_t cap_ms = cause == RECHECK_RED           ? CAP_RED * interval_ms
                     : interval_ms > CAP_UNKNOWN_MS ? interval_ms
                                                    : CAP_UNKNOWN_MS;
    int64_t recheck_ms = backoff_ms(interval_ms / 2, cap_ms, entry->looks++);
    if (cause == RECHECK_UNKNOWN)
        recheck_ms -= spread(entry->task_id, entry->looks, recheck_ms / 4);
    entry->until_ms = now_ms + recheck_ms;
}

void recheck_later(struct recheck *recheck, int64_t task_id, const char *stage, const char *sha,
                   enum recheck_cause cause, int64_t interval_ms, int64_t now_ms)
{
    pthread_mutex_lock(&recheck->lock);
    struct resting *entry = resting_made(recheck, task_id);
    if (entry)
        put_off(entry, stage, sha, cause, interval_ms, now_ms);
    pthread_mutex_unlock(&recheck->lock);
}

bool recheck_is_unknown(struct recheck *recheck, int64_t task_id)
{
    pthread_mutex_lock(&recheck->lock);
    const struct resting *entry = resting_of(recheck, task_id);
    bool unknown = entry && entry->cause == RECHECK_UNKNOWN;
    pthread_mutex_unlock(&recheck->lock);
    return unknown;
}

int64_t recheck_at(struct recheck *recheck, int64_t task_id)
{
    pthread_mutex_lock(&recheck->lock);
    const struct resting *entry = resting_of(recheck, task_id);
    int64_t until_ms = entry ? entry->until_ms : 0;
    pthread_mutex_unlock(&recheck->lock);
    return until_ms;
}

static void forget(struct recheck *recheck, int64_t task_id)
{
    const struct resting key = {.task_id = task_id};
    void *found = tfind(&key, &recheck->tree, compare);
    if (!found)
        return;
    struct resting *entry = *(struct resting **)found;
    tdelete(&key, &recheck->tree, compare);
    free(entry);
    recheck->n--;
}

void recheck_forget(struct recheck *recheck, int64_t task_id)
{
    pthread_mutex_lock(&recheck->lock);
    forget(recheck, task_id);
    pthread_mutex_unlock(&recheck->lock);
}

struct listing {
    int64_t now_ms;
    int64_t *resting, *stale;
    size_t n_resting, n_stale;
};

static void list_entry(const void *node, VISIT visit, void *arg)
{
    if (visit != postorder && visit != leaf)
        return;
    struct listing *listing = arg;
    const struct resting *entry = *(const struct resting *const *)node;
    if (entry->until_ms > listing->now_ms)
        listing->resting[listing->n_resting++] = entry->task_id;
    else if (listing->now_ms - entry->until_ms > STALE_MS)
        listing->stale[listing->n_stale++] = entry->task_id;
}

void recheck_waiting(struct recheck *recheck, int64_t now_ms, int64_t **ret_ids, size_t *ret_n)
{
    pthread_mutex_lock(&recheck->lock);
    struct listing listing = {
        .now_ms = now_ms,
        .resting = mem_zero(recheck->n, sizeof(int64_t)),
        .stale = mem_zero(recheck->n, sizeof(int64_t)),
    };
    twalk_r(recheck->tree, list_entry, &listing);
    for (size_t i = 0; i < listing.n_stale; i++)
        forget(recheck, listing.stale[i]);
    pthread_mutex_unlock(&recheck->lock);
    free(listing.stale);
    *ret_ids = listing.resting;
    *ret_n = listing.n_resting;
}

/* the newest looks */

static struct seen **seen_place(struct recheck *recheck, int64_t task_id)
{
    return &recheck->seen[(uint64_t)task_id % ARRAY_LEN(recheck->seen)];
}

static void text_copy(char *ret, size_t size, const char *text)
{
    AUTO_FREE char *cut = text_cut(text ? text : "", size - 1);
    memcpy(ret, cut, strlen(cut) + 1);
}

static bool outcome_moves(enum outcome outcome)
{
    return outcome == OUTCOME_ADVANCED || outcome == OUTCOME_STARTED || outcome == OUTCOME_APPROVED ||
           outcome == OUTCOME_REJECTED;
}

void recheck_saw(struct recheck *recheck, const struct report_item *item, int64_t at_us)
{
    if (item->task_id == 0)
        return;
    struct seen now = {.task_id = item->task_id, .look = {.at_us = at_us, .outcome = item->outcome}};
    text_copy(now.stage, sizeof now.stage, outcome_moves(item->outcome) ? item->to_stage : item->stage);
    text_copy(now.look.verdict, sizeof now.look.verdict, item->verdict);
    text_copy(now.look.reason, sizeof now.look.reason, item->reason);
    pthread_mutex_lock(&recheck->lock);
    struct seen **place = seen_place(recheck, item->task_id);
    if (!*place)
        *place = mem_zero(1, sizeof **place);
    **place = now;
    pthread_mutex_unlock(&recheck->lock);
}

bool recheck_last(struct recheck *recheck, int64_t task_id, const char *stage, struct recheck_look *ret)
{
    char at[sizeof((struct seen *)NULL)->stage];
    text_copy(at, sizeof at, stage);
    pthread_mutex_lock(&recheck->lock);
    const struct seen *seen = *seen_place(recheck, task_id);
    bool found = seen && seen->task_id == task_id && strcmp(seen->stage, at) == 0;
    if (found)
        *ret = seen->look;
    pthread_mutex_unlock(&recheck->lock);
    return found;
}
