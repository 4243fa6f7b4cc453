/* Whose event was lost, of every gate of the built-in pipeline and of several gates together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "reconcile/pipeline/gate_event.h"
#include "reconcile/pipeline/pipeline.h"

static void assert_missed(enum pass_side side, const struct stage *stage, const char *source,
                          const char *event)
{
    struct lost_event missed;
    missed_event(side, stage, &missed);
    if (source)
        assert_string_equal(missed.source, source);
    else
        assert_null(missed.source);
    assert_string_equal(missed.event, event);
}

static void the_gate_names_the_event(void **state)
{
    (void)state;
    static const struct {
        const char *stage, *event;
    } expected[] = {{"architecture", "push"},
                    {"development", "status"},
                    {"review", "pull_request_approved"},
                    {"testing", "status"},
                    {"deploy", "pull_request"}};
    json_t *problems = json_array();
    struct pipeline *pipeline = NULL;
    assert_int_equal(pipeline_load_file(NULL, &pipeline, problems), ERR_OK);
    for (size_t i = 0; i < ARRAY_LEN(expected); i++)
        assert_missed(SIDE_GATE, pipeline_stage(pipeline, expected[i].stage), "gitea", expected[i].event);
    pipeline_free(pipeline);
    json_decref(problems);
}

static void a_verdict_of_plane_is_an_updated_issue(void **state)
{
    (void)state;
    const struct gate human = {.kind = GATE_HUMAN};
    const struct stage stage = {.name = "analysis", .gates = &human, .n_gates = 1};
    assert_missed(SIDE_PLANE, &stage, "plane", "issue.updated");
    assert_missed(SIDE_PLANE, NULL, "plane", "issue.updated");
}

static void nobody_sends_an_event_for_a_gate_of_the_orchestrators_own(void **state)
{
    (void)state;
    const struct gate http = {.kind = GATE_HTTP};
    const struct stage stage = {.name = "ship", .gates = &http, .n_gates = 1};
    assert_missed(SIDE_GATE, &stage, NULL, "");
    assert_missed(SIDE_GATE, NULL, NULL, "");
}

static void several_gates_name_each_event_once_in_their_order(void **state)
{
    (void)state;
    const struct gate gates[] = {{.kind = GATE_REVIEW}, {.kind = GATE_HTTP},   {.kind = GATE_CI},
                                 {.kind = GATE_CI},     {.kind = GATE_MERGED}, {.kind = GATE_FILES},
                                 {.kind = GATE_REVIEW}};
    struct stage stage = {.name = "all", .gates = gates, .n_gates = 4};
    assert_missed(SIDE_GATE, &stage, "gitea", "pull_request_approved+status");
    stage.n_gates = ARRAY_LEN(gates);
    assert_missed(SIDE_GATE, &stage, "gitea", "pull_request_approved+status+pull_request+push");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_gate_names_the_event),
        cmocka_unit_test(a_verdict_of_plane_is_an_updated_issue),
        cmocka_unit_test(nobody_sends_an_event_for_a_gate_of_the_orchestrators_own),
        cmocka_unit_test(several_gates_name_each_event_once_in_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
