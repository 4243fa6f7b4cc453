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
#include "tests/support/gitea_scene.h"
#include "tests/support/sandbox_run.h"

#define BRANCHES API "/branches"
#define OTHER_SHA "89abcdef0123456789abcdef0123456789abcdef"

/* ---- against the sandbox's Gitea -------------------------------------------------------------------------
 */

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
    return gitea_new(url, TOKEN, &scene->gitea, NULL);
}

static int close_sandbox(void **state)
{
    int failed = scene_close(state);
    sandbox_stop(sandbox);
    return failed;
}
#define IN_SANDBOX(test) cmocka_unit_test_setup_teardown(test, open_sandbox, close_sandbox)

static size_t posts(void)
{
    return sandbox_asked(sandbox, "POST /gitea/*");
}

/* The head of a branch as another book sees it. */
static char *head_of(struct scene *scene, const char *branch)
{
    struct book *book = book_new(scene->fetch, clock_mono_ms() + PATIENCE_MS);
    void *waiter;
    const struct gitea_head *head = gitea_head(book, scene->gitea, REPO, branch);
    while (book_next(book, PATIENCE_MS, &waiter) != BOOK_ALL_ANSWERED)
        ;
    char *sha = mem_dup(head->sha);
    book_free(book);
    return sha;
}

static void a_missing_branch_is_made_from_its_base_once(void **state)
{
    struct scene *scene = *state;
    const struct gitea_branch_made *made =
        gitea_branch_make(scene->book, scene->gitea, REPO, "main", "ORCH-1/a b");
    assert_int_equal(made->fact.state, FACT_PENDING);
    assert_ptr_equal(gitea_branch_make(scene->book, scene->gitea, REPO, "main", "ORCH-1/a b"), made);
    scene_settle(scene);
    assert_int_equal(made->fact.state, FACT_KNOWN);
    assert_true(made->made);
    assert_int_equal(posts(), 1);
    AUTO_FREE char *sha = head_of(scene, "ORCH-1/a b");
    assert_string_equal(sha, SHA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SANDBOX(a_missing_branch_is_made_from_its_base_once),
    };
    gitea_scene_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
