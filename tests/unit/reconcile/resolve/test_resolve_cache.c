/* Gitea's recent answers about commits: kept for a while, bounded in number and bytes. */
#include "clients/base/limits.h"
#include "reconcile/resolve/resolve_cache.h"
#include "tests/support/test.h"

#define REPO "acme/app"

/* Facts that bear a mark and have one branch of that name. */
static struct resolve_findings facts_of(int64_t mark, char *branch_take)
{
    struct resolve_findings findings = {.foreign_pull = mark, .n_branches = 1};
    findings.branches = mem_zero(1, sizeof *findings.branches);
    findings.branches[0].name = branch_take;
    return findings;
}

static void put(struct resolve_cache *cache, const char *repo, const char *sha, int64_t mark,
                int64_t until_ms)
{
    struct resolve_findings findings = facts_of(mark, mem_dup("b"));
    resolve_cache_give_back(resolve_cache_put(cache, repo, sha, &findings, until_ms));
    assert_null(findings.branches);
}

/* The mark of what is cache; 0: nothing. */
static int64_t mark_of(struct resolve_cache *cache, const char *repo, const char *sha, int64_t now_ms)
{
    const struct resolve_findings *findings = resolve_cache_get(cache, repo, sha, now_ms);
    int64_t mark = findings ? findings->foreign_pull : 0;
    resolve_cache_give_back(findings);
    return mark;
}

TEST(what_is_kept_ends_at_its_time)
{
    struct resolve_cache *cache = resolve_cache_new();
    put(cache, REPO, "aa", 1, 100);
    put(cache, "acme/other", "aa", 2, 100);
    assert_int_equal(mark_of(cache, REPO, "aa", 99), 1);
    assert_int_equal(mark_of(cache, "acme/other", "aa", 99), 2);
    assert_int_equal(mark_of(cache, REPO, "ab", 99), 0);
    assert_int_equal(mark_of(cache, REPO, "aa", 100), 0);
    assert_int_equal(mark_of(cache, REPO, "aa", 99), 0); /* gone for good */
    assert_int_equal(mark_of(cache, "acme/other", "aa", 99), 2);
    resolve_cache_free(cache);
}

TEST(newer_facts_take_the_place_of_older_ones)
{
    struct resolve_cache *cache = resolve_cache_new();
    put(cache, REPO, "aa", 1, 100);
    const struct resolve_findings *first = resolve_cache_get(cache, REPO, "aa", 0);
    put(cache, REPO, "aa", 2, 200);
    assert_int_equal(mark_of(cache, REPO, "aa", 150), 2);
    assert_int_equal(first->foreign_pull, 1); /* who has it keeps it */
    resolve_cache_give_back(first);
    resolve_cache_free(cache);
}

TEST(the_oldest_go_when_there_are_too_many)
{
    struct resolve_cache *cache = resolve_cache_new();
    char sha[24];
    for (unsigned i = 0; i < LIMIT_RESOLVE_CACHE + 2; i++) {
        snprintf(sha, sizeof sha, "%u", i);
        put(cache, REPO, sha, i + 1, 100);
    }
    assert_int_equal(mark_of(cache, REPO, "0", 0), 0);
    assert_int_equal(mark_of(cache, REPO, "1", 0), 0);
    assert_int_equal(mark_of(cache, REPO, "2", 0), 3);
    resolve_cache_free(cache);
}

TEST(the_oldest_go_when_they_are_too_large)
{
    struct resolve_cache *cache = resolve_cache_new();
    static const char *const shas[] = {"aa", "bb", "cc"};
    for (size_t i = 0; i < 3; i++) {
        char *branch = mem_zero(1, LIMIT_RESOLVE_CACHE_BYTES / 5 * 2);
        memset(branch, 'b', LIMIT_RESOLVE_CACHE_BYTES / 5 * 2 - 1);
        struct resolve_findings findings = facts_of((int64_t)i + 1, branch);
        resolve_cache_give_back(resolve_cache_put(cache, REPO, shas[i], &findings, 100));
    }
    assert_int_equal(mark_of(cache, REPO, "aa", 0), 0);
    assert_int_equal(mark_of(cache, REPO, "bb", 0), 2);
    assert_int_equal(mark_of(cache, REPO, "cc", 0), 3);
    char *branch = mem_zero(1, LIMIT_RESOLVE_CACHE_BYTES + 1);
    memset(branch, 'b', LIMIT_RESOLVE_CACHE_BYTES);
    struct resolve_findings huge = facts_of(9, branch);
    const struct resolve_findings *mine = resolve_cache_put(cache, REPO, "dd", &huge, 100);
    assert_int_equal(mine->foreign_pull, 9); /* for the one who put it */
    resolve_cache_give_back(mine);
    assert_int_equal(mark_of(cache, REPO, "dd", 0), 0);
    resolve_cache_free(cache);
}
