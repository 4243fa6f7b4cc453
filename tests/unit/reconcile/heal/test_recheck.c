/* What was looked at and stayed where it is rests for a growing, bounded while. */
#include "clients/base/limits.h"
#include "reconcile/heal/recheck.h"
#include "tests/support/test.h"

enum { INTERVAL_MS = 60000 };

static int make(void **state)
{
    *state = recheck_new();
    return 0;
}

static int unmake(void **state)
{
    recheck_free(*state);
    return 0;
}

static size_t resting_at(struct recheck *recheck, int64_t now_ms)
{
    int64_t *ids;
    size_t n;
    recheck_waiting(recheck, now_ms, &ids, &n);
    for (size_t i = 1; i < n; i++)
        assert_true(ids[i - 1] < ids[i]);
    free(ids);
    return n;
}

/* How long a task rests after being looked at `looks` times at now 0. */
static int64_t recheck_after(struct recheck *recheck, unsigned looks, const char *sha,
                             enum recheck_cause kind)
{
    for (unsigned i = 0; i < looks; i++)
        recheck_later(recheck, 1, "development", sha, kind, INTERVAL_MS, 0);
    int64_t ms = 0;
    while (resting_at(recheck, ms))
        ms += INTERVAL_MS / 4;
    return ms;
}

#define FRESH_TEST(test) TEST_WITH(test, make, unmake)

FRESH_TEST(the_first_look_costs_no_pass)
{
    assert_int_equal(recheck_after(*state, 1, "a", RECHECK_RED), INTERVAL_MS / 2);
}

FRESH_TEST(each_look_doubles_the_rest_up_to_ten_intervals)
{
    assert_int_equal(recheck_after(*state, 3, "a", RECHECK_RED), 2 * INTERVAL_MS);
    assert_int_equal(recheck_after(*state, 1, "a", RECHECK_RED), 4 * INTERVAL_MS);
    assert_int_equal(recheck_after(*state, 50, "a", RECHECK_RED), 10 * INTERVAL_MS);
}

FRESH_TEST(what_could_not_be_learnt_is_asked_again_sooner)
{
    assert_in_range(recheck_after(*state, 50, NULL, RECHECK_UNKNOWN), 3 * INTERVAL_MS / 4, INTERVAL_MS);
}

FRESH_TEST(what_could_not_be_learnt_rests_a_minute_at_most_if_the_interval_is_shorter)
{
    enum { SHORT_MS = 5000 };
    for (unsigned i = 0; i < 50; i++)
        recheck_later(*state, 1, "development", NULL, RECHECK_UNKNOWN, SHORT_MS, 0);
    assert_int_equal(resting_at(*state, 45000 - 1), 1);
    assert_int_equal(resting_at(*state, 60000), 0);
}

FRESH_TEST(tasks_that_fail_do_not_all_return_together)
{
    enum { TASKS = 100 };
    for (int64_t id = 1; id <= TASKS; id++)
        for (unsigned i = 0; i < 50; i++)
            recheck_later(*state, id, "development", NULL, RECHECK_UNKNOWN, INTERVAL_MS, 0);
    assert_in_range(resting_at(*state, INTERVAL_MS * 7 / 8), 1, TASKS - 1);
}

FRESH_TEST(what_could_not_be_learnt_last_is_known)
{
    assert_false(recheck_is_unknown(*state, 1));
    recheck_later(*state, 1, "development", NULL, RECHECK_UNKNOWN, INTERVAL_MS, 0);
    assert_true(recheck_is_unknown(*state, 1));
    recheck_later(*state, 1, "development", "a", RECHECK_RED, INTERVAL_MS, 0);
    assert_false(recheck_is_unknown(*state, 1));
}

FRESH_TEST(another_sha_begins_anew)
{
    recheck_after(*state, 50, "a", RECHECK_RED);
    assert_int_equal(recheck_after(*state, 1, "b", RECHECK_RED), INTERVAL_MS / 2);
}

FRESH_TEST(another_stage_begins_anew)
{
    recheck_after(*state, 50, "a", RECHECK_RED);
    recheck_later(*state, 1, "testing", "a", RECHECK_RED, INTERVAL_MS, 0);
    assert_int_equal(resting_at(*state, INTERVAL_MS / 2), 0);
}

FRESH_TEST(a_task_that_moved_is_forgotten)
{
    recheck_after(*state, 5, "a", RECHECK_RED);
    recheck_forget(*state, 1);
    recheck_forget(*state, 2);
    assert_int_equal(resting_at(*state, 0), 0);
}

FRESH_TEST(only_so_many_are_remembered)
{
    for (int64_t id = 1; id <= LIMIT_RECHECKS + 10; id++)
        recheck_later(*state, id, "development", "a", RECHECK_RED, INTERVAL_MS, 0);
    assert_int_equal(resting_at(*state, 0), LIMIT_RECHECKS);
    assert_int_equal(resting_at(*state, (int64_t)3 * 24 * 3600 * 1000), 0);
    recheck_later(*state, LIMIT_RECHECKS + 11, "development", "a", RECHECK_RED, INTERVAL_MS, 0);
    assert_int_equal(resting_at(*state, 0), 1);
}
