/* gitea_event.h - the bodies of Gitea's webhooks, made of what its REST API answers: byte for byte what Gitea
 * would have sent, as far as the API tells it. Pure, thread-safe.
 *
 * The objects within (repository, pull request, user, commit) are the same structs in both places
 * (modules/structs/hook.go, services/convert), and so pass through as they are. What differs: `id` of a
 * status is the database's in a webhook and counts per commit in REST, which alone is known here; times of a
 * status are UTC in a webhook; and a repository's `permissions` are those of our token.
 *
 * Every function returns NULL when a document is not what it should be. Caller frees.
 */
#ifndef RECONCILED_EVENT_GITEA_H
#define RECONCILED_EVENT_GITEA_H

#include <jansson.h>

/* event_gitea_status: that `status` (a row of a commit's statuses) was set on `commit` (a branch's). */
char *event_gitea_status(const json_t *repository, const json_t *commit, const json_t *status);

/* event_gitea_approved: that `review` approved `pull`. */
char *event_gitea_approved(const json_t *repository, const json_t *pull, const json_t *review);

/* event_gitea_closed: that `pull` was merged. */
char *event_gitea_closed(const json_t *repository, const json_t *pull);

/* event_gitea_text: a value as Go's json.MarshalIndent(value, "", "  ") writes it: as jansson does, but for
 * HTML characters and line separators, which are escaped, and lower-case hex. */
char *event_gitea_text(const json_t *value);

#endif
