/* Which tasks the store takes for stuck, in which order, and that asking changes nothing. */
#include "tests/support/clients/store/store_suite.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"

SUITE_GROUP(stuck, "store: choosing the stuck tasks")

SUITE_TEST(a_task_that_rested_for_its_grace_without_a_job_is_stuck)
{
    suite_task(suite, 7, "development", "acme/shop", 5000);
    struct store_task_list stuck = suite_stuck(suite);
    ASSERT_LISTED(&stuck, 7);
    assert_int_equal(stuck.count, 1);
    const struct store_task *task = &stuck.tasks[0];
    assert_string_equal(task->plane_id, "00000000-0000-4000-8000-000000000007");
    assert_string_equal(task->work_item_id, "ORCH-7");
    assert_string_equal(task->title, "Task 7");
    assert_string_equal(task->repo, "acme/shop");
    assert_string_equal(task->branch, "feature/ORCH-7");
    assert_string_equal(task->stage, "development");
    assert_in_range(task->age_s, 5000, 5060);
    assert_int_equal(stuck.oldest_age_s, task->age_s);
    assert_non_null(task->version);
    assert_true(strlen(task->version) > 0);
}

SUITE_TEST(a_young_task_is_not_stuck)
{
    suite_task(suite, 1, "development", "o/r", 0);
    suite_task(suite, 2, "development", "o/r", 300);
    suite_task(suite, 3, "development", "o/r", -3600); /* a clock that ran ahead */
    struct store_task_list stuck = suite_stuck(suite);
    assert_int_equal(stuck.count, 0);
    assert_int_equal(stuck.n_tasks, 0);
}

SUITE_TEST(a_task_with_a_queued_or_running_job_is_not_stuck)
{
    for (int64_t id = 1; id <= 4; id++)
        suite_task(suite, id, "development", "o/r", 5000 - id);
    suite_job(suite, 1, "queued");
    suite_job(suite, 2, "running");
    suite_job(suite, 3, "done");
    suite_job(suite, 3, "failed");
    suite_job(suite, 4, "done");
    suite_job(suite, 4, "queued");
    struct store_task_list stuck = suite_stuck(suite);
    ASSERT_LISTED(&stuck, 3);
    assert_int_equal(stuck.count, 1);
}

SUITE_TEST(each_stage_has_its_own_grace)
{
    suite_task(suite, 1, "review", "o/r", 300);
    suite_task(suite, 2, "testing", "o/r", 300);
    suite_task(suite, 3, "review", "o/r", 10);
    struct store_task_list stuck = suite_stuck(suite);
    ASSERT_LISTED(&stuck, 1);
}

SUITE_TEST(only_the_stages_asked_for_are_stuck_and_others_unknown_are_counted)
{
    suite_task(suite, 1, "done", "o/r", 90000);
    suite_task(suite, 2, "analysis", "o/r", 90000);
    suite_task(suite, 3, "created", "o/r", 90000);
    suite_task(suite, 4, "deploy", "o/r", 90000);
    suite_task(suite, 5, "design", "o/r", 90000);
    suite_task(suite, 6, "design", "o/r", 0);
    suite_task(suite, 7, "Development", "o/r", 90000);
    suite_task(suite, 8, "", "o/r", 90000);
    struct store_task_list stuck = suite_stuck(suite);
    ASSERT_LISTED(&stuck, 4);
    assert_int_equal(stuck.unknown_stage, 4);
}

SUITE_TEST_EMPTY(a_null_stage_is_unknown_and_null_columns_are_null)
{
    suite_own_tasks(suite, "");
    ASSERT_OK(store_migrate(suite->store, NULL, &suite->why));
    suite_exec(suite, "INSERT INTO tasks (id, stage, updated_at) VALUES (1, NULL, %s), (2, 'testing', %s)",
               suite_ago(suite, 5000), suite_ago(suite, 5000));
    suite_exec(suite, "INSERT INTO tasks (id, stage, updated_at) VALUES (3, 'testing', NULL)");
    struct store_task_list stuck = suite_stuck(suite);
    ASSERT_LISTED(&stuck, 2);
    assert_int_equal(stuck.count, 1);
    assert_int_equal(stuck.unknown_stage, 1);
    const struct store_task *task = &stuck.tasks[0];
    assert_null(task->plane_id);
    assert_null(task->work_item_id);
    assert_null(task->title);
    assert_null(task->repo);
    assert_null(task->branch);
}

SUITE_TEST(stuck_tasks_are_listed_oldest_of_each_repo_first)
{
    for (int64_t id = 1; id <= 4; id++)
        suite_task(suite, id, "development", "noisy/repo", 90000 - id);
    suite_task(suite, 10, "testing", "quiet/repo", 6000);
    suite_task(suite, 11, "deploy", "Quiet/Repo", 5000); /* the same one */
    suite_task(suite, 20, "review", "third/repo", 7000);
    struct store_task_list stuck = suite_stuck(suite);
    ASSERT_LISTED(&stuck, 1, 20, 10, 2, 11, 3, 4);
    assert_in_range(stuck.oldest_age_s, 89999, 90059);
}

SUITE_TEST(tasks_of_one_age_come_by_id)
{
    suite_task(suite, 3, "development", "o/r", 0);
    suite_task(suite, 1, "development", "o/r", 0);
    suite_task(suite, 2, "testing", "o/r", 0);
    suite_exec(suite, "UPDATE tasks SET updated_at = %s", suite_ago(suite, 5000));
    struct store_task_list stuck = suite_stuck(suite);
    ASSERT_LISTED(&stuck, 1, 2, 3);
}

SUITE_TEST(the_limit_cuts_the_list_and_not_the_count)
{
    for (int64_t id = 1; id <= 5; id++)
        suite_task(suite, id, "development", id == 5 ? "second/repo" : "first/repo", 9000 - id);
    struct store_stuck_query query = suite_query();
    query.limit = 3;
    struct store_task_list stuck = suite_list(suite, &query);
    ASSERT_LISTED(&stuck, 1, 5, 2);
    assert_int_equal(stuck.count, 5);
    query.limit = 0;
    stuck = suite_list(suite, &query);
    assert_int_equal(stuck.n_tasks, 0);
    assert_int_equal(stuck.count, 5);
    assert_in_range(stuck.oldest_age_s, 8999, 9059);
}

SUITE_TEST(resting_tasks_are_left_out_of_the_list_and_still_counted)
{
    for (int64_t id = 1; id <= 4; id++)
        suite_task(suite, id, "development", "o/r", 9000 - id);
    struct store_stuck_query query = suite_query();
    static const int64_t resting[] = {1, 3, 77, INT64_MAX};
    query.resting = resting;
    query.n_resting = ARRAY_LEN(resting);
    query.limit = 1; /* those that rest take no place */
    struct store_task_list stuck = suite_list(suite, &query);
    ASSERT_LISTED(&stuck, 2);
    assert_int_equal(stuck.count, 4);
    assert_in_range(stuck.oldest_age_s, 8999, 9059);
}

SUITE_TEST(one_task_alone_can_be_asked_for)
{
    suite_task(suite, 1, "development", "o/r", 9000);
    suite_task(suite, 2, "development", "o/r", 8000);
    suite_task(suite, 3, "development", "o/r", 10);
    struct store_stuck_query query = suite_query();
    query.only_task = 2;
    struct store_task_list stuck = suite_list(suite, &query);
    ASSERT_LISTED(&stuck, 2);
    assert_int_equal(stuck.count, 2);
    query.only_task = 3;
    stuck = suite_list(suite, &query);
    assert_int_equal(stuck.n_tasks, 0);
}

SUITE_TEST(no_grace_makes_every_idle_task_stuck)
{
    suite_task(suite, 1, "development", "o/r", 0);
    suite_task(suite, 2, "testing", "o/r", 0);
    static const struct store_stage_grace stages[] = {{"development", 0}};
    struct store_stuck_query query = suite_query();
    query.stages = stages;
    query.n_stages = 1;
    struct store_task_list stuck = suite_list(suite, &query);
    ASSERT_LISTED(&stuck, 1);
    assert_in_range(stuck.tasks[0].age_s, 0, 60);
}

SUITE_TEST(a_grace_of_centuries_makes_nothing_stuck)
{
    suite_task(suite, 1, "development", "o/r", 90000);
    static const struct store_stage_grace stages[] = {{"development", INT64_C(10000000000)}};
    struct store_stuck_query query = suite_query();
    query.stages = stages;
    query.n_stages = 1;
    struct store_task_list stuck = suite_list(suite, &query);
    assert_int_equal(stuck.count, 0);
}

SUITE_TEST(a_converged_database_gives_one_empty_answer)
{
    struct store_task_list stuck = suite_stuck(suite);
    assert_int_equal(stuck.count, 0);
    assert_int_equal(stuck.n_tasks, 0);
    assert_int_equal(stuck.oldest_age_s, 0);
    assert_int_equal(stuck.unknown_stage, 0);
    assert_int_equal(stuck.settings_revision, 0);
    assert_true(stuck.now_us > INT64_C(1577836800000000));
    struct store_stuck_query nothing = {.limit = 10};
    stuck = suite_list(suite, &nothing);
    assert_int_equal(stuck.count, 0);
}

SUITE_TEST(the_answer_names_the_revision_and_the_clock)
{
    int64_t revision;
    struct store_settings settings;
    ASSERT_OK(store_settings_write(suite->store, 0, "{}", NULL, 0, &revision, &suite->why));
    ASSERT_OK(store_settings_read(suite->store, &settings, &suite->why));
    struct store_task_list stuck = suite_stuck(suite);
    assert_int_equal(stuck.settings_revision, 1);
    assert_in_range(stuck.now_us - settings.now_us, 0, 60000000);
    store_settings_done(&settings);
}

SUITE_TEST(the_version_is_stable_until_the_row_is_touched)
{
    suite_task(suite, 1, "development", "o/r", 5000);
    struct store_task_list first = suite_stuck(suite), second = suite_stuck(suite);
    assert_string_equal(first.tasks[0].version, second.tasks[0].version);
    suite_exec(suite, "UPDATE tasks SET updated_at = %s", suite_ago(suite, 4000));
    struct store_task_list third = suite_stuck(suite);
    assert_string_not_equal(first.tasks[0].version, third.tasks[0].version);
}

SUITE_TEST(asking_touches_nothing)
{
    suite_task(suite, 1, "development", "o/r", 5000);
    suite_task(suite, 2, "testing", "o/r", 10);
    suite_task(suite, 3, "strange", "o/r", 5000);
    suite_job(suite, 2, "queued");
    char *before = suite_dump(suite);
    for (int i = 0; i < 3; i++) {
        struct store_ledger_count summary = {0};
        (void)suite_stuck(suite);
        ASSERT_OK(store_ledger_advance(suite->store, &summary, &suite->why));
        ASSERT_OK(store_ready(suite->store, &suite->why));
        assert_int_equal(summary.total, 0);
        store_ledger_count_done(&summary);
    }
    char *after = suite_dump(suite);
    assert_string_equal(after, before);
    free(before);
    free(after);
}

SUITE_TEST(any_text_comes_back_as_it_is)
{
    char *longest = mem_zero(10001, 1);
    memset(longest, 'x', 10000);
    suite_task(suite, 1, "development", "o/r", 5000);
    suite_exec(suite,
               "UPDATE tasks SET plane_id = 'p''\"1', work_item_id = 'ЗАДАЧА-1 🔧', title = '%s',"
               " repo = 'o''Neil/naïve', branch = 'feature/\"x\" \\\\ $1 ?1 %%s'",
               longest);
    struct store_task_list stuck = suite_stuck(suite);
    ASSERT_LISTED(&stuck, 1);
    const struct store_task *task = &stuck.tasks[0];
    assert_string_equal(task->plane_id, "p'\"1");
    assert_string_equal(task->work_item_id, "ЗАДАЧА-1 🔧");
    longest[LIMIT_TASK_TITLE] = '\0';
    assert_string_equal(task->title, longest);
    assert_null(task->unreadable);
    assert_string_equal(task->repo, "o'Neil/naïve");
    assert_string_equal(task->branch, "feature/\"x\" \\\\ $1 ?1 %s");
    free(longest);
}

SUITE_TEST(stage_names_of_any_letters_work)
{
    static const struct store_stage_grace stages[] = {{"qa \"final\" \\ ☂, {x}", 600}, {"o'k", 600}};
    static const char *const known[] = {"qa \"final\" \\ ☂, {x}", "o'k", ""};
    suite_task(suite, 1, "qa \"final\" \\ ☂, {x}", "o/r", 6000);
    suite_task(suite, 2, "o''k", "o/r", 5000);
    suite_task(suite, 3, "", "o/r", 5000);
    struct store_stuck_query query = suite_query();
    query.stages = stages;
    query.n_stages = ARRAY_LEN(stages);
    query.known = known;
    query.n_known = ARRAY_LEN(known);
    struct store_task_list stuck = suite_list(suite, &query);
    ASSERT_LISTED(&stuck, 1, 2);
    assert_string_equal(stuck.tasks[0].stage, known[0]);
    assert_int_equal(stuck.unknown_stage, 0);
}
