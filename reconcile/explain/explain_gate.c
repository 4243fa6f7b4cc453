#include "reconcile/explain/explain_gate.h"

#include "clients/base/limits.h"
#include "clients/store/store.h"
#include "reconcile/gates/gate_side.h"
#include "reconcile/heal/recheck.h"
#include "reconcile/heal/services.h"
#include "reconcile/settings/policy.h"

/* The number of tasks before this one in the list that may use up the limit on heals; quarantined and held
 * ones do not. */
static int64_t count_ahead(const struct policy *policy, const struct store_holds *holds,
                           const struct store_task_list *list, int64_t task_id, bool *ret_found)
{
    int64_t ahead = 0;
    *ret_found = false;
    for (size_t i = 0; i < list->n_tasks && !*ret_found; i++) {
        *ret_found = list->tasks[i].id == task_id;
        ahead += !*ret_found && !gate_quarantines(&list->tasks[i], policy->quarantine_heals) &&
                 !store_hold_of(holds, &list->tasks[i]);
    }
    return ahead;
}

/* Most often the first max_heals_per_pass of the list settle it. */
enum err explain_gate_ahead(struct services *services, const struct policy *policy,
                            const struct store_holds *holds, const struct store_task_entry *entry,
                            int64_t *ret, struct why *why)
{
    int64_t most = policy->max_heals_per_pass;
    size_t limit = most < LIMIT_PASS_CANDIDATES ? (size_t)most : LIMIT_PASS_CANDIDATES;
    *ret = 0;
    if (!entry->stuck || most == 0)
        return ERR_OK;
    for (;;) {
        const struct gate_side_query query = {.by_timer = true, .limit = limit};
        struct store_task_list list;
        enum err err = gate_side_list(services, policy, &query, &list, why);
        if (err)
            return err;
        bool found, whole = list.n_tasks < limit || limit == LIMIT_PASS_CANDIDATES;
        int64_t ahead = count_ahead(policy, holds, &list, entry->task.id, &found);
        store_task_list_done(&list);
        *ret = found || !whole ? ahead : 0;
        if (found || whole || ahead >= most)
            return ERR_OK;
        limit = LIMIT_PASS_CANDIDATES;
    }
}

/* The earliest time at which a pass of the timer evaluates the task: its grace and its pause after the last
 * evaluation are over, and a pass is due. */
static int64_t due_us(const struct explain_gate *gate, int64_t rested_us)
{
    int64_t due_us = gate->next_pass_us > rested_us ? gate->next_pass_us : rested_us;
    int64_t again_ms = recheck_at(gate->services->recheck, gate->entry->task.id);
    int64_t again_us = again_ms ? gate->now_us + (again_ms - services_mono_ms(gate->services)) * 1000 : 0;
    return again_us > due_us ? again_us : due_us;
}

struct gate_decide_view explain_gate_view(const struct explain_gate *gate)
{
    const struct policy *policy = gate->policy;
    const struct store_task_entry *entry = gate->entry;
    const struct policy_hold *hold = gate->unreadable ? NULL : policy_held_by(policy, false);
    int64_t rested_us = entry->updated_us + policy_grace_s(policy, entry->task.stage) * 1000000;
    bool has_rested = gate->now_us - rested_us > 1000000; /* ages are compared in whole seconds */
    return (struct gate_decide_view){
        .task = &entry->task,
        .stage = gate->stage,
        .has_job = entry->job_id != NULL,
        .listed = entry->stuck || !has_rested,
        .verdict = gate->verdict,
        .hold = hold ? hold->text : gate->unreadable,
        .hold_until_us = hold ? hold->until_us : 0,
        .quarantine_heals = policy->quarantine_heals,
        .has_room = gate->ahead < policy->max_heals_per_pass,
        .due_us = due_us(gate, rested_us),
        .room_us = policy->max_heals_per_pass ? gate->next_pass_us + policy->interval_s * 1000000 : 0,
    };
}
