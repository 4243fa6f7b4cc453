#include "server/http/request.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "clients/base/metric.h"
#include "clients/base/text.h"
#include "handlers/handler.h"
#include "server/auth_failures.h"
#include "server/http/answer.h"
#include "server/job_queue.h"
#include "server/http/connections.h"
#include "server/publication.h"
#include "server/http/values.h"

/* A power of two times it is LIMIT_REQUEST_BODY. */
enum { BODY_FIRST = 256 };

struct request *request_new(struct request_world *world, struct MHD_Connection *connection,
                            const char *target)
{
    struct request *request = mem_zero(1, sizeof *request);
    request->world = world;
    request->connection = connection;
    request->target = mem_dupn(target, strnlen(target, LIMIT_URI + 1));
    request->target_end = target + strlen(target);
    request->came_ms = clock_mono_ms();
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    request->client = info->socket_context;
    connection_enter(world->connections, request->client, CONNECTION_READING);
    return request;
}

/* The first bytes of each body are not counted, so that a short one always finds room. */
static size_t counted(size_t size)
{
    return size > LIMIT_REQUEST_BODY_SMALL ? size - LIMIT_REQUEST_BODY_SMALL : 0;
}

/* Makes room for `size` bytes of body; false if the bodies of all requests together would exceed
 * LIMIT_REQUEST_BODIES. */
static bool body_grow(struct request *request, size_t size)
{
    size_t more = counted(size) - counted(request->body_size);
    if (atomic_fetch_add(&request->world->bodies, more) + more > LIMIT_REQUEST_BODIES) {
        atomic_fetch_sub(&request->world->bodies, more);
        return false;
    }
    request->body = mem_grow(request->body, size, 1);
    request->body_size = size;
    return true;
}

static void body_free(struct request *request)
{
    atomic_fetch_sub(&request->world->bodies, counted(request->body_size));
    free(request->body);
    request->body = NULL;
    request->body_len = request->body_size = 0;
}

void request_free(struct request *request)
{
    if (request->response)
        MHD_destroy_response(request->response);
    for (size_t i = 0; i < request->n_headers; i++)
        free(request->headers[i].value);
    values_done(&request->values);
    json_decref(request->query_faults);
    json_decref(request->json);
    body_free(request);
    free(request->target);
    free(request);
}

/* what handlers ask */

struct app *request_app(struct request *request)
{
    return request->world->app;
}

const char *request_param(const struct request *request)
{
    return request->match.param;
}

const char *request_query(const struct request *request, const char *name)
{
    if (!request->connection)
        return values_get(&request->values, VALUE_QUERY, name);
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *request_header(const struct request *request, const char *name)
{
    if (!request->connection)
        return values_get(&request->values, VALUE_HEADER, name);
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const json_t *request_json(const struct request *request)
{
    return request->json;
}

/* answering */

/* Without the query, whose values may be secrets of others; the log scrubs this program's own secrets from
 * the path. */
static void note_answer(const struct request *request)
{
    static const char *const classes[] = {"2xx", "3xx", "4xx", "5xx"};
    const struct route *route = request->match.route;
    AUTO_FREE char *path = mem_dupn(request->target, strcspn(request->target, "?"));
    metric_count(METRIC_HTTP_REQUESTS, route ? route->path : "other", classes[request->status / 100 - 2]);
    log_debug("request", LOG_S("method", request->method), LOG_S("path", path),
              LOG_I("status", request->status), LOG_I("ms", clock_mono_ms() - request->came_ms));
}

/* Queues the answer the request carries. */
static enum MHD_Result queue_answer(struct request *request)
{
    if (request->gone)
        return MHD_NO;
    connection_enter(request->world->connections, request->client, CONNECTION_SENDING);
    if (request->published) {
        struct publication_hold hold = publication_acquire(request->published);
        enum MHD_Result result = MHD_NO;
        if (hold.response) {
            note_answer(request);
            result = MHD_queue_response(request->connection, (unsigned)request->status, hold.response);
        }
        publication_release(request->published, &hold);
        if (hold.response)
            return result;
        request->published = NULL;
        answer_problem(request, 503, "nothing is known yet");
    }
    note_answer(request);
    enum MHD_Result result =
        MHD_queue_response(request->connection, (unsigned)request->status, request->response);
    MHD_destroy_response(request->response);
    request->response = NULL;
    return result;
}

static enum MHD_Result refuse_now(struct request *request, struct refusal refusal)
{
    if (request->query_faults) {
        answer_fields(request, refusal.status, refusal.detail, request->query_faults);
        request->query_faults = NULL;
    } else {
        answer_refusal(request, refusal);
    }
    return queue_answer(request);
}

/* holding */

bool request_suspend(struct request *request)
{
    struct request_world *world = request->world;
    if (request->suspended)
        return true;
    if (atomic_fetch_add(&world->waiting, 1) >= world->waiting_max) {
        atomic_fetch_sub(&world->waiting, 1);
        return false;
    }
    request->suspended = true;
    MHD_suspend_connection(request->connection);
    return true;
}

void request_release(struct request *request)
{
    if (atomic_fetch_sub(&request->holds, 1) != 1)
        return;
    atomic_fetch_sub(&request->world->waiting, 1);
    MHD_resume_connection(request->connection);
}

void request_refuse_waiting(struct request *request, const char *detail)
{
    answer_header(request, "Retry-After", RETRY_AFTER);
    answer_problem(request, 503, "%s", detail);
}

/* step 1: the headers */

static enum MHD_Result note_header(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                   const char *value, size_t value_len)
{
    (void)kind;
    access_head_add(arg, name, name_len, value, value_len);
    return MHD_YES;
}

static void note_auth_failure(struct request *request, const struct access_head *head)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    request->guessed = head->authorization != NULL;
    auth_failures_note(request->world->auth_failures, info ? info->client_addr : NULL, request->guessed);
}

/* The first fault of the target, the access or the media type, in this order. */
static struct refusal judge(struct request *request, const struct access_head *head)
{
    const struct route_match *match = &request->match;
    struct refusal refusal = access_allowed(head, &request->world->tokens, request->method, match->open);
    if (refusal.status)
        return refusal;
    if (strlen(request->target) > LIMIT_URI)
        return (struct refusal){.status = 414, .detail = "the request target is longer than 4096 bytes"};
    if (!match->path_known)
        return (struct refusal){.status = 404, .detail = "there is nothing at this path"};
    if (!match->route)
        return (struct refusal){.status = 405, .detail = "this path does not support the method"};
    if (strstr(request->target, "%00"))
        return (struct refusal){.status = 400, .detail = "the target holds a NUL", .type = PROBLEM_PARAMETER};
    request->query_faults = query_faults(request->connection, match->route->query);
    if (request->query_faults)
        return (struct refusal){.status = 400, .detail = "invalid query parameters"};
    if (access_has_body(head) && (match->route->flags & ROUTE_BODY))
        refusal = access_media(head);
    if (head->transfer_encoding && !head->expect) { /* whether there is a body is not known yet */
        request->media = refusal;
        refusal.status = 0;
    }
    return refusal;
}

static enum MHD_Result step_headers(struct request *request, const char *method, const char *version)
{
    struct access_head head = {.host = NULL};
    request->begun = true;
    request->method = method;
    AUTO_FREE char *authority = NULL;
    const char *path = access_target(request->target, &authority);
    route_find(request->world->routes, method, path, &request->match);
    (void)MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, note_header, &head);
    if (authority)
        head.host = authority;
    head.odd = head.odd || !header_is_plain(request->connection, method, request->target_end, version);
    struct refusal refusal = access_framing(&head, strcmp(version, MHD_HTTP_VERSION_1_1) == 0);
    if (refusal.status)
        return refuse_now(request, refusal);
    request->refusal = judge(request, &head);
    if (request->refusal.status == 401)
        note_auth_failure(request, &head);
    if (request->refusal.status && head.expect && !request->guessed)
        return refuse_now(request, request->refusal);
    return MHD_YES;
}

/* step 2: the body */

/* Memory is taken for what has come, not for what was announced. */
static struct refusal body_add(struct request *request, const char *data, size_t len)
{
    if (len > LIMIT_REQUEST_BODY - request->body_len)
        return (struct refusal){.status = 413, .detail = "the body is larger than 64 KiB"};
    size_t needed = request->body_len + len, size = request->body_size;
    while (size < needed)
        size = size ? size * 2 : BODY_FIRST;
    if (size > request->body_size && !body_grow(request, size))
        return (struct refusal){.status = 503,
                                .detail = "the bodies of other requests use all the memory for bodies"};
    memcpy(request->body + request->body_len, data, len);
    request->body_len = needed;
    return (struct refusal){.status = 0};
}

/* No response can be queued while a body arrives. MHD_NO closes the connection without an answer, for clients
 * that never stop sending. */
static enum MHD_Result step_body(struct request *request, const char *data, size_t *size)
{
    size_t len = *size;
    *size = 0;
    if (!request->refusal.status)
        request->refusal = request->media;
    if (!request->refusal.status && (request->match.route->flags & ROUTE_BODY)) {
        request->refusal = body_add(request, data, len);
        if (!request->refusal.status)
            return MHD_YES;
        request->discarded = request->body_len;
        body_free(request);
    }
    request->discarded += len;
    if (!request->refusal.status && request->discarded > LIMIT_REQUEST_BODY)
        request->refusal = (struct refusal){.status = 413, .detail = "the body is larger than 64 KiB"};
    return request->discarded <= LIMIT_REQUEST_DRAIN ? MHD_YES : MHD_NO;
}

/* step 3: the end of the body */

/* True when the body is an object or there is none; else the request has been answered. */
static bool parse_body(struct request *request)
{
    struct why why;
    if (request->body_len == 0)
        return true;
    enum err err =
        json_read_within(request->body, request->body_len, LIMIT_JSON_TREE_SMALL, &request->json, &why);
    body_free(request);
    if (err)
        answer_problem(request, 400, "%s", why.text);
    else if (json_is_object(request->json))
        json_integers(request->json);
    else
        answer_problem(request, 400, "the body must be a JSON object; line 1 column 1 begins an array");
    return !request->response;
}

/* The body is parsed this late, so that waiting requests hold no parsed body. */
static void run_handler(struct request *request)
{
    if (!parse_body(request))
        return;
    request->match.route->handler(request);
    if (!request->handed_over && !request->response && !request->published) {
        log_error("a handler gave no answer", LOG_S("path", request->match.route->path));
        answer_problem(request, 500, "an internal error; the log has the details");
    }
}

/* handler threads */

static struct request *detach(struct request *request, struct deferred *carrier)
{
    struct request *job = mem_zero(1, sizeof *job);
    *job = (struct request){.world = request->world,
                            .carrier = carrier,
                            .target = mem_dup(request->target),
                            .method = request->match.route->method,
                            .match = request->match,
                            .body = request->body,
                            .body_len = request->body_len,
                            .body_size = request->body_size};
    request->body = NULL; /* counted with the job now */
    request->body_len = request->body_size = 0;
    values_copy(request->connection, &job->values);
    return job;
}

static void job_end(struct request *job)
{
    if (job->carrier)
        deferred_carry(job->carrier, job);
    request_free(job);
}

/* If the client of a read was refused in the meantime, the read is not made. A change that has begun is
 * answered with its result. */
static void job_run(void *arg, bool cancelled)
{
    struct request *job = arg;
    if (cancelled)
        request_refuse_waiting(job, "the service is stopping");
    else if (deferred_begin(job->carrier, (job->match.route->flags & ROUTE_BODY) != 0))
        run_handler(job);
    job_end(job);
}

static enum MHD_Result job_queue(struct request *request)
{
    struct deferred *carrier = deferred_new(request, true);
    if (!carrier)
        return queue_answer(request);
    struct request *job = detach(request, carrier);
    if (!job_queue_submit(request->world->job_queue, job_run, job)) {
        request_refuse_waiting(job, "too many requests wait already");
        job_end(job);
    }
    request_release(request);
    return MHD_YES;
}

static enum MHD_Result dispatch(struct request *request)
{
    connection_enter(request->world->connections, request->client, CONNECTION_WORKING);
    atomic_store(&request->holds, 1);
    if (request->match.route->flags & ROUTE_QUEUED)
        return job_queue(request);
    run_handler(request);
    if (request->suspended) {
        request_release(request);
        return MHD_YES;
    }
    return queue_answer(request);
}

/* More headers may follow a chunked body. None that matters for framing or access is allowed there. If one is
 * folded or has no name, the next reader may see another end of the request. */
static bool trailer_is_odd(struct request *request)
{
    struct access_head trailer = {.host = NULL};
    (void)MHD_get_connection_values_n(request->connection, MHD_FOOTER_KIND, note_header, &trailer);
    return trailer.odd || access_head_counts(&trailer) || trailer_has_folds(request->connection);
}

static enum MHD_Result step_end(struct request *request)
{
    if (request->response || request->published || request->gone)
        return queue_answer(request); /* resumed */
    if (trailer_is_odd(request)) {
        answer_header(request, "Connection", "close");
        return refuse_now(
            request,
            (struct refusal){.status = 400,
                             .detail = "a trailer holds what only a header may hold, or is no header",
                             .type = PROBLEM_ODD});
    }
    if (request->guessed) {
        connection_enter(request->world->connections, request->client, CONNECTION_WORKING);
        if (deferred_refuse_later(request, LIMIT_AUTH_DELAY_MS))
            return MHD_YES;
    }
    if (request->refusal.status)
        return refuse_now(request, request->refusal);
    return dispatch(request);
}

enum MHD_Result request_step(struct request *request, const char *method, const char *version,
                             const char *data, size_t *size)
{
    if (!request->begun)
        return step_headers(request, method, version);
    if (*size > 0)
        return step_body(request, data, size);
    return step_end(request);
}
