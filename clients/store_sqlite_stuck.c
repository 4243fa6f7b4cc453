/* Which tasks are stuck: the parameters of the one statement, and its rows. */
#include "clients/store_sqlite.h"

#include <jansson.h>
#include <stdlib.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"

/* The columns of SQL_STUCK. */
enum {
    COL_REVISION,
    COL_NOW_US,
    COL_COUNT,
    COL_OLDEST_S,
    COL_UNKNOWN_STAGE,
    COL_ID,
    COL_PLANE_ID,
    COL_WORK_ITEM_ID,
    COL_TITLE,
    COL_REPO,
    COL_BRANCH,
    COL_STAGE,
    COL_VERSION,
    COL_AGE_S
};

static char *line_take(json_t *value)
{
    char *line = json_line(value);
    json_decref(value);
    return line;
}

static char *graces_line(const struct store_stuck_query *query)
{
    json_t *graces = json_array();
    for (size_t i = 0; i < query->n_stages; i++) {
        json_t *pair = json_array();
        json_push(pair, json_text(query->stages[i].stage));
        json_push(pair, json_integer(query->stages[i].grace_s));
        json_push(graces, pair);
    }
    return line_take(graces);
}

static char *known_line(const struct store_stuck_query *query)
{
    json_t *known = json_array();
    for (size_t i = 0; i < query->n_known; i++)
        json_push(known, json_text(query->known[i]));
    return line_take(known);
}

static char *resting_line(const struct store_stuck_query *query)
{
    json_t *resting = json_array();
    for (size_t i = 0; i < query->n_resting; i++)
        json_push(resting, json_integer(query->resting[i]));
    return line_take(resting);
}

static struct store_task task_read(sqlite3_stmt *row)
{
    return (struct store_task){
        .id = sqlite3_column_int64(row, COL_ID),
        .plane_id = sqlite_text(row, COL_PLANE_ID, LIMIT_TASK_TEXT),
        .work_item_id = sqlite_text(row, COL_WORK_ITEM_ID, LIMIT_TASK_TEXT),
        .title = sqlite_text(row, COL_TITLE, LIMIT_TASK_TEXT),
        .repo = sqlite_text(row, COL_REPO, LIMIT_TASK_TEXT),
        .branch = sqlite_text(row, COL_BRANCH, LIMIT_TASK_TEXT),
        .stage = sqlite_text(row, COL_STAGE, LIMIT_TASK_TEXT),
        .version = sqlite_text(row, COL_VERSION, LIMIT_TASK_TEXT),
        .age_s = sqlite3_column_int64(row, COL_AGE_S),
    };
}

static void stuck_add(struct store_stuck *stuck, size_t *room, struct store_task task)
{
    if (stuck->n_tasks == *room) {
        *room = *room ? *room * 2 : 16;
        stuck->tasks = mem_grow(stuck->tasks, *room, sizeof *stuck->tasks);
    }
    stuck->tasks[stuck->n_tasks++] = task;
}

static enum err stuck_read(struct sqlite_conn *conn, sqlite3_stmt *statement, struct store_stuck *stuck,
                           struct why *why)
{
    size_t room = 0;
    bool row;
    enum err err;
    while (!(err = sqlite_step(conn, statement, &row, why)) && row) {
        stuck->settings_revision = sqlite3_column_int64(statement, COL_REVISION);
        stuck->now_us = sqlite3_column_int64(statement, COL_NOW_US);
        stuck->count = (size_t)sqlite3_column_int64(statement, COL_COUNT);
        stuck->oldest_age_s = sqlite3_column_int64(statement, COL_OLDEST_S);
        stuck->unknown_stage = (size_t)sqlite3_column_int64(statement, COL_UNKNOWN_STAGE);
        if (sqlite3_column_type(statement, COL_ID) != SQLITE_NULL)
            stuck_add(stuck, &room, task_read(statement));
    }
    return err;
}

enum err sqlite_stuck(struct store *store, const struct store_stuck_query *query, struct store_stuck *ret,
                      struct why *why)
{
    AUTO_FREE char *graces = graces_line(query);
    AUTO_FREE char *known = known_line(query);
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
    (void)sqlite3_bind_int64(statement, 5, query->limit < INT64_MAX ? (int64_t)query->limit : INT64_MAX);
    struct store_stuck stuck = {0};
    err = stuck_read(conn, statement, &stuck, why);
    if (err)
        store_stuck_done(&stuck);
    else
        *ret = stuck;
    return err;
}
