#include "reconcile/sweep/overview.h"

#include <inttypes.h>

#include "clients/base/log.h"
#include "clients/base/text.h"
#include "clients/plane/plane.h"
#include "reconcile/gates/gate_side.h"
#include "reconcile/heal/services.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/settings/policy.h"
#include "reconcile/settings/settings.h"

static enum err count_stuck(struct store *store, const struct policy *policy, const struct pipeline *pipeline,
                            size_t *ret, struct why *why)
{
    struct services services = {.store = store, .pipeline = pipeline};
    const struct gate_side_query query = {.limit = 1};
    struct store_task_list list;
    enum err err = gate_side_list(&services, policy, &query, &list, why);
    if (err)
        return err;
    *ret = list.count;
    store_task_list_done(&list);
    return ERR_OK;
}

enum err overview_read(struct store *store, const struct settings *settings, const struct pipeline *pipeline,
                       struct overview *ret, struct why *why)
{
    struct policy *policy = NULL;
    *ret = (struct overview){.stuck = 0};
    enum err err = store_overview(store, &ret->tables, why);
    if (err || !ret->tables.has_tasks || !ret->tables.has_jobs)
        return err;
    err = policy_read(store, settings, &policy, why);
    if (!err)
        err = count_stuck(store, policy, pipeline, &ret->stuck, why);
    policy_free(policy);
    return err;
}

char *overview_words(const struct overview *overview)
{
    int64_t tasks = overview->tables.tasks, jobs = overview->tables.jobs;
    return mem_printf("%" PRId64 " task%s, %" PRId64 " job%s, %zu stuck", tasks, tasks == 1 ? "" : "s", jobs,
                      jobs == 1 ? "" : "s", overview->stuck);
}

char *overview_missing(const struct store_overview *tables)
{
    if (tables->has_tasks && tables->has_jobs)
        return NULL;
    const char *names = tables->has_tasks ? "jobs" : tables->has_jobs ? "tasks" : "tasks and jobs";
    return mem_printf("there was no table %s: if the orchestrator has tables already, ORCH_DATABASE_URL or "
                      "ORCH_DATABASE_SCHEMA names another database than its own",
                      names);
}

void overview_log_settings(const struct settings *settings, const struct pipeline *pipeline)
{
    log_info("version", LOG_S("version", RECONCILED_VERSION));
    log_info("pipeline", LOG_S("file", settings->pipeline_file ? settings->pipeline_file : "built in"),
             LOG_I("stages", pipeline->n_stages));
    log_info("projects", LOG_I("projects", settings->n_projects), LOG_I("repos", settings->n_repos));
}

static const char *on_or_off(const char *why_off)
{
    return why_off ? "off" : "on";
}

/* Why a side is off, NULL: it is on. */
static const char *off_reason(const struct policy *policy, bool plane)
{
    const struct policy_hold *hold = policy_off_by(policy, plane);
    return hold ? hold->text : NULL;
}

void overview_log_state(const struct services *services, const struct policy *policy)
{
    struct store_overview tables = {.tasks = 0};
    size_t stuck = 0;
    struct why why;
    const char *gate = off_reason(policy, false);
    const char *plane =
        plane_configured(services->plane) ? off_reason(policy, true) : "ORCH_PLANE_URL is not set";
    log_info("mode", LOG_S("mode", policy->mode == MODE_OBSERVE ? "observe" : "heal"),
             LOG_S("via", services->orchestrator ? "webhook" : "database"),
             LOG_S("reason", policy->mode_hold.text));
    log_info("sides", LOG_S("gate", on_or_off(gate)), LOG_S("gate_reason", gate),
             LOG_S("plane", on_or_off(plane)), LOG_S("plane_reason", plane));
    enum err err = store_overview(services->store, &tables, &why);
    if (!err)
        err = count_stuck(services->store, policy, services->pipeline, &stuck, &why);
    log_info("database", LOG_S("database", store_describe(services->store)), LOG_I("tasks", tables.tasks),
             LOG_I("jobs", tables.jobs), LOG_I("stuck", stuck),
             LOG_S("reason", err ? why.text : NULL)); /* why it was not counted */
}
