/* mailer.h - webhooks: made as Gitea and Plane make them, sent, or lost on purpose. Gitea's are sent once,
 * never again.
 *
 * Called while the world is held for writing; a thread of the mailer's own does the sending. Receivers on
 * loopback alone. mail_mode decides.
 */
#ifndef SANDBOX_MAILER_H
#define SANDBOX_MAILER_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sandbox/out.h"

struct branch;
struct commit;
struct mailer;
struct pull;
struct repo;
struct review;
struct sandbox;
struct status;
struct world;

enum mail_sender { MAIL_GITEA, MAIL_PLANE, MAIL_SENDER_MAX };

struct mailer *mailer_new(void);
void mailer_free(struct mailer *mailer);
/* mailer_write: members of an object: queued, sent, failed, lost, deliveries (the last ones, oldest first),
 * of one sender. A receiver that answers anything but 2xx counts as failed for Gitea, one that gives no
 * answer for Plane. */
void mailer_write(struct mailer *mailer, enum mail_sender sender, struct out *out);
void mailer_reset(struct mailer *mailer);

/* mailer_post: one event to every webhook that wants it. `event` and `type` are the two header values;
 * `wanted` the name in a webhook's list that takes it. Takes the payload. */
void mailer_post(struct sandbox *sandbox, const struct repo *repo, const char *event, const char *type,
                 const char *wanted, struct out *payload_take);

/* mailer_post_plane: one event to Plane's webhook; tried again at once so many times while there is no
 * answer. `event` is static. mailer_gave_up: whether the last try of any has failed since this was last
 * asked. */
void mailer_post_plane(struct mailer *mailer, const char *url, const char *secret, const char *event,
                       int64_t retries, bool lose, char *payload_take);
bool mailer_gave_up(struct mailer *mailer);

/* The events (mail.c). mail_pull: action as in the payload; with a review (approved or rejected) it is that
 * event. */
void mail_status(struct sandbox *sandbox, struct repo *repo, const struct commit *commit,
                 const struct status *status);
void mail_push(struct sandbox *sandbox, struct repo *repo, const struct branch *branch, const char *before);
void mail_create(struct sandbox *sandbox, struct repo *repo, const struct branch *branch);
void mail_delete(struct sandbox *sandbox, struct repo *repo, const char *branch);
void mail_pull(struct sandbox *sandbox, struct repo *repo, const struct pull *pull, const char *action,
               const struct review *review);

#endif
