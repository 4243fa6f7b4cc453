/* Faults of the senders' webhooks. */
#include <jansson.h>

#include "clients/base/limits.h"
#include "clients/gitea/gitea.h"
#include "clients/store/store.h"
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
    struct webhook_verdict verdict;
    webhook_check(&hooks, pipeline, expected->target, &verdict);
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
    {.id = (number), .url = (at), .active = (on), .updated_at = "t", .events = (names)}

TEST(a_webhook_is_judged_by_where_it_goes_and_what_it_is_told)
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
        {{{0}}, 0, TARGET, WEBHOOK_MISSING, "has no webhook"},
        {{{0}}, 0, NULL, WEBHOOK_MISSING, "has no webhook"},
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

TEST(what_cannot_be_read_is_unknown)
{
    (void)state;
    static const enum fact_state states[] = {FACT_FAILED, FACT_ABSENT};
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        const struct gitea_hooks hooks = {.fact = {.state = states[i], .error = "Gitea answered 403"}};
        struct webhook_verdict verdict;
        webhook_check(&hooks, pipeline, NULL, &verdict);
        assert_int_equal(verdict.state, WEBHOOK_UNKNOWN);
        assert_string_equal(verdict.detail, "Gitea answered 403");
        webhook_verdict_done(&verdict);
    }
}

TEST(a_mark_changes_when_a_webhook_is_touched)
{
    (void)state;
    struct gitea_hook hook = HOOK(7, TARGET, false, everything);
    const struct gitea_hooks hooks = {.fact = {.state = FACT_KNOWN}, .items = &hook, .n = 1};
    struct webhook_verdict first, again, later;
    webhook_check(&hooks, pipeline, TARGET, &first);
    webhook_check(&hooks, pipeline, TARGET, &again);
    hook.updated_at = "u";
    webhook_check(&hooks, pipeline, TARGET, &later);
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
