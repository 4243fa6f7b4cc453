/* store_schema.h - creates missing tables. Private to clients/store.
 *
 * A table is created together with its indexes. An existing table or view of the orchestrator is not changed,
 * and gets no index: building one blocks writers, and the schema belongs to the orchestrator. This program's
 * own tables, whose names begin with reconcile_, may get new indexes, and new columns that are null in
 * existing rows, so that an older version of this program can run beside this one. Their version is in
 * reconcile_schema.
 */
#ifndef RECONCILED_STORE_SCHEMA_H
#define RECONCILED_STORE_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include "clients/base/err.h"
#include "clients/store/store_rows.h"

/* A database's schema.sql, and one connection of it. */
struct schema {
    const char *sql;
    size_t len;
    void *conn;
    struct store_rows (*query)(void *conn, unsigned which, struct store_params params, struct why *why);
    enum err (*run)(void *conn, const char *sql, struct why *why);
};

/* schema_is_complete: whether nothing is missing. schema_complete: creates what is missing; call it within a
 * transaction. *ret_created: number of tables. Both: ERR_UNAVAILABLE for tables of a later version. */
ATTR_NODISCARD enum err schema_is_complete(const struct schema *schema, bool *ret_complete, struct why *why);
ATTR_NODISCARD enum err schema_complete(const struct schema *schema, size_t *ret_created, struct why *why);

/* schema_is_newer: tables of this version are of a later version than this program. */
bool schema_is_newer(int64_t version);

/* schema_version_check: checks the rows of SQL_SCHEMA_VERSION and releases them. */
ATTR_NODISCARD enum err schema_version_check(struct store_rows rows, int64_t *ret_version, struct why *why);

/* schema_probe: a statement that names every table and column, so that it can be prepared only if all of them
 * exist. Caller frees. */
char *schema_probe(const char *sql, size_t len);

/* schema_missing: after the statement of schema_probe failed: adds every missing table and column to `why`,
 * with the statements that add the columns, or the command that creates the tables. Returns `failed`. */
ATTR_NODISCARD enum err schema_missing(const struct schema *schema, enum err failed, struct why *why);

#endif
