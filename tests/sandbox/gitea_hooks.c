/* Webhooks of a repository, of an organization and of the whole server: routers/api/v1/utils/hook.go. The
 * token may administer all of them, and every owner is an organization. */
#include <string.h>
#include <strings.h>

#include "clients/base/jsonx.h"
#include "tests/sandbox/gitea.h"
#include "tests/sandbox/sandbox.h"

enum { SINCE_STATUS_SELECTABLE = 12302, SINCE_WORKFLOW_JOB = 12400, SINCE_WORKFLOW_RUN = 12500 };

/* `group` asked for brings this one too; `only` brings it alone. */
static const struct {
    const char *name, *group, *only;
    int since;
} known_events[] = {
    {.name = "create"},
    {.name = "delete"},
    {.name = "fork"},
    {.name = "push"},
    {.name = "issues", .only = "issues_only"},
    {.name = "issue_assign", .group = "issues"},
    {.name = "issue_label", .group = "issues"},
    {.name = "issue_milestone", .group = "issues"},
    {.name = "issue_comment", .group = "issues"},
    {.name = "pull_request", .only = "pull_request_only"},
    {.name = "pull_request_assign", .group = "pull_request"},
    {.name = "pull_request_label", .group = "pull_request"},
    {.name = "pull_request_milestone", .group = "pull_request"},
    {.name = "pull_request_comment", .group = "pull_request"},
    {.name = "pull_request_review", .group = "pull_request"},
    {.name = "pull_request_review_request", .group = "pull_request"},
    {.name = "pull_request_sync", .group = "pull_request"},
    {.name = "wiki"},
    {.name = "repository"},
    {.name = "release"},
    {.name = "package"},
    {.name = "status", .since = SINCE_STATUS_SELECTABLE},
    {.name = "workflow_job", .since = SINCE_WORKFLOW_JOB},
    {.name = "workflow_run", .since = SINCE_WORKFLOW_RUN},
};

static bool is_given(const json_t *given, const char *name)
{
    for (size_t i = 0; i < json_array_size(given); i++) {
        const char *text = json_string_value(json_array_get(given, i));
        if (text && name && strcmp(text, name) == 0)
            return true;
    }
    return false;
}

/* What is not known is ignored without a word; nothing given means push. Each is listed by itself. */
static json_t *events_taken(const json_t *given, int version)
{
    json_t *events = json_array();
    for (size_t i = 0; i < ARRAY_LEN(known_events); i++) {
        bool wanted = is_given(given, known_events[i].name) || is_given(given, known_events[i].group) ||
                      is_given(given, known_events[i].only);
        if (wanted && version >= known_events[i].since)
            json_push(events, json_text(known_events[i].name));
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

/* `owner` NULL: of any. */
static bool belongs_to(const struct webhook *hook, const char *owner)
{
    return !owner || strcasecmp(hook->owner, owner) == 0;
}

static void hooks_list(struct call *call, const struct world *world, const struct list *hooks,
                       const char *owner)
{
    size_t total = 0, at = 0;
    for (size_t i = 0; i < hooks->n; i++)
        total += belongs_to(hooks->items[i], owner);
    struct gitea_page page = gitea_page(call, total);
    struct out *out = gitea_ok(call, 200);
    out_open(out, NULL, '[');
    for (size_t i = 0; i < hooks->n; i++) {
        if (!belongs_to(hooks->items[i], owner))
            continue;
        if (at >= page.from && at < page.to)
            put_hook(out, world, hooks->items[i]);
        at++;
    }
    out_close(out, ']');
    gitea_paged(call, &page, true);
}

void gitea_hooks_list(struct call *call)
{
    const struct repo *repo = gitea_repo(call);
    if (repo)
        hooks_list(call, repo->world, &repo->hooks, NULL);
}

void gitea_owner_hooks_list(struct call *call)
{
    hooks_list(call, call->sandbox->world, &call->sandbox->world->owner_hooks, call->params[0]);
}

void gitea_system_hooks_list(struct call *call)
{
    hooks_list(call, call->sandbox->world, &call->sandbox->world->system_hooks, NULL);
}

static void hook_create(struct call *call, struct world *world, struct list *hooks, const char *owner)
{
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
    hook->owner = arena_text(&world->arena, owner);
    list_add(&world->arena, hooks, hook);
    put_hook(gitea_ok(call, 201), world, hook);
    json_decref(body);
}

void gitea_hook_create(struct call *call)
{
    struct repo *repo = gitea_repo(call);
    if (repo)
        hook_create(call, repo->world, &repo->hooks, NULL);
}

void gitea_owner_hook_create(struct call *call)
{
    struct world *world = call->sandbox->world;
    hook_create(call, world, &world->owner_hooks, call->params[0]);
}

void gitea_system_hook_create(struct call *call)
{
    struct world *world = call->sandbox->world;
    hook_create(call, world, &world->system_hooks, NULL);
}
