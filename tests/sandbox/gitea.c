#include "tests/sandbox/gitea.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clients/base/text.h"
#include "tests/sandbox/sandbox.h"

#define JSON_TYPE "application/json;charset=utf-8"
#define PAGE_DEFAULT 30
#define PAGE_MAX 50

struct out *gitea_ok(struct call *call, int status)
{
    call->status = status;
    call->content_type = JSON_TYPE;
    return &call->out;
}

void gitea_error(struct call *call, int status, const char *message)
{
    struct out *out = gitea_ok(call, status);
    out_open(out, NULL, '{');
    out_text(out, "message", message);
    out_made(out, "url", "%sapi/swagger", call->sandbox->world->root_url);
    out_close(out, '}');
}

void gitea_not_found(struct call *call)
{
    gitea_error(call, 404, "The target couldn't be found.");
}

void gitea_internal(struct call *call)
{
    gitea_error(call, 500, "");
}

/* the caller */

/* The token among the ways to give one, copied to `ret`: header (token, Bearer, Basic), ?token=,
 * ?access_token=. */
static bool token_given(const struct call *call, char *ret, size_t size)
{
    const char *header = call_request_header(call, "Authorization");
    const char *token = header ? NULL : call_query(call, "token");
    if (!header && !token)
        token = call_query(call, "access_token");
    if (header && strncasecmp(header, "token ", 6) == 0)
        token = header + 6;
    else if (header && strncasecmp(header, "bearer ", 7) == 0)
        token = header + 7;
    else if (header && strncasecmp(header, "basic ", 6) == 0) {
        unsigned char plain[512] = {0};
        size_t len = strlen(header + 6);
        if (len > 600 || EVP_DecodeBlock(plain, (const unsigned char *)header + 6, (int)len) < 0)
            return true;
        char *colon = strchr((char *)plain, ':');
        snprintf(ret, size, "%s", colon && colon[1] ? colon + 1 : (char *)plain);
        ret[strcspn(ret, ":")] = '\0';
        return true;
    }
    snprintf(ret, size, "%s", token ? token : "");
    return header || token;
}

/* anonymous: neither a token nor a need for one; what is private is then not there (404). */
static bool is_anonymous(const struct call *call)
{
    char token[256] = "";
    return call->sandbox->world->token && !token_given(call, token, sizeof token);
}

static bool admit(struct call *call)
{
    const struct world *world = call->sandbox->world;
    char token[256] = "";
    bool writes = call->route && call->route->writes;
    if (!world->token)
        return true;
    if (!token_given(call, token, sizeof token)) {
        if (writes)
            gitea_error(call, 401, "token is required");
        return !writes;
    }
    if (!secret_equal(token, world->token)) {
        gitea_error(call, 401, "invalid username, password or token");
        return false;
    }
    const char *needed = writes ? "write:repository" : "read:repository";
    bool in_scope = !world->token_scope || strcmp(world->token_scope, "write:repository") == 0 ||
                    strcmp(world->token_scope, needed) == 0;
    if (!in_scope) {
        char text[256];
        snprintf(text, sizeof text,
                 "token does not have at least one of required scope(s), required=[%s], token scope=%s",
                 needed, world->token_scope);
        gitea_error(call, 403, text);
    }
    return in_scope;
}

/* repositories */

/* 301 with a relative path, as RedirectToRepo does: the path with the names replaced, escapes kept. */
static void redirect(struct call *call, const char *full_name)
{
    const char *prefix = call->stand_in->prefix;
    const char *rest = call->target + strlen(prefix) + strlen("repos/");
    for (int slashes = 0; *rest && slashes < 2; rest++)
        slashes += *rest == '/';
    bool more = rest[-1] == '/';
    call_header(call, "Location", "%srepos/%s%s%s", prefix, full_name, more ? "/" : "", rest);
    call_plain(call, 301, "text/html; charset=utf-8", "<a href=\"\">Moved Permanently</a>.\n\n");
}

struct repo *gitea_repo(struct call *call)
{
    const struct world *world = call->sandbox->world;
    struct repo *repo = world_repo(world, call->params[0], call->params[1]);
    const char *renamed = repo ? NULL : world_renamed(world, call->params[0], call->params[1]);
    if (renamed) {
        redirect(call, renamed);
        return NULL;
    }
    if (!repo || repo->hidden || (repo->private && is_anonymous(call))) {
        gitea_not_found(call);
        return NULL;
    }
    return repo;
}

struct repo *gitea_repo_writable(struct call *call)
{
    struct repo *repo = gitea_repo(call);
    if (!repo || !repo->archived)
        return repo;
    gitea_error(call, 423, "repo is archived");
    return NULL;
}

static void repo_get(struct call *call)
{
    struct repo *repo = gitea_repo(call);
    if (repo)
        gitea_put_repo(gitea_ok(call, 200), repo, "C");
}

/* the instance */

static void version_get(struct call *call)
{
    struct out *out = gitea_ok(call, 200);
    out_open(out, NULL, '{');
    out_text(out, "version", call->sandbox->world->version_text);
    out_close(out, '}');
}

static void settings_get(struct call *call)
{
    struct out *out = gitea_ok(call, 200);
    out_open(out, NULL, '{');
    out_int(out, "max_response_items", PAGE_MAX);
    out_int(out, "default_paging_num", PAGE_DEFAULT);
    out_int(out, "default_git_trees_per_page", 1000);
    out_int(out, "default_max_blob_size", 10485760);
    if (call->sandbox->world->version >= 12400)
        out_int(out, "default_max_response_size", 104857600);
    out_close(out, '}');
}

/* paging */

struct gitea_page gitea_page(const struct call *call, size_t total)
{
    int64_t page = call_query_int(call, "page", 1), limit = call_query_int(call, "limit", 0);
    if (page < 1)
        page = 1;
    if (limit < 1)
        limit = PAGE_DEFAULT;
    if (limit > PAGE_MAX)
        limit = PAGE_MAX;
    struct gitea_page result = {.page = (size_t)page, .limit = (size_t)limit, .total = total};
    result.from = (result.page - 1) < total / result.limit + 1 ? (result.page - 1) * result.limit : total;
    if (result.from > total)
        result.from = total;
    result.to = total - result.from < result.limit ? total : result.from + result.limit;
    return result;
}

static void put_link(struct out *link, const struct call *call, const struct gitea_page *page, size_t number,
                     const char *rel)
{
    const char *path = call->target + strlen("/gitea/");
    size_t len = strcspn(path, "?");
    out_fmt(link, "%s<%s%.*s?limit=%zu&page=%zu>; rel=\"%s\"", link->len ? "," : "",
            call->sandbox->world->root_url, (int)len, path, page->limit, number, rel);
}

void gitea_paged(struct call *call, const struct gitea_page *page, bool link)
{
    call_header(call, "X-Total-Count", "%zu", page->total);
    size_t last = page->total ? (page->total - 1) / page->limit + 1 : 1;
    struct out text = {0};
    if (link && page->page < last) {
        put_link(&text, call, page, page->page + 1, "next");
        put_link(&text, call, page, last, "last");
    }
    if (link && page->page > 1) {
        put_link(&text, call, page, 1, "first");
        put_link(&text, call, page, page->page - 1 < last ? page->page - 1 : last, "prev");
    }
    if (text.len)
        call_header(call, "Link", "%s", text.text);
    call_header(call, "Access-Control-Expose-Headers", text.len ? "X-Total-Count, Link" : "X-Total-Count");
    out_free(&text);
}

/* the table */

static void no_such_route(struct call *call)
{
    call_plain(call, call->method_known ? 405 : 404, "text/plain; charset=utf-8",
               call->method_known ? "" : "404 page not found\n");
}

static void home(struct call *call)
{
    call_plain(
        call, 200, "text/html; charset=utf-8",
        "<!DOCTYPE html><title>Gitea (sandbox)</title><p>Only the API is here: /gitea/api/v1/version\n");
}

static const struct route api_routes[] = {
    {"GET", "version", version_get, false},
    {"GET", "settings/api", settings_get, false},
    {"GET", "repos/{}/{}", repo_get, false},
    {"GET", "repos/{}/{}/branches", gitea_branches_list, false},
    {"POST", "repos/{}/{}/branches", gitea_branch_create, true},
    {"GET", "repos/{}/{}/branches/*", gitea_branch_get, false},
    {"GET", "repos/{}/{}/git/commits/{}", gitea_git_commit, false},
    {"GET", "repos/{}/{}/git/trees/{}", gitea_tree, false},
    {"GET", "repos/{}/{}/commits/*/status", gitea_combined_status, false},
    {"GET", "repos/{}/{}/commits/*/statuses", gitea_statuses_by_ref, false},
    {"GET", "repos/{}/{}/statuses/{}", gitea_statuses, false},
    {"POST", "repos/{}/{}/statuses/{}", gitea_status_create, true},
    {"GET", "repos/{}/{}/pulls", gitea_pulls_list, false},
    {"GET", "repos/{}/{}/pulls/{}", gitea_pull_get, false},
    {"GET", "repos/{}/{}/pulls/{}/merge", gitea_pull_merged, false},
    {"POST", "repos/{}/{}/pulls/{}/merge", gitea_pull_merge, true},
    {"GET", "repos/{}/{}/pulls/{}/reviews", gitea_reviews_list, false},
    {"GET", "repos/{}/{}/pulls/{}/reviews/{}", gitea_review_get, false},
    {"GET", "repos/{}/{}/pulls/{}/*", gitea_pull_by_branches, false},
    {"GET", "repos/{}/{}/contents", gitea_contents, false},
    {"GET", "repos/{}/{}/contents/*", gitea_contents, false},
    {"GET", "repos/{}/{}/raw/*", gitea_raw, false},
    {"GET", "repos/{}/{}/hooks", gitea_hooks_list, false},
    {"POST", "repos/{}/{}/hooks", gitea_hook_create, true},
    {"GET", "orgs/{}/hooks", gitea_owner_hooks_list, false},
    {"POST", "orgs/{}/hooks", gitea_owner_hook_create, true},
    {"GET", "admin/hooks", gitea_system_hooks_list, false},
    {"POST", "admin/hooks", gitea_system_hook_create, true},
};
const struct stand_in gitea_api = {.prefix = "/gitea/api/v1/",
                                   .routes = api_routes,
                                   .n_routes = ARRAY_LEN(api_routes),
                                   .admit = admit,
                                   .not_found = no_such_route};

static const struct route web_routes[] = {{"GET", "", home, false}};
const struct stand_in gitea_web = {
    .prefix = "/gitea/", .routes = web_routes, .n_routes = ARRAY_LEN(web_routes), .not_found = no_such_route};
