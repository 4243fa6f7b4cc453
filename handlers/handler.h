/* handler.h - the interface of a handler: a request, and the ways to answer it. The listener (server/)
 * implements these functions; handlers do not use the HTTP library.
 *
 * A handler answers exactly once, by one answer_* call or by request_defer; after that it must not use the
 * request. It may use the database only if its route has ROUTE_QUEUED: it then runs on a handler thread. It
 * must not wait for an upstream or for a pass: it calls request_defer instead.
 */
#ifndef RECONCILED_HANDLER_H
#define RECONCILED_HANDLER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"

struct request;
struct app;

typedef void handler_fn(struct request *request);

/* request_app: the services. request_param: the variable part of the route, decoded: 1 to 256 bytes of UTF-8,
 * or "". request_query: a query parameter, decoded, or NULL; its bytes may be anything but NUL.
 * request_header: a header by its name, or NULL; in a route with ROUTE_QUEUED all lines of that name, joined
 * to one list. All are valid as long as the request. */
struct app *request_app(struct request *request);
const char *request_param(const struct request *request);
const char *request_query(const struct request *request, const char *name);
const char *request_header(const struct request *request, const char *name);

/* request_json: the body, already parsed and known to be a JSON object; NULL when there was none. Borrowed.
 */
const json_t *request_json(const struct request *request);

/* answer_header: adds a header to the answer that follows; at most 4. `name` is static, `value` is copied. */
void answer_header(struct request *request, const char *name, const char *value);
/* answer_json: takes `body`, which is a problem document if status >= 400. */
void answer_json(struct request *request, int status, json_t *body_take);
/* answer_empty: no body and no content type: 204. */
void answer_empty(struct request *request);
/* answer_text: a body as text; copied. */
void answer_text(struct request *request, int status, const char *content_type, const char *body, size_t len);
/* answer_static: a body that outlives the listener; not copied. */
void answer_static(struct request *request, const char *content_type, const char *body, size_t len);

/* answer_problem: RFC 9457. Type and title follow from the status; `detail` is formatted. answer_fields: with
 * an errors array of {"field","detail"}, taken; status 422 for a body, 400 for a query parameter.
 * answer_error: the problem for an `enum err`: NOT_FOUND 404, CONFLICT 409, INVALID 422, TIMEOUT and
 * UNAVAILABLE 503 with Retry-After, all others 500 (whose detail is logged and not shown). */
void answer_problem(struct request *request, int status, const char *fmt, ...) ATTR_PRINTF(3, 4);
void answer_fields(struct request *request, int status, const char *detail, json_t *errors_take);
void answer_error(struct request *request, enum err err, const struct why *why);

/* problem_document: the body of a problem, for code that answers a deferred request. problem_of_type: the
 * same with a type that the status does not imply ("switched-off"). Caller owns it. */
json_t *problem_document(int status, const char *detail);
json_t *problem_of_type(const char *type, int status, const char *detail);

/* request_defer: suspends the connection; the handler must not use the request after that. NULL when too many
 * requests wait already or the service is stopping (the request has then been answered 503). deferred_answer:
 * resumes the request with that answer. Call it exactly once, from any thread, even if the peer has left.
 * Takes `body`, as answer_json does. A 503 has Retry-After, as in answer_error. */
struct deferred;
struct deferred *request_defer(struct request *request);
void deferred_answer(struct deferred *deferred, int status, json_t *body_take);
/* deferred_error: deferred_answer with what answer_error would answer. */
void deferred_error(struct deferred *deferred, enum err err, const struct why *why);

/* A publication is one JSON body that is replaced from time to time and read by every listener thread; all
 * requests for one version share one prepared response. */
struct publication;
struct publication *publication_new(void);
void publication_free(struct publication *publication);
/* publication_set: copies the body; the next reader gets it. Any thread; writers are serialised inside.
 * publication_free: call it after the listener has ended. */
void publication_set(struct publication *publication, const char *body, size_t len);
/* answer_published: 200 application/json with the newest body; 503 before the first. */
void answer_published(struct request *request, struct publication *publication);

#endif
