/* Gitea's client: heads of branches, a repo, how it fares as an upstream, the orchestrator's own gate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/text.h"
#include "clients/facts/http_gate.h"
#include "tests/support/clients/gitea/gitea_scene.h"
#include "tests/support/clients/http/names.h"

/* heads */

static char *branch_json(const char *name, const char *sha)
{
    return mem_printf("{\"name\":\"%s\",\"commit\":{\"id\":\"%s\"}}", name, sha);
}

static void a_head_is_asked_once_with_its_slashes_encoded(void **state)
{
    struct scene *scene = *state;
    on_json(scene, API "/branches/feature%2Fa%20b", NULL, branch_json("feature/a b", SHA));
    const struct gitea_head *head = gitea_head(scene->facts, scene->gitea, REPO, "feature/a b");
    assert_int_equal(head->fact.state, FACT_PENDING);
    assert_ptr_equal(gitea_head(scene->facts, scene->gitea, REPO, "feature/a b"), head);
    scene_settle(scene);
    assert_int_equal(head->fact.state, FACT_KNOWN);
    assert_string_equal(head->sha, SHA);
    assert_int_equal(facts_exchanges(scene->facts), 1);
    AUTO_FREE char *request = script_server_request(scene->server, 0);
    assert_non_null(strstr(request, "Authorization: token " TOKEN "\r\n"));
    assert_null(strstr(head->fact.url, TOKEN));
}

static void a_missing_branch_is_absent_and_a_wrong_one_failed(void **state)
{
    struct scene *scene = *state;
    on_json(scene, API "/branches/other", NULL, branch_json("OTHER", SHA));
    on_json(scene, API "/branches/odd", NULL, mem_dup("{\"name\":\"odd\",\"commit\":{\"id\":5}}"));
    const struct gitea_head *gone = gitea_head(scene->facts, scene->gitea, REPO, "gone");
    const struct gitea_head *other = gitea_head(scene->facts, scene->gitea, REPO, "other");
    const struct gitea_head *odd = gitea_head(scene->facts, scene->gitea, REPO, "odd");
    const struct gitea_head *bad = gitea_head(scene->facts, scene->gitea, "noslash", "x");
    const struct gitea_head *dots = gitea_head(scene->facts, scene->gitea, "../shop", "x");
    scene_settle(scene);
    assert_int_equal(gone->fact.state, FACT_ABSENT);
    assert_string_equal(gone->fact.error,
                        "Gitea knows no branch gone of acme/shop (or the token may not see it)");
    assert_int_equal(other->fact.state, FACT_FAILED);
    assert_non_null(strstr(other->fact.error, "it is about another branch"));
    assert_int_equal(odd->fact.state, FACT_FAILED);
    assert_non_null(strstr(odd->fact.error, "a branch without a commit id"));
    assert_int_equal(bad->fact.state, FACT_FAILED);
    assert_string_equal(bad->fact.error, "branch x of noslash: a repo is \"owner/name\"");
    assert_int_equal(dots->fact.state, FACT_FAILED);
    assert_non_null(strstr(dots->fact.error, "no URL can hold that name"));
}

static void a_renamed_repo_is_followed(void **state)
{
    struct scene *scene = *state;
    script_server_on(scene->server, API "/branches/x",
                     &(struct script_reply){.status = 301,
                                            .headers = "Location: /api/v1/repos/acme/store/branches/x\r\n"});
    on_json(scene, "/api/v1/repos/acme/store/branches/x", NULL, branch_json("x", SHA));
    const struct gitea_head *head = gitea_head(scene->facts, scene->gitea, REPO, "x");
    scene_settle(scene);
    assert_int_equal(head->fact.state, FACT_KNOWN);
}

static char *branches_json(size_t from, size_t to)
{
    char *body = mem_dup("[");
    for (size_t i = from; i < to; i++) {
        AUTO_FREE char *piece =
            mem_printf("%s{\"name\":\"b%zu\",\"commit\":{\"id\":\"%040zx\"}}", i > from ? "," : "", i, i);
        text_add(&body, piece);
    }
    text_add(&body, "]");
    return body;
}

static void ask_heads(struct scene *scene, size_t n, const struct gitea_head **ret)
{
    gitea_heads_wanted(scene->facts, scene->gitea, REPO, n);
    for (size_t i = 0; i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "b%zu", i * 8);
        ret[i] = gitea_head(scene->facts, scene->gitea, REPO, name);
    }
    scene_settle(scene);
}

static void many_heads_are_listed_and_what_the_list_lacks_is_asked(void **state)
{
    struct scene *scene = *state;
    on_json(scene, API "/branches?limit=50&page=1", "X-Total-Count: 70\r\n", branches_json(0, 50));
    on_json(scene, API "/branches?limit=50&page=2", "X-Total-Count: 70\r\n", branches_json(50, 70));
    on_json(scene, API "/branches/b72", NULL, branch_json("b72", SHA));
    const struct gitea_head *heads[10];
    ask_heads(scene, 10, heads); /* b0, b8, … b72 */
    for (size_t i = 0; i < 10; i++) {
        char sha[41];
        snprintf(sha, sizeof sha, "%040zx", i * 8);
        assert_int_equal(heads[i]->fact.state, FACT_KNOWN);
        assert_string_equal(heads[i]->sha, i < 9 ? sha : SHA);
    }
    assert_int_equal(facts_exchanges(scene->facts), 3);
}

static void a_repo_with_too_many_branches_is_not_listed_further(void **state)
{
    struct scene *scene = *state;
    on_json(scene, API "/branches?limit=50&page=1", "X-Total-Count: 251\r\n", branches_json(0, 50));
    const struct gitea_head *heads[10];
    for (size_t i = 7; i < 10; i++) {
        char target[64], name[16];
        snprintf(name, sizeof name, "b%zu", i * 8);
        snprintf(target, sizeof target, API "/branches/%s", name);
        on_json(scene, target, NULL, branch_json(name, SHA));
    }
    ask_heads(scene, 10, heads); /* 6 pages would be more than 10 / 2 */
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(heads[i]->fact.state, FACT_KNOWN);
    assert_int_equal(facts_exchanges(scene->facts), 1 + 3);
}

static void a_failed_listing_leads_to_single_questions(void **state)
{
    struct scene *scene = *state;
    script_server_on(scene->server, API "/branches?limit=50&page=1",
                     &(struct script_reply){.status = 500, .body = "{}"});
    const struct gitea_head *heads[8];
    on_json(scene, API "/branches/b8", NULL, branch_json("b8", SHA));
    ask_heads(scene, 8, heads);
    assert_int_equal(heads[1]->fact.state, FACT_KNOWN);
    assert_int_equal(heads[2]->fact.state, FACT_ABSENT);
    assert_int_equal(facts_exchanges(scene->facts), 1 + 8);
}

static void a_few_heads_are_asked_singly(void **state)
{
    struct scene *scene = *state;
    const struct gitea_head *heads[7];
    ask_heads(scene, 7, heads);
    assert_int_equal(facts_exchanges(scene->facts), 7);
    assert_int_equal(script_server_count(scene->server, API "/branches?limit=50&page=1"), 0);
}

/* as an upstream */

static void a_gitea_that_is_not_set_up_fails_every_fact_and_is_not_asked(void **state)
{
    struct scene *scene = *state;
    struct gitea *unset;
    assert_int_equal(gitea_new("", NULL, &test_names, &unset, NULL), ERR_OK);
    assert_false(gitea_configured(unset));
    gitea_heads_wanted(scene->facts, unset, REPO, 100);
    const struct fact *facts[] = {
        &gitea_head(scene->facts, unset, REPO, "x")->fact,
        &gitea_statuses(scene->facts, unset, REPO, SHA)->fact,
        &gitea_pull(scene->facts, unset, REPO, "main", "x")->fact,
        &gitea_reviews(scene->facts, unset, REPO, 1)->fact,
        &gitea_files(scene->facts, unset, REPO, SHA, "x")->fact,
    };
    for (size_t i = 0; i < ARRAY_LEN(facts); i++) {
        assert_int_equal(facts[i]->state, FACT_FAILED);
        assert_string_equal(facts[i]->error, "THE_URL is not set");
    }
    assert_int_equal(facts_exchanges(scene->facts), 0);
    assert_null(gitea_health(unset));
    gitea_free(unset);
}

static void a_url_that_cannot_be_meant_is_refused(void **state)
{
    (void)state;
    struct gitea *gitea;
    struct why why;
    static const char *const bad[] = {"git.example", "ftp://git.example", "http://ann:pw@git.example"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(gitea_new(bad[i], NULL, &test_names, &gitea, &why), ERR_INVALID);
        assert_null(strstr(why.text, "pw"));
    }
    assert_int_equal(gitea_new("http://h", "a\r\nX: y", &test_names, &gitea, &why), ERR_INVALID);
}

static void a_token_that_a_proxy_quotes_goes_no_further(void **state)
{
    struct scene *scene = *state;
    script_server_on(
        scene->server, API "/branches/x",
        &(struct script_reply){.status = 400, .body = "{\"message\":\"bad header token " TOKEN "\"}"});
    const struct gitea_head *head = gitea_head(scene->facts, scene->gitea, REPO, "x");
    scene_settle(scene);
    assert_int_equal(head->fact.state, FACT_FAILED);
    assert_string_equal(head->fact.error, "Gitea answered 400 for branch x of acme/shop");
}

static void health_follows_the_last_answer(void **state)
{
    struct scene *scene = *state;
    struct upstream_view health;
    gitea_scene_health(scene, &health);
    assert_true(health.ok);
    script_server_on(scene->server, API "/branches/a", &(struct script_reply){.status = 401, .body = "{}"});
    script_server_on(scene->server, API "/branches/b",
                     &(struct script_reply){.status = 500, .type = "text/html"});
    gitea_head(scene->facts, scene->gitea, REPO, "a");
    scene_settle(scene);
    gitea_scene_health(scene, &health);
    assert_false(health.ok);
    assert_string_equal(health.error, "answered 401 (application/json)");
    int64_t since_us = health.since_us;
    assert_true(since_us > 0);
    gitea_head(scene->facts, scene->gitea, REPO, "b");
    scene_settle(scene);
    gitea_scene_health(scene, &health);
    assert_string_equal(health.error, "answered 500 (text/html)");
    assert_int_equal(health.since_us, since_us);
    gitea_head(scene->facts, scene->gitea, REPO, "c"); /* a 404 is an answer */
    scene_settle(scene);
    gitea_scene_health(scene, &health);
    assert_true(health.ok);
    assert_string_equal(health.error, "");
}

static void waiters_are_named_when_their_facts_come(void **state)
{
    struct scene *scene = *state;
    on_json(scene, API "/branches/a", NULL, branch_json("a", SHA));
    script_server_on(scene->server, API "/branches/b",
                     &(struct script_reply){.act = SCRIPT_HANG, .body = "{}"});
    int ann, bob;
    facts_subscribe(scene->facts, &ann);
    gitea_head(scene->facts, scene->gitea, REPO, "a");
    facts_subscribe(scene->facts, &bob);
    gitea_head(scene->facts, scene->gitea, REPO, "a");
    const struct gitea_head *hung = gitea_head(scene->facts, scene->gitea, REPO, "b");
    void *first = NULL, *second = NULL, *third = NULL;
    assert_int_equal(facts_wait(scene->facts, PATIENCE_MS, &first), FACTS_READY);
    assert_int_equal(facts_wait(scene->facts, PATIENCE_MS, &second), FACTS_READY);
    assert_ptr_equal(first, &ann);
    assert_ptr_equal(second, &bob);
    assert_int_equal(facts_wait(scene->facts, 0, &third), FACTS_NOTHING_YET);
    script_server_release(scene->server);
    assert_int_equal(facts_wait(scene->facts, PATIENCE_MS, &third), FACTS_READY);
    assert_ptr_equal(third, &bob);
    assert_int_equal(hung->fact.state, FACT_FAILED);
    assert_int_equal(facts_wait(scene->facts, 0, &third), FACTS_ALL_ANSWERED);
}

static void *stop_fetch(void *arg)
{
    struct scene *scene = arg;
    script_server_wait(scene->server, 1);
    fetch_stop(scene->fetch);
    return NULL;
}

static void a_stop_fails_all_questions_and_leaves_health_alone(void **state)
{
    struct scene *scene = *state;
    script_server_default(scene->server, &(struct script_reply){.act = SCRIPT_HANG});
    const struct gitea_head *heads[20];
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        char name[16];
        snprintf(name, sizeof name, "b%zu", i);
        heads[i] = gitea_head(scene->facts, scene->gitea, REPO, name);
    }
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop_fetch, scene), 0);
    scene_settle(scene);
    pthread_join(thread, NULL);
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        assert_int_equal(heads[i]->fact.state, FACT_FAILED);
        assert_string_equal(heads[i]->fact.error, "stopped before Gitea answered");
    }
    const struct gitea_head *late = gitea_head(scene->facts, scene->gitea, REPO, "late");
    scene_settle(scene);
    assert_int_equal(late->fact.state, FACT_FAILED);
    struct upstream_view health;
    gitea_scene_health(scene, &health);
    assert_true(health.ok);
}

static void a_book_ends_at_its_deadline(void **state)
{
    struct scene *scene = *state;
    script_server_default(scene->server, &(struct script_reply){.act = SCRIPT_HANG});
    struct facts *brief = facts_new(scene->fetch, clock_mono_ms() + 50);
    const struct gitea_head *heads[12]; /* more than may be in flight */
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        char name[16];
        snprintf(name, sizeof name, "b%zu", i);
        heads[i] = gitea_head(brief, scene->gitea, REPO, name);
    }
    void *waiter;
    while (facts_wait(brief, PATIENCE_MS, &waiter) != FACTS_ALL_ANSWERED)
        ;
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        assert_int_equal(heads[i]->fact.state, FACT_FAILED);
        assert_non_null(strstr(heads[i]->fact.error, "timed out"));
    }
    facts_free(brief);
}

/* the orchestrator's own gate */

static void the_orchestrators_gate_is_believed_only_when_it_is_clear(void **state)
{
    struct scene *scene = *state;
    static const struct {
        struct script_reply reply;
        enum fact_state state;
        enum http_gate_verdict verdict;
        const char *error;
    } cases[] = {
        {{.body = "{\"verdict\":\"green\",\"reason\":\"all\\nwell\"}"},
         FACT_KNOWN,
         HTTP_GATE_GREEN,
         "all well"},
        {{.body = "{\"verdict\":\"red\"}"}, FACT_KNOWN, HTTP_GATE_RED, ""},
        {{.body = "{\"verdict\":\"unknown\",\"reason\":7}"}, FACT_KNOWN, HTTP_GATE_UNKNOWN, ""},
        {{.body = "{\"verdict\":\"GREEN\"}"}, FACT_FAILED, 0, "none of green, red and unknown"},
        {{.body = "{\"verdict\":true}"}, FACT_FAILED, 0, "it names no verdict"},
        {{.body = "[\"green\"]"}, FACT_FAILED, 0, "it names no verdict"},
        {{.body = "{\"verdict\":\"gre"}, FACT_FAILED, 0, "cut or broken"},
        {{.body = NULL}, FACT_FAILED, 0, "an empty body"},
        {{.status = 201, .body = "{\"verdict\":\"green\"}"}, FACT_FAILED, 0, "the gate answered 201"},
        {{.status = 404, .body = "{\"verdict\":\"green\"}"}, FACT_FAILED, 0, "the gate answered 404"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char target[32];
        snprintf(target, sizeof target, "/gate/%zu?key=secret", i);
        script_server_on(scene->server, target, &cases[i].reply);
        AUTO_FREE char *url = mem_printf("%s%s", script_server_url(scene->server), target);
        const struct http_gate *gate = http_gate(scene->facts, url, REPO);
        scene_settle(scene);
        assert_int_equal(gate->fact.state, cases[i].state);
        assert_null(strstr(gate->fact.url, "secret"));
        if (gate->fact.state == FACT_KNOWN) {
            assert_int_equal(gate->verdict, cases[i].verdict);
            assert_string_equal(gate->reason, cases[i].error);
        } else {
            assert_non_null(strstr(gate->fact.error, cases[i].error));
        }
    }
    AUTO_FREE char *request = script_server_request(scene->server, 0);
    assert_null(strstr(request, "Authorization"));
}

/* a repo */

static void a_repo_tells_its_default_branch(void **state)
{
    struct scene *scene = *state;
    on_json(scene, API, NULL,
            mem_dup("{\"id\":1,\"full_name\":\"acme/app\",\"default_branch\":\"trunk\",\"empty\":true}"));
    on_json(scene, "/api/v1/repos/acme/odd", NULL, mem_dup("{\"id\":1,\"full_name\":\"acme/odd\"}"));
    const struct gitea_repo *repo = gitea_repo(scene->facts, scene->gitea, REPO);
    const struct gitea_repo *odd = gitea_repo(scene->facts, scene->gitea, "acme/odd");
    const struct gitea_repo *none = gitea_repo(scene->facts, scene->gitea, "acme/none");
    const struct gitea_repo *nonsense = gitea_repo(scene->facts, scene->gitea, "acme");
    assert_ptr_equal(gitea_repo(scene->facts, scene->gitea, REPO), repo);
    scene_settle(scene);
    assert_int_equal(repo->fact.state, FACT_KNOWN);
    assert_string_equal(repo->default_branch, "trunk");
    assert_int_equal(odd->fact.state, FACT_FAILED);
    assert_string_equal(odd->fact.error, "Gitea's answer for repository acme/odd is invalid: "
                                         "a repository without a default branch");
    assert_int_equal(none->fact.state, FACT_ABSENT);
    assert_int_equal(nonsense->fact.state, FACT_FAILED);
    assert_int_equal(facts_exchanges(scene->facts), 3);
}

/* one thread, many fact sets */

static void on_ready(void *arg)
{
    sem_post(arg);
}

static void a_bell_tells_of_answers_that_nobody_waits_for(void **state)
{
    struct scene *scene = *state;
    sem_t rung;
    sem_init(&rung, 0, 0);
    void *waiter;
    struct facts *facts[3];
    for (size_t i = 0; i < 3; i++) {
        facts[i] = facts_new(scene->fetch, clock_mono_ms() + PATIENCE_MS);
        facts_on_ready(facts[i], on_ready, &rung);
        (void)gitea_head(facts[i], scene->gitea, REPO, "gone");
    }
    for (size_t i = 0; i < 3; i++)
        sem_wait(&rung);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(facts_wait(facts[i], 0, &waiter), FACTS_ALL_ANSWERED);
        assert_int_equal(gitea_head(facts[i], scene->gitea, REPO, "gone")->fact.state, FACT_ABSENT);
        facts_free(facts[i]);
    }
    sem_destroy(&rung);
}

int main(void)
{
    gitea_scene_prepare();
    const struct CMUnitTest tests[] = {
        IN_SCENE(a_head_is_asked_once_with_its_slashes_encoded),
        IN_SCENE(a_missing_branch_is_absent_and_a_wrong_one_failed),
        IN_SCENE(a_renamed_repo_is_followed),
        IN_SCENE(many_heads_are_listed_and_what_the_list_lacks_is_asked),
        IN_SCENE(a_repo_with_too_many_branches_is_not_listed_further),
        IN_SCENE(a_failed_listing_leads_to_single_questions),
        IN_SCENE(a_few_heads_are_asked_singly),
        IN_SCENE(a_gitea_that_is_not_set_up_fails_every_fact_and_is_not_asked),
        IN_SCENE(a_url_that_cannot_be_meant_is_refused),
        IN_SCENE(a_token_that_a_proxy_quotes_goes_no_further),
        IN_SCENE(health_follows_the_last_answer),
        IN_SCENE(waiters_are_named_when_their_facts_come),
        IN_SCENE(a_stop_fails_all_questions_and_leaves_health_alone),
        IN_SCENE(a_book_ends_at_its_deadline),
        IN_SCENE(a_bell_tells_of_answers_that_nobody_waits_for),
        IN_SCENE(a_repo_tells_its_default_branch),
        IN_SCENE(the_orchestrators_gate_is_believed_only_when_it_is_clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
