/* A repo, statuses of a commit, reviews of a pull request. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/gitea/gitea_io.h"

static const char not_a_repo[] = "a repo is \"owner/name\"";

/* a repo */

struct repo {
    struct fact_request request;
    struct gitea_repo fact;
    const char *what;
};

static void repo_replied(struct facts *facts, void *arg, const struct gitea_reply *reply)
{
    struct repo *repo = arg;
    if (reply->state != FACT_KNOWN) {
        fact_settle(facts, &repo->request, reply->state, reply->error);
        return;
    }
    const char *wrong =
        gitea_parse_repo(reply->json, facts_arena(facts), &repo->fact.default_branch, &repo->fact.full_name);
    fact_settle(
        facts, &repo->request, wrong ? FACT_FAILED : FACT_KNOWN,
        wrong ? arena_printf(facts_arena(facts), "Gitea's answer for %s is invalid: %s", repo->what, wrong)
              : NULL);
}

const struct gitea_repo *gitea_repo(struct facts *facts, struct gitea *gitea, const char *repo)
{
    struct arena *arena = facts_arena(facts);
    AUTO_FREE char *of = repo_key(repo);
    AUTO_FREE char *key = mem_printf("gitea repo\n%s", of);
    bool is_new;
    struct repo *asked = (struct repo *)(void *)fact_request_get(facts, key, sizeof *asked, &is_new);
    if (is_new) {
        asked->request.fact = &asked->fact.fact;
        asked->what = gitea_what(arena, "repository %s", repo);
        const char *segments[] = {"repos", NULL, NULL, NULL};
        if (gitea_repo_split(arena, repo, &segments[1], &segments[2])) {
            asked->fact.fact.url = gitea_url(arena, gitea, segments, NULL);
            gitea_ask(facts, gitea, asked->fact.fact.url, asked->what, LIMIT_ANSWER_REPO, repo_replied,
                      asked);
        } else {
            fact_settle(facts, &asked->request, FACT_FAILED,
                        arena_printf(arena, "%s: %s", asked->what, not_a_repo));
        }
    }
    fact_await(facts, &asked->request);
    return &asked->fact;
}

/* statuses */

struct statuses {
    struct fact_request request;
    struct gitea_statuses fact;
    struct gitea_list list;
    struct gitea_status *items; /* the same as fact.items */
};

struct id_at {
    int64_t id;
    size_t at;
};

static int compare_ids(const void *a, const void *b)
{
    const struct id_at *left = a, *right = b;
    if (left->id != right->id)
        return left->id < right->id ? -1 : 1;
    return left->at < right->at ? -1 : left->at > right->at;
}

/* Rows of all pages without those that stand on two of them (the list moved while it was read). Gitea's id of
 * a status counts per commit: services/convert/status.go. */
static size_t statuses_gather(struct arena *arena, const struct gitea_list *list, struct gitea_status *items)
{
    struct id_at *ids = arena_zero(arena, list->n_rows, sizeof *ids);
    const struct gitea_status_row **rows = arena_zero(arena, list->n_rows, sizeof(struct gitea_status_row *));
    size_t n = 0;
    for (size_t i = 0; i < list->n_pages; i++)
        for (size_t k = 0; k < list->pages[i].n; k++, n++) {
            rows[n] = (const struct gitea_status_row *)list->pages[i].rows + k;
            ids[n] = (struct id_at){.id = rows[n]->id, .at = n};
        }
    qsort(ids, n, sizeof *ids, compare_ids);
    for (size_t i = 1; i < n; i++)
        if (ids[i].id >= 0 && ids[i].id == ids[i - 1].id)
            rows[ids[i].at] = NULL;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (rows[i])
            items[kept++] = rows[i]->status;
    return kept;
}

static void statuses_listed(struct facts *facts, struct gitea_list *list)
{
    struct statuses *statuses = list->arg;
    struct arena *arena = facts_arena(facts);
    if (list->state != FACT_KNOWN) {
        fact_settle(facts, &statuses->request, list->state, list->error);
        return;
    }
    if (list->cut) {
        fact_settle(
            facts, &statuses->request, FACT_FAILED,
            arena_printf(arena, "Gitea has more than %u pages of %s", LIMIT_UPSTREAM_PAGES, list->what));
        return;
    }
    statuses->items = arena_zero(arena, list->n_rows, sizeof *statuses->items);
    statuses->fact.items = statuses->items;
    statuses->fact.n = statuses_gather(arena, list, statuses->items);
    /* A context that moved to the front between two pages is on neither. */
    bool whole = !list->shifted && (list->total < 0 || statuses->fact.n >= (size_t)list->total);
    fact_settle(facts, &statuses->request, whole ? FACT_KNOWN : FACT_FAILED,
                whole ? NULL : arena_printf(arena, "Gitea's %s changed while they were read", list->what));
}

const struct gitea_statuses *gitea_statuses(struct facts *facts, struct gitea *gitea, const char *repo,
                                            const char *sha)
{
    struct arena *arena = facts_arena(facts);
    AUTO_FREE char *of = repo_key(repo);
    AUTO_FREE char *key = mem_printf("gitea statuses\n%s\n%s", of, sha);
    bool is_new;
    struct statuses *statuses =
        (struct statuses *)(void *)fact_request_get(facts, key, sizeof *statuses, &is_new);
    if (is_new) {
        statuses->request.fact = &statuses->fact.fact;
        const char **segments = arena_zero(arena, 7, sizeof(char *));
        segments[0] = "repos";
        segments[3] = "commits";
        segments[4] = arena_text(arena, sha);
        segments[5] = "status";
        const char *what = gitea_what(arena, "statuses of commit %.12s of %s", sha, repo);
        if (gitea_repo_split(arena, repo, &segments[1], &segments[2])) {
            statuses->list = (struct gitea_list){
                .gitea = gitea,
                .what = what,
                .segments = segments,
                .parse = gitea_parse_statuses,
                .parse_arg = segments[4],
                .page_bytes = LIMIT_ANSWER_STATUSES,
                .pages_max = LIMIT_UPSTREAM_PAGES,
                .done = statuses_listed,
                .arg = statuses,
            };
            gitea_list_start(facts, &statuses->list);
            statuses->fact.fact.url = statuses->list.url;
        } else {
            fact_settle(facts, &statuses->request, FACT_FAILED,
                        arena_printf(arena, "%s: %s", what, not_a_repo));
        }
    }
    fact_await(facts, &statuses->request);
    return &statuses->fact;
}

/* reviews */

struct reviews {
    struct fact_request request;
    struct gitea_reviews fact;
    struct gitea_list list;
};

static void reviews_listed(struct facts *facts, struct gitea_list *list)
{
    struct reviews *reviews = list->arg;
    struct arena *arena = facts_arena(facts);
    if (list->state != FACT_KNOWN || list->cut) {
        fact_settle(facts, &reviews->request, list->cut ? FACT_FAILED : list->state,
                    list->cut ? arena_printf(arena, "Gitea has more than %u pages of %s",
                                             LIMIT_UPSTREAM_PAGES, list->what)
                              : list->error);
        return;
    }
    struct gitea_review *items = arena_zero(arena, list->n_rows, sizeof *items);
    reviews->fact.items = items;
    for (size_t i = 0; i < list->n_pages; i++)
        for (size_t k = 0; k < list->pages[i].n; k++)
            items[reviews->fact.n++] = ((const struct gitea_review *)list->pages[i].rows)[k];
    fact_settle(facts, &reviews->request, FACT_KNOWN, NULL);
}

const struct gitea_reviews *gitea_reviews(struct facts *facts, struct gitea *gitea, const char *repo,
                                          int64_t number)
{
    struct arena *arena = facts_arena(facts);
    AUTO_FREE char *of = repo_key(repo);
    AUTO_FREE char *key = mem_printf("gitea reviews\n%s\n%lld", of, (long long)number);
    bool is_new;
    struct reviews *reviews =
        (struct reviews *)(void *)fact_request_get(facts, key, sizeof *reviews, &is_new);
    if (is_new) {
        reviews->request.fact = &reviews->fact.fact;
        const char **segments = arena_zero(arena, 7, sizeof(char *));
        segments[0] = "repos";
        segments[3] = "pulls";
        segments[4] = arena_printf(arena, "%lld", (long long)number);
        segments[5] = "reviews";
        const char *what = gitea_what(arena, "reviews of pull request #%lld of %s", (long long)number, repo);
        if (gitea_repo_split(arena, repo, &segments[1], &segments[2])) {
            reviews->list = (struct gitea_list){
                .gitea = gitea,
                .what = what,
                .segments = segments,
                .parse = gitea_parse_reviews,
                .page_bytes = LIMIT_ANSWER_REVIEWS,
                .pages_max = LIMIT_UPSTREAM_PAGES,
                .one_by_one = true, /* others' pending reviews are counted, not shown:
                                       services/convert/pull_review.go */
                .done = reviews_listed,
                .arg = reviews,
            };
            gitea_list_start(facts, &reviews->list);
            reviews->fact.fact.url = reviews->list.url;
        } else {
            fact_settle(facts, &reviews->request, FACT_FAILED,
                        arena_printf(arena, "%s: %s", what, not_a_repo));
        }
    }
    fact_await(facts, &reviews->request);
    return &reviews->fact;
}
