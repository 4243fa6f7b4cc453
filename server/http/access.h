/* access.h - which requests are allowed, and which are framed so that two readers could understand them
 * differently.
 *
 * Pure: the listener collects the relevant headers in a `struct access_head`, and these functions judge them.
 * Even in strict mode, libmicrohttpd before 1.0 accepts both kinds of length together, two lengths, two hosts
 * and a space before the colon. Behind a proxy that reads them differently, one request becomes two. So all
 * of them are refused here, before a byte of the body is read.
 */
#ifndef RECONCILED_ACCESS_H
#define RECONCILED_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

struct access_head {
    const char *host, *origin, *authorization, *content_type, *content_encoding, *content_length,
        *transfer_encoding, *expect;
    bool repeated; /* one of the above is there twice */
    bool odd;      /* a name is no token, a value has a control character, or a line is no plain header */
};

/* access_head_add: adds one header; the value is borrowed. */
void access_head_add(struct access_head *head, const char *name, size_t name_len, const char *value,
                     size_t value_len);

/* access_head_counts: whether at least one relevant header is present. */
bool access_head_counts(const struct access_head *head);

/* Types of problems that a status does not imply. */
#define PROBLEM_ODD "odd-request"
#define PROBLEM_PARAMETER "invalid-parameter"

/* Why a request is refused; status 0: it is not. Its texts are static. */
struct refusal {
    int status;
    const char *detail;
    const char *type; /* of the problem; NULL: the status implies it */
};

/* access_framing: 400, 413 or none. If it refuses, the connection cannot be trusted and must be closed. */
struct refusal access_framing(const struct access_head *head, bool http_1_1);

/* access_target: the path and query of a raw target. The host of a target in absolute form (http://host/path)
 * replaces the Host header (RFC 9112 3.2.2): it is *ret_authority, which the caller frees; NULL for every
 * other form. */
const char *access_target(const char *target, char **ret_authority);

/* The bearer tokens. */
struct access_tokens {
    const char *all;  /* opens everything; NULL: none is set, and nothing needs one */
    const char *read; /* opens GET and HEAD alone; NULL: none is set */
};

/* access_allowed: 401, 403 or none. Without a token only hosts that name this machine are allowed. `open`:
 * the path needs neither a token nor a Host, which HTTP/1.0 does not require. */
struct refusal access_allowed(const struct access_head *head, const struct access_tokens *tokens,
                              const char *method, bool open);

/* access_media: 415, or none if the body is declared as JSON in UTF-8 and not encoded. */
struct refusal access_media(const struct access_head *head);

/* access_has_body: whether the request announces a body. */
bool access_has_body(const struct access_head *head);

#endif
