#include "reconcile/resolve/resolve_cache.h"

#include <pthread.h>
#include <search.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "clients/base/limits.h"

struct commit {
    struct resolve_facts facts; /* first: what is got is the commit's */
    atomic_uint refs;           /* the table's, and of each who got it */
    char *repo, *sha;
    int64_t until_ms;
    size_t bytes;
    TAILQ_ENTRY(commit) link;
};

struct resolve_kept {
    pthread_mutex_t lock;                /* guards all that follows */
    TAILQ_HEAD(commits, commit) commits; /* oldest first */
    void *tree;                          /* the same, by sha and repo; see tsearch(3) */
    size_t n, bytes;
};

struct resolve_kept *resolve_kept_new(void)
{
    struct resolve_kept *kept = mem_zero(1, sizeof *kept);
    pthread_mutex_init(&kept->lock, NULL);
    TAILQ_INIT(&kept->commits);
    return kept;
}

static int compare(const void *a, const void *b)
{
    const struct commit *left = a, *right = b;
    int order = strcmp(left->sha, right->sha);
    return order ? order : strcmp(left->repo, right->repo);
}

static void commit_unref(struct commit *commit)
{
    if (atomic_fetch_sub(&commit->refs, 1) != 1)
        return;
    resolve_facts_done(&commit->facts);
    free(commit->repo);
    free(commit->sha);
    free(commit);
}

static void commit_drop(struct resolve_kept *kept, struct commit *commit)
{
    TAILQ_REMOVE(&kept->commits, commit, link);
    tdelete(commit, &kept->tree, compare);
    kept->n--;
    kept->bytes -= commit->bytes;
    commit_unref(commit);
}

void resolve_kept_free(struct resolve_kept *kept)
{
    if (!kept)
        return;
    while (!TAILQ_EMPTY(&kept->commits))
        commit_drop(kept, TAILQ_FIRST(&kept->commits));
    pthread_mutex_destroy(&kept->lock);
    free(kept);
}

static struct commit *commit_of(struct resolve_kept *kept, const char *repo, const char *sha)
{
    const struct commit wanted = {.repo = (char *)(uintptr_t)repo, .sha = (char *)(uintptr_t)sha};
    void *found = tfind(&wanted, &kept->tree, compare);
    return found ? *(struct commit **)found : NULL;
}

static size_t count_bytes(const struct resolve_facts *facts)
{
    size_t bytes = sizeof(struct commit);
    for (size_t i = 0; i < facts->n_branches; i++)
        bytes += sizeof facts->branches[i] + strlen(facts->branches[i].name);
    for (size_t i = 0; i < facts->n_pull_branches; i++)
        bytes += sizeof facts->pull_branches[i] + strlen(facts->pull_branches[i]);
    return bytes;
}

const struct resolve_facts *resolve_kept_put(struct resolve_kept *kept, const char *repo, const char *sha,
                                             struct resolve_facts *facts_take, int64_t until_ms)
{
    struct commit *commit = mem_zero(1, sizeof *commit);
    commit->facts = *facts_take;
    *facts_take = (struct resolve_facts){0};
    atomic_init(&commit->refs, 2); /* the table's, the caller's */
    commit->repo = mem_dup(repo);
    commit->sha = mem_dup(sha);
    commit->until_ms = until_ms;
    commit->bytes = count_bytes(&commit->facts);
    pthread_mutex_lock(&kept->lock);
    struct commit *older = commit_of(kept, repo, sha);
    if (older)
        commit_drop(kept, older);
    TAILQ_INSERT_TAIL(&kept->commits, commit, link);
    if (!tsearch(commit, &kept->tree, compare))
        abort(); /* out of memory, see err.h */
    kept->n++;
    kept->bytes += commit->bytes;
    while (kept->n > LIMIT_RESOLVE_KEPT || kept->bytes > LIMIT_RESOLVE_KEPT_BYTES)
        commit_drop(kept, TAILQ_FIRST(&kept->commits));
    pthread_mutex_unlock(&kept->lock);
    return &commit->facts;
}

const struct resolve_facts *resolve_kept_get(struct resolve_kept *kept, const char *repo, const char *sha,
                                             int64_t now_ms)
{
    pthread_mutex_lock(&kept->lock);
    struct commit *commit = commit_of(kept, repo, sha);
    if (commit && commit->until_ms <= now_ms) {
        commit_drop(kept, commit);
        commit = NULL;
    }
    if (commit)
        atomic_fetch_add(&commit->refs, 1);
    pthread_mutex_unlock(&kept->lock);
    return commit ? &commit->facts : NULL;
}

void resolve_kept_give_back(const struct resolve_facts *facts)
{
    if (facts)
        commit_unref((struct commit *)(uintptr_t)facts);
}
