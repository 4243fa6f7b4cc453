/* Whose event was lost, of every gate of the built-in pipeline and of several gates together. */
#include "reconcile/pipeline/gate_event.h"
#include "reconcile/pipeline/pipeline.h"
#include "tests/support/test.h"

static void assert_lost(enum pass_side side, const struct stage *stage, const char *source, const char *event)
{
    struct lost_event lost;
    lost_event_of(side, stage, &lost);
    if (source)
        assert_string_equal(lost.source, source);
    else
        assert_null(lost.source);
    assert_string_equal(lost.event, event);
}

TEST(the_gate_names_the_event)
{
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
        assert_lost(SIDE_GATE, pipeline_stage(pipeline, expected[i].stage), "gitea", expected[i].event);
    pipeline_free(pipeline);
    json_decref(problems);
}

TEST(a_verdict_of_plane_is_an_updated_issue)
{
    const struct gate human = {.kind = GATE_HUMAN};
    const struct stage stage = {.name = "analysis", .gates = &human, .n_gates = 1};
    assert_lost(SIDE_PLANE, &stage, "plane", "issue.updated");
    assert_lost(SIDE_PLANE, NULL, "plane", "issue.updated");
}

TEST(nobody_sends_an_event_for_a_gate_of_the_orchestrators_own)
{
    const struct gate http = {.kind = GATE_HTTP};
    const struct stage stage = {.name = "ship", .gates = &http, .n_gates = 1};
    assert_lost(SIDE_GATE, &stage, NULL, "");
    assert_lost(SIDE_GATE, NULL, NULL, "");
}

TEST(several_gates_name_each_event_once_in_their_order)
{
    const struct gate gates[] = {{.kind = GATE_REVIEW}, {.kind = GATE_HTTP},   {.kind = GATE_CI},
                                 {.kind = GATE_CI},     {.kind = GATE_MERGED}, {.kind = GATE_FILES},
                                 {.kind = GATE_REVIEW}};
    struct stage stage = {.name = "all", .gates = gates, .n_gates = 4};
    assert_lost(SIDE_GATE, &stage, "gitea", "pull_request_approved+status");
    stage.n_gates = ARRAY_LEN(gates);
    assert_lost(SIDE_GATE, &stage, "gitea", "pull_request_approved+status+pull_request+push");
}

TEST(a_replay_sends_the_event_of_the_gate_or_our_own)
{
    for (enum gate_kind kind = 0; kind < GATE_KIND_MAX_; kind++) {
        const struct gate_event *event = gate_event_of(kind);
        assert_int_equal(event->name == NULL, event->listed == NULL);
        assert_true(event->listed || !event->listed_by_older);
        assert_int_not_equal(event->replay, EVENT_ISSUE);
        if (event->replay != EVENT_ADVANCE)
            assert_string_equal(event->name, orchestrator_event_name(event->replay));
    }
    assert_int_equal(gate_event_of(GATE_CI)->replay, EVENT_STATUS);
    assert_int_equal(gate_event_of(GATE_FILES)->replay, EVENT_ADVANCE);
}
