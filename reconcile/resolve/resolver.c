#include "reconcile/resolve/resolver.h"

#include <stdlib.h>

#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "reconcile/sweep/query_pool.h"
#include "reconcile/resolve/resolve_cache.h"
#include "reconcile/settings/settings.h"

struct resolver {
    const struct settings *settings;
    const struct pipeline *pipeline;
    struct store *store;
    struct gitea *gitea;
    struct query_pool *query_pool;
    struct resolve_cache *kept;
    const char **stages; /* of unfinished tasks */
    size_t n_stages;
};

struct resolver *resolver_new(const struct settings *settings, const struct pipeline *pipeline,
                              struct store *store, struct gitea *gitea, struct query_pool *query_pool)
{
    struct resolver *resolver = mem_zero(1, sizeof *resolver);
    *resolver = (struct resolver){
        .settings = settings,
        .pipeline = pipeline,
        .store = store,
        .gitea = gitea,
        .query_pool = query_pool,
        .kept = resolve_cache_new(),
    };
    resolver->stages = resolve_stages(pipeline, &resolver->n_stages);
    return resolver;
}

void resolver_free(struct resolver *resolver)
{
    if (!resolver)
        return;
    resolve_cache_free(resolver->kept);
    free(resolver->stages);
    free(resolver);
}

void resolver_answer_done(struct resolver_answer *answer)
{
    resolution_done(&answer->resolution);
    store_repo_tasks_done(&answer->tasks);
    resolve_cache_give_back(answer->findings);
    *answer = (struct resolver_answer){0};
}

static struct resolve_question question_of(const struct resolver *resolver, const char *repo, const char *sha)
{
    return (struct resolve_question){
        .repo = repo, .sha = sha, .pipeline = resolver->pipeline, .settings = resolver->settings};
}

/* Under all of its names. */
static enum err read_tasks(struct resolver *resolver, const char *repo, char *const *names, size_t n,
                           struct store_repo_tasks *ret, struct why *why)
{
    AUTO_FREE const char **all = mem_zero(n + 1, sizeof *all);
    all[0] = repo;
    for (size_t i = 0; i < n; i++)
        all[i + 1] = names[i];
    return store_repo_tasks(resolver->store, all, n + 1, resolver->stages, resolver->n_stages,
                            LIMIT_RESOLVE_TASKS, ret, why);
}

bool resolver_now(struct resolver *resolver, const char *repo, const char *sha, struct resolver_answer *ret)
{
    *ret =
        (struct resolver_answer){.findings = resolve_cache_get(resolver->kept, repo, sha, clock_mono_ms())};
    if (!ret->findings)
        return false;
    ret->err =
        read_tasks(resolver, repo, ret->findings->names, ret->findings->n_names, &ret->tasks, &ret->why);
    if (ret->err)
        return true;
    const struct resolve_question question = question_of(resolver, repo, sha);
    resolve_decide(&question, &ret->tasks, ret->findings, &ret->resolution);
    if (ret->resolution.result != RESOLVE_PENDING)
        return true;
    resolver_answer_done(ret); /* a task has come since whose branch was not asked about */
    return false;
}

/* the query */

struct subject {
    struct resolver *resolver;
    char *repo, *sha;
    bool has_tasks;
    char **others, **names; /* see struct resolve_question; NULL: not known yet */
    size_t n_others, n_names;
    struct resolve_findings findings;
    struct resolver_answer answer; /* owns the tasks; its resolution borrows from them and from `findings` */
};

static void subject_free(void *arg)
{
    struct subject *subject = arg;
    resolver_answer_done(&subject->answer);
    resolve_findings_done(&subject->findings);
    for (size_t i = 0; i < subject->n_others; i++)
        free(subject->others[i]);
    for (size_t i = 0; i < subject->n_names; i++)
        free(subject->names[i]);
    free(subject->others);
    free(subject->names);
    free(subject->repo);
    free(subject->sha);
    free(subject);
}

/* An incomplete answer is not kept: the next request asks again. */
static void keep(struct subject *subject)
{
    const struct resolution *resolution = &subject->answer.resolution;
    bool hit = resolution->result == RESOLVE_FOUND && resolution->method != METHOD_SOLE_TASK;
    if (subject->findings.reason)
        return;
    subject->answer.findings =
        resolve_cache_put(subject->resolver->kept, subject->repo, subject->sha, &subject->findings,
                          clock_mono_ms() + (hit ? LIMIT_RESOLVE_HIT_MS : LIMIT_RESOLVE_MISS_MS));
}

static void other_add(struct subject *subject, const char *repo)
{
    bool known = repo_compare(subject->repo, repo) == 0 || !settings_repo_valid(repo);
    for (size_t i = 0; i < subject->n_others && !known; i++)
        known = repo_compare(subject->others[i], repo) == 0;
    if (!known && subject->n_others < LIMIT_RESOLVE_REPOS)
        subject->others[subject->n_others++] = mem_dup(repo);
}

/* What may be names of the repo, too. */
static enum err read_others(struct subject *subject, struct why *why)
{
    const struct resolver *resolver = subject->resolver;
    char **repos;
    size_t n;
    enum err err = store_repos(resolver->store, resolver->stages, resolver->n_stages, LIMIT_RESOLVE_REPOS,
                               &repos, &n, why);
    if (err)
        return err;
    subject->others = mem_zero(LIMIT_RESOLVE_REPOS, sizeof *subject->others);
    for (size_t i = 0; i < n; i++) {
        other_add(subject, repos[i]);
        free(repos[i]);
    }
    free(repos);
    for (size_t i = 0; i < resolver->settings->n_repos; i++)
        other_add(subject, resolver->settings->repos[i]);
    return ERR_OK;
}

/* names_take: keeps the names that were just found. */
static void names_take(struct subject *subject)
{
    const struct resolve_findings *findings = &subject->findings;
    subject->names = mem_zero(LIMIT_RESOLVE_REPOS, sizeof *subject->names);
    while (subject->n_names < findings->n_names) {
        subject->names[subject->n_names] = mem_dup(findings->names[subject->n_names]);
        subject->n_names++;
    }
}

/* The tasks of the answer are read after the findings: a task may move while Gitea is asked. */
static const void *look(void *arg, struct facts *facts)
{
    struct subject *subject = arg;
    struct resolver *resolver = subject->resolver;
    struct resolver_answer *answer = &subject->answer;
    struct resolve_question question = question_of(resolver, subject->repo, subject->sha);
    for (bool fresh = false;;) {
        if (!subject->has_tasks) {
            resolver_answer_done(answer);
            answer->err = read_tasks(resolver, subject->repo, subject->names, subject->n_names,
                                     &answer->tasks, &answer->why);
            if (answer->err)
                return answer;
            subject->has_tasks = fresh = true;
        }
        question.others = (const char *const *)subject->others;
        question.n_others = subject->n_others;
        question.names = (const char *const *)subject->names;
        question.n_names = subject->n_names;
        resolution_done(&answer->resolution);
        resolve_findings_done(&subject->findings);
        resolve_look(&question, &answer->tasks, facts, resolver->gitea, &subject->findings,
                     &answer->resolution);
        if (answer->resolution.wants_names && !subject->others) {
            answer->err = read_others(subject, &answer->why);
            if (answer->err)
                return answer;
            continue;
        }
        if (subject->findings.names_known && !subject->names) {
            names_take(subject);
            subject->has_tasks = subject->n_names == 0;
            continue;
        }
        if (answer->resolution.result == RESOLVE_PENDING)
            return NULL;
        subject->has_tasks = false;
        if (fresh) {
            keep(subject);
            return answer;
        }
    }
}

enum err resolver_ask(struct resolver *resolver, const char *repo, const char *sha,
                      void (*done)(void *arg, const void *answer), void *arg, struct why *why)
{
    static const struct query_ops kind = {.look = look, .free = subject_free};
    AUTO_FREE char *of = repo_key(repo);
    AUTO_FREE char *key = mem_printf("resolve %s %s", of, sha);
    struct subject *subject = mem_zero(1, sizeof *subject);
    *subject = (struct subject){.resolver = resolver, .repo = mem_dup(repo), .sha = mem_dup(sha)};
    return query_pool_ask(resolver->query_pool, key, &kind, subject, done, arg, why);
}
