/* What a pass writes for people: the message and the lost event of each transition, and the tasks that it
 * leaves to a person. A real SQLite database, facts that the test makes up, a bot that is not called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "clients/base/jsonx.h"
#include "clients/base/log.h"
#include "clients/plane/plane.h"
#include "clients/store/store.h"
#include "clients/telegram.h"
#include "reconcile/heal/quarantine.h"
#include "reconcile/sweep/pass.h"
#include "reconcile/settings/policy.h"
#include "tests/doubles/facts.h"
#include "tests/support/reconcile/sweep/pass_scene.h"
#include "tests/support/clients/store/sqlite_file.h"
#include "tests/support/clients/http/names.h"

static struct pass_scene bench;
static struct telegram *bot; /* which a test may take out of the services */

static const char *environment_value(const char *name)
{
    return strcmp(name, "ORCH_NOTIFY_TEMPLATE") == 0 ? "{work_item_id}: {stage} to {to_stage}, {outcome}"
                                                     : NULL;
}

static int set_up(void **state)
{
    (void)state;
    facts_clear();
    pass_scene_open(&bench, environment_value);
    assert_int_equal(telegram_new("http://127.0.0.1:9", "1:a", "42", 0, &test_names, &bot, &bench.why),
                     ERR_OK);
    bench.services.telegram = bot;
    assert_int_equal(plane_new(NULL, NULL, NULL, &test_names, &bench.services.plane, &bench.why), ERR_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    plane_free(bench.services.plane);
    telegram_free(bot);
    pass_scene_close(&bench);
    return 0;
}

/* A task of branch b1 in development, whose CI is green. */
static void add_green_task(void)
{
    sqlite_file_exec("INSERT INTO tasks (id, plane_id, work_item_id, title, repo, branch, stage, created_at, "
                     "updated_at) VALUES (1, '00000000-0000-4000-8000-000000000001', 'ORCH-1', 't', "
                     "'acme/app', 'b1', 'development', "
                     "datetime('now', '-1 hour'), datetime('now', '-1 hour'))");
    facts_head("b1", "sha1");
    facts_status("sha1", "build", GITEA_SUCCESS);
}

/* n rows of the ledger that moved task 1 out of a stage so many hours ago. */
static void add_heals(unsigned n, const char *stage, unsigned hours)
{
    while (n-- > 0) {
        struct uuid_text id = uuid_new();
        pass_scene_exec("INSERT INTO reconcile_ledger (id, at, task_id, work_item_id, from_stage, to_stage, "
                        "side, outcome) VALUES "
                        "('%s', strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', '-%u hours'), 1, 'ORCH-1', '%s', "
                        "'review', 'gate', "
                        "'advanced')",
                        id.s, hours, stage);
    }
}

static const struct pass_request forced = {.trigger = TRIGGER_REQUEST}, by_timer = {.trigger = TRIGGER_TIMER},
                                 dry = {.trigger = TRIGGER_REQUEST, .dry_run = true};

/* One pass in which so many tasks came to that outcome, and so many messages were written. */
static void assert_pass(struct pass_request request, enum outcome outcome, size_t n, int messages)
{
    struct pass_result result = pass_scene_run(&bench, request);
    assert_int_equal(result.report.gate[outcome], n);
    assert_int_equal(result.messages, messages);
    pass_result_done(&result);
}

static void assert_outbox(size_t depth, const char *last)
{
    struct store_outbox outbox;
    assert_int_equal(store_outbox_list(bench.store, STORE_TO_TELEGRAM, 10, &outbox, &bench.why), ERR_OK);
    assert_int_equal(outbox.depth, depth);
    assert_int_equal(outbox.n, depth);
    if (depth > 0)
        assert_string_equal(outbox.rows[depth - 1].text, last);
    store_outbox_done(&outbox);
}

static void change(json_t *body_take)
{
    json_t *document = NULL, *errors = NULL;
    assert_int_equal(policy_change(bench.store, bench.settings, bench.pipeline, body_take, -1, NULL,
                                   &document, &errors, &bench.why),
                     ERR_OK);
    json_decref(document);
    json_decref(body_take);
}

/* transitions */

static void a_transition_carries_its_message_and_the_event_that_was_lost(void **state)
{
    (void)state;
    add_green_task();
    assert_pass(by_timer, OUTCOME_ADVANCED, 1, 1);
    assert_outbox(1, "ORCH-1: development to review, advanced");
    struct store_ledger_page page;
    struct store_outbox outbox;
    assert_int_equal(store_ledger_list(bench.store, 1, 0, 10, &page, &bench.why), ERR_OK);
    assert_int_equal(store_outbox_list(bench.store, STORE_TO_TELEGRAM, 10, &outbox, &bench.why), ERR_OK);
    assert_int_equal(page.n, 1);
    assert_string_equal(page.rows[0].missed_source, "gitea");
    assert_string_equal(page.rows[0].missed_event, "status");
    assert_string_equal(page.rows[0].id.s, outbox.rows[0].id.s);
    store_outbox_done(&outbox);
    store_ledger_page_done(&page);
}

static void a_red_gate_and_a_dry_run_tell_nobody(void **state)
{
    (void)state;
    add_green_task();
    assert_pass(dry, OUTCOME_ADVANCED, 1, 0);
    facts_clear();
    facts_head("b1", "sha1");
    facts_status("sha1", "build", GITEA_FAILURE);
    assert_pass(forced, OUTCOME_RED, 1, 0);
    assert_outbox(0, NULL);
}

static void nobody_is_told_when_that_is_switched_off(void **state)
{
    (void)state;
    add_green_task();
    change(json_pack("{s:b}", "notify_unblock", 0));
    assert_pass(forced, OUTCOME_ADVANCED, 1, 0);
    assert_outbox(0, NULL);
}

static void switch_off_telling(void *arg)
{
    (void)arg;
    change(json_pack("{s:b}", "notify_unblock", 0));
}

static void telling_that_is_switched_off_in_mid_pass_is_off(void **state)
{
    (void)state;
    add_green_task();
    facts_late(true);
    facts_hook(switch_off_telling, NULL);
    assert_pass(forced, OUTCOME_ADVANCED, 1, 0);
    assert_outbox(0, NULL);
}

static void without_a_telegram_nothing_is_written_for_it(void **state)
{
    (void)state;
    add_green_task();
    bench.services.telegram = NULL;
    assert_pass(forced, OUTCOME_ADVANCED, 1, 0);
    assert_outbox(0, NULL);
}

/* quarantine */

static const char quarantine_told[] =
    "🚧 reconciler: ORCH-1 (acme/app) was healed 4 times in 24 h at development: left to a person";

static void a_task_healed_too_often_is_left_to_a_person_unseen(void **state)
{
    (void)state;
    add_green_task();
    add_heals(4, "development", 1);
    struct pass_result result = pass_scene_run(&bench, forced); /* forced or not */
    assert_int_equal(facts_lookups(), 0);
    assert_int_equal(result.report.gate[OUTCOME_QUARANTINED], 1);
    assert_int_equal(result.report.stuck, 1);
    const struct report_item *item = &result.report.items[0];
    assert_int_equal(item->outcome, OUTCOME_QUARANTINED);
    assert_string_equal(item->reason, "healed 4 times in 24 h at this stage: left to a person");
    assert_null(item->verdict);
    pass_result_done(&result);
    sqlite_file_assert("SELECT stage FROM tasks", "development");
    assert_outbox(1, quarantine_told);
}

static void three_heals_other_stages_and_older_days_do_not_count(void **state)
{
    (void)state;
    add_green_task();
    add_heals(3, "development", 1);
    add_heals(5, "review", 1);
    add_heals(5, "development", 25);
    assert_pass(forced, OUTCOME_ADVANCED, 1, 1);
}

static void an_episode_is_told_once_by_whoever_sees_it(void **state)
{
    (void)state;
    add_green_task();
    add_heals(4, "development", 1);
    assert_pass(by_timer, OUTCOME_QUARANTINED, 1, 1);
    assert_pass(by_timer, OUTCOME_QUARANTINED, 1, 0); /* and is looked at every time: nothing rests */
    struct announced *mine = bench.memory->announced, *another = announced_new();
    bench.memory->announced = another; /* another process, or this one restarted */
    assert_pass(forced, OUTCOME_QUARANTINED, 1, 0);
    assert_outbox(1, quarantine_told);
    add_heals(1, "development", 0); /* another episode */
    bench.memory->announced = mine;
    assert_pass(forced, OUTCOME_QUARANTINED, 1, 1);
    struct store_outbox outbox;
    assert_int_equal(store_outbox_list(bench.store, STORE_TO_TELEGRAM, 10, &outbox, &bench.why), ERR_OK);
    assert_int_equal(outbox.depth, 2);
    store_outbox_done(&outbox);
    announced_free(another);
}

static void a_quarantine_is_told_once_telling_is_allowed(void **state)
{
    (void)state;
    add_green_task();
    add_heals(4, "development", 1);
    assert_pass(dry, OUTCOME_QUARANTINED, 1, 0);
    change(json_pack("{s:s}", "mode", "observe"));
    assert_pass(forced, OUTCOME_QUARANTINED, 1, 0);
    change(json_pack("{s:n, s:b}", "mode", "notify_unblock", 0));
    assert_pass(forced, OUTCOME_QUARANTINED, 1, 0);
    bench.services.telegram = NULL;
    change(json_pack("{s:n}", "notify_unblock"));
    assert_pass(forced, OUTCOME_QUARANTINED, 1, 0);
    assert_outbox(0, NULL);
    bench.services.telegram = bot;
    assert_pass(forced, OUTCOME_QUARANTINED, 1, 1);
    assert_outbox(1, quarantine_told);
}

static void an_episode_is_logged_once(void **state)
{
    (void)state;
    int ends[2];
    char text[8192] = "";
    add_green_task();
    add_heals(4, "development", 1);
    assert_int_equal(pipe(ends), 0);
    log_set_fd(ends[1]);
    assert_pass(dry, OUTCOME_QUARANTINED, 1, 0);
    for (int i = 0; i < 3; i++)
        assert_pass(forced, OUTCOME_QUARANTINED, 1, i == 0);
    log_set_fd(STDERR_FILENO);
    close(ends[1]);
    assert_true(read(ends[0], text, sizeof text - 1) > 0);
    close(ends[0]);
    static const char error[] = "msg=\"task quarantined\"";
    char *line = strstr(text, error);
    assert_non_null(line);
    assert_non_null(strstr(line, "work_item_id=ORCH-1"));
    assert_null(strstr(line + sizeof error - 1, error));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    log_set_level(LOG_LEVEL_WARN);
    const struct CMUnitTest tests[] = {
        TEST(a_transition_carries_its_message_and_the_event_that_was_lost),
        TEST(a_red_gate_and_a_dry_run_tell_nobody),
        TEST(nobody_is_told_when_that_is_switched_off),
        TEST(telling_that_is_switched_off_in_mid_pass_is_off),
        TEST(without_a_telegram_nothing_is_written_for_it),
        TEST(a_task_healed_too_often_is_left_to_a_person_unseen),
        TEST(three_heals_other_stages_and_older_days_do_not_count),
        TEST(an_episode_is_told_once_by_whoever_sees_it),
        TEST(a_quarantine_is_told_once_telling_is_allowed),
        TEST(an_episode_is_logged_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
