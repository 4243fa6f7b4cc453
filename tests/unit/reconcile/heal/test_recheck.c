/* What was looked at and stayed where it is rests for a growing, bounded while. */
#include <string.h>

#include "clients/base/limits.h"
#include "reconcile/heal/recheck.h"
#include "reconcile/heal/report.h"
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

FRESH_TEST(what_was_seen_last_is_kept_while_the_task_stays_there)
{
    struct recheck_look look;
    char longest[600];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    struct report_item item = {
        .task_id = 7, .stage = "development", .verdict = "red", .reason = longest, .outcome = OUTCOME_RED};
    assert_false(recheck_last(*state, 7, "development", &look));
    recheck_saw(*state, &item, 5);
    assert_true(recheck_last(*state, 7, "development", &look));
    assert_int_equal(look.at_us, 5);
    assert_int_equal(look.outcome, OUTCOME_RED);
    assert_string_equal(look.verdict, "red");
    assert_int_equal(strlen(look.reason), sizeof look.reason - 1);
    assert_false(recheck_last(*state, 7, "review", &look)); /* others moved it */
    item.to_stage = "review";
    item.reason = "passed";
    item.outcome = OUTCOME_ADVANCED;
    recheck_saw(*state, &item, 6);
    assert_false(recheck_last(*state, 7, "development", &look));
    assert_true(recheck_last(*state, 7, "review", &look));
    assert_string_equal(look.reason, "passed");
    item.task_id = 0; /* an issue without a task */
    recheck_saw(*state, &item, 7);
    assert_false(recheck_last(*state, 0, "review", &look));
}

FRESH_TEST(looks_are_bounded)
{
    struct recheck_look look;
    for (int64_t id = 1; id <= LIMIT_RECHECKS + 1; id++)
        recheck_saw(*state, &(struct report_item){.task_id = id, .stage = "s", .outcome = OUTCOME_HELD}, id);
    assert_false(recheck_last(*state, 1, "s", &look));
    assert_true(recheck_last(*state, LIMIT_RECHECKS + 1, "s", &look));
    assert_string_equal(look.verdict, "");
}
