/* Gitea's client: the pull request of a branch, and all open ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "tests/support/clients/gitea/gitea_scene.h"

/* pull requests */

#define OPEN API "/pulls?state=open&sort=recentupdate&limit=50&page=1"
#define CLOSED API "/pulls?state=closed&sort=recentupdate&limit=50&page="
#define DAY(n) "2026-01-" #n "T00:00:00Z"

struct pull_text {
    int number;
    const char *state, *merged, *ref, *label, *base, *created, *updated;
    int head_repo;
};

static char *pull_json(const struct pull_text *pull)
{
    return mem_printf(
        "{\"number\":%d,\"state\":\"%s\",\"merged\":%s,\"draft\":false,\"html_url\":\"http://h/%d\","
        "\"created_at\":\"%s\",\"updated_at\":\"%s\",\"base\":{\"ref\":\"%s\",\"repo_id\":1},"
        "\"head\":{\"ref\":\"%s\",\"label\":\"%s\",\"sha\":\"" SHA "\",\"repo_id\":%d}}",
        pull->number, pull->state, pull->merged ? pull->merged : "false", pull->number,
        pull->created ? pull->created : DAY(01), pull->updated ? pull->updated : DAY(02),
        pull->base ? pull->base : "main", pull->ref, pull->label ? pull->label : pull->ref,
        pull->head_repo ? pull->head_repo : 1);
}

static char *pulls_json(const struct pull_text *pulls, size_t n)
{
    char *body = mem_dup("[");
    for (size_t i = 0; i < n; i++) {
        AUTO_FREE char *one = pull_json(&pulls[i]);
        text_add(&body, i ? "," : "");
        text_add(&body, one);
    }
    text_add(&body, "]");
    return body;
}

static const struct gitea_pull *pull_asked(struct scene *scene, const char *branch)
{
    const struct gitea_pull *pull = gitea_pull(scene->facts, scene->gitea, REPO, "main", branch);
    scene_settle(scene);
    return pull;
}

static void open_pull_requests_are_listed_once_for_all_branches(void **state)
{
    struct scene *scene = *state;
    const struct pull_text open[] = {
        {.number = 9, .state = "open", .ref = "a", .head_repo = 7}, /* a fork's branch of the same name */
        {.number = 3, .state = "open", .ref = "a"},
        {.number = 4, .state = "open", .ref = "refs/pull/4/head", .label = "b"},
    };
    on_json(scene, OPEN, "X-Total-Count: 3\r\n", pulls_json(open, 3));
    const struct gitea_pull *a = gitea_pull(scene->facts, scene->gitea, REPO, "main", "a");
    const struct gitea_pull *b = gitea_pull(scene->facts, scene->gitea, REPO, "main", "b");
    scene_settle(scene);
    assert_int_equal(a->fact.state, FACT_KNOWN);
    assert_int_equal(a->state, GITEA_PULL_OPEN);
    assert_int_equal(a->number, 3);
    assert_string_equal(a->head_sha, SHA);
    assert_int_equal(b->number, 4);
    assert_int_equal(facts_exchanges(scene->facts), 1);
}

static void what_is_not_open_is_looked_up(void **state)
{
    struct scene *scene = *state;
    on_json(scene, OPEN, "X-Total-Count: 0\r\n", mem_dup("[]"));
    on_json(
        scene, API "/pulls/main/x%2Fmerged", NULL,
        pull_json(&(struct pull_text){.number = 5, .state = "closed", .merged = "true", .ref = "x/merged"}));
    on_json(
        scene, API "/pulls/main/acme%3Afiles%2Fx", NULL,
        pull_json(&(struct pull_text){.number = 6, .state = "closed", .merged = "true", .ref = "files/x"}));
    on_json(scene, API "/pulls/main/late", NULL,
            pull_json(&(struct pull_text){.number = 8, .state = "open", .ref = "late"}));
    on_json(scene, API "/pulls/main/wrong", NULL,
            pull_json(&(struct pull_text){.number = 8, .state = "open", .ref = "other"}));
    assert_int_equal(pull_asked(scene, "x/merged")->state, GITEA_PULL_MERGED);
    assert_int_equal(pull_asked(scene, "files/x")->number, 6); /* "files" is a word of the router's */
    assert_int_equal(pull_asked(scene, "late")->state, GITEA_PULL_OPEN);
    assert_int_equal(pull_asked(scene, "wrong")->fact.state, FACT_FAILED);
    const struct gitea_pull *none = pull_asked(scene, "none");
    assert_int_equal(none->fact.state, FACT_ABSENT);
    assert_string_equal(
        none->fact.error,
        "Gitea knows no pull request of none into main of acme/shop (or the token may not see it)");
}

static void a_repo_that_cannot_be_seen_has_no_absent_pull_requests(void **state)
{
    struct scene *scene = *state;
    const struct gitea_pull *pull = pull_asked(scene, "x");
    assert_int_equal(pull->fact.state, FACT_FAILED);
    assert_string_equal(pull->fact.error,
                        "Gitea knows no open pull requests of acme/shop (or the token may not see it)");
    assert_int_equal(facts_exchanges(scene->facts), 1);
}

static void a_merged_pull_request_behind_a_closed_one_is_found(void **state)
{
    struct scene *scene = *state;
    on_json(scene, OPEN, "X-Total-Count: 0\r\n", mem_dup("[]"));
    on_json(scene, API "/pulls/main/x", NULL,
            pull_json(&(struct pull_text){.number = 5, .state = "closed", .ref = "x", .created = DAY(03)}));
    const struct pull_text first[] = {{.number = 20, .state = "closed", .ref = "y", .updated = DAY(20)},
                                      {.number = 21, .state = "closed", .ref = "z", .updated = DAY(19)}};
    const struct pull_text second[] = {{.number = 9,
                                        .state = "closed",
                                        .merged = "true",
                                        .ref = "refs/pull/9/head",
                                        .label = "x",
                                        .updated = DAY(10)},
                                       {.number = 7, .state = "closed", .ref = "x", .updated = DAY(09)}};
    on_json(scene, CLOSED "1", "X-Total-Count: 100\r\n", pulls_json(first, 2));
    on_json(scene, CLOSED "2", "X-Total-Count: 100\r\n", pulls_json(second, 2));
    const struct gitea_pull *pull = pull_asked(scene, "x");
    assert_int_equal(pull->fact.state, FACT_KNOWN);
    assert_int_equal(pull->state, GITEA_PULL_MERGED);
    assert_int_equal(pull->number, 9);
}

static void the_search_ends_where_nothing_newer_can_be(void **state)
{
    struct scene *scene = *state;
    on_json(scene, OPEN, "X-Total-Count: 0\r\n", mem_dup("[]"));
    static const char *const branches[] = {"x", "y"};
    for (size_t i = 0; i < 2; i++) {
        AUTO_FREE char *target = mem_printf(API "/pulls/main/%s", branches[i]);
        on_json(scene, target, NULL,
                pull_json(&(struct pull_text){
                    .number = 5, .state = "closed", .ref = branches[i], .created = DAY(10)}));
    }
    const struct pull_text page[] = {
        {.number = 20, .state = "closed", .ref = "q", .updated = DAY(20)},
        {.number = 2, .state = "closed", .merged = "true", .ref = "x", .updated = DAY(09)}};
    on_json(scene, CLOSED "1", "X-Total-Count: 100\r\n", pulls_json(page, 2));
    const struct gitea_pull *x = gitea_pull(scene->facts, scene->gitea, REPO, "main", "x");
    const struct gitea_pull *y = gitea_pull(scene->facts, scene->gitea, REPO, "main", "y");
    scene_settle(scene);
    assert_int_equal(x->state, GITEA_PULL_CLOSED);
    assert_int_equal(y->state, GITEA_PULL_CLOSED);
    assert_int_equal(x->fact.state, FACT_KNOWN);
    assert_int_equal(script_server_count(scene->server, CLOSED "1"), 1);
    assert_int_equal(script_server_count(scene->server, CLOSED "2"), 0);
}

static void a_search_that_would_not_end_is_no_guess(void **state)
{
    struct scene *scene = *state;
    on_json(scene, OPEN, "X-Total-Count: 0\r\n", mem_dup("[]"));
    on_json(scene, API "/pulls/main/x", NULL,
            pull_json(&(struct pull_text){.number = 5, .state = "closed", .ref = "x", .created = DAY(01)}));
    for (int i = 1; i <= (int)LIMIT_CLOSED_PULL_PAGES; i++) {
        AUTO_FREE char *target = mem_printf(CLOSED "%d", i);
        const struct pull_text row = {.number = 1000 - i, .state = "closed", .ref = "q", .updated = DAY(20)};
        on_json(scene, target, "X-Total-Count: 1000\r\n", pulls_json(&row, 1));
    }
    const struct gitea_pull *pull = pull_asked(scene, "x");
    assert_int_equal(pull->fact.state, FACT_FAILED);
    assert_non_null(strstr(pull->fact.error, "whether a newer one was merged"));
    assert_int_equal(facts_exchanges(scene->facts), 2 + LIMIT_CLOSED_PULL_PAGES);
}

static void a_search_that_fails_is_no_guess(void **state)
{
    struct scene *scene = *state;
    on_json(scene, OPEN, "X-Total-Count: 0\r\n", mem_dup("[]"));
    on_json(scene, API "/pulls/main/x", NULL,
            pull_json(&(struct pull_text){.number = 5, .state = "closed", .ref = "x"}));
    script_server_on(scene->server, CLOSED "1", &(struct script_reply){.status = 500, .body = "{}"});
    const struct gitea_pull *pull = pull_asked(scene, "x");
    assert_int_equal(pull->fact.state, FACT_FAILED);
    assert_non_null(strstr(pull->fact.error, "Gitea answered 500"));
}

static void one_into_another_base_is_named(void **state)
{
    struct scene *scene = *state;
    const struct pull_text open[] = {{.number = 7, .state = "open", .ref = "x", .base = "develop"}};
    const struct pull_text closed[] = {
        {.number = 9, .state = "closed", .merged = "true", .ref = "y", .base = "develop", .head_repo = 7},
        {.number = 8,
         .state = "closed",
         .merged = "true",
         .ref = "refs/pull/8/head",
         .label = "y",
         .base = "v1"},
        {.number = 6, .state = "closed", .merged = "true", .ref = "y", .base = "v0"},
        {.number = 5, .state = "closed", .ref = "z", .base = "develop"}};
    on_json(scene, OPEN, "X-Total-Count: 1\r\n", pulls_json(open, 1));
    const struct gitea_pull *x = pull_asked(scene, "x");
    assert_int_equal(x->fact.state, FACT_ABSENT);
    assert_int_equal(x->number, 7);
    assert_int_equal(x->state, GITEA_PULL_OPEN);
    assert_string_equal(x->base, "develop");
    assert_int_equal(facts_exchanges(scene->facts), 2);
    on_json(scene, CLOSED "1", "X-Total-Count: 400\r\n", pulls_json(closed, 4));
    const struct gitea_pull *y = pull_asked(scene, "y"), *z = pull_asked(scene, "z");
    assert_int_equal(y->fact.state, FACT_ABSENT);
    assert_int_equal(y->number, 8);
    assert_int_equal(y->state, GITEA_PULL_MERGED);
    assert_string_equal(y->base, "v1");
    assert_int_equal(z->fact.state, FACT_ABSENT);
    assert_int_equal(z->number, 0);
    assert_int_equal(facts_exchanges(scene->facts), 5); /* two look-ups more, and one page for both */
}

static void a_hint_that_cannot_be_had_changes_no_verdict(void **state)
{
    struct scene *scene = *state;
    on_json(scene, OPEN, "X-Total-Count: 0\r\n", mem_dup("[]"));
    script_server_on(scene->server, CLOSED "1", &(struct script_reply){.status = 500, .body = "{}"});
    const struct gitea_pull *pull = pull_asked(scene, "x");
    assert_int_equal(pull->fact.state, FACT_ABSENT);
    assert_int_equal(pull->number, 0);
}

static void a_list_with_holes_hides_no_open_pull_request(void **state)
{
    struct scene *scene = *state;
    on_json(scene, OPEN, "X-Total-Count: 1\r\n", mem_dup("[null]"));
    on_json(scene, API "/pulls/main/x", NULL,
            pull_json(&(struct pull_text){.number = 5, .state = "closed", .merged = "true", .ref = "x"}));
    const struct gitea_pull *merged = pull_asked(scene, "x");
    assert_int_equal(merged->fact.state, FACT_FAILED);
    assert_string_equal(merged->fact.error, "Gitea's list of open pull requests of acme/shop was not whole");
    assert_int_equal(pull_asked(scene, "none")->fact.state, FACT_ABSENT);
}

/* all open ones */

static void open_ones_are_listed_with_the_branch_their_head_has_here(void **state)
{
    struct scene *scene = *state;
    const struct pull_text open[] = {
        {.number = 9, .state = "open", .ref = "a", .head_repo = 7}, /* a fork's branch */
        {.number = 3, .state = "open", .ref = "a"},
        {.number = 4, .state = "open", .ref = "refs/pull/4/head", .label = "b"}, /* its branch is gone */
        {.number = 5, .state = "open", .ref = "refs/pull/5/head", .label = ""},  /* AGit */
        {.number = 6, .state = "closed", .ref = "c"}, /* closed while the list was made */
    };
    on_json(scene, OPEN, "X-Total-Count: 5\r\n", pulls_json(open, 5));
    const struct gitea_open_pulls *pulls = gitea_open_pulls(scene->facts, scene->gitea, REPO);
    const struct gitea_pull *a = gitea_pull(scene->facts, scene->gitea, REPO, "main", "a");
    assert_int_equal(pulls->fact.state, FACT_PENDING);
    scene_settle(scene);
    assert_int_equal(pulls->fact.state, FACT_KNOWN);
    assert_int_equal(pulls->n, 4);
    static const char *const branches[] = {NULL, "a", "b", NULL};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pulls->items[i].number, open[i].number);
        assert_string_equal(pulls->items[i].head_sha, SHA);
        if (branches[i])
            assert_string_equal(pulls->items[i].branch, branches[i]);
        else
            assert_null(pulls->items[i].branch);
    }
    assert_int_equal(a->number, 3);
    assert_int_equal(facts_exchanges(scene->facts), 1); /* one list for both requests */
    assert_ptr_equal(gitea_open_pulls(scene->facts, scene->gitea, REPO), pulls);
}

static void a_list_that_may_lack_one_is_no_list(void **state)
{
    struct scene *scene = *state;
    on_json(scene, OPEN, "X-Total-Count: 1\r\n", mem_dup("[null]"));
    const struct gitea_open_pulls *pulls = gitea_open_pulls(scene->facts, scene->gitea, REPO);
    const struct gitea_open_pulls *none = gitea_open_pulls(scene->facts, scene->gitea, "acme/none");
    const struct gitea_open_pulls *nonsense = gitea_open_pulls(scene->facts, scene->gitea, "acme");
    scene_settle(scene);
    assert_int_equal(pulls->fact.state, FACT_FAILED);
    assert_string_equal(pulls->fact.error, "Gitea's list of open pull requests of acme/shop was not whole");
    assert_int_equal(none->fact.state, FACT_ABSENT);
    assert_string_equal(none->fact.error,
                        "Gitea knows no open pull requests of acme/none (or the token may not see it)");
    assert_int_equal(nonsense->fact.state, FACT_FAILED);
    assert_string_equal(nonsense->fact.error, "open pull requests of acme: a repo is \"owner/name\"");
}

int main(void)
{
    gitea_scene_prepare();
    const struct CMUnitTest tests[] = {
        IN_SCENE(open_pull_requests_are_listed_once_for_all_branches),
        IN_SCENE(what_is_not_open_is_looked_up),
        IN_SCENE(a_repo_that_cannot_be_seen_has_no_absent_pull_requests),
        IN_SCENE(a_merged_pull_request_behind_a_closed_one_is_found),
        IN_SCENE(the_search_ends_where_nothing_newer_can_be),
        IN_SCENE(a_search_that_would_not_end_is_no_guess),
        IN_SCENE(a_search_that_fails_is_no_guess),
        IN_SCENE(one_into_another_base_is_named),
        IN_SCENE(a_hint_that_cannot_be_had_changes_no_verdict),
        IN_SCENE(a_list_with_holes_hides_no_open_pull_request),
        IN_SCENE(open_ones_are_listed_with_the_branch_their_head_has_here),
        IN_SCENE(a_list_that_may_lack_one_is_no_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
