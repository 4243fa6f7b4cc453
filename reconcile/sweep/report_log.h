/* report_log.h - the reports of passes that are over, as GET /reconcile/runs shows them. Thread-safe.
 *
 * The database keeps the reports that pass_save stores. The newest of those that are not stored (dry runs,
 * the timer's passes that moved nothing, passes that failed) are in this process's memory alone.
 */
#ifndef RECONCILED_REPORT_LOG_H
#define RECONCILED_REPORT_LOG_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"

struct report;
struct report_log;
struct store;

/* report_log_new: with nothing in memory. `store` must outlive it. */
struct report_log *report_log_new(struct store *store);
void report_log_free(struct report_log *reports);

/* report_log_place: the position of a report that began at started_us in the order of all reports: after the
 * newest that is stored or was placed before, even when the clock was set back. The first call reads the
 * database. report_log_put: keeps a report that is not stored. Beyond LIMIT_PASSES_KEPT the oldest go; beyond
 * LIMIT_REPORTS_BYTES the oldest lose their items. */
int64_t report_log_place(struct report_log *reports, int64_t started_us);
void report_log_put(struct report_log *reports, const struct report *report);

/* report_log_get: the text of a report (report_text), by its id; ERR_NOT_FOUND. Caller frees *ret. */
ATTR_NODISCARD enum err report_log_get(struct report_log *reports, const char *id, char **ret,
                                       struct why *why);

/* report_log_page: {"items":[…],"next":"…"|null}: the newest first, without their items, at most `limit` of
 * those placed before before_us (0: from the newest). `next` is the before_us of the next page, or
 * null. Caller owns *ret. */
ATTR_NODISCARD enum err report_log_page(struct report_log *reports, int64_t before_us, size_t limit,
                                        json_t **ret, struct why *why);

#endif
