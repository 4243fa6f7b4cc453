#include "clients/base/jsonx.h"
#include "clients/base/text.h"
#include "clients/store/store.h"
#include "handlers/app.h"
#include "handlers/handlers.h"
#include "reconcile/readiness/probe.h"
#include "reconcile/sweep/sweeper.h"

static void answer_well(struct request *request)
{
    json_t *body = json_object();
    json_put(body, "status", json_text("ok"));
    answer_json(request, 200, body);
}

void handle_healthz_get(struct request *request)
{
    struct why why;
    if (sweeper_alive(request_app(request)->sweeper, clock_mono_ms(), &why))
        answer_well(request);
    else
        answer_problem(request, 503, "%s", why.text);
}

void handle_readyz_get(struct request *request)
{
    struct why why;
    struct app *app = request_app(request);
    if (probe_read(app->probe, &why) == ERR_OK && store_refusal(app->store, &why) == ERR_OK)
        answer_well(request);
    else
        answer_problem(request, 503, "%s", why.text);
}
