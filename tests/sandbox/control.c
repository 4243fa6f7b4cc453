/* The control interface under /sandbox: loads and changes the world, breaks answers, counts. README.md
 * describes how. */
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/text.h"
#include "tests/sandbox/control.h"
#include "tests/sandbox/fault.h"
#include "tests/sandbox/journal.h"
#include "tests/sandbox/load.h"
#include "tests/sandbox/mailer.h"
#include "tests/sandbox/orchestrator.h"
#include "tests/sandbox/park.h"
#include "tests/sandbox/plane_load.h"
#include "tests/sandbox/plane_world.h"
#include "tests/sandbox/sandbox.h"
#include "tests/sandbox/telegram.h"
#include "tests/sandbox/world.h"

#define JOURNAL_SHOWN 100

struct out *control_open(struct call *call, int status)
{
    call->status = status;
    call->content_type = "application/json";
    out_free(&call->out);
    out_open(&call->out, NULL, '{');
    return &call->out;
}

void control_error(struct call *call, int status, const char *words)
{
    struct out *out = control_open(call, status);
    out_text(out, "error", words);
    out_close(out, '}');
}

/* The world is replaced by an empty one that keeps how Gitea behaves; Plane is as it was started. */
static void start_over(struct sandbox *sandbox)
{
    const struct world *old = sandbox->world;
    struct world *fresh = world_new(old->root_url, old->version_text, old->token);
    fresh->zone_min = old->zone_min;
    fresh->token_scope = arena_text(&fresh->arena, old->token_scope);
    world_free(sandbox->world);
    sandbox->world = fresh;
    struct plane *plane = plane_new(&sandbox->plane->start);
    plane_free(sandbox->plane);
    sandbox->plane = plane;
}

static void overview_get(struct call *call)
{
    const struct sandbox *sandbox = call->sandbox;
    struct out *out = control_open(call, 200);
    out_made(out, "gitea_url", "http://127.0.0.1:%d/gitea", sandbox->port);
    out_made(out, "gate_url", "http://127.0.0.1:%d/gate/{name}", sandbox->port);
    out_made(out, "plane_url", "http://127.0.0.1:%d/plane", sandbox->port);
    out_made(out, "orchestrator_url", "http://127.0.0.1:%d/orchestrator", sandbox->port);
    out_made(out, "telegram_url", "http://127.0.0.1:%d/telegram", sandbox->port);
    out_text(out, "gitea_version", sandbox->world->version_text);
    out_text(out, "root_url", sandbox->world->root_url);
    out_bool(out, "token_needed", sandbox->world->token != NULL);
    out_open(out, "repos", '[');
    for (size_t i = 0; i < sandbox->world->repos.n; i++) {
        const struct repo *repo = sandbox->world->repos.items[i];
        out_open(out, NULL, '{');
        out_text(out, "full_name", repo->full_name);
        out_int(out, "branches", (int64_t)repo_branch_count(repo));
        out_int(out, "pulls", (int64_t)repo->pulls.n);
        out_close(out, '}');
    }
    out_close(out, ']');
    out_close(out, '}');
}

static void reset_post(struct call *call)
{
    struct sandbox *sandbox = call->sandbox;
    start_over(sandbox);
    telegram_reset(sandbox->telegram);
    (void)faults_clear(sandbox->faults, 0);
    park_release(sandbox->park, PARK_HANG);
    mailer_reset(sandbox->mailer);
    journal_reset(sandbox->journal);
    out_close(control_open(call, 200), '}');
}

/* Runs a loader over the body and answers {} or the error. */
static void load_with(struct call *call, enum err (*load)(struct world *, const json_t *, struct why *))
{
    struct why why;
    json_t *body = call_json(call, &why);
    enum err err = json_is_object(body) ? load(call->sandbox->world, body, &why)
                   : body               ? why_set(&why, ERR_INVALID, "a JSON object is needed")
                                        : ERR_INVALID;
    json_decref(body);
    if (err)
        control_error(call, 400, why.text);
    else
        overview_get(call);
}

static void world_post(struct call *call)
{
    struct why why;
    json_t *body = call_json(call, &why);
    const json_t *plane = json_object_get(body, "plane");
    enum err err = plane ? plane_load(call->sandbox->plane, plane, &why) : ERR_OK;
    json_decref(body);
    if (err)
        control_error(call, 400, why.text);
    else
        load_with(call, load_world);
}

static void gitea_post(struct call *call)
{
    load_with(call, load_gitea);
}

static void generate_post(struct call *call)
{
    load_with(call, load_generate);
}

/* One change, or an array of them; the first that fails ends it, and those before it stand. */
static void change_post(struct call *call)
{
    struct why why;
    json_t *body = call_json(call, &why);
    struct out *out = control_open(call, 200);
    enum err err = body ? ERR_OK : ERR_INVALID;
    out_open(out, "results", '[');
    if (json_is_object(body))
        err = change_make(call->sandbox, body, out, &why);
    for (size_t i = 0; !err && i < json_array_size(body); i++)
        err = change_make(call->sandbox, json_array_get(body, i), out, &why);
    out_close(out, ']');
    out_close(out, '}');
    json_decref(body);
    if (err)
        control_error(call, 400, why.text);
}

/* faults */

static void faults_post(struct call *call)
{
    struct why why;
    int64_t id = 0;
    json_t *body = call_json(call, &why);
    enum err err = body ? ERR_OK : ERR_INVALID;
    if (json_is_object(body))
        err = faults_add(call->sandbox->faults, body, &id, &why);
    for (size_t i = 0; !err && i < json_array_size(body); i++)
        err = faults_add(call->sandbox->faults, json_array_get(body, i), &id, &why);
    json_decref(body);
    if (err) {
        control_error(call, 400, why.text);
        return;
    }
    struct out *out = control_open(call, 201);
    out_int(out, "id", id);
    out_close(out, '}');
}

static void faults_get(struct call *call)
{
    struct out *out = control_open(call, 200);
    faults_list(call->sandbox->faults, out, "faults");
    out_int(out, "hanging", (int64_t)park_count(call->sandbox->park, PARK_HANG));
    out_close(out, '}');
}

static void release_post(struct call *call)
{
    struct out *out = control_open(call, 200);
    out_int(out, "released", (int64_t)park_release(call->sandbox->park, PARK_HANG));
    out_close(out, '}');
}

static void faults_delete(struct call *call)
{
    (void)faults_clear(call->sandbox->faults, 0);
    release_post(call);
}

static void fault_delete(struct call *call)
{
    int64_t id;
    if (parse_i64(call->params[0], 1, INT64_MAX, &id) && faults_clear(call->sandbox->faults, id))
        out_close(control_open(call, 200), '}');
    else
        control_error(call, 404, "no such fault");
}

/* counters */

bool control_waits(struct call *call)
{
    if (!call->route || call->route->writes || strcmp(call->method, "GET") != 0)
        return false;
    const struct sandbox *sandbox = call->sandbox;
    int64_t hanging = call_query_int(call, "until_hanging", 0),
            total = call_query_int(call, "until_total", 0),
            messages = call_query_int(call, "until_messages", 0),
            received = call_query_int(call, "until_received", 0);
    return (int64_t)park_count(sandbox->park, PARK_HANG) < hanging ||
           journal_total(sandbox->journal) < total ||
           (int64_t)atomic_load(&sandbox->telegram->n_messages) < messages ||
           orchestrator_received(sandbox->orchestrator) < received;
}

static void requests_get(struct call *call)
{
    const struct sandbox *sandbox = call->sandbox;
    int64_t limit = call_query_int(call, "limit", JOURNAL_SHOWN);
    struct out *out = control_open(call, 200);
    out_int(out, "hanging", (int64_t)park_count(sandbox->park, PARK_HANG));
    journal_write(sandbox->journal, out, call_query(call, "like"), limit > 0 ? (size_t)limit : 0);
    out_close(out, '}');
}

static void requests_delete(struct call *call)
{
    journal_reset(call->sandbox->journal);
    out_close(control_open(call, 200), '}');
}

static void webhooks_get(struct call *call)
{
    const struct world *world = call->sandbox->world;
    struct out *out = control_open(call, 200);
    out_text(out, "url", world->hook_url);
    out_bool(out, "lose", world->mail_mode == MAIL_LOSE);
    mailer_write(call->sandbox->mailer, MAIL_GITEA, out);
    out_close(out, '}');
}

static void webhooks_post(struct call *call)
{
    struct why why;
    json_t *body = call_json(call, &why);
    if (json_is_object(body)) {
        load_webhook(call->sandbox->world, body);
        webhooks_get(call);
    } else
        control_error(call, 400, "a JSON object is needed");
    json_decref(body);
}

static void webhooks_delete(struct call *call)
{
    mailer_reset(call->sandbox->mailer);
    out_close(control_open(call, 200), '}');
}

static void telegram_get(struct call *call)
{
    struct out *out = control_open(call, 200);
    telegram_write(call->sandbox->telegram, out);
    out_close(out, '}');
}

static void telegram_post(struct call *call)
{
    struct why why;
    json_t *body = call_json(call, &why);
    enum err err = json_is_object(body) ? telegram_load(call->sandbox->telegram, body, &why)
                                        : why_set(&why, ERR_INVALID, "a JSON object is needed");
    json_decref(body);
    if (err)
        control_error(call, 400, why.text);
    else
        telegram_get(call);
}

static void telegram_delete(struct call *call)
{
    telegram_forget(call->sandbox->telegram);
    out_close(control_open(call, 200), '}');
}

static void not_found(struct call *call)
{
    control_error(call, call->method_known ? 405 : 404, "see tests/sandbox/README.md");
}

static const struct route routes[] = {
    {"GET", "overview", overview_get, false},
    {"POST", "reset", reset_post, true},
    {"POST", "world", world_post, true},
    {"POST", "gitea", gitea_post, true},
    {"POST", "generate", generate_post, true},
    {"POST", "change", change_post, true},
    {"GET", "faults", faults_get, false},
    {"POST", "faults", faults_post, false},
    {"DELETE", "faults", faults_delete, false},
    {"DELETE", "faults/{}", fault_delete, false},
    {"POST", "release", release_post, false},
    {"GET", "requests", requests_get, false},
    {"DELETE", "requests", requests_delete, false},
    {"GET", "webhooks", webhooks_get, false},
    {"POST", "webhooks", webhooks_post, true},
    {"DELETE", "webhooks", webhooks_delete, false},
    {"GET", "telegram", telegram_get, false},
    {"POST", "telegram", telegram_post, true},
    {"DELETE", "telegram", telegram_delete, true},
    {"GET", "orchestrator", control_orchestrator_get, false},
    {"POST", "orchestrator", control_orchestrator_post, false},
    {"POST", "orchestrator/move", control_orchestrator_move, false},
    {"DELETE", "orchestrator", control_orchestrator_delete, false},
    {"GET", "plane", control_plane_get, true},
    {"POST", "plane", control_plane_post, true},
    {"POST", "plane/generate", control_plane_generate, true},
    {"POST", "plane/change", control_plane_change, true},
    {"POST", "plane/later", control_plane_later, true},
    {"POST", "plane/clock", control_plane_clock, true},
    {"GET", "plane/counters", control_plane_counters, true},
    {"DELETE", "plane/counters", control_plane_counters_reset, true},
};
const struct stand_in control = {.prefix = "/sandbox/",
                                 .routes = routes,
                                 .n_routes = ARRAY_LEN(routes),
                                 .not_found = not_found,
                                 .hidden = true};
