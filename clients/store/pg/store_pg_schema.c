/* The tables, made within one transaction, and whether all of them are there. */
#include "clients/store/pg/store_pg.h"

#include <string.h>

#include "clients/base/embedded.h"
#include "clients/store/store_schema.h"

#define MIGRATE_TRIES 20

/* creating what is missing */

static struct store_rows query(void *conn, unsigned which, struct store_params params, struct why *why)
{
    return pg_query(conn, which, params, why);
}

static enum err run(void *conn, const char *sql, struct why *why)
{
    return pg_execute(conn, sql, why);
}

/* DDL takes no parameters, so the name is quoted by libpq. */
static enum err schema_create(struct pg_conn *conn, const char *schema, struct why *why)
{
    if (!schema)
        return ERR_OK;
    size_t there;
    enum err err = rows_count(pg_query(conn, PG_HAS_SCHEMA, PARAMS(TEXT_PARAM(schema)), why), &there);
    if (err || there > 0)
        return err;
    char *quoted = PQescapeIdentifier(conn->pg, schema, strlen(schema));
    if (!quoted)
        return why_set(why, ERR_INVALID, "the name of the schema is no text the database knows");
    AUTO_FREE char *sql = mem_printf("CREATE SCHEMA %s", quoted);
    PQfreemem(quoted);
    return pg_execute(conn, sql, why);
}

static enum err decoys_name(struct pg_conn *conn, struct why *why)
{
    enum { MISSING_SHOWN = 20, PLACES_SHOWN = 90 };
    struct store_rows rows = pg_query(conn, PG_DECOYS, NO_PARAMS, why);
    bool found = rows_next(&rows);
    AUTO_FREE char *missing = found ? rows_text(&rows, "missing", MISSING_SHOWN) : NULL;
    AUTO_FREE char *places = found ? rows_text(&rows, "places", PLACES_SHOWN) : NULL;
    enum err err = rows_end(&rows);
    if (err || !found)
        return err;
    return why_set(why, ERR_UNAVAILABLE,
                   "no table %s is found, but there is %s; name its schema in the settings, map other"
                   " names by views, or create empty tables with: reconciled migrate --create",
                   missing, places);
}

struct migration {
    const char *schema;
    bool beside;
    size_t created;
};

/* Waits for transitions under way and keeps new ones back: a process of an older version then finds the new
 * version before it moves anything. */
static enum err settings_lock(struct pg_conn *conn, struct why *why)
{
    size_t there;
    enum err err = rows_count(
        pg_query(conn, SQL_SCHEMA_HAS, PARAMS(TEXT_PARAM("reconcile_settings"), TEXT_PARAM(NULL)), why),
        &there);
    return err || !there ? err : rows_count(pg_query(conn, SQL_SETTINGS_LOCK, NO_PARAMS, why), NULL);
}

static enum err migration_run(struct pg_conn *conn, struct migration *migration, struct why *why)
{
    conn->patient = true;
    enum err err = pg_begin(conn, "BEGIN ISOLATION LEVEL READ COMMITTED", why);
    if (!err)
        err = pg_execute(conn, "SET LOCAL statement_timeout = 0", why);
    if (!err)
        err = settings_lock(conn, why);
    if (!err && !migration->beside)
        err = decoys_name(conn, why);
    if (!err)
        err = schema_create(conn, migration->schema, why);
    const struct schema schema = {embedded_schema_pg, embedded_schema_pg_len, conn, query, run};
    if (!err)
        err = schema_complete(&schema, &migration->created, why);
    return err ? err : pg_commit(conn, why);
}

/* Another replica that creates the same at the same time shows as a duplicate: of the relation, of its type
 * in the catalogue, of the schema, of a column. It then has them, or is about to. */
static bool is_beaten(const struct pg_conn *conn)
{
    static const char *const states[] = {"23505", "42P07", "42710", "42P06", "42701"};
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        if (strcmp(conn->sqlstate, states[i]) == 0)
            return true;
    return false;
}

static enum err migrate(struct pg_conn *conn, void *arg, struct why *why)
{
    enum err err = ERR_OK;
    for (int i = 0; i < MIGRATE_TRIES; i++) {
        err = migration_run(conn, arg, why);
        if (!err || !is_beaten(conn))
            return err;
        enum err undone = pg_execute(conn, "ROLLBACK", why);
        if (undone)
            return undone;
    }
    return err;
}

enum err pg_migrate(struct store *store, size_t *ret_created, struct why *why)
{
    struct migration migration = {.schema = pg_schema(store), .beside = store->creates_beside};
    enum err err = pg_call(store, migrate, &migration, why);
    if (!err && ret_created)
        *ret_created = migration.created;
    return err;
}

/* is it all there, and can it be written */

/* After a statement that named all tables failed. */
static enum err missing_name(struct pg_conn *conn, enum err failed, struct why *why)
{
    static const char undefined_table[] = "42P01", undefined_column[] = "42703";
    bool table = strcmp(conn->sqlstate, undefined_table) == 0;
    struct why first = *why;
    if (!table && strcmp(conn->sqlstate, undefined_column) != 0)
        return failed;
    enum err err = PQtransactionStatus(conn->pg) == PQTRANS_IDLE ? ERR_OK : pg_execute(conn, "ROLLBACK", why);
    if (!err && table)
        err = decoys_name(conn, why);
    if (err)
        return err;
    const struct schema schema = {embedded_schema_pg, embedded_schema_pg_len, conn, query, run};
    *why = first;
    return schema_missing(&schema, failed, why);
}

struct probe {
    char *columns; /* a statement that names all */
    const char *writes_tasks;
};

static enum err probe_run(struct pg_conn *conn, void *arg, struct why *why)
{
    const struct probe *probe = arg;
    enum { REASON_SHOWN = 200 };
    enum err err = pg_parse(conn, probe->columns, why);
    if (err)
        return missing_name(conn, err, why);
    struct store_rows rows = pg_query(conn, PG_NOT_WRITABLE, PARAMS(TEXT_PARAM(probe->writes_tasks)), why);
    AUTO_FREE char *reason = rows_next(&rows) ? rows_text(&rows, "reason", REASON_SHOWN) : NULL;
    if ((err = rows_end(&rows)) || !reason)
        return err;
    return why_set(why, ERR_UNAVAILABLE, "the database cannot be written: %s", reason);
}

enum err pg_ready(struct store *store, struct why *why)
{
    AUTO_FREE char *columns = schema_probe(embedded_schema_pg, embedded_schema_pg_len);
    struct probe probe = {columns, store->only_ours ? "false" : "true"};
    return pg_call(store, probe_run, &probe, why);
}
