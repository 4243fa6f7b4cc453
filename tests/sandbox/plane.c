/* The stand-in Plane: who may ask, how often, and the table of its routes. Facts from makeplane/plane
 * (community edition) and Django REST framework; the order of checks is theirs: route, slash, key,
 * membership, limit. */
#include "tests/sandbox/plane.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clients/base/text.h"
#include "tests/sandbox/sandbox.h"

#define JSON_TYPE "application/json"

struct out *plane_ok(struct call *call, int status)
{
    call->status = status;
    call->content_type = JSON_TYPE;
    return &call->out;
}

void plane_error(struct call *call, int status, const char *key, const char *words)
{
    struct out *out = plane_ok(call, status);
    out_open(out, NULL, '{');
    out_text(out, key, words);
    out_close(out, '}');
}

void plane_missing(struct call *call)
{
    plane_error(call, 404, "error", "The requested resource does not exist.");
}

void plane_unrouted(struct call *call)
{
    plane_error(call, 404, "error", "Page not found.");
}

void plane_internal(struct call *call)
{
    plane_error(call, 500, "error", "Something went wrong please try again later");
}

/* the caller */

static struct limit_key *key_given(const struct call *call)
{
    struct plane *plane = call->sandbox->plane;
    return limit_key(&plane->limit, &plane->arena, call_request_header(call, "X-Api-Key"), false);
}

int plane_zone_min(const struct call *call)
{
    const struct limit_key *key = key_given(call);
    return key && key->zoned ? key->zone_min : call->sandbox->plane->zone_min;
}

/* A missing key is 401. An unknown one is 403: the authentication class names no challenge. */
static struct limit_key *authenticate(struct call *call)
{
    struct limit *limit = &call->sandbox->plane->limit;
    const char *text = call_request_header(call, "X-Api-Key");
    if (!text || !*text) {
        limit->unauthorized++;
        plane_error(call, 401, "detail", "Authentication credentials were not provided.");
        return NULL;
    }
    struct limit_key *key = key_given(call);
    if (!key) {
        limit->unknown++;
        plane_error(call, 403, "detail", "Given API token is not valid");
    }
    return key;
}

/* what is asked for */

static bool in_project(const struct call *call)
{
    return call->n_segments > 3 && strcmp(call->segments[2], "projects") == 0;
}

/* "ORCH-12": the project's identifier goes up to the last dash. NULL without one. */
static struct plane_project *project_of_key(const struct call *call, const char *key)
{
    const char *dash = strrchr(key, '-');
    char *identifier = dash ? mem_dupn(key, (size_t)(dash - key)) : NULL;
    struct plane_project *project =
        identifier ? map_get(&call->sandbox->plane->projects_by_identifier, identifier) : NULL;
    free(identifier);
    return project;
}

struct plane_project *plane_asked(const struct call *call)
{
    return in_project(call) ? map_get(&call->sandbox->plane->projects_by_id, call->params[1])
                            : project_of_key(call, call->params[1]);
}

static bool uuid_routed(const char *text)
{
    return uuid_valid(text) && !strpbrk(text, "ABCDEF");
}

/* Django's routes take uuids in lower case alone; work-items/ is there from 1.1.0 on. */
static bool is_routed(const struct call *call)
{
    bool project = in_project(call);
    size_t at = project ? 4 : 2;
    if (strcmp(call->segments[at], "work-items") == 0 &&
        call->sandbox->plane->version < PLANE_VERSION(1, 1, 0))
        return false;
    if (!project)
        return call->route->serve == plane_search || strchr(call->params[1], '-');
    return uuid_routed(call->segments[3]) && (call->n_segments < 6 || uuid_routed(call->segments[5]));
}

/* A user that is not a member gets the same answer whether or not the project exists. */
static bool is_permitted(const struct call *call)
{
    const struct plane *plane = call->sandbox->plane;
    if (call->route->serve == plane_search)
        return true;
    const struct plane_project *project = plane_asked(call);
    return project && !project->deleted && !project->stranger &&
           strcmp(call->params[0], plane->workspace) == 0;
}

/* CommonMiddleware, before the key is looked at. */
static bool redirects(struct call *call)
{
    if (call->target[call->path_len - 1] == '/')
        return false;
    call_header(call, "Location", "%.*s/%s", (int)call->path_len, call->target,
                call->target + call->path_len);
    call_plain(call, 301, "text/html; charset=utf-8", "");
    return true;
}

/* A taken call has the remaining number, a refused one the wait, never both. The reset
 * is a window from now, whatever the log holds. */
static bool throttle(struct call *call, struct limit_key *key)
{
    struct plane *plane = call->sandbox->plane;
    int64_t now_us = plane_now_us(plane), told;
    if (!limit_take(&plane->limit, key, now_us, &told)) {
        struct out *out = plane_ok(call, 429);
        call_header(call, "Retry-After", "%lld", (long long)told);
        out_open(out, NULL, '{');
        out_int(out, "error_code", 5900);
        out_text(out, "error_message", "RATE_LIMIT_EXCEEDED");
        out_close(out, '}');
        return false;
    }
    if (told >= 0) {
        call_header(call, "X-RateLimit-Remaining", "%lld", (long long)told);
        call_header(call, "X-RateLimit-Reset", "%lld",
                    (long long)((now_us + plane->limit.window_ms * 1000) / 1000000));
    }
    return true;
}

/* By Plane's own clock. */
static void put_date(struct call *call)
{
    char text[40];
    time_t now = (time_t)(plane_now_us(call->sandbox->plane) / 1000000);
    struct tm tm;
    gmtime_r(&now, &tm);
    (void)strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    call_header(call, "Date", "%s", text);
}

static bool admit(struct call *call)
{
    if (!call->route)
        return true;
    put_date(call);
    plane_settle(call->sandbox->plane);
    if (!is_routed(call)) {
        plane_unrouted(call);
        return false;
    }
    if (redirects(call))
        return false;
    struct limit_key *key = authenticate(call);
    if (!key)
        return false;
    if (!is_permitted(call)) {
        plane_error(call, 403, "detail", "You do not have permission to perform this action.");
        return false;
    }
    if (!throttle(call, key))
        return false;
    if (strcmp(call->method, "HEAD") != 0)
        return true;
    plane_error(call, 405, "detail", "Method \"HEAD\" not allowed.");
    return false;
}

static void no_such_route(struct call *call)
{
    char words[64];
    snprintf(words, sizeof words, "Method \"%.16s\" not allowed.", call->method);
    if (call->method_known)
        plane_error(call, 405, "detail", words);
    else
        plane_unrouted(call);
}

/* the table */

/* All write: a call counts, and may set off what was due. Both names of an issue lead to the same views. */
static const struct route api_routes[] = {
    {"GET", "workspaces/{}/projects/{}/work-items", plane_issues_list, true},
    {"GET", "workspaces/{}/projects/{}/issues", plane_issues_list, true},
    {"GET", "workspaces/{}/projects/{}/work-items/{}", plane_issue_get, true},
    {"GET", "workspaces/{}/projects/{}/issues/{}", plane_issue_get, true},
    {"PATCH", "workspaces/{}/projects/{}/work-items/{}", plane_issue_patch, true},
    {"PATCH", "workspaces/{}/projects/{}/issues/{}", plane_issue_patch, true},
    {"GET", "workspaces/{}/projects/{}/work-items/{}/activities", plane_activities_list, true},
    {"GET", "workspaces/{}/projects/{}/issues/{}/activities", plane_activities_list, true},
    {"GET", "workspaces/{}/projects/{}/states", plane_states_list, true},
    {"GET", "workspaces/{}/projects/{}/states/{}", plane_state_get, true},
    {"GET", "workspaces/{}/work-items/search", plane_search, true},
    {"GET", "workspaces/{}/issues/search", plane_search, true},
    {"GET", "workspaces/{}/work-items/{}", plane_issue_by_key, true},
    {"GET", "workspaces/{}/issues/{}", plane_issue_by_key, true},
};
const struct stand_in plane_api = {.prefix = "/plane/api/v1/",
                                   .routes = api_routes,
                                   .n_routes = ARRAY_LEN(api_routes),
                                   .admit = admit,
                                   .not_found = no_such_route};
const struct stand_in plane_web = {.prefix = "/plane/", .not_found = no_such_route};
