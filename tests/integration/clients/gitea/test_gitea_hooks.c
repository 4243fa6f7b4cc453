/* Gitea's client: the webhooks of a repo, and what a token that may not see them does not mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "tests/support/clients/gitea/gitea_scene.h"

#define PAGE_1 API "/hooks?limit=50&page=1"

static void webhooks_are_read_over_all_pages(void **state)
{
    struct scene *scene = *state;
    on_json(scene, PAGE_1, "X-Total-Count: 3\r\n",
            mem_dup("[{\"id\":1,\"type\":\"gitea\",\"active\":true,\"updated_at\":\"2026-11-23T10:00:00Z\","
                    "\"config\":{\"url\":\"https://ci.example/hook\",\"content_type\":\"json\"},"
                    "\"branch_filter\":\"main\",\"events\":[\"push\",\"status\"]},"
                    "{\"id\":\"2\",\"active\":false,\"config\":{\"url\":\"https://other.example/\"},"
                    "\"events\":null}]"));
    on_json(scene, API "/hooks?limit=50&page=2", "X-Total-Count: 3\r\n",
            mem_dup("[{\"id\":3,\"config\":{\"url\":\"https://third.example/\"},\"events\":[5,\"push\"]}]"));
    const struct gitea_hooks *hooks = gitea_hooks(scene->facts, scene->gitea, REPO, GITEA_HOOKS_REPO);
    assert_int_equal(hooks->fact.state, FACT_PENDING);
    assert_ptr_equal(gitea_hooks(scene->facts, scene->gitea, REPO, GITEA_HOOKS_REPO), hooks);
    scene_settle(scene);
    assert_int_equal(hooks->fact.state, FACT_KNOWN);
    assert_int_equal(hooks->n, 3);
    assert_int_equal(hooks->items[0].id, 1);
    assert_true(hooks->items[0].active);
    assert_string_equal(hooks->items[0].url, "https://ci.example/hook");
    assert_string_equal(hooks->items[0].updated_at, "2026-11-23T10:00:00Z");
    assert_string_equal(hooks->items[0].events[1], "status");
    assert_null(hooks->items[0].events[2]);
    assert_string_equal(hooks->items[0].branch_filter, "main");
    assert_string_equal(hooks->items[1].branch_filter, "");
    assert_false(hooks->items[1].active);
    assert_null(hooks->items[1].events[0]);
    assert_string_equal(hooks->items[1].updated_at, "");
    assert_string_equal(hooks->items[2].events[0], "push");
}

static void a_repo_without_webhooks_has_none(void **state)
{
    struct scene *scene = *state;
    static const char *const bodies[] = {"[]", "null"};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        on_json(scene, PAGE_1, "X-Total-Count: 0\r\n", mem_dup(bodies[i]));
        struct facts *facts = facts_new(scene->fetch, INT64_MAX);
        const struct gitea_hooks *hooks = gitea_hooks(facts, scene->gitea, REPO, GITEA_HOOKS_REPO);
        void *waiter;
        while (facts_wait(facts, PATIENCE_MS, &waiter) != FACTS_ALL_ANSWERED)
            assert_int_equal(hooks->fact.state, FACT_PENDING);
        assert_int_equal(hooks->fact.state, FACT_KNOWN);
        assert_int_equal(hooks->n, 0);
        facts_free(facts);
    }
}

static void what_is_no_list_of_webhooks_is_told_in_words(void **state)
{
    struct scene *scene = *state;
    static const struct {
        const char *repo, *body, *error;
    } cases[] = {
        {"a/1", "{}", "not a list of webhooks"},
        {"a/2", "[{\"id\":1,\"config\":{}}]", "a webhook without an id or a URL"},
        {"a/3", "[{\"config\":{\"url\":\"https://h/\"}}]", "a webhook without an id or a URL"},
        {"a/4", "[{\"id\":1,\"active\":\"yes\",\"config\":{\"url\":\"https://h/\"}}]",
         "a webhook that is neither active nor not"},
        {"noslash", NULL, "a repo is \"owner/name\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_FREE char *target = mem_printf("/api/v1/repos/%s/hooks?limit=50&page=1", cases[i].repo);
        if (cases[i].body)
            on_json(scene, target, NULL, mem_dup(cases[i].body));
        const struct gitea_hooks *hooks =
            gitea_hooks(scene->facts, scene->gitea, cases[i].repo, GITEA_HOOKS_REPO);
        scene_settle(scene);
        assert_int_equal(hooks->fact.state, FACT_FAILED);
        if (!strstr(hooks->fact.error, cases[i].error))
            fail_msg("\"%s\" instead of \"%s\"", hooks->fact.error, cases[i].error);
    }
}

static void a_token_that_may_not_see_them_says_nothing_of_gitea(void **state)
{
    struct scene *scene = *state;
    struct upstream_view health;
    script_server_on(scene->server, PAGE_1,
                     &(struct script_reply){.status = 403, .body = "{\"message\":\"user should be admin\"}"});
    const struct gitea_hooks *hooks = gitea_hooks(scene->facts, scene->gitea, REPO, GITEA_HOOKS_REPO);
    scene_settle(scene);
    assert_int_equal(hooks->fact.state, FACT_FAILED);
    gitea_scene_health(scene, &health);
    assert_true(health.ok);
    script_server_on(scene->server, "/api/v1/repos/acme/other/hooks?limit=50&page=1",
                     &(struct script_reply){.status = 500, .body = "{}"});
    (void)gitea_hooks(scene->facts, scene->gitea, "acme/other", GITEA_HOOKS_REPO);
    scene_settle(scene);
    gitea_scene_health(scene, &health);
    assert_false(health.ok);
}

#define ONE "[{\"id\":4,\"active\":true,\"config\":{\"url\":\"https://h/\"},\"events\":[\"push\"]}]"
#define OF_ORG "/api/v1/orgs/acme/hooks?limit=50&page=1"

static void webhooks_of_the_owner_and_the_system_are_asked_for_once(void **state)
{
    struct scene *scene = *state;
    on_json(scene, OF_ORG, "X-Total-Count: 1\r\n", mem_dup(ONE));
    on_json(scene, "/api/v1/admin/hooks?limit=50&page=1", "X-Total-Count: 0\r\n", mem_dup("[]"));
    const struct gitea_hooks *of_owner =
        gitea_hooks(scene->facts, scene->gitea, "acme/one", GITEA_HOOKS_OWNER);
    const struct gitea_hooks *of_system =
        gitea_hooks(scene->facts, scene->gitea, "acme/one", GITEA_HOOKS_SYSTEM);
    assert_ptr_equal(gitea_hooks(scene->facts, scene->gitea, "acme/two", GITEA_HOOKS_OWNER), of_owner);
    assert_ptr_equal(gitea_hooks(scene->facts, scene->gitea, "other/two", GITEA_HOOKS_SYSTEM), of_system);
    scene_settle(scene);
    assert_int_equal(of_owner->fact.state, FACT_KNOWN);
    assert_int_equal(of_owner->n, 1);
    assert_int_equal(of_system->fact.state, FACT_KNOWN);
    assert_int_equal(of_system->n, 0);
}

static void webhooks_of_a_user_are_known_to_that_user_alone(void **state)
{
    struct scene *scene = *state;
    on_json(scene, "/api/v1/user", NULL, mem_dup("{\"login\":\"Acme\"}"));
    on_json(scene, "/api/v1/user/hooks?limit=50&page=1", "X-Total-Count: 1\r\n", mem_dup(ONE));
    const struct gitea_hooks *mine = gitea_hooks(scene->facts, scene->gitea, REPO, GITEA_HOOKS_OWNER);
    const struct gitea_hooks *others = gitea_hooks(scene->facts, scene->gitea, "bob/app", GITEA_HOOKS_OWNER);
    scene_settle(scene);
    assert_int_equal(mine->fact.state, FACT_KNOWN);
    assert_int_equal(mine->n, 1);
    assert_int_equal(others->fact.state, FACT_FAILED);
    assert_string_equal(others->fact.error, "Gitea does not show the webhooks of bob to this token");
}

int main(void)
{
    gitea_scene_prepare();
    const struct CMUnitTest tests[] = {
        IN_SCENE(webhooks_are_read_over_all_pages),
        IN_SCENE(a_repo_without_webhooks_has_none),
        IN_SCENE(what_is_no_list_of_webhooks_is_told_in_words),
        IN_SCENE(webhooks_of_the_owner_and_the_system_are_asked_for_once),
        IN_SCENE(webhooks_of_a_user_are_known_to_that_user_alone),
        IN_SCENE(a_token_that_may_not_see_them_says_nothing_of_gitea),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
