/* What Plane's issues are compared with: their tasks, the verdicts that were replayed, and the tasks that are
 * made of them. */
#include "clients/store/pg/store_pg.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"

/* the tasks of issues */

/* The columns of SQL_ISSUE_TASKS. */
enum { COL_REVISION, COL_NOW_US, COL_BUSY, COL_UPDATED_US, COL_TASK };

struct asked {
    const char *id;
    size_t issue;
};

/* As UUIDs are compared, with or without hyphens, in either case. */
static int id_order(const char *a, const char *b)
{
    do {
        a += *a == '-';
        b += *b == '-';
        int order = tolower((unsigned char)*a) - tolower((unsigned char)*b);
        if (order)
            return order;
    } while (*a++ && *b++);
    return 0;
}

static int asked_order(const void *a, const void *b)
{
    return id_order(((const struct asked *)a)->id, ((const struct asked *)b)->id);
}

static int row_order(const void *a, const void *b)
{
    const struct store_issue_task *left = a, *right = b;
    if (left->issue != right->issue)
        return left->issue < right->issue ? -1 : 1;
    return (left->task.id > right->task.id) - (left->task.id < right->task.id);
}

/* The issues by their ids, for bsearch. */
static struct asked *asked_sort(const char *const *ids, size_t n)
{
    struct asked *asked = mem_zero(n, sizeof *asked);
    for (size_t i = 0; i < n; i++)
        asked[i] = (struct asked){.id = ids[i], .issue = i};
    qsort(asked, n, sizeof *asked, asked_order);
    return asked;
}

/* A task for each place where its issue was asked about: once, unless somebody asks twice. */
static void issue_task_add(struct store_issue_tasks *tasks, const struct asked *asked, size_t n,
                           const PGresult *result, int row)
{
    const struct asked key = {.id = PQgetvalue(result, row, COL_TASK + 1)};
    const struct asked *found = bsearch(&key, asked, n, sizeof key, asked_order);
    while (found && found > asked && asked_order(found - 1, &key) == 0)
        found--;
    for (; found && found < asked + n && asked_order(found, &key) == 0; found++) {
        tasks->rows = mem_grow(tasks->rows, tasks->n + 1, sizeof *tasks->rows);
        tasks->rows[tasks->n++] = (struct store_issue_task){
            .issue = found->issue,
            .task = pg_task_read(result, row, COL_TASK),
            .updated_us = pg_int(result, row, COL_UPDATED_US),
            .active = PQgetvalue(result, row, COL_BUSY)[0] == 't',
        };
    }
}

enum err pg_issue_tasks(struct store *store, const char *const *plane_ids, size_t n,
                        struct store_issue_tasks *ret, struct why *why)
{
    AUTO_FREE char *spellings = pg_spellings(plane_ids, n);
    AUTO_RESULT PGresult *result = NULL;
    const char *const params[] = {spellings};
    enum err err = pg_read(store, SQL_ISSUE_TASKS, params, &result, why);
    if (err)
        return err;
    if (PQntuples(result) == 0)
        return why_set(why, ERR_INTERNAL, "the database gave no answer about the tasks of issues");
    struct store_issue_tasks tasks = {.settings_revision = pg_int(result, 0, COL_REVISION),
                                      .now_us = pg_int(result, 0, COL_NOW_US)};
    struct asked *asked = asked_sort(plane_ids, n);
    for (int row = 0; row < PQntuples(result); row++)
        if (!PQgetisnull(result, row, COL_TASK)) /* the one row there always is */
            issue_task_add(&tasks, asked, n, result, row);
    free(asked);
    if (tasks.n > 0)
        qsort(tasks.rows, tasks.n, sizeof *tasks.rows, row_order);
    *ret = tasks;
    return ERR_OK;
}

/* work items */

enum err pg_work_items(struct store *store, const char *const *ids, size_t n, struct store_work_item *ret,
                       struct why *why)
{
    enum { I, ID, PLANE_ID };
    AUTO_FREE char *array = pg_array(ids, n);
    AUTO_RESULT PGresult *result = NULL;
    const char *const params[] = {array};
    enum err err = pg_read(store, SQL_WORK_ITEMS, params, &result, why);
    if (err)
        return err;
    memset(ret, 0, n * sizeof *ret);
    for (int row = 0; row < PQntuples(result); row++) {
        size_t i;
        if ((err = pg_place(result, row, n, &i, why)))
            return err;
        store_work_item_found(&ret[i], pg_int(result, row, ID), PQgetvalue(result, row, PLANE_ID));
    }
    return ERR_OK;
}

/* verdicts */

enum err pg_verdicts_replayed(struct store *store, const char *const *ids, size_t n, bool *ret,
                              struct why *why)
{
    AUTO_FREE char *array = pg_array(ids, n);
    AUTO_RESULT PGresult *result = NULL;
    const char *const params[] = {array};
    enum err err = pg_ask(store, SQL_VERDICTS_REPLAYED, params, &result, why);
    if (err)
        return err;
    memset(ret, 0, n * sizeof *ret);
    for (int row = 0; row < PQntuples(result); row++) {
        size_t i;
        if ((err = pg_place(result, row, n, &i, why)))
            return err;
        ret[i] = true;
    }
    return ERR_OK;
}

/* making tasks */

static struct why *row_refusal(const struct pg_batch *batch, size_t i)
{
    return ((const struct store_new_task *)batch->rows)[i].refusal;
}

static json_t *row_key(const struct pg_batch *batch, size_t i)
{
    const struct store_new_task *task = &((const struct store_new_task *)batch->rows)[i];
    json_t *row = json_object();
    json_put(row, "i", json_integer((json_int_t)i));
    json_put(row, "id", batch->made[i] ? json_integer(batch->made[i]) : json_null());
    json_put(row, "plane_id", json_text(task->plane_id));
    return row;
}

static json_t *row_whole(const struct pg_batch *batch, size_t i)
{
    const struct store_new_task *new = &((const struct store_new_task *)batch->rows)[i];
    const struct {
        const char *key, *text;
    } texts[] = {
        {"plane_id", new->plane_id}, {"work_item_id", new->work_item_id},
        {"title", new->title},       {"repo", new->repo},
        {"branch", new->branch},     {"stage", new->stage},
    };
    json_t *row = json_object(), *task = json_object();
    for (size_t k = 0; k < ARRAY_LEN(texts); k++)
        json_put(task, texts[k].key, json_text(texts[k].text));
    json_put(row, "i", json_integer((json_int_t)i));
    json_put(row, "task", task);
    return row;
}

/* Without a key that can decide, the database says so whether or not there is something to decide. */
static enum err creation_run(struct pg_conn *conn, void *batch, struct why *why)
{
    static const char *const no_key[] = {"42P10" /* none */, "55000" /* one that decides at the end */};
    enum err err = pg_batch_run(conn, batch, why);
    for (size_t i = 0; err && i < ARRAY_LEN(no_key); i++)
        if (strcmp(pg_sqlstate(conn), no_key[i]) == 0)
            return why_set(
                why, ERR_INTERNAL,
                "the table tasks (the one below the view) has no unique key on plane_id, which alone"
                " can decide who creates a task");
    return err;
}

enum err pg_create_tasks(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                         const struct store_new_task *batch, size_t n, enum store_creation *ret,
                         struct why *why)
{
    static const enum store_creation creations[] = {[PG_FATE_OPEN] = STORE_NOT_CREATED,
                                                    [PG_FATE_WRITTEN] = STORE_CREATED,
                                                    [PG_FATE_RACED] = STORE_EXISTS,
                                                    [PG_FATE_REFUSED] = STORE_NOT_CREATED,
                                                    [PG_FATE_LOCKED] = STORE_NOT_CREATED};
    const char *ids[LIMIT_BATCH] = {NULL};
    for (size_t i = 0; i < n; i++)
        ids[i] = batch[i].plane_id;
    AUTO_FREE char *spellings = pg_spellings(ids, n);
    struct pg_batch work = {.settings_revision = settings_revision,
                            .valid_until_us = valid_until_us,
                            .rows = batch,
                            .n = n,
                            .key = row_key,
                            .whole = row_whole,
                            .refusal = row_refusal,
                            .common = spellings,
                            .write = PG_CREATE,
                            .look_again = PG_CREATE_AGAIN};
    enum err err = pg_call(store, creation_run, &work, why);
    for (size_t i = 0; !err && i < n; i++)
        ret[i] = creations[work.fates[i]];
    return err;
}
