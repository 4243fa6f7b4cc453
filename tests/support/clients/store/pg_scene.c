#include "tests/support/clients/store/pg_scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int pg_scene_setup_empty(void **state)
{
    struct pg_scene *scene = mem_zero(1, sizeof *scene);
    scene->database = PG_SCENE_DATABASE;
    pg_server_database(scene->database);
    scene->url = pg_server_url(scene->database);
    scene->store = pg_scene_open(scene, NULL);
    *state = scene;
    return 0;
}

int pg_scene_setup(void **state)
{
    (void)pg_scene_setup_empty(state);
    struct pg_scene *scene = *state;
    enum err err = store_migrate(scene->store, NULL, &scene->why);
    if (err)
        print_error("store_migrate: %s\n", scene->why.text);
    return err ? -1 : 0;
}

int pg_scene_teardown(void **state)
{
    struct pg_scene *scene = *state;
    pg_server_up(); /* a test that failed may have left it down */
    store_free(scene->store);
    free(scene->url);
    free(scene);
    return 0;
}

struct store *pg_scene_open(const struct pg_scene *scene, const char *query)
{
    char *url = mem_printf("%s%s%s", scene->url, query ? "?" : "", query ? query : "");
    struct store *store = NULL;
    ASSERT_OK(store_open(url, NULL, &store, NULL));
    free(url);
    return store;
}

/* SQL past the store */

static char *print_sql(const char *fmt, va_list args)
{
    char *sql = NULL;
    assert_true(vasprintf(&sql, fmt, args) >= 0);
    return sql;
}

void pg_scene_exec(const struct pg_scene *scene, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *sql = print_sql(fmt, args);
    va_end(args);
    pg_server_exec(scene->database, sql);
    free(sql);
}

int64_t pg_scene_number(const struct pg_scene *scene, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *sql = print_sql(fmt, args);
    va_end(args);
    char *value = pg_server_value(scene->database, sql);
    int64_t number = -1;
    assert_non_null(value);
    assert_true(parse_i64(value, INT64_MIN, INT64_MAX, &number));
    free(value);
    free(sql);
    return number;
}

void pg_scene_await(const struct pg_scene *scene, const char *sql)
{
    int64_t deadline_ms = clock_mono_ms() + 60000;
    for (bool yes = false; !yes;) {
        char *value = pg_server_value(scene->database, sql);
        yes = value && strcmp(value, "t") == 0;
        free(value);
        if (!yes && clock_mono_ms() > deadline_ms)
            fail_msg("never came true: %s", sql);
    }
}

void pg_scene_await_waiting(const struct pg_scene *scene, int sessions)
{
    char *sql = mem_printf("SELECT count(*) = %d FROM pg_stat_activity WHERE datname = current_database()"
                           " AND wait_event_type = 'Lock'",
                           sessions);
    pg_scene_await(scene, sql);
    free(sql);
}

PGconn *pg_scene_hold(const struct pg_scene *scene, const char *sql)
{
    PGconn *holder = PQconnectdb(scene->url);
    assert_int_equal(PQstatus(holder), CONNECTION_OK);
    PQclear(PQexec(holder, "BEGIN"));
    PGresult *result = PQexec(holder, sql);
    assert_true(PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK);
    PQclear(result);
    return holder;
}

void pg_scene_release(PGconn *holder)
{
    PQclear(PQexec(holder, "ROLLBACK"));
    PQfinish(holder);
}

struct store *pg_scene_through_proxy(const struct pg_scene *scene, const char *query,
                                     struct pg_proxy **ret_proxy)
{
    *ret_proxy = pg_proxy_start(pg_server_port());
    char *url = mem_printf("postgresql://postgres@127.0.0.1:%d/%s%s%s", pg_proxy_port(*ret_proxy),
                           scene->database, query ? "?" : "", query ? query : "");
    struct store *store = NULL;
    ASSERT_OK(store_open(url, NULL, &store, NULL));
    free(url);
    return store;
}

int64_t pg_scene_rows_read(struct pg_scene *scene, const char *table)
{
    store_free(scene->store);
    scene->store = pg_scene_open(scene, NULL);
    /* A session hands in its figures before it is struck off the list. */
    pg_scene_await(scene, "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'reconciled'");
    return pg_scene_number(scene,
                           "SELECT (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = '%s')"
                           " + coalesce((SELECT sum(idx_tup_read) FROM pg_stat_user_indexes"
                           "   WHERE relname = '%s'), 0)::bigint",
                           table, table);
}

/* tasks and moves */

void pg_scene_tasks(const struct pg_scene *scene, int n)
{
    pg_scene_exec(scene,
                  "INSERT INTO tasks (id, plane_id, work_item_id, title, repo, branch, stage, updated_at)"
                  " SELECT i, '00000000-0000-4000-8000-' || lpad(i::text, 12, '0'), 'ORCH-' || i, 'Task ' || "
                  "i, 'o/r', 'feature/ORCH-' || i,"
                  " 'development', now() - interval '2 hours' + i * interval '1 second'"
                  " FROM generate_series(1, %d) i",
                  n);
}

struct store_task_list pg_scene_stuck(struct store *store)
{
    static const struct store_stage_grace stages[] = {{"development", 600}};
    static const char *const known[] = {"development", "review"};
    const struct store_stuck_query query = {.stages = stages,
                                            .n_stages = ARRAY_LEN(stages),
                                            .known = known,
                                            .n_known = ARRAY_LEN(known),
                                            .limit = 1000};
    struct store_task_list stuck = {0};
    struct why why = {""};
    enum err err = store_task_list(store, &query, &stuck, &why);
    if (err)
        fail_msg("store_stuck: %s: %s", err_name(err), why.text);
    return stuck;
}

struct store_transition pg_scene_transition(const struct store_task *task)
{
    return (struct store_transition){.id = uuid_new(),
                                     .task = task,
                                     .to_stage = "review",
                                     .agent = "reviewer",
                                     .side = "gate",
                                     .outcome = "advanced",
                                     .reason = "every check passed",
                                     .evidence = "{}"};
}

enum err pg_scene_move(struct pg_scene *scene, struct store *store, const struct store_transition *batch,
                       size_t n, enum store_moved *ret_moved)
{
    return store_transition(store, 0, 0, PG_SCENE_PASS, batch, n, ret_moved, &scene->why);
}

void pg_scene_assert_written(const struct pg_scene *scene, int64_t n)
{
    assert_int_equal(pg_scene_number(scene, "SELECT count(*) FROM tasks WHERE stage = 'review'"), n);
    assert_int_equal(pg_scene_number(scene, "SELECT count(*) FROM jobs WHERE agent = 'reviewer'"), n);
    assert_int_equal(
        pg_scene_number(scene, "SELECT count(DISTINCT task_id) FROM jobs WHERE agent = 'reviewer'"), n);
    assert_int_equal(pg_scene_number(scene, "SELECT count(*) FROM reconcile_ledger"), n);
}

void pg_scene_assert_why(const struct pg_scene *scene, const char *error)
{
    if (!strstr(scene->why.text, error))
        fail_msg("\"%s\" does not contain \"%s\"", scene->why.text, error);
}
