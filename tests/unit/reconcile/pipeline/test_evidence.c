/* The JSON of evidence: its names, their order, and what is left out. */
#include "clients/base/err.h"
#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "reconcile/pipeline/evidence.h"
#include "tests/support/test.h"

#define NOON_US (INT64_C(1795000000) * 1000000)

static void assert_json(const struct evidence *evidence, const char *expected)
{
    json_auto_t *json = evidence_json(evidence);
    AUTO_FREE char *text = json_line(json);
    assert_string_equal(text, expected);
}

static void assert_gate(struct gate_evidence gate, const char *expected)
{
    assert_json(&(struct evidence){.side = SIDE_GATE, .gates = {&gate, 1}}, expected);
}

static void assert_issue(struct issue_evidence issue, const char *expected)
{
    assert_json(&(struct evidence){.side = SIDE_PLANE, .issue = issue}, expected);
}

TEST(nothing_was_looked_at)
{
    assert_json(&(struct evidence){.side = SIDE_BOTH}, "[]");
    assert_json(&(struct evidence){.side = SIDE_GATE}, "[]");
}

TEST(a_gate_shows_what_was_seen_and_no_more)
{
    (void)state;
    char sha[] = "abc", url[] = "http://git/api/v1/x", page[] = "http://git/pulls/5";
    assert_gate((struct gate_evidence){.gate = GATE_CI}, "[{\"gate\":\"ci\"}]");
    assert_gate((struct gate_evidence){.gate = GATE_CI, .verdict = VERDICT_UNKNOWN, .has_url = true},
                "[{\"gate\":\"ci\",\"url\":null,\"html_url\":null,\"verdict\":\"unknown\"}]");
    assert_gate((struct gate_evidence){.gate = GATE_CI, .sha = sha, .contexts = {.read = true}},
                "[{\"gate\":\"ci\",\"sha\":\"abc\",\"contexts\":{}}]");
    assert_gate(
        (struct gate_evidence){.gate = GATE_MERGED,
                               .verdict = VERDICT_GREEN,
                               .pull_request = 5,
                               .pull_state = "merged",
                               .has_url = true,
                               .url = url,
                               .html_url = page},
        "[{\"gate\":\"merged\",\"sha\":null,\"pull_request\":5,\"state\":\"merged\","
        "\"url\":\"http://git/api/v1/x\",\"html_url\":\"http://git/pulls/5\",\"verdict\":\"green\"}]");
}

TEST(an_issue_shows_its_change_and_a_start_its_branch)
{
    (void)state;
    assert_issue(
        (struct issue_evidence){.issue = "i1",
                                .state = "Approved",
                                .activity = "a1",
                                .changed_us = NOON_US,
                                .updated_us = NOON_US + 1},
        "{\"source\":\"plane\",\"issue\":\"i1\",\"html_url\":null,\"state\":\"Approved\",\"activity\":\"a1\","
        "\"changed_at\":\"2026-11-18T11:06:40Z\",\"updated_at\":\"2026-11-18T11:06:40.000001Z\"}");
    assert_issue((struct issue_evidence){.issue = "i1",
                                         .html_url = "http://p/1",
                                         .state = "In Progress",
                                         .updated_us = NOON_US,
                                         .branch = "feature/x",
                                         .base = "main",
                                         .branch_made = true},
                 "{\"source\":\"plane\",\"issue\":\"i1\",\"html_url\":\"http://p/1\",\"state\":\"In "
                 "Progress\",\"activity\":null,"
                 "\"changed_at\":null,\"updated_at\":\"2026-11-18T11:06:40Z\","
                 "\"branch\":{\"name\":\"feature/x\",\"base\":\"main\",\"made\":true}}");
    assert_issue((struct issue_evidence){.branch = "feature/x", .base = "main"},
                 "{\"source\":\"plane\",\"issue\":null,\"html_url\":null,"
                 "\"branch\":{\"name\":\"feature/x\",\"base\":\"main\",\"made\":false}}");
}

TEST(a_list_holds_each_name_once_and_a_limited_number)
{
    struct evidence evidence = {.side = SIDE_GATE, .gates = {mem_zero(1, sizeof(struct gate_evidence)), 1}};
    struct evidence_list *list = &evidence.gates.items[0].files;
    evidence_list_put(list, "b", "1");
    evidence_list_put(list, "a", NULL);
    evidence_list_put(list, "b", "2");
    assert_int_equal(list->n, 2);
    assert_string_equal(list->items[0].name, "b");
    assert_string_equal(list->items[0].seen, "2");
    assert_true(evidence_list_has(list, "a"));
    assert_false(evidence_list_has(list, "c"));
    for (unsigned i = 0; i < 2 * LIMIT_EVIDENCE_ITEMS; i++) {
        char name[16];
        snprintf(name, sizeof name, "%u", i);
        evidence_list_put(list, name, "");
    }
    assert_int_equal(list->n, LIMIT_EVIDENCE_ITEMS);
    evidence_done(&evidence);
}
