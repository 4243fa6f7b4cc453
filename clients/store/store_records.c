/* Our own records: the settings, the ledger, pass reports, messages and leases. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/store/store_ops.h"
#include "clients/store/store_rows.h"

/* settings */

struct store_settings store_settings_of(struct store_rows *rows)
{
    char *overrides = rows_own(rows, "overrides");
    return (struct store_settings){
        .revision = rows_int(rows, "revision"),
        .overrides = overrides ? overrides : mem_dup("{}"),
        .now_us = rows_int(rows, "now_us"),
    };
}

enum err store_settings_read(struct store *store, struct store_settings *ret, struct why *why)
{
    struct store_settings settings = {0};
    struct store_rows rows = store_query(store, SQL_SETTINGS_READ, NO_PARAMS, why);
    if (rows_next(&rows))
        settings = store_settings_of(&rows);
    enum err err = rows_end(&rows);
    if (err)
        store_settings_done(&settings);
    else
        *ret = settings;
    return err;
}

enum err store_settings_write(struct store *store, int64_t seen_revision, const char *overrides,
                              const struct store_new_change *changes, size_t n_changes, int64_t *ret_revision,
                              struct why *why)
{
    if (seen_revision < 0)
        return why_set(why, ERR_INVALID, "a revision is never negative");
    AUTO_FREE char *stored = document_stored(overrides);
    json_auto_t *history = history_json(changes, n_changes);
    return store->ops->settings_write(store, seen_revision, stored, history, ret_revision, why);
}

enum err store_policy_stands(struct store_rows rows, int64_t settings_revision, int64_t valid_until_us,
                             struct why *why)
{
    bool there = rows_next(&rows);
    int64_t revision = there ? rows_int(&rows, "revision") : 0,
            now_us = there ? rows_int(&rows, "now_us") : 0;
    enum err err = rows_end(&rows);
    if (err)
        return err;
    if (!there)
        return why_set(why, ERR_UNAVAILABLE, "the table reconcile_settings lost its row: migrate again");
    if (revision != settings_revision)
        return why_set(why, ERR_CONFLICT, "the settings were changed during the transaction");
    if (valid_until_us && now_us >= valid_until_us)
        return why_set(why, ERR_CONFLICT, "a settings override expired during the transaction");
    return ERR_OK;
}

void store_settings_done(struct store_settings *settings)
{
    free(settings->overrides);
    *settings = (struct store_settings){0};
}

/* the ledger */

static enum err ledger_since(struct store *store, int64_t after, int64_t up_to,
                             struct store_ledger_count *ret, struct why *why)
{
    struct store_ledger_count since = {.seq = after};
    struct store_rows rows =
        store_query(store, SQL_LEDGER_SINCE, PARAMS(NUMBER_PARAM(after), NUMBER_PARAM(up_to)), why);
    if (rows_next(&rows) && (since.total = rows_int(&rows, "n")) > 0) {
        since.seq = rows_int(&rows, "seq");
        since.last_work_item_id = rows_own(&rows, "last_work_item_id");
    }
    enum err err = rows_end(&rows);
    if (err)
        store_ledger_count_done(&since);
    else
        *ret = since;
    return err;
}

/* Every writer of the ledger holds the settings row's lock from before it takes a seq until its end. */
static enum err ledger_writers_await(struct store *store, struct why *why)
{
    const struct store_step step = {SQL_SETTINGS_LOCK, NO_PARAMS, NULL};
    return store_write(store, &step, 1, why);
}

enum err store_ledger_advance(struct store *store, struct store_ledger_count *count, struct why *why)
{
    struct store_ledger_count since;
    enum err err = ledger_since(store, count->seq, INT64_MAX, &since, why);
    if (!err && since.total != since.seq - count->seq) {
        int64_t up_to = since.seq;
        store_ledger_count_done(&since);
        if (!(err = ledger_writers_await(store, why)))
            err = ledger_since(store, count->seq, up_to, &since, why);
    }
    if (err)
        return err;
    count->total += since.total;
    count->seq = since.seq;
    if (since.total > 0) {
        free(count->last_work_item_id);
        count->last_work_item_id = since.last_work_item_id;
    }
    return ERR_OK;
}

void store_ledger_count_done(struct store_ledger_count *count)
{
    free(count->last_work_item_id);
    *count = (struct store_ledger_count){0};
}

enum err store_pulse(struct store *store, struct store_pulse *ret, struct why *why)
{
    struct store_pulse pulse = {0};
    struct store_rows rows = store_query(store, SQL_PULSE, NO_PARAMS, why);
    if (rows_next(&rows))
        pulse = (struct store_pulse){.now_us = rows_int(&rows, "now_us"),
                                     .settings_revision = rows_int(&rows, "revision"),
                                     .ledger_seq = rows_int(&rows, "ledger_seq"),
                                     .history_seq = rows_int(&rows, "history_seq")};
    enum err err = rows_end(&rows);
    if (!err)
        *ret = pulse;
    return err;
}

static struct store_ledger_row ledger_row_read(struct store_rows *rows)
{
    return (struct store_ledger_row){
        .seq = rows_int(rows, "seq"),
        .id = rows_uuid(rows, "id"),
        .at_us = rows_int(rows, "at_us"),
        .task_id = rows_int(rows, "task_id"),
        .pass_id = rows_own(rows, "pass_id"),
        .work_item_id = rows_own(rows, "work_item_id"),
        .repo = rows_own(rows, "repo"),
        .from_stage = rows_own(rows, "from_stage"),
        .to_stage = rows_own(rows, "to_stage"),
        .side = rows_own(rows, "side"),
        .outcome = rows_own(rows, "outcome"),
        .agent = rows_own(rows, "agent"),
        .reason = rows_stored(rows, "reason"),
        .evidence = rows_own(rows, "evidence"),
        .missed_source = rows_own(rows, "missed_source"),
        .missed_event = rows_own(rows, "missed_event"),
    };
}

enum err store_ledger_list(struct store *store, int64_t task_id, int64_t before_seq, size_t limit,
                           struct store_ledger_page *ret, struct why *why)
{
    struct store_ledger_page page = {0};
    struct store_params params = PARAMS(BEFORE_PARAM(before_seq), LIMIT_PARAM(limit), NUMBER_PARAM(task_id));
    if (!task_id)
        params.n--;
    struct store_rows rows =
        store_query(store, task_id ? SQL_LEDGER_LIST_OF_TASK : SQL_LEDGER_LIST, params, why);
    while (rows_next(&rows)) {
        page.rows = list_room(page.rows, page.n, sizeof *page.rows);
        page.rows[page.n++] = ledger_row_read(&rows);
    }
    enum err err = rows_end(&rows);
    if (err)
        store_ledger_page_done(&page);
    else
        *ret = page;
    return err;
}

void store_ledger_page_done(struct store_ledger_page *page)
{
    for (size_t i = 0; i < page->n; i++) {
        struct store_ledger_row *row = &page->rows[i];
        free(row->pass_id);
        free(row->work_item_id);
        free(row->repo);
        free(row->from_stage);
        free(row->to_stage);
        free(row->side);
        free(row->outcome);
        free(row->agent);
        free(row->reason);
        free(row->evidence);
        free(row->missed_source);
        free(row->missed_event);
    }
    free(page->rows);
    *page = (struct store_ledger_page){0};
}

/* pass reports */

enum err store_pass_save(struct store *store, const char *id, int64_t started_us, const char *report,
                         struct why *why)
{
    const struct store_step steps[] = {
        {SQL_PASS_SAVE, PARAMS(TEXT_PARAM(id), NUMBER_PARAM(started_us), DOCUMENT_PARAM(report)), NULL},
        {SQL_PASS_PRUNE, PARAMS(NUMBER_PARAM(LIMIT_PASSES_KEPT)), NULL},
    };
    return store_write(store, steps, ARRAY_LEN(steps), why);
}

enum err store_pass_get(struct store *store, const char *id, char **ret_report, struct why *why)
{
    struct store_rows rows = store_query(store, SQL_PASS_GET, PARAMS(TEXT_PARAM(id)), why);
    char *report = rows_next(&rows) ? rows_own(&rows, "report") : NULL;
    enum err err = rows_end(&rows);
    if (!err && !report)
        return why_set(why, ERR_NOT_FOUND, "no pass has the id %s", id);
    if (err)
        free(report);
    else
        *ret_report = report;
    return err;
}

enum err store_pass_list(struct store *store, int64_t before_us, size_t limit, struct store_pass_page *ret,
                         struct why *why)
{
    struct store_pass_page page = {0};
    struct store_rows rows = store_query(
        store, SQL_PASS_LIST,
        PARAMS(BEFORE_PARAM(before_us), LIMIT_PARAM(limit), NUMBER_PARAM(LIMIT_REPORT_HEAD)), why);
    while (rows_next(&rows)) {
        page.rows = list_room(page.rows, page.n, sizeof *page.rows);
        page.rows[page.n++] = (struct store_pass){.id = rows_uuid(&rows, "id"),
                                                  .started_us = rows_int(&rows, "started_us"),
                                                  .report = rows_own(&rows, "report")};
    }
    enum err err = rows_end(&rows);
    if (err)
        store_pass_page_done(&page);
    else
        *ret = page;
    return err;
}

void store_pass_page_done(struct store_pass_page *page)
{
    for (size_t i = 0; i < page->n; i++)
        free(page->rows[i].report);
    free(page->rows);
    *page = (struct store_pass_page){0};
}

/* messages */

const char *destination_name(enum store_destination to)
{
    static const char *const names[] = {[STORE_TO_TELEGRAM] = NULL, [STORE_TO_WEBHOOK] = "webhook"};
    static_assert(ARRAY_LEN(names) == STORE_TO_MAX_, "every destination has a name");
    return names[to];
}

bool destination_row(unsigned destinations, enum store_destination to, const char *id, struct uuid_text *ret)
{
    const char *name = destination_name(to);
    AUTO_FREE char *derived = name ? mem_printf("%s/%s", name, id) : NULL;
    if (!(destinations & 1u << to))
        return false;
    if (derived)
        *ret = uuid_from_name(derived);
    else
        snprintf(ret->s, sizeof ret->s, "%s", id);
    return true;
}

enum err store_outbox_list(struct store *store, enum store_destination to, size_t limit,
                           struct store_outbox *ret, struct why *why)
{
    struct store_outbox outbox = {0};
    struct store_rows rows = store_query(store, SQL_OUTBOX_LIST,
                                         PARAMS(LIMIT_PARAM(limit), TEXT_PARAM(destination_name(to))), why);
    while (rows_next(&rows)) {
        outbox.depth = (size_t)rows_int(&rows, "depth");
        if (rows_null(&rows, "id"))
            continue; /* the one row there always is */
        outbox.rows = list_room(outbox.rows, outbox.n, sizeof *outbox.rows);
        outbox.rows[outbox.n++] = (struct store_message){.id = rows_uuid(&rows, "id"),
                                                         .seq = rows_int(&rows, "seq"),
                                                         .age_s = rows_int(&rows, "age_s"),
                                                         .text = rows_stored(&rows, "text")};
    }
    enum err err = rows_end(&rows);
    if (err)
        store_outbox_done(&outbox);
    else
        *ret = outbox;
    return err;
}

void store_outbox_done(struct store_outbox *outbox)
{
    for (size_t i = 0; i < outbox->n; i++)
        free(outbox->rows[i].text);
    free(outbox->rows);
    *outbox = (struct store_outbox){0};
}

enum err store_outbox_add(struct store *store, const char *id, const char *text, bool *ret_new,
                          struct why *why)
{
    assert(uuid_valid(id));
    enum { FIELDS = 3 };
    struct store_step steps[STORE_TO_MAX_];
    struct store_param fields[STORE_TO_MAX_][FIELDS];
    struct uuid_text ids[STORE_TO_MAX_];
    size_t written[STORE_TO_MAX_] = {0}, n = 0;
    for (enum store_destination to = 0; to < STORE_TO_MAX_; to++) {
        if (!destination_row(store->destinations, to, id, &ids[n]))
            continue;
        fields[n][0] = TEXT_PARAM(ids[n].s);
        fields[n][1] = STORED_PARAM(text);
        fields[n][2] = TEXT_PARAM(destination_name(to));
        steps[n] = (struct store_step){SQL_OUTBOX_ADD, {.list = fields[n], .n = FIELDS}, &written[n]};
        n++;
    }
    enum err err = n > 0 ? store_write(store, steps, n, why) : ERR_OK;
    bool is_new = false;
    for (size_t i = 0; i < n; i++)
        is_new |= written[i] > 0;
    if (!err && ret_new)
        *ret_new = is_new;
    return err;
}

enum err store_outbox_sent(struct store *store, const struct uuid_text *ids, size_t n, struct why *why)
{
    json_auto_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_push(list, json_text(ids[i].s));
    const struct store_step steps[] = {{SQL_OUTBOX_SENT, PARAMS(JSON_PARAM(list)), NULL},
                                       {SQL_OUTBOX_PRUNE, PARAMS(NUMBER_PARAM(LIMIT_OUTBOX_KEPT)), NULL}};
    return n == 0 ? ERR_OK : store_write(store, steps, ARRAY_LEN(steps), why);
}

/* leases */

enum err store_lease_take(struct store *store, const char *name, const char *owner, int64_t seconds,
                          bool *ret_held, struct why *why)
{
    assert(seconds > 0);
    const struct store_params params = PARAMS(TEXT_PARAM(name), TEXT_PARAM(owner), NUMBER_PARAM(seconds));
    struct store_rows rows = store_query(store, SQL_LEASE_STANDS, params, why);
    bool stands = rows_next(&rows), held = stands && rows_bool(&rows, "ours");
    enum err err = rows_end(&rows);
    size_t taken = 0;
    if (!err && !stands)
        err = store_write(store, &(const struct store_step){SQL_LEASE_TAKE, params, &taken}, 1, why);
    if (!err)
        *ret_held = held || taken > 0;
    return err;
}

enum err store_lease_drop(struct store *store, const char *name, const char *owner, struct why *why)
{
    const struct store_step step = {SQL_LEASE_DROP, PARAMS(TEXT_PARAM(name), TEXT_PARAM(owner)), NULL};
    return store_write(store, &step, 1, why);
}
