/* plane_mail.h - the webhooks of the stand-in Plane (v1, as the community edition sends them). */
#ifndef SANDBOX_PLANE_MAIL_H
#define SANDBOX_PLANE_MAIL_H

#include <jansson.h>

#include "tests/sandbox/plane_world.h"

struct sandbox;

struct plane_news {     /* one changed key of one issue */
    const char *action; /* "created", "updated" */
    const char *field;  /* NULL when created */
    const char *old_value, *new_value, *old_identifier, *new_identifier;
};

/* plane_mail_note: keeps the news until the change is over; returns what it keeps, borrowed, NULL when no
 * webhook is to be sent. plane_mail_flush: makes the webhooks of all that was kept, showing the issues as
 * they are by now, and sends or loses them. */
json_t *plane_mail_note(struct plane_issue *issue, const struct plane_news *news);
void plane_mail_flush(struct sandbox *sandbox);
/* plane_mail_moved: the news of a state change: by the web's board ("state_id", and "sort_order" with it when
 * dragged), or by the API ("state"; nothing before 1.3.0). Up to 0.26 the activity log sent one more, with
 * names. */
void plane_mail_moved(struct plane_issue *issue, const struct plane_state *old, bool by_api, bool dragged);
/* plane_mail_check: switches the webhook off when a delivery was given up. */
void plane_mail_check(struct sandbox *sandbox);

#endif
