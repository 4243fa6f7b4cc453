/* Tasks of Plane's issues on PostgreSQL: races between replicas, other people's keys, types and triggers, a
 * COMMIT that gets no answer, and what is read of a large table. */
#include "tests/support/clients/store/pg_scene.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"

/* Long enough for any machine, below what the client itself waits for. */
#define PATIENT "options=-c%20lock_timeout%3D60000%20-c%20statement_timeout%3D60000"
#define IMPATIENT "options=-c%20lock_timeout%3D50"

/* The number of an issue as its id. */
#define ISSUE_SQL "'a0eebc99-9c0b-4ef8-bb6d-' || lpad(%s::text, 12, '0')"
enum { ISSUES_MAX = 3000 };

static struct uuid_text issues[ISSUES_MAX];

/* Before there are threads. */
static void issues_name(void)
{
    for (unsigned i = 0; i < ISSUES_MAX; i++)
        (void)snprintf(issues[i].s, sizeof issues[i].s, "a0eebc99-9c0b-4ef8-bb6d-%012u", i);
}

static const char *issue(size_t n)
{
    return issues[n].s;
}

/* The first n issues, of which each batch is made; or their tasks, asked for. */
static void batch_fill(struct store_new_task *batch, size_t n)
{
    for (size_t i = 0; i < n; i++)
        batch[i] = (struct store_new_task){.plane_id = issue(i),
                                           .work_item_id = "ORCH-1",
                                           .title = "Basket",
                                           .repo = "o/r",
                                           .branch = issue(i),
                                           .stage = "created"};
}

static size_t tasks_found(struct pg_scene *scene, struct store *store, size_t n)
{
    static const char *asked[ISSUES_MAX];
    for (size_t i = 0; i < n; i++)
        asked[i] = issue(i);
    struct store_issue_tasks tasks;
    ASSERT_OK(store_issue_tasks(store, asked, n, &tasks, &scene->why));
    size_t found = tasks.n;
    store_issue_tasks_done(&tasks);
    return found;
}

/* One call in a thread of its own. */
struct maker {
    struct store *store;
    size_t n;
    enum store_creation creations[LIMIT_BATCH];
    enum err err;
    pthread_t thread;
};

static void *maker_run(void *arg)
{
    struct maker *maker = arg;
    struct store_new_task batch[LIMIT_BATCH];
    batch_fill(batch, maker->n);
    maker->err = store_create_tasks(maker->store, 0, 0, batch, maker->n, maker->creations, NULL);
    return NULL;
}

static void maker_start(struct maker *maker)
{
    assert_int_equal(pthread_create(&maker->thread, NULL, maker_run, maker), 0);
}

static size_t maker_created(const struct maker *maker)
{
    size_t created = 0;
    for (size_t i = 0; i < maker->n; i++) {
        assert_int_not_equal(maker->creations[i], STORE_NOT_CREATED);
        created += maker->creations[i] == STORE_CREATED;
    }
    return created;
}

/* Another session makes the task of that issue; insert_hold: and has not committed yet. */
#define INSERT "INSERT INTO tasks (plane_id, stage) VALUES ('%s', 'analysis')"

static void insert_issue(const struct pg_scene *scene, size_t n)
{
    pg_scene_exec(scene, INSERT, issue(n));
}

static PGconn *insert_hold(const struct pg_scene *scene, size_t n)
{
    char *sql = mem_printf(INSERT, issue(n));
    PGconn *holder = pg_scene_hold(scene, sql);
    free(sql);
    return holder;
}

/* races */

/* They all wait for a session that makes one of the tasks as well, and gives up. */
static void replicas_that_make_the_same_tasks_make_each_once(void **state)
{
    struct pg_scene *scene = *state;
    enum { REPLICAS = 4, TASKS = 100 };
    static struct maker makers[REPLICAS];
    PGconn *holder = insert_hold(scene, TASKS / 2);
    for (size_t r = 0; r < REPLICAS; r++) {
        makers[r] = (struct maker){.store = pg_scene_open(scene, PATIENT), .n = TASKS};
        maker_start(&makers[r]);
    }
    pg_scene_await_waiting(scene, REPLICAS);
    pg_scene_release(holder);
    size_t created = 0;
    for (size_t r = 0; r < REPLICAS; r++) {
        assert_int_equal(pthread_join(makers[r].thread, NULL), 0);
        ASSERT_OK(makers[r].err);
        created += maker_created(&makers[r]);
        store_free(makers[r].store);
    }
    assert_int_equal(created, TASKS);
    assert_int_equal(pg_scene_number(scene, "SELECT count(*) FROM tasks WHERE stage = 'created'"), TASKS);
    assert_int_equal(pg_scene_number(scene, "SELECT count(*) FROM tasks"), TASKS);
}

static void a_task_that_a_webhook_makes_meanwhile_exists(void **state)
{
    struct pg_scene *scene = *state;
    struct maker maker = {.store = pg_scene_open(scene, PATIENT), .n = 3};
    PGconn *holder = insert_hold(scene, 1);
    maker_start(&maker);
    pg_scene_await_waiting(scene, 1);
    PQclear(PQexec(holder, "COMMIT"));
    PQfinish(holder);
    assert_int_equal(pthread_join(maker.thread, NULL), 0);
    ASSERT_OK(maker.err);
    assert_int_equal(maker.creations[0], STORE_CREATED);
    assert_int_equal(maker.creations[1], STORE_EXISTS);
    assert_int_equal(maker.creations[2], STORE_CREATED);
    assert_int_equal(pg_scene_number(scene, "SELECT count(*) FROM tasks"), 3);
    store_free(maker.store);
}

static void a_task_that_hangs_in_the_making_does_not_hold_back_those_beside_it(void **state)
{
    struct pg_scene *scene = *state;
    enum { TASKS = 16 };
    struct store *store = pg_scene_open(scene, IMPATIENT);
    struct store_new_task batch[TASKS];
    enum store_creation creations[TASKS];
    batch_fill(batch, TASKS);
    PGconn *holder = insert_hold(scene, 5);
    ASSERT_OK(store_create_tasks(store, 0, 0, batch, TASKS, creations, &scene->why));
    for (size_t i = 0; i < TASKS; i++)
        assert_int_equal(creations[i], i == 5 ? STORE_NOT_CREATED : STORE_CREATED);
    struct why refusal = {""};
    batch[5].refusal = &refusal;
    ASSERT_OK(store_create_tasks(store, 0, 0, &batch[5], 1, creations, &scene->why));
    assert_int_equal(creations[0], STORE_NOT_CREATED);
    assert_non_null(strstr(refusal.text, "55P03"));
    pg_scene_release(holder);
    ASSERT_OK(store_create_tasks(store, 0, 0, batch, TASKS, creations, &scene->why));
    for (size_t i = 0; i < TASKS; i++)
        assert_int_equal(creations[i], i == 5 ? STORE_CREATED : STORE_EXISTS);
    store_free(store);
}

/* Each replays the one verdict, for a task of its own. */
static void a_verdict_that_two_replicas_replay_at_once_moves_one_task(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_tasks(scene, 2);
    struct store *store = pg_scene_open(scene, PATIENT);
    struct store_task_list stuck = pg_scene_stuck(store);
    PGconn *holder = pg_scene_hold(scene, "INSERT INTO reconcile_verdicts VALUES ('activity-1', 2, now())");
    struct store_transition transition = pg_scene_transition(&stuck.tasks[0]);
    transition.verdict_id = "activity-1";
    enum store_moved moved = STORE_MOVED;
    struct store *impatient = pg_scene_open(scene, IMPATIENT);
    ASSERT_OK(pg_scene_move(scene, impatient, &transition, 1, &moved));
    assert_int_equal(moved, STORE_REFUSED);
    PQclear(PQexec(holder, "COMMIT"));
    PQfinish(holder);
    ASSERT_OK(pg_scene_move(scene, store, &transition, 1, &moved));
    assert_int_equal(moved, STORE_RACED);
    pg_scene_assert_written(scene, 0);
    store_task_list_done(&stuck);
    store_free(impatient);
    store_free(store);
}

/* a COMMIT without an answer */

/* Three tasks, the second there already; the COMMIT meets `fault`, and the answer is right all the same. */
static void assert_settled(struct pg_scene *scene, enum pg_proxy_fault fault)
{
    struct pg_proxy *proxy;
    struct store *store = pg_scene_through_proxy(scene, NULL, &proxy);
    struct store_new_task batch[3];
    enum store_creation creations[3];
    batch_fill(batch, 3);
    insert_issue(scene, 1);
    assert_int_equal(tasks_found(scene, store, 3), 1);
    pg_proxy_arm(proxy, fault);
    ASSERT_OK(store_create_tasks(store, 0, 0, batch, 3, creations, &scene->why));
    assert_int_equal(pg_proxy_faults(proxy), 1);
    assert_int_equal(creations[0], STORE_CREATED);
    assert_int_equal(creations[1], STORE_EXISTS);
    assert_int_equal(creations[2], STORE_CREATED);
    assert_int_equal(pg_scene_number(scene, "SELECT count(*) FROM tasks"), 3);
    store_free(store);
    pg_proxy_stop(proxy);
}

static void tasks_whose_commit_never_arrived_are_made_again(void **state)
{
    assert_settled(*state, PG_PROXY_LOSE_COMMIT);
}

static void tasks_whose_commit_got_no_answer_are_told_as_made(void **state)
{
    assert_settled(*state, PG_PROXY_LOSE_ANSWER);
}

/* The next try waits until the lost transaction is certain to be over, and so for any other holder of the
 * settings; by then a webhook has made the very tasks that it lost. */
static void tasks_that_a_webhook_made_after_the_lost_commit_are_not_told_as_ours(void **state)
{
    struct pg_scene *scene = *state;
    struct pg_proxy *proxy;
    struct maker maker = {.store = pg_scene_through_proxy(scene, PATIENT, &proxy), .n = 3};
    assert_int_equal(tasks_found(scene, maker.store, 3), 0);
    PGconn *first = pg_scene_hold(scene, "LOCK TABLE tasks IN SHARE MODE");
    PGconn *holder = pg_scene_hold(scene, "SELECT 1");
    pg_proxy_arm(proxy, PG_PROXY_LOSE_COMMIT);
    maker_start(&maker);
    pg_scene_await_waiting(scene, 1);
    assert_int_equal(PQsendQuery(holder, "SELECT FROM reconcile_settings FOR SHARE"),
                     1); /* the next after it */
    pg_scene_await_waiting(scene, 2);
    pg_scene_release(first);
    PQclear(PQgetResult(holder));
    assert_null(PQgetResult(holder));
    pg_scene_await_waiting(scene, 1);
    for (size_t i = 0; i < 3; i++)
        insert_issue(scene, i);
    pg_scene_release(holder);
    assert_int_equal(pthread_join(maker.thread, NULL), 0);
    ASSERT_OK(maker.err);
    assert_int_equal(pg_proxy_faults(proxy), 1);
    assert_int_equal(maker_created(&maker), 0);
    assert_int_equal(pg_scene_number(scene, "SELECT count(*) FROM tasks"), 3);
    store_free(maker.store);
    pg_proxy_stop(proxy);
}

/* other people's tables */

#define MORE                                                                                    \
    "work_item_id varchar(20), title text, repo text, branch text, stage varchar(20) NOT NULL," \
    " created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL"

/* Two issues, the second there in upper case where the two differ. */
static void assert_makes(struct pg_scene *scene)
{
    struct store_new_task batch[2];
    enum store_creation creations[2];
    const char *const fresh[] = {issue(0)};
    struct store_task_list stuck;
    batch_fill(batch, 2);
    ASSERT_OK(store_migrate(scene->store, NULL, &scene->why));
    ASSERT_OK(store_ready(scene->store, &scene->why));
    assert_int_equal(tasks_found(scene, scene->store, 2), 1);
    ASSERT_OK(store_create_tasks(scene->store, 0, 0, batch, 2, creations, &scene->why));
    assert_int_equal(creations[0], STORE_CREATED);
    assert_int_equal(creations[1], STORE_EXISTS);
    assert_int_equal(tasks_found(scene, scene->store, 2), 2);
    ASSERT_OK(store_unstarted(scene->store, "created", 600, fresh, 1, 10, &stuck, &scene->why));
    assert_int_equal(stuck.n_tasks, 1);
    assert_string_equal(stuck.tasks[0].plane_id, issue(0));
    store_task_list_done(&stuck);
}

static void plane_ids_may_be_uuids(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_exec(scene,
                  "CREATE TABLE tasks (id serial PRIMARY KEY, plane_id uuid UNIQUE, " MORE ");"
                  "INSERT INTO tasks VALUES (1000, upper('%s')::uuid, '', '', '', '', 'x', now(), now())",
                  issue(1));
    assert_makes(scene);
}

static void plane_ids_may_be_short_texts_unique_where_they_are_there(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_exec(scene,
                  "CREATE TABLE tasks (id serial PRIMARY KEY, plane_id varchar(36), " MORE ");"
                  "CREATE UNIQUE INDEX ON tasks (plane_id) WHERE plane_id IS NOT NULL;"
                  "INSERT INTO tasks VALUES (1000, upper('%s'), '', '', '', '', 'x', now(), now())",
                  issue(1));
    assert_makes(scene);
}

static void tasks_are_made_through_an_updatable_view(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_exec(
        scene,
        "CREATE TABLE work (no serial PRIMARY KEY, issue uuid UNIQUE, mood text NOT NULL"
        " DEFAULT 'calm', " MORE ");"
        "CREATE VIEW tasks AS SELECT no AS id, issue AS plane_id, work_item_id, title, repo, branch,"
        " stage, created_at, updated_at FROM work;"
        "INSERT INTO tasks VALUES (1000, '%s', '', '', '', '', 'x', now(), now())",
        issue(1));
    assert_makes(scene);
    assert_int_equal(pg_scene_number(scene, "SELECT count(*) FROM work WHERE mood = 'calm'"), 2);
}

/* As README grants them. */
static void a_role_with_the_least_rights_makes_tasks_and_moves_them(void **state)
{
    struct pg_scene *scene = *state;
    struct store_new_task batch[2];
    enum store_creation creations[2];
    batch_fill(batch, 2);
    pg_scene_exec(scene,
                  "CREATE TABLE tasks (id serial PRIMARY KEY, plane_id text UNIQUE, " MORE ");"
                  "CREATE TABLE jobs (id serial PRIMARY KEY, task_id int, agent text, status text,"
                  " created_at timestamptz, updated_at timestamptz);"
                  "DO $$ BEGIN CREATE ROLE least LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
                  "CREATE SCHEMA own AUTHORIZATION least;"
                  "GRANT USAGE ON SCHEMA public TO least;"
                  "GRANT SELECT, INSERT, UPDATE (stage, updated_at) ON tasks TO least;"
                  "GRANT SELECT, INSERT ON jobs TO least;"
                  "GRANT USAGE ON SEQUENCE tasks_id_seq, jobs_id_seq TO least");
    struct store *store = pg_scene_open(scene, "user=least&options=-c%20search_path%3Down,public");
    size_t created;
    ASSERT_OK(store_migrate(store, &created, &scene->why));
    assert_int_equal(created, 11);
    ASSERT_OK(store_create_tasks(store, 0, 0, batch, 2, creations, &scene->why));
    assert_int_equal(creations[1], STORE_CREATED);
    const char *const fresh[] = {issue(0), issue(1)};
    struct store_task_list stuck;
    ASSERT_OK(store_unstarted(store, "created", 600, fresh, 2, 10, &stuck, &scene->why));
    assert_int_equal(stuck.n_tasks, 2);
    struct store_transition transition = pg_scene_transition(&stuck.tasks[0]);
    enum store_moved moved;
    ASSERT_OK(pg_scene_move(scene, store, &transition, 1, &moved));
    assert_int_equal(moved, STORE_MOVED);
    store_task_list_done(&stuck);
    store_free(store);
}

static void assert_no_key(struct pg_scene *scene)
{
    struct store_new_task batch[1];
    enum store_creation creation;
    batch_fill(batch, 1);
    ASSERT_OK(store_migrate(scene->store, NULL, &scene->why));
    ASSERT_ERR(store_create_tasks(scene->store, 0, 0, batch, 1, &creation, &scene->why), ERR_INTERNAL);
    pg_scene_assert_why(scene, "no unique key on plane_id");
    assert_int_equal(pg_scene_number(scene, "SELECT count(*) FROM tasks"), 0);
}

static void a_view_of_a_table_without_a_key_is_refused_in_words(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_exec(scene, "CREATE TABLE work (id serial PRIMARY KEY, plane_id text, " MORE ");"
                         "CREATE UNIQUE INDEX ON work (lower(plane_id));"
                         "CREATE VIEW tasks AS SELECT * FROM work");
    assert_no_key(scene);
}

static void a_key_that_decides_at_the_end_is_refused_in_words(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_exec(scene,
                  "CREATE TABLE tasks (id serial PRIMARY KEY, plane_id text UNIQUE DEFERRABLE, " MORE ")");
    assert_no_key(scene);
}

static void a_plane_id_that_changes_its_type_is_no_lasting_trouble(void **state)
{
    struct pg_scene *scene = *state;
    struct store_new_task batch[2];
    enum store_creation creations[2];
    batch_fill(batch, 2);
    ASSERT_OK(store_create_tasks(scene->store, 0, 0, batch, 1, creations, &scene->why));
    assert_int_equal(tasks_found(scene, scene->store, 2), 1);
    pg_scene_exec(scene, "ALTER TABLE tasks ALTER COLUMN plane_id TYPE uuid USING plane_id::uuid");
    assert_int_equal(tasks_found(scene, scene->store, 2), 1);
    ASSERT_OK(store_create_tasks(scene->store, 0, 0, batch, 2, creations, &scene->why));
    assert_int_equal(creations[0], STORE_EXISTS);
    assert_int_equal(creations[1], STORE_CREATED);
}

/* Five tasks, the third of which the trigger does not let in. */
static void assert_third_is_refused(struct pg_scene *scene, const char *when, const char *body)
{
    enum { TASKS = 5 };
    struct store_new_task batch[TASKS];
    enum store_creation creations[TASKS];
    batch_fill(batch, TASKS);
    batch[2].title = "third";
    pg_scene_exec(scene,
                  "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                  " IF NEW.title = 'third' THEN %s END IF; RETURN NEW; END $$;"
                  "CREATE %s INSERT ON tasks %s FOR EACH ROW EXECUTE FUNCTION refuse()",
                  body, when, strstr(when, "CONSTRAINT") ? "DEFERRABLE INITIALLY DEFERRED" : "");
    ASSERT_OK(store_create_tasks(scene->store, 0, 0, batch, TASKS, creations, &scene->why));
    for (size_t i = 0; i < TASKS; i++)
        assert_int_equal(creations[i], i == 2 ? STORE_NOT_CREATED : STORE_CREATED);
    assert_int_equal(pg_scene_number(scene, "SELECT count(*) FROM tasks"), TASKS - 1);
}

static void a_trigger_that_raises_refuses_its_task_alone(void **state)
{
    assert_third_is_refused(*state, "TRIGGER refuse BEFORE", "RAISE EXCEPTION 'not on a Friday';");
}

static void a_trigger_that_swallows_the_task_refuses_it_alone(void **state)
{
    assert_third_is_refused(*state, "TRIGGER refuse BEFORE", "RETURN NULL;");
}

static void a_trigger_that_gives_the_task_to_another_issue_refuses_it_alone(void **state)
{
    assert_third_is_refused(*state, "TRIGGER refuse BEFORE", "NEW.plane_id = 'another';");
}

static void a_constraint_that_is_checked_at_commit_refuses_its_task_alone(void **state)
{
    assert_third_is_refused(*state, "CONSTRAINT TRIGGER refuse AFTER", "RAISE EXCEPTION 'too late';");
}

static void a_trigger_that_spells_ids_in_upper_case_is_no_obstacle(void **state)
{
    struct pg_scene *scene = *state;
    struct store_new_task batch[2];
    enum store_creation creations[2];
    batch_fill(batch, 2);
    pg_scene_exec(scene, "CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                         " NEW.plane_id = upper(NEW.plane_id); RETURN NEW; END $$;"
                         "CREATE TRIGGER loud BEFORE INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION loud()");
    for (int i = 0; i < 2; i++) {
        ASSERT_OK(store_create_tasks(scene->store, 0, 0, batch, 2, creations, &scene->why));
        assert_int_equal(creations[0], i == 0 ? STORE_CREATED : STORE_EXISTS);
        assert_int_equal(creations[1], i == 0 ? STORE_CREATED : STORE_EXISTS);
    }
    assert_int_equal(tasks_found(scene, scene->store, 2), 2);
}

/* what is read */

/* 200,000 tasks, of which those of the first issues are far apart. */
static void tasks_many(const struct pg_scene *scene, const char *type)
{
    pg_scene_exec(scene,
                  "ALTER TABLE tasks ALTER COLUMN plane_id TYPE %s USING plane_id::%s;"
                  "INSERT INTO tasks (plane_id, repo, stage, updated_at)"
                  " SELECT (" ISSUE_SQL
                  ")::%s, 'o/r', CASE WHEN i %% 1000 = 0 THEN 'created' ELSE 'done' END,"
                  " now() - interval '1 hour' FROM generate_series(0, 199999) i;"
                  "ANALYZE tasks",
                  type, type, "i", type);
}

static void assert_reads_little(struct pg_scene *scene, const char *type)
{
    tasks_many(scene, type);
    struct store_new_task batch[LIMIT_BATCH];
    enum store_creation creations[LIMIT_BATCH];
    struct store_task_list stuck;
    const char *const fresh[] = {issue(1), issue(1000)};
    int64_t before = pg_scene_rows_read(scene, "tasks");
    batch_fill(batch, LIMIT_BATCH);
    for (int i = 0; i < 10; i++) { /* the server makes a plan of its own after some */
        assert_int_equal(tasks_found(scene, scene->store, 1000), 1000);
        ASSERT_OK(store_create_tasks(scene->store, 0, 0, batch, LIMIT_BATCH, creations, &scene->why));
        assert_int_equal(creations[0], STORE_EXISTS);
        ASSERT_OK(store_unstarted(scene->store, "created", 600, fresh, 2, 100, &stuck, &scene->why));
        assert_int_equal(stuck.n_tasks, 100);
        store_task_list_done(&stuck);
    }
    assert_in_range(pg_scene_rows_read(scene, "tasks") - before, 10 * 1000, 10 * 3000);
}

static void what_is_asked_of_issues_reads_their_tasks_alone(void **state)
{
    assert_reads_little(*state, "text");
}

static void what_is_asked_of_issues_reads_their_tasks_alone_where_ids_are_uuids(void **state)
{
    assert_reads_little(*state, "uuid");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PG_SCENE_TEST(replicas_that_make_the_same_tasks_make_each_once),
        PG_SCENE_TEST(a_task_that_a_webhook_makes_meanwhile_exists),
        PG_SCENE_TEST(a_task_that_hangs_in_the_making_does_not_hold_back_those_beside_it),
        PG_SCENE_TEST(a_verdict_that_two_replicas_replay_at_once_moves_one_task),
        PG_SCENE_TEST(tasks_whose_commit_never_arrived_are_made_again),
        PG_SCENE_TEST(tasks_whose_commit_got_no_answer_are_told_as_made),
        PG_SCENE_TEST(tasks_that_a_webhook_made_after_the_lost_commit_are_not_told_as_ours),
        PG_SCENE_TEST_EMPTY(plane_ids_may_be_uuids),
        PG_SCENE_TEST_EMPTY(plane_ids_may_be_short_texts_unique_where_they_are_there),
        PG_SCENE_TEST_EMPTY(tasks_are_made_through_an_updatable_view),
        PG_SCENE_TEST_EMPTY(a_role_with_the_least_rights_makes_tasks_and_moves_them),
        PG_SCENE_TEST_EMPTY(a_view_of_a_table_without_a_key_is_refused_in_words),
        PG_SCENE_TEST_EMPTY(a_key_that_decides_at_the_end_is_refused_in_words),
        PG_SCENE_TEST(a_plane_id_that_changes_its_type_is_no_lasting_trouble),
        PG_SCENE_TEST(a_trigger_that_raises_refuses_its_task_alone),
        PG_SCENE_TEST(a_trigger_that_swallows_the_task_refuses_it_alone),
        PG_SCENE_TEST(a_trigger_that_gives_the_task_to_another_issue_refuses_it_alone),
        PG_SCENE_TEST(a_constraint_that_is_checked_at_commit_refuses_its_task_alone),
        PG_SCENE_TEST(a_trigger_that_spells_ids_in_upper_case_is_no_obstacle),
        PG_SCENE_TEST(what_is_asked_of_issues_reads_their_tasks_alone),
        PG_SCENE_TEST(what_is_asked_of_issues_reads_their_tasks_alone_where_ids_are_uuids),
    };
    issues_name();
    return cmocka_run_group_tests_name("issues on PostgreSQL", tests, NULL, NULL);
}
