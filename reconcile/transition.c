#include "reconcile/transition.h"

#include <assert.h>

#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "clients/base/metric.h"
#include "clients/store.h"
#include "reconcile/draft.h"
#include "reconcile/pipeline.h"
#include "reconcile/replay.h"
#include "reconcile/settings.h"

/* The settings may change while a batch is on its way; each change costs one more try, and nobody changes
 * them this often. */
enum { POLICY_TRIES = 8 };

static void settle_all(struct transition *batch, size_t n, enum outcome outcome, const char *reason)
{
    for (size_t i = 0; i < n; i++) {
        batch[i].outcome = outcome;
        batch[i].outcome_reason = reason;
    }
}

static void settle_written(struct pass *pass, struct transition *batch, const struct store_transition *rows,
                           size_t n, const enum store_moved *moved)
{
    for (size_t i = 0; i < n; i++) {
        switch (moved[i]) {
        case STORE_MOVED:
            batch[i].outcome = batch[i].success;
            draft_written(pass, &rows[i], batch[i].task->age_s);
            break;
        case STORE_RACED:
            batch[i].outcome = OUTCOME_RACED;
            batch[i].outcome_reason = "somebody else moved it, or queued a job for it, first";
            pass->healed--;
            break;
        case STORE_REFUSED:
            batch[i].outcome = OUTCOME_FAILED;
            batch[i].outcome_reason = "the database refused the write";
            pass->healed--;
            log_error("the database refused to move a task", LOG_I("task_id", batch[i].task->id),
                      LOG_S("stage", batch[i].task->stage));
            break;
        }
    }
}

/* write_batch: one try of store_transition per policy; ERR_CONFLICT means the settings moved. Whether people
 * are told is one of them. */
static enum err write_batch(struct pass *pass, struct store_transition *rows, const struct draft *drafts,
                            size_t n, enum pass_side side, enum store_moved *ret_moved, const char **ret_hold,
                            struct why *why)
{
    for (int try = 0; try < POLICY_TRIES; try++) {
        *ret_hold = pass_hold_reason(pass, side);
        if (*ret_hold)
            return ERR_OK;
        for (size_t i = 0; i < n; i++)
            rows[i].message = pass_tells(pass) ? drafts[i].message : NULL;
        enum err err =
            store_transition(pass->world->store, pass->policy->revision, pass->policy->valid_until_us,
                             pass->report.id, rows, n, ret_moved, why);
        if (err != ERR_CONFLICT)
            return err;
        err = pass_refresh_policy(pass, why);
        if (err)
            return err;
    }
    return why_set(why, ERR_CONFLICT, "the settings kept changing");
}

enum err transition_apply(struct pass *pass, struct transition *batch, size_t n, struct why *why)
{
    assert(n <= LIMIT_BATCH);
    if (n == 0)
        return ERR_OK;
    pass->healed += (int)n;
    settle_all(batch, n, OUTCOME_FAILED, NULL);
    if (pass->request->dry_run) {
        for (size_t i = 0; i < n; i++)
            batch[i].outcome = batch[i].success;
        return ERR_OK;
    }
    if (pass->world->settings->advance_via == ADVANCE_VIA_WEBHOOK)
        return replay_apply(pass, batch, n, why);
    struct store_transition rows[LIMIT_BATCH];
    struct draft drafts[LIMIT_BATCH];
    for (size_t i = 0; i < n; i++) {
        draft_make(pass, &batch[i], &drafts[i]);
        rows[i] = drafts[i].row;
    }
    enum store_moved moved[LIMIT_BATCH];
    const char *hold = NULL;
    enum err err = write_batch(pass, rows, drafts, n, batch[0].side, moved, &hold, why);
    if (err) {
        pass->healed -= (int)n;
        settle_all(batch, n, OUTCOME_FAILED, "the database could not be written");
    } else if (hold) {
        pass->healed -= (int)n;
        settle_all(batch, n, OUTCOME_HELD, hold);
    } else {
        settle_written(pass, batch, rows, n, moved);
    }
    for (size_t i = 0; i < n; i++)
        draft_done(&drafts[i]);
    return err;
}
