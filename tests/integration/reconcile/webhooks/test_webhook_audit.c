/* The webhook audit: when it checks, and which changes it logs. A scripted Gitea, a real query pool and a
 * real SQLite database. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "clients/base/text.h"
#include "clients/plane/plane.h"
#include "reconcile/sweep/query_pool.h"
#include "reconcile/sweep/status.h"
#include "reconcile/webhooks/webhook_audit.h"
#include "tests/support/clients/http/names.h"
#include "tests/support/clients/gitea/gitea_scene.h"
#include "tests/support/reconcile/sweep/pass_scene.h"

#define HOOKS API "/hooks?limit=50&page=1"
#define EVERY_MS (LIMIT_WEBHOOKS_EVERY_S * INT64_C(1000))

static struct {
    struct pass_scene pass;
    struct scene *gitea;
    struct query_pool *query_pool;
    struct status *status;
    struct webhook_audit *audit;
    sem_t checked; /* posted for each result */
    int64_t now_ms;
    int log[2];
} bench;

static const char *environment_value(const char *name)
{
    return strcmp(name, "ORCH_PROJECTS_JSON") == 0 ? "[{\"repo\":\"" REPO "\"}]" : NULL;
}

static void on_change(void *arg, const json_t *status)
{
    (void)arg;
    (void)status;
    sem_post(&bench.checked);
}

static int set_up(void **state)
{
    struct services *services = &bench.pass.services;
    assert_int_equal(scene_open(state), 0);
    bench.gitea = *state;
    pass_scene_open(&bench.pass, environment_value);
    assert_int_equal(plane_new(NULL, NULL, NULL, &test_names, &services->plane, NULL), ERR_OK);
    services->gitea = bench.gitea->gitea;
    services->fetch = bench.gitea->fetch;
    sem_init(&bench.checked, 0, 0);
    bench.now_ms = clock_mono_ms();
    bench.status = status_new(services, on_change, NULL);
    assert_int_equal(query_pool_start(services->fetch, PATIENCE_MS, &bench.query_pool, NULL), ERR_OK);
    bench.audit = webhook_audit_new(services, bench.query_pool, bench.status, NULL);
    script_server_on(bench.gitea->server, "/api/v1/orgs/acme/hooks?limit=50&page=1",
                     &(struct script_reply){.status = 200, .body = "[]"});
    script_server_on(bench.gitea->server, "/api/v1/admin/hooks?limit=50&page=1",
                     &(struct script_reply){.status = 200, .body = "[]"});
    assert_int_equal(pipe(bench.log), 0);
    log_set_fd(bench.log[1]);
    return 0;
}

static int tear_down(void **state)
{
    log_set_fd(STDERR_FILENO);
    close(bench.log[0]);
    close(bench.log[1]);
    query_pool_stop(bench.query_pool);
    webhook_audit_free(bench.audit);
    query_pool_free(bench.query_pool);
    status_free(bench.status);
    sem_destroy(&bench.checked);
    plane_free(bench.pass.services.plane);
    pass_scene_close(&bench.pass);
    return scene_close(state);
}

static void answers(int status, const char *body)
{
    script_server_on(
        bench.gitea->server, HOOKS,
        &(struct script_reply){.status = status, .headers = "X-Total-Count: 1\r\n", .body = body});
}

static size_t requests(void)
{
    return script_server_count(bench.gitea->server, HOOKS);
}

/* Ticks until a check has ended. The one before may not have noted its end yet, so one tick may not do. */
static void check_at(int64_t now_ms)
{
    const struct timespec nap = {.tv_nsec = 1000000};
    bench.now_ms = now_ms;
    while (sem_trywait(&bench.checked) != 0) {
        webhook_audit_tick(bench.audit, now_ms);
        (void)nanosleep(&nap, NULL);
    }
}

static void check_next(void)
{
    check_at(bench.now_ms + EVERY_MS + PATIENCE_MS);
}

/* What was logged since the last call. */
static const char *logged(void)
{
    static char text[4096];
    const char end[] = "end";
    assert_int_equal(write(bench.log[1], end, sizeof end), sizeof end);
    ssize_t n = read(bench.log[0], text, sizeof text);
    assert_true(n > 0 && text[n - 1] == '\0');
    return text;
}

#define HOOK(active)                                                                        \
    "[{\"id\":1,\"active\":" active ",\"config\":{\"url\":\"https://orchestrator.test/\"}," \
    "\"events\":[\"push\",\"status\",\"pull_request\",\"pull_request_review\"]}]"

static const char none[] = "[]", complete[] = HOOK("true"), inactive[] = HOOK("false");

static void it_checks_at_once_and_then_at_its_interval(void **state)
{
    (void)state;
    answers(200, complete);
    check_at(bench.now_ms);
    webhook_audit_tick(bench.audit, bench.now_ms + EVERY_MS / 2);
    check_next();
    assert_int_equal(requests(), 2);
    assert_string_equal(logged(), "end");
}

static void only_one_check_is_under_way(void **state)
{
    (void)state;
    script_server_on(bench.gitea->server, HOOKS,
                     &(struct script_reply){.act = SCRIPT_HANG, .body = complete});
    webhook_audit_tick(bench.audit, bench.now_ms);
    script_server_wait(bench.gitea->server, 1);
    for (int i = 1; i < 4; i++)
        webhook_audit_tick(bench.audit, bench.now_ms + i * 2 * EVERY_MS);
    script_server_release(bench.gitea->server);
    sem_wait(&bench.checked);
    assert_int_equal(requests(), 1);
}

static void each_change_of_a_webhook_is_logged_once(void **state)
{
    (void)state;
    answers(200, none);
    answers(200, inactive);
    answers(200, complete);
    check_at(bench.now_ms);
    const char *text = logged();
    assert_non_null(strstr(text, "level=warn"));
    assert_non_null(strstr(text, "repo=" REPO " state=missing"));
    check_next();
    assert_non_null(strstr(logged(), "repo=" REPO " state=inactive"));
    check_next();
    text = logged();
    assert_non_null(strstr(text, "level=info"));
    assert_non_null(strstr(text, "repo=" REPO));
    check_next();
    assert_string_equal(logged(), "end");
}

static void a_gitea_without_the_event_status_is_logged_once(void **state)
{
    (void)state;
    static const char without[] =
        "[{\"id\":1,\"active\":true,\"config\":{\"url\":\"https://orchestrator.test/\"},"
        "\"events\":[\"push\",\"pull_request\",\"pull_request_review\"]}]";
    script_server_on(bench.gitea->server, "/api/v1/version",
                     &(struct script_reply){.status = 200, .body = "{\"version\":\"1.22.6\"}"});
    answers(200, without);
    check_at(bench.now_ms);
    const char *text = logged();
    assert_non_null(strstr(text, "level=info"));
    assert_non_null(strstr(text, "version=1.22.6"));
    assert_null(strstr(text, "level=warn"));
    check_next();
    assert_string_equal(logged(), "end");
}

static void a_webhook_that_cannot_be_read_has_not_changed(void **state)
{
    (void)state;
    answers(200, none);
    answers(403, "{}");
    answers(200, none);
    check_at(bench.now_ms);
    assert_non_null(strstr(logged(), "state=missing"));
    check_next();
    assert_string_equal(logged(), "end");
    check_next();
    assert_string_equal(logged(), "end");
    assert_int_equal(requests(), 3);
}

/* Queries of people that wait for a branch. */
static const void *wait_for_branch(void *arg, struct facts *facts)
{
    (void)arg;
    const struct gitea_head *head = gitea_head(facts, bench.gitea->gitea, REPO, "slow");
    return head->fact.state == FACT_PENDING ? NULL : head;
}

static void keep(void *arg)
{
    (void)arg;
}

static void on_branch(void *arg, const void *answer)
{
    (void)answer;
    sem_post(arg);
}

static void a_check_that_finds_the_query_pool_full_is_made_up_for_soon(void **state)
{
    (void)state;
    static const struct query_ops ops = {.look = wait_for_branch, .free = keep};
    sem_t done;
    sem_init(&done, 0, 0);
    answers(200, complete);
    script_server_on(bench.gitea->server, API "/branches/slow",
                     &(struct script_reply){.act = SCRIPT_HANG, .status = 404, .body = SCRIPT_GITEA_MISSING});
    for (size_t i = 0; i < LIMIT_QUERIES; i++)
        assert_int_equal(query_pool_ask(bench.query_pool, NULL, &ops, NULL, on_branch, &done, NULL), ERR_OK);
    webhook_audit_tick(bench.audit, bench.now_ms);
    script_server_release(bench.gitea->server);
    for (size_t i = 0; i < LIMIT_QUERIES; i++)
        sem_wait(&done);
    sem_destroy(&done);
    assert_int_equal(requests(), 0);
    check_at(bench.now_ms + 1000);
    assert_int_equal(requests(), 1);
}

static void a_check_that_a_stop_cuts_short_is_no_result(void **state)
{
    (void)state;
    static const struct query_ops ops = {.look = wait_for_branch, .free = keep};
    sem_t done;
    sem_init(&done, 0, 0);
    script_server_on(bench.gitea->server, HOOKS,
                     &(struct script_reply){.act = SCRIPT_HANG, .body = complete});
    webhook_audit_tick(bench.audit, bench.now_ms);
    script_server_wait(bench.gitea->server, 1);
    atomic_store(&bench.pass.services.stopping, true);
    fetch_stop(bench.gitea->fetch);
    for (int i = 0; i < 20; i++) { /* time for the check to end */
        assert_int_equal(query_pool_ask(bench.query_pool, NULL, &ops, NULL, on_branch, &done, NULL), ERR_OK);
        sem_wait(&done);
    }
    sem_destroy(&done);
    query_pool_stop(bench.query_pool);
    assert_int_not_equal(sem_trywait(&bench.checked), 0);
    assert_string_equal(logged(), "end");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    gitea_scene_prepare();
    const struct CMUnitTest tests[] = {
        TEST(it_checks_at_once_and_then_at_its_interval),
        TEST(only_one_check_is_under_way),
        TEST(each_change_of_a_webhook_is_logged_once),
        TEST(a_gitea_without_the_event_status_is_logged_once),
        TEST(a_webhook_that_cannot_be_read_has_not_changed),
        TEST(a_check_that_a_stop_cuts_short_is_no_result),
        TEST(a_check_that_finds_the_query_pool_full_is_made_up_for_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
