/* The one transition: compare-and-set of task, job and ledger row, a batch in one transaction. */
#include "clients/store_sqlite.h"

#include <assert.h>
#include <stdlib.h>

#include "clients/base/limits.h"

/* What became of one row, beyond enum store_moved: the write of all of them is over. */
enum row_result { ROW_DECIDED, ROW_TRANSACTION_LOST, ROW_FAILED };

struct work {
    struct sqlite_conn *conn;
    const char *pass_id;
    int64_t settings_revision, valid_until_us;
    const struct store_transition *batch;
    size_t n;
    enum store_moved *moved;
    bool *refused; /* rows whose refusal undid the whole transaction: not tried again */
    struct why *why;
};

/* One task's failure is the task's own; everything else ends the batch. A table or column that is missing is
 * SQLITE_ERROR too, but not ERR_INTERNAL: see sqlite_failure. */
static bool is_refusal(const struct sqlite_conn *conn, enum err err)
{
    if (err != ERR_INTERNAL)
        return false;
    switch (sqlite3_errcode(sqlite_handle(conn)) & 0xff) {
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_ERROR: /* a trigger's own fault */
        return true;
    default:
        return false;
    }
}

static enum err policy_stands(const struct work *work)
{
    sqlite3_stmt *statement;
    bool row;
    enum err err = sqlite_statement(work->conn, SQL_SETTINGS_READ, &statement, work->why);
    if (err || (err = sqlite_step(work->conn, statement, &row, work->why)))
        return err;
    int64_t revision = sqlite3_column_int64(statement, 0), now_us = sqlite3_column_int64(statement, 1);
    (void)sqlite3_reset(statement);
    if (revision != work->settings_revision)
        return why_set(work->why, ERR_CONFLICT, "the settings were changed meanwhile");
    if (work->valid_until_us && now_us >= work->valid_until_us)
        return why_set(work->why, ERR_CONFLICT, "the settings ran out meanwhile");
    return ERR_OK;
}

/* The four statements of one row. Each tells by *ret_rows whether it found or wrote its row; a trigger that
 * says RAISE(IGNORE) makes a write succeed without one. */
static enum err ledger_has(const struct work *work, const struct store_transition *transition,
                           size_t *ret_rows)
{
    sqlite3_stmt *statement;
    enum err err = sqlite_statement(work->conn, SQL_LEDGER_HAS, &statement, work->why);
    if (err)
        return err;
    sqlite_put(statement, 1, transition->id.s);
    return sqlite_run(work->conn, statement, ret_rows, work->why);
}

/* `which` is SQL_TASK_MOVE or SQL_TASK_STANDS: the same condition, with and without the act. */
static enum err task_match(const struct work *work, enum sqlite_sql which,
                           const struct store_transition *transition, size_t *ret_rows)
{
    sqlite3_stmt *statement;
    enum err err = sqlite_statement(work->conn, which, &statement, work->why);
    if (err)
        return err;
    (void)sqlite3_bind_int64(statement, 1, transition->task->id);
    sqlite_put(statement, 2, transition->task->stage);
    sqlite_put(statement, 3, transition->task->version);
    if (which == SQL_TASK_MOVE)
        sqlite_put(statement, 4, transition->to_stage);
    return sqlite_run(work->conn, statement, ret_rows, work->why);
}

static enum err job_queue(const struct work *work, const struct store_transition *transition,
                          size_t *ret_rows)
{
    sqlite3_stmt *statement;
    enum err err = sqlite_statement(work->conn, SQL_JOB_QUEUE, &statement, work->why);
    if (err)
        return err;
    (void)sqlite3_bind_int64(statement, 1, transition->task->id);
    sqlite_put(statement, 2, transition->agent);
    return sqlite_run(work->conn, statement, ret_rows, work->why);
}

static enum err ledger_add(const struct work *work, const struct store_transition *transition)
{
    sqlite3_stmt *statement;
    enum err err = sqlite_statement(work->conn, SQL_LEDGER_ADD, &statement, work->why);
    if (err)
        return err;
    const struct store_task *task = transition->task;
    const char *const texts[] = {
        work->pass_id,    task->work_item_id,  task->repo,        task->stage,        transition->to_stage,
        transition->side, transition->outcome, transition->agent, transition->reason, transition->evidence};
    sqlite_put(statement, 1, transition->id.s);
    (void)sqlite3_bind_int64(statement, 2, task->id);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        sqlite_put(statement, (int)i + 3, texts[i]);
    return sqlite_run(work->conn, statement, NULL, work->why);
}

/* Within the row's savepoint. */
static enum err row_write(const struct work *work, const struct store_transition *transition,
                          enum store_moved *ret_moved)
{
    size_t rows;
    enum err err = task_match(work, SQL_TASK_MOVE, transition, &rows);
    if (err)
        return err;
    if (rows == 0) {
        if ((err = task_match(work, SQL_TASK_STANDS, transition, &rows)))
            return err;
        *ret_moved = rows ? STORE_REFUSED : STORE_RACED;
        return ERR_OK;
    }
    if (transition->agent) {
        if ((err = job_queue(work, transition, &rows)))
            return err;
        if (rows == 0) {
            *ret_moved = STORE_REFUSED;
            return ERR_OK;
        }
    }
    *ret_moved = STORE_MOVED;
    return ledger_add(work, transition);
}

static enum row_result row_move(const struct work *work, size_t i, enum err *ret_err)
{
    size_t known;
    enum store_moved moved = STORE_REFUSED;
    enum err err = ledger_has(work, &work->batch[i], &known);
    if (!err && known) {
        work->moved[i] = STORE_MOVED;
        return ROW_DECIDED;
    }
    if (err || (err = sqlite_execute(work->conn, SQL_ROW_BEGIN, work->why))) {
        *ret_err = err;
        return ROW_FAILED;
    }
    err = row_write(work, &work->batch[i], &moved);
    bool refused = is_refusal(work->conn, err);
    if (refused)
        moved = STORE_REFUSED;
    else if (err) {
        *ret_err = err;
        return ROW_FAILED;
    }
    work->moved[i] = moved;
    /* RAISE(ROLLBACK) in a trigger takes the whole transaction with it. */
    if (sqlite3_get_autocommit(sqlite_handle(work->conn))) {
        work->refused[i] = true;
        return ROW_TRANSACTION_LOST;
    }
    if (moved != STORE_MOVED)
        err = sqlite_execute(work->conn, SQL_ROW_UNDO, work->why);
    else
        err = ERR_OK;
    if (!err)
        err = sqlite_execute(work->conn, SQL_ROW_KEEP, work->why);
    *ret_err = err;
    return err ? ROW_FAILED : ROW_DECIDED;
}

/* One transaction. *ret_again: a refusal undid it, and what is not refused must be done again. */
static enum err batch_write(const struct work *work, bool *ret_again)
{
    *ret_again = false;
    enum err err = sqlite_execute(work->conn, SQL_BEGIN_WRITE, work->why);
    if (err || (err = policy_stands(work)))
        return err;
    for (size_t i = 0; i < work->n; i++) {
        if (work->refused[i])
            continue;
        switch (row_move(work, i, &err)) {
        case ROW_DECIDED:
            break;
        case ROW_TRANSACTION_LOST:
            *ret_again = true;
            return ERR_OK;
        case ROW_FAILED:
            return err;
        }
    }
    return sqlite_execute(work->conn, SQL_COMMIT, work->why);
}

enum err sqlite_transition(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                           const char *pass_id, const struct store_transition *batch, size_t n,
                           enum store_moved *ret_moved, struct why *why)
{
    assert(n <= LIMIT_BATCH);
    bool refused[LIMIT_BATCH] = {false};
    enum store_moved moved[LIMIT_BATCH];
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    enum err err = sqlite_take(store, SQLITE_USE_WRITE, &conn, why);
    if (err)
        return err;
    const struct work work = {
        .conn = conn,
        .pass_id = pass_id,
        .settings_revision = settings_revision,
        .valid_until_us = valid_until_us,
        .batch = batch,
        .n = n,
        .moved = moved,
        .refused = refused,
        .why = why,
    };
    bool again;
    do
        err = batch_write(&work, &again);
    while (!err && again); /* each round refuses one more row, so at most n */
    for (size_t i = 0; !err && i < n; i++)
        ret_moved[i] = moved[i];
    return err;
}
