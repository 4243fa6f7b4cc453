/* rest.h - tasks that were looked at and did not turn green are looked at less and less often.
 *
 * In-memory optimisation only; losing it on restart is harmless. A task rests half an interval after the
 * first look (so it is not skipped), then twice as long each time, up to a cap; another stage or another head
 * sha starts over. Forced passes ignore it. One thread.
 */
#ifndef RECONCILED_REST_H
#define RECONCILED_REST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rest;

struct rest *rest_new(void);
void rest_free(struct rest *rest);

enum rest_kind {
    REST_RED,    /* grows to 10 intervals */
    REST_UNKNOWN /* grows to the longer of the interval and 60 s; a part of it by chance, so that tasks that
                    fail do not all return in the same pass */
};

/* rest_note: the task was looked at and stays where it is. `sha` may be NULL. */
void rest_note(struct rest *rest, int64_t task_id, const char *stage, const char *sha, enum rest_kind kind,
               int64_t interval_ms, int64_t now_ms);

/* rest_is_unknown: the task's newest look was REST_UNKNOWN. */
bool rest_is_unknown(const struct rest *rest, int64_t task_id);

/* rest_forget: the task moved. */
void rest_forget(struct rest *rest, int64_t task_id);

/* rest_list: the tasks that rest at now_ms, ascending; drops what has not been looked at for very long (it
 * moved on by itself). Caller frees *ret_ids. */
void rest_list(struct rest *rest, int64_t now_ms, int64_t **ret_ids, size_t *ret_n);

#endif
