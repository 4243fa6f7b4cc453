/* When the orchestrator gets too few events. */
#include <jansson.h>

#include "clients/base/limits.h"
#include "clients/gitea/gitea.h"
#include "clients/store/store.h"
#include "reconcile/webhooks/branch_filter.h"
#include "reconcile/webhooks/webhook_check.h"
#include "reconcile/pipeline/pipeline.h"
#include "tests/support/test.h"

#define TARGET "https://orch.example/webhook/gitea"
#define NOON_US (INT64_C(1795000000) * 1000000)

static const char *const everything[] = {"push", "status", "pull_request", "pull_request_review", NULL};
static const char *const everything_in_an_old_version[] = {"pull_request_review_approved", "pull_request",
                                                           "status", "push", NULL};
static const char *const pushes[] = {"push", NULL};
static const char *const no_pushes[] = {"status", "pull_request", "pull_request_review", NULL};

static const char *const branches[] = {"feature/ORCH-7-a", "feature/ORCH-8"};

static struct pipeline *pipeline;

static int pipeline_read(void **state)
{
    (void)state;
    json_t *problems = json_array();
    enum err err = pipeline_load_file(NULL, &pipeline, problems);
    json_decref(problems);
    return err;
}

static int pipeline_done(void **state)
{
    (void)state;
    pipeline_free(pipeline);
    return 0;
}

struct hook_case {
    struct gitea_hook hooks[2];
    size_t n;
    const char *target;
    enum webhook_state state;
    const char *reason;
};

static void assert_judged(const struct hook_case *expected)
{
    const struct gitea_hooks hooks = {
        .fact = {.state = FACT_KNOWN}, .items = expected->hooks, .n = expected->n};
    const struct webhook_facts facts = {.levels = {&hooks},
                                        .target = expected->target,
                                        .sends_status = true,
                                        .branches = branches,
                                        .n_branches = 2};
    struct webhook_verdict verdict;
    webhook_check(&facts, pipeline, &verdict);
    if (verdict.state != expected->state)
        fail_msg("%s instead of %s: %s", webhook_state_name(verdict.state),
                 webhook_state_name(expected->state), verdict.detail);
    if (!expected->reason)
        assert_null(verdict.detail);
    else if (!strstr(verdict.detail, expected->reason))
        fail_msg("\"%s\" instead of \"%s\"", verdict.detail, expected->reason);
    webhook_verdict_done(&verdict);
}

#define HOOK(number, at, on, names) \
    {.id = (number), .url = (at), .active = (on), .updated_at = "t", .branch_filter = "", .events = (names)}

TEST(a_webhook_is_judged_by_where_it_goes_and_what_it_sends)
{
    static const char elsewhere[] = "https://chat.example/T0ps3cret/hook";
    const struct hook_case cases[] = {
        {{HOOK(1, TARGET, true, everything)}, 1, TARGET, WEBHOOK_OK, NULL},
        {{HOOK(1, TARGET, true, everything_in_an_old_version)}, 1, TARGET, WEBHOOK_OK, NULL},
        {{HOOK(1, elsewhere, true, everything)}, 1, NULL, WEBHOOK_OK, NULL},
        {{HOOK(1, elsewhere, true, everything), HOOK(2, TARGET "/", true, everything)},
         2,
         TARGET,
         WEBHOOK_OK,
         NULL},
        {{HOOK(1, TARGET, true, pushes), HOOK(2, TARGET, true, no_pushes)}, 2, TARGET, WEBHOOK_OK, NULL},
        {{HOOK(1, TARGET, false, everything), HOOK(2, TARGET, true, everything)},
         2,
         TARGET,
         WEBHOOK_OK,
         NULL},
        {{{0}},
         0,
         TARGET,
         WEBHOOK_MISSING,
         "the repository has no webhook, nor have its owner and the whole Gitea"},
        {{{0}},
         0,
         NULL,
         WEBHOOK_MISSING,
         "the repository has no webhook, nor have its owner and the whole Gitea"},
        {{HOOK(1, elsewhere, true, everything)},
         1,
         TARGET,
         WEBHOOK_ELSEWHERE,
         "at orch.example, but to chat.example"},
        {{HOOK(1, elsewhere, true, everything), HOOK(2, elsewhere, true, everything)},
         2,
         TARGET,
         WEBHOOK_ELSEWHERE,
         "chat.example and others"},
        {{HOOK(7, TARGET, false, everything)},
         1,
         TARGET,
         WEBHOOK_INACTIVE,
         "webhook 7 of the repository is switched off"},
        {{HOOK(7, TARGET, true, pushes)},
         1,
         TARGET,
         WEBHOOK_EVENTS_MISSING,
         "webhook 7 of the repository does not send: status, pull_request_review, pull_request"},
        {{HOOK(7, TARGET, true, no_pushes), HOOK(8, TARGET, false, pushes)},
         2,
         TARGET,
         WEBHOOK_EVENTS_MISSING,
         "does not send: push"},
        {{HOOK(7, TARGET, true, no_pushes), HOOK(8, elsewhere, true, pushes)},
         2,
         TARGET,
         WEBHOOK_EVENTS_MISSING,
         "does not send: push"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_judged(&cases[i]);
}

TEST(only_what_the_gates_need_is_asked_for)
{
    static const char text[] =
        "{\"stages\":[{\"name\":\"a\",\"gates\":[{\"kind\":\"human\"}],\"next\":\"b\"},"
        "{\"name\":\"b\",\"gates\":[{\"kind\":\"files\",\"paths\":[\"x\"]}],\"next\":\"z\"},"
        "{\"name\":\"z\",\"terminal\":true}]}";
    struct pipeline *whole = pipeline;
    json_t *problems = json_array();
    assert_int_equal(pipeline_load(text, sizeof text - 1, &pipeline, problems), ERR_OK);
    json_decref(problems);
    assert_judged(&(struct hook_case){{HOOK(1, TARGET, true, pushes)}, 1, TARGET, WEBHOOK_OK, NULL});
    pipeline_free(pipeline);
    pipeline = whole;
}

static const struct gitea_hooks no_hooks = {.fact = {.state = FACT_KNOWN}};
static const struct gitea_hooks unreadable = {.fact = {.state = FACT_FAILED, .error = "Gitea answered 403"}};
static const struct gitea_hook whole[] = {HOOK(3, TARGET, true, everything)},
                               off[] = {HOOK(3, TARGET, false, everything)},
                               away[] = {HOOK(3, "https://chat.example/", true, everything)};
#define LIST(hooks) {.fact = {.state = FACT_KNOWN}, .items = (hooks), .n = 1}
static const struct gitea_hooks good = LIST(whole), inactive = LIST(off), elsewhere = LIST(away);

static void assert_levels(const struct gitea_hooks *repo, const struct gitea_hooks *owner,
                          const struct gitea_hooks *system, enum webhook_state expected, const char *detail)
{
    const struct webhook_facts facts = {
        .levels = {repo, owner, system}, .target = TARGET, .sends_status = true};
    struct webhook_verdict verdict;
    webhook_check(&facts, pipeline, &verdict);
    assert_int_equal(verdict.state, expected);
    if (detail)
        assert_string_equal(verdict.detail, detail);
    webhook_verdict_done(&verdict);
}

TEST(a_webhook_of_the_owner_or_of_the_whole_gitea_serves)
{
    (void)state;
    assert_levels(&no_hooks, &good, NULL, WEBHOOK_OK, NULL);
    assert_levels(&no_hooks, &no_hooks, &good, WEBHOOK_OK, NULL);
    assert_levels(&unreadable, &unreadable, &good, WEBHOOK_OK, NULL);
    assert_levels(&inactive, &good, NULL, WEBHOOK_OK, NULL);
    assert_levels(&no_hooks, &inactive, &no_hooks, WEBHOOK_INACTIVE,
                  "webhook 3 of its owner is switched off");
    assert_levels(&no_hooks, &no_hooks, &no_hooks, WEBHOOK_MISSING, NULL);
}

TEST(a_webhook_that_may_be_where_it_cannot_be_read_is_not_missing)
{
    (void)state;
    static const char doubt[] = "no webhook of the repository goes to the orchestrator, and others cannot be "
                                "read: Gitea answered 403";
    assert_levels(&unreadable, &no_hooks, &no_hooks, WEBHOOK_UNKNOWN, "Gitea answered 403");
    assert_levels(&no_hooks, &unreadable, &no_hooks, WEBHOOK_UNKNOWN, doubt);
    assert_levels(&no_hooks, &no_hooks, &unreadable, WEBHOOK_UNKNOWN, doubt);
    assert_levels(&elsewhere, &no_hooks, &unreadable, WEBHOOK_UNKNOWN, doubt);
    assert_levels(&inactive, &no_hooks, &unreadable, WEBHOOK_INACTIVE,
                  "webhook 3 of the repository is switched off");
}

TEST(an_event_that_gitea_does_not_have_is_not_missed)
{
    (void)state;
    static const char *const without[] = {"push", "pull_request", "pull_request_review", NULL};
    const struct gitea_hook hook = HOOK(7, TARGET, true, without);
    const struct gitea_hooks hooks = LIST(&hook);
    const struct {
        bool sends_status;
        const char *release_unknown;
        enum webhook_state state;
        const char *detail;
    } cases[] = {
        {false, NULL, WEBHOOK_OK, NULL},
        {true, NULL, WEBHOOK_EVENTS_MISSING, "webhook 7 of the repository does not send: status"},
        {true, "Gitea answered 500", WEBHOOK_UNKNOWN, "Gitea answered 500"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct webhook_facts facts = {.levels = {&hooks},
                                            .sends_status = cases[i].sends_status,
                                            .release_unknown = cases[i].release_unknown};
        struct webhook_verdict verdict;
        webhook_check(&facts, pipeline, &verdict);
        assert_int_equal(verdict.state, cases[i].state);
        if (cases[i].detail)
            assert_string_equal(verdict.detail, cases[i].detail);
        webhook_verdict_done(&verdict);
    }
}

TEST(a_branch_filter_that_drops_the_pushes_of_a_task_is_named)
{
    (void)state;
    struct gitea_hook two[] = {HOOK(7, TARGET, true, everything), HOOK(8, TARGET, true, pushes)};
    two[0].branch_filter = "{main,release/*}";
    assert_judged(&(struct hook_case){
        {two[0]},
        1,
        TARGET,
        WEBHOOK_FILTERED,
        "the branch filter \"{main,release/*}\" of webhook 7 of the repository drops the pushes of "
        "feature/ORCH-7-a"});
    assert_judged(&(struct hook_case){{two[0], two[1]}, 2, TARGET, WEBHOOK_OK, NULL});
    two[0].branch_filter = "feature/*";
    assert_judged(&(struct hook_case){{two[0]}, 1, TARGET, WEBHOOK_OK, NULL});
    two[0].branch_filter = "feature/*-a"; /* the second task's branch is dropped */
    assert_judged(
        &(struct hook_case){{two[0]}, 1, TARGET, WEBHOOK_FILTERED, "drops the pushes of feature/ORCH-8"});
    two[0].branch_filter = "main"; /* stops neither status nor pull_request */
    two[0].events = no_pushes;
    assert_judged(&(struct hook_case){{two[0], two[1]}, 2, TARGET, WEBHOOK_OK, NULL});
}

TEST(a_branch_filter_is_a_glob_of_gitea)
{
    (void)state;
    static const struct {
        const char *filter, *branch;
        bool passes;
    } cases[] = {
        {"", "a", true},
        {"*", "a/b", true},
        {"**", "a/b", true},
        {"main", "main", true},
        {"main", "main2", false},
        {"refs/heads/main", "main", true},
        {"refs/tags/*", "main", false},
        {"feature/*", "feature/a/b", true},
        {"{main,feature/{a,b*}}", "feature/bcd", true},
        {"{main,feature/{a,b*}}", "feature/c", false},
        {"a?c", "a\u00e9c", true},
        {"a?c", "ac", false},
        {"[a-c]x", "bx", true},
        {"[!a-c]x", "bx", false},
        {"[!a-c]x", "dx", true},
        {"v1.0", "v1x0", false},
        {"a\\*", "a*", true},
        {"a\\*", "ab", false},
        {"a,b", "a,b", true},
        {"a(b)+$", "a(b)+$", true},
        {"{a", "b", true}, /* not to be read */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (branch_filter_passes(cases[i].filter, cases[i].branch) != cases[i].passes)
            fail_msg("\"%s\" and \"%s\"", cases[i].filter, cases[i].branch);
}

TEST(where_a_webhook_goes_instead_is_told_apart)
{
    (void)state;
    static const struct {
        const char *url, *target, *detail;
    } cases[] = {
        {"http://127.0.0.1:9001/webhook/gitea", "http://127.0.0.1:9000/webhook/gitea",
         "at http://127.0.0.1:9000, but to http://127.0.0.1:9001"},
        {"http://127.0.0.1:9000/T0ps3cret", "http://127.0.0.1:9000/webhook/gitea",
         "at http://127.0.0.1:9000/webhook/gitea, but to another path of http://127.0.0.1:9000"},
        {"http://chat.example/T0ps3cret", "http://orch.example/webhook/gitea",
         "at orch.example, but to chat.example"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_judged(&(struct hook_case){{HOOK(1, cases[i].url, true, everything)},
                                          1,
                                          cases[i].target,
                                          WEBHOOK_ELSEWHERE,
                                          cases[i].detail});
}

TEST(a_mark_changes_when_a_webhook_is_touched)
{
    (void)state;
    struct gitea_hook hook = HOOK(7, TARGET, false, everything);
    const struct gitea_hooks hooks = {.fact = {.state = FACT_KNOWN}, .items = &hook, .n = 1};
    struct webhook_verdict first, again, later;
    const struct webhook_facts facts = {.levels = {&hooks}, .target = TARGET, .sends_status = true};
    webhook_check(&facts, pipeline, &first);
    webhook_check(&facts, pipeline, &again);
    hook.updated_at = "u";
    webhook_check(&facts, pipeline, &later);
    assert_string_equal(first.mark, again.mark);
    assert_string_not_equal(first.mark, later.mark);
    webhook_verdict_done(&first);
    webhook_verdict_done(&again);
    webhook_verdict_done(&later);
}

static struct store_ledger_row row(int64_t task_id, const char *source, int64_t age_s)
{
    return (struct store_ledger_row){
        .task_id = task_id, .at_us = NOON_US - age_s * 1000000, .missed_source = (char *)(uintptr_t)source};
}

TEST(losses_are_tasks_within_an_hour)
{
    struct store_ledger_row rows[] = {row(1, "plane", 1),   row(2, "gitea", 2),    row(1, "plane", 3),
                                      row(3, NULL, 4),      row(4, "plane", 3599), row(1, "gitea", 3599),
                                      row(5, "plane", 3601)};
    const struct store_ledger_page page = {.rows = rows, .n = ARRAY_LEN(rows)};
    assert_int_equal(webhook_losses(&page, "plane", NOON_US).tasks, 2);
    assert_int_equal(webhook_losses(&page, "gitea", NOON_US).tasks, 2);
    assert_int_equal(webhook_losses(&page, "telegram", NOON_US).tasks, 0);
    assert_int_equal(webhook_losses(&(struct store_ledger_page){.n = 0}, "plane", NOON_US).tasks, 0);
}

TEST(silence_is_losses_again_and_again)
{
    static const struct {
        int64_t ages_s[4];
        bool silent;
    } cases[] = {
        {{10, 10, 10, 10}, false},   /* one outage */
        {{10, 10, 909, 909}, false}, /* of a quarter of an hour at most */
        {{10, 11, 910, 910}, true},        {{10, 3590, 3601, 3602}, false}, /* too few are left of it */
        {{3605, 3606, 3607, 3608}, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct store_ledger_row rows[4];
        for (size_t k = 0; k < ARRAY_LEN(rows); k++)
            rows[k] = row((int64_t)k + 1, "plane", cases[i].ages_s[k]);
        const struct store_ledger_page page = {.rows = rows, .n = ARRAY_LEN(rows)};
        assert_int_equal(webhook_losses(&page, "plane", NOON_US).silent, cases[i].silent);
        assert_false(webhook_losses(&page, "gitea", NOON_US).silent);
    }
}

TEST(every_state_has_a_name_of_its_own)
{
    for (enum webhook_state i = 0; i < WEBHOOK_STATE_MAX_; i++)
        for (enum webhook_state k = 0; k < i; k++)
            assert_string_not_equal(webhook_state_name(i), webhook_state_name(k));
}

TEST_GROUP(pipeline_read, pipeline_done)
