/* Failed authentications: one line a minute per address, in bounded memory. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "clients/base/metric.h"
#include "server/auth_failures.h"
#include "tests/support/test.h"

static int64_t now_ms = 1000;
static int channel[2];
static struct auth_failures *failures;

static int64_t clock_ms(void)
{
    return now_ms;
}

static int set_up(void **state __attribute__((unused)))
{
    failures = auth_failures_new(clock_ms);
    if (pipe(channel) != 0)
        return -1;
    log_set_fd(channel[1]);
    return 0;
}

static int tear_down(void **state __attribute__((unused)))
{
    log_set_fd(STDERR_FILENO);
    auth_failures_free(failures);
    close(channel[0]);
    close(channel[1]);
    return 0;
}

static void fail_from(const char *text, bool wrong)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    assert_int_equal(inet_pton(AF_INET, text, &address.sin_addr), 1);
    auth_failures_note(failures, (const struct sockaddr *)(const void *)&address, wrong);
}

/* What was logged since the last call. */
static const char *logged(void)
{
    static char text[8192];
    const char end[] = "end";
    assert_int_equal(write(channel[1], end, sizeof end), sizeof end);
    assert_true(read(channel[0], text, sizeof text) > 0);
    return text;
}

TEST_WITH(an_address_is_logged_at_once_and_then_once_a_minute_with_its_count, set_up, tear_down)
{
    fail_from("192.0.2.1", true);
    assert_non_null(strstr(logged(), "address=192.0.2.1 count=1"));
    for (int i = 0; i < 500; i++)
        fail_from("192.0.2.1", i % 2 == 0);
    fail_from("192.0.2.2", true);
    const char *text = logged();
    assert_null(strstr(text, "192.0.2.1 "));
    assert_non_null(strstr(text, "address=192.0.2.2 count=1"));
    now_ms += LIMIT_AUTH_LOG_MS - 1;
    auth_failures_tick(failures);
    assert_string_equal(logged(), "end");
    now_ms += 1;
    auth_failures_tick(failures);
    text = logged();
    assert_non_null(strstr(text, "address=192.0.2.1 count=500"));
    assert_null(strstr(text, "192.0.2.2"));
    now_ms += LIMIT_AUTH_LOG_MS;
    auth_failures_tick(failures);
    assert_string_equal(logged(), "end");
}

TEST_WITH(addresses_beyond_those_that_find_room_are_counted_together, set_up, tear_down)
{
    char text[32];
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "198.51.%d.%d", i / 250, i % 250);
        fail_from(text, true);
    }
    const char *lines = logged();
    size_t n = 0;
    for (const char *at = lines; (at = strstr(at, "authentication failed")); at++)
        n++;
    assert_int_equal(n, AUTH_FAILURES_ADDRESSES + 1);
    now_ms += LIMIT_AUTH_LOG_MS;
    auth_failures_tick(failures);
    snprintf(text, sizeof text, "address=others count=%d", 1000 - AUTH_FAILURES_ADDRESSES - 1);
    assert_non_null(strstr(logged(), text));
    now_ms += LIMIT_AUTH_LOG_MS;
    auth_failures_tick(failures); /* all are quiet: there is room again */
    fail_from("203.0.113.9", true);
    assert_non_null(strstr(logged(), "address=203.0.113.9 count=1"));
}

TEST_WITH(failures_are_counted_by_their_reason, set_up, tear_down)
{
    int64_t wrong = metric_read(METRIC_HTTP_AUTH_FAILURES, "wrong", NULL);
    int64_t missing = metric_read(METRIC_HTTP_AUTH_FAILURES, "missing", NULL);
    fail_from("192.0.2.1", true);
    fail_from("192.0.2.1", false);
    auth_failures_note(failures, NULL, false);
    assert_non_null(strstr(logged(), "address=unknown"));
    assert_int_equal(metric_read(METRIC_HTTP_AUTH_FAILURES, "wrong", NULL) - wrong, 1);
    assert_int_equal(metric_read(METRIC_HTTP_AUTH_FAILURES, "missing", NULL) - missing, 2);
}
