#include "handlers/handlers.h"
#include "server/routes.h"

/* Sorted by path, then method; held to openapi.yaml by a test. */
static const struct route table[] = {
    {"GET", "/healthz", handle_healthz_get, ROUTE_OPEN},
    {"GET", "/metrics", handle_metrics_get, 0},
    {"GET", "/openapi.json", handle_openapi_get, 0},
    {"GET", "/readyz", handle_readyz_get, ROUTE_OPEN | ROUTE_OFFLOAD},
    {"GET", "/reconcile/config", handle_config_get, ROUTE_OFFLOAD},
    {"PUT", "/reconcile/config", handle_config_put, ROUTE_BODY | ROUTE_OFFLOAD},
    {"GET", "/reconcile/history", handle_history_list, ROUTE_OFFLOAD},
    {"GET", "/reconcile/resolve", handle_resolve_get, ROUTE_OFFLOAD},
    {"POST", "/reconcile/run", handle_run_post, ROUTE_BODY | ROUTE_OFFLOAD},
    {"GET", "/reconcile/runs", handle_runs_list, ROUTE_OFFLOAD},
    {"GET", "/reconcile/runs/{id}", handle_runs_get, ROUTE_OFFLOAD},
    {"GET", "/reconcile/status", handle_status_get, 0},
    {"GET", "/reconcile/tasks", handle_tasks_list, ROUTE_OFFLOAD},
    {"GET", "/reconcile/tasks/{id}", handle_tasks_get, ROUTE_OFFLOAD},
    {NULL, NULL, NULL, 0},
};

const struct route *routes_table(void)
{
    return table;
}
