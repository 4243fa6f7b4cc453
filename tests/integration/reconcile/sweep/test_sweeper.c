/* The sweeper's thread: which waiter gets which pass, what the status shows, and how it stops. A real SQLite
 * database, made-up facts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "clients/base/metric.h"
#include "clients/base/text.h"
#include "clients/plane/plane.h"
#include "clients/store/store.h"
#include "reconcile/settings/policy.h"
#include "reconcile/sweep/sweeper.h"
#include "tests/doubles/facts.h"
#include "tests/support/reconcile/sweep/pass_scene.h"
#include "tests/support/clients/store/sqlite_file.h"
#include "tests/support/clients/http/names.h"

static struct {
    struct pass_scene scene;
    struct sweeper *sweeper;
    pthread_mutex_t lock;
    pthread_cond_t answered;
    json_t *reports; /* what the waiters got */
    json_t *status;  /* the newest */
} bench;

static const char *environment_value(const char *name)
{
    return strcmp(name, "ORCH_RECONCILE_INTERVAL_S") == 0 ? "86400" : NULL;
}

static void on_change(void *arg, const json_t *status)
{
    (void)arg;
    pthread_mutex_lock(&bench.lock);
    json_decref(bench.status);
    bench.status = json_deep_copy(status);
    pthread_mutex_unlock(&bench.lock);
}

static void on_done(void *arg, const struct report *report)
{
    (void)arg;
    pthread_mutex_lock(&bench.lock);
    json_push(bench.reports, report_json(report));
    pthread_cond_broadcast(&bench.answered);
    pthread_mutex_unlock(&bench.lock);
}

static void wait_for_reports(size_t n)
{
    pthread_mutex_lock(&bench.lock);
    while (json_array_size(bench.reports) < n)
        pthread_cond_wait(&bench.answered, &bench.lock);
    pthread_mutex_unlock(&bench.lock);
}

static int set_up(void **state)
{
    (void)state;
    facts_clear();
    memset(&bench, 0, sizeof bench);
    pass_scene_open(&bench.scene, environment_value);
    assert_int_equal(plane_new(NULL, NULL, NULL, &test_names, &bench.scene.services.plane, &bench.scene.why),
                     ERR_OK);
    pthread_mutex_init(&bench.lock, NULL);
    pthread_cond_init(&bench.answered, NULL);
    bench.reports = json_array();
    bench.sweeper = sweeper_new(&bench.scene.services, on_change, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sweeper_stop(bench.sweeper);
    sweeper_free(bench.sweeper);
    plane_free(bench.scene.services.plane);
    json_decref(bench.reports);
    json_decref(bench.status);
    pass_scene_close(&bench.scene);
    return 0;
}

static void start(void)
{
    struct why why;
    assert_int_equal(sweeper_start(bench.sweeper, &why), ERR_OK);
}

static struct uuid_text request(struct pass_request wanted)
{
    struct uuid_text id;
    struct why why;
    wanted.trigger = TRIGGER_REQUEST;
    assert_int_equal(sweeper_request(bench.sweeper, &wanted, on_done, NULL, &id, &why), ERR_OK);
    return id;
}

/* What GET /reconcile/runs/{id} shows; NULL: there is no such pass. */
static json_t *found(const char *id)
{
    AUTO_FREE char *text = NULL;
    struct why why;
    enum err err = sweeper_report(bench.sweeper, id, &text, &why);
    if (err == ERR_NOT_FOUND)
        return NULL;
    assert_int_equal(err, ERR_OK);
    json_t *report = json_loads(text, 0, NULL);
    assert_non_null(report);
    return report;
}

static const char *reported(size_t at, const char *key)
{
    return json_get_text(json_array_get(bench.reports, at), key, "");
}

static void equal_requests_share_one_pass_and_others_get_their_own(void **state)
{
    (void)state;
    struct uuid_text a = request((struct pass_request){0}), b = request((struct pass_request){0}),
                     c = request((struct pass_request){.dry_run = true});
    assert_string_equal(a.s, b.s);
    assert_string_not_equal(a.s, c.s);
    json_t *queued = found(a.s);
    assert_string_equal(json_get_text(queued, "state", ""), "queued");
    json_decref(queued);
    start();
    wait_for_reports(3);
    assert_string_equal(reported(0, "id"), a.s);
    assert_string_equal(reported(1, "id"), a.s);
    assert_string_equal(reported(2, "id"), c.s);
    assert_string_equal(reported(0, "state"), "done");
}

static void the_status_follows_a_heal(void **state)
{
    (void)state;
    sqlite_file_exec(
        "INSERT INTO tasks (id, plane_id, work_item_id, title, repo, branch, stage, updated_at) VALUES "
        "(1, 'p', 'ORCH-44', 't', 'acme/app', 'b', 'development', datetime('now', '-1 hour'))");
    facts_head("b", "sha");
    facts_status("sha", "build", GITEA_SUCCESS);
    pthread_mutex_lock(&bench.lock);
    assert_true(json_is_null(json_object_get(bench.status, "last_run_ts")));
    assert_int_equal(json_get_int(bench.status, "unblocked_total", -1), 0);
    pthread_mutex_unlock(&bench.lock);
    request((struct pass_request){0});
    start();
    wait_for_reports(1);
    pthread_mutex_lock(&bench.lock);
    assert_true(json_is_real(json_object_get(bench.status, "last_run_ts")));
    assert_int_equal(json_get_int(bench.status, "unblocked_total", -1), 1);
    assert_string_equal(json_get_text(bench.status, "last_unblocked", ""), "ORCH-44");
    assert_int_equal(json_get_int(json_object_get(bench.status, "stuck"), "count", -1), 0);
    assert_false(json_get_bool(bench.status, "running", true));
    pthread_mutex_unlock(&bench.lock);
    char *kept = NULL;
    struct why why;
    assert_int_equal(store_pass_get(bench.scene.store, reported(0, "id"), &kept, &why), ERR_OK);
    free(kept);
}

static void a_report_that_is_stored_is_not_in_memory_too(void **state)
{
    (void)state;
    struct uuid_text forced = request((struct pass_request){0}),
                     dry = request((struct pass_request){.dry_run = true});
    start();
    wait_for_reports(2);
    for (int i = 0; i < 2; i++) {
        json_t *report = found(i == 0 ? forced.s : dry.s);
        assert_true(json_equal(report, json_array_get(bench.reports, (size_t)i)));
        json_decref(report);
    }
    sqlite_file_exec("DELETE FROM reconcile_passes");
    assert_null(found(forced.s));
    json_t *kept = found(dry.s);
    assert_non_null(kept);
    json_decref(kept);
}

static json_t *seen_at_the_end;

static void look_when_it_is_over(void *arg, const struct report *report)
{
    seen_at_the_end = found(report->id.s);
    on_done(arg, report);
}

static void a_pass_is_over_for_all_when_its_waiters_are_called(void **state)
{
    (void)state;
    struct uuid_text id;
    struct why why;
    const struct pass_request wanted = {.trigger = TRIGGER_REQUEST};
    assert_int_equal(sweeper_request(bench.sweeper, &wanted, look_when_it_is_over, NULL, &id, &why), ERR_OK);
    start();
    wait_for_reports(1);
    assert_string_equal(json_get_text(seen_at_the_end, "state", ""), "done");
    json_decref(seen_at_the_end);
}

static void a_changed_switch_shows_at_once(void **state)
{
    (void)state;
    struct why why;
    struct policy *policy = NULL;
    json_t *body = json_pack("{s:b, s:s}", "enabled", 0, "by", "ann"), *document = NULL, *errors = NULL;
    assert_int_equal(policy_change(bench.scene.store, bench.scene.settings, bench.scene.pipeline, body, -1,
                                   &policy, &document, &errors, &why),
                     ERR_OK);
    sqlite_file_exec("DROP TABLE reconcile_settings"); /* it need not be read again for that */
    sweeper_wake(bench.sweeper, policy);
    policy_free(policy);
    pthread_mutex_lock(&bench.lock);
    assert_false(json_get_bool(bench.status, "enabled", true));
    assert_string_equal(json_get_text(json_object_get(bench.status, "pause"), "by", ""), "ann");
    pthread_mutex_unlock(&bench.lock);
    json_decref(document);
    json_decref(body);
}

static void a_stop_tells_everybody_who_waits(void **state)
{
    (void)state;
    request((struct pass_request){0});
    request((struct pass_request){.dry_run = true});
    start();
    sweeper_stop(bench.sweeper);
    assert_int_equal(json_array_size(bench.reports), 2);
    struct uuid_text id;
    struct why why;
    const struct pass_request late = {.trigger = TRIGGER_REQUEST};
    assert_int_equal(sweeper_request(bench.sweeper, &late, NULL, NULL, &id, &why), ERR_UNAVAILABLE);
}

static json_t *seen_running;

static void look_at_the_running_pass(void *arg)
{
    seen_running = found(arg);
}

static void a_running_pass_shows_what_was_asked(void **state)
{
    (void)state;
    struct uuid_text id = request((struct pass_request){.dry_run = true, .side = SIDE_GATE});
    sqlite_file_exec(
        "INSERT INTO tasks (id, plane_id, work_item_id, title, repo, branch, stage, updated_at) VALUES "
        "(1, 'p', 'ORCH-44', 't', 'acme/app', 'b', 'development', datetime('now', '-1 hour'))");
    facts_hook(look_at_the_running_pass, id.s);
    start();
    wait_for_reports(1);
    assert_string_equal(json_get_text(seen_running, "state", ""), "running");
    assert_string_equal(json_get_text(seen_running, "trigger", ""), "request");
    assert_string_equal(json_get_text(seen_running, "side", ""), "gate");
    assert_true(json_get_bool(seen_running, "dry_run", false));
    json_decref(seen_running);
}

static void too_many_distinct_requests_are_refused(void **state)
{
    (void)state;
    struct uuid_text id;
    struct why why;
    for (int i = 1; i <= 64; i++)
        request((struct pass_request){.task_id = i});
    const struct pass_request one_more = {.trigger = TRIGGER_REQUEST, .task_id = 65};
    assert_int_equal(sweeper_request(bench.sweeper, &one_more, NULL, NULL, &id, &why), ERR_UNAVAILABLE);
    start();
    wait_for_reports(64);
}

static void idle_is_alive(void **state)
{
    (void)state;
    struct why why;
    assert_true(sweeper_alive(bench.sweeper, clock_mono_ms(), &why));
    request((struct pass_request){0});
    start();
    wait_for_reports(1);
    assert_true(sweeper_alive(bench.sweeper, clock_mono_ms(), &why));
    assert_true(sweeper_alive(bench.sweeper, clock_mono_ms() + LIMIT_PASS_MS, &why));
}

/* How a pass under way looks after as long as it may take, and after twice that. */
static struct {
    bool alive, alive_later;
    struct why why;
} seen_late;

static void look_late(void *arg)
{
    (void)arg;
    int64_t end_ms = clock_mono_ms() + LIMIT_PASS_MS;
    seen_late.alive = sweeper_alive(bench.sweeper, end_ms, &seen_late.why);
    seen_late.alive_later = sweeper_alive(bench.sweeper, end_ms + LIMIT_PASS_MS, &seen_late.why);
}

static void a_pass_that_takes_far_too_long_is_no_life(void **state)
{
    (void)state;
    sqlite_file_exec(
        "INSERT INTO tasks (id, plane_id, work_item_id, title, repo, branch, stage, updated_at) VALUES "
        "(1, 'p', 'ORCH-44', 't', 'acme/app', 'b', 'development', datetime('now', '-1 hour'))");
    facts_hook(look_late, NULL);
    request((struct pass_request){0});
    start();
    wait_for_reports(1);
    assert_true(seen_late.alive);
    assert_false(seen_late.alive_later);
    assert_non_null(strstr(seen_late.why.text, "has been running for"));
}

static void a_pass_that_is_far_overdue_is_no_life(void **state)
{
    (void)state;
    struct why why;
    request((struct pass_request){0});
    start();
    wait_for_reports(1);
    int64_t next_ms = clock_mono_ms() + (int64_t)86400 * 1000 * 11 / 10;
    assert_false(sweeper_alive(bench.sweeper, next_ms + 2 * LIMIT_PASS_MS, &why));
    assert_non_null(strstr(why.text, "a pass is overdue by"));
}

/* Stopped by a signal, or suspended with its machine: nothing ran meanwhile, the sweeper neither. */
static void a_pass_is_not_late_because_the_process_did_not_run(void **state)
{
    (void)state;
    struct why why;
    request((struct pass_request){0});
    start();
    wait_for_reports(1);
    int64_t now_ms = clock_mono_ms(), again_ms = now_ms + (int64_t)86400 * 1000 * 11 / 10 + LIMIT_PASS_MS;
    sweeper_tick(bench.sweeper, now_ms);
    assert_true(sweeper_alive(bench.sweeper, again_ms, &why));
    sweeper_tick(bench.sweeper, again_ms);
    assert_true(sweeper_alive(bench.sweeper, again_ms + 1000, &why));
    for (int64_t ms = 0; ms <= 61000; ms += 1000)
        sweeper_tick(bench.sweeper, again_ms + ms);
    assert_false(sweeper_alive(bench.sweeper, again_ms + 61000, &why));
}

static void the_gauges_and_counters_follow_the_passes(void **state)
{
    (void)state;
    int64_t done = metric_read(METRIC_PASSES, "request", "done"),
            failed = metric_read(METRIC_PASSES, "request", "failed"),
            timed = metric_read(METRIC_PASS_DURATION, NULL, NULL);
    sqlite_file_exec(
        "INSERT INTO tasks (id, plane_id, work_item_id, title, repo, branch, stage, updated_at) VALUES "
        "(1, 'p', 'ORCH-1', 't', 'acme/app', 'b', 'development', datetime('now', '-1 hour')),"
        "(2, 'q', 'ORCH-2', 't', 'acme/app', 'c', 'polishing', datetime('now', '-1 hour'))");
    facts_head("b", "sha");
    facts_status("sha", "build", GITEA_FAILURE);
    request((struct pass_request){0});
    start();
    wait_for_reports(1);
    assert_int_equal(metric_read(METRIC_PASSES, "request", "done"), done + 1);
    assert_int_equal(metric_read(METRIC_STUCK_TASKS, NULL, NULL), 1);
    assert_true(metric_read(METRIC_STUCK_OLDEST_AGE, NULL, NULL) >= 3600);
    assert_int_equal(metric_read(METRIC_UNKNOWN_STAGE_TASKS, NULL, NULL), 1);
    assert_true(metric_read(METRIC_LAST_PASS, NULL, NULL) > 0);
    assert_int_equal(metric_read(METRIC_PASS_INTERVAL, NULL, NULL), 86400);
    assert_int_equal(metric_read(METRIC_DATABASE_UP, NULL, NULL), 1);
    log_set_level((enum log_level) - 1); /* what goes wrong is meant to */
    sqlite_file_exec("DROP TABLE reconcile_settings");
    request((struct pass_request){.task_id = 1});
    wait_for_reports(2);
    assert_int_equal(metric_read(METRIC_DATABASE_UP, NULL, NULL), 0);
    request((struct pass_request){.task_id = 2}); /* looks at the settings first, and cannot */
    wait_for_reports(3);
    log_set_level(LOG_LEVEL_WARN);
    assert_int_equal(metric_read(METRIC_PASSES, "request", "failed"), failed + 2);
    assert_int_equal(metric_read(METRIC_PASS_DURATION, NULL, NULL),
                     timed + 2); /* the third had no beginning */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    log_set_level(LOG_LEVEL_WARN);
    const struct CMUnitTest tests[] = {
        TEST(equal_requests_share_one_pass_and_others_get_their_own),
        TEST(the_status_follows_a_heal),
        TEST(a_report_that_is_stored_is_not_in_memory_too),
        TEST(a_pass_is_over_for_all_when_its_waiters_are_called),
        TEST(a_changed_switch_shows_at_once),
        TEST(a_stop_tells_everybody_who_waits),
        TEST(a_running_pass_shows_what_was_asked),
        TEST(too_many_distinct_requests_are_refused),
        TEST(idle_is_alive),
        TEST(a_pass_that_takes_far_too_long_is_no_life),
        TEST(a_pass_that_is_far_overdue_is_no_life),
        TEST(a_pass_is_not_late_because_the_process_did_not_run),
        TEST(the_gauges_and_counters_follow_the_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
