/* How often mode observe logs that a task would have been moved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "reconcile/heal/report.h"
#include "reconcile/sweep/observe_log.h"
#include "tests/support/clients/base/log_pipe.h"

static struct {
    struct observe_log *log;
    int ends[2];
} bench;

static int set_up(void **state)
{
    (void)state;
    log_pipe_open(bench.ends);
    bench.log = observe_log_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    log_pipe_close(bench.ends);
    observe_log_free(bench.log);
    return 0;
}

/* A pass in which that is all that was seen of a task; whether it logs the words. */
static void see(const struct report_item *item, const char *words)
{
    const struct pass_request request = {.trigger = TRIGGER_TIMER};
    struct report report;
    char line[1024] = "";
    report_begin(&report, "11111111-2222-4333-8444-555555555555", &request, 0);
    report_gate_item(&report, item);
    observe_log_pass(bench.log, &report);
    report_done(&report);
    log_info("mark");
    assert_true(read(bench.ends[0], line, sizeof line - 1) > 0);
    const char *mark = strstr(line, "msg=mark");
    assert_non_null(mark);
    const char *found = strstr(line, words ? words : "observed");
    assert_true(words ? found && found < mark : !found);
}

static const struct report_item green = {.task_id = 7,
                                         .work_item_id = "ORCH-7",
                                         .stage = "development",
                                         .to_stage = "review",
                                         .verdict = "green",
                                         .reason = "set to observe by ann",
                                         .outcome = OUTCOME_HELD};

static void a_task_is_logged_once(void **state)
{
    (void)state;
    see(&green, "observed: a task would have been moved\" task_id=7 work_item_id=ORCH-7 stage=development "
                "to_stage=review side=gate verdict=green");
    see(&green, NULL);
    struct report_item other = green;
    other.task_id = 8;
    see(&other, "task_id=8");
    see(&green, NULL);
}

static void another_stage_or_verdict_is_news(void **state)
{
    (void)state;
    struct report_item item = green;
    see(&green, "observed");
    item.verdict = "red";
    item.outcome = OUTCOME_RED;
    see(&item, NULL);
    see(&green, "observed");
    item = green;
    item.stage = "review";
    item.to_stage = "testing";
    see(&item, "to_stage=testing");
}

static void a_start_is_known_by_its_work_item(void **state)
{
    (void)state;
    struct report_item item = {
        .work_item_id = "ORCH-9", .to_stage = "analysis", .verdict = "green", .outcome = OUTCOME_HELD};
    see(&item, "work_item_id=ORCH-9");
    see(&item, NULL);
    item.work_item_id = "ORCH-10";
    see(&item, "work_item_id=ORCH-10");
}

static void memory_is_bounded(void **state)
{
    (void)state;
    struct report_item item = green;
    see(&item, "observed");
    item.verdict = "red";
    item.outcome = OUTCOME_RED;
    for (item.task_id = 100; item.task_id < 100 + (int64_t)LIMIT_OBSERVED; item.task_id++)
        see(&item, NULL);
    see(&green, "observed"); /* it was dropped */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_task_is_logged_once),
        TEST(another_stage_or_verdict_is_news),
        TEST(a_start_is_known_by_its_work_item),
        TEST(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
