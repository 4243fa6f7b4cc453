/* Leases: a row each, with an owner and an end by the database's clock. */
#include "clients/store/sqlite/store_sqlite.h"

static void lease_put(sqlite3_stmt *statement, const char *name, const char *owner, int64_t seconds)
{
    sqlite_put(statement, 1, name);
    sqlite_put(statement, 2, owner);
    (void)sqlite3_bind_int64(statement, 3, seconds);
}

/* lease_stands: whether there is nothing to write, and then *ret_held. */
static enum err lease_stands(struct store *store, const char *name, const char *owner, int64_t seconds,
                             bool *ret_stands, bool *ret_held, struct why *why)
{
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    sqlite3_stmt *statement;
    enum err err = sqlite_take(store, SQLITE_USE_READ, &conn, why);
    if (err || (err = sqlite_statement(conn, SQL_LEASE_STANDS, &statement, why)))
        return err;
    lease_put(statement, name, owner, seconds);
    if ((err = sqlite_step(conn, statement, ret_stands, why)))
        return err;
    *ret_held = *ret_stands && sqlite3_column_int(statement, 0) != 0;
    return ERR_OK;
}

enum err sqlite_lease_take(struct store *store, const char *name, const char *owner, int64_t seconds,
                           bool *ret_held, struct why *why)
{
    bool stands, held;
    enum err err = lease_stands(store, name, owner, seconds, &stands, &held, why);
    if (!err && stands)
        *ret_held = held;
    if (err || stands)
        return err;
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    sqlite3_stmt *statement;
    size_t rows;
    if ((err = sqlite_take(store, SQLITE_USE_WRITE, &conn, why)) ||
        (err = sqlite_statement(conn, SQL_LEASE_TAKE, &statement, why)))
        return err;
    lease_put(statement, name, owner, seconds);
    if ((err = sqlite_run(conn, statement, &rows, why)))
        return err;
    *ret_held = rows > 0;
    return ERR_OK;
}

enum err sqlite_lease_drop(struct store *store, const char *name, const char *owner, struct why *why)
{
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    sqlite3_stmt *statement;
    enum err err = sqlite_take(store, SQLITE_USE_WRITE, &conn, why);
    if (err || (err = sqlite_statement(conn, SQL_LEASE_DROP, &statement, why)))
        return err;
    sqlite_put(statement, 1, name);
    sqlite_put(statement, 2, owner);
    return sqlite_run(conn, statement, NULL, why);
}
