/* reports.h - the newest pass reports of this process, bounded in number and bytes. Thread-safe. */
#ifndef RECONCILED_REPORTS_H
#define RECONCILED_REPORTS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct reports;

struct reports *reports_new(void);
void reports_free(struct reports *reports);

/* reports_put: keeps the report, in place of an older one with its id. Beyond LIMIT_PASSES_KEPT the oldest
 * go; beyond LIMIT_REPORTS_BYTES the oldest lose their items. */
void reports_put(struct reports *reports, const json_t *report);

/* reports_get: by id, or NULL. reports_list: the newest first, those that started before before_us (0: from
 * the newest), without items. Caller owns what is returned. */
json_t *reports_get(struct reports *reports, const char *id);
json_t *reports_list(struct reports *reports, int64_t before_us, size_t limit);

#endif
