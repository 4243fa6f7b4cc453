#include "tests/bench/seed.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clients/store/store.h"

void must(enum err err, const struct why *why)
{
    if (err) {
        fprintf(stderr, "bench: %s\n", why->text);
        exit(1);
    }
}

double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

double median(double *values, size_t n)
{
    qsort(values, n, sizeof values[0], compare);
    return values[n / 2];
}

static void migrate(const char *url)
{
    struct store *store;
    struct why why;
    must(store_open(url, NULL, &store, &why), &why);
    must(store_migrate(store, NULL, &why), &why);
    store_free(store);
}

/* The insertion, for `rows`: a set with a column n from 1. `ago` makes a time so many seconds ago. */
static char *insertion(const char *with, const char *rows, bool mostly_done, const char *day_ago,
                       const char *hour_ago, const char *just_now)
{
    return mem_printf(
        "%s INSERT INTO tasks (id, plane_id, work_item_id, title, repo, branch, stage, created_at, "
        "updated_at) SELECT n, 'p' || n, 'ORCH-' || n, 'a task', 'acme/app', 'task-' || n, "
        "CASE WHEN n > 2000 AND n %% 10 <> %s THEN '%s' ELSE 'development' END, %s, "
        "CASE WHEN n <= 2000 THEN %s ELSE %s END FROM %s;"
        "INSERT INTO jobs (task_id, agent, status) "
        "SELECT id, 'developer', 'running' FROM tasks WHERE id > 1000 AND id <= 2000;",
        with, "0", mostly_done ? "done" : "review", day_ago, hour_ago, just_now, rows);
}

static void sqlite_do(const struct seeded *seeded, const char *sql)
{
    sqlite3 *db;
    if (sqlite3_open(seeded->path, &db) != SQLITE_OK ||
        sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fprintf(stderr, "bench: %s\n", sqlite3_errmsg(db));
        exit(1);
    }
    sqlite3_close(db);
}

void seed_sqlite(struct seeded *ret, long tasks, bool mostly_done)
{
    *ret = (struct seeded){.path = "/tmp/bench-reconciled-XXXXXX"};
    int fd = mkstemp(ret->path);
    if (fd < 0)
        exit(1);
    close(fd);
    (void)remove(ret->path);
    ret->url = mem_printf("sqlite:%s", ret->path);
    migrate(ret->url);
    AUTO_FREE char *with =
        mem_printf("WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < %ld)", tasks);
    AUTO_FREE char *sql = insertion(with, "s", mostly_done, "datetime('now', '-1 day')",
                                    "datetime('now', '-1 hour')", "CURRENT_TIMESTAMP");
    sqlite_do(ret, sql);
}

void seed_postgresql(struct seeded *ret, long tasks, bool mostly_done)
{
    *ret = (struct seeded){.on_postgresql = true};
    pg_server_database("bench");
    ret->url = pg_server_url("bench");
    migrate(ret->url);
    AUTO_FREE char *rows = mem_printf("generate_series(1, %ld) AS s(n)", tasks);
    AUTO_FREE char *sql =
        insertion("", rows, mostly_done, "now() - interval '1 day'", "now() - interval '1 hour'", "now()");
    pg_server_exec("bench", sql);
    pg_server_exec("bench", "ANALYZE");
}

void seed_repo(const struct seeded *seeded, const char *repo, long tasks)
{
    AUTO_FREE char *sql = mem_printf(
        "INSERT INTO tasks (id, plane_id, work_item_id, title, repo, branch, stage, created_at, updated_at) "
        "SELECT id + 10000000, 'r' || id, 'REPO-' || id, title, '%s', branch, 'development', "
        "CURRENT_TIMESTAMP, CURRENT_TIMESTAMP FROM tasks WHERE id <= %ld",
        repo, tasks);
    if (seeded->on_postgresql)
        pg_server_exec("bench", sql);
    else
        sqlite_do(seeded, sql);
}

void seeded_done(struct seeded *seeded)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    for (size_t i = 0; !seeded->on_postgresql && i < ARRAY_LEN(ends); i++) {
        AUTO_FREE char *path = mem_printf("%s%s", seeded->path, ends[i]);
        (void)remove(path);
    }
    free(seeded->url);
}
