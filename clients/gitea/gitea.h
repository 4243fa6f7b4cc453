/* gitea.h - what we ask of Gitea, as facts in a fact set (facts.h).
 *
 * Every function looks a fact up: the first call asks, later calls return the same fact, pending or settled.
 * Each handles what Gitea is known to answer in versions 1.22 to 1.27 (sources in gitea.c): pages of 50,
 * `statuses: null`, an empty or "pending" combined state, 301 after a rename, 404 that hides a missing right,
 * HTML from a proxy, a body cut in the middle. An answer that cannot be understood is FACT_FAILED with an
 * error, never a guess.
 */
#ifndef RECONCILED_GITEA_H
#define RECONCILED_GITEA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/facts/facts.h"

struct gitea; /* where Gitea is and the token; immutable, thread-safe */

/* gitea_new: if `base_url` is NULL or "", every fact of this Gitea is FACT_FAILED, because its URL is not
 * set. `token` may be NULL. `names` must outlive the client. ERR_INVALID: no http(s) URL, one with a user
 * name in it (facts show URLs), or a token that no header can carry. Free with gitea_free. */
struct upstream_names;
ATTR_NODISCARD enum err gitea_new(const char *base_url, const char *token, const struct upstream_names *names,
                                  struct gitea **ret, struct why *why);
void gitea_free(struct gitea *gitea);
bool gitea_configured(const struct gitea *gitea);

/* gitea_check: asks Gitea, whose URL must be set, for its version, which shows whether the URL is right, then
 * for each of these repositories, all at the same time. Returns NULL if every answer was good, else what is
 * wrong, for a person; caller frees. */
struct fetch;
char *gitea_check(const struct gitea *gitea, struct fetch *fetch, const char *const *repos, size_t n);

/* gitea_health: by repository, in lower case; NULL where Gitea is not set up. It lives as long as `gitea`. */
struct upstream_health;
struct upstream_health *gitea_health(const struct gitea *gitea);

/* The head commit of a branch (exactly a branch: never a tag or a sha of that name). FACT_ABSENT: no such
 * branch, or no such repo for this token. When many heads of one repo are wanted at once the branches are
 * listed page by page instead of one by one, if that takes fewer calls. */
struct gitea_head {
    struct fact fact;
    const char *sha;
};
const struct gitea_head *gitea_head(struct facts *facts, struct gitea *gitea, const char *repo,
                                    const char *branch);

/* gitea_heads_wanted: announces that the heads of these branches of one repo will be asked for, so that
 * gitea_head may answer them together. Optional; call it before the first gitea_head of that repo. */
void gitea_heads_wanted(struct facts *facts, struct gitea *gitea, const char *repo, size_t n_branches);

/* A repo. FACT_ABSENT: no such repo for this token. Its default branch need not exist: in an empty repo it
 * does not. */
struct gitea_repo {
    struct fact fact;
    const char *default_branch;
    const char *full_name; /* its present name, which differs from the one asked for if it was renamed */
};
const struct gitea_repo *gitea_repo(struct facts *facts, struct gitea *gitea, const char *repo);

/* The newest status of each context of a commit, over all pages, in Gitea's order. Two items may have the
 * same context: from 1.27 on, Gitea also distinguishes contexts by the workflow's file. Each counts, so that
 * a green one does not hide a red one of the same name. */
enum gitea_state {
    GITEA_SUCCESS,
    GITEA_SKIPPED,
    GITEA_PENDING,
    GITEA_FAILURE,
    GITEA_ERROR,
    GITEA_WARNING,
    GITEA_UNHEARD_OF, /* a state no version we know of sends */
};
const char *gitea_state_name(enum gitea_state state);
struct gitea_status {
    const char *context;
    enum gitea_state state;
    const char *target_url; /* may be NULL */
};
struct gitea_statuses {
    struct fact
        fact; /* of an existing commit never FACT_ABSENT: without any status it is FACT_KNOWN with n == 0 */
    const struct gitea_status *items;
    size_t n;
};
const struct gitea_statuses *gitea_statuses(struct facts *facts, struct gitea *gitea, const char *repo,
                                            const char *sha);

/* The pull request of a branch of the same repo into `base`: the open one if there is one, else a merged one,
 * else a closed one. FACT_ABSENT: none was ever opened; the members then describe one into another base that
 * is open or was merged recently, or `number` is 0. It is found even after its head branch was deleted.
 * Gitea's look-up by branches may return a closed one although a newer one was merged. The merged one is then
 * looked for among the recently closed; if there are too many of these, the fact is FACT_FAILED. */
enum gitea_pull_state { GITEA_PULL_OPEN, GITEA_PULL_MERGED, GITEA_PULL_CLOSED };
struct gitea_pull {
    struct fact fact;
    int64_t number;
    enum gitea_pull_state state;
    bool draft;
    const char *base;
    const char *head_sha; /* may be NULL */
};
const struct gitea_pull *gitea_pull(struct facts *facts, struct gitea *gitea, const char *repo,
                                    const char *base, const char *branch);

/* The open pull requests of a repo, over all pages: the list that gitea_pull reads too, asked for once.
 * FACT_ABSENT: no such repo for this token. FACT_FAILED also if the list may be incomplete: a row cannot be
 * read, or rows moved while the list was read. */
struct gitea_open_pull {
    int64_t number;
    const char *head_sha; /* may be NULL */
    const char *branch; /* its head branch, even if that was deleted; NULL: it is in another repo, or there is
                           none (AGit) */
};
struct gitea_open_pulls {
    struct fact fact;
    const struct gitea_open_pull *items;
    size_t n;
};
const struct gitea_open_pulls *gitea_open_pulls(struct facts *facts, struct gitea *gitea, const char *repo);

/* The reviews of a pull request, oldest first, over all pages: the raw history; the gate judges it. */
enum gitea_review_state {
    GITEA_REVIEW_APPROVED,
    GITEA_REVIEW_CHANGES,
    GITEA_REVIEW_COMMENT,
    GITEA_REVIEW_PENDING,
    GITEA_REVIEW_REQUESTED,
    GITEA_REVIEW_OTHER,
};
/* official: Gitea counts it; false once its author is asked to review again. */
struct gitea_review {
    int64_t id;       /* -1 when not given */
    const char *user; /* login; NULL for a team or a ghost */
    enum gitea_review_state state;
    bool stale, dismissed, official;
    const char *commit_id; /* may be NULL */
};
struct gitea_reviews {
    struct fact fact;
    const struct gitea_review *items;
    size_t n;
};
const struct gitea_reviews *gitea_reviews(struct facts *facts, struct gitea *gitea, const char *repo,
                                          int64_t number);

/* Whether `path` of a commit is a file, or a folder that directly holds a file. A symbolic link counts as a
 * file, a submodule does not. FACT_ABSENT: nothing is there. The content of files is not read. */
struct gitea_files {
    struct fact fact;
    const char *first; /* path of a file there; NULL: it holds none */
};
const struct gitea_files *gitea_files(struct facts *facts, struct gitea *gitea, const char *repo,
                                      const char *commit, const char *path);

/* A whole answer of Gitea, for callers that pass it on. FACT_ABSENT: Gitea answered 404 to this token. */
struct gitea_document {
    struct fact fact;
    const char *text; /* JSON, the members in Gitea's order */
};
const struct gitea_document *gitea_repo_document(struct facts *facts, struct gitea *gitea, const char *repo);
const struct gitea_document *gitea_branch_document(struct facts *facts, struct gitea *gitea, const char *repo,
                                                   const char *branch);
const struct gitea_document *gitea_version_document(struct facts *facts, struct gitea *gitea);
/* The commit with its files (git/commits/). */
const struct gitea_document *gitea_commit_document(struct facts *facts, struct gitea *gitea, const char *repo,
                                                   const char *sha);
/* The newest status per context of a commit: one page, from 1. Past the last one `statuses` is empty or null.
 * (The list of all statuses, …/statuses, grows with every run of CI, and without `page` comes whole.) */
const struct gitea_document *gitea_statuses_document(struct facts *facts, struct gitea *gitea,
                                                     const char *repo, const char *sha, size_t page);
const struct gitea_document *gitea_pull_document(struct facts *facts, struct gitea *gitea, const char *repo,
                                                 int64_t number);
const struct gitea_document *gitea_review_document(struct facts *facts, struct gitea *gitea, const char *repo,
                                                   int64_t number, int64_t review);

/* The webhooks of one level, over all pages. The webhooks of every level deliver the repo's events. To read a
 * list, the token needs the right to administer the repo, the owner or the instance; without it the fact is
 * FACT_FAILED or FACT_ABSENT, which does not affect Gitea's health. */
enum gitea_hooks_level {
    GITEA_HOOKS_REPO,   /* the repo's own */
    GITEA_HOOKS_OWNER,  /* of its organization; or of its user, which only that user's token can read */
    GITEA_HOOKS_SYSTEM, /* of the whole Gitea */
    GITEA_HOOKS_MAX_
};
struct gitea_hook {
    int64_t id;
    const char *url; /* may hold secrets: never show all of it */
    bool active;
    const char *updated_at;    /* as Gitea writes it; "" when it is not given */
    const char *branch_filter; /* a glob of the branches whose pushes are delivered; "": all */
    const char *const *events; /* names as Gitea lists them, NULL-terminated */
};
struct gitea_hooks {
    struct fact fact;
    const struct gitea_hook *items;
    size_t n;
};
const struct gitea_hooks *gitea_hooks(struct facts *facts, struct gitea *gitea, const char *repo,
                                      enum gitea_hooks_level level);

/* gitea_branch_make: makes `branch` of a repo from `base`, unless it is there. The fact is FACT_KNOWN when
 * the branch exists now (`made`: this call made it), FACT_ABSENT when the repo or the base branch is not
 * there for this token, FACT_FAILED otherwise, with the reason: archived, a mirror, empty, a name Gitea
 * refuses, a token that may not write. No other function here writes. The POST is sent once; if it gets no
 * answer, the branch is looked up instead (`made` if its head is that of the base). The answer of gitea_head
 * in the same fact set does not change. */
struct gitea_branch_made {
    struct fact fact;
    bool made;
};
const struct gitea_branch_made *gitea_branch_make(struct facts *facts, struct gitea *gitea, const char *repo,
                                                  const char *base, const char *branch);

#endif
