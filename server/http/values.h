/* values.h - the query parameters and headers of a request.
 *
 * libmicrohttpd keeps them for as long as the request is not answered. A handler on a thread of its own may
 * still run when its request has been answered for it, so it reads a copy.
 */
#ifndef RECONCILED_VALUES_H
#define RECONCILED_VALUES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct MHD_Connection;

enum value_kind { VALUE_QUERY, VALUE_HEADER };

struct values {
    struct value {
        enum value_kind kind;
        char *name, *text; /* text: NULL when the parameter has no "=" */
    } *rows;
    size_t n;
};

/* values_copy: all of a request's parameters and headers; lines of one header become its list (RFC 9110 5.3).
 * Free with values_done. */
void values_copy(struct MHD_Connection *connection, struct values *ret);
/* values_get: the first of that name, or NULL; names of headers in any case. */
const char *values_get(const struct values *values, enum value_kind kind, const char *name);
void values_done(struct values *values);

/* header_is_plain: every byte of the header is part of what the library shows of it, or is where it must be
 * between that: one blank, CR LF. libmicrohttpd before 1.0 appends a folded line to the name of its header,
 * so that "Content-L: 5" with the line " ength" under it makes a Content-Length; it ends values at a NUL,
 * passes over headers without a name and takes a bare LF for an end of line. It cuts header lines up where
 * they lie, so what it shows locates them. From 1.0 on it refuses all that by itself. `target_end` is
 * the end of the target as it came. */
bool header_is_plain(struct MHD_Connection *connection, const char *method, const char *target_end,
                     const char *version);
/* trailer_has_folds: the same of the headers behind a body, as far as can be known. */
bool trailer_has_folds(struct MHD_Connection *connection);

/* query_faults: the parameters of a request that are not `known` (a NULL-terminated list; NULL: none is) or
 * are there twice, as the array for answer_fields; NULL when there are none. */
json_t *query_faults(struct MHD_Connection *connection, const char *const *known);

#endif
