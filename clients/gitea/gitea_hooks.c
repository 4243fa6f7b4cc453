/* The webhooks of a repo. routers/api/v1/api.go: the list takes the right to administer the repo, and
 * webhooks that are not switched off for the whole Gitea; 403 else. models/webhook/webhook.go: `events` lists
 * each event by itself, reviews as pull_request_review, in older versions as pull_request_review_approved and
 * so on. */
#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/gitea/gitea_io.h"

struct hooks {
    struct fact_request request;
    struct gitea_hooks fact;
    struct gitea_list list;
};

static void hooks_listed(struct facts *facts, struct gitea_list *list)
{
    struct hooks *hooks = list->arg;
    struct arena *arena = facts_arena(facts);
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

static void hooks_ask(struct facts *facts, struct hooks *hooks, struct gitea *gitea, const char *repo)
{
    struct arena *arena = facts_arena(facts);
    hooks->request.fact = &hooks->fact.fact;
    const char **segments = arena_zero(arena, 5, sizeof(char *));
    segments[0] = "repos";
    segments[3] = "hooks";
    if (!gitea_repo_split(arena, repo, &segments[1], &segments[2])) {
        fact_settle(facts, &hooks->request, FACT_FAILED, "a repo is \"owner/name\"");
        return;
    }
    hooks->list = (struct gitea_list){
        .gitea = gitea,
        .what = gitea_what(arena, "webhooks of %s", repo),
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

const struct gitea_hooks *gitea_hooks(struct facts *facts, struct gitea *gitea, const char *repo)
{
    AUTO_FREE char *key = mem_printf("gitea hooks\n%s", repo);
    bool is_new;
    struct hooks *hooks = (struct hooks *)(void *)fact_request_get(facts, key, sizeof *hooks, &is_new);
    if (is_new)
        hooks_ask(facts, hooks, gitea, repo);
    fact_await(facts, &hooks->request);
    return &hooks->fact;
}
