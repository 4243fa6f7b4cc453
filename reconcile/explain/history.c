#include "reconcile/explain/history.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/store/store.h"

/* A document as stored; null for one that this program did not write. */
static json_t *value_of(const char *text)
{
    return (text ? json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL) : NULL) ?: json_null();
}

static json_t *missed_of(const struct store_ledger_row *row)
{
    if (!row->missed_source)
        return json_null();
    json_t *missed = json_object();
    json_put(missed, "source", json_text(row->missed_source));
    json_put(missed, "event", json_text(row->missed_event));
    return missed;
}

static json_t *item_of(const struct store_ledger_row *row)
{
    json_t *item = json_object();
    json_put(item, "id", json_text(row->id.s));
    json_put(item, "at", json_instant(row->at_us));
    json_put(item, "pass_id", json_text(row->pass_id));
    json_put(item, "task_id", json_integer(row->task_id));
    json_put(item, "work_item_id", json_text(row->work_item_id));
    json_put(item, "repo", json_text(row->repo));
    json_put(item, "from_stage", json_text(row->from_stage));
    json_put(item, "to_stage", json_text(row->to_stage));
    json_put(item, "side", json_text(row->side));
    json_put(item, "outcome", json_text(row->outcome));
    json_put(item, "agent", json_text(row->agent));
    json_put(item, "reason", json_text(row->reason));
    json_put(item, "evidence", value_of(row->evidence));
    json_put(item, "missed", missed_of(row));
    return item;
}

static size_t bytes_of(const struct store_ledger_row *row)
{
    return (row->reason ? strlen(row->reason) : 0) + (row->evidence ? strlen(row->evidence) : 0);
}

/* Adds rows to a page until it has `limit` items or LIMIT_LIST_BYTES. Reads one row more, which shows whether
 * there is a next page. *before_seq: where the next part begins; 0: this is the last. */
static enum err part_read(struct store *store, int64_t task_id, size_t limit, int64_t *before_seq,
                          size_t *bytes, json_t *items, struct why *why)
{
    struct store_ledger_page page;
    size_t wanted = limit - json_array_size(items), i = 0;
    if (wanted > LIMIT_LIST_ROWS)
        wanted = LIMIT_LIST_ROWS;
    enum err err = store_ledger_list(store, task_id, *before_seq, wanted + 1, &page, why);
    if (err)
        return err;
    for (; i < page.n && i < wanted && (i == 0 || *bytes < LIMIT_LIST_BYTES); i++) {
        *bytes += bytes_of(&page.rows[i]);
        json_push(items, item_of(&page.rows[i]));
    }
    *before_seq = i < page.n ? page.rows[i - 1].seq : 0;
    store_ledger_page_done(&page);
    return ERR_OK;
}

enum err history_list(struct store *store, int64_t task_id, int64_t before_seq, size_t limit, json_t **ret,
                      struct why *why)
{
    json_t *body = json_object(), *items = json_array();
    size_t bytes = 0;
    enum err err;
    do
        err = part_read(store, task_id, limit, &before_seq, &bytes, items, why);
    while (!err && before_seq && json_array_size(items) < limit && bytes < LIMIT_LIST_BYTES);
    char next[24];
    snprintf(next, sizeof next, "%lld", (long long)before_seq);
    json_put(body, "items", items);
    json_put(body, "next", json_text(before_seq ? next : NULL));
    if (err)
        json_decref(body);
    else
        *ret = body;
    return err;
}

/* what people changed */

static json_t *change_document(const struct store_change *change)
{
    json_t *item = json_object();
    json_put(item, "seq", json_integer(change->seq));
    json_put(item, "at", json_instant(change->at_us));
    json_put(item, "kind", json_text(change->kind));
    json_put(item, "name", json_text(change->name));
    json_put(item, "from", value_of(change->from));
    json_put(item, "to", value_of(change->to));
    json_put(item, "by", json_text(change->by));
    json_put(item, "reason", json_text(change->reason));
    json_put(item, "until", json_instant(change->until_us));
    return item;
}

enum err history_changes(struct store *store, int64_t before_seq, size_t limit, json_t **ret, struct why *why)
{
    struct store_changes changes;
    enum err err = store_history_list(store, before_seq, limit + 1, &changes, why);
    if (err)
        return err;
    size_t n = changes.n < limit ? changes.n : limit;
    json_t *items = json_array();
    for (size_t i = 0; i < n; i++)
        json_push(items, change_document(&changes.rows[i]));
    char next[24];
    snprintf(next, sizeof next, "%" PRId64, n > 0 ? changes.rows[n - 1].seq : 0);
    *ret = json_object();
    json_put(*ret, "items", items);
    json_put(*ret, "next", changes.n > limit ? json_text(next) : json_null());
    store_changes_done(&changes);
    return ERR_OK;
}
