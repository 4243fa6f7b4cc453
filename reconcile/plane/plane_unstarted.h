/* plane_unstarted.h - starts that this process began and has not finished: their tasks are there, at the
 * first stage and without a job, because a branch could not be made or something else came in between.
 *
 * Such a task need not rest for its grace, which is there for tasks that others have just made: the next pass
 * tries again. After a failure it is tried when a growing pause is over: at most the current interval or
 * LIMIT_FAILURE_REST_MS, whichever is longer. Forced passes try at once. Tasks that others made are kept here
 * after a failure too, so that they pause.
 *
 * In-memory only; after a restart a task that was made and not started rests for its grace. Thread-safe: the
 * sweeper's thread writes, explain reads. Times are those of clock_mono_ms().
 */
#ifndef RECONCILED_PLANE_UNSTARTED_H
#define RECONCILED_PLANE_UNSTARTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct plane_unstarted;
struct store_task;

struct plane_unstarted *plane_unstarted_new(void);
/* plane_unstarted_free: NULL is fine. */
void plane_unstarted_free(struct plane_unstarted *unstarted);

/* plane_unstarted_begun: the task of this issue was made. Beyond LIMIT_UNSTARTED it is not kept. */
void plane_unstarted_begun(struct plane_unstarted *unstarted, const char *plane_id);
/* plane_unstarted_failed: its start failed, for the reason in `error`. */
void plane_unstarted_failed(struct plane_unstarted *unstarted, const struct store_task *task,
                            const char *error, int64_t now_ms);
/* plane_unstarted_ended: the task has left the first stage, moved by this process or another. */
void plane_unstarted_ended(struct plane_unstarted *unstarted, const struct store_task *task);

/* plane_unstarted_due: the issues whose tasks are due now, or all (`forced`). Caller frees each and *ret.
 * plane_unstarted_keep: drops those of `due` that are not among `tasks`, because they have left the first
 * stage. */
size_t plane_unstarted_due(struct plane_unstarted *unstarted, bool forced, int64_t interval_ms,
                           int64_t now_ms, char ***ret);
void plane_unstarted_keep(struct plane_unstarted *unstarted, char *const *due, size_t n_due,
                          const struct store_task *tasks, size_t n_tasks);

/* plane_unstarted_get: what is known of the task's start; false: nothing. */
struct plane_unstarted_start {
    unsigned failures;
    int64_t retry_ms; /* the timer does not try before this; 0: no pause */
    char error[200];  /* of the newest failure; "" when there was none */
};
bool plane_unstarted_get(struct plane_unstarted *unstarted, const struct store_task *task,
                         int64_t interval_ms, struct plane_unstarted_start *ret);

/* plane_unstarted_count: how many there are. *ret_error: the newest failure, or NULL; caller frees it. */
size_t plane_unstarted_count(struct plane_unstarted *unstarted, char **ret_error);

#endif
