/* The store on PostgreSQL: what the conformance suite cannot ask of every database. Connections, time limits,
 * schemas, other people's tables and sessions. What is special about transitions is in
 * test_store_pg_transition.c. */
#include "tests/support/clients/store/pg_scene.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"

/* connections that break */

static void assert_settings_readable(struct pg_scene *scene, struct store *store)
{
    struct store_settings settings;
    ASSERT_OK(store_settings_read(store, &settings, &scene->why));
    store_settings_done(&settings);
}

static void a_restarted_server_is_found_again_by_the_next_call(void **state)
{
    struct pg_scene *scene = *state;
    struct store_settings settings;
    assert_settings_readable(scene, scene->store);
    pg_server_down();
    ASSERT_ERR(store_settings_read(scene->store, &settings, &scene->why), ERR_UNAVAILABLE);
    pg_scene_assert_why(scene, "cannot be reached");
    pg_server_up();
    assert_settings_readable(scene, scene->store);
    pg_server_restart();
    assert_settings_readable(scene, scene->store);
}

static void ended_sessions_are_replaced_unnoticed(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_tasks(scene, 1);
    for (int i = 0; i < 3; i++) {
        struct store_task_list stuck = pg_scene_stuck(scene->store);
        assert_int_equal(stuck.n_tasks, 1);
        store_task_list_done(&stuck);
        pg_scene_exec(scene, "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
                             " WHERE application_name = 'reconciled'");
    }
}

struct reader {
    struct store *store;
    enum err err;
};

static void *reader_run(void *arg)
{
    struct reader *reader = arg;
    struct store_settings settings = {0};
    reader->err = store_settings_read(reader->store, &settings, NULL);
    store_settings_done(&settings);
    return NULL;
}

static void a_session_that_is_ended_in_the_middle_of_a_call_is_replaced(void **state)
{
    struct pg_scene *scene = *state;
    struct reader reader = {.store = pg_scene_open(scene, "options=-c%20lock_timeout%3D60000")};
    PGconn *holder = pg_scene_hold(scene, "LOCK TABLE reconcile_settings");
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, reader_run, &reader), 0);
    pg_scene_await_waiting(scene, 1);
    pg_scene_exec(scene, "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
                         " WHERE application_name = 'reconciled' AND wait_event_type = 'Lock'");
    pg_scene_release(holder);
    assert_int_equal(pthread_join(thread, NULL), 0);
    ASSERT_OK(reader.err);
    store_free(reader.store);
}

static void a_stop_ends_a_call_that_waits_for_a_lock(void **state)
{
    struct pg_scene *scene = *state;
    struct reader reader = {.store = pg_scene_open(scene, "options=-c%20lock_timeout%3D600000")};
    PGconn *holder = pg_scene_hold(scene, "LOCK TABLE reconcile_settings");
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, reader_run, &reader), 0);
    pg_scene_await_waiting(scene, 1);
    store_interrupt(reader.store);
    assert_int_equal(pthread_join(thread, NULL), 0);
    ASSERT_ERR(reader.err, ERR_TIMEOUT);
    pg_scene_release(holder);
    store_free(reader.store);
}

static void the_first_of_two_hosts_may_be_dead(void **state)
{
    struct pg_scene *scene = *state;
    char *url = mem_printf("postgresql://postgres@127.0.0.1:1,127.0.0.1:%d/" PG_SCENE_DATABASE
                           "?target_session_attrs=read-write",
                           pg_server_port());
    struct store *store;
    ASSERT_OK(store_open(url, NULL, &store, &scene->why));
    char *described = mem_printf("postgresql 127.0.0.1:1,127.0.0.1:%d/" PG_SCENE_DATABASE, pg_server_port());
    assert_string_equal(store_describe(store), described);
    assert_settings_readable(scene, store);
    store_free(store);
    free(described);
    free(url);
}

static void a_socket_in_a_folder_is_a_host_too(void **state)
{
    struct pg_scene *scene = *state;
    char *url = mem_printf("postgresql:///" PG_SCENE_DATABASE "?host=%s&port=%d&user=postgres",
                           pg_server_folder(), pg_server_port());
    struct store *store;
    ASSERT_OK(store_open(url, NULL, &store, &scene->why));
    assert_settings_readable(scene, store);
    store_free(store);
    free(url);
}

enum { READERS = 12, READS = 20 };

static void *reader_run_often(void *arg)
{
    struct reader *reader = arg;
    for (int i = 0; i < READS && !reader->err; i++)
        (void)reader_run(reader);
    return NULL;
}

static void more_threads_than_connections_take_turns(void **state)
{
    struct pg_scene *scene = *state;
    struct reader readers[READERS];
    pthread_t threads[READERS];
    for (size_t i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.store = scene->store};
        assert_int_equal(pthread_create(&threads[i], NULL, reader_run_often, &readers[i]), 0);
    }
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        ASSERT_OK(readers[i].err);
    }
    assert_in_range(
        pg_scene_number(scene, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'reconciled'"),
        1, LIMIT_DB_CONNECTIONS);
}

/* time limits */

/* A view shows the limits of the session that asks it: the statement's ms * 1,000,000 + the lock's. */
static void our_sessions_have_time_limits(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_exec(scene, "DROP TABLE reconcile_settings");
    pg_scene_exec(scene,
                  "CREATE VIEW reconcile_settings AS SELECT 1 AS id, '{}'::text AS overrides,"
                  " (SELECT sum(setting::bigint * CASE name WHEN 'lock_timeout' THEN 1 ELSE 1000000 END)"
                  "  FROM pg_settings WHERE name IN ('statement_timeout', 'lock_timeout')) AS revision");
    struct store_settings settings;
    ASSERT_OK(store_settings_read(scene->store, &settings, &scene->why));
    assert_int_equal(settings.revision, INT64_C(1000000) * LIMIT_STATEMENT_MS + LIMIT_STATEMENT_MS / 2);
    store_settings_done(&settings);
}

static void a_statement_that_takes_too_long_is_a_time_out_and_the_next_one_works(void **state)
{
    struct pg_scene *scene = *state;
    struct store *store = pg_scene_open(scene, "options=-c%20statement_timeout%3D50");
    pg_scene_exec(scene, "ALTER TABLE reconcile_settings RENAME TO kept");
    pg_scene_exec(scene, "CREATE VIEW reconcile_settings AS SELECT id, revision, overrides FROM kept"
                         " WHERE pg_sleep(600) IS NOT NULL");
    struct store_settings settings;
    ASSERT_ERR(store_settings_read(store, &settings, &scene->why), ERR_TIMEOUT);
    pg_scene_assert_why(scene, "too long");
    pg_scene_exec(scene, "DROP VIEW reconcile_settings; ALTER TABLE kept RENAME TO reconcile_settings");
    assert_settings_readable(scene, store);
    store_free(store);
}

static void a_table_locked_by_somebody_else_is_a_time_out(void **state)
{
    struct pg_scene *scene = *state;
    struct store *store = pg_scene_open(scene, "options=-c%20lock_timeout%3D50");
    PGconn *holder = pg_scene_hold(scene, "LOCK TABLE reconcile_settings");
    struct store_settings settings;
    ASSERT_ERR(store_settings_read(store, &settings, &scene->why), ERR_TIMEOUT);
    pg_scene_assert_why(scene, "lock");
    pg_scene_release(holder);
    assert_settings_readable(scene, store);
    store_free(store);
}

/* schemas and other people's tables */

static void the_schema_may_have_any_name_and_is_made_when_missing(void **state)
{
    struct pg_scene *scene = *state;
    struct store *store;
    static const char schema[] = "Orch's \"own\"; schema\\";
    ASSERT_OK(store_open(scene->url, schema, &store, &scene->why));
    ASSERT_ERR(store_ready(store, &scene->why), ERR_UNAVAILABLE);
    size_t created = 0;
    ASSERT_OK(store_migrate(store, &created, &scene->why));
    assert_int_equal(created, 13);
    ASSERT_OK(store_ready(store, &scene->why));
    assert_int_equal(pg_scene_number(scene, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), 0);
    assert_int_equal(pg_scene_number(scene, "SELECT count(*) FROM pg_tables"
                                            " WHERE schemaname = 'Orch''s \"own\"; schema\\'"),
                     13);
    pg_scene_exec(scene, "INSERT INTO \"Orch's \"\"own\"\"; schema\\\".tasks (stage, updated_at)"
                         " VALUES ('development', now() - interval '1 day')");
    struct store_task_list stuck = pg_scene_stuck(store);
    assert_int_equal(stuck.n_tasks, 1);
    struct store_transition transition = pg_scene_transition(&stuck.tasks[0]);
    enum store_moved moved;
    ASSERT_OK(pg_scene_move(scene, store, &transition, 1, &moved));
    assert_int_equal(moved, STORE_MOVED);
    store_task_list_done(&stuck);
    store_free(store);
}

struct migrator {
    const char *url;
    size_t created;
    enum err err;
};

static void *migrator_run(void *arg)
{
    struct migrator *migrator = arg;
    struct store *store;
    migrator->err = store_open(migrator->url, "fresh", &store, NULL);
    if (!migrator->err) {
        migrator->err = store_migrate(store, &migrator->created, NULL);
        store_free(store);
    }
    return NULL;
}

static void of_racing_migrations_one_creates_each_table(void **state)
{
    struct pg_scene *scene = *state;
    enum { MIGRATORS = 4 };
    struct migrator migrators[MIGRATORS];
    pthread_t threads[MIGRATORS];
    size_t created = 0;
    for (size_t i = 0; i < MIGRATORS; i++) {
        migrators[i] = (struct migrator){.url = scene->url};
        assert_int_equal(pthread_create(&threads[i], NULL, migrator_run, &migrators[i]), 0);
    }
    for (size_t i = 0; i < MIGRATORS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        ASSERT_OK(migrators[i].err);
        created += migrators[i].created;
    }
    assert_int_equal(created, 13);
    assert_int_equal(pg_scene_number(scene, "SELECT count(*) FROM fresh.reconcile_settings"), 1);
}

/* Theirs have other names, integer ids, instants without a zone, and columns that we know nothing of. */
static void updatable_views_stand_in_for_tables_of_other_names(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_exec(scene, "ALTER DATABASE " PG_SCENE_DATABASE " SET TimeZone = 'Asia/Kathmandu'");
    pg_scene_exec(
        scene, "CREATE TABLE work (no serial PRIMARY KEY, issue uuid UNIQUE, key varchar(20), subject text,"
               " repository varchar(100), branch_name text, phase varchar(20), made timestamp DEFAULT now(),"
               " touched timestamp, mood text NOT NULL DEFAULT 'calm');"
               "CREATE TABLE runs (no serial PRIMARY KEY, work_no int REFERENCES work, who varchar(20),"
               " state varchar(10), made timestamp, touched timestamp, host text DEFAULT 'h');"
               "CREATE VIEW tasks AS SELECT no AS id, issue AS plane_id, key AS work_item_id,"
               " subject AS title, repository AS repo, branch_name AS branch, phase AS stage,"
               " made AS created_at, touched AS updated_at FROM work;"
               "CREATE VIEW jobs AS SELECT no AS id, work_no AS task_id, who AS agent, state AS status,"
               " made AS created_at, touched AS updated_at FROM runs;"
               "INSERT INTO work (issue, key, repository, phase, touched) SELECT gen_random_uuid(),"
               " 'K-' || i, 'o/r', 'development', timezone('UTC', now()) - interval '1 hour'"
               " FROM generate_series(1, 3) i;"
               "INSERT INTO runs (work_no, state) VALUES (2, 'running')");
    size_t created = 0;
    ASSERT_OK(store_migrate(scene->store, &created, &scene->why));
    assert_int_equal(created, 11);
    ASSERT_OK(store_ready(scene->store, &scene->why));
    struct store_task_list stuck = pg_scene_stuck(scene->store);
    assert_int_equal(stuck.n_tasks, 2);
    assert_in_range(stuck.tasks[0].age_s, 3600, 3700);
    struct store_transition batch[] = {pg_scene_transition(&stuck.tasks[0]),
                                       pg_scene_transition(&stuck.tasks[1])};
    enum store_moved moved[2];
    ASSERT_OK(pg_scene_move(scene, scene->store, batch, 2, moved));
    assert_int_equal(moved[0], STORE_MOVED);
    assert_int_equal(moved[1], STORE_MOVED);
    pg_scene_assert_written(scene, 2);
    assert_int_equal(pg_scene_number(scene,
                                     "SELECT count(*) FROM work WHERE phase = 'review' AND mood = 'calm'"
                                     " AND touched > timezone('UTC', now()) - interval '1 minute'"),
                     2);
    store_task_list_done(&stuck);
}

static void a_column_that_changes_its_type_is_no_lasting_trouble(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_tasks(scene, 1);
    struct store_task_list stuck = pg_scene_stuck(scene->store);
    store_task_list_done(&stuck);
    pg_scene_exec(scene, "ALTER TABLE tasks ALTER COLUMN title TYPE varchar(200)");
    stuck = pg_scene_stuck(scene->store);
    assert_int_equal(stuck.n_tasks, 1);
    store_task_list_done(&stuck);
}

static void what_is_no_point_in_time_is_not_stuck(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_tasks(scene, 3);
    pg_scene_exec(scene, "UPDATE tasks SET updated_at = '-infinity' WHERE id = 1");
    pg_scene_exec(scene, "UPDATE tasks SET updated_at = 'infinity' WHERE id = 2");
    struct store_task_list stuck = pg_scene_stuck(scene->store);
    assert_int_equal(stuck.n_tasks, 1);
    assert_int_equal(stuck.count, 1);
    assert_int_equal(stuck.tasks[0].id, 3);
    store_task_list_done(&stuck);
}

/* sessions set up by others */

static void the_database_s_own_session_settings_do_not_matter(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_tasks(scene, 2);
    pg_scene_exec(scene, "ALTER DATABASE " PG_SCENE_DATABASE " SET TimeZone = 'Asia/Kathmandu'");
    pg_scene_exec(scene, "ALTER DATABASE " PG_SCENE_DATABASE " SET DateStyle = 'SQL, DMY'");
    pg_scene_exec(scene, "ALTER DATABASE " PG_SCENE_DATABASE " SET client_encoding = 'LATIN1'");
    pg_scene_exec(scene,
                  "ALTER DATABASE " PG_SCENE_DATABASE " SET default_transaction_isolation = 'serializable'");
    struct store *store = pg_scene_open(scene, NULL);
    pg_scene_exec(scene, "UPDATE tasks SET title = U&'\\2602' WHERE id = 1");
    struct store_task_list stuck = pg_scene_stuck(store);
    assert_int_equal(stuck.n_tasks, 2);
    assert_in_range(stuck.tasks[0].age_s, 7000, 7300);
    assert_string_equal(stuck.tasks[0].title, "☂");
    struct store_transition transition = pg_scene_transition(&stuck.tasks[0]);
    enum store_moved moved;
    ASSERT_OK(pg_scene_move(scene, store, &transition, 1, &moved));
    assert_int_equal(moved, STORE_MOVED);
    store_task_list_done(&stuck);
    store_free(store);
}

static void a_database_that_may_only_be_read_says_so(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_exec(scene, "ALTER DATABASE " PG_SCENE_DATABASE " SET default_transaction_read_only = on");
    struct store *store = pg_scene_open(scene, NULL);
    int64_t revision;
    ASSERT_ERR(store_settings_write(store, 0, "{}", NULL, 0, &revision, &scene->why), ERR_UNAVAILABLE);
    pg_scene_assert_why(scene, "only be read");
    ASSERT_ERR(store_ready(store, &scene->why), ERR_UNAVAILABLE);
    pg_scene_assert_why(scene, "cannot be written: it is read-only");
    store_free(store);
}

/* All rights that README lists; then without one after the other. */
static void a_right_that_a_transition_needs_is_missed_by_name(void **state)
{
    struct pg_scene *scene = *state;
    static const struct {
        const char *revoke, *grant, *words;
    } cases[] = {
        {"REVOKE UPDATE (stage) ON tasks FROM limited", "GRANT UPDATE (stage) ON tasks TO limited",
         "lacks UPDATE on tasks.stage"},
        {"REVOKE INSERT ON jobs FROM limited", "GRANT INSERT ON jobs TO limited",
         "lacks INSERT on jobs.task_id"},
        {"REVOKE INSERT ON reconcile_ledger FROM limited", "GRANT INSERT ON reconcile_ledger TO limited",
         "lacks INSERT on reconcile_ledger.task_id"},
        {"REVOKE UPDATE ON reconcile_settings FROM limited", "GRANT UPDATE ON reconcile_settings TO limited",
         "lacks UPDATE on reconcile_settings.revision"},
    };
    pg_scene_exec(scene, "DO $$ BEGIN CREATE ROLE limited LOGIN;"
                         " EXCEPTION WHEN duplicate_object THEN NULL; END $$");
    pg_scene_exec(scene, "GRANT SELECT, INSERT, UPDATE (stage, updated_at) ON tasks TO limited");
    pg_scene_exec(scene, "GRANT SELECT, INSERT ON jobs TO limited");
    pg_scene_exec(scene, "DO $$ DECLARE t text; BEGIN FOR t IN SELECT tablename FROM pg_tables WHERE"
                         " tablename ^@ 'reconcile_' LOOP EXECUTE format('GRANT ALL ON %%I TO limited', t);"
                         " END LOOP; END $$");
    struct store *store = pg_scene_open(scene, "user=limited");
    ASSERT_OK(store_ready(store, &scene->why));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        pg_scene_exec(scene, "%s", cases[i].revoke);
        ASSERT_ERR(store_ready(store, &scene->why), ERR_UNAVAILABLE);
        pg_scene_assert_why(scene, cases[i].words);
        pg_scene_exec(scene, "%s", cases[i].grant);
        ASSERT_OK(store_ready(store, &scene->why));
    }
    store_free(store);
    pg_scene_exec(scene, "REVOKE INSERT ON jobs FROM limited; REVOKE UPDATE (stage) ON tasks FROM limited");
    store = pg_scene_open(scene, "user=limited");
    ASSERT_ERR(store_ready(store, &scene->why), ERR_UNAVAILABLE);
    store_write_only_ours(store);
    ASSERT_OK(store_ready(store, &scene->why));
    store_free(store);
}

static void a_role_without_rights_is_told_what_it_lacks(void **state)
{
    struct pg_scene *scene = *state;
    pg_scene_exec(scene, "DO $$ BEGIN CREATE ROLE nobody_special LOGIN;"
                         " EXCEPTION WHEN duplicate_object THEN NULL; END $$");
    struct store *store = pg_scene_open(scene, "user=nobody_special");
    struct store_settings settings;
    ASSERT_ERR(store_settings_read(store, &settings, &scene->why), ERR_UNAVAILABLE);
    pg_scene_assert_why(scene, "permission denied for table reconcile_settings");
    store_free(store);
}

/* secrets */

static void assert_no_secret(const char *text)
{
    if (strstr(text, "geheim"))
        fail_msg("the password shows in \"%s\"", text);
}

static void a_parameter_of_another_program_is_named(void **state)
{
    (void)state;
#define UNKNOWN "the database URL has a parameter that libpq does not know: "
#define UNREAD "the database URL cannot be read (is the password percent-encoded?)"
    static const struct {
        const char *url, *error;
    } cases[] = {
        {"postgresql://ann:geheim@h/orch?schema=geheim",
         UNKNOWN "schema; leave it out (the schema has a setting of its own)"},
        {"postgresql://ann:geheim@h/orch?sslmode=require&pool_size=5", UNKNOWN "pool_size; leave it out"},
        {"postgres://h/orch?pgbouncer=true&connection_limit=1", UNKNOWN "pgbouncer; leave it out"},
        {"postgresql://h/orch?options=-csearch_path=geheim",
         "the database URL's parameter options cannot be read: write options=VALUE, with VALUE "
         "percent-encoded (= "
         "is %3D)"},
        {"postgresql://h/orch?sslmode",
         "the database URL's parameter sslmode cannot be read: write sslmode=VALUE, "
         "with VALUE percent-encoded (= is %3D)"},
        /* Passwords with a question mark or a percent sign. */
        {"postgresql://ann:ge?heim%=x@h/orch", UNREAD},
        {"postgresql://ann:ge?heim=x@h/orch?pool_size=5&sslrootcert=/geheim",
         UNKNOWN "pool_size; leave it out"},
        {"postgresql://ann:ge%heim@h/orch", UNREAD},
        {"postgresql://h/orch?ge heim=x", UNREAD},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct store *store;
        struct why why = {.text = ""};
        assert_int_equal(store_open(cases[i].url, NULL, &store, &why), ERR_INVALID);
        assert_string_equal(why.text, cases[i].error);
    }
}

static void a_password_shows_nowhere(void **state)
{
    struct pg_scene *scene = *state;
    static const char *const bad[] = {
        "postgresql://ann:geheim@host@db/orch", "postgresql://ann:geheim%zz@db/orch",
        "postgresql://ann:geheim@[db/orch",     "postgresql://ann:geheim@db:port/orch",
        "postgresql://ann:geheim@db/orch?x=1",  "postgresql://ann:x@geheim@db/orch",
    };
    struct store *store = NULL;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        ASSERT_ERR(store_open(bad[i], NULL, &store, &scene->why), ERR_INVALID);
        assert_no_secret(scene->why.text);
        assert_null(store);
    }
    ASSERT_OK(store_open("postgresql://geheimnis:geheim@127.0.0.1:1,db2/orch?password=geheim", NULL, &store,
                         &scene->why));
    assert_string_equal(store_describe(store), "postgresql 127.0.0.1:1,db2:5432/orch");
    store_free(store);
    ASSERT_OK(store_open("postgresql://ann:geheim@127.0.0.1:1/orch", NULL, &store, &scene->why));
    ASSERT_ERR(store_ready(store, &scene->why), ERR_UNAVAILABLE);
    assert_no_secret(scene->why.text);
    pg_scene_assert_why(scene, "refused");
    store_free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PG_SCENE_TEST(a_restarted_server_is_found_again_by_the_next_call),
        PG_SCENE_TEST(ended_sessions_are_replaced_unnoticed),
        PG_SCENE_TEST(a_session_that_is_ended_in_the_middle_of_a_call_is_replaced),
        PG_SCENE_TEST(a_stop_ends_a_call_that_waits_for_a_lock),
        PG_SCENE_TEST(the_first_of_two_hosts_may_be_dead),
        PG_SCENE_TEST(a_socket_in_a_folder_is_a_host_too),
        PG_SCENE_TEST(more_threads_than_connections_take_turns),
        PG_SCENE_TEST(our_sessions_have_time_limits),
        PG_SCENE_TEST(a_statement_that_takes_too_long_is_a_time_out_and_the_next_one_works),
        PG_SCENE_TEST(a_table_locked_by_somebody_else_is_a_time_out),
        PG_SCENE_TEST_EMPTY(the_schema_may_have_any_name_and_is_made_when_missing),
        PG_SCENE_TEST_EMPTY(of_racing_migrations_one_creates_each_table),
        PG_SCENE_TEST_EMPTY(updatable_views_stand_in_for_tables_of_other_names),
        PG_SCENE_TEST(a_column_that_changes_its_type_is_no_lasting_trouble),
        PG_SCENE_TEST(what_is_no_point_in_time_is_not_stuck),
        PG_SCENE_TEST(the_database_s_own_session_settings_do_not_matter),
        PG_SCENE_TEST(a_database_that_may_only_be_read_says_so),
        PG_SCENE_TEST(a_right_that_a_transition_needs_is_missed_by_name),
        PG_SCENE_TEST(a_role_without_rights_is_told_what_it_lacks),
        PG_SCENE_TEST(a_parameter_of_another_program_is_named),
        PG_SCENE_TEST(a_password_shows_nowhere),
    };
    return cmocka_run_group_tests_name("the store on PostgreSQL", tests, NULL, NULL);
}
