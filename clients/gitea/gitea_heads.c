/* Heads of branches: one by one, or by listing all branches of a repo when that takes fewer calls. A listing
 * is used only for the branches in it: others are asked for one by one, because the table that it comes from
 * lags behind git. */
#include "clients/gitea/gitea_io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"

#define WANTED_FOR_LISTING 8u

/* The listing of one repo's branches, if one is needed. Its fact shows only whether it has ended. */
struct branches {
    struct fact_request request;
    struct fact fact;
    struct gitea_list list;
    size_t wanted;
    bool started;
    const struct gitea_branch **by_name;
    size_t n;
};

struct head {
    struct fact_request request;
    struct gitea_head fact;
    struct gitea *gitea;
    const char *repo, *branch, *what;
    struct branches *branches;
};

static struct branches *branches_of(struct facts *facts, const char *repo)
{
    AUTO_FREE char *of = repo_key(repo);
    AUTO_FREE char *key = mem_printf("gitea branches\n%s", of);
    bool is_new;
    struct branches *branches =
        (struct branches *)(void *)fact_request_get(facts, key, sizeof *branches, &is_new);
    branches->request.fact = &branches->fact;
    return branches;
}

void gitea_heads_wanted(struct facts *facts, struct gitea *gitea, const char *repo, size_t n_branches)
{
    struct branches *branches = branches_of(facts, repo);
    if (!branches->started && gitea_configured(gitea))
        branches->wanted = n_branches;
}

static int compare_names(const void *a, const void *b)
{
    const struct gitea_branch *const *left = a, *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

static void branches_listed(struct facts *facts, struct gitea_list *list)
{
    struct branches *branches = list->arg;
    if (list->state == FACT_KNOWN) {
        branches->by_name = arena_zero(facts_arena(facts), list->n_rows, sizeof(struct gitea_branch *));
        for (size_t i = 0; i < list->n_pages; i++) {
            const struct gitea_branch *rows = list->pages[i].rows;
            for (size_t k = 0; k < list->pages[i].n; k++)
                branches->by_name[branches->n++] = &rows[k];
        }
        qsort(branches->by_name, branches->n, sizeof(struct gitea_branch *), compare_names);
    }
    fact_settle(facts, &branches->request, FACT_KNOWN, NULL);
}

static void branches_start(struct facts *facts, struct gitea *gitea, const char *repo,
                           struct branches *branches)
{
    if (branches->started)
        return;
    branches->started = true;
    const char **segments = arena_zero(facts_arena(facts), 5, sizeof(char *));
    segments[0] = "repos";
    segments[3] = "branches";
    if (branches->wanted < WANTED_FOR_LISTING ||
        !gitea_repo_split(facts_arena(facts), repo, &segments[1], &segments[2])) {
        fact_settle(facts, &branches->request, FACT_KNOWN, NULL);
        return;
    }
    size_t worth = branches->wanted / 2; /* pages; a page costs Gitea more than a branch does */
    branches->list = (struct gitea_list){
        .gitea = gitea,
        .what = gitea_what(facts_arena(facts), "branches of %s", repo),
        .segments = segments,
        .parse = gitea_parse_branches,
        .page_bytes = LIMIT_ANSWER_BRANCHES,
        .pages_max = worth < LIMIT_UPSTREAM_PAGES ? worth : LIMIT_UPSTREAM_PAGES,
        .done = branches_listed,
        .arg = branches,
    };
    gitea_list_start(facts, &branches->list);
}

static void head_replied(struct facts *facts, void *arg, const struct gitea_reply *reply)
{
    struct head *head = arg;
    if (reply->state != FACT_KNOWN) {
        fact_settle(facts, &head->request, reply->state, reply->error);
        return;
    }
    struct gitea_branch branch;
    const char *wrong = gitea_parse_branch(reply->json, facts_arena(facts), &branch);
    if (!wrong && strcmp(branch.name, head->branch) != 0)
        wrong = "it is about another branch";
    head->fact.sha = wrong ? NULL : branch.sha;
    fact_settle(
        facts, &head->request, wrong ? FACT_FAILED : FACT_KNOWN,
        wrong ? arena_printf(facts_arena(facts), "Gitea's answer for %s is invalid: %s", head->what, wrong)
              : NULL);
}

static void head_look(struct facts *facts, void *arg)
{
    struct head *head = arg;
    const struct gitea_branch wanted = {.name = head->branch}, *at = &wanted;
    const struct gitea_branch **found = NULL;
    if (head->branches->n > 0)
        found = bsearch(&at, head->branches->by_name, head->branches->n, sizeof(struct gitea_branch *),
                        compare_names);
    if (found) {
        head->fact.sha = (*found)->sha;
        head->fact.fact.url = head->branches->list.url;
        fact_settle(facts, &head->request, FACT_KNOWN, NULL);
        return;
    }
    const char *segments[] = {"repos", NULL, NULL, "branches", head->branch, NULL};
    if (!gitea_repo_split(facts_arena(facts), head->repo, &segments[1], &segments[2])) {
        fact_settle(facts, &head->request, FACT_FAILED,
                    arena_printf(facts_arena(facts), "%s: a repo is \"owner/name\"", head->what));
        return;
    }
    head->fact.fact.url = gitea_url(facts_arena(facts), head->gitea, segments, NULL);
    gitea_ask(facts, head->gitea, head->fact.fact.url, head->what, LIMIT_ANSWER_HEAD, head_replied, head);
}

static struct head *head_of(struct facts *facts, struct gitea *gitea, const char *repo, const char *branch)
{
    AUTO_FREE char *of = repo_key(repo);
    AUTO_FREE char *key = mem_printf("gitea head\n%s\n%s", of, branch);
    bool is_new;
    struct head *head = (struct head *)(void *)fact_request_get(facts, key, sizeof *head, &is_new);
    if (is_new) {
        head->request.fact = &head->fact.fact;
        head->gitea = gitea;
        head->repo = arena_text(facts_arena(facts), repo);
        head->branch = arena_text(facts_arena(facts), branch);
        head->what = gitea_what(facts_arena(facts), "branch %s of %s", branch, repo);
        head->branches = branches_of(facts, repo);
        branches_start(facts, gitea, head->repo, head->branches);
        fact_then(facts, &head->branches->request, head_look, head);
    }
    return head;
}

const struct gitea_head *gitea_head(struct facts *facts, struct gitea *gitea, const char *repo,
                                    const char *branch)
{
    struct head *head = head_of(facts, gitea, repo, branch);
    fact_await(facts, &head->request);
    return &head->fact;
}

void gitea_head_ask(struct facts *facts, struct gitea *gitea, const char *repo, const char *branch,
                    const struct gitea_head **ret, fact_then_fn *fn, void *arg)
{
    struct head *head = head_of(facts, gitea, repo, branch);
    *ret = &head->fact;
    fact_then(facts, &head->request, fn, arg);
}
