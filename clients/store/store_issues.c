/* What Plane's issues are compared with: their tasks, their work items, the verdicts that were replayed. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/store/store_ops.h"
#include "clients/store/store_rows.h"

/* the tasks of issues */

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

/* A task for each place where its issue was asked about: once, unless an issue is asked about twice. */
static void issue_task_add(struct store_issue_tasks *tasks, const struct asked *asked, size_t n,
                           struct store_rows *rows)
{
    const struct asked key = {.id = rows_field(rows, "plane_id").bytes};
    const struct asked *found = bsearch(&key, asked, n, sizeof key, asked_order);
    while (found && found > asked && asked_order(found - 1, &key) == 0)
        found--;
    for (; found && found < asked + n && asked_order(found, &key) == 0; found++) {
        tasks->rows = list_room(tasks->rows, tasks->n, sizeof *tasks->rows);
        tasks->rows[tasks->n++] = (struct store_issue_task){
            .issue = found->issue,
            .task = rows_task(rows),
            .updated_us = rows_int(rows, "updated_us"),
            .active = rows_bool(rows, "active"),
        };
    }
}

enum err store_issue_tasks(struct store *store, const char *const *plane_ids, size_t n,
                           struct store_issue_tasks *ret, struct why *why)
{
    struct store_issue_tasks tasks = {0};
    AUTO_FREE struct asked *asked = asked_sort(plane_ids, n);
    struct store_rows rows = store_query(store, SQL_ISSUE_TASKS, PARAMS(IDS_PARAM(plane_ids, n)), why);
    while (rows_next(&rows)) {
        tasks.settings_revision = rows_int(&rows, "revision");
        tasks.now_us = rows_int(&rows, "now_us");
        if (!rows_null(&rows, "id")) /* the one row there always is */
            issue_task_add(&tasks, asked, n, &rows);
    }
    enum err err = rows_end(&rows);
    if (tasks.n > 0)
        qsort(tasks.rows, tasks.n, sizeof *tasks.rows, row_order);
    if (err)
        store_issue_tasks_done(&tasks);
    else
        *ret = tasks;
    return err;
}

void store_issue_tasks_done(struct store_issue_tasks *tasks)
{
    for (size_t i = 0; i < tasks->n; i++)
        store_task_done(&tasks->rows[i].task);
    free(tasks->rows);
    *tasks = (struct store_issue_tasks){0};
}

/* work items */

static void work_item_add(struct store_work_item *item, struct store_rows *rows)
{
    struct uuid_text id = {.s = ""};
    bool of_issue = uuid_read(rows_field(rows, "plane_id").bytes, &id);
    *item = (struct store_work_item){.found = true,
                                     .of_issue = of_issue && (item->of_issue || !item->found),
                                     .task_id = rows_int(rows, "id"),
                                     .plane_id = id};
}

enum err store_work_items(struct store *store, const char *const *ids, size_t n, struct store_work_item *ret,
                          struct why *why)
{
    if (n == 0)
        return ERR_OK;
    AUTO_FREE struct store_work_item *items = mem_zero(n, sizeof *items);
    json_auto_t *list = json_texts(ids, n);
    struct store_rows rows = store_query(store, SQL_WORK_ITEMS, PARAMS(JSON_PARAM(list)), why);
    size_t i;
    while (rows_next(&rows) && rows_place(&rows, "i", n, &i))
        work_item_add(&items[i], &rows);
    enum err err = rows_end(&rows);
    if (!err)
        memcpy(ret, items, n * sizeof *ret);
    return err;
}

/* branches */

enum err store_branches_taken(struct store *store, const struct store_branch *branches, size_t n,
                              const char *stage, int64_t *ret_tasks, struct why *why)
{
    if (n == 0)
        return ERR_OK;
    AUTO_FREE int64_t *tasks = mem_zero(n, sizeof *tasks);
    json_auto_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_push(list, branch_json(&branches[i]));
    struct store_rows rows =
        store_query(store, SQL_BRANCHES_TAKEN, PARAMS(JSON_PARAM(list), TEXT_PARAM(stage)), why);
    size_t i;
    while (rows_next(&rows) && rows_place(&rows, "i", n, &i))
        tasks[i] = rows_int(&rows, "id");
    enum err err = rows_end(&rows);
    if (!err)
        memcpy(ret_tasks, tasks, n * sizeof *ret_tasks);
    return err;
}

json_t *branch_json(const struct store_branch *branch)
{
    json_t *row = json_array();
    json_push(row, json_text(branch->repo));
    json_push(row, json_text(branch->name));
    json_push(row, json_integer(branch->task_id));
    return row;
}

/* verdicts */

enum err store_verdicts_replayed(struct store *store, const char *const *ids, size_t n, bool *ret,
                                 struct why *why)
{
    if (n == 0)
        return ERR_OK;
    AUTO_FREE bool *replayed = mem_zero(n, sizeof *replayed);
    json_auto_t *list = json_texts(ids, n);
    struct store_rows rows = store_query(store, SQL_VERDICTS_REPLAYED, PARAMS(JSON_PARAM(list)), why);
    size_t i;
    while (rows_next(&rows) && rows_place(&rows, "i", n, &i))
        replayed[i] = true;
    enum err err = rows_end(&rows);
    if (!err)
        memcpy(ret, replayed, n * sizeof *ret);
    return err;
}
