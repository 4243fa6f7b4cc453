/* What goes into a statement as a parameter, and what comes out of its rows. */
#include "clients/store/sqlite/store_sqlite.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/text.h"

static char *ids_line(const struct store_param *param)
{
    json_auto_t *ids = json_texts(param->ids, param->n);
    return json_line(ids);
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
            (void)sqlite3_bind_text(statement, index, param->text, -1, SQLITE_STATIC);
            break;
        case PARAM_STORED:
            (void)sqlite3_bind_text(statement, index, text_stored(param->text), -1, free);
            break;
        case PARAM_DOCUMENT:
            (void)sqlite3_bind_text(statement, index, document_stored(param->text), -1, free);
            break;
        case PARAM_JSON:
            (void)sqlite3_bind_text(statement, index, json_line(param->json), -1, free);
            break;
        case PARAM_IDS:
            (void)sqlite3_bind_text(statement, index, ids_line(param), -1, free);
            break;
        }
    }
}

/* instants in columns of the orchestrator's */

static bool instant_of(sqlite3_value *value, int64_t *ret_us, struct instant_form *ret_form)
{
    if (sqlite3_value_type(value) != SQLITE_TEXT)
        return false;
    const char *text = (const char *)sqlite3_value_text(value);
    return text && strlen(text) == (size_t)sqlite3_value_bytes(value) &&
           instant_read(text, ret_us, ret_form) && ret_form->separator != 't' && ret_form->zone != 'z';
}

static void call_us(sqlite3_context *call, int n, sqlite3_value **values)
{
    (void)n;
    int64_t us;
    struct instant_form form;
    if (instant_of(values[0], &us, &form))
        sqlite3_result_int64(call, us);
}

static void call_like(sqlite3_context *call, int n, sqlite3_value **values)
{
    (void)n;
    int64_t us;
    struct instant_form form;
    char text[INSTANT_TEXT_SIZE];
    if (!instant_of(values[0], &us, &form))
        form = (struct instant_form){.separator = ' ', .has_seconds = true};
    instant_write(sqlite3_value_int64(values[1]), &form, text);
    sqlite3_result_text(call, text, -1, SQLITE_TRANSIENT);
}

static void call_has(sqlite3_context *call, int n, sqlite3_value **values)
{
    (void)n;
    const char *text = (const char *)sqlite3_value_text(values[0]);
    const char *part = (const char *)sqlite3_value_text(values[1]);
    sqlite3_result_int(call, text && part && text_has_letters(text, part));
}

void sqlite_functions(sqlite3 *db)
{
    static const struct {
        const char *name;
        int n;
        void (*call)(sqlite3_context *, int, sqlite3_value **);
    } functions[] = {
        {"reconcile_us", 1, call_us}, {"reconcile_like", 2, call_like}, {"reconcile_has", 2, call_has}};
    for (size_t i = 0; i < ARRAY_LEN(functions); i++)
        (void)sqlite3_create_function_v2(db, functions[i].name, functions[i].n,
                                         SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, NULL,
                                         functions[i].call, NULL, NULL, NULL);
}

/* rows */

static bool statement_next(struct store_rows *rows)
{
    int rc = sqlite3_step(rows->source);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        rows->err = sqlite_failure(rows->conn, rows->why);
    return rc == SQLITE_ROW;
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
    const char *text = type == SQLITE_BLOB ? sqlite3_column_blob(rows->source, column)
                                           : (const char *)sqlite3_column_text(rows->source, column);
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

enum err sqlite_run(struct sqlite_conn *conn, unsigned which, struct store_params params, size_t *ret_rows,
                    struct why *why)
{
    return rows_count(sqlite_query(conn, which, params, why), ret_rows);
}

enum err sqlite_execute(struct sqlite_conn *conn, unsigned which, struct why *why)
{
    return sqlite_run(conn, which, NO_PARAMS, NULL, why);
}
