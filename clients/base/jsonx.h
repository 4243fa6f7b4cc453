/* jsonx.h - the few things about JSON that jansson leaves to its user: limits, text that may be NULL or
 * broken, paths.
 *
 * jansson owns parsing and printing; nothing here re-implements either.
 */
#ifndef RECONCILED_BASE_JSONX_H
#define RECONCILED_BASE_JSONX_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"

/* json_read_within: parses text[0..len): no duplicate keys, nesting at most LIMIT_JSON_DEPTH, any top-level
 * value but a bare scalar. A text whose tree would take more than `most` bytes is refused before the tree is
 * made: "[{},{},…]" takes ninety times its own size. Fills `why` ("line 3: …") and returns ERR_INVALID when
 * it is not such JSON. Caller owns *ret. json_read: within LIMIT_JSON_TREE. */
ATTR_NODISCARD enum err json_read_within(const char *text, size_t len, size_t most, json_t **ret,
                                         struct why *why);
ATTR_NODISCARD enum err json_read(const char *text, size_t len, json_t **ret, struct why *why);

/* json_integers: makes every number in `value` whose fraction is zero an integer (60.0, 6e1), as JSON Schema
 * reads it; jansson takes it for a real. For settings and bodies of requests; what
 * an upstream sent keeps its form. */
void json_integers(json_t *value);

/* json_cost: an upper bound for what jansson allocates while it reads `text`, counted by its brackets,
 * commas, colons and strings; of a text that is not JSON, for what it allocates up to the first error.
 * *ret_depth: how deep it is nested; counting ends beyond LIMIT_JSON_DEPTH. */
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

/* json_shown: the same for people and other programs: hidden characters (text_hidden_len) are escaped,
 * secrets are scrubbed. `indent`: spaces of each level; 0: one line. */
char *json_shown(const json_t *value, size_t indent);

/* problem_add: adds {"field","detail"} to an array of errors. */
void problem_add(json_t *errors, const char *field, const char *fmt, ...) ATTR_PRINTF(3, 4);

/* Reading answers of others: every member is optional, every type may surprise. Each returns the fallback
 * when the member is absent, null or of another type; json_get_text accepts numbers too where a server sent
 * one for a string only through json_get_text_any, which writes into `buffer`. */
const char *json_get_text(const json_t *object, const char *key, const char *fallback);
int64_t json_get_int(const json_t *object, const char *key, int64_t fallback);
bool json_get_bool(const json_t *object, const char *key, bool fallback);
const char *json_get_text_any(const json_t *object, const char *key, char *buffer, size_t size);

#endif
