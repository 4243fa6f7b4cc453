/* Verdicts of Plane: each is replayed once for ever. And tasks that stand where no gate lets them out: those
 * that were never started. */
#include "tests/support/clients/store/store_suite.h"

#include <stdlib.h>

#include "clients/base/limits.h"

SUITE_GROUP(verdicts, "store: verdicts and starts")

#define PASS_ID "00000000-0000-4000-8000-000000000005"

/* verdicts */

/* Of n stuck tasks with ids from 1, as the Plane side writes it. */
static struct store_task_list stuck_of(struct suite *suite, int64_t n)
{
    for (int64_t id = 1; id <= n; id++)
        suite_task(suite, id, "development", "o/r", 9000 - id);
    struct store_task_list stuck = suite_stuck(suite);
    assert_int_equal(stuck.n_tasks, n);
    return stuck;
}

static struct store_transition replay(const struct store_task *task, const char *verdict_id)
{
    struct store_transition transition = suite_transition(task);
    transition.side = "plane";
    transition.outcome = "approved";
    transition.verdict_id = verdict_id;
    return transition;
}

static bool is_replayed(struct suite *suite, const char *id)
{
    bool replayed = false;
    ASSERT_OK(store_verdicts_replayed(suite->store, &id, 1, &replayed, &suite->why));
    return replayed;
}

SUITE_TEST(a_verdict_is_written_with_what_it_moved)
{
    struct store_task_list stuck = stuck_of(suite, 2);
    struct store_transition batch[] = {replay(&stuck.tasks[0], "activity-1"), replay(&stuck.tasks[1], NULL)};
    enum store_moved moved[2];
    ASSERT_OK(store_transition(suite->store, 0, 0, PASS_ID, batch, 2, moved, &suite->why));
    assert_int_equal(moved[0], STORE_MOVED);
    assert_int_equal(moved[1], STORE_MOVED);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_verdicts"), 1);
    assert_int_equal(suite_number(suite,
                                  "SELECT count(*) FROM reconcile_verdicts WHERE id = 'activity-1'"
                                  " AND task_id = 1 AND at > %s",
                                  suite_ago(suite, 120)),
                     1);
}

SUITE_TEST(which_verdicts_were_replayed_is_told_in_the_order_asked)
{
    struct store_task_list stuck = stuck_of(suite, 2);
    struct store_transition batch[] = {replay(&stuck.tasks[0], "b \"2\", {2}"), replay(&stuck.tasks[1], "c")};
    enum store_moved moved[2];
    ASSERT_OK(store_transition(suite->store, 0, 0, PASS_ID, batch, 2, moved, &suite->why));
    const char *const ids[] = {"a", "c", "b \"2\", {2}", "c", "C"};
    bool replayed[] = {true, false, false, false, true};
    ASSERT_OK(store_verdicts_replayed(suite->store, ids, ARRAY_LEN(ids), replayed, &suite->why));
    assert_false(replayed[0]);
    assert_true(replayed[1]);
    assert_true(replayed[2]);
    assert_true(replayed[3]);
    assert_false(replayed[4]);
    ASSERT_OK(store_verdicts_replayed(suite->store, NULL, 0, NULL, &suite->why));
}

SUITE_TEST(a_verdict_that_was_replayed_moves_nothing_again)
{
    struct store_task_list stuck = stuck_of(suite, 2);
    struct store_transition first = replay(&stuck.tasks[0], "activity-1");
    assert_int_equal(suite_move(suite, &first), STORE_MOVED);
    char *before = suite_dump(suite);
    struct store_transition second = replay(&stuck.tasks[1], "activity-1");
    assert_int_equal(suite_move(suite, &second), STORE_RACED);
    char *after = suite_dump(suite);
    assert_string_equal(after, before);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_ledger"), 1);
    free(before);
    free(after);
}

/* A rejection may lead back to where the task stands: then the stage shows nothing. */
SUITE_TEST(a_verdict_is_not_replayed_again_for_the_same_task_either)
{
    struct store_task_list stuck = stuck_of(suite, 1);
    struct store_transition first = replay(&stuck.tasks[0], "activity-1");
    first.to_stage = "development";
    assert_int_equal(suite_move(suite, &first), STORE_MOVED);
    suite_exec(suite, "UPDATE tasks SET updated_at = %s", suite_ago(suite, 5000));
    suite_exec(suite, "UPDATE jobs SET status = 'failed'");
    stuck = suite_stuck(suite);
    struct store_transition again = replay(&stuck.tasks[0], "activity-1");
    again.to_stage = "development";
    assert_int_equal(suite_move(suite, &again), STORE_RACED);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM jobs"), 1);
}

SUITE_TEST(one_verdict_twice_in_a_batch_counts_once)
{
    struct store_task_list stuck = stuck_of(suite, 4);
    struct store_transition batch[] = {replay(&stuck.tasks[3], "activity-1"),
                                       replay(&stuck.tasks[0], "activity-1"),
                                       replay(&stuck.tasks[1], "activity-2"), replay(&stuck.tasks[2], NULL)};
    enum store_moved moved[4];
    ASSERT_OK(store_transition(suite->store, 0, 0, PASS_ID, batch, 4, moved, &suite->why));
    assert_int_equal(moved[0], STORE_MOVED);
    assert_int_equal(moved[1], STORE_RACED);
    assert_int_equal(moved[2], STORE_MOVED);
    assert_int_equal(moved[3], STORE_MOVED);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM tasks WHERE id = 1 AND stage = 'development'"),
                     1);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_verdicts"), 2);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_ledger"), 3);
}

SUITE_TEST(a_verdict_whose_task_moved_meanwhile_is_not_used_up)
{
    struct store_task_list stuck = stuck_of(suite, 1);
    suite_exec(suite, "UPDATE tasks SET stage = 'testing'");
    struct store_transition transition = replay(&stuck.tasks[0], "activity-1");
    assert_int_equal(suite_move(suite, &transition), STORE_RACED);
    assert_false(is_replayed(suite, "activity-1"));
}

SUITE_TEST_EMPTY(a_verdict_whose_write_is_refused_is_not_used_up)
{
    suite_own_tasks(suite, ", CHECK (title <> 'Task 2' OR stage = 'development')");
    ASSERT_OK(store_migrate(suite->store, NULL, &suite->why));
    struct store_task_list stuck = stuck_of(suite, 3);
    struct store_transition batch[3];
    enum store_moved moved[3];
    static const char *const verdicts[] = {"activity-1", "activity-2", "activity-3"};
    for (size_t i = 0; i < 3; i++)
        batch[i] = replay(&stuck.tasks[i], verdicts[i]);
    ASSERT_OK(store_transition(suite->store, 0, 0, PASS_ID, batch, 3, moved, &suite->why));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(moved[i], i == 1 ? STORE_REFUSED : STORE_MOVED);
        assert_int_equal(is_replayed(suite, verdicts[i]), i != 1);
    }
}

SUITE_TEST(a_transition_that_is_told_again_is_moved_and_not_raced_by_its_own_verdict)
{
    struct store_task_list stuck = stuck_of(suite, 1);
    struct store_transition transition = replay(&stuck.tasks[0], "activity-1");
    assert_int_equal(suite_move(suite, &transition), STORE_MOVED);
    assert_int_equal(suite_move(suite, &transition), STORE_MOVED);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_verdicts"), 1);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_ledger"), 1);
}

/* tasks that were never started */

SUITE_TEST(tasks_that_rest_at_the_first_stage_are_listed_oldest_first)
{
    suite_task(suite, 1, "created", "o/a", 700);
    suite_task(suite, 2, "created", "o/b", 5000);
    suite_task(suite, 3, "created", "o/a", 3000);
    suite_task(suite, 4, "created", "o/a", 100);
    suite_task(suite, 5, "analysis", "o/a", 9000);
    suite_task(suite, 6, "created", "o/a", 9000);
    suite_task(suite, 7, "created", "o/a", 700);
    suite_job(suite, 6, "queued");
    suite_job(suite, 3, "failed");
    char *before = suite_dump(suite);
    struct store_task_list stuck = suite_unstarted(suite, 600, NULL, 0, 100);
    ASSERT_LISTED(&stuck, 2, 3, 1, 7);
    assert_int_equal(stuck.count, 4);
    assert_in_range(stuck.oldest_age_s, 5000, 5100);
    assert_in_range(stuck.tasks[0].age_s, 5000, 5100);
    assert_int_equal(stuck.settings_revision, 0);
    assert_string_equal(stuck.tasks[0].work_item_id, "ORCH-2");
    char *after = suite_dump(suite);
    assert_string_equal(after, before);
    free(before);
    free(after);
}

SUITE_TEST(the_list_of_unstarted_tasks_ends_at_its_limit)
{
    for (int64_t id = 1; id <= 5; id++)
        suite_task(suite, id, "created", "o/r", 5000 - id);
    struct store_task_list stuck = suite_unstarted(suite, 600, NULL, 0, 2);
    ASSERT_LISTED(&stuck, 1, 2);
    assert_int_equal(stuck.count, 2);
}

SUITE_TEST(fresh_tasks_need_not_rest)
{
    static const char *const ids[] = {"a0eebc99-9c0b-4ef8-bb6d-00000000000a",
                                      "a0eebc99-9c0b-4ef8-bb6d-00000000000b",
                                      "a0eebc99-9c0b-4ef8-bb6d-00000000000c"};
    suite_task(suite, 1, "created", "o/r", 5000);
    for (int64_t id = 2; id <= 6; id++)
        suite_task(suite, id, id == 4 ? "analysis" : "created", "o/r", 10 - id);
    suite_exec(suite, "UPDATE tasks SET plane_id = '%s' WHERE id = 2", ids[0]);
    suite_exec(suite, "UPDATE tasks SET plane_id = 'A0EEBC99-9C0B-4EF8-BB6D-00000000000B' WHERE id = 3");
    suite_exec(suite, "UPDATE tasks SET plane_id = '%s' WHERE id = 4", ids[2]);
    struct store_task_list stuck = suite_unstarted(suite, 600, ids, ARRAY_LEN(ids), 100);
    ASSERT_LISTED(&stuck, 1, 2, 3);
    assert_int_equal(stuck.count, 3);
    suite_job(suite, 2, "running");
    stuck = suite_unstarted(suite, 600, ids, ARRAY_LEN(ids), 100);
    ASSERT_LISTED(&stuck, 1, 3);
}

SUITE_TEST(nothing_unstarted_still_tells_revision_and_clock)
{
    int64_t revision;
    ASSERT_OK(store_settings_write(suite->store, 0, "{}", NULL, 0, &revision, &suite->why));
    struct store_task_list stuck = suite_unstarted(suite, 600, NULL, 0, 100);
    assert_int_equal(stuck.n_tasks, 0);
    assert_int_equal(stuck.count, 0);
    assert_int_equal(stuck.oldest_age_s, 0);
    assert_int_equal(stuck.settings_revision, 1);
    assert_in_range(stuck.now_us - clock_wall_us() + 60000000, 0, 120000000);
}

SUITE_TEST(a_task_is_made_and_started_in_one_go)
{
    static const char *const id = "a0eebc99-9c0b-4ef8-bb6d-00000000000d";
    struct store_new_task new = {.plane_id = id, .work_item_id = "ORCH-9", .stage = "created"};
    enum store_creation creation;
    ASSERT_OK(store_create_tasks(suite->store, 0, 0, &new, 1, &creation, &suite->why));
    struct store_task_list stuck = suite_unstarted(suite, 600, NULL, 0, 100);
    assert_int_equal(stuck.n_tasks, 0);
    stuck = suite_unstarted(suite, 600, &id, 1, 100);
    assert_int_equal(stuck.n_tasks, 1);
    assert_string_equal(stuck.tasks[0].plane_id, id);
    struct store_transition transition = replay(&stuck.tasks[0], "activity-1");
    transition.to_stage = "analysis";
    transition.agent = "analyst";
    assert_int_equal(suite_move(suite, &transition), STORE_MOVED);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM jobs WHERE agent = 'analyst'"), 1);
}
