#include "reconcile/sweep/pass.h"

#include <stdlib.h>

#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "clients/base/metric.h"
#include "clients/http/fetch.h"
#include "clients/plane/plane.h"
#include "clients/store/store.h"
#include "reconcile/gates/gate_side.h"
#include "reconcile/heal/pass_context.h"
#include "reconcile/plane/plane_side.h"
#include "reconcile/heal/replay.h"

/* The settings may change while a write is on its way; each change costs one more try, and nobody changes
 * them this often. */
enum { POLICY_TRIES = 8 };

enum err pass_refresh_policy(struct pass *pass, struct why *why)
{
    struct policy *newer = NULL;
    enum err err = policy_read(pass->world->store, pass->world->settings, &newer, why);
    if (err)
        return err;
    policy_free(pass->policy);
    pass->policy = newer;
    return ERR_OK;
}

const char *pass_hold_reason(const struct pass *pass, enum pass_side side)
{
    const struct policy_hold *hold = policy_held_by(pass->policy, side == SIDE_PLANE);
    return hold && !pass->request->dry_run ? hold->text : NULL;
}

enum err pass_write(struct pass *pass, enum pass_side side, pass_write_fn *write, void *arg,
                    const char **ret_hold, struct why *why)
{
    for (int try = 0; try < POLICY_TRIES; try++) {
        *ret_hold = pass_hold_reason(pass, side);
        if (*ret_hold)
            return ERR_OK;
        enum err err = write(pass, arg, why);
        if (err != ERR_CONFLICT)
            return err;
        err = pass_refresh_policy(pass, why);
        if (err)
            return err;
    }
    return why_set(why, ERR_CONFLICT, "the settings kept changing");
}

bool pass_tells(const struct pass *pass)
{
    return pass->world->telegram && pass->policy->notify_unblock && !pass->request->dry_run;
}

const char *pass_keep(struct pass *pass, char *words_take)
{
    pass->kept = mem_grow(pass->kept, pass->n_kept + 1, sizeof *pass->kept);
    return pass->kept[pass->n_kept++] = words_take;
}

static void kept_done(struct pass *pass)
{
    for (size_t i = 0; i < pass->n_kept; i++)
        free(pass->kept[i]);
    free(pass->kept);
}

bool pass_stopping(const struct pass *pass)
{
    return atomic_load(pass->world->stopping);
}

void pass_result_done(struct pass_result *result)
{
    json_decref(result->report);
    json_decref(result->plane);
    *result = (struct pass_result){0};
}

/* The policy is read again on the way: a switch that was thrown while the gates were read counts. */
static bool looks_at_plane(const struct pass *pass)
{
    const struct pass_request *request = pass->request;
    if (request->side == SIDE_GATE || pass_stopping(pass) || !plane_configured(pass->world->plane))
        return false;
    return request->dry_run || !policy_off_by(pass->policy, true);
}

/* The gates first: whatever Plane does, they have had their turn. */
static enum err run_sides(struct pass *pass, int *ret_unstuck, struct why *why)
{
    enum err err = replay_settle(pass, why);
    if (!err && pass->request->side != SIDE_PLANE && (pass->policy->enabled || pass->request->dry_run))
        err = gate_side_run(pass, why);
    *ret_unstuck = pass->written;
    if (!err && looks_at_plane(pass))
        err = plane_side_run(pass, why);
    return err;
}

static void count_attempts(const struct report *report)
{
    for (enum outcome outcome = 0; outcome < OUTCOME_MAX_ && !report->request->dry_run; outcome++)
        if (outcome_is_attempt(outcome))
            metric_add(METRIC_TRANSITIONS, outcome_name(outcome), NULL,
                       (int64_t)(report->gate[outcome] + report->plane[outcome]));
}

enum err pass_check(struct store *store, const struct pass_request *request, struct why *why)
{
    const struct store_tasks_query any = {.limit = 1};
    struct store_task_entry entry;
    if (request->task_id == 0)
        return ERR_OK;
    enum err err = store_task_get(store, request->task_id, &any, &entry, NULL, why);
    if (!err)
        store_task_entry_done(&entry);
    return err;
}

enum err pass_run(struct pass_world *world, const struct pass_request *request, const char *id,
                  struct policy **policy, struct pass_result *ret, struct why *why)
{
    int64_t began_ms = clock_mono_ms();
    struct pass pass = {
        .world = world,
        .request = request,
        .policy = *policy,
        .deadline_ms = began_ms + LIMIT_PASS_MS,
        .asker = {.pass = world->fetch ? fetch_pass(world->fetch) : 0,
                  .forced = request->trigger != TRIGGER_TIMER,
                  .waited_for = request->trigger != TRIGGER_TIMER && request->task_id != 0},
    };
    report_begin(&pass.report, id, request);
    int unstuck = 0;
    enum err err = run_sides(&pass, &unstuck, why);
    *policy = pass.policy;

    count_attempts(&pass.report);
    pass.report.duration_ms = clock_mono_ms() - began_ms;
    if (err) {
        pass.report.state = PASS_FAILED;
        pass.report.error = mem_dup(why->text);
    } else if (pass.report.state == PASS_RUNNING) {
        pass.report.state = PASS_DONE;
    }
    *ret = (struct pass_result){
        .report = report_json(&pass.report),
        .plane = pass.plane,
        .transitions = pass.written,
        .messages = pass.messages,
        .unstuck = unstuck,
        .interrupted = pass.report.state == PASS_INTERRUPTED,
        .stuck = pass.report.stuck,
        .quarantined = pass.report.gate[OUTCOME_QUARANTINED],
        .oldest_age_s = pass.report.oldest_age_s,
        .looked = request->side != SIDE_PLANE && request->task_id == 0 && !request->ignore_grace && !err,
    };
    report_done(&pass.report);
    kept_done(&pass);
    return err;
}
