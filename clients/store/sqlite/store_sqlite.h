/* store_sqlite.h - the SQLite store from within. Private to clients/store/sqlite.
 *
 * One file, one connection that writes and a few that read, each used by one thread at a time: an operation
 * takes a connection, works, and gives it back. Taking opens it, or opens it again when the file was replaced
 * meanwhile; giving back ends whatever transaction is still open. Another process that writes the file (the
 * orchestrator) is waited for by the busy handler, at most half of LIMIT_STATEMENT_MS; the
 * progress handler ends a statement that takes too long, or that store_interrupt wants to end.
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
 * A write finds by RETURNING whether it wrote its row: a trigger with RAISE(IGNORE) makes it succeed
 * without one, and of a view sqlite3_changes() counts nothing. But SQLite 3.40 takes such a write to a view
 * without a trigger for done; SQL_…_TAKE_… find that out: they write nothing, have no RETURNING, and fail. */
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

/* sqlite_writable: a transaction that writes can begin, and the disk has room for one. A lock that another
 * process holds counts as writable. Writes nothing, waits for nothing. */
ATTR_NODISCARD enum err sqlite_writable(struct store *store, struct why *why);

sqlite3 *sqlite_handle(const struct sqlite_conn *conn);

/* sqlite_functions: what the statements call on this connection (store_sqlite_values.c):
 *   reconcile_us(x)         the microseconds of an instant in a column of the orchestrator's; null when it is
 *                           none: SQLite's own functions read 'now', '12:00' and 31 November as times
 *   reconcile_like(x, us)   the instant us in the form that x has; in CURRENT_TIMESTAMP's when x has none */
void sqlite_functions(sqlite3 *db);

/* sqlite_statement: the prepared statement (one of two, where that depends on an index of tasks), reset, with
 * nothing bound. It belongs to the connection. sqlite_prepare: one that is not kept; caller finalizes. */
ATTR_NODISCARD enum err sqlite_statement(struct sqlite_conn *conn, unsigned which, sqlite3_stmt **ret,
                                         struct why *why);
ATTR_NODISCARD enum err sqlite_prepare(struct sqlite_conn *conn, const char *sql, sqlite3_stmt **ret,
                                       struct why *why);

/* sqlite_failure: the result and the words for what the connection reported last. Marks the connection for
 * reopening when that may help. */
enum err sqlite_failure(struct sqlite_conn *conn, struct why *why);

/* sqlite_outlived: the last failure is that a statement took too long. Gives the connection time for as much
 * again and rolls back what is open; false, and does nothing, when it is another failure or the store is
 * interrupted. */
bool sqlite_outlived(struct sqlite_conn *conn);

/* values (store_sqlite_values.c) */

/* sqlite_query: a statement's rows on this connection: end them soon, for an open statement holds a lock on
 * the file. sqlite_ask: on one that reads, which is given back at their end. sqlite_run: a statement of which
 * at most the number of rows counts; *ret_rows may be NULL. sqlite_execute: one without parameters. */
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
    bool trial;                                /* rolled back, whatever the settings */
    size_t n;                                  /* at most LIMIT_BATCH */
    /* begin: what must hold for all rows, asked in the transaction before the first; NULL: nothing. */
    enum err (*begin)(struct sqlite_conn *conn, void *arg, struct why *why);
    /* write: row i. What it wrote stays only if it sets *ret_keep. It first notes that row i was refused:
     * when the database then refuses a statement of it, that is what became of the row, and the others go on.
     * May be called again for a row, when another one's refusal undid the whole transaction. */
    enum err (*write)(struct sqlite_conn *conn, void *arg, size_t i, bool *ret_keep, struct why *why);
    /* refusal: where it is put into words why row i was not written; may return NULL. NULL: nowhere. */
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

/* What of it a trial needs too. sqlite_tasks_keyed: ERR_INTERNAL in words: the key that decides is missing.
 * sqlite_task_create: *ret_rows 0: a trigger swallowed it. */
enum err sqlite_tasks_keyed(struct sqlite_conn *conn, struct why *why);
enum err sqlite_task_create(struct sqlite_conn *conn, const struct store_new_task *task, size_t *ret_rows,
                            struct why *why);

/* store_sqlite_transition.c */
enum err sqlite_trial(struct store *store, struct trial_batch *batch, struct why *why);
enum err sqlite_transition(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                           const char *pass_id, const struct store_transition *batch, size_t n,
                           enum store_moved *ret_moved, struct why *why);

/* What of it a transaction of another kind needs too; *ret_rows: the row was found or written.
 */
enum err sqlite_task_stands(struct sqlite_conn *conn, const struct store_transition *transition,
                            size_t *ret_rows, struct why *why);
enum err sqlite_verdict_add(struct sqlite_conn *conn, const struct store_transition *transition,
                            size_t *ret_rows, struct why *why);
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
