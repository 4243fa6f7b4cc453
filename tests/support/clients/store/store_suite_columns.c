/* Other people's columns: what cannot be read for what it means is refused by name, and every way to write a
 * UUID that is understood is one. */
#include "tests/support/clients/store/store_suite.h"

#include <stdlib.h>
#include <string.h>

SUITE_GROUP(columns, "store: other people's columns")

/* Where a test needs but one task; above the ids that the database gives itself. */
enum { TASK = 1000 };

static const char issue[] = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
static const char *const understood[] = {
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
    "a0eebc999c0b4ef8bb6d6bb9bd380a11",
    "A0EEBC999C0B4EF8BB6D6BB9BD380A11",
};

/* Tables as an orchestrator might have them; NULL: as usual. */
static void own_tables(struct suite *suite, const char *id, const char *plane_id, const char *stage,
                       const char *job_id)
{
    const char *time = suite->backend->instant_type;
    suite_exec(
        suite,
        "CREATE TABLE tasks (id %s, plane_id %s, work_item_id TEXT, title TEXT, repo TEXT, branch TEXT,"
        " stage %s, created_at %s, updated_at %s, UNIQUE (plane_id))",
        id ? id : suite->backend->own_id, plane_id ? plane_id : "TEXT", stage ? stage : "TEXT", time, time);
    suite_exec(
        suite,
        "CREATE TABLE jobs (id %s, task_id BIGINT, agent TEXT, status TEXT, created_at %s, updated_at %s)",
        job_id ? job_id : suite->backend->own_id, time, time);
    ASSERT_OK(store_migrate(suite->store, NULL, &suite->why));
}

static void drop_tables(struct suite *suite)
{
    suite_exec(suite, "DROP TABLE tasks");
    suite_exec(suite, "DROP TABLE jobs");
}

static void assert_refused(struct suite *suite, const char *column)
{
    ASSERT_ERR(store_ready(suite->store, &suite->why), ERR_UNAVAILABLE);
    suite_assert_why(suite, column);
    suite_assert_why(suite, "right would be");
}

/* types */

SUITE_TEST_EMPTY(a_task_id_that_is_no_integer_is_refused)
{
    static const char *const types[] = {"TEXT PRIMARY KEY", "REAL PRIMARY KEY", "NUMERIC(10,2) PRIMARY KEY",
                                        "CHAR(36) PRIMARY KEY"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        own_tables(suite, types[i], NULL, NULL, NULL);
        assert_refused(suite, "tasks.id");
        drop_tables(suite);
    }
}

SUITE_TEST_EMPTY(a_task_id_of_any_width_serves)
{
    static const char *const types[] = {"SMALLINT", "INTEGER", "BIGINT"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        own_tables(suite, types[i], NULL, NULL, NULL);
        ASSERT_OK(store_ready(suite->store, &suite->why));
        suite_task(suite, 7, "development", "o/r", 5000);
        struct store_task_list stuck = suite_stuck(suite);
        ASSERT_LISTED(&stuck, 7);
        const struct store_transition transition = suite_transition(&stuck.tasks[0]);
        assert_int_equal(suite_move(suite, &transition), STORE_MOVED);
        drop_tables(suite);
    }
}

SUITE_TEST_EMPTY(a_plane_id_of_bytes_or_numbers_is_refused)
{
    const char *const types[] = {suite->backend->bytes_type, "INTEGER", "REAL"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        own_tables(suite, NULL, types[i], NULL, NULL);
        assert_refused(suite, "tasks.plane_id");
        drop_tables(suite);
    }
}

SUITE_TEST_EMPTY(a_job_id_that_nobody_fills_in_is_refused)
{
    static const char *const types[] = {"TEXT PRIMARY KEY", "BIGINT PRIMARY KEY", "TEXT",
                                        "TEXT DEFAULT NULL"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        own_tables(suite, NULL, NULL, NULL, types[i]);
        assert_refused(suite, "jobs.id");
        drop_tables(suite);
    }
    own_tables(suite, NULL, NULL, NULL, "INTEGER NOT NULL DEFAULT 7");
    ASSERT_OK(store_ready(suite->store, &suite->why));
}

SUITE_TEST_EMPTY(a_job_id_may_be_any_text_that_the_database_makes)
{
    own_tables(suite, NULL, NULL, NULL, suite->backend->made_id);
    ASSERT_OK(store_ready(suite->store, &suite->why));
    suite_task(suite, 1, "development", "o/r", 5000);
    struct store_task_list stuck = suite_stuck(suite);
    ASSERT_LISTED(&stuck, 1);
    const struct store_transition transition = suite_transition(&stuck.tasks[0]);
    assert_int_equal(suite_move(suite, &transition), STORE_MOVED);
    const struct store_tasks_query any = {.limit = 10};
    struct store_tasks_page page;
    ASSERT_OK(store_tasks_list(suite->store, &any, &page, &suite->why));
    assert_int_equal(page.n, 1);
    assert_int_equal(strlen(page.rows[0].job_id), UUID_TEXT_LEN);
    assert_string_equal(page.rows[0].job_status, "queued");
    store_tasks_page_done(&page);
}

/* UUIDs */

static void put_plane_id(struct suite *suite, const char *plane_id)
{
    suite_exec(suite, "DELETE FROM tasks");
    suite_task(suite, TASK, "analysis", "o/r", 100);
    suite_exec(suite, "UPDATE tasks SET plane_id = '%s'", plane_id);
}

static void assert_found(struct suite *suite, const char *asked)
{
    struct store_issue_tasks tasks;
    ASSERT_OK(store_issue_tasks(suite->store, &asked, 1, &tasks, &suite->why));
    assert_int_equal(tasks.n, 1);
    assert_int_equal(tasks.rows[0].task.id, TASK);
    assert_string_equal(tasks.rows[0].task.plane_id, issue);
    store_issue_tasks_done(&tasks);
}

static enum store_creation create(struct suite *suite, const char *plane_id, const char *work_item_id)
{
    const struct store_new_task task = {.plane_id = plane_id,
                                        .work_item_id = work_item_id,
                                        .title = "a task",
                                        .repo = "o/r",
                                        .branch = "b",
                                        .stage = "created"};
    enum store_creation result = STORE_NOT_CREATED;
    ASSERT_OK(store_create_tasks(suite->store, 0, 0, &task, 1, &result, &suite->why));
    return result;
}

SUITE_TEST(a_plane_id_is_a_uuid_in_text_of_either_case_with_or_without_hyphens)
{
    for (size_t i = 0; i < ARRAY_LEN(understood); i++) {
        put_plane_id(suite, understood[i]);
        ASSERT_OK(store_ready(suite->store, &suite->why));
        assert_found(suite, understood[0]);
        assert_found(suite, understood[1]);
        assert_int_equal(create(suite, issue, "ORCH-9"), STORE_EXISTS);
        const char *const fresh = issue;
        suite_exec(suite, "UPDATE tasks SET stage = 'created'");
        struct store_task_list found = suite_unstarted(suite, 86400, &fresh, 1, 10);
        ASSERT_LISTED(&found, TASK);
    }
}

SUITE_TEST_EMPTY(columns_for_uuids_serve_whatever_their_type)
{
    const char *const types[] = {"UUID", "CHAR(36)", "VARCHAR(36)", "CHAR(40)"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        own_tables(suite, NULL, types[i], NULL, NULL);
        put_plane_id(suite, issue);
        ASSERT_OK(store_ready(suite->store, &suite->why));
        assert_found(suite, issue);
        assert_int_equal(create(suite, issue, "ORCH-9"), STORE_EXISTS);
        assert_int_equal(create(suite, "b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "ORCH-9"), STORE_CREATED);
        drop_tables(suite);
    }
}

SUITE_TEST(a_new_plane_id_is_written_as_the_others_are)
{
    static const char *const news[] = {
        "b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a22",
        "B0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A22",
        "b0eebc999c0b4ef8bb6d6bb9bd380a22",
        "B0EEBC999C0B4EF8BB6D6BB9BD380A22",
    };
    for (size_t i = 0; i < ARRAY_LEN(news); i++) {
        put_plane_id(suite, understood[i]);
        assert_int_equal(create(suite, news[0], "ORCH-9"), STORE_CREATED);
        assert_int_equal(create(suite, news[0], "ORCH-9"), STORE_EXISTS);
        assert_int_equal(suite_number(suite, "SELECT count(*) FROM tasks WHERE plane_id = '%s'", news[i]), 1);
    }
    drop_tables(suite);
    own_tables(suite, NULL, "char(32)", NULL, NULL); /* no rows yet, but no room for hyphens */
    assert_int_equal(create(suite, news[0], "ORCH-9"), STORE_CREATED);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM tasks WHERE plane_id = '%s'", news[2]), 1);
}

SUITE_TEST(a_uuid_in_another_form_is_refused_and_makes_no_second_task)
{
    static const char *const odd[] = {
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11 ",
        " a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
        "A0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "a0eebc999c0b4ef8bb6d6bb9bd380a11 ",
        "urn:uuid:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "oO68mZwLTvi7bWu5vTgKEQ==",
    };
    const struct store_new_task task = {.plane_id = issue, .work_item_id = "ORCH-9", .stage = "created"};
    enum store_creation result;
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        put_plane_id(suite, odd[i]);
        assert_refused(suite, "tasks.plane_id");
        suite_assert_why(suite, "task 1000");
        ASSERT_ERR(store_create_tasks(suite->store, 0, 0, &task, 1, &result, &suite->why), ERR_INTERNAL);
        suite_assert_why(suite, "tasks.plane_id");
        assert_int_equal(suite_number(suite, "SELECT count(*) FROM tasks"), 1);
    }
    put_plane_id(suite, understood[0]);
    ASSERT_OK(store_ready(suite->store, &suite->why)); /* once it is mended */
}

SUITE_TEST(a_plane_id_that_is_no_uuid_costs_only_its_own_task)
{
    put_plane_id(suite, issue);
    suite_task(suite, 2, "analysis", "o/r", 100);
    suite_exec(suite, "UPDATE tasks SET plane_id = 'made by hand, of no issue' WHERE id = 2");
    ASSERT_OK(store_ready(suite->store, &suite->why));
    assert_found(suite, issue);
}

/* work items */

SUITE_TEST(a_task_is_found_by_its_work_item_id)
{
    suite_task(suite, 1, "development", "o/r", 100);
    suite_task(suite, 2, "development", "o/r", 100);
    suite_task(suite, 3, "development", "o/r", 100);
    suite_exec(suite, "UPDATE tasks SET plane_id = NULL WHERE id IN (1, 3)");
    suite_exec(suite, "UPDATE tasks SET work_item_id = 'orch-2' WHERE id = 3");
    static const char *const ids[] = {"ORCH-9", "orch-1", "ORCH-2"};
    struct store_work_item found[3];
    ASSERT_OK(store_work_items(suite->store, ids, 2, found, &suite->why));
    assert_false(found[0].found);
    assert_true(found[1].found);
    assert_false(found[1].of_issue);
    assert_int_equal(found[1].task_id, 1);
    ASSERT_OK(store_work_items(suite->store, &ids[2], 1, found, &suite->why));
    assert_true(found[0].found);
    assert_false(found[0].of_issue); /* one of the two may well be the issue's own */
    suite_exec(suite, "DELETE FROM tasks WHERE id = 3");
    ASSERT_OK(store_work_items(suite->store, &ids[2], 1, found, &suite->why));
    assert_true(found[0].of_issue);
    assert_int_equal(found[0].task_id, 2);
    struct store_issue_tasks tasks; /* whose issue it is, as it is looked for */
    const char *const issues[] = {found[0].plane_id.s};
    ASSERT_OK(store_issue_tasks(suite->store, issues, 1, &tasks, &suite->why));
    assert_int_equal(tasks.n, 1);
    assert_int_equal(tasks.rows[0].task.id, 2);
    store_issue_tasks_done(&tasks);
}

/* stages */

SUITE_TEST_EMPTY(a_stage_that_only_the_database_takes_for_a_gates_is_unknown)
{
    own_tables(suite, NULL, NULL, suite->backend->loose_stage, NULL);
    suite_task(suite, 1, suite->backend->loose_value, "o/r", 5000);
    suite_task(suite, 2, "polishing", "o/r", 5000);
    struct store_task_list stuck = suite_stuck(suite);
    assert_int_equal(stuck.n_tasks, 0);
    assert_int_equal(stuck.count, 0);
    assert_int_equal(stuck.unknown_stage, 2);
    const struct store_stuck_query query = suite_query();
    const struct store_tasks_query looked = {.gated = query.stages, .n_gated = query.n_stages, .limit = 10};
    struct store_tasks_page page;
    ASSERT_OK(store_tasks_list(suite->store, &looked, &page, &suite->why));
    assert_int_equal(page.n, 2);
    assert_false(page.rows[0].stuck);
    assert_false(page.rows[1].stuck);
    store_tasks_page_done(&page);
    struct store_task_entry entry;
    ASSERT_OK(store_task_get(suite->store, 1, &looked, &entry, NULL, &suite->why));
    assert_false(entry.stuck);
    store_task_entry_done(&entry);
}

/* ids that are used again */

static void heal(struct suite *suite)
{
    struct store_task_list stuck = suite_stuck(suite);
    ASSERT_LISTED(&stuck, 1);
    const struct store_transition transition = suite_transition(&stuck.tasks[0]);
    assert_int_equal(suite_move(suite, &transition), STORE_MOVED);
    suite_exec(suite, "DELETE FROM jobs");
    suite_exec(suite, "UPDATE tasks SET stage = 'development', updated_at = %s", suite_ago(suite, 5000));
}

static void assert_heals(struct suite *suite, int64_t heals)
{
    const struct store_tasks_query any = {.limit = 10};
    struct store_task_list stuck = suite_stuck(suite);
    struct store_task_entry entry;
    struct store_ledger_page page;
    ASSERT_LISTED(&stuck, 1);
    assert_int_equal(stuck.tasks[0].recent_heals, heals);
    assert_int_equal(stuck.tasks[0].newest_heal_seq != 0, heals != 0);
    ASSERT_OK(store_task_get(suite->store, 1, &any, &entry, NULL, &suite->why));
    assert_int_equal(entry.task.recent_heals, heals);
    ASSERT_OK(store_ledger_list(suite->store, 1, 0, 10, &page, &suite->why));
    assert_int_equal(page.n, heals);
    store_ledger_page_done(&page);
    store_task_entry_done(&entry);
}

SUITE_TEST(a_task_inherits_nothing_from_one_that_had_its_id)
{
    suite_task(suite, 1, "development", "o/r", 5000);
    heal(suite);
    heal(suite);
    assert_heals(suite, 2);
    suite_exec(suite, "UPDATE tasks SET work_item_id = 'NEW-1'"); /* the issue is the same */
    assert_heals(suite, 2);
    suite_exec(suite, "UPDATE tasks SET work_item_id = 'ORCH-1', plane_id = NULL"); /* the work item is */
    assert_heals(suite, 2);
    suite_exec(suite, "UPDATE tasks SET work_item_id = NULL, plane_id = '00000000000040008000000000000001'");
    assert_heals(suite, 2);
    suite_exec(suite, "UPDATE tasks SET work_item_id = 'ORCH-2', plane_id = '%s'", issue);
    assert_heals(suite, 0);
    heal(suite);
    assert_heals(suite, 1);
    suite_exec(suite, "UPDATE tasks SET work_item_id = NULL, plane_id = NULL");
    assert_heals(suite, 0);
    heal(suite);
    assert_heals(suite, 1); /* as far as it can be known */
    suite_exec(suite, "DELETE FROM tasks");
    struct store_ledger_page page;
    ASSERT_OK(store_ledger_list(suite->store, 1, 0, 10, &page, &suite->why));
    assert_int_equal(page.n, 4); /* a query by the id of no task gets all its rows */
    store_ledger_page_done(&page);
}

SUITE_TEST(a_replay_does_not_take_the_next_task_of_an_id_for_its_own)
{
    suite_task(suite, 1, "development", "o/r", 5000);
    struct store_task_list stuck = suite_stuck(suite);
    ASSERT_LISTED(&stuck, 1);
    const struct store_transition transition = suite_transition(&stuck.tasks[0]);
    const struct store_replay replay = {.subject = "task/1", .delivery = uuid_new(), .row = &transition};
    struct store_replay_seen seen;
    struct store_replays_moved moved;
    ASSERT_OK(store_replay_begin(suite->store, 0, 0, &replay, 1, &seen, &suite->why));
    assert_int_equal(seen.state, STORE_REPLAY_DUE);
    suite_exec(suite, "DELETE FROM tasks");
    suite_task(suite, 1, "review", "o/r", 10);
    suite_exec(suite, "UPDATE tasks SET plane_id = '%s'", issue);
    ASSERT_OK(store_replays_moved(suite->store, 10, &moved, &suite->why));
    assert_int_equal(moved.n, 1);
    assert_true(moved.rows[0].gone);
    store_replays_moved_done(&moved);
}
