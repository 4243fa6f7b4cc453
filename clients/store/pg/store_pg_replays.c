/* Replays: what was sent to the orchestrator again, and whether it helped. */
#include "clients/store/pg/store_pg.h"

#include <stdlib.h>

#include "clients/base/jsonx.h"

static void put_texts(json_t *row, const struct store_transition *transition)
{
    const struct {
        const char *key, *text;
    } texts[] = {
        {"from_stage", transition->task->stage},
        {"to_stage", transition->to_stage},
        {"side", transition->side},
        {"outcome", transition->outcome},
        {"reason", transition->reason},
        {"evidence", transition->evidence},
        {"verdict_id", transition->verdict_id},
        {"missed_source", transition->missed_source},
        {"missed_event", transition->missed_event},
    };
    for (size_t k = 0; k < ARRAY_LEN(texts); k++)
        json_put(row, texts[k].key, json_text(texts[k].text));
}

static json_t *row_key(size_t i, const char *subject, const struct uuid_text *delivery)
{
    json_t *row = json_object();
    json_put(row, "i", json_integer((json_int_t)i));
    json_put(row, "subject", json_text(subject));
    json_put(row, "delivery", json_text(delivery->s));
    return row;
}

static char *line_take(json_t *rows_take)
{
    char *line = json_line(rows_take);
    json_decref(rows_take);
    return line;
}

static char *keys_line(const struct store_replay *batch, size_t n)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < n; i++)
        json_push(rows, row_key(i, batch[i].subject, &batch[i].delivery));
    return line_take(rows);
}

/* looking */

/* What is there of these deliveries goes into *ret; the rest of it stays as it is. */
static enum err seen_read(const PGresult *result, size_t n, struct store_replay_seen *ret, struct why *why)
{
    enum { I, TRIES, GIVEN_UP, NEXT_S, IS_DUE };
    for (int row = 0; row < PQntuples(result); row++) {
        size_t i;
        enum err err = pg_place(result, row, n, &i, why);
        if (err)
            return err;
        struct store_replay_seen *seen = &ret[i];
        seen->tries = pg_int(result, row, TRIES);
        seen->next_s = pg_int(result, row, NEXT_S);
        if (PQgetvalue(result, row, GIVEN_UP)[0] == 't')
            seen->state = STORE_REPLAY_GIVEN_UP;
        else if (PQgetvalue(result, row, IS_DUE)[0] != 't')
            seen->state = STORE_REPLAY_WAITS;
        else
            seen->state = seen->tries < LIMIT_REPLAY_TRIES ? STORE_REPLAY_DUE : STORE_REPLAY_LAST;
    }
    return ERR_OK;
}

enum err pg_replays_look(struct store *store, const struct store_replay *batch, size_t n,
                         struct store_replay_seen *ret, struct why *why)
{
    AUTO_FREE char *keys = keys_line(batch, n);
    AUTO_RESULT PGresult *result = NULL;
    const char *const params[] = {keys};
    enum err err = pg_ask(store, SQL_REPLAYS_LOOK, params, &result, why);
    if (err)
        return err;
    for (size_t i = 0; i < n; i++)
        ret[i] = (struct store_replay_seen){.state = STORE_REPLAY_DUE};
    return seen_read(result, n, ret, why);
}

enum err pg_replay_get(struct store *store, const char *subject, struct store_replay_open *ret,
                       struct why *why)
{
    enum { DELIVERY, TRIES, NEXT_US, GIVEN_UP };
    AUTO_RESULT PGresult *result = NULL;
    const char *const params[] = {subject};
    enum err err = pg_ask(store, SQL_REPLAY_GET, params, &result, why);
    if (err)
        return err;
    if (PQntuples(result) == 0)
        return why_set(why, ERR_NOT_FOUND, "there is no replay of %s", subject);
    *ret = (struct store_replay_open){.delivery = pg_uuid(result, 0, DELIVERY),
                                      .tries = pg_int(result, 0, TRIES),
                                      .next_us = pg_int(result, 0, NEXT_US),
                                      .given_up = PQgetvalue(result, 0, GIVEN_UP)[0] == 't'};
    return ERR_OK;
}

/* beginning */

struct beginning {
    int64_t settings_revision, valid_until_us;
    const char *rows, *keys;
    size_t n;
    struct store_replay_seen seen[LIMIT_BATCH];
    bool open[LIMIT_BATCH]; /* its task stands, and it was not begun: there is another reason */
};

static char *begin_line(const struct store_replay *batch, size_t n)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct store_transition *transition = batch[i].row;
        const struct store_task *task = transition->task;
        json_t *row = row_key(i, batch[i].subject, &batch[i].delivery);
        put_texts(row, transition);
        json_put(row, "task_id", json_integer(task->id));
        json_put(row, "plane_id", json_text(task->plane_id));
        json_put(row, "version", json_text(task->version));
        json_put(row, "rested_s", json_integer(task->age_s));
        json_put(row, "told", batch[i].message ? json_text(batch[i].told.s) : json_null());
        json_put(row, "message", json_text(batch[i].message));
        json_push(rows, row);
    }
    return line_take(rows);
}

static enum err begun_read(const PGresult *result, struct beginning *beginning, struct why *why)
{
    enum { I, STANDS, TRIES, GIVEN_UP, NEXT_S };
    for (int row = 0; row < PQntuples(result); row++) {
        size_t i;
        enum err err = pg_place(result, row, beginning->n, &i, why);
        if (err)
            return err;
        bool begun = !PQgetisnull(result, row, TRIES);
        beginning->open[i] = !begun && PQgetvalue(result, row, STANDS)[0] == 't';
        beginning->seen[i] = (struct store_replay_seen){.state = STORE_REPLAY_RACED};
        if (begun)
            beginning->seen[i] = (struct store_replay_seen){
                .state = PQgetvalue(result, row, GIVEN_UP)[0] == 't' ? STORE_REPLAY_GIVEN_UP_NOW
                                                                     : STORE_REPLAY_DUE,
                .tries = pg_int(result, row, TRIES),
                .next_s = pg_int(result, row, NEXT_S)};
    }
    return ERR_OK;
}

/* What was not begun although its task stands was sent before, and waits or is given up; nobody else holds it
 * now that the statement that would have changed it is over. It may have become due in between. */
static enum err others_read(struct pg_conn *conn, struct beginning *beginning, struct why *why)
{
    struct store_replay_seen seen[LIMIT_BATCH] = {0};
    AUTO_RESULT PGresult *result = NULL;
    const char *const params[] = {beginning->keys};
    enum err err = pg_run(conn, SQL_REPLAYS_LOOK, params, &result, why);
    if (err)
        return err;
    for (size_t i = 0; i < beginning->n; i++)
        seen[i].state = STORE_REPLAY_RACED;
    if ((err = seen_read(result, beginning->n, seen, why)))
        return err;
    for (size_t i = 0; i < beginning->n; i++) {
        if (!beginning->open[i])
            continue;
        beginning->seen[i] = seen[i];
        if (seen[i].state == STORE_REPLAY_DUE || seen[i].state == STORE_REPLAY_LAST)
            beginning->seen[i].state = STORE_REPLAY_WAITS;
    }
    return ERR_OK;
}

/* May run twice: what an earlier try committed although its answer was lost is found waiting, and sent again
 * when it is due. */
static enum err begin_run(struct pg_conn *conn, void *arg, struct why *why)
{
    struct beginning *beginning = arg;
    AUTO_RESULT PGresult *result = NULL;
    const char *const params[] = {beginning->rows};
    enum err err = pg_execute(conn, "BEGIN ISOLATION LEVEL READ COMMITTED", why);
    if (err ||
        (err = pg_policy_stands(conn, beginning->settings_revision, beginning->valid_until_us,
                                PG_POLICY_SHARE, why)) ||
        (err = pg_run(conn, PG_REPLAY_BEGIN, params, &result, why)))
        return err;
    if ((err = begun_read(result, beginning, why)) || (err = others_read(conn, beginning, why)))
        return err;
    return pg_commit(conn, why);
}

enum err pg_replay_begin(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                         const struct store_replay *batch, size_t n, struct store_replay_seen *ret,
                         struct why *why)
{
    AUTO_FREE char *rows = begin_line(batch, n);
    AUTO_FREE char *keys = keys_line(batch, n);
    struct beginning beginning = {.settings_revision = settings_revision,
                                  .valid_until_us = valid_until_us,
                                  .rows = rows,
                                  .keys = keys,
                                  .n = n};
    enum err err = pg_call(store, begin_run, &beginning, why);
    for (size_t i = 0; !err && i < n; i++)
        ret[i] = beginning.seen[i];
    return err;
}

/* what has moved */

static struct store_replay_moved moved_read(const PGresult *result, int row)
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
        .subject = pg_text(result, row, SUBJECT, PG_TEXT_MAX),
        .delivery = pg_uuid(result, row, DELIVERY),
        .first_us = pg_int(result, row, FIRST_US),
        .tries = pg_int(result, row, TRIES),
        .rested_s = pg_int(result, row, RESTED_S),
        .given_up = PQgetvalue(result, row, GIVEN_UP)[0] == 't',
        .gone = PQgetisnull(result, row, TASK),
        .side = pg_text(result, row, SIDE, PG_TEXT_MAX),
        .outcome = pg_text(result, row, OUTCOME, PG_TEXT_MAX),
        .reason = pg_text(result, row, REASON, PG_TEXT_MAX),
        .evidence = pg_text(result, row, EVIDENCE, PG_TEXT_MAX),
        .verdict_id = pg_text(result, row, VERDICT_ID, PG_TEXT_MAX),
        .missed_source = pg_text(result, row, MISSED_SOURCE, PG_TEXT_MAX),
        .missed_event = pg_text(result, row, MISSED_EVENT, PG_TEXT_MAX),
    };
    if (!moved.gone)
        moved.task = pg_task_read(result, row, TASK);
    moved.to_stage = moved.task.stage;
    moved.task.stage = pg_text(result, row, FROM_STAGE, PG_TEXT_MAX);
    return moved;
}

enum err pg_replays_moved(struct store *store, size_t limit, struct store_replays_moved *ret, struct why *why)
{
    AUTO_RESULT PGresult *result = NULL;
    char most[PG_INT_SIZE];
    const char *const params[] = {pg_limit_text(limit, most)};
    enum err err = pg_read(store, SQL_REPLAYS_MOVED, params, &result, why);
    if (err)
        return err;
    size_t n = (size_t)PQntuples(result);
    *ret = (struct store_replays_moved){.rows = mem_zero(n, sizeof *ret->rows), .n = n};
    for (size_t i = 0; i < n; i++)
        ret->rows[i] = moved_read(result, (int)i);
    return ERR_OK;
}

/* settling */

static char *settle_line(const struct store_settlement *batch, size_t n)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct store_transition *transition = batch[i].row;
        json_t *row = row_key(i, batch[i].replay->subject, &batch[i].replay->delivery);
        json_put(row, "counts", json_boolean(transition != NULL));
        if (transition) {
            put_texts(row, transition);
            json_put(row, "id", json_text(transition->id.s));
            json_put(row, "task_id", json_integer(transition->task->id));
            json_put(row, "work_item_id", json_text(transition->task->work_item_id));
            json_put(row, "plane_id", json_text(transition->task->plane_id));
            json_put(row, "repo", json_text(transition->task->repo));
            json_put(row, "agent", json_text(transition->agent));
            json_put(row, "message", json_text(transition->message));
        }
        json_push(rows, row);
    }
    return line_take(rows);
}

enum err pg_replays_settle(struct store *store, const char *pass_id, const struct store_settlement *batch,
                           size_t n, bool *ret_mine, struct why *why)
{
    AUTO_FREE char *rows = settle_line(batch, n);
    AUTO_RESULT PGresult *result = NULL;
    const char *const params[] = {rows, pass_id};
    enum err err = pg_ask(store, PG_REPLAYS_SETTLE, params, &result, why);
    for (size_t i = 0; !err && i < n; i++)
        ret_mine[i] = false;
    for (int row = 0; !err && row < PQntuples(result); row++) {
        size_t i;
        if (!(err = pg_place(result, row, n, &i, why)))
            ret_mine[i] = true;
    }
    return err;
}
