/* observe_log.h - in mode observe, one line for each task that a pass would have moved.
 *
 * A task is logged once, and again when its stage or its verdict has changed. In-memory only; after a restart
 * each is logged once more. The sweeper's thread alone.
 */
#ifndef RECONCILED_OBSERVE_LOG_H
#define RECONCILED_OBSERVE_LOG_H

struct observe_log;
struct report;

struct observe_log *observe_log_new(void);
void observe_log_free(struct observe_log *log);

/* observe_log_pass: the report of a pass that was made in mode observe and was no dry run. */
void observe_log_pass(struct observe_log *log, const struct report *report);

#endif
