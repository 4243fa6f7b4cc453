/* routes.h - the table of endpoints, and finding the route of a request.
 *
 * Paths are split at "/" and matched as they were sent: an empty segment, a dot segment, and an escape
 * outside of a variable part match nothing. A path has at most one variable part: `{id}` is a segment,
 * `{scope}` all that follows. Each segment is decoded once, after the path was split.
 */
#ifndef RECONCILED_ROUTES_H
#define RECONCILED_ROUTES_H

#include <stdbool.h>

#include "handlers/handler.h"

enum route_flag {
    ROUTE_OPEN = 1,   /* needs no token */
    ROUTE_BODY = 2,   /* takes a JSON body */
    ROUTE_QUEUED = 4, /* touches the database: runs on a handler thread, never on a listener thread */
};

struct route {
    const char *method, *path; /* "/reconcile/runs/{id}" */
    handler_fn *handler;
    unsigned flags;
    const char *const *query; /* the parameters it takes, NULL-terminated; NULL: none. Any other is 400 */
};

/* routes_table: the endpoints of the contract, ended by a row without a path. */
const struct route *routes_table(void);

#define ROUTE_PARAM_MAX 256
struct route_match {
    const struct route *route; /* NULL: no such path, or not this method */
    bool path_known, open;
    char param[ROUTE_PARAM_MAX + 1]; /* the variable part, decoded, UTF-8; "" */
    char allow[64];                  /* of a known path: "GET, HEAD, PUT" */
};

/* route_find: `target` is the raw request target, with or without a query. HEAD finds GET. */
void route_find(const struct route *routes, const char *method, const char *target, struct route_match *ret);

#endif
