/* plane.h - the stand-in Plane from within: what its endpoints share. */
#ifndef SANDBOX_PLANE_H
#define SANDBOX_PLANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sandbox/call.h"
#include "tests/sandbox/plane_world.h"

/* The endpoints: lists (plane_list.c), single ones (plane_item.c). */
call_serve_fn plane_issues_list, plane_states_list, plane_activities_list, plane_search;
call_serve_fn plane_issue_get, plane_issue_by_key, plane_issue_patch, plane_state_get;

/* plane_ok: JSON follows in call->out. plane_error: {"{key}": words}; the key differs by where Plane noticed:
 * "detail" (the framework), "error" (its own views). plane_missing, plane_unrouted: its two kinds of 404.
 * plane_internal: 500. */
struct out *plane_ok(struct call *call, int status);
void plane_error(struct call *call, int status, const char *key, const char *words);
void plane_missing(struct call *call);
void plane_unrouted(struct call *call);
void plane_internal(struct call *call);

/* plane_asked: the project that the path names; never NULL in an endpoint, for permission is checked before.
 * plane_zone_min: of the user whose key was given. */
struct plane_project *plane_asked(const struct call *call);
int plane_zone_min(const struct call *call);

/* What a row shows: which of its fields ("fields="), and what is spelt out ("expand="). */
enum plane_expandable {
    PLANE_EXPAND_STATE,
    PLANE_EXPAND_PROJECT,
    PLANE_EXPAND_CREATED_BY,
    PLANE_EXPAND_ACTOR,
    PLANE_EXPAND_LABELS /* here no issue has any; but the member then comes before the assignees */
};
#define PLANE_EXPAND(what) ((uint64_t)1 << (63 - (what)))
uint64_t plane_issue_fields(const struct call *call);
uint64_t plane_state_fields(const struct call *call);
uint64_t plane_activity_fields(const struct call *call);

/* Rows (plane_json.c). plane_put_issue keeps what it made for the next time. plane_put_webhook_data: the
 * issue as webhooks show it, in UTC. */
void plane_put_issue(struct out *out, struct plane_issue *issue, uint64_t fields, int zone_min);
void plane_put_state(struct out *out, const struct plane_state *state, uint64_t fields, int zone_min);
void plane_put_activity(struct out *out, const struct plane_issue *issue,
                        const struct plane_activity *activity, uint64_t fields, int zone_min);
/* plane_put_person: who does everything here. */
void plane_put_person(struct out *out, const char *key, const struct plane *plane);
void plane_put_webhook_data(struct out *out, struct plane_issue *issue);
/* plane_put_instant: ISO 8601, with microseconds unless they are zero, "Z" or "+05:30"; 0 gives null. */
void plane_put_instant(struct out *out, const char *key, int64_t us, int zone_min);

#endif
