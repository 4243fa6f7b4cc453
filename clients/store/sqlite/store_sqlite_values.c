/* What goes into a statement as a parameter, and what comes out of its rows. */
#include "clients/store/sqlite/store_sqlite.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"

/* parameters */

void sqlite_put(sqlite3_stmt *statement, int index, const char *text)
{
    (void)sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
}

void sqlite_put_limit(sqlite3_stmt *statement, int index, size_t limit)
{
    (void)sqlite3_bind_int64(statement, index, limit < INT64_MAX ? (int64_t)limit : INT64_MAX);
}

char *sqlite_line_take(json_t *value_take)
{
    char *line = json_line(value_take);
    json_decref(value_take);
    return line;
}

char *sqlite_texts_line(const char *const *texts, size_t n)
{
    json_t *line = json_array();
    for (size_t i = 0; i < n; i++)
        json_push(line, json_text(texts[i]));
    return sqlite_line_take(line);
}

char *sqlite_graces_line(const struct store_stage_grace *stages, size_t n)
{
    json_t *line = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *pair = json_array();
        json_push(pair, json_text(stages[i].stage));
        json_push(pair, json_integer(stages[i].grace_s));
        json_push(line, pair);
    }
    return sqlite_line_take(line);
}

static void params_bind(sqlite3_stmt *statement, struct store_params params)
{
    for (size_t i = 0; i < params.n; i++) {
        const struct store_param *param = &params.list[i];
        int index = (int)i + 1;
        switch (param->kind) {
        case PARAM_NUMBER:
            (void)sqlite3_bind_int64(statement, index, param->number);
            break;
        case PARAM_TEXT:
            sqlite_put(statement, index, param->text);
            break;
        case PARAM_JSON:
            (void)sqlite3_bind_text(statement, index, json_line(param->json), -1, free);
            break;
        case PARAM_IDS:
            (void)sqlite3_bind_text(statement, index, sqlite_texts_line(param->ids, param->n), -1, free);
            break;
        }
    }
}

/* rows */

static bool statement_next(struct store_rows *rows)
{
    bool row = false;
    rows->err = sqlite_step(rows->conn, rows->source, &row, rows->why);
    return row;
}

static int statement_find(const struct store_rows *rows, const char *name)
{
    for (int i = 0; i < sqlite3_column_count(rows->source); i++)
        if (strcmp(sqlite3_column_name(rows->source, i), name) == 0)
            return i;
    return -1;
}

static struct store_field statement_field(const struct store_rows *rows, int column)
{
    int type = sqlite3_column_type(rows->source, column);
    const char *text = (const char *)sqlite3_column_text(rows->source, column);
    return (struct store_field){.is_null = type == SQLITE_NULL,
                                .is_blob = type == SQLITE_BLOB,
                                .bytes = text ? text : "",
                                .len = (size_t)sqlite3_column_bytes(rows->source, column)};
}

static int64_t statement_number(const struct store_rows *rows, int column)
{
    return sqlite3_column_int64(rows->source, column);
}

static void statement_close(struct store_rows *rows)
{
    (void)sqlite3_reset(rows->source);
}

static void connection_close(struct store_rows *rows)
{
    sqlite_give(rows->conn);
}

struct store_rows sqlite_query(struct sqlite_conn *conn, unsigned which, struct store_params params,
                               struct why *why)
{
    static const struct store_rows_ops ops = {.next = statement_next,
                                              .find = statement_find,
                                              .field = statement_field,
                                              .number = statement_number,
                                              .close = statement_close};
    sqlite3_stmt *statement;
    enum err err = sqlite_statement(conn, which, &statement, why);
    if (err)
        return rows_failed(err);
    params_bind(statement, params);
    return (struct store_rows){.ops = &ops, .source = statement, .conn = conn, .why = why};
}

struct store_rows sqlite_ask(struct store *store, unsigned which, struct store_params params, struct why *why)
{
    static const struct store_rows_ops ops = {.next = statement_next,
                                              .find = statement_find,
                                              .field = statement_field,
                                              .number = statement_number,
                                              .close = connection_close};
    struct sqlite_conn *conn = NULL;
    enum err err = sqlite_take(store, SQLITE_USE_READ, &conn, why);
    if (err)
        return rows_failed(err);
    struct store_rows rows = sqlite_query(conn, which, params, why);
    if (rows.err)
        sqlite_give(conn);
    else
        rows.ops = &ops;
    return rows;
}

enum err sqlite_write(struct sqlite_conn *conn, unsigned which, struct store_params params, size_t *ret_rows,
                      struct why *why)
{
    sqlite3_stmt *statement;
    enum err err = sqlite_statement(conn, which, &statement, why);
    if (err)
        return err;
    params_bind(statement, params);
    return sqlite_run(conn, statement, ret_rows, why);
}

/* columns */

char *sqlite_text(sqlite3_stmt *statement, int column, size_t max)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    if (!text)
        return sqlite3_column_type(statement, column) == SQLITE_NULL ? NULL : mem_dup("");
    size_t len = (size_t)sqlite3_column_bytes(statement, column);
    if (len <= max && utf8_valid_len(text, len) == len)
        return mem_dupn(text, len);
    return text_cut(text, len < max ? len : max);
}

struct uuid_text sqlite_uuid(sqlite3_stmt *statement, int column)
{
    struct uuid_text id = {""};
    AUTO_FREE char *text = sqlite_text(statement, column, UUID_TEXT_LEN);
    if (text)
        (void)snprintf(id.s, sizeof id.s, "%s", text);
    return id;
}

char *sqlite_task_name(sqlite3_stmt *row, int column, const char *name, char **unreadable)
{
    int type = sqlite3_column_type(row, column);
    if (type == SQLITE_NULL)
        return NULL;
    if (type == SQLITE_BLOB)
        store_unreadable(unreadable, name, "holds a blob, not text");
    const char *text = (const char *)sqlite3_column_text(row, column);
    size_t len = (size_t)sqlite3_column_bytes(row, column);
    return store_task_name(name, text ? text : "", len, unreadable);
}

static char *title_read(sqlite3_stmt *row, int column, char **unreadable)
{
    int type = sqlite3_column_type(row, column);
    if (type == SQLITE_NULL)
        return NULL;
    if (type == SQLITE_BLOB)
        store_unreadable(unreadable, "title", "holds a blob, not text");
    const char *text = (const char *)sqlite3_column_text(row, column);
    size_t len = (size_t)sqlite3_column_bytes(row, column);
    return store_task_title(text ? text : "", len, unreadable);
}

/* What must not be null, whatever the statement made of it. */
static char *or_empty(char *text_take)
{
    return text_take ? text_take : mem_dup("");
}

struct store_task sqlite_task(sqlite3_stmt *row, int first)
{
    enum { ID, PLANE_ID, WORK_ITEM_ID, TITLE, REPO, BRANCH, STAGE, VERSION, AGE_S, HEALS, NEWEST };
    struct store_task task = {
        .id = sqlite3_column_int64(row, first + ID),
        .version = or_empty(sqlite_text(row, first + VERSION, LIMIT_TASK_VERSION)),
        .age_s = sqlite3_column_int64(row, first + AGE_S),
        .recent_heals = sqlite3_column_int64(row, first + HEALS),
        .newest_heal_seq = sqlite3_column_int64(row, first + NEWEST),
    };
    char **unreadable = &task.unreadable;
    task.plane_id = store_plane_id_take(sqlite_task_name(row, first + PLANE_ID, "plane_id", unreadable));
    task.work_item_id = sqlite_task_name(row, first + WORK_ITEM_ID, "work_item_id", unreadable);
    task.title = title_read(row, first + TITLE, unreadable);
    task.repo = sqlite_task_name(row, first + REPO, "repo", unreadable);
    task.branch = sqlite_task_name(row, first + BRANCH, "branch", unreadable);
    task.stage = or_empty(sqlite_task_name(row, first + STAGE, "stage", unreadable));
    return task;
}
