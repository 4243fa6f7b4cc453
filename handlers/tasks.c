#include <stdlib.h>
#include <string.h>

#include "clients/base/log.h"
#include "clients/base/text.h"
#include "handlers/app.h"
#include "handlers/query.h"
#include "handlers/remarks.h"
#include "handlers/task_name.h"
#include "handlers/handlers.h"
#include "reconcile/explain/explain.h"
#include "reconcile/holds/holds.h"
#include "reconcile/pipeline/settings_text.h"
#include "reconcile/settings/settings.h"

enum { STAGE_MAX = 64, PART_MAX = 100, AFTER_MAX = 200 };

static bool is_short(const char *text, size_t max)
{
    size_t len = strlen(text), characters = 0;
    for (size_t i = 0; i < len; i++)
        characters += ((unsigned char)text[i] & 0xc0) != 0x80;
    return len > 0 && characters <= max && !text_has_control(text) && utf8_valid_len(text, len) == len;
}

/* A stage of the pipeline or any other one, because tasks may be at an unknown stage too. */
static bool is_stage(const char *text)
{
    return is_short(text, STAGE_MAX);
}

static bool is_part(const char *text)
{
    return is_short(text, PART_MAX);
}

static bool is_after(const char *text)
{
    static const char good[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._-";
    size_t len = strlen(text);
    return len > 0 && len <= AFTER_MAX && strspn(text, good) == len;
}

static const char after_rule[] = "must be the \"next\" of an earlier answer";

void handle_tasks_list(struct request *request)
{
    struct query query = {.request = request};
    struct explain_list_query wanted = {.stage = NULL};
    json_t *body = NULL;
    struct why why;
    query_limit(&query, &wanted.limit);
    query_text(&query, "after", is_after, after_rule, &wanted.after);
    query_bool(&query, "stuck", &wanted.stuck_only);
    query_bool(&query, "held", &wanted.held_only);
    query_bool(&query, "quarantined", &wanted.quarantined_only);
    query_text(&query, "stage", is_stage, "must be the name of a stage", &wanted.stage);
    query_text(&query, "repo", settings_repo_valid, "must be owner/name", &wanted.repo);
    query_text(&query, "q", is_part, "must be 1 to 100 characters without control characters", &wanted.part);
    if (!query_done(&query))
        return;
    enum err err = explain_list(request_app(request)->explainer, &wanted, &body, &why);
    if (err == ERR_INVALID) { /* it looked like one */
        query_refuse(&query, "after", after_rule);
        (void)query_done(&query);
    } else if (err) {
        answer_error(request, err, &why);
    } else {
        answer_json(request, 200, body);
    }
}

/* one task */

static void on_done(void *arg, const void *document)
{
    static const struct why stopping = {.text = "the service is stopping"};
    if (document)
        deferred_answer(arg, 200, json_incref((json_t *)(uintptr_t)document));
    else
        deferred_error(arg, ERR_UNAVAILABLE, &stopping);
}

static void answer_later(struct request *request, struct explanation *explanation_take)
{
    struct explainer *explainer = request_app(request)->explainer;
    struct why why;
    struct deferred *deferred = request_defer(request);
    if (!deferred) {
        explanation_free(explanation_take);
        return;
    }
    enum err err = explain_ask(explainer, explanation_take, on_done, deferred, &why);
    if (err)
        deferred_error(deferred, err, &why);
}

static void answer_explanation(struct request *request, int64_t id)
{
    struct explanation *explanation = NULL;
    struct why why;
    enum err err = explain_read(request_app(request)->explainer, id, &explanation, &why);
    if (err == ERR_NOT_FOUND) {
        answer_problem(request, 404, "%s", why.text);
    } else if (err) {
        answer_error(request, err, &why);
    } else if (!explanation_is_whole(explanation)) {
        answer_later(request, explanation);
    } else {
        answer_json(request, 200, explanation_document(explanation));
        explanation_free(explanation);
    }
}

void handle_tasks_get(struct request *request)
{
    int64_t id;
    if (task_named(request, request_param(request), &id))
        answer_explanation(request, id);
}

void handle_tasks_release(struct request *request)
{
    struct remark remark;
    int64_t id;
    struct why why;
    if (!remarks_read(request, 0, "nothing was released", &remark) ||
        !task_named(request, request_param(request), &id))
        return;
    enum err err = holds_release(request_app(request)->services, id, &remark, &why);
    if (err) {
        answer_error(request, err, &why);
        return;
    }
    log_info("released", LOG_I("task_id", id), LOG_S("by", remark.by), LOG_S("reason", remark.reason));
    answer_explanation(request, id);
}
