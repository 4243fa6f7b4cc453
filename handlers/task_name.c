#include "handlers/task_name.h"

#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/store/store.h"
#include "handlers/app.h"
#include "handlers/handler.h"
#include "reconcile/pipeline/settings_text.h"

const char task_name_rule[] = "must be a task's number, with or without '#', or its work item id";

bool task_name_valid(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && len <= LIMIT_TASK_NAME && !text_has_control(text) && utf8_valid_len(text, len) == len;
}

static void answer_ambiguous(struct request *request, const char *name, const struct store_named_tasks *named)
{
    AUTO_FREE char *detail = mem_printf("%s may be each of these tasks: name one by its number", name);
    json_t *problem = problem_of_type("ambiguous", 409, detail), *candidates = json_array();
    for (size_t i = 0; i < named->n; i++) {
        json_t *task = json_object();
        json_put(task, "task_id", json_integer(named->rows[i].id));
        json_put(task, "work_item_id", json_text(named->rows[i].work_item_id));
        json_put(task, "repo", json_text(named->rows[i].repo));
        json_put(task, "stage", json_text(named->rows[i].stage));
        json_push(candidates, task);
    }
    json_put(problem, "candidates", candidates);
    answer_json(request, 409, problem);
}

bool task_named(struct request *request, const char *name, int64_t *ret_id)
{
    struct store_named_tasks named;
    struct why why;
    enum err err = store_tasks_named(request_app(request)->store, &name, 1, &named, &why);
    if (err) {
        answer_error(request, err, &why);
        return false;
    }
    size_t n = named.n;
    if (n == 0)
        answer_problem(request, 404, "there is no task %s", name);
    else if (n > 1)
        answer_ambiguous(request, name, &named);
    else
        *ret_id = named.rows[0].id;
    store_named_tasks_done(&named);
    return n == 1;
}
