#include "reconcile/heal/transition.h"

#include <assert.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "clients/store/store.h"
#include "reconcile/heal/ledger_entry.h"
#include "reconcile/heal/replay.h"
#include "reconcile/settings/settings.h"

static void settle_all(struct transition *batch, size_t n, enum outcome outcome, const char *reason)
{
    for (size_t i = 0; i < n; i++) {
        batch[i].outcome = outcome;
        batch[i].outcome_reason = reason;
    }
}

/* One line for all tasks that were refused in the same words. */
static void log_refused(const struct transition *batch, size_t n, const enum store_moved *moved)
{
    for (size_t i = 0; i < n; i++) {
        size_t first = i, tasks = 0;
        for (size_t k = 0; k < n; k++)
            if (moved[i] == STORE_REFUSED && moved[k] == STORE_REFUSED &&
                strcmp(batch[k].refusal.text, batch[i].refusal.text) == 0) {
                first = k < first ? k : first;
                tasks++;
            }
        if (tasks > 0 && first == i)
            log_error("the database refused to move a task", LOG_I("task_id", batch[i].task->id),
                      LOG_S("stage", batch[i].task->stage), LOG_S("reason", batch[i].refusal.text),
                      LOG_I("tasks", tasks));
    }
}

static void settle_written(struct pass *pass, struct transition *batch, const struct store_transition *rows,
                           size_t n, const enum store_moved *moved)
{
    for (size_t i = 0; i < n; i++) {
        switch (moved[i]) {
        case STORE_MOVED:
            batch[i].outcome = batch[i].success;
            batch[i].counts = true;
            ledger_entry_written(pass, &rows[i], batch[i].task->age_s);
            break;
        case STORE_RACED:
            batch[i].outcome = OUTCOME_RACED;
            batch[i].outcome_reason = "another process moved it, or queued a job for it, first";
            break;
        case STORE_REFUSED:
            batch[i].outcome = OUTCOME_FAILED;
            batch[i].outcome_reason = batch[i].refusal.text;
            break;
        case STORE_HELD:
            pass_held(pass, HELD_BY_HOLD, 1);
            batch[i].outcome = OUTCOME_HELD;
            batch[i].outcome_reason = batch[i].refusal.text;
            break;
        }
    }
    log_refused(batch, n, moved);
}

struct rows {
    struct store_transition rows[LIMIT_BATCH];
    struct ledger_entry entries[LIMIT_BATCH];
    enum store_moved moved[LIMIT_BATCH];
    size_t n;
};

/* Whether messages are sent is a setting too. */
static enum err rows_write(struct pass *pass, void *arg, struct why *why)
{
    struct rows *rows = arg;
    for (size_t i = 0; i < rows->n; i++)
        rows->rows[i].message = pass_writes_messages(pass) ? rows->entries[i].message : NULL;
    return store_transition(pass->services->store, pass->policy->revision, pass->policy->valid_until_us,
                            pass->report.id.s, rows->rows, rows->n, rows->moved, why);
}

static void hold_all(struct pass *pass, struct transition *batch, size_t n, const char *hold)
{
    settle_all(batch, n, OUTCOME_HELD, hold);
    pass_held(pass, pass_held_by(pass, batch[0].side), n);
}

static enum err write_batch(struct pass *pass, struct transition *batch, size_t n, struct why *why)
{
    struct rows rows;
    rows.n = n;
    for (size_t i = 0; i < n; i++) {
        ledger_entry_make(pass, &batch[i], &rows.entries[i]);
        rows.rows[i] = rows.entries[i].row;
        rows.rows[i].refusal = &batch[i].refusal;
    }
    const char *hold = NULL;
    enum err err = pass_write(pass, batch[0].side, rows_write, &rows, &hold, why);
    if (err)
        settle_all(batch, n, OUTCOME_FAILED, "the database could not be written");
    else if (hold)
        hold_all(pass, batch, n, hold);
    else
        settle_written(pass, batch, rows.rows, n, rows.moved);
    for (size_t i = 0; i < n; i++)
        ledger_entry_done(&rows.entries[i]);
    return err;
}

static void try_batch(struct pass *pass, struct transition *batch, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        batch[i].outcome_reason = pass_would_hold(pass, batch[i].task);
        batch[i].outcome = batch[i].outcome_reason ? OUTCOME_HELD : batch[i].success;
        batch[i].counts = !batch[i].outcome_reason;
    }
}

enum err transition_apply(struct pass *pass, struct transition *batch, size_t n, struct why *why)
{
    enum err err = ERR_OK;
    assert(n <= LIMIT_BATCH);
    if (n == 0)
        return ERR_OK;
    settle_all(batch, n, OUTCOME_FAILED, NULL);
    if (pass->request->dry_run)
        try_batch(pass, batch, n);
    else if (pass->services->settings->advance_via == ADVANCE_VIA_WEBHOOK)
        err = replay_apply(pass, batch, n, why);
    else
        err = write_batch(pass, batch, n, why);
    for (size_t i = 0; i < n; i++)
        pass_heals_take(pass, batch[i].counts);
    return err;
}
