/* plane_io.h - how Plane is asked: one exchange of a call. Private to clients/plane/ and tests. */
#ifndef RECONCILED_PLANE_IO_H
#define RECONCILED_PLANE_IO_H

#include <jansson.h>

#include "clients/plane/plane.h"

/* plane_ask: GET of `path` (segments below the workspace, NULL-terminated, the last of them "" for the slash
 * that Plane insists on; the second is the project), with `query` (name, value, …). Within the budget; waits
 * for its turn. *ret is the answer's JSON, of a body of at most answer_max bytes, which the caller frees, for
 * PLANE_OK alone. *ret_unrouted: Plane has no such path. Plane's health is not affected until plane_told. */
ATTR_NODISCARD enum plane_result plane_ask(struct plane_call *call, const char *const *path,
                                           const char *const *query, const char *what, size_t answer_max,
                                           json_t **ret, bool *ret_unrouted, struct why *why);

/* plane_told: what a question about the project came to in the end is Plane's health. Returns `result`. */
enum plane_result plane_told(struct plane *plane, const char *project_id, enum plane_result result,
                             const struct why *why);

/* Whether issues are work-items/ (at first) or, with an older Plane, issues/. */
bool plane_is_old(struct plane *plane);
void plane_is_old_set(struct plane *plane, bool old);

/* plane_clock: for tests: what the budget takes for clock_mono_ms(). Before the first call. */
void plane_clock(struct plane *plane, int64_t (*now_ms)(void));

#endif
