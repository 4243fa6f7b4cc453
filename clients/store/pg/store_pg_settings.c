/* Changing the settings: a compare-and-set whose result is right even if the database's answer was lost. */
#include "clients/store/pg/store_pg.h"

#include <string.h>

struct settings_change {
    int64_t seen_revision;
    const char *overrides;
    const json_t *history;
    bool maybe_written; /* the connection broke under an earlier try */
};

/* Whether the stored settings are what an earlier try wrote whose answer was lost. If another process wrote
 * the same over the same revision, the result is the same. */
static enum err settings_are_written(struct pg_conn *conn, const struct settings_change *change, bool *ret,
                                     struct why *why)
{
    struct store_settings settings = {0};
    struct store_rows rows = pg_query(conn, SQL_SETTINGS_READ, NO_PARAMS, why);
    if (rows_next(&rows))
        settings = store_settings_of(&rows);
    *ret = settings.overrides && settings.revision == change->seen_revision + 1 &&
           strcmp(settings.overrides, change->overrides) == 0;
    store_settings_done(&settings);
    return rows_end(&rows);
}

static enum err settings_change(struct pg_conn *conn, void *arg, struct why *why)
{
    struct settings_change *change = arg;
    size_t n = 0;
    const struct store_params params = PARAMS(NUMBER_PARAM(change->seen_revision),
                                              TEXT_PARAM(change->overrides), JSON_PARAM(change->history));
    enum err err = rows_count(pg_query(conn, PG_SETTINGS_WRITE, params, why), &n);
    bool written = n > 0;
    if (err) {
        change->maybe_written |= conn->lost;
        return err;
    }
    if (!written && change->maybe_written && (err = settings_are_written(conn, change, &written, why)))
        return err;
    return written ? ERR_OK : why_set(why, ERR_CONFLICT, "the settings were changed by another request");
}

enum err pg_settings_write(struct store *store, int64_t seen_revision, const char *overrides,
                           const json_t *history, int64_t *ret_revision, struct why *why)
{
    struct settings_change change = {
        .seen_revision = seen_revision, .overrides = overrides, .history = history};
    enum err err = pg_call(store, settings_change, &change, why);
    if (!err)
        *ret_revision = seen_revision + 1;
    return err;
}
