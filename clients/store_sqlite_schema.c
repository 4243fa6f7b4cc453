/* The tables: theirs and ours, created where they are missing and never altered, and what /readyz asks of
 * them.
 *
 * A table comes with its indexes or not at all: a table or view of the orchestrator's that is there is left
 * as it is, indexes included, for its schema is somebody else's to keep.
 */
#include "clients/store_sqlite.h"

#include <string.h>

#include "clients/base/limits.h"

/* A table with the columns that we read or write, and how it is made when it is not there: the table, then
 * what belongs to it. */
struct table {
    const char *name;
    const char *columns[16];
    const char *create[4];
};

static const struct table tables[] = {
    {
        .name = "tasks",
        .columns = {"id", "plane_id", "work_item_id", "title", "repo", "branch", "stage", "created_at",
                    "updated_at"},
        .create = {"CREATE TABLE tasks ("
                   " id INTEGER PRIMARY KEY AUTOINCREMENT,"
                   " plane_id TEXT UNIQUE,"
                   " work_item_id TEXT,"
                   " title TEXT,"
                   " repo TEXT,"
                   " branch TEXT,"
                   " stage TEXT NOT NULL DEFAULT 'created',"
                   " created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,"
                   " updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)",
                   /* With repo, the stuck ones are put into their fair order without a look at the table. */
                   "CREATE INDEX reconcile_tasks_stage ON tasks (stage, updated_at, repo)"},
    },
    {
        .name = "jobs",
        .columns = {"task_id", "agent", "status", "created_at", "updated_at"},
        .create = {"CREATE TABLE jobs ("
                   " id INTEGER PRIMARY KEY AUTOINCREMENT,"
                   " task_id INTEGER NOT NULL,"
                   " agent TEXT NOT NULL,"
                   " status TEXT NOT NULL DEFAULT 'queued'"
                   "  CHECK (status IN ('queued', 'running', 'done', 'failed')),"
                   " created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,"
                   " updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)",
                   "CREATE UNIQUE INDEX reconcile_jobs_one_active ON jobs (task_id)"
                   " WHERE status IN ('queued', 'running')"},
    },
    {
        .name = "reconcile_settings",
        .columns = {"id", "revision", "overrides", "updated_at"},
        .create = {"CREATE TABLE reconcile_settings ("
                   " id INTEGER PRIMARY KEY CHECK (id = 1),"
                   " revision INTEGER NOT NULL,"
                   " overrides TEXT NOT NULL,"
                   " updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)",
                   "INSERT INTO reconcile_settings (id, revision, overrides) VALUES (1, 0, '{}')"},
    },
    {
        .name = "reconcile_ledger",
        .columns = {"seq", "id", "at", "task_id", "pass_id", "work_item_id", "repo", "from_stage", "to_stage",
                    "side", "outcome", "agent", "reason", "evidence"},
        .create = {"CREATE TABLE reconcile_ledger ("
                   " seq INTEGER PRIMARY KEY AUTOINCREMENT,"
                   " id TEXT NOT NULL UNIQUE,"
                   " at TEXT NOT NULL,"
                   " task_id INTEGER NOT NULL,"
                   " pass_id TEXT,"
                   " work_item_id TEXT,"
                   " repo TEXT,"
                   " from_stage TEXT NOT NULL,"
                   " to_stage TEXT NOT NULL,"
                   " side TEXT NOT NULL,"
                   " outcome TEXT NOT NULL,"
                   " agent TEXT,"
                   " reason TEXT,"
                   " evidence TEXT)",
                   "CREATE INDEX reconcile_ledger_task ON reconcile_ledger (task_id, seq)"},
    },
    {
        /* State-change activities of Plane that were replayed: never twice. */
        .name = "reconcile_verdicts",
        .columns = {"id", "task_id", "at"},
        .create = {"CREATE TABLE reconcile_verdicts ("
                   " id TEXT PRIMARY KEY NOT NULL,"
                   " task_id INTEGER NOT NULL,"
                   " at TEXT NOT NULL)"},
    },
    {
        .name = "reconcile_passes",
        .columns = {"id", "started_us", "report"},
        .create = {"CREATE TABLE reconcile_passes ("
                   " id TEXT PRIMARY KEY NOT NULL,"
                   " started_us INTEGER NOT NULL,"
                   " report TEXT NOT NULL)",
                   "CREATE INDEX reconcile_passes_started ON reconcile_passes (started_us, id)"},
    },
    {
        /* For the versions to come: what shape the tables above are of. */
        .name = "reconcile_schema",
        .columns = {"version"},
        .create = {"CREATE TABLE reconcile_schema (version INTEGER PRIMARY KEY)",
                   "INSERT INTO reconcile_schema (version) VALUES (1)"},
    },
};

/* ---- what is there ----------------------------------------------------------------------------------- */

/* any_row: whether a question with up to two names as parameters has an answer. */
static enum err any_row(struct sqlite_conn *conn, const char *sql, const char *first, const char *second,
                        bool *ret_any, struct why *why)
{
    sqlite3_stmt *statement;
    enum err err = sqlite_prepare(conn, sql, &statement, why);
    if (err)
        return err;
    if (first)
        sqlite_put(statement, 1, first);
    if (second)
        sqlite_put(statement, 2, second);
    err = sqlite_step(conn, statement, ret_any, why);
    (void)sqlite3_finalize(statement);
    return err;
}

/* A table or a view: both serve. */
static enum err has_table(struct sqlite_conn *conn, const char *name, bool *ret_there, struct why *why)
{
    return any_row(conn,
                   "SELECT 1 FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE AND type IN ('table', 'view')",
                   name, NULL, ret_there, why);
}

static enum err has_column(struct sqlite_conn *conn, const char *table, const char *column, bool *ret_there,
                           struct why *why)
{
    return any_row(conn, "SELECT 1 FROM pragma_table_xinfo(?1) WHERE name = ?2 COLLATE NOCASE", table, column,
                   ret_there, why);
}

/* ---- creating what is missing ------------------------------------------------------------------------ */

static enum err run_once(struct sqlite_conn *conn, const char *sql, struct why *why)
{
    sqlite3_stmt *statement;
    enum err err = sqlite_prepare(conn, sql, &statement, why);
    if (err)
        return err;
    err = sqlite_run(conn, statement, NULL, why);
    (void)sqlite3_finalize(statement);
    return err;
}

/* A file without a page is ours to shape: it was not there, or whoever made it (we, before a crash) got no
 * further. That another process is at it at this moment is no failure: it decides then. */
static enum err shape_new_file(struct sqlite_conn *conn, struct why *why)
{
    bool pages = false;
    enum err err =
        any_row(conn, "SELECT 1 FROM pragma_page_count WHERE page_count > 0", NULL, NULL, &pages, why);
    if (err || pages)
        return err;
    err = run_once(conn, "PRAGMA journal_mode = WAL", why);
    return err == ERR_TIMEOUT ? ERR_OK : err;
}

static enum err count_missing(struct sqlite_conn *conn, size_t *ret_missing, struct why *why)
{
    enum err err = ERR_OK;
    size_t missing = 0;
    for (size_t i = 0; !err && i < ARRAY_LEN(tables); i++) {
        bool there = false;
        err = has_table(conn, tables[i].name, &there, why);
        missing += !there;
    }
    *ret_missing = missing;
    return err;
}

static enum err table_make(struct sqlite_conn *conn, const struct table *table, size_t *created,
                           struct why *why)
{
    bool there = false;
    enum err err = has_table(conn, table->name, &there, why);
    if (err || there)
        return err;
    for (size_t i = 0; !err && i < ARRAY_LEN(table->create) && table->create[i]; i++)
        err = run_once(conn, table->create[i], why);
    ++*created;
    return err;
}

enum err sqlite_migrate(struct store *store, size_t *ret_created, struct why *why)
{
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    size_t missing, created = 0;
    enum err err = sqlite_take(store, SQLITE_USE_MIGRATE, &conn, why);
    if (err || (err = shape_new_file(conn, why)) || (err = count_missing(conn, &missing, why)))
        return err;
    /* A complete database is not locked for this; an incomplete one is looked at again under the lock. */
    if (missing > 0) {
        if ((err = sqlite_execute(conn, SQL_BEGIN_WRITE, why)))
            return err;
        for (size_t i = 0; !err && i < ARRAY_LEN(tables); i++)
            err = table_make(conn, &tables[i], &created, why);
        if (err || (err = sqlite_execute(conn, SQL_COMMIT, why)))
            return err;
    }
    if (ret_created)
        *ret_created = created;
    return ERR_OK;
}

/* ---- is it all there --------------------------------------------------------------------------------- */

static enum err table_ready(struct sqlite_conn *conn, const struct table *table, struct why *why)
{
    bool there = false;
    enum err err = has_table(conn, table->name, &there, why);
    if (err)
        return err;
    if (!there)
        return why_set(why, ERR_UNAVAILABLE, "the database has no table %s", table->name);
    for (size_t i = 0; i < ARRAY_LEN(table->columns) && table->columns[i]; i++) {
        if ((err = has_column(conn, table->name, table->columns[i], &there, why)))
            return err;
        if (!there)
            return why_set(why, ERR_UNAVAILABLE, "the table %s has no column %s", table->name,
                           table->columns[i]);
    }
    return ERR_OK;
}

enum err sqlite_ready(struct store *store, struct why *why)
{
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    enum err err = sqlite_take(store, SQLITE_USE_READ, &conn, why);
    for (size_t i = 0; !err && i < ARRAY_LEN(tables); i++)
        err = table_ready(conn, &tables[i], why);
    return err;
}
