/* Making tasks. How a batch of them becomes one transaction is in store_pg_batch.c. */
#include "clients/store/pg/store_pg.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"

static struct store_task row_task(const struct pg_batch *batch, size_t i)
{
    return new_task_view(&((const struct store_new_task *)batch->rows)[i]);
}

static struct why *row_refusal(const struct pg_batch *batch, size_t i)
{
    return ((const struct store_new_task *)batch->rows)[i].refusal;
}

static bool row_takes_id(const struct pg_batch *batch, size_t i)
{
    (void)batch, (void)i;
    return true;
}

/* The title, which is only shown, with '?' for each character that is not ASCII. Caller frees. */
static char *title_plain(const char *title)
{
    char *plain = mem_dup(title), *end = plain;
    for (const char *at = title; at && *at; at++)
        if (((unsigned char)*at & 0xC0) != 0x80) /* no byte within a character */
            *end++ = (char)((unsigned char)*at < 0x80 ? *at : '?');
    if (end)
        *end = '\0';
    return plain;
}

static json_t *row_json(const struct pg_batch *batch, size_t i)
{
    const struct store_new_task *new = &((const struct store_new_task *)batch->rows)[i];
    AUTO_FREE char *plain = batch->plain[i] ? title_plain(new->title) : NULL;
    const struct {
        const char *key, *text;
    } texts[] = {
        {"plane_id", new->plane_id},
        {"work_item_id", new->work_item_id},
        {"title", plain ? plain : new->title},
        {"repo", new->repo},
        {"branch", new->branch},
        {"stage", new->stage},
    };
    json_t *row = json_object(), *task = json_object();
    for (size_t k = 0; k < ARRAY_LEN(texts); k++)
        json_put(task, texts[k].key, json_text(texts[k].text));
    json_put(row, "i", json_integer((json_int_t)i));
    json_put(row, "id", batch->made[i] ? json_integer(batch->made[i]) : json_null());
    json_put(row, "plane_id", json_text(new->plane_id));
    json_put(row, "task", task);
    return row;
}

/* If there is no suitable key, the database reports that even for rows that conflict with no other. A view
 * that takes no rows has the same state, and its name is in the message. */
enum err pg_creations_failed(const struct pg_conn *conn, enum err err, struct why *why)
{
    static const char *const no_key[] = {"42P10" /* none */, "55000" /* one that decides at the end */};
    for (size_t i = 0; err && i < ARRAY_LEN(no_key); i++)
        if (strcmp(conn->sqlstate, no_key[i]) == 0 && !strstr(conn->refusal.text, "\"tasks\""))
            return why_set(
                why, ERR_INTERNAL,
                "the table tasks (the one below the view) has no unique key on plane_id: without one, two"
                " tasks could be made of one issue");
    return err;
}

static enum err creation_run(struct pg_conn *conn, void *batch, struct why *why)
{
    return pg_creations_failed(conn, pg_batch_run(conn, batch, why), why);
}

struct pg_batch pg_creations(const struct store_new_task *rows, size_t n, const char *ids[LIMIT_BATCH])
{
    for (size_t i = 0; i < n; i++)
        ids[i] = rows[i].plane_id;
    return (struct pg_batch){.rows = rows,
                             .n = n,
                             .row = row_json,
                             .task = row_task,
                             .refusal = row_refusal,
                             .takes_id = row_takes_id,
                             .plane_ids = ids,
                             .write = PG_CREATE,
                             .look_again = PG_CREATE_AGAIN};
}

enum store_creation pg_creation(enum pg_fate fate)
{
    static const enum store_creation creations[] = {
        [PG_FATE_OPEN] = STORE_NOT_CREATED,   [PG_FATE_WRITTEN] = STORE_CREATED,
        [PG_FATE_RACED] = STORE_EXISTS,       [PG_FATE_REFUSED] = STORE_NOT_CREATED,
        [PG_FATE_TAKEN] = STORE_BRANCH_TAKEN, [PG_FATE_LOCKED] = STORE_NOT_CREATED,
        [PG_FATE_HELD] = STORE_START_HELD};
    return creations[fate];
}

enum err pg_create_tasks(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                         const struct store_new_task *batch, size_t n, enum store_creation *ret,
                         struct why *why)
{
    const char *ids[LIMIT_BATCH] = {NULL};
    struct pg_batch work = pg_creations(batch, n, ids);
    work.settings_revision = settings_revision;
    work.valid_until_us = valid_until_us;
    work.exclusive = true;
    enum err err = pg_call(store, creation_run, &work, why);
    guard_done(&work.guard);
    for (size_t i = 0; !err && i < n; i++)
        ret[i] = pg_creation(work.fates[i]);
    return err;
}
