#include "tests/sandbox/call.h"

#include <ctype.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/text.h"

static int hex_digit(char c)
{
    return isdigit((unsigned char)c)    ? c - '0'
           : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
                                        : -1;
}

/* Decodes one raw segment to `to`; returns the place behind its NUL. */
static char *decode(const char *from, size_t len, char *to)
{
    for (size_t i = 0; i < len; i++) {
        if (from[i] == '%' && i + 2 < len && hex_digit(from[i + 1]) >= 0 && hex_digit(from[i + 2]) >= 0) {
            *to++ = (char)(hex_digit(from[i + 1]) * 16 + hex_digit(from[i + 2]));
            i += 2;
        } else
            *to++ = from[i];
    }
    *to++ = '\0';
    return to;
}

static void split(struct call *call, size_t from)
{
    char *to = call->decoded = mem_zero(call->path_len + CALL_SEGMENTS_MAX + 1, 1);
    const char *path = call->target;
    while (from < call->path_len && call->n_segments < CALL_SEGMENTS_MAX) {
        size_t len = 0;
        while (from + len < call->path_len && path[from + len] != '/')
            len++;
        call->segments[call->n_segments++] = to;
        to = decode(path + from, len, to);
        from += len + 1;
    }
}

static char *joined(const struct call *call, size_t from, size_t n)
{
    struct out out = {0};
    for (size_t i = 0; i < n; i++) {
        if (i)
            out_bytes(&out, "/", 1);
        out_plain(&out, call->segments[from + i]);
    }
    return out_take(&out);
}

static void drop_params(struct call *call)
{
    while (call->n_params)
        free(call->params[--call->n_params]);
    call->star_segments = 0;
}

/* Matches the pattern segment by segment; "*" takes what the segments behind it leave. */
static bool match(struct call *call, const char *pattern)
{
    size_t wanted = 1, at = 0;
    for (const char *c = pattern; *c; c++)
        wanted += *c == '/';
    bool starred = strchr(pattern, '*') != NULL;
    if (starred ? call->n_segments < wanted : call->n_segments != wanted)
        return false;
    while (*pattern) {
        size_t len = strcspn(pattern, "/"), took = 1;
        bool any = len == 2 && pattern[0] == '{', star = len == 1 && pattern[0] == '*';
        if (star)
            call->star_segments = took = call->n_segments - (wanted - 1);
        if (any || star)
            call->params[call->n_params++] = joined(call, at, took);
        else if (strlen(call->segments[at]) != len || strncmp(call->segments[at], pattern, len) != 0) {
            drop_params(call);
            return false;
        }
        at += took;
        pattern += len + (pattern[len] == '/');
    }
    return true;
}

static bool method_fits(const char *method, const struct route *route)
{
    return strcmp(method, route->method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

bool call_route(struct call *call, const struct stand_in *const *stand_ins)
{
    call->path_len = strcspn(call->target, "?");
    while (*stand_ins && strncmp(call->target, (*stand_ins)->prefix, strlen((*stand_ins)->prefix)) != 0)
        stand_ins++;
    if (!*stand_ins)
        return false;
    call->stand_in = *stand_ins;
    split(call, strlen(call->stand_in->prefix));
    for (size_t i = 0; i < call->stand_in->n_routes; i++) {
        const struct route *route = &call->stand_in->routes[i];
        if (!match(call, route->pattern))
            continue;
        if (method_fits(call->method, route)) {
            call->route = route;
            return true;
        }
        call->method_known = true;
        drop_params(call);
    }
    return true;
}

void call_done(struct call *call)
{
    drop_params(call);
    free(call->decoded);
    free(call->target);
    out_free(&call->out);
    while (call->n_headers)
        free(call->headers[--call->n_headers].value);
}

const char *call_query(const struct call *call, const char *name)
{
    return MHD_lookup_connection_value(call->connection, MHD_GET_ARGUMENT_KIND, name);
}

int64_t call_query_int(const struct call *call, const char *name, int64_t fallback)
{
    const char *text = call_query(call, name);
    int64_t value;
    return text && parse_i64(text, INT64_MIN, INT64_MAX, &value) ? value : fallback;
}

const char *call_request_header(const struct call *call, const char *name)
{
    return MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, name);
}

json_t *call_json(const struct call *call, struct why *why)
{
    json_t *value;
    return json_read_within(call->body, call->body_len, SIZE_MAX, &value, why) == ERR_OK ? value : NULL;
}

void call_header(struct call *call, const char *name, const char *fmt, ...)
{
    if (call->n_headers == CALL_HEADERS_MAX)
        abort();
    va_list args;
    va_start(args, fmt);
    char *value;
    if (vasprintf(&value, fmt, args) < 0)
        abort();
    va_end(args);
    call->headers[call->n_headers++] = (struct call_header){name, value};
}

void call_plain(struct call *call, int status, const char *content_type, const char *text)
{
    call->status = status;
    call->content_type = content_type;
    out_plain(&call->out, text);
}
