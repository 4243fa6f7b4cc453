/* Replays on PostgreSQL: other people's types, and a switch that is thrown while one begins. */
#include "tests/support/clients/store/pg_scene.h"

#include <pthread.h>
#include <stdlib.h>

#define PLANE_ID "a0eebc99-9c0b-4ef8-bb6d-000000000001"

static char plane_id[] = PLANE_ID, stage[] = "created";
static const struct store_task to_be = {.plane_id = plane_id, .stage = stage};
static const struct store_transition row = {
    .task = &to_be, .to_stage = "analysis", .side = "plane", .outcome = "started"};

static struct store_replay start_of(const char *name)
{
    return (struct store_replay){.subject = "issue/" PLANE_ID, .delivery = uuid_from_name(name), .row = &row};
}

static void a_start_is_seen_where_plane_ids_are_uuids(void **state)
{
    struct pg_scene *scene = *state;
    const struct store_replay replay = start_of("start");
    struct store_replay_seen seen;
    struct store_replays_moved moved;
    pg_scene_exec(scene, "ALTER TABLE tasks ALTER COLUMN plane_id TYPE uuid USING plane_id::uuid");
    ASSERT_OK(store_replay_begin(scene->store, 0, 0, &replay, 1, &seen, &scene->why));
    assert_int_equal(seen.state, STORE_REPLAY_DUE);
    ASSERT_OK(store_replays_moved(scene->store, 10, &moved, &scene->why));
    assert_int_equal(moved.n, 0);
    store_replays_moved_done(&moved);
    pg_scene_exec(scene, "INSERT INTO tasks (plane_id, stage) VALUES ('%s', 'analysis')", PLANE_ID);
    ASSERT_OK(store_replays_moved(scene->store, 10, &moved, &scene->why));
    assert_int_equal(moved.n, 1);
    assert_string_equal(moved.rows[0].task.plane_id, PLANE_ID);
    assert_string_equal(moved.rows[0].to_stage, "analysis");
    store_replays_moved_done(&moved);
}

struct beginner {
    pthread_t thread;
    struct store *store;
    size_t begun, refused, failed;
};

enum { BEGINNINGS = 40 };

static void *begin_many(void *arg)
{
    struct beginner *beginner = arg;
    for (size_t i = 0; i < BEGINNINGS && !beginner->refused; i++) {
        AUTO_FREE char *name = mem_printf("start %zu", i);
        const struct store_replay replay = start_of(name);
        struct store_replay_seen seen;
        enum err err = store_replay_begin(beginner->store, 0, 0, &replay, 1, &seen, NULL);
        beginner->begun += err == ERR_OK;
        beginner->refused += err == ERR_CONFLICT;
        beginner->failed += err != ERR_OK && err != ERR_CONFLICT;
    }
    return NULL;
}

/* When the write has returned, what began before it is in the table, and nothing begins after it. */
static void none_begins_once_a_switch_was_thrown(void **state)
{
    struct pg_scene *scene = *state;
    struct beginner beginner = {.store = scene->store};
    static const char newest[] = "SELECT coalesce(max(hashtext(delivery::text)), 0) FROM reconcile_replays";
    int64_t revision;
    assert_int_equal(pthread_create(&beginner.thread, NULL, begin_many, &beginner), 0);
    ASSERT_OK(store_settings_write(scene->store, 0, "{\"enabled\":{\"value\":false}}", NULL, 0, &revision,
                                   &scene->why));
    int64_t then = pg_scene_number(scene, "%s", newest);
    (void)pthread_join(beginner.thread, NULL);
    assert_int_equal(pg_scene_number(scene, "%s", newest), then);
    assert_int_equal(beginner.failed, 0);
    assert_true(beginner.refused == 1 || beginner.begun == BEGINNINGS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PG_SCENE_TEST(a_start_is_seen_where_plane_ids_are_uuids),
        PG_SCENE_TEST(none_begins_once_a_switch_was_thrown),
    };
    return cmocka_run_group_tests_name("replays on PostgreSQL", tests, NULL, NULL);
}
