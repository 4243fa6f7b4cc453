/* plane_kinds.h - which of a project's states mean something to us: In Progress, Approved, Rejected, by the
 * names or ids that ORCH_PLANE_STATES_JSON gives. Pure; one thread.
 *
 * A name is compared as it is, and where no state bears it, without regard to the case of ASCII letters.
 */
#ifndef RECONCILED_PLANE_KINDS_H
#define RECONCILED_PLANE_KINDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "clients/base/text.h"

struct plane_states;

enum issue_kind { ISSUE_OTHER, ISSUE_IN_PROGRESS, ISSUE_APPROVED, ISSUE_REJECTED, ISSUE_KIND_MAX_ };

struct plane_kind {
    char id[UUID_TEXT_LEN + 1]; /* lower case */
    char *name;                 /* as Plane has it; NULL: an id that Plane's list of states leaves out */
    enum issue_kind kind;
};
struct plane_kinds {
    struct plane_kind *items; /* every state of the project that is known */
    size_t n;
    char *problem; /* what cannot be found, for a person; NULL: nothing */
};

/* plane_kinds_learn: in place of what was known. `wanted` is settings->plane_states. True: a state that was
 * known before means something else now. */
bool plane_kinds_learn(struct plane_kinds *kinds, const struct plane_states *states, const json_t *wanted);
/* plane_kinds_other: an id that no list of states shows, and that means nothing to us. */
void plane_kinds_other(struct plane_kinds *kinds, const char *id);
/* plane_kinds_find: NULL: no such state is known. */
const struct plane_kind *plane_kinds_find(const struct plane_kinds *kinds, const char *id);

void plane_kinds_copy(struct plane_kinds *ret, const struct plane_kinds *kinds);
void plane_kinds_done(struct plane_kinds *kinds);

#endif
