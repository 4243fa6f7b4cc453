#include "handlers/handlers.h"
#include "server/http/routes.h"

#define QUERY(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Sorted by path, then method; held to openapi.yaml by a test. */
static const struct route table[] = {
    {"GET", "/healthz", handle_healthz_get, ROUTE_OPEN, NULL},
    {"GET", "/metrics", handle_metrics_get, 0, NULL},
    {"GET", "/openapi.json", handle_openapi_get, 0, NULL},
    {"GET", "/readyz", handle_readyz_get, ROUTE_OPEN, NULL},
    {"GET", "/reconcile/config", handle_config_get, ROUTE_QUEUED, NULL},
    {"PUT", "/reconcile/config", handle_config_put, ROUTE_BODY | ROUTE_QUEUED, NULL},
    {"GET", "/reconcile/config/history", handle_config_history, ROUTE_QUEUED, QUERY("limit", "after")},
    {"GET", "/reconcile/history", handle_history_list, ROUTE_QUEUED, QUERY("limit", "after", "task_id")},
    {"GET", "/reconcile/holds", handle_holds_list, ROUTE_QUEUED, QUERY("limit", "after")},
    {"DELETE", "/reconcile/holds/{scope}", handle_holds_delete, ROUTE_QUEUED, QUERY("by", "reason")},
    {"PUT", "/reconcile/holds/{scope}", handle_holds_put, ROUTE_BODY | ROUTE_QUEUED, NULL},
    {"GET", "/reconcile/resolve", handle_resolve_get, ROUTE_QUEUED, QUERY("repo", "sha")},
    {"POST", "/reconcile/run", handle_run_post, ROUTE_BODY | ROUTE_QUEUED, NULL},
    {"GET", "/reconcile/runs", handle_runs_list, ROUTE_QUEUED, QUERY("limit", "after")},
    {"GET", "/reconcile/runs/{id}", handle_runs_get, ROUTE_QUEUED, NULL},
    {"GET", "/reconcile/status", handle_status_get, 0, NULL},
    {"GET", "/reconcile/tasks", handle_tasks_list, ROUTE_QUEUED,
     QUERY("limit", "after", "stuck", "held", "quarantined", "stage", "repo", "q")},
    {"GET", "/reconcile/tasks/{id}", handle_tasks_get, ROUTE_QUEUED, NULL},
    {"POST", "/reconcile/tasks/{id}/release", handle_tasks_release, ROUTE_BODY | ROUTE_QUEUED, NULL},
    {NULL, NULL, NULL, 0, NULL},
};

const struct route *routes_table(void)
{
    return table;
}
