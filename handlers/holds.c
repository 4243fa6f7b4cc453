#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "clients/base/text.h"
#include "clients/store/store.h"
#include "handlers/app.h"
#include "handlers/handlers.h"
#include "handlers/query.h"
#include "handlers/remarks.h"
#include "handlers/task_name.h"
#include "reconcile/holds/holds.h"

static bool is_after(const char *text)
{
    struct hold_target target;
    return hold_target_read(text, &target);
}

void handle_holds_list(struct request *request)
{
    struct query query = {.request = request};
    const char *after = NULL;
    size_t limit;
    json_t *body = NULL;
    struct why why;
    query_limit(&query, &limit);
    query_text(&query, "after", is_after, "must be the \"next\" of an earlier answer", &after);
    if (!query_done(&query))
        return;
    enum err err = holds_list(request_app(request)->store, after, limit, &body, &why);
    if (err)
        answer_error(request, err, &why);
    else
        answer_json(request, 200, body);
}

/* False: the request has been answered. */
static bool target_read(struct request *request, struct hold_target *ret)
{
    if (!hold_target_read(request_param(request), ret)) {
        answer_problem(request, 404, "a scope is task/TASK, repo/OWNER/NAME or stage/NAME");
        return false;
    }
    return ret->kind != HOLD_TASK || task_named(request, ret->name, &ret->task_id);
}

void handle_holds_put(struct request *request)
{
    struct hold_target target;
    struct remark remark;
    json_t *document = NULL;
    bool is_new;
    struct why why;
    if (!remarks_read(request, REMARK_REASON_NEEDED | REMARK_MAY_END, "nothing is held", &remark) ||
        !target_read(request, &target))
        return;
    enum err err = holds_put(request_app(request)->services, &target, &remark, &document, &is_new, &why);
    if (err) {
        answer_error(request, err, &why);
        return;
    }
    log_info("held", LOG_S("scope", json_get_text(document, "scope", NULL)), LOG_S("by", remark.by),
             LOG_S("reason", remark.reason), LOG_S("until", json_get_text(document, "until", NULL)));
    answer_json(request, is_new ? 201 : 200, document);
}

static bool is_remark_text(const char *text)
{
    json_auto_t *value = json_string(text), *errors = json_array();
    return value && remark_text_check("", value, errors);
}

void handle_holds_delete(struct request *request)
{
    struct query query = {.request = request};
    struct hold_target target;
    const char *by = NULL, *reason = NULL,
               *rule = "must be at most 200 characters without control characters";
    struct why why;
    query_text(&query, "by", is_remark_text, rule, &by);
    query_text(&query, "reason", is_remark_text, rule, &reason);
    if (!query_done(&query) || !target_read(request, &target))
        return;
    enum err err = holds_end(request_app(request)->services, &target, by, reason, &why);
    if (err) {
        answer_error(request, err, &why);
        return;
    }
    log_info("hold ended", LOG_S("scope", request_param(request)), LOG_S("by", by), LOG_S("reason", reason));
    answer_empty(request);
}
