#include "server/http/routes.h"

#include <stdio.h>
#include <string.h>

static bool is_param_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
           c == '_' || c == '-';
}

static bool take_param(const char *segment, size_t len, char ret[ROUTE_PARAM_MAX + 1])
{
    if (len == 0 || len > ROUTE_PARAM_MAX ||
        (segment[0] == '.' && (len == 1 || (len == 2 && segment[1] == '.'))))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_param_char(segment[i]))
            return false;
    memcpy(ret, segment, len);
    ret[len] = '\0';
    return true;
}

static bool path_matches(const char *path, const char *target, size_t len,
                         char ret_param[ROUTE_PARAM_MAX + 1])
{
    const char *brace = strstr(path, "{id}");
    if (!brace)
        return strlen(path) == len && memcmp(path, target, len) == 0;
    size_t head = (size_t)(brace - path);
    const char *tail = brace + 4;
    size_t tail_len = strlen(tail);
    if (len < head + tail_len || memcmp(path, target, head) != 0 ||
        memcmp(tail, target + len - tail_len, tail_len) != 0)
        return false;
    return take_param(target + head, len - head - tail_len, ret_param);
}

static void allow_add(struct route_match *match, const char *method)
{
    size_t len = strlen(match->allow);
    snprintf(match->allow + len, sizeof match->allow - len, "%s%s%s", len ? ", " : "", method,
             strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

void route_find(const struct route *routes, const char *method, const char *target, struct route_match *ret)
{
    *ret = (struct route_match){.route = NULL};
    size_t len = strcspn(target, "?");
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    for (const struct route *route = routes; route->path; route++) {
        if (!path_matches(route->path, target, len, ret->param))
            continue;
        ret->path_known = true;
        ret->open = ret->open || (route->flags & ROUTE_OPEN);
        allow_add(ret, route->method);
        if (strcmp(route->method, wanted) == 0)
            ret->route = route;
    }
}
