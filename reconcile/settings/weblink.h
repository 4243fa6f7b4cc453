/* weblink.h - the pages of Gitea and Plane that a person opens, below ORCH_GITEA_WEB_URL and
 * ORCH_PLANE_WEB_URL, which default to the URLs of their APIs. Pure, thread-safe.
 *
 * Each returns NULL where the URL is not set or what is to be shown is not known; caller frees.
 */
#ifndef RECONCILED_WEBLINK_H
#define RECONCILED_WEBLINK_H

#include <stdint.h>

struct settings;

/* weblink_branch, weblink_commit, weblink_tree (its files) and weblink_pull: of a repo "owner/name". */
char *weblink_branch(const struct settings *settings, const char *repo, const char *branch);
char *weblink_commit(const struct settings *settings, const char *repo, const char *sha);
char *weblink_tree(const struct settings *settings, const char *repo, const char *sha);
char *weblink_pull(const struct settings *settings, const char *repo, int64_t number);

/* weblink_issue: of a Plane project, by its id and the issue's. */
char *weblink_issue(const struct settings *settings, const char *project_id, const char *issue_id);

/* weblink_task: the issue of a task with this plane_id, in the task's project (settings_project). */
char *weblink_task(const struct settings *settings, const char *repo, const char *work_item_id,
                   const char *plane_id);

#endif
