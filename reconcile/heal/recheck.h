/* recheck.h - tasks that were looked at and did not turn green are looked at less and less often; and what
 * was seen of each task last.
 *
 * In-memory optimisation only; losing it on restart is harmless. A task rests half an interval after the
 * first look (so it is not skipped), then twice as long each time, up to a cap; another stage or another head
 * sha starts over. Forced passes ignore it. Thread-safe: explain reads what the passes leave.
 */
#ifndef RECONCILED_RECHECK_H
#define RECONCILED_RECHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconcile/heal/pass_request.h"

struct recheck;

struct recheck *recheck_new(void);
void recheck_free(struct recheck *recheck);

enum recheck_cause {
    RECHECK_RED,    /* grows to 10 intervals */
    RECHECK_UNKNOWN /* grows to the longer of the interval and 60 s; part of it random, so that tasks that
                       fail do not all return in the same pass */
};

/* recheck_later: the task was looked at and stays where it is. `sha` may be NULL. */
void recheck_later(struct recheck *recheck, int64_t task_id, const char *stage, const char *sha,
                   enum recheck_cause cause, int64_t interval_ms, int64_t now_ms);

/* recheck_is_unknown: the task's newest look was RECHECK_UNKNOWN. */
bool recheck_is_unknown(struct recheck *recheck, int64_t task_id);

/* recheck_at: the time, by clock_mono_ms(), until which the timer's passes leave the task out; 0: they do not
 * leave it out. */
int64_t recheck_at(struct recheck *recheck, int64_t task_id);

/* What a pass of this process saw of a task last. */
struct recheck_look {
    int64_t at_us; /* by the database's clock */
    enum outcome outcome;
    char verdict[8];  /* "" when there was none */
    char reason[256]; /* cut to what fits */
};
/* recheck_saw: keeps the item as the newest look at its task; an item without a task is not kept. Looks are
 * at most LIMIT_RECHECKS; one gives way to that of another task whose id differs by a multiple of it.
 * recheck_last: the newest look at the task, if the task still stands where that look left it. */
struct report_item;
void recheck_saw(struct recheck *recheck, const struct report_item *item, int64_t at_us);
bool recheck_last(struct recheck *recheck, int64_t task_id, const char *stage, struct recheck_look *ret);

/* recheck_forget: the task moved. */
void recheck_forget(struct recheck *recheck, int64_t task_id);

/* recheck_waiting: the tasks that recheck at now_ms, ascending; drops tasks that no pass has looked at for
 * very long, because they moved without a heal. Caller frees *ret_ids. */
void recheck_waiting(struct recheck *recheck, int64_t now_ms, int64_t **ret_ids, size_t *ret_n);

#endif
