#include "handlers/app.h"
#include "handlers/handlers.h"

void handle_status_get(struct request *request)
{
    answer_published(request, request_app(request)->status);
}
