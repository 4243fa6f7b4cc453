/* Pull requests and reviews: routers/api/v1/repo/pull.go, services/convert/pull.go, pull_review.go. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/text.h"
#include "tests/sandbox/gitea.h"
#include "tests/sandbox/mailer.h"
#include "tests/sandbox/sandbox.h"

enum {
    SINCE_TEAMS_NAMED = 12300,
    SINCE_BASE_FILTER = 12400,
    SINCE_LEAVING_OUT = 12500 /* of what was not counted, or is 0; 1.22.6 shows it, 1.25.4 does not */
};

static void put_end(struct out *out, const char *key, const char *label, const char *ref, const char *sha,
                    int64_t id, struct repo *repo)
{
    out_open(out, key, '{');
    out_text(out, "label", label);
    out_text(out, "ref", ref);
    out_text(out, "sha", sha);
    out_int(out, "repo_id", id);
    out_ready(out, "repo", repo ? gitea_repo_json(repo) : "null");
    out_close(out, '}');
}

/* A head whose branch or repository is gone shows refs/pull/N/head, which keeps the sha; the label keeps the
 * name. An AGit pull request has no label. */
static void put_ends(struct out *out, struct repo *repo, const struct pull *pull)
{
    struct branch_room room;
    const struct branch *base = repo_branch(repo, pull->base, &room);
    put_end(out, "base", pull->base, pull->base, base ? base->commit->sha : "", repo->id, repo);
    char ref[40];
    snprintf(ref, sizeof ref, "refs/pull/%lld/head", (long long)pull->number);
    const struct branch *head = pull_head_branch(pull, &room);
    if (pull->agit)
        put_end(out, "head", "", ref, pull->head_sha, repo->id, repo);
    else
        put_end(out, "head", pull->head, head ? head->name : ref, head ? head->commit->sha : pull->head_sha,
                pull->head_repo ? pull->head_repo->id : -1, pull->head_repo);
    out_text(out, "merge_base", pull->merge_base);
}

static void put_requested(struct out *out, const struct repo *repo, const struct pull *pull)
{
    out_open(out, "requested_reviewers", '[');
    for (size_t i = 0; i < pull->reviews.n; i++) {
        const struct review *review = pull->reviews.items[i];
        if (review->state == REVIEW_REQUEST && review->user)
            gitea_put_user(out, NULL, repo->world, review->user);
    }
    out_close(out, ']');
    if (repo->world->version >= SINCE_TEAMS_NAMED)
        out_ready(out, "requested_reviewers_teams", "[]");
}

static void put_merge(struct out *out, const struct repo *repo, const struct pull *pull)
{
    out_bool(out, "mergeable", !pull->closed && !pull->unmergeable && !pull->draft);
    out_bool(out, "merged", pull->merged);
    gitea_put_instant(out, "merged_at", repo->world, pull->merged ? pull->merged_s : 0);
    out_text(out, "merge_commit_sha", pull->merged ? pull->merge_sha : NULL);
    if (pull->merged)
        gitea_put_user(out, "merged_by", repo->world, pull->merged_by);
    else
        out_null(out, "merged_by");
    out_bool(out, "allow_maintainer_edit", false);
}

static void put_counts(struct out *out, const struct repo *repo, const struct pull *pull, bool listed)
{
    bool leaves_out = repo->world->version >= SINCE_LEAVING_OUT;
    int64_t n_reviews = 0;
    for (size_t i = 0; i < pull->reviews.n; i++)
        n_reviews += ((const struct review *)pull->reviews.items[i])->state != REVIEW_REQUEST;
    out_int(out, "comments", pull->comments);
    if (n_reviews > 0 || !leaves_out)
        out_int(out, "review_comments", n_reviews);
    if (listed && leaves_out)
        return;
    out_int(out, "additions", 1);
    out_int(out, "deletions", 0);
    out_int(out, "changed_files", 1);
}

void gitea_put_pull(struct out *out, const char *key, struct repo *repo, const struct pull *pull, bool listed)
{
    const struct world *world = repo->world;
    char page[400];
    snprintf(page, sizeof page, "%s%s/pulls/%lld", world->root_url, repo->full_name, (long long)pull->number);
    out_open(out, key, '{');
    out_int(out, "id", pull->id);
    out_text(out, "url", page); /* the HTML page, in Gitea too */
    out_int(out, "number", pull->number);
    gitea_put_user(out, "user", world, pull->poster);
    out_text(out, "title", pull->title);
    out_text(out, "body", pull->body);
    out_ready(out, "labels", "[]");
    out_null(out, "milestone");
    out_null(out, "assignee");
    out_null(out, "assignees");
    put_requested(out, repo, pull);
    out_text(out, "state", pull->closed ? "closed" : "open");
    out_bool(out, "draft", pull->draft);
    out_bool(out, "is_locked", false);
    put_counts(out, repo, pull, listed);
    out_text(out, "html_url", page);
    out_made(out, "diff_url", "%s.diff", page);
    out_made(out, "patch_url", "%s.patch", page);
    put_merge(out, repo, pull);
    put_ends(out, repo, pull);
    out_null(out, "due_date");
    gitea_put_instant(out, "created_at", world, pull->created_s);
    gitea_put_instant(out, "updated_at", world, pull->updated_s);
    gitea_put_instant(out, "closed_at", world, pull->closed ? pull->closed_s : 0);
    out_int(out, "pin_order", 0);
    out_close(out, '}');
}

/* lists */

struct order {
    const char *name;
    int64_t (*of)(const struct pull *pull);
    int sign; /* -1: the greatest first */
};

static int64_t of_created(const struct pull *pull)
{
    return pull->created_s;
}
static int64_t of_updated(const struct pull *pull)
{
    return pull->updated_s;
}
static int64_t of_closed(const struct pull *pull)
{
    return pull->closed_s;
}
static int64_t of_comments(const struct pull *pull)
{
    return pull->comments;
}

static const struct order orders[] = {
    {"", of_created, -1},
    {"oldest", of_created, 1},
    {"recentupdate", of_updated, -1},
    {"leastupdate", of_updated, 1},
    {"recentclose", of_closed, -1},
    {"mostcomment", of_comments, -1},
    {"leastcomment", of_comments, 1},
};

/* Ties go by the time of creation and then by id, both the newest first, except "oldest". */
static int pull_order(const void *a, const void *b, void *arg)
{
    const struct order *order = arg;
    const struct pull *x = *(const struct pull *const *)a, *y = *(const struct pull *const *)b;
    int64_t left = order->of(x), right = order->of(y);
    if (left != right)
        return left < right ? -order->sign : order->sign;
    if (x->created_s != y->created_s)
        return x->created_s > y->created_s ? -1 : 1;
    return (x->id > y->id ? -1 : 1) * (order->of == of_created ? -order->sign : 1);
}

static bool pull_wanted(const struct pull *pull, const char *state, const char *base)
{
    bool state_fits = strcmp(state, "all") == 0 || pull->closed == (strcmp(state, "closed") == 0);
    return state_fits && (!base || !*base || strcmp(base, pull->base) == 0);
}

void gitea_pulls_list(struct call *call)
{
    struct repo *repo = gitea_repo(call);
    if (!repo)
        return;
    if (repo->empty) {
        gitea_not_found(call);
        return;
    }
    const char *state = call_query(call, "state"), *sort = call_query(call, "sort");
    const char *base = repo->world->version >= SINCE_BASE_FILTER ? call_query(call, "base_branch") : NULL;
    size_t by = 0, n = 0;
    for (size_t i = 1; sort && i < ARRAY_LEN(orders); i++)
        if (strcmp(sort, orders[i].name) == 0)
            by = i;
    struct pull **pulls = mem_zero(repo->pulls.n + 1, sizeof(struct pull *));
    for (size_t i = 0; i < repo->pulls.n; i++)
        if (pull_wanted(repo->pulls.items[i], state && *state ? state : "open", base))
            pulls[n++] = repo->pulls.items[i];
    qsort_r(pulls, n, sizeof(struct pull *), pull_order, (void *)(uintptr_t)&orders[by]);
    struct gitea_page page = gitea_page(call, n);
    struct out *out = gitea_ok(call, 200);
    out_open(out, NULL, '[');
    for (size_t i = page.from; i < page.to; i++)
        gitea_put_pull(out, NULL, repo, pulls[i], true);
    out_close(out, ']');
    gitea_paged(call, &page, true);
    free(pulls);
}

/* The pull request whose number is the third parameter; NULL when it has answered. */
static struct pull *pull_of(struct call *call, struct repo **ret_repo)
{
    int64_t number;
    struct repo *repo = gitea_repo(call);
    if (!repo)
        return NULL;
    *ret_repo = repo;
    struct pull *pull = parse_i64(call->params[2], 1, INT64_MAX, &number) ? repo_pull(repo, number) : NULL;
    if (!pull)
        gitea_not_found(call);
    return pull;
}

void gitea_pull_get(struct call *call)
{
    struct repo *repo;
    const struct pull *pull = pull_of(call, &repo);
    if (pull)
        gitea_put_pull(gitea_ok(call, 200), NULL, repo, pull, false);
}

/* pulls/{base}/{head}: whatever its state, so the oldest may hide the open one. The head may be owner:branch
 * or owner/repo:branch. */
void gitea_pull_by_branches(struct call *call)
{
    struct repo *repo = gitea_repo(call), *head_repo = repo;
    if (!repo)
        return;
    const char *head = call->params[3], *colon = strchr(head, ':');
    char *owner = colon ? mem_dupn(head, (size_t)(colon - head)) : NULL;
    if (owner) {
        char *slash = strchr(owner, '/');
        if (slash)
            *slash = '\0';
        head_repo = world_repo(repo->world, owner, slash ? slash + 1 : repo->name);
        head = colon + 1;
    }
    free(owner);
    const struct pull *found = NULL;
    for (size_t i = 0; i < repo->pulls.n && head_repo; i++) {
        const struct pull *pull = repo->pulls.items[i];
        if (pull->head_repo == head_repo && !pull->agit && strcmp(pull->base, call->params[2]) == 0 &&
            strcmp(pull->head, head) == 0 && (!found || pull->id < found->id))
            found = pull;
    }
    if (found)
        gitea_put_pull(gitea_ok(call, 200), NULL, repo, found, false);
    else
        gitea_not_found(call);
}

void gitea_pull_merged(struct call *call)
{
    struct repo *repo;
    const struct pull *pull = pull_of(call, &repo);
    if (pull && pull->merged)
        call->status = 204;
    else if (pull)
        gitea_not_found(call);
}

void gitea_pull_merge(struct call *call)
{
    struct repo *repo;
    struct pull *pull = pull_of(call, &repo);
    if (!pull)
        return;
    if (repo->archived)
        gitea_error(call, 423, "repo is archived");
    else if (pull->closed || pull->draft || pull->unmergeable)
        gitea_error(call, 405, pull->closed ? "The PR is already closed" : "Please try again later");
    else {
        pull_merge(repo, pull, "merger");
        world_settle(repo->world);
        call->status = 200;
        mail_pull(call->sandbox, repo, pull, "closed", NULL);
    }
}

/* Oldest first, no Link; the pending reviews of others are counted and not shown. */
void gitea_reviews_list(struct call *call)
{
    struct repo *repo;
    const struct pull *pull = pull_of(call, &repo);
    if (!pull)
        return;
    struct gitea_page page = gitea_page(call, pull->reviews.n);
    struct out *out = gitea_ok(call, 200);
    out_open(out, NULL, '[');
    for (size_t i = page.from; i < page.to; i++) {
        const struct review *review = pull->reviews.items[i];
        if (review->state != REVIEW_PENDING)
            gitea_put_review(out, repo, pull, review);
    }
    out_close(out, ']');
    gitea_paged(call, &page, false);
}

void gitea_review_get(struct call *call)
{
    struct repo *repo;
    int64_t id;
    const struct pull *pull = pull_of(call, &repo);
    if (!pull)
        return;
    for (size_t i = 0; parse_i64(call->params[3], 1, INT64_MAX, &id) && i < pull->reviews.n; i++) {
        const struct review *review = pull->reviews.items[i];
        if (review->id != id || review->state == REVIEW_PENDING)
            continue;
        gitea_put_review(gitea_ok(call, 200), repo, pull, review);
        return;
    }
    gitea_not_found(call);
}
