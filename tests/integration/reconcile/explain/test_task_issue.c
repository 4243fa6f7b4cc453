/* What one task's issue calls for, as a table: as it is decided, as a dry pass about the task reports it, and
 * as explain shows it. Plane is made up; the database is SQLite. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "clients/base/jsonx.h"
#include "clients/base/log.h"
#include "reconcile/explain/explain.h"
#include "reconcile/plane/plane_scan.h"
#include "reconcile/plane/task_issue.h"
#include "reconcile/settings/policy.h"
#include "reconcile/settings/settings.h"
#include "reconcile/sweep/query_pool.h"
#include "reconcile/sweep/sweeper.h"
#include "tests/doubles/facts.h"
#include "tests/doubles/issues.h"
#include "tests/support/reconcile/sweep/pass_scene.h"

#define A "aaaaaaaa-1111-4111-8111-111111111111"
#define ACTIVITY "cccccccc-0000-4000-8000-000000000001"
#define S ((int64_t)1000000)

static struct pass_scene bench;
static struct query_pool *query_pool;
static struct sweeper *sweeper;
static struct explainer *explainer;

static const char *lookup(const char *name)
{
    static const char projects[] =
        "[{\"repo\":\"acme/app\",\"plane_project_id\":\"" A "\",\"prefix\":\"ORCH\"}]";
    return strcmp(name, "ORCH_PROJECTS_JSON") == 0 ? projects : NULL;
}

static int set_up(void **state)
{
    (void)state;
    static const char *const names[] = {"Backlog", "In Progress", "Approved", "Rejected"};
    facts_clear();
    issues_clear();
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        issues_state(A, names[i]);
    pass_scene_open(&bench, lookup);
    assert_int_equal(query_pool_start(NULL, 5000, &query_pool, &bench.why), ERR_OK);
    sweeper = sweeper_new(&bench.services, NULL, NULL);
    explainer = explainer_new(&bench.services, sweeper, query_pool);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    query_pool_stop(query_pool);
    explainer_free(explainer);
    query_pool_free(query_pool);
    sweeper_free(sweeper);
    pass_scene_close(&bench);
    issues_clear();
    return 0;
}

struct issue_case {
    const char *name;
    const char *state;     /* of the issue; NULL: Plane does not have it */
    int64_t age_s;         /* since it was touched; its state changed then too */
    const char *change_to; /* by the newest activity; NULL: there is none */
    int64_t task_age_s;    /* since its last transition */
    const char *sql;       /* what else is in the database, or NULL */
    const char *settings;  /* a change of them, or NULL */
    enum plane_result broken;
    enum plane_step step; /* SETTLED also where Plane could not be asked */
    const char *outcome;  /* of a dry pass, which no switch keeps back; "": it reports nothing */
    const char *action;   /* of explain */
    const char *to;       /* of both; "": nowhere */
};

#define JOB "INSERT INTO jobs (task_id, agent, status) VALUES (1, 'analyst', 'running')"
#define UNREADABLE "UPDATE tasks SET branch = CAST(x'62ff' AS TEXT)"
#define REPLAYED \
    "INSERT INTO reconcile_verdicts (id, at, task_id) VALUES ('" ACTIVITY "', CURRENT_TIMESTAMP, 1)"
#define OFF "{\"enabled\":false}"
#define PLANE_OFF "{\"plane_enabled\":false}"
#define OBSERVE "{\"mode\":\"observe\"}"
#define NO_HEALS "{\"max_heals_per_pass\":0}"
#define NO_GRACE "{\"grace_default_s\":1}"

static const struct issue_case cases[] = {
    {"approved", "Approved", 3600, "Approved", 86400, NULL, NULL, PLANE_OK, STEP_APPROVE, "approved",
     "approve", "architecture"},
    {"rejected", "Rejected", 3600, "Rejected", 86400, NULL, NULL, PLANE_OK, STEP_REJECT, "rejected", "reject",
     "analysis"},
    {"switched off", "Approved", 3600, "Approved", 86400, NULL, OFF, PLANE_OK, STEP_APPROVE, "approved",
     "hold", "architecture"},
    {"Plane's side off", "Approved", 3600, "Approved", 86400, NULL, PLANE_OFF, PLANE_OK, STEP_APPROVE,
     "approved", "hold", "architecture"},
    {"observing", "Rejected", 3600, "Rejected", 86400, NULL, OBSERVE, PLANE_OK, STEP_REJECT, "rejected",
     "hold", "analysis"},
    {"no heals", "Approved", 3600, "Approved", 86400, NULL, NO_HEALS, PLANE_OK, STEP_APPROVE, "held", "hold",
     "architecture"},
    {"no heals, but handled", "Approved", 3600, "Approved", 60, NULL, NO_HEALS, PLANE_OK, STEP_SETTLED, "",
     "wait", ""},
    {"young", "Approved", 60, "Approved", 86400, NULL, NULL, PLANE_OK, STEP_IN_GRACE, "", "wait", ""},
    {"as young, shorter grace", "Approved", 60, "Approved", 86400, NULL, NO_GRACE, PLANE_OK, STEP_APPROVE,
     "approved", "approve", "architecture"},
    {"young, no heals", "Approved", 60, "Approved", 86400, NULL, NO_HEALS, PLANE_OK, STEP_IN_GRACE, "",
     "wait", ""},
    {"busy", "Approved", 3600, "Approved", 86400, JOB, NULL, PLANE_OK, STEP_BUSY, "", "wait", ""},
    {"unreadable", "Approved", 3600, "Approved", 86400, UNREADABLE, NULL, PLANE_OK, STEP_UNREADABLE,
     "unknown", "wait", ""},
    {"unreadable, no verdict", "Backlog", 3600, NULL, 86400, UNREADABLE, NULL, PLANE_OK, STEP_SETTLED, "",
     "wait", ""},
    {"replayed", "Approved", 3600, "Approved", 86400, REPLAYED, NULL, PLANE_OK, STEP_SETTLED, "", "wait", ""},
    {"handled", "Rejected", 3600, "Rejected", 60, NULL, NULL, PLANE_OK, STEP_SETTLED, "", "wait", ""},
    {"no activity", "Approved", 3600, NULL, 86400, NULL, NULL, PLANE_OK, STEP_NO_ACTIVITY, "unknown", "wait",
     ""},
    {"activity of another state", "Approved", 3600, "Rejected", 86400, NULL, NULL, PLANE_OK, STEP_NO_ACTIVITY,
     "unknown", "wait", ""},
    {"in progress", "In Progress", 3600, "In Progress", 86400, NULL, NULL, PLANE_OK, STEP_SETTLED, "", "wait",
     ""},
    {"none of the three", "Backlog", 3600, NULL, 86400, NULL, NULL, PLANE_OK, STEP_SETTLED, "", "wait", ""},
    {"gone", NULL, 0, NULL, 86400, NULL, NULL, PLANE_OK, STEP_SETTLED, "", "wait", ""},
    {"not answered", "Approved", 3600, "Approved", 86400, NULL, NULL, PLANE_DOWN, STEP_SETTLED, "unknown",
     "wait", ""},
    {"useless answer", "Approved", 3600, "Approved", 86400, NULL, NULL, PLANE_FAILED, STEP_SETTLED, "unknown",
     "wait", ""},
};

static void make(const struct issue_case *of)
{
    int64_t at_us = clock_wall_us() - of->age_s * S;
    if (of->state)
        issues_put(A, 1, of->state, at_us);
    if (of->change_to)
        issues_change(A, 1, ACTIVITY, of->change_to, at_us);
    if (of->broken != PLANE_OK)
        issues_break(A, 1, of->broken);
    pass_scene_exec("INSERT INTO tasks (id, plane_id, work_item_id, title, repo, branch, stage, created_at, "
                    "updated_at) VALUES (1, upper('%s'), 'ORCH-1', 't', 'acme/app', 'b', 'analysis', "
                    "datetime('now', '-2 days'), datetime('now', '-%lld seconds'))",
                    issues_id(1), (long long)of->task_age_s);
    if (of->sql)
        pass_scene_exec("%s", of->sql);
    if (of->settings) {
        json_auto_t *body = json_loads(of->settings, 0, NULL);
        json_t *document = NULL, *errors = NULL;
        assert_int_equal(policy_change(bench.store, bench.settings, bench.pipeline, body, -1, NULL, &document,
                                       &errors, &bench.why),
                         ERR_OK);
        json_decref(document);
    }
    policy_free(bench.policy);
    assert_int_equal(policy_read(bench.store, bench.settings, &bench.policy, &bench.why), ERR_OK);
}

static enum plane_step step_of_issue(void)
{
    const struct store_tasks_query any = {.limit = 1};
    struct store_task_entry entry;
    struct plane_call call;
    struct plane_scan *scan = plane_scan_new(bench.settings);
    struct task_issue_query query = {
        .services = &bench.services, .policy = bench.policy, .scan = scan, .call = &call, .entry = &entry};
    struct task_issue issue;
    assert_int_equal(store_task_get(bench.store, 1, &any, &entry, &query.now_us, &bench.why), ERR_OK);
    assert_null(task_issue_obstacle(&bench.services, &entry.task));
    plane_call_begin(&call, NULL, NULL, true, INT64_MAX);
    plane_scan_begin(scan, &(struct plane_scan_pass){.now_ms = clock_mono_ms(), .interval_ms = 60000});
    assert_int_equal(task_issue_read(&query, &issue, &bench.why), ERR_OK);
    enum plane_step step = issue.decision.step;
    task_issue_done(&issue);
    store_task_entry_done(&entry);
    plane_call_end(&call);
    plane_scan_free(scan);
    return step;
}

static json_t *dry_item(void)
{
    const struct pass_request request = {
        .trigger = TRIGGER_REQUEST, .side = SIDE_PLANE, .dry_run = true, .task_id = 1};
    struct pass_result result = pass_scene_run(&bench, request);
    json_auto_t *report = report_json(&result.report);
    json_t *item = json_incref(json_array_get(json_object_get(report, "items"), 0));
    pass_result_done(&result);
    return item;
}

struct answer {
    pthread_mutex_t lock;
    pthread_cond_t came;
    json_t *document;
};

static void take(void *arg, const void *document)
{
    struct answer *answer = arg;
    pthread_mutex_lock(&answer->lock);
    answer->document = json_deep_copy(document);
    pthread_cond_signal(&answer->came);
    pthread_mutex_unlock(&answer->lock);
}

static json_t *explain(void)
{
    struct explanation *explanation;
    assert_int_equal(explain_read(explainer, 1, &explanation, &bench.why), ERR_OK);
    if (explanation_is_whole(explanation)) {
        json_t *document = explanation_document(explanation);
        explanation_free(explanation);
        return document;
    }
    struct answer answer = {.lock = PTHREAD_MUTEX_INITIALIZER, .came = PTHREAD_COND_INITIALIZER};
    assert_int_equal(explain_ask(explainer, explanation, take, &answer, &bench.why), ERR_OK);
    pthread_mutex_lock(&answer.lock);
    while (!answer.document)
        pthread_cond_wait(&answer.came, &answer.lock);
    pthread_mutex_unlock(&answer.lock);
    return answer.document;
}

static void assert_text(const struct issue_case *of, const char *what, const json_t *object, const char *key,
                        const char *expected)
{
    const char *text = json_get_text(object, key, "");
    if (strcmp(text, expected) != 0)
        fail_msg("%s: %s has the %s \"%s\" instead of \"%s\"", of->name, what, key, text, expected);
}

static void see_case(const struct issue_case *of)
{
    make(of);
    enum plane_step step = step_of_issue();
    if (step != of->step)
        fail_msg("%s: step %d instead of %d", of->name, step, of->step);
    json_t *item = dry_item(), *document = explain();
    const json_t *next = json_object_get(document, "next");
    assert_text(of, "the dry pass", item, "outcome", of->outcome);
    assert_text(of, "the dry pass", item, "to_stage", of->to);
    assert_text(of, "explain", next, "action", of->action);
    assert_text(of, "explain", next, "to_stage", of->to);
    json_decref(item);
    json_decref(document);
}

static void explain_and_a_dry_pass_show_what_is_decided_about_an_issue(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        set_up(state);
        see_case(&cases[i]);
        tear_down(state);
    }
}

/* The states of the project, the issue, its newest change; the states are kept. */
static void explaining_takes_three_calls_and_then_two(void **state)
{
    (void)state;
    make(&cases[0]);
    json_decref(explain());
    assert_int_equal(issues_calls(), 3);
    json_decref(explain());
    assert_int_equal(issues_calls(), 5);
    assert_int_equal(issues_calls_of("states"), 1);
}

static void explaining_leaves_no_trace_in_what_passes_know(void **state)
{
    (void)state;
    struct open_issue **issues;
    make(&cases[0]);
    json_decref(explain());
    assert_int_equal(plane_scan_issues(bench.memory->scan, true, &issues), 0);
    free(issues);
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(explain_and_a_dry_pass_show_what_is_decided_about_an_issue),
        cmocka_unit_test_setup_teardown(explaining_takes_three_calls_and_then_two, set_up, tear_down),
        cmocka_unit_test_setup_teardown(explaining_leaves_no_trace_in_what_passes_know, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
