/* store_schema.h - the tables, made where they are missing. Private to clients/store.
 *
 * A table comes with its indexes or not at all. A table or view of the orchestrator's that is there is left
 * as it is, indexes included: building one locks out its writers, and its schema is the orchestrator's. Ours,
 * whose names begin with reconcile_, may gain indexes, and columns that are null in the rows that are there,
 * so that an older program beside this one goes on; what version they are of stands in reconcile_schema.
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

/* schema_is_complete: whether schema_complete would have nothing to make. schema_complete: makes it; within
 * a transaction. *created: number of tables. Both: ERR_UNAVAILABLE for tables of a later version. */
ATTR_NODISCARD enum err schema_is_complete(const struct schema *schema, bool *ret_complete, struct why *why);
ATTR_NODISCARD enum err schema_complete(const struct schema *schema, size_t *ret_created, struct why *why);

/* schema_version_check: by the rows of SQL_SCHEMA_VERSION, which it releases. */
ATTR_NODISCARD enum err schema_version_check(struct store_rows rows, int64_t *ret_version, struct why *why);

/* schema_probe: a statement that names every table and column; it can be prepared where all of them are
 * there. Caller frees. */
char *schema_probe(const char *sql, size_t len);

#endif
