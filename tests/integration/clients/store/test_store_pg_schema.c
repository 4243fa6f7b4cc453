/* Bringing PostgreSQL tables of an earlier version here: whom that concerns besides us. */
#include "tests/support/clients/store/pg_scene.h"
#include "tests/support/clients/store/store_version_1.h"

/* As version 1 writes it. */
static const char version_1_heals[] =
    "INSERT INTO reconcile_ledger (id, at, task_id, pass_id, work_item_id, repo, from_stage, to_stage, side,"
    " outcome, agent, reason, evidence) VALUES (gen_random_uuid(), now(), 1, 'p', 'ORCH-1', 'o/r',"
    " 'development', 'review', 'gate', 'advanced', 'reviewer', 'every check passed', '{}')";

#define THEIRS                                                                                  \
    "SELECT count(*) FROM pg_attribute WHERE attrelid IN ('tasks'::regclass, 'jobs'::regclass)" \
    " AND attnum > 0 AND NOT attisdropped"

static void their_tables_are_left_as_they_are_indexes_included(void **state)
{
    struct pg_scene *scene = *state;
    static const char indexes[] = "SELECT count(*) FROM pg_indexes WHERE tablename IN ('tasks', 'jobs')";
    pg_scene_exec(scene, "%s", store_version_1_postgresql);
    int64_t columns_before = pg_scene_number(scene, THEIRS), indexes_before = pg_scene_number(scene, indexes);
    ASSERT_OK(store_migrate(scene->store, NULL, &scene->why));
    ASSERT_OK(store_ready(scene->store, &scene->why));
    assert_int_equal(pg_scene_number(scene, THEIRS), columns_before);
    assert_int_equal(pg_scene_number(scene, indexes), indexes_before);
}

static void a_replica_of_version_1_goes_on_beside_us(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_exec(scene, "%s", store_version_1_postgresql);
    ASSERT_OK(store_migrate(scene->store, NULL, &scene->why));
    pg_scene_exec(scene, "%s", version_1_heals);
    struct store_ledger_page page;
    ASSERT_OK(store_ledger_list(scene->store, 1, 0, 10, &page, &scene->why));
    assert_int_equal(page.n, 3);
    assert_string_equal(page.rows[0].outcome, "advanced");
    assert_null(page.rows[0].missed_source);
    store_ledger_page_done(&page);
}

/* A long reader of the ledger, for example a backup: it would wait for a change of the table, and all others
 * behind it. */
static void tables_that_are_up_to_date_are_not_locked(void **state)
{
    struct pg_scene *scene = *state;
    PGconn *holder = pg_scene_hold(scene, "SELECT count(*) FROM reconcile_ledger");
    struct store *store = pg_scene_open(scene, "options=-c%20lock_timeout%3D50");
    ASSERT_OK(store_migrate(store, NULL, &scene->why));
    pg_scene_release(holder);
    store_free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PG_SCENE_TEST_EMPTY(their_tables_are_left_as_they_are_indexes_included),
        PG_SCENE_TEST_EMPTY(a_replica_of_version_1_goes_on_beside_us),
        PG_SCENE_TEST(tables_that_are_up_to_date_are_not_locked),
    };
    return cmocka_run_group_tests_name("versions of the tables on PostgreSQL", tests, NULL, NULL);
}
