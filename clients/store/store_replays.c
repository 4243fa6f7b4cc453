/* Replays: events that were sent to the orchestrator again, the number of their tries, and whether their
 * tasks moved. */
#include <assert.h>
#include <stdlib.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/store/store_ops.h"
#include "clients/store/store_rows.h"

/* how often */

json_t *replay_pauses(void)
{
    json_t *pauses = json_array();
    json_int_t pause_s = LIMIT_REPLAY_PAUSE_S;
    for (int try = 1; try <= LIMIT_REPLAY_TRIES; try++) {
        json_push(pauses, json_integer(pause_s));
        pause_s = 2 * pause_s < LIMIT_REPLAY_PAUSE_MAX_S ? 2 * pause_s : LIMIT_REPLAY_PAUSE_MAX_S;
    }
    return pauses;
}

/* Of one that was begun before. */
static enum store_replay_state state_of(struct store_rows *rows, int64_t tries)
{
    if (rows_bool(rows, "given_up"))
        return STORE_REPLAY_GIVEN_UP;
    if (!rows_bool(rows, "is_due"))
        return STORE_REPLAY_WAITS;
    return tries < LIMIT_REPLAY_TRIES ? STORE_REPLAY_DUE : STORE_REPLAY_LAST;
}

enum err replays_seen(struct store_rows rows, size_t n, struct store_replay_seen *ret)
{
    size_t i;
    while (rows_next(&rows) && rows_place(&rows, "i", n, &i)) {
        ret[i].tries = rows_int(&rows, "tries");
        ret[i].next_s = rows_int(&rows, "next_s");
        ret[i].state = state_of(&rows, ret[i].tries);
    }
    return rows_end(&rows);
}

struct store_replay_seen replay_begun(struct store_rows *rows)
{
    return (struct store_replay_seen){.state = rows_bool(rows, "given_up") ? STORE_REPLAY_GIVEN_UP_NOW
                                                                           : STORE_REPLAY_DUE,
                                      .tries = rows_int(rows, "tries"),
                                      .next_s = rows_int(rows, "next_s")};
}

struct store_replay_seen replay_not_begun(struct store_replay_seen seen)
{
    if (seen.state == STORE_REPLAY_DUE || seen.state == STORE_REPLAY_LAST)
        seen.state = STORE_REPLAY_WAITS;
    return seen;
}

/* looking */

json_t *replay_keys(const struct store_replay *batch, size_t n)
{
    json_t *keys = json_array();
    for (size_t i = 0; i < n; i++) {
        const char *const key[] = {batch[i].subject, batch[i].delivery.s};
        json_push(keys, json_texts(key, ARRAY_LEN(key)));
    }
    return keys;
}

enum err store_replays_look(struct store *store, const struct store_replay *batch, size_t n,
                            struct store_replay_seen *ret, struct why *why)
{
    if (n == 0)
        return ERR_OK;
    json_auto_t *keys = replay_keys(batch, n);
    for (size_t i = 0; i < n; i++)
        ret[i] = (struct store_replay_seen){.state = STORE_REPLAY_DUE};
    return replays_seen(store_query(store, SQL_REPLAYS_LOOK, PARAMS(JSON_PARAM(keys)), why), n, ret);
}

enum err store_replay_get(struct store *store, const char *subject, struct store_replay_open *ret,
                          struct why *why)
{
    struct store_replay_open open = {.tries = 0};
    struct store_rows rows = store_query(store, SQL_REPLAY_GET, PARAMS(TEXT_PARAM(subject)), why);
    bool found = rows_next(&rows);
    if (found)
        open = (struct store_replay_open){.delivery = rows_uuid(&rows, "delivery"),
                                          .tries = rows_int(&rows, "tries"),
                                          .next_us = rows_int(&rows, "next_us"),
                                          .given_up = rows_bool(&rows, "given_up")};
    enum err err = rows_end(&rows);
    if (!err && !found)
        return why_set(why, ERR_NOT_FOUND, "there is no replay of %s", subject);
    if (!err)
        *ret = open;
    return err;
}

/* beginning and settling */

enum err store_replay_begin(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                            const struct store_replay *batch, size_t n, struct store_replay_seen *ret,
                            struct why *why)
{
    if (n == 0)
        return ERR_OK;
    if (n > LIMIT_BATCH)
        return why_set(why, ERR_INVALID, "%zu replays are too many for one transaction", n);
    for (size_t i = 0; i < n; i++)
        assert(batch[i].subject && uuid_valid(batch[i].delivery.s) && batch[i].row->task->stage &&
               batch[i].row->to_stage && batch[i].row->side && batch[i].row->outcome &&
               (batch[i].row->task->id ? batch[i].row->task->version : batch[i].row->task->plane_id));
    return store->ops->replay_begin(store, settings_revision, valid_until_us, batch, n, ret, why);
}

enum err store_replays_settle(struct store *store, const char *pass_id, const struct store_settlement *batch,
                              size_t n, bool *ret_mine, struct why *why)
{
    assert(n <= LIMIT_BATCH);
    return n == 0 ? ERR_OK : store->ops->replays_settle(store, pass_id, batch, n, ret_mine, why);
}

/* what has moved */

static struct store_replay_moved moved_read(struct store_rows *rows)
{
    struct store_replay_moved moved = {
        .subject = rows_own(rows, "subject"),
        .delivery = rows_uuid(rows, "delivery"),
        .first_us = rows_int(rows, "first_us"),
        .tries = rows_int(rows, "tries"),
        .rested_s = rows_int(rows, "rested_s"),
        .given_up = rows_bool(rows, "is_no_heal"),
        .gone = rows_null(rows, "id"),
        .side = rows_own(rows, "side"),
        .outcome = rows_own(rows, "outcome"),
        .reason = rows_stored(rows, "reason"),
        .evidence = rows_own(rows, "evidence"),
        .verdict_id = rows_own(rows, "verdict_id"),
        .missed_source = rows_own(rows, "missed_source"),
        .missed_event = rows_own(rows, "missed_event"),
    };
    if (!moved.gone)
        moved.task = rows_task(rows);
    moved.to_stage = moved.task.stage;
    moved.task.stage = rows_own(rows, "from_stage");
    return moved;
}

enum err store_replays_moved(struct store *store, size_t limit, struct store_replays_moved *ret,
                             struct why *why)
{
    struct store_replays_moved moved = {0};
    struct store_rows rows = store_query(store, SQL_REPLAYS_MOVED, PARAMS(LIMIT_PARAM(limit)), why);
    while (rows_next(&rows)) {
        moved.rows = list_room(moved.rows, moved.n, sizeof *moved.rows);
        moved.rows[moved.n++] = moved_read(&rows);
    }
    enum err err = rows_end(&rows);
    if (err)
        store_replays_moved_done(&moved);
    else
        *ret = moved;
    return err;
}

void store_replays_moved_done(struct store_replays_moved *moved)
{
    for (size_t i = 0; i < moved->n; i++) {
        struct store_replay_moved *row = &moved->rows[i];
        store_task_done(&row->task);
        free(row->subject);
        free(row->to_stage);
        free(row->side);
        free(row->outcome);
        free(row->reason);
        free(row->evidence);
        free(row->verdict_id);
        free(row->missed_source);
        free(row->missed_event);
    }
    free(moved->rows);
    *moved = (struct store_replays_moved){0};
}
