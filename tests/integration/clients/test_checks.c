/* Each client's check of itself: what it asks, and what it finds wrong. */
#include <stdlib.h>
#include <string.h>

#include "clients/gitea/gitea.h"
#include "clients/http/fetch.h"
#include "clients/orchestrator.h"
#include "clients/plane/plane.h"
#include "clients/telegram.h"
#include "tests/support/clients/http/curl_group.h"
#include "tests/support/clients/http/names.h"
#include "tests/support/clients/http/script_server.h"
#include "tests/support/test.h"

#define PROJECT "11111111-aaaa-4bbb-8ccc-222222222222"
#define OTHER "33333333-aaaa-4bbb-8ccc-222222222222"
#define JSON "application/json"
#define VERSION "{\"version\":\"1.25.4\"}"
#define A_REPO "{\"full_name\":\"acme/shop\",\"default_branch\":\"main\"}"
#define STATES_OF(project) \
    "/api/v1/workspaces/acme/projects/" project "/states/?per_page=100&cursor=100%3A0%3A0&fields=id%2Cname"

struct scene {
    struct script_server *server;
    const char *url;
    struct fetch *fetch;
};

static int scene_open(void **state)
{
    struct scene *scene = *state = mem_zero(1, sizeof *scene);
    scene->server = script_server_start();
    scene->url = script_server_url(scene->server);
    return fetch_new(&(const struct fetch_options){.timeout_ms = 20000, .per_host = 8}, &scene->fetch, NULL);
}

static int scene_close(void **state)
{
    struct scene *scene = *state;
    fetch_free(scene->fetch);
    script_server_stop(scene->server);
    free(scene);
    return 0;
}

/* Frees the problem; of NULL, there is none. */
static void assert_problem(char *problem, const char *expected)
{
    if (expected)
        assert_string_equal(problem, expected);
    else
        assert_null(problem);
    free(problem);
}

static void assert_asked(struct scene *scene, const char *target, size_t n)
{
    assert_int_equal(script_server_count(scene->server, target), n);
}

TEST_WITH(gitea_is_asked_once_for_each_repository, scene_open, scene_close)
{
    struct scene *scene = *state;
    static const char *const repos[] = {"acme/shop", "acme/a%b"};
    struct gitea *gitea;
    assert_int_equal(gitea_new(scene->url, "t0ken", &test_names, &gitea, NULL), ERR_OK);
    script_server_json(scene->server, "/api/v1/version", VERSION);
    script_server_json(scene->server, "/api/v1/repos/acme/shop", A_REPO);
    script_server_json(scene->server, "/api/v1/repos/acme/a%25b", A_REPO);
    assert_problem(gitea_check(gitea, scene->fetch, repos, 2), NULL);
    char *head = script_server_request(scene->server, 0);
    assert_non_null(strstr(head, "Authorization: token t0ken\r\n"));
    free(head);
    static const struct {
        int status;
        const char *type, *body, *problem;
    } cases[] = {
        {200, JSON, A_REPO, NULL},
        {200, "text/html", "<title>Sign in</title>",
         "acme/shop: answered 200 (text/html), which is not the API's; is THE_URL right?"},
        {200, JSON, "{\"ok\":true}",
         "acme/shop: answered 200 (application/json), which is not the API's; is THE_URL right?"},
        {302, JSON, "{}", "acme/shop: answered 302"},
        {401, JSON, "{}", "acme/shop: answered 401, the token is not accepted"},
        {403, JSON, "{}", "acme/shop: answered 403, the token is not accepted, or may not read this"},
        {404, JSON, SCRIPT_GITEA_MISSING,
         "acme/shop: answered 404, there is no such thing, or the token may not see it"},
        {404, "text/plain", "no backend",
         "acme/shop: answered 404 (text/plain), which is not the API's; is THE_URL right?"},
        {502, JSON, "{}", "acme/shop: answered 502"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        script_server_on(scene->server, "/api/v1/repos/acme/shop",
                         &(const struct script_reply){
                             .status = cases[i].status, .type = cases[i].type, .body = cases[i].body});
        assert_problem(gitea_check(gitea, scene->fetch, repos, 2), cases[i].problem);
        assert_asked(scene, "/api/v1/repos/acme/shop", i + 2);
        assert_asked(scene, "/api/v1/repos/acme/a%25b", i + 2);
    }
    gitea_free(gitea);
}

TEST_WITH(gitea_is_asked_for_its_version_where_there_is_no_repository, scene_open, scene_close)
{
    struct scene *scene = *state;
    AUTO_FREE char *base = mem_printf("%s/git/", scene->url);
    AUTO_FREE char *problem = mem_printf("%s/git: answered 500", scene->url);
    struct gitea *gitea;
    assert_int_equal(gitea_new(base, NULL, &test_names, &gitea, NULL), ERR_OK);
    script_server_json(scene->server, "/git/api/v1/version", VERSION);
    assert_problem(gitea_check(gitea, scene->fetch, NULL, 0), NULL);
    script_server_on(scene->server, "/git/api/v1/version", &(const struct script_reply){.status = 500});
    assert_problem(gitea_check(gitea, scene->fetch, NULL, 0), problem);
    assert_asked(scene, NULL, 2);
    gitea_free(gitea);
}

/* A missing path, /api/v1 pasted too, a repository's page, a login's: the URL is named, and no
 * token or repository. */
TEST_WITH(what_answers_no_version_is_at_the_wrong_url, scene_open, scene_close)
{
    struct scene *scene = *state;
    static const char *const repos[] = {"acme/shop"};
    static const struct script_reply odd[] = {
        {.status = 404, .type = "text/plain", .body = "404 page not found\n"},
        {.status = 404, .type = "text/html", .body = "<title>Page Not Found</title>"},
        {.status = 404, .body = SCRIPT_GITEA_MISSING},
        {.status = 200, .type = "text/html", .body = "<title>Sign in</title>"},
        {.status = 200, .body = "{\"info\":1}"},
        {.status = 302, .type = "text/html", .body = ""},
    };
    struct gitea *gitea;
    assert_int_equal(gitea_new(scene->url, "t0ken", &test_names, &gitea, NULL), ERR_OK);
    script_server_json(scene->server, "/api/v1/repos/acme/shop", A_REPO);
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        AUTO_FREE char *problem =
            mem_printf("THE_URL is not Gitea's: %s/api/v1/version: answered %d (%s); it must be the URL of "
                       "Gitea's start "
                       "page, with the path if Gitea is below one, without /api/v1 or a repository",
                       scene->url, odd[i].status, odd[i].type ? odd[i].type : JSON);
        script_server_on(scene->server, "/api/v1/version", &odd[i]);
        assert_problem(gitea_check(gitea, scene->fetch, repos, 1), problem);
    }
    assert_asked(scene, "/api/v1/repos/acme/shop", 0);
    /* A token without the right to it may still read the repository. */
    script_server_on(scene->server, "/api/v1/version",
                     &(const struct script_reply){.status = 403, .body = "{}"});
    assert_problem(gitea_check(gitea, scene->fetch, repos, 1), NULL);
    gitea_free(gitea);
}

static char *two_states_wanted(const struct plane_states *states, const void *arg)
{
    return states->n == 2 ? NULL : mem_printf("%s: %zu states", (const char *)arg, states->n);
}

TEST_WITH(plane_is_asked_for_states_until_some_are_wrong, scene_open, scene_close)
{
    struct scene *scene = *state;
    static const char one[] =
        "{\"results\":[{\"id\":\"" PROJECT "\",\"name\":\"A\"}],\"next_page_results\":false}";
    static const char two[] = "{\"results\":[{\"id\":\"" PROJECT "\",\"name\":\"A\"},{\"id\":\"" OTHER
                              "\",\"name\":\"B\"}],\"next_page_results\":false}";
    static const struct plane_project projects[] = {{"acme/shop", PROJECT}, {"acme/app", OTHER}};
    struct plane *plane;
    assert_int_equal(plane_new(scene->url, "key", "acme", &test_names, &plane, NULL), ERR_OK);
    assert_problem(plane_check(plane, scene->fetch, projects, 0, two_states_wanted, "arg"), NULL);
    assert_asked(scene, NULL, 0);
    script_server_json(scene->server, STATES_OF(PROJECT), two);
    script_server_json(scene->server, STATES_OF(OTHER), two);
    assert_problem(plane_check(plane, scene->fetch, projects, 2, two_states_wanted, "arg"), NULL);
    assert_asked(scene, NULL, 2);
    script_server_json(scene->server, STATES_OF(PROJECT), one);
    assert_problem(plane_check(plane, scene->fetch, projects, 2, two_states_wanted, "arg"),
                   "acme/shop: arg: 1 states");
    assert_asked(scene, NULL, 3);
    script_server_json(scene->server, STATES_OF(PROJECT), two);
    script_server_on(scene->server, STATES_OF(OTHER),
                     &(const struct script_reply){.status = 301, .type = "text/html", .body = ""});
    assert_problem(plane_check(plane, scene->fetch, projects, 2, two_states_wanted, "arg"),
                   "acme/app: Plane answered 301 (text/html) for states of project " OTHER
                   "; a redirect elsewhere, is THE_URL right?");
    plane_free(plane);
}

TEST_WITH(telegram_is_asked_who_the_bot_is, scene_open, scene_close)
{
    struct scene *scene = *state;
    struct telegram *telegram;
    assert_int_equal(telegram_new(scene->url, "1:s3cret", "42", 0, &test_names, &telegram, NULL), ERR_OK);
    script_server_json(scene->server, "/bot1:s3cret/getMe", "{\"ok\":true}");
    assert_problem(telegram_check(telegram, scene->fetch), NULL);
    script_server_on(scene->server, "/bot1:s3cret/getMe",
                     &(const struct script_reply){.status = 401, .body = "{\"ok\":false}"});
    assert_problem(telegram_check(telegram, scene->fetch), "getMe: answered 401, the token is not accepted");
    assert_asked(scene, NULL, 2);
    static const struct {
        int status;
        const char *type, *body, *problem;
    } odd[] = {
        {200, "text/html", "<title>Sign in</title>",
         "getMe: answered 200 (text/html), which is not the API's; is THE_URL right?"},
        {200, JSON, "{\"ok\":false}",
         "getMe: answered 200 (application/json), which is not the API's; is THE_URL right?"},
        {404, "text/plain", "no backend",
         "getMe: answered 404 (text/plain), which is not the API's; is THE_URL right?"},
        {404, JSON, "{\"ok\":false,\"error_code\":404}",
         "getMe: answered 404, there is no such thing, or the token may not see it"},
    };
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        script_server_on(
            scene->server, "/bot1:s3cret/getMe",
            &(const struct script_reply){.status = odd[i].status, .type = odd[i].type, .body = odd[i].body});
        assert_problem(telegram_check(telegram, scene->fetch), odd[i].problem);
    }
    telegram_free(telegram);
}

TEST_WITH(any_answer_of_the_orchestrator_will_do_but_a_broken_one, scene_open, scene_close)
{
    struct scene *scene = *state;
    const struct orchestrator_place place = {.url = scene->url,
                                             .url_name = "THE_URL",
                                             .plane_path = "/plane",
                                             .gitea_path = "/gitea",
                                             .advance_path = "/advance"};
    struct orchestrator *orchestrator;
    bool page;
    assert_int_equal(orchestrator_new(&place, &orchestrator, NULL), ERR_OK);
    assert_problem(orchestrator_check(orchestrator, scene->fetch, &page), NULL); /* 404 */
    assert_false(page);
    script_server_on(scene->server, "/",
                     &(const struct script_reply){.type = "text/html", .body = "<title>Sign in</title>"});
    assert_problem(orchestrator_check(orchestrator, scene->fetch, &page), NULL);
    assert_true(page);
    script_server_on(scene->server, "/", &(const struct script_reply){.status = 302});
    assert_problem(orchestrator_check(orchestrator, scene->fetch, &page), NULL);
    assert_true(page);
    script_server_on(scene->server, "/", &(const struct script_reply){.status = 503});
    assert_problem(orchestrator_check(orchestrator, scene->fetch, &page), "the orchestrator answered 503");
    script_server_on(scene->server, "/", &(const struct script_reply){.act = SCRIPT_CLOSE});
    assert_problem(orchestrator_check(orchestrator, scene->fetch, &page),
                   "the orchestrator: the connection was lost before an answer");
    assert_asked(scene, NULL, script_server_count(scene->server, "/")); /* none of its endpoints */
    orchestrator_free(orchestrator);
}

TEST(an_orchestrator_without_a_url_names_the_setting)
{
    struct orchestrator *orchestrator = NULL;
    struct why why;
    const struct orchestrator_place place = {.url = "http://ann:pw@h", .url_name = "THE_URL"};
    assert_int_equal(orchestrator_new(&place, &orchestrator, &why), ERR_INVALID);
    assert_string_equal(why.text, "THE_URL must be an http or https URL without a user name");
    assert_null(orchestrator);
}

TEST_GROUP(curl_begin, curl_end)
