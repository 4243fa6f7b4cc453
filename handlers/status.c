/* What is published as a snapshot: the status, and the newest look at the webhooks. */
#include "handlers/app.h"
#include "handlers/handlers.h"

void handle_status_get(struct request *request)
{
    answer_published(request, request_app(request)->status);
}

void handle_webhooks_list(struct request *request)
{
    answer_published(request, request_app(request)->webhooks);
}
