/* Looking at tasks: the list page by page, one task, those of a repo, and how often a task was healed. */
#include "tests/support/clients/store/store_suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"

SUITE_GROUP(look, "store: looking at tasks")

static const char *const terminal[] = {"done"};

/* The suite's graces; "done" is not listed. */
static struct store_tasks_query all_tasks(void)
{
    struct store_stuck_query stuck = suite_query();
    return (struct store_tasks_query){.gated = stuck.stages,
                                      .n_gated = stuck.n_stages,
                                      .terminal = terminal,
                                      .n_terminal = 1,
                                      .limit = 100};
}

static struct store_tasks_page list(struct suite *suite, const struct store_tasks_query *query)
{
    struct store_tasks_page page = {0};
    ASSERT_OK(store_tasks_list(suite->store, query, &page, &suite->why));
    return page;
}

static void assert_page(struct suite *suite, const struct store_tasks_query *query, const int64_t *ids,
                        size_t n)
{
    struct store_tasks_page page = list(suite, query);
    assert_int_equal(page.n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(page.rows[i].task.id, ids[i]);
    assert_null(page.next);
    store_tasks_page_done(&page);
}
#define ASSERT_PAGE(suite, query, ...)                            \
    assert_page((suite), (query), (const int64_t[]){__VA_ARGS__}, \
                sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

/* Reads the list in pages of `limit`, and gives the ids in the order in which they came; *ret_n counts them.
 * Runs `meanwhile` (may be NULL) after the first page. Caller frees. */
static int64_t *read_all(struct suite *suite, struct store_tasks_query query, size_t limit,
                         const char *meanwhile, size_t *ret_n)
{
    int64_t *ids = NULL;
    char *after = NULL;
    *ret_n = 0;
    query.limit = limit;
    do {
        query.after = after;
        struct store_tasks_page page = list(suite, &query);
        assert_true(page.n <= limit && (page.n > 0 || !after) && *ret_n < 1000); /* it ends */
        ids = mem_grow(ids, *ret_n + page.n + 1, sizeof *ids);
        for (size_t i = 0; i < page.n; i++)
            ids[(*ret_n)++] = page.rows[i].task.id;
        free(after);
        after = mem_dup(page.next);
        if (after)
            assert_int_equal(
                strspn(after, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"),
                strlen(after));
        store_tasks_page_done(&page);
        if (meanwhile)
            suite_exec(suite, "%s", meanwhile);
        meanwhile = NULL;
    } while (after);
    return ids;
}

/* the list */

SUITE_TEST(the_stuck_come_first_and_each_part_oldest_first)
{
    suite_task(suite, 1, "development", "o/a", 5000);
    suite_task(suite, 2, "review", "o/b", 9000);
    suite_task(suite, 3, "analysis", "o/a", 90000); /* a person's turn: not stuck */
    suite_task(suite, 4, "development", "o/a", 100);
    suite_task(suite, 5, "testing", "o/a", 50000); /* an agent works on it */
    suite_task(suite, 6, "done", "o/a", 90000);
    suite_task(suite, 7, "odd", "o/a", 300);
    suite_task(suite, 8, "", "o/a", 200);
    suite_job(suite, 5, "running");
    char *before = suite_dump(suite);
    struct store_tasks_query query = all_tasks();
    ASSERT_PAGE(suite, &query, 2, 1, 3, 5, 7, 8, 4);
    char *after = suite_dump(suite);
    assert_string_equal(after, before);
    free(before);
    free(after);
}

SUITE_TEST(an_empty_list_is_one_page)
{
    suite_task(suite, 1, "done", "o/a", 5000);
    struct store_tasks_query query = all_tasks();
    struct store_tasks_page page = list(suite, &query);
    assert_int_equal(page.n, 0);
    assert_null(page.next);
    store_tasks_page_done(&page);
}

SUITE_TEST(an_entry_tells_all_of_its_task_and_its_job)
{
    suite_task(suite, 1, "testing", "o/r", 5000);
    suite_task(suite, 2, "testing", "o/r", 4000);
    suite_job(suite, 2, "failed");
    suite_exec(suite,
               "INSERT INTO jobs (id, task_id, agent, status, created_at, updated_at)"
               " VALUES (70, 2, 'tester', 'queued', %s, %s)",
               suite_ago(suite, 3000), suite_ago(suite, 2000));
    struct store_settings settings;
    ASSERT_OK(store_settings_read(suite->store, &settings, &suite->why));
    int64_t now_us = settings.now_us;
    store_settings_done(&settings);
    struct store_tasks_query query = all_tasks();
    struct store_tasks_page page = list(suite, &query);
    assert_int_equal(page.n, 2);
    const struct store_task_entry *stuck = &page.rows[0], *busy = &page.rows[1];
    assert_true(stuck->stuck);
    assert_null(stuck->job_id);
    assert_null(stuck->job_agent);
    assert_null(stuck->job_status);
    assert_int_equal(stuck->task.id, 1);
    assert_string_equal(stuck->task.plane_id, "00000000-0000-4000-8000-000000000001");
    assert_string_equal(stuck->task.work_item_id, "ORCH-1");
    assert_string_equal(stuck->task.title, "Task 1");
    assert_string_equal(stuck->task.repo, "o/r");
    assert_string_equal(stuck->task.branch, "feature/ORCH-1");
    assert_string_equal(stuck->task.stage, "testing");
    assert_in_range(stuck->task.age_s, 5000, 5100);
    assert_in_range((now_us - stuck->updated_us) / 1000000, 4998, 5100);
    struct store_transition transition = suite_transition(&stuck->task);
    assert_int_equal(suite_move(suite, &transition), STORE_MOVED); /* its version is right */
    assert_false(busy->stuck);
    assert_string_equal(busy->job_id, "70");
    assert_string_equal(busy->job_agent, "tester");
    assert_string_equal(busy->job_status, "queued");
    assert_in_range((now_us - busy->job_updated_us) / 1000000, 1998, 2100);
    store_tasks_page_done(&page);
}

SUITE_TEST_EMPTY(of_several_active_jobs_the_newest_is_told)
{
    const char *type = suite->backend->instant_type;
    suite_exec(suite,
               "CREATE TABLE jobs (id %s, task_id BIGINT, agent TEXT, status TEXT, created_at %s,"
               " updated_at %s)",
               suite->backend->own_id, type, type);
    ASSERT_OK(store_migrate(suite->store, NULL, &suite->why));
    suite_task(suite, 1, "testing", "o/r", 5000);
    suite_exec(suite, "INSERT INTO jobs (id, task_id, agent, status) VALUES (1, 1, 'a', 'running'),"
                      " (3, 1, 'c', 'queued'), (2, 1, 'b', 'running'), (4, 1, 'd', 'done')");
    struct store_tasks_query query = all_tasks();
    struct store_tasks_page page = list(suite, &query);
    assert_int_equal(page.n, 1);
    assert_string_equal(page.rows[0].job_id, "3");
    assert_string_equal(page.rows[0].job_agent, "c");
    store_tasks_page_done(&page);
}

SUITE_TEST(the_list_is_narrowed_by_stage_and_repo_and_to_the_stuck)
{
    suite_task(suite, 1, "development", "o/a", 5000);
    suite_task(suite, 2, "development", "o/b", 4000);
    suite_task(suite, 3, "development", "o/a", 10);
    suite_task(suite, 4, "testing", "o/a", 6000);
    suite_task(suite, 5, "done", "o/a", 300);
    suite_task(suite, 6, "done", "o/b", 200);
    suite_task(suite, 7, "odd", "o/a", 100);
    struct store_tasks_query query = all_tasks();
    query.stage = "development";
    ASSERT_PAGE(suite, &query, 1, 2, 3);
    query.repo = "o/a";
    ASSERT_PAGE(suite, &query, 1, 3);
    query.repo = "O/A"; /* the same one */
    ASSERT_PAGE(suite, &query, 1, 3);
    query.stuck_only = true;
    ASSERT_PAGE(suite, &query, 1);
    query.stage = NULL;
    ASSERT_PAGE(suite, &query, 4, 1);
    query.stuck_only = false;
    ASSERT_PAGE(suite, &query, 4, 1, 7, 3);
    query.stage = "done"; /* asked for by name */
    ASSERT_PAGE(suite, &query, 5);
    suite_exec(suite, "UPDATE tasks SET repo = 'O/a' WHERE id IN (4, 5, 7)");
    ASSERT_PAGE(suite, &query, 5);
    query.repo = NULL;
    ASSERT_PAGE(suite, &query, 5, 6);
    query.stage = "odd";
    ASSERT_PAGE(suite, &query, 7);
    query.stage = "Development";
    struct store_tasks_page page = list(suite, &query);
    assert_int_equal(page.n, 0);
    store_tasks_page_done(&page);
}

SUITE_TEST(the_list_is_narrowed_to_what_has_a_text_in_it)
{
    for (int64_t id = 1; id <= 6; id++)
        suite_task(suite, id, id == 6 ? "done" : "development", id % 2 ? "o/a" : "o/b",
                   id == 4 ? 10 : 9000 - id * 100);
    suite_exec(suite, "UPDATE tasks SET title = 'x', work_item_id = 'x', branch = 'x'");
    suite_exec(suite, "UPDATE tasks SET title = 'Mend the Basket' WHERE id IN (1, 6)");
    suite_exec(suite, "UPDATE tasks SET work_item_id = 'BASKET-2', title = NULL, branch = NULL WHERE id = 2");
    suite_exec(suite, "UPDATE tasks SET branch = 'feature/100%%_basket' WHERE id IN (3, 4)");
    struct store_tasks_query query = all_tasks();
    query.part = "basKET";
    ASSERT_PAGE(suite, &query, 1, 2, 3, 4);
    query.repo = "O/A";
    ASSERT_PAGE(suite, &query, 1, 3);
    query.repo = NULL;
    query.stuck_only = true;
    ASSERT_PAGE(suite, &query, 1, 2, 3);
    query.stuck_only = false;
    size_t n;
    int64_t *paged = read_all(suite, query, 1, NULL, &n);
    static const int64_t expected[] = {1, 2, 3, 4};
    assert_int_equal(n, ARRAY_LEN(expected));
    assert_memory_equal(paged, expected, sizeof expected);
    free(paged);
    query.stage = "done";
    ASSERT_PAGE(suite, &query, 6);
    query.stage = NULL;
    query.part = "0%_B"; /* as it is, no pattern */
    ASSERT_PAGE(suite, &query, 3, 4);
    query.part = "e_b";
    struct store_tasks_page page = list(suite, &query);
    assert_int_equal(page.n, 0);
    store_tasks_page_done(&page);
}

/* Some 60 tasks in all stages, many of one age; every fifth rests long enough to be stuck. */
static void many_tasks(struct suite *suite)
{
    static const char *const stages[] = {"created", "analysis", "development", "review", "odd", "done"};
    for (int64_t id = 1; id <= 60; id++)
        suite_task(suite, id, stages[id % 6], id % 4 ? "o/a" : "o/b", id % 5 ? 20 + id % 3 : 5000 + id % 2);
    for (int64_t id = 3; id <= 60; id += 12)
        suite_job(suite, id, "running");
    /* Each was made at its own second; now those of one age are so exactly. */
    suite_exec(suite, "UPDATE tasks SET updated_at = %s WHERE updated_at > %s", suite_ago(suite, 20),
               suite_ago(suite, 3000));
}

SUITE_TEST(pages_of_any_size_give_each_task_once_in_one_order)
{
    many_tasks(suite);
    size_t n;
    int64_t *whole = read_all(suite, all_tasks(), 1000, NULL, &n);
    assert_int_equal(n, 50);
    static const size_t limits[] = {1, 2, 7, 25, 49, 50, 51};
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        size_t n_paged;
        int64_t *paged = read_all(suite, all_tasks(), limits[i], NULL, &n_paged);
        assert_int_equal(n_paged, n);
        assert_memory_equal(paged, whole, n * sizeof *whole);
        free(paged);
    }
    free(whole);
    struct store_tasks_query narrow = all_tasks();
    narrow.repo = "o/b";
    whole = read_all(suite, narrow, 1000, NULL, &n);
    size_t n_paged;
    int64_t *paged = read_all(suite, narrow, 3, NULL, &n_paged);
    assert_true(n > 3);
    assert_int_equal(n_paged, n);
    assert_memory_equal(paged, whole, n * sizeof *whole);
    free(paged);
    free(whole);
}

SUITE_TEST(a_page_goes_on_where_the_last_one_ended_though_its_end_is_gone)
{
    for (int64_t id = 1; id <= 6; id++)
        suite_task(suite, id, "development", "o/r", 9000 - id * 100);
    for (int64_t id = 7; id <= 9; id++)
        suite_task(suite, id, "analysis", "o/r", 5000 - id * 100);
    size_t n;
    int64_t *ids = read_all(suite, all_tasks(), 3, "DELETE FROM tasks WHERE id = 3", &n);
    static const int64_t expected[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    assert_int_equal(n, ARRAY_LEN(expected));
    assert_memory_equal(ids, expected, sizeof expected);
    free(ids);
}

SUITE_TEST_EMPTY(tasks_without_stage_or_time_are_listed_once_too)
{
    suite_own_tasks(suite, "");
    ASSERT_OK(store_migrate(suite->store, NULL, &suite->why));
    for (int64_t id = 1; id <= 12; id++)
        suite_task(suite, id, id % 2 ? "development" : "analysis", "o/r", id % 3 ? 5000 : 10);
    suite_exec(suite, "UPDATE tasks SET stage = NULL WHERE id IN (1, 2, 3)");
    suite_exec(suite, "UPDATE tasks SET updated_at = NULL WHERE id IN (2, 5, 6, 7, 8)");
    suite_exec(suite, "UPDATE tasks SET repo = NULL, title = NULL, branch = NULL, plane_id = NULL,"
                      " work_item_id = NULL WHERE id IN (2, 9)");
    static const size_t limits[] = {1, 5, 100};
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        size_t n;
        bool seen[13] = {false};
        int64_t *ids = read_all(suite, all_tasks(), limits[i], NULL, &n);
        assert_int_equal(n, 12);
        for (size_t k = 0; k < n; k++) {
            assert_in_range(ids[k], 1, 12);
            assert_false(seen[ids[k]]);
            seen[ids[k]] = true;
        }
        free(ids);
    }
    struct store_tasks_query query = all_tasks();
    struct store_tasks_page page = list(suite, &query);
    for (size_t i = 0; i < page.n; i++) {
        const struct store_task_entry *entry = &page.rows[i];
        assert_non_null(entry->task.version);
        if (entry->task.id <= 3)
            assert_string_equal(entry->task.stage, "");
        if (entry->task.id == 2) {
            assert_int_equal(entry->updated_us, 0);
            assert_int_equal(entry->task.age_s, 0);
            assert_null(entry->task.repo);
            assert_false(entry->stuck);
        }
    }
    store_tasks_page_done(&page);
}

SUITE_TEST(what_is_no_place_in_the_list_is_refused)
{
    many_tasks(suite);
    static const char *const places[] = {"",        "x",
                                         ".",       "0",
                                         "1",       "s",
                                         "o.1",     "s.",
                                         "-1",      "s3.x",
                                         "o9.1",    "999999999999999999999999.1.1",
                                         "x-y_z.0", "ZZZZ.ZZZZ.ZZZZ"};
    struct store_tasks_query query = all_tasks();
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        struct store_tasks_page page = {0};
        query.after = places[i];
        enum err err = store_tasks_list(suite->store, &query, &page, &suite->why);
        if (err != ERR_INVALID)
            fail_msg("\"%s\": %s", places[i], err_name(err));
    }
    /* A place that was changed on its way. */
    query.after = NULL;
    query.limit = 2;
    struct store_tasks_page page = list(suite, &query), none = {0};
    char *longer = mem_printf("%s!", page.next);
    query.after = longer;
    ASSERT_ERR(store_tasks_list(suite->store, &query, &none, &suite->why), ERR_INVALID);
    store_tasks_page_done(&page);
    free(longer);
}

/* heals */

/* Task 1 was healed twice at its stage recently, task 2 never. */
static void healed(struct suite *suite)
{
    suite_task(suite, 1, "development", "o/r", 5000);
    suite_task(suite, 2, "development", "o/r", 4000);
    suite_heal(suite, 1, "development", LIMIT_HEALS_WINDOW_S + 600);
    suite_heal(suite, 1, "development", LIMIT_HEALS_WINDOW_S - 600);
    suite_heal(suite, 1, "development", 6000);
    suite_heal(suite, 1, "testing", 5500);
    suite_heal(suite, 2, "review", 100);
    suite_heal(suite, 3, "development", 100);
}

static void assert_healed(struct suite *suite, const struct store_task *first,
                          const struct store_task *second)
{
    assert_int_equal(first->recent_heals, 2);
    assert_int_equal(first->newest_heal_seq,
                     suite_number(suite, "SELECT max(seq) FROM reconcile_ledger WHERE task_id = 1"
                                         " AND from_stage = 'development'"));
    assert_int_equal(second->recent_heals, 0);
    assert_int_equal(second->newest_heal_seq, 0);
}

SUITE_TEST(a_stuck_task_tells_how_often_it_was_healed_where_it_stands)
{
    healed(suite);
    struct store_task_list stuck = suite_stuck(suite);
    ASSERT_LISTED(&stuck, 1, 2);
    assert_healed(suite, &stuck.tasks[0], &stuck.tasks[1]);
}

SUITE_TEST(a_heal_is_counted_from_the_moment_it_is_written)
{
    suite_task(suite, 1, "development", "o/r", 5000);
    for (int64_t heals = 0; heals < 3; heals++) {
        struct store_task_list stuck = suite_stuck(suite);
        ASSERT_LISTED(&stuck, 1);
        assert_int_equal(stuck.tasks[0].recent_heals, heals);
        struct store_transition transition = suite_transition(&stuck.tasks[0]);
        assert_int_equal(suite_move(suite, &transition), STORE_MOVED);
        suite_exec(suite, "UPDATE tasks SET stage = 'development', updated_at = %s", suite_ago(suite, 5000));
        suite_exec(suite, "UPDATE jobs SET status = 'done'");
    }
}

/* one task */

SUITE_TEST(one_task_is_told_with_its_heals_and_whether_it_is_stuck)
{
    healed(suite);
    suite_task(suite, 3, "done", "o/r", 90000);
    suite_job(suite, 2, "running");
    char *before = suite_dump(suite);
    struct store_tasks_query query = all_tasks();
    struct store_task_entry first, second, third;
    int64_t now_us = 0;
    ASSERT_OK(store_task_get(suite->store, 1, &query, &first, &now_us, &suite->why));
    ASSERT_OK(store_task_get(suite->store, 2, &query, &second, NULL, &suite->why));
    ASSERT_OK(store_task_get(suite->store, 3, &query, &third, NULL, &suite->why));
    assert_healed(suite, &first.task, &second.task);
    assert_true(first.stuck);
    assert_null(first.job_id);
    assert_string_equal(first.task.title, "Task 1");
    assert_in_range((now_us - first.updated_us) / 1000000, 5000, 5100);
    assert_in_range(first.task.age_s, 5000, 5100);
    assert_in_range(now_us - clock_wall_us() + 60000000, 0, 120000000);
    assert_false(second.stuck);
    assert_string_equal(second.job_status, "running");
    assert_string_equal(second.job_agent, "developer");
    assert_non_null(second.job_id);
    assert_false(third.stuck);
    assert_string_equal(third.task.stage, "done");
    store_task_entry_done(&first);
    store_task_entry_done(&second);
    store_task_entry_done(&third);
    char *after = suite_dump(suite);
    assert_string_equal(after, before);
    free(before);
    free(after);
}

SUITE_TEST(a_task_that_is_not_there_is_not_found)
{
    suite_task(suite, 1, "development", "o/r", 5000);
    static const int64_t ids[] = {2, 0, -1, INT64_MAX};
    struct store_tasks_query query = all_tasks();
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        struct store_task_entry entry;
        ASSERT_ERR(store_task_get(suite->store, ids[i], &query, &entry, NULL, &suite->why), ERR_NOT_FOUND);
        suite_assert_why(suite, "no task");
    }
}

/* those of a repo */

SUITE_TEST(the_tasks_of_a_repo_are_told_newest_first)
{
    static const char *const stages[] = {"development", "testing"};
    suite_task(suite, 1, "development", "acme/shop", 5000);
    suite_task(suite, 2, "testing", "acme/shop", 9000);
    suite_task(suite, 3, "review", "acme/shop", 5000);
    suite_task(suite, 4, "development", "acme/billing", 5000);
    suite_task(suite, 5, "development", "Acme/Shop", 5000);
    suite_task(suite, 6, "development", "acme/shop", 10);
    suite_task(suite, 7, "testing", "acme/shop", 10);
    suite_task(suite, 8, "testing", "acme/shop", 10);
    suite_exec(suite, "UPDATE tasks SET branch = NULL WHERE id = 7");
    suite_exec(suite, "UPDATE tasks SET branch = '' WHERE id = 8");
    suite_exec(suite, "UPDATE tasks SET work_item_id = NULL WHERE id = 2");
    struct store_repo_tasks tasks;
    ASSERT_OK(store_repo_tasks(suite->store, (const char *const[]){"acme/shop"}, 1, stages, 2, 10, &tasks,
                               &suite->why));
    assert_int_equal(tasks.n, 4);
    assert_false(tasks.more);
    assert_int_equal(tasks.rows[0].id, 6);
    assert_int_equal(tasks.rows[1].id, 5);
    assert_int_equal(tasks.rows[2].id, 2);
    assert_int_equal(tasks.rows[3].id, 1);
    assert_string_equal(tasks.rows[0].work_item_id, "ORCH-6");
    assert_string_equal(tasks.rows[0].branch, "feature/ORCH-6");
    assert_string_equal(tasks.rows[0].stage, "development");
    assert_null(tasks.rows[2].work_item_id);
    assert_string_equal(tasks.rows[2].stage, "testing");
    store_repo_tasks_done(&tasks);
    ASSERT_OK(store_repo_tasks(suite->store, (const char *const[]){"acme/shop"}, 1, stages, 2, 2, &tasks,
                               &suite->why));
    assert_int_equal(tasks.n, 2);
    assert_true(tasks.more);
    assert_int_equal(tasks.rows[1].id, 5);
    store_repo_tasks_done(&tasks);
    ASSERT_OK(store_repo_tasks(suite->store, (const char *const[]){"ACME/SHOP"}, 1, stages, 2, 4, &tasks,
                               &suite->why));
    assert_int_equal(tasks.n, 4);
    assert_false(tasks.more);
    store_repo_tasks_done(&tasks);
    static const char *const both[] = {"acme/billing", "acme/Shop"};
    ASSERT_OK(store_repo_tasks(suite->store, both, 2, stages, 2, 10, &tasks, &suite->why));
    assert_int_equal(tasks.n, 5);
    assert_int_equal(tasks.rows[0].id, 6);
    assert_int_equal(tasks.rows[2].id, 4);
    store_repo_tasks_done(&tasks);
    ASSERT_OK(store_repo_tasks(suite->store, (const char *const[]){"acme/shop"}, 1, stages, 0, 10, &tasks,
                               &suite->why));
    assert_int_equal(tasks.n, 0);
    store_repo_tasks_done(&tasks);
    ASSERT_OK(store_repo_tasks(suite->store, (const char *const[]){"o'x/\"☂\""}, 1, stages, 2, 10, &tasks,
                               &suite->why));
    assert_int_equal(tasks.n, 0);
    assert_false(tasks.more);
    store_repo_tasks_done(&tasks);
}

SUITE_TEST(the_repos_of_tasks_are_told_once)
{
    static const char *const stages[] = {"development", "testing"};
    char **repos;
    size_t n;
    suite_task(suite, 1, "development", "acme/shop", 5000);
    suite_task(suite, 2, "testing", "Acme/Shop", 9000);
    suite_task(suite, 3, "testing", "acme/billing", 9000);
    suite_task(suite, 4, "done", "acme/old", 9000);
    suite_task(suite, 5, "testing", "acme/none", 9000);
    suite_exec(suite, "UPDATE tasks SET repo = NULL WHERE id = 5");
    ASSERT_OK(store_repos(suite->store, stages, 2, 10, &repos, &n, &suite->why));
    assert_int_equal(n, 2);
    bool shop_first = strcmp(repos[0], "acme/shop") == 0;
    assert_string_equal(repos[!shop_first], "acme/shop");
    assert_string_equal(repos[shop_first], "acme/billing");
    for (size_t i = 0; i < n; i++)
        free(repos[i]);
    free(repos);
    ASSERT_OK(store_repos(suite->store, stages, 2, 1, &repos, &n, &suite->why));
    assert_int_equal(n, 1);
    free(repos[0]);
    free(repos);
}
