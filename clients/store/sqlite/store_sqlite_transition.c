/* The one transition: compare-and-set of task, job, verdict, ledger row and message. */
#include "clients/store/sqlite/store_sqlite.h"

#include <assert.h>

#include "clients/base/limits.h"

struct work {
    const char *pass_id;
    const struct store_transition *batch;
    enum store_moved moved[LIMIT_BATCH];
};

static enum err tables_take_it(struct sqlite_conn *conn, void *arg, struct why *why)
{
    (void)arg;
    enum err err = sqlite_execute(conn, SQL_TASKS_TAKE_MOVES, why);
    return err ? err : sqlite_execute(conn, SQL_JOBS_TAKE_NEW, why);
}

/* The statements of one row. Each sets *ret_rows to whether it found or wrote its row. */
static enum err ledger_has(struct sqlite_conn *conn, const struct store_transition *transition,
                           size_t *ret_rows, struct why *why)
{
    return sqlite_run(conn, SQL_LEDGER_HAS, PARAMS(TEXT_PARAM(transition->id.s)), ret_rows, why);
}

/* No row: the verdict is there already, possibly by a row of this batch. */
enum err sqlite_verdict_add(struct sqlite_conn *conn, const struct store_transition *transition,
                            size_t *ret_rows, struct why *why)
{
    return sqlite_run(conn, SQL_VERDICT_ADD,
                      PARAMS(TEXT_PARAM(transition->verdict_id), NUMBER_PARAM(transition->task->id)),
                      ret_rows, why);
}

enum err sqlite_task_stands(struct sqlite_conn *conn, const struct store_transition *transition,
                            size_t *ret_rows, struct why *why)
{
    const struct store_task *task = transition->task;
    return sqlite_run(conn, SQL_TASK_STANDS,
                      PARAMS(NUMBER_PARAM(task->id), TEXT_PARAM(task->stage), TEXT_PARAM(task->version)),
                      ret_rows, why);
}

enum err sqlite_outbox_put(struct sqlite_conn *conn, const char *id, const char *text, struct why *why)
{
    enum err err = ERR_OK;
    for (enum store_destination to = 0; !err && to < STORE_TO_MAX_; to++) {
        struct uuid_text row;
        if (destination_row(sqlite_destinations(conn), to, id, &row))
            err = sqlite_run(conn, SQL_OUTBOX_ADD,
                             PARAMS(TEXT_PARAM(row.s), STORED_PARAM(text), TEXT_PARAM(destination_name(to))),
                             NULL, why);
    }
    return err;
}

static enum err job_queue(struct sqlite_conn *conn, const struct store_transition *transition,
                          size_t *ret_rows, struct why *why)
{
    return sqlite_run(conn, SQL_JOB_QUEUE,
                      PARAMS(NUMBER_PARAM(transition->task->id), TEXT_PARAM(transition->agent)), ret_rows,
                      why);
}

enum err sqlite_ledger_add(struct sqlite_conn *conn, const char *pass_id,
                           const struct store_transition *transition, struct why *why)
{
    const struct store_task *task = transition->task;
    return sqlite_run(conn, SQL_LEDGER_ADD,
                      PARAMS(TEXT_PARAM(transition->id.s), NUMBER_PARAM(task->id), TEXT_PARAM(pass_id),
                             TEXT_PARAM(task->work_item_id), TEXT_PARAM(task->repo), TEXT_PARAM(task->stage),
                             TEXT_PARAM(transition->to_stage), TEXT_PARAM(transition->side),
                             TEXT_PARAM(transition->outcome), TEXT_PARAM(transition->agent),
                             STORED_PARAM(transition->reason), DOCUMENT_PARAM(transition->evidence),
                             TEXT_PARAM(transition->missed_source), TEXT_PARAM(transition->missed_event),
                             TEXT_PARAM(task->plane_id), NUMBER_PARAM(transition->rested_s)),
                      NULL, why);
}

/* Moves the task and queues its job. */
static enum err task_write(struct sqlite_conn *conn, const struct store_transition *transition,
                           enum store_moved *ret_moved, struct why *why)
{
    size_t rows;
    const struct store_task *task = transition->task;
    enum err err = sqlite_run(conn, SQL_TASK_MOVE,
                              PARAMS(NUMBER_PARAM(task->id), TEXT_PARAM(task->stage),
                                     TEXT_PARAM(task->version), TEXT_PARAM(transition->to_stage)),
                              &rows, why);
    if (err)
        return err;
    if (rows == 0) {
        if ((err = sqlite_task_stands(conn, transition, &rows, why)))
            return err;
        *ret_moved = rows ? STORE_REFUSED : STORE_RACED;
        return ERR_OK;
    }
    if (transition->agent && (err = job_queue(conn, transition, &rows, why)))
        return err;
    *ret_moved = rows ? STORE_MOVED : STORE_REFUSED;
    return ERR_OK;
}

static enum err row_write(struct sqlite_conn *conn, void *arg, size_t i, bool *ret_keep, struct why *why)
{
    struct work *work = arg;
    const struct store_transition *transition = &work->batch[i];
    enum store_moved *moved = &work->moved[i];
    size_t rows;
    *moved = STORE_REFUSED;
    enum err err = ledger_has(conn, transition, &rows, why);
    if (err)
        return err;
    if (rows > 0) {
        *moved = STORE_MOVED; /* by an earlier call */
        return ERR_OK;
    }
    if (transition->verdict_id) {
        if ((err = sqlite_verdict_add(conn, transition, &rows, why)))
            return err;
        if (rows == 0) {
            *moved = STORE_RACED;
            return ERR_OK;
        }
    }
    enum store_moved result;
    if ((err = task_write(conn, transition, &result, why)))
        return err;
    if (result == STORE_MOVED && (err = sqlite_ledger_add(conn, work->pass_id, transition, why)))
        return err;
    if (result == STORE_MOVED && transition->message &&
        (err = sqlite_outbox_put(conn, transition->id.s, transition->message, why)))
        return err;
    *moved = result;
    *ret_keep = result == STORE_MOVED;
    return ERR_OK;
}

static struct store_task row_task(const void *arg, size_t i)
{
    return *((const struct work *)arg)->batch[i].task;
}

static void row_held(void *arg, size_t i)
{
    ((struct work *)arg)->moved[i] = STORE_HELD;
}

static struct why *row_refusal(void *arg, size_t i)
{
    return ((const struct work *)arg)->batch[i].refusal;
}

enum err sqlite_transition(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                           const char *pass_id, const struct store_transition *batch, size_t n,
                           enum store_moved *ret_moved, struct why *why)
{
    struct work work = {.pass_id = pass_id, .batch = batch};
    const struct sqlite_batch rows = {.settings_revision = settings_revision,
                                      .valid_until_us = valid_until_us,
                                      .n = n,
                                      .begin = tables_take_it,
                                      .write = row_write,
                                      .task = row_task,
                                      .held = row_held,
                                      .refusal = row_refusal,
                                      .arg = &work};
    enum err err = sqlite_batch_run(store, &rows, why);
    for (size_t i = 0; !err && i < n; i++)
        ret_moved[i] = work.moved[i];
    return err;
}

struct trial {
    struct trial_batch *batch;
    struct work moves;
};

static enum err trial_create(struct sqlite_conn *conn, struct trial_batch *batch, size_t i, bool *ret_keep,
                             struct why *why)
{
    const struct store_new_task *task = &batch->creations[i];
    size_t rows;
    batch->created[i] = STORE_NOT_CREATED;
    enum err err = sqlite_tasks_keyed(conn, why);
    if (err || (err = sqlite_task_create(conn, task, &rows, why)) || rows == 0)
        return err;
    batch->created[i] = STORE_CREATED;
    *ret_keep = true;
    return trial_tasks_read(batch,
                            sqlite_query(conn, SQL_ISSUE_TASKS, PARAMS(IDS_PARAM(&task->plane_id, 1)), why));
}

static enum err trial_message(struct sqlite_conn *conn, void *arg, struct why *why)
{
    (void)arg;
    struct uuid_text id = uuid_new();
    return sqlite_outbox_put(conn, id.s, TRIAL_TEXT, why);
}

static enum err trial_row(struct sqlite_conn *conn, void *arg, size_t i, bool *ret_keep, struct why *why)
{
    struct trial *trial = arg;
    size_t move = i - trial->batch->n_creations;
    if (i < trial->batch->n_creations)
        return trial_create(conn, trial->batch, i, ret_keep, why);
    return trial->batch->moves[move].task ? row_write(conn, &trial->moves, move, ret_keep, why) : ERR_OK;
}

static struct why *trial_refusal(void *arg, size_t i)
{
    const struct trial_batch *batch = ((struct trial *)arg)->batch;
    return i < batch->n_creations ? batch->creations[i].refusal
                                  : batch->moves[i - batch->n_creations].refusal;
}

enum err sqlite_trial(struct store *store, struct trial_batch *batch, struct why *why)
{
    struct trial trial = {.batch = batch, .moves = {.batch = batch->moves}};
    const struct sqlite_batch rows = {.trial = true,
                                      .n = batch->n_creations + batch->n_moves,
                                      .begin = batch->n_creations ? tables_take_it : trial_message,
                                      .write = trial_row,
                                      .refusal = trial_refusal,
                                      .arg = &trial};
    enum err err = sqlite_batch_run(store, &rows, why);
    for (size_t i = 0; !err && i < batch->n_moves; i++)
        batch->moved[i] = trial.moves.moved[i];
    return err;
}
