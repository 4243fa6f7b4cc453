#include "reconcile/settings/weblink.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/http/fetch.h"
#include "reconcile/settings/settings.h"

enum { SEGMENTS_MAX = 32 };

/* `path` and, if it is not NULL, `more`, each split at its slashes, so that a slash stays one. */
static char *page(const char *base, const char *path, const char *more)
{
    const char *segments[SEGMENTS_MAX + 1];
    size_t n = 0;
    AUTO_FREE char *whole = more ? mem_printf("%s/%s", path, more) : mem_dup(path);
    char *rest = whole;
    for (char *segment; n < SEGMENTS_MAX && (segment = strsep(&rest, "/"));)
        segments[n++] = segment;
    segments[n] = NULL;
    return rest ? NULL : fetch_url(base, segments, NULL);
}

/* Gitea: RepoLink and util.PathEscapeSegments of routers/web/repo. */
static char *gitea_page(const struct settings *settings, const char *repo, const char *kind, const char *name)
{
    const char *base = settings->gitea_web_url ? settings->gitea_web_url : settings->gitea_url;
    if (!base || !repo || !strchr(repo, '/') || !name || !*name)
        return NULL;
    AUTO_FREE char *path = mem_printf("%s/%s", repo, kind);
    return page(base, path, name);
}

char *weblink_branch(const struct settings *settings, const char *repo, const char *branch)
{
    return gitea_page(settings, repo, "src/branch", branch);
}

char *weblink_commit(const struct settings *settings, const char *repo, const char *sha)
{
    return gitea_page(settings, repo, "commit", sha);
}

char *weblink_tree(const struct settings *settings, const char *repo, const char *sha)
{
    return gitea_page(settings, repo, "src/commit", sha);
}

char *weblink_pull(const struct settings *settings, const char *repo, int64_t number)
{
    char name[24];
    snprintf(name, sizeof name, "%" PRId64, number);
    return number > 0 ? gitea_page(settings, repo, "pulls", name) : NULL;
}

/* The path of Plane's mails (email_notification_task.py); newer versions lead on from it to /browse/. */
char *weblink_issue(const struct settings *settings, const char *project_id, const char *issue_id)
{
    const char *base = settings->plane_web_url ? settings->plane_web_url : settings->plane_url;
    if (!base || !settings->plane_workspace || !project_id || !issue_id || !*issue_id)
        return NULL;
    const char *const segments[] = {
        settings->plane_workspace, "projects", project_id, "issues", issue_id, NULL};
    return fetch_url(base, segments, NULL);
}

char *weblink_task(const struct settings *settings, const char *repo, const char *work_item_id,
                   const char *plane_id)
{
    const struct project *project = settings_project(settings, repo, work_item_id);
    return project ? weblink_issue(settings, project->plane_project_id, plane_id) : NULL;
}
