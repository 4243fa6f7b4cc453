/* store_pg.h - the parts of the PostgreSQL store. Private to clients/store/pg.
 *
 * A few connections, each used by one thread at a time. An operation is a function that gets a connection
 * from pg_call, which runs it again when the connection was dead or the database reported a serialization
 * failure. So every operation must be safe to run twice: reads, compare-and-sets, and writes that recognise
 * their own earlier result.
 *
 * Only connecting waits inside libpq. Answers are awaited by poll() with a deadline, beside the server's
 * statement_timeout, because a host that has vanished reports no time-out. store_interrupt wakes these waits.
 */
#ifndef RECONCILED_STORE_PG_H
#define RECONCILED_STORE_PG_H

#include <jansson.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/limits.h"
#include "clients/store/store_ops.h"
#include "clients/store/store_rows.h"

/* One of this program's numbers as text within a statement. */
#define PG_DIGITS(number) STORE_DIGITS(number)

/* The statements of PostgreSQL alone, behind those of store_rows.h; the texts are in store_pg_sql.c. */
enum pg_sql {
    PG_SETTINGS_WRITE = STORE_SQL_SHARED,
    PG_POLICY_SHARE,
    PG_MOVE,
    PG_MOVE_AGAIN,
    PG_CREATE,
    PG_CREATE_AGAIN,
    PG_REPLAY_BEGIN,
    PG_REPLAYS_SETTLE,
    PG_TASKS_LIST,
    PG_TASKS_LIST_OF_REPO,
    PG_TASKS_LIST_WITH,
    PG_HAS_SCHEMA,
    PG_STAGE_TYPE,
    PG_NOT_WRITABLE,
    PG_HIDDEN,
    PG_DECOYS,
    PG_SQL_MAX_
};
/* pg_sql_text: the text of a statement, which may depend on whether tasks.stage is text or an enum; caller
 * frees. pg_sql_names_stage: whether it does. */
char *pg_sql_text(unsigned which, bool stage_is_enum);
bool pg_sql_names_stage(unsigned which);

struct pg_conn;

/* connections: store_pg.c */

/* pg_call: runs an operation, see above. `work` must leave `arg` valid for another run. A transaction that it
 * leaves open is rolled back. After ERR_RETRY it is run again a few times; if that does not help, the result
 * is ERR_TIMEOUT. */
typedef enum err pg_work_fn(struct pg_conn *conn, void *arg, struct why *why);
ATTR_NODISCARD enum err pg_call(struct store *store, pg_work_fn *work, void *arg, struct why *why);

/* pg_schema: the schema of the settings, or NULL. */
const char *pg_schema(const struct store *store);

/* statements: store_pg_wire.c */

/* The parameters of a statement as libpq takes them. */
struct pg_values {
    char *texts[16];
    size_t n;
};
void pg_values_make(struct pg_values *values, struct store_params params);
void pg_values_done(struct pg_values *values);

/* pg_run: one prepared statement. Free with PQclear. pg_query: its rows. pg_rows: the rows of a result, which
 * they release. */
ATTR_NODISCARD enum err pg_run(struct pg_conn *conn, unsigned which, const struct pg_values *values,
                               PGresult **ret, struct why *why);
struct store_rows pg_query(struct pg_conn *conn, unsigned which, struct store_params params, struct why *why);
struct store_rows pg_rows(PGresult *result_take, struct why *why);

/* pg_parse: asks the server to check a statement without running it. */
ATTR_NODISCARD enum err pg_parse(struct pg_conn *conn, const char *sql, struct why *why);

/* pg_begin: `begin` is "BEGIN …". Every transaction starts here, because behind a pooler each one must set
 * the session settings itself. */
ATTR_NODISCARD enum err pg_begin(struct pg_conn *conn, const char *begin, struct why *why);

/* pg_execute: SQL without parameters, for statements that cannot be prepared (BEGIN, CREATE TABLE). Never
 * pass text from outside to it. pg_commit: COMMIT, and ERR_INTERNAL if the server rolled back instead. */
ATTR_NODISCARD enum err pg_execute(struct pg_conn *conn, const char *sql, struct why *why);
ATTR_NODISCARD enum err pg_commit(struct pg_conn *conn, struct why *why);

/* The cause of the last failure on a connection. */
enum pg_fault {
    PG_FAULT_SERVER, /* the server or the connection: no row is the cause */
    PG_FAULT_ROW, /* the data of a row (a constraint, a cast, a trigger that raised, a lock on it): other rows
                     may be written */
    PG_FAULT_EITHER /* a row (a policy) or the statement (a missing right): running the statement without rows
                       shows which */
};

struct pg_conn {
    struct pg_store *store;
    PGconn *pg;                 /* NULL: not connected */
    struct pg_connect *connect; /* under way, or finished after its caller had given up; NULL */
    int stop_fd;                /* readable once the store is interrupted */
    bool prepared[PG_SQL_MAX_]; /* on this connection; none behind a pooler */
    /* NULL: this connection has its own session. Otherwise a pooler assigns a session to each transaction:
     * statements are not prepared, each runs in a transaction, and a transaction begins with these settings.
     */
    char *pooled_settings;
    bool stage_known, stage_is_enum; /* the type of tasks.stage, read when a statement first depends on it */
    bool lost; /* broken, and the statement under way may or may not have been carried out: closed when it is
                  given back */
    bool patient; /* its statements may take any time, until it is given back */
    /* Of the last failure. */
    char sqlstate[6]; /* "": the connection broke, or the failure was ours */
    enum pg_fault fault;
    struct why refusal; /* in words, as that of a row */
    bool ids_behind;    /* a sequence gives out ids that are there already */
    bool taken; /* guarded by the store's lock; everything else belongs to the thread that took the connection
                 */
};

/* pg_await_end: waits for the whole result of the statement that was sent. pg_is_unconvertible: the last
 * failure is that the encoding of the database or of its client lacks a character. */
ATTR_NODISCARD enum err pg_await_end(struct pg_conn *conn, PGresult **ret, struct why *why);
bool pg_is_unconvertible(const struct pg_conn *conn);

/* a batch of writes: store_pg_batch.c */

/* The result for one row. */
enum pg_fate {
    PG_FATE_OPEN, /* not written; the reason is not known yet */
    PG_FATE_WRITTEN,
    PG_FATE_RACED, /* its task has changed since it was read; or the task to be made exists */
    PG_FATE_REFUSED,
    PG_FATE_TAKEN, /* another task has its branch */
    PG_FATE_HELD,  /* a hold or a newer version keeps its task where it is: not tried */
    PG_FATE_LOCKED /* not written in time: another session holds a lock, perhaps on all of the table */
};

struct pg_batch;
typedef json_t *pg_row_fn(const struct pg_batch *batch, size_t i);

struct pg_batch {
    /* The caller's. */
    int64_t settings_revision, valid_until_us;
    const void *rows;
    size_t n;              /* at most LIMIT_BATCH */
    pg_row_fn *row;        /* row i, with its "i": what names it and what is to be written */
    const char *pass_id;   /* for the rows; may be NULL */
    unsigned destinations; /* of their messages */
    const char *const
        *plane_ids; /* n of them, the second parameter of both statements; NULL: they have none */
    /* Parameter: rows. Returns for each written row its `i` (null if it is no row of this batch any more),
     * whether the `whole` row was written, and the id of the task it `made`, if any. */
    unsigned write;
    /* Parameter: rows. Returns for each row its `i`, whether it is written (`known`), whether it could still
     * be written (`stands`), and the task that has its branch (`taken`, or null). */
    unsigned look_again;
    bool exclusive; /* no other batch runs at the same time */
    /* The task of row i, or as it would be made; its texts are borrowed. */
    struct store_task (*task)(const struct pg_batch *batch, size_t i);
    /* Returns where to write the reason if row i is refused or held, or NULL. */
    struct why *(*refusal)(const struct pg_batch *batch, size_t i);
    /* Whether the database gives an id to something that is written for row i. */
    bool (*takes_id)(const struct pg_batch *batch, size_t i);
    /* The results. */
    enum pg_fate fates[LIMIT_BATCH];
    int64_t made[LIMIT_BATCH];
    /* Its own. */
    bool maybe_committed; /* the connection broke at COMMIT; `fates` hold if the commit took place */
    struct store_guard guard;
    bool impatient;
    bool plain[LIMIT_BATCH]; /* row i holds a character that the database's encoding lacks: `row` leaves such
                                out where the text is only shown */
    bool excused;            /* the statement is known not to be the cause of the failures */
    unsigned retries;        /* transactions that the database asked to repeat */
    int64_t give_up_ms;      /* the batch is not halved any further after this time */
};

/* pg_batch_run: a pg_work_fn on a struct pg_batch. ERR_OK: no fate is PG_FATE_OPEN. */
ATTR_NODISCARD enum err pg_batch_run(struct pg_conn *conn, void *batch, struct why *why);

/* pg_batch_write: the same within a transaction of the caller. */
ATTR_NODISCARD enum err pg_batch_write(struct pg_conn *conn, struct pg_batch *batch, struct why *why);

/* the operations, one file per aggregate; each keeps its promise in store.h */

/* store_pg_schema.c */
enum err pg_migrate(struct store *store, size_t *ret_created, struct why *why);
enum err pg_ready(struct store *store, struct why *why);

/* store_pg_issues.c. pg_creations: a batch that makes tasks; it keeps their plane_ids in `ids`, which must
 * live as long as the batch. */
struct pg_batch pg_creations(const struct store_new_task *rows, size_t n, const char *ids[LIMIT_BATCH]);
enum store_creation pg_creation(enum pg_fate fate);
/* pg_creations_failed: returns `err` of such a batch; if a key is missing, `why` states that. */
enum err pg_creations_failed(const struct pg_conn *conn, enum err err, struct why *why);
enum err pg_create_tasks(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                         const struct store_new_task *batch, size_t n, enum store_creation *ret,
                         struct why *why);

/* store_pg_transition.c. pg_transition_json: row i of a list for a statement, without its message;
 * caller releases. pg_message_put: the message of such a row (NULL: none), and the ids of its rows in the
 * outbox. */
json_t *pg_transition_json(size_t i, const struct store_transition *transition, const char *pass_id);
void pg_message_put(json_t *row, unsigned destinations, const char *id, const char *message);
enum err pg_trial(struct store *store, struct trial_batch *trial, struct why *why);
enum err pg_transition(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                       const char *pass_id, const struct store_transition *batch, size_t n,
                       enum store_moved *ret_moved, struct why *why);

/* store_pg_replays.c */
enum err pg_replay_begin(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                         const struct store_replay *batch, size_t n, struct store_replay_seen *ret,
                         struct why *why);
enum err pg_replays_settle(struct store *store, const char *pass_id, const struct store_settlement *batch,
                           size_t n, bool *ret_mine, struct why *why);

/* store_pg_tasks.c */
struct store_rows pg_tasks_query(struct store *store, const struct store_tasks_query *query, struct why *why);
char *pg_tasks_place(struct store_rows *rows, const struct store_task_entry *entry);

/* store_pg_settings.c */
enum err pg_settings_write(struct store *store, int64_t seen_revision, const char *overrides,
                           const json_t *history, int64_t *ret_revision, struct why *why);

#endif
