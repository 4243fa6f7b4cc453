/* Plane's issues: their tasks, the tasks that are made of them, the tasks that were never started, and
 * verdicts that are replayed once. */
#include "tests/support/clients/store/store_suite.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"

SUITE_GROUP(issues, "store: issues")

#define PASS_ID "00000000-0000-4000-8000-000000000004"

/* An issue's id, in one of a few static buffers. */
static const char *issue(int64_t number)
{
    static struct uuid_text buffers[8];
    static unsigned next;
    char *buffer = buffers[next++ % ARRAY_LEN(buffers)].s;
    (void)snprintf(buffer, sizeof buffers[0].s, "a0eebc99-9c0b-4ef8-bb6d-%012llx", (long long)number);
    return buffer;
}

static struct uuid_text upper(const char *id)
{
    struct uuid_text loud = {""};
    for (size_t i = 0; i < UUID_TEXT_LEN; i++)
        loud.s[i] = (char)toupper((unsigned char)id[i]);
    return loud;
}

/* A task of that issue, which rested for so long. */
static void issue_task(const struct suite *suite, int64_t id, const char *plane_id, const char *stage,
                       int64_t age_s)
{
    suite_task(suite, id, stage, "o/r", age_s);
    suite_exec(suite, "UPDATE tasks SET plane_id = '%s' WHERE id = %lld", plane_id, (long long)id);
}

/* the tasks of issues */

SUITE_TEST(the_tasks_of_issues_are_told_with_their_jobs)
{
    issue_task(suite, 1, issue(1), "development", 5000);
    issue_task(suite, 2, issue(2), "analysis", 100);
    issue_task(suite, 3, issue(3), "analysis", 100);
    suite_job(suite, 2, "running");
    suite_job(suite, 1, "done");
    char *before = suite_dump(suite);
    const char *const asked[] = {issue(9), issue(2), issue(1)};
    struct store_issue_tasks tasks;
    ASSERT_OK(store_issue_tasks(suite->store, asked, ARRAY_LEN(asked), &tasks, &suite->why));
    assert_int_equal(tasks.settings_revision, 0);
    assert_int_equal(tasks.n, 2);
    assert_int_equal(tasks.rows[0].issue, 1);
    assert_int_equal(tasks.rows[0].task.id, 2);
    assert_true(tasks.rows[0].active);
    assert_int_equal(tasks.rows[1].issue, 2);
    assert_false(tasks.rows[1].active);
    const struct store_task *task = &tasks.rows[1].task;
    assert_int_equal(task->id, 1);
    assert_string_equal(task->plane_id, issue(1));
    assert_string_equal(task->work_item_id, "ORCH-1");
    assert_string_equal(task->title, "Task 1");
    assert_string_equal(task->repo, "o/r");
    assert_string_equal(task->branch, "feature/ORCH-1");
    assert_string_equal(task->stage, "development");
    assert_in_range(task->age_s, 5000, 5100);
    assert_in_range((tasks.now_us - tasks.rows[1].updated_us) / 1000000, 5000, 5100);
    char *after = suite_dump(suite);
    assert_string_equal(after, before);
    free(before);
    free(after);
    store_issue_tasks_done(&tasks);
}

SUITE_TEST(a_task_of_an_issue_can_be_moved_as_it_was_told)
{
    issue_task(suite, 1, issue(1), "analysis", 0);
    const char *const asked[] = {issue(1)};
    struct store_issue_tasks tasks;
    ASSERT_OK(store_issue_tasks(suite->store, asked, 1, &tasks, &suite->why));
    assert_int_equal(tasks.n, 1);
    struct store_transition transition = suite_transition(&tasks.rows[0].task);
    assert_int_equal(suite_move(suite, &transition), STORE_MOVED);
    assert_int_equal(suite_move(suite, &(struct store_transition){.id = uuid_new(),
                                                                  .task = &tasks.rows[0].task,
                                                                  .to_stage = "testing",
                                                                  .side = "plane",
                                                                  .outcome = "approved"}),
                     STORE_RACED);
    store_issue_tasks_done(&tasks);
}

SUITE_TEST(issues_are_compared_without_case)
{
    struct uuid_text loud = upper(issue(0xa)), asked_loud = upper(issue(0xb));
    issue_task(suite, 1, loud.s, "analysis", 100);
    issue_task(suite, 2, issue(0xb), "analysis", 100);
    const char *const asked[] = {issue(0xa), asked_loud.s};
    struct store_issue_tasks tasks;
    ASSERT_OK(store_issue_tasks(suite->store, asked, ARRAY_LEN(asked), &tasks, &suite->why));
    assert_int_equal(tasks.n, 2);
    for (size_t i = 0; i < tasks.n; i++) {
        assert_int_equal(tasks.rows[i].issue, i);
        assert_int_equal(tasks.rows[i].task.id, i + 1);
    }
    store_issue_tasks_done(&tasks);
}

SUITE_TEST(no_issues_still_tell_revision_and_clock)
{
    int64_t revision;
    ASSERT_OK(store_settings_write(suite->store, 0, "{}", NULL, 0, &revision, &suite->why));
    issue_task(suite, 1, issue(1), "analysis", 100);
    struct store_issue_tasks tasks;
    ASSERT_OK(store_issue_tasks(suite->store, NULL, 0, &tasks, &suite->why));
    assert_int_equal(tasks.n, 0);
    assert_int_equal(tasks.settings_revision, 1);
    assert_in_range(tasks.now_us - clock_wall_us() + 60000000, 0, 120000000);
    store_issue_tasks_done(&tasks);
}

SUITE_TEST(an_issue_asked_about_twice_is_answered_twice)
{
    issue_task(suite, 1, issue(1), "analysis", 100);
    const char *const asked[] = {issue(1), issue(2), issue(1)};
    struct store_issue_tasks tasks;
    ASSERT_OK(store_issue_tasks(suite->store, asked, ARRAY_LEN(asked), &tasks, &suite->why));
    assert_int_equal(tasks.n, 2);
    assert_int_equal(tasks.rows[0].issue, 0);
    assert_int_equal(tasks.rows[1].issue, 2);
    assert_int_equal(tasks.rows[1].task.id, 1);
    store_issue_tasks_done(&tasks);
}

SUITE_TEST(thousands_of_issues_are_one_question)
{
    enum { ISSUES = 3000 };
    static struct uuid_text ids[ISSUES];
    static const char *asked[ISSUES];
    for (size_t i = 0; i < ISSUES; i++) {
        (void)snprintf(ids[i].s, sizeof ids[i].s, "%s", issue((int64_t)i));
        asked[i] = ids[i].s;
    }
    issue_task(suite, 1, issue(ISSUES - 1), "analysis", 100);
    issue_task(suite, 2, issue(0), "analysis", 100);
    struct store_issue_tasks tasks;
    ASSERT_OK(store_issue_tasks(suite->store, asked, ISSUES, &tasks, &suite->why));
    assert_int_equal(tasks.n, 2);
    assert_int_equal(tasks.rows[0].issue, 0);
    assert_int_equal(tasks.rows[0].task.id, 2);
    assert_int_equal(tasks.rows[1].issue, ISSUES - 1);
    store_issue_tasks_done(&tasks);
}

/* It is invalid, and yet it is the issue's task; no transition can match it as it reads. */
SUITE_TEST_EMPTY(a_task_without_a_stage_or_a_time_is_told_and_never_moves)
{
    const char *const asked[] = {issue(1), issue(2)};
    suite_own_tasks(suite, "");
    ASSERT_OK(store_migrate(suite->store, NULL, &suite->why));
    issue_task(suite, 1, asked[0], "analysis", 100);
    issue_task(suite, 2, asked[1], "analysis", 100);
    suite_exec(suite, "UPDATE tasks SET stage = NULL WHERE id = 1");
    suite_exec(suite, "UPDATE tasks SET updated_at = NULL WHERE id = 2");
    struct store_issue_tasks tasks;
    ASSERT_OK(store_issue_tasks(suite->store, asked, ARRAY_LEN(asked), &tasks, &suite->why));
    assert_int_equal(tasks.n, 2);
    assert_string_equal(tasks.rows[0].task.stage, "");
    assert_int_equal(tasks.rows[1].updated_us, 0);
    for (size_t i = 0; i < tasks.n; i++) {
        struct store_transition transition = suite_transition(&tasks.rows[i].task);
        assert_int_equal(suite_move(suite, &transition), STORE_RACED);
    }
    store_issue_tasks_done(&tasks);
}

/* making tasks */

static struct store_new_task new_task(const char *plane_id)
{
    return (struct store_new_task){.plane_id = plane_id,
                                   .work_item_id = "ORCH-7",
                                   .title = "Basket \"keeps\" its {items}, О'К ☂",
                                   .repo = "acme/shop",
                                   .branch = plane_id,
                                   .stage = "created"};
}

static void create(struct suite *suite, const struct store_new_task *batch, size_t n,
                   enum store_creation *ret)
{
    ASSERT_OK(store_create_tasks(suite->store, 0, 0, batch, n, ret, &suite->why));
}

SUITE_TEST(a_new_task_has_all_that_was_said_and_no_job)
{
    const char *const asked[] = {issue(7)};
    struct store_new_task new = new_task(asked[0]);
    enum store_creation creation;
    new.branch = "feature/ORCH-7-basket";
    create(suite, &new, 1, &creation);
    assert_int_equal(creation, STORE_CREATED);
    struct store_issue_tasks tasks;
    ASSERT_OK(store_issue_tasks(suite->store, asked, 1, &tasks, &suite->why));
    assert_int_equal(tasks.n, 1);
    const struct store_task *task = &tasks.rows[0].task;
    assert_true(task->id > 0);
    assert_string_equal(task->plane_id, issue(7));
    assert_string_equal(task->work_item_id, "ORCH-7");
    assert_string_equal(task->title, new.title);
    assert_string_equal(task->repo, "acme/shop");
    assert_string_equal(task->branch, "feature/ORCH-7-basket");
    assert_string_equal(task->stage, "created");
    assert_in_range(task->age_s, 0, 100);
    store_issue_tasks_done(&tasks);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM tasks WHERE created_at = updated_at"), 1);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM jobs"), 0);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_ledger"), 0);
}

SUITE_TEST(a_new_task_may_lack_all_but_its_issue_and_its_stage)
{
    struct store_new_task new = {.plane_id = issue(1), .stage = "created"};
    enum store_creation creation;
    create(suite, &new, 1, &creation);
    assert_int_equal(creation, STORE_CREATED);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM tasks WHERE title IS NULL AND repo IS NULL"
                                         " AND branch IS NULL AND work_item_id IS NULL"),
                     1);
}

SUITE_TEST(a_task_that_is_there_is_left_as_it_is)
{
    struct uuid_text loud = upper(issue(0xb));
    issue_task(suite, 1, issue(0xa), "review", 5000);
    issue_task(suite, 2, loud.s, "review", 5000);
    char *before = suite_dump(suite);
    struct store_new_task batch[] = {new_task(issue(0xa)), new_task(issue(0xb))};
    enum store_creation creations[2];
    create(suite, batch, 2, creations);
    assert_int_equal(creations[0], STORE_EXISTS);
    assert_int_equal(creations[1], STORE_EXISTS);
    char *after = suite_dump(suite);
    assert_string_equal(after, before);
    free(before);
    free(after);
}

SUITE_TEST(one_issue_twice_in_a_batch_makes_one_task)
{
    struct uuid_text loud = upper(issue(0xa));
    struct store_new_task batch[] = {new_task(issue(0xa)), new_task(issue(0xb)), new_task(issue(0xa)),
                                     new_task(loud.s)};
    enum store_creation creations[4];
    create(suite, batch, 4, creations);
    assert_int_equal(creations[0], STORE_CREATED);
    assert_int_equal(creations[1], STORE_CREATED);
    assert_int_equal(creations[2], STORE_EXISTS);
    assert_int_equal(creations[3], STORE_EXISTS);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM tasks"), 2);
}

SUITE_TEST(a_branch_belongs_to_one_task)
{
    struct store_new_task batch[] = {new_task(issue(0xa)), new_task(issue(0xb)), new_task(issue(0xc)),
                                     new_task(issue(0xd)), new_task(issue(0xa))};
    enum store_creation creations[5];
    suite_task(suite, 1000, "done", "acme/shop", 5000); /* above the ids that the database gives itself */
    suite_exec(suite, "UPDATE tasks SET branch = 'feature/X'");
    batch[0].branch = batch[1].branch = batch[4].branch = "feature/Y";
    batch[1].repo = "Acme/Shop";
    batch[2].branch = "feature/X"; /* though that task is done */
    batch[3].branch = "feature/X";
    batch[3].repo = "acme/other";
    create(suite, batch, 5, creations);
    assert_int_equal(creations[0], STORE_CREATED);
    assert_int_equal(creations[1], STORE_BRANCH_TAKEN);
    assert_int_equal(creations[2], STORE_BRANCH_TAKEN);
    assert_int_equal(creations[3], STORE_CREATED);
    assert_int_equal(creations[4], STORE_EXISTS);
    create(suite, batch, 3, creations);
    assert_int_equal(creations[0], STORE_EXISTS);
    assert_int_equal(creations[1], STORE_BRANCH_TAKEN);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM tasks"), 3);
}

SUITE_TEST(whose_a_branch_is_is_told)
{
    suite_task(suite, 1, "review", "acme/shop", 5000);
    suite_task(suite, 2, "created", "acme/shop", 5000);
    suite_task(suite, 3, "created", "Acme/Shop", 5000);
    suite_task(suite, 4, "created", "acme/shop", 5000);
    suite_exec(suite, "UPDATE tasks SET branch = 'x' WHERE id < 3");
    suite_exec(suite, "UPDATE tasks SET branch = 'y' WHERE id >= 3");
    const struct store_branch branches[] = {
        {"acme/shop", "x", 1}, {"acme/shop", "x", 2}, {"acme/shop", "y", 3}, {"acme/shop", "y", 4},
        {"acme/shop", "X", 0}, {"ACME/SHOP", "x", 5}, {"acme/b", "x", 0},    {"acme/shop", "x", 0}};
    int64_t takers[8];
    ASSERT_OK(store_branches_taken(suite->store, branches, 8, "created", takers, &suite->why));
    assert_int_equal(takers[0], 0); /* the other has not begun */
    assert_int_equal(takers[1], 1);
    assert_int_equal(takers[2], 0); /* made first */
    assert_int_equal(takers[3], 3);
    assert_int_equal(takers[4], 0);
    assert_true(takers[5] == 1 || takers[5] == 2);
    assert_int_equal(takers[6], 0);
    assert_true(takers[7] == 1 || takers[7] == 2);
}

/* A full batch, in which the database refuses every seventh and every fifth is there. */
SUITE_TEST(a_refused_task_does_not_stop_the_others)
{
    static struct uuid_text ids[LIMIT_BATCH];
    static char names[LIMIT_BATCH][16];
    struct store_new_task batch[LIMIT_BATCH];
    enum store_creation creations[LIMIT_BATCH];
    suite_exec(suite, "CREATE UNIQUE INDEX one_of_a_name ON tasks (work_item_id)");
    suite_task(suite, 1000, "done", "o/r", 100);
    for (size_t i = 0; i < LIMIT_BATCH; i++) {
        (void)snprintf(ids[i].s, sizeof ids[i].s, "%s", issue((int64_t)i));
        (void)snprintf(names[i], sizeof names[i], i % 7 == 0 ? "ORCH-1000" : "NEW-%zu", i);
        batch[i] = new_task(ids[i].s);
        batch[i].work_item_id = names[i];
        if (i % 5 == 0)
            issue_task(suite, (int64_t)(2000 + i), ids[i].s, "done", 100);
    }
    int64_t there = suite_number(suite, "SELECT count(*) FROM tasks"), created = 0;
    create(suite, batch, LIMIT_BATCH, creations);
    for (size_t i = 0; i < LIMIT_BATCH; i++) {
        assert_int_equal(creations[i], i % 5 == 0   ? STORE_EXISTS
                                       : i % 7 == 0 ? STORE_NOT_CREATED
                                                    : STORE_CREATED);
        created += creations[i] == STORE_CREATED;
    }
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM tasks"), there + created);
}

SUITE_TEST(tasks_are_made_only_under_the_settings_of_the_decision)
{
    struct store_new_task new = new_task(issue(1));
    enum store_creation creation;
    int64_t revision;
    struct store_settings settings;
    ASSERT_OK(store_settings_write(suite->store, 0, "{}", NULL, 0, &revision, &suite->why));
    ASSERT_ERR(store_create_tasks(suite->store, 0, 0, &new, 1, &creation, &suite->why), ERR_CONFLICT);
    ASSERT_OK(store_settings_read(suite->store, &settings, &suite->why));
    ASSERT_ERR(store_create_tasks(suite->store, 1, settings.now_us, &new, 1, &creation, &suite->why),
               ERR_CONFLICT);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM tasks"), 0);
    ASSERT_OK(store_create_tasks(suite->store, 1, settings.now_us + INT64_C(3600000000), &new, 1, &creation,
                                 &suite->why));
    assert_int_equal(creation, STORE_CREATED);
    store_settings_done(&settings);
}

SUITE_TEST_EMPTY(a_table_that_cannot_tell_issues_apart_is_refused_in_words)
{
    const char *type = suite->backend->instant_type;
    suite_exec(suite,
               "CREATE TABLE tasks (id INTEGER PRIMARY KEY, plane_id TEXT, work_item_id TEXT, title TEXT,"
               " repo TEXT, branch TEXT, stage TEXT, created_at %s, updated_at %s)",
               type, type);
    suite_exec(suite, "CREATE INDEX not_unique ON tasks (plane_id)");
    ASSERT_OK(store_migrate(suite->store, NULL, &suite->why));
    struct store_new_task new = new_task(issue(1));
    enum store_creation creation;
    ASSERT_ERR(store_create_tasks(suite->store, 0, 0, &new, 1, &creation, &suite->why), ERR_INTERNAL);
    suite_assert_why(suite, "unique key");
    suite_assert_why(suite, "plane_id");
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM tasks"), 0);
}

enum { MAKERS = 4, MAKER_TASKS = 60 };

struct maker {
    struct store *store;
    size_t created, other;
};

static void *maker_run(void *arg)
{
    struct maker *maker = arg;
    struct uuid_text ids[MAKER_TASKS];
    struct store_new_task batch[MAKER_TASKS];
    enum store_creation creations[MAKER_TASKS];
    for (size_t i = 0; i < MAKER_TASKS; i++) {
        (void)snprintf(ids[i].s, sizeof ids[i].s, "00000000-0000-4000-8000-%012zx", i);
        batch[i] = new_task(ids[i].s);
    }
    enum err err = store_create_tasks(maker->store, 0, 0, batch, MAKER_TASKS, creations, NULL);
    for (size_t i = 0; i < MAKER_TASKS; i++) {
        maker->created += !err && creations[i] == STORE_CREATED;
        maker->other += err || creations[i] == STORE_NOT_CREATED;
    }
    return NULL;
}

/* Half of them share a store, the others have one each, as replicas have. */
SUITE_TEST(of_racing_makers_one_makes_each_task)
{
    struct maker makers[MAKERS];
    pthread_t threads[MAKERS];
    size_t created = 0, other = 0;
    for (size_t i = 0; i < MAKERS; i++) {
        makers[i] = (struct maker){.store = suite->store};
        if (i >= MAKERS / 2)
            ASSERT_OK(store_open(suite->url, NULL, &makers[i].store, NULL));
    }
    for (size_t i = 0; i < MAKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, maker_run, &makers[i]), 0);
    for (size_t i = 0; i < MAKERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        created += makers[i].created;
        other += makers[i].other;
        if (makers[i].store != suite->store)
            store_free(makers[i].store);
    }
    assert_int_equal(other, 0);
    assert_int_equal(created, MAKER_TASKS);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM tasks"), MAKER_TASKS);
}

static void *sharer_run(void *arg)
{
    struct maker *maker = arg;
    struct uuid_text id = uuid_new();
    struct store_new_task new = new_task(id.s);
    enum store_creation creation;
    new.branch = "feature/ORCH-7-basket";
    enum err err = store_create_tasks(maker->store, 0, 0, &new, 1, &creation, NULL);
    maker->created += !err && creation == STORE_CREATED;
    maker->other += err || creation == STORE_NOT_CREATED;
    return NULL;
}

SUITE_TEST(of_racing_makers_one_gets_the_branch)
{
    struct maker makers[MAKERS];
    pthread_t threads[MAKERS];
    size_t created = 0, other = 0;
    for (size_t i = 0; i < MAKERS; i++) {
        makers[i] = (struct maker){0};
        ASSERT_OK(store_open(suite->url, NULL, &makers[i].store, NULL));
    }
    for (size_t i = 0; i < MAKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sharer_run, &makers[i]), 0);
    for (size_t i = 0; i < MAKERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        created += makers[i].created;
        other += makers[i].other;
        store_free(makers[i].store);
    }
    assert_int_equal(other, 0);
    assert_int_equal(created, 1);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM tasks"), 1);
}
