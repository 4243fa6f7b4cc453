/* call.h - one request as the stand-ins see it, and the answer they write.
 *
 * A stand-in is a table of routes under a prefix. Pattern segments: "{}" takes one segment of the path into a
 * parameter, "*" takes one or more (joined with '/'). Segments are split before they are percent-decoded, so
 * %2F never separates. The world's lock is held while serve() runs: shared, or exclusive where the route has
 * it it writes.
 */
#ifndef SANDBOX_CALL_H
#define SANDBOX_CALL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"
#include "tests/sandbox/out.h"

#define CALL_SEGMENTS_MAX 48
#define CALL_PARAMS_MAX 6
#define CALL_HEADERS_MAX 8

struct call;
struct MHD_Connection;
struct sandbox;

typedef void call_serve_fn(struct call *call);

struct route {
    const char *method; /* "GET" serves HEAD too */
    const char *pattern;
    call_serve_fn *serve;
    bool writes; /* takes the world's lock exclusively */
};

struct stand_in {
    const char *prefix; /* "/gitea/api/v1/" */
    const struct route *routes;
    size_t n_routes;
    bool (*admit)(struct call *call);     /* before every route; false when it has answered. May be NULL */
    void (*not_found)(struct call *call); /* answers what no route takes */
    bool hidden;                          /* neither journalled nor subject to faults */
};

struct call {
    struct sandbox *sandbox;
    struct MHD_Connection *connection;
    const char *method;
    char *target;    /* as it came, query included */
    size_t path_len; /* of the target, without '?' and query */
    char *decoded;   /* storage of the segments */
    const char *segments[CALL_SEGMENTS_MAX];
    size_t n_segments; /* behind the stand-in's prefix */
    char *params[CALL_PARAMS_MAX];
    size_t n_params;
    size_t star_segments; /* how many segments "*" took */
    const struct stand_in *stand_in;
    const struct route *route; /* NULL: none fits */
    bool method_known;         /* some route has this path, with another method */
    const char *body;          /* NUL-terminated, "" when none */
    size_t body_len;

    int status;
    const char *content_type;
    struct out out;
    struct call_header {
        const char *name;
        char *value;
    } headers[CALL_HEADERS_MAX];
    size_t n_headers;
};

/* call_route: fills everything above from method and target. False when no stand-in has this prefix. */
bool call_route(struct call *call, const struct stand_in *const *stand_ins);
void call_done(struct call *call);

/* call_query: decoded, or NULL; call_query_int: the fallback when absent or no number. call_request_header:
 * or NULL. */
const char *call_query(const struct call *call, const char *name);
int64_t call_query_int(const struct call *call, const char *name, int64_t fallback);
const char *call_request_header(const struct call *call, const char *name);

/* call_json: the body as JSON object or array, which the caller owns; NULL when it is none, for the reason in
 * `why`.
 */
json_t *call_json(const struct call *call, struct why *why);

/* call_header: adds a header to the answer. call_plain: a text answer. */
void call_header(struct call *call, const char *name, const char *fmt, ...) ATTR_PRINTF(3, 4);
void call_plain(struct call *call, int status, const char *content_type, const char *text);

#endif
