/* What the columns are that store_columns.h has rules for, by SQLite's schema and the rows. */
#include "clients/store/sqlite/store_sqlite.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clients/base/limits.h"
#include "clients/store/store_columns.h"

/* The columns of SQL_COLUMN. */
enum { COL_TYPE, COL_IS_VIEW, COL_FILLED };

static bool says(const char *type, const char *const *error, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcasestr(type, error[i]))
            return true;
    return false;
}

/* What SQLite makes of a declared type: https://sqlite.org/datatype3.html, 3.1. A type that says UUID keeps
 * such text as it is. */
static bool is_integer(const char *type)
{
    return strcasestr(type, "INT") != NULL;
}

static bool is_text(const char *type)
{
    static const char *const texts[] = {"CHAR", "CLOB", "TEXT", "UUID", "GUID", "UNIQUEIDENTIFIER"};
    return !is_integer(type) && says(type, texts, ARRAY_LEN(texts));
}

/* Where a view's expression has no type, SQLite from 3.41 on makes up the name of an affinity. */
static bool is_made_up(const char *type)
{
    return strcasecmp(type, "BLOB") == 0 || strcasecmp(type, "NUM") == 0;
}

static enum err column_ask(struct sqlite_conn *conn, const struct column_rule *rule,
                           sqlite3_stmt **ret_statement, bool *ret_there, struct why *why)
{
    enum err err = sqlite_statement(conn, SQL_COLUMN, ret_statement, why);
    if (err)
        return err;
    sqlite_put(*ret_statement, 1, rule->table);
    sqlite_put(*ret_statement, 2, rule->column);
    return sqlite_step(conn, *ret_statement, ret_there, why);
}

/* Of a column without a type the rows decide: which of them are read, and in which form. What a view computes
 * has none; in a table without one anything could stand. */
static enum err rule_check(struct sqlite_conn *conn, const struct column_rule *rule, enum err refusal,
                           struct why *why)
{
    sqlite3_stmt *statement;
    bool there;
    enum err err = column_ask(conn, rule, &statement, &there, why);
    if (err || !there)
        return err;
    AUTO_FREE char *type = sqlite_text(statement, COL_TYPE, LIMIT_REASON);
    bool view = sqlite3_column_int(statement, COL_IS_VIEW) != 0;
    bool untyped = !type || !*type || (view && is_made_up(type));
    const struct column_seen seen = {
        .type = type ? type : "",
        .is = {[COLUMN_INTEGER] = untyped ? view : is_integer(type),
               [COLUMN_UUID] = untyped || is_text(type),
               [COLUMN_FILLED] = view || sqlite3_column_int(statement, COL_FILLED) != 0},
    };
    (void)sqlite3_reset(statement);
    return column_check(rule, &seen, why) == ERR_OK ? ERR_OK : refusal;
}

enum err sqlite_columns_check(struct sqlite_conn *conn, struct why *why)
{
    enum err err = ERR_OK;
    for (size_t i = 0; !err && i < column_rules_n; i++)
        err = rule_check(conn, &column_rules[i], ERR_UNAVAILABLE, why);
    return err;
}

enum err sqlite_tasks_fill_ids(struct sqlite_conn *conn, struct why *why)
{
    static const struct column_rule rule = {"tasks", "id", COLUMN_FILLED};
    return rule_check(conn, &rule, ERR_INTERNAL, why);
}

/* A text column with room for the digits alone is meant for them: char(32), as many frameworks make it. */
static enum err room_read(struct sqlite_conn *conn, struct uuid_form *ret, struct why *why)
{
    static const struct column_rule rule = {"tasks", "plane_id", COLUMN_UUID};
    sqlite3_stmt *statement;
    bool there;
    enum err err = column_ask(conn, &rule, &statement, &there, why);
    if (err || !there)
        return err;
    AUTO_FREE char *type = sqlite_text(statement, COL_TYPE, LIMIT_REASON);
    const char *length = type ? strchr(type, '(') : NULL;
    int64_t room = 0;
    AUTO_FREE char *digits = length ? mem_dupn(length + 1, strcspn(length + 1, ")")) : NULL;
    ret->bare = digits && parse_i64(digits, 1, UUID_TEXT_LEN - 1, &room);
    (void)sqlite3_reset(statement);
    return ERR_OK;
}

static enum err plane_ids_read(struct sqlite_conn *conn, sqlite3_stmt *statement, struct plane_ids_seen *seen,
                               struct why *why)
{
    enum { COL_FORM, COL_COUNT, COL_TASK, COL_NEWEST };
    bool row;
    enum err err;
    while (!(err = sqlite_step(conn, statement, &row, why)) && row) {
        int64_t count = sqlite3_column_int64(statement, COL_COUNT),
                task = sqlite3_column_int64(statement, COL_TASK);
        AUTO_FREE char *form = sqlite_text(statement, COL_FORM, LIMIT_REASON);
        AUTO_FREE char *newest = sqlite_text(statement, COL_NEWEST, LIMIT_REASON);
        switch (form ? form[0] : ' ') {
        case 'k':
            seen->known = count;
            (void)uuid_form_of(newest ? newest : "", &seen->form);
            break;
        case 'h':
            seen->odd = count;
            seen->odd_task = task;
            break;
        default:
            seen->other = count;
            seen->other_task = task;
        }
    }
    return err;
}

enum err sqlite_plane_ids(struct store *store, size_t limit, struct plane_ids_seen *ret, struct why *why)
{
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    struct plane_ids_seen seen = {0};
    sqlite3_stmt *statement;
    enum err err = sqlite_take(store, SQLITE_USE_READ, &conn, why);
    if (err || (err = sqlite_statement(conn, SQL_PLANE_IDS, &statement, why)))
        return err;
    sqlite_put_limit(statement, 1, limit);
    if ((err = plane_ids_read(conn, statement, &seen, why)))
        return err;
    (void)sqlite3_reset(statement);
    if (seen.known == 0 && (err = room_read(conn, &seen.form, why)))
        return err;
    *ret = seen;
    return ERR_OK;
}
