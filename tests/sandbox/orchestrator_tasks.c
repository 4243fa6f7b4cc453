#include "tests/sandbox/orchestrator_tasks.h"

#include <libpq-fe.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"

#define BUSY_MS 5000

/* one statement: its rows as arrays of texts */

static enum err sqlite_ask(const char *path, const char *sql, const char *const *params, int n, json_t *rows,
                           struct why *why)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_busy_timeout(db, BUSY_MS);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    for (int i = 0; code == SQLITE_OK && i < n; i++)
        code = sqlite3_bind_text(statement, i + 1, params[i], -1, SQLITE_STATIC);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code != SQLITE_ROW)
            break;
        json_t *row = json_array();
        for (int column = 0; column < sqlite3_column_count(statement); column++)
            json_push(row, json_text((const char *)sqlite3_column_text(statement, column)));
        json_push(rows, row);
    }
    enum err err = code == SQLITE_DONE ? ERR_OK : why_set(why, ERR_INTERNAL, "%s", sqlite3_errmsg(db));
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(db);
    return err;
}

static enum err pg_ask(const char *url, const char *sql, const char *const *params, int n, json_t *rows,
                       struct why *why)
{
    PGconn *conn = PQconnectdb(url);
    PGresult *result = PQexecParams(conn, sql, n, NULL, params, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(result);
    enum err err = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK
                       ? ERR_OK
                       : why_set(why, ERR_INTERNAL, "%s", PQerrorMessage(conn));
    for (int i = 0; !err && i < PQntuples(result); i++) {
        json_t *row = json_array();
        for (int column = 0; column < PQnfields(result); column++)
            json_push(row, PQgetisnull(result, i, column) ? json_null()
                                                          : json_text(PQgetvalue(result, i, column)));
        json_push(rows, row);
    }
    PQclear(result);
    PQfinish(conn);
    return err;
}

/* Parameters are $1, $2 … in the order in which they come first, which both databases number alike. */
static enum err ask(const char *database, const char *sql, const char *const *params, int n, json_t **ret,
                    struct why *why)
{
    static const char sqlite[] = "sqlite:";
    json_t *rows = json_array();
    enum err err = strncmp(database, sqlite, strlen(sqlite)) == 0
                       ? sqlite_ask(database + strlen(sqlite), sql, params, n, rows, why)
                       : pg_ask(database, sql, params, n, rows, why);
    if (err)
        json_decref(rows);
    else
        *ret = rows;
    return err;
}

/* what it asks and does */

enum err tasks_of(const char *database, const char *repo, const char *plane_id, json_t **ret, struct why *why)
{
    const char *const params[] = {plane_id ? plane_id : repo};
    return ask(database,
               plane_id ? "SELECT id, branch, stage, plane_id FROM tasks WHERE plane_id = $1"
                        : "SELECT id, branch, stage, plane_id FROM tasks WHERE repo = $1 ORDER BY id",
               params, 1, ret, why);
}

static const char *agent_of(const char *stage)
{
    static const char *const agents[][2] = {{"analysis", "analyst"},      {"architecture", "architect"},
                                            {"development", "developer"}, {"review", "reviewer"},
                                            {"testing", "tester"},        {"deploy", "deployer"}};
    for (size_t i = 0; i < ARRAY_LEN(agents); i++)
        if (strcmp(agents[i][0], stage) == 0)
            return agents[i][1];
    return NULL;
}

enum err tasks_order(const char *database, const struct order *order, bool *ret_moved, struct why *why)
{
    char id[24];
    json_auto_t *rows = NULL;
    json_auto_t *jobs = NULL;
    snprintf(id, sizeof id, "%lld", (long long)order->task_id);
    const char *const move[] = {order->to, id, order->from};
    const char *const make[] = {order->plane_id, order->work_item_id, order->title,
                                order->repo,     order->branch,       order->to};
    enum err err =
        order->task_id
            ? ask(database,
                  "UPDATE tasks SET stage = $1, updated_at = CURRENT_TIMESTAMP WHERE id = $2 AND stage = $3"
                  " RETURNING id",
                  move, ARRAY_LEN(move), &rows, why)
            : ask(database,
                  "INSERT INTO tasks (plane_id, work_item_id, title, repo, branch, stage)"
                  " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING id",
                  make, ARRAY_LEN(make), &rows, why);
    *ret_moved = !err && json_array_size(rows) == 1;
    const char *agent = agent_of(order->to);
    if (!*ret_moved || !agent)
        return err;
    const char *const job[] = {json_string_value(json_array_get(json_array_get(rows, 0), 0)), agent};
    return ask(database, "INSERT INTO jobs (task_id, agent, status) VALUES ($1, $2, 'queued')", job,
               ARRAY_LEN(job), &jobs, why);
}
