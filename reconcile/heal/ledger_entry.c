#include "reconcile/heal/ledger_entry.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/log.h"
#include "clients/base/metric.h"
#include "reconcile/message/message.h"
#include "reconcile/pipeline/evidence.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/settings/settings.h"

static int64_t rested_s(const struct pass *pass, const struct transition *transition)
{
    int64_t now_us = pass_db_now_us(pass);
    if (!transition->since_us || now_us <= transition->since_us)
        return transition->task->age_s;
    return (now_us - transition->since_us) / 1000000;
}

void ledger_entry_make(const struct pass *pass, const struct transition *transition, struct ledger_entry *ret)
{
    const struct store_task *task = transition->task;
    const char *outcome = outcome_name(transition->success);
    const struct message_facts facts = {.task = task,
                                        .to_stage = transition->to->name,
                                        .outcome = outcome,
                                        .reason = transition->reason,
                                        .pull_request = evidence_pull_request(transition->evidence)};
    json_auto_t *evidence = evidence_json(transition->evidence);
    ret->evidence = json_line(evidence);
    ret->message = services_destinations(pass->services)
                       ? message_of_transition(pass->services->settings, &facts)
                       : NULL;
    lost_event_of(transition->side, pipeline_stage(pass->services->pipeline, task->stage), &ret->lost);
    ret->row = (struct store_transition){
        .id = services_uuid(pass->services),
        .task = task,
        .to_stage = transition->to->name,
        .agent = transition->to->agent,
        .side = pass_side_name(transition->side),
        .outcome = outcome,
        .reason = transition->reason,
        .evidence = ret->evidence,
        .verdict_id = transition->verdict_id,
        .missed_source = ret->lost.source,
        .missed_event = ret->lost.source ? ret->lost.event : NULL,
        .rested_s = rested_s(pass, transition),
    };
}

void ledger_entry_done(struct ledger_entry *entry)
{
    free(entry->evidence);
    free(entry->message);
}

void ledger_entry_written(struct pass *pass, const struct store_transition *row, int64_t rested_s)
{
    const struct store_task *task = row->task;
    /* The rest of a task is recorded only for the gate side: at a human gate it depends on how long a person
     * takes. */
    if (strcmp(row->side, pass_side_name(SIDE_GATE)) == 0)
        metric_observe(METRIC_TIME_TO_HEAL, NULL, rested_s);
    pass->written++;
    pass->messages += row->message != NULL;
    metric_count(METRIC_MISSED_EVENTS, row->missed_source ? row->missed_source : "none",
                 row->missed_event ? row->missed_event : "none");
    log_info("task unblocked: its webhook was lost", LOG_I("task_id", task->id),
             LOG_S("work_item_id", task->work_item_id), LOG_S("repo", task->repo),
             LOG_S("stage", task->stage), LOG_S("to_stage", row->to_stage), LOG_S("side", row->side),
             LOG_S("outcome", row->outcome), LOG_S("missed_source", row->missed_source),
             LOG_S("missed_event", row->missed_event), LOG_S("reason", row->reason));
}
