#include <stdlib.h>

#include "clients/base/metric.h"
#include "clients/base/process.h"
#include "clients/plane/plane.h"
#include "handlers/app.h"
#include "handlers/handlers.h"

/* Time gives it back, so that it is asked for now. */
static void measure_budget(struct plane *plane)
{
    struct plane_budget budget;
    plane_budget(plane, &budget);
    metric_set(METRIC_PLANE_BUDGET_LEFT, NULL, budget.left);
    metric_set(METRIC_PLANE_BUDGET_LIMIT, NULL, budget.limit);
}

void handle_metrics_get(struct request *request)
{
    size_t len;
    process_measure();
    measure_budget(request_app(request)->plane);
    AUTO_FREE char *text = metrics_text(&len);
    answer_text(request, 200, "text/plain; version=0.0.4; charset=utf-8", text, len);
}
