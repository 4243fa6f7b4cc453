/* Replays: events that were sent to the orchestrator again, and whether their tasks moved. */
#include "clients/store/sqlite/store_sqlite.h"

#include <stdlib.h>

#include "clients/base/limits.h"

/* beginning */

struct beginning {
    const struct store_replay *batch;
    const json_t *pauses;
    struct store_replay_seen seen[LIMIT_BATCH];
};

static enum err issue_has_no_task(struct sqlite_conn *conn, const char *plane_id, size_t *ret_rows,
                                  struct why *why)
{
    size_t there;
    enum err err = sqlite_run(conn, SQL_TASKS_EXISTING, PARAMS(IDS_PARAM(&plane_id, 1)), &there, why);
    if (!err)
        *ret_rows = there == 0;
    return err;
}

static enum err is_as_it_was_seen(struct sqlite_conn *conn, const struct store_transition *transition,
                                  size_t *ret_rows, struct why *why)
{
    enum err err = transition->task->id ? sqlite_task_stands(conn, transition, ret_rows, why)
                                        : issue_has_no_task(conn, transition->task->plane_id, ret_rows, why);
    if (err || *ret_rows == 0 || !transition->verdict_id)
        return err;
    json_auto_t *ids = json_texts(&transition->verdict_id, 1);
    size_t replayed;
    if (!(err = sqlite_run(conn, SQL_VERDICTS_REPLAYED, PARAMS(JSON_PARAM(ids)), &replayed, why)))
        *ret_rows = replayed == 0;
    return err;
}

/* *ret_begun: there is a try to make, or it is given up now. */
static enum err begin_row(struct sqlite_conn *conn, const struct store_replay *replay, const json_t *pauses,
                          struct store_replay_seen *seen, bool *ret_begun, struct why *why)
{
    const struct store_transition *row = replay->row;
    const struct store_task *task = row->task;
    struct store_rows rows = sqlite_query(
        conn, SQL_REPLAY_BEGIN,
        PARAMS(TEXT_PARAM(replay->subject), TEXT_PARAM(replay->delivery.s),
               task->id ? NUMBER_PARAM(task->id) : TEXT_PARAM(NULL), TEXT_PARAM(task->plane_id),
               TEXT_PARAM(task->stage), TEXT_PARAM(row->to_stage), TEXT_PARAM(task->version),
               NUMBER_PARAM(row->rested_s), TEXT_PARAM(row->side), TEXT_PARAM(row->outcome),
               STORED_PARAM(row->reason), DOCUMENT_PARAM(row->evidence), TEXT_PARAM(row->verdict_id),
               TEXT_PARAM(row->missed_source), TEXT_PARAM(row->missed_event), JSON_PARAM(pauses)),
        why);
    while (rows_next(&rows)) {
        *ret_begun = true;
        *seen = replay_begun(&rows);
    }
    return rows_end(&rows);
}

static enum err other_read(struct sqlite_conn *conn, const struct store_replay *replay,
                           struct store_replay_seen *seen, struct why *why)
{
    json_auto_t *keys = replay_keys(replay, 1);
    enum err err = replays_seen(sqlite_query(conn, SQL_REPLAYS_LOOK, PARAMS(JSON_PARAM(keys)), why), 1, seen);
    *seen = replay_not_begun(*seen);
    return err;
}

static enum err row_begin(struct sqlite_conn *conn, void *arg, size_t i, bool *ret_keep, struct why *why)
{
    struct beginning *beginning = arg;
    const struct store_replay *replay = &beginning->batch[i];
    struct store_replay_seen *seen = &beginning->seen[i];
    size_t stands;
    *seen = (struct store_replay_seen){.state = STORE_REPLAY_RACED};
    enum err err = is_as_it_was_seen(conn, replay->row, &stands, why);
    if (err || stands == 0)
        return err;
    struct store_replay_seen begun = *seen;
    if ((err = begin_row(conn, replay, beginning->pauses, &begun, ret_keep, why)) ||
        (!*ret_keep && (err = other_read(conn, replay, &begun, why))))
        return err;
    if (begun.state == STORE_REPLAY_GIVEN_UP_NOW && replay->message &&
        (err = sqlite_outbox_put(conn, replay->message_id.s, replay->message, why)))
        return err;
    *seen = begun;
    return ERR_OK;
}

static struct store_task row_task(const void *arg, size_t i)
{
    return *((const struct beginning *)arg)->batch[i].row->task;
}

static void row_held(void *arg, size_t i)
{
    ((struct beginning *)arg)->seen[i].state = STORE_REPLAY_HELD;
}

static struct why *row_refusal(void *arg, size_t i)
{
    return ((const struct beginning *)arg)->batch[i].row->refusal;
}

enum err sqlite_replay_begin(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                             const struct store_replay *batch, size_t n, struct store_replay_seen *ret,
                             struct why *why)
{
    json_auto_t *pauses = replay_pauses();
    struct beginning beginning = {.batch = batch, .pauses = pauses};
    const struct sqlite_batch rows = {.settings_revision = settings_revision,
                                      .valid_until_us = valid_until_us,
                                      .n = n,
                                      .write = row_begin,
                                      .task = row_task,
                                      .held = row_held,
                                      .refusal = row_refusal,
                                      .arg = &beginning};
    enum err err = sqlite_batch_run(store, &rows, why);
    for (size_t i = 0; !err && i < n; i++)
        ret[i] = beginning.seen[i];
    return err;
}

/* settling */

static enum err settlement_write(struct sqlite_conn *conn, const char *pass_id,
                                 const struct store_settlement *settlement, size_t *ret_mine, struct why *why)
{
    const struct store_transition *row = settlement->row;
    enum err err = sqlite_run(
        conn, SQL_REPLAY_TAKE,
        PARAMS(TEXT_PARAM(settlement->replay->subject), TEXT_PARAM(settlement->replay->delivery.s)), ret_mine,
        why);
    if (err || *ret_mine == 0 || !row)
        return err;
    if (row->verdict_id && (err = sqlite_verdict_add(conn, row, NULL, why)))
        return err;
    if ((err = sqlite_ledger_add(conn, pass_id, row, why)))
        return err;
    return row->message ? sqlite_outbox_put(conn, row->id.s, row->message, why) : ERR_OK;
}

enum err sqlite_replays_settle(struct store *store, const char *pass_id, const struct store_settlement *batch,
                               size_t n, bool *ret_mine, struct why *why)
{
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    size_t mine[LIMIT_BATCH] = {0};
    enum err err = sqlite_take(store, SQLITE_USE_WRITE, &conn, why);
    if (!err)
        err = sqlite_execute(conn, SQL_BEGIN_WRITE, why);
    for (size_t i = 0; !err && i < n; i++)
        err = settlement_write(conn, pass_id, &batch[i], &mine[i], why);
    if (!err)
        err = sqlite_execute(conn, SQL_COMMIT, why);
    for (size_t i = 0; !err && i < n; i++)
        ret_mine[i] = mine[i] > 0;
    return err;
}
