/* Settings, ledger, pass reports, and a stop in the middle. */
#include "tests/support/clients/store/store_suite.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"

SUITE_GROUP(records, "store: settings, ledger, passes")

/* settings */

SUITE_TEST(settings_are_empty_at_revision_0_before_the_first_change)
{
    struct store_settings settings;
    ASSERT_OK(store_settings_read(suite->store, &settings, &suite->why));
    assert_int_equal(settings.revision, 0);
    assert_string_equal(settings.overrides, "{}");
    int64_t off_us = settings.now_us - clock_wall_us();
    assert_in_range(off_us + 60000000, 0, 120000000); /* one machine in a test: the same clock */
    store_settings_done(&settings);
}

SUITE_TEST(settings_are_written_only_over_the_revision_seen)
{
    struct store_settings settings;
    int64_t revision = -1;
    ASSERT_OK(store_settings_write(suite->store, 0, "{\"a\":1}", NULL, 0, &revision, &suite->why));
    assert_int_equal(revision, 1);
    revision = -1;
    ASSERT_ERR(store_settings_write(suite->store, 0, "{\"b\":1}", NULL, 0, &revision, &suite->why),
               ERR_CONFLICT);
    ASSERT_ERR(store_settings_write(suite->store, 2, "{\"b\":1}", NULL, 0, &revision, &suite->why),
               ERR_CONFLICT);
    assert_int_equal(revision, -1);
    ASSERT_OK(store_settings_read(suite->store, &settings, &suite->why));
    assert_int_equal(settings.revision, 1);
    assert_string_equal(settings.overrides, "{\"a\":1}");
    store_settings_done(&settings);
    ASSERT_OK(store_settings_write(suite->store, 1, "{\"c\":1}", NULL, 0, &revision, &suite->why));
    assert_int_equal(revision, 2);
}

SUITE_TEST(settings_survive_a_restart)
{
    struct store_settings settings;
    int64_t revision;
    const char *overrides = "{\"enabled\":{\"value\":false,\"reason\":\"о'хо \\\"☂\\\"\"}}";
    ASSERT_OK(store_settings_write(suite->store, 0, overrides, NULL, 0, &revision, &suite->why));
    store_free(suite->store);
    ASSERT_OK(store_open(suite->url, NULL, &suite->store, &suite->why));
    ASSERT_OK(store_migrate(suite->store, NULL, &suite->why));
    ASSERT_OK(store_settings_read(suite->store, &settings, &suite->why));
    assert_int_equal(settings.revision, 1);
    suite_assert_document(settings.overrides, overrides);
    store_settings_done(&settings);
}

enum { WRITERS = 4, WRITES = 10 };

struct writer {
    struct store *store;
    size_t won, failed;
};

static void *writer_run(void *arg)
{
    struct writer *writer = arg;
    for (int64_t seen = 0; seen < WRITES; seen++) {
        int64_t revision;
        enum err err = store_settings_write(writer->store, seen, "{}", NULL, 0, &revision, NULL);
        writer->won += err == ERR_OK;
        writer->failed += err != ERR_OK && err != ERR_CONFLICT;
    }
    return NULL;
}

SUITE_TEST(one_writer_wins_each_revision)
{
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    size_t won = 0, failed = 0;
    for (size_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.store = suite->store};
        assert_int_equal(pthread_create(&threads[i], NULL, writer_run, &writers[i]), 0);
    }
    for (size_t i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        won += writers[i].won;
        failed += writers[i].failed;
    }
    struct store_settings settings;
    ASSERT_OK(store_settings_read(suite->store, &settings, &suite->why));
    assert_int_equal(failed, 0);
    assert_int_equal(won, settings.revision);
    assert_true(settings.revision >= 1 && settings.revision <= WRITES);
    store_settings_done(&settings);
}

/* the ledger */

SUITE_TEST(an_empty_ledger_has_no_last_row)
{
    struct store_ledger_count summary = {0};
    struct store_ledger_page page;
    ASSERT_OK(store_ledger_advance(suite->store, &summary, &suite->why));
    assert_int_equal(summary.total, 0);
    assert_null(summary.last_work_item_id);
    store_ledger_count_done(&summary);
    ASSERT_OK(store_ledger_list(suite->store, 0, 0, 10, &page, &suite->why));
    assert_int_equal(page.n, 0);
    store_ledger_page_done(&page);
}

/* Five transitions: of the tasks 1, 2, 1, 3 and 1. */
static void ledger_seed(struct suite *suite)
{
    static const int64_t tasks[] = {1, 2, 1, 3, 1};
    for (int64_t id = 1; id <= 3; id++)
        suite_task(suite, id, "development", "o/r", 5000);
    for (size_t i = 0; i < ARRAY_LEN(tasks); i++) {
        suite_exec(suite, "UPDATE tasks SET stage = 'development', updated_at = %s", suite_ago(suite, 5000));
        suite_exec(suite, "UPDATE jobs SET status = 'done'");
        struct store_task_list stuck = suite_stuck(suite);
        for (size_t k = 0; k < stuck.n_tasks; k++)
            if (stuck.tasks[k].id == tasks[i]) {
                struct store_transition transition = suite_transition(&stuck.tasks[k]);
                assert_int_equal(suite_move(suite, &transition), STORE_MOVED);
            }
    }
}

static void assert_ledger(const struct store_ledger_page *page, const int64_t *tasks, size_t n)
{
    assert_int_equal(page->n, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(page->rows[i].task_id, tasks[i]);
        if (i > 0) {
            assert_true(page->rows[i].seq < page->rows[i - 1].seq);
            assert_true(page->rows[i].at_us <= page->rows[i - 1].at_us);
        }
    }
}

SUITE_TEST(the_ledger_is_paged_newest_first)
{
    ledger_seed(suite);
    struct store_ledger_count summary = {0};
    struct store_ledger_page page;
    ASSERT_OK(store_ledger_advance(suite->store, &summary, &suite->why));
    assert_int_equal(summary.total, 5);
    assert_string_equal(summary.last_work_item_id, "ORCH-1");
    store_ledger_count_done(&summary);

    ASSERT_OK(store_ledger_list(suite->store, 0, 0, 2, &page, &suite->why));
    assert_ledger(&page, (const int64_t[]){1, 3}, 2);
    int64_t before = page.rows[1].seq;
    store_ledger_page_done(&page);
    ASSERT_OK(store_ledger_list(suite->store, 0, before, 2, &page, &suite->why));
    assert_ledger(&page, (const int64_t[]){1, 2}, 2);
    before = page.rows[1].seq;
    store_ledger_page_done(&page);
    ASSERT_OK(store_ledger_list(suite->store, 0, before, 2, &page, &suite->why));
    assert_ledger(&page, (const int64_t[]){1}, 1);
    store_ledger_page_done(&page);
}

SUITE_TEST(the_ledger_of_one_task_is_paged_too)
{
    ledger_seed(suite);
    struct store_ledger_page page;
    ASSERT_OK(store_ledger_list(suite->store, 1, 0, 2, &page, &suite->why));
    assert_ledger(&page, (const int64_t[]){1, 1}, 2);
    int64_t before = page.rows[1].seq;
    store_ledger_page_done(&page);
    ASSERT_OK(store_ledger_list(suite->store, 1, before, 2, &page, &suite->why));
    assert_ledger(&page, (const int64_t[]){1}, 1);
    store_ledger_page_done(&page);
    ASSERT_OK(store_ledger_list(suite->store, 99, 0, 2, &page, &suite->why));
    assert_int_equal(page.n, 0);
    store_ledger_page_done(&page);
}

/* texts */

SUITE_TEST(texts_are_stored_in_ascii_and_come_back_as_they_were)
{
    static const char *const texts[] = {"✅ «о'хо» ☂ \\u0041 \"q\"\n😀", "\"quoted\"", "\"", "plain \\u0041"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        suite_task(suite, (int64_t)i + 1, "development", "o/r", 5000);
        struct store_task_list stuck = suite_stuck(suite);
        struct store_transition transition = suite_transition(&stuck.tasks[0]);
        transition.reason = transition.message = texts[i];
        transition.evidence = "{\"контекст\":\"сборка ☂\"}";
        assert_int_equal(suite_move(suite, &transition), STORE_MOVED);
        struct store_ledger_page page;
        ASSERT_OK(store_ledger_list(suite->store, (int64_t)i + 1, 0, 1, &page, &suite->why));
        assert_string_equal(page.rows[0].reason, texts[i]);
        suite_assert_document(page.rows[0].evidence, transition.evidence);
        store_ledger_page_done(&page);
    }
    struct store_outbox outbox;
    ASSERT_OK(store_outbox_list(suite->store, STORE_TO_TELEGRAM, 10, &outbox, &suite->why));
    assert_int_equal(outbox.n, ARRAY_LEN(texts));
    for (size_t i = 0; i < outbox.n; i++)
        assert_string_equal(outbox.rows[i].text, texts[i]);
    store_outbox_done(&outbox);
    char *stored = suite_value(suite, "SELECT text FROM reconcile_outbox ORDER BY seq");
    assert_string_equal(stored, "\"\\u2705 \\u00AB\\u043E'\\u0445\\u043E\\u00BB \\u2602 \\\\u0041"
                                " \\\"q\\\"\\n\\uD83D\\uDE00\"");
    free(stored);
}

SUITE_TEST(texts_of_earlier_versions_come_back_as_they_were)
{
    static const char *const texts[] = {"✅ о ☂", "\"quoted at both ends", "plain"};
    struct store_outbox outbox;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        ASSERT_OK(store_outbox_add(suite->store, uuid_new().s, "x", NULL, &suite->why));
        suite_exec(suite, "UPDATE reconcile_outbox SET text = '%s' WHERE text = 'x'", texts[i]);
    }
    ASSERT_OK(store_outbox_list(suite->store, STORE_TO_TELEGRAM, 10, &outbox, &suite->why));
    for (size_t i = 0; i < outbox.n; i++)
        assert_string_equal(outbox.rows[i].text, texts[i]);
    store_outbox_done(&outbox);
}

/* pass reports */

SUITE_TEST(a_pass_report_is_saved_and_replaced)
{
    struct uuid_text id = uuid_new();
    char *report = NULL;
    ASSERT_ERR(store_pass_get(suite->store, id.s, &report, &suite->why), ERR_NOT_FOUND);
    assert_null(report);
    ASSERT_OK(store_pass_save(suite->store, id.s, 1000, "{\"running\":true}", &suite->why));
    ASSERT_OK(store_pass_save(suite->store, id.s, 1000, "{\"о'\\\"\":\"☂\"}", &suite->why));
    ASSERT_OK(store_pass_get(suite->store, id.s, &report, &suite->why));
    suite_assert_document(report, "{\"о'\\\"\":\"☂\"}");
    free(report);
    struct store_pass_page page;
    ASSERT_OK(store_pass_list(suite->store, 0, 10, &page, &suite->why));
    assert_int_equal(page.n, 1);
    assert_string_equal(page.rows[0].id.s, id.s);
    assert_int_equal(page.rows[0].started_us, 1000);
    suite_assert_document(page.rows[0].report, "{\"о'\\\"\":\"☂\"}");
    store_pass_page_done(&page);
}

SUITE_TEST(a_big_report_comes_back_whole)
{
    struct uuid_text id = uuid_new();
    size_t len = (size_t)1024 * 1024;
    char *report = mem_zero(len + 3, 1), *back = NULL;
    memset(report, 'r', len + 2);
    report[0] = report[len + 1] = '"';
    ASSERT_OK(store_pass_save(suite->store, id.s, 1, report, &suite->why));
    ASSERT_OK(store_pass_get(suite->store, id.s, &back, &suite->why));
    assert_string_equal(back, report);
    free(back);
    free(report);
}

SUITE_TEST(passes_are_listed_newest_first_by_their_start)
{
    static const int64_t starts[] = {3000, 1000, INT64_C(1795464000000000), 2000};
    struct uuid_text ids[ARRAY_LEN(starts)];
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        ids[i] = uuid_new();
        ASSERT_OK(store_pass_save(suite->store, ids[i].s, starts[i], "{}", &suite->why));
    }
    struct store_pass_page page;
    ASSERT_OK(store_pass_list(suite->store, 0, 3, &page, &suite->why));
    assert_int_equal(page.n, 3);
    assert_string_equal(page.rows[0].id.s, ids[2].s);
    assert_string_equal(page.rows[1].id.s, ids[0].s);
    assert_string_equal(page.rows[2].id.s, ids[3].s);
    assert_int_equal(page.rows[0].started_us, starts[2]);
    store_pass_page_done(&page);
    ASSERT_OK(store_pass_list(suite->store, 2000, 3, &page, &suite->why));
    assert_int_equal(page.n, 1);
    assert_string_equal(page.rows[0].id.s, ids[1].s);
    store_pass_page_done(&page);
}

SUITE_TEST(only_the_newest_passes_are_kept)
{
    enum { MORE = 5 };
    struct uuid_text first = {""}, last = {""};
    for (int64_t i = 1; i <= (int64_t)LIMIT_PASSES_KEPT + MORE; i++) {
        last = uuid_new();
        if (i == MORE)
            first = last;
        ASSERT_OK(store_pass_save(suite->store, last.s, i, "{}", &suite->why));
    }
    char *report = NULL;
    struct store_pass_page page;
    ASSERT_ERR(store_pass_get(suite->store, first.s, &report, &suite->why), ERR_NOT_FOUND);
    ASSERT_OK(store_pass_get(suite->store, last.s, &report, &suite->why));
    free(report);
    ASSERT_OK(store_pass_list(suite->store, 0, (size_t)2 * LIMIT_PASSES_KEPT, &page, &suite->why));
    assert_int_equal(page.n, LIMIT_PASSES_KEPT);
    assert_int_equal(page.rows[page.n - 1].started_us, MORE + 1);
    store_pass_page_done(&page);
}

/* a stop */

SUITE_TEST(an_interrupted_store_refuses_every_call)
{
    suite_task(suite, 1, "development", "o/r", 5000);
    struct store_task_list stuck = suite_stuck(suite), more;
    struct store_transition transition = suite_transition(&stuck.tasks[0]);
    struct store_stuck_query query = suite_query();
    enum store_moved moved;
    int64_t revision;
    struct store_settings settings;
    struct store_ledger_count summary = {0};
    struct store_pass_page passes;
    char *before = suite_dump(suite);
    store_interrupt(suite->store);
    ASSERT_ERR(store_task_list(suite->store, &query, &more, &suite->why), ERR_TIMEOUT);
    assert_true(strlen(suite->why.text) > 5);
    ASSERT_ERR(store_transition(suite->store, 0, 0, uuid_new().s, &transition, 1, &moved, &suite->why),
               ERR_TIMEOUT);
    ASSERT_ERR(store_settings_read(suite->store, &settings, &suite->why), ERR_TIMEOUT);
    ASSERT_ERR(store_settings_write(suite->store, 0, "{}", NULL, 0, &revision, &suite->why), ERR_TIMEOUT);
    ASSERT_ERR(store_ledger_advance(suite->store, &summary, &suite->why), ERR_TIMEOUT);
    ASSERT_ERR(store_pass_list(suite->store, 0, 1, &passes, &suite->why), ERR_TIMEOUT);
    ASSERT_ERR(store_ready(suite->store, &suite->why), ERR_TIMEOUT);
    store_interrupt(suite->store);
    char *after = suite_dump(suite);
    assert_string_equal(after, before);
    free(before);
    free(after);
}

SUITE_TEST(words_are_optional)
{
    int64_t revision;
    char *report;
    ASSERT_ERR(store_settings_write(suite->store, 5, "{}", NULL, 0, &revision, NULL), ERR_CONFLICT);
    ASSERT_ERR(store_pass_get(suite->store, uuid_new().s, &report, NULL), ERR_NOT_FOUND);
}

SUITE_TEST(the_description_names_no_password)
{
    assert_non_null(store_describe(suite->store));
    assert_null(strchr(store_describe(suite->store), '@'));
}

/* what people changed */

SUITE_TEST(what_people_changed_is_listed_newest_first)
{
    const struct store_new_change changes[] = {
        {.kind = "setting", .name = "enabled", .from = "true", .to = "false", .by = "anna", .reason = "Stör"},
        {.kind = "hold", .name = "stage/prüfen", .to = "{\"a\":\"ж\"}", .until_us = 1800000000250000},
    };
    struct store_changes page;
    int64_t revision;
    ASSERT_OK(
        store_settings_write(suite->store, 0, "{}", changes, ARRAY_LEN(changes), &revision, &suite->why));
    ASSERT_OK(store_settings_write(suite->store, revision, "{}", changes, 0, &revision, &suite->why));
    ASSERT_OK(store_history_list(suite->store, 0, 10, &page, &suite->why));
    assert_int_equal(page.n, 2);
    const struct store_change *newest = &page.rows[0], *first = &page.rows[1];
    assert_true(newest->seq > first->seq && first->at_us > 0);
    assert_string_equal(newest->kind, "hold");
    assert_string_equal(newest->name, "stage/prüfen");
    assert_null(newest->from);
    assert_string_equal(newest->to, "{\"a\":\"\\u0436\"}");
    assert_null(newest->by);
    assert_null(newest->reason);
    assert_int_equal(newest->until_us, 1800000000250000);
    assert_string_equal(first->from, "true");
    assert_string_equal(first->to, "false");
    assert_string_equal(first->by, "anna");
    assert_string_equal(first->reason, "Stör");
    assert_int_equal(first->until_us, 0);
    int64_t before = newest->seq;
    store_changes_done(&page);

    ASSERT_OK(store_history_list(suite->store, before, 10, &page, &suite->why));
    assert_int_equal(page.n, 1);
    assert_string_equal(page.rows[0].kind, "setting");
    store_changes_done(&page);
}
