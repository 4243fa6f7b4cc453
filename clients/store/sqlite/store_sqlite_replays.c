/* Replays: what was sent to the orchestrator again, and whether it helped. */
#include "clients/store/sqlite/store_sqlite.h"

#include <stdlib.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"

/* looking */

static char *keys_line(const struct store_replay *batch, size_t n)
{
    json_t *keys = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *key = json_array();
        json_push(key, json_text(batch[i].subject));
        json_push(key, json_text(batch[i].delivery.s));
        json_push(keys, key);
    }
    return sqlite_line_take(keys);
}

/* What is there of these deliveries goes into *ret; the rest of it stays as it is. */
static enum err seen_read(struct sqlite_conn *conn, const struct store_replay *batch, size_t n,
                          struct store_replay_seen *ret, struct why *why)
{
    enum { I, TRIES, GIVEN_UP, NEXT_S, IS_DUE };
    AUTO_FREE char *keys = keys_line(batch, n);
    sqlite3_stmt *statement;
    bool row;
    enum err err = sqlite_statement(conn, SQL_REPLAYS_LOOK, &statement, why);
    if (err)
        return err;
    sqlite_put(statement, 1, keys);
    while (!(err = sqlite_step(conn, statement, &row, why)) && row) {
        struct store_replay_seen *seen = &ret[sqlite3_column_int64(statement, I)];
        seen->tries = sqlite3_column_int64(statement, TRIES);
        seen->next_s = sqlite3_column_int64(statement, NEXT_S);
        if (sqlite3_column_int(statement, GIVEN_UP))
            seen->state = STORE_REPLAY_GIVEN_UP;
        else if (!sqlite3_column_int(statement, IS_DUE))
            seen->state = STORE_REPLAY_WAITS;
        else
            seen->state = seen->tries < LIMIT_REPLAY_TRIES ? STORE_REPLAY_DUE : STORE_REPLAY_LAST;
    }
    (void)sqlite3_reset(statement);
    return err;
}

enum err sqlite_replays_look(struct store *store, const struct store_replay *batch, size_t n,
                             struct store_replay_seen *ret, struct why *why)
{
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    enum err err = sqlite_take(store, SQLITE_USE_READ, &conn, why);
    if (err)
        return err;
    for (size_t i = 0; i < n; i++)
        ret[i] = (struct store_replay_seen){.state = STORE_REPLAY_DUE};
    return seen_read(conn, batch, n, ret, why);
}

enum err sqlite_replay_get(struct store *store, const char *subject, struct store_replay_open *ret,
                           struct why *why)
{
    enum { DELIVERY, TRIES, NEXT_US, GIVEN_UP };
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    sqlite3_stmt *statement;
    bool row;
    enum err err = sqlite_take(store, SQLITE_USE_READ, &conn, why);
    if (err || (err = sqlite_statement(conn, SQL_REPLAY_GET, &statement, why)))
        return err;
    sqlite_put(statement, 1, subject);
    if ((err = sqlite_step(conn, statement, &row, why)))
        return err;
    if (!row)
        return why_set(why, ERR_NOT_FOUND, "there is no replay of %s", subject);
    *ret = (struct store_replay_open){.delivery = sqlite_uuid(statement, DELIVERY),
                                      .tries = sqlite3_column_int64(statement, TRIES),
                                      .next_us = sqlite3_column_int64(statement, NEXT_US),
                                      .given_up = sqlite3_column_int(statement, GIVEN_UP) != 0};
    return ERR_OK;
}

/* beginning */

struct beginning {
    const struct store_replay *batch;
    struct store_replay_seen seen[LIMIT_BATCH];
};

static enum err issue_has_no_task(struct sqlite_conn *conn, const char *plane_id, size_t *ret_rows,
                                  struct why *why)
{
    AUTO_FREE char *ids = sqlite_texts_line(&plane_id, 1);
    sqlite3_stmt *statement;
    size_t there;
    enum err err = sqlite_statement(conn, SQL_TASKS_EXISTING, &statement, why);
    if (err)
        return err;
    sqlite_put(statement, 1, ids);
    if (!(err = sqlite_run(conn, statement, &there, why)))
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
    AUTO_FREE char *ids = sqlite_texts_line(&transition->verdict_id, 1);
    sqlite3_stmt *statement;
    size_t replayed;
    if ((err = sqlite_statement(conn, SQL_VERDICTS_REPLAYED, &statement, why)))
        return err;
    sqlite_put(statement, 1, ids);
    if (!(err = sqlite_run(conn, statement, &replayed, why)))
        *ret_rows = replayed == 0;
    return err;
}

static void begin_bind(sqlite3_stmt *statement, const struct store_replay *replay)
{
    const struct store_transition *row = replay->row;
    const struct {
        int index;
        const char *text;
    } texts[] = {
        {1, replay->subject},    {2, replay->delivery.s}, {4, row->task->plane_id}, {5, row->task->stage},
        {6, row->to_stage},      {7, row->task->version}, {9, row->side},           {10, row->outcome},
        {11, row->reason},       {12, row->evidence},     {13, row->verdict_id},    {14, row->missed_source},
        {15, row->missed_event},
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        sqlite_put(statement, texts[i].index, texts[i].text);
    if (row->task->id)
        (void)sqlite3_bind_int64(statement, 3, row->task->id);
    (void)sqlite3_bind_int64(statement, 8, row->task->age_s);
}

/* *ret_begun: there is a try to make, or it is given up now. */
static enum err begin_row(struct sqlite_conn *conn, const struct store_replay *replay,
                          struct store_replay_seen *seen, bool *ret_begun, struct why *why)
{
    enum { TRIES, GIVEN_UP, NEXT_S };
    sqlite3_stmt *statement;
    enum err err = sqlite_statement(conn, SQL_REPLAY_BEGIN, &statement, why);
    if (err)
        return err;
    begin_bind(statement, replay);
    if ((err = sqlite_step(conn, statement, ret_begun, why)) || !*ret_begun)
        return err;
    bool given_up = sqlite3_column_int(statement, GIVEN_UP) != 0;
    *seen = (struct store_replay_seen){.state = given_up ? STORE_REPLAY_GIVEN_UP_NOW : STORE_REPLAY_DUE,
                                       .tries = sqlite3_column_int64(statement, TRIES),
                                       .next_s = sqlite3_column_int64(statement, NEXT_S)};
    return sqlite_run(conn, statement, NULL, why);
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
    if ((err = begin_row(conn, replay, &begun, ret_keep, why)))
        return err;
    if (!*ret_keep && (err = seen_read(conn, replay, 1, &begun, why)))
        return err;
    /* It became due between the two statements: the next pass sends it. */
    if (!*ret_keep && (begun.state == STORE_REPLAY_DUE || begun.state == STORE_REPLAY_LAST))
        begun.state = STORE_REPLAY_WAITS;
    if (begun.state == STORE_REPLAY_GIVEN_UP_NOW && replay->message &&
        (err = sqlite_outbox_put(conn, replay->told.s, replay->message, why)))
        return err;
    *seen = begun;
    return ERR_OK;
}

enum err sqlite_replay_begin(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                             const struct store_replay *batch, size_t n, struct store_replay_seen *ret,
                             struct why *why)
{
    struct beginning beginning = {.batch = batch};
    const struct sqlite_batch rows = {.settings_revision = settings_revision,
                                      .valid_until_us = valid_until_us,
                                      .n = n,
                                      .write = row_begin,
                                      .arg = &beginning};
    enum err err = sqlite_batch_run(store, &rows, why);
    for (size_t i = 0; !err && i < n; i++)
        ret[i] = beginning.seen[i];
    return err;
}

/* what has moved */

/* We wrote it ourselves, from texts that are bounded one by one. */
#define TEXT_MAX LIMIT_STORED_TEXT

static struct store_replay_moved moved_read(sqlite3_stmt *row)
{
    enum {
        SUBJECT,
        DELIVERY,
        FIRST_US,
        TRIES,
        RESTED_S,
        GIVEN_UP,
        FROM_STAGE,
        SIDE,
        OUTCOME,
        REASON,
        EVIDENCE,
        VERDICT_ID,
        MISSED_SOURCE,
        MISSED_EVENT,
        TASK
    };
    struct store_replay_moved moved = {
        .subject = sqlite_text(row, SUBJECT, TEXT_MAX),
        .delivery = sqlite_uuid(row, DELIVERY),
        .first_us = sqlite3_column_int64(row, FIRST_US),
        .tries = sqlite3_column_int64(row, TRIES),
        .rested_s = sqlite3_column_int64(row, RESTED_S),
        .given_up = sqlite3_column_int(row, GIVEN_UP) != 0,
        .gone = sqlite3_column_type(row, TASK) == SQLITE_NULL,
        .side = sqlite_text(row, SIDE, TEXT_MAX),
        .outcome = sqlite_text(row, OUTCOME, TEXT_MAX),
        .reason = sqlite_text(row, REASON, TEXT_MAX),
        .evidence = sqlite_text(row, EVIDENCE, TEXT_MAX),
        .verdict_id = sqlite_text(row, VERDICT_ID, TEXT_MAX),
        .missed_source = sqlite_text(row, MISSED_SOURCE, TEXT_MAX),
        .missed_event = sqlite_text(row, MISSED_EVENT, TEXT_MAX),
    };
    if (!moved.gone)
        moved.task = sqlite_task(row, TASK);
    moved.to_stage = moved.task.stage;
    moved.task.stage = sqlite_text(row, FROM_STAGE, TEXT_MAX);
    return moved;
}

enum err sqlite_replays_moved(struct store *store, size_t limit, struct store_replays_moved *ret,
                              struct why *why)
{
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    sqlite3_stmt *statement;
    struct store_replays_moved moved = {0};
    bool row;
    enum err err = sqlite_take(store, SQLITE_USE_READ, &conn, why);
    if (err || (err = sqlite_statement(conn, SQL_REPLAYS_MOVED, &statement, why)))
        return err;
    sqlite_put_limit(statement, 1, limit);
    while (!(err = sqlite_step(conn, statement, &row, why)) && row) {
        moved.rows = mem_grow(moved.rows, moved.n + 1, sizeof *moved.rows);
        moved.rows[moved.n++] = moved_read(statement);
    }
    if (err)
        store_replays_moved_done(&moved);
    else
        *ret = moved;
    return err;
}

/* settling */

static enum err settlement_write(struct sqlite_conn *conn, const char *pass_id,
                                 const struct store_settlement *settlement, size_t *ret_mine, struct why *why)
{
    const struct store_transition *row = settlement->row;
    sqlite3_stmt *statement;
    enum err err = sqlite_statement(conn, SQL_REPLAY_TAKE, &statement, why);
    if (err)
        return err;
    sqlite_put(statement, 1, settlement->replay->subject);
    sqlite_put(statement, 2, settlement->replay->delivery.s);
    if ((err = sqlite_run(conn, statement, ret_mine, why)) || *ret_mine == 0 || !row)
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
