/* The tables, made within one transaction, and whether all of them are there. */
#include "clients/store/sqlite/store_sqlite.h"

#include "clients/base/embedded.h"
#include "clients/store/store_schema.h"

/* creating what is missing */

static struct store_rows query(void *conn, unsigned which, struct store_params params, struct why *why)
{
    return sqlite_query(conn, which, params, why);
}

static enum err run(void *conn, const char *sql, struct why *why)
{
    int rc = sqlite3_exec(sqlite_handle(conn), sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? ERR_OK : sqlite_failure(conn, why);
}

/* For a file without a page the journal mode may be set: the file is new, or the process that made it crashed
 * before it wrote. If another process is writing the file at this moment, that is no failure: that process
 * decides. */
static enum err shape_new_file(struct sqlite_conn *conn, struct why *why)
{
    size_t pages;
    enum err err = sqlite_run(conn, SQL_PAGES, NO_PARAMS, &pages, why);
    if (err || pages > 0)
        return err;
    err = run(conn, "PRAGMA journal_mode = WAL", why);
    return err == ERR_TIMEOUT ? ERR_OK : err;
}

enum err sqlite_migrate(struct store *store, size_t *ret_created, struct why *why)
{
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    bool whole;
    size_t created = 0;
    enum err err = sqlite_take(store, SQLITE_USE_MIGRATE, &conn, why);
    const struct schema schema = {embedded_schema_sqlite, embedded_schema_sqlite_len, conn, query, run};
    if (err || (err = shape_new_file(conn, why)) || (err = schema_is_complete(&schema, &whole, why)))
        return err;
    /* A complete database is not locked. Under the lock the check is repeated, because another replica may
     * have been faster. */
    if (!whole &&
        ((err = sqlite_execute(conn, SQL_BEGIN_WRITE, why)) ||
         (err = schema_complete(&schema, &created, why)) || (err = sqlite_execute(conn, SQL_COMMIT, why))))
        return err;
    if (ret_created)
        *ret_created = created;
    return ERR_OK;
}

/* is it all there */

enum err sqlite_ready(struct store *store, struct why *why)
{
    AUTO_FREE char *probe = schema_probe(embedded_schema_sqlite, embedded_schema_sqlite_len);
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    sqlite3_stmt *statement = NULL;
    enum err err = sqlite_take(store, SQLITE_USE_READ, &conn, why);
    if (err)
        return err;
    err = sqlite_prepare(conn, probe, &statement, why);
    (void)sqlite3_finalize(statement);
    const struct schema schema = {embedded_schema_sqlite, embedded_schema_sqlite_len, conn, query, run};
    return err ? schema_missing(&schema, err, why) : sqlite_writable(store, why);
}
