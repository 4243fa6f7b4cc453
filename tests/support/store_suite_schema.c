/* The store's tables: created where they are missing, never altered, and asked for by name. */
#include "tests/support/store_suite.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static void migrate_creates_what_is_needed_and_the_store_is_ready(void **state)
{
    struct suite *suite = *state;
    size_t created = 0;
    assert_true(store_ready(suite->store, &suite->why) != ERR_OK);
    ASSERT_OK(store_migrate(suite->store, &created, &suite->why));
    assert_true(created >= 5);
    ASSERT_OK(store_ready(suite->store, &suite->why));
}

static void migrate_again_creates_nothing(void **state)
{
    struct suite *suite = *state;
    size_t created = 99;
    ASSERT_OK(store_migrate(suite->store, &created, &suite->why));
    assert_int_equal(created, 0);
    ASSERT_OK(store_ready(suite->store, &suite->why));
}

static void migrate_never_alters_what_was_there(void **state)
{
    struct suite *suite = *state;
    const char *type = suite->backend->instant_type;
    suite_own_tasks(suite, "");
    suite_exec(
        suite,
        "CREATE TABLE jobs (id BIGINT PRIMARY KEY, task_id BIGINT, agent TEXT, status TEXT, created_at %s,"
        " updated_at %s, host TEXT)",
        type, type);
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

static void migrate_completes_what_is_there_in_part(void **state)
{
    struct suite *suite = *state;
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

static void migrate_from_several_replicas_at_once_is_harmless(void **state)
{
    struct suite *suite = *state;
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

static void ready_names_the_table_that_is_missing(void **state)
{
    struct suite *suite = *state;
    suite_exec(suite, "DROP TABLE jobs");
    ASSERT_ERR(store_ready(suite->store, &suite->why), ERR_UNAVAILABLE);
    suite_assert_why(suite, "jobs");
}

static void ready_names_the_column_that_is_missing(void **state)
{
    struct suite *suite = *state;
    suite_own_tasks(suite, "");
    suite_exec(suite, "ALTER TABLE tasks DROP COLUMN branch");
    ASSERT_OK(store_migrate(suite->store, NULL, &suite->why));
    ASSERT_ERR(store_ready(suite->store, &suite->why), ERR_UNAVAILABLE);
    suite_assert_why(suite, "tasks");
    suite_assert_why(suite, "branch");
}

static void a_table_without_the_indexed_column_does_not_break_migrate(void **state)
{
    struct suite *suite = *state;
    suite_exec(suite, "CREATE TABLE tasks (id BIGINT PRIMARY KEY, title TEXT)");
    ASSERT_OK(store_migrate(suite->store, NULL, &suite->why));
    ASSERT_ERR(store_ready(suite->store, &suite->why), ERR_UNAVAILABLE);
    suite_assert_why(suite, "tasks");
}

static void calls_without_tables_fail_with_words(void **state)
{
    struct suite *suite = *state;
    struct store_stuck_query query = suite_query();
    struct store_stuck stuck;
    struct store_settings settings;
    ASSERT_ERR(store_stuck(suite->store, &query, &stuck, &suite->why), ERR_UNAVAILABLE);
    assert_true(strlen(suite->why.text) > 10);
    ASSERT_ERR(store_settings_read(suite->store, &settings, &suite->why), ERR_UNAVAILABLE);
    ASSERT_OK(store_migrate(suite->store, NULL, &suite->why));
    ASSERT_OK(store_stuck(suite->store, &query, &stuck, &suite->why));
    store_stuck_done(&stuck);
}

int suite_schema_run(void)
{
    const struct CMUnitTest tests[] = {
        SUITE_TEST_EMPTY(migrate_creates_what_is_needed_and_the_store_is_ready),
        SUITE_TEST(migrate_again_creates_nothing),
        SUITE_TEST_EMPTY(migrate_never_alters_what_was_there),
        SUITE_TEST(migrate_completes_what_is_there_in_part),
        SUITE_TEST_EMPTY(migrate_from_several_replicas_at_once_is_harmless),
        SUITE_TEST(ready_names_the_table_that_is_missing),
        SUITE_TEST_EMPTY(ready_names_the_column_that_is_missing),
        SUITE_TEST_EMPTY(a_table_without_the_indexed_column_does_not_break_migrate),
        SUITE_TEST_EMPTY(calls_without_tables_fail_with_words),
    };
    return cmocka_run_group_tests_name("store: tables", tests, NULL, NULL);
}
