/* What is special to SQLite: columns that hold anything, triggers, views, and the statement's plan. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/store/sqlite/store_sqlite.h"
#include "tests/support/clients/store/sqlite_file.h"
#include "tests/support/clients/store/store_suite.h"

/* what a column may hold */

static void nonsense_in_updated_at_makes_nothing_stuck(void **state)
{
    (void)state;
    sqlite_file_exec(
        "CREATE TABLE tasks (id INTEGER PRIMARY KEY, plane_id, work_item_id, title, repo, branch,"
        " stage, created_at, updated_at)");
    struct store *store = sqlite_file_open_migrated();
    static const char *const nonsense[] = {
        "NULL",
        "''",
        "0",
        "5",
        "-1.5",
        "1700000000",
        "x'32303230'",
        "'yesterday'",
        "'now'",
        "'12:00:00'",
        "'2451545'",
        "'2020-13-01 00:00:00'",
        "'2020-01-01 25:00:00'",
        "'2020-01-01 00:00:00 maybe'",
        "'2020'",
        "'0'",
        "CAST(x'323032302d30312d30312030303a30303a3030ff' AS TEXT)",
        "'9999-01-01 00:00:00'",
    };
    for (size_t i = 0; i < ARRAY_LEN(nonsense); i++) {
        char *sql =
            mem_printf("INSERT INTO tasks (stage, updated_at) VALUES ('development', %s)", nonsense[i]);
        sqlite_file_exec(sql);
        free(sql);
    }
    struct store_task_list stuck = sqlite_file_stuck(store);
    if (stuck.n_tasks > 0)
        fail_msg("%s is taken for a time", nonsense[stuck.tasks[0].id - 1]);
    assert_int_equal(stuck.count, 0);
    store_task_list_done(&stuck);
    store_free(store);
}

/* INTEGER affinity leaves a text as it is that is no number, and a fraction. Only the rowid refuses them. */
static void an_id_that_is_no_integer_is_never_read_as_one(void **state)
{
    (void)state;
    sqlite_file_exec(
        "CREATE TABLE tasks (id INTEGER, plane_id TEXT UNIQUE, work_item_id, title, repo, branch,"
        " stage, created_at, updated_at)");
    struct store *store = sqlite_file_open_migrated();
    struct why why;
    static const char *const ids[] = {"5", "'5f0c'", "5.5", "x'35'", "NULL", "'5 '"};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        char *sql =
            mem_printf("INSERT INTO tasks SELECT %s, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1%zu', 'O-%zu', 't',"
                       " 'o/r', 'b', 'development', '2020-01-01 00:00:00', '2020-01-01 00:00:00'",
                       ids[i], i, i);
        sqlite_file_exec(sql);
        free(sql);
    }
    sqlite_file_exec("UPDATE tasks SET id = '5x' WHERE work_item_id = 'O-5'");
    ASSERT_OK(store_ready(store, &why)); /* the column is one of integers */
    const char *const plane_ids[] = {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a10",
                                     "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"};
    static const char *const stages[] = {"development"};
    struct store_task_list stuck = sqlite_file_stuck(store);
    struct store_stuck_query gates = suite_query();
    const struct store_tasks_query any = {.gated = gates.stages, .n_gated = gates.n_stages, .limit = 10};
    struct store_tasks_page page;
    struct store_issue_tasks issues;
    struct store_repo_tasks of_repo;
    ASSERT_LISTED(&stuck, 5);
    assert_string_equal(stuck.tasks[0].work_item_id, "O-0");
    assert_int_equal(stuck.count, 1);
    ASSERT_OK(store_tasks_list(store, &any, &page, &why));
    assert_int_equal(page.n, 1);
    ASSERT_OK(store_issue_tasks(store, plane_ids, 2, &issues, &why));
    assert_int_equal(issues.n, 1);
    ASSERT_OK(store_repo_tasks(store, (const char *const[]){"o/r"}, 1, stages, 1, 10, &of_repo, &why));
    assert_int_equal(of_repo.n, 1);
    store_repo_tasks_done(&of_repo);
    store_issue_tasks_done(&issues);
    store_tasks_page_done(&page);
    store_task_list_done(&stuck);
    store_free(store);
}

static void other_ways_to_write_a_time_are_read_as_sqlite_reads_them(void **state)
{
    (void)state;
    struct store *store = sqlite_file_open_migrated();
    sqlite_file_exec(
        "INSERT INTO tasks (id, stage, updated_at) VALUES"
        " (1, 'development', '2020-01-01 00:00:00.250'), (2, 'development', '2020-01-02T00:00:00Z'),"
        " (3, 'development', '2020-01-03 00:00:00+05:00'),"
        " (4, 'development', strftime('%Y-%m-%d %H:%M:%S', 'now', '-8 hours') || '-08:00'),"
        " (5, 'development', strftime('%Y-%m-%d %H:%M:%f', 'now'))");
    struct store_task_list stuck = sqlite_file_stuck(store);
    ASSERT_LISTED(&stuck, 1, 2, 3);
    for (size_t i = 0; i < stuck.n_tasks; i++) {
        struct store_transition transition = suite_transition(&stuck.tasks[i]);
        enum store_moved moved;
        ASSERT_OK(store_transition(store, 0, 0, "p", &transition, 1, &moved, NULL));
        assert_int_equal(moved, STORE_MOVED);
    }
    store_task_list_done(&stuck);
    store_free(store);
}

/* The seconds are cut off in some: none of these is near a task's grace. */
static const char *const forms[] = {
    "2020-01-01 00:00:00",
    "2020-01-01T00:00:00",
    "2020-01-01 00:00",
    "2020-01-01T00:00",
    "2020-01-01 00:00Z",
    "2020-01-01T00:00:00Z",
    "2020-01-01 00:00:00.5",
    "2020-01-01T00:00:00.123456Z",
    "2020-01-01T00:00:00+03:00",
    "2020-01-01 00:00:00+14:00",
    "2020-01-01T00:00:00.25-11:30",
    "2020-01-01T00:00:00.123456+00:00",
    "2020-01-01T00:00+23:59",
    "2020-01-01 00:00-23:59",
};

static void insert_ago(const char *form_of, int64_t id, int64_t ago_s)
{
    struct instant_form form;
    char text[INSTANT_TEXT_SIZE];
    int64_t us;
    assert_true(instant_read(form_of, &us, &form));
    instant_write(clock_wall_us() - ago_s * 1000000, &form, text);
    AUTO_FREE char *sql = mem_printf("INSERT INTO tasks (id, repo, stage, updated_at) VALUES"
                                     " (%d, 'o/r', 'development', '%s')",
                                     (int)id, text);
    sqlite_file_exec(sql);
}

/* The grace is ten minutes. */
static void a_time_in_any_form_is_due_when_its_instant_is(void **state)
{
    (void)state;
    struct store *store = sqlite_file_open_migrated();
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        sqlite_file_exec("DELETE FROM tasks");
        insert_ago(forms[i], 1, 535);
        insert_ago(forms[i], 2, 665);
        struct store_task_list stuck = sqlite_file_stuck(store);
        /* A form with a fraction is a part of a second younger than asked for. */
        if (stuck.n_tasks != 1 || stuck.tasks[0].id != 2 || stuck.tasks[0].age_s < 664 ||
            stuck.tasks[0].age_s > 730)
            fail_msg("%s: %zu tasks", forms[i], stuck.n_tasks);
        store_task_list_done(&stuck);
    }
    store_free(store);
}

static void times_in_many_forms_are_listed_by_their_instants(void **state)
{
    (void)state;
    struct store *store = sqlite_file_open_migrated();
    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        insert_ago(forms[i], (int64_t)i + 1, 700 + 60 * (int64_t)(ARRAY_LEN(forms) - i));
    struct store_task_list stuck = sqlite_file_stuck(store);
    assert_int_equal(stuck.n_tasks, ARRAY_LEN(forms));
    for (size_t i = 0; i < stuck.n_tasks; i++)
        assert_int_equal(stuck.tasks[i].id, i + 1);
    store_task_list_done(&stuck);
    store_free(store);
}

static void a_transition_writes_the_form_that_it_replaces(void **state)
{
    (void)state;
    struct store *store = sqlite_file_open_migrated();
    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        insert_ago(forms[i], (int64_t)i + 1, 100000);
    struct store_task_list stuck = sqlite_file_stuck(store);
    assert_int_equal(stuck.n_tasks, ARRAY_LEN(forms));
    for (size_t i = 0; i < stuck.n_tasks; i++) {
        struct store_transition transition = suite_transition(&stuck.tasks[i]);
        enum store_moved moved;
        ASSERT_OK(store_transition(store, 0, 0, "p", &transition, 1, &moved, NULL));
        assert_int_equal(moved, STORE_MOVED);
    }
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct instant_form before, after;
        int64_t us;
        AUTO_FREE char *sql = mem_printf("SELECT updated_at FROM tasks WHERE id = %zu", i + 1);
        AUTO_FREE char *text = sqlite_file_value(sql);
        assert_true(instant_read(forms[i], &us, &before) && instant_read(text, &us, &after));
        assert_int_equal(strlen(text), strlen(forms[i]));
        assert_true(before.separator == after.separator && before.zone == after.zone &&
                    before.offset_s == after.offset_s && before.digits == after.digits);
        assert_in_range(clock_wall_us() - us, 0, 70000000);
    }
    store_task_list_done(&stuck);
    store_free(store);
}

/* SQLite's own functions read most of these. */
static void a_row_without_a_time_is_left_alone_and_counted(void **state)
{
    (void)state;
    struct store *store = sqlite_file_open_migrated();
    struct store_times times;
    struct store_tasks_query any = {.limit = 10};
    struct store_task_entry entry;
    sqlite_file_exec("INSERT INTO tasks (id, stage, updated_at) VALUES (1, 'development', 'now'),"
                     " (2, 'development', '12:00'), (3, 'development', '2460000.5'),"
                     " (4, 'development', '2020-11-31 00:00:00'), (5, 'development', '2020-01-01'),"
                     " (6, 'development', '2020-01-01 24:00:00'), (7, 'development', '2020-01-01t00:00:00'),"
                     " (8, 'development', '2020-01-01 00:00:00'),"
                     " (9, 'development', datetime('now', '+5 minutes')),"
                     " (10, 'development', datetime('now', '+5 seconds'))");
    struct store_task_list stuck = sqlite_file_stuck(store);
    ASSERT_LISTED(&stuck, 8);
    store_task_list_done(&stuck);
    ASSERT_OK(store_times(store, &times, NULL));
    assert_int_equal(times.unread, 7);
    assert_int_equal(times.unread_task, 1);
    assert_int_equal(times.ahead, 1);
    assert_int_equal(times.ahead_task, 9);
    assert_false(times.zoneless);
    ASSERT_OK(store_task_get(store, 4, &any, &entry, NULL, NULL));
    assert_string_equal(entry.task.unreadable, "tasks.updated_at holds no time that is understood");
    store_task_entry_done(&entry);
    store_free(store);
}

static void columns_of_any_type_are_read_as_mended_text(void **state)
{
    (void)state;
    sqlite_file_exec(
        "CREATE TABLE tasks (id INTEGER PRIMARY KEY, plane_id, work_item_id, title, repo, branch,"
        " stage, created_at, updated_at)");
    struct store *store = sqlite_file_open_migrated();
    sqlite_file_exec(
        "INSERT INTO tasks VALUES (1, 42, 2.5, x'61ff62', CAST(x'c3a9ff21' AS TEXT), zeroblob(0),"
        " 'development', NULL, '2020-01-01 00:00:00');"
        "INSERT INTO tasks VALUES (2, NULL, '', char(97, 0, 98), 'o/r', replace(hex(zeroblob(50000)),"
        " '00', 'é'), 'development', NULL, '2020-01-02 00:00:00')");
    struct store_task_list stuck = sqlite_file_stuck(store);
    ASSERT_LISTED(&stuck, 1, 2);
    const struct store_task *odd = &stuck.tasks[0], *large = &stuck.tasks[1];
    assert_string_equal(odd->plane_id, "42");
    assert_string_equal(odd->work_item_id, "2.5");
    assert_string_equal(odd->title, "a?b");
    assert_string_equal(odd->repo, "é?!");
    assert_string_equal(odd->branch, "");
    assert_null(large->plane_id);
    assert_string_equal(large->work_item_id, "");
    assert_int_equal(strlen(large->branch), LIMIT_TASK_NAME_SHOWN);
    assert_int_equal(utf8_valid_len(large->branch, LIMIT_TASK_NAME_SHOWN), LIMIT_TASK_NAME_SHOWN);
    assert_string_equal(odd->unreadable, "tasks.title holds a blob, not text");
    assert_string_equal(large->unreadable, "tasks.title holds bytes that are not UTF-8");
    store_task_list_done(&stuck);
    store_free(store);
}

/* triggers and views */

/* Before the tables are made, or after. */
static void assert_refused_by_either(const char *table, const char *trigger, const char *error)
{
    if (table)
        sqlite_file_exec(table);
    struct store *store = sqlite_file_open_migrated();
    sqlite_file_seed(3);
    if (trigger)
        sqlite_file_exec(trigger);
    struct store_task_list stuck = sqlite_file_stuck(store);
    struct store_transition batch[3];
    enum store_moved moved[3];
    struct why why = {""}, refusals[3] = {{""}};
    for (size_t i = 0; i < 3; i++) {
        batch[i] = suite_transition(&stuck.tasks[i]);
        batch[i].refusal = &refusals[i];
    }
    ASSERT_OK(store_transition(store, 0, 0, "p", batch, 3, moved, &why));
    suite_assert_words(&refusals[1], error);
    assert_int_equal(moved[0], STORE_MOVED);
    assert_int_equal(moved[1], STORE_REFUSED);
    assert_int_equal(moved[2], STORE_MOVED);
    store_task_list_done(&stuck);
    store_free(store);
    sqlite_file_assert("SELECT group_concat(id) FROM tasks WHERE stage = 'development'", "2");
    sqlite_file_assert("SELECT group_concat(task_id) FROM jobs", "1,3");
    sqlite_file_assert("SELECT group_concat(task_id) FROM reconcile_ledger", "1,3");
}

static void assert_refused_by(const char *trigger, const char *error)
{
    assert_refused_by_either(NULL, trigger, error);
}

static void a_trigger_that_aborts_refuses_its_row(void **state)
{
    (void)state;
    assert_refused_by("CREATE TRIGGER no BEFORE UPDATE ON tasks WHEN new.id = 2"
                      " BEGIN SELECT RAISE(ABORT, 'frozen by ann'); END",
                      "frozen by ann");
}

static void a_trigger_that_fails_refuses_its_row(void **state)
{
    (void)state;
    assert_refused_by("CREATE TRIGGER no AFTER UPDATE ON tasks WHEN new.id = 2"
                      " BEGIN SELECT RAISE(FAIL, 'frozen'); END",
                      "frozen");
}

static void a_trigger_that_rolls_back_refuses_its_row_alone(void **state)
{
    (void)state;
    assert_refused_by("CREATE TRIGGER no BEFORE UPDATE ON tasks WHEN new.id = 2"
                      " BEGIN SELECT RAISE(ROLLBACK, 'frozen'); END",
                      "frozen");
}

static void a_trigger_that_ignores_refuses_its_row(void **state)
{
    (void)state;
    assert_refused_by(
        "CREATE TRIGGER no BEFORE UPDATE ON tasks WHEN new.id = 2 BEGIN SELECT RAISE(IGNORE); END",
        "swallowed");
}

static void a_trigger_that_ignores_the_job_refuses_its_row(void **state)
{
    (void)state;
    assert_refused_by(
        "CREATE TRIGGER no BEFORE INSERT ON jobs WHEN new.task_id = 2 BEGIN SELECT RAISE(IGNORE); END",
        "swallowed");
}

static void a_trigger_with_a_fault_of_its_own_refuses_its_row(void **state)
{
    (void)state;
    assert_refused_by(
        "CREATE TRIGGER no AFTER UPDATE ON tasks WHEN new.id = 2 BEGIN SELECT json(new.repo); END",
        "malformed JSON");
}

static void a_trigger_may_say_anything_and_refuses_its_row_alone(void **state)
{
    (void)state;
    assert_refused_by("CREATE TRIGGER no BEFORE UPDATE ON tasks WHEN new.id = 2"
                      " BEGIN SELECT RAISE(ABORT, 'no such luck'); END",
                      "no such luck");
}

#define JOBS_OF_THEIRS(more)                                                                      \
    "CREATE TABLE jobs (id INTEGER PRIMARY KEY, task_id, agent, status, created_at, updated_at, " \
    "queue" more ")"

static void a_trigger_that_hangs_refuses_its_row_alone(void **state)
{
    (void)state;
    assert_refused_by("CREATE TRIGGER no BEFORE UPDATE ON tasks WHEN new.id = 2 BEGIN"
                      " SELECT count(*) FROM (WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c)"
                      "  SELECT i FROM c); END",
                      "took longer than 5000 ms");
}

static void a_constraint_of_theirs_refuses_its_row_alone(void **state)
{
    (void)state;
    assert_refused_by_either(JOBS_OF_THEIRS(", CONSTRAINT not_two CHECK (task_id <> 2)"), NULL,
                             "CHECK constraint failed: not_two");
}

static void a_column_of_theirs_that_must_be_filled_refuses_its_row_alone(void **state)
{
    (void)state;
    assert_refused_by_either(JOBS_OF_THEIRS(" NOT NULL GENERATED ALWAYS AS (nullif(task_id, 2))"), NULL,
                             "NOT NULL constraint failed: jobs.queue");
}

static void views_over_other_names_serve_as_tables(void **state)
{
    (void)state;
    sqlite_file_exec("CREATE TABLE items (nr INTEGER PRIMARY KEY, plane, wi, t, r, b, phase, c, u);"
                     "CREATE TABLE work (nr INTEGER PRIMARY KEY, item, who, state, c, u);"
                     "CREATE VIEW tasks (id, plane_id, work_item_id, title, repo, branch, stage, created_at, "
                     "updated_at) AS"
                     " SELECT nr, plane, wi, t, r, b, phase, c, u FROM items;"
                     "CREATE VIEW jobs (id, task_id, agent, status, created_at, updated_at) AS"
                     " SELECT nr, item, who, state, c, u FROM work;"
                     "CREATE TRIGGER tasks_u INSTEAD OF UPDATE ON tasks BEGIN"
                     " UPDATE items SET phase = new.stage, u = new.updated_at WHERE nr = new.id; END;"
                     "CREATE TRIGGER jobs_i INSTEAD OF INSERT ON jobs BEGIN"
                     " INSERT INTO work (item, who, state, c, u)"
                     " VALUES (new.task_id, new.agent, new.status, new.created_at, new.updated_at); END;"
                     "INSERT INTO items VALUES (1, 'p', 'ORCH-1', 't', 'o/r', 'b', 'development', NULL, "
                     "'2020-01-01 00:00:00'),"
                     " (2, 'q', 'ORCH-2', 't', 'o/r', 'b', 'development', NULL, '2020-01-01 00:00:00');"
                     "INSERT INTO work VALUES (1, 2, 'developer', 'running', NULL, NULL)");
    struct store *store = sqlite_file_open_migrated();
    ASSERT_OK(store_ready(store, NULL));
    struct store_task_list stuck = sqlite_file_stuck(store);
    ASSERT_LISTED(&stuck, 1);
    struct store_transition transition = suite_transition(&stuck.tasks[0]);
    enum store_moved moved;
    ASSERT_OK(store_transition(store, 0, 0, "p", &transition, 1, &moved, NULL));
    assert_int_equal(moved, STORE_MOVED);
    transition.id = uuid_new();
    ASSERT_OK(store_transition(store, 0, 0, "p", &transition, 1, &moved, NULL));
    assert_int_equal(moved, STORE_RACED);
    store_task_list_done(&stuck);
    store_free(store);
    sqlite_file_assert("SELECT phase FROM items WHERE nr = 1", "review");
    sqlite_file_assert("SELECT who || state FROM work WHERE item = 1", "reviewerqueued");
}

static enum err ready_with_a_view(const char *id, const char *plane_id, struct why *why)
{
    AUTO_FREE char *view = mem_printf(
        "CREATE VIEW tasks AS SELECT %s AS id, %s AS plane_id, wi AS work_item_id, t AS title, r AS repo,"
        " b AS branch, phase AS stage, c AS created_at, u AS updated_at FROM items",
        id, plane_id);
    sqlite_file_exec(view);
    struct store *store = sqlite_file_open_migrated();
    enum err err = store_ready(store, why);
    store_free(store);
    sqlite_file_exec("DROP VIEW tasks");
    return err;
}

static void of_a_views_columns_only_a_type_that_a_table_has_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *id, *plane_id;
    } good[] = {{"nr", "plane"},
                {"nr + 0", "lower(plane)"},
                {"abs(nr)", "coalesce(plane, text)"},
                {"(SELECT max(nr, n))", "text || ''"},
                {"CASE WHEN n IS NULL THEN nr ELSE n + 1 END", "(SELECT text)"}},
      bad[] = {{"real", "text"}, {"text", "text"}, {"decimal", "text"}, {"nr", "nr"}, {"nr", "real"}};
    struct why why;
    sqlite_file_exec("CREATE TABLE items (nr INTEGER PRIMARY KEY, plane, wi, t, r, b, phase, c, u,"
                     " n BIGINT, text CHAR(36), real REAL, decimal NUMERIC(10,2))");
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (ready_with_a_view(good[i].id, good[i].plane_id, &why) != ERR_OK)
            fail_msg("%s, %s: %s", good[i].id, good[i].plane_id, why.text);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        ASSERT_ERR(ready_with_a_view(bad[i].id, bad[i].plane_id, &why), ERR_UNAVAILABLE);
        suite_assert_words(&why, i < 3 ? "tasks.id" : "tasks.plane_id");
    }
}

static void one_task_has_at_most_one_active_job_where_we_made_the_table(void **state)
{
    (void)state;
    store_free(sqlite_file_open_migrated());
    sqlite_file_seed(1);
    sqlite_file_exec("INSERT INTO jobs (task_id, agent, status) VALUES (1, 'a', 'done'), (1, 'a', 'queued')");
    sqlite3 *db = sqlite_file_lock("BEGIN");
    assert_int_equal(sqlite3_exec(db, "INSERT INTO jobs (task_id, agent) VALUES (1, 'b')", NULL, NULL, NULL),
                     SQLITE_CONSTRAINT);
    sqlite3_close(db);
}

/* the plan */

/* The stages of suite_query(), and a stage or a repo for the statements that ask about one. */
#define GRACES "[[\"development\",600],[\"testing\",600],[\"review\",60]]"
#define KNOWN "[\"development\",\"testing\",\"review\",\"done\"]"

/* Steps of SQLite's machine: the cost of a statement whatever its plan is called. Digits are bound as a
 * number. */
static void assert_cheaper_than(int most, unsigned which, const char *const *texts, size_t n)
{
    sqlite3_stmt *statement;
    sqlite3 *db = sqlite_file_lock("BEGIN");
    assert_int_equal(sqlite3_prepare_v2(db, sqlite_sql_text(which), -1, &statement, NULL), SQLITE_OK);
    for (size_t i = 0; i < n; i++) {
        int64_t number;
        int rc = texts[i] && parse_i64(texts[i], INT64_MIN, INT64_MAX, &number)
                     ? sqlite3_bind_int64(statement, (int)i + 1, number)
                     : sqlite3_bind_text(statement, (int)i + 1, texts[i], -1, SQLITE_STATIC);
        assert_int_equal(rc, SQLITE_OK);
    }
    while (sqlite3_step(statement) == SQLITE_ROW)
        ;
    assert_int_equal(sqlite3_reset(statement), SQLITE_OK);
    int steps = sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_VM_STEP, 0);
    if (steps >= most)
        fail_msg("%d steps: %.60s …", steps, sqlite_sql_text(which));
    (void)sqlite3_finalize(statement);
    sqlite3_close(db);
}

/* Nothing is stuck: what a pass asks for must not cost a step for each healthy task. */
static void assert_choosing_is_cheap(int healthy)
{
    static const char *const stuck[] = {GRACES, KNOWN, "[]", "0", "1000"};
    static const char *const unstarted[] = {"created", "600", "[]", "1000"};
    assert_cheaper_than(healthy, SQL_STUCK, stuck, ARRAY_LEN(stuck));
    assert_cheaper_than(healthy, SQL_UNSTARTED, unstarted, ARRAY_LEN(unstarted));
}

/* Nor what a CI event asks for, while all tasks of its repo are done. */
static void assert_resolving_is_cheap(int healthy)
{
    static const char *const of_repo[] = {"[\"o/r\"]", "[\"development\",\"testing\"]", "100"};
    assert_cheaper_than(healthy, SQL_REPO_TASKS, of_repo, ARRAY_LEN(of_repo));
}

/* No step of the plan may go through all jobs or, by name, all tasks, nor build anything out of them. */
static void assert_plan_is_lean(void)
{
    char *plan = sqlite_file_plan(sqlite_sql_text(SQL_STUCK)), *rest = plan;
    size_t searches = 0;
    for (const char *step; (step = strsep(&rest, "\n"));) {
        /* Not "SCAN tasks": that is also how a search for null in a column that holds none is called. */
        static const char *const bad[] = {"SCAN jobs", "SCAN t ", "SCAN j", "BLOOM FILTER", "AUTOMATIC"};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
            if (strcmp(step, "SCAN t") == 0 || (strstr(step, bad[i]) && !strstr(step, "json_each")))
                fail_msg("the plan holds: %s", step);
        searches += strstr(step, "(stage=? AND updated_at>? AND updated_at<?)") ||
                    strstr(step, "((stage,updated_at)>(?,?) AND (stage,updated_at)<(?,?))") ||
                    strstr(step, "reconcile_jobs_");
    }
    assert_int_equal(searches, 2);
    free(plan);
}

static void choosing_goes_through_the_indexes_with_and_without_statistics(void **state)
{
    (void)state;
    store_free(sqlite_file_open_migrated());
    assert_plan_is_lean();
    sqlite_file_exec(
        "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 5000)"
        " INSERT INTO tasks (id, work_item_id, repo, branch, stage)"
        " SELECT i, 'ORCH-' || i, 'o/r', 'b', CASE i % 3 WHEN 0 THEN 'done' WHEN 1 THEN 'testing'"
        " ELSE 'development' END FROM c;"
        "INSERT INTO jobs (task_id, agent, status) SELECT id, 'a', 'done' FROM tasks;"
        "INSERT INTO jobs (task_id, agent, status) SELECT id, 'a', 'running' FROM tasks"
        " WHERE id % 10 = 0");
    assert_plan_is_lean();
    assert_choosing_is_cheap(5000);
    sqlite_file_exec("ANALYZE");
    assert_plan_is_lean();
    assert_choosing_is_cheap(5000);
    sqlite_file_exec("UPDATE tasks SET updated_at = strftime('%Y-%m-%dT%H:%M:%f', 'now')");
    assert_choosing_is_cheap(5000);
    sqlite_file_exec("UPDATE tasks SET updated_at = updated_at || '+00:00'; ANALYZE");
    assert_plan_is_lean();
    assert_choosing_is_cheap(5000);
}

/* Nor what a page asks for: of each open stage it takes as many as it shows. */
static void assert_listing_is_cheap(int healthy)
{
    static const char *const first[] = {GRACES, "[\"done\"]", NULL, NULL, "0", "0", NULL, "0", "10"};
    static const char *const next[] = {GRACES, "[\"done\"]",          NULL,  NULL, "0",
                                       "2",    "2020-01-01 10:00:00", "900", "10"};
    assert_cheaper_than(healthy, SQL_TASKS_LIST, first, ARRAY_LEN(first));
    assert_cheaper_than(healthy, SQL_TASKS_LIST, next, ARRAY_LEN(next));
}

/* Of the tables without a column that holds null, and with one. Whether all rows are of one instant: SQLite
 * takes an index for useless whose rows ANALYZE found to be all the same. */
static void assert_not_misled(const char *table, const char *instant)
{
    if (table)
        sqlite_file_exec(table);
    store_free(sqlite_file_open_migrated());
    if (table)
        sqlite_file_exec("CREATE INDEX theirs ON tasks (stage, updated_at)");
    AUTO_FREE char *fill = mem_printf(
        "CREATE INDEX their_stages ON tasks (stage); CREATE INDEX their_times ON tasks (updated_at);"
        "CREATE INDEX their_states ON jobs (status);"
        "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 3000)"
        " INSERT INTO tasks (id, repo, branch, stage, updated_at) SELECT i, 'o/r', 'b', 'done', %s FROM c;"
        "INSERT INTO jobs (task_id, agent, status) SELECT id, 'a', 'done' FROM tasks; ANALYZE",
        instant);
    sqlite_file_exec(fill);
    if (!table)
        assert_plan_is_lean();
    assert_choosing_is_cheap(3000);
    assert_resolving_is_cheap(3000);
    assert_listing_is_cheap(3000);
}

#define TASKS_OF_THEIRS                                                                                \
    "CREATE TABLE tasks (id INTEGER PRIMARY KEY, plane_id, work_item_id, title, repo, branch, stage, " \
    "created_at, updated_at); CREATE INDEX theirs_of_repos ON tasks (lower(repo), stage)"

static void other_indexes_and_their_statistics_mislead_nobody(void **state)
{
    (void)state;
    assert_not_misled(NULL, "'2020-01-01 00:00:00'");
}

static void statistics_of_many_instants_mislead_nobody(void **state)
{
    (void)state;
    assert_not_misled(NULL, "datetime('2020-01-01', i || ' minutes')");
}

static void statistics_of_tables_of_theirs_mislead_nobody(void **state)
{
    (void)state;
    assert_not_misled(TASKS_OF_THEIRS, "'2020-01-01 00:00:00'");
}

static void tables_that_were_there_get_nothing_added(void **state)
{
    (void)state;
    static const char schema[] =
        "SELECT group_concat(name || ' ' || sql) FROM sqlite_schema WHERE tbl_name IN ('Tasks', 'jobs')";
    sqlite_file_exec(
        "CREATE TABLE Tasks (id INTEGER PRIMARY KEY, plane_id, work_item_id, title, repo, branch,"
        " stage, created_at, updated_at);"
        "CREATE TABLE jobs (id INTEGER PRIMARY KEY, task_id, agent, status, created_at,"
        " updated_at)");
    char *before = sqlite_file_value(schema);
    struct store *store = sqlite_file_open_migrated();
    ASSERT_OK(store_ready(store, NULL));
    store_free(store);
    sqlite_file_assert(schema, before);
    free(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SQLITE_FILE_TEST(nonsense_in_updated_at_makes_nothing_stuck),
        SQLITE_FILE_TEST(an_id_that_is_no_integer_is_never_read_as_one),
        SQLITE_FILE_TEST(other_ways_to_write_a_time_are_read_as_sqlite_reads_them),
        SQLITE_FILE_TEST(a_time_in_any_form_is_due_when_its_instant_is),
        SQLITE_FILE_TEST(times_in_many_forms_are_listed_by_their_instants),
        SQLITE_FILE_TEST(a_transition_writes_the_form_that_it_replaces),
        SQLITE_FILE_TEST(a_row_without_a_time_is_left_alone_and_counted),
        SQLITE_FILE_TEST(columns_of_any_type_are_read_as_mended_text),
        SQLITE_FILE_TEST(a_trigger_that_aborts_refuses_its_row),
        SQLITE_FILE_TEST(a_trigger_that_fails_refuses_its_row),
        SQLITE_FILE_TEST(a_trigger_that_rolls_back_refuses_its_row_alone),
        SQLITE_FILE_TEST(a_trigger_that_ignores_refuses_its_row),
        SQLITE_FILE_TEST(a_trigger_that_ignores_the_job_refuses_its_row),
        SQLITE_FILE_TEST(a_trigger_with_a_fault_of_its_own_refuses_its_row),
        SQLITE_FILE_TEST(a_trigger_may_say_anything_and_refuses_its_row_alone),
        SQLITE_FILE_TEST(a_trigger_that_hangs_refuses_its_row_alone),
        SQLITE_FILE_TEST(a_constraint_of_theirs_refuses_its_row_alone),
        SQLITE_FILE_TEST(a_column_of_theirs_that_must_be_filled_refuses_its_row_alone),
        SQLITE_FILE_TEST(views_over_other_names_serve_as_tables),
        SQLITE_FILE_TEST(of_a_views_columns_only_a_type_that_a_table_has_is_refused),
        SQLITE_FILE_TEST(one_task_has_at_most_one_active_job_where_we_made_the_table),
        SQLITE_FILE_TEST(choosing_goes_through_the_indexes_with_and_without_statistics),
        SQLITE_FILE_TEST(other_indexes_and_their_statistics_mislead_nobody),
        SQLITE_FILE_TEST(statistics_of_many_instants_mislead_nobody),
        SQLITE_FILE_TEST(statistics_of_tables_of_theirs_mislead_nobody),
        SQLITE_FILE_TEST(tables_that_were_there_get_nothing_added),
    };
    return cmocka_run_group_tests_name("SQLite: the rows", tests, NULL, NULL);
}
