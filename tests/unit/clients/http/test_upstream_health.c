/* When a host counts as down, when a part backs off, what is shown: by a clock that the test owns. */
#include <limits.h>

#include "clients/http/upstream_health.h"
#include "tests/support/test.h"

#define NOW INT64_C(1000000)

static int make(void **state)
{
    *state = upstream_health_new();
    return 0;
}

static int drop(void **state)
{
    upstream_health_free(*state);
    return 0;
}

static void fails(struct upstream_health *health, const char *part, int64_t now_ms)
{
    (void)upstream_health_record(health, part, UPSTREAM_SILENT, "timed out after 10 s", now_ms);
}

static void works(struct upstream_health *health, const char *part, int64_t now_ms)
{
    (void)upstream_health_record(health, part, UPSTREAM_WORKED, NULL, now_ms);
}

static struct upstream_part part_of(struct upstream_health *health, const char *name)
{
    struct upstream_part part;
    upstream_health_part(health, name, &part);
    return part;
}

static bool is_down(struct upstream_health *health, int64_t now_ms)
{
    struct upstream_view view;
    upstream_health_view(health, now_ms, &view);
    return view.down;
}

static bool is_ok(struct upstream_health *health, int64_t now_ms)
{
    struct upstream_view view;
    upstream_health_view(health, now_ms, &view);
    return view.ok;
}

TEST_WITH(nothing_called_is_well, make, drop)
{
    struct upstream_view view;
    upstream_health_view(*state, NOW, &view);
    assert_true(view.ok);
    assert_false(view.down);
    assert_int_equal(view.since_us, 0);
    assert_string_equal(view.error, "");
}

TEST_WITH(three_failing_parts_make_a_host_down, make, drop)
{
    works(*state, "a/healthy", NOW - 1);
    fails(*state, "a/one", NOW);
    fails(*state, "a/two", NOW + 1);
    assert_false(is_down(*state, NOW + 1));
    fails(*state, "a/three", NOW + 2);
    assert_true(is_down(*state, NOW + 2));
    assert_int_equal(upstream_health_permit(*state, "a/healthy", false, NOW + 3), UPSTREAM_DOWN);
    assert_int_equal(upstream_health_permit(*state, "a/healthy", true, NOW + 3), UPSTREAM_DOWN);
}

TEST_WITH(many_failures_of_one_part_are_its_own, make, drop)
{
    works(*state, "a/two", NOW - 2);
    works(*state, "a/three", NOW - 1);
    for (int i = 0; i < 100; i++)
        fails(*state, "a/one", NOW + i);
    assert_false(is_down(*state, NOW + 100));
    assert_int_equal(upstream_health_permit(*state, "a/two", false, NOW + 100), UPSTREAM_ASK);
    assert_int_equal(upstream_health_permit(*state, "a/one", false, NOW + 100), UPSTREAM_BACKING_OFF);
}

TEST_WITH(one_part_alone_is_never_a_host_down, make, drop)
{
    for (int i = 0; i < 100; i++)
        fails(*state, "a/one", NOW + i);
    assert_false(is_down(*state, NOW + 100));
    assert_false(is_ok(*state, NOW + 100));
}

TEST_WITH(two_parts_in_use_make_a_host_down_together, make, drop)
{
    fails(*state, "a/one", NOW);
    assert_false(is_down(*state, NOW));
    fails(*state, "a/two", NOW + 1);
    assert_true(is_down(*state, NOW + 1));
}

TEST_WITH(a_wish_counts_as_use, make, drop)
{
    upstream_health_want(*state, "a/three", NOW);
    fails(*state, "a/one", NOW + 1);
    fails(*state, "a/two", NOW + 2);
    assert_false(is_down(*state, NOW + 2));
}

TEST_WITH(a_success_between_failures_keeps_the_host_up, make, drop)
{
    fails(*state, "a/one", NOW);
    works(*state, "a/four", NOW + 1);
    fails(*state, "a/two", NOW + 2);
    fails(*state, "a/three", NOW + 3);
    assert_false(is_down(*state, NOW + 3));
    fails(*state, "a/one", NOW + 4);
    assert_true(is_down(*state, NOW + 4));
}

TEST_WITH(failures_far_apart_do_not_add_up, make, drop)
{
    fails(*state, "a/one", NOW);
    fails(*state, "a/two", NOW + 10);
    works(*state, "a/four", NOW - 10);
    (void)upstream_health_permit(*state, "a/four", false, NOW + UPSTREAM_WINDOW_MS);
    fails(*state, "a/three", NOW + UPSTREAM_WINDOW_MS);
    assert_false(is_down(*state, NOW + UPSTREAM_WINDOW_MS));
}

TEST_WITH(a_host_stays_down_until_a_call_succeeds, make, drop)
{
    three_failing_parts_make_a_host_down(state);
    assert_true(is_down(*state, NOW + 100 * UPSTREAM_WINDOW_MS));
    assert_false(is_ok(*state, NOW + 100 * UPSTREAM_WINDOW_MS));
    works(*state, "a/three", NOW + 101 * UPSTREAM_WINDOW_MS);
    assert_false(is_down(*state, NOW + 101 * UPSTREAM_WINDOW_MS));
    assert_true(is_ok(*state, NOW + 101 * UPSTREAM_WINDOW_MS));
}

TEST_WITH(one_probe_that_succeeds_outweighs_those_beside_it, make, drop)
{
    static const char *const parts[] = {"a/one", "a/two", "a/three"};
    three_failing_parts_make_a_host_down(state);
    for (size_t i = 0; i < 3; i++)
        upstream_health_want(*state, parts[i], NOW + 10);
    works(*state, "a/healthy", NOW + 20);
    for (size_t i = 0; i < 3; i++)
        fails(*state, parts[i], NOW + 30);
    assert_false(is_down(*state, NOW + 30));
    for (size_t i = 0; i < 3; i++) { /* the next time they count */
        upstream_health_want(*state, parts[i], NOW + 40);
        fails(*state, parts[i], NOW + 50);
    }
    assert_true(is_down(*state, NOW + 50));
}

TEST_WITH(a_part_backs_off_after_failures_in_a_row, make, drop)
{
    works(*state, "a/two", NOW);
    for (unsigned i = 0; i < UPSTREAM_FAILURES_IN_A_ROW - 1; i++)
        fails(*state, "a/one", NOW);
    works(*state, "a/one", NOW);
    for (unsigned i = 0; i < UPSTREAM_FAILURES_IN_A_ROW - 1; i++)
        fails(*state, "a/one", NOW);
    assert_int_equal(upstream_health_permit(*state, "a/one", false, NOW), UPSTREAM_ASK);
    fails(*state, "a/one", NOW);
    assert_int_equal(upstream_health_permit(*state, "a/one", false, NOW), UPSTREAM_BACKING_OFF);
    assert_int_equal(upstream_health_permit(*state, "a/one", true, NOW), UPSTREAM_ASK);
    assert_int_equal(part_of(*state, "a/one").retry_ms, NOW + UPSTREAM_BACKOFF_FIRST_MS);
}

TEST_WITH(one_call_tries_when_the_back_off_is_over, make, drop)
{
    works(*state, "a/two", NOW);
    for (unsigned i = 0; i < UPSTREAM_FAILURES_IN_A_ROW; i++)
        fails(*state, "a/one", NOW);
    int64_t later = part_of(*state, "a/one").retry_ms;
    assert_int_equal(upstream_health_permit(*state, "a/one", false, later), UPSTREAM_ASK);
    assert_int_equal(upstream_health_permit(*state, "a/one", false, later), UPSTREAM_BACKING_OFF);
    works(*state, "a/one", later + 1);
    assert_int_equal(upstream_health_permit(*state, "a/one", false, later + 1), UPSTREAM_ASK);
    assert_int_equal(part_of(*state, "a/one").retry_ms, 0);
}

TEST_WITH(no_back_off_is_longer_than_its_bound, make, drop)
{
    works(*state, "a/two", NOW);
    int64_t now_ms = NOW, longest_ms = 0;
    for (unsigned i = 0; i < UPSTREAM_FAILURES_IN_A_ROW; i++)
        fails(*state, "a/one", now_ms);
    for (int i = 0; i < 100; i++) {
        int64_t recheck_ms = part_of(*state, "a/one").retry_ms - now_ms;
        assert_in_range(recheck_ms, longest_ms, UPSTREAM_BACKOFF_MAX_MS);
        longest_ms = recheck_ms;
        now_ms += recheck_ms;
        assert_int_equal(upstream_health_permit(*state, "a/one", false, now_ms), UPSTREAM_ASK);
        fails(*state, "a/one", now_ms);
    }
    assert_int_equal(longest_ms, UPSTREAM_BACKOFF_MAX_MS);
}

TEST_WITH(calls_that_fail_together_make_one_back_off, make, drop)
{
    works(*state, "a/two", NOW);
    for (unsigned i = 0; i < 4 * UPSTREAM_FAILURES_IN_A_ROW; i++)
        fails(*state, "a/one", NOW);
    assert_int_equal(part_of(*state, "a/one").retry_ms, NOW + UPSTREAM_BACKOFF_FIRST_MS);
}

TEST_WITH(failures_without_an_answer_are_counted_apart, make, drop)
{
    fails(*state, "a/one", NOW);
    fails(*state, "a/one", NOW);
    assert_int_equal(part_of(*state, "a/one").silent, 2);
    (void)upstream_health_record(*state, "a/one", UPSTREAM_FAILED, "answered 502", NOW);
    assert_int_equal(part_of(*state, "a/one").silent, 0);
    assert_int_equal(part_of(*state, "a/one").failures, 3);
    assert_string_equal(part_of(*state, "a/one").error, "answered 502");
}

TEST_WITH(what_worked_last_is_known, make, drop)
{
    works(*state, "a/one", NOW);
    works(*state, "a/two", NOW + 1);
    assert_true(part_of(*state, "a/two").worked_ms > part_of(*state, "a/one").worked_ms);
    assert_true(part_of(*state, "a/three").worked_ms == INT64_MIN);
}

TEST_WITH(failing_parts_are_shown_newest_first, make, drop)
{
    struct upstream_failing failing[2];
    struct upstream_view view;
    works(*state, "a/four", NOW);
    fails(*state, "a/one", NOW + 1);
    works(*state, "a/four", NOW + 2);
    (void)upstream_health_record(*state, "a/two", UPSTREAM_FAILED, "502 with HTML", NOW + 3);
    assert_int_equal(upstream_health_failing(*state, NOW + 4, failing, 2), 2);
    assert_string_equal(failing[0].part, "a/two");
    assert_string_equal(failing[0].error, "502 with HTML");
    assert_string_equal(failing[1].part, "a/one");
    upstream_health_view(*state, NOW + 4, &view);
    assert_true(view.ok);
    assert_int_equal(view.failing, 2);
    assert_int_equal(upstream_health_failing(*state, NOW + 4 + UPSTREAM_WINDOW_MS, failing, 2), 0);
}

TEST_WITH(the_parts_kept_are_bounded, make, drop)
{
    char name[32];
    works(*state, "a/first", NOW);
    for (unsigned i = 0; i < UPSTREAM_PARTS_KEPT; i++) {
        snprintf(name, sizeof name, "a/%u", i);
        works(*state, name, NOW + 1 + i);
    }
    assert_true(part_of(*state, "a/first").worked_ms == INT64_MIN);
    assert_int_equal(part_of(*state, "a/0").worked_ms, NOW + 1);
}
