/* values.h - the query parameters and headers of a request.
 *
 * libmicrohttpd keeps them until the request is answered. A handler thread may still run when its request has
 * been answered without it, so it reads a copy.
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

/* values_copy: copies all parameters and headers of a request; several lines of one header are joined to a
 * list (RFC 9110 5.3). Free with values_done. */
void values_copy(struct MHD_Connection *connection, struct values *ret);
/* values_get: the first of that name, or NULL; names of headers in any case. */
const char *values_get(const struct values *values, enum value_kind kind, const char *name);
void values_done(struct values *values);

/* header_is_plain: true if the header section holds only what the library shows of it, separated by one blank
 * or CR LF as it must be. libmicrohttpd before 1.0 appends a folded line to the name of its header, so that
 * "Content-L: 5" followed by the line " ength" becomes a Content-Length. It also ends values at a NUL, skips
 * headers without a name and accepts a bare LF as the end of a line. It splits header lines in place, so the
 * pointers that it returns locate them. From 1.0 on it refuses all of this itself. `target_end` is the end of
 * the target as it came. */
bool header_is_plain(struct MHD_Connection *connection, const char *method, const char *target_end,
                     const char *version);
/* trailer_has_folds: whether the headers after a body have folded lines, as far as can be seen. */
bool trailer_has_folds(struct MHD_Connection *connection);

/* query_faults: the parameters of a request that are not `known` (a NULL-terminated list; NULL: none is) or
 * are there twice, as the array for answer_fields; NULL when there are none. */
json_t *query_faults(struct MHD_Connection *connection, const char *const *known);

#endif
