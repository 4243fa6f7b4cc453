/* F-1 from the stuck task to the ledger: a real SQLite database, facts that the test makes up. */
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
#include "clients/base/metric.h"
#include "clients/plane/plane.h"
#include "reconcile/sweep/pass.h"
#include "reconcile/settings/policy.h"
#include "tests/doubles/facts.h"
#include "tests/support/reconcile/sweep/pass_scene.h"
#include "tests/support/clients/store/sqlite_file.h"
#include "tests/support/clients/http/names.h"

static struct pass_scene bench;

static const char *nothing(const char *name)
{
    (void)name;
    return NULL;
}

static int set_up(void **state)
{
    (void)state;
    facts_clear();
    pass_scene_open(&bench, nothing);
    assert_int_equal(plane_new(NULL, NULL, NULL, &test_names, &bench.services.plane, &bench.why), ERR_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    plane_free(bench.services.plane);
    pass_scene_close(&bench);
    return 0;
}

/* A task of acme/app on branch b<id>, untouched for age_s. */
static void add_task(int64_t id, const char *stage, int64_t age_s)
{
    pass_scene_exec(
        "INSERT INTO tasks (id, plane_id, work_item_id, title, repo, branch, stage, created_at, updated_at) "
        "VALUES "
        "(%lld, 'p%lld', 'ORCH-%lld', 't', 'acme/app', 'b%lld', '%s', datetime('now', '-%lld seconds'), "
        "datetime('now', '-%lld seconds'))",
        (long long)id, (long long)id, (long long)id, (long long)id, stage, (long long)age_s,
        (long long)age_s);
}

/* Makes the ci gate of a task answer. Texts must outlive the pass. */
static void tell_ci(const char *branch, const char *sha, enum gitea_state state)
{
    facts_head(branch, sha);
    facts_status(sha, "build", state);
}

static json_t *run_pass(struct pass_request request)
{
    return pass_scene_report(&bench, request);
}

static int64_t counted(const json_t *report, const char *what)
{
    return json_get_int(json_object_get(report, "gate"), what, -1);
}

static void assert_value(const char *expected, const char *sql)
{
    char *value = sqlite_file_value(sql);
    assert_non_null(value);
    assert_string_equal(value, expected);
    free(value);
}

static char *everything(void)
{
    return sqlite_file_value(
        "SELECT (SELECT group_concat(id || stage || updated_at || created_at, ';') FROM tasks) || '|' "
        "|| (SELECT count(*) FROM jobs) || '|' || (SELECT count(*) FROM reconcile_ledger)");
}

static const struct pass_request forced = {.trigger = TRIGGER_REQUEST}, by_timer = {.trigger = TRIGGER_TIMER},
                                 dry = {.trigger = TRIGGER_REQUEST, .dry_run = true};

/* Twelve tasks of which only the first may move. */
static void set_the_scene(void)
{
    static const struct {
        const char *branch, *sha;
        enum gitea_state state;
    } told[] = {
        {"b1", "sha1", GITEA_SUCCESS}, {"b2", "sha2", GITEA_FAILURE}, {"b3", "sha3", GITEA_ERROR},
        {"b4", "sha4", GITEA_PENDING}, {"b5", "sha5", GITEA_WARNING}, {"b7", "sha7", GITEA_SUCCESS},
        {"b8", "sha8", GITEA_SUCCESS}, {"b9", "sha9", GITEA_SUCCESS}, {"b10", "sha10", GITEA_SUCCESS}};
    for (int64_t id = 1; id <= 6; id++)
        add_task(id, "development", 4000 + id);
    for (size_t i = 0; i < ARRAY_LEN(told); i++)
        tell_ci(told[i].branch, told[i].sha, told[i].state);
    facts_head("b6", "sha6");          /* no status at all */
    add_task(7, "development", 10);    /* young */
    add_task(8, "development", 5000);  /* busy */
    add_task(9, "analysis", 5000);     /* at the human gate */
    add_task(10, "polishing", 5000);   /* an unknown stage */
    add_task(11, "development", 5000); /* its branch is not there */
    add_task(12, "done", 5000);
    sqlite_file_exec("INSERT INTO jobs (task_id, agent, status) VALUES (8, 'developer', 'running')");
}

static void exactly_the_green_tasks_move_each_with_one_job(void **state)
{
    (void)state;
    set_the_scene();
    char *others =
        sqlite_file_value("SELECT group_concat(id || stage || updated_at, ';') FROM tasks WHERE id <> 1");
    json_t *report = run_pass(forced);
    assert_int_equal(counted(report, "candidates"), 7);
    assert_int_equal(counted(report, "advanced"), 1);
    assert_int_equal(counted(report, "red"), 5);
    assert_int_equal(counted(report, "unknown"), 1);
    assert_int_equal(json_get_int(report, "unknown_stage", -1), 1);
    assert_int_equal(json_array_size(json_object_get(report, "items")), 7);
    json_decref(report);
    assert_value("review", "SELECT stage FROM tasks WHERE id = 1");
    assert_value("1",
                 "SELECT count(*) FROM jobs WHERE task_id = 1 AND agent = 'reviewer' AND status = 'queued'");
    assert_value("2", "SELECT count(*) FROM jobs");
    assert_value("1|development|review|gate|advanced",
                 "SELECT task_id || '|' || from_stage || '|' || to_stage || '|' || side || '|' || outcome "
                 "FROM reconcile_ledger");
    assert_value(others, "SELECT group_concat(id || stage || updated_at, ';') FROM tasks WHERE id <> 1");
    free(others);
}

/* The gate side once took for granted that what the query listed has a stage of the pipeline's. */
static void a_stage_in_another_case_is_unknown_whatever_the_column_says(void **state)
{
    (void)state;
    sqlite_file_exec("DROP TABLE tasks; CREATE TABLE tasks (id INTEGER PRIMARY KEY, plane_id TEXT UNIQUE,"
                     " work_item_id TEXT, title TEXT, repo TEXT, branch TEXT, stage TEXT COLLATE NOCASE,"
                     " created_at TEXT, updated_at TEXT)");
    add_task(1, "development", 4000);
    add_task(2, "Development", 4000);
    tell_ci("b1", "sha1", GITEA_SUCCESS);
    tell_ci("b2", "sha2", GITEA_SUCCESS);
    json_t *report = run_pass(forced);
    assert_int_equal(counted(report, "candidates"), 1);
    assert_int_equal(counted(report, "advanced"), 1);
    assert_int_equal(json_get_int(report, "unknown_stage", -1), 1);
    json_decref(report);
    assert_value("review,Development", "SELECT group_concat(stage) FROM tasks");
}

static void a_second_pass_does_nothing(void **state)
{
    (void)state;
    set_the_scene();
    json_decref(run_pass(forced));
    char *before = everything();
    json_t *report = run_pass(forced);
    assert_int_equal(counted(report, "advanced"), 0);
    json_decref(report);
    char *after = everything();
    assert_string_equal(before, after);
    free(before);
    free(after);
}

static void a_dry_run_says_what_would_be_and_writes_nothing(void **state)
{
    (void)state;
    set_the_scene();
    char *before = everything();
    json_t *report = run_pass(dry);
    assert_int_equal(counted(report, "advanced"), 1);
    assert_true(json_get_bool(report, "dry_run", false));
    json_decref(report);
    char *after = everything();
    assert_string_equal(before, after);
    free(before);
    free(after);
}

static void facts_that_come_late_lead_to_the_same_end(void **state)
{
    (void)state;
    set_the_scene();
    facts_late(true);
    json_t *report = run_pass(forced);
    assert_int_equal(counted(report, "advanced"), 1);
    assert_int_equal(counted(report, "red"), 5);
    assert_int_equal(counted(report, "unknown"), 1);
    json_decref(report);
}

static void move_task_1(void *arg)
{
    (void)arg;
    sqlite_file_exec("UPDATE tasks SET stage = 'deploy', updated_at = CURRENT_TIMESTAMP WHERE id = 1");
}

static void a_task_that_moved_between_reading_and_writing_is_raced(void **state)
{
    (void)state;
    add_task(1, "development", 5000);
    tell_ci("b1", "sha1", GITEA_SUCCESS);
    facts_late(true);
    facts_hook(move_task_1, NULL);
    json_t *report = run_pass(forced);
    assert_int_equal(counted(report, "raced"), 1);
    assert_int_equal(counted(report, "advanced"), 0);
    json_decref(report);
    assert_value("deploy", "SELECT stage FROM tasks WHERE id = 1");
    assert_value("0", "SELECT count(*) FROM jobs");
    assert_value("0", "SELECT count(*) FROM reconcile_ledger");
}

static void switch_off(void *arg)
{
    (void)arg;
    json_t *body = json_pack("{s:b, s:s, s:s}", "enabled", 0, "by", "ann", "reason", "deploy"),
           *document = NULL, *errors = NULL;
    assert_int_equal(policy_change(bench.store, bench.settings, bench.pipeline, body, -1, NULL, &document,
                                   &errors, &bench.why),
                     ERR_OK);
    json_decref(document);
    json_decref(body);
}

static void a_switch_thrown_in_mid_pass_holds_what_is_green_already(void **state)
{
    (void)state;
    add_task(1, "development", 5000);
    tell_ci("b1", "sha1", GITEA_SUCCESS);
    facts_late(true);
    facts_hook(switch_off, NULL);
    json_t *report = run_pass(forced);
    assert_int_equal(counted(report, "held"), 1);
    const json_t *item = json_array_get(json_object_get(report, "items"), 0);
    assert_non_null(strstr(json_get_text(item, "reason", ""), "ann"));
    json_decref(report);
    assert_value("development", "SELECT stage FROM tasks WHERE id = 1");
    assert_value("0", "SELECT count(*) FROM reconcile_ledger");
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

static void observing_reports_and_writes_nothing(void **state)
{
    (void)state;
    set_the_scene();
    change(json_pack("{s:s}", "mode", "observe"));
    char *before = everything();
    json_t *report = run_pass(forced);
    assert_int_equal(counted(report, "held"), 1);
    assert_int_equal(counted(report, "red"), 5);
    json_decref(report);
    char *after = everything();
    assert_string_equal(before, after);
    free(before);
    free(after);
}

static void the_limit_goes_to_the_oldest_and_the_rest_is_held(void **state)
{
    (void)state;
    static const char *const branches[] = {"b1", "b2", "b3", "b4", "b5"}, *const shas[] = {"s1", "s2", "s3",
                                                                                           "s4", "s5"};
    change(json_pack("{s:i}", "max_heals_per_pass", 2));
    for (int64_t id = 1; id <= 5; id++) {
        add_task(id, "development", 5000 + 100 * id); /* far apart: a second may pass between two rows */
        tell_ci(branches[id - 1], shas[id - 1], id == 5 ? GITEA_FAILURE : GITEA_SUCCESS);
    }
    facts_late(true);
    json_t *report = run_pass(forced);
    assert_int_equal(counted(report, "advanced"), 2);
    assert_int_equal(counted(report, "held"), 2);
    assert_int_equal(counted(report, "red"), 1);
    json_decref(report);
    assert_value("3,4",
                 "SELECT group_concat(id) FROM (SELECT id FROM tasks WHERE stage = 'review' ORDER BY id)");
}

static void a_row_the_database_refuses_does_not_stop_the_others(void **state)
{
    (void)state;
    sqlite_file_exec(
        "CREATE TRIGGER poison BEFORE UPDATE ON tasks WHEN old.id = 2 BEGIN SELECT RAISE(ABORT, 'no'); END");
    add_task(1, "development", 5001);
    add_task(2, "development", 5002);
    add_task(3, "development", 5000);
    tell_ci("b1", "sha1", GITEA_SUCCESS);
    tell_ci("b2", "sha2", GITEA_SUCCESS);
    tell_ci("b3", "sha3", GITEA_SUCCESS);
    log_set_level(LOG_LEVEL_ERROR);
    json_t *report = run_pass(forced);
    log_set_level(LOG_LEVEL_WARN);
    assert_int_equal(counted(report, "advanced"), 2);
    assert_int_equal(counted(report, "failed"), 1);
    json_decref(report);
}

static void a_red_task_rests_from_the_timer_but_not_from_a_request(void **state)
{
    (void)state;
    add_task(1, "development", 5000);
    tell_ci("b1", "sha1", GITEA_FAILURE);
    json_t *report = run_pass(by_timer);
    assert_int_equal(counted(report, "red"), 1);
    json_decref(report);
    report = run_pass(by_timer); /* within half an interval of the first look */
    assert_int_equal(counted(report, "candidates"), 1);
    assert_int_equal(counted(report, "resting"), 1);
    assert_int_equal(counted(report, "red"), 0);
    json_decref(report);
    report = run_pass(forced);
    assert_int_equal(counted(report, "red"), 1);
    json_decref(report);
}

static void one_task_may_be_asked_for_without_its_grace(void **state)
{
    (void)state;
    add_task(1, "development", 1);
    add_task(2, "development", 5000);
    tell_ci("b1", "sha1", GITEA_SUCCESS);
    tell_ci("b2", "sha2", GITEA_SUCCESS);
    json_t *report = run_pass((struct pass_request){.trigger = TRIGGER_REQUEST, .task_id = 1});
    assert_int_equal(counted(report, "candidates"), 0);
    json_decref(report);
    report = run_pass((struct pass_request){.trigger = TRIGGER_REQUEST, .task_id = 1, .ignore_grace = true});
    assert_int_equal(counted(report, "advanced"), 1);
    json_decref(report);
    assert_value("development", "SELECT stage FROM tasks WHERE id = 2");
}

static void a_converged_system_asks_nobody_anything(void **state)
{
    (void)state;
    add_task(1, "done", 5000);
    add_task(2, "development", 10);
    json_t *report = run_pass(by_timer);
    assert_int_equal(counted(report, "candidates"), 0);
    json_decref(report);
    assert_int_equal(facts_lookups(), 0);
}

static void a_stop_in_mid_pass_writes_nothing_more(void **state)
{
    (void)state;
    add_task(1, "development", 5000);
    tell_ci("b1", "sha1", GITEA_SUCCESS);
    bench.services.stopping = true;
    json_t *report = run_pass(forced);
    assert_string_equal(json_get_text(report, "state", ""), "interrupted");
    json_decref(report);
    assert_value("development", "SELECT stage FROM tasks WHERE id = 1");
}

/* what is counted */

static int64_t attempts(const char *outcome)
{
    return metric_read(METRIC_TRANSITIONS, outcome, NULL);
}

static int64_t heals_timed(void)
{
    return metric_read(METRIC_TIME_TO_HEAL, NULL, NULL);
}

static void an_attempt_is_counted_by_its_outcome_and_a_heal_by_its_age(void **state)
{
    (void)state;
    int64_t advanced = attempts("advanced"), failed = attempts("failed"), timed = heals_timed();
    sqlite_file_exec(
        "CREATE TRIGGER poison BEFORE UPDATE ON tasks WHEN old.id = 2 BEGIN SELECT RAISE(ABORT, 'no'); END");
    for (int64_t id = 1; id <= 3; id++)
        add_task(id, "development", 5000);
    tell_ci("b1", "sha1", GITEA_SUCCESS);
    tell_ci("b2", "sha2", GITEA_SUCCESS);
    tell_ci("b3", "sha3", GITEA_FAILURE);
    log_set_level(LOG_LEVEL_ERROR);
    json_decref(run_pass(dry)); /* counts nothing: nothing was tried */
    assert_int_equal(attempts("advanced"), advanced);
    assert_int_equal(heals_timed(), timed);
    json_decref(run_pass(forced));
    log_set_level(LOG_LEVEL_WARN);
    assert_int_equal(attempts("advanced"), advanced + 1);
    assert_int_equal(attempts("failed"), failed + 1);
    assert_int_equal(heals_timed(), timed + 1);
}

static void a_race_that_was_lost_is_an_attempt_and_what_is_held_is_none(void **state)
{
    (void)state;
    int64_t raced = attempts("raced"), advanced = attempts("advanced"), failed = attempts("failed");
    add_task(1, "development", 5000);
    tell_ci("b1", "sha1", GITEA_SUCCESS);
    facts_late(true);
    facts_hook(move_task_1, NULL);
    json_decref(run_pass(forced));
    assert_int_equal(attempts("raced"), raced + 1);
    add_task(2, "development", 5000);
    tell_ci("b2", "sha2", GITEA_SUCCESS);
    facts_hook(switch_off, NULL);
    json_t *report = run_pass(forced);
    assert_int_equal(counted(report, "held"), 1);
    json_decref(report);
    assert_int_equal(attempts("raced"), raced + 1);
    assert_int_equal(attempts("advanced"), advanced);
    assert_int_equal(attempts("failed"), failed);
}

static enum err may_run(struct pass_request request, struct policy_hold *ret_hold)
{
    *ret_hold = (struct policy_hold){.held = false};
    return pass_may_run(bench.store, bench.settings, &request, ret_hold, &bench.why);
}

static void a_pass_may_run_unless_switched_off_or_about_no_task(void **state)
{
    (void)state;
    struct policy_hold hold;
    const struct pass_request plane = {.trigger = TRIGGER_REQUEST, .side = SIDE_PLANE},
                              of_none = {.trigger = TRIGGER_REQUEST, .dry_run = true, .task_id = 9};
    assert_int_equal(may_run(forced, &hold), ERR_OK);
    assert_int_equal(may_run(of_none, &hold), ERR_NOT_FOUND);
    change(json_pack("{s:b, s:s, s:s}", "plane_enabled", 0, "by", "ann", "reason", "tidying"));
    assert_int_equal(may_run(forced, &hold), ERR_OK);
    assert_false(hold.held);
    assert_int_equal(may_run(plane, &hold), ERR_CONFLICT);
    assert_true(hold.held);
    assert_string_equal(hold.by, "ann");
    assert_string_equal(hold.reason, "tidying");
    policy_hold_done(&hold);
    sqlite_file_exec("UPDATE reconcile_settings SET overrides = '[]'");
    assert_int_equal(may_run(forced, &hold), ERR_CONFLICT);
    assert_non_null(hold.text);
    policy_hold_done(&hold);
    assert_int_equal(may_run(dry, &hold), ERR_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    log_set_level(LOG_LEVEL_WARN);
    const struct CMUnitTest tests[] = {
        TEST(exactly_the_green_tasks_move_each_with_one_job),
        TEST(a_stage_in_another_case_is_unknown_whatever_the_column_says),
        TEST(a_second_pass_does_nothing),
        TEST(a_dry_run_says_what_would_be_and_writes_nothing),
        TEST(facts_that_come_late_lead_to_the_same_end),
        TEST(a_task_that_moved_between_reading_and_writing_is_raced),
        TEST(a_switch_thrown_in_mid_pass_holds_what_is_green_already),
        TEST(observing_reports_and_writes_nothing),
        TEST(the_limit_goes_to_the_oldest_and_the_rest_is_held),
        TEST(a_row_the_database_refuses_does_not_stop_the_others),
        TEST(a_red_task_rests_from_the_timer_but_not_from_a_request),
        TEST(one_task_may_be_asked_for_without_its_grace),
        TEST(a_converged_system_asks_nobody_anything),
        TEST(a_stop_in_mid_pass_writes_nothing_more),
        TEST(an_attempt_is_counted_by_its_outcome_and_a_heal_by_its_age),
        TEST(a_race_that_was_lost_is_an_attempt_and_what_is_held_is_none),
        TEST(a_pass_may_run_unless_switched_off_or_about_no_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
