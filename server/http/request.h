/* request.h - one request on its way through the listener. Private to server/.
 *
 * The library calls back several times for one request:
 *   request_new   when its first line is there (the raw target is seen here only);
 *   request_step  with the headers, then for each piece of the body, then at its end, and once more each time
 *                 the connection was resumed;
 *   request_free  when it is over, in whatever way; nowhere else.
 *
 * A response queued in the first step makes the library close the connection, for every method. So a refusal
 * waits for the end of the body, if the body is short. A request is refused in the first step only if its
 * framing cannot be trusted, its body is too large to read, or its body has not been sent yet (Expect).
 *
 * Code that works on a request holds it: the handler while it runs, and a `struct deferred` until it is
 * answered. When the last hold is released, the connection is resumed; after that only the listener's thread
 * uses the request.
 */
#ifndef RECONCILED_REQUEST_H
#define RECONCILED_REQUEST_H

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "server/http/access.h"
#include "server/http/defer.h"
#include "server/http/routes.h"
#include "server/http/values.h"

struct app;
struct deferred;
struct job_queue;
struct client_connection;
struct connections;

/* Shared by all requests of a listener. */
struct request_world {
    struct app *app;
    struct access_tokens tokens;
    const struct route *routes;
    struct connections *connections;
    struct job_queue *job_queue;
    struct auth_failures *auth_failures;
    struct deferrals *deferrals;
    unsigned waiting_max;
    atomic_uint waiting;  /* suspended requests */
    atomic_size_t bodies; /* bytes of their bodies in memory, except the first of each */
};

/* A request of the library; or, if `connection` is NULL, the copy that a handler thread works on. The copy
 * may outlive the library's request, which may be answered without it, so the two share nothing. */
#define REQUEST_HEADERS_MAX 4
struct request {
    struct request_world *world;
    struct MHD_Connection *connection;
    struct values values; /* of a handler thread's */
    struct deferred
        *carrier; /* of a handler thread's copy: gets the answer; NULL: request_defer has passed it on */
    struct client_connection *client;
    char *target;           /* raw, cut just above LIMIT_URI */
    const char *target_end; /* of the library's own, to compare with */
    const char *method;
    int64_t came_ms; /* clock_mono_ms, for the log */
    bool begun;
    bool guessed; /* refused for a wrong token: the answer is delayed */
    struct route_match match;
    struct refusal refusal;
    struct refusal media;        /* of a body in chunks, from its first byte on: there may be none */
    struct json_t *query_faults; /* what is wrong with the parameters, for that refusal; NULL: nothing */

    char *body;
    size_t body_len, body_size, discarded;
    struct json_t *json;

    /* The answer, until it is queued: a response, or the newest version of a publication. */
    struct MHD_Response *response;
    struct publication *published;
    int status;
    struct {
        const char *name; /* static */
        char *value;
    } headers[REQUEST_HEADERS_MAX];
    size_t n_headers;
    bool gone; /* the peer left while it waited: drop the connection instead of answering */

    atomic_int holds;
    bool suspended, handed_over; /* by the thread that runs the handler alone */
    struct deferred *deferred;   /* under the deferrals' lock */
};

struct request *request_new(struct request_world *world, struct MHD_Connection *connection,
                            const char *target);
void request_free(struct request *request);
enum MHD_Result request_step(struct request *request, const char *method, const char *version,
                             const char *data, size_t *size);

/* request_suspend: stops the library from calling back until the last hold is released. Call it in the thread
 * that runs the handler, while that holds the request. False: too many requests wait already, and nothing was
 * done. */
bool request_suspend(struct request *request);
/* request_refuse_waiting: answers 503 to a request that would have to wait. */
void request_refuse_waiting(struct request *request, const char *detail);
/* request_release: releases one hold; the caller must not use the request afterwards. */
void request_release(struct request *request);

#endif
