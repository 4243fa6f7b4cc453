/* The tables: theirs and ours, created where they are missing, and what /readyz asks of them.
 *
 * A table comes with its indexes or not at all. A table or view of the orchestrator's that is there is left
 * as it is, indexes included, for its schema is somebody else's to keep. Ours may gain columns from one
 * version of their shape to the next, null in the rows that are there, so that an older program beside us
 * goes on; what shape they are of stands in reconcile_schema.
 */
#include "clients/store/sqlite/store_sqlite.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"

/* The version of the shape that this program makes and knows. */
#define SHAPE 4

/* A column that we read or write, and how it is made. */
struct column {
    const char *name, *definition;
    bool later; /* not there in every version of its table: added where it is missing */
};

struct table {
    const char *name;
    bool ours;
    struct column columns[20];
    const char *then[3]; /* what comes with the table: its indexes, its first row */
};

static const struct table tables[] = {
    {
        .name = "tasks",
        .columns = {{"id", "INTEGER PRIMARY KEY AUTOINCREMENT"},
                    {"plane_id", "TEXT UNIQUE"},
                    {"work_item_id", "TEXT"},
                    {"title", "TEXT"},
                    {"repo", "TEXT"},
                    {"branch", "TEXT"},
                    {"stage", "TEXT NOT NULL DEFAULT 'created'"},
                    {"created_at", "TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP"},
                    {"updated_at", "TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP"}},
        /* With repo, the stuck ones are put into their fair order without a look at the table. */
        .then = {"CREATE INDEX reconcile_tasks_stage ON tasks (stage, updated_at, repo)",
                 "CREATE INDEX reconcile_tasks_repo ON tasks (repo, stage)",
                 "CREATE INDEX reconcile_tasks_work_item ON tasks (lower(work_item_id))"},
    },
    {
        .name = "jobs",
        .columns = {{"id", "INTEGER PRIMARY KEY AUTOINCREMENT"},
                    {"task_id", "INTEGER NOT NULL"},
                    {"agent", "TEXT NOT NULL"},
                    {"status", "TEXT NOT NULL DEFAULT 'queued'"
                               " CHECK (status IN ('queued', 'running', 'done', 'failed'))"},
                    {"created_at", "TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP"},
                    {"updated_at", "TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP"}},
        .then = {"CREATE UNIQUE INDEX reconcile_jobs_one_active ON jobs (task_id)"
                 " WHERE status IN ('queued', 'running')"},
    },
    {
        .name = "reconcile_settings",
        .ours = true,
        .columns = {{"id", "INTEGER PRIMARY KEY CHECK (id = 1)"},
                    {"revision", "INTEGER NOT NULL"},
                    {"overrides", "TEXT NOT NULL"},
                    {"updated_at", "TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP"}},
        .then = {"INSERT INTO reconcile_settings (id, revision, overrides) VALUES (1, 0, '{}')"},
    },
    {
        .name = "reconcile_ledger",
        .ours = true,
        .columns = {{"seq", "INTEGER PRIMARY KEY AUTOINCREMENT"},
                    {"id", "TEXT NOT NULL UNIQUE"},
                    {"at", "TEXT NOT NULL"},
                    {"task_id", "INTEGER NOT NULL"},
                    {"pass_id", "TEXT"},
                    {"work_item_id", "TEXT"},
                    {"repo", "TEXT"},
                    {"from_stage", "TEXT NOT NULL"},
                    {"to_stage", "TEXT NOT NULL"},
                    {"side", "TEXT NOT NULL"},
                    {"outcome", "TEXT NOT NULL"},
                    {"agent", "TEXT"},
                    {"reason", "TEXT"},
                    {"evidence", "TEXT"},
                    {"missed_source", "TEXT", .later = true},
                    {"missed_event", "TEXT", .later = true},
                    {"plane_id", "TEXT", .later = true}},
        .then = {"CREATE INDEX reconcile_ledger_task ON reconcile_ledger (task_id, seq)"},
    },
    {
        /* State-change activities of Plane that were replayed: never twice. */
        .name = "reconcile_verdicts",
        .ours = true,
        .columns = {{"id", "TEXT PRIMARY KEY NOT NULL"},
                    {"task_id", "INTEGER NOT NULL"},
                    {"at", "TEXT NOT NULL"}},
    },
    {
        .name = "reconcile_outbox",
        .ours = true,
        .columns = {{"seq", "INTEGER PRIMARY KEY AUTOINCREMENT"},
                    {"id", "TEXT NOT NULL UNIQUE"},
                    {"at", "TEXT NOT NULL"},
                    {"text", "TEXT NOT NULL"},
                    {"sent_at", "TEXT"}},
        .then = {"CREATE INDEX reconcile_outbox_unsent ON reconcile_outbox (seq) WHERE sent_at IS NULL",
                 "CREATE INDEX reconcile_outbox_sent ON reconcile_outbox (seq) WHERE sent_at IS NOT NULL"},
    },
    {
        .name = "reconcile_leases",
        .ours = true,
        .columns = {{"name", "TEXT PRIMARY KEY NOT NULL"},
                    {"owner", "TEXT NOT NULL"},
                    {"until", "TEXT NOT NULL"}},
    },
    {
        /* Events that were sent again, and whose tasks have not been seen to move. */
        .name = "reconcile_replays",
        .ours = true,
        .columns = {{"subject", "TEXT PRIMARY KEY NOT NULL"},
                    {"delivery", "TEXT NOT NULL"},
                    {"task_id", "INTEGER"},
                    {"plane_id", "TEXT"},
                    {"from_stage", "TEXT NOT NULL"},
                    {"to_stage", "TEXT NOT NULL"},
                    {"version", "TEXT"},
                    {"tries", "INTEGER NOT NULL"},
                    {"first_at", "TEXT NOT NULL"},
                    {"next_at", "TEXT NOT NULL"},
                    {"given_up", "INTEGER NOT NULL"},
                    {"rested_s", "INTEGER NOT NULL"},
                    {"side", "TEXT NOT NULL"},
                    {"outcome", "TEXT NOT NULL"},
                    {"reason", "TEXT"},
                    {"evidence", "TEXT"},
                    {"verdict_id", "TEXT"},
                    {"missed_source", "TEXT"},
                    {"missed_event", "TEXT"}},
    },
    {
        .name = "reconcile_passes",
        .ours = true,
        .columns = {{"id", "TEXT PRIMARY KEY NOT NULL"},
                    {"started_us", "INTEGER NOT NULL"},
                    {"report", "TEXT NOT NULL"}},
        .then = {"CREATE INDEX reconcile_passes_started ON reconcile_passes (started_us, id)"},
    },
    {
        /* The versions of the shape that the tables above have had; the greatest is what they are of. */
        .name = "reconcile_schema",
        .ours = true,
        .columns = {{"version", "INTEGER PRIMARY KEY"}},
    },
};

/* what is there */

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

/* creating what is missing */

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

/* shape_read: 0 when nothing says of what shape the tables are. ERR_UNAVAILABLE for a newer one than ours:
 * what it means is not for us to guess. */
static enum err shape_read(struct sqlite_conn *conn, int64_t *ret_shape, struct why *why)
{
    bool there = false;
    sqlite3_stmt *statement;
    enum err err = has_table(conn, "reconcile_schema", &there, why);
    *ret_shape = 0;
    if (err || !there)
        return err;
    if ((err = sqlite_prepare(conn, "SELECT max(version) FROM reconcile_schema", &statement, why)))
        return err;
    if (!(err = sqlite_step(conn, statement, &there, why)))
        *ret_shape = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    if (!err && *ret_shape > SHAPE)
        return why_set(
            why, ERR_UNAVAILABLE,
            "the tables are of version %lld, and this program knows them up to version %d: a newer "
            "one has been here",
            (long long)*ret_shape, SHAPE);
    return err;
}

/* Whether anything is missing that migrate makes. */
static enum err is_complete(struct sqlite_conn *conn, bool *ret_complete, struct why *why)
{
    int64_t shape;
    enum err err = shape_read(conn, &shape, why);
    bool complete = shape == SHAPE;
    for (size_t i = 0; !err && complete && i < ARRAY_LEN(tables); i++) {
        err = has_table(conn, tables[i].name, &complete, why);
        for (const struct column *column = tables[i].columns; !err && complete && column->name; column++)
            if (column->later)
                err = has_column(conn, tables[i].name, column->name, &complete, why);
    }
    *ret_complete = complete;
    return err;
}

static enum err table_make(struct sqlite_conn *conn, const struct table *table, struct why *why)
{
    AUTO_FREE char *sql = mem_printf("CREATE TABLE %s (", table->name);
    for (const struct column *column = table->columns; column->name; column++) {
        char *longer =
            mem_printf("%s%s %s%s", sql, column->name, column->definition, column[1].name ? ", " : ")");
        free(sql);
        sql = longer;
    }
    enum err err = run_once(conn, sql, why);
    for (size_t i = 0; !err && i < ARRAY_LEN(table->then) && table->then[i]; i++)
        err = run_once(conn, table->then[i], why);
    return err;
}

static enum err column_complete(struct sqlite_conn *conn, const struct table *table,
                                const struct column *column, struct why *why)
{
    bool there = true;
    enum err err = column->later ? has_column(conn, table->name, column->name, &there, why) : ERR_OK;
    if (err || there)
        return err;
    AUTO_FREE char *sql =
        mem_printf("ALTER TABLE %s ADD COLUMN %s %s", table->name, column->name, column->definition);
    return run_once(conn, sql, why);
}

static enum err table_complete(struct sqlite_conn *conn, const struct table *table, size_t *created,
                               struct why *why)
{
    bool there = false;
    enum err err = has_table(conn, table->name, &there, why);
    if (!err && !there) {
        ++*created;
        return table_make(conn, table, why);
    }
    for (const struct column *column = table->columns; !err && table->ours && column->name; column++)
        err = column_complete(conn, table, column, why);
    return err;
}

/* Under the lock it is looked at again, for another replica may have been faster. */
static enum err complete(struct sqlite_conn *conn, size_t *created, struct why *why)
{
    int64_t shape;
    enum err err = sqlite_execute(conn, SQL_BEGIN_WRITE, why);
    if (err || (err = shape_read(conn, &shape, why)))
        return err;
    for (size_t i = 0; !err && i < ARRAY_LEN(tables); i++)
        err = table_complete(conn, &tables[i], created, why);
    if (err)
        return err;
    AUTO_FREE char *sql = mem_printf(
        "INSERT INTO reconcile_schema (version) VALUES (%d) ON CONFLICT (version) DO NOTHING", SHAPE);
    err = run_once(conn, sql, why);
    return err ? err : sqlite_execute(conn, SQL_COMMIT, why);
}

enum err sqlite_migrate(struct store *store, size_t *ret_created, struct why *why)
{
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    bool whole;
    size_t created = 0;
    enum err err = sqlite_take(store, SQLITE_USE_MIGRATE, &conn, why);
    if (err || (err = shape_new_file(conn, why)) || (err = is_complete(conn, &whole, why)))
        return err;
    /* A complete database is not locked for this. */
    if (!whole && (err = complete(conn, &created, why)))
        return err;
    if (ret_created)
        *ret_created = created;
    return ERR_OK;
}

/* is it all there */

static enum err table_ready(struct sqlite_conn *conn, const struct table *table, struct why *why)
{
    bool there = false;
    enum err err = has_table(conn, table->name, &there, why);
    if (err)
        return err;
    if (!there)
        return why_set(why, ERR_UNAVAILABLE, "the database has no table %s", table->name);
    for (const struct column *column = table->columns; column->name; column++) {
        if ((err = has_column(conn, table->name, column->name, &there, why)))
            return err;
        if (!there)
            return why_set(why, ERR_UNAVAILABLE, "the table %s has no column %s", table->name, column->name);
    }
    return ERR_OK;
}

enum err sqlite_ready(struct store *store, struct why *why)
{
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    int64_t shape;
    enum err err = sqlite_take(store, SQLITE_USE_READ, &conn, why);
    if (!err)
        err = shape_read(conn, &shape, why);
    for (size_t i = 0; !err && i < ARRAY_LEN(tables); i++)
        err = table_ready(conn, &tables[i], why);
    return err;
}
