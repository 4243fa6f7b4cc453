/* Starts that were begun and not finished: when they are tried again, and what is known of them. */
#include "clients/base/limits.h"
#include "clients/store/store.h"
#include "reconcile/plane/plane_unstarted.h"
#include "tests/support/test.h"

#define ONE "11111111-1111-4111-8111-111111111111"
#define TWO "22222222-2222-4222-8222-22222222222a"

enum { INTERVAL_MS = 60000, NOW_MS = 5000 };

static char one_id[] = ONE, two_id[] = TWO, two_upper[] = "22222222-2222-4222-8222-22222222222A";
static const struct store_task one = {.id = 1, .plane_id = one_id}, two = {.id = 2, .plane_id = two_id},
                               nobodys = {.id = 3};

static int make(void **state)
{
    *state = plane_unstarted_new();
    return 0;
}

static int unmake(void **state)
{
    plane_unstarted_free(*state);
    return 0;
}

/* The issues that are due, one letter each, in their order. */
static const char *due(struct plane_unstarted *unstarted, bool forced, int64_t interval_ms, int64_t now_ms)
{
    static char letters[8];
    char **ids;
    size_t n = plane_unstarted_due(unstarted, forced, interval_ms, now_ms, &ids);
    memset(letters, 0, sizeof letters);
    for (size_t i = 0; i < n; i++) {
        letters[i] = strcmp(ids[i], ONE) == 0 ? '1' : '2';
        free(ids[i]);
    }
    free(ids);
    return letters;
}

static void assert_status(struct plane_unstarted *unstarted, int64_t count, const char *error)
{
    AUTO_FREE char *shown = NULL;
    assert_int_equal(plane_unstarted_count(unstarted, &shown), count);
    assert_string_equal(shown ? shown : "null", error);
}

#define FRESH_TEST(test) TEST_WITH(test, make, unmake)

FRESH_TEST(what_was_begun_is_due_until_it_has_ended)
{
    struct plane_unstarted *unstarted = *state;
    struct plane_unstarted_start start = {.failures = 9};
    assert_string_equal(due(unstarted, true, INTERVAL_MS, NOW_MS), "");
    plane_unstarted_begun(unstarted, ONE);
    plane_unstarted_begun(unstarted, TWO);
    plane_unstarted_begun(unstarted, ONE);
    assert_string_equal(due(unstarted, false, INTERVAL_MS, NOW_MS), "12");
    assert_true(plane_unstarted_get(unstarted, &one, INTERVAL_MS, &start));
    assert_int_equal(start.failures, 0);
    assert_int_equal(start.retry_ms, 0);
    assert_string_equal(start.error, "");
    assert_status(unstarted, 2, "null");
    plane_unstarted_ended(unstarted, &one);
    assert_false(plane_unstarted_get(unstarted, &one, INTERVAL_MS, &start));
    assert_string_equal(due(unstarted, false, INTERVAL_MS, NOW_MS), "2");
    plane_unstarted_ended(unstarted, &(struct store_task){.plane_id = two_upper});
    assert_status(unstarted, 0, "null");
}

FRESH_TEST(after_a_failure_the_timer_pauses_and_who_asks_does_not)
{
    static const struct {
        int64_t interval_ms, pauses_ms[4];
    } cases[] = {
        {60000, {30000, 60000, 60000, 60000}},
        {5000, {2500, 5000, 10000, 20000}},
        {300000, {150000, 300000, 300000, 300000}},
    };
    struct plane_unstarted *unstarted = *state;
    struct plane_unstarted_start start;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        plane_unstarted_begun(unstarted, ONE);
        for (unsigned k = 0; k < ARRAY_LEN(cases[i].pauses_ms); k++) {
            int64_t over_ms = NOW_MS + cases[i].pauses_ms[k];
            plane_unstarted_failed(unstarted, &one, "Gitea answered 500", NOW_MS);
            assert_string_equal(due(unstarted, false, cases[i].interval_ms, over_ms - 1), "");
            assert_string_equal(due(unstarted, false, cases[i].interval_ms, over_ms), "1");
            assert_string_equal(due(unstarted, true, cases[i].interval_ms, NOW_MS), "1");
            assert_true(plane_unstarted_get(unstarted, &one, cases[i].interval_ms, &start));
            assert_int_equal(start.failures, k + 1);
            assert_int_equal(start.retry_ms, over_ms);
            assert_string_equal(start.error, "Gitea answered 500");
        }
        plane_unstarted_ended(unstarted, &one);
    }
}

FRESH_TEST(the_newest_failure_is_shown)
{
    struct plane_unstarted *unstarted = *state;
    AUTO_FREE char *lengthy = mem_printf("%0500d", 7);
    plane_unstarted_failed(unstarted, &one, "first", NOW_MS);
    plane_unstarted_failed(unstarted, &two, "second", NOW_MS);
    assert_status(unstarted, 2, "second");
    plane_unstarted_failed(unstarted, &one, "third", NOW_MS);
    assert_status(unstarted, 2, "third");
    plane_unstarted_ended(unstarted, &one);
    assert_status(unstarted, 1, "second");
    plane_unstarted_failed(unstarted, &two, lengthy, NOW_MS);
    struct plane_unstarted_start start;
    assert_true(plane_unstarted_get(unstarted, &two, INTERVAL_MS, &start));
    assert_int_equal(strlen(start.error), sizeof start.error - 1);
}

FRESH_TEST(a_task_without_an_issue_pauses_too_and_is_not_named_as_due)
{
    struct plane_unstarted *unstarted = *state;
    struct plane_unstarted_start start;
    plane_unstarted_failed(unstarted, &nobodys, "no", NOW_MS);
    assert_true(plane_unstarted_get(unstarted, &nobodys, INTERVAL_MS, &start));
    assert_int_equal(start.retry_ms, NOW_MS + 30000);
    assert_string_equal(due(unstarted, true, INTERVAL_MS, NOW_MS), "");
    /* The id is used again, for the task of an issue. */
    assert_false(plane_unstarted_get(unstarted, &(struct store_task){.id = 3, .plane_id = one_id},
                                     INTERVAL_MS, &start));
    plane_unstarted_ended(unstarted, &nobodys);
    assert_status(unstarted, 0, "null");
}

FRESH_TEST(what_is_not_at_the_first_stage_any_more_is_forgotten)
{
    struct plane_unstarted *unstarted = *state;
    char *due_ids[] = {one_id, two_id};
    plane_unstarted_begun(unstarted, ONE);
    plane_unstarted_begun(unstarted, TWO);
    plane_unstarted_keep(unstarted, due_ids, 2, (const struct store_task[]){nobodys, two}, 2);
    assert_string_equal(due(unstarted, true, INTERVAL_MS, NOW_MS), "2");
    plane_unstarted_keep(unstarted, due_ids, 0, NULL, 0); /* nothing was asked for */
    assert_string_equal(due(unstarted, true, INTERVAL_MS, NOW_MS), "2");
    plane_unstarted_keep(unstarted, due_ids, 2, NULL, 0);
    assert_string_equal(due(unstarted, true, INTERVAL_MS, NOW_MS), "");
}

FRESH_TEST(there_is_an_end_to_what_is_remembered)
{
    struct plane_unstarted *unstarted = *state;
    char id[UUID_TEXT_LEN + 1];
    for (size_t i = 0; i < LIMIT_UNSTARTED + 5; i++) {
        snprintf(id, sizeof id, "aaaaaaaa-0000-4000-8000-%012zu", i);
        plane_unstarted_begun(unstarted, id);
    }
    plane_unstarted_failed(unstarted, &one, "no", NOW_MS);
    assert_status(unstarted, LIMIT_UNSTARTED, "null");
}
