/* plane_event.h - makes the body of Plane's webhook about an issue from answers of its REST API: byte for
 * byte what Plane (community edition, v1.3.1) would have sent, as far as the API shows it. Pure, thread-safe.
 *
 * The API does not show some members: `webhook_id` is an id of this program instead; `description`,
 * `description_json` and `description_stripped` of the issue are empty; `field` is always "state_id", as for
 * a change on the web, though it is "state" for a change by an API key.
 */
#ifndef RECONCILED_EVENT_PLANE_H
#define RECONCILED_EVENT_PLANE_H

#include <jansson.h>

/* What was done to the issue's state. */
struct event_plane_change {
    const char *old_state, *new_state; /* uuids; the first is "" when it had none */
    const json_t *actor;               /* the person's object, or the id alone; NULL when that is not known */
};

/* event_plane_order: sorts the labels and assignees of `issue` as in `bare`. REST sorts expanded ones by
 * their own age, but a webhook sorts them by when they were added to the issue, as REST does when they are
 * ids. */
void event_plane_order(json_t *issue, const json_t *bare);

/* event_plane_issue: the body for `issue`, whose state, labels, assignees and created_by are expanded.
 * Without a change: the event of its creation. NULL when `issue` is no valid issue. Caller frees. */
char *event_plane_issue(const json_t *issue, const struct event_plane_change *change);

/* event_plane_text: a value as Python's json.dumps(value) writes it. jansson cannot: floats have their
 * shortest digits, hex is lower case, DEL is escaped. NULL beyond LIMIT_EVENT. Caller frees. */
char *event_plane_text(const json_t *value);

#endif
