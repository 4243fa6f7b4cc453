/* plane_event.h - the body of Plane's webhook about an issue, made of what its REST API answers: byte for
 * byte what Plane (community edition, v0.27 to v1.3.1) would have sent, as far as the API tells it. Pure,
 * thread-safe.
 *
 * What the API does not tell: `webhook_id`, for which an id of this program's stands; `description` and
 * `description_stripped` of the issue, which are not there; and of the actor anything but the id.
 */
#ifndef RECONCILED_EVENT_PLANE_H
#define RECONCILED_EVENT_PLANE_H

#include <jansson.h>

/* What was done to the issue's state. */
struct event_plane_change {
    const char *old_state, *new_state; /* uuids; the first is "" when it had none */
    const char *actor;                 /* whoever did it; "" when that is not known */
};

/* event_plane_issue: `issue` with state, labels and assignees expanded. Without a change it was created as it
 * is. NULL when the issue is none. Caller frees. */
char *event_plane_issue(const json_t *issue, const struct event_plane_change *change);

/* event_plane_text: a value as Python's json.dumps(value) writes it, which jansson cannot: the shortest
 * digits of a float, lower-case hex, DEL escaped too. Caller frees. */
char *event_plane_text(const json_t *value);

#endif
