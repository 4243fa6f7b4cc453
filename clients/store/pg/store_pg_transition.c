/* The one transition: compare-and-set of task, job, ledger row and message. How a batch of them becomes one
 * transaction is in store_pg_batch.c. */
#include "clients/store/pg/store_pg.h"

#include "clients/base/jsonx.h"

static struct store_task row_task(const struct pg_batch *batch, size_t i)
{
    return *((const struct store_transition *)batch->rows)[i].task;
}

static struct why *row_refusal(const struct pg_batch *batch, size_t i)
{
    return ((const struct store_transition *)batch->rows)[i].refusal;
}

void pg_message_put(json_t *row, unsigned destinations, const char *id, const char *message)
{
    static const char *const keys[] = {
        [STORE_TO_TELEGRAM] = "telegram_id", [STORE_TO_WEBHOOK] = "webhook_id"};
    AUTO_FREE char *stored = text_stored(message);
    struct uuid_text of;
    json_put(row, "message", json_text(stored));
    for (enum store_destination to = 0; message && to < STORE_TO_MAX_; to++)
        if (destination_row(destinations, to, id, &of))
            json_put(row, keys[to], json_text(of.s));
}

json_t *pg_transition_json(size_t i, const struct store_transition *transition, const char *pass_id)
{
    const struct store_task *task = transition->task;
    const struct {
        const char *key, *text;
        char *(*stored)(const char *text); /* as a text of ours */
    } texts[] = {
        {"id", transition->id.s, NULL},
        {"pass_id", pass_id, NULL},
        {"version", task->version, NULL},
        {"from_stage", task->stage, NULL},
        {"to_stage", transition->to_stage, NULL},
        {"agent", transition->agent, NULL},
        {"side", transition->side, NULL},
        {"outcome", transition->outcome, NULL},
        {"reason", transition->reason, text_stored},
        {"evidence", transition->evidence, document_stored},
        {"repo", task->repo, NULL},
        {"work_item_id", task->work_item_id, NULL},
        {"plane_id", task->plane_id, NULL},
        {"verdict_id", transition->verdict_id, NULL},
        {"missed_source", transition->missed_source, NULL},
        {"missed_event", transition->missed_event, NULL},
    };
    json_t *row = json_object();
    json_put(row, "i", json_integer((json_int_t)i));
    json_put(row, "task_id", json_integer(task->id));
    json_put(row, "rested_s", json_integer(transition->rested_s));
    for (size_t k = 0; k < ARRAY_LEN(texts); k++) {
        AUTO_FREE char *stored = texts[k].stored ? texts[k].stored(texts[k].text) : NULL;
        json_put(row, texts[k].key, json_text(stored ? stored : texts[k].text));
    }
    return row;
}

static json_t *row_json(const struct pg_batch *batch, size_t i)
{
    const struct store_transition *transition = &((const struct store_transition *)batch->rows)[i];
    json_t *row = pg_transition_json(i, transition, batch->pass_id);
    pg_message_put(row, batch->destinations, transition->id.s, transition->message);
    return row;
}

static bool row_takes_id(const struct pg_batch *batch, size_t i)
{
    return ((const struct store_transition *)batch->rows)[i].agent;
}

static struct pg_batch moves_batch(const struct store_transition *rows, size_t n, const char *pass_id)
{
    return (struct pg_batch){.rows = rows,
                             .n = n,
                             .row = row_json,
                             .task = row_task,
                             .refusal = row_refusal,
                             .takes_id = row_takes_id,
                             .pass_id = pass_id,
                             .write = PG_MOVE,
                             .look_again = PG_MOVE_AGAIN};
}

static enum store_moved moved(enum pg_fate fate)
{
    static const enum store_moved results[] = {
        [PG_FATE_OPEN] = STORE_REFUSED,    [PG_FATE_WRITTEN] = STORE_MOVED, [PG_FATE_RACED] = STORE_RACED,
        [PG_FATE_REFUSED] = STORE_REFUSED, [PG_FATE_TAKEN] = STORE_REFUSED, [PG_FATE_LOCKED] = STORE_REFUSED,
        [PG_FATE_HELD] = STORE_HELD};
    return results[fate];
}

enum err pg_transition(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                       const char *pass_id, const struct store_transition *batch, size_t n,
                       enum store_moved *ret_moved, struct why *why)
{
    struct pg_batch work = moves_batch(batch, n, pass_id);
    work.settings_revision = settings_revision;
    work.valid_until_us = valid_until_us;
    work.destinations = store->destinations;
    enum err err = pg_call(store, pg_batch_run, &work, why);
    guard_done(&work.guard);
    for (size_t i = 0; !err && i < n; i++)
        ret_moved[i] = moved(work.fates[i]);
    return err;
}

/* The moves that have a task, as one batch. */
static enum err trial_moves(struct pg_conn *conn, struct trial_batch *trial, struct why *why)
{
    struct store_transition rows[LIMIT_BATCH];
    size_t places[LIMIT_BATCH], n = 0;
    for (size_t i = 0; i < trial->n_moves; i++)
        if (trial->moves[i].task) {
            places[n] = i;
            rows[n++] = trial->moves[i];
        }
    struct pg_batch moves = moves_batch(rows, n, NULL);
    enum err err = n > 0 ? pg_batch_write(conn, &moves, why) : ERR_OK;
    for (size_t i = 0; !err && i < n; i++)
        trial->moved[places[i]] = moved(moves.fates[i]);
    return err;
}

/* In a savepoint: where tasks cannot be made, moves of those that are there are tried all the same. */
static enum err trial_creations(struct pg_conn *conn, struct trial_batch *trial, struct why *why)
{
    const char *ids[LIMIT_BATCH] = {NULL};
    struct pg_batch creations = pg_creations(trial->creations, trial->n_creations, ids);
    struct why refusal = {""};
    enum err err = pg_execute(conn, "SAVEPOINT reconcile_trial", why);
    if (err)
        return err;
    err = pg_creations_failed(conn, pg_batch_write(conn, &creations, &refusal), &refusal);
    if (err && (conn->lost || (err = pg_execute(conn, "ROLLBACK TO reconcile_trial", why)))) {
        if (why && conn->lost)
            *why = refusal;
        return err;
    }
    for (size_t i = 0; i < trial->n_creations; i++) {
        trial->created[i] = *refusal.text ? STORE_NOT_CREATED : pg_creation(creations.fates[i]);
        if (*refusal.text)
            *trial->creations[i].refusal = refusal;
    }
    return trial_tasks_read(trial,
                            pg_query(conn, SQL_ISSUE_TASKS, PARAMS(IDS_PARAM(ids, trial->n_creations)), why));
}

/* Where a policy hides rows, tasks would be left alone without a word, and a hidden job's task moved. */
static enum err rows_shown(struct pg_conn *conn, struct why *why)
{
    enum { NAME_SHOWN = 64 };
    struct store_rows rows = pg_query(conn, PG_HIDDEN, NO_PARAMS, why);
    bool hidden = rows_next(&rows);
    AUTO_FREE char *role = hidden ? rows_text(&rows, "role", NAME_SHOWN) : NULL;
    AUTO_FREE char *tables = hidden ? rows_text(&rows, "tables", NAME_SHOWN) : NULL;
    enum err err = rows_end(&rows);
    if (err || !hidden)
        return err;
    return why_set(why, ERR_UNAVAILABLE,
                   "row level security is in force for the role %s on %s: hidden tasks would never be healed,"
                   " and the task of a hidden running job would be moved; right would be: BYPASSRLS, or a"
                   " policy FOR ALL USING (true) for this role",
                   role, tables);
}

static enum err trial_message(struct pg_conn *conn, struct why *why)
{
    struct uuid_text id = uuid_new();
    return rows_count(pg_query(conn, SQL_OUTBOX_ADD,
                               PARAMS(TEXT_PARAM(id.s), TEXT_PARAM(TRIAL_TEXT), TEXT_PARAM(NULL)), why),
                      NULL);
}

static enum err trial_run(struct pg_conn *conn, void *arg, struct why *why)
{
    struct trial_batch *trial = arg;
    enum err err = pg_begin(conn, "BEGIN ISOLATION LEVEL READ COMMITTED", why);
    if (!err)
        err = pg_execute(conn, "SET LOCAL lock_timeout = " PG_DIGITS(LIMIT_TRIAL_LOCK_MS), why);
    if (!err)
        err = rows_shown(conn, why);
    if (!err && trial->n_creations + trial->n_moves == 0)
        return trial_message(conn, why);
    if (!err)
        err = trial_creations(conn, trial, why);
    return err ? err : trial_moves(conn, trial, why); /* rolled back when the connection is given back */
}

enum err pg_trial(struct store *store, struct trial_batch *trial, struct why *why)
{
    return pg_call(store, trial_run, trial, why);
}
