/* answer.h - the listener's side of answers: makes the library's responses. */
#ifndef RECONCILED_ANSWER_H
#define RECONCILED_ANSWER_H

#include <stddef.h>

#include "server/http/access.h"

struct MHD_Response;
struct request;

enum answer_owner {
    ANSWER_FREE,   /* the body came from malloc and is freed with the response */
    ANSWER_STATIC, /* the body outlives everything */
};

/* answer_response: a response with the headers that every answer has. Never NULL; end it with
 * MHD_destroy_response, after queueing it too. */
struct MHD_Response *answer_response(const char *body, size_t len, enum answer_owner owner,
                                     const char *content_type);

#define RETRY_AFTER "5" /* seconds, in every 503 whose cause is temporary */

/* answer_response_header: adds one. */
void answer_response_header(struct MHD_Response *response, const char *name, const char *value);

/* answer_json_response: the response for a JSON body, taken; a problem document when status >= 400. */
struct json_t;
struct MHD_Response *answer_json_response(int status, struct json_t *body_take);

/* answer_refusal: answers a request that was refused before any handler saw it. */
void answer_refusal(struct request *request, struct refusal refusal);

#endif
