

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "reconcile/heal/report.h"
#include "tests/support/test.h"

static const struct pass_request request = {.trigger = TRIGGER_TIMER, .side = SIDE_BOTH};

TEST(a_summary_is_read_from_the_beginning_of_the_text)
{
    struct report report;
    report_begin(&report, "11111111-2222-4333-8444-555555555555", &request);
    report.error = mem_dup("no table \",\"items\":[{}] and a \\\",\"items\":[");
    for (int i = 0; i < 3; i++)
        report_gate_item(&report, &(struct report_item){.task_id = 7,
                                                        .stage = "development",
                                                        .reason = ",\"items\":[",
                                                        .outcome = OUTCOME_UNKNOWN});
    json_t *document = report_json(&report), *summary = report_summary(document);
    char *text = json_line(document), *end = strstr(text, ",\"items\":[{\"task_id\"");
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
    json_decref(document);
    json_decref(summary);
    free(text);
    report_done(&report);
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
        report_begin(&report, "11111111-2222-4333-8444-555555555555", &request);
        AUTO_FREE char *reason = mem_dupn(error, cases[c].len);
        for (size_t i = 0; i < (size_t)2 * LIMIT_PASS_ITEMS; i++)
            report_gate_item(&report, &(struct report_item){.reason = reason, .outcome = OUTCOME_RED});
        assert_int_equal(json_array_size(report.items), cases[c].named);
        assert_int_equal(report.items_left_out, 2 * LIMIT_PASS_ITEMS - cases[c].named);
        assert_int_equal(report.gate[OUTCOME_RED], 2 * LIMIT_PASS_ITEMS);
        report_done(&report);
    }
}
