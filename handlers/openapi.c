#include "clients/base/embedded.h"
#include "handlers/handlers.h"

void handle_openapi_get(struct request *request)
{
    answer_static(request, "application/json", embedded_openapi_json, embedded_openapi_json_len);
}
