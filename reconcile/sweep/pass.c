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
#include "reconcile/heal/quarantine.h"
#include "reconcile/heal/replay.h"
#include "reconcile/plane/plane_scan.h"
#include "reconcile/plane/plane_side.h"

struct pass_memory *pass_memory_new(const struct settings *settings)
{
    struct pass_memory *memory = mem_zero(1, sizeof *memory);
    memory->scan = plane_scan_new(settings);
    memory->announced = announced_new();
    return memory;
}

void pass_memory_free(struct pass_memory *memory)
{
    if (!memory)
        return;
    announced_free(memory->announced);
    plane_scan_free(memory->scan);
    free(memory);
}

void pass_result_done(struct pass_result *result)
{
    report_done(&result->report);
    plane_status_free(result->plane);
    *result = (struct pass_result){0};
}

/* The policy is read again during the pass, so that a switch that was set off while the gates were read takes
 * effect. */
static bool looks_at_plane(const struct pass *pass)
{
    const struct pass_request *request = pass->request;
    if (request->side == SIDE_GATE || pass_stopping(pass) || !plane_configured(pass->services->plane))
        return false;
    return request->dry_run || !policy_off_by(pass->policy, true);
}

/* The gates first: whatever Plane does, they have had their turn. */
static enum err run_sides(struct pass *pass, int *ret_unstuck, struct why *why)
{
    enum err err = pass->services->orchestrator ? replay_settle(pass, why) : ERR_OK;
    if (!err && pass->request->side != SIDE_PLANE && (pass->policy->enabled || pass->request->dry_run))
        err = gate_side_run(pass, why);
    *ret_unstuck = pass->written;
    if (!err && looks_at_plane(pass))
        err = plane_side_run(pass, why);
    return err;
}

static void count_attempts(const struct report *report)
{
    for (enum outcome outcome = 0; outcome < OUTCOME_MAX_ && !report->request.dry_run; outcome++)
        if (outcome_is_attempt(outcome))
            metric_add(METRIC_TRANSITIONS, outcome_name(outcome), NULL,
                       (int64_t)report_count(report, outcome));
}

static enum err check_switch(struct store *store, const struct settings *settings,
                             const struct pass_request *request, struct policy_hold *ret_hold,
                             struct why *why)
{
    struct policy *policy = NULL;
    enum err err = policy_read(store, settings, &policy, why);
    if (err == ERR_INVALID) {
        *ret_hold = (struct policy_hold){.held = true, .text = mem_dup(why->text)};
        return ERR_CONFLICT;
    }
    if (err)
        return err;
    const struct policy_hold *hold = policy_off_by(policy, request->side == SIDE_PLANE);
    if (hold) {
        *ret_hold = (struct policy_hold){.held = true,
                                         .by = mem_dup(hold->by),
                                         .reason = mem_dup(hold->reason),
                                         .until_us = hold->until_us,
                                         .text = mem_dup(hold->text)};
        err = why_set(why, ERR_CONFLICT, "%s", hold->text);
    }
    policy_free(policy);
    return err;
}

static enum err check_task(struct store *store, int64_t task_id, struct why *why)
{
    const struct store_tasks_query any = {.limit = 1};
    struct store_task_entry entry;
    enum err err = store_task_get(store, task_id, &any, &entry, NULL, why);
    if (!err)
        store_task_entry_done(&entry);
    return err;
}

enum err pass_may_run(struct store *store, const struct settings *settings,
                      const struct pass_request *request, struct policy_hold *ret_hold, struct why *why)
{
    enum err err = request->dry_run ? ERR_OK : check_switch(store, settings, request, ret_hold, why);
    return err || request->task_id == 0 ? err : check_task(store, request->task_id, why);
}

enum err pass_run(struct services *services, struct pass_memory *memory, const struct pass_request *request,
                  const char *id, struct policy **policy, struct pass_result *ret, struct why *why)
{
    int64_t began_ms = services_mono_ms(services);
    struct pass pass = {
        .services = services,
        .memory = memory,
        .request = request,
        .policy = *policy,
        .deadline_ms = began_ms + LIMIT_PASS_MS,
        .asker = {.pass = services->fetch ? fetch_pass(services->fetch) : 0,
                  .forced = request->trigger != TRIGGER_TIMER,
                  .waited_for = request->trigger != TRIGGER_TIMER && request->task_id != 0},
    };
    report_begin(&pass.report, id, request, services_wall_us(services));
    int unstuck = 0;
    enum err err = request->dry_run ? store_holds_list(services->store, &pass.holds, why) : ERR_OK;
    if (!err)
        err = run_sides(&pass, &unstuck, why);
    *policy = pass.policy;

    count_attempts(&pass.report);
    pass.report.duration_ms = services_mono_ms(services) - began_ms;
    if (err) {
        pass.report.state = PASS_FAILED;
        pass.report.error = mem_dup(why->text);
    } else if (pass.report.state == PASS_RUNNING) {
        pass.report.state = PASS_DONE;
    }
    *ret = (struct pass_result){
        .report = pass.report,
        .plane = pass.plane,
        .transitions = pass.written,
        .messages = pass.messages,
        .unstuck = unstuck,
        .looked = request->side != SIDE_PLANE && request->task_id == 0 && !request->ignore_grace && !err,
    };
    pass_done(&pass);
    return err;
}

bool pass_save(struct services *services, const struct pass_result *result, int64_t place)
{
    const struct report *report = &result->report;
    if (report->state == PASS_FAILED || report->request.dry_run ||
        (report->request.trigger == TRIGGER_TIMER && result->transitions == 0))
        return false;
    AUTO_FREE char *text = report_text(report);
    struct why why;
    enum err err = store_pass_save(services->store, report->id.s, place, text, &why);
    if (err)
        log_warn("a pass report was not saved", LOG_S("reason", why.text));
    return !err;
}
