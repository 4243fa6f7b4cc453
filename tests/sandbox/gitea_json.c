/* Gitea's objects, member by member in the order of its structs (modules/structs, services/convert). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sandbox/gitea.h"

#define NEVER "0001-01-01T00:00:00Z" /* how Go prints an instant that was not set */

void gitea_put_instant(struct out *out, const char *key, const struct world *world, int64_t seconds)
{
    out_instant(out, key, seconds, world->zone_min);
}

static int64_t user_id(const char *login)
{
    int64_t id = 7;
    for (; *login; login++)
        id = (id * 31 + (unsigned char)*login) % 99991;
    return id + 1;
}

void gitea_put_user(struct out *out, const char *key, const struct world *world, const char *login)
{
    bool ghost = strcmp(login, "Ghost") == 0;
    out_open(out, key, '{');
    out_int(out, "id", ghost ? -1 : user_id(login));
    out_text(out, "login", login);
    out_text(out, "login_name", "");
    out_int(out, "source_id", 0);
    out_text(out, "full_name", "");
    out_made(out, "email", "%s@noreply.localhost", login);
    out_made(out, "avatar_url", "%savatars/%s", world->root_url, login);
    out_made(out, "html_url", "%s%s", world->root_url, login);
    out_text(out, "language", "");
    out_bool(out, "is_admin", false);
    out_text(out, "last_login", NEVER);
    out_text(out, "created", "2024-01-01T00:00:00Z");
    out_bool(out, "restricted", false);
    out_bool(out, "active", false);
    out_bool(out, "prohibit_login", false);
    out_text(out, "location", "");
    out_text(out, "website", "");
    out_text(out, "description", "");
    out_text(out, "visibility", "public");
    out_int(out, "followers_count", 0);
    out_int(out, "following_count", 0);
    out_int(out, "starred_repos_count", 0);
    out_text(out, "username", login);
    out_close(out, '}');
}

/* What 1.25 added to a repository's object, and what it no longer shows as null. */
enum { SINCE_HAS_CODE = 12500 };

static void put_features(struct out *out, bool newer)
{
    static const char *const features[] = {"has_wiki",      "has_pull_requests", "has_projects",
                                           "projects_mode", "has_releases",      "has_packages",
                                           "has_actions"};
    if (newer)
        out_bool(out, "has_code", true);
    out_bool(out, "has_issues", true);
    out_open(out, "internal_tracker", '{');
    out_bool(out, "enable_time_tracker", true);
    out_bool(out, "allow_only_contributors_to_track_time", true);
    out_bool(out, "enable_issue_dependencies", true);
    out_close(out, '}');
    for (size_t i = 0; i < ARRAY_LEN(features); i++) {
        if (strcmp(features[i], "projects_mode") == 0)
            out_text(out, features[i], "all");
        else
            out_bool(out, features[i], true);
    }
}

static void put_repo_numbers(struct out *out, const struct repo *repo)
{
    static const char *const merging[] = {"allow_merge_commits",           "allow_rebase",
                                          "allow_rebase_explicit",         "allow_squash_merge",
                                          "allow_fast_forward_only_merge", "allow_rebase_update"};
    bool newer = repo->world->version >= SINCE_HAS_CODE;
    out_int(out, "stars_count", 0);
    out_int(out, "forks_count", 0);
    out_int(out, "watchers_count", 1);
    out_int(out, "open_issues_count", 0);
    out_int(out, "open_pr_counter", (int64_t)repo->pulls.n);
    out_int(out, "release_counter", 0);
    out_text(out, "default_branch", repo->default_branch);
    out_bool(out, "archived", repo->archived);
    gitea_put_instant(out, "created_at", repo->world, repo->created_s);
    gitea_put_instant(out, "updated_at", repo->world, repo->updated_s);
    out_text(out, "archived_at", "1970-01-01T00:00:00Z");
    out_open(out, "permissions", '{');
    out_bool(out, "admin", false);
    out_bool(out, "push", !repo->archived);
    out_bool(out, "pull", true);
    out_close(out, '}');
    put_features(out, newer);
    out_bool(out, "ignore_whitespace_conflicts", false);
    for (size_t i = 0; i < ARRAY_LEN(merging); i++)
        out_bool(out, merging[i], true);
    if (newer) {
        out_bool(out, "allow_manual_merge", false);
        out_bool(out, "autodetect_manual_merge", false);
    }
    out_bool(out, "default_delete_branch_after_merge", false);
    out_text(out, "default_merge_style", "merge");
    out_bool(out, "default_allow_maintainer_edit", false);
    out_text(out, "avatar_url", "");
    out_bool(out, "internal", false);
    out_text(out, "mirror_interval", "");
    out_text(out, "object_format_name", "sha1");
    out_text(out, "mirror_updated", NEVER);
    if (newer) {
        out_ready(out, "topics", "[]");
        out_ready(out, "licenses", "[]");
    } else
        out_null(out, "repo_transfer");
}

void gitea_put_repo(struct out *out, const struct repo *repo, const char *language)
{
    const char *root = repo->world->root_url, *name = repo->full_name;
    out_open(out, NULL, '{');
    out_int(out, "id", repo->id);
    gitea_put_user(out, "owner", repo->world, repo->owner);
    out_text(out, "name", repo->name);
    out_text(out, "full_name", name);
    out_text(out, "description", repo->description);
    out_bool(out, "empty", repo->empty);
    out_bool(out, "private", repo->private);
    out_bool(out, "fork", false);
    out_bool(out, "template", false);
    if (repo->world->version < SINCE_HAS_CODE)
        out_null(out, "parent");
    out_bool(out, "mirror", repo->mirror);
    out_int(out, "size", 120);
    out_text(out, "language", language);
    out_made(out, "languages_url", "%sapi/v1/repos/%s/languages", root, name);
    out_made(out, "html_url", "%s%s", root, name);
    out_made(out, "url", "%sapi/v1/repos/%s", root, name);
    out_text(out, "link", "");
    out_made(out, "ssh_url", "git@localhost:%s.git", name);
    out_made(out, "clone_url", "%s%s.git", root, name);
    out_text(out, "original_url", "");
    out_text(out, "website", "");
    put_repo_numbers(out, repo);
    out_close(out, '}');
}

/* Made once and kept: every combined status and pull request carries the whole object. Two readers may make
 * it at the same time; the one that comes second throws its own away. */
const char *gitea_repo_json(struct repo *repo)
{
    char *shown = __atomic_load_n(&repo->shown, __ATOMIC_ACQUIRE);
    if (shown)
        return shown;
    struct out out = {0};
    gitea_put_repo(&out, repo, "");
    char *made = out_take(&out);
    if (__atomic_compare_exchange_n(&repo->shown, &shown, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return made;
    free(made);
    return shown;
}

static void put_person(struct out *out, const char *key, const char *login)
{
    out_open(out, key, '{');
    out_text(out, "name", login);
    out_made(out, "email", "%s@noreply.localhost", login);
    out_text(out, "username", login);
    out_close(out, '}');
}

/* PayloadCommit: its sha is called id. */
static void open_commit(struct out *out, const char *key, const struct repo *repo,
                        const struct commit *commit)
{
    out_open(out, key, '{');
    out_text(out, "id", commit->sha);
    out_text(out, "message", commit->message);
    out_made(out, "url", "%s%s/commit/%s", repo->world->root_url, repo->full_name, commit->sha);
    put_person(out, "author", commit->author);
    put_person(out, "committer", commit->author);
}

void gitea_put_verification(struct out *out)
{
    out_open(out, "verification", '{');
    out_bool(out, "verified", false);
    out_text(out, "reason", "gpg.error.not_signed_commit");
    out_text(out, "signature", "");
    out_null(out, "signer");
    out_text(out, "payload", "");
    out_close(out, '}');
}

void gitea_put_commit(struct out *out, const char *key, const struct repo *repo, const struct commit *commit)
{
    open_commit(out, key, repo, commit);
    gitea_put_verification(out);
    gitea_put_instant(out, "timestamp", repo->world, commit->time_s);
    out_null(out, "added");
    out_null(out, "removed");
    out_null(out, "modified");
    out_close(out, '}');
}

void gitea_put_sent_commit(struct out *out, const char *key, const struct repo *repo,
                           const struct commit *commit)
{
    open_commit(out, key, repo, commit);
    out_null(out, "verification");
    gitea_put_instant(out, "timestamp", repo->world, commit->time_s);
    out_open(out, "added", '[');
    for (size_t i = 0; i < commit->files.n; i++)
        out_text(out, NULL, ((const struct file *)commit->files.items[i])->path);
    out_close(out, ']');
    out_ready(out, "removed", "[]");
    out_ready(out, "modified", "[]");
    out_close(out, '}');
}

void gitea_put_branch(struct out *out, const char *key, const struct repo *repo, const struct branch *branch)
{
    out_open(out, key, '{');
    out_text(out, "name", branch->name);
    gitea_put_commit(out, "commit", repo, branch->commit);
    out_bool(out, "protected", branch->protected);
    out_int(out, "required_approvals", branch->protected ? 1 : 0);
    out_bool(out, "enable_status_check", false);
    out_ready(out, "status_check_contexts", "[]");
    out_bool(out, "user_can_push", !repo->archived);
    out_bool(out, "user_can_merge", !repo->archived);
    out_text(out, "effective_branch_protection_name", branch->protected ? branch->name : "");
    out_close(out, '}');
}

/* Rows have `status` where the combined object, the create body and the webhook have `state`. */
void gitea_put_status(struct out *out, const char *key, const struct repo *repo, const struct commit *commit,
                      const struct status *status)
{
    out_open(out, key, '{');
    out_int(out, "id", status->index);
    out_text(out, "status", status->state);
    out_text(out, "target_url", status->target_url);
    out_text(out, "description", status->description);
    out_made(out, "url", "%sapi/v1/repos/%s/statuses/%s", repo->world->root_url, repo->full_name,
             commit->sha);
    out_text(out, "context", status->context);
    gitea_put_user(out, "creator", repo->world, status->creator);
    gitea_put_instant(out, "created_at", repo->world, status->created_s);
    gitea_put_instant(out, "updated_at", repo->world, status->created_s); /* a copy, in Gitea too */
    out_close(out, '}');
}

void gitea_put_review(struct out *out, const struct repo *repo, const struct pull *pull,
                      const struct review *review)
{
    const struct world *world = repo->world;
    out_open(out, NULL, '{');
    out_int(out, "id", review->id);
    if (review->team)
        out_null(out, "user");
    else
        gitea_put_user(out, "user", world, review->user ? review->user : "Ghost");
    if (review->team) {
        out_open(out, "team", '{');
        out_int(out, "id", user_id(review->team));
        out_text(out, "name", review->team);
        out_text(out, "description", "");
        out_text(out, "permission", "write");
        out_close(out, '}');
    } else
        out_null(out, "team");
    out_text(out, "state", review_state_names[review->state]);
    out_text(out, "body", review->body);
    out_text(out, "commit_id", review->commit_id);
    out_bool(out, "stale", review->stale);
    out_bool(out, "official", review->official);
    out_bool(out, "dismissed", review->dismissed);
    out_int(out, "comments_count", review->comments);
    gitea_put_instant(out, "submitted_at", world, review->submitted_s);
    gitea_put_instant(out, "updated_at", world, review->updated_s);
    out_made(out, "html_url", "%s%s/pulls/%lld#issuecomment-%lld", world->root_url, repo->full_name,
             (long long)pull->number, (long long)review->id);
    out_made(out, "pull_request_url", "%s%s/pulls/%lld", world->root_url, repo->full_name,
             (long long)pull->number);
    out_close(out, '}');
}
