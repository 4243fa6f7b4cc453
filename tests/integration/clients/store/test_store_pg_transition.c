/* The one transition on PostgreSQL: other people's locks and triggers, races between replicas, and a COMMIT
 * that gets no answer. */
#include "tests/support/clients/store/pg_scene.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"

/* Long enough for any machine, below what the client itself waits for. */
#define PATIENT "options=-c%20lock_timeout%3D60000%20-c%20statement_timeout%3D60000"
#define IMPATIENT "options=-c%20lock_timeout%3D50"

/* One call in a thread of its own. */
struct mover {
    struct store *store;
    const struct store_transition *batch;
    size_t n;
    enum store_moved moved[LIMIT_BATCH];
    enum err err;
};

static void *mover_run(void *arg)
{
    struct mover *mover = arg;
    mover->err =
        store_transition(mover->store, 0, 0, PG_SCENE_PASS, mover->batch, mover->n, mover->moved, NULL);
    return NULL;
}

static pthread_t thread_start(void *(*run)(void *), void *arg)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run, arg), 0);
    return thread;
}

static void batch_fill(const struct store_task_list *stuck, struct store_transition *batch)
{
    for (size_t i = 0; i < stuck->n_tasks; i++)
        batch[i] = pg_scene_transition(&stuck->tasks[i]);
}

/* the kill switch */

struct switcher {
    struct store *store;
    int64_t revision;
    enum err err;
    atomic_bool over;
};

static void *switcher_run(void *arg)
{
    struct switcher *switcher = arg;
    switcher->err = store_settings_write(switcher->store, 0, "{}", NULL, 0, &switcher->revision, NULL);
    switcher->over = true;
    return NULL;
}

static void new_settings_wait_for_the_transition_in_flight_and_stop_the_next_one(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_tasks(scene, 2);
    struct store *store = pg_scene_open(scene, PATIENT);
    struct store_task_list stuck = pg_scene_stuck(store);
    struct store_transition batch[] = {pg_scene_transition(&stuck.tasks[0]),
                                       pg_scene_transition(&stuck.tasks[1])};
    struct mover mover = {.store = store, .batch = batch, .n = 1};
    struct switcher switcher = {.store = store};

    /* The transition holds the settings row and waits for its task; the writer waits for the settings row. */
    PGconn *holder = pg_scene_hold(scene, "SELECT FROM tasks WHERE id = 1 FOR UPDATE");
    pthread_t moving = thread_start(mover_run, &mover);
    pg_scene_await_waiting(scene, 1);
    pthread_t switching = thread_start(switcher_run, &switcher);
    pg_scene_await_waiting(scene, 2);
    assert_false(switcher.over);
    pg_scene_release(holder);
    assert_int_equal(pthread_join(moving, NULL), 0);
    assert_int_equal(pthread_join(switching, NULL), 0);

    ASSERT_OK(mover.err);
    assert_int_equal(mover.moved[0], STORE_MOVED);
    ASSERT_OK(switcher.err);
    assert_int_equal(switcher.revision, 1);
    ASSERT_ERR(pg_scene_move(scene, store, &batch[1], 1, mover.moved), ERR_CONFLICT);
    pg_scene_assert_written(scene, 1);
    store_task_list_done(&stuck);
    store_free(store);
}

/* locks */

static void a_locked_task_alone_is_refused_and_nothing_else_breaks(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_tasks(scene, 2);
    struct store *store = pg_scene_open(scene, IMPATIENT);
    struct store_task_list stuck = pg_scene_stuck(store);
    struct store_transition batch[] = {pg_scene_transition(&stuck.tasks[0]),
                                       pg_scene_transition(&stuck.tasks[1])};
    enum store_moved moved = STORE_RACED;
    struct why refusal = {""};
    batch[0].refusal = &refusal;
    PGconn *holder = pg_scene_hold(scene, "SELECT FROM tasks WHERE id = 1 FOR UPDATE");
    ASSERT_OK(pg_scene_move(scene, store, &batch[0], 1, &moved));
    assert_int_equal(moved, STORE_REFUSED);
    assert_non_null(strstr(refusal.text, "55P03"));
    assert_non_null(strstr(refusal.text, "lock"));
    pg_scene_assert_written(scene, 0);
    ASSERT_OK(pg_scene_move(scene, store, &batch[1], 1, &moved));
    assert_int_equal(moved, STORE_MOVED);
    pg_scene_release(holder);
    ASSERT_OK(pg_scene_move(scene, store, &batch[0], 1, &moved));
    assert_int_equal(moved, STORE_MOVED);
    pg_scene_assert_written(scene, 2);
    store_task_list_done(&stuck);
    store_free(store);
}

static void a_locked_table_is_a_time_out_and_nobody_s_fault(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_tasks(scene, 2);
    struct store *store = pg_scene_open(scene, IMPATIENT);
    struct store_task_list stuck = pg_scene_stuck(store);
    struct store_transition batch[2];
    enum store_moved moved[2];
    batch_fill(&stuck, batch);
    PGconn *holder = pg_scene_hold(scene, "LOCK TABLE jobs IN SHARE MODE");
    ASSERT_ERR(pg_scene_move(scene, store, batch, 2, moved), ERR_TIMEOUT);
    pg_scene_assert_why(scene, "lock");
    pg_scene_release(holder);
    ASSERT_OK(pg_scene_move(scene, store, batch, 2, moved));
    pg_scene_assert_written(scene, 2);
    store_task_list_done(&stuck);
    store_free(store);
}

static void a_locked_task_does_not_hold_back_those_beside_it(void **state)
{
    struct pg_scene *scene = *state;
    enum { TASKS = 16 };
    pg_scene_tasks(scene, TASKS);
    struct store *store = pg_scene_open(scene, IMPATIENT);
    struct store_task_list stuck = pg_scene_stuck(store);
    struct store_transition batch[TASKS];
    enum store_moved moved[TASKS];
    batch_fill(&stuck, batch);
    PGconn *holder = pg_scene_hold(scene, "SELECT FROM tasks WHERE id IN (1, 11) FOR UPDATE");
    ASSERT_OK(pg_scene_move(scene, store, batch, TASKS, moved));
    for (size_t i = 0; i < TASKS; i++)
        assert_int_equal(moved[i],
                         stuck.tasks[i].id == 1 || stuck.tasks[i].id == 11 ? STORE_REFUSED : STORE_MOVED);
    pg_scene_release(holder);
    pg_scene_assert_written(scene, TASKS - 2);
    store_task_list_done(&stuck);
    store_free(store);
}

static void a_task_that_another_session_moves_meanwhile_is_raced(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_tasks(scene, 2);
    struct store *store = pg_scene_open(scene, PATIENT);
    struct store_task_list stuck = pg_scene_stuck(store);
    struct store_transition batch[2];
    batch_fill(&stuck, batch);
    struct mover mover = {.store = store, .batch = batch, .n = 2};
    PGconn *holder = pg_scene_hold(scene, "UPDATE tasks SET stage = 'testing' WHERE id = 1");
    pthread_t moving = thread_start(mover_run, &mover);
    pg_scene_await_waiting(scene, 1);
    PQclear(PQexec(holder, "COMMIT"));
    PQfinish(holder);
    assert_int_equal(pthread_join(moving, NULL), 0);
    ASSERT_OK(mover.err);
    assert_int_equal(mover.moved[0], STORE_RACED);
    assert_int_equal(mover.moved[1], STORE_MOVED);
    pg_scene_assert_written(scene, 1);
    store_task_list_done(&stuck);
    store_free(store);
}

/* Half of them in the opposite order, each from a store of its own, as replicas are. */
static void replicas_with_the_same_batch_move_each_task_once(void **state)
{
    struct pg_scene *scene = *state;
    enum { REPLICAS = 4 };
    pg_scene_tasks(scene, LIMIT_BATCH);
    struct store_task_list stuck = pg_scene_stuck(scene->store);
    assert_int_equal(stuck.n_tasks, LIMIT_BATCH);
    static struct store_transition batches[REPLICAS][LIMIT_BATCH];
    static struct mover movers[REPLICAS];
    pthread_t threads[REPLICAS];
    size_t moved = 0;
    for (size_t r = 0; r < REPLICAS; r++) {
        for (size_t i = 0; i < LIMIT_BATCH; i++)
            batches[r][r % 2 ? LIMIT_BATCH - 1 - i : i] = pg_scene_transition(&stuck.tasks[i]);
        movers[r] =
            (struct mover){.store = pg_scene_open(scene, NULL), .batch = batches[r], .n = LIMIT_BATCH};
    }
    for (size_t r = 0; r < REPLICAS; r++)
        threads[r] = thread_start(mover_run, &movers[r]);
    for (size_t r = 0; r < REPLICAS; r++) {
        assert_int_equal(pthread_join(threads[r], NULL), 0);
        ASSERT_OK(movers[r].err);
        for (size_t i = 0; i < LIMIT_BATCH; i++) {
            assert_int_not_equal(movers[r].moved[i], STORE_REFUSED);
            moved += movers[r].moved[i] == STORE_MOVED;
        }
        store_free(movers[r].store);
    }
    assert_int_equal(moved, LIMIT_BATCH);
    pg_scene_assert_written(scene, LIMIT_BATCH);
    store_task_list_done(&stuck);
}

/* triggers */

/* Moves five tasks while the database refuses the third, with those words. */
static void assert_third_is_refused_by(struct pg_scene *scene, struct store *store, const char *error)
{
    enum { TASKS = 5 };
    pg_scene_tasks(scene, TASKS);
    struct store_task_list stuck = pg_scene_stuck(store);
    struct store_transition batch[TASKS];
    struct why refusals[TASKS] = {{""}};
    enum store_moved moved[TASKS];
    batch_fill(&stuck, batch);
    for (size_t i = 0; i < TASKS; i++)
        batch[i].refusal = &refusals[i];
    ASSERT_OK(pg_scene_move(scene, store, batch, TASKS, moved));
    for (size_t i = 0; i < TASKS; i++) {
        assert_int_equal(moved[i], stuck.tasks[i].id == 3 ? STORE_REFUSED : STORE_MOVED);
        if (moved[i] == STORE_REFUSED && !strstr(refusals[i].text, error))
            fail_msg("\"%s\" does not contain \"%s\"", refusals[i].text, error);
    }
    pg_scene_assert_written(scene, TASKS - 1);
    assert_int_equal(pg_scene_number(scene,
                                     "SELECT count(*) FROM tasks WHERE id = 3 AND stage = 'development'"
                                     " AND updated_at < now() - interval '1 hour'"),
                     1);
    store_task_list_done(&stuck);
}

static void assert_third_is_refused(struct pg_scene *scene, const char *error)
{
    assert_third_is_refused_by(scene, scene->store, error);
}

static void trigger_make(const struct pg_scene *scene, const char *when, const char *body)
{
    pg_scene_exec(
        scene,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN %s RETURN NEW; END $$;"
        "CREATE %s FOR EACH ROW EXECUTE FUNCTION refuse()",
        body, when);
}

static void a_trigger_that_raises_refuses_its_row_alone(void **state)
{
    trigger_make(*state, "TRIGGER refuse BEFORE UPDATE ON tasks",
                 "IF NEW.id = 3 THEN RAISE EXCEPTION 'not on a Friday'; END IF;");
    assert_third_is_refused(*state, "P0001): not on a Friday");
}

static void a_trigger_that_is_broken_refuses_its_row_alone(void **state)
{
    trigger_make(*state, "TRIGGER refuse BEFORE INSERT ON jobs",
                 "IF NEW.task_id = 3 THEN PERFORM 1 FROM no_such_table; END IF;");
    assert_third_is_refused(*state, "42P01");
}

static void a_trigger_that_swallows_the_move_refuses_its_row_alone(void **state)
{
    trigger_make(*state, "TRIGGER refuse BEFORE UPDATE ON tasks", "IF NEW.id = 3 THEN RETURN NULL; END IF;");
    assert_third_is_refused(*state, "swallowed");
}

static void a_trigger_that_swallows_the_job_refuses_its_row_alone(void **state)
{
    trigger_make(*state, "TRIGGER refuse BEFORE INSERT ON jobs",
                 "IF NEW.task_id = 3 THEN RETURN NULL; END IF;");
    assert_third_is_refused(*state, "swallowed");
}

static void a_trigger_that_swallows_the_ledger_row_refuses_its_row_alone(void **state)
{
    trigger_make(*state, "TRIGGER refuse BEFORE INSERT ON reconcile_ledger",
                 "IF NEW.task_id = 3 THEN RETURN NULL; END IF;");
    assert_third_is_refused(*state, "swallowed");
}

static void a_constraint_that_is_checked_at_commit_refuses_its_row_alone(void **state)
{
    trigger_make(*state, "CONSTRAINT TRIGGER refuse AFTER INSERT ON jobs DEFERRABLE INITIALLY DEFERRED",
                 "IF NEW.task_id = 3 THEN RAISE EXCEPTION 'too late'; END IF;");
    assert_third_is_refused(*state, "P0001): too late");
}

static void a_constraint_of_theirs_refuses_its_row_alone(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_exec(scene, "ALTER TABLE jobs ADD CONSTRAINT not_three CHECK (task_id <> 3)");
    assert_third_is_refused(scene, "not_three");
}

static void a_column_of_theirs_that_must_be_filled_refuses_its_row_alone(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_exec(scene, "ALTER TABLE jobs ADD queue text NOT NULL DEFAULT 'main'");
    trigger_make(scene, "TRIGGER refuse BEFORE INSERT ON jobs",
                 "IF NEW.task_id = 3 THEN NEW.queue = NULL; END IF;");
    assert_third_is_refused(scene, "(SQLSTATE 23502): null value in column \"queue\"");
}

static void a_number_that_overflows_refuses_its_row_alone(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_exec(scene, "ALTER TABLE jobs ADD big int GENERATED ALWAYS AS"
                         " (CASE WHEN task_id = 3 THEN (task_id * 1000000000)::int ELSE 0 END) STORED");
    assert_third_is_refused(scene, "(SQLSTATE 22003)");
}

static void a_policy_that_refuses_one_task_s_job_refuses_its_row_alone(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_exec(scene, "DO $$ BEGIN CREATE ROLE guarded LOGIN;"
                         " EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
                         "GRANT ALL ON ALL TABLES IN SCHEMA public TO guarded;"
                         "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO guarded;"
                         "ALTER TABLE jobs ENABLE ROW LEVEL SECURITY;"
                         "CREATE POLICY three ON jobs USING (true) WITH CHECK (task_id <> 3)");
    struct store *store = pg_scene_open(scene, "user=guarded");
    assert_third_is_refused_by(scene, store, "(SQLSTATE 42501): new row violates row-level security policy");
    store_free(store);
}

static void any_sqlstate_that_one_row_causes_refuses_it_alone(void **state)
{
    struct pg_scene *scene = *state;
    static const char *const states[] = {"54000", "55000", "40001", "42P01", "XX001", "23505", "72000"};
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        AUTO_FREE char *body = mem_printf(
            "IF NEW.task_id = 3 THEN RAISE EXCEPTION 'no' USING ERRCODE = '%s'; END IF;", states[i]);
        pg_scene_exec(scene, "TRUNCATE tasks, jobs, reconcile_ledger RESTART IDENTITY;"
                             "DROP FUNCTION IF EXISTS refuse CASCADE");
        trigger_make(scene, "TRIGGER refuse BEFORE INSERT ON jobs", body);
        assert_third_is_refused(scene, states[i]);
    }
}

static void a_trigger_that_hangs_for_one_row_refuses_it_alone(void **state)
{
    struct pg_scene *scene = *state;
    trigger_make(scene, "TRIGGER refuse BEFORE INSERT ON jobs",
                 "IF NEW.task_id = 3 THEN PERFORM pg_sleep(3600); END IF;");
    struct store *store = pg_scene_open(scene, "options=-c%20statement_timeout%3D400");
    assert_third_is_refused_by(scene, store, "(SQLSTATE 57014)");
    store_free(store);
}

static void a_trigger_that_sets_the_time_itself_is_no_obstacle(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_tasks(scene, 1);
    trigger_make(scene, "TRIGGER refuse BEFORE UPDATE ON tasks", "NEW.updated_at = now();");
    struct store_task_list stuck = pg_scene_stuck(scene->store);
    struct store_transition transition = pg_scene_transition(&stuck.tasks[0]);
    enum store_moved moved;
    ASSERT_OK(pg_scene_move(scene, scene->store, &transition, 1, &moved));
    assert_int_equal(moved, STORE_MOVED);
    pg_scene_assert_written(scene, 1);
    store_task_list_done(&stuck);
}

static void a_missing_right_is_a_failure_and_not_each_row_s_fault(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_tasks(scene, 2);
    pg_scene_exec(scene, "DO $$ BEGIN CREATE ROLE reader LOGIN;"
                         " EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
                         "GRANT SELECT, UPDATE, INSERT ON ALL TABLES IN SCHEMA public TO reader;"
                         "REVOKE INSERT ON jobs FROM reader");
    struct store *store = pg_scene_open(scene, "user=reader");
    struct store_task_list stuck = pg_scene_stuck(store);
    struct store_transition batch[2];
    enum store_moved moved[2];
    batch_fill(&stuck, batch);
    ASSERT_ERR(pg_scene_move(scene, store, batch, 2, moved), ERR_UNAVAILABLE);
    pg_scene_assert_why(scene, "permission denied for table jobs");
    pg_scene_assert_written(scene, 0);
    store_task_list_done(&stuck);
    store_free(store);
}

/* a COMMIT without an answer */

/* Three tasks, the second raced; the COMMIT meets `fault`, and the answer is right all the same. */
static void assert_settled(struct pg_scene *scene, enum pg_proxy_fault fault)
{
    pg_scene_tasks(scene, 3);
    struct pg_proxy *proxy;
    struct store *store = pg_scene_through_proxy(scene, NULL, &proxy);
    struct store_task_list stuck = pg_scene_stuck(store);
    struct store_transition batch[3];
    enum store_moved moved[3];
    batch_fill(&stuck, batch);
    pg_scene_exec(scene, "UPDATE tasks SET stage = 'testing' WHERE id = 2");
    pg_proxy_arm(proxy, fault);
    ASSERT_OK(pg_scene_move(scene, store, batch, 3, moved));
    assert_int_equal(pg_proxy_faults(proxy), 1);
    assert_int_equal(moved[0], STORE_MOVED);
    assert_int_equal(moved[1], STORE_RACED);
    assert_int_equal(moved[2], STORE_MOVED);
    pg_scene_assert_written(scene, 2);
    store_free(store);
    pg_proxy_stop(proxy);
    store_task_list_done(&stuck);
}

static void a_commit_that_never_arrived_is_done_again(void **state)
{
    assert_settled(*state, PG_PROXY_LOSE_COMMIT);
}

static void a_commit_whose_answer_was_lost_is_not_done_twice(void **state)
{
    assert_settled(*state, PG_PROXY_LOSE_ANSWER);
}

/* The settings move on between the lost COMMIT and the next try: what was committed is still reported so. */
static void a_committed_batch_is_reported_moved_whatever_the_settings_say_by_then(void **state)
{
    struct pg_scene *scene = *state;
    trigger_make(scene, "TRIGGER refuse AFTER INSERT ON reconcile_ledger",
                 "UPDATE reconcile_settings SET revision = revision + 1;");
    assert_settled(scene, PG_PROXY_LOSE_ANSWER);
    assert_int_equal(pg_scene_number(scene, "SELECT revision FROM reconcile_settings"), 2);
}

static void settings_whose_answer_was_lost_are_reported_written(void **state)
{
    struct pg_scene *scene = *state;
    struct pg_proxy *proxy;
    struct store *store = pg_scene_through_proxy(scene, NULL, &proxy);
    int64_t revision = 0;
    struct store_settings settings;
    ASSERT_OK(store_settings_read(store, &settings, &scene->why));
    store_settings_done(&settings);
    ASSERT_OK(store_settings_write(store, 0, "{}", NULL, 0, &revision, &scene->why));
    /* The proxy knows a fault by the word COMMIT in what is sent. */
    pg_proxy_arm(proxy, PG_PROXY_LOSE_ANSWER);
    ASSERT_OK(
        store_settings_write(store, 1, "{\"by\":{\"value\":\"COMMIT\"}}", NULL, 0, &revision, &scene->why));
    assert_int_equal(pg_proxy_faults(proxy), 1);
    assert_int_equal(revision, 2);
    ASSERT_ERR(store_settings_write(store, 1, "{}", NULL, 0, &revision, &scene->why), ERR_CONFLICT);
    store_free(store);
    pg_proxy_stop(proxy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PG_SCENE_TEST(new_settings_wait_for_the_transition_in_flight_and_stop_the_next_one),
        PG_SCENE_TEST(a_locked_task_alone_is_refused_and_nothing_else_breaks),
        PG_SCENE_TEST(a_locked_table_is_a_time_out_and_nobody_s_fault),
        PG_SCENE_TEST(a_locked_task_does_not_hold_back_those_beside_it),
        PG_SCENE_TEST(a_task_that_another_session_moves_meanwhile_is_raced),
        PG_SCENE_TEST(replicas_with_the_same_batch_move_each_task_once),
        PG_SCENE_TEST(a_trigger_that_raises_refuses_its_row_alone),
        PG_SCENE_TEST(a_trigger_that_is_broken_refuses_its_row_alone),
        PG_SCENE_TEST(a_trigger_that_swallows_the_move_refuses_its_row_alone),
        PG_SCENE_TEST(a_trigger_that_swallows_the_job_refuses_its_row_alone),
        PG_SCENE_TEST(a_trigger_that_swallows_the_ledger_row_refuses_its_row_alone),
        PG_SCENE_TEST(a_constraint_that_is_checked_at_commit_refuses_its_row_alone),
        PG_SCENE_TEST(a_constraint_of_theirs_refuses_its_row_alone),
        PG_SCENE_TEST(a_column_of_theirs_that_must_be_filled_refuses_its_row_alone),
        PG_SCENE_TEST(a_number_that_overflows_refuses_its_row_alone),
        PG_SCENE_TEST(a_policy_that_refuses_one_task_s_job_refuses_its_row_alone),
        PG_SCENE_TEST(any_sqlstate_that_one_row_causes_refuses_it_alone),
        PG_SCENE_TEST(a_trigger_that_hangs_for_one_row_refuses_it_alone),
        PG_SCENE_TEST(a_trigger_that_sets_the_time_itself_is_no_obstacle),
        PG_SCENE_TEST(a_missing_right_is_a_failure_and_not_each_row_s_fault),
        PG_SCENE_TEST(a_commit_that_never_arrived_is_done_again),
        PG_SCENE_TEST(a_commit_whose_answer_was_lost_is_not_done_twice),
        PG_SCENE_TEST(a_committed_batch_is_reported_moved_whatever_the_settings_say_by_then),
        PG_SCENE_TEST(settings_whose_answer_was_lost_are_reported_written),
    };
    return cmocka_run_group_tests_name("the one transition on PostgreSQL", tests, NULL, NULL);
}
