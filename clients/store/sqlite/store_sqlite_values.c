/* What goes into a statement as a parameter, and what comes out of its rows. */
#include "clients/store/sqlite/store_sqlite.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

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
