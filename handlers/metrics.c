#include <stdlib.h>

#include "clients/base/metric.h"
#include "clients/base/process.h"
#include "handlers/handlers.h"

void handle_metrics_get(struct request *request)
{
    size_t len;
    process_measure();
    AUTO_FREE char *text = metrics_text(&len);
    answer_text(request, 200, "text/plain; version=0.0.4; charset=utf-8", text, len);
}
