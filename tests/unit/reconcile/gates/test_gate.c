/* The rules of the gates, on facts that the test makes up: no network, no database. */
#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/metric.h"
#include "clients/facts/http_gate.h"
#include "clients/store/store.h"
#include "reconcile/gates/gate.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/settings/settings.h"
#include "tests/doubles/facts.h"
#include "tests/support/test.h"

static char gitea_web[] = "http://git";
static const struct settings settings = {.gitea_web_url = gitea_web}; /* pull requests go into main */

#define SHA "0123456789abcdef0123456789abcdef01234567"

static char repo[] = "acme/app", branch[] = "feature/ORCH-1-x", item[] = "ORCH-1",
            stage_name[] = "development";
static const struct store_task task = {
    .id = 7, .repo = repo, .branch = branch, .work_item_id = item, .stage = stage_name};

static enum verdict_kind verdict_of(const struct store_task *of, const struct gate *gates, size_t n,
                                    char *ret_reason)
{
    const struct stage stage = {.name = "development", .gates = gates, .n_gates = n};
    struct facts *facts = facts_new(NULL, 0);
    const struct gate_view view = {.facts = facts, .task = of, .stage = &stage, .settings = &settings};
    struct verdict verdict;
    gate_evaluate(&view, &verdict);
    enum verdict_kind kind = verdict.kind;
    if (ret_reason)
        snprintf(ret_reason, 200, "%s", verdict.reason ? verdict.reason : "");
    verdict_done(&verdict);
    facts_free(facts);
    return kind;
}

static enum verdict_kind judge(struct gate gate, char *ret_reason)
{
    return verdict_of(&task, &gate, 1, ret_reason);
}

static const struct gate ci = {.kind = GATE_CI},
                         review = {.kind = GATE_REVIEW, .approvals = 1, .official = true},
                         merged = {.kind = GATE_MERGED};

static int clear(void **state)
{
    (void)state;
    facts_clear();
    return 0;
}

TEST_WITH(ci_is_green_only_when_every_context_passed_or_was_skipped, clear, NULL)
{
    static const struct {
        enum gitea_state second;
        enum verdict_kind verdict;
    } cases[] = {{GITEA_SUCCESS, VERDICT_GREEN},     {GITEA_SKIPPED, VERDICT_GREEN},
                 {GITEA_PENDING, VERDICT_RED},       {GITEA_FAILURE, VERDICT_RED},
                 {GITEA_ERROR, VERDICT_RED},         {GITEA_WARNING, VERDICT_RED},
                 {GITEA_UNHEARD_OF, VERDICT_UNKNOWN}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        facts_clear();
        facts_head(branch, SHA);
        facts_status(SHA, "build", GITEA_SUCCESS);
        facts_status(SHA, "test", cases[i].second);
        assert_int_equal(judge(ci, NULL), cases[i].verdict);
    }
}

TEST_WITH(ci_without_any_status_is_red_and_says_so, clear, NULL)
{
    char reason[200];
    facts_head(branch, SHA);
    assert_int_equal(judge(ci, reason), VERDICT_RED);
    assert_non_null(strstr(reason, "no status yet"));
}

TEST_WITH(evidence_is_bounded_whatever_the_names_are, clear, NULL)
{
    enum { N = 2 * LIMIT_EVIDENCE_ITEMS };
    static char names[N][LIMIT_FACT_TEXT];
    const struct stage stage = {.name = "development", .gates = &ci, .n_gates = 1};
    facts_head(branch, SHA);
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "%-*d", (int)LIMIT_FACT_TEXT - 1, i);
        facts_status(SHA, names[i], GITEA_SUCCESS);
    }
    struct facts *facts = facts_new(NULL, 0);
    const struct gate_view view = {.facts = facts, .task = &task, .stage = &stage, .settings = &settings};
    struct verdict verdict;
    gate_evaluate(&view, &verdict);
    json_auto_t *evidence = evidence_json(&verdict.evidence);
    AUTO_FREE char *text = json_line(evidence);
    assert_int_equal(verdict.kind, VERDICT_GREEN);
    assert_in_range(strlen(text), LIMIT_EVIDENCE_ITEMS * LIMIT_EVIDENCE_NAME,
                    LIMIT_EVIDENCE_ITEMS * (LIMIT_EVIDENCE_NAME + 30));
    verdict_done(&verdict);
    facts_free(facts);
}

/* The evidence as the ledger stores it: its bytes are what readers of old and new rows rely on. */
static void assert_evidence(const struct gate *gates, size_t n, const char *expected)
{
    const struct stage stage = {.name = "development", .gates = gates, .n_gates = n};
    struct facts *facts = facts_new(NULL, 0);
    const struct gate_view view = {.facts = facts, .task = &task, .stage = &stage, .settings = &settings};
    struct verdict verdict;
    void *waiter = &verdict;
    facts_subscribe(facts, waiter);
    for (gate_evaluate(&view, &verdict); verdict.kind == VERDICT_PENDING; gate_evaluate(&view, &verdict))
        assert_int_equal(facts_wait(facts, 0, &waiter), FACTS_READY);
    json_auto_t *evidence = evidence_json(&verdict.evidence);
    AUTO_FREE char *text = json_line(evidence);
    assert_string_equal(text, expected);
    verdict_done(&verdict);
    facts_free(facts);
}

TEST_WITH(evidence_of_ci_names_the_commit_and_its_contexts, clear, NULL)
{
    (void)state;
    assert_evidence(&ci, 1,
                    "[{\"gate\":\"ci\",\"url\":\"absent\",\"html_url\":null,\"verdict\":\"unknown\"}]");
    facts_head(branch, SHA);
    assert_evidence(&ci, 1,
                    "[{\"gate\":\"ci\",\"sha\":\"" SHA
                    "\",\"contexts\":{},\"url\":\"status\",\"html_url\":\"http://git/acme/app/commit/" SHA
                    "\",\"verdict\":\"red\"}]");
    facts_status(SHA, "build", GITEA_SUCCESS);
    facts_status(SHA, "test \"unit\"", GITEA_SKIPPED);
    facts_status(SHA, "build", GITEA_FAILURE); /* of another workflow: one name, its last state */
    assert_evidence(&ci, 1,
                    "[{\"gate\":\"ci\",\"sha\":\"" SHA
                    "\",\"contexts\":{\"build\":\"failure\",\"test \\\"unit\\\"\":\"skipped\"},"
                    "\"url\":\"status\",\"html_url\":\"http://git/acme/app/commit/" SHA
                    "\",\"verdict\":\"red\"}]");
    facts_statuses_failed(SHA, "cut");
    assert_evidence(&ci, 1,
                    "[{\"gate\":\"ci\",\"sha\":\"" SHA
                    "\",\"url\":\"status\",\"html_url\":\"http://git/acme/app/commit/" SHA
                    "\",\"verdict\":\"unknown\"}]");
}

TEST_WITH(evidence_of_files_names_a_file_of_each_path, clear, NULL)
{
    static const char *const paths[] = {"docs/{work_item_id}/adr/", "README.md"};
    const struct gate files = {.kind = GATE_FILES, .paths = paths, .n_paths = 2};
    facts_head(branch, SHA);
    facts_file("docs/ORCH-1/adr/", 2);
    assert_evidence(&files, 1,
                    "[{\"gate\":\"files\",\"sha\":\"" SHA
                    "\",\"files\":{\"docs/ORCH-1/adr/\":\"docs/ORCH-1/adr/\",\"README.md\":null},"
                    "\"url\":\"absent\",\"html_url\":\"http://git/acme/app/src/commit/" SHA
                    "\",\"verdict\":\"red\"}]");
}

TEST_WITH(evidence_of_review_and_merged_names_the_pull_request, clear, NULL)
{
    (void)state;
    const struct gate both[] = {review, merged};
    assert_evidence(&review, 1,
                    "[{\"gate\":\"review\",\"url\":\"absent\",\"html_url\":null,\"verdict\":\"red\"}]");
    facts_pull(branch, 5, GITEA_PULL_OPEN);
    facts_review(5, "bob", GITEA_REVIEW_COMMENT, false, false);
    facts_review(5, "ann", GITEA_REVIEW_APPROVED, false, false);
    assert_evidence(both, 2,
                    "[{\"gate\":\"review\",\"sha\":\"pullsha\",\"pull_request\":5,\"state\":\"open\",\"url\":"
                    "\"pull\",\"html_url\":\"http://git/acme/app/pulls/5\","
                    "\"reviews\":{\"ann\":\"approved\"},\"review\":2,\"verdict\":\"green\"},"
                    "{\"gate\":\"merged\",\"sha\":\"pullsha\",\"pull_request\":5,\"state\":\"open\",\"url\":"
                    "\"pull\",\"html_url\":\"http://git/acme/app/pulls/5\","
                    "\"verdict\":\"red\"}]");
    facts_review(5, NULL, GITEA_REVIEW_CHANGES, false, false);
    assert_evidence(
        &review, 1,
        "[{\"gate\":\"review\",\"sha\":\"pullsha\",\"pull_request\":5,\"state\":\"open\",\"url\":\"pull\","
        "\"html_url\":\"http://git/acme/app/pulls/5\","
        "\"reviews\":{\"ann\":\"approved\",\"(no name)\":\"changes requested\"},\"verdict\":\"red\"}]");
}

TEST_WITH(evidence_of_http_and_human_names_what_was_asked, clear, NULL)
{
    const struct gate both[] = {{.kind = GATE_HTTP, .url = "http://gate/{task_id}"}, {.kind = GATE_HUMAN}};
    facts_http("http://gate/7", "green", "fine");
    assert_evidence(both, 2,
                    "[{\"gate\":\"http\",\"url\":\"http://gate/7\",\"html_url\":null,\"verdict\":\"green\"},"
                    "{\"gate\":\"human\",\"verdict\":\"unknown\"}]");
    assert_evidence(NULL, 0, "[]");
}

TEST_WITH(evidence_of_a_gate_that_is_not_answered_has_no_verdict, clear, NULL)
{
    (void)state;
    const struct gate both[] = {review, ci};
    facts_late(true);
    facts_head(branch, SHA);
    facts_status(SHA, "build", GITEA_SUCCESS);
    facts_pull(branch, 5, GITEA_PULL_OPEN);
    facts_review(5, "bob", GITEA_REVIEW_CHANGES, false, false);
    assert_evidence(both, 2,
                    "[{\"gate\":\"review\",\"sha\":\"pullsha\",\"pull_request\":5,\"state\":\"open\",\"url\":"
                    "\"pull\",\"html_url\":\"http://git/acme/app/pulls/5\","
                    "\"reviews\":{\"bob\":\"changes requested\"},\"verdict\":\"red\"},"
                    "{\"gate\":\"ci\",\"sha\":\"" SHA "\"}]");
}

TEST_WITH(a_failure_is_named_with_its_context, clear, NULL)
{
    char reason[200];
    facts_head(branch, SHA);
    facts_status(SHA, "build", GITEA_SUCCESS);
    facts_status(SHA, "lint", GITEA_FAILURE);
    assert_int_equal(judge(ci, reason), VERDICT_RED);
    assert_non_null(strstr(reason, "1 of 2 contexts failed: lint is failure"));
}

TEST_WITH(a_required_context_that_never_reports_is_visible, clear, NULL)
{
    static const char *const required[] = {"build*", "e2e"};
    struct gate gate = {.kind = GATE_CI, .contexts = required, .n_contexts = 2};
    char reason[200];
    facts_head(branch, SHA);
    facts_status(SHA, "build / linux", GITEA_SUCCESS);
    facts_status(SHA, "unrelated", GITEA_FAILURE);
    assert_int_equal(judge(gate, reason), VERDICT_RED);
    assert_non_null(strstr(reason, "no status yet for context e2e"));
    facts_status(SHA, "e2e", GITEA_SUCCESS);
    assert_int_equal(judge(gate, NULL), VERDICT_GREEN);
}

TEST_WITH(a_context_is_named_as_it_stands_or_by_a_glob_of_characters, clear, NULL)
{
    static const char *const required[] = {"Build / test (ubuntu, [3.11]) (push)", "prüf?"};
    struct gate gate = {.kind = GATE_CI, .contexts = required, .n_contexts = 2};
    char reason[200];
    facts_head(branch, SHA);
    facts_status(SHA, required[0], GITEA_SUCCESS);
    facts_status(SHA, "prüf", GITEA_FAILURE);
    assert_int_equal(judge(gate, reason), VERDICT_RED);
    assert_non_null(strstr(reason, "no status yet for context pr"));
    facts_status(SHA, "prüfé", GITEA_SUCCESS);
    assert_int_equal(judge(gate, NULL), VERDICT_GREEN);
}

TEST_WITH(a_missing_branch_and_a_failed_question_are_unknown, clear, NULL)
{
    char reason[200];
    assert_int_equal(judge(ci, NULL), VERDICT_UNKNOWN);
    facts_head_failed(branch, "Gitea timed out after 10 s");
    assert_int_equal(judge(ci, reason), VERDICT_UNKNOWN);
    assert_string_equal(reason, "Gitea timed out after 10 s");
    facts_clear();
    facts_head(branch, SHA);
    facts_statuses_failed(SHA, "Gitea answered 502 with HTML");
    assert_int_equal(judge(ci, NULL), VERDICT_UNKNOWN);
}

TEST_WITH(a_task_that_makes_no_sense_is_unknown_in_words, clear, NULL)
{
    struct store_task no_repo = task, no_branch = task, bad_repo = task;
    char plain[] = "app", reason[200];
    no_repo.repo = NULL;
    no_branch.branch = NULL;
    bad_repo.repo = plain;
    assert_int_equal(verdict_of(&no_repo, &ci, 1, reason), VERDICT_UNKNOWN);
    assert_non_null(strstr(reason, "repo"));
    assert_int_equal(verdict_of(&no_branch, &ci, 1, reason), VERDICT_UNKNOWN);
    assert_non_null(strstr(reason, "branch"));
    assert_int_equal(verdict_of(&bad_repo, &ci, 1, NULL), VERDICT_UNKNOWN);
    assert_int_equal(facts_lookups(), 0);
}

TEST_WITH(a_task_that_cannot_be_read_is_unknown_and_nothing_is_asked, clear, NULL)
{
    struct store_task unreadable = task;
    char error[] = "tasks.title holds bytes that are not UTF-8", reason[200];
    unreadable.unreadable = error;
    assert_int_equal(verdict_of(&unreadable, &ci, 1, reason), VERDICT_UNKNOWN);
    assert_string_equal(reason, error);
    assert_int_equal(facts_lookups(), 0);
}

TEST_WITH(files_need_one_file_in_every_path, clear, NULL)
{
    static const char *const paths[] = {"docs/{work_item_id}/adr/", "README.md"};
    struct gate gate = {.kind = GATE_FILES, .paths = paths, .n_paths = 2};
    char reason[200];
    facts_head(branch, SHA);
    facts_file("README.md", 1);
    assert_int_equal(judge(gate, reason), VERDICT_RED);
    assert_non_null(strstr(reason, "docs/ORCH-1/adr/ holds no file"));
    facts_file("docs/ORCH-1/adr/", 2);
    assert_int_equal(judge(gate, NULL), VERDICT_GREEN);
    struct store_task nameless = task;
    nameless.work_item_id = NULL;
    assert_int_equal(verdict_of(&nameless, &gate, 1, NULL), VERDICT_UNKNOWN);
}

TEST_WITH(review_counts_the_last_word_of_each_person, clear, NULL)
{
    (void)state;
    static const struct {
        const char *what;
        struct {
            const char *user;
            enum gitea_review_state state;
            bool stale, dismissed;
        } reviews[3];
        enum verdict_kind verdict;
    } cases[] = {
        {"no review", {{0}}, VERDICT_RED},
        {"approved", {{"ann", GITEA_REVIEW_APPROVED, false, false}}, VERDICT_GREEN},
        {"stale approval", {{"ann", GITEA_REVIEW_APPROVED, true, false}}, VERDICT_RED},
        {"dismissed approval", {{"ann", GITEA_REVIEW_APPROVED, false, true}}, VERDICT_RED},
        {"a comment approves nothing", {{"ann", GITEA_REVIEW_COMMENT, false, false}}, VERDICT_RED},
        {"a request is not a review", {{"ann", GITEA_REVIEW_REQUESTED, false, false}}, VERDICT_RED},
        {"a comment takes no approval back",
         {{"ann", GITEA_REVIEW_APPROVED, false, false}, {"ann", GITEA_REVIEW_COMMENT, false, false}},
         VERDICT_GREEN},
        {"changed her mind",
         {{"ann", GITEA_REVIEW_APPROVED, false, false}, {"ann", GITEA_REVIEW_CHANGES, false, false}},
         VERDICT_RED},
        {"came round",
         {{"ann", GITEA_REVIEW_CHANGES, true, false}, {"ann", GITEA_REVIEW_APPROVED, false, false}},
         VERDICT_GREEN},
        {"another objects",
         {{"bob", GITEA_REVIEW_CHANGES, false, false}, {"ann", GITEA_REVIEW_APPROVED, false, false}},
         VERDICT_RED},
        {"the objection was dismissed",
         {{"bob", GITEA_REVIEW_CHANGES, false, true}, {"ann", GITEA_REVIEW_APPROVED, false, false}},
         VERDICT_GREEN},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        facts_clear();
        facts_pull(branch, 5, GITEA_PULL_OPEN);
        for (size_t k = 0; k < 3 && cases[i].reviews[k].user; k++)
            facts_review(5, cases[i].reviews[k].user, cases[i].reviews[k].state, cases[i].reviews[k].stale,
                         cases[i].reviews[k].dismissed);
        if (judge(review, NULL) != cases[i].verdict)
            fail_msg("%s", cases[i].what);
    }
}

/* The rows as Gitea 1.25.4 leaves them. */
TEST_WITH(reviews_count_as_at_gitea_itself_unless_every_reviewers_does, clear, NULL)
{
    enum { APPROVED = GITEA_REVIEW_APPROVED, CHANGES = GITEA_REVIEW_CHANGES, ASKED = GITEA_REVIEW_REQUESTED };
    struct gate anybody = {.kind = GATE_REVIEW, .approvals = 1};
    static const struct {
        const char *what;
        struct {
            const char *user;
            int state;
            bool unofficial;
        } reviews[3];
        enum verdict_kind verdict, of_anybody;
        const char *reason;
    } cases[] = {
        {"a stranger approves",
         {{"eve", APPROVED, true}},
         VERDICT_RED,
         VERDICT_GREEN,
         "review: 0 of 1 approvals on #5; the one by eve is not official"},
        {"a stranger objects",
         {{"ann", APPROVED, false}, {"eve", CHANGES, true}},
         VERDICT_GREEN,
         VERDICT_RED,
         "review: #5 is approved (1 of 1)"},
        {"the approver is asked again",
         {{"ann", APPROVED, true}, {"ann", ASKED, false}},
         VERDICT_RED,
         VERDICT_GREEN,
         "review: 0 of 1 approvals on #5; the one by ann is not official"},
        {"the objector is asked again",
         {{"bob", CHANGES, true}, {"ann", APPROVED, false}, {"bob", ASKED, false}},
         VERDICT_GREEN,
         VERDICT_RED,
         "review: #5 is approved (1 of 1)"},
        {"an official request voids what is still official",
         {{"ann", APPROVED, false}, {"ann", ASKED, false}},
         VERDICT_RED,
         VERDICT_GREEN,
         "review: 0 of 1 approvals on #5"},
        {"an unofficial request does not",
         {{"ann", APPROVED, false}, {"ann", ASKED, true}},
         VERDICT_GREEN,
         VERDICT_GREEN,
         "review: #5 is approved (1 of 1)"},
        {"the last official word decides",
         {{"ann", APPROVED, false}, {"ann", CHANGES, true}},
         VERDICT_GREEN,
         VERDICT_RED,
         "review: #5 is approved (1 of 1)"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        facts_clear();
        facts_pull(branch, 5, GITEA_PULL_OPEN);
        for (size_t k = 0; k < 3 && cases[i].reviews[k].user; k++) {
            facts_review(5, cases[i].reviews[k].user, (enum gitea_review_state)cases[i].reviews[k].state,
                         false, false);
            if (cases[i].reviews[k].unofficial)
                facts_review_unofficial();
        }
        char reason[200];
        if (judge(review, reason) != cases[i].verdict || strcmp(reason, cases[i].reason) != 0 ||
            judge(anybody, NULL) != cases[i].of_anybody)
            fail_msg("%s: %s", cases[i].what, reason);
    }
}

TEST_WITH(the_approval_that_counts_is_the_one_to_be_replayed, clear, NULL)
{
    const struct stage stage = {.name = "review", .gates = &review, .n_gates = 1};
    struct facts *facts = facts_new(NULL, 0);
    const struct gate_view view = {.facts = facts, .task = &task, .stage = &stage, .settings = &settings};
    struct verdict verdict;
    facts_pull(branch, 5, GITEA_PULL_OPEN);
    facts_review(5, "ann", GITEA_REVIEW_APPROVED, false, true);
    facts_review(5, "bob", GITEA_REVIEW_APPROVED, false, false);
    facts_review(5, "eve", GITEA_REVIEW_APPROVED, false, false);
    facts_review_unofficial();
    gate_evaluate(&view, &verdict);
    assert_int_equal(verdict.kind, VERDICT_GREEN);
    assert_int_equal(verdict.evidence.gates.items[0].review, 2);
    verdict_done(&verdict);
    facts_free(facts);
}

TEST_WITH(review_needs_as_many_people_as_asked_for, clear, NULL)
{
    struct gate two = {.kind = GATE_REVIEW, .approvals = 2, .official = true};
    facts_pull(branch, 5, GITEA_PULL_OPEN);
    facts_review(5, "ann", GITEA_REVIEW_APPROVED, false, false);
    facts_review(5, "ann", GITEA_REVIEW_APPROVED, false, false);
    assert_int_equal(judge(two, NULL), VERDICT_RED);
    facts_review(5, "bob", GITEA_REVIEW_APPROVED, false, false);
    assert_int_equal(judge(two, NULL), VERDICT_GREEN);
}

TEST_WITH(review_and_merged_follow_the_state_of_the_pull_request, clear, NULL)
{
    assert_int_equal(judge(review, NULL), VERDICT_RED);
    assert_int_equal(judge(merged, NULL), VERDICT_RED);
    facts_pull(branch, 5, GITEA_PULL_MERGED);
    facts_review(5, "ann", GITEA_REVIEW_APPROVED, false, false);
    assert_int_equal(judge(review, NULL), VERDICT_RED);
    assert_int_equal(judge(merged, NULL), VERDICT_GREEN);
    facts_clear();
    facts_pull(branch, 5, GITEA_PULL_OPEN);
    assert_int_equal(judge(merged, NULL), VERDICT_RED);
    facts_clear();
    facts_pull(branch, 5, GITEA_PULL_CLOSED);
    assert_int_equal(judge(merged, NULL), VERDICT_RED);
}

TEST_WITH(a_pull_request_into_another_base_is_named, clear, NULL)
{
    char reason[200];
    assert_int_equal(judge(review, reason), VERDICT_RED);
    assert_string_equal(reason, "review: no pull request of the branch into main");
    facts_pull_elsewhere(branch, 7, GITEA_PULL_OPEN, "develop");
    assert_int_equal(judge(review, reason), VERDICT_RED);
    assert_string_equal(reason, "review: no pull request of the branch into main; #7 into develop is open");
    facts_clear();
    facts_pull_elsewhere(branch, 8, GITEA_PULL_MERGED, "v1");
    assert_int_equal(judge(merged, reason), VERDICT_RED);
    assert_string_equal(reason, "merged: no pull request of the branch into main; #8 into v1 is merged");
}

TEST_WITH(http_fills_the_template_with_escaped_values, clear, NULL)
{
    struct gate gate = {.kind = GATE_HTTP, .url = "http://gate/{task_id}?b={branch}&w={work_item_id}"};
    facts_http("http://gate/7?b=feature%2FORCH-1-x&w=ORCH-1", "green", "fine");
    assert_int_equal(judge(gate, NULL), VERDICT_GREEN);
    facts_clear();
    facts_http("http://gate/7?b=feature%2FORCH-1-x&w=ORCH-1", "red", "");
    assert_int_equal(judge(gate, NULL), VERDICT_RED);
    facts_clear();
    assert_int_equal(judge(gate, NULL), VERDICT_UNKNOWN);
}

TEST_WITH(several_gates_are_a_three_valued_and, clear, NULL)
{
    const struct gate both[] = {ci, review};
    facts_head(branch, SHA);
    facts_status(SHA, "build", GITEA_SUCCESS);
    facts_pull(branch, 5, GITEA_PULL_OPEN);
    assert_int_equal(verdict_of(&task, both, 2, NULL), VERDICT_RED);
    facts_review(5, "ann", GITEA_REVIEW_APPROVED, false, false);
    assert_int_equal(verdict_of(&task, both, 2, NULL), VERDICT_GREEN);
    facts_statuses_failed(SHA, "cut");
    assert_int_equal(verdict_of(&task, both, 2, NULL), VERDICT_UNKNOWN);
    facts_review(5, "bob", GITEA_REVIEW_CHANGES, false, false);
    assert_int_equal(verdict_of(&task, both, 2, NULL), VERDICT_RED);
}

TEST_WITH(what_is_not_answered_yet_is_pending_and_never_a_verdict, clear, NULL)
{
    facts_late(true);
    facts_head(branch, SHA);
    assert_int_equal(judge(ci, NULL), VERDICT_PENDING);
}

static int64_t checks(const char *kind, const char *verdict)
{
    return metric_read(METRIC_GATE_CHECKS, kind, verdict);
}

TEST_WITH(a_check_is_counted_once_however_often_it_is_evaluated, clear, NULL)
{
    const struct gate both[] = {ci, review};
    const struct stage stage = {.name = "development", .gates = both, .n_gates = 2};
    struct facts *facts = facts_new(NULL, 0);
    const struct gate_view view = {.facts = facts, .task = &task, .stage = &stage, .settings = &settings};
    struct verdict verdict = {0};
    int64_t passed = checks("ci", "green"), objected = checks("review", "red");
    facts_late(true);
    facts_head(branch, SHA);
    facts_status(SHA, "build", GITEA_SUCCESS);
    facts_pull(branch, 5, GITEA_PULL_OPEN);
    facts_review(5, "bob", GITEA_REVIEW_CHANGES, false, false);
    int evaluated = 0;
    void *waiter = &verdict;
    facts_subscribe(facts, waiter);
    for (;; evaluated++) {
        gate_evaluate(&view, &verdict);
        if (verdict.kind != VERDICT_PENDING)
            break;
        assert_int_equal(checks("ci", "green") + checks("review", "red"), passed + objected);
        assert_int_equal(facts_wait(facts, 0, &waiter), FACTS_READY);
    }
    assert_true(evaluated >= 2);
    assert_int_equal(verdict.kind, VERDICT_RED);
    assert_int_equal(checks("ci", "green"), passed + 1);
    assert_int_equal(checks("review", "red"), objected + 1);
    verdict_done(&verdict);
    facts_free(facts);
}

TEST_WITH(nobody_but_a_person_answers_a_human_gate, clear, NULL)
{
    assert_int_equal(judge((struct gate){.kind = GATE_HUMAN}, NULL), VERDICT_UNKNOWN);
    assert_int_equal(verdict_of(&task, NULL, 0, NULL), VERDICT_UNKNOWN);
}
