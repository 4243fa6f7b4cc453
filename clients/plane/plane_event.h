/* plane_event.h - the body of Plane's webhook about an issue, made of what its REST API answers: byte for
 * byte what Plane (community edition, v1.3.1) would have sent, as far as the API answers it. Pure,
 * thread-safe.
 *
 * What the API does not answer: `webhook_id`, for which an id of this program's stands; `description`,
 * `description_json` and `description_stripped` of the issue, which are empty here; and whether the state was
 * changed on the web (`field` is then "state_id", as here) or by an API key ("state").
 */
#ifndef RECONCILED_EVENT_PLANE_H
#define RECONCILED_EVENT_PLANE_H

#include <jansson.h>

/* What was done to the issue's state. */
struct event_plane_change {
    const char *old_state, *new_state; /* uuids; the first is "" when it had none */
    const json_t *actor;               /* the person's object, or the id alone; NULL when that is not known */
};

/* event_plane_order: REST orders expanded labels and assignees by their own age, a webhook by when they were
 * put on the issue, as REST does where they are ids: gives those of `issue` the order of `bare`. */
void event_plane_order(json_t *issue, const json_t *bare);

/* event_plane_issue: `issue` with state, labels, assignees and created_by expanded. Without a change it was
 * created as it is. NULL when the issue is none. Caller frees. */
char *event_plane_issue(const json_t *issue, const struct event_plane_change *change);

/* event_plane_text: a value as Python's json.dumps(value) writes it, which jansson cannot: the shortest
 * digits of a float, lower-case hex, DEL escaped too. NULL beyond LIMIT_EVENT. Caller frees. */
char *event_plane_text(const json_t *value);

#endif
