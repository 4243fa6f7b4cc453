/* Plane's client where things go wrong: refused keys, broken answers, a used-up budget, an end in the middle.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "tests/support/clients/plane/plane_scene.h"
#include "tests/support/clients/http/names.h"

#define USUAL (LIMIT_PLANE_CALLS - LIMIT_PLANE_RESERVE)
#define API "/api/v1/workspaces/acme/projects/" PROJECT
#define STATES API "/states/?per_page=100&cursor=100%3A0%3A0&fields=id%2Cname"
#define ISSUE_QUERY "?fields=id%2Cname%2Cstate%2Cupdated_at%2Csequence_id%2Cproject"
#define EMPTY_PAGE "{\"total_count\":0,\"next_page_results\":false,\"results\":[]}"

/* One request, of which only the result counts. */
static enum plane_result ask(struct plane_scene *scene)
{
    struct plane_states states;
    enum plane_result result = plane_states(&scene->call, PROJECT, &states, &scene->why);
    if (result == PLANE_OK)
        plane_states_done(&states);
    return result;
}

static void assert_words(const struct plane_scene *scene, const char *piece)
{
    if (!strstr(scene->why.text, piece))
        assert_string_equal(scene->why.text, piece);
}

static void assert_health(const struct plane_scene *scene, bool ok, const char *piece)
{
    struct upstream_view health;
    upstream_health_view(plane_health(scene->plane), clock_mono_ms(), &health);
    assert_int_equal(health.ok, ok);
    if (!strstr(health.error, piece))
        assert_string_equal(health.error, piece);
}

/* setting it up */

static void settings_that_cannot_be_are_refused_in_words(void **state)
{
    (void)state;
    static const struct {
        const char *url, *token, *workspace, *error;
    } cases[] = {
        {"ftp://x", KEY, "acme", "THE_URL must be an http or https URL"},
        {"http://ann:pw@x", KEY, "acme", "without a user name"},
        {"http://x", KEY, "..", "THE_WORKSPACE must be a workspace's name in URLs"},
        {"http://x", KEY, NULL, "THE_URL needs THE_WORKSPACE beside it"},
        {"http://x", KEY, "", "THE_URL needs THE_WORKSPACE beside it"},
        {"http://x", "a\r\nb", "acme", "THE_TOKEN holds characters that no token has"},
        {NULL, "a b", NULL, "THE_TOKEN holds characters that no token has"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct plane *plane = NULL;
        struct why why;
        assert_int_equal(
            plane_new(cases[i].url, cases[i].token, cases[i].workspace, &test_names, &plane, &why),
            ERR_INVALID);
        assert_null(plane);
        assert_non_null(strstr(why.text, cases[i].error));
        assert_null(strstr(why.text, "pw"));
    }
}

static void without_url_or_key_nothing_is_sent(void **state)
{
    struct plane_scene *scene = *state;
    static const struct {
        const char *url, *token, *error;
    } cases[] = {{NULL, KEY, "THE_URL is not set"},
                 {"", NULL, "THE_URL is not set"},
                 {"http://127.0.0.1:9", NULL, "THE_TOKEN is not set"},
                 {"http://127.0.0.1:9", "", "THE_TOKEN is not set"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        plane_call_end(&scene->call);
        plane_free(scene->plane);
        assert_int_equal(plane_new(cases[i].url, cases[i].token, "acme", &test_names, &scene->plane, NULL),
                         ERR_OK);
        assert_int_equal(plane_configured(scene->plane), i >= 2);
        plane_call_begin(&scene->call, scene->plane, scene->fetch, true, clock_mono_ms() + PATIENCE_MS);
        assert_health(scene, false, cases[i].error);
        assert_int_equal(ask(scene), PLANE_FAILED);
        assert_string_equal(scene->why.text, cases[i].error);
        assert_int_equal(scene->call.sent, 0);
        assert_health(scene, false, cases[i].error);
    }
}

static void ids_that_are_none_are_not_asked_for(void **state)
{
    struct plane_scene *scene = *state;
    struct plane_issue issue;
    ATTR_CLEANUP(plane_change_done) struct plane_change change = {0};
    struct plane_page page;
    struct plane_states states;
    assert_int_equal(plane_states(&scene->call, "../x", &states, &scene->why), PLANE_FAILED);
    assert_string_equal(scene->why.text, "Plane was not asked for the states: its id is no uuid");
    assert_int_equal(plane_issues(&scene->call, "", 0, &page, &scene->why), PLANE_FAILED);
    assert_int_equal(plane_issue(&scene->call, PROJECT, "ORCH-7", &issue, &scene->why), PLANE_FAILED);
    assert_int_equal(plane_last_change(&scene->call, PROJECT, "7", &change, &scene->why), PLANE_FAILED);
    assert_string_equal(scene->why.text,
                        "Plane was not asked for the activities of issue: its id is no uuid");
    assert_int_equal(scene->call.sent, 0);
    assert_health(scene, true, "");
}

/* refused */

static void a_refused_key_a_foreign_project_and_a_missing_one_are_told_apart(void **state)
{
    struct plane_scene *scene = *state;
    struct plane_states states;
    static const char nobody[] = "99999999-aaaa-4bbb-8ccc-222222222222";
    assert_int_equal(plane_states(&scene->call, nobody, &states, &scene->why), PLANE_FAILED);
    assert_words(scene, "is there such a project, and is the key's user a member?");
    assert_health(scene, false, "Plane refused the states of project");
    assert_int_equal(ask(scene), PLANE_OK);
    assert_health(scene, true, "");
    sandbox_tell(scene->sandbox, "plane/change", "{'do':'project','project':'ORCH','member':false}");
    assert_int_equal(ask(scene), PLANE_FAILED);
    assert_words(scene, "You do not have permission to perform this action.");
    sandbox_tell(scene->sandbox, "plane", "{'workspace':'other'}");
    assert_int_equal(ask(scene), PLANE_FAILED);
    assert_words(scene, "You do not have permission to perform this action.");
    sandbox_tell(scene->sandbox, "plane/change", "{'do':'revoke_key','key':'" KEY "'}");
    assert_int_equal(ask(scene), PLANE_FAILED);
    assert_string_equal(scene->why.text, "Plane refused the API key (403: Given API token is not valid)");
    assert_health(scene, false, "Plane refused the API key");
}

static void a_key_that_is_dropped_on_the_way_is_told_apart(void **state)
{
    struct plane_scene *scene = *state;
    script_server_on(scene->server, STATES,
                     &(struct script_reply){.status = 401,
                                            .body = "{\"detail\":\"Authentication credentials were not "
                                                    "provided.\"}"});
    assert_int_equal(ask(scene), PLANE_FAILED);
    assert_words(scene, "Plane saw no API key");
}

static void the_key_goes_into_a_header_and_into_no_words(void **state)
{
    struct plane_scene *scene = *state;
    static const char *const bodies[] = {"{\"detail\":\"cannot forward X-Api-Key: " KEY "\"}",
                                         "{\"detail\":\"....................................................."
                                         "................................." KEY "\"}",
                                         "{\"detail\":" KEY, "[\"" KEY "\"]"};
    script_server_json(scene->server, STATES, EMPTY_PAGE);
    assert_int_equal(ask(scene), PLANE_OK);
    AUTO_FREE char *request = script_server_request(scene->server, 0);
    assert_non_null(strstr(request, "\r\nX-Api-Key: " KEY "\r\n"));
    assert_non_null(strstr(request, "GET " STATES " HTTP/1.1\r\n"));
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
        for (int status = 200; status <= 500; status += 100) {
            script_server_on(scene->server, STATES,
                             &(struct script_reply){.status = status, .body = bodies[i]});
            assert_int_not_equal(ask(scene), PLANE_OK);
            assert_null(strstr(scene->why.text, "plane_api_0"));
            assert_non_null(strstr(scene->why.text, "states of project"));
        }
}

/* broken */

static void every_broken_answer_is_told_apart_and_the_next_one_is_good(void **state)
{
    struct plane_scene *scene = *state;
    static const struct {
        const char *fault;
        enum plane_result result;
        const char *error;
    } cases[] = {
        {"'kind':'status','status':500,'json':{'error':'Something went wrong please try again "
         "later'}",
         PLANE_DOWN, "Plane answered 500 (Something went wrong please try again later)"},
        {"'kind':'status','status':502,'html':'<html>Bad Gateway'", PLANE_DOWN,
         "Plane answered 502 (text/html)"},
        {"'kind':'status','status':503,'html':'<html>','retry_after':1", PLANE_DOWN, "Plane answered 503"},
        {"'kind':'status','status':504,'body':''", PLANE_DOWN, "Plane answered 504"},
        {"'kind':'status','status':200,'html':'<html>sign in'", PLANE_FAILED, "a page, not the API"},
        {"'kind':'status','status':200,'json':{'results':{}}", PLANE_FAILED,
         "is invalid: not a page of rows"},
        {"'kind':'status','status':200,'json':[]", PLANE_FAILED, "is invalid: not a page of rows"},
        {"'kind':'status','status':400,'json':{'detail':'Invalid cursor parameter.'}", PLANE_FAILED,
         "Plane answered 400 (Invalid cursor parameter.)"},
        {"'kind':'status','status':404,'json':{'error':'The requested resource does not exist.'}",
         PLANE_FAILED, "Plane knows no states of project"},
        {"'kind':'status','status':404,'json':{'error':'Page not found.'}", PLANE_FAILED,
         "Plane has no page for states of project"},
        {"'kind':'close'", PLANE_DOWN, "the connection was lost before an answer"},
        {"'kind':'cut','bytes':40", PLANE_DOWN, "the connection was lost in the middle"},
        {"'kind':'garbage'", PLANE_FAILED, "is cut or broken"},
        {"'kind':'huge','bytes':20000000", PLANE_FAILED, "an answer of more than 2048 KiB"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t sent = scene->call.sent;
        bool twice = strstr(cases[i].fault, "close"); /* curl tries again when a kept connection is dead */
        sandbox_tell(scene->sandbox, "faults", "{'path':'/plane/*',%s,'count':%d}", cases[i].fault,
                     twice + 1);
        assert_int_equal(ask(scene), cases[i].result);
        assert_words(scene, cases[i].error);
        assert_health(scene, false, "Plane");
        assert_int_equal(scene->call.sent, sent + 1); /* nothing is repeated */
        assert_int_equal(ask(scene), PLANE_OK);
        assert_health(scene, true, "");
    }
}

static void an_answer_of_another_type_is_read_for_what_it_holds(void **state)
{
    struct plane_scene *scene = *state;
    sandbox_tell(scene->sandbox, "faults",
                 "{'path':'/plane/*','kind':'content_type','content_type':'text/plain','count':1}");
    assert_int_equal(ask(scene), PLANE_OK);
}

static void an_unreachable_plane_is_down_and_costs_no_budget(void **state)
{
    struct plane_scene *scene = *state;
    struct plane_budget before, after;
    plane_budget(scene->plane, &before);
    script_server_stop(scene->server);
    scene->server = NULL;
    assert_int_equal(ask(scene), PLANE_DOWN);
    assert_words(scene, "connection refused");
    assert_health(scene, false, "connection refused");
    plane_budget(scene->plane, &after);
    assert_int_equal(after.left, before.left);
}

static void since_when_it_is_ill_stays_while_the_words_change(void **state)
{
    struct plane_scene *scene = *state;
    struct upstream_view well, first, second;
    upstream_health_view(plane_health(scene->plane), clock_mono_ms(), &well);
    script_server_on(scene->server, STATES, &(struct script_reply){.status = 502, .type = "text/html"});
    script_server_on(scene->server, STATES, &(struct script_reply){.status = 503, .type = "text/html"});
    assert_int_equal(ask(scene), PLANE_DOWN);
    upstream_health_view(plane_health(scene->plane), clock_mono_ms(), &first);
    assert_true(first.since_us > well.since_us);
    assert_int_equal(ask(scene), PLANE_DOWN);
    upstream_health_view(plane_health(scene->plane), clock_mono_ms(), &second);
    assert_int_equal(second.since_us, first.since_us);
    assert_string_not_equal(second.error, first.error);
}

static void lists_without_an_end_are_given_up(void **state)
{
    struct plane_scene *scene = *state;
    ATTR_CLEANUP(plane_change_done) struct plane_change change = {0};
    char *rows = mem_dup("{\"id\":\"" ISSUE_1 "\",\"name\":\"x\",\"field\":\"name\"}");
    for (size_t i = 1; i < LIMIT_PLANE_PAGE; i++) {
        char *longer = mem_printf("%s,{\"id\":\"" ISSUE_1 "\",\"name\":\"x\"}", rows);
        free(rows);
        rows = longer;
    }
    AUTO_FREE char *body = mem_printf("{\"next_page_results\":true,\"results\":[%s]}", rows);
    free(rows);
    script_server_default(scene->server, &(struct script_reply){.body = body});
    assert_int_equal(ask(scene), PLANE_FAILED);
    assert_words(scene, "is invalid: it has no end");
    assert_int_equal(scene->call.sent, LIMIT_PLANE_STATE_PAGES);
    assert_int_equal(plane_last_change(&scene->call, PROJECT, ISSUE_1, &change, &scene->why), PLANE_FAILED);
    assert_words(scene, "is invalid: too many activities without a change of state");
    assert_int_equal(scene->call.sent, LIMIT_PLANE_STATE_PAGES + LIMIT_PLANE_LOG_PAGES);
    assert_false(change.found);
    AUTO_FREE char *last = script_server_request(scene->server, LIMIT_PLANE_STATE_PAGES - 1);
    assert_non_null(strstr(last, "cursor=100%3A9%3A0"));
}

static void an_issue_that_is_another_is_no_answer(void **state)
{
    struct plane_scene *scene = *state;
    struct plane_issue issue = {0};
    script_server_json(scene->server, API "/work-items/" ISSUE_1 "/" ISSUE_QUERY,
                       "{\"id\":\"" PROJECT "\",\"sequence_id\":1,\"updated_at\":\"2026-01-01T00:00:00Z\"}");
    assert_int_equal(plane_issue(&scene->call, PROJECT, ISSUE_1, &issue, &scene->why), PLANE_FAILED);
    assert_words(scene, "it is about another issue");
    assert_null(issue.name);
}

static void a_plane_that_has_neither_path_is_asked_by_both_and_not_remembered(void **state)
{
    struct plane_scene *scene = *state;
    struct plane_issue issue;
    script_server_default(scene->server,
                          &(struct script_reply){.status = 404, .body = "{\"error\":\"Page not found.\"}"});
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(plane_issue(&scene->call, PROJECT, ISSUE_1, &issue, &scene->why), PLANE_FAILED);
        assert_words(scene, "Plane has no page for issue " ISSUE_1 " (404); is THE_URL right?");
        assert_int_equal(script_server_count(scene->server, API "/work-items/" ISSUE_1 "/" ISSUE_QUERY), i);
        assert_int_equal(script_server_count(scene->server, API "/issues/" ISSUE_1 "/" ISSUE_QUERY), i);
    }
    script_server_on(scene->server, API "/issues/" ISSUE_1 "/" ISSUE_QUERY,
                     &(struct script_reply){
                         .status = 404, .body = "{\"error\":\"The requested resource does not exist.\"}"});
    assert_int_equal(plane_issue(&scene->call, PROJECT, ISSUE_1, &issue, &scene->why), PLANE_ABSENT);
    assert_int_equal(plane_issue(&scene->call, PROJECT, ISSUE_1, &issue, &scene->why), PLANE_ABSENT);
    assert_int_equal(script_server_count(scene->server, API "/work-items/" ISSUE_1 "/" ISSUE_QUERY), 4);
}

static void a_plane_that_drops_the_old_path_is_asked_by_the_new_one_again(void **state)
{
    struct plane_scene *scene = *state;
    struct plane_issue issue;
    static const struct script_reply unrouted = {.status = 404, .body = "{\"error\":\"Page not found.\"}"},
                                     missing = {.status = 404,
                                                .body =
                                                    "{\"error\":\"The requested resource does not exist.\"}"};
    script_server_on(scene->server, API "/work-items/" ISSUE_1 "/" ISSUE_QUERY, &unrouted);
    script_server_on(scene->server, API "/work-items/" ISSUE_1 "/" ISSUE_QUERY, &missing);
    script_server_on(scene->server, API "/issues/" ISSUE_1 "/" ISSUE_QUERY, &missing);
    script_server_on(scene->server, API "/issues/" ISSUE_1 "/" ISSUE_QUERY, &unrouted);
    static const size_t sent[] = {2, 4, 5}; /* old; new again; new */
    for (size_t i = 0; i < ARRAY_LEN(sent); i++) {
        assert_int_equal(plane_issue(&scene->call, PROJECT, ISSUE_1, &issue, &scene->why), PLANE_ABSENT);
        assert_int_equal(scene->call.sent, sent[i]);
    }
}

/* the budget */

static int64_t counted(struct plane_scene *scene, const char *what)
{
    json_t *counters = sandbox_told(scene->sandbox, "GET", "plane/counters", NULL);
    int64_t n = json_get_int(counters, what, -1);
    json_decref(counters);
    return n;
}

/* Our clock and Plane's go on together. */
static void advance(struct plane_scene *scene, int64_t ms)
{
    scene_advance(ms);
    sandbox_tell(scene->sandbox, "plane/clock", "{'advance_ms':%lld}", (long long)ms);
}

/* Others who use the same key: a client of their own. */
static void others_call(struct plane_scene *scene, size_t n)
{
    struct plane_scene others = {.fetch = scene->fetch};
    AUTO_FREE char *url = mem_printf("%s/plane", sandbox_url(scene->sandbox));
    assert_int_equal(plane_new(url, KEY, "acme", &test_names, &others.plane, NULL), ERR_OK);
    plane_call_begin(&others.call, others.plane, others.fetch, true, clock_mono_ms() + PATIENCE_MS);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(ask(&others), PLANE_OK);
    plane_call_end(&others.call);
    plane_free(others.plane);
}

static void a_used_up_budget_is_told_at_once_and_comes_back(void **state)
{
    struct plane_scene *scene = *state;
    struct plane_budget budget;
    sandbox_tell(scene->sandbox, "plane/clock", "{'manual':true}");
    scene_call(scene, false);
    for (size_t i = 0; i < USUAL; i++)
        assert_int_equal(ask(scene), PLANE_OK);
    plane_budget(scene->plane, &budget);
    assert_int_equal(budget.limit, LIMIT_PLANE_CALLS);
    assert_int_equal(budget.reserve, LIMIT_PLANE_RESERVE);
    assert_int_equal(budget.left, 0);
    assert_int_equal(budget.waiting_since_us, 0);
    assert_int_equal(budget.retry_after_s, 0);
    assert_in_range(budget.next_s, 60, 61);
    assert_int_equal(ask(scene), PLANE_WAITING);
    assert_words(
        scene, "of the 60 calls a minute that Plane accepts only the 10 reserved for forced passes are left");
    assert_int_equal(scene->call.sent, USUAL);
    assert_health(scene, true, "");
    plane_budget(scene->plane, &budget);
    assert_true(budget.waiting_since_us > 0);

    scene_call(scene, true);
    for (size_t i = 0; i < LIMIT_PLANE_RESERVE; i++)
        assert_int_equal(ask(scene), PLANE_OK);
    assert_int_equal(ask(scene), PLANE_WAITING);
    assert_words(scene, "all 60 calls a minute that Plane accepts are used up");
    assert_int_equal(counted(scene, "accepted"), LIMIT_PLANE_CALLS);

    advance(scene, 59000);
    assert_int_equal(ask(scene), PLANE_WAITING);
    advance(scene, 2000);
    scene_call(scene, false);
    assert_int_equal(ask(scene), PLANE_OK);
    plane_budget(scene->plane, &budget);
    assert_int_equal(budget.left, USUAL - 1);
    assert_int_equal(budget.waiting_since_us, 0);
    assert_int_equal(counted(scene, "refused"), 0);
}

static void what_others_used_is_learnt_from_the_first_answer(void **state)
{
    struct plane_scene *scene = *state;
    struct plane_budget budget;
    sandbox_tell(scene->sandbox, "plane/clock", "{'manual':true}");
    others_call(scene, 45);
    scene_call(scene, false);
    plane_budget(scene->plane, &budget);
    assert_int_equal(budget.left, USUAL);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(ask(scene), PLANE_OK);
    assert_int_equal(ask(scene), PLANE_WAITING);
    scene_call(scene, true);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(ask(scene), PLANE_OK);
    assert_int_equal(ask(scene), PLANE_WAITING);
    assert_int_equal(counted(scene, "accepted"), 60);
    assert_int_equal(counted(scene, "refused"), 0);
    advance(scene, 61000);
    assert_int_equal(ask(scene), PLANE_OK);
}

static void after_a_refusal_nothing_is_sent_before_its_time(void **state)
{
    struct plane_scene *scene = *state;
    struct plane_budget budget;
    sandbox_tell(scene->sandbox, "plane/clock", "{'manual':true}");
    others_call(scene, 30);
    advance(scene, 20000);
    others_call(scene, 30);
    scene_call(scene, false);
    assert_int_equal(ask(scene), PLANE_WAITING);
    assert_words(scene, "Plane takes no more calls for now (429: RATE_LIMIT_EXCEEDED)");
    assert_health(scene, true, "");
    plane_budget(scene->plane, &budget);
    assert_in_range(budget.retry_after_s, 40, 41);
    assert_int_equal(budget.left, 0);
    assert_true(budget.waiting_since_us > 0);
    scene_call(scene, true);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(ask(scene), PLANE_WAITING);
        assert_words(scene, "Plane refused calls (429)");
        advance(scene, 1000);
    }
    assert_int_equal(scene->call.sent, 0);
    advance(scene, 1000);
    assert_int_equal(ask(scene), PLANE_OK);
    assert_int_equal(counted(scene, "refused"), 1);
    assert_int_equal(counted(scene, "refused_again"), 0);
    plane_budget(scene->plane, &budget);
    assert_int_equal(budget.retry_after_s, 0);
}

static void every_form_of_refusal_is_heeded(void **state)
{
    struct plane_scene *scene = *state;
    static const struct {
        const char *fault;
        int64_t wait_ms;
    } cases[] = {
        {"'kind':'429','retry_after':7", 7000},
        {"'kind':'status','status':429,'html':'<html>','retry_after':7", 7000},
        {"'kind':'status','status':429,'json':{'error_code':5900,'error_message':'RATE_LIMIT_EXCEEDED'}",
         60000},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        sandbox_tell(scene->sandbox, "faults", "{'path':'/plane/*',%s,'count':1}", cases[i].fault);
        size_t sent = scene->call.sent + 1;
        assert_int_equal(ask(scene), PLANE_WAITING);
        assert_int_equal(ask(scene), PLANE_WAITING);
        scene_advance(cases[i].wait_ms - 1);
        assert_int_equal(ask(scene), PLANE_WAITING);
        assert_int_equal(scene->call.sent, sent);
        scene_advance(1001);
        assert_int_equal(ask(scene), PLANE_OK);
    }
}

/* many threads */

struct caller {
    struct plane_scene *scene;
    size_t good, waiting;
};

static void *call_often(void *arg)
{
    struct caller *caller = arg;
    struct plane_scene own = {.fetch = caller->scene->fetch, .plane = caller->scene->plane};
    plane_call_begin(&own.call, own.plane, own.fetch, true, clock_mono_ms() + PATIENCE_MS);
    for (int i = 0; i < 25; i++) {
        struct upstream_view health;
        struct plane_budget budget;
        enum plane_result result = ask(&own);
        caller->good += result == PLANE_OK;
        caller->waiting += result == PLANE_WAITING;
        upstream_health_view(plane_health(own.plane), clock_mono_ms(), &health);
        plane_budget(own.plane, &budget);
    }
    plane_call_end(&own.call);
    return NULL;
}

static void threads_share_one_budget_and_take_turns(void **state)
{
    struct plane_scene *scene = *state;
    struct caller callers[4];
    pthread_t threads[ARRAY_LEN(callers)];
    size_t good = 0, waiting = 0;
    for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
        callers[i] = (struct caller){.scene = scene};
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
        pthread_join(threads[i], NULL);
        good += callers[i].good;
        waiting += callers[i].waiting;
    }
    assert_int_equal(good, LIMIT_PLANE_CALLS);
    assert_int_equal(waiting, 25 * ARRAY_LEN(callers) - LIMIT_PLANE_CALLS);
    assert_int_equal(counted(scene, "accepted"), LIMIT_PLANE_CALLS);
    assert_int_equal(counted(scene, "refused"), 0);
    json_t *requests = sandbox_told(scene->sandbox, "GET", "requests", NULL);
    assert_int_equal(json_get_int(requests, "max_in_flight", -1), 1);
    json_decref(requests);
}

/* down */

enum { MANY = 6 };

static char many_ids[MANY][UUID_TEXT_LEN + 1];
static const char *many[MANY];

/* Projects, of which the last worked last. */
static void add_many(struct plane_scene *scene, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        snprintf(many_ids[i], sizeof many_ids[i], "%08zx-aaaa-4bbb-8ccc-222222222222", i + 1);
        many[i] = many_ids[i];
        sandbox_tell(scene->sandbox, "plane", "{'projects':[{'identifier':'M%zu','id':'%s'}]}", i, many[i]);
    }
}

static enum plane_result ask_of(struct plane_scene *scene, size_t i)
{
    struct plane_states states;
    enum plane_result result = plane_states(&scene->call, many[i], &states, &scene->why);
    if (result == PLANE_OK)
        plane_states_done(&states);
    return result;
}

/* In another millisecond than anything before: the order is found by times. */
static enum plane_result ask_later(struct plane_scene *scene, size_t i)
{
    for (int64_t now_ms = clock_mono_ms(); clock_mono_ms() == now_ms;)
        ;
    return ask_of(scene, i);
}

static size_t asked_of(struct plane_scene *scene, size_t i)
{
    AUTO_FREE char *glob = mem_printf("GET /plane/*/%s/*", many[i]);
    return sandbox_asked(scene->sandbox, glob);
}

static size_t asked_of_all(struct plane_scene *scene)
{
    size_t n = 0;
    for (size_t i = 0; i < MANY; i++)
        n += many[i] ? asked_of(scene, i) : 0;
    return n;
}

static void assert_asked(struct plane_scene *scene, const size_t *before, const char *asked)
{
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(asked_of(scene, i) - before[i], asked[i] - '0');
}

static void note_asked(struct plane_scene *scene, size_t ret[MANY])
{
    for (size_t i = 0; i < MANY; i++)
        ret[i] = asked_of(scene, i);
}

static void break_many(struct plane_scene *scene)
{
    add_many(scene, MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(ask_later(scene, i), PLANE_OK);
    scene_call(scene, true);
    sandbox_tell(scene->sandbox, "faults", "{'path':'/plane/*','kind':'status','status':500}");
    assert_false(plane_probe(&scene->call, many, MANY)); /* it is not down */
    for (size_t i = 0; i < UPSTREAM_PARTS_DOWN; i++)
        assert_int_equal(ask_later(scene, i), PLANE_DOWN);
}

static void a_plane_that_is_down_is_asked_four_things_in_a_pass(void **state)
{
    struct plane_scene *scene = *state;
    size_t before[MANY];
    struct plane_budget budget, after;
    break_many(scene);
    assert_health(scene, false, "Plane answered 500");
    note_asked(scene, before);
    assert_false(plane_probe(&scene->call, many, MANY));
    assert_asked(scene, before, "001111"); /* those that worked last */
    plane_budget(scene->plane, &budget);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(ask_of(scene, i), PLANE_SPARED);
    assert_words(scene, "the host is down");
    assert_false(plane_probe(&scene->call, many, MANY));
    assert_asked(scene, before, "001111");
    plane_budget(scene->plane, &after);
    assert_int_equal(after.left, budget.left);
    for (size_t pass = 2; pass < 5; pass++) {
        scene_call(scene, true);
        size_t so_far = asked_of_all(scene);
        assert_false(plane_probe(&scene->call, many, MANY));
        for (size_t i = 0; i < MANY; i++)
            assert_int_equal(ask_of(scene, i), PLANE_SPARED);
        assert_int_equal(asked_of_all(scene) - so_far, UPSTREAM_PROBES);
    }
}

static void a_plane_that_is_up_again_is_asked_as_before_in_the_same_pass(void **state)
{
    struct plane_scene *scene = *state;
    break_many(scene);
    assert_false(plane_probe(&scene->call, many, MANY));
    json_decref(sandbox_told(scene->sandbox, "DELETE", "faults", NULL));
    assert_int_equal(ask_of(scene, 0), PLANE_SPARED); /* in this pass nothing else is tried */
    scene_call(scene, true);
    assert_true(plane_probe(&scene->call, many, MANY));
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(ask_of(scene, i), PLANE_OK);
    assert_health(scene, true, "");
    assert_false(plane_probe(&scene->call, many, MANY));
}

static void one_of_four_that_answers_is_enough(void **state)
{
    struct plane_scene *scene = *state;
    break_many(scene);
    json_decref(sandbox_told(scene->sandbox, "DELETE", "faults", NULL));
    for (size_t i = 0; i < MANY; i++)
        if (i != 4)
            sandbox_tell(scene->sandbox, "faults", "{'path':'/plane/*/%s/*','kind':'status','status':500}",
                         many[i]);
    assert_true(plane_probe(&scene->call, many, MANY));
    assert_int_equal(ask_of(scene, 0), PLANE_DOWN);
    assert_int_equal(ask_of(scene, 4), PLANE_OK);
    assert_int_equal(ask_of(scene, 5), PLANE_DOWN);
    assert_health(scene, true, "");
}

static void the_four_things_are_asked_side_by_side_and_end_when_told(void **state)
{
    struct plane_scene *scene = *state;
    size_t before[MANY];
    break_many(scene);
    json_decref(sandbox_told(scene->sandbox, "DELETE", "faults", NULL));
    sandbox_tell(scene->sandbox, "faults", "{'path':'/plane/*','kind':'hang'}");
    note_asked(scene, before);
    scene->call.deadline_ms = clock_mono_ms() + 1000;
    assert_false(plane_probe(&scene->call, many, MANY));
    assert_asked(scene, before, "001111");
    json_t *requests = sandbox_told(scene->sandbox, "GET", "requests", NULL);
    assert_int_equal(json_get_int(requests, "max_in_flight", -1), UPSTREAM_PROBES);
    json_decref(requests);
    assert_health(scene, false, "Plane answered 500"); /* the pass's time was over, not Plane's */
    sandbox_tell(scene->sandbox, "release", NULL);
}

static void of_one_project_every_question_is_asked(void **state)
{
    struct plane_scene *scene = *state;
    add_many(scene, 1);
    sandbox_tell(scene->sandbox, "faults", "{'path':'/plane/*','kind':'status','status':500}");
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(ask_of(scene, 0), PLANE_DOWN);
    assert_int_equal(asked_of(scene, 0), 20);
}

static void of_two_projects_both_must_fail_and_of_three_all(void **state)
{
    struct plane_scene *scene = *state;
    add_many(scene, 3);
    sandbox_tell(scene->sandbox, "faults", "{'path':'/plane/*','kind':'status','status':500}");
    plane_in_use(scene->plane, many[2]); /* is about to be asked */
    assert_int_equal(ask_of(scene, 0), PLANE_DOWN);
    assert_int_equal(ask_of(scene, 1), PLANE_DOWN);
    assert_int_equal(ask_of(scene, 0), PLANE_DOWN);
    assert_int_equal(ask_of(scene, 1), PLANE_DOWN);
    assert_int_equal(ask_of(scene, 2), PLANE_DOWN); /* and so Plane is */
    scene_call(scene, true);
    assert_false(plane_probe(&scene->call, many, 3));
    assert_int_equal(ask_of(scene, 0), PLANE_SPARED);
    assert_int_equal(ask_of(scene, 2), PLANE_SPARED);
}

/* the end */

static void *ask_in_thread(void *arg)
{
    struct plane_scene *scene = arg;
    return ask(scene) == PLANE_STOPPED ? NULL : scene;
}

static void a_stop_ends_a_call_under_way_and_all_that_wait_for_their_turn(void **state)
{
    struct plane_scene *scene = *state, waiting[2];
    const struct timespec until_they_wait = {.tv_nsec = 100000000};
    pthread_t first, others[ARRAY_LEN(waiting)];
    void *wrong;
    sandbox_tell(scene->sandbox, "faults", "{'path':'/plane/*','kind':'hang'}");
    assert_int_equal(pthread_create(&first, NULL, ask_in_thread, scene), 0);
    json_decref(sandbox_told(scene->sandbox, "GET", "requests?until_hanging=1", NULL));
    for (size_t i = 0; i < ARRAY_LEN(waiting); i++) {
        waiting[i] = (struct plane_scene){.fetch = scene->fetch, .plane = scene->plane};
        plane_call_begin(&waiting[i].call, scene->plane, scene->fetch, true, clock_mono_ms() + PATIENCE_MS);
        assert_int_equal(pthread_create(&others[i], NULL, ask_in_thread, &waiting[i]), 0);
    }
    (void)nanosleep(&until_they_wait, NULL);
    int64_t stopped_ms = clock_mono_ms();
    fetch_stop(scene->fetch);
    pthread_join(first, &wrong);
    assert_null(wrong);
    for (size_t i = 0; i < ARRAY_LEN(waiting); i++) {
        pthread_join(others[i], &wrong);
        assert_null(wrong);
        plane_call_end(&waiting[i].call);
        assert_int_equal(waiting[i].call.sent, 0);
    }
    assert_in_range(clock_mono_ms() - stopped_ms, 0, PATIENCE_MS / 2);
    assert_health(scene, true, "");
    assert_int_equal(ask(scene), PLANE_STOPPED);
    sandbox_tell(scene->sandbox, "release", NULL);
    json_decref(sandbox_told(scene->sandbox, "DELETE", "faults", NULL));
    scene_fetch_again(scene);
    assert_int_equal(ask(scene), PLANE_OK);
}

static void a_passed_deadline_says_nothing_of_plane(void **state)
{
    struct plane_scene *scene = *state;
    scene->call.deadline_ms = clock_mono_ms();
    assert_int_equal(ask(scene), PLANE_STOPPED);
    assert_int_equal(scene->call.sent, 0);
    script_server_default(scene->server, &(struct script_reply){.act = SCRIPT_HANG});
    scene->call.deadline_ms = clock_mono_ms() + 200;
    assert_int_equal(ask(scene), PLANE_STOPPED);
    assert_health(scene, true, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_that_cannot_be_are_refused_in_words),
        IN_SCRIPT(without_url_or_key_nothing_is_sent),
        IN_SCRIPT(ids_that_are_none_are_not_asked_for),
        IN_SANDBOX(a_refused_key_a_foreign_project_and_a_missing_one_are_told_apart),
        IN_SCRIPT(a_key_that_is_dropped_on_the_way_is_told_apart),
        IN_SCRIPT(the_key_goes_into_a_header_and_into_no_words),
        IN_SANDBOX(every_broken_answer_is_told_apart_and_the_next_one_is_good),
        IN_SANDBOX(an_answer_of_another_type_is_read_for_what_it_holds),
        IN_SCRIPT(an_unreachable_plane_is_down_and_costs_no_budget),
        IN_SCRIPT(since_when_it_is_ill_stays_while_the_words_change),
        IN_SCRIPT(lists_without_an_end_are_given_up),
        IN_SCRIPT(an_issue_that_is_another_is_no_answer),
        IN_SCRIPT(a_plane_that_has_neither_path_is_asked_by_both_and_not_remembered),
        IN_SCRIPT(a_plane_that_drops_the_old_path_is_asked_by_the_new_one_again),
        IN_SANDBOX(a_used_up_budget_is_told_at_once_and_comes_back),
        IN_SANDBOX(what_others_used_is_learnt_from_the_first_answer),
        IN_SANDBOX(after_a_refusal_nothing_is_sent_before_its_time),
        IN_SANDBOX(every_form_of_refusal_is_heeded),
        IN_SANDBOX(threads_share_one_budget_and_take_turns),
        IN_SANDBOX(a_stop_ends_a_call_under_way_and_all_that_wait_for_their_turn),
        IN_SANDBOX(a_plane_that_is_down_is_asked_four_things_in_a_pass),
        IN_SANDBOX(a_plane_that_is_up_again_is_asked_as_before_in_the_same_pass),
        IN_SANDBOX(one_of_four_that_answers_is_enough),
        IN_SANDBOX(the_four_things_are_asked_side_by_side_and_end_when_told),
        IN_SANDBOX(of_one_project_every_question_is_asked),
        IN_SANDBOX(of_two_projects_both_must_fail_and_of_three_all),
        IN_SCRIPT(a_passed_deadline_says_nothing_of_plane),
    };
    plane_scene_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
