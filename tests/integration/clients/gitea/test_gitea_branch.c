/* A branch that is to be there: made once, found when others made it, in words when it cannot be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/text.h"
#include "tests/support/clients/gitea/gitea_scene.h"
#include "tests/support/sandbox_run.h"
#include "tests/support/clients/http/names.h"

#define BRANCHES API "/branches"
#define OTHER_SHA "89abcdef0123456789abcdef0123456789abcdef"

/* against the sandbox's Gitea */

static struct sandbox_run *sandbox;

/* The scene of gitea_scene.h, but its Gitea is the sandbox's. */
static int open_sandbox(void **state)
{
    if (scene_open(state))
        return 1;
    struct scene *scene = *state;
    gitea_free(scene->gitea);
    sandbox = sandbox_start();
    AUTO_FREE char *url = mem_printf("%s/gitea", sandbox_url(sandbox));
    sandbox_tell(sandbox, "world",
                 "{'repos':[{'full_name':'" REPO "','branches':[{'name':'main','sha':'" SHA "'}]}]}");
    return gitea_new(url, TOKEN, &test_names, &scene->gitea, NULL);
}

static int close_sandbox(void **state)
{
    int failed = scene_close(state);
    sandbox_stop(sandbox);
    return failed;
}
#define IN_SANDBOX(test) cmocka_unit_test_setup_teardown(test, open_sandbox, close_sandbox)

static const struct gitea_branch_made *make(struct scene *scene, const char *branch)
{
    const struct gitea_branch_made *made =
        gitea_branch_make(scene->facts, scene->gitea, REPO, "main", branch);
    scene_settle(scene);
    assert_int_not_equal(made->fact.state, FACT_PENDING);
    return made;
}

static size_t posts(void)
{
    return sandbox_asked(sandbox, "POST /gitea/*");
}

/* The head of a branch as another fact set sees it. */
static char *head_of(struct scene *scene, const char *branch)
{
    struct facts *facts = facts_new(scene->fetch, clock_mono_ms() + PATIENCE_MS);
    void *waiter;
    const struct gitea_head *head = gitea_head(facts, scene->gitea, REPO, branch);
    while (facts_wait(facts, PATIENCE_MS, &waiter) != FACTS_ALL_ANSWERED)
        ;
    char *sha = mem_dup(head->sha);
    facts_free(facts);
    return sha;
}

static void a_missing_branch_is_made_from_its_base_once(void **state)
{
    struct scene *scene = *state;
    const struct gitea_branch_made *made =
        gitea_branch_make(scene->facts, scene->gitea, REPO, "main", "ORCH-1/a%b");
    assert_int_equal(made->fact.state, FACT_PENDING);
    assert_ptr_equal(gitea_branch_make(scene->facts, scene->gitea, REPO, "main", "ORCH-1/a%b"), made);
    scene_settle(scene);
    assert_int_equal(made->fact.state, FACT_KNOWN);
    assert_true(made->made);
    assert_int_equal(posts(), 1);
    AUTO_FREE char *sha = head_of(scene, "ORCH-1/a%b");
    assert_string_equal(sha, SHA);
}

static void a_branch_that_is_there_is_left_alone(void **state)
{
    struct scene *scene = *state;
    sandbox_tell(sandbox, "change", "{'repo':'" REPO "','do':'push','branch':'x','webhook':'none'}");
    const struct gitea_branch_made *made = make(scene, "x");
    assert_int_equal(made->fact.state, FACT_KNOWN);
    assert_false(made->made);
    assert_int_equal(posts(), 0);
    AUTO_FREE char *sha = head_of(scene, "x");
    assert_string_not_equal(sha, SHA);
}

static void branches_of_one_repo_share_the_look_at_their_base(void **state)
{
    struct scene *scene = *state;
    const struct gitea_branch_made *made[5];
    int waiters[ARRAY_LEN(made)];
    size_t named = 0;
    void *waiter;
    for (size_t i = 0; i < ARRAY_LEN(made); i++) {
        AUTO_FREE char *name = mem_printf("ORCH-%zu", i);
        facts_subscribe(scene->facts, &waiters[i]);
        made[i] = gitea_branch_make(scene->facts, scene->gitea, REPO, "main", name);
    }
    while (facts_wait(scene->facts, PATIENCE_MS, &waiter) == FACTS_READY)
        named++;
    assert_int_equal(named, ARRAY_LEN(made)); /* each once, when its branch is there */
    for (size_t i = 0; i < ARRAY_LEN(made); i++)
        assert_true(made[i]->fact.state == FACT_KNOWN && made[i]->made);
    assert_int_equal(sandbox_asked(sandbox, "GET /gitea/*/branches/main"), 1);
    assert_int_equal(facts_exchanges(scene->facts), 1 + 2 * ARRAY_LEN(made));
}

static void what_the_book_knows_already_is_not_asked_again(void **state)
{
    struct scene *scene = *state;
    (void)gitea_head(scene->facts, scene->gitea, REPO, "main");
    (void)gitea_head(scene->facts, scene->gitea, REPO, "x");
    scene_settle(scene);
    const struct gitea_branch_made *made = make(scene, "x");
    assert_true(made->fact.state == FACT_KNOWN && made->made);
    assert_int_equal(facts_exchanges(scene->facts), 3);
}

static void what_is_not_there_is_absent_and_nothing_is_sent(void **state)
{
    struct scene *scene = *state;
    const struct gitea_branch_made *base, *repo;
    base = gitea_branch_make(scene->facts, scene->gitea, REPO, "trunk", "x");
    repo = gitea_branch_make(scene->facts, scene->gitea, "acme/none", "main", "x");
    scene_settle(scene);
    assert_int_equal(base->fact.state, FACT_ABSENT);
    assert_string_equal(base->fact.error,
                        "Gitea knows no branch trunk of acme/shop (or the token may not see it)");
    assert_int_equal(repo->fact.state, FACT_ABSENT);
    assert_string_equal(repo->fact.error,
                        "Gitea knows no repository acme/none (or the token may not see it)");
    assert_int_equal(posts(), 0);
}

static void names_that_no_url_can_hold_are_refused(void **state)
{
    struct scene *scene = *state;
    const struct gitea_branch_made *bad =
        gitea_branch_make(scene->facts, scene->gitea, "noslash", "main", "x");
    const struct gitea_branch_made *dots = gitea_branch_make(scene->facts, scene->gitea, REPO, "main", "..");
    scene_settle(scene);
    assert_int_equal(bad->fact.state, FACT_FAILED);
    assert_string_equal(bad->fact.error, "branch x of noslash: a repo is \"owner/name\"");
    assert_int_equal(dots->fact.state, FACT_FAILED);
    assert_non_null(strstr(dots->fact.error, "no URL can hold that name"));
}

static void what_forbids_a_branch_is_named(void **state)
{
    struct scene *scene = *state;
    static const struct {
        const char *repo, *token, *error;
    } cases[] = {
        {"'archived':true", NULL, "Gitea answered 423 for new branch b0 of acme/shop: repo is archived"},
        {"'archived':false,'mirror':true", NULL,
         "Gitea answered 403 for new branch b1 of acme/shop: Git Repository is a mirror.; what may "
         "THE_TOKEN do?"},
        {"'mirror':false", "'token_scope':'read:repository'",
         "Gitea answered 403 for new branch b2 of acme/shop: token does not have at least one of required "
         "scope(s)"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        sandbox_tell(sandbox, "change", "{'repo':'" REPO "','do':'repo',%s}", cases[i].repo);
        if (cases[i].token)
            sandbox_tell(sandbox, "gitea", "{'token':'" TOKEN "',%s}", cases[i].token);
        AUTO_FREE char *name = mem_printf("b%zu", i);
        const struct gitea_branch_made *made = make(scene, name);
        assert_int_equal(made->fact.state, FACT_FAILED);
        assert_memory_equal(made->fact.error, cases[i].error, strlen(cases[i].error));
        assert_false(made->made);
    }
    assert_int_equal(posts(), ARRAY_LEN(cases));
}

static void an_empty_repository_has_nothing_to_branch_from(void **state)
{
    struct scene *scene = *state;
    sandbox_tell(sandbox, "world", "{'repos':[{'full_name':'acme/new','empty':true}]}");
    const struct gitea_branch_made *made =
        gitea_branch_make(scene->facts, scene->gitea, "acme/new", "main", "x");
    scene_settle(scene);
    assert_int_equal(made->fact.state, FACT_FAILED);
    assert_string_equal(made->fact.error, "new branch x of acme/new: the repository is empty");
    assert_int_equal(posts(), 0);
}

static void the_branch_is_made_where_a_renamed_repository_is_now(void **state)
{
    struct scene *scene = *state;
    sandbox_tell(sandbox, "change", "{'repo':'" REPO "','do':'rename','to':'acme/store'}");
    const struct gitea_branch_made *made = make(scene, "x");
    assert_int_equal(made->fact.state, FACT_KNOWN);
    assert_true(made->made);
    const struct gitea_head *head = gitea_head(scene->facts, scene->gitea, "acme/store", "x");
    scene_settle(scene);
    assert_int_equal(head->fact.state, FACT_KNOWN);
}

static void a_redirect_that_is_not_followed_is_named(void **state)
{
    struct scene *scene = *state;
    sandbox_tell(sandbox, "faults", "{'path':'/gitea/*','method':'POST','kind':'status','status':301}");
    const struct gitea_branch_made *made = make(scene, "x");
    assert_int_equal(made->fact.state, FACT_FAILED);
    assert_string_equal(made->fact.error,
                        "Gitea answered 301 for new branch x of acme/shop: the repository has moved");
}

static void a_post_whose_answer_was_lost_is_settled_by_looking(void **state)
{
    struct scene *scene = *state;
    sandbox_tell(sandbox, "faults", "{'path':'/gitea/*','method':'POST','kind':'cut','bytes':5,'count':1}");
    const struct gitea_branch_made *done = make(scene, "x"); /* carried out, its answer cut */
    assert_int_equal(done->fact.state, FACT_KNOWN);
    assert_true(done->made);
    assert_int_equal(posts(), 1);
    sandbox_tell(sandbox, "faults",
                 "{'path':'/gitea/*','method':'POST','kind':'status','status':502,'html':'<p>'}");
    const struct gitea_branch_made *undone = make(scene, "y");
    assert_int_equal(undone->fact.state, FACT_FAILED);
    assert_string_equal(undone->fact.error, "Gitea answered 502 (text/html) for new branch y of acme/shop");
    assert_int_equal(posts(), 2);
}

/* A kept-alive connection that proves dead makes curl send a request again, unless an option forbids it. */
static void a_post_is_sent_once_even_on_a_connection_that_dies(void **state)
{
    struct scene *scene = *state;
    sandbox_tell(sandbox, "faults", "{'path':'/gitea/*','method':'POST','kind':'close'}");
    const struct gitea_branch_made *made = make(scene, "x");
    assert_int_equal(made->fact.state, FACT_FAILED);
    assert_string_equal(
        made->fact.error,
        "Gitea: the connection was lost before an answer, asked for new branch x of acme/shop");
    assert_int_equal(posts(), 1);
}

static void a_stopped_fetcher_makes_nothing(void **state)
{
    struct scene *scene = *state;
    (void)gitea_head(scene->facts, scene->gitea, REPO, "main");
    (void)gitea_head(scene->facts, scene->gitea, REPO, "x");
    scene_settle(scene);
    fetch_stop(scene->fetch);
    const struct gitea_branch_made *made = make(scene, "x");
    assert_int_equal(made->fact.state, FACT_FAILED);
    assert_string_equal(made->fact.error, "stopped before Gitea answered");
    assert_int_equal(posts(), 0);
}

/* against a scripted one: what happens in between */

/* x is not there at the first look; then POST gets `status`; then x stands at `sha` (NULL: is not there). */
static const struct gitea_branch_made *make_scripted(struct scene *scene, int status, const char *message,
                                                     const char *sha)
{
    AUTO_FREE char *error = mem_printf("{\"message\":\"%s\",\"url\":\"u\"}", message);
    on_json(scene, BRANCHES "/main", NULL, mem_dup("{\"name\":\"main\",\"commit\":{\"id\":\"" SHA "\"}}"));
    script_server_on(scene->server, BRANCHES "/x",
                     &(struct script_reply){.status = 404, .body = SCRIPT_GITEA_MISSING});
    script_server_on(scene->server, BRANCHES, &(struct script_reply){.status = status, .body = error});
    if (sha)
        on_json(scene, BRANCHES "/x", NULL, mem_printf("{\"name\":\"x\",\"commit\":{\"id\":\"%s\"}}", sha));
    const struct gitea_branch_made *made = make(scene, "x");
    AUTO_FREE char *post = script_server_request(scene->server, 2);
    assert_non_null(strstr(post, "POST " BRANCHES " HTTP/1.1\r\n"));
    assert_non_null(strstr(post, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(post, "\r\nAuthorization: token " TOKEN "\r\n"));
    assert_int_equal(script_server_count(scene->server, BRANCHES), 1);
    return made;
}

static void a_branch_that_another_made_meanwhile_is_there(void **state)
{
    const struct gitea_branch_made *made = make_scripted(*state, 409, "The branch already exists.", SHA);
    assert_int_equal(made->fact.state, FACT_KNOWN);
    assert_false(made->made);
}

static void a_branch_that_stands_in_the_way_is_named(void **state)
{
    const struct gitea_branch_made *made =
        make_scripted(*state, 409, "The branch with the same name already exists.", NULL);
    assert_int_equal(made->fact.state, FACT_FAILED);
    assert_string_equal(made->fact.error, "Gitea answered 409 for new branch x of acme/shop: The branch with "
                                          "the same name already exists.");
}

static void an_internal_error_after_the_deed_is_settled_by_looking(void **state)
{
    const struct gitea_branch_made *made = make_scripted(*state, 500, "", SHA);
    assert_int_equal(made->fact.state, FACT_KNOWN);
    assert_true(made->made);
}

static void a_branch_elsewhere_than_its_base_was_made_by_another(void **state)
{
    const struct gitea_branch_made *made = make_scripted(*state, 500, "", OTHER_SHA);
    assert_int_equal(made->fact.state, FACT_KNOWN);
    assert_false(made->made);
}

static void a_look_that_tells_of_another_branch_proves_nothing(void **state)
{
    struct scene *scene = *state;
    const struct gitea_branch_made *made;
    on_json(scene, BRANCHES "/main", NULL, mem_dup("{\"name\":\"main\",\"commit\":{\"id\":\"" SHA "\"}}"));
    script_server_on(scene->server, BRANCHES "/x",
                     &(struct script_reply){.status = 404, .body = SCRIPT_GITEA_MISSING});
    script_server_on(scene->server, BRANCHES, &(struct script_reply){.status = 503, .body = "{}"});
    on_json(scene, BRANCHES "/x", NULL, mem_dup("{\"name\":\"X\",\"commit\":{\"id\":\"" SHA "\"}}"));
    made = make(scene, "x");
    assert_int_equal(made->fact.state, FACT_FAILED);
    assert_string_equal(made->fact.error,
                        "Gitea answered 503 (application/json) for new branch x of acme/shop");
}

static void an_internal_error_is_named(void **state)
{
    const struct gitea_branch_made *made = make_scripted(*state, 500, "", NULL);
    assert_int_equal(made->fact.state, FACT_FAILED);
    assert_string_equal(made->fact.error,
                        "Gitea answered 500 (application/json) for new branch x of acme/shop");
}

static void a_name_that_gitea_refuses_is_named(void **state)
{
    const struct gitea_branch_made *made = make_scripted(*state, 422, "[NewBranchName]: GitRefName", NULL);
    assert_int_equal(made->fact.state, FACT_FAILED);
    assert_string_equal(made->fact.error,
                        "Gitea answered 422 for new branch x of acme/shop: [NewBranchName]: GitRefName");
}

static void a_repository_that_vanished_meanwhile_is_absent(void **state)
{
    const struct gitea_branch_made *made = make_scripted(*state, 404, "The target couldn't be found.", NULL);
    assert_int_equal(made->fact.state, FACT_ABSENT);
}

/* Of a proxy that restarts between two calls, and before the first. */
static void a_404_that_is_not_giteas_shows_nothing(void **state)
{
    struct scene *scene = *state;
    static const struct script_reply foreign = {.status = 404, .type = "text/plain", .body = "no backend"};
    on_json(scene, BRANCHES "/main", NULL, mem_dup("{\"name\":\"main\",\"commit\":{\"id\":\"" SHA "\"}}"));
    script_server_on(scene->server, BRANCHES, &foreign);
    const struct gitea_branch_made *made = make(scene, "x");
    assert_int_equal(made->fact.state, FACT_FAILED);
    assert_string_equal(made->fact.error,
                        "Gitea answered 404 (text/plain) for new branch x of acme/shop; not "
                        "Gitea's own answer, is THE_URL right?");
    assert_int_equal(script_server_count(scene->server, BRANCHES), 1);
    script_server_default(scene->server, &foreign);
    assert_int_equal(make(scene, "y")->fact.state, FACT_FAILED);
    assert_int_equal(script_server_count(scene->server, BRANCHES), 1);
}

static void nothing_is_sent_when_looking_failed(void **state)
{
    struct scene *scene = *state;
    script_server_default(scene->server, &(struct script_reply){.status = 500, .body = "{}"});
    const struct gitea_branch_made *made = make(scene, "x");
    assert_int_equal(made->fact.state, FACT_FAILED);
    assert_string_equal(made->fact.error, "Gitea answered 500 (application/json) for branch x of acme/shop");
    assert_int_equal(script_server_count(scene->server, BRANCHES), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SANDBOX(a_missing_branch_is_made_from_its_base_once),
        IN_SANDBOX(a_branch_that_is_there_is_left_alone),
        IN_SANDBOX(branches_of_one_repo_share_the_look_at_their_base),
        IN_SANDBOX(what_the_book_knows_already_is_not_asked_again),
        IN_SANDBOX(what_is_not_there_is_absent_and_nothing_is_sent),
        IN_SANDBOX(names_that_no_url_can_hold_are_refused),
        IN_SANDBOX(what_forbids_a_branch_is_named),
        IN_SANDBOX(an_empty_repository_has_nothing_to_branch_from),
        IN_SANDBOX(the_branch_is_made_where_a_renamed_repository_is_now),
        IN_SANDBOX(a_redirect_that_is_not_followed_is_named),
        IN_SANDBOX(a_post_whose_answer_was_lost_is_settled_by_looking),
        IN_SANDBOX(a_post_is_sent_once_even_on_a_connection_that_dies),
        IN_SANDBOX(a_stopped_fetcher_makes_nothing),
        IN_SCENE(a_branch_that_another_made_meanwhile_is_there),
        IN_SCENE(a_branch_that_stands_in_the_way_is_named),
        IN_SCENE(an_internal_error_after_the_deed_is_settled_by_looking),
        IN_SCENE(a_branch_elsewhere_than_its_base_was_made_by_another),
        IN_SCENE(a_look_that_tells_of_another_branch_proves_nothing),
        IN_SCENE(an_internal_error_is_named),
        IN_SCENE(a_name_that_gitea_refuses_is_named),
        IN_SCENE(a_repository_that_vanished_meanwhile_is_absent),
        IN_SCENE(a_404_that_is_not_giteas_shows_nothing),
        IN_SCENE(nothing_is_sent_when_looking_failed),
    };
    gitea_scene_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
