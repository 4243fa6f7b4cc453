#include "server/http/answer.h"

#include <assert.h>
#include <jansson.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/log.h"
#include "handlers/handler.h"
#include "server/http/request.h"

#define TYPE_JSON "application/json"
#define TYPE_PROBLEM "application/problem+json"

void answer_response_header(struct MHD_Response *response, const char *name, const char *value)
{
    if (MHD_add_response_header(response, name, value) != MHD_YES)
        log_error("a header was not fit to be sent", LOG_S("name", name));
}

struct MHD_Response *answer_response(const char *body, size_t len, enum answer_owner owner,
                                     const char *content_type)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        len, (void *)(uintptr_t)body, owner == ANSWER_FREE ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (!response)
        abort(); /* out of memory, see err.h */
    if (content_type)
        answer_response_header(response, "Content-Type", content_type);
    answer_response_header(response, "X-Content-Type-Options", "nosniff");
    answer_response_header(response, "Cache-Control", owner == ANSWER_FREE ? "no-store" : "no-cache");
    return response;
}

struct MHD_Response *answer_json_response(int status, json_t *body_take)
{
    char *text = json_shown(body_take, 0);
    json_decref(body_take);
    return answer_response(text, strlen(text), ANSWER_FREE, status >= 400 ? TYPE_PROBLEM : TYPE_JSON);
}

/* Takes the response. */
static void answer_with(struct request *request, int status, struct MHD_Response *response)
{
    assert(!request->response && !request->published && !request->handed_over);
    for (size_t i = 0; i < request->n_headers; i++) {
        answer_response_header(response, request->headers[i].name, request->headers[i].value);
        free(request->headers[i].value);
    }
    request->n_headers = 0;
    request->response = response;
    request->status = status;
}

void answer_header(struct request *request, const char *name, const char *value)
{
    assert(request->n_headers < REQUEST_HEADERS_MAX);
    request->headers[request->n_headers].name = name;
    request->headers[request->n_headers++].value = mem_dup(value);
}

void answer_json(struct request *request, int status, json_t *body_take)
{
    answer_with(request, status, answer_json_response(status, body_take));
}

void answer_empty(struct request *request)
{
    answer_with(request, 204, answer_response("", 0, ANSWER_STATIC, NULL));
}

void answer_text(struct request *request, int status, const char *content_type, const char *body, size_t len)
{
    answer_with(request, status, answer_response(mem_dupn(body, len), len, ANSWER_FREE, content_type));
}

void answer_static(struct request *request, const char *content_type, const char *body, size_t len)
{
    answer_with(request, 200, answer_response(body, len, ANSWER_STATIC, content_type));
}

void answer_published(struct request *request, struct publication *publication)
{
    assert(!request->response && !request->handed_over);
    request->published = publication;
    request->status = 200;
}

/* The type of most problems with that status. */
static const char *type_of(int status)
{
    static const struct {
        int status;
        const char *type;
    } types[] = {
        {400, "invalid-body"},        {401, "unauthorized"},       {403, "forbidden"},
        {404, "not-found"},           {405, "method-not-allowed"}, {409, "conflict"},
        {412, "precondition-failed"}, {413, "too-large"},          {414, "too-large"},
        {415, "unsupported-media"},   {422, "invalid-body"},       {502, "upstream"},
        {503, "unavailable"},
    };
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (types[i].status == status)
            return types[i].type;
    return "internal";
}

json_t *problem_of_type(const char *type, int status, const char *detail)
{
    json_t *problem = json_object();
    AUTO_FREE char *uri = mem_printf("/problems/%s", type);
    json_put(problem, "type", json_text(uri));
    json_put(problem, "title", json_text(MHD_get_reason_phrase_for((unsigned)status)));
    json_put(problem, "status", json_integer(status));
    json_put(problem, "detail", json_text(detail));
    return problem;
}

json_t *problem_document(int status, const char *detail)
{
    return problem_of_type(type_of(status), status, detail);
}

void answer_problem(struct request *request, int status, const char *fmt, ...)
{
    char detail[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(detail, sizeof detail, fmt, args); /* a longer one is cut, json_text mends the cut */
    va_end(args);
    answer_json(request, status, problem_document(status, detail));
}

void answer_fields(struct request *request, int status, const char *detail, json_t *errors_take)
{
    json_t *problem = problem_of_type(status == 400 ? PROBLEM_PARAMETER : type_of(status), status, detail);
    json_put(problem, "errors", errors_take);
    answer_json(request, status, problem);
}

static int error_status(enum err err)
{
    switch (err) {
    case ERR_NOT_FOUND:
        return 404;
    case ERR_CONFLICT:
        return 409;
    case ERR_INVALID:
        return 422;
    case ERR_TIMEOUT:
    case ERR_UNAVAILABLE:
    case ERR_RETRY:
        return 503;
    case ERR_OK:
    case ERR_INTERNAL:
    case ERR_MAX_:
        break;
    }
    return 500;
}

static const char hidden[] = "an internal error; the log has the details";

void answer_error(struct request *request, enum err err, const struct why *why)
{
    int status = error_status(err);
    if (status == 503)
        answer_header(request, "Retry-After", RETRY_AFTER);
    if (status == 500)
        log_error("a request failed", LOG_S("method", request->method),
                  LOG_S("path", request->match.route->path), LOG_S("reason", why->text),
                  LOG_S("result", err_name(err)));
    answer_problem(request, status, "%s", status == 500 ? hidden : why->text);
}

void deferred_error(struct deferred *deferred, enum err err, const struct why *why)
{
    int status = error_status(err);
    if (status == 500)
        log_error("a request failed", LOG_S("reason", why->text), LOG_S("result", err_name(err)));
    deferred_answer(deferred, status, problem_document(status, status == 500 ? hidden : why->text));
}

void answer_refusal(struct request *request, struct refusal refusal)
{
    if (refusal.status == 401)
        answer_header(request, "WWW-Authenticate", "Bearer realm=\"reconciled\"");
    if (refusal.status == 405)
        answer_header(request, "Allow", request->match.allow);
    if (refusal.status == 503)
        answer_header(request, "Retry-After", RETRY_AFTER);
    answer_json(request, refusal.status,
                problem_of_type(refusal.type ? refusal.type : type_of(refusal.status), refusal.status,
                                refusal.detail));
}
