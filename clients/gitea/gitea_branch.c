/* Makes a branch unless it exists. It is looked up before and after: Gitea's answer to the POST may be lost,
 * and another client may make the same branch in between. It is made from the commit that was read of the
 * base branch, and not from its name, which may also be the name of a tag (services/repository/branch.go,
 * CreateNewBranchFromCommit).
 */
#include "clients/gitea/gitea_io.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"

struct making {
    struct fact_request request;
    struct gitea_branch_made fact;
    struct gitea *gitea;
    const char *repo, *branch, *base, *what;
    const struct gitea_head *head, *base_head;
    const char *failed; /* Gitea's answer to the POST, when that is settled by looking */
    bool unanswered;
};

/* Below the repository; `name` may be NULL. NULL if it cannot be a URL. */
static const char *url_below(struct facts *facts, const struct making *making, const char *below,
                             const char *name)
{
    const char *segments[] = {"repos", NULL, NULL, below, name, NULL};
    if (!gitea_repo_split(facts_arena(facts), making->repo, &segments[1], &segments[2]))
        return NULL;
    return gitea_url(facts_arena(facts), making->gitea, segments, NULL);
}

/* A request of its own: the answer of gitea_head is as old as the fact set. */
static void looked(struct facts *facts, void *arg, const struct gitea_reply *reply)
{
    struct making *making = arg;
    struct gitea_branch branch;
    bool there = reply->state == FACT_KNOWN &&
                 !gitea_parse_branch(reply->json, facts_arena(facts), &branch) &&
                 strcmp(branch.name, making->branch) == 0;
    making->fact.made = there && making->unanswered && strcmp(branch.sha, making->base_head->sha) == 0;
    fact_settle(facts, &making->request, there ? FACT_KNOWN : FACT_FAILED, making->failed);
}

static void look_again(struct facts *facts, struct making *making)
{
    gitea_ask(facts, making->gitea, url_below(facts, making, "branches", making->branch), making->what,
              LIMIT_ANSWER_HEAD, looked, making);
}

/* 409 means that the branch exists, or another one that prevents it ("a" prevents "a/b"). Gitea may answer
 * 500 although the branch was made. A redirect that arrives here leads to another host, see fetch.h. */
static void posted(struct facts *facts, void *arg, const struct gitea_reply *reply)
{
    struct making *making = arg;
    making->failed = reply->error;
    making->unanswered = reply->status == 0 || reply->status >= 500;
    if (reply->status == 201) {
        making->fact.made = true;
        fact_settle(facts, &making->request, FACT_KNOWN, NULL);
    } else if (reply->status == 409 || making->unanswered) {
        look_again(facts, making);
    } else if (reply->status >= 300 && reply->status <= 399) {
        fact_settle(facts, &making->request, FACT_FAILED,
                    arena_printf(facts_arena(facts), "Gitea answered %d for %s: the repository has moved",
                                 reply->status, making->what));
    } else {
        fact_settle(facts, &making->request, reply->state == FACT_ABSENT ? FACT_ABSENT : FACT_FAILED,
                    reply->error);
    }
}

static void post(struct facts *facts, struct making *making)
{
    json_t *body = json_object();
    json_put(body, "new_branch_name", json_text(making->branch));
    json_put(body, "old_ref_name", json_text(making->base_head->sha));
    AUTO_FREE char *text = json_line(body);
    json_decref(body);
    gitea_post(facts, making->gitea, making->fact.fact.url, making->what, text, posted, making);
}

/* The base is not there: nor is the repository, or it is empty. */
static void repo_replied(struct facts *facts, void *arg, const struct gitea_reply *reply)
{
    struct making *making = arg;
    if (reply->state != FACT_KNOWN)
        fact_settle(facts, &making->request, reply->state, reply->error);
    else if (json_get_bool(reply->json, "empty", false))
        fact_settle(facts, &making->request, FACT_FAILED,
                    arena_printf(facts_arena(facts), "%s: the repository is empty", making->what));
    else
        fact_settle(facts, &making->request, FACT_ABSENT, making->base_head->fact.error);
}

static void base_seen(struct facts *facts, void *arg)
{
    struct making *making = arg;
    const struct fact *base = &making->base_head->fact;
    if (base->state == FACT_KNOWN) {
        post(facts, making);
    } else if (base->state == FACT_ABSENT) {
        gitea_ask(facts, making->gitea, url_below(facts, making, NULL, NULL),
                  gitea_what(facts_arena(facts), "repository %s", making->repo), LIMIT_ANSWER_REPO,
                  repo_replied, making);
    } else {
        fact_settle(facts, &making->request, FACT_FAILED, base->error);
    }
}

static void branch_seen(struct facts *facts, void *arg)
{
    struct making *making = arg;
    const struct fact *head = &making->head->fact;
    if (head->state == FACT_ABSENT)
        gitea_head_ask(facts, making->gitea, making->repo, making->base, &making->base_head, base_seen,
                       making);
    else
        fact_settle(facts, &making->request, head->state, head->error);
}

const struct gitea_branch_made *gitea_branch_make(struct facts *facts, struct gitea *gitea, const char *repo,
                                                  const char *base, const char *branch)
{
    struct arena *arena = facts_arena(facts);
    AUTO_FREE char *of = repo_key(repo);
    AUTO_FREE char *key = mem_printf("gitea branch make\n%s\n%s\n%s", of, base, branch);
    bool is_new;
    struct making *making = (struct making *)(void *)fact_request_get(facts, key, sizeof *making, &is_new);
    if (is_new) {
        making->request.fact = &making->fact.fact;
        making->gitea = gitea;
        making->repo = arena_text(arena, repo);
        making->branch = arena_text(arena, branch);
        making->base = arena_text(arena, base);
        making->what = gitea_what(arena, "new branch %s of %s", branch, repo);
        making->fact.fact.url = url_below(facts, making, "branches", NULL);
        gitea_head_ask(facts, gitea, repo, branch, &making->head, branch_seen, making);
    }
    fact_await(facts, &making->request);
    return &making->fact;
}
