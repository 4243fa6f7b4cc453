/* The store's tables: created where they are missing, theirs never altered, ours brought to the shape of this
 * version, and asked for by name. */
#include "tests/support/clients/store/store_suite.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

SUITE_GROUP(schema, "store: tables")

SUITE_TEST_EMPTY(migrate_creates_what_is_needed_and_the_store_is_ready)
{
    size_t created = 0;
    assert_true(store_ready(suite->store, &suite->why) != ERR_OK);
    ASSERT_OK(store_migrate(suite->store, &created, &suite->why));
    assert_true(created >= 5);
    ASSERT_OK(store_ready(suite->store, &suite->why));
}

SUITE_TEST(migrate_again_creates_nothing)
{
    size_t created = 99;
    ASSERT_OK(store_migrate(suite->store, &created, &suite->why));
    assert_int_equal(created, 0);
    ASSERT_OK(store_ready(suite->store, &suite->why));
}

SUITE_TEST_EMPTY(migrate_never_alters_what_was_there)
{
    const char *type = suite->backend->instant_type;
    suite_own_tasks(suite, "");
    suite_exec(
        suite,
        "CREATE TABLE jobs (id %s, task_id BIGINT, agent TEXT, status TEXT, created_at %s, updated_at %s,"
        " host TEXT)",
        suite->backend->own_id, type, type);
    suite_task(suite, 1, "development", "o/r", 5000);
    suite_exec(suite,
               "INSERT INTO jobs (id, task_id, agent, status, host) VALUES (1, 1, 'a', 'queued', 'h1'),"
               " (2, 1, 'b', 'running', 'h2')");
    char *before = suite_dump(suite);
    size_t created = 0;
    ASSERT_OK(store_migrate(suite->store, &created, &suite->why));
    assert_true(created >= 3);
    ASSERT_OK(store_ready(suite->store, &suite->why));
    char *after = suite_dump(suite);
    assert_string_equal(after, before);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM tasks WHERE mood = 'calm'"), 1);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM jobs WHERE host IS NOT NULL"), 2);
    free(before);
    free(after);
}

SUITE_TEST(migrate_completes_what_is_there_in_part)
{
    suite_task(suite, 1, "development", "o/r", 5000);
    char *before = suite_dump(suite);
    suite_exec(suite, "DROP TABLE reconcile_passes");
    assert_true(store_ready(suite->store, &suite->why) != ERR_OK);
    suite_assert_why(suite, "reconcile_passes");
    size_t created = 0;
    ASSERT_OK(store_migrate(suite->store, &created, &suite->why));
    assert_int_equal(created, 1);
    ASSERT_OK(store_ready(suite->store, &suite->why));
    char *after = suite_dump(suite);
    assert_string_equal(after, before);
    free(before);
    free(after);
}

static void *migrate_thread(void *arg)
{
    const char *url = arg;
    struct store *store;
    enum err err = store_open(url, NULL, &store, NULL);
    if (!err) {
        err = store_migrate(store, NULL, NULL);
        store_free(store);
    }
    return (void *)(uintptr_t)err;
}

SUITE_TEST_EMPTY(migrate_from_several_replicas_at_once_is_harmless)
{
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, migrate_thread, suite->url), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_int_equal((uintptr_t)result, ERR_OK);
    }
    ASSERT_OK(store_ready(suite->store, &suite->why));
}

SUITE_TEST(ready_names_the_table_that_is_missing)
{
    suite_exec(suite, "DROP TABLE jobs");
    ASSERT_ERR(store_ready(suite->store, &suite->why), ERR_UNAVAILABLE);
    suite_assert_why(suite, "jobs");
}

SUITE_TEST_EMPTY(ready_names_the_column_that_is_missing)
{
    suite_own_tasks(suite, "");
    suite_exec(suite, "ALTER TABLE tasks DROP COLUMN branch");
    ASSERT_OK(store_migrate(suite->store, NULL, &suite->why));
    ASSERT_ERR(store_ready(suite->store, &suite->why), ERR_UNAVAILABLE);
    suite_assert_why(suite, "tasks");
    suite_assert_why(suite, "branch");
}

SUITE_TEST_EMPTY(a_table_without_the_indexed_column_does_not_break_migrate)
{
    suite_exec(suite, "CREATE TABLE tasks (id BIGINT PRIMARY KEY, title TEXT)");
    ASSERT_OK(store_migrate(suite->store, NULL, &suite->why));
    ASSERT_ERR(store_ready(suite->store, &suite->why), ERR_UNAVAILABLE);
    suite_assert_why(suite, "tasks");
}

SUITE_TEST_EMPTY(calls_without_tables_fail_with_words)
{
    struct store_stuck_query query = suite_query();
    struct store_task_list stuck;
    struct store_settings settings;
    ASSERT_ERR(store_task_list(suite->store, &query, &stuck, &suite->why), ERR_UNAVAILABLE);
    assert_true(strlen(suite->why.text) > 10);
    ASSERT_ERR(store_settings_read(suite->store, &settings, &suite->why), ERR_UNAVAILABLE);
    ASSERT_OK(store_migrate(suite->store, NULL, &suite->why));
    stuck = suite_list(suite, &query);
}

/* from one version to the next */

/* What stands in the fixture's rows of ours, after it was brought here. */
static void assert_rows_of_version_1(struct suite *suite)
{
    struct store_settings settings;
    struct store_ledger_page page;
    char *report = NULL;
    ASSERT_OK(store_settings_read(suite->store, &settings, &suite->why));
    assert_int_equal(settings.revision, 3);
    assert_string_equal(settings.overrides, "{\"mode\":{\"value\":\"observe\"}}");
    store_settings_done(&settings);
    ASSERT_OK(store_ledger_list(suite->store, 1, 0, 10, &page, &suite->why));
    assert_int_equal(page.n, 2);
    assert_string_equal(page.rows[1].id.s, "11111111-1111-4111-8111-111111111111");
    assert_string_equal(page.rows[1].evidence, "{\"n\":1}");
    for (size_t i = 0; i < page.n; i++) {
        assert_null(page.rows[i].missed_source);
        assert_null(page.rows[i].missed_event);
    }
    store_ledger_page_done(&page);
    ASSERT_OK(store_pass_get(suite->store, "00000000-0000-4000-8000-00000000000a", &report, &suite->why));
    assert_string_equal(report, "{\"id\":\"a\"}");
    free(report);
}

SUITE_TEST_EMPTY(version_1_is_brought_here_with_all_it_holds)
{
    suite_exec(suite, "%s", suite->backend->version_1);
    assert_true(store_ready(suite->store, &suite->why) != ERR_OK);
    char *before = suite_dump(suite);
    size_t created = 0;
    ASSERT_OK(store_migrate(suite->store, &created, &suite->why));
    assert_int_equal(created, 7); /* verdicts, outbox, leases, replays, holds, releases, history */
    ASSERT_OK(store_ready(suite->store, &suite->why));
    assert_int_equal(suite_number(suite, "SELECT max(version) FROM reconcile_schema"), 5);
    char *after = suite_dump(suite);
    assert_string_equal(after, before);
    assert_rows_of_version_1(suite);
    ASSERT_OK(store_migrate(suite->store, &created, &suite->why));
    assert_int_equal(created, 0);
    free(before);
    free(after);
}

SUITE_TEST_EMPTY(version_1_heals_on_once_it_was_brought_here)
{
    suite_exec(suite, "%s", suite->backend->version_1);
    ASSERT_OK(store_migrate(suite->store, NULL, &suite->why));
    struct store_task_list stuck = suite_stuck(suite);
    ASSERT_LISTED(&stuck, 1);
    assert_int_equal(stuck.tasks[0].recent_heals, 1);
    struct store_transition transition = suite_transition(&stuck.tasks[0]);
    transition.missed_source = "gitea";
    transition.missed_event = "status";
    transition.message = "unblocked";
    transition.verdict_id = "activity-1";
    enum store_moved moved;
    ASSERT_OK(store_transition(suite->store, 3, 0, "p", &transition, 1, &moved, &suite->why));
    assert_int_equal(moved, STORE_MOVED);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_ledger WHERE missed_event = 'status'"
                                         " AND missed_source = 'gitea'"),
                     1);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_outbox"), 1);
}

SUITE_TEST_EMPTY(version_1_is_brought_here_by_several_replicas_at_once)
{
    suite_exec(suite, "%s", suite->backend->version_1);
    migrate_from_several_replicas_at_once_is_harmless(suite);
    assert_rows_of_version_1(suite);
}

SUITE_TEST_EMPTY(a_version_that_broke_off_is_finished)
{
    suite_exec(suite, "%s", suite->backend->version_1);
    suite_exec(suite, "ALTER TABLE reconcile_ledger ADD COLUMN missed_source TEXT");
    ASSERT_OK(store_migrate(suite->store, NULL, &suite->why));
    ASSERT_OK(store_ready(suite->store, &suite->why));
    assert_rows_of_version_1(suite);
}

SUITE_TEST(a_newer_version_is_left_alone_and_told_in_words)
{
    suite_exec(suite, "INSERT INTO reconcile_schema (version) VALUES (1000)");
    ASSERT_ERR(store_ready(suite->store, &suite->why), ERR_UNAVAILABLE);
    suite_assert_why(suite, "version 1000");
    suite_assert_why(suite, "newer");
    suite_exec(suite, "DROP TABLE reconcile_passes");
    ASSERT_ERR(store_migrate(suite->store, NULL, &suite->why), ERR_UNAVAILABLE);
    suite_assert_why(suite, "version 1000");
    suite_exec(suite, "CREATE TABLE reconcile_passes (id TEXT)"); /* it was not made again */
}
