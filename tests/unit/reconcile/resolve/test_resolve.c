/* Which branch and task a commit belongs to: every rule, and every way not to know. */
#include "clients/facts/facts.h"
#include "clients/store/store.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/resolve/resolve.h"
#include "reconcile/settings/settings.h"
#include "tests/doubles/facts.h"
#include "tests/support/test.h"

#define SHA "0123456789abcdef0123456789abcdef01234567"
#define OTHER "ffffffffffffffffffffffffffffffffffffffff"

static struct pipeline *pipeline;

/* The tasks of the repo, newest first. */
static struct store_repo_task rows[8];
static struct store_repo_tasks tasks;

static struct resolve_findings findings;
static struct resolution answer;

static const char *others[2];
static size_t n_others;

static void task(int64_t id, const char *branch, const char *stage)
{
    rows[tasks.n++] = (struct store_repo_task){
        .id = id, .branch = (char *)(uintptr_t)branch, .stage = (char *)(uintptr_t)stage};
    tasks.rows = rows;
}

static struct resolve_question question_of(const char *sha)
{
    static const struct settings settings = {.n_projects = 0}; /* pull requests go into main */
    return (struct resolve_question){.repo = "acme/app",
                                     .sha = sha,
                                     .others = others,
                                     .n_others = n_others,
                                     .pipeline = pipeline,
                                     .settings = &settings};
}

/* The answer to `sha`, once nothing is pending any more. */
static enum resolve_result ask_about(const char *sha)
{
    const struct resolve_question question = question_of(sha);
    struct facts *facts = facts_new(NULL, 0);
    void *waiter;
    for (;;) {
        resolution_done(&answer);
        resolve_findings_done(&findings);
        resolve_look(&question, &tasks, facts, NULL, &findings, &answer);
        if (answer.result != RESOLVE_PENDING)
            break;
        assert_int_equal(facts_wait(facts, 0, &waiter), FACTS_READY);
    }
    facts_free(facts);
    return answer.result;
}

static enum resolve_result ask(void)
{
    return ask_about(SHA);
}

static void expect_found(enum resolve_method method, const char *branch, int64_t task_id)
{
    assert_int_equal(ask(), RESOLVE_FOUND);
    assert_int_equal(answer.method, method);
    assert_int_equal(answer.n, 1);
    assert_string_equal(answer.candidates[0].branch, branch);
    assert_int_equal(answer.candidates[0].task ? answer.candidates[0].task->id : 0, task_id);
    assert_null(answer.reason);
}

/* `ids` in order, 0 for a branch without a task. */
static void expect_ambiguous(size_t n, const int64_t *ids)
{
    assert_int_equal(ask(), RESOLVE_AMBIGUOUS);
    assert_int_equal(answer.n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(answer.candidates[i].task ? answer.candidates[i].task->id : 0, ids[i]);
    assert_non_null(answer.reason);
}

static void expect_words(enum resolve_result result, const char *reason)
{
    assert_int_equal(ask(), result);
    assert_int_equal(answer.n, 0);
    assert_string_equal(answer.reason, reason);
}

static int set_up(void **state)
{
    (void)state;
    facts_clear();
    facts_repo("main");
    facts_head("main", OTHER);
    tasks = (struct store_repo_tasks){0};
    n_others = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    resolution_done(&answer);
    resolve_findings_done(&findings);
    return 0;
}

/* the head of a task's branch */

#define RESOLVE_TEST(test) TEST_WITH(test, set_up, tear_down)

RESOLVE_TEST(the_branch_of_a_task_whose_head_it_is_comes_first)
{
    task(3, "c", "review");
    task(2, "b", "development");
    facts_head("b", OTHER);
    facts_head("c", SHA);
    facts_open_pull(1, "x", SHA);
    expect_found(METHOD_BRANCH_HEAD, "c", 3);
    assert_int_equal(facts_lookups(), 2); /* pull requests are not asked for */
}

RESOLVE_TEST(a_commit_is_the_same_in_capitals)
{
    task(2, "b", "development");
    facts_head("b", "ABCDEF0123456789ABCDEF0123456789ABCDEF01");
    assert_int_equal(ask_about("abcdef0123456789abcdef0123456789abcdef01"), RESOLVE_FOUND);
}

RESOLVE_TEST(two_tasks_with_that_head_are_ambiguous)
{
    task(3, "c", "review");
    task(2, "b", "development");
    task(1, "a", "development");
    facts_head("a", OTHER);
    facts_head("b", SHA);
    facts_head("c", SHA);
    expect_ambiguous(2, (const int64_t[]){3, 2});
    assert_int_equal(answer.method, METHOD_BRANCH_HEAD);
}

RESOLVE_TEST(two_tasks_on_one_branch_are_ambiguous)
{
    task(3, "b", "review");
    task(2, "b", "development");
    facts_head("b", SHA);
    expect_ambiguous(2, (const int64_t[]){3, 2});
}

RESOLVE_TEST(a_head_that_was_read_stands_whatever_fails_beside_it)
{
    task(3, "c", "review");
    task(2, "b", "development");
    facts_head("b", SHA);
    facts_head_failed("c", "Gitea answered 500");
    expect_found(METHOD_BRANCH_HEAD, "b", 2);
    assert_string_equal(findings.reason, "Gitea answered 500"); /* so that it is not kept */
}

RESOLVE_TEST(a_head_that_cannot_be_read_leaves_nothing_to_fall_back_on)
{
    task(3, "c", "review");
    task(2, "b", "development");
    facts_head("b", OTHER);
    facts_head_failed("c", "Gitea answered 500");
    facts_open_pull(1, "x", SHA);
    expect_words(RESOLVE_UNAVAILABLE, "Gitea answered 500");
}

RESOLVE_TEST(more_tasks_than_can_be_looked_at_are_not_guessed_about)
{
    task(3, "c", "review");
    tasks.more = true;
    facts_head("c", OTHER);
    facts_open_pull(1, "x", SHA);
    assert_int_equal(ask(), RESOLVE_UNAVAILABLE);
    facts_clear();
    facts_head("c", SHA);
    expect_found(METHOD_BRANCH_HEAD, "c", 3);
}

/* pull requests */

RESOLVE_TEST(an_open_pull_request_names_the_branch_with_or_without_a_task)
{
    task(3, "c", "review");
    facts_head("c", OTHER); /* a push came between the two questions */
    facts_open_pull(1, "a", OTHER);
    facts_open_pull(2, "c", SHA);
    facts_open_pull(3, "c", SHA); /* the same branch, into another base */
    expect_found(METHOD_PULL_REQUEST, "c", 3);
    facts_clear();
    facts_open_pull(2, "hotfix", SHA);
    expect_found(METHOD_PULL_REQUEST, "hotfix", 0);
    tasks.n = 0;
    expect_found(METHOD_PULL_REQUEST, "hotfix", 0);
}

RESOLVE_TEST(pull_requests_of_two_branches_are_ambiguous)
{
    task(3, "c", "review");
    facts_open_pull(2, "c", SHA);
    facts_open_pull(3, "hotfix", SHA);
    expect_ambiguous(2, (const int64_t[]){3, 0});
    assert_string_equal(answer.candidates[1].branch, "hotfix");
    assert_int_equal(answer.method, METHOD_PULL_REQUEST);
}

RESOLVE_TEST(a_pull_request_of_two_tasks_branch_is_ambiguous)
{
    task(4, "c", "review");
    task(3, "c", "testing");
    facts_open_pull(2, "c", SHA);
    expect_ambiguous(2, (const int64_t[]){4, 3});
}

RESOLVE_TEST(a_pull_request_from_elsewhere_belongs_to_no_task)
{
    task(3, "c", "development");
    facts_open_pull(7, NULL, SHA);
    expect_words(RESOLVE_NONE, "it is the head of pull request #7, whose branch is not in this repo");
    facts_open_pull(8, "c", SHA);
    expect_found(METHOD_PULL_REQUEST, "c", 3);
}

RESOLVE_TEST(without_pull_requests_only_the_database_can_settle_it)
{
    static const enum fact_state states[] = {FACT_FAILED, FACT_ABSENT};
    for (size_t i = 0; i < 2; i++) {
        tasks.n = 0;
        facts_open_pulls_failed(states[i], "Gitea: connection refused");
        expect_words(RESOLVE_NONE,
                     "the database knows no unfinished task of the repo, and pull requests could "
                     "not be looked at: Gitea: connection refused");
        task(3, "c",
             "review"); /* waits for no CI, and yet its branch is gone from a Gitea that hides things */
        expect_words(RESOLVE_UNAVAILABLE, "Gitea: connection refused");
    }
}

/* a task that cannot be read */

static void unreadable(int64_t id, const char *branch, const char *stage)
{
    task(id, branch, stage);
    rows[tasks.n - 1].unreadable = (char *)(uintptr_t)"tasks.branch is longer than 400 bytes";
}

/* What is shown of its branch may be the name of another. */
RESOLVE_TEST(a_branch_that_cannot_be_read_has_no_head)
{
    unreadable(3, "b", "development");
    task(2, "b", "development");
    facts_head("b", SHA);
    expect_found(METHOD_BRANCH_HEAD, "b", 2);
}

RESOLVE_TEST(a_pull_request_s_branch_is_not_one_that_cannot_be_read)
{
    unreadable(3, "x", "development");
    facts_open_pull(1, "x", SHA);
    expect_found(METHOD_PULL_REQUEST, "x", 0);
}

RESOLVE_TEST(a_task_that_cannot_be_read_is_no_answer)
{
    unreadable(3, "x", "development");
    expect_words(RESOLVE_NONE,
                 "the only task of the repo that waits for CI is 3, and tasks.branch is longer than 400 "
                 "bytes");
}

/* the sole task */

RESOLVE_TEST(the_only_task_that_waits_for_ci_is_meant)
{
    task(5, "e", "review");
    task(4, "d", "analysis");
    task(3, "c", "testing");
    facts_head("c", OTHER);
    facts_open_pull(1, "c", OTHER);
    facts_open_pull(2, "c", NULL);
    expect_found(METHOD_SOLE_TASK, "c", 3);
}

RESOLVE_TEST(the_head_of_the_base_branch_is_nobodys)
{
    task(3, "c", "development");
    facts_clear();
    facts_head("main", SHA);
    expect_words(RESOLVE_NONE, "it is the head of main, and so no task's");
    facts_clear();
    facts_head("main", OTHER);
    facts_head("trunk", SHA);
    facts_repo("trunk");
    expect_words(RESOLVE_NONE, "it is the head of trunk, and so no task's");
    facts_clear();
    facts_head("trunk", OTHER); /* the base branch is not there at all */
    facts_repo("trunk");
    expect_found(METHOD_SOLE_TASK, "c", 3);
}

RESOLVE_TEST(other_names_of_a_renamed_repo_are_looked_for_before_a_guess)
{
    others[n_others++] = "acme/old";
    others[n_others++] = "acme/other";
    task(3, "c", "testing");
    facts_repo("main");
    facts_head("main", OTHER);
    facts_repo_named("acme/old", "Acme/App");
    expect_found(METHOD_SOLE_TASK, "c", 3);
    assert_true(findings.names_known);
    assert_int_equal(findings.n_names, 1);
    assert_string_equal(findings.names[0], "acme/old");
    facts_head("c", SHA);
    expect_found(METHOD_BRANCH_HEAD, "c", 3); /* no guess: nothing else is asked */
    assert_false(findings.names_known);
    facts_clear();
    facts_repo("main");
    facts_repo_named("acme/old", "acme/elsewhere");
    facts_open_pull(1, "x", SHA);
    expect_found(METHOD_PULL_REQUEST, "x", 0);
    assert_true(findings.names_known);
    assert_int_equal(findings.n_names, 0);
}

RESOLVE_TEST(two_tasks_that_wait_for_ci_are_ambiguous)
{
    task(3, "c", "testing");
    task(2, "b", "review");
    task(1, "a", "development");
    expect_ambiguous(2, (const int64_t[]){3, 1});
    assert_int_equal(answer.method, METHOD_SOLE_TASK);
    facts_clear();
    facts_head("main", SHA);
    facts_repo("main");
    assert_int_equal(ask(), RESOLVE_NONE); /* not theirs, however many they are */
}

RESOLVE_TEST(without_a_task_that_waits_for_ci_there_is_nobody)
{
    static const char reason[] =
        "it is the head of no task's branch and of no open pull request, and no task of "
        "the repo waits for CI";
    expect_words(RESOLVE_NONE, reason);
    task(3, "c", "review");
    expect_words(RESOLVE_NONE, reason);
}

RESOLVE_TEST(a_base_that_cannot_be_read_makes_the_sole_task_a_guess)
{
    task(3, "c", "development");
    facts_clear();
    facts_repo("main");
    facts_head_failed("main", "Gitea answered 502");
    expect_words(RESOLVE_UNAVAILABLE, "Gitea answered 502");
    facts_clear();
    facts_head("main", OTHER); /* the repo cannot be seen: Gitea hides what a token may not see */
    expect_words(RESOLVE_UNAVAILABLE, "Gitea knows no such thing");
    facts_clear();
    facts_head("trunk", OTHER);
    facts_head_failed("main", "Gitea answered 502");
    facts_repo("trunk");
    expect_words(RESOLVE_UNAVAILABLE, "Gitea answered 502");
    facts_clear();
    facts_head("trunk", SHA); /* whatever main's head may be */
    facts_head_failed("main", "Gitea answered 502");
    facts_repo("trunk");
    expect_words(RESOLVE_NONE, "it is the head of trunk, and so no task's");
}

/* when findings come late */

RESOLVE_TEST(late_facts_make_the_same_answers)
{
    facts_late(true);
    task(3, "c", "development");
    facts_head("c", SHA);
    expect_found(METHOD_BRANCH_HEAD, "c", 3);
    rows[0].branch = (char *)(uintptr_t)"d";
    facts_open_pull(1, "x", SHA);
    expect_found(METHOD_PULL_REQUEST, "x", 0);
    facts_clear();
    facts_late(true);
    facts_repo("trunk");
    facts_head("trunk", OTHER);
    expect_found(METHOD_SOLE_TASK, "d", 3);
    facts_head("main", SHA);
    assert_int_equal(ask(), RESOLVE_NONE);
}

RESOLVE_TEST(kept_facts_answer_about_the_tasks_of_now)
{
    const struct resolve_question question = question_of(SHA);
    task(3, "c", "review");
    facts_head("c", SHA);
    expect_found(METHOD_BRANCH_HEAD, "c", 3);
    struct resolution later;
    rows[0].stage = (char *)(uintptr_t)"testing";
    resolve_decide(&question, &tasks, &findings, &later);
    assert_int_equal(later.result, RESOLVE_FOUND);
    assert_string_equal(later.candidates[0].task->stage, "testing");
    resolution_done(&later);
    task(4, "d", "development"); /* its branch was not asked about */
    resolve_decide(&question, &tasks, &findings, &later);
    assert_int_equal(later.result, RESOLVE_PENDING);
    resolution_done(&later);
    tasks.n = 0; /* and neither were pull requests */
    resolve_decide(&question, &tasks, &findings, &later);
    assert_int_equal(later.result, RESOLVE_PENDING);
    resolution_done(&later);
}

RESOLVE_TEST(only_unfinished_tasks_are_candidates)
{
    size_t n = 0;
    const char **stages = resolve_stages(pipeline, &n);
    assert_int_equal(n, 7);
    assert_string_equal(stages[0], "created");
    assert_string_equal(stages[6], "deploy");
    assert_null(stages[7]);
    free(stages);
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
