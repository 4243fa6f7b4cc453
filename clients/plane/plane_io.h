/* plane_io.h - one exchange of a call to Plane. Private to clients/plane/ and tests. */
#ifndef RECONCILED_PLANE_IO_H
#define RECONCILED_PLANE_IO_H

#include <jansson.h>

#include "clients/plane/plane.h"

/* plane_ask: GET of `path` (segments below the workspace, NULL-terminated, the last of them "" for the slash
 * that Plane insists on; the second is the project), with `query` (name, value, …). Keeps the budget; waits
 * for its turn. On PLANE_OK *ret is the JSON of an answer of at most answer_max bytes, which the caller
 * frees. *ret_unrouted: Plane has no such path. Does not affect Plane's health; call plane_told for that. */
ATTR_NODISCARD enum plane_result plane_ask(struct plane_call *call, const char *const *path,
                                           const char *const *query, const char *what, size_t answer_max,
                                           json_t **ret, bool *ret_unrouted, struct why *why);

/* plane_told: records the final result of a question about the project in Plane's health. Returns `result`.
 */
enum plane_result plane_told(struct plane *plane, const char *project_id, enum plane_result result,
                             const struct why *why);

/* Whether issues are work-items/ (at first) or, with an older Plane, issues/. */
bool plane_is_old(struct plane *plane);
void plane_is_old_set(struct plane *plane, bool old);

/* plane_clock: for tests: replaces clock_mono_ms() in the budget. Call it before the first plane_ask. */
void plane_clock(struct plane *plane, int64_t (*now_ms)(void));

#endif
