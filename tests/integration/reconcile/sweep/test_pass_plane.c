/* F-2 from the issue to the ledger: a real SQLite database, a Plane and a Gitea that the test makes up, and
 * what happens in between at the worst moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clients/base/jsonx.h"
#include "clients/base/log.h"
#include "reconcile/plane/plane_scan.h"
#include "reconcile/sweep/pass.h"
#include "reconcile/settings/policy.h"
#include "tests/doubles/facts.h"
#include "tests/doubles/issues.h"
#include "tests/support/reconcile/sweep/pass_scene.h"
#include "tests/support/clients/store/sqlite_file.h"

#define A "aaaaaaaa-1111-4111-8111-111111111111"
#define B "bbbbbbbb-2222-4222-8222-222222222222"
#define S ((int64_t)1000000)

static struct pass_scene bench;

static const char *lookup(const char *name)
{
    static const char projects[] =
        "[{\"repo\":\"acme/app\",\"plane_project_id\":\"" A "\",\"prefix\":\"ORCH\"}]";
    return strcmp(name, "ORCH_PROJECTS_JSON") == 0 ? projects : NULL;
}

static const char *lookup_two(const char *name)
{
    static const char projects[] =
        "[{\"repo\":\"acme/app\",\"plane_project_id\":\"" A "\",\"prefix\":\"ORCH\"},"
        "{\"repo\":\"acme/shop\",\"plane_project_id\":\"" B "\",\"prefix\":\"SHOP\"}]";
    return strcmp(name, "ORCH_PROJECTS_JSON") == 0 ? projects : NULL;
}

static void open_scene(const char *(*projects)(const char *name))
{
    static const char *const names[] = {"Backlog", "In Progress", "Approved", "Rejected"};
    facts_clear();
    issues_clear();
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        issues_state(A, names[i]);
        issues_state(B, names[i]);
    }
    facts_head("main", "mainsha");
    pass_scene_open(&bench, projects);
}

static int set_up(void **state)
{
    (void)state;
    open_scene(lookup);
    return 0;
}

static int set_up_two(void **state)
{
    (void)state;
    open_scene(lookup_two);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pass_scene_close(&bench);
    issues_clear();
    return 0;
}

/* The next pass begins with the policy as it is then. */
static void look_at_policy(void)
{
    policy_free(bench.policy);
    assert_int_equal(policy_read(bench.store, bench.settings, &bench.policy, &bench.why), ERR_OK);
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

static int64_t ago_us(int64_t seconds)
{
    return clock_wall_us() - seconds * S;
}

static void add_started(int64_t number)
{
    issues_put(A, number, "In Progress", ago_us(3600 + number));
}

/* An issue with a verdict, and its task at the human gate. */
static void add_verdict_of(const char *project, int64_t number, const char *state)
{
    char sql[512], activity[UUID_TEXT_LEN + 9];
    bool first = strcmp(project, A) == 0;
    issues_put(project, number, state, ago_us(3600 + number));
    snprintf(activity, sizeof activity, "cccccccc-0000-4000-8000-%012lld", (long long)number);
    issues_change(project, number, activity, state, ago_us(3600 + number));
    snprintf(sql, sizeof sql,
             "INSERT INTO tasks (id, plane_id, work_item_id, title, repo, branch, stage, created_at, "
             "updated_at) VALUES (%lld, '%s', '%s-%lld', 't', 'acme/%s', 'b%lld', 'analysis', "
             "datetime('now', '-1 day'), datetime('now', '-1 day'))",
             (long long)number, issues_id(number), first ? "ORCH" : "SHOP", (long long)number,
             first ? "app" : "shop", (long long)number);
    sqlite_file_exec(sql);
}

static void add_verdict(int64_t number, const char *state)
{
    add_verdict_of(A, number, state);
}

static json_t *run_pass(struct pass_request request)
{
    request.side = SIDE_PLANE;
    return pass_scene_report(&bench, request);
}

static int64_t counted(json_t *report_take, const char *what)
{
    int64_t count = json_get_int(json_object_get(report_take, "plane"), what, -1);
    json_decref(report_take);
    return count;
}

/* The outcome of the issue's item, or "" when it has none. */
static const char *outcome(json_t *report_take, int64_t number)
{
    static char text[32];
    char key[32];
    size_t i;
    json_t *item;
    snprintf(key, sizeof key, "ORCH-%lld", (long long)number);
    *text = '\0';
    json_array_foreach(json_object_get(report_take, "items"), i, item)
    {
        if (strcmp(json_get_text(item, "work_item_id", ""), key) == 0)
            snprintf(text, sizeof text, "%s", json_get_text(item, "outcome", ""));
    }
    json_decref(report_take);
    return text;
}

static const struct pass_request forced = {.trigger = TRIGGER_REQUEST}, by_timer = {.trigger = TRIGGER_TIMER},
                                 at_once = {.trigger = TRIGGER_REQUEST, .ignore_grace = true};

/* starts */

static void see_the_order(void *arg)
{
    (void)arg;
    sqlite_file_assert("SELECT stage || '|' || branch FROM tasks", "created|feature/ORCH-1-issue-1");
    sqlite_file_assert("SELECT count(*) FROM jobs", "0");
}

static void the_task_is_there_before_its_branch_and_moves_after_it(void **state)
{
    (void)state;
    add_started(1);
    facts_late(true);
    facts_hook(see_the_order, NULL);
    assert_int_equal(counted(run_pass(by_timer), "started"), 1);
    assert_int_equal(facts_made(), 1);
    sqlite_file_assert("SELECT t.stage || '|' || j.agent || '|' || j.status FROM tasks t JOIN jobs j ON "
                       "j.task_id = t.id",
                       "analysis|analyst|queued");
    sqlite_file_assert("SELECT from_stage || '|' || to_stage || '|' || side || '|' || outcome FROM "
                       "reconcile_ledger",
                       "created|analysis|plane|started");
}

static void move_it(void *arg)
{
    (void)arg;
    sqlite_file_exec("UPDATE tasks SET stage = 'analysis', updated_at = datetime('now', '+1 second')");
    sqlite_file_exec("INSERT INTO jobs (task_id, agent, status) SELECT id, 'analyst', 'queued' FROM tasks");
}

static void a_start_that_somebody_else_finished_has_raced(void **state)
{
    (void)state;
    add_started(1);
    facts_late(true);
    facts_hook(move_it, NULL);
    assert_string_equal(outcome(run_pass(by_timer), 1), "raced");
    sqlite_file_assert("SELECT count(*) FROM jobs", "1");
    sqlite_file_assert("SELECT count(*) FROM reconcile_ledger", "0");
    assert_string_equal(outcome(run_pass(at_once), 1), "");
}

static void switch_off(void *arg)
{
    (void)arg;
    change(json_pack("{s:b}", "enabled", 0));
}

static void a_switch_thrown_in_the_middle_holds_the_start_and_it_is_finished_when_it_is_on_again(void **state)
{
    (void)state;
    add_started(1);
    facts_late(true);
    facts_hook(switch_off, NULL);
    assert_string_equal(outcome(run_pass(by_timer), 1), "held");
    sqlite_file_assert("SELECT stage FROM tasks", "created");
    change(json_pack("{s:n}", "enabled"));
    look_at_policy();
    assert_string_equal(outcome(run_pass(at_once), 1), "started");
    assert_int_equal(facts_made(), 1);
}

static void a_branch_that_cannot_be_made_rests_from_the_timer_alone(void **state)
{
    (void)state;
    add_started(1);
    facts_make_failed("Gitea refuses");
    assert_string_equal(outcome(run_pass(by_timer), 1), "failed");
    sqlite_file_exec("UPDATE tasks SET updated_at = datetime('now', '-1 hour')");
    assert_string_equal(outcome(run_pass(by_timer), 1), "");
    facts_make_failed(NULL);
    assert_string_equal(outcome(run_pass(forced), 1), "started");
}

static void assert_interrupted(struct pass_request request, int64_t count, const char *error)
{
    request.side = SIDE_PLANE;
    struct pass_result result = pass_scene_run(&bench, request);
    assert_int_equal(result.plane->n_interrupted, count);
    assert_string_equal(result.plane->interrupted_error ? result.plane->interrupted_error : "null", error);
    pass_result_done(&result);
}

static void a_branch_that_cannot_be_made_is_shown_and_tried_again_without_another_grace(void **state)
{
    (void)state;
    add_started(1);
    add_started(2);
    facts_make_failed("Gitea refuses");
    assert_interrupted(by_timer, 2, "Gitea refuses");
    sqlite_file_assert("SELECT group_concat(stage) FROM tasks", "created,created");
    assert_string_equal(outcome(run_pass(by_timer), 1), ""); /* its pause is not over */
    assert_string_equal(outcome(run_pass(forced), 1), "failed");
    struct pass_request dry = forced;
    dry.dry_run = true;
    assert_string_equal(outcome(run_pass(dry), 1), "started");
    facts_make_failed(NULL);
    assert_interrupted(forced, 0, "null");
    sqlite_file_assert("SELECT group_concat(stage) FROM tasks", "analysis,analysis");
    sqlite_file_assert("SELECT count(*) FROM jobs", "2");
}

static void the_timer_tries_a_branch_again_within_an_interval(void **state)
{
    (void)state;
    change(json_pack("{s:i}", "interval_s", 1));
    look_at_policy();
    add_started(1);
    facts_make_failed("Gitea refuses");
    assert_string_equal(outcome(run_pass(by_timer), 1), "failed");
    facts_make_failed(NULL);
    const char *seen = "";
    for (int64_t until_ms = clock_mono_ms() + 20000; !*seen && clock_mono_ms() < until_ms;)
        seen = outcome(run_pass(by_timer), 1);
    assert_string_equal(seen, "started");
}

static void a_start_that_others_finished_meanwhile_is_forgotten(void **state)
{
    (void)state;
    add_started(1);
    facts_make_failed("Gitea refuses");
    assert_interrupted(by_timer, 1, "Gitea refuses");
    sqlite_file_exec("UPDATE tasks SET stage = 'analysis'");
    assert_interrupted(forced, 0, "null");
}

static void a_start_that_a_switch_held_back_goes_on_when_it_is_on_again(void **state)
{
    (void)state;
    add_started(1);
    facts_late(true);
    facts_hook(switch_off, NULL);
    assert_string_equal(outcome(run_pass(by_timer), 1), "held");
    change(json_pack("{s:n}", "enabled"));
    look_at_policy();
    assert_string_equal(outcome(run_pass(by_timer), 1), "started");
}

static void many_are_started_in_several_batches(void **state)
{
    (void)state;
    change(json_pack("{s:i}", "max_heals_per_pass", 1000));
    look_at_policy();
    for (int64_t n = 1; n <= 600; n++)
        add_started(n);
    assert_int_equal(counted(run_pass(by_timer), "started"), 600);
    sqlite_file_assert("SELECT count(*) || '|' || count(DISTINCT task_id) FROM jobs", "600|600");
    assert_int_equal(counted(run_pass(at_once), "started"), 0);
}

static void a_stop_in_the_middle_writes_nothing_more_and_is_told(void **state)
{
    (void)state;
    add_started(1);
    add_verdict(2, "Approved");
    bench.services.stopping = true;
    json_t *report = run_pass(by_timer);
    bench.services.stopping = false;
    assert_int_equal(json_array_size(json_object_get(report, "items")), 0);
    json_decref(report);
    sqlite_file_assert("SELECT count(*) FROM tasks", "1");
    sqlite_file_assert("SELECT count(*) FROM reconcile_ledger", "0");
}

static void stop_it(void *arg)
{
    (void)arg;
    bench.services.stopping = true;
}

static void a_stop_while_plane_is_asked_interrupts_the_pass(void **state)
{
    (void)state;
    add_started(1);
    add_verdict(2, "Approved");
    issues_hook(stop_it, NULL);
    json_t *report = run_pass(by_timer);
    bench.services.stopping = false;
    assert_string_equal(json_get_text(report, "state", ""), "interrupted");
    json_decref(report);
    sqlite_file_assert("SELECT count(*) FROM reconcile_ledger", "0");
    sqlite_file_assert("SELECT count(*) FROM tasks", "1");
}

/* verdicts */

static void replay_it(void *arg)
{
    (void)arg;
    if (issues_calls_of("change") == 1)
        sqlite_file_exec("UPDATE tasks SET stage = 'architecture', updated_at = CURRENT_TIMESTAMP");
}

static void a_verdict_that_somebody_else_heard_of_meanwhile_has_raced(void **state)
{
    (void)state;
    add_verdict(1, "Approved");
    issues_hook(replay_it, NULL);
    assert_string_equal(outcome(run_pass(by_timer), 1), "raced");
    sqlite_file_assert("SELECT stage FROM tasks", "architecture");
    sqlite_file_assert("SELECT count(*) FROM reconcile_verdicts", "0");
    assert_string_equal(outcome(run_pass(forced), 1), "");
}

static void verdicts_for_which_the_budget_is_short_get_their_turn(void **state)
{
    (void)state;
    for (int64_t n = 1; n <= 20; n++)
        add_verdict(n, n % 2 ? "Approved" : "Rejected");
    for (int64_t n = 100; n <= 900; n++)
        issues_put(A, n, "Backlog", ago_us(4000 + n * 10));
    int64_t replayed = 0;
    for (int i = 0; i < 12; i++) {
        issues_left(5, 0);
        json_t *report = run_pass(by_timer);
        replayed += json_get_int(json_object_get(report, "plane"), "approved", 0) +
                    json_get_int(json_object_get(report, "plane"), "rejected", 0);
        json_decref(report);
    }
    assert_int_equal(replayed, 20);
    sqlite_file_assert("SELECT count(*) || '|' || count(DISTINCT id) FROM reconcile_verdicts", "20|20");
    sqlite_file_assert("SELECT count(*) FROM tasks WHERE stage = 'architecture'", "10");
}

static void a_move_that_the_database_refuses_rests_and_stops_no_other(void **state)
{
    (void)state;
    sqlite_file_exec(
        "CREATE TRIGGER poison BEFORE UPDATE ON tasks WHEN old.id = 2 BEGIN SELECT RAISE(ABORT, 'no'); END");
    for (int64_t n = 1; n <= 3; n++)
        add_verdict(n, "Approved");
    log_set_level(LOG_LEVEL_ERROR);
    json_t *report = run_pass(by_timer);
    assert_int_equal(json_get_int(json_object_get(report, "plane"), "approved", 0), 2);
    assert_string_equal(outcome(report, 2), "failed");
    assert_string_equal(outcome(run_pass(by_timer), 2), "");
    assert_string_equal(outcome(run_pass(forced), 2), "failed");
    log_set_level(LOG_LEVEL_WARN);
    sqlite_file_exec("DROP TRIGGER poison");
    assert_string_equal(outcome(run_pass(forced), 2), "approved");
}

static void observing_asks_less_and_less_often_until_it_may_heal(void **state)
{
    (void)state;
    add_started(1);
    add_verdict(2, "Approved");
    change(json_pack("{s:s}", "mode", "observe"));
    look_at_policy();
    assert_string_equal(outcome(run_pass(by_timer), 2), "held");
    size_t calls = issues_calls_of("change");
    for (int i = 0; i < 5; i++)
        assert_string_equal(outcome(run_pass(by_timer), 2), "");
    assert_int_equal(issues_calls_of("change"), calls);
    assert_string_equal(outcome(run_pass(forced), 1), "held");
    change(json_pack("{s:n}", "mode"));
    look_at_policy();
    json_t *report = run_pass(by_timer);
    assert_int_equal(json_get_int(json_object_get(report, "plane"), "started", 0), 1);
    assert_string_equal(outcome(report, 2), "approved");
}

static void a_handled_verdict_is_asked_about_once(void **state)
{
    (void)state;
    add_verdict(1, "Rejected");
    sqlite_file_exec("UPDATE tasks SET updated_at = datetime('now', '-10 seconds')");
    for (int i = 0; i < 4; i++)
        assert_string_equal(outcome(run_pass(forced), 1), "");
    assert_int_equal(issues_calls_of("change"), 1);
}

static void of_the_verdicts_beyond_the_limit_none_is_asked_about(void **state)
{
    (void)state;
    change(json_pack("{s:i}", "max_heals_per_pass", 2));
    look_at_policy();
    for (int64_t n = 1; n <= 9; n++)
        add_verdict(n, "Rejected");
    sqlite_file_exec(
        "UPDATE tasks SET updated_at = datetime('now', '-10 seconds') WHERE id > 7"); /* handled */
    json_t *report = run_pass(by_timer);
    assert_int_equal(json_get_int(json_object_get(report, "plane"), "rejected", 0), 2);
    assert_int_equal(counted(report, "held"), 5);
    assert_int_equal(issues_calls_of("change"), 4); /* the oldest: two that were handled, and two */
    sqlite_file_assert("SELECT group_concat(task_id) FROM (SELECT task_id FROM reconcile_ledger ORDER BY 1)",
                       "6,7");
}

/* a call that fails */

static void one_issue_that_fails_is_unknown_and_stops_no_other(void **state)
{
    (void)state;
    static const enum plane_result failures[] = {PLANE_DOWN, PLANE_FAILED};
    for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
        int64_t first = 1 + 10 * (int64_t)i;
        for (int64_t n = first; n < first + 5; n++)
            add_verdict(n, "Approved");
        issues_break(A, first + 4, failures[i]); /* the oldest */
        json_t *report = run_pass(by_timer);
        assert_int_equal(json_get_int(json_object_get(report, "plane"), "approved", 0), 4);
        assert_int_equal(json_get_int(json_object_get(report, "plane"), "errors", -1), 0);
        assert_string_equal(outcome(report, first + 4), "unknown");
        assert_string_equal(outcome(run_pass(by_timer), first + 4), ""); /* it rests */
        assert_string_equal(outcome(run_pass(forced), first + 4), "unknown");
        issues_break(A, first + 4, PLANE_OK);
        assert_string_equal(outcome(run_pass(forced), first + 4), "approved");
    }
}

static void a_project_that_cannot_be_read_stops_neither_the_other_nor_what_is_known_of_it(void **state)
{
    (void)state;
    add_verdict(1, "Approved");
    issues_put(A, 1, NULL, ago_us(5)); /* seen, and young */
    assert_int_equal(counted(run_pass(by_timer), "errors"), 0);
    add_verdict_of(B, 2, "Approved");
    issues_fail(A, PLANE_DOWN, 1);
    json_t *report = run_pass(at_once);
    assert_int_equal(json_get_int(json_object_get(report, "plane"), "errors", -1), 1);
    assert_int_equal(counted(report, "approved"), 2);
}

/* Ten issues hang, and a pass has time for six of them: the healthy ones, which are younger, have their turn
 * in the second pass, timed or forced. */
static void healthy_after_hanging(struct pass_request request)
{
    for (int64_t n = 1; n <= 14; n++)
        add_verdict(n, n <= 4 ? "Approved" : "Rejected"); /* 14 is the oldest */
    for (int64_t n = 5; n <= 14; n++)
        issues_break(A, n, PLANE_DOWN);
    issues_patience(6);
    (void)counted(run_pass(request), "approved");
    (void)counted(run_pass(request), "approved");
    sqlite_file_assert(
        "SELECT group_concat(id) FROM (SELECT id FROM tasks WHERE stage = 'architecture' ORDER "
        "BY id)",
        "1,2,3,4");
    for (int64_t n = 5; n <= 14; n++)
        issues_break(A, n, PLANE_OK);
    assert_int_equal(counted(run_pass(forced), "rejected"), 10);
}

static void ten_that_hang_delay_healthy_ones_by_one_pass(void **state)
{
    (void)state;
    healthy_after_hanging(by_timer);
}

static void ten_that_hang_delay_healthy_ones_by_one_forced_pass(void **state)
{
    (void)state;
    healthy_after_hanging(forced);
}

static void see_it_approved(void *arg)
{
    (void)arg;
    if (issues_calls_of("change") == 3) /* about the one that failed: the last of this pass */
        sqlite_file_assert("SELECT stage FROM tasks WHERE id = 1", "architecture");
}

static void what_failed_last_is_asked_about_when_all_else_is_done(void **state)
{
    (void)state;
    add_verdict(5, "Approved");
    issues_break(A, 5, PLANE_DOWN);
    assert_string_equal(outcome(run_pass(forced), 5), "unknown");
    add_verdict(1, "Approved");
    issues_hook(see_it_approved, NULL);
    assert_int_equal(counted(run_pass(forced), "approved"), 1);
    assert_int_equal(issues_calls_of("change"), 3);
}

static void a_project_whose_issues_hang_leaves_the_others_their_turn(void **state)
{
    (void)state;
    for (int64_t n = 1; n <= 10; n++)
        add_verdict(n, "Approved");
    for (int64_t n = 1; n <= 10; n++)
        issues_break(A, n, PLANE_DOWN);
    for (int64_t n = 21; n <= 30; n++)
        add_verdict_of(B, n, "Approved");
    issues_patience(6);
    assert_int_equal(counted(run_pass(by_timer), "approved"), 10);
    sqlite_file_assert("SELECT count(*) FROM tasks WHERE id > 20 AND stage = 'architecture'", "10");
}

static void a_start_whose_issue_fails_stops_no_other(void **state)
{
    (void)state;
    for (int64_t n = 1; n <= 3; n++) {
        issues_put(A, n, "In Progress", ago_us(300)); /* young: to be confirmed when it has rested */
        issues_put(B, n + 20, "In Progress", ago_us(300));
    }
    (void)counted(run_pass(by_timer), "started");
    for (int64_t n = 100; n < 600; n++) { /* so that they are on no page that is worth reading */
        issues_put(A, n, "Backlog", ago_us(n == 100 ? 0 : 150));
        issues_put(B, n + 1000, "Backlog", ago_us(n == 100 ? 0 : 150));
    }
    (void)counted(run_pass(by_timer), "started");
    issues_break(A, 2, PLANE_DOWN);
    json_t *report = run_pass(at_once);
    assert_int_equal(json_get_int(json_object_get(report, "plane"), "started", 0), 5);
    assert_string_equal(outcome(report, 2), "unknown");
}

static void a_pass_about_one_task_says_that_its_issue_could_not_be_read(void **state)
{
    (void)state;
    add_verdict(1, "Approved");
    add_verdict(2, "Approved");
    sqlite_file_exec("UPDATE tasks SET stage = 'review' WHERE id = 2");
    struct pass_request one = forced;
    for (one.task_id = 1; one.task_id <= 2; one.task_id++) {
        issues_break(A, one.task_id, PLANE_DOWN);
        assert_string_equal(outcome(run_pass(one), one.task_id), one.task_id == 1 ? "unknown" : "");
    }
    issues_break(A, 1, PLANE_OK);
    one.task_id = 1;
    assert_string_equal(outcome(run_pass(one), 1), "approved");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_TWO(name) cmocka_unit_test_setup_teardown(name, set_up_two, tear_down)

int main(void)
{
    log_set_level(LOG_LEVEL_WARN);
    const struct CMUnitTest tests[] = {
        TEST(the_task_is_there_before_its_branch_and_moves_after_it),
        TEST(a_start_that_somebody_else_finished_has_raced),
        TEST(a_switch_thrown_in_the_middle_holds_the_start_and_it_is_finished_when_it_is_on_again),
        TEST(a_branch_that_cannot_be_made_rests_from_the_timer_alone),
        TEST(a_branch_that_cannot_be_made_is_shown_and_tried_again_without_another_grace),
        TEST(the_timer_tries_a_branch_again_within_an_interval),
        TEST(a_start_that_others_finished_meanwhile_is_forgotten),
        TEST(a_start_that_a_switch_held_back_goes_on_when_it_is_on_again),
        TEST(many_are_started_in_several_batches),
        TEST(a_stop_in_the_middle_writes_nothing_more_and_is_told),
        TEST(a_stop_while_plane_is_asked_interrupts_the_pass),
        TEST(a_verdict_that_somebody_else_heard_of_meanwhile_has_raced),
        TEST(verdicts_for_which_the_budget_is_short_get_their_turn),
        TEST(a_move_that_the_database_refuses_rests_and_stops_no_other),
        TEST(observing_asks_less_and_less_often_until_it_may_heal),
        TEST(a_handled_verdict_is_asked_about_once),
        TEST(of_the_verdicts_beyond_the_limit_none_is_asked_about),
        TEST(one_issue_that_fails_is_unknown_and_stops_no_other),
        TEST_TWO(a_project_that_cannot_be_read_stops_neither_the_other_nor_what_is_known_of_it),
        TEST(ten_that_hang_delay_healthy_ones_by_one_pass),
        TEST(ten_that_hang_delay_healthy_ones_by_one_forced_pass),
        TEST(what_failed_last_is_asked_about_when_all_else_is_done),
        TEST_TWO(a_project_whose_issues_hang_leaves_the_others_their_turn),
        TEST_TWO(a_start_whose_issue_fails_stops_no_other),
        TEST(a_pass_about_one_task_says_that_its_issue_could_not_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
