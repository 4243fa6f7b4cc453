/* The tasks that people name. */
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/store/store_ops.h"
#include "clients/store/store_rows.h"

/* Digits alone, with or without '#'. An id that no integer can be is −1, which no task has. */
static bool name_is_id(const char *name, int64_t *ret_id)
{
    const char *digits = name + (*name == '#');
    if (!*digits || strspn(digits, "0123456789") != strlen(digits))
        return false;
    if (!parse_i64(digits, 0, INT64_MAX, ret_id))
        *ret_id = -1;
    return true;
}

static json_t *names_json(const char *const *names, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        int64_t id;
        bool is_id = name_is_id(names[i], &id);
        json_t *row = json_array();
        json_push(row, is_id ? json_null() : json_text(names[i]));
        json_push(row, is_id ? json_integer(id) : json_null());
        json_push(list, row);
    }
    return list;
}

static void named_done(struct store_named_task *task)
{
    free(task->work_item_id);
    free(task->repo);
    free(task->stage);
}

/* Where a text is the name exactly, those that differ in case are not meant. */
static void keep_exact(struct store_named_tasks *named)
{
    size_t kept = 0;
    for (size_t i = 0; i < named->n; i++) {
        bool has_exact = false;
        for (size_t k = 0; k < named->n; k++)
            has_exact |= named->rows[k].name == named->rows[i].name && named->rows[k].is_exact;
        if (has_exact && !named->rows[i].is_exact) {
            named_done(&named->rows[i]);
            continue;
        }
        named->rows[kept++] = named->rows[i];
    }
    named->n = kept;
}

enum err store_tasks_named(struct store *store, const char *const *names, size_t n,
                           struct store_named_tasks *ret, struct why *why)
{
    struct store_named_tasks named = {0};
    json_auto_t *list = names_json(names, n);
    struct store_rows rows =
        store_query(store, SQL_TASKS_NAMED, PARAMS(JSON_PARAM(list), NUMBER_PARAM(LIMIT_CANDIDATES)), why);
    size_t i;
    while (rows_next(&rows) && rows_place(&rows, "i", n, &i)) {
        named.rows = list_room(named.rows, named.n, sizeof *named.rows);
        char *item = rows_text(&rows, "work_item_id", LIMIT_TASK_NAME);
        named.rows[named.n++] = (struct store_named_task){
            .name = i,
            .id = rows_int(&rows, "id"),
            .is_exact = item && strcmp(item, names[i]) == 0,
            .work_item_id = item,
            .repo = rows_text(&rows, "repo", LIMIT_TASK_NAME),
            .stage = rows_text(&rows, "stage", LIMIT_TASK_NAME),
        };
    }
    enum err err = rows_end(&rows);
    if (err) {
        store_named_tasks_done(&named);
        return err;
    }
    keep_exact(&named);
    *ret = named;
    return ERR_OK;
}

void store_named_tasks_done(struct store_named_tasks *named)
{
    for (size_t i = 0; i < named->n; i++)
        named_done(&named->rows[i]);
    free(named->rows);
    *named = (struct store_named_tasks){0};
}
