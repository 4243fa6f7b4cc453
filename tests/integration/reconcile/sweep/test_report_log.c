/* Reports of passes that are over: those in the database and those in memory are one list. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/store/store.h"
#include "reconcile/heal/report.h"
#include "reconcile/sweep/report_log.h"
#include "tests/support/clients/store/sqlite_file.h"
#include "tests/support/test.h"

#define T0 1764230400000000 /* when report number 0 started; each of the next a second later */

static struct {
    struct store *store;
    struct report_log *log;
    struct why why;
} bench;

static int set_up(void **state)
{
    (void)state;
    sqlite_file_make();
    assert_int_equal(store_open(sqlite_file_url(), NULL, &bench.store, &bench.why), ERR_OK);
    assert_int_equal(store_migrate(bench.store, NULL, &bench.why), ERR_OK);
    bench.log = report_log_new(bench.store);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    report_log_free(bench.log);
    store_free(bench.store);
    sqlite_file_remove();
    return 0;
}

static const char *id_of(int number)
{
    static char id[UUID_TEXT_LEN + 1];
    (void)snprintf(id, sizeof id, "11111111-2222-4333-8444-%012d", number);
    return id;
}

static struct report report_number(int number)
{
    static const struct pass_request request = {.trigger = TRIGGER_REQUEST};
    struct report report;
    report_begin(&report, id_of(number), &request, clock_wall_us());
    report.started_us = T0 + number * 1000000LL;
    report_gate_item(&report, &(struct report_item){.reason = "no status yet", .outcome = OUTCOME_RED});
    return report;
}

static void keep(int number)
{
    struct report report = report_number(number);
    report_log_put(bench.log, &report);
    report_done(&report);
}

static void store_number(int number)
{
    struct report report = report_number(number);
    AUTO_FREE char *text = report_text(&report);
    assert_int_equal(store_pass_save(bench.store, report.id.s, report.started_us, text, &bench.why), ERR_OK);
    report_done(&report);
}

/* The numbers of a page's reports, "4 3 2", and its `next`, 0 for none. */
static const char *page(int64_t before_us, size_t limit, int64_t *ret_next)
{
    static char numbers[200];
    json_t *body = NULL, *item;
    size_t i;
    *numbers = '\0';
    assert_int_equal(report_log_page(bench.log, before_us, limit, &body, &bench.why), ERR_OK);
    json_array_foreach(json_object_get(body, "items"), i, item)
    {
        size_t len = strlen(numbers);
        assert_null(json_object_get(item, "items"));
        const char *digits = json_get_text(item, "id", "") + UUID_TEXT_LEN - 2;
        digits += *digits == '0';
        (void)snprintf(numbers + len, sizeof numbers - len, "%s%s", len ? " " : "", digits);
    }
    *ret_next = 0;
    const char *next = json_get_text(body, "next", NULL);
    assert_true(!next || parse_i64(next, 1, INT64_MAX, ret_next));
    json_decref(body);
    return numbers;
}

static json_t *found(int number)
{
    AUTO_FREE char *text = NULL;
    enum err err = report_log_get(bench.log, id_of(number), &text, &bench.why);
    if (err == ERR_NOT_FOUND)
        return NULL;
    assert_int_equal(err, ERR_OK);
    return json_loads(text, 0, NULL);
}

TEST_WITH(a_list_merges_what_is_stored_and_what_is_not, set_up, tear_down)
{
    int64_t next;
    assert_string_equal(page(0, 3, &next), "");
    assert_int_equal(next, 0);
    for (int number = 0; number < 5; number++)
        if (number % 2)
            keep(number);
        else
            store_number(number);
    assert_string_equal(page(0, 3, &next), "4 3 2");
    assert_int_equal(next, T0 + 2 * 1000000LL);
    assert_string_equal(page(next, 3, &next), "1 0");
    assert_int_equal(next, 0);
    assert_string_equal(page(0, 5, &next), "4 3 2 1 0");
    assert_int_equal(next, 0);
}

static void store_as_the_sweeper_does(int number, int64_t started_us)
{
    struct report report = report_number(number);
    report.started_us = started_us;
    AUTO_FREE char *text = report_text(&report);
    int64_t place = report_log_place(bench.log, started_us);
    assert_int_equal(store_pass_save(bench.store, report.id.s, place, text, &bench.why), ERR_OK);
    report_done(&report);
}

static void keep_begun_at(int number, int64_t started_us)
{
    struct report report = report_number(number);
    report.started_us = started_us;
    report_log_put(bench.log, &report);
    report_done(&report);
}

/* The clock is set back by an hour before the third, while this process runs and across a restart. */
TEST_WITH(reports_keep_their_order_when_the_clock_is_set_back, set_up, tear_down)
{
    int64_t next, back = T0 - 3600 * 1000000LL;
    store_as_the_sweeper_does(1, T0);
    keep_begun_at(2, T0 + 1000000);
    store_as_the_sweeper_does(3, back);
    keep_begun_at(4, back + 1000000);
    assert_string_equal(page(0, 3, &next), "4 3 2");
    assert_string_equal(page(next, 3, &next), "1");
    report_log_free(bench.log);
    bench.log = report_log_new(bench.store);
    keep_begun_at(5, back + 2000000);
    assert_string_equal(page(0, 9, &next), "5 3 1");
    for (int number = 6; number < 6 + (int)LIMIT_PASSES_KEPT; number++)
        store_as_the_sweeper_does(number, back + number * 1000000LL);
    assert_null(found(3));
    for (int number = 6; number < 6 + (int)LIMIT_PASSES_KEPT; number++) {
        json_t *report = found(number);
        assert_non_null(report);
        json_decref(report);
    }
}

TEST_WITH(a_report_in_both_places_is_listed_once, set_up, tear_down)
{
    int64_t next;
    for (int number = 0; number < 3; number++) {
        keep(number);
        store_number(number);
    }
    assert_string_equal(page(0, 2, &next), "2 1");
    assert_string_equal(page(next, 2, &next), "0");
    assert_int_equal(next, 0);
}

TEST_WITH(what_is_no_report_of_ours_is_not_listed, set_up, tear_down)
{
    int64_t next;
    store_number(0);
    assert_int_equal(store_pass_save(bench.store, id_of(1), T0 + 1, "no report", &bench.why), ERR_OK);
    assert_string_equal(page(0, 1, &next), "0");
    assert_int_equal(next, 0);
}

TEST_WITH(a_report_is_found_wherever_it_is, set_up, tear_down)
{
    keep(1);
    store_number(2);
    for (int number = 1; number <= 2; number++) {
        json_t *report = found(number);
        assert_int_equal(json_array_size(json_object_get(report, "items")), 1);
        json_decref(report);
    }
    assert_null(found(3));
}

TEST_WITH(the_oldest_in_memory_go_first, set_up, tear_down)
{
    for (int number = 0; number <= (int)LIMIT_PASSES_KEPT; number++)
        keep(number);
    assert_null(found(0));
    json_t *report = found(1);
    assert_non_null(report);
    json_decref(report);
}

TEST_WITH(a_large_one_loses_its_items_when_memory_is_short, set_up, tear_down)
{
    AUTO_FREE char *reason = mem_zero(1001, 1);
    memset(reason, 'x', 1000);
    for (int number = 0; number < 3; number++) {
        struct report report = report_number(number);
        for (size_t i = 1; i < LIMIT_PASS_ITEMS; i++)
            report_gate_item(&report, &(struct report_item){.reason = reason, .outcome = OUTCOME_RED});
        report.items_left_out = 7;
        report_log_put(bench.log, &report);
        report_done(&report);
    }
    json_t *oldest = found(0), *newest = found(2);
    assert_int_equal(json_array_size(json_object_get(oldest, "items")), 0);
    assert_int_equal(json_get_int(oldest, "items_left_out", -1), 7 + LIMIT_PASS_ITEMS);
    assert_int_equal(json_array_size(json_object_get(newest, "items")), LIMIT_PASS_ITEMS);
    assert_int_equal(json_get_int(newest, "items_left_out", -1), 7);
    json_decref(oldest);
    json_decref(newest);
}
