/* What the Plane side asks and begins: the tasks of issues, the verdicts that were replayed, new tasks. */
#include "clients/store/sqlite/store_sqlite.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clients/base/limits.h"

/* the tasks of issues */

static struct store_issue_task issue_task_read(sqlite3_stmt *row, int first)
{
    enum { ISSUE = SQLITE_TASK_COLUMNS, UPDATED_US, ACTIVE };
    return (struct store_issue_task){
        .issue = (size_t)sqlite3_column_int64(row, first + ISSUE),
        .task = sqlite_task(row, first),
        .updated_us = sqlite3_column_int64(row, first + UPDATED_US),
        .active = sqlite3_column_int(row, first + ACTIVE) != 0,
    };
}

static enum err issue_tasks_read(struct sqlite_conn *conn, sqlite3_stmt *statement,
                                 struct store_issue_tasks *tasks, struct why *why)
{
    enum { REVISION, NOW_US, TASK };
    size_t room = 0;
    bool row;
    enum err err;
    while (!(err = sqlite_step(conn, statement, &row, why)) && row) {
        tasks->settings_revision = sqlite3_column_int64(statement, REVISION);
        tasks->now_us = sqlite3_column_int64(statement, NOW_US);
        if (sqlite3_column_type(statement, TASK) == SQLITE_NULL)
            continue; /* the one row there always is */
        if (tasks->n == room) {
            room = room ? room * 2 : 16;
            tasks->rows = mem_grow(tasks->rows, room, sizeof *tasks->rows);
        }
        tasks->rows[tasks->n++] = issue_task_read(statement, TASK);
    }
    return err;
}

enum err sqlite_issue_tasks(struct store *store, const char *const *plane_ids, size_t n,
                            struct store_issue_tasks *ret, struct why *why)
{
    AUTO_FREE char *ids = sqlite_texts_line(plane_ids, n);
    /* After the text, so that the connection lets go of it first. */
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    sqlite3_stmt *statement;
    enum err err = sqlite_take(store, SQLITE_USE_READ, &conn, why);
    if (err || (err = sqlite_statement(conn, SQL_ISSUE_TASKS, &statement, why)))
        return err;
    sqlite_put(statement, 1, ids);
    struct store_issue_tasks tasks = {0};
    err = issue_tasks_read(conn, statement, &tasks, why);
    if (err)
        store_issue_tasks_done(&tasks);
    else
        *ret = tasks;
    return err;
}

/* work items */

static void work_item_read(sqlite3_stmt *row, size_t n, struct store_work_item *ret)
{
    enum { I, ID, PLANE_ID };
    int64_t i = sqlite3_column_int64(row, I);
    AUTO_FREE char *plane_id = sqlite_text(row, PLANE_ID, UUID_TEXT_LEN + 1);
    if (i >= 0 && (size_t)i < n)
        store_work_item_found(&ret[i], sqlite3_column_int64(row, ID), plane_id);
}

enum err sqlite_work_items(struct store *store, const char *const *ids, size_t n, struct store_work_item *ret,
                           struct why *why)
{
    AUTO_FREE char *line = sqlite_texts_line(ids, n);
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    sqlite3_stmt *statement;
    bool row;
    enum err err = sqlite_take(store, SQLITE_USE_READ, &conn, why);
    if (err || (err = sqlite_statement(conn, SQL_WORK_ITEMS, &statement, why)))
        return err;
    sqlite_put(statement, 1, line);
    memset(ret, 0, n * sizeof *ret);
    while (!(err = sqlite_step(conn, statement, &row, why)) && row)
        work_item_read(statement, n, ret);
    return err;
}

/* verdicts */

enum err sqlite_verdicts_replayed(struct store *store, const char *const *ids, size_t n, bool *ret,
                                  struct why *why)
{
    AUTO_FREE char *line = sqlite_texts_line(ids, n);
    AUTO_FREE bool *replayed = mem_zero(n, sizeof *replayed);
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    sqlite3_stmt *statement;
    bool row;
    enum err err = sqlite_take(store, SQLITE_USE_READ, &conn, why);
    if (err || (err = sqlite_statement(conn, SQL_VERDICTS_REPLAYED, &statement, why)))
        return err;
    sqlite_put(statement, 1, line);
    while (!(err = sqlite_step(conn, statement, &row, why)) && row)
        replayed[sqlite3_column_int64(statement, 0)] = true;
    for (size_t i = 0; !err && i < n; i++)
        ret[i] = replayed[i];
    return err;
}

/* new tasks */

struct creation {
    const struct store_new_task *batch;
    size_t n;
    bool exists[LIMIT_BATCH]; /* before we came */
    enum store_creation results[LIMIT_BATCH];
};

/* The key is not asked to decide here: under BEGIN IMMEDIATE nobody else inserts, so what is not there stays
 * so until the commit. It is what stops the orchestrator from making the same task afterwards. What is below
 * a view cannot be known. */
static enum err key_is_there(struct sqlite_conn *conn, struct why *why)
{
    sqlite3_stmt *statement;
    size_t view;
    enum err err = sqlite_statement(conn, SQL_TASKS_ARE_A_VIEW, &statement, why);
    if (err || (err = sqlite_run(conn, statement, &view, why)))
        return err;
    if (view)
        return sqlite_execute(conn, SQL_TASKS_TAKE_NEW, why);
    if ((err = sqlite_tasks_fill_ids(conn, why)))
        return err;
    err = sqlite_execute(conn, SQL_TASKS_ARE_KEYED, why);
    if (err == ERR_INTERNAL)
        return why_set(why, err,
                       "the table tasks has no unique key on plane_id alone: without one, two tasks could "
                       "be made of one issue");
    return err;
}

static enum err existing_find(struct sqlite_conn *conn, struct creation *creation, struct why *why)
{
    const char *plane_ids[LIMIT_BATCH];
    for (size_t i = 0; i < creation->n; i++)
        plane_ids[i] = creation->batch[i].plane_id;
    AUTO_FREE char *ids = sqlite_texts_line(plane_ids, creation->n);
    sqlite3_stmt *statement;
    bool row;
    enum err err = sqlite_statement(conn, SQL_TASKS_EXISTING, &statement, why);
    if (err)
        return err;
    sqlite_put(statement, 1, ids);
    memset(creation->exists, 0, sizeof creation->exists);
    while (!(err = sqlite_step(conn, statement, &row, why)) && row)
        creation->exists[sqlite3_column_int64(statement, 0)] = true;
    (void)sqlite3_reset(statement);
    return err;
}

static enum err creation_begin(struct sqlite_conn *conn, void *arg, struct why *why)
{
    enum err err = key_is_there(conn, why);
    return err ? err : existing_find(conn, arg, why);
}

static bool is_there(const struct creation *creation, size_t i)
{
    bool there = creation->exists[i];
    for (size_t k = 0; !there && k < i; k++)
        there = creation->results[k] == STORE_CREATED &&
                strcasecmp(creation->batch[k].plane_id, creation->batch[i].plane_id) == 0;
    return there;
}

static enum err row_create(struct sqlite_conn *conn, void *arg, size_t i, bool *ret_keep, struct why *why)
{
    struct creation *creation = arg;
    const struct store_new_task *task = &creation->batch[i];
    creation->results[i] = is_there(creation, i) ? STORE_EXISTS : STORE_NOT_CREATED;
    if (creation->results[i] == STORE_EXISTS)
        return ERR_OK;
    sqlite3_stmt *statement;
    size_t rows;
    enum err err = sqlite_statement(conn, SQL_TASK_CREATE, &statement, why);
    if (err)
        return err;
    const char *const texts[] = {task->plane_id, task->work_item_id, task->title,
                                 task->repo,     task->branch,       task->stage};
    for (size_t k = 0; k < ARRAY_LEN(texts); k++)
        sqlite_put(statement, (int)k + 1, texts[k]);
    if ((err = sqlite_run(conn, statement, &rows, why)) || rows == 0)
        return err; /* no row: a trigger said RAISE(IGNORE) */
    creation->results[i] = STORE_CREATED;
    *ret_keep = true;
    return ERR_OK;
}

static struct why *row_refusal(void *arg, size_t i)
{
    return ((const struct creation *)arg)->batch[i].refusal;
}

enum err sqlite_create_tasks(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                             const struct store_new_task *batch, size_t n, enum store_creation *ret,
                             struct why *why)
{
    struct creation creation = {.batch = batch, .n = n};
    const struct sqlite_batch rows = {.settings_revision = settings_revision,
                                      .valid_until_us = valid_until_us,
                                      .n = n,
                                      .begin = creation_begin,
                                      .write = row_create,
                                      .refusal = row_refusal,
                                      .arg = &creation};
    enum err err = sqlite_batch_run(store, &rows, why);
    for (size_t i = 0; !err && i < n; i++)
        ret[i] = creation.results[i];
    return err;
}
