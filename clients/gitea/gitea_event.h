/* gitea_event.h - makes the bodies of Gitea's webhooks from answers of its REST API: byte for byte what Gitea
 * would have sent, as far as the API shows it. Pure, thread-safe.
 *
 * The objects within (repository, pull request, user, commit) are the same structs in both places
 * (modules/structs/hook.go, services/convert), and are copied. Some members differ in a webhook and are
 * changed here: times of a status are UTC; its commit has lists of files and no verification; a repository
 * has no language. Others differ and cannot be known from the API: `id` of a status is the database's in a
 * webhook and counts per commit in REST; `permissions`, and what a user hides from others, are as this
 * program's token sees them.
 *
 * Every function that makes an event returns NULL if a document has not the expected form. Caller frees.
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
/* event_gitea_release: reads Gitea's answer to version/. A version without a number counts as the newest. */
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

/* event_gitea_text: a value as Go's json.MarshalIndent(value, "", "  ") writes it: like jansson, except that
 * HTML characters and line separators are escaped and hex is lower case. NULL beyond LIMIT_EVENT. */
char *event_gitea_text(const json_t *value);

#endif
