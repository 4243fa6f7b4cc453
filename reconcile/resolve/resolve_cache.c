#include "reconcile/resolve/resolve_cache.h"

#include <pthread.h>
#include <search.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "clients/base/limits.h"
#include "clients/base/text.h"

struct commit {
    struct resolve_findings findings; /* first: what is got is the commit's */
    atomic_uint refs;                 /* the table's, and of each who got it */
    char *repo, *sha;
    int64_t until_ms;
    size_t bytes;
    TAILQ_ENTRY(commit) link;
};

struct resolve_cache {
    pthread_mutex_t lock;                /* guards all that follows */
    TAILQ_HEAD(commits, commit) commits; /* oldest first */
    void *tree;                          /* the same, by sha and repo; see tsearch(3) */
    size_t n, bytes;
};

struct resolve_cache *resolve_cache_new(void)
{
    struct resolve_cache *cache = mem_zero(1, sizeof *cache);
    pthread_mutex_init(&cache->lock, NULL);
    TAILQ_INIT(&cache->commits);
    return cache;
}

static int compare(const void *a, const void *b)
{
    const struct commit *left = a, *right = b;
    int order = strcmp(left->sha, right->sha);
    return order ? order : repo_compare(left->repo, right->repo);
}

static void commit_unref(struct commit *commit)
{
    if (atomic_fetch_sub(&commit->refs, 1) != 1)
        return;
    resolve_findings_done(&commit->findings);
    free(commit->repo);
    free(commit->sha);
    free(commit);
}

static void commit_drop(struct resolve_cache *cache, struct commit *commit)
{
    TAILQ_REMOVE(&cache->commits, commit, link);
    tdelete(commit, &cache->tree, compare);
    cache->n--;
    cache->bytes -= commit->bytes;
    commit_unref(commit);
}

void resolve_cache_free(struct resolve_cache *cache)
{
    if (!cache)
        return;
    while (!TAILQ_EMPTY(&cache->commits))
        commit_drop(cache, TAILQ_FIRST(&cache->commits));
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static struct commit *commit_of(struct resolve_cache *cache, const char *repo, const char *sha)
{
    const struct commit wanted = {.repo = (char *)(uintptr_t)repo, .sha = (char *)(uintptr_t)sha};
    void *found = tfind(&wanted, &cache->tree, compare);
    return found ? *(struct commit **)found : NULL;
}

static size_t count_bytes(const struct resolve_findings *findings)
{
    size_t bytes = sizeof(struct commit);
    for (size_t i = 0; i < findings->n_branches; i++)
        bytes += sizeof findings->branches[i] + strlen(findings->branches[i].name);
    for (size_t i = 0; i < findings->n_pull_branches; i++)
        bytes += sizeof findings->pull_branches[i] + strlen(findings->pull_branches[i]);
    for (size_t i = 0; i < findings->n_names; i++)
        bytes += sizeof findings->names[i] + strlen(findings->names[i]);
    return bytes;
}

const struct resolve_findings *resolve_cache_put(struct resolve_cache *cache, const char *repo,
                                                 const char *sha, struct resolve_findings *facts_take,
                                                 int64_t until_ms)
{
    struct commit *commit = mem_zero(1, sizeof *commit);
    commit->findings = *facts_take;
    *facts_take = (struct resolve_findings){0};
    atomic_init(&commit->refs, 2); /* the table's, the caller's */
    commit->repo = mem_dup(repo);
    commit->sha = mem_dup(sha);
    commit->until_ms = until_ms;
    commit->bytes = count_bytes(&commit->findings);
    pthread_mutex_lock(&cache->lock);
    struct commit *older = commit_of(cache, repo, sha);
    if (older)
        commit_drop(cache, older);
    TAILQ_INSERT_TAIL(&cache->commits, commit, link);
    if (!tsearch(commit, &cache->tree, compare))
        abort(); /* out of memory, see err.h */
    cache->n++;
    cache->bytes += commit->bytes;
    while (cache->n > LIMIT_RESOLVE_CACHE || cache->bytes > LIMIT_RESOLVE_CACHE_BYTES)
        commit_drop(cache, TAILQ_FIRST(&cache->commits));
    pthread_mutex_unlock(&cache->lock);
    return &commit->findings;
}

const struct resolve_findings *resolve_cache_get(struct resolve_cache *cache, const char *repo,
                                                 const char *sha, int64_t now_ms)
{
    pthread_mutex_lock(&cache->lock);
    struct commit *commit = commit_of(cache, repo, sha);
    if (commit && commit->until_ms <= now_ms) {
        commit_drop(cache, commit);
        commit = NULL;
    }
    if (commit)
        atomic_fetch_add(&commit->refs, 1);
    pthread_mutex_unlock(&cache->lock);
    return commit ? &commit->findings : NULL;
}

void resolve_cache_give_back(const struct resolve_findings *findings)
{
    if (findings)
        commit_unref((struct commit *)(uintptr_t)findings);
}
