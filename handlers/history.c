#include "handlers/app.h"
#include "handlers/query.h"
#include "handlers/task_name.h"
#include "handlers/handlers.h"
#include "reconcile/explain/history.h"

void handle_history_list(struct request *request)
{
    struct query query = {.request = request};
    const char *task = NULL;
    int64_t task_id = 0, after = 0;
    size_t limit;
    json_t *body = NULL;
    struct why why;
    query_limit(&query, &limit);
    query_after(&query, &after);
    query_text(&query, "task_id", task_name_valid, task_name_rule, &task);
    if (!query_done(&query) || (task && !task_named(request, task, &task_id)))
        return;
    enum err err = history_list(request_app(request)->store, task_id, after, limit, &body, &why);
    if (err)
        answer_error(request, err, &why);
    else
        answer_json(request, 200, body);
}
