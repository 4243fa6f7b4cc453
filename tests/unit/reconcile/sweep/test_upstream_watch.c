/* When an upstream counts as failing in the log, and how often that is logged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "clients/base/log.h"
#include "clients/http/upstream_health.h"
#include "reconcile/sweep/upstream_watch.h"
#include "tests/support/clients/base/log_pipe.h"

enum { NOW = 1000000, PASS_MS = 60000 };

static struct {
    struct upstream_health *health;
    struct upstream_watch watch;
    int ends[2];
    int64_t now_ms;
} bench;

static int set_up(void **state)
{
    (void)state;
    log_pipe_open(bench.ends);
    bench.health = upstream_health_new();
    bench.watch = (struct upstream_watch){.name = "gitea", .health = bench.health};
    bench.now_ms = NOW;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    log_pipe_close(bench.ends);
    upstream_health_free(bench.health);
    return 0;
}

static void fail_calls(const char *part, int n)
{
    for (int i = 0; i < n; i++)
        (void)upstream_health_record(bench.health, part, UPSTREAM_FAILED, "answered 502", bench.now_ms);
}

static void succeed(const char *part)
{
    (void)upstream_health_record(bench.health, part, UPSTREAM_WORKED, NULL, bench.now_ms);
}

/* The end of a pass: what it logged must hold `words`; NULL: nothing. */
static void assert_logs(const char *words)
{
    char line[1024] = "";
    log_info("mark");
    upstream_watch_look(&bench.watch, 31, bench.now_ms);
    ssize_t n = read(bench.ends[0], line, sizeof line - 1);
    assert_true(n > 0);
    line[n] = '\0';
    const char *rest = strchr(line, '\n') + 1;
    if (!words)
        assert_string_equal(rest, "");
    else
        assert_non_null(strstr(rest, words));
    bench.now_ms += PASS_MS / 2;
}

static void an_outage_is_two_lines(void **state)
{
    (void)state;
    fail_calls("acme/app", (int)UPSTREAM_FAILURES_IN_A_ROW);
    assert_logs("level=warn msg=\"an upstream fails\" upstream=gitea tasks=31 reason=\"answered 502\"\n");
    fail_calls("acme/app", 1);
    assert_logs(NULL);
    succeed("acme/app");
    assert_logs("level=info msg=\"an upstream answers again\" upstream=gitea failed_s=60\n");
    assert_logs(NULL);
}

static void a_single_failure_is_logged_if_the_next_pass_fails_too(void **state)
{
    (void)state;
    fail_calls("acme/app", 1);
    assert_logs(NULL);
    succeed("acme/app");
    assert_logs(NULL);
    fail_calls("acme/app", 1);
    assert_logs(NULL);
    fail_calls("acme/app", 1);
    assert_logs("an upstream fails");
}

static void a_repository_that_fails_beside_others_is_not_the_upstream(void **state)
{
    (void)state;
    succeed("acme/well");
    fail_calls("acme/bad", 3 * (int)UPSTREAM_FAILURES_IN_A_ROW);
    assert_logs(NULL);
    succeed("acme/well");
    fail_calls("acme/bad", 1);
    assert_logs(NULL);
}

static void what_is_not_configured_is_never_logged(void **state)
{
    (void)state;
    bench.watch.health = NULL;
    assert_logs(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_outage_is_two_lines),
        TEST(a_single_failure_is_logged_if_the_next_pass_fails_too),
        TEST(a_repository_that_fails_beside_others_is_not_the_upstream),
        TEST(what_is_not_configured_is_never_logged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
