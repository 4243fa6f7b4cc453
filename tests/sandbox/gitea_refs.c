/* Branches: routers/api/v1/repo/branch.go. */
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "tests/sandbox/gitea.h"
#include "tests/sandbox/mailer.h"
#include "tests/sandbox/sandbox.h"

/* Counts all, shows those that fit; a broken one is counted and left out after paging, so a page may be
 * short. */
static void list_filtered(struct call *call, const struct repo *repo, const char *q)
{
    struct branch_room room;
    size_t total = 0, n = repo_branch_count(repo);
    for (size_t i = 0; i < n; i++) {
        const struct branch *branch = repo_branch_at(repo, i, &room);
        total += branch && strstr(branch->name, q);
    }
    struct gitea_page page = gitea_page(call, total);
    struct out *out = gitea_ok(call, 200);
    out_open(out, NULL, '[');
    for (size_t i = 0, at = 0; i < n && at < page.to; i++) {
        const struct branch *branch = repo_branch_at(repo, i, &room);
        if (!branch || !strstr(branch->name, q))
            continue;
        if (at++ >= page.from && !branch->broken)
            gitea_put_branch(out, NULL, repo, branch);
    }
    out_close(out, ']');
    gitea_paged(call, &page, true);
}

void gitea_branches_list(struct call *call)
{
    const struct repo *repo = gitea_repo(call);
    if (!repo)
        return;
    const char *q = call_query(call, "q");
    if (q && *q) {
        list_filtered(call, repo, q);
        return;
    }
    struct gitea_page page = gitea_page(call, repo_branch_count(repo));
    struct out *out = gitea_ok(call, 200);
    if (repo->empty) { /* a nil slice */
        out_plain(out, "null");
        gitea_paged(call, &page, true);
        return;
    }
    struct branch_room room;
    out_open(out, NULL, '[');
    for (size_t i = page.from; i < page.to; i++) {
        const struct branch *branch = repo_branch_at(repo, i, &room);
        if (branch && !branch->broken)
            gitea_put_branch(out, NULL, repo, branch);
    }
    out_close(out, ']');
    gitea_paged(call, &page, true);
}

void gitea_branch_get(struct call *call)
{
    struct branch_room room;
    const struct repo *repo = gitea_repo(call);
    if (!repo)
        return;
    const struct branch *branch = repo_branch(repo, call->params[2], &room);
    if (!branch)
        gitea_error(call, 404, "branch does not exist");
    else if (branch->broken)
        gitea_internal(call);
    else
        gitea_put_branch(gitea_ok(call, 200), NULL, repo, branch);
}

/* The commit to branch from; NULL when it has answered. An unknown old_ref_name is reported as an internal
 * error. */
static struct commit *source_of(struct call *call, struct repo *repo, const json_t *body)
{
    const char *ref = json_get_text(body, "old_ref_name", ""),
               *branch = json_get_text(body, "old_branch_name", "");
    struct commit *commit;
    if (*ref) {
        commit = repo_own_commit(repo, ref);
        if (!commit)
            gitea_internal(call);
        return commit;
    }
    struct branch *source = repo_own_branch(repo, *branch ? branch : repo->default_branch);
    if (!source)
        gitea_error(call, 404, "The old branch does not exist");
    return source ? source->commit : NULL;
}

/* Git keeps a branch as a file: "a" and "a/b" cannot both be. */
static bool is_in_the_way(const struct repo *repo, const char *name)
{
    struct branch_room room;
    size_t len = strlen(name);
    for (size_t i = 0; i < repo_branch_count(repo); i++) {
        const struct branch *branch = repo_branch_at(repo, i, &room);
        size_t other = branch ? strlen(branch->name) : 0;
        if (branch && other != len && strncmp(branch->name, name, other < len ? other : len) == 0 &&
            (other < len ? name : branch->name)[other < len ? other : len] == '/')
            return true;
    }
    return false;
}

/* git check-ref-format, in part. */
static bool is_bad_name(const char *name)
{
    size_t len = strlen(name);
    return strpbrk(name, " ~^:?*[\\\x7f") || strstr(name, "..") || strstr(name, "@{") || strstr(name, "//") ||
           *name == '/' || *name == '-' || name[len - 1] == '/' || name[len - 1] == '.' ||
           (len > 5 && strcmp(name + len - 5, ".lock") == 0);
}

void gitea_branch_create(struct call *call)
{
    struct branch_room room;
    struct repo *repo = gitea_repo_writable(call);
    if (!repo)
        return;
    json_t *body = call_json(call, NULL);
    const char *name = json_get_text(body, "new_branch_name", "");
    struct commit *commit = NULL;
    if (repo->empty)
        gitea_error(call, 404, "Git Repository is empty.");
    else if (repo->mirror)
        gitea_error(call, 403, "Git Repository is a mirror.");
    else if (!*name)
        gitea_error(call, 422, "[NewBranchName]: Required");
    else if (is_bad_name(name))
        gitea_error(call, 422, "[NewBranchName]: GitRefName");
    else if ((commit = source_of(call, repo, body)) && repo_branch(repo, name, &room))
        gitea_error(call, 409, "The branch already exists.");
    else if (commit && map_get(&repo->tags, name))
        gitea_error(call, 409, "The branch with the same tag already exists.");
    else if (commit && is_in_the_way(repo, name))
        gitea_error(call, 409, "The branch already exists.");
    else if (commit) {
        const struct branch *branch = repo_set_branch(repo, name, commit);
        world_settle(repo->world);
        gitea_put_branch(gitea_ok(call, 201), NULL, repo, branch);
        mail_create(call->sandbox, repo, branch);
    }
    json_decref(body);
}
