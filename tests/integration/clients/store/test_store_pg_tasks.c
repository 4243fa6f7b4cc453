/* Looking at tasks on PostgreSQL: rows that make little sense, forged places, other people's tables, and what
 * is read of large ones. */
#include "tests/support/clients/store/pg_scene.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"

static const struct store_stage_grace gated[] = {{"development", 600}, {"review", 600}};
static const char *const terminal[] = {"done"};

static struct store_tasks_query query_of(size_t limit)
{
    return (struct store_tasks_query){.gated = gated,
                                      .n_gated = ARRAY_LEN(gated),
                                      .terminal = terminal,
                                      .n_terminal = ARRAY_LEN(terminal),
                                      .limit = limit};
}

/* Walks from page to page to the end. The ids in the order they came, of so many. */
static size_t walk(struct pg_scene *scene, struct store_tasks_query query, int64_t *ret_ids, size_t max)
{
    size_t n = 0;
    char *after = NULL;
    do {
        struct store_tasks_page page;
        query.after = after;
        ASSERT_OK(store_tasks_list(scene->store, &query, &page, &scene->why));
        for (size_t i = 0; i < page.n; i++) {
            assert_true(n < max);
            ret_ids[n++] = page.rows[i].task.id;
        }
        free(after);
        after = page.next ? mem_dup(page.next) : NULL;
        store_tasks_page_done(&page);
    } while (after);
    return n;
}

static void assert_walked(struct pg_scene *scene, const struct store_tasks_query *query, const int64_t *ids,
                          size_t n)
{
    int64_t walked[64] = {0};
    assert_int_equal(walk(scene, *query, walked, ARRAY_LEN(walked)), n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(walked[i], ids[i]);
}
#define ASSERT_WALKED(scene, query, ...)                            \
    assert_walked((scene), (query), (const int64_t[]){__VA_ARGS__}, \
                  sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static void tasks_whose_rows_make_no_sense_are_listed_once(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_exec(scene, "ALTER TABLE tasks ALTER stage DROP NOT NULL, ALTER updated_at DROP NOT NULL;"
                         "INSERT INTO tasks (id, stage, updated_at) VALUES"
                         " (1, 'development', now() - interval '1 day'), (2, 'development', NULL),"
                         " (3, 'development', 'infinity'), (4, 'development', '-infinity'),"
                         " (5, NULL, now()), (6, NULL, NULL), (7, 'analysis', '4000-01-01 00:00:00.000001'),"
                         " (8, 'analysis', '4000-01-01 00:00:00.000002'), (9, 'analysis', '0044-03-15 BC'),"
                         " (10, 'done', NULL), (11, 'analysis', NULL), (12, 'analysis', 'infinity'),"
                         " (13, 'analysis', '290000-01-01'), (14, NULL, 'infinity')");
    for (size_t limit = 1; limit < 14; limit++) {
        struct store_tasks_query query = query_of(limit);
        ASSERT_WALKED(scene, &query, 1, 2, 4, 6, 11, 9, 5, 7, 8, 13, 3, 12, 14);
    }
}

static void times_that_keep_a_task_from_being_stuck_are_counted(void **state)
{
    struct pg_scene *scene = *state;
    struct store_times times;
    pg_scene_exec(scene, "ALTER TABLE tasks ALTER updated_at DROP NOT NULL;"
                         "INSERT INTO tasks (id, stage, updated_at) VALUES (1, 'development', NULL),"
                         " (2, 'development', 'infinity'), (3, 'development', now() + interval '5 minutes'),"
                         " (4, 'development', now())");
    ASSERT_OK(store_times(scene->store, &times, &scene->why));
    assert_int_equal(times.unread, 2);
    assert_int_equal(times.unread_task, 1);
    assert_int_equal(times.ahead, 1);
    assert_int_equal(times.ahead_task, 3);
    assert_false(times.zoneless);
    pg_scene_exec(scene, "ALTER TABLE tasks ALTER updated_at TYPE timestamp");
    ASSERT_OK(store_times(scene->store, &times, &scene->why));
    assert_int_equal(times.ahead, 1);
    assert_true(times.zoneless);
}

static void the_last_instant_there_is_costs_its_row_alone(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_exec(scene, "INSERT INTO tasks (id, stage, updated_at) VALUES"
                         " (1, 'development', now() - interval '1 day'), (2, 'development', '294276-12-31'),"
                         " (3, 'development', '294276-12-31'), (4, 'development', 'infinity');"
                         "INSERT INTO jobs (task_id, agent, status, updated_at)"
                         " VALUES (1, 'a', 'queued', '294276-12-31')");
    struct store_tasks_query query = query_of(10);
    ASSERT_WALKED(scene, &query, 1, 2, 3, 4);
    struct store_task_entry entry;
    ASSERT_OK(store_task_get(scene->store, 2, &query, &entry, NULL, &scene->why));
    assert_int_equal(entry.updated_us, 0);
    store_task_entry_done(&entry);
    query.limit = 1; /* what is behind the first of them may be left out, but the walk must end */
    int64_t walked[8];
    assert_in_range(walk(scene, query, walked, ARRAY_LEN(walked)), 2, 4);
}

static void many_tasks_of_one_instant_are_each_listed_once(void **state)
{
    struct pg_scene *scene = *state;
    int64_t ids[200];
    pg_scene_exec(scene, "INSERT INTO tasks (id, stage, updated_at) SELECT 201 - i,"
                         " CASE i %% 3 WHEN 0 THEN 'development' WHEN 1 THEN 'analysis' ELSE 'review' END,"
                         " '2020-01-01' FROM generate_series(1, 200) i;"
                         "INSERT INTO jobs (task_id, agent, status)"
                         " SELECT id, 'a', 'running' FROM tasks WHERE id %% 2 = 0");
    struct store_tasks_query query = query_of(7);
    assert_int_equal(walk(scene, query, ids, ARRAY_LEN(ids)), 200);
    int64_t stuck =
        pg_scene_number(scene, "SELECT count(*) FROM tasks WHERE id %% 2 = 1 AND stage <> 'analysis'");
    for (size_t i = 1; i < 200; i++)
        assert_true(ids[i] > ids[i - 1] || i == (size_t)stuck);
}

/* As when the list was begun: who counts as stuck since then is not jumped over. */
static void what_becomes_stuck_between_two_pages_is_still_listed(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_tasks(scene, 3);
    struct store_tasks_query query = query_of(10);
    query.after = "2.-infinity.0.0"; /* begun in 1970, behind all that was stuck then */
    ASSERT_WALKED(scene, &(struct store_tasks_query){.limit = 10}, 1, 2, 3);
    struct store_tasks_page page;
    ASSERT_OK(store_tasks_list(scene->store, &query, &page, &scene->why));
    assert_int_equal(page.n, 3);
    assert_false(page.rows[0].stuck);
    store_tasks_page_done(&page);
    query.after = NULL;
    ASSERT_OK(store_tasks_list(scene->store, &query, &page, &scene->why));
    assert_int_equal(page.n, 3);
    assert_true(page.rows[0].stuck);
    store_tasks_page_done(&page);
}

static void forged_places_are_refused_or_harmless(void **state)
{
    struct pg_scene *scene = *state;
    static const char *const bad[] = {"",
                                      ".",
                                      "...",
                                      "....",
                                      "1",
                                      "1.2.3",
                                      "3.1.1.1",
                                      "0.1.1.1",
                                      "1.x.1.1",
                                      "1.1.x.1",
                                      "1.1.1.x",
                                      "1.1.1.1.1",
                                      "1.1.1.",
                                      "1..1.1",
                                      "1.1.1.-1",
                                      "-1.1.1.1",
                                      "2.nan.1.1",
                                      "2. 1.1.1",
                                      "2.1.1.1 ",
                                      "2.99999999999999999999.1.1",
                                      "2.-9223372036854775808.1.1",
                                      "1.1.99999999999999999999.1",
                                      "2.1.1.1;DROP"};
    static const char *const odd[] = {"1.-infinity.-9223372036854775808.0",
                                      "2.infinity.9223372036854775807.9223372036854775807",
                                      "1.9223372036854775807.1.9223372036854775807",
                                      "2.-210866716800000000.1.1",
                                      "1.infinity.1.1",
                                      "2.-1.1.1"};
    struct store_tasks_query query = query_of(10);
    struct store_tasks_page page;
    pg_scene_tasks(scene, 1);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        query.after = bad[i];
        ASSERT_ERR(store_tasks_list(scene->store, &query, &page, &scene->why), ERR_INVALID);
    }
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        query.after = odd[i];
        ASSERT_OK(store_tasks_list(scene->store, &query, &page, &scene->why));
        store_tasks_page_done(&page);
    }
}

/* Integer ids, instants without a zone, short texts. */
static void tasks_behind_views_are_looked_at_alike(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_exec(
        scene, "ALTER DATABASE " PG_SCENE_DATABASE " SET TimeZone = 'Asia/Kathmandu';"
               "CREATE TABLE work (no serial PRIMARY KEY, issue uuid UNIQUE, key varchar(20), subject text,"
               " repository varchar(100), branch_name text, phase varchar(20), made timestamp,"
               " touched timestamp);"
               "CREATE TABLE runs (no serial PRIMARY KEY, work_no int, who varchar(20), state varchar(10),"
               " made timestamp, touched timestamp);"
               "CREATE VIEW tasks AS SELECT no AS id, issue AS plane_id, key AS work_item_id,"
               " subject AS title, repository AS repo, branch_name AS branch, phase AS stage,"
               " made AS created_at, touched AS updated_at FROM work;"
               "CREATE VIEW jobs AS SELECT no AS id, work_no AS task_id, who AS agent, state AS status,"
               " made AS created_at, touched AS updated_at FROM runs;"
               "INSERT INTO work (key, repository, branch_name, phase, touched) SELECT 'K-' || i, 'o/r',"
               " 'b-' || i, CASE WHEN i = 4 THEN 'analysis' ELSE 'development' END,"
               " timezone('UTC', now()) - interval '1 hour' - i * interval '1 minute'"
               " FROM generate_series(1, 5) i;"
               "INSERT INTO runs (work_no, who, state, touched) VALUES (2, 'a', 'running', '2020-01-01')");
    ASSERT_OK(store_migrate(scene->store, NULL, &scene->why));
    ASSERT_OK(store_ready(scene->store, &scene->why));
    struct store_tasks_query query = query_of(2);
    ASSERT_WALKED(scene, &query, 5, 3, 1, 4, 2);
    query.repo = "o/r";
    query.stage = "development";
    ASSERT_WALKED(scene, &query, 5, 3, 1, 2);
    struct store_task_entry entry;
    int64_t now_us;
    ASSERT_OK(store_task_get(scene->store, 2, &query, &entry, &now_us, &scene->why));
    assert_in_range((now_us - entry.updated_us) / 1000000, 3700, 3800);
    assert_string_equal(entry.job_agent, "a");
    assert_int_equal(entry.job_updated_us, INT64_C(1577836800000000));
    store_task_entry_done(&entry);
    struct store_repo_tasks tasks;
    static const char *const stages[] = {"development", "testing"};
    ASSERT_OK(
        store_repo_tasks(scene->store, (const char *const[]){"o/r"}, 1, stages, 2, 3, &tasks, &scene->why));
    assert_int_equal(tasks.n, 3);
    assert_true(tasks.more);
    assert_int_equal(tasks.rows[0].id, 5);
    store_repo_tasks_done(&tasks);
}

/* what is read */

/* 200,000 tasks of 100 repos, most of them done, 200 of them stuck, and as many jobs that are over. */
static void tasks_many(const struct pg_scene *scene)
{
    pg_scene_exec(scene,
                  "INSERT INTO tasks (id, repo, branch, stage, updated_at) SELECT i, 'o/r-' || i %% 100, 'b',"
                  " CASE i %% 4 WHEN 0 THEN 'development' WHEN 1 THEN 'analysis' ELSE 'done' END,"
                  " CASE WHEN i %% 1000 = 0 THEN now() - interval '1 day' ELSE now() END"
                  " + i * interval '1 microsecond' FROM generate_series(1, 200000) i;"
                  "UPDATE tasks SET repo = 'o/rare' WHERE id IN (1, 4, 40001, 40004, 199997);"
                  "INSERT INTO jobs (task_id, agent, status)"
                  " SELECT i, 'a', 'done' FROM generate_series(1, 200000) i;"
                  "INSERT INTO reconcile_ledger (id, at, task_id, from_stage, to_stage, side, outcome)"
                  " SELECT gen_random_uuid(), now(), i, 'development', 'development', 'gate', 'advanced'"
                  " FROM generate_series(1, 200000) i;"
                  "ANALYZE");
}

/* Asks ten times, for the server makes a plan of its own after some. */
static void assert_reads(struct pg_scene *scene, void (*ask)(struct pg_scene *), int64_t tasks, int64_t jobs)
{
    int64_t tasks_before = pg_scene_rows_read(scene, "tasks"),
            jobs_before = pg_scene_rows_read(scene, "jobs"),
            ledger_before = pg_scene_rows_read(scene, "reconcile_ledger");
    for (int i = 0; i < 10; i++)
        ask(scene);
    assert_in_range(pg_scene_rows_read(scene, "tasks") - tasks_before, 1, 10 * tasks);
    assert_in_range(pg_scene_rows_read(scene, "jobs") - jobs_before, 0, 10 * jobs);
    assert_in_range(pg_scene_rows_read(scene, "reconcile_ledger") - ledger_before, 0, 10 * 1000);
}

/* Three pages: stuck ones, the last of them with others, others. */
static void list_ask(struct pg_scene *scene)
{
    char *after = NULL;
    for (int i = 0; i < 3; i++) {
        struct store_tasks_query query = query_of(150);
        struct store_tasks_page page;
        query.after = after;
        ASSERT_OK(store_tasks_list(scene->store, &query, &page, &scene->why));
        assert_int_equal(page.n, 150);
        assert_int_equal(page.rows[0].stuck, i < 2);
        assert_int_equal(page.rows[149].stuck, i < 1);
        free(after);
        after = mem_dup(page.next);
        store_tasks_page_done(&page);
    }
    free(after);
}

static void stuck_only_ask(struct pg_scene *scene)
{
    struct store_tasks_query query = query_of(500);
    struct store_tasks_page page;
    query.stuck_only = true;
    ASSERT_OK(store_tasks_list(scene->store, &query, &page, &scene->why));
    assert_int_equal(page.n, 200);
    assert_null(page.next);
    store_tasks_page_done(&page);
}

/* Of a repo of many tasks, and of one that has five among them. */
static void list_of_repo_ask(struct pg_scene *scene)
{
    struct store_tasks_query query = query_of(50);
    struct store_tasks_page page;
    query.repo = "o/r-4";
    ASSERT_OK(store_tasks_list(scene->store, &query, &page, &scene->why));
    assert_int_equal(page.n, 50);
    store_tasks_page_done(&page);
    query.repo = "o/rare";
    ASSERT_OK(store_tasks_list(scene->store, &query, &page, &scene->why));
    assert_int_equal(page.n, 5);
    store_tasks_page_done(&page);
}

static void one_ask(struct pg_scene *scene)
{
    struct store_tasks_query query = query_of(0);
    struct store_task_entry entry;
    ASSERT_OK(store_task_get(scene->store, 5000, &query, &entry, NULL, &scene->why));
    assert_true(entry.stuck);
    assert_int_equal(entry.task.recent_heals, 1);
    store_task_entry_done(&entry);
}

static void repo_ask(struct pg_scene *scene)
{
    static const char *const stages[] = {"development", "review"};
    struct store_repo_tasks tasks;
    ASSERT_OK(store_repo_tasks(scene->store, (const char *const[]){"o/r-4"}, 1, stages, 2, 10, &tasks,
                               &scene->why));
    assert_int_equal(tasks.n, 10);
    assert_int_equal(tasks.rows[0].id, 199904);
    assert_true(tasks.more);
    store_repo_tasks_done(&tasks);
}

static void stuck_ask(struct pg_scene *scene)
{
    static const char *const known[] = {"analysis", "development", "review", "done"};
    const struct store_stuck_query query = {.stages = gated,
                                            .n_stages = ARRAY_LEN(gated),
                                            .known = known,
                                            .n_known = ARRAY_LEN(known),
                                            .limit = 100};
    struct store_task_list stuck;
    ASSERT_OK(store_task_list(scene->store, &query, &stuck, &scene->why));
    assert_int_equal(stuck.count, 200);
    assert_int_equal(stuck.n_tasks, 100);
    assert_int_equal(stuck.tasks[0].recent_heals, 1);
    assert_int_not_equal(stuck.tasks[0].newest_heal_seq, 0);
    store_task_list_done(&stuck);
}

static void looking_reads_little_of_many_tasks(void **state)
{
    struct pg_scene *scene = *state;
    tasks_many(scene);
    assert_reads(scene, list_ask, 3000, 1000);
    assert_reads(scene, stuck_only_ask, 1000, 1000);
    assert_reads(scene, list_of_repo_ask, 5000, 1000);
    assert_reads(scene, one_ask, 10, 10);
    assert_reads(scene, repo_ask, 2010, 0);
    assert_reads(scene, stuck_ask, 1000, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PG_SCENE_TEST(tasks_whose_rows_make_no_sense_are_listed_once),
        PG_SCENE_TEST(times_that_keep_a_task_from_being_stuck_are_counted),
        PG_SCENE_TEST(the_last_instant_there_is_costs_its_row_alone),
        PG_SCENE_TEST(many_tasks_of_one_instant_are_each_listed_once),
        PG_SCENE_TEST(what_becomes_stuck_between_two_pages_is_still_listed),
        PG_SCENE_TEST(forged_places_are_refused_or_harmless),
        PG_SCENE_TEST_EMPTY(tasks_behind_views_are_looked_at_alike),
        PG_SCENE_TEST(looking_reads_little_of_many_tasks),
    };
    return cmocka_run_group_tests_name("looking at tasks on PostgreSQL", tests, NULL, NULL);
}
