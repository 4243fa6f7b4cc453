/* handlers.h - one function per endpoint; openapi/openapi.yaml describes each. One file per resource, named
 * after its path. */
#ifndef RECONCILED_HANDLERS_H
#define RECONCILED_HANDLERS_H

#include "handlers/handler.h"

handler_fn handle_status_get;     /* GET  /reconcile/status */
handler_fn handle_run_post;       /* POST /reconcile/run */
handler_fn handle_runs_list;      /* GET  /reconcile/runs */
handler_fn handle_runs_get;       /* GET  /reconcile/runs/{id} */
handler_fn handle_config_get;     /* GET  /reconcile/config */
handler_fn handle_config_put;     /* PUT  /reconcile/config */
handler_fn handle_config_history; /* GET /reconcile/config/history */
handler_fn handle_holds_list;     /* GET  /reconcile/holds */
handler_fn handle_holds_put;      /* PUT  /reconcile/holds/{scope} */
handler_fn handle_holds_delete;   /* DELETE /reconcile/holds/{scope} */
handler_fn handle_resolve_get;    /* GET  /reconcile/resolve */
handler_fn handle_tasks_list;     /* GET  /reconcile/tasks */
handler_fn handle_tasks_get;      /* GET  /reconcile/tasks/{id} */
handler_fn handle_tasks_release;  /* POST /reconcile/tasks/{id}/release */
handler_fn handle_history_list;   /* GET  /reconcile/history */
handler_fn handle_healthz_get;    /* GET  /healthz */
handler_fn handle_readyz_get;     /* GET  /readyz */
handler_fn handle_metrics_get;    /* GET  /metrics */
handler_fn handle_openapi_get;    /* GET  /openapi.json */

#endif
