/* out.h - text that grows, and JSON written straight into it.
 *
 * The sandbox answers tens of thousands of requests a second, so answers are written as text, not built as
 * trees. Every JSON function takes the member's key, or NULL inside an array; commas are put by itself.
 */
#ifndef SANDBOX_OUT_H
#define SANDBOX_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"

struct out {
    char *text; /* NUL-terminated as soon as anything was written; NULL before */
    size_t len, size;
};

/* out_free: frees the text. out_take: hands it to the caller (free() it), never NULL. */
void out_free(struct out *out);
char *out_take(struct out *out);

/* Plain text: bytes, a string, a formatted string, and `text` percent-encoded as one path segment. */
void out_bytes(struct out *out, const char *bytes, size_t len);
void out_plain(struct out *out, const char *text);
void out_fmt(struct out *out, const char *fmt, ...) ATTR_PRINTF(2, 3);
void out_segment(struct out *out, const char *text);

/* JSON. out_text: NULL gives null. out_made: a string from a format. out_ready: JSON text that is ready.
 * out_instant: RFC 3339 of whole seconds, in a zone so many minutes east, "Z" when 0; 0 seconds gives null.
 */
void out_open(struct out *out, const char *key, char bracket);
void out_close(struct out *out, char bracket);
void out_text(struct out *out, const char *key, const char *text);
void out_made(struct out *out, const char *key, const char *fmt, ...) ATTR_PRINTF(3, 4);
void out_int(struct out *out, const char *key, int64_t value);
void out_bool(struct out *out, const char *key, bool value);
void out_null(struct out *out, const char *key);
void out_ready(struct out *out, const char *key, const char *json);
void out_instant(struct out *out, const char *key, int64_t seconds, int zone_min);

#endif
