/* Whether the database takes what a transition and a start write. */
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/store/store_ops.h"
#include "clients/store/store_rows.h"

struct rehearsal {
    struct trial_batch batch;
    struct store_new_task creations[LIMIT_BATCH];
    struct uuid_text issues[LIMIT_BATCH];
    char *plane_ids[LIMIT_BATCH];
    struct store_task made[LIMIT_BATCH];
    size_t move_of_creation[LIMIT_BATCH];
    struct store_transition moves[LIMIT_BATCH];
    size_t trial_of_move[LIMIT_BATCH];
    struct uuid_text verdicts[LIMIT_BATCH];
    struct why refusals[2 * LIMIT_BATCH];       /* of the creations, then of the moves */
    struct store_tasks_page pages[LIMIT_BATCH]; /* parallel to the trials: tasks at its from_stage */
};

enum err trial_tasks_read(struct trial_batch *batch, struct store_rows rows)
{
    while (rows_next(&rows)) {
        if (rows_null(&rows, "id"))
            continue;
        struct store_task task = rows_task(&rows);
        size_t i = 0;
        while (i < batch->n_creations &&
               (batch->made[i].id || strcmp(batch->creations[i].work_item_id, task.work_item_id) != 0))
            i++;
        if (i == batch->n_creations) {
            store_task_done(&task);
            continue;
        }
        batch->made[i] = task;
        if (batch->move_of_creation[i] < batch->n_moves)
            batch->moves[batch->move_of_creation[i]].task = &batch->made[i];
    }
    return rows_end(&rows);
}

static bool is_used(const struct rehearsal *rehearsal, int64_t id)
{
    for (size_t i = 0; i < rehearsal->batch.n_moves; i++)
        if (rehearsal->moves[i].task && rehearsal->moves[i].task->id == id)
            return true;
    return false;
}

/* A task that rests at the trial's stage, and that no earlier trial moves; NULL: none. */
static const struct store_task *resting_task(const struct rehearsal *rehearsal,
                                             const struct store_tasks_page *page)
{
    for (size_t i = 0; i < page->n; i++) {
        const struct store_task_entry *entry = &page->rows[i];
        if (!entry->job_id && !entry->task.unreadable && entry->task.version &&
            !is_used(rehearsal, entry->task.id))
            return &entry->task;
    }
    return NULL;
}

static void creation_add(struct rehearsal *rehearsal, const char *stage, struct uuid_form form, size_t move)
{
    size_t i = rehearsal->batch.n_creations++;
    rehearsal->issues[i] = uuid_new();
    rehearsal->plane_ids[i] = uuid_write(rehearsal->issues[i].s, form);
    /* Names are made from the id in Plane, because they must be unique among the trials. */
    const char *name = rehearsal->issues[i].s;
    rehearsal->creations[i] = (struct store_new_task){.plane_id = rehearsal->plane_ids[i],
                                                      .work_item_id = name,
                                                      .title = TRIAL_TEXT,
                                                      .repo = "reconciled/trial",
                                                      .branch = name,
                                                      .stage = stage,
                                                      .refusal = &rehearsal->refusals[i]};
    rehearsal->move_of_creation[i] = move;
}

static void move_add(struct rehearsal *rehearsal, const struct store_trial *trial, size_t place,
                     struct uuid_form form)
{
    size_t i = rehearsal->batch.n_moves++;
    rehearsal->verdicts[i] = uuid_new();
    rehearsal->trial_of_move[i] = place;
    rehearsal->moves[i] = (struct store_transition){.id = uuid_new(),
                                                    .to_stage = trial->to_stage,
                                                    .agent = trial->agent,
                                                    .side = "gate",
                                                    .outcome = "advanced",
                                                    .reason = TRIAL_TEXT,
                                                    .evidence = "{}",
                                                    .verdict_id = rehearsal->verdicts[i].s,
                                                    .message = TRIAL_TEXT,
                                                    .refusal = &rehearsal->refusals[LIMIT_BATCH + i]};
    const struct store_task *task = resting_task(rehearsal, &rehearsal->pages[place]);
    if (task)
        rehearsal->moves[i].task = task;
    else
        creation_add(rehearsal, trial->from_stage, form, i);
}

static enum err tasks_find(struct store *store, const struct store_trial *trial,
                           struct store_tasks_page *page, struct why *why)
{
    enum { LOOKED_AT = 20 };
    const struct store_tasks_query query = {.stage = trial->from_stage, .limit = LOOKED_AT};
    return store_tasks_list(store, &query, page, why);
}

static void result_set(const struct rehearsal *rehearsal, struct store_trial *trials)
{
    for (size_t i = 0; i < rehearsal->batch.n_moves; i++) {
        struct store_trial *trial = &trials[rehearsal->trial_of_move[i]];
        trial->result = !rehearsal->moves[i].task                    ? STORE_TRIAL_UNTRIED
                        : rehearsal->batch.moved[i] == STORE_MOVED   ? STORE_TRIAL_WRITTEN
                        : rehearsal->batch.moved[i] == STORE_REFUSED ? STORE_TRIAL_REFUSED
                                                                     : STORE_TRIAL_UNTRIED;
        trial->refusal = rehearsal->refusals[LIMIT_BATCH + i];
    }
}

enum err store_trial(struct store *store, struct store_trial *trials, size_t n, const char *first_stage,
                     struct why *ret_start, struct why *why)
{
    if (n > LIMIT_BATCH / 2)
        return why_set(why, ERR_INVALID, "%zu trials are too many for one transaction", n);
    struct uuid_form form;
    enum err err = plane_ids_check(store, LIMIT_BATCH, &form, why);
    if (err)
        return err;
    AUTO_FREE struct rehearsal *rehearsal = mem_zero(1, sizeof *rehearsal);
    rehearsal->batch = (struct trial_batch){.creations = rehearsal->creations,
                                            .moves = rehearsal->moves,
                                            .made = rehearsal->made,
                                            .move_of_creation = rehearsal->move_of_creation};
    creation_add(rehearsal, first_stage, form, SIZE_MAX);
    for (size_t i = 0; !err && i < n; i++)
        if (!(err = tasks_find(store, &trials[i], &rehearsal->pages[i], why)))
            move_add(rehearsal, &trials[i], i, form);
    if (!err && !(err = store->ops->trial(store, &rehearsal->batch, why))) {
        result_set(rehearsal, trials);
        *ret_start = rehearsal->refusals[0];
        if (rehearsal->batch.created[0] == STORE_CREATED)
            ret_start->text[0] = '\0';
    }
    for (size_t i = 0; i < rehearsal->batch.n_creations; i++) {
        free(rehearsal->plane_ids[i]);
        store_task_done(&rehearsal->made[i]);
    }
    for (size_t i = 0; i < n; i++)
        store_tasks_page_done(&rehearsal->pages[i]);
    return err;
}

enum err store_trial_of_ours(struct store *store, struct why *why)
{
    struct trial_batch batch = {.n_creations = 0};
    return store->ops->trial(store, &batch, why);
}
