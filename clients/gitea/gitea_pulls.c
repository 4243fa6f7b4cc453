/* The open pull requests of a repo, and the pull request of a branch. Gitea has no list filtered by head, and
 * its look-up by base and head (models/issues/ pull.go, GetPullRequestByBaseHeadInfo) takes any row that
 * matches, in no order. So the open ones of the repo are listed once, for all branches, and a branch that is
 * not among them is looked up. If the look-up returns one that was closed unmerged, a newer one may have been
 * merged, which is searched for among the closed, newest change first. If it returns none, one into another
 * base is searched for among the open ones and on the first page of the closed. */
#include "clients/gitea/gitea_io.h"

#include <stdio.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"

/* One of the two lists of a repo. The open one is read whole. The closed one grows page by page, as far as
 * a search still needs it; its fact is not used. */
struct pulls {
    struct fact_request request;
    struct fact fact;
    struct gitea *gitea;
    const char *repo;
    bool started;
    struct gitea_list open;

    struct gitea_page pages[LIMIT_CLOSED_PULL_PAGES];
    size_t n_pages, n_rows;
    bool asking, complete;
    struct facts_rows rows;
    const char *failed; /* words */
    int64_t oldest_us;  /* when the last row so far changed; INT64_MAX before the first */
    struct pull *searchers;
};

struct pull {
    struct fact_request request;
    struct gitea_pull fact;
    struct gitea *gitea;
    const char *repo, *base, *branch, *what;
    const char **segments; /* of the look-up; the last two are still open */
    struct pulls *open, *closed;
    struct gitea_pull_row found; /* the closed one that the look-up named */
    const char *absent;          /* Gitea's words, when it named none */
    struct pull *next_searcher;
};

static struct pulls *pulls_of(struct facts *facts, struct gitea *gitea, const char *repo, const char *state)
{
    AUTO_FREE char *of = repo_key(repo);
    AUTO_FREE char *key = mem_printf("gitea pulls %s\n%s", state, of);
    bool is_new;
    struct pulls *pulls = (struct pulls *)(void *)fact_request_get(facts, key, sizeof *pulls, &is_new);
    if (is_new) {
        pulls->request.fact = &pulls->fact;
        pulls->gitea = gitea;
        pulls->repo = arena_text(facts_arena(facts), repo);
        pulls->oldest_us = INT64_MAX;
    }
    return pulls;
}

/* Path segments from "repos" to the name, with room for two more; NULL when `repo` is none. */
static const char **pulls_segments(struct arena *arena, const char *repo)
{
    const char **segments = arena_zero(arena, 7, sizeof(char *));
    segments[0] = "repos";
    segments[3] = "pulls";
    return gitea_repo_split(arena, repo, &segments[1], &segments[2]) ? segments : NULL;
}

/* head.ref is "refs/pull/N/head" once the branch is gone; head.label keeps its name
 * (services/convert/pull.go). */
static bool row_is_of_branch(const struct gitea_pull_row *row, const struct pull *pull)
{
    return row->readable && !row->foreign &&
           (strcmp(row->ref, pull->branch) == 0 || strcmp(row->label, pull->branch) == 0);
}

static bool row_matches(const struct gitea_pull_row *row, const struct pull *pull)
{
    return row_is_of_branch(row, pull) && strcmp(row->base, pull->base) == 0;
}

static void pull_describe(struct pull *pull, const struct gitea_pull_row *row)
{
    pull->fact.number = row->number;
    pull->fact.state = row->state;
    pull->fact.draft = row->draft;
    pull->fact.base = row->base;
    pull->fact.head_sha = row->head_sha;
}

static void pull_known(struct facts *facts, struct pull *pull, const struct gitea_pull_row *row)
{
    pull_describe(pull, row);
    fact_settle(facts, &pull->request, FACT_KNOWN, NULL);
}

/* into another base */

static const struct gitea_pull_row *newest_elsewhere(const struct gitea_page *pages, size_t n_pages,
                                                     const struct pull *pull, enum gitea_pull_state state)
{
    const struct gitea_pull_row *newest = NULL;
    for (size_t i = 0; i < n_pages; i++) {
        const struct gitea_pull_row *rows = pages[i].rows;
        for (size_t k = 0; k < pages[i].n; k++)
            if (row_is_of_branch(&rows[k], pull) && rows[k].state == state &&
                (!newest || rows[k].number > newest->number))
                newest = &rows[k];
    }
    return newest;
}

/* Whether `closed` has been read: its first page is enough, because the result is only a hint. */
static bool absent_settle(struct facts *facts, const struct pulls *closed, struct pull *pull)
{
    const struct gitea_list *open = &pull->open->open;
    const struct gitea_pull_row *row = newest_elsewhere(open->pages, open->n_pages, pull, GITEA_PULL_OPEN);
    if (!row && closed->n_pages == 0 && !closed->complete && !closed->failed)
        return false;
    if (!row)
        row = newest_elsewhere(closed->pages, closed->n_pages, pull, GITEA_PULL_MERGED);
    if (row)
        pull_describe(pull, row);
    fact_settle(facts, &pull->request, FACT_ABSENT, pull->absent);
    return true;
}

/* among the closed */

static void closed_ask(struct facts *facts, struct pulls *closed);

static const struct gitea_pull_row *newest_merged(const struct pulls *closed, const struct pull *pull)
{
    const struct gitea_pull_row *newest = NULL;
    for (size_t i = 0; i < closed->n_pages; i++) {
        const struct gitea_pull_row *rows = closed->pages[i].rows;
        for (size_t k = 0; k < closed->pages[i].n; k++)
            if (row_matches(&rows[k], pull) && rows[k].state == GITEA_PULL_MERGED &&
                rows[k].number > pull->found.number && (!newest || rows[k].number > newest->number))
                newest = &rows[k];
    }
    return newest;
}

/* True when the search of one pull request is over, and it is settled. A newer one was opened, and so last
 * changed, after the one that was found: the rest of the list has none. */
static bool search_settle(struct facts *facts, struct pulls *closed, struct pull *pull)
{
    if (pull->absent)
        return absent_settle(facts, closed, pull);
    const struct gitea_pull_row *merged = newest_merged(closed, pull);
    if (merged)
        pull_known(facts, pull, merged);
    else if (closed->complete || closed->oldest_us < pull->found.created_us)
        pull_known(facts, pull, &pull->found);
    else if (closed->failed)
        fact_settle(facts, &pull->request, FACT_FAILED, closed->failed);
    else if (closed->n_pages == LIMIT_CLOSED_PULL_PAGES)
        fact_settle(
            facts, &pull->request, FACT_FAILED,
            arena_printf(
                facts_arena(facts),
                "#%lld is closed, and the last %u pages of closed pull requests do not show whether a newer "
                "one was merged",
                (long long)pull->found.number, LIMIT_CLOSED_PULL_PAGES));
    else
        return false;
    return true;
}

static void searches_go_on(struct facts *facts, struct pulls *closed)
{
    struct pull *searchers = closed->searchers, *next;
    closed->searchers = NULL;
    for (struct pull *pull = searchers; pull; pull = next) {
        next = pull->next_searcher;
        if (search_settle(facts, closed, pull))
            continue;
        pull->next_searcher = closed->searchers;
        closed->searchers = pull;
    }
    if (closed->searchers && !closed->asking)
        closed_ask(facts, closed);
}

static void closed_replied(struct facts *facts, void *arg, const struct gitea_reply *reply)
{
    struct pulls *closed = arg;
    closed->asking = false;
    struct gitea_page page = {0};
    const char *wrong = NULL;
    if (reply->state == FACT_KNOWN)
        wrong = gitea_parse_pulls(reply->json, NULL, &closed->rows.arena, &page);
    if (!wrong && !facts_keep(facts, &closed->rows))
        wrong = "it is too long to be kept";
    if (reply->state != FACT_KNOWN || wrong) {
        closed->failed = wrong ? arena_printf(facts_arena(facts),
                                              "Gitea's answer for closed pull requests of %s is "
                                              "invalid: %s",
                                              closed->repo, wrong)
                               : reply->error;
    } else if (page.n == 0 || (closed->n_pages > 0 && page.mark == closed->pages[closed->n_pages - 1].mark)) {
        closed->complete = true;
    } else {
        const struct gitea_pull_row *rows = page.rows;
        closed->pages[closed->n_pages++] = page;
        closed->n_rows += page.n;
        closed->complete = reply->total >= 0 && closed->n_rows >= (size_t)reply->total;
        if (rows[page.n - 1].readable && rows[page.n - 1].updated_us)
            closed->oldest_us = rows[page.n - 1].updated_us;
    }
    searches_go_on(facts, closed);
}

static void closed_ask(struct facts *facts, struct pulls *closed)
{
    struct arena *arena = facts_arena(facts);
    char page[24];
    snprintf(page, sizeof page, "%zu", closed->n_pages + 1);
    const char *const query[] = {"state", "closed", "sort", "recentupdate", "limit", GITEA_PAGE,
                                 "page",  page,     NULL};
    const char **segments = pulls_segments(arena, closed->repo);
    const char *what = gitea_what(arena, "closed pull requests of %s", closed->repo);
    closed->asking = true;
    gitea_ask(facts, closed->gitea, gitea_url(arena, closed->gitea, segments, query), what,
              LIMIT_ANSWER_PULLS, closed_replied, closed);
}

static void search_start(struct facts *facts, struct pull *pull)
{
    pull->closed = pulls_of(facts, pull->gitea, pull->repo, "closed");
    if (search_settle(facts, pull->closed, pull))
        return;
    pull->next_searcher = pull->closed->searchers;
    pull->closed->searchers = pull;
    if (!pull->closed->asking)
        closed_ask(facts, pull->closed);
}

/* the look-up */

/* Whether the list of open ones may lack one: a row was unreadable, or it moved while it was read. */
static bool open_is_whole(const struct gitea_list *list)
{
    size_t readable = 0;
    for (size_t i = 0; i < list->n_pages; i++)
        for (size_t k = 0; k < list->pages[i].n; k++)
            readable += ((const struct gitea_pull_row *)list->pages[i].rows)[k].readable;
    return !list->cut && !list->shifted && readable == list->n_rows &&
           (list->total < 0 || list->n_rows >= (size_t)list->total);
}

static void lookup_replied(struct facts *facts, void *arg, const struct gitea_reply *reply)
{
    struct pull *pull = arg;
    struct arena *arena = facts_arena(facts);
    if (reply->state == FACT_ABSENT) { /* the database's word: it looks for any state */
        pull->absent = reply->error;
        search_start(facts, pull);
        return;
    }
    if (reply->state != FACT_KNOWN) {
        fact_settle(facts, &pull->request, reply->state, reply->error);
        return;
    }
    gitea_parse_pull(reply->json, arena, &pull->found);
    if (!row_matches(&pull->found, pull))
        fact_settle(
            facts, &pull->request, FACT_FAILED,
            arena_printf(arena, "Gitea's answer for %s is invalid: it is about another one", pull->what));
    else if (pull->found.state == GITEA_PULL_OPEN)
        pull_known(facts, pull, &pull->found);
    else if (!open_is_whole(&pull->open->open))
        fact_settle(
            facts, &pull->request, FACT_FAILED,
            arena_printf(arena, "Gitea's list of open pull requests of %s was not whole", pull->repo));
    else if (pull->found.state == GITEA_PULL_MERGED)
        pull_known(facts, pull, &pull->found);
    else
        search_start(facts, pull);
}

/* Words that the router takes for a part of a pull request whose number comes before (routers/api/v1/api.go).
 */
static bool is_reserved(const char *branch)
{
    static const char *const error[] = {"commits", "files", "merge", "requested_reviewers",
                                        "reviews", "update"};
    size_t len = strcspn(branch, "/");
    for (size_t i = 0; i < ARRAY_LEN(error); i++)
        if (strlen(error[i]) == len && strncmp(error[i], branch, len) == 0)
            return true;
    return false;
}

static void lookup_ask(struct facts *facts, struct pull *pull)
{
    struct arena *arena = facts_arena(facts);
    pull->segments[4] = pull->base;
    pull->segments[5] = is_reserved(pull->branch)
                            ? arena_printf(arena, "%s:%s", pull->segments[1], pull->branch)
                            : pull->branch;
    pull->fact.fact.url = gitea_url(arena, pull->gitea, pull->segments, NULL);
    gitea_ask(facts, pull->gitea, pull->fact.fact.url, pull->what, LIMIT_ANSWER_PULL, lookup_replied, pull);
}

/* among the open */

static void open_listed(struct facts *facts, struct gitea_list *list)
{
    struct pulls *open = list->arg;
    fact_settle(facts, &open->request, list->state, list->error);
}

static void open_start(struct facts *facts, struct pulls *open)
{
    static const char *const query[] = {"state", "open", "sort", "recentupdate", NULL};
    struct arena *arena = facts_arena(facts);
    if (open->started)
        return;
    open->started = true;
    open->open = (struct gitea_list){
        .gitea = open->gitea,
        .what = gitea_what(arena, "open pull requests of %s", open->repo),
        .segments = pulls_segments(arena, open->repo),
        .query = query,
        .parse = gitea_parse_pulls,
        .page_bytes = LIMIT_ANSWER_PULLS,
        .pages_max = LIMIT_UPSTREAM_PAGES,
        .done = open_listed,
        .arg = open,
    };
    gitea_list_start(facts, &open->open);
}

static void open_look(struct facts *facts, void *arg)
{
    struct pull *pull = arg;
    const struct gitea_list *list = &pull->open->open;
    pull->fact.fact.url = list->url;
    if (pull->open->fact.state != FACT_KNOWN) { /* absent too: that is the repo, not this pull request */
        fact_settle(facts, &pull->request, FACT_FAILED, pull->open->fact.error);
        return;
    }
    const struct gitea_pull_row *newest = NULL;
    for (size_t i = 0; i < list->n_pages; i++) {
        const struct gitea_pull_row *rows = list->pages[i].rows;
        for (size_t k = 0; k < list->pages[i].n; k++)
            if (row_matches(&rows[k], pull) && rows[k].state == GITEA_PULL_OPEN &&
                (!newest || rows[k].number > newest->number))
                newest = &rows[k];
    }
    if (newest)
        pull_known(facts, pull, newest);
    else
        lookup_ask(facts, pull);
}

const struct gitea_pull *gitea_pull(struct facts *facts, struct gitea *gitea, const char *repo,
                                    const char *base, const char *branch)
{
    struct arena *arena = facts_arena(facts);
    AUTO_FREE char *of = repo_key(repo);
    AUTO_FREE char *key = mem_printf("gitea pull\n%s\n%s\n%s", of, base, branch);
    bool is_new;
    struct pull *pull = (struct pull *)(void *)fact_request_get(facts, key, sizeof *pull, &is_new);
    if (is_new) {
        pull->request.fact = &pull->fact.fact;
        pull->gitea = gitea;
        pull->base = arena_text(arena, base);
        pull->branch = arena_text(arena, branch);
        pull->what = gitea_what(arena, "pull request of %s into %s of %s", branch, base, repo);
        pull->open = pulls_of(facts, gitea, repo, "open");
        pull->repo = pull->open->repo;
        pull->segments = pulls_segments(arena, repo);
        if (pull->segments) {
            open_start(facts, pull->open);
            fact_then(facts, &pull->open->request, open_look, pull);
        } else {
            fact_settle(facts, &pull->request, FACT_FAILED,
                        arena_printf(arena, "%s: a repo is \"owner/name\"", pull->what));
        }
    }
    fact_await(facts, &pull->request);
    return &pull->fact;
}

/* all open ones */

struct open_pulls {
    struct fact_request request;
    struct gitea_open_pulls fact;
    struct pulls *list;
};

/* The name that the head's branch has in this repo; see row_matches. */
static const char *head_branch(const struct gitea_pull_row *row)
{
    const char *name = strncmp(row->ref, "refs/", 5) == 0 ? row->label : row->ref;
    return row->foreign || !*name ? NULL : name;
}

static void open_gather(struct facts *facts, void *arg)
{
    struct open_pulls *pulls = arg;
    const struct gitea_list *list = &pulls->list->open;
    pulls->fact.fact.url = list->url;
    if (pulls->list->fact.state != FACT_KNOWN || !open_is_whole(list)) {
        bool absent = pulls->list->fact.state == FACT_ABSENT;
        const char *error = pulls->list->fact.error;
        fact_settle(facts, &pulls->request, absent ? FACT_ABSENT : FACT_FAILED,
                    error ? error
                          : arena_printf(facts_arena(facts), "Gitea's list of %s was not whole", list->what));
        return;
    }
    struct gitea_open_pull *items = arena_zero(facts_arena(facts), list->n_rows, sizeof *items);
    pulls->fact.items = items;
    for (size_t i = 0; i < list->n_pages; i++) {
        const struct gitea_pull_row *rows = list->pages[i].rows;
        for (size_t k = 0; k < list->pages[i].n; k++)
            if (rows[k].state == GITEA_PULL_OPEN)
                items[pulls->fact.n++] = (struct gitea_open_pull){
                    .number = rows[k].number, .head_sha = rows[k].head_sha, .branch = head_branch(&rows[k])};
    }
    fact_settle(facts, &pulls->request, FACT_KNOWN, NULL);
}

const struct gitea_open_pulls *gitea_open_pulls(struct facts *facts, struct gitea *gitea, const char *repo)
{
    AUTO_FREE char *of = repo_key(repo);
    AUTO_FREE char *key = mem_printf("gitea open pulls\n%s", of);
    bool is_new;
    struct open_pulls *pulls =
        (struct open_pulls *)(void *)fact_request_get(facts, key, sizeof *pulls, &is_new);
    if (is_new) {
        pulls->request.fact = &pulls->fact.fact;
        pulls->list = pulls_of(facts, gitea, repo, "open");
        if (pulls_segments(facts_arena(facts), repo)) {
            open_start(facts, pulls->list);
            fact_then(facts, &pulls->list->request, open_gather, pulls);
        } else {
            const char *what = gitea_what(facts_arena(facts), "open pull requests of %s", repo);
            fact_settle(facts, &pulls->request, FACT_FAILED,
                        arena_printf(facts_arena(facts), "%s: a repo is \"owner/name\"", what));
        }
    }
    fact_await(facts, &pulls->request);
    return &pulls->fact;
}
