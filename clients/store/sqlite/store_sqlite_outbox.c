/* The outbox: what is to be told, kept until it was. */
#include "clients/store/sqlite/store_sqlite.h"

#include <stdlib.h>

#include "clients/base/limits.h"

/* We wrote it ourselves, from texts that are bounded one by one. */
#define MESSAGE_MAX LIMIT_STORED_TEXT

static enum err outbox_read(struct sqlite_conn *conn, sqlite3_stmt *statement, struct store_outbox *ret,
                            struct why *why)
{
    enum { DEPTH, ID, SEQ, AGE_S, TEXT };
    struct store_outbox outbox = {0};
    bool row;
    enum err err;
    while (!(err = sqlite_step(conn, statement, &row, why)) && row) {
        outbox.depth = (size_t)sqlite3_column_int64(statement, DEPTH);
        if (sqlite3_column_type(statement, ID) == SQLITE_NULL)
            continue; /* the one row there always is */
        outbox.rows = mem_grow(outbox.rows, outbox.n + 1, sizeof *outbox.rows);
        outbox.rows[outbox.n++] = (struct store_message){
            .id = sqlite_uuid(statement, ID),
            .seq = sqlite3_column_int64(statement, SEQ),
            .age_s = sqlite3_column_int64(statement, AGE_S),
            .text = sqlite_text(statement, TEXT, MESSAGE_MAX),
        };
    }
    if (err)
        store_outbox_done(&outbox);
    else
        *ret = outbox;
    return err;
}

enum err sqlite_outbox_list(struct store *store, size_t limit, struct store_outbox *ret, struct why *why)
{
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    sqlite3_stmt *statement;
    enum err err = sqlite_take(store, SQLITE_USE_READ, &conn, why);
    if (err || (err = sqlite_statement(conn, SQL_OUTBOX_LIST, &statement, why)))
        return err;
    sqlite_put_limit(statement, 1, limit);
    return outbox_read(conn, statement, ret, why);
}

enum err sqlite_outbox_put(struct sqlite_conn *conn, const char *id, const char *text, bool *ret_new,
                           struct why *why)
{
    sqlite3_stmt *statement;
    size_t rows;
    enum err err = sqlite_statement(conn, SQL_OUTBOX_ADD, &statement, why);
    if (err)
        return err;
    sqlite_put(statement, 1, id);
    sqlite_put(statement, 2, text);
    if ((err = sqlite_run(conn, statement, &rows, why)))
        return err;
    if (ret_new)
        *ret_new = rows > 0;
    return ERR_OK;
}

enum err sqlite_outbox_add(struct store *store, const char *id, const char *text, bool *ret_new,
                           struct why *why)
{
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    enum err err = sqlite_take(store, SQLITE_USE_WRITE, &conn, why);
    return err ? err : sqlite_outbox_put(conn, id, text, ret_new, why);
}

enum err sqlite_outbox_sent(struct store *store, const struct uuid_text *ids, size_t n, struct why *why)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(list, json_string(ids[i].s));
    AUTO_FREE char *line = sqlite_line_take(list);
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    sqlite3_stmt *statement;
    enum err err = sqlite_take(store, SQLITE_USE_WRITE, &conn, why);
    if (err || (err = sqlite_execute(conn, SQL_BEGIN_WRITE, why)) ||
        (err = sqlite_statement(conn, SQL_OUTBOX_SENT, &statement, why)))
        return err;
    sqlite_put(statement, 1, line);
    if ((err = sqlite_run(conn, statement, NULL, why)) ||
        (err = sqlite_statement(conn, SQL_OUTBOX_PRUNE, &statement, why)))
        return err;
    (void)sqlite3_bind_int64(statement, 1, LIMIT_OUTBOX_KEPT);
    err = sqlite_run(conn, statement, NULL, why);
    return err ? err : sqlite_execute(conn, SQL_COMMIT, why);
}
