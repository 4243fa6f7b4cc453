/* What is special to SQLite about issues and their tasks: keys, triggers, views, and who else has the file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/store/sqlite/store_sqlite.h"
#include "tests/support/clients/store/sqlite_file.h"
#include "tests/support/clients/store/store_suite.h"

#define COLUMNS "work_item_id, title, repo, branch, stage, created_at, updated_at"

static struct store_new_task new_task(const char *plane_id)
{
    return (struct store_new_task){.plane_id = plane_id,
                                   .work_item_id = "ORCH-9",
                                   .title = "a task",
                                   .repo = "o/r",
                                   .branch = plane_id,
                                   .stage = "created"};
}

static enum store_creation create(struct store *store, const char *plane_id)
{
    struct store_new_task task = new_task(plane_id);
    enum store_creation result = STORE_NOT_CREATED;
    ASSERT_OK(store_create_tasks(store, 0, 0, &task, 1, &result, NULL));
    return result;
}

/* the unique key */

static void assert_no_key(const char *tasks)
{
    sqlite_file_exec(tasks);
    struct store *store = sqlite_file_open_migrated();
    struct store_new_task task = new_task("p");
    enum store_creation result;
    struct why why;
    ASSERT_ERR(store_create_tasks(store, 0, 0, &task, 1, &result, &why), ERR_INTERNAL);
    suite_assert_words(&why, "no unique key on plane_id");
    store_free(store);
    sqlite_file_assert("SELECT count(*) FROM tasks", "0");
    sqlite_file_exec("DROP TABLE tasks");
}

static void a_table_without_a_key_gets_no_task(void **state)
{
    (void)state;
    assert_no_key("CREATE TABLE tasks (id INTEGER PRIMARY KEY, plane_id, " COLUMNS ")");
    assert_no_key("CREATE TABLE tasks (id INTEGER PRIMARY KEY, plane_id, " COLUMNS
                  ", UNIQUE (plane_id, repo))");
    assert_no_key("CREATE TABLE tasks (id INTEGER PRIMARY KEY, plane_id, " COLUMNS ");"
                  "CREATE INDEX many ON tasks (plane_id);"
                  "CREATE UNIQUE INDEX fresh ON tasks (plane_id) WHERE stage = 'created'");
}

static void any_key_on_plane_id_serves(void **state)
{
    (void)state;
    static const char *const tables[] = {
        "CREATE TABLE Tasks (id INTEGER PRIMARY KEY, Plane_Id UNIQUE, " COLUMNS ")",
        "CREATE TABLE tasks (id INTEGER DEFAULT (abs(random())), plane_id TEXT PRIMARY KEY, " COLUMNS ")",
        "CREATE TABLE tasks (id INTEGER PRIMARY KEY, plane_id, " COLUMNS ");"
        "CREATE UNIQUE INDEX theirs ON tasks (plane_id COLLATE NOCASE)",
        "CREATE TABLE tasks (id INTEGER PRIMARY KEY, plane_id, " COLUMNS ");"
        "CREATE UNIQUE INDEX theirs ON tasks (plane_id) WHERE plane_id IS NOT NULL",
    };
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        sqlite_file_exec(tables[i]);
        struct store *store = sqlite_file_open_migrated();
        assert_int_equal(create(store, "p"), STORE_CREATED);
        assert_int_equal(create(store, "P"), STORE_EXISTS);
        store_free(store);
        sqlite_file_assert("SELECT count(*) FROM tasks", "1");
        sqlite_file_exec("DROP TABLE tasks");
    }
}

/* triggers and views */

static void assert_refused_by(const char *trigger)
{
    struct store *store = sqlite_file_open_migrated();
    sqlite_file_exec(trigger);
    const struct store_new_task batch[] = {new_task("a"), new_task("b"), new_task("c"), new_task("B")};
    enum store_creation results[4];
    ASSERT_OK(store_create_tasks(store, 0, 0, batch, 4, results, NULL));
    assert_int_equal(results[0], STORE_CREATED);
    assert_int_equal(results[1], STORE_NOT_CREATED);
    assert_int_equal(results[2], STORE_CREATED);
    assert_int_equal(results[3], STORE_CREATED); /* the one before it left nothing */
    store_free(store);
    sqlite_file_assert("SELECT group_concat(plane_id) FROM (SELECT plane_id FROM tasks ORDER BY id)",
                       "a,c,B");
    sqlite_file_exec("DROP TRIGGER no; DELETE FROM tasks");
}

static void a_trigger_refuses_its_row_alone(void **state)
{
    (void)state;
    static const char *const acts[] = {"RAISE(ABORT, 'frozen by ann')", "RAISE(FAIL, 'frozen')",
                                       "RAISE(ROLLBACK, 'frozen')", "RAISE(IGNORE)", "json(new.title)"};
    for (size_t i = 0; i < ARRAY_LEN(acts); i++) {
        char *trigger = mem_printf("CREATE TRIGGER no BEFORE INSERT ON tasks WHEN new.plane_id = 'b'"
                                   " BEGIN SELECT %s; END",
                                   acts[i]);
        assert_refused_by(trigger);
        free(trigger);
    }
}

#define TASKS_VIEW                                                                                          \
    "CREATE TABLE items (nr INTEGER PRIMARY KEY, plane UNIQUE, wi, t, r, b, phase, c, u);"                  \
    "CREATE VIEW tasks (id, plane_id, work_item_id, title, repo, branch, stage, created_at, updated_at) AS" \
    " SELECT nr, plane, wi, t, r, b, phase, c, u FROM items;"

static void a_view_with_a_trigger_gets_tasks(void **state)
{
    (void)state;
    sqlite_file_exec(TASKS_VIEW
                     "CREATE TRIGGER tasks_i INSTEAD OF INSERT ON tasks BEGIN"
                     " INSERT INTO items (plane, wi, t, r, b, phase, c, u) VALUES (new.plane_id,"
                     " new.work_item_id, new.title, new.repo, new.branch, new.stage, new.created_at,"
                     " new.updated_at); END");
    struct store *store = sqlite_file_open_migrated();
    const struct store_new_task batch[] = {new_task("a"), new_task("b"), new_task("A")};
    enum store_creation results[3];
    assert_int_equal(create(store, "b"), STORE_CREATED);
    ASSERT_OK(store_create_tasks(store, 0, 0, batch, 3, results, NULL));
    assert_int_equal(results[0], STORE_CREATED);
    assert_int_equal(results[1], STORE_EXISTS);
    assert_int_equal(results[2], STORE_EXISTS);
    const char *const ids[] = {"b", "x", "a"};
    struct store_issue_tasks tasks;
    ASSERT_OK(store_issue_tasks(store, ids, 3, &tasks, NULL));
    assert_int_equal(tasks.n, 2);
    assert_int_equal(tasks.rows[0].issue, 0);
    assert_int_equal(tasks.rows[1].issue, 2);
    assert_string_equal(tasks.rows[1].task.work_item_id, "ORCH-9");
    store_issue_tasks_done(&tasks);
    store_free(store);
    sqlite_file_assert("SELECT group_concat(plane || phase || (c = u)) FROM items", "bcreated1,acreated1");
}

static void a_view_without_its_trigger_is_told_in_words(void **state)
{
    (void)state;
    sqlite_file_exec(TASKS_VIEW "INSERT INTO items VALUES (1, 'p', 'ORCH-1', 't', 'o/r', 'b', 'development',"
                                " NULL, '2020-01-01 00:00:00')");
    struct store *store = sqlite_file_open_migrated();
    struct store_new_task task = new_task("q");
    enum store_creation result;
    enum store_moved moved;
    struct why why;
    ASSERT_ERR(store_create_tasks(store, 0, 0, &task, 1, &result, &why), ERR_UNAVAILABLE);
    suite_assert_words(&why, "tasks because it is a view");
    struct store_task_list stuck = sqlite_file_stuck(store);
    ASSERT_LISTED(&stuck, 1);
    struct store_transition transition = suite_transition(&stuck.tasks[0]);
    ASSERT_ERR(store_transition(store, 0, 0, "p", &transition, 1, &moved, &why), ERR_UNAVAILABLE);
    suite_assert_words(&why, "tasks because it is a view");
    sqlite_file_exec("CREATE TRIGGER tasks_u INSTEAD OF UPDATE ON tasks BEGIN"
                     " UPDATE items SET phase = new.stage, u = new.updated_at WHERE nr = new.id; END;"
                     "ALTER TABLE jobs RENAME TO work; CREATE VIEW jobs AS SELECT * FROM work");
    ASSERT_ERR(store_transition(store, 0, 0, "p", &transition, 1, &moved, &why), ERR_UNAVAILABLE);
    suite_assert_words(&why, "jobs because it is a view");
    store_task_list_done(&stuck);
    store_free(store);
    sqlite_file_assert("SELECT phase FROM items", "development");
    sqlite_file_assert("SELECT count(*) FROM reconcile_ledger", "0");
}

/* another connection has it */

static void a_lock_that_is_held_for_too_long_creates_nothing(void **state)
{
    (void)state;
    struct store *store = sqlite_file_open_migrated();
    struct store_new_task task = new_task("p");
    enum store_creation result;
    struct why why;
    sqlite3 *other = sqlite_file_lock("BEGIN IMMEDIATE");
    ASSERT_ERR(store_create_tasks(store, 0, 0, &task, 1, &result, &why), ERR_TIMEOUT);
    suite_assert_words(&why, "locked");
    sqlite3_close(other);
    sqlite_file_assert("SELECT count(*) FROM tasks", "0");
    assert_int_equal(create(store, "p"), STORE_CREATED);
    store_free(store);
}

static void *create_run(void *arg)
{
    struct store_new_task task = new_task("p");
    enum store_creation result;
    enum err err = store_create_tasks(arg, 0, 0, &task, 1, &result, NULL);
    return (void *)(uintptr_t)(err || result != STORE_EXISTS);
}

static void a_webhook_that_was_first_with_the_lock_made_the_task(void **state)
{
    (void)state;
    struct store *store = sqlite_file_open_migrated();
    pthread_t thread;
    void *failed;
    sqlite3 *other = sqlite_file_lock("BEGIN IMMEDIATE; INSERT INTO tasks (plane_id) VALUES ('P')");
    assert_int_equal(pthread_create(&thread, NULL, create_run, store), 0);
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    sqlite3_close(other);
    store_free(store);
    sqlite_file_assert("SELECT group_concat(plane_id) FROM tasks", "P");
}

/* what a column may hold */

static void a_task_that_makes_no_sense_is_told_and_moved_by_nobody(void **state)
{
    (void)state;
    sqlite_file_exec("CREATE TABLE tasks (id INTEGER PRIMARY KEY, plane_id UNIQUE, " COLUMNS ");"
                     "INSERT INTO tasks (id, plane_id) VALUES (1, 'p')");
    struct store *store = sqlite_file_open_migrated();
    const char *const ids[] = {"p"};
    struct store_issue_tasks tasks;
    ASSERT_OK(store_issue_tasks(store, ids, 1, &tasks, NULL));
    assert_int_equal(tasks.n, 1);
    assert_string_equal(tasks.rows[0].task.stage, "");
    assert_string_equal(tasks.rows[0].task.version, "");
    assert_int_equal(tasks.rows[0].task.age_s, 0);
    assert_int_equal(tasks.rows[0].updated_us, 0);
    struct store_transition transition = suite_transition(&tasks.rows[0].task);
    enum store_moved moved;
    ASSERT_OK(store_transition(store, 0, 0, "p", &transition, 1, &moved, NULL));
    assert_int_equal(moved, STORE_RACED);
    store_issue_tasks_done(&tasks);
    store_free(store);
}

/* the plans */

/* How often the plan of the statement that the store chooses searches tasks by the plane ids, and how often
 * it goes through all tasks, or makes an index of them. */
static void plan_read(unsigned which, size_t *ret_searches, size_t *ret_scans)
{
    struct store *store = sqlite_file_open();
    struct sqlite_conn *conn;
    sqlite3_stmt *statement;
    ASSERT_OK(sqlite_take(store, SQLITE_USE_READ, &conn, NULL));
    ASSERT_OK(sqlite_statement(conn, which, &statement, NULL));
    char *plan = sqlite_file_plan(sqlite3_sql(statement)), *rest = plan;
    sqlite_give(conn);
    store_free(store);
    *ret_searches = *ret_scans = 0;
    for (const char *step; (step = strsep(&rest, "\n"));) {
        *ret_searches += strstr(step, "(plane_id=?)") || strstr(step, "(plane_id>? AND plane_id<?)") ||
                         strstr(step, "(<expr>=?)") || strstr(step, "(<expr>>? AND <expr><?)");
        *ret_scans += ((strncmp(step, "SCAN t", 6) == 0 || strncmp(step, "SCAN i", 6) == 0) &&
                       !strstr(step, "VIRTUAL TABLE")) ||
                      strstr(step, "AUTOMATIC") || strstr(step, "BLOOM");
    }
    free(plan);
}

#define TASKS_AGAIN(columns) "DROP TABLE tasks; CREATE TABLE tasks (id INTEGER PRIMARY KEY, " columns ");"
#define FILL(plane_id)                                                               \
    "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 3000)" \
    " INSERT INTO tasks (plane_id, stage) SELECT " plane_id ", 'done' FROM c; ANALYZE;"

static void issues_find_their_tasks_by_the_index_or_by_one_look_at_each(void **state)
{
    (void)state;
    store_free(sqlite_file_open_migrated());
    static const unsigned statements[] = {SQL_ISSUE_TASKS, SQL_TASKS_EXISTING, SQL_REPLAYS_MOVED};
    static const struct {
        const char *sql;
        bool indexed;
    } changes[] = {
        {"SELECT 1", true},
        {FILL("'p' || i"), true},
        {TASKS_AGAIN("plane_id UNIQUE, " COLUMNS) FILL("NULL"), true}, /* statistics: all the same */
        {"DELETE FROM tasks WHERE id > 3; ANALYZE;" FILL("'p' || i"), true},
        {TASKS_AGAIN("plane_id, " COLUMNS) "ANALYZE", false},
        {FILL("NULL"), false},
        {"CREATE INDEX i ON tasks (plane_id COLLATE NOCASE)", false}, /* serves no comparison */
        {"CREATE INDEX k ON tasks (stage, plane_id)", false},
        {"CREATE INDEX l ON tasks (plane_id) WHERE title IS NOT NULL", false},
        {"CREATE INDEX m ON tasks (plane_id, stage) WHERE plane_id IS NOT NULL", true},
        {TASKS_AGAIN("plane_id COLLATE NOCASE UNIQUE, " COLUMNS) FILL("NULL"), true},
        {"ALTER TABLE tasks RENAME TO theirs; CREATE VIEW tasks AS SELECT * FROM theirs", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        sqlite_file_exec(changes[i].sql);
        for (size_t k = 0; k < ARRAY_LEN(statements); k++) {
            size_t searches, scans;
            plan_read(statements[k], &searches, &scans);
            if (searches != changes[i].indexed || scans != !changes[i].indexed)
                fail_msg("statement %zu: %zu searches, %zu scans after: %s", k, searches, scans,
                         changes[i].sql);
        }
    }
}

static void work_items_find_their_tasks_by_the_index_or_by_one_look_at_each(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        bool indexed;
    } changes[] = {{"SELECT 1", true},
                   {FILL("NULL"), true}, /* nor has one a work item: statistics of all the same */
                   {"DELETE FROM tasks WHERE id > 10; ANALYZE", true},
                   {"DROP INDEX reconcile_tasks_work_item", false},
                   {"CREATE INDEX i ON tasks (work_item_id)", false},
                   {"CREATE INDEX k ON tasks (LOWER(work_item_id), title)", true}};
    store_free(sqlite_file_open_migrated());
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        size_t searches, scans;
        sqlite_file_exec(changes[i].sql);
        plan_read(SQL_WORK_ITEMS, &searches, &scans);
        if (searches != changes[i].indexed || scans != !changes[i].indexed)
            fail_msg("%zu searches, %zu scans after: %s", searches, scans, changes[i].sql);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SQLITE_FILE_TEST(a_table_without_a_key_gets_no_task),
        SQLITE_FILE_TEST(any_key_on_plane_id_serves),
        SQLITE_FILE_TEST(a_trigger_refuses_its_row_alone),
        SQLITE_FILE_TEST(a_view_with_a_trigger_gets_tasks),
        SQLITE_FILE_TEST(a_view_without_its_trigger_is_told_in_words),
        SQLITE_FILE_TEST(a_lock_that_is_held_for_too_long_creates_nothing),
        SQLITE_FILE_TEST(a_webhook_that_was_first_with_the_lock_made_the_task),
        SQLITE_FILE_TEST(a_task_that_makes_no_sense_is_told_and_moved_by_nobody),
        SQLITE_FILE_TEST(issues_find_their_tasks_by_the_index_or_by_one_look_at_each),
        SQLITE_FILE_TEST(work_items_find_their_tasks_by_the_index_or_by_one_look_at_each),
    };
    return cmocka_run_group_tests_name("SQLite: issues and their tasks", tests, NULL, NULL);
}
