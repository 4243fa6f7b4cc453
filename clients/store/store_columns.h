/* store_columns.h - the rules that columns of the orchestrator's tables must meet, for both databases.
 * Private to clients/store.
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
    const char *must; /* its condition in SQL_COLUMNS: "is_integer", "is_uuid", … */
};
/* tasks.id is filled in by the database in a new row. */
extern const struct column_rule column_ids_filled;

/* columns_list: the parameter of SQL_COLUMNS; caller releases. columns_check: checks its rows and releases
 * them. ERR_UNAVAILABLE: `why` names table, column, its type and what it must be. A column that does not
 * exist has no row. */
json_t *columns_list(const struct column_rule *rules, size_t n);
ATTR_NODISCARD enum err columns_check(struct store_rows rows, const struct column_rule *rules, size_t n,
                                      struct why *why);
/* columns_ready: every column that there is a rule for. */
ATTR_NODISCARD enum err columns_ready(struct store *store, struct why *why);

/* Shorter texts cannot be UUIDs and are not counted below. */
#define UUID_TEXT_MIN 20

/* plane_ids_check: reads tasks.plane_id of the `limit` newest rows. ERR_UNAVAILABLE if there is a UUID in a
 * form that this program's statements would not find, or if there are long texts and no UUID at all. A single
 * text that is no UUID belongs to no issue and affects only its own task. *ret_form: the form of the newest
 * UUID; if there is none, a form that fits into the column. */
ATTR_NODISCARD enum err plane_ids_check(struct store *store, size_t limit, struct uuid_form *ret_form,
                                        struct why *why);

#endif
