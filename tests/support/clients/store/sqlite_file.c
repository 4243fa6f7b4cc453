#include "tests/support/clients/store/sqlite_file.h"

#include <dirent.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "clients/base/err.h"
#include "clients/store/sqlite/store_sqlite.h"
#include "tests/support/clients/store/store_suite.h"

static char folder[64], path[96], url[112];

const char sqlite_file_dump[] =
    "SELECT coalesce(group_concat(line, char(10)), '') FROM ("
    " SELECT 'task ' || id || ' ' || quote(plane_id) || quote(work_item_id) || quote(title) || quote(repo)"
    "  || quote(branch) || quote(stage) || quote(created_at) || quote(updated_at) AS line FROM tasks"
    " UNION ALL SELECT 'job ' || id || ' ' || quote(task_id) || quote(agent) || quote(status) || "
    "quote(created_at)"
    "  || quote(updated_at) FROM jobs ORDER BY 1)";

void sqlite_file_make(void)
{
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(folder, sizeof folder, "%.32s/reconciled-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/orch.db", folder);
    (void)snprintf(url, sizeof url, "sqlite:%s", path);
}

void sqlite_file_remove(void)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    const struct dirent *entry;
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            assert_int_equal(unlinkat(dirfd(dir), entry->d_name, 0), 0);
    closedir(dir);
    assert_int_equal(rmdir(folder), 0);
}

const char *sqlite_file_folder(void)
{
    return folder;
}

const char *sqlite_file_path(void)
{
    return path;
}

const char *sqlite_file_url(void)
{
    return url;
}

static sqlite3 *file_open(void)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    (void)sqlite3_busy_timeout(db, 20000);
    sqlite_functions(db);
    return db;
}

void sqlite_file_exec(const char *sql)
{
    sqlite3 *db = file_open();
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sqlite3_errmsg(db), sql);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

char *sqlite_file_value(const char *sql)
{
    sqlite3 *db = file_open();
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sqlite3_errmsg(db), sql);
    int rc = sqlite3_step(statement);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        fail_msg("%s: %s", sqlite3_errmsg(db), sql);
    char *value = rc == SQLITE_ROW ? mem_dup((const char *)sqlite3_column_text(statement, 0)) : NULL;
    (void)sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return value;
}

char *sqlite_file_plan(const char *sql)
{
    sqlite3 *db = file_open();
    sqlite3_stmt *statement = NULL;
    char *explain = mem_printf("EXPLAIN QUERY PLAN %s", sql), *plan = mem_dup("");
    assert_int_equal(sqlite3_prepare_v2(db, explain, -1, &statement, NULL), SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        char *longer = mem_printf("%s%s\n", plan, (const char *)sqlite3_column_text(statement, 3));
        free(plan);
        plan = longer;
    }
    (void)sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    free(explain);
    return plan;
}

sqlite3 *sqlite_file_lock(const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(sqlite_file_path(), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite_functions(db);
    return db;
}

/* a store on the file */

int sqlite_file_setup(void **state)
{
    sqlite_file_make();
    *state = NULL;
    return 0;
}

int sqlite_file_teardown(void **state)
{
    (void)state;
    sqlite_file_remove();
    return 0;
}

struct store *sqlite_file_open(void)
{
    struct store *store = NULL;
    ASSERT_OK(store_open(sqlite_file_url(), NULL, &store, NULL));
    return store;
}

struct store *sqlite_file_open_migrated(void)
{
    struct store *store = sqlite_file_open();
    ASSERT_OK(store_migrate(store, NULL, NULL));
    return store;
}

void sqlite_file_assert(const char *sql, const char *expected)
{
    char *value = sqlite_file_value(sql);
    assert_string_equal(value, expected);
    free(value);
}

void sqlite_file_seed(int64_t n)
{
    char *sql =
        mem_printf("WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < %lld)"
                   " INSERT INTO tasks (id, work_item_id, repo, branch, stage, updated_at)"
                   " SELECT i, 'ORCH-' || i, 'o/r', 'b', 'development', datetime('now', '-1 hour') FROM c",
                   (long long)n);
    sqlite_file_exec(sql);
    free(sql);
}

struct store_task_list sqlite_file_stuck(struct store *store)
{
    struct store_stuck_query query = suite_query();
    struct store_task_list stuck = {0};
    ASSERT_OK(store_task_list(store, &query, &stuck, NULL));
    return stuck;
}
