/* Settings, ledger and pass reports. */
#include "clients/store/pg/store_pg.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"

/* A key to stay below; 0 is none. */
static const char *before_text(int64_t before, char buffer[PG_INT_SIZE])
{
    return pg_int_text(before ? before : INT64_MAX, buffer);
}

/* settings */

static struct store_settings settings_of(const PGresult *result)
{
    char *overrides = pg_text(result, 0, 1, PG_TEXT_MAX);
    return (struct store_settings){
        .revision = pg_int(result, 0, 0),
        .overrides = overrides ? overrides : mem_dup("{}"),
        .now_us = pg_int(result, 0, 2),
    };
}

enum err pg_settings_read(struct store *store, struct store_settings *ret, struct why *why)
{
    AUTO_RESULT PGresult *result = NULL;
    enum err err = pg_ask(store, PG_SETTINGS_READ, NULL, &result, why);
    if (!err)
        *ret = settings_of(result);
    return err;
}

struct settings_change {
    int64_t seen_revision;
    const char *overrides;
    bool maybe_written; /* the connection broke under an earlier try */
};

/* Whether what stands is what an earlier try, whose answer was lost, wrote. Who else wrote the very same over
 * the very same revision meant the same. */
static enum err settings_are_written(struct pg_conn *conn, const struct settings_change *change, bool *ret,
                                     struct why *why)
{
    AUTO_RESULT PGresult *result = NULL;
    enum err err = pg_run(conn, PG_SETTINGS_READ, NULL, &result, why);
    if (err)
        return err;
    struct store_settings settings = settings_of(result);
    *ret =
        settings.revision == change->seen_revision + 1 && strcmp(settings.overrides, change->overrides) == 0;
    store_settings_done(&settings);
    return ERR_OK;
}

static enum err settings_change(struct pg_conn *conn, void *arg, struct why *why)
{
    struct settings_change *change = arg;
    AUTO_RESULT PGresult *result = NULL;
    char seen[PG_INT_SIZE];
    const char *const params[] = {pg_int_text(change->seen_revision, seen), change->overrides};
    enum err err = pg_run(conn, PG_SETTINGS_WRITE, params, &result, why);
    if (err) {
        change->maybe_written |= pg_is_lost(conn);
        return err;
    }
    bool written = PQntuples(result) == 1;
    if (!written && change->maybe_written && (err = settings_are_written(conn, change, &written, why)))
        return err;
    return written ? ERR_OK : why_set(why, ERR_CONFLICT, "the settings were changed meanwhile");
}

enum err pg_settings_write(struct store *store, int64_t seen_revision, const char *overrides,
                           int64_t *ret_revision, struct why *why)
{
    struct settings_change change = {.seen_revision = seen_revision, .overrides = overrides};
    enum err err = pg_call(store, settings_change, &change, why);
    if (!err)
        *ret_revision = seen_revision + 1;
    return err;
}

/* the ledger */

enum err pg_ledger_summary(struct store *store, struct store_ledger_summary *ret, struct why *why)
{
    AUTO_RESULT PGresult *result = NULL;
    enum err err = pg_read(store, PG_LEDGER_SUMMARY, NULL, &result, why);
    if (!err)
        *ret = (struct store_ledger_summary){
            .total = pg_int(result, 0, 0),
            .last_work_item_id = pg_text(result, 0, 1, PG_TEXT_MAX),
        };
    return err;
}

static struct store_ledger_row ledger_row_read(const PGresult *result, int row)
{
    return (struct store_ledger_row){
        .seq = pg_int(result, row, 0),
        .id = pg_uuid(result, row, 1),
        .at_us = pg_int(result, row, 2),
        .task_id = pg_int(result, row, 3),
        .pass_id = pg_text(result, row, 4, PG_TEXT_MAX),
        .work_item_id = pg_text(result, row, 5, PG_TEXT_MAX),
        .repo = pg_text(result, row, 6, PG_TEXT_MAX),
        .from_stage = pg_text(result, row, 7, PG_TEXT_MAX),
        .to_stage = pg_text(result, row, 8, PG_TEXT_MAX),
        .side = pg_text(result, row, 9, PG_TEXT_MAX),
        .outcome = pg_text(result, row, 10, PG_TEXT_MAX),
        .agent = pg_text(result, row, 11, PG_TEXT_MAX),
        .reason = pg_text(result, row, 12, PG_TEXT_MAX),
        .evidence = pg_text(result, row, 13, PG_TEXT_MAX),
        .missed_source = pg_text(result, row, 14, PG_TEXT_MAX),
        .missed_event = pg_text(result, row, 15, PG_TEXT_MAX),
    };
}

enum err pg_ledger_list(struct store *store, int64_t task_id, int64_t before_seq, size_t limit,
                        struct store_ledger_page *ret, struct why *why)
{
    AUTO_RESULT PGresult *result = NULL;
    char before[PG_INT_SIZE], most[PG_INT_SIZE], task[PG_INT_SIZE];
    const char *const params[] = {before_text(before_seq, before), pg_limit_text(limit, most),
                                  pg_int_text(task_id, task)};
    enum err err = pg_read(store, task_id ? PG_LEDGER_LIST_OF_TASK : PG_LEDGER_LIST, params, &result, why);
    if (err)
        return err;
    size_t n = (size_t)PQntuples(result);
    struct store_ledger_page page = {.rows = mem_zero(n, sizeof *page.rows), .n = n};
    for (size_t i = 0; i < n; i++)
        page.rows[i] = ledger_row_read(result, (int)i);
    *ret = page;
    return ERR_OK;
}

/* pass reports */

static enum err pass_write(struct pg_conn *conn, void *arg, struct why *why)
{
    char kept[PG_INT_SIZE];
    const char *const prune[] = {pg_int_text(LIMIT_PASSES_KEPT, kept)};
    enum err err = pg_execute(conn, "BEGIN", why);
    if (err || (err = pg_run(conn, PG_PASS_SAVE, arg, NULL, why)) ||
        (err = pg_run(conn, PG_PASS_PRUNE, prune, NULL, why)))
        return err;
    return pg_commit(conn, why);
}

enum err pg_pass_save(struct store *store, const char *id, int64_t started_us, const char *report,
                      struct why *why)
{
    char started[PG_INT_SIZE];
    const char *params[] = {id, pg_int_text(started_us, started), report};
    return pg_call(store, pass_write, params, why);
}

enum err pg_pass_get(struct store *store, const char *id, char **ret_report, struct why *why)
{
    AUTO_RESULT PGresult *result = NULL;
    const char *const params[] = {id};
    enum err err = pg_ask(store, PG_PASS_GET, params, &result, why);
    if (err)
        return err;
    if (PQntuples(result) == 0)
        return why_set(why, ERR_NOT_FOUND, "no pass has the id %s", id);
    *ret_report = pg_text(result, 0, 0, PG_TEXT_MAX);
    return ERR_OK;
}

enum err pg_pass_list(struct store *store, int64_t before_us, size_t limit, struct store_pass_page *ret,
                      struct why *why)
{
    AUTO_RESULT PGresult *result = NULL;
    char before[PG_INT_SIZE], most[PG_INT_SIZE], head[PG_INT_SIZE];
    const char *const params[] = {before_text(before_us, before), pg_limit_text(limit, most),
                                  pg_int_text(LIMIT_REPORT_HEAD, head)};
    enum err err = pg_ask(store, PG_PASS_LIST, params, &result, why);
    if (err)
        return err;
    size_t n = (size_t)PQntuples(result);
    struct store_pass_page page = {.rows = mem_zero(n, sizeof *page.rows), .n = n};
    for (size_t i = 0; i < n; i++)
        page.rows[i] = (struct store_pass){
            .id = pg_uuid(result, (int)i, 0),
            .started_us = pg_int(result, (int)i, 1),
            .report = pg_text(result, (int)i, 2, PG_TEXT_MAX),
        };
    *ret = page;
    return ERR_OK;
}
