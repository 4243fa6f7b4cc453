/* store_pg.h - the PostgreSQL store from within. Private to clients/store/pg.
 *
 * A few connections, each used by one thread at a time. An operation is a function that is handed a
 * connection; pg_call lends it one, and runs it again when the connection turned out to be dead or the
 * database reported a serialization failure. So every such function must be one that may run twice:
 * reads, compare-and-sets, and writes that recognise what they wrote before.
 *
 * Nothing waits in libpq but the connecting: every answer is awaited by poll() with a deadline of our own
 * beside the server's statement_timeout (a host that vanished answers no time-out), and store_interrupt wakes
 * it.
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

/* A number of ours within a statement. */
#define PG_DIGITS(number) STORE_DIGITS(number)

/* The statements of PostgreSQL alone, behind those of store_rows.h; the texts are in store_pg_sql.c. */
enum pg_sql {
    PG_SETTINGS_WRITE = STORE_SQL_SHARED,
    PG_POLICY_SHARE,
    PG_POLICY_WAIT,
    PG_MOVE,
    PG_MOVE_AGAIN,
    PG_CREATE,
    PG_CREATE_AGAIN,
    PG_REPLAY_BEGIN,
    PG_REPLAYS_SETTLE,
    PG_TASKS_LIST,
    PG_TASKS_LIST_OF_REPO,
    PG_HAS_SCHEMA,
    PG_STAGE_TYPE,
    PG_NOT_WRITABLE,
    PG_SQL_MAX_
};
/* pg_sql_text: a statement, for a tasks.stage that is text or an enum; caller frees. pg_sql_names_stage: the
 * two differ. */
char *pg_sql_text(unsigned which, bool stage_is_enum);
bool pg_sql_names_stage(unsigned which);

struct pg_conn;

/* connections: store_pg.c */

/* pg_call: see above. `work` must leave what it was called with fit to be called again. A transaction that it
 * leaves open is rolled back. ERR_RETRY from `work` is repeated a few times, and is ERR_TIMEOUT when that did
 * not help. */
typedef enum err pg_work_fn(struct pg_conn *conn, void *arg, struct why *why);
ATTR_NODISCARD enum err pg_call(struct store *store, pg_work_fn *work, void *arg, struct why *why);

/* pg_schema: the schema of the settings, or NULL. */
const char *pg_schema(const struct store *store);

/* statements: store_pg_wire.c */

/* The parameters of a statement as libpq takes them. */
struct pg_values {
    char *texts[12];
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

/* pg_parse: has the server check a statement that is not run. */
ATTR_NODISCARD enum err pg_parse(struct pg_conn *conn, const char *sql, struct why *why);

/* pg_begin: `begin` is "BEGIN …". Every transaction starts here, for behind a pooler it must bring the
 * session settings with it. */
ATTR_NODISCARD enum err pg_begin(struct pg_conn *conn, const char *begin, struct why *why);

/* pg_execute: SQL without parameters, for what cannot be prepared (BEGIN, CREATE TABLE). Never hand it
 * anything from outside. pg_commit: COMMIT, and ERR_INTERNAL if the server rolled back instead. */
ATTR_NODISCARD enum err pg_execute(struct pg_conn *conn, const char *sql, struct why *why);
ATTR_NODISCARD enum err pg_commit(struct pg_conn *conn, struct why *why);

/* Whose the last failure on a connection was. */
enum pg_fault {
    PG_FAULT_SERVER, /* or the connection's: no row is to blame */
    PG_FAULT_ROW,    /* about the data of a row (a constraint, a cast, a trigger that raised, a lock on it):
                        other rows may well pass */
    PG_FAULT_EITHER  /* a row's (a policy), or the statement's (a missing right): which, the statement without
                        rows shows */
};

struct pg_conn {
    struct pg_store *store;
    PGconn *pg;                 /* NULL: not connected */
    struct pg_connect *connect; /* that is being made, or was made after its caller had given up; NULL */
    int stop_fd;                /* readable once the store is interrupted */
    bool prepared[PG_SQL_MAX_]; /* on this connection; none behind a pooler */
    /* NULL: the session is ours alone. Else a pooler gives us one for each transaction: statements are not
     * prepared, each runs in a transaction, and a transaction begins with these settings. */
    char *pooled_settings;
    bool stage_known, stage_is_enum; /* the type of tasks.stage, read when a statement first depends on it */
    bool lost; /* of no more use, and what was under way may or may not have been done: to be closed when it
                  is given back */
    bool patient; /* its statements may take any time, until it is given back */
    /* Of the last failure. */
    char sqlstate[6]; /* "": the connection broke, or the failure was ours */
    enum pg_fault fault;
    struct why refusal; /* in words, as that of a row */
    bool taken;         /* guarded by the store's lock; all else belongs to who took it */
};

/* pg_await_end: the result of what was sent, all of it received. */
ATTR_NODISCARD enum err pg_await_end(struct pg_conn *conn, PGresult **ret, struct why *why);

/* a batch of writes: store_pg_batch.c */

/* What became of one row. */
enum pg_fate {
    PG_FATE_OPEN, /* not written; why is to be found out */
    PG_FATE_WRITTEN,
    PG_FATE_RACED, /* what it starts from does not stand any more */
    PG_FATE_REFUSED,
    PG_FATE_TAKEN, /* what it needs is another row's */
    PG_FATE_LOCKED /* not written in time: another session holds a lock, perhaps on all of the table */
};

struct pg_batch;
typedef json_t *pg_row_fn(const struct pg_batch *batch, size_t i);

struct pg_batch {
    /* The caller's. */
    int64_t settings_revision, valid_until_us;
    const void *rows;
    size_t n;            /* at most LIMIT_BATCH */
    pg_row_fn *row;      /* row i, with its "i": what names it and what is to be written */
    const char *pass_id; /* for the rows; may be NULL */
    const char *const
        *plane_ids; /* n of them, the second parameter of both statements; NULL: they have none */
    /* Parameter: rows. Answers for each row that it wrote with its `i` (null if it is none of ours any more),
     * whether `whole` of it was written, and the id of what was `made`, if something was. */
    unsigned write;
    /* Parameter: rows. Answers for each with its `i`, whether that is written (`known`), and whether it might
     * yet be (`stands`), and who has what it needs (`taken`, or null). */
    unsigned look_again;
    bool exclusive; /* waits for all other batches, and they for it */
    /* Where it is put into words why row i is refused; may return NULL. */
    struct why *(*refusal)(const struct pg_batch *batch, size_t i);
    /* What came of it. */
    enum pg_fate fates[LIMIT_BATCH];
    int64_t made[LIMIT_BATCH];
    /* Its own. */
    bool maybe_committed; /* the connection broke at COMMIT; `fates` are what it would have made true */
    bool impatient;
    bool excused;       /* the statement is not to blame for what the rows fail with */
    unsigned retries;   /* transactions that the database asked to be tried again */
    int64_t give_up_ms; /* no further halving then */
};

/* pg_batch_run: a pg_work_fn on a struct pg_batch. ERR_OK: no fate is PG_FATE_OPEN. */
ATTR_NODISCARD enum err pg_batch_run(struct pg_conn *conn, void *batch, struct why *why);

/* pg_batch_write: the same between a BEGIN and a COMMIT of the caller's. */
ATTR_NODISCARD enum err pg_batch_write(struct pg_conn *conn, struct pg_batch *batch, struct why *why);

/* the operations, one file per aggregate; each keeps its promise in store.h */

/* store_pg_schema.c */
enum err pg_migrate(struct store *store, size_t *ret_created, struct why *why);
enum err pg_ready(struct store *store, struct why *why);

/* store_pg_issues.c. pg_creations: a batch of them; `ids` is for their plane_ids, and lives as long. */
struct pg_batch pg_creations(const struct store_new_task *rows, size_t n, const char *ids[LIMIT_BATCH]);
enum store_creation pg_creation(enum pg_fate fate);
/* pg_creations_failed: `err` of a batch of them; a missing key is put into words. */
enum err pg_creations_failed(const struct pg_conn *conn, enum err err, struct why *why);
enum err pg_create_tasks(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                         const struct store_new_task *batch, size_t n, enum store_creation *ret,
                         struct why *why);

/* store_pg_transition.c. pg_transition_json: row i of a list for a statement; caller releases. */
json_t *pg_transition_json(size_t i, const struct store_transition *transition, const char *pass_id);
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
                           int64_t *ret_revision, struct why *why);

#endif
