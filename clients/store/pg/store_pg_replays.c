/* Replays: events that were sent to the orchestrator again, and whether their tasks moved. */
#include "clients/store/pg/store_pg.h"

#include <string.h>

#include "clients/base/jsonx.h"

/* Row i of a list, which it takes: with the replay that it is about. */
static json_t *row_of(json_t *row_take, const char *subject, const struct uuid_text *delivery)
{
    json_put(row_take, "subject", json_text(subject));
    json_put(row_take, "delivery", json_text(delivery->s));
    return row_take;
}

/* beginning */

struct beginning {
    int64_t settings_revision, valid_until_us;
    const struct store_replay *batch;
    unsigned destinations;
    const json_t *keys, *pauses;
    size_t n;
    struct store_replay_seen seen[LIMIT_BATCH]; /* state STORE_REPLAY_HELD: not to be begun */
    bool open[LIMIT_BATCH]; /* its task stands, and it was not begun: there is another reason */
};

/* Of those that nothing holds. */
static json_t *begin_rows(const struct beginning *beginning)
{
    const struct store_replay *batch = beginning->batch;
    json_t *rows = json_array();
    for (size_t i = 0; i < beginning->n; i++) {
        if (beginning->seen[i].state == STORE_REPLAY_HELD)
            continue;
        json_t *row = row_of(pg_transition_json(i, batch[i].row, NULL), batch[i].subject, &batch[i].delivery);
        pg_message_put(row, beginning->destinations, batch[i].message_id.s, batch[i].message);
        json_push(rows, row);
    }
    return rows;
}

static enum err rows_begin(struct pg_conn *conn, struct beginning *beginning, struct why *why)
{
    json_auto_t *list = begin_rows(beginning);
    struct store_rows rows =
        pg_query(conn, PG_REPLAY_BEGIN, PARAMS(JSON_PARAM(list), JSON_PARAM(beginning->pauses)), why);
    size_t i;
    while (rows_next(&rows) && rows_place(&rows, "i", beginning->n, &i)) {
        bool begun = !rows_null(&rows, "tries");
        beginning->open[i] = !begun && rows_bool(&rows, "stands");
        beginning->seen[i] =
            begun ? replay_begun(&rows) : (struct store_replay_seen){.state = STORE_REPLAY_RACED};
    }
    return rows_end(&rows);
}

/* A replay that was not begun although its task is unchanged was sent before, and waits or was given up. No
 * other process is changing it, because the statement has just waited for its lock. */
static enum err others_read(struct pg_conn *conn, struct beginning *beginning, struct why *why)
{
    struct store_replay_seen seen[LIMIT_BATCH] = {0};
    for (size_t i = 0; i < beginning->n; i++)
        seen[i].state = STORE_REPLAY_RACED;
    enum err err = replays_seen(pg_query(conn, SQL_REPLAYS_LOOK, PARAMS(JSON_PARAM(beginning->keys)), why),
                                beginning->n, seen);
    for (size_t i = 0; !err && i < beginning->n; i++)
        if (beginning->open[i])
            beginning->seen[i] = replay_not_begun(seen[i]);
    return err;
}

static enum err held_find(struct pg_conn *conn, struct beginning *beginning, struct why *why)
{
    AUTO_GUARD struct store_guard guard = {.is_newer = false};
    enum err err = guard_read(pg_query(conn, SQL_HOLDS, NO_PARAMS, why), &guard);
    for (size_t i = 0; !err && i < beginning->n; i++) {
        const struct store_transition *row = beginning->batch[i].row;
        beginning->open[i] = false;
        beginning->seen[i].state =
            guard_keeps(&guard, row->task, row->refusal) ? STORE_REPLAY_HELD : STORE_REPLAY_RACED;
    }
    return err;
}

/* May run twice: if an earlier try was committed although its answer was lost, its replays are found waiting,
 * and are sent again when they are due. */
static enum err begin_run(struct pg_conn *conn, void *arg, struct why *why)
{
    struct beginning *beginning = arg;
    enum err err = pg_begin(conn, "BEGIN ISOLATION LEVEL READ COMMITTED", why);
    if (err || (err = store_policy_stands(pg_query(conn, PG_POLICY_SHARE, NO_PARAMS, why),
                                          beginning->settings_revision, beginning->valid_until_us, why)))
        return err;
    if ((err = held_find(conn, beginning, why)) || (err = rows_begin(conn, beginning, why)) ||
        (err = others_read(conn, beginning, why)))
        return err;
    return pg_commit(conn, why);
}

enum err pg_replay_begin(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                         const struct store_replay *batch, size_t n, struct store_replay_seen *ret,
                         struct why *why)
{
    json_auto_t *keys = replay_keys(batch, n);
    json_auto_t *pauses = replay_pauses();
    struct beginning beginning = {.settings_revision = settings_revision,
                                  .valid_until_us = valid_until_us,
                                  .batch = batch,
                                  .destinations = store->destinations,
                                  .keys = keys,
                                  .pauses = pauses,
                                  .n = n};
    enum err err = pg_call(store, begin_run, &beginning, why);
    for (size_t i = 0; !err && i < n; i++)
        ret[i] = beginning.seen[i];
    return err;
}

/* settling */

static json_t *settle_rows(unsigned destinations, const char *pass_id, const struct store_settlement *batch,
                           size_t n)
{
    static const struct store_task no_task;
    static const struct store_transition no_heal = {.task = &no_task};
    json_t *rows = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct store_transition *row = batch[i].row;
        json_t *json = pg_transition_json(i, row ? row : &no_heal, pass_id);
        json_put(json, "counts", json_boolean(row != NULL));
        if (row)
            pg_message_put(json, destinations, row->id.s, row->message);
        else
            json_put(json, "id", json_null());
        json_push(rows, row_of(json, batch[i].replay->subject, &batch[i].replay->delivery));
    }
    return rows;
}

struct settling {
    const json_t *rows;
    size_t n;
    bool mine[LIMIT_BATCH];
};

static enum err settle_run(struct pg_conn *conn, void *arg, struct why *why)
{
    struct settling *settling = arg;
    struct store_rows rows = pg_query(conn, PG_REPLAYS_SETTLE, PARAMS(JSON_PARAM(settling->rows)), why);
    size_t i;
    while (rows_next(&rows) && rows_place(&rows, "i", settling->n, &i))
        settling->mine[i] = true;
    return rows_end(&rows);
}

enum err pg_replays_settle(struct store *store, const char *pass_id, const struct store_settlement *batch,
                           size_t n, bool *ret_mine, struct why *why)
{
    json_auto_t *rows = settle_rows(store->destinations, pass_id, batch, n);
    struct settling settling = {.rows = rows, .n = n};
    enum err err = pg_call(store, settle_run, &settling, why);
    if (!err)
        memcpy(ret_mine, settling.mine, n * sizeof *ret_mine);
    return err;
}
