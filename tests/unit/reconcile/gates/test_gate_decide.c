/* F-1's decision about one task, as a table. Pure. */
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/store/store.h"
#include "reconcile/gates/gate.h"
#include "reconcile/gates/gate_decide.h"
#include "reconcile/pipeline/pipeline.h"
#include "tests/support/test.h"

enum { DUE = 500, HOLD_ENDS = 900, ROOM = 700 };
enum { QUARANTINE_HEALS = 3, OFTEN = QUARANTINE_HEALS + 1 };

struct case_of {
    const char *stage;
    bool has_job, not_listed;
    int64_t heals;
    enum verdict_kind verdict;
    const char *hold;
    bool no_room;
    enum gate_action action;
    enum gate_cause cause;
    const char *to;
    int64_t at_us;
    const char *reason;
};

#define RED .verdict = VERDICT_RED
#define GREEN .verdict = VERDICT_GREEN
#define UNKNOWN .verdict = VERDICT_UNKNOWN

static const char limit[] = "the limit on heals in one pass is reached";

static const struct case_of cases[] = {
    /* Where F-1 does nothing. */
    {.stage = "polishing", GREEN, .action = GATE_NONE, .cause = GATE_CAUSE_STAGE_UNKNOWN},
    {.stage = "polishing", .has_job = true, .action = GATE_NONE, .cause = GATE_CAUSE_STAGE_UNKNOWN},
    {.stage = "created", .action = GATE_NONE, .cause = GATE_CAUSE_NOT_GATED},
    {.stage = "analysis", .heals = OFTEN, .action = GATE_NONE, .cause = GATE_CAUSE_NOT_GATED},
    {.stage = "done", .has_job = true, .action = GATE_NONE, .cause = GATE_CAUSE_NOT_GATED},
    /* A job before everything else. */
    {.stage = "testing", .has_job = true, GREEN, .action = GATE_WAIT, .cause = GATE_CAUSE_JOB},
    {.stage = "testing", .has_job = true, .heals = OFTEN, .action = GATE_WAIT, .cause = GATE_CAUSE_JOB},
    /* Quarantine before the verdict, and without one. */
    {.stage = "testing", .heals = OFTEN, .action = GATE_QUARANTINE, .cause = GATE_CAUSE_HEALED_OFTEN},
    {.stage = "testing", .heals = OFTEN, GREEN, .action = GATE_QUARANTINE, .cause = GATE_CAUSE_HEALED_OFTEN},
    {.stage = "testing",
     .heals = OFTEN,
     GREEN,
     .hold = "off",
     .action = GATE_QUARANTINE,
     .cause = GATE_CAUSE_HEALED_OFTEN},
    {.stage = "testing", .heals = OFTEN - 1, .action = GATE_EVALUATE, .cause = GATE_CAUSE_NO_VERDICT},
    /* What no pass finds does not move, whatever its gates. */
    {.stage = "testing", .not_listed = true, GREEN, .action = GATE_WAIT, .cause = GATE_CAUSE_NOT_LISTED},
    {.stage = "testing", .not_listed = true, RED, .action = GATE_WAIT, .cause = GATE_CAUSE_NOT_LISTED},
    /* The verdict. */
    {.stage = "testing",
     .hold = "off",
     .no_room = true,
     .action = GATE_EVALUATE,
     .cause = GATE_CAUSE_NO_VERDICT},
    {.stage = "testing", RED, .action = GATE_WAIT, .cause = GATE_CAUSE_RED, .at_us = DUE, .reason = "seen"},
    {.stage = "testing",
     RED,
     .hold = "off",
     .action = GATE_WAIT,
     .cause = GATE_CAUSE_RED,
     .at_us = DUE,
     .reason = "seen"},
    {.stage = "testing",
     UNKNOWN,
     .action = GATE_WAIT,
     .cause = GATE_CAUSE_UNKNOWN,
     .at_us = DUE,
     .reason = "seen"},
    {.stage = "testing",
     GREEN,
     .action = GATE_ADVANCE,
     .cause = GATE_CAUSE_GREEN,
     .to = "deploy",
     .at_us = DUE,
     .reason = "seen"},
    /* What holds a green task: a switch before the limit. */
    {.stage = "testing",
     GREEN,
     .hold = "off",
     .action = GATE_HOLD,
     .cause = GATE_CAUSE_SWITCH,
     .to = "deploy",
     .at_us = HOLD_ENDS,
     .reason = "off"},
    {.stage = "testing",
     GREEN,
     .no_room = true,
     .action = GATE_HOLD,
     .cause = GATE_CAUSE_LIMIT,
     .to = "deploy",
     .at_us = ROOM,
     .reason = limit},
    {.stage = "testing",
     GREEN,
     .hold = "off",
     .no_room = true,
     .action = GATE_HOLD,
     .cause = GATE_CAUSE_SWITCH,
     .to = "deploy",
     .at_us = HOLD_ENDS,
     .reason = "off"},
};

static void expect(const struct pipeline *pipeline, const struct case_of *of)
{
    const struct store_task task = {.recent_heals = of->heals};
    const struct verdict verdict = {.kind = of->verdict, .reason = (char *)(uintptr_t)"seen"};
    const struct gate_decide_view view = {.task = &task,
                                          .stage = pipeline_stage(pipeline, of->stage),
                                          .has_job = of->has_job,
                                          .listed = !of->not_listed,
                                          .verdict = &verdict,
                                          .hold = of->hold,
                                          .hold_until_us = of->hold ? HOLD_ENDS : 0,
                                          .quarantine_heals = QUARANTINE_HEALS,
                                          .has_room = !of->no_room,
                                          .due_us = DUE,
                                          .room_us = ROOM};
    struct gate_decision decision = gate_decide(&view);
    assert_int_equal(decision.action, of->action);
    assert_int_equal(decision.cause, of->cause);
    assert_int_equal(decision.at_us, of->at_us);
    assert_string_equal(decision.to ? decision.to->name : "", of->to ? of->to : "");
    assert_string_equal(decision.reason ? decision.reason : "", of->reason ? of->reason : "");
}

TEST(every_case_of_the_table)
{
    struct pipeline *pipeline;
    json_t *problems = json_array();
    assert_int_equal(pipeline_load_file(NULL, &pipeline, problems), ERR_OK);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case %zu\n", i);
        expect(pipeline, &cases[i]);
    }
    json_decref(problems);
    pipeline_free(pipeline);
}
