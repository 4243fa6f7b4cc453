/* store_columns.h - what columns of the orchestrator's tables must be, for both databases. Private to
 * clients/store.
 */
#ifndef RECONCILED_STORE_COLUMNS_H
#define RECONCILED_STORE_COLUMNS_H

#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"
#include "clients/base/text.h"
#include "clients/store/store_rows.h"

struct column_rule {
    const char *table, *column;
    const char *must; /* its condition in SQL_COLUMNS: "is_integer", "is_uuid", "is_filled" */
};
/* tasks.id is filled in by the database in a new row. */
extern const struct column_rule column_ids_filled;

/* columns_list: what SQL_COLUMNS takes; caller releases. columns_check: by its rows, which it releases:
 * ERR_UNAVAILABLE, naming table, column, what it is and what would be right. Columns that are not there have
 * no row. */
json_t *columns_list(const struct column_rule *rules, size_t n);
ATTR_NODISCARD enum err columns_check(struct store_rows rows, const struct column_rule *rules, size_t n,
                                      struct why *why);
/* columns_ready: every column that there is a rule for. */
ATTR_NODISCARD enum err columns_ready(struct store *store, struct why *why);

/* In fewer characters that can be printed, no UUID can be written: such a text counts nowhere below. */
#define UUID_TEXT_MIN 20

/* plane_ids_check: looks at what tasks.plane_id holds in so many of the newest rows. ERR_UNAVAILABLE when a
 * UUID stands there that we would not find, or long texts and not one UUID among them. A single text that is
 * no UUID is of no issue and costs its own task alone. *ret_form: of the newest UUID; without one, what the
 * column has room for. */
ATTR_NODISCARD enum err plane_ids_check(struct store *store, size_t limit, struct uuid_form *ret_form,
                                        struct why *why);

#endif
