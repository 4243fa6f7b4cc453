/* What goes into a statement as a parameter, and what comes out of its rows. */
#include "clients/store_sqlite.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"

/* ---- parameters -------------------------------------------------------------------------------------- */

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

/* ---- columns ----------------------------------------------------------------------------------------- */

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

/* A UUID in one form, whatever form it is stored in. */
static char *plane_id_read(sqlite3_stmt *row, int column)
{
    char *text = sqlite_text(row, column, LIMIT_TASK_TEXT);
    struct uuid_text id;
    if (!text || !uuid_read(text, &id))
        return text;
    free(text);
    return mem_dup(id.s);
}

/* What must not be null, whatever the statement made of it. */
static char *text_or_empty(sqlite3_stmt *row, int column)
{
    char *text = sqlite_text(row, column, LIMIT_TASK_TEXT);
    return text ? text : mem_dup("");
}

struct store_task sqlite_task(sqlite3_stmt *row, int first)
{
    enum { ID, PLANE_ID, WORK_ITEM_ID, TITLE, REPO, BRANCH, STAGE, VERSION, AGE_S, HEALS, NEWEST };
    return (struct store_task){
        .id = sqlite3_column_int64(row, first + ID),
        .plane_id = plane_id_read(row, first + PLANE_ID),
        .work_item_id = sqlite_text(row, first + WORK_ITEM_ID, LIMIT_TASK_TEXT),
        .title = sqlite_text(row, first + TITLE, LIMIT_TASK_TEXT),
        .repo = sqlite_text(row, first + REPO, LIMIT_TASK_TEXT),
        .branch = sqlite_text(row, first + BRANCH, LIMIT_TASK_TEXT),
        .stage = text_or_empty(row, first + STAGE),
        .version = text_or_empty(row, first + VERSION),
        .age_s = sqlite3_column_int64(row, first + AGE_S),
        .recent_heals = sqlite3_column_int64(row, first + HEALS),
        .newest_heal_seq = sqlite3_column_int64(row, first + NEWEST),
    };
}
