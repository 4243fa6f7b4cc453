/* What is special to SQLite about looking at tasks, outbox and shape: columns that hold anything, plans, and
 * who else has the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/store/sqlite/store_sqlite.h"
#include "tests/support/clients/store/sqlite_file.h"
#include "tests/support/clients/store/store_suite.h"
#include "tests/support/clients/store/store_version_1.h"

static struct store_tasks_query all_tasks(size_t limit)
{
    static const char *const terminal[] = {"done"};
    struct store_stuck_query stuck = suite_query();
    return (struct store_tasks_query){.gated = stuck.stages,
                                      .n_gated = stuck.n_stages,
                                      .terminal = terminal,
                                      .n_terminal = 1,
                                      .limit = limit};
}

/* what a column may hold */

/* Reads all pages; every task must come once. */
static void assert_pages_hold_all(struct store *store, size_t limit, size_t expected)
{
    struct store_tasks_query query = all_tasks(limit);
    bool seen[64] = {false};
    size_t n = 0;
    char *after = NULL;
    do {
        struct store_tasks_page page;
        query.after = after;
        ASSERT_OK(store_tasks_list(store, &query, &page, NULL));
        for (size_t i = 0; i < page.n; i++, n++) {
            assert_in_range(page.rows[i].task.id, 1, 63);
            assert_false(seen[page.rows[i].task.id]);
            seen[page.rows[i].task.id] = true;
        }
        free(after);
        after = mem_dup(page.next);
        store_tasks_page_done(&page);
    } while (after);
    assert_int_equal(n, expected);
}

static void pages_end_at_whatever_updated_at_holds(void **state)
{
    (void)state;
    static const char *const types[] = {"", "TEXT", "DATETIME", "REAL"}; /* and so the affinities */
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        char *sql = mem_printf(
            "CREATE TABLE tasks (id INTEGER PRIMARY KEY, plane_id, work_item_id, title, repo, branch,"
            " stage, created_at, updated_at %s);"
            "INSERT INTO tasks (stage, updated_at) VALUES ('development', NULL), ('development', NULL),"
            " ('development', 1700000000), ('development', 1700000000), ('development', 1700000001),"
            " ('development', -9223372036854775808), ('development', 2460000.123456789),"
            " ('development', 2460000.123456790), ('development', -0.5), ('development', ''),"
            " ('development', 'yesterday'), ('development', 'a.b-c ☂'), ('development', x''),"
            " ('development', x'00ff2e'), ('development', x'00ff2f'), ('development', '2020-01-01 00:00:00'),"
            " ('development', '2020-01-01 00:00:00'), ('review', 1700000000), (NULL, 5), (NULL, NULL),"
            " ('odd', '2020-01-01 00:00:00'), ('done', 7)",
            types[i]);
        sqlite_file_exec(sql);
        struct store *store = sqlite_file_open_migrated();
        for (size_t limit = 1; limit < 24; limit++)
            assert_pages_hold_all(store, limit, 21);
        store_free(store);
        sqlite_file_exec("DROP TABLE tasks");
        free(sql);
    }
}

static void a_place_with_a_value_that_cannot_be_is_refused(void **state)
{
    (void)state;
    struct store *store = sqlite_file_open_migrated();
    sqlite_file_seed(3);
    static const char *const places[] = {"s0.1",       "s6.1",     "o1.1",     "o100.1",
                                         "s2ffffff.1", "s3f.1",    "s3FF.1",   "s3fg.1",
                                         "o500.1",     "x3ff.1",   "s3ff.1.1", "s3ff.99999999999999999999",
                                         "s3ff.",      "s3ff.0x1", "s3ff. 1"};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        struct store_tasks_query query = all_tasks(10);
        struct store_tasks_page page;
        query.after = places[i];
        if (store_tasks_list(store, &query, &page, NULL) != ERR_INVALID)
            fail_msg("%s is taken for a place", places[i]);
    }
    store_free(store);
}

/* the plans */

/* None goes through all tasks, jobs, messages or ledger rows, but along an index and with a limit. */
static void assert_plans_are_lean(void)
{
    static const unsigned statements[] = {
        SQL_STUCK,       SQL_TASKS_LIST,          SQL_TASK_GET,       SQL_REPO_TASKS,  SQL_UNSTARTED,
        SQL_OUTBOX_LIST, SQL_OUTBOX_SENT,         SQL_LEASE_STANDS,   SQL_ISSUE_TASKS, SQL_TASKS_EXISTING,
        SQL_WORK_ITEMS,  SQL_LEDGER_LIST_OF_TASK, SQL_BRANCHES_TAKEN,
    };
    static const char *const bad[] = {"SCAN t",
                                      "SCAN tasks",
                                      "SCAN u",
                                      "SCAN j",
                                      "SCAN jobs",
                                      "SCAN r",
                                      "SCAN reconcile_outbox",
                                      "SCAN reconcile_leases"};
    for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
        char *plan = sqlite_file_plan(sqlite_sql_text(statements[i])), *rest = plan;
        for (const char *step; (step = strsep(&rest, "\n"));) {
            bool is_bad = strstr(step, "AUTOMATIC") || strstr(step, "BLOOM FILTER");
            for (size_t k = 0; k < ARRAY_LEN(bad); k++) {
                size_t n = strlen(bad[k]);
                is_bad |= strncmp(step, bad[k], n) == 0 && (step[n] == ' ' || step[n] == '\0');
            }
            /* So is called what looks for null in a column that holds none; test_store_sqlite_rows counts its
             * steps. */
            bool is_null =
                statements[i] == SQL_STUCK && strncmp(step, "SCAN tasks USING COVERING INDEX ", 32) == 0;
            if (is_bad && !is_null && !strstr(step, "reconcile_outbox_"))
                fail_msg("the plan of statement %zu holds: %s", i, step);
        }
        free(plan);
    }
}

static void looking_goes_through_the_indexes_with_and_without_statistics(void **state)
{
    (void)state;
    store_free(sqlite_file_open_migrated());
    assert_plans_are_lean();
    sqlite_file_exec(
        "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 5000)"
        " INSERT INTO tasks (id, work_item_id, repo, branch, stage)"
        " SELECT i, 'ORCH-' || i, 'o/r', 'b', CASE i % 3 WHEN 0 THEN 'done' WHEN 1 THEN 'testing'"
        " ELSE 'development' END FROM c;"
        "INSERT INTO jobs (task_id, agent, status) SELECT id, 'a', 'running' FROM tasks WHERE id % 10 = 0;"
        "INSERT INTO reconcile_outbox (id, at, text, sent_at) SELECT id, 'x', 'x', CASE WHEN id > 9 THEN 'x'"
        " END FROM tasks;"
        "INSERT INTO reconcile_ledger (id, at, task_id, from_stage, to_stage, side, outcome)"
        " SELECT id, 'x', id % 7, 'a', 'b', 'gate', 'advanced' FROM tasks");
    assert_plans_are_lean();
    sqlite_file_exec("ANALYZE");
    assert_plans_are_lean();
    sqlite_file_exec(
        "UPDATE reconcile_ledger SET task_id = 1; UPDATE tasks SET work_item_id = NULL; ANALYZE");
    assert_plans_are_lean();
    sqlite_file_exec("DELETE FROM reconcile_ledger WHERE seq > 9; ANALYZE");
    assert_plans_are_lean();
}

/* from one version to the next */

static void a_locked_file_of_version_1_waits_for_its_turn(void **state)
{
    (void)state;
    sqlite_file_exec("PRAGMA journal_mode = DELETE");
    sqlite_file_exec(store_version_1_sqlite);
    struct store *store = sqlite_file_open();
    struct why why;
    sqlite3 *other = sqlite_file_lock("BEGIN IMMEDIATE; UPDATE tasks SET title = 'theirs'");
    ASSERT_ERR(store_migrate(store, NULL, &why), ERR_TIMEOUT);
    suite_assert_words(&why, "locked");
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    ASSERT_OK(store_migrate(store, NULL, &why));
    ASSERT_OK(store_ready(store, &why));
    store_free(store);
    sqlite_file_assert("SELECT count(*) FROM tasks WHERE title = 'theirs'", "2");
    sqlite_file_assert("PRAGMA journal_mode", "delete");
}

static void nothing_of_theirs_is_altered_on_the_way(void **state)
{
    (void)state;
    static const char schema[] =
        "SELECT group_concat(name || ' ' || sql) FROM sqlite_schema WHERE tbl_name IN ('tasks', 'jobs')";
    sqlite_file_exec(store_version_1_sqlite);
    char *before = sqlite_file_value(schema);
    store_free(sqlite_file_open_migrated());
    sqlite_file_assert(schema, before);
    free(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SQLITE_FILE_TEST(pages_end_at_whatever_updated_at_holds),
        SQLITE_FILE_TEST(a_place_with_a_value_that_cannot_be_is_refused),
        SQLITE_FILE_TEST(looking_goes_through_the_indexes_with_and_without_statistics),
        SQLITE_FILE_TEST(a_locked_file_of_version_1_waits_for_its_turn),
        SQLITE_FILE_TEST(nothing_of_theirs_is_altered_on_the_way),
    };
    return cmocka_run_group_tests_name("SQLite: looking, and the shape", tests, NULL, NULL);
}
