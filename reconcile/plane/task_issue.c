#include "reconcile/plane/task_issue.h"

#include <stdlib.h>

#include "reconcile/heal/services.h"
#include "reconcile/plane/plane_scan.h"
#include "reconcile/settings/policy.h"
#include "reconcile/settings/settings.h"

static const struct project *project_of(const struct services *services, const struct store_task *task)
{
    return settings_project(services->settings, task->repo, task->work_item_id);
}

const char *task_issue_obstacle(const struct services *services, const struct store_task *task)
{
    const struct project *project = project_of(services, task);
    if (!plane_configured(services->plane))
        return "ORCH_PLANE_URL is not set: it is not read";
    if (!project || !project->plane_project_id)
        return "ORCH_PROJECTS_JSON has no Plane project with the prefix of its work item id, and not exactly "
               "one for its repo: it is not read";
    if (!task->plane_id || !uuid_valid(task->plane_id))
        return "its plane_id is no issue's: it cannot be read";
    return NULL;
}

void task_issue_done(struct task_issue *issue)
{
    free(issue->error);
    free(issue->state_name);
    free(issue->problem);
    *issue = (struct task_issue){0};
}

/* What Plane showed, copied from the scan. */
static void show(const struct plane_scan_one *one, struct task_issue *issue)
{
    issue->gone = !one->error && !one->found;
    issue->error = mem_dup(issue->gone ? "Plane has no such issue: it was deleted, archived or made a draft"
                                       : one->error);
    issue->state_name = mem_dup(one->state_name);
    issue->problem = mem_dup(one->problem);
    issue->meaning = one->meaning;
    issue->updated_us = one->updated_us;
    issue->open = one->open;
}

static void decide(const struct task_issue_query *query, struct task_issue *issue, bool replayed)
{
    const struct plane_view view = {
        .issue = issue->open,
        .task = &issue->task,
        .pipeline = query->services->pipeline,
        .now_us = query->now_us,
        .skew_us = plane_skew_us(query->services->plane),
        .grace_s = query->ignore_grace ? 0 : query->policy->grace_default_s,
        .asked = issue->asked,
        .replayed = replayed,
        .unrecorded = !plane_records_api_changes(query->services->plane),
    };
    issue->decision = plane_decide(&view);
}

static void identify(const struct task_issue_query *query, struct task_issue *issue)
{
    if (!plane_scan_identify(query->scan, query->call, issue->open)) {
        issue->error = mem_dup(issue->open->error);
        return;
    }
    issue->asked = true;
    issue->change = issue->open->change;
    issue->change.actor = NULL; /* the open issue's own */
    decide(query, issue, false);
}

static enum err drop_replayed(const struct task_issue_query *query, struct task_issue *issue, struct why *why)
{
    const char *id = issue->change.id;
    bool replayed = false;
    enum err err = store_verdicts_replayed(query->services->store, &id, 1, &replayed, why);
    if (!err)
        decide(query, issue, replayed);
    return err;
}

enum err task_issue_read(const struct task_issue_query *query, struct task_issue *ret, struct why *why)
{
    const struct store_task_entry *entry = query->entry;
    struct task_issue issue = {
        .task = {.task = entry->task, .updated_us = entry->updated_us, .active = entry->job_id != NULL}};
    struct plane_scan_one one;
    enum err err = ERR_OK;
    plane_scan_read_one(query->scan, query->call, project_of(query->services, &entry->task),
                        entry->task.plane_id, &one);
    show(&one, &issue);
    plane_skew_measure(query->services->plane, query->now_us, query->now_ms);
    if (!issue.error && issue.open) {
        decide(query, &issue, false);
        if (issue.decision.step == STEP_NEEDS_ACTIVITY)
            identify(query, &issue);
        if (issue.decision.step == STEP_APPROVE || issue.decision.step == STEP_REJECT)
            err = drop_replayed(query, &issue, why);
    }
    issue.since_us = (issue.asked && issue.change.found ? issue.change.at_us : issue.updated_us) -
                     plane_skew_us(query->services->plane);
    if (err)
        task_issue_done(&issue);
    else
        *ret = issue;
    return err;
}
