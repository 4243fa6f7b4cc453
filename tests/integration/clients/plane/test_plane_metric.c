/* What Plane's client counts: calls put off because the budget is used up, and whether Plane answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clients/base/limits.h"
#include "clients/base/metric.h"
#include "tests/support/clients/plane/plane_scene.h"

static enum plane_result ask(struct plane_scene *scene)
{
    struct plane_states states;
    enum plane_result result = plane_states(&scene->call, PROJECT, &states, &scene->why);
    if (result == PLANE_OK)
        plane_states_done(&states);
    return result;
}

static void a_call_put_off_is_counted_and_plane_is_up_all_the_same(void **state)
{
    struct plane_scene *scene = *state;
    int64_t before = metric_read(METRIC_PLANE_DEFERRED_CALLS, NULL, NULL);
    int64_t sent = metric_read(METRIC_UPSTREAM_REQUESTS, "plane", "2xx");
    for (unsigned i = 0; i < LIMIT_PLANE_CALLS; i++) /* nothing kept back: asked for */
        assert_int_equal(ask(scene), PLANE_OK);
    assert_int_equal(metric_read(METRIC_PLANE_DEFERRED_CALLS, NULL, NULL), before);
    assert_int_equal(ask(scene), PLANE_WAITING);
    assert_int_equal(metric_read(METRIC_PLANE_DEFERRED_CALLS, NULL, NULL), before + 1);
    assert_int_equal(metric_read(METRIC_UPSTREAM_REQUESTS, "plane", "2xx"), sent + LIMIT_PLANE_CALLS);
    assert_int_equal(metric_read(METRIC_UPSTREAM_UP, "plane", NULL), 1);
}

static void plane_is_down_until_it_answers_again(void **state)
{
    struct plane_scene *scene = *state;
    assert_int_equal(ask(scene), PLANE_OK);
    sandbox_tell(scene->sandbox, "faults", "{'path':'/plane/*','kind':'status','status':500,'count':1}");
    assert_int_equal(ask(scene), PLANE_DOWN);
    assert_int_equal(metric_read(METRIC_UPSTREAM_UP, "plane", NULL), 0);
    assert_int_equal(ask(scene), PLANE_OK);
    assert_int_equal(metric_read(METRIC_UPSTREAM_UP, "plane", NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SANDBOX(a_call_put_off_is_counted_and_plane_is_up_all_the_same),
        IN_SANDBOX(plane_is_down_until_it_answers_again),
    };
    plane_scene_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
