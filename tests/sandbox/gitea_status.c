/* Commit statuses: routers/api/v1/repo/status.go, services/convert/status.go, modules/commitstatus. */
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "tests/sandbox/gitea.h"
#include "tests/sandbox/mailer.h"
#include "tests/sandbox/sandbox.h"

enum {
    SINCE_SKIPPED = 12500,
    SINCE_SLASH_IN_REF = 12504,
    SINCE_PENDING_WHEN_NONE = 12600,
    SINCE_COMBINED_LINK = 12600
};

/* The commit of a ref in the path; NULL when it has answered. */
static const struct commit *commit_of(struct call *call, const struct repo *repo, struct branch_room *room)
{
    if (call->star_segments > 1 && repo->world->version < SINCE_SLASH_IN_REF) {
        call_plain(call, 404, "text/plain; charset=utf-8", "404 page not found\n");
        return NULL;
    }
    const struct commit *commit = repo_commit(repo, call->params[2], room);
    if (!commit)
        gitea_not_found(call);
    return commit;
}

static bool has_state(const struct list *rows, size_t from, size_t to, const char *state)
{
    for (size_t i = from; i < to; i++)
        if (strcmp(((const struct status *)rows->items[i])->state, state) == 0)
            return true;
    return false;
}

/* Over the rows of the page alone. */
static const char *combined_state(const struct list *latest, size_t from, size_t to, int version)
{
    static const char *const worst_first[] = {"error", "failure", "warning", "pending", "success", "skipped"};
    if (from == to)
        return version >= SINCE_PENDING_WHEN_NONE ? "pending" : "";
    size_t i = 0;
    while (i < ARRAY_LEN(worst_first) - 1 && !has_state(latest, from, to, worst_first[i]))
        i++;
    if (version < SINCE_SKIPPED)
        return i == 0 ? "failure" : worst_first[i];
    return i <= 2 ? "failure" : i == 3 ? "pending" : "success";
}

/* The pages go from the newest context to the oldest; the rows of a page come in the order of their index. */
void gitea_combined_status(struct call *call)
{
    struct branch_room room;
    struct repo *repo = gitea_repo(call);
    const struct commit *commit = repo ? commit_of(call, repo, &room) : NULL;
    if (!commit)
        return;
    int version = repo->world->version;
    const struct list *latest = &commit->latest;
    struct gitea_page page = gitea_page(call, latest->n);
    size_t from = latest->n - page.to, to = latest->n - page.from;
    struct out *out = gitea_ok(call, 200);
    if (from == to && version < SINCE_SKIPPED) { /* the zero object, and no header */
        out_plain(out, "{\"state\":\"\",\"sha\":\"\",\"total_count\":0,\"statuses\":null,\"repository\":null,"
                       "\"commit_url\":\"\",\"url\":\"\"}");
        return;
    }
    const char *root = repo->world->root_url;
    out_open(out, NULL, '{');
    out_text(out, "state", combined_state(latest, from, to, version));
    out_text(out, "sha", commit->sha);
    out_int(out, "total_count", (int64_t)(to - from));
    if (from == to)
        out_null(out, "statuses");
    else {
        out_open(out, "statuses", '[');
        for (size_t i = from; i < to; i++)
            gitea_put_status(out, NULL, repo, commit, latest->items[i]);
        out_close(out, ']');
    }
    out_ready(out, "repository", gitea_repo_json(repo));
    out_made(out, "commit_url", "%sapi/v1/repos/%s/commits/%s", root, repo->full_name, commit->sha);
    out_made(out, "url", "%sapi/v1/repos/%s/commits/%s/status", root, repo->full_name, commit->sha);
    out_close(out, '}');
    gitea_paged(call, &page, version >= SINCE_COMBINED_LINK);
}

/* the history */

/* `state=` does not know skipped: Gitea then leaves the filter out. */
static const char *wanted_state(const struct call *call)
{
    static const char *const known[] = {"pending", "success", "error", "failure", "warning"};
    const char *state = call_query(call, "state");
    for (size_t i = 0; state && i < ARRAY_LEN(known); i++)
        if (strcmp(state, known[i]) == 0)
            return known[i];
    return NULL;
}

/* "highestindex" counts up and "leastindex" down, in Gitea too. */
static bool counts_up(const struct call *call)
{
    const char *sort = call_query(call, "sort");
    return sort && (strcmp(sort, "oldest") == 0 || strcmp(sort, "leastupdate") == 0 ||
                    strcmp(sort, "highestindex") == 0);
}

/* The place of the row that is shown at `at`: the newest second first, within one the lowest id. */
static size_t newest_first(const struct list *rows, size_t at)
{
    const struct status *const *all = (const struct status *const *)rows->items;
    size_t end = rows->n, from = end;
    for (size_t shown = 0; end > 0; shown += end - from, end = from) {
        from = end - 1;
        while (from > 0 && all[from - 1]->created_s == all[end - 1]->created_s)
            from--;
        if (at < shown + (end - from))
            return from + (at - shown);
    }
    return 0;
}

static void list_history(struct call *call, const struct repo *repo, const struct commit *commit)
{
    const char *state = wanted_state(call);
    const struct list *rows = &commit->statuses;
    bool up = counts_up(call);
    size_t total = 0;
    for (size_t i = 0; i < rows->n; i++)
        total += !state || strcmp(((const struct status *)rows->items[i])->state, state) == 0;
    struct gitea_page page = gitea_page(call, total);
    if (!call_query(call, "page")) { /* `limit` alone is ignored */
        page.from = 0;
        page.to = total;
    }
    struct out *out = gitea_ok(call, 200);
    out_open(out, NULL, '[');
    for (size_t i = 0, at = 0; i < rows->n && at < page.to; i++) {
        const struct status *status = rows->items[up ? i : newest_first(rows, i)];
        if (state && strcmp(status->state, state) != 0)
            continue;
        if (at++ >= page.from)
            gitea_put_status(out, NULL, repo, commit, status);
    }
    out_close(out, ']');
    gitea_paged(call, &page, true);
}

void gitea_statuses_by_ref(struct call *call)
{
    struct branch_room room;
    const struct repo *repo = gitea_repo(call);
    const struct commit *commit = repo ? commit_of(call, repo, &room) : NULL;
    if (commit)
        list_history(call, repo, commit);
}

/* By sha: an unknown sha simply has no statuses. */
void gitea_statuses(struct call *call)
{
    static const struct commit none;
    struct branch_room room;
    const struct repo *repo = gitea_repo(call);
    if (!repo)
        return;
    const struct commit *commit = repo_commit(repo, call->params[2], &room);
    list_history(call, repo, commit ? commit : &none);
}

/* Any text is taken for a state. */
void gitea_status_create(struct call *call)
{
    struct repo *repo = gitea_repo_writable(call);
    if (!repo)
        return;
    struct world *world = repo->world;
    json_t *body = call_json(call, NULL);
    const char *state = json_get_text(body, "state", "");
    struct commit *commit = repo_own_commit(repo, call->params[2]);
    if (!json_is_object(body))
        gitea_error(call, 422, "[]: EOF");
    else if (!commit)
        gitea_internal(call);
    else {
        struct status *status =
            commit_add_status(world, commit, json_get_text(body, "context", "default"), state);
        status->description = arena_text(&world->arena, json_get_text(body, "description", ""));
        status->target_url = arena_text(&world->arena, json_get_text(body, "target_url", ""));
        gitea_put_status(gitea_ok(call, 201), NULL, repo, commit, status);
        mail_status(call->sandbox, repo, commit, status);
    }
    json_decref(body);
}
