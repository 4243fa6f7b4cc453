#include "server/http/routes.h"

#include <ctype.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/text.h"

/* RFC 3986 3.3: pchar, whole escapes alone. */
static bool is_segment(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '%' && i + 2 < len && isxdigit((unsigned char)text[i + 1]) &&
            isxdigit((unsigned char)text[i + 2]))
            i += 2;
        else if (!isalnum((unsigned char)text[i]) && !strchr("-._~!$&'()*+,;=:@", text[i]))
            return false;
    }
    return len > 0;
}

/* A dot segment counts in every spelling, because some readers resolve it before they pass the target on. A
 * NUL ends the text here, and judge() refuses the request. */
static bool take_segment(const char *segment, size_t len, char ret[ROUTE_PARAM_MAX + 1])
{
    if (!is_segment(segment, len))
        return false;
    AUTO_FREE char *text = mem_dupn(segment, len);
    (void)MHD_http_unescape(text);
    size_t n = strlen(text);
    if (n > ROUTE_PARAM_MAX || strcmp(text, ".") == 0 || strcmp(text, "..") == 0 ||
        utf8_valid_len(text, n) != n)
        return false;
    memcpy(ret, text, n + 1);
    return true;
}

/* Segment by segment, with "/" between them. */
static bool take_segments(const char *part, size_t len, char ret[ROUTE_PARAM_MAX + 1])
{
    size_t taken = 0;
    for (;;) {
        char segment[ROUTE_PARAM_MAX + 1];
        const char *slash = memchr(part, '/', len);
        size_t n = slash ? (size_t)(slash - part) : len, room = ROUTE_PARAM_MAX - taken;
        if (!take_segment(part, n, segment) || strlen(segment) >= room)
            return false;
        if (taken)
            ret[taken++] = '/';
        memcpy(ret + taken, segment, strlen(segment) + 1);
        taken += strlen(segment);
        if (!slash)
            return true;
        part = slash + 1;
        len -= n + 1;
    }
}

static bool path_matches(const char *path, const char *target, size_t len,
                         char ret_param[ROUTE_PARAM_MAX + 1])
{
    const char *brace = strchr(path, '{');
    if (!brace)
        return strlen(path) == len && memcmp(path, target, len) == 0;
    size_t head = (size_t)(brace - path);
    const char *tail = strchr(brace, '}') + 1;
    bool is_one = strncmp(brace, "{id}", 4) == 0;
    size_t tail_len = strlen(tail);
    if (len < head + tail_len || memcmp(path, target, head) != 0 ||
        memcmp(tail, target + len - tail_len, tail_len) != 0)
        return false;
    return (is_one ? take_segment : take_segments)(target + head, len - head - tail_len, ret_param);
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
