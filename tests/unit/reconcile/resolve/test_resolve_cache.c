/* What Gitea said about commits of late: kept for a while, bounded in number and bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "reconcile/resolve/resolve_cache.h"

#define REPO "acme/app"

/* Facts that bear a mark and have one branch of that name. */
static struct resolve_facts facts_of(int64_t mark, char *branch_take)
{
    struct resolve_facts facts = {.foreign_pull = mark, .n_branches = 1};
    facts.branches = mem_zero(1, sizeof *facts.branches);
    facts.branches[0].name = branch_take;
    return facts;
}

static void put(struct resolve_kept *kept, const char *repo, const char *sha, int64_t mark, int64_t until_ms)
{
    struct resolve_facts facts = facts_of(mark, mem_dup("b"));
    resolve_kept_give_back(resolve_kept_put(kept, repo, sha, &facts, until_ms));
    assert_null(facts.branches);
}

/* The mark of what is kept; 0: nothing. */
static int64_t mark_of(struct resolve_kept *kept, const char *repo, const char *sha, int64_t now_ms)
{
    const struct resolve_facts *facts = resolve_kept_get(kept, repo, sha, now_ms);
    int64_t mark = facts ? facts->foreign_pull : 0;
    resolve_kept_give_back(facts);
    return mark;
}

static void what_is_kept_ends_at_its_time(void **state)
{
    (void)state;
    struct resolve_kept *kept = resolve_kept_new();
    put(kept, REPO, "aa", 1, 100);
    put(kept, "acme/other", "aa", 2, 100);
    assert_int_equal(mark_of(kept, REPO, "aa", 99), 1);
    assert_int_equal(mark_of(kept, "acme/other", "aa", 99), 2);
    assert_int_equal(mark_of(kept, REPO, "ab", 99), 0);
    assert_int_equal(mark_of(kept, REPO, "aa", 100), 0);
    assert_int_equal(mark_of(kept, REPO, "aa", 99), 0); /* gone for good */
    assert_int_equal(mark_of(kept, "acme/other", "aa", 99), 2);
    resolve_kept_free(kept);
}

static void newer_facts_take_the_place_of_older_ones(void **state)
{
    (void)state;
    struct resolve_kept *kept = resolve_kept_new();
    put(kept, REPO, "aa", 1, 100);
    const struct resolve_facts *first = resolve_kept_get(kept, REPO, "aa", 0);
    put(kept, REPO, "aa", 2, 200);
    assert_int_equal(mark_of(kept, REPO, "aa", 150), 2);
    assert_int_equal(first->foreign_pull, 1); /* who has it keeps it */
    resolve_kept_give_back(first);
    resolve_kept_free(kept);
}

static void the_oldest_go_when_there_are_too_many(void **state)
{
    (void)state;
    struct resolve_kept *kept = resolve_kept_new();
    char sha[24];
    for (unsigned i = 0; i < LIMIT_RESOLVE_KEPT + 2; i++) {
        snprintf(sha, sizeof sha, "%u", i);
        put(kept, REPO, sha, i + 1, 100);
    }
    assert_int_equal(mark_of(kept, REPO, "0", 0), 0);
    assert_int_equal(mark_of(kept, REPO, "1", 0), 0);
    assert_int_equal(mark_of(kept, REPO, "2", 0), 3);
    resolve_kept_free(kept);
}

static void the_oldest_go_when_they_are_too_large(void **state)
{
    (void)state;
    struct resolve_kept *kept = resolve_kept_new();
    static const char *const shas[] = {"aa", "bb", "cc"};
    for (size_t i = 0; i < 3; i++) {
        char *branch = mem_zero(1, LIMIT_RESOLVE_KEPT_BYTES / 5 * 2);
        memset(branch, 'b', LIMIT_RESOLVE_KEPT_BYTES / 5 * 2 - 1);
        struct resolve_facts facts = facts_of((int64_t)i + 1, branch);
        resolve_kept_give_back(resolve_kept_put(kept, REPO, shas[i], &facts, 100));
    }
    assert_int_equal(mark_of(kept, REPO, "aa", 0), 0);
    assert_int_equal(mark_of(kept, REPO, "bb", 0), 2);
    assert_int_equal(mark_of(kept, REPO, "cc", 0), 3);
    char *branch = mem_zero(1, LIMIT_RESOLVE_KEPT_BYTES + 1);
    memset(branch, 'b', LIMIT_RESOLVE_KEPT_BYTES);
    struct resolve_facts huge = facts_of(9, branch);
    const struct resolve_facts *mine = resolve_kept_put(kept, REPO, "dd", &huge, 100);
    assert_int_equal(mine->foreign_pull, 9); /* for the one who put it */
    resolve_kept_give_back(mine);
    assert_int_equal(mark_of(kept, REPO, "dd", 0), 0);
    resolve_kept_free(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_ends_at_its_time),
        cmocka_unit_test(newer_facts_take_the_place_of_older_ones),
        cmocka_unit_test(the_oldest_go_when_there_are_too_many),
        cmocka_unit_test(the_oldest_go_when_they_are_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
