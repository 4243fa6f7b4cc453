/* Single things of Gitea as they are answered, for events that are sent again. */
#include "clients/gitea/gitea_io.h"

#include <stdio.h>
#include <stdlib.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"

struct document {
    struct fact_request request;
    struct gitea_document fact;
};

static void replied(struct facts *facts, void *arg, const struct gitea_reply *reply)
{
    struct document *document = arg;
    if (reply->state == FACT_KNOWN) {
        AUTO_FREE char *text = json_line(reply->json);
        document->fact.text = arena_text(facts_arena(facts), text);
    }
    fact_settle(facts, &document->request, reply->state, reply->error);
}

/* Below the repository: up to four segments, NULL-terminated. `page`: NULL, or which page of a list. */
static const struct gitea_document *document_of(struct facts *facts, struct gitea *gitea, const char *repo,
                                                const char *const *below, const char *page)
{
    enum { BELOW_MAX = 4 };
    struct arena *arena = facts_arena(facts);
    const char *segments[3 + BELOW_MAX + 1] = {"repos"}, *shown[BELOW_MAX] = {"", "", "", ""};
    const char *const query[] = {"page", page, "limit", GITEA_PAGE, NULL};
    size_t n = 0;
    for (; n < BELOW_MAX && below[n]; n++)
        segments[3 + n] = shown[n] = below[n];
    AUTO_FREE char *key = mem_printf("gitea document\n%s\n%s\n%s\n%s\n%s\n%s", repo, shown[0], shown[1],
                                     shown[2], shown[3], page ? page : "");
    bool is_new;
    struct document *document =
        (struct document *)(void *)fact_request_get(facts, key, sizeof *document, &is_new);
    if (is_new) {
        document->request.fact = &document->fact.fact;
        const char *what = n == 0 ? gitea_what(arena, "repository %s", repo)
                                  : gitea_what(arena, "%s %s %s of %s", shown[n > 2 ? 2 : 0], shown[1],
                                               n > 3 ? shown[3] : "", repo);
        if (gitea_repo_split(arena, repo, &segments[1], &segments[2])) {
            document->fact.fact.url = gitea_url(arena, gitea, segments, page ? query : NULL);
            gitea_ask(facts, gitea, document->fact.fact.url, what, LIMIT_ANSWER_DOCUMENT, replied, document);
        } else {
            fact_settle(facts, &document->request, FACT_FAILED,
                        arena_printf(arena, "%s: a repo is \"owner/name\"", what));
        }
    }
    fact_await(facts, &document->request);
    return &document->fact;
}

const struct gitea_document *gitea_version_document(struct facts *facts, struct gitea *gitea)
{
    static const char *const segments[] = {"version", NULL};
    bool is_new;
    struct document *document =
        (struct document *)(void *)fact_request_get(facts, "gitea version", sizeof *document, &is_new);
    if (is_new) {
        document->request.fact = &document->fact.fact;
        document->fact.fact.url = gitea_url(facts_arena(facts), gitea, segments, NULL);
        gitea_ask(facts, gitea, document->fact.fact.url, "its version", LIMIT_ANSWER_DOCUMENT, replied,
                  document);
    }
    fact_await(facts, &document->request);
    return &document->fact;
}

const struct gitea_document *gitea_repo_document(struct facts *facts, struct gitea *gitea, const char *repo)
{
    static const char *const below[] = {NULL};
    return document_of(facts, gitea, repo, below, NULL);
}

const struct gitea_document *gitea_branch_document(struct facts *facts, struct gitea *gitea, const char *repo,
                                                   const char *branch)
{
    const char *const below[] = {"branches", branch, NULL};
    return document_of(facts, gitea, repo, below, NULL);
}

const struct gitea_document *gitea_commit_document(struct facts *facts, struct gitea *gitea, const char *repo,
                                                   const char *sha)
{
    const char *const below[] = {"git", "commits", sha, NULL};
    return document_of(facts, gitea, repo, below, NULL);
}

const struct gitea_document *gitea_statuses_document(struct facts *facts, struct gitea *gitea,
                                                     const char *repo, const char *sha, size_t page)
{
    char number[24];
    const char *const below[] = {"commits", sha, "status", NULL};
    (void)snprintf(number, sizeof number, "%zu", page);
    return document_of(facts, gitea, repo, below, number);
}

const struct gitea_document *gitea_pull_document(struct facts *facts, struct gitea *gitea, const char *repo,
                                                 int64_t number)
{
    char text[24];
    const char *const below[] = {"pulls", text, NULL};
    (void)snprintf(text, sizeof text, "%lld", (long long)number);
    return document_of(facts, gitea, repo, below, NULL);
}

const struct gitea_document *gitea_review_document(struct facts *facts, struct gitea *gitea, const char *repo,
                                                   int64_t number, int64_t review)
{
    char text[24], id[24];
    const char *const below[] = {"pulls", text, "reviews", id, NULL};
    (void)snprintf(text, sizeof text, "%lld", (long long)number);
    (void)snprintf(id, sizeof id, "%lld", (long long)review);
    return document_of(facts, gitea, repo, below, NULL);
}
