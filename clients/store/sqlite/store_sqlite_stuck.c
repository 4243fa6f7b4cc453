/* Which tasks are stuck, and which were never started: the parameters of a statement each, and its rows. */
#include "clients/store/sqlite/store_sqlite.h"

#include <jansson.h>
#include <stdlib.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"

/* The columns of SQL_STUCK and SQL_UNSTARTED. */
enum { COL_REVISION, COL_NOW_US, COL_COUNT, COL_OLDEST_S, COL_UNKNOWN_STAGE, COL_TASK };

static char *resting_line(const struct store_stuck_query *query)
{
    json_t *resting = json_array();
    for (size_t i = 0; i < query->n_resting; i++)
        json_push(resting, json_integer(query->resting[i]));
    return sqlite_line_take(resting);
}

static void stuck_add(struct store_task_list *stuck, size_t *room, struct store_task task)
{
    if (stuck->n_tasks == *room) {
        *room = *room ? *room * 2 : 16;
        stuck->tasks = mem_grow(stuck->tasks, *room, sizeof *stuck->tasks);
    }
    stuck->tasks[stuck->n_tasks++] = task;
}

static enum err stuck_read(struct sqlite_conn *conn, sqlite3_stmt *statement, struct store_task_list *ret,
                           struct why *why)
{
    struct store_task_list stuck = {0};
    size_t room = 0;
    bool row;
    enum err err;
    while (!(err = sqlite_step(conn, statement, &row, why)) && row) {
        stuck.settings_revision = sqlite3_column_int64(statement, COL_REVISION);
        stuck.now_us = sqlite3_column_int64(statement, COL_NOW_US);
        stuck.count = (size_t)sqlite3_column_int64(statement, COL_COUNT);
        stuck.oldest_age_s = sqlite3_column_int64(statement, COL_OLDEST_S);
        stuck.unknown_stage = (size_t)sqlite3_column_int64(statement, COL_UNKNOWN_STAGE);
        if (sqlite3_column_type(statement, COL_TASK) != SQLITE_NULL)
            stuck_add(&stuck, &room, sqlite_task(statement, COL_TASK));
    }
    if (err)
        store_task_list_done(&stuck);
    else
        *ret = stuck;
    return err;
}

enum err sqlite_stuck(struct store *store, const struct store_stuck_query *query, struct store_task_list *ret,
                      struct why *why)
{
    AUTO_FREE char *graces = sqlite_graces_line(query->stages, query->n_stages);
    AUTO_FREE char *known = sqlite_texts_line(query->known, query->n_known);
    AUTO_FREE char *resting = resting_line(query);
    /* After the texts, so that the connection lets go of them first. */
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    sqlite3_stmt *statement;
    enum err err = sqlite_take(store, SQLITE_USE_READ, &conn, why);
    if (err || (err = sqlite_statement(conn, SQL_STUCK, &statement, why)))
        return err;
    sqlite_put(statement, 1, graces);
    sqlite_put(statement, 2, known);
    sqlite_put(statement, 3, resting);
    (void)sqlite3_bind_int64(statement, 4, query->only_task);
    sqlite_put_limit(statement, 5, query->limit);
    return stuck_read(conn, statement, ret, why);
}

enum err sqlite_unstarted(struct store *store, const char *stage, int64_t grace_s, const char *const *fresh,
                          size_t n_fresh, size_t limit, struct store_task_list *ret, struct why *why)
{
    AUTO_FREE char *ids = sqlite_texts_line(fresh, n_fresh);
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    sqlite3_stmt *statement;
    enum err err = sqlite_take(store, SQLITE_USE_READ, &conn, why);
    if (err || (err = sqlite_statement(conn, SQL_UNSTARTED, &statement, why)))
        return err;
    sqlite_put(statement, 1, stage);
    (void)sqlite3_bind_int64(statement, 2, grace_s);
    sqlite_put(statement, 3, ids);
    sqlite_put_limit(statement, 4, limit);
    return stuck_read(conn, statement, ret, why);
}
