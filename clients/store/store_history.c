/* The history of what people changed. */
#include <stdlib.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/store/store_ops.h"
#include "clients/store/store_rows.h"

json_t *history_json(const struct store_new_change *changes, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct store_new_change *change = &changes[i];
        AUTO_FREE char *name = text_stored(change->name), *from = document_stored(change->from),
                       *to = document_stored(change->to), *by = text_stored(change->by),
                       *reason = text_stored(change->reason);
        json_t *row = json_object();
        json_put(row, "kind", json_text(change->kind));
        json_put(row, "name", json_text(name));
        json_put(row, "from_value", json_text(from));
        json_put(row, "to_value", json_text(to));
        json_put(row, "set_by", json_text(by));
        json_put(row, "reason", json_text(reason));
        json_put(row, "until_us", change->until_us ? json_integer(change->until_us) : json_null());
        json_push(list, row);
    }
    return list;
}

enum err store_history_list(struct store *store, int64_t before_seq, size_t limit, struct store_changes *ret,
                            struct why *why)
{
    struct store_changes changes = {0};
    struct store_rows rows =
        store_query(store, SQL_HISTORY_LIST, PARAMS(BEFORE_PARAM(before_seq), LIMIT_PARAM(limit)), why);
    while (rows_next(&rows)) {
        changes.rows = list_room(changes.rows, changes.n, sizeof *changes.rows);
        changes.rows[changes.n++] = (struct store_change){
            .seq = rows_int(&rows, "seq"),
            .at_us = rows_int(&rows, "at_us"),
            .kind = rows_own(&rows, "kind"),
            .name = rows_stored(&rows, "name"),
            .from = rows_own(&rows, "from_value"),
            .to = rows_own(&rows, "to_value"),
            .by = rows_stored(&rows, "set_by"),
            .reason = rows_stored(&rows, "reason"),
            .until_us = rows_int(&rows, "until_us"),
        };
    }
    enum err err = rows_end(&rows);
    if (err)
        store_changes_done(&changes);
    else
        *ret = changes;
    return err;
}

void store_changes_done(struct store_changes *changes)
{
    for (size_t i = 0; i < changes->n; i++) {
        struct store_change *change = &changes->rows[i];
        free(change->kind);
        free(change->name);
        free(change->from);
        free(change->to);
        free(change->by);
        free(change->reason);
    }
    free(changes->rows);
    *changes = (struct store_changes){0};
}
