#include <string.h>

#include "clients/base/jsonx.h"
#include "handlers/app.h"
#include "handlers/handlers.h"
#include "handlers/task_name.h"
#include "reconcile/sweep/pass.h"
#include "reconcile/settings/policy.h"
#include "reconcile/settings/settings_table.h"
#include "reconcile/sweep/sweeper.h"

/* The members of a body, checked as settings are. */
static const char *const sides[] = {"both", "gate", "plane", NULL};
static const struct setting members[] = {
    {.member = "dry_run", .type = SETTING_BOOL},
    {.member = "side", .type = SETTING_ENUM, .choices = sides},
    {.member = "task_id", .type = SETTING_INT, .min = 1, .max = INT64_MAX},
    {.member = "ignore_grace", .type = SETTING_BOOL},
    {.member = "wait", .type = SETTING_BOOL},
};

static void member_check(const char *name, const json_t *value, json_t *errors)
{
    bool is_task = strcmp(name, "task_id") == 0;
    if (is_task && json_is_null(value)) /* the same as absent */
        return;
    if (is_task && json_is_string(value)) {
        if (!task_name_valid(json_string_value(value)))
            problem_add(errors, name, "%s", task_name_rule);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        if (strcmp(members[i].member, name) != 0)
            continue;
        (void)setting_check(&members[i], name, value, errors);
        return;
    }
    problem_add(errors, name, "is not known");
}

/* False: the request has been answered. */
static bool body_read(struct request *request, struct pass_request *ret, bool *ret_wait)
{
    const json_t *body = request_json(request);
    json_t *errors = json_array(), *value;
    const char *name;
    json_object_foreach((json_t *)(uintptr_t)body, name, value)
    {
        member_check(name, value, errors);
    }
    if (json_array_size(errors) > 0) {
        answer_fields(request, 422, "the pass was not started", errors);
        return false;
    }
    json_decref(errors);
    const char *task = json_get_text(body, "task_id", NULL);
    int64_t task_id = json_get_int(body, "task_id", 0);
    if (task && !task_named(request, task, &task_id))
        return false;
    *ret = (struct pass_request){.trigger = TRIGGER_REQUEST,
                                 .dry_run = json_get_bool(body, "dry_run", false),
                                 .task_id = task_id,
                                 .ignore_grace = json_get_bool(body, "ignore_grace", false)};
    (void)pass_side_parse(json_get_text(body, "side", "both"), &ret->side);
    *ret_wait = json_get_bool(body, "wait", true);
    return true;
}

static void answer_held(struct request *request, const struct policy_hold *hold)
{
    json_t *problem = problem_of_type("switched-off", 409, hold->text);
    json_put(problem, "by", json_text(hold->by));
    json_put(problem, "reason", json_text(hold->reason));
    json_put(problem, "until", json_instant(hold->until_us));
    answer_json(request, 409, problem);
}

/* A pass that could not ask the database is an error, whatever else its report contains. */
static void on_done(void *arg, const struct report *report)
{
    if (report->state == PASS_DONE) {
        deferred_answer(arg, 200, report_json(report));
        return;
    }
    json_t *problem = problem_document(503, report->error ? report->error : "the pass was interrupted");
    json_put(problem, "report", report_json(report));
    deferred_answer(arg, 503, problem);
}

static void run_and_wait(struct request *request, const struct pass_request *pass)
{
    struct sweeper *sweeper = request_app(request)->sweeper;
    struct uuid_text id;
    struct why why;
    struct deferred *deferred = request_defer(request);
    if (deferred && sweeper_request(sweeper, pass, on_done, deferred, &id, &why) != ERR_OK)
        deferred_answer(deferred, 503, problem_document(503, why.text));
}

static void run_and_answer(struct request *request, const struct pass_request *pass)
{
    struct uuid_text id;
    struct why why;
    char location[sizeof "/reconcile/runs/" + UUID_TEXT_LEN] = "/reconcile/runs/";
    enum err err = sweeper_request(request_app(request)->sweeper, pass, NULL, NULL, &id, &why);
    if (err) {
        answer_error(request, err, &why);
        return;
    }
    memcpy(location + sizeof "/reconcile/runs/" - 1, id.s, sizeof id.s);
    answer_header(request, "Location", location);
    json_t *body = json_object();
    json_put(body, "id", json_text(id.s));
    answer_json(request, 202, body);
}

void handle_run_post(struct request *request)
{
    const struct app *app = request_app(request);
    struct pass_request pass;
    struct policy_hold hold = {.held = false};
    struct why why;
    bool wait;
    if (!body_read(request, &pass, &wait))
        return;
    enum err err = pass_may_run(app->store, app->settings, &pass, &hold, &why);
    if (hold.held)
        answer_held(request, &hold);
    else if (err)
        answer_error(request, err, &why);
    else if (wait)
        run_and_wait(request, &pass);
    else
        run_and_answer(request, &pass);
    policy_hold_done(&hold);
}
