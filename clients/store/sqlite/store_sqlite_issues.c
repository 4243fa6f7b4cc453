/* Making tasks. */
#include "clients/store/sqlite/store_sqlite.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"

struct creation {
    const struct store_new_task *batch;
    size_t n;
    bool exists[LIMIT_BATCH], taken[LIMIT_BATCH]; /* before we came: its task, another one of its branch */
    enum store_creation results[LIMIT_BATCH];
};

/* Creation here does not need the key: under BEGIN IMMEDIATE no other process inserts, so a missing task
 * stays missing until the commit. The key prevents that the orchestrator makes the same task afterwards. What
 * is below a view cannot be known. */
enum err sqlite_tasks_keyed(struct sqlite_conn *conn, struct why *why)
{
    size_t view;
    enum err err = sqlite_run(conn, SQL_TASKS_ARE_A_VIEW, NO_PARAMS, &view, why);
    if (err)
        return err;
    if (view)
        return sqlite_execute(conn, SQL_TASKS_TAKE_NEW, why);
    json_auto_t *columns = columns_list(&column_ids_filled, 1);
    if ((err = columns_check(sqlite_query(conn, SQL_COLUMNS, PARAMS(JSON_PARAM(columns)), why),
                             &column_ids_filled, 1, why)))
        return err == ERR_UNAVAILABLE ? ERR_INTERNAL : err;
    err = sqlite_execute(conn, SQL_TASKS_ARE_KEYED, why);
    if (err == ERR_INTERNAL)
        return why_set(why, err,
                       "the table tasks has no unique key on plane_id alone: without one, two tasks could "
                       "be made of one issue");
    return err;
}

static enum err existing_find(struct sqlite_conn *conn, struct creation *creation, struct why *why)
{
    const char *plane_ids[LIMIT_BATCH];
    for (size_t i = 0; i < creation->n; i++)
        plane_ids[i] = creation->batch[i].plane_id;
    memset(creation->exists, 0, sizeof creation->exists);
    struct store_rows rows =
        sqlite_query(conn, SQL_TASKS_EXISTING, PARAMS(IDS_PARAM(plane_ids, creation->n)), why);
    size_t i;
    while (rows_next(&rows) && rows_place(&rows, "i", creation->n, &i))
        creation->exists[i] = true;
    return rows_end(&rows);
}

static enum err taken_find(struct sqlite_conn *conn, struct creation *creation, struct why *why)
{
    json_auto_t *list = json_array();
    for (size_t i = 0; i < creation->n; i++)
        json_push(list, branch_json(&(struct store_branch){.repo = creation->batch[i].repo,
                                                           .name = creation->batch[i].branch}));
    memset(creation->taken, 0, sizeof creation->taken);
    struct store_rows rows =
        sqlite_query(conn, SQL_BRANCHES_TAKEN, PARAMS(JSON_PARAM(list), TEXT_PARAM("")), why);
    size_t i;
    while (rows_next(&rows) && rows_place(&rows, "i", creation->n, &i))
        creation->taken[i] = true;
    return rows_end(&rows);
}

static enum err creation_begin(struct sqlite_conn *conn, void *arg, struct why *why)
{
    enum err err = sqlite_tasks_keyed(conn, why);
    if (!err)
        err = existing_find(conn, arg, why);
    return err ? err : taken_find(conn, arg, why);
}

static bool is_there(const struct creation *creation, size_t i)
{
    bool there = creation->exists[i];
    for (size_t k = 0; !there && k < i; k++)
        there = creation->results[k] == STORE_CREATED &&
                strcasecmp(creation->batch[k].plane_id, creation->batch[i].plane_id) == 0;
    return there;
}

static bool is_same(const char *a, const char *b, int (*compare)(const char *, const char *))
{
    return a && b && compare(a, b) == 0;
}

static bool is_taken(const struct creation *creation, size_t i)
{
    const struct store_new_task *batch = creation->batch;
    bool taken = creation->taken[i];
    for (size_t k = 0; !taken && k < i; k++)
        taken = creation->results[k] == STORE_CREATED &&
                is_same(batch[k].repo, batch[i].repo, repo_compare) &&
                is_same(batch[k].branch, batch[i].branch, strcmp);
    return taken;
}

enum err sqlite_task_create(struct sqlite_conn *conn, const struct store_new_task *task, size_t *ret_rows,
                            struct why *why)
{
    return sqlite_run(conn, SQL_TASK_CREATE,
                      PARAMS(TEXT_PARAM(task->plane_id), TEXT_PARAM(task->work_item_id),
                             TEXT_PARAM(task->title), TEXT_PARAM(task->repo), TEXT_PARAM(task->branch),
                             TEXT_PARAM(task->stage)),
                      ret_rows, why);
}

static enum err row_create(struct sqlite_conn *conn, void *arg, size_t i, bool *ret_keep, struct why *why)
{
    struct creation *creation = arg;
    const struct store_new_task *task = &creation->batch[i];
    creation->results[i] = is_there(creation, i)   ? STORE_EXISTS
                           : is_taken(creation, i) ? STORE_BRANCH_TAKEN
                                                   : STORE_NOT_CREATED;
    if (creation->results[i] != STORE_NOT_CREATED)
        return ERR_OK;
    size_t rows;
    enum err err = sqlite_task_create(conn, task, &rows, why);
    if (err || rows == 0)
        return err; /* no row: a trigger did RAISE(IGNORE) */
    creation->results[i] = STORE_CREATED;
    *ret_keep = true;
    return ERR_OK;
}

static struct store_task row_task(const void *arg, size_t i)
{
    return new_task_view(&((const struct creation *)arg)->batch[i]);
}

static void row_held(void *arg, size_t i)
{
    ((struct creation *)arg)->results[i] = STORE_START_HELD;
}

static struct why *row_refusal(void *arg, size_t i)
{
    return ((const struct creation *)arg)->batch[i].refusal;
}

enum err sqlite_create_tasks(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                             const struct store_new_task *batch, size_t n, enum store_creation *ret,
                             struct why *why)
{
    struct creation creation = {.batch = batch, .n = n};
    const struct sqlite_batch rows = {.settings_revision = settings_revision,
                                      .valid_until_us = valid_until_us,
                                      .n = n,
                                      .begin = creation_begin,
                                      .write = row_create,
                                      .task = row_task,
                                      .held = row_held,
                                      .refusal = row_refusal,
                                      .arg = &creation};
    enum err err = sqlite_batch_run(store, &rows, why);
    for (size_t i = 0; !err && i < n; i++)
        ret[i] = creation.results[i];
    return err;
}
