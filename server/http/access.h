/* access.h - who may ask, and which requests are framed so that two readers could understand them
 * differently.
 *
 * Pure: the listener collects the headers that decide into a `struct access_head`, the functions judge them.
 * libmicrohttpd before 1.0 lets both lengths, two lengths, two hosts and a space before the colon pass, even
 * when strict: behind a proxy that reads them otherwise, one request becomes two. So all of them are refused
 * here, before a byte of the body is read.
 */
#ifndef RECONCILED_ACCESS_H
#define RECONCILED_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

struct access_head {
    const char *host, *origin, *authorization, *content_type, *content_encoding, *content_length,
        *transfer_encoding, *expect;
    bool repeated; /* one of the above is there twice */
    bool odd;      /* a name is no token, a value holds a control character, a line is no plain header */
};

/* access_head_add: notes one header; the value is borrowed. */
void access_head_add(struct access_head *head, const char *name, size_t name_len, const char *value,
                     size_t value_len);

/* access_head_counts: one of the headers that decide is there. */
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

/* access_framing: 400, 413 or none. After it the connection cannot be trusted and must be closed. */
struct refusal access_framing(const struct access_head *head, bool http_1_1);

/* access_target: the path of a raw target, with what follows it. A target in absolute form (http://host/path)
 * names the host, too, in place of the Host header (RFC 9112 3.2.2): *ret_authority, which the caller frees;
 * NULL for any other. */
const char *access_target(const char *target, char **ret_authority);

/* access_allowed: 401, 403 or none. `token` NULL: there is none, and only names of this machine are answered.
 * `open`: the path needs no token, nor a Host, which HTTP/1.0 does not ask for. */
struct refusal access_allowed(const struct access_head *head, const char *token, bool open);

/* access_media: 415, or none if the body is declared as JSON in UTF-8 and not encoded. */
struct refusal access_media(const struct access_head *head);

/* access_has_body: the request announces one. */
bool access_has_body(const struct access_head *head);

#endif
