/* Readiness on a real PostgreSQL, behind a firewall that drops connections. */
#include <string.h>
#include <time.h>

#include "clients/base/limits.h"
#include "clients/base/wait.h"
#include "reconcile/readiness/probe.h"
#include "tests/support/clients/store/pg_scene.h"

#define PATIENCE_MS 10000
/* An answer is waited for as long as a statement may take, and a second; then comes a connection. */
#define RECOVERY_MS (LIMIT_STATEMENT_MS + 1000 + LIMIT_CONNECT_S * 1000 + 2 * LIMIT_PROBE_EVERY_MS)

static void await(struct probe *probe, enum err wanted, int64_t within_ms, struct why *why)
{
    const struct timespec pause = {.tv_nsec = 10 * 1000000};
    int64_t until_ms = clock_mono_ms() + within_ms;
    enum err err;
    while ((err = probe_read(probe, why)) != wanted && clock_mono_ms() < until_ms)
        nanosleep(&pause, NULL);
    assert_string_equal(err_name(err), err_name(wanted));
}

static void forgotten_connections_are_noticed_and_replaced(void **state)
{
    struct pg_scene *scene = *state;
    const struct timespec while_shut = {.tv_nsec = 50 * 1000000};
    struct pg_proxy *proxy;
    struct probe *probe;
    struct why why = {.text = ""};
    ASSERT_OK(probe_start(pg_scene_through_proxy(scene, NULL, &proxy), NULL, NULL, NULL, &probe, &why));
    await(probe, ERR_OK, PATIENCE_MS, &why);
    pg_proxy_forget(proxy);
    await(probe, ERR_TIMEOUT, LIMIT_PROBE_STALE_MS + LIMIT_PROBE_EVERY_MS, &why);
    assert_non_null(strstr(why.text, "the database has not answered for"));
    await(probe, ERR_OK, RECOVERY_MS, &why);
    /* Those too that are made while it lasts. */
    int64_t shut_until_ms = clock_mono_ms() + LIMIT_STATEMENT_MS + 2000;
    while (clock_mono_ms() < shut_until_ms) {
        pg_proxy_forget(proxy);
        nanosleep(&while_shut, NULL);
    }
    assert_int_not_equal(probe_read(probe, &why), ERR_OK);
    await(probe, ERR_OK, RECOVERY_MS, &why);
    probe_stop(probe);
    probe_free(probe);
    pg_proxy_stop(proxy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PG_SCENE_TEST(forgotten_connections_are_noticed_and_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
