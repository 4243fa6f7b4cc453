#include "reconcile/history.h"

#include <stdio.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/store.h"

/* The evidence as it was written down; null for what nobody of us wrote. */
static json_t *evidence_of(const char *text)
{
    json_t *evidence = NULL;
    return text && json_read(text, strlen(text), &evidence, NULL) == ERR_OK ? evidence : json_null();
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
    json_put(item, "evidence", evidence_of(row->evidence));
    json_put(item, "missed", missed_of(row));
    return item;
}

/* One more than asked for is read, so that it is known whether there is a next page. */
enum err history_list(struct store *store, int64_t task_id, int64_t before_seq, size_t limit, json_t **ret,
                      struct why *why)
{
    struct store_ledger_page page;
    enum err err = store_ledger_list(store, task_id, before_seq, limit + 1, &page, why);
    if (err)
        return err;
    json_t *body = json_object(), *items = json_array();
    for (size_t i = 0; i < page.n && i < limit; i++)
        json_push(items, item_of(&page.rows[i]));
    char next[24] = "";
    if (page.n > limit)
        snprintf(next, sizeof next, "%lld", (long long)page.rows[limit - 1].seq);
    json_put(body, "items", items);
    json_put(body, "next", json_text(page.n > limit ? next : NULL));
    store_ledger_page_done(&page);
    *ret = body;
    return ERR_OK;
}
