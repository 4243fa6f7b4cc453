/* Settings, ledger and pass reports. */
#include "clients/store/sqlite/store_sqlite.h"

#include <stdlib.h>

#include "clients/base/limits.h"

/* What we wrote ourselves comes back whole; the bound only guards against a file that somebody tampered with.
 */
#define TEXT_MAX LIMIT_STORED_TEXT

/* settings */

enum err sqlite_settings_read(struct store *store, struct store_settings *ret, struct why *why)
{
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    sqlite3_stmt *statement;
    bool row;
    enum err err = sqlite_take(store, SQLITE_USE_READ, &conn, why);
    if (err || (err = sqlite_statement(conn, SQL_SETTINGS_READ, &statement, why)) ||
        (err = sqlite_step(conn, statement, &row, why)))
        return err;
    char *overrides = sqlite_text(statement, 2, TEXT_MAX);
    *ret = (struct store_settings){
        .revision = sqlite3_column_int64(statement, 0),
        .now_us = sqlite3_column_int64(statement, 1),
        .overrides = overrides ? overrides : mem_dup("{}"),
    };
    return ERR_OK;
}

enum err sqlite_settings_write(struct store *store, int64_t seen_revision, const char *overrides,
                               int64_t *ret_revision, struct why *why)
{
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    sqlite3_stmt *statement;
    size_t written;
    enum err err = sqlite_take(store, SQLITE_USE_WRITE, &conn, why);
    if (err || (err = sqlite_execute(conn, SQL_BEGIN_WRITE, why)) ||
        (err = sqlite_statement(conn, SQL_SETTINGS_WRITE, &statement, why)))
        return err;
    sqlite_put(statement, 1, overrides);
    (void)sqlite3_bind_int64(statement, 2, seen_revision);
    if ((err = sqlite_run(conn, statement, &written, why)))
        return err;
    if (written == 0)
        return why_set(why, ERR_CONFLICT, "the settings were changed meanwhile");
    if ((err = sqlite_execute(conn, SQL_COMMIT, why)))
        return err;
    *ret_revision = seen_revision + 1;
    return ERR_OK;
}

/* the ledger */

enum err sqlite_ledger_summary(struct store *store, struct store_ledger_summary *ret, struct why *why)
{
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    sqlite3_stmt *statement;
    bool row;
    enum err err = sqlite_take(store, SQLITE_USE_READ, &conn, why);
    if (err || (err = sqlite_statement(conn, SQL_LEDGER_SUMMARY, &statement, why)) ||
        (err = sqlite_step(conn, statement, &row, why)))
        return err;
    *ret = (struct store_ledger_summary){
        .total = sqlite3_column_int64(statement, 0),
        .last_work_item_id = sqlite_text(statement, 1, TEXT_MAX),
    };
    return ERR_OK;
}

static struct store_ledger_row ledger_row_read(sqlite3_stmt *row)
{
    return (struct store_ledger_row){
        .seq = sqlite3_column_int64(row, 0),
        .id = sqlite_uuid(row, 1),
        .at_us = sqlite3_column_int64(row, 2),
        .task_id = sqlite3_column_int64(row, 3),
        .pass_id = sqlite_text(row, 4, TEXT_MAX),
        .work_item_id = sqlite_text(row, 5, TEXT_MAX),
        .repo = sqlite_text(row, 6, TEXT_MAX),
        .from_stage = sqlite_text(row, 7, TEXT_MAX),
        .to_stage = sqlite_text(row, 8, TEXT_MAX),
        .side = sqlite_text(row, 9, TEXT_MAX),
        .outcome = sqlite_text(row, 10, TEXT_MAX),
        .agent = sqlite_text(row, 11, TEXT_MAX),
        .reason = sqlite_text(row, 12, TEXT_MAX),
        .evidence = sqlite_text(row, 13, TEXT_MAX),
        .missed_source = sqlite_text(row, 14, TEXT_MAX),
        .missed_event = sqlite_text(row, 15, TEXT_MAX),
    };
}

/* list_begin: binds what both lists have in common: the key to stay below (0: none) and the limit. */
static void list_begin(sqlite3_stmt *statement, int64_t before, size_t limit)
{
    (void)sqlite3_bind_int64(statement, 1, before ? before : INT64_MAX);
    sqlite_put_limit(statement, 2, limit);
}

enum err sqlite_ledger_list(struct store *store, int64_t task_id, int64_t before_seq, size_t limit,
                            struct store_ledger_page *ret, struct why *why)
{
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    sqlite3_stmt *statement;
    enum err err = sqlite_take(store, SQLITE_USE_READ, &conn, why);
    if (err ||
        (err = sqlite_statement(conn, task_id ? SQL_LEDGER_LIST_OF_TASK : SQL_LEDGER_LIST, &statement, why)))
        return err;
    list_begin(statement, before_seq, limit);
    if (task_id)
        (void)sqlite3_bind_int64(statement, 3, task_id);
    struct store_ledger_page page = {0};
    bool row;
    while (!(err = sqlite_step(conn, statement, &row, why)) && row) {
        page.rows = mem_grow(page.rows, page.n + 1, sizeof *page.rows);
        page.rows[page.n++] = ledger_row_read(statement);
    }
    if (err)
        store_ledger_page_done(&page);
    else
        *ret = page;
    return err;
}

/* pass reports */

enum err sqlite_pass_save(struct store *store, const char *id, int64_t started_us, const char *report,
                          struct why *why)
{
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    sqlite3_stmt *statement;
    enum err err = sqlite_take(store, SQLITE_USE_WRITE, &conn, why);
    if (err || (err = sqlite_execute(conn, SQL_BEGIN_WRITE, why)) ||
        (err = sqlite_statement(conn, SQL_PASS_SAVE, &statement, why)))
        return err;
    sqlite_put(statement, 1, id);
    (void)sqlite3_bind_int64(statement, 2, started_us);
    sqlite_put(statement, 3, report);
    if ((err = sqlite_run(conn, statement, NULL, why)) ||
        (err = sqlite_statement(conn, SQL_PASS_PRUNE, &statement, why)))
        return err;
    (void)sqlite3_bind_int64(statement, 1, LIMIT_PASSES_KEPT);
    err = sqlite_run(conn, statement, NULL, why);
    return err ? err : sqlite_execute(conn, SQL_COMMIT, why);
}

enum err sqlite_pass_get(struct store *store, const char *id, char **ret_report, struct why *why)
{
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    sqlite3_stmt *statement;
    bool row;
    enum err err = sqlite_take(store, SQLITE_USE_READ, &conn, why);
    if (err || (err = sqlite_statement(conn, SQL_PASS_GET, &statement, why)))
        return err;
    sqlite_put(statement, 1, id);
    if ((err = sqlite_step(conn, statement, &row, why)))
        return err;
    if (!row)
        return why_set(why, ERR_NOT_FOUND, "no pass has the id %s", id);
    *ret_report = sqlite_text(statement, 0, TEXT_MAX);
    return ERR_OK;
}

enum err sqlite_pass_list(struct store *store, int64_t before_us, size_t limit, struct store_pass_page *ret,
                          struct why *why)
{
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    sqlite3_stmt *statement;
    enum err err = sqlite_take(store, SQLITE_USE_READ, &conn, why);
    if (err || (err = sqlite_statement(conn, SQL_PASS_LIST, &statement, why)))
        return err;
    list_begin(statement, before_us, limit);
    (void)sqlite3_bind_int64(statement, 3, LIMIT_REPORT_HEAD);
    struct store_pass_page page = {0};
    bool row;
    while (!(err = sqlite_step(conn, statement, &row, why)) && row) {
        page.rows = mem_grow(page.rows, page.n + 1, sizeof *page.rows);
        page.rows[page.n++] = (struct store_pass){
            .id = sqlite_uuid(statement, 0),
            .started_us = sqlite3_column_int64(statement, 1),
            .report = sqlite_text(statement, 2, TEXT_MAX),
        };
    }
    if (err)
        store_pass_page_done(&page);
    else
        *ret = page;
    return err;
}
