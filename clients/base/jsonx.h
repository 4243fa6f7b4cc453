/* jsonx.h - what jansson leaves to its user: limits, and text that may be NULL or broken.
 *
 * jansson does all parsing and printing.
 */
#ifndef RECONCILED_BASE_JSONX_H
#define RECONCILED_BASE_JSONX_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"

/* json_read_within: parses text[0..len): no duplicate keys, nesting at most LIMIT_JSON_DEPTH, an object or an
 * array at the top. A text whose tree would take more than `most` bytes is refused before the tree is made:
 * the tree of "[{},{},…]" takes ninety times the size of its text. Otherwise ERR_INVALID, and `why` states
 * the line ("line 3: …"). Caller owns *ret. json_read: the same with LIMIT_JSON_TREE. */
ATTR_NODISCARD enum err json_read_within(const char *text, size_t len, size_t most, json_t **ret,
                                         struct why *why);
ATTR_NODISCARD enum err json_read(const char *text, size_t len, json_t **ret, struct why *why);

/* json_integers: makes every number in `value` whose fraction is zero an integer (60.0, 6e1), as JSON Schema
 * reads it; jansson makes it a real. For settings and bodies of requests only: what an upstream sent is not
 * changed. */
void json_integers(json_t *value);

/* json_cost: an upper bound for the bytes that jansson allocates while it reads `text`, from its brackets,
 * commas, colons and strings. If the text is not JSON, the bound holds up to the first error. *ret_depth: the
 * depth of nesting; counting stops beyond LIMIT_JSON_DEPTH. */
size_t json_cost(const char *text, size_t len, unsigned *ret_depth);

/* json_text: a JSON string of `text`; NULL gives null, broken UTF-8 is mended as text_cut() does. Never NULL.
 */
json_t *json_text(const char *text);

/* json_put: sets a member and takes `value`; `object` must be an object and `value` not NULL (both programmer
 * errors). json_push: the same for an array. */
void json_put(json_t *object, const char *key, json_t *value_take);
void json_push(json_t *array, json_t *value_take);

/* json_instant: RFC 3339 text of an instant in microseconds; 0 gives null. */
json_t *json_instant(int64_t us);

/* json_line: compact text of a value, one line, caller frees. Never NULL. */
char *json_line(const json_t *value);

/* json_shown: the same, for text that leaves the process: hidden characters (text_hidden_len) are escaped,
 * secrets are scrubbed. `indent`: spaces of each level; 0: one line. */
char *json_shown(const json_t *value, size_t indent);

/* problem_add: adds {"field","detail"} to an array of errors. */
void problem_add(json_t *errors, const char *field, const char *fmt, ...) ATTR_PRINTF(3, 4);

/* For reading answers of upstreams, where every member is optional and may have any type. Each function
 * returns the fallback when the member is absent, null or of another type. json_get_text_any also accepts a
 * number in place of a string and writes it into `buffer`. */
const char *json_get_text(const json_t *object, const char *key, const char *fallback);
int64_t json_get_int(const json_t *object, const char *key, int64_t fallback);
bool json_get_bool(const json_t *object, const char *key, bool fallback);
const char *json_get_text_any(const json_t *object, const char *key, char *buffer, size_t size);

#endif
