/* plane_state_map.h - which of a project's states mean something to us: In Progress, Approved, Rejected, by
 * the names or ids that ORCH_PLANE_STATES_JSON gives. Pure; one thread.
 *
 * A name is compared exactly; if no state has that name, the case of ASCII letters is ignored.
 */
#ifndef RECONCILED_PLANE_STATE_MAP_H
#define RECONCILED_PLANE_STATE_MAP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "clients/base/text.h"

struct plane_states;

enum issue_meaning { ISSUE_OTHER, ISSUE_IN_PROGRESS, ISSUE_APPROVED, ISSUE_REJECTED, ISSUE_MEANING_MAX_ };

struct plane_mapped_state {
    char id[UUID_TEXT_LEN + 1]; /* lower case */
    char *name;                 /* as Plane has it; NULL: an id that Plane's list of states leaves out */
    enum issue_meaning meaning;
};
struct plane_state_map {
    struct plane_mapped_state *items; /* every state of the project that is known */
    size_t n;
    char *problem; /* a sentence about the states that cannot be found; NULL: all were found */
};

/* plane_state_map_update: replaces the known states. `wanted` is settings->plane_states. True: the meaning of
 * a known state has changed. */
bool plane_state_map_update(struct plane_state_map *map, const struct plane_states *states,
                            const json_t *wanted);
/* plane_state_map_add_other: adds an id that Plane's list of states leaves out, as ISSUE_OTHER. */
void plane_state_map_add_other(struct plane_state_map *map, const char *id);
/* plane_state_map_find: NULL: no such state is known. */
const struct plane_mapped_state *plane_state_map_find(const struct plane_state_map *map, const char *id);

void plane_state_map_copy(struct plane_state_map *ret, const struct plane_state_map *map);
void plane_state_map_done(struct plane_state_map *map);

#endif
