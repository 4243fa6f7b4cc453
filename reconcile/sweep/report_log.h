/* report_log.h - the newest pass reports of this process, bounded in number and bytes. Thread-safe. */
#ifndef RECONCILED_REPORT_LOG_H
#define RECONCILED_REPORT_LOG_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct report;
struct report_log;

struct report_log *report_log_new(void);
void report_log_free(struct report_log *reports);

/* report_log_put: keeps the report of a pass that is over. Beyond LIMIT_PASSES_KEPT the oldest
 * go; beyond LIMIT_REPORTS_BYTES the oldest lose their items. */
void report_log_put(struct report_log *reports, const struct report *report);

/* report_log_get: by id, or NULL. report_log_list: the newest first, those that started before before_us (0:
 * from the newest), without items. Caller owns what is returned. */
json_t *report_log_get(struct report_log *reports, const char *id);
json_t *report_log_list(struct report_log *reports, int64_t before_us, size_t limit);

#endif
