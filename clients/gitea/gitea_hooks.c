/* The webhooks of a repo, of its owner and of the whole Gitea. routers/api/v1/api.go: each list takes the
 * right to administer its owner, and webhooks that are not switched off for the whole Gitea; 403 else.
 * orgs/{org} is 404 for a user; a user's webhooks are listed for that user alone (user/hooks).
 * models/webhook/webhook.go: `events` lists each event by itself, reviews as pull_request_review, in older
 * versions as pull_request_review_approved and so on. */
#include "clients/base/err.h"
#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/gitea/gitea_io.h"

#include <string.h>
#include <strings.h>

struct hooks {
    struct fact_request request;
    struct gitea_hooks fact;
    struct gitea_list list;
    const char *owner; /* GITEA_HOOKS_OWNER; asked as a user too */
};

static void hooks_list(struct facts *facts, struct hooks *hooks, const char *const *segments,
                       const char *what);

/* Whether the token is the owner's own: then its webhooks can be listed. */
static void user_replied(struct facts *facts, void *arg, const struct gitea_reply *reply)
{
    struct hooks *hooks = arg;
    const char *owner = hooks->owner;
    hooks->owner = NULL;
    if (reply->state == FACT_KNOWN && strcasecmp(json_get_text(reply->json, "login", ""), owner) == 0) {
        static const char *const segments[] = {"user", "hooks", NULL};
        hooks_list(facts, hooks, segments, gitea_what(facts_arena(facts), "webhooks of user %s", owner));
        return;
    }
    fact_settle(facts, &hooks->request, FACT_FAILED,
                arena_printf(facts_arena(facts), "Gitea does not show the webhooks of %s to this token",
                             gitea_what(facts_arena(facts), "%s", owner)));
}

static void hooks_listed(struct facts *facts, struct gitea_list *list)
{
    struct hooks *hooks = list->arg;
    struct arena *arena = facts_arena(facts);
    if (list->state == FACT_ABSENT && hooks->owner) {
        static const char *const segments[] = {"user", NULL};
        gitea_ask_if_allowed(facts, list->gitea, gitea_url(arena, list->gitea, segments, NULL),
                             "the token's user", LIMIT_ANSWER_HEAD, user_replied, hooks);
        return;
    }
    if (list->state != FACT_KNOWN) {
        fact_settle(facts, &hooks->request, list->state, list->error);
        return;
    }
    if (list->cut) {
        fact_settle(facts, &hooks->request, FACT_FAILED,
                    arena_printf(arena, "Gitea has too many pages of %s", list->what));
        return;
    }
    struct gitea_hook *items = arena_zero(arena, list->n_rows, sizeof *items);
    for (size_t i = 0; i < list->n_pages; i++)
        for (size_t k = 0; k < list->pages[i].n; k++)
            items[hooks->fact.n++] = ((const struct gitea_hook *)list->pages[i].rows)[k];
    hooks->fact.items = items;
    fact_settle(facts, &hooks->request, FACT_KNOWN, NULL);
}

static void hooks_list(struct facts *facts, struct hooks *hooks, const char *const *segments,
                       const char *what)
{
    hooks->list = (struct gitea_list){
        .gitea = hooks->list.gitea,
        .what = what,
        .segments = segments,
        .parse = gitea_parse_hooks,
        .page_bytes = LIMIT_ANSWER_HOOKS,
        .pages_max = LIMIT_WEBHOOK_PAGES,
        .if_allowed = true,
        .done = hooks_listed,
        .arg = hooks,
    };
    gitea_list_start(facts, &hooks->list);
    hooks->fact.fact.url = hooks->list.url;
}

static void hooks_ask(struct facts *facts, struct hooks *hooks, struct gitea *gitea, const char *repo,
                      enum gitea_hooks_level level)
{
    struct arena *arena = facts_arena(facts);
    const char *owner, *name, **segments = arena_zero(arena, 5, sizeof(char *));
    hooks->request.fact = &hooks->fact.fact;
    hooks->list.gitea = gitea;
    if (!gitea_repo_split(arena, repo, &owner, &name)) {
        fact_settle(facts, &hooks->request, FACT_FAILED, "a repo is \"owner/name\"");
        return;
    }
    switch (level) {
    case GITEA_HOOKS_OWNER:
        hooks->owner = owner;
        segments[0] = "orgs";
        segments[1] = owner;
        segments[2] = "hooks";
        hooks_list(facts, hooks, segments, gitea_what(arena, "webhooks of organization %s", owner));
        return;
    case GITEA_HOOKS_SYSTEM:
        segments[0] = "admin";
        segments[1] = "hooks";
        hooks_list(facts, hooks, segments, "its system webhooks");
        return;
    case GITEA_HOOKS_REPO:
    case GITEA_HOOKS_MAX_:
        break;
    }
    segments[0] = "repos";
    segments[1] = owner;
    segments[2] = name;
    segments[3] = "hooks";
    hooks_list(facts, hooks, segments, gitea_what(arena, "webhooks of %s", repo));
}

const struct gitea_hooks *gitea_hooks(struct facts *facts, struct gitea *gitea, const char *repo,
                                      enum gitea_hooks_level level)
{
    static const char *const scopes[] = {
        [GITEA_HOOKS_REPO] = "repo", [GITEA_HOOKS_OWNER] = "owner", [GITEA_HOOKS_SYSTEM] = "system"};
    size_t len = level == GITEA_HOOKS_REPO    ? strlen(repo)
                 : level == GITEA_HOOKS_OWNER ? strcspn(repo, "/")
                                              : 0;
    AUTO_FREE char *of = repo_key(repo);
    AUTO_FREE char *key = mem_printf("gitea hooks\n%s\n%.*s", scopes[level], (int)len, of);
    bool is_new;
    struct hooks *hooks = (struct hooks *)(void *)fact_request_get(facts, key, sizeof *hooks, &is_new);
    if (is_new)
        hooks_ask(facts, hooks, gitea, repo, level);
    fact_await(facts, &hooks->request);
    return &hooks->fact;
}
