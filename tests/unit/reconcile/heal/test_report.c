

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "reconcile/heal/report.h"
#include "tests/support/test.h"

static const struct pass_request request = {.trigger = TRIGGER_TIMER, .side = SIDE_BOTH};

TEST(a_summary_is_read_from_the_beginning_of_the_text)
{
    struct report report;
    report_begin(&report, "11111111-2222-4333-8444-555555555555", &request, clock_wall_us());
    report.error = mem_dup("no table \",\"items\":[{}] and a \\\",\"items\":[");
    for (int i = 0; i < 3; i++)
        report_gate_item(&report, &(struct report_item){.task_id = 7,
                                                        .stage = "development",
                                                        .reason = ",\"items\":[",
                                                        .outcome = OUTCOME_UNKNOWN});
    json_t *summary = report_summary(&report);
    char *text = report_text(&report), *end = strstr(text, ",\"items\":[{\"task_id\"");
    assert_non_null(end);
    for (int whole = 1; whole >= 0; whole--) {
        json_t *read = report_summary_read(text);
        assert_true(json_equal(read, summary));
        json_decref(read);
        end[strlen(",\"items\":[{\"ta")] = '\0'; /* as the database cuts it */
    }
    end[3] = '\0';
    assert_null(report_summary_read(text));
    assert_null(report_summary_read("no report"));
    json_decref(summary);
    free(text);
    report_done(&report);
}

/* What is stored, and what every answer shows. */
TEST(a_report_is_written_as_it_always_was)
{
    (void)state;
    const struct pass_request wanted = {
        .trigger = TRIGGER_REQUEST, .side = SIDE_BOTH, .dry_run = true, .task_id = 9};
    struct report report;
    report_begin(&report, "11111111-2222-4333-8444-555555555555", &wanted, clock_wall_us());
    report.started_us = 1764230400123456;
    report.duration_ms = 42;
    report.state = PASS_FAILED;
    report.candidates = 3;
    report.resting = 2;
    report.projects = 2;
    report.issues = 5;
    report.errors = 1;
    report.unreadable = 8;
    report.waiting = (struct report_waiting){.projects = 2, .issues = 1, .seconds = 43, .reason = "429"};
    report.unknown_stage = 4;
    report.error = mem_dup("no table");
    report.items_left_out = 6;
    report_gate_item(&report, &(struct report_item){.task_id = 7,
                                                    .work_item_id = "ORCH-7",
                                                    .stage = "development",
                                                    .to_stage = "review",
                                                    .verdict = "green",
                                                    .reason = "ci \"passed\" \xff",
                                                    .outcome = OUTCOME_ADVANCED});
    report_plane_item(&report, &(struct report_item){.work_item_id = "ORCH-8", .outcome = OUTCOME_HELD});
    AUTO_FREE char *text = report_text(&report);
    assert_string_equal(
        text,
        "{\"id\":\"11111111-2222-4333-8444-555555555555\",\"state\":\"failed\",\"trigger\":\"request\","
        "\"dry_run\":true,\"side\":\"both\",\"started_at\":\"2025-11-27T08:00:00.123456Z\",\"duration_ms\":"
        "42,"
        "\"gate\":{\"candidates\":3,\"advanced\":1,\"red\":0,\"unknown\":0,\"raced\":0,\"held\":0,"
        "\"failed\":0,\"quarantined\":0,\"resting\":2},\"plane\":{\"projects\":2,\"issues\":5,\"started\":0,"
        "\"approved\":0,"
        "\"rejected\":0,\"raced\":0,\"held\":1,\"failed\":0,\"errors\":1,\"unreadable\":8,\"waiting\":{"
        "\"projects\":2,"
        "\"issues\":1,\"seconds\":43,\"reason\":\"429\"}},\"unknown_stage\":4,"
        "\"error\":\"no table\",\"items_left_out\":6,\"items\":[{\"task_id\":7,\"work_item_id\":\"ORCH-7\","
        "\"stage\":\"development\",\"to_stage\":\"review\",\"side\":\"gate\",\"verdict\":\"green\","
        "\"outcome\":\"advanced\",\"reason\":\"ci \\\"passed\\\" ?\"},{\"task_id\":null,"
        "\"work_item_id\":\"ORCH-8\",\"stage\":null,\"to_stage\":null,\"side\":\"plane\",\"verdict\":null,"
        "\"outcome\":\"held\",\"reason\":null}]}");
    report_done(&report);
}

TEST(a_report_outlives_what_it_was_made_of)
{
    char id[] = "11111111-2222-4333-8444-555555555555", stage[] = "development", verdict[] = "red";
    struct pass_request wanted = {.trigger = TRIGGER_COMMAND, .dry_run = true};
    struct report report;
    report_begin(&report, id, &wanted, clock_wall_us());
    report_gate_item(&report,
                     &(struct report_item){.stage = stage, .verdict = verdict, .outcome = OUTCOME_RED});
    report.error = mem_dup("no table");
    struct report head = report_head(&report);
    memset(id, 'x', sizeof id - 1);
    memset(stage, 'x', sizeof stage - 1);
    memset(verdict, 'x', sizeof verdict - 1);
    wanted = (struct pass_request){.trigger = TRIGGER_TIMER};
    assert_string_equal(report.id.s, "11111111-2222-4333-8444-555555555555");
    assert_int_equal(report.request.trigger, TRIGGER_COMMAND);
    assert_string_equal(report.items[0].stage, "development");
    assert_string_equal(report.items[0].verdict, "red");
    json_t *summary = report_summary(&report);
    report_done(&report);
    assert_int_equal(head.n_items, 0);
    json_t *kept = report_summary(&head);
    assert_true(json_equal(kept, summary));
    json_decref(kept);
    json_decref(summary);
    report_done(&head);
}

enum { LONG = 16 * 1024 }; /* bytes of a long reason */

TEST(a_report_names_items_until_they_are_too_many_or_too_long)
{
    AUTO_FREE char *error = mem_zero(LONG + 1, 1);
    memset(error, 'w', LONG);
    static const struct {
        size_t len, named;
    } cases[] = {{10, LIMIT_PASS_ITEMS}, {LONG, LIMIT_REPORT_ITEMS_BYTES / LONG}};
    for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
        struct report report;
        report_begin(&report, "11111111-2222-4333-8444-555555555555", &request, clock_wall_us());
        AUTO_FREE char *reason = mem_dupn(error, cases[c].len);
        for (size_t i = 0; i < (size_t)2 * LIMIT_PASS_ITEMS; i++)
            report_gate_item(&report, &(struct report_item){.reason = reason, .outcome = OUTCOME_RED});
        assert_int_equal(report.n_items, cases[c].named);
        assert_int_equal(report.items_left_out, 2 * LIMIT_PASS_ITEMS - cases[c].named);
        assert_int_equal(report.gate[OUTCOME_RED], 2 * LIMIT_PASS_ITEMS);
        report_done(&report);
    }
}
