/* One transaction for a batch of rows, each in its own savepoint, so that a row that the database refuses (a
 * constraint, a trigger) does not fail the batch. */
#include "clients/store/sqlite/store_sqlite.h"

#include <assert.h>

#include "clients/base/limits.h"

/* The result of a row's turn: it is over, with any result, or all rows must start again, or the batch ends.
 */
enum row_result { ROW_DECIDED, ROW_TRANSACTION_LOST, ROW_FAILED };

struct run {
    struct sqlite_conn *conn;
    const struct sqlite_batch *batch;
    bool refused[LIMIT_BATCH]; /* rows whose refusal undid the whole transaction: not tried again */
    bool outlived;             /* a row took all the time there is: the second ends the batch */
    struct why *why;
};

/* One row's failure is the row's own; everything else ends the batch. A table or column that is missing is
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

/* A trigger of that one row's hangs: most of the time was its own. */
static bool is_endless(struct run *run, enum err err, int64_t began_ms)
{
    if (err != ERR_TIMEOUT || run->outlived || clock_mono_ms() - began_ms < LIMIT_STATEMENT_MS / 2)
        return false;
    run->outlived = sqlite_outlived(run->conn);
    return run->outlived;
}

static enum row_result row_write(struct run *run, size_t i, enum err *ret_err)
{
    bool keep = false;
    int64_t began_ms = clock_mono_ms();
    enum err err = sqlite_execute(run->conn, SQL_ROW_BEGIN, run->why);
    if (err) {
        *ret_err = err;
        return ROW_FAILED;
    }
    struct why refusal = {"the database did not keep the write: a trigger swallowed it"};
    err = run->batch->write(run->conn, run->batch->arg, i, &keep, &refusal);
    bool endless = is_endless(run, err, began_ms);
    if (err && !endless && !is_refusal(run->conn, err)) {
        if (run->why)
            *run->why = refusal;
        *ret_err = err;
        return ROW_FAILED;
    }
    struct why *error = run->batch->refusal ? run->batch->refusal(run->batch->arg, i) : NULL;
    if (error)
        *error = refusal;
    /* RAISE(ROLLBACK) in a trigger takes the whole transaction with it. */
    if (sqlite3_get_autocommit(sqlite_handle(run->conn))) {
        run->refused[i] = true;
        return ROW_TRANSACTION_LOST;
    }
    if (err || !keep)
        err = sqlite_execute(run->conn, SQL_ROW_UNDO, run->why);
    if (!err)
        err = sqlite_execute(run->conn, SQL_ROW_KEEP, run->why);
    *ret_err = err;
    return err ? ROW_FAILED : ROW_DECIDED;
}

static bool row_is_held(struct run *run, const struct store_guard *guard, size_t i)
{
    const struct sqlite_batch *batch = run->batch;
    if (batch->trial)
        return false;
    struct store_task task = batch->task(batch->arg, i);
    struct why *words = batch->refusal ? batch->refusal(batch->arg, i) : NULL;
    if (!guard_keeps(guard, &task, words))
        return false;
    batch->held(batch->arg, i);
    return true;
}

/* One transaction. *ret_again: a refusal rolled it back, and all rows that are not refused must be written
 * again. */
static enum err transaction_write(struct run *run, bool *ret_again)
{
    const struct sqlite_batch *batch = run->batch;
    *ret_again = false;
    enum err err = sqlite_execute(run->conn, SQL_BEGIN_WRITE, run->why);
    if (!err && !batch->trial)
        err = store_policy_stands(sqlite_query(run->conn, SQL_SETTINGS_READ, NO_PARAMS, run->why),
                                  batch->settings_revision, batch->valid_until_us, run->why);
    AUTO_GUARD struct store_guard guard = {.is_newer = false};
    if (!err && !batch->trial)
        err = guard_read(sqlite_query(run->conn, SQL_HOLDS, NO_PARAMS, run->why), &guard);
    if (err)
        return err;
    if (batch->begin && (err = batch->begin(run->conn, batch->arg, run->why)))
        return err;
    for (size_t i = 0; i < batch->n; i++) {
        if (run->refused[i] || row_is_held(run, &guard, i))
            continue;
        switch (row_write(run, i, &err)) {
        case ROW_DECIDED:
            break;
        case ROW_TRANSACTION_LOST:
            *ret_again = true;
            return ERR_OK;
        case ROW_FAILED:
            return err;
        }
    }
    return batch->trial ? ERR_OK : sqlite_execute(run->conn, SQL_COMMIT, run->why);
}

enum err sqlite_batch_run(struct store *store, const struct sqlite_batch *batch, struct why *why)
{
    assert(batch->n <= LIMIT_BATCH);
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    enum err err = sqlite_take(store, SQLITE_USE_WRITE, &conn, why);
    if (err)
        return err;
    struct run run = {.conn = conn, .batch = batch, .why = why};
    bool again;
    do
        err = transaction_write(&run, &again);
    while (!err && again); /* each round refuses one more row, so at most n */
    return err;
}
