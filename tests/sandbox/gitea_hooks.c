/* Webhooks of a repository: routers/api/v1/utils/hook.go. */
#include <string.h>

#include "clients/base/jsonx.h"
#include "tests/sandbox/gitea.h"
#include "tests/sandbox/sandbox.h"

enum { SINCE_STATUS_SELECTABLE = 12302, SINCE_WORKFLOW_JOB = 12400, SINCE_WORKFLOW_RUN = 12500 };

static const struct {
    const char *name;
    int since;
} known_events[] = {
    {"create", 0},
    {"delete", 0},
    {"fork", 0},
    {"push", 0},
    {"issues", 0},
    {"issue_assign", 0},
    {"issue_label", 0},
    {"issue_milestone", 0},
    {"issue_comment", 0},
    {"pull_request", 0},
    {"pull_request_only", 0},
    {"pull_request_assign", 0},
    {"pull_request_label", 0},
    {"pull_request_milestone", 0},
    {"pull_request_comment", 0},
    {"pull_request_review", 0},
    {"pull_request_review_request", 0},
    {"pull_request_sync", 0},
    {"wiki", 0},
    {"repository", 0},
    {"release", 0},
    {"package", 0},
    {"status", SINCE_STATUS_SELECTABLE},
    {"workflow_job", SINCE_WORKFLOW_JOB},
    {"workflow_run", SINCE_WORKFLOW_RUN},
};

/* What is not known is ignored without a word; nothing given means push. */
static json_t *events_taken(const json_t *given, int version)
{
    json_t *events = json_array();
    for (size_t i = 0; i < json_array_size(given); i++) {
        const char *name = json_string_value(json_array_get(given, i));
        for (size_t k = 0; name && k < ARRAY_LEN(known_events); k++)
            if (strcmp(known_events[k].name, name) == 0 && version >= known_events[k].since)
                json_push(events, json_text(name));
    }
    if (json_array_size(given) == 0)
        json_push(events, json_text("push"));
    return events;
}

static void put_hook(struct out *out, const struct world *world, const struct webhook *hook)
{
    out_open(out, NULL, '{');
    out_int(out, "id", hook->id);
    out_text(out, "type", "gitea");
    out_text(out, "branch_filter", hook->branch_filter);
    out_open(out, "config", '{');
    out_text(out, "content_type", hook->content_type);
    out_text(out, "url", hook->url);
    out_close(out, '}');
    out_open(out, "events", '[');
    for (size_t i = 0; i < json_array_size(hook->events); i++)
        out_text(out, NULL, json_string_value(json_array_get(hook->events, i)));
    out_close(out, ']');
    out_text(out, "authorization_header", hook->authorization);
    out_bool(out, "active", hook->active);
    gitea_put_instant(out, "updated_at", world, hook->created_s);
    gitea_put_instant(out, "created_at", world, hook->created_s);
    out_close(out, '}');
}

void gitea_hooks_list(struct call *call)
{
    const struct repo *repo = gitea_repo(call);
    if (!repo)
        return;
    struct gitea_page page = gitea_page(call, repo->hooks.n);
    struct out *out = gitea_ok(call, 200);
    out_open(out, NULL, '[');
    for (size_t i = page.from; i < page.to; i++)
        put_hook(out, repo->world, repo->hooks.items[i]);
    out_close(out, ']');
    gitea_paged(call, &page, true);
}

void gitea_hook_create(struct call *call)
{
    struct repo *repo = gitea_repo(call);
    if (!repo)
        return;
    struct world *world = repo->world;
    json_t *body = call_json(call, NULL);
    const json_t *config = json_object_get(body, "config");
    if (!*json_get_text(config, "url", "")) {
        gitea_error(call, 422, "Missing config option: url");
        json_decref(body);
        return;
    }
    struct webhook *hook = arena_get(&world->arena, sizeof *hook);
    hook->id = ++world->last_id;
    hook->url = arena_text(&world->arena, json_get_text(config, "url", ""));
    hook->secret = arena_text(&world->arena, json_get_text(config, "secret", ""));
    hook->content_type = arena_text(&world->arena, json_get_text(config, "content_type", "json"));
    hook->branch_filter = arena_text(&world->arena, json_get_text(body, "branch_filter", ""));
    hook->authorization = arena_text(&world->arena, json_get_text(body, "authorization_header", ""));
    hook->active = json_get_bool(body, "active", false);
    hook->events = events_taken(json_object_get(body, "events"), world->version);
    hook->created_s = world_now_s();
    json_push(world->json, hook->events);
    list_add(&world->arena, &repo->hooks, hook);
    put_hook(gitea_ok(call, 201), world, hook);
    json_decref(body);
}
