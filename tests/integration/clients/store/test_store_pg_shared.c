/* What replicas share on PostgreSQL besides tasks: messages and leases. */
#include "tests/support/clients/store/pg_scene.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"

/* messages */

/* So many stuck tasks and their transitions, each with a message. */
static struct store_task_list told_fill(struct pg_scene *scene, struct store *store, int n,
                                        struct store_transition *batch)
{
    pg_scene_tasks(scene, n);
    struct store_task_list stuck = pg_scene_stuck(store);
    assert_int_equal(stuck.n_tasks, n);
    for (size_t i = 0; i < stuck.n_tasks; i++) {
        batch[i] = pg_scene_transition(&stuck.tasks[i]);
        batch[i].message = stuck.tasks[i].work_item_id;
    }
    return stuck;
}

static void a_trigger_that_swallows_the_message_refuses_its_row_alone(void **state)
{
    struct pg_scene *scene = *state;
    struct store_transition batch[3];
    enum store_moved moved[3];
    pg_scene_exec(scene, "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                         " IF NEW.text = 'ORCH-2' THEN RETURN NULL; END IF; RETURN NEW; END $$;"
                         "CREATE TRIGGER refuse BEFORE INSERT ON reconcile_outbox"
                         " FOR EACH ROW EXECUTE FUNCTION refuse()");
    struct store_task_list stuck = told_fill(scene, scene->store, 3, batch);
    ASSERT_OK(pg_scene_move(scene, scene->store, batch, 3, moved));
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(moved[i], i == 1 ? STORE_REFUSED : STORE_MOVED);
    pg_scene_assert_written(scene, 2);
    assert_int_equal(pg_scene_number(scene, "SELECT count(*) FROM reconcile_outbox o JOIN reconcile_ledger l"
                                            " ON l.id = o.id WHERE o.text = l.work_item_id"),
                     2);
    store_task_list_done(&stuck);
}

static void assert_told_once(struct pg_scene *scene, enum pg_proxy_fault fault)
{
    struct pg_proxy *proxy;
    struct store *store = pg_scene_through_proxy(scene, NULL, &proxy);
    struct store_transition batch[2];
    enum store_moved moved[2];
    struct store_task_list stuck = told_fill(scene, store, 2, batch);
    pg_proxy_arm(proxy, fault);
    ASSERT_OK(pg_scene_move(scene, store, batch, 2, moved));
    assert_int_equal(pg_proxy_faults(proxy), 1);
    assert_int_equal(moved[0], STORE_MOVED);
    assert_int_equal(moved[1], STORE_MOVED);
    assert_int_equal(pg_scene_number(scene, "SELECT count(*) FROM reconcile_outbox"), 2);
    store_task_list_done(&stuck);
    store_free(store);
    pg_proxy_stop(proxy);
}

static void a_message_whose_commit_never_arrived_is_written_once(void **state)
{
    assert_told_once(*state, PG_PROXY_LOSE_COMMIT);
}

static void a_message_whose_commit_got_no_answer_is_written_once(void **state)
{
    assert_told_once(*state, PG_PROXY_LOSE_ANSWER);
}

enum { MESSAGES = 200 };

static struct uuid_text message_id(int i)
{
    char *name = mem_printf("message %d", i);
    struct uuid_text id = uuid_from_name(name);
    free(name);
    return id;
}

/* Marks them all again and again, from the first or from the last. */
struct marker {
    struct store *store;
    bool backwards;
    enum err err;
};

static void *marker_run(void *arg)
{
    struct marker *marker = arg;
    struct uuid_text ids[MESSAGES];
    for (int i = 0; i < MESSAGES; i++)
        ids[i] = message_id(marker->backwards ? MESSAGES - 1 - i : i);
    for (size_t n = 1; n <= MESSAGES && !marker->err; n += 20)
        marker->err = store_outbox_sent(marker->store, ids, n, NULL);
    return NULL;
}

static void replicas_may_mark_the_same_messages(void **state)
{
    struct pg_scene *scene = *state;
    struct marker markers[4];
    pthread_t threads[4];
    for (int i = 0; i < MESSAGES; i++)
        ASSERT_OK(store_outbox_add(scene->store, message_id(i).s, "text", NULL, &scene->why));
    for (size_t i = 0; i < ARRAY_LEN(markers); i++) {
        markers[i] = (struct marker){.store = pg_scene_open(scene, NULL), .backwards = i % 2};
        assert_int_equal(pthread_create(&threads[i], NULL, marker_run, &markers[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(markers); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        ASSERT_OK(markers[i].err);
        store_free(markers[i].store);
    }
    assert_int_equal(pg_scene_number(scene, "SELECT count(*) FROM reconcile_outbox WHERE sent_at IS NULL"),
                     0);
}

static void asking_for_messages_reads_the_unsent_ones_alone(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_exec(scene,
                  "INSERT INTO reconcile_outbox (id, at, text, sent_at) SELECT gen_random_uuid(), now(),"
                  " 'text', CASE WHEN i %% 20000 > 0 THEN now() END FROM generate_series(1, 100000) i;"
                  "ANALYZE reconcile_outbox");
    int64_t before = pg_scene_rows_read(scene, "reconcile_outbox");
    for (int i = 0; i < 10; i++) {
        struct store_outbox outbox;
        ASSERT_OK(store_outbox_list(scene->store, STORE_TO_TELEGRAM, 3, &outbox, &scene->why));
        assert_int_equal(outbox.depth, 5);
        assert_int_equal(outbox.n, 3);
        store_outbox_done(&outbox);
    }
    assert_in_range(pg_scene_rows_read(scene, "reconcile_outbox") - before, 50, 200);
}

/* leases */

static bool takes(struct pg_scene *scene, const char *owner, int64_t seconds)
{
    bool held = false;
    ASSERT_OK(store_lease_take(scene->store, "notifier", owner, seconds, &held, &scene->why));
    return held;
}

/* Which version of its row the lease is of, and whether it is locked. */
static int64_t lease_version(const struct pg_scene *scene)
{
    return pg_scene_number(scene, "SELECT xmin::text::bigint * 2 + (xmax::text <> '0')::int"
                                  " FROM reconcile_leases WHERE name = 'notifier'");
}

struct taker {
    struct store *store;
    const char *owner;
    size_t held, failed;
};

static void *taker_run(void *arg)
{
    struct taker *taker = arg;
    for (int i = 0; i < 20; i++) {
        char name[24];
        bool held = false;
        (void)snprintf(name, sizeof name, "lease %d", i);
        taker->failed += store_lease_take(taker->store, name, taker->owner, 3600, &held, NULL) != ERR_OK;
        taker->held += held;
    }
    return NULL;
}

static void of_racing_replicas_one_gets_each_lease(void **state)
{
    struct pg_scene *scene = *state;
    static const char *const owners[] = {"a", "b", "c", "d"};
    struct taker takers[4];
    pthread_t threads[4];
    size_t held = 0;
    for (size_t i = 0; i < ARRAY_LEN(takers); i++) {
        takers[i] = (struct taker){.store = pg_scene_open(scene, NULL), .owner = owners[i]};
        assert_int_equal(pthread_create(&threads[i], NULL, taker_run, &takers[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(takers); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(takers[i].failed, 0);
        held += takers[i].held;
        store_free(takers[i].store);
    }
    assert_int_equal(held, 20);
}

static void *taker_run_once(void *arg)
{
    struct taker *taker = arg;
    bool held = true;
    taker->failed += store_lease_take(taker->store, "notifier", taker->owner, 3600, &held, NULL) != ERR_OK;
    taker->held += held;
    return NULL;
}

/* Neither sees a lease; the second finds the first one's when it writes its own. */
static void a_lease_that_another_takes_meanwhile_is_the_other_s(void **state)
{
    struct pg_scene *scene = *state;
    struct taker taker = {.store = pg_scene_open(scene, "options=-c%20lock_timeout%3D60000"), .owner = "a"};
    PGconn *holder = pg_scene_hold(scene, "INSERT INTO reconcile_leases (name, owner, until)"
                                          " VALUES ('notifier', 'b', now() + interval '1 hour')");
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, taker_run_once, &taker), 0);
    pg_scene_await_waiting(scene, 1);
    PQclear(PQexec(holder, "COMMIT"));
    PQfinish(holder);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(taker.failed, 0);
    assert_int_equal(taker.held, 0);
    assert_true(takes(scene, "b", 3600));
    store_free(taker.store);
}

static void a_lease_runs_out_by_the_database_s_clock(void **state)
{
    struct pg_scene *scene = *state;
    assert_true(takes(scene, "a", 3600));
    assert_false(takes(scene, "b", 3600));
    assert_int_equal(pg_scene_number(scene,
                                     "SELECT count(*) FROM reconcile_leases WHERE owner = 'a' AND until"
                                     " BETWEEN now() + interval '3500 s' AND now() + interval '3600 s'"),
                     1);
    pg_scene_exec(scene, "UPDATE reconcile_leases SET until = now()");
    assert_true(takes(scene, "b", 3600));
    assert_false(takes(scene, "a", 3600));
    ASSERT_OK(store_lease_drop(scene->store, "notifier", "a", &scene->why));
    assert_false(takes(scene, "a", 3600));
    ASSERT_OK(store_lease_drop(scene->store, "notifier", "b", &scene->why));
    assert_true(takes(scene, "a", 3600));
}

static void a_lease_is_renewed_in_its_second_half_and_not_before(void **state)
{
    struct pg_scene *scene = *state;
    assert_true(takes(scene, "a", 3600));
    int64_t version = lease_version(scene);
    assert_true(takes(scene, "a", 3600));
    assert_false(takes(scene, "b", 3600));
    assert_int_equal(lease_version(scene), version);
    pg_scene_exec(scene, "UPDATE reconcile_leases SET until = now() + interval '1000 s'");
    version = lease_version(scene);
    assert_false(takes(scene, "b", 3600));
    assert_int_equal(lease_version(scene), version);
    assert_true(takes(scene, "a", 3600));
    assert_int_equal(
        pg_scene_number(scene,
                        "SELECT count(*) FROM reconcile_leases WHERE until > now() + interval '3500 s'"),
        1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PG_SCENE_TEST(a_trigger_that_swallows_the_message_refuses_its_row_alone),
        PG_SCENE_TEST(a_message_whose_commit_never_arrived_is_written_once),
        PG_SCENE_TEST(a_message_whose_commit_got_no_answer_is_written_once),
        PG_SCENE_TEST(replicas_may_mark_the_same_messages),
        PG_SCENE_TEST(asking_for_messages_reads_the_unsent_ones_alone),
        PG_SCENE_TEST(of_racing_replicas_one_gets_each_lease),
        PG_SCENE_TEST(a_lease_that_another_takes_meanwhile_is_the_other_s),
        PG_SCENE_TEST(a_lease_runs_out_by_the_database_s_clock),
        PG_SCENE_TEST(a_lease_is_renewed_in_its_second_half_and_not_before),
    };
    return cmocka_run_group_tests_name("what replicas share on PostgreSQL", tests, NULL, NULL);
}
