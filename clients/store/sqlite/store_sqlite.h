/* store_sqlite.h - the parts of the SQLite store. Private to clients/store/sqlite.
 *
 * One file, one connection that writes and a few that read, each used by one thread at a time: an operation
 * takes a connection, works, and gives it back. Taking a connection opens it, and opens it again if the file
 * was replaced since; giving it back rolls back an open transaction. While another process (the orchestrator)
 * writes the file, the busy handler waits for at most half of LIMIT_STATEMENT_MS. The progress handler ends a
 * statement that takes too long, and every statement after store_interrupt.
 */
#ifndef RECONCILED_STORE_SQLITE_H
#define RECONCILED_STORE_SQLITE_H

#include <jansson.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/store/store_ops.h"
#include "clients/store/store_rows.h"

/* Every statement that is kept prepared; the texts are in store_sqlite_sql.c.
 *
 * A write has RETURNING, which shows whether it wrote its row: a trigger with RAISE(IGNORE) makes it succeed
 * without a row, and sqlite3_changes() counts no rows of a view. But SQLite 3.40 accepts a write with
 * RETURNING to a view without a trigger, and writes nothing. The statements SQL_…_TAKE_… detect such a view:
 * they write no row, have no RETURNING, and fail there. */
enum sqlite_sql {
    SQL_BEGIN_WRITE = STORE_SQL_SHARED,
    SQL_COMMIT,
    SQL_ROW_BEGIN,
    SQL_ROW_KEEP,
    SQL_ROW_UNDO,
    SQL_SETTINGS_WRITE,
    SQL_ISSUE_TASKS_SCANNED,
    SQL_TASKS_ARE_A_VIEW,
    SQL_TASKS_ARE_KEYED,
    SQL_TASKS_EXISTING,
    SQL_TASKS_EXISTING_SCANNED,
    SQL_WORK_ITEMS_SCANNED,
    SQL_TASKS_NAMED_SCANNED,
    SQL_SETTINGS_HISTORY,
    SQL_BRANCHES_TAKEN_SCANNED,
    SQL_TASKS_TAKE_NEW,
    SQL_TASK_CREATE,
    SQL_TASKS_TAKE_MOVES,
    SQL_JOBS_TAKE_NEW,
    SQL_LEDGER_HAS,
    SQL_VERDICT_ADD,
    SQL_TASK_MOVE,
    SQL_TASK_STANDS,
    SQL_JOB_QUEUE,
    SQL_LEDGER_ADD,
    SQL_REPLAY_BEGIN,
    SQL_REPLAYS_MOVED_SCANNED,
    SQL_REPLAY_TAKE,
    SQL_TASKS_LIST,
    SQL_PAGES,
    SQL_MAX_
};
const char *sqlite_sql_text(unsigned which);

enum sqlite_use {
    SQLITE_USE_READ,
    SQLITE_USE_WRITE,
    SQLITE_USE_MIGRATE /* writes, and may create the file */
};

struct sqlite_conn;

/* sqlite_take: a connection for this thread alone; ERR_TIMEOUT when none became free in time or the store is
 * interrupted, ERR_UNAVAILABLE when the file cannot be opened. Give it back with sqlite_give, which rolls
 * back a transaction that is still open (NULL is fine). sqlite_give_p: for ATTR_CLEANUP. */
ATTR_NODISCARD enum err sqlite_take(struct store *store, enum sqlite_use use, struct sqlite_conn **ret,
                                    struct why *why);
void sqlite_give(struct sqlite_conn *conn);
void sqlite_give_p(struct sqlite_conn **conn);
#define AUTO_GIVE ATTR_CLEANUP(sqlite_give_p)

/* sqlite_writable: ERR_OK if a write transaction can begin and the disk has room for it, also while another
 * process holds the lock. Neither writes nor waits. */
ATTR_NODISCARD enum err sqlite_writable(struct store *store, struct why *why);

sqlite3 *sqlite_handle(const struct sqlite_conn *conn);

/* sqlite_functions: adds the functions that the statements call (store_sqlite_values.c):
 *   reconcile_us(x)         the microseconds of an instant in a column of the orchestrator's; null when it is
 *                           none: SQLite's own functions read 'now', '12:00' and 31 November as times
 *   reconcile_like(x, us)   the instant us in the form that x has; in CURRENT_TIMESTAMP's when x has none */
void sqlite_functions(sqlite3 *db);

/* sqlite_statement: the prepared statement, reset and without bound values; it belongs to the connection.
 * Some statements have two texts, and an index of tasks decides which is used. sqlite_prepare: a statement
 * that is not kept; caller finalizes. */
ATTR_NODISCARD enum err sqlite_statement(struct sqlite_conn *conn, unsigned which, sqlite3_stmt **ret,
                                         struct why *why);
ATTR_NODISCARD enum err sqlite_prepare(struct sqlite_conn *conn, const char *sql, sqlite3_stmt **ret,
                                       struct why *why);

/* sqlite_failure: the error and the reason of the connection's last failure. Marks the connection to be
 * reopened if that may help. */
enum err sqlite_failure(struct sqlite_conn *conn, struct why *why);

/* sqlite_outlived: if the last failure is that a statement took too long, gives the connection the same time
 * again, rolls back an open transaction and returns true. Otherwise, or if the store is interrupted, does
 * nothing and returns false. */
bool sqlite_outlived(struct sqlite_conn *conn);

/* values (store_sqlite_values.c) */

/* sqlite_query: a statement's rows on this connection: call rows_end soon, because an open statement holds a
 * lock on the file. sqlite_ask: the same on a reading connection, which rows_end gives back. sqlite_run: runs
 * a statement and counts its rows; *ret_rows may be NULL. sqlite_execute: runs one without parameters. */
struct store_rows sqlite_query(struct sqlite_conn *conn, unsigned which, struct store_params params,
                               struct why *why);
struct store_rows sqlite_ask(struct store *store, unsigned which, struct store_params params,
                             struct why *why);
ATTR_NODISCARD enum err sqlite_run(struct sqlite_conn *conn, unsigned which, struct store_params params,
                                   size_t *ret_rows, struct why *why);
ATTR_NODISCARD enum err sqlite_execute(struct sqlite_conn *conn, unsigned which, struct why *why);

/* rows that are written together, and may fail alone (store_sqlite_batch.c) */

struct sqlite_batch {
    int64_t settings_revision, valid_until_us; /* as in store_transition */
    bool trial;                                /* always rolled back, and the settings are not checked */
    size_t n;                                  /* at most LIMIT_BATCH */
    /* begin: runs in the transaction before the first row and checks what all rows need; NULL: no check. */
    enum err (*begin)(struct sqlite_conn *conn, void *arg, struct why *why);
    /* write: writes row i. Its changes are kept only if it sets *ret_keep. It must first record the row as
     * refused: if the database then refuses one of its statements, that result stands and the other rows go
     * on. It may be called again for a row, when the refusal of another row rolled back the whole
     * transaction. */
    enum err (*write)(struct sqlite_conn *conn, void *arg, size_t i, bool *ret_keep, struct why *why);
    /* task: the task of row i, or as it would be made; its texts are borrowed. held: row i is not written,
     * because of a hold or a newer version. Not of a trial. */
    struct store_task (*task)(const void *arg, size_t i);
    void (*held)(void *arg, size_t i);
    /* refusal: returns where to write the reason if row i was not written, or NULL. NULL: reasons are not
     * wanted. */
    struct why *(*refusal)(void *arg, size_t i);
    void *arg;
};

/* sqlite_batch_run: all rows in one transaction, under the revision and the time limit of the settings:
 * ERR_CONFLICT when they do not hold any more. On an error nothing was written. */
ATTR_NODISCARD enum err sqlite_batch_run(struct store *store, const struct sqlite_batch *batch,
                                         struct why *why);

/* the operations, one file per aggregate; each keeps its promise in store.h */

/* store_sqlite_schema.c */
enum err sqlite_migrate(struct store *store, size_t *ret_created, struct why *why);
enum err sqlite_ready(struct store *store, struct why *why);

/* store_sqlite_issues.c */
enum err sqlite_create_tasks(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                             const struct store_new_task *batch, size_t n, enum store_creation *ret,
                             struct why *why);

/* Used by trials too. sqlite_tasks_keyed: ERR_INTERNAL if tasks.plane_id has no unique key.
 * sqlite_task_create: *ret_rows 0: a trigger ignored the row. */
enum err sqlite_tasks_keyed(struct sqlite_conn *conn, struct why *why);
enum err sqlite_task_create(struct sqlite_conn *conn, const struct store_new_task *task, size_t *ret_rows,
                            struct why *why);

/* store_sqlite_transition.c */
enum err sqlite_trial(struct store *store, struct trial_batch *batch, struct why *why);
enum err sqlite_transition(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                           const char *pass_id, const struct store_transition *batch, size_t n,
                           enum store_moved *ret_moved, struct why *why);

/* Used by other transactions too; *ret_rows is 1 if the row was found or written. */
enum err sqlite_task_stands(struct sqlite_conn *conn, const struct store_transition *transition,
                            size_t *ret_rows, struct why *why);
enum err sqlite_verdict_add(struct sqlite_conn *conn, const struct store_transition *transition,
                            size_t *ret_rows, struct why *why);
/* sqlite_destinations: where messages go (store_send_to). */
unsigned sqlite_destinations(const struct sqlite_conn *conn);
enum err sqlite_outbox_put(struct sqlite_conn *conn, const char *id, const char *text, struct why *why);
enum err sqlite_ledger_add(struct sqlite_conn *conn, const char *pass_id,
                           const struct store_transition *transition, struct why *why);

/* store_sqlite_replays.c */
enum err sqlite_replay_begin(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                             const struct store_replay *batch, size_t n, struct store_replay_seen *ret,
                             struct why *why);
enum err sqlite_replays_settle(struct store *store, const char *pass_id, const struct store_settlement *batch,
                               size_t n, bool *ret_mine, struct why *why);

/* store_sqlite_tasks.c */
struct store_rows sqlite_tasks_query(struct store *store, const struct store_tasks_query *query,
                                     struct why *why);
char *sqlite_tasks_place(struct store_rows *rows, const struct store_task_entry *entry);

#endif
