/* What happens to a task next, as the explanation shows it. */

#include "clients/base/limits.h"
#include "clients/store/store.h"
#include "reconcile/explain/explain_next.h"
#include "reconcile/gates/gate.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/plane/plane_unstarted.h"
#include "reconcile/plane/task_issue.h"
#include "reconcile/settings/policy.h"
#include "tests/support/test.h"

#define S 1000000LL /* of microseconds */

static struct pipeline *pipeline;

/* A task that has rested for an hour at its stage, at second 10,000; the timer's next pass is at 10,030. */
static struct store_task_entry entry;
static struct policy policy;
static struct verdict verdict;
static struct next_view view;
static struct next next;

static int set_up(void **state)
{
    (void)state;
    entry = (struct store_task_entry){
        .task = {.id = 7, .stage = (char *)(uintptr_t)"development"}, .updated_us = 6400 * S, .stuck = true};
    policy = (struct policy){.enabled = true,
                             .plane_enabled = true,
                             .mode = MODE_HEAL,
                             .max_heals_per_pass = 200,
                             .grace_default_s = 600,
                             .grace_overrides = json_object()};
    verdict =
        (struct verdict){.kind = VERDICT_GREEN, .reason = (char *)(uintptr_t)"ci: 1 of 1 contexts passed"};
    view = (struct next_view){.pipeline = pipeline,
                              .entry = &entry,
                              .policy = &policy,
                              .gate = {.task = &entry.task, .listed = true, .verdict = &verdict},
                              .next_pass_us = 10030 * S};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    json_decref(policy.grace_overrides);
    free(next.reason);
    next.reason = NULL;
    return 0;
}

/* What explain_gate_view makes of the task and the policy. */
static void gate_holds(void)
{
    const struct policy_hold *hold = policy_held_by(&policy, false);
    int64_t rested_us =
        entry.updated_us + (view.gate.stage ? policy_grace_s(&policy, view.gate.stage->name) : 0) * S;
    view.gate.hold = view.unreadable ? view.unreadable : hold ? hold->text : NULL;
    view.gate.hold_until_us = hold && !view.unreadable ? hold->until_us : 0;
    view.gate.has_room = policy.max_heals_per_pass > 0;
    view.gate.due_us = rested_us > view.next_pass_us ? rested_us : view.next_pass_us;
}

static void expect_at(const char *stage, enum next_action action, const char *to, int64_t at_us,
                      const char *reason)
{
    free(next.reason);
    entry.task.stage = (char *)(uintptr_t)stage;
    view.gate.stage = pipeline_stage(pipeline, stage);
    view.gate.has_job = entry.job_id != NULL;
    gate_holds();
    next_decide(&view, &next);
    assert_string_equal(next.reason, reason);
    assert_int_equal(next.action, action);
    assert_string_equal(next.to ? next.to->name : "", to);
    assert_int_equal(next.at_us, at_us);
}

#define NEXT_TEST(test) TEST_WITH(test, set_up, tear_down)

NEXT_TEST(a_green_task_that_is_stuck_moves_with_the_next_pass)
{
    expect_at("development", NEXT_ADVANCE, "review", 10030 * S,
              "its gate is green: the next pass that looks at it moves it to review");
}

NEXT_TEST(a_green_task_that_is_young_rests_first)
{
    entry.stuck = false;
    entry.updated_us = 9900 * S;
    expect_at("development", NEXT_ADVANCE, "review", 10500 * S,
              "its gate is green: unless its webhook does so before, a pass moves it to review once it has "
              "rested for 600 s");
    json_object_set_new(policy.grace_overrides, "development", json_integer(110));
    expect_at("development", NEXT_ADVANCE, "review", 10030 * S,
              "its gate is green: unless its webhook does so before, a pass moves it to review once it has "
              "rested for 110 s");
}

NEXT_TEST(a_task_of_the_future_is_named_as_one)
{
    entry.stuck = false;
    entry.updated_us = 13600 * S;
    entry.task.age_s = -3600;
    expect_at(
        "development", NEXT_WAIT, "", 14200 * S,
        "its updated_at is 3600 s in the future of the database's clock: no pass looks at it until it has "
        "rested from then on");
}

NEXT_TEST(a_red_gate_is_waited_for)
{
    verdict = (struct verdict){.kind = VERDICT_RED, .reason = (char *)(uintptr_t)"ci: pending: build"};
    expect_at("development", NEXT_WAIT, "", 10030 * S, "waits for its gate: ci: pending: build");
    policy.enabled = false; /* makes no difference to it */
    expect_at("development", NEXT_WAIT, "", 10030 * S, "waits for its gate: ci: pending: build");
}

NEXT_TEST(an_unknown_gate_is_asked_again)
{
    verdict = (struct verdict){.kind = VERDICT_UNKNOWN, .reason = (char *)(uintptr_t)"Gitea timed out"};
    expect_at("development", NEXT_WAIT, "", 10030 * S,
              "the verdict of its gate is unknown and is evaluated again: Gitea timed out");
}

NEXT_TEST(a_switch_holds_what_is_green)
{
    policy.mode = MODE_OBSERVE;
    policy.mode_hold = (struct policy_hold){.held = true, .text = (char *)(uintptr_t)"set to observe by ann"};
    expect_at("development", NEXT_HOLD, "review", 0, "its gate is green, but it is set to observe by ann");
    policy.enabled = false;
    policy.enabled_hold = (struct policy_hold){
        .held = true, .until_us = 20000 * S, .text = (char *)(uintptr_t)"switched off by bob: lunch"};
    expect_at("development", NEXT_HOLD, "review", 20000 * S,
              "its gate is green, but it is switched off by bob: lunch");
    policy.enabled = true;
    view.unreadable = "switched off: the stored settings (revision 3) are not JSON";
    expect_at("development", NEXT_HOLD, "review", 0,
              "its gate is green, but it is switched off: the stored settings (revision 3) are not JSON");
}

NEXT_TEST(the_limit_on_heals_holds_what_is_green)
{
    policy.max_heals_per_pass = 0;
    expect_at(
        "development", NEXT_HOLD, "review", 0,
        "its gate is green, but 0 tasks come before it and a pass heals at most 0 (max_heals_per_pass)");
    policy.mode = MODE_OBSERVE; /* a switch comes before the limit */
    policy.mode_hold = (struct policy_hold){.held = true, .text = (char *)(uintptr_t)"set to observe by ann"};
    expect_at("development", NEXT_HOLD, "review", 0, "its gate is green, but it is set to observe by ann");
}

NEXT_TEST(a_time_that_no_pass_can_compare_is_named)
{
    view.gate.listed = false;
    expect_at("development", NEXT_WAIT, "", 0,
              "its updated_at is in a form that a pass cannot compare, so no pass finds it");
}

NEXT_TEST(the_plane_switch_holds_no_gate)
{
    policy.plane_enabled = false;
    policy.plane_hold = (struct policy_hold){.held = true, .text = (char *)(uintptr_t)"switched off by ann"};
    expect_at("development", NEXT_ADVANCE, "review", 10030 * S,
              "its gate is green: the next pass that looks at it moves it to review");
}

NEXT_TEST(a_task_healed_too_often_is_left_to_a_person)
{
    entry.task.recent_heals = view.gate.quarantine_heals = policy.quarantine_heals = 3;
    policy.quarantine_window_s = 86400;
    expect_at("development", NEXT_ADVANCE, "review", 10030 * S,
              "its gate is green: the next pass that looks at it moves it to review");
    entry.task.recent_heals++;
    expect_at("development", NEXT_QUARANTINE, "", 0,
              "healed 4 times in 24 h at this stage: left to a person");
    verdict.kind = VERDICT_RED; /* a pass does not even ask */
    expect_at("development", NEXT_QUARANTINE, "", 0,
              "healed 4 times in 24 h at this stage: left to a person");
}

NEXT_TEST(who_is_worked_on_is_left_alone)
{
    entry.job_id = (char[]){"3"};
    entry.job_agent = (char *)(uintptr_t)"developer";
    entry.job_status = (char *)(uintptr_t)"running";
    static const char reason[] = "the job of developer is running: a task with a job is left alone";
    expect_at("development", NEXT_WAIT, "", 0, reason);
    expect_at("analysis", NEXT_WAIT, "", 0, reason);
    entry.job_agent = NULL;
    expect_at("created", NEXT_WAIT, "", 0,
              "the job of its agent is running: a task with a job is left alone");
}

NEXT_TEST(the_end_and_unknown_stages_are_left_alone)
{
    expect_at("done", NEXT_NONE, "", 0, "it is done");
    expect_at("polishing", NEXT_NONE, "", 0, "the pipeline knows no stage polishing: the task is left alone");
}

NEXT_TEST(a_start_that_failed_says_why_and_when_it_is_tried_again)
{
    struct plane_unstarted_start start = {.failures = 1, .error = "Gitea answered 500"};
    entry.updated_us = 9999 * S; /* it need not rest */
    entry.stuck = false;
    view.start = &start;
    view.start_us = 10045 * S;
    expect_at(
        "created", NEXT_START, "analysis", 10045 * S,
        "its start failed 1 time (Gitea answered 500): a pass makes its branch and moves it to analysis, "
        "at 1970-01-01T02:47:25Z or when one is forced");
    start.failures = 2;
    view.start_us = 0;
    expect_at(
        "created", NEXT_START, "analysis", 10030 * S,
        "its start failed 2 times (Gitea answered 500): a pass makes its branch and moves it to analysis, "
        "at 1970-01-01T02:47:10Z or when one is forced");
    start = (struct plane_unstarted_start){.failures = 0};
    expect_at("created", NEXT_START, "analysis", 10030 * S,
              "its start was not finished: a pass makes its branch and moves it to analysis, at "
              "1970-01-01T02:47:10Z or when one is forced");
    start = (struct plane_unstarted_start){.failures = 1, .error = "no"};
    policy.enabled = false;
    policy.enabled_hold =
        (struct policy_hold){.held = true, .text = (char *)(uintptr_t)"switched off by ann"};
    expect_at("created", NEXT_HOLD, "analysis", 0,
              "its start failed 1 time (no), but it is switched off by ann");
}

NEXT_TEST(an_unfinished_start_is_finished)
{
    entry.updated_us = 9900 * S;
    expect_at(
        "created", NEXT_START, "analysis", 10500 * S,
        "its start was not finished: a pass makes its branch and moves it to analysis once it has rested for "
        "600 s");
    policy.plane_enabled = false;
    policy.plane_hold = (struct policy_hold){.held = true, .text = (char *)(uintptr_t)"switched off by ann"};
    expect_at("created", NEXT_HOLD, "analysis", 0,
              "its start was not finished, but it is switched off by ann");
    policy.plane_enabled = true;
    policy.max_heals_per_pass = 0;
    expect_at("created", NEXT_HOLD, "analysis", 0, "its start was not finished, but max_heals_per_pass is 0");
    view.obstacle = "ORCH_PLANE_URL is not set: it is not started here";
    expect_at("created", NEXT_WAIT, "", 0,
              "waits for its start; ORCH_PLANE_URL is not set: it is not started here");
}

NEXT_TEST(a_stage_without_a_gate_is_left_by_others)
{
    static const struct stage stages[] = {{.name = "first", .next = &stages[1]},
                                          {.name = "second", .next = &stages[2]},
                                          {.name = "third", .terminal = true}};
    static const struct pipeline plain = {.stages = stages, .n_stages = 3};
    view.pipeline = &plain;
    view.gate.stage = &stages[1];
    next_decide(&view, &next);
    assert_int_equal(next.action, NEXT_WAIT);
    assert_string_equal(next.reason, "its stage has no gate: it is left by the orchestrator alone");
}

/* a person's verdict */

static struct task_issue issue;

static void plane_says(enum issue_meaning kind, const char *name, enum plane_step step)
{
    issue =
        (struct task_issue){.meaning = kind,
                            .state_name = (char *)(uintptr_t)name,
                            .updated_us = 9900 * S,
                            .since_us = 9900 * S,
                            .decision = {.step = step,
                                         .to = step == STEP_APPROVE ? pipeline_stage(pipeline, "architecture")
                                               : step == STEP_REJECT ? pipeline_stage(pipeline, "analysis")
                                                                     : NULL}};
    view.issue = &issue;
}

static void a_change_is_told(void)
{
    issue.asked = true;
    issue.change.found = true;
    issue.change.at_us = 9000 * S;
}

NEXT_TEST(without_plane_a_person_is_waited_for)
{
    view.obstacle = "ORCH_PLANE_URL is not set: it is not read";
    expect_at("analysis", NEXT_WAIT, "", 0,
              "waits for a person's verdict in Plane; ORCH_PLANE_URL is not set: it is not read");
    view.obstacle = NULL;
    plane_says(ISSUE_OTHER, NULL, STEP_SETTLED);
    issue.error = (char *)(uintptr_t)"timed out after 10 s";
    expect_at("analysis", NEXT_WAIT, "", 0,
              "waits for a person's verdict in Plane, which cannot be read: timed out after 10 s");
}

NEXT_TEST(what_is_no_verdict_is_waited_with)
{
    (void)state;
    plane_says(ISSUE_IN_PROGRESS, "In Progress", STEP_SETTLED);
    expect_at("analysis", NEXT_WAIT, "", 0,
              "waits for a person's verdict in Plane: its issue is In Progress");
    issue.problem = (char *)(uintptr_t)"the project has no state Approved";
    expect_at(
        "analysis", NEXT_WAIT, "", 0,
        "waits for a person's verdict in Plane: its issue is In Progress; the project has no state Approved");
    plane_says(ISSUE_OTHER, NULL, STEP_SETTLED);
    expect_at("analysis", NEXT_WAIT, "", 0,
              "waits for a person's verdict in Plane: its issue is in a state that is not known");
}

NEXT_TEST(a_verdict_is_replayed_with_the_next_pass)
{
    plane_says(ISSUE_APPROVED, "Approved", STEP_APPROVE);
    a_change_is_told();
    expect_at("analysis", NEXT_APPROVE, "architecture", 10030 * S,
              "its issue is Approved since 1970-01-01T02:30:00Z: the next pass that looks at it moves it to "
              "architecture");
    plane_says(ISSUE_REJECTED, "Rejected", STEP_REJECT);
    a_change_is_told();
    expect_at("analysis", NEXT_REJECT, "analysis", 10030 * S,
              "its issue is Rejected since 1970-01-01T02:30:00Z: the next pass that looks at it moves it to "
              "analysis");
    policy.plane_enabled = false;
    policy.plane_hold = (struct policy_hold){.held = true, .text = (char *)(uintptr_t)"switched off by ann"};
    expect_at("analysis", NEXT_HOLD, "analysis", 0,
              "its issue is Rejected since 1970-01-01T02:30:00Z, but it is switched off by ann");
    policy.plane_enabled = true;
    policy.max_heals_per_pass = 0;
    expect_at("analysis", NEXT_HOLD, "analysis", 0,
              "its issue is Rejected since 1970-01-01T02:30:00Z, but max_heals_per_pass is 0");
}

NEXT_TEST(a_verdict_that_is_not_due_says_why)
{
    plane_says(ISSUE_APPROVED, "Approved", STEP_IN_GRACE);
    expect_at("analysis", NEXT_WAIT, "", 10500 * S,
              "its issue is Approved: looked at once it has rested for 600 s");
    plane_says(ISSUE_APPROVED, "Approved", STEP_NO_ACTIVITY);
    expect_at("analysis", NEXT_WAIT, "", 10030 * S,
              "its issue is Approved, but Plane does not show yet which change made it so");
    plane_says(ISSUE_APPROVED, "Approved", STEP_UNRECORDED);
    expect_at("analysis", NEXT_WAIT, "", 0, "its issue is Approved, but " PLANE_UNRECORDED);
    plane_says(ISSUE_APPROVED, "Approved", STEP_SETTLED);
    a_change_is_told();
    expect_at(
        "analysis", NEXT_WAIT, "", 0,
        "its issue is Approved since 1970-01-01T02:30:00Z, which was handled: waits for a verdict that is "
        "newer");
    plane_says(ISSUE_REJECTED, "Rejected", STEP_SETTLED);
    expect_at("analysis", NEXT_WAIT, "", 0, "its issue is Rejected, which leads nowhere from this stage");
}

/* where the orchestrator moves tasks */

NEXT_TEST(an_event_that_was_not_sent_yet_is_sent)
{
    view.sends = true;
    expect_at(
        "development", NEXT_ADVANCE, "review", 10030 * S,
        "its gate is green: the next pass that looks at it sends its event to the orchestrator, which is "
        "to move it to review");
    plane_says(ISSUE_APPROVED, "Approved", STEP_APPROVE);
    a_change_is_told();
    expect_at(
        "analysis", NEXT_APPROVE, "architecture", 10030 * S,
        "its issue is Approved since 1970-01-01T02:30:00Z: the next pass that looks at it sends its event "
        "to the orchestrator, which is to move it to architecture");
    entry.stuck = false;
    entry.updated_us = 9900 * S;
    expect_at("development", NEXT_ADVANCE, "review", 10500 * S,
              "its gate is green: unless its webhook moves it before, a pass sends its event to the "
              "orchestrator, which is to move it to review, once it has rested for 600 s");
}

NEXT_TEST(an_event_that_was_sent_is_sent_again_when_it_is_due)
{
    struct store_replay_open replay = {.tries = 1, .next_us = 10060 * S};
    view.sends = true;
    view.replay = &replay;
    expect_at(
        "development", NEXT_ADVANCE, "review", 10060 * S,
        "its event was sent 1 time and it has not been seen to move: sent again at 1970-01-01T02:47:40Z");
    replay.tries = 2;
    replay.next_us = 10000 * S; /* is due: with the next pass */
    expect_at("development", NEXT_ADVANCE, "review", 10030 * S,
              "its event was sent 2 times and it has not been seen to move: sent again at "
              "1970-01-01T02:47:10Z");
    plane_says(ISSUE_REJECTED, "Rejected", STEP_REJECT);
    a_change_is_told();
    expect_at("analysis", NEXT_REJECT, "analysis", 10030 * S,
              "its event was sent 2 times and it has not been seen to move: sent again at "
              "1970-01-01T02:47:10Z");
    policy.enabled = false;
    policy.enabled_hold =
        (struct policy_hold){.held = true, .text = (char *)(uintptr_t)"switched off by ann"};
    expect_at("development", NEXT_HOLD, "review", 0,
              "its event was sent 2 times and it has not been seen to move, but it is switched off by ann");
}

NEXT_TEST(an_event_that_was_sent_in_vain_is_given_up)
{
    struct store_replay_open replay = {.tries = LIMIT_REPLAY_TRIES, .next_us = 10060 * S};
    view.sends = true;
    view.replay = &replay;
    expect_at(
        "development", NEXT_WAIT, "", 10060 * S,
        "its event was sent 6 times and it has not been seen to move: given up at 1970-01-01T02:47:40Z");
    replay.given_up = true;
    expect_at("development", NEXT_WAIT, "", 0, "its event was sent 6 times in vain: left to a person");
    verdict = (struct verdict){.kind = VERDICT_RED, .reason = (char *)(uintptr_t)"ci: pending: build"};
    expect_at("development", NEXT_WAIT, "", 10030 * S, "waits for its gate: ci: pending: build");
}

NEXT_TEST(every_action_has_a_name)
{
    static const char *const names[] = {"none",    "wait",   "advance", "start",
                                        "approve", "reject", "hold",    "quarantine"};
    for (size_t i = 0; i < NEXT_MAX_; i++)
        assert_string_equal(next_action_name((enum next_action)i), names[i]);
}

static int prepare(void **state)
{
    (void)state;
    json_auto_t *problems = json_array();
    return pipeline_load_file(NULL, &pipeline, problems) != ERR_OK;
}

static int finish(void **state)
{
    (void)state;
    pipeline_free(pipeline);
    return 0;
}

TEST_GROUP(prepare, finish)
