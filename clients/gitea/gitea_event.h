/* gitea_event.h - the bodies of Gitea's webhooks, made of what its REST API answers: byte for byte what Gitea
 * would have sent, as far as the API answers it. Pure, thread-safe.
 *
 * The objects within (repository, pull request, user, commit) are the same structs in both places
 * (modules/structs/hook.go, services/convert), and pass through as they are. What differs and is known: times
 * of a status are UTC in a webhook; its commit has no verification, and lists of files; a repository has no
 * language. What differs and the API does not show: `id` of a status is the database's in a webhook and
 * counts per commit in REST; `permissions` and what a user hides from others are as our token sees them.
 *
 * Every event is NULL when a document is not what it should be. Caller frees.
 */
#ifndef RECONCILED_EVENT_GITEA_H
#define RECONCILED_EVENT_GITEA_H

#include <jansson.h>
#include <stdbool.h>

/* What differs between releases. */
struct gitea_release {
    bool forgejo;        /* sends its headers as X-Forgejo-* too */
    bool names_reviewer; /* `requested_reviewer` of a review: Gitea 1.23, Forgejo */
    bool names_target;   /* headers *-Hook-Installation-Target-Type: Gitea 1.24, not Forgejo */
    bool sends_status;   /* a webhook can be set up for the event "status": Gitea 1.23.2, not Forgejo */
};
/* event_gitea_release: from what Gitea answers for its version. What has no number counts as the newest. */
struct gitea_release event_gitea_release(const json_t *version);

/* event_gitea_status: that `status` (a row of a commit's statuses) was set on `commit` (a branch's), whose
 * files `git_commit` (of git/commits/) lists. */
char *event_gitea_status(const json_t *repository, const json_t *commit, const json_t *git_commit,
                         const json_t *status);

/* event_gitea_approved: that `review` approved `pull`. */
char *event_gitea_approved(const struct gitea_release *release, const json_t *repository, const json_t *pull,
                           const json_t *review);

/* event_gitea_closed: that `pull` was merged. */
char *event_gitea_closed(const json_t *repository, const json_t *pull);

/* event_gitea_text: a value as Go's json.MarshalIndent(value, "", "  ") writes it: as jansson does, but for
 * HTML characters and line separators, which are escaped, and lower-case hex. NULL beyond LIMIT_EVENT. */
char *event_gitea_text(const json_t *value);

#endif
