#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "handlers/app.h"
#include "handlers/fields.h"
#include "handlers/handlers.h"
#include "reconcile/sweep/pass.h"
#include "reconcile/settings/policy.h"
#include "reconcile/sweep/sweeper.h"

struct run_body {
    bool dry_run, ignore_grace, wait;
    int side; /* enum pass_side */
    int64_t task_id;
};

static bool body_read(struct request *request, struct run_body *ret)
{
    static const char *const sides[] = {"both", "gate", "plane", NULL};
    static const enum pass_side side_of[] = {SIDE_BOTH, SIDE_GATE, SIDE_PLANE};
    int side = 0;
    *ret = (struct run_body){.wait = true};
    const struct field fields[] = {
        {.name = "dry_run", .kind = FIELD_BOOL, .dest = &ret->dry_run},
        {.name = "side", .kind = FIELD_WORD, .dest = &side, .choices = sides},
        {.name = "task_id",
         .kind = FIELD_INT,
         .nullable = true,
         .dest = &ret->task_id,
         .min = 1,
         .max = INT64_MAX},
        {.name = "ignore_grace", .kind = FIELD_BOOL, .dest = &ret->ignore_grace},
        {.name = "wait", .kind = FIELD_BOOL, .dest = &ret->wait},
        {.name = NULL},
    };
    json_t *errors = NULL;
    if (!fields_read(request_json(request), fields, &errors)) {
        answer_fields(request, 422, "the pass was not started", errors);
        return false;
    }
    ret->side = (int)side_of[side];
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
    struct run_body body;
    struct policy_hold hold = {.held = false};
    struct why why;
    if (!body_read(request, &body))
        return;
    const struct pass_request pass = {.trigger = TRIGGER_REQUEST,
                                      .dry_run = body.dry_run,
                                      .side = (enum pass_side)body.side,
                                      .task_id = body.task_id,
                                      .ignore_grace = body.ignore_grace};
    enum err err = pass_may_run(app->store, app->settings, &pass, &hold, &why);
    if (hold.held)
        answer_held(request, &hold);
    else if (err)
        answer_error(request, err, &why);
    else if (body.wait)
        run_and_wait(request, &pass);
    else
        run_and_answer(request, &pass);
    policy_hold_done(&hold);
}
