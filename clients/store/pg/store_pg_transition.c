/* The one transition: compare-and-set of task, job, ledger row and message. How a batch of them becomes one
 * transaction is in store_pg_batch.c. */
#include "clients/store/pg/store_pg.h"

#include "clients/base/jsonx.h"

static struct why *row_refusal(const struct pg_batch *batch, size_t i)
{
    return ((const struct store_transition *)batch->rows)[i].refusal;
}

json_t *pg_transition_json(size_t i, const struct store_transition *transition, const char *pass_id)
{
    const struct store_task *task = transition->task;
    const struct {
        const char *key, *text;
    } texts[] = {
        {"id", transition->id.s},
        {"pass_id", pass_id},
        {"version", task->version},
        {"from_stage", task->stage},
        {"to_stage", transition->to_stage},
        {"agent", transition->agent},
        {"side", transition->side},
        {"outcome", transition->outcome},
        {"reason", transition->reason},
        {"evidence", transition->evidence},
        {"repo", task->repo},
        {"work_item_id", task->work_item_id},
        {"plane_id", task->plane_id},
        {"verdict_id", transition->verdict_id},
        {"missed_source", transition->missed_source},
        {"missed_event", transition->missed_event},
        {"message", transition->message},
    };
    json_t *row = json_object();
    json_put(row, "i", json_integer((json_int_t)i));
    json_put(row, "task_id", json_integer(task->id));
    for (size_t k = 0; k < ARRAY_LEN(texts); k++)
        json_put(row, texts[k].key, json_text(texts[k].text));
    return row;
}

static json_t *row_json(const struct pg_batch *batch, size_t i)
{
    return pg_transition_json(i, &((const struct store_transition *)batch->rows)[i], batch->pass_id);
}

enum err pg_transition(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                       const char *pass_id, const struct store_transition *batch, size_t n,
                       enum store_moved *ret_moved, struct why *why)
{
    static const enum store_moved moved[] = {[PG_FATE_OPEN] = STORE_REFUSED,
                                             [PG_FATE_WRITTEN] = STORE_MOVED,
                                             [PG_FATE_RACED] = STORE_RACED,
                                             [PG_FATE_REFUSED] = STORE_REFUSED,
                                             [PG_FATE_LOCKED] = STORE_REFUSED};
    struct pg_batch work = {.settings_revision = settings_revision,
                            .valid_until_us = valid_until_us,
                            .rows = batch,
                            .n = n,
                            .row = row_json,
                            .refusal = row_refusal,
                            .pass_id = pass_id,
                            .write = PG_MOVE,
                            .look_again = PG_MOVE_AGAIN};
    enum err err = pg_call(store, pg_batch_run, &work, why);
    for (size_t i = 0; !err && i < n; i++)
        ret_moved[i] = moved[work.fates[i]];
    return err;
}
