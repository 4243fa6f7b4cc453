/* Rows as other programs leave them: texts that are no UTF-8, and names that are too long. Each costs only
 * itself.
 */
#include "tests/support/clients/store/store_suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/text.h"

SUITE_GROUP(rows, "store: rows as they are")

#define PLANE_ID "00000000-0000-4000-8000-00000000000"

static const char *const columns[] = {"title", "work_item_id", "repo", "branch"};
#define BROKEN ((int64_t)ARRAY_LEN(columns))
#define HEALTHY (BROKEN + 1)

/* Task i has a broken byte in column i, from 1; the one behind them is as it should be. */
static void rows_make(struct suite *suite, const char *stage)
{
    for (int64_t i = 1; i <= HEALTHY; i++) {
        suite_task(suite, i, stage, "o/r", 5000 - i);
        suite_exec(suite, "UPDATE tasks SET plane_id = '" PLANE_ID "%lld' WHERE id = %lld", (long long)i,
                   (long long)i);
        if (i <= BROKEN)
            suite_exec(suite, "UPDATE tasks SET %s = %s WHERE id = %lld", columns[i - 1],
                       suite_bytes(suite, "c3a9ff2f62"), (long long)i);
    }
}

static const char *text_of(const struct store_task *task, const char *column)
{
    const char *const texts[] = {task->title, task->work_item_id, task->repo, task->branch};
    for (size_t i = 0; i < ARRAY_LEN(columns); i++)
        if (strcmp(columns[i], column) == 0)
            return texts[i];
    return NULL;
}

static void assert_told(const struct store_task *task)
{
    if (task->id == HEALTHY) {
        assert_null(task->unreadable);
        return;
    }
    const char *column = columns[task->id - 1];
    AUTO_FREE char *error = mem_printf("tasks.%s holds bytes that are not UTF-8", column);
    assert_string_equal(task->unreadable, error);
    assert_string_equal(text_of(task, column), "é?/b");
}

SUITE_TEST_RAW(bytes_that_are_no_text_cost_their_row_alone)
{
    rows_make(suite, "development");
    struct store_task_list stuck = suite_stuck(suite);
    assert_int_equal(stuck.n_tasks, HEALTHY);
    for (size_t i = 0; i < stuck.n_tasks; i++) {
        assert_told(&stuck.tasks[i]);
        if (stuck.tasks[i].id == HEALTHY) {
            struct store_transition transition = suite_transition(&stuck.tasks[i]);
            assert_int_equal(suite_move(suite, &transition), STORE_MOVED);
        }
    }
}

SUITE_TEST_RAW(bytes_that_are_no_text_are_listed_mended)
{
    rows_make(suite, "development");
    struct store_stuck_query stuck = suite_query();
    const struct store_tasks_query query = {.gated = stuck.stages, .n_gated = stuck.n_stages, .limit = 100};
    struct store_tasks_page page;
    ASSERT_OK(store_tasks_list(suite->store, &query, &page, &suite->why));
    assert_int_equal(page.n, HEALTHY);
    for (size_t i = 0; i < page.n; i++) {
        struct store_task_entry entry;
        assert_told(&page.rows[i].task);
        ASSERT_OK(store_task_get(suite->store, page.rows[i].task.id, &query, &entry, NULL, &suite->why));
        assert_told(&entry.task);
        store_task_entry_done(&entry);
    }
    store_tasks_page_done(&page);
}

SUITE_TEST_RAW(bytes_that_are_no_text_are_found_by_issue_and_by_repo)
{
    rows_make(suite, "development");
    const char *ids[HEALTHY];
    AUTO_FREE char *all = mem_zero((size_t)HEALTHY, UUID_TEXT_LEN + 1);
    for (int64_t i = 0; i < HEALTHY; i++) {
        char *id = all + i * (UUID_TEXT_LEN + 1);
        (void)snprintf(id, UUID_TEXT_LEN + 1, PLANE_ID "%d", (int)i + 1);
        ids[i] = id;
    }
    struct store_issue_tasks tasks;
    ASSERT_OK(store_issue_tasks(suite->store, ids, (size_t)HEALTHY, &tasks, &suite->why));
    assert_int_equal(tasks.n, HEALTHY);
    for (size_t i = 0; i < tasks.n; i++)
        assert_told(&tasks.rows[i].task);
    store_issue_tasks_done(&tasks);

    static const char *const stages[] = {"development"};
    struct store_repo_tasks of_repo;
    ASSERT_OK(store_repo_tasks(suite->store, (const char *const[]){"o/r"}, 1, stages, 1, 100, &of_repo,
                               &suite->why));
    assert_int_equal(of_repo.n, HEALTHY - 1); /* all but the one whose repo cannot be read */
    for (size_t i = 0; i < of_repo.n; i++) {
        bool is_read = of_repo.rows[i].id == HEALTHY || strcmp(columns[of_repo.rows[i].id - 1], "title") == 0;
        assert_int_equal(of_repo.rows[i].unreadable == NULL, is_read);
    }
    store_repo_tasks_done(&of_repo);
}

SUITE_TEST_RAW(bytes_that_are_no_text_do_not_hide_who_waits_for_a_start)
{
    rows_make(suite, "created");
    struct store_task_list found = suite_unstarted(suite, 600, NULL, 0, 100);
    assert_int_equal(found.n_tasks, HEALTHY);
    for (size_t i = 0; i < found.n_tasks; i++)
        assert_told(&found.tasks[i]);
}

/* A text that is valid stays as it is, beside those that are not. */
SUITE_TEST_RAW(letters_of_any_language_stay_as_they_are)
{
    rows_make(suite, "development");
    suite_exec(suite, "UPDATE tasks SET branch = 'ветка', title = '標題 🔧' WHERE id = %lld",
               (long long)HEALTHY);
    struct store_task_list stuck = suite_stuck(suite);
    const struct store_task *healthy = &stuck.tasks[stuck.n_tasks - 1];
    assert_string_equal(healthy->branch, "ветка");
    assert_string_equal(healthy->title, "標題 🔧");
    assert_null(healthy->unreadable);
}

/* too long */

SUITE_TEST(a_name_that_is_too_long_is_never_another_name)
{
    static const char *const names[] = {"plane_id", "work_item_id", "repo", "branch"};
    AUTO_FREE char *longest = mem_zero(LIMIT_TASK_NAME + 1, 1);
    memset(longest, 'x', LIMIT_TASK_NAME);
    for (int64_t i = 1; i <= (int64_t)ARRAY_LEN(names) + 1; i++)
        suite_task(suite, i, "development", "o/r", 5000 - i);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        suite_exec(suite, "UPDATE tasks SET %s = '%sy' WHERE id = %zu", names[i], longest, i + 1);
    suite_exec(suite, "UPDATE tasks SET branch = '%s', title = '%s%s' WHERE id = 5", longest, longest,
               longest);
    struct store_task_list stuck = suite_stuck(suite);
    assert_int_equal(stuck.n_tasks, ARRAY_LEN(names) + 1);
    for (size_t i = 0; i < stuck.n_tasks; i++) {
        const struct store_task *task = &stuck.tasks[i];
        if (task->id == 5) {
            assert_null(task->unreadable);
            assert_string_equal(task->branch, longest);
            assert_int_equal(strlen(task->title), LIMIT_TASK_TITLE);
        } else {
            AUTO_FREE char *error = mem_printf("tasks.%s is longer than 400 bytes", names[task->id - 1]);
            assert_string_equal(task->unreadable, error);
        }
    }
}

/* Three bytes a letter: a limit counts bytes, and no letter is cut in two. */
SUITE_TEST(a_title_is_cut_between_two_letters)
{
    suite_task(suite, 1, "development", "o/r", 5000);
    suite_exec(suite, "UPDATE tasks SET title = '%s'",
               "標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題"
               "標題標題標題"
               "標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題"
               "標題標題標題"
               "標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題"
               "標題標題標題"
               "標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題標題"
               "標題標題標題");
    struct store_task_list stuck = suite_stuck(suite);
    assert_null(stuck.tasks[0].unreadable);
    assert_int_equal(strlen(stuck.tasks[0].title), LIMIT_TASK_TITLE - LIMIT_TASK_TITLE % 3);
    assert_int_equal(utf8_valid_len(stuck.tasks[0].title, LIMIT_TASK_TITLE),
                     LIMIT_TASK_TITLE - LIMIT_TASK_TITLE % 3);
}
