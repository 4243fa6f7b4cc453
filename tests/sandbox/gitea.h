/* gitea.h - the stand-in Gitea from within: what its endpoints share. */
#ifndef SANDBOX_GITEA_H
#define SANDBOX_GITEA_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/sandbox/call.h"
#include "tests/sandbox/world.h"

/* The endpoints, by resource. */
call_serve_fn gitea_branches_list, gitea_branch_get, gitea_branch_create; /* gitea_refs.c */
call_serve_fn gitea_combined_status, gitea_statuses_by_ref, gitea_statuses,
    gitea_status_create; /* gitea_status.c */
call_serve_fn gitea_pulls_list, gitea_pull_get, gitea_pull_by_branches, gitea_pull_merged, gitea_pull_merge,
    gitea_reviews_list, gitea_review_get;                              /* gitea_pulls.c */
call_serve_fn gitea_contents, gitea_raw, gitea_git_commit, gitea_tree; /* gitea_files.c */
call_serve_fn gitea_hooks_list, gitea_hook_create;                     /* gitea_hooks.c */
call_serve_fn gitea_owner_hooks_list, gitea_owner_hook_create, gitea_system_hooks_list,
    gitea_system_hook_create;

/* gitea_repo: the repository named by the first two parameters; NULL when it has answered (404, or 301 after
 * a rename). gitea_repo_writable: also 423 when archived. */
struct repo *gitea_repo(struct call *call);
struct repo *gitea_repo_writable(struct call *call);

/* gitea_error: {"message","url"}. gitea_not_found: 404. gitea_internal: 500 with an empty message, as any
 * caller but an administrator sees it. gitea_ok: JSON follows in call->out. */
void gitea_error(struct call *call, int status, const char *message);
void gitea_not_found(struct call *call);
void gitea_internal(struct call *call);
struct out *gitea_ok(struct call *call, int status);

/* Paging: page from 1, limit 30 unless asked for and never above 50. gitea_paged sets X-Total-Count and,
 * where Gitea does, Link. */
struct gitea_page {
    size_t page, limit, from, to; /* rows [from, to) of `total` */
    size_t total;
};
struct gitea_page gitea_page(const struct call *call, size_t total);
void gitea_paged(struct call *call, const struct gitea_page *page, bool link);

/* JSON of Gitea's objects (gitea_json.c). gitea_put_repo: with its main language, which GET of the repository
 * alone loads. gitea_put_sent_commit: as webhooks show it: not verified, and with its files. */
const char *gitea_repo_json(struct repo *repo);
void gitea_put_repo(struct out *out, const struct repo *repo, const char *language);
void gitea_put_user(struct out *out, const char *key, const struct world *world, const char *login);
void gitea_put_instant(struct out *out, const char *key, const struct world *world, int64_t seconds);
void gitea_put_commit(struct out *out, const char *key, const struct repo *repo, const struct commit *commit);
void gitea_put_verification(struct out *out);
void gitea_put_sent_commit(struct out *out, const char *key, const struct repo *repo,
                           const struct commit *commit);
void gitea_put_branch(struct out *out, const char *key, const struct repo *repo, const struct branch *branch);
void gitea_put_status(struct out *out, const char *key, const struct repo *repo, const struct commit *commit,
                      const struct status *status);
/* gitea_put_pull: `listed`: as a row of a list. */
void gitea_put_pull(struct out *out, const char *key, struct repo *repo, const struct pull *pull,
                    bool listed);
void gitea_put_review(struct out *out, const struct repo *repo, const struct pull *pull,
                      const struct review *review);

#endif
