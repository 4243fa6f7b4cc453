/* What people keep from leaving its stage, and what they release. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/store/store_ops.h"
#include "clients/store/store_rows.h"
#include "clients/store/store_schema.h"

/* reading */

static struct store_hold hold_read(struct store_rows *rows)
{
    return (struct store_hold){
        .scope = rows_stored(rows, "scope"),
        .plane_id = rows_stored(rows, "plane_id"),
        .work_item_id = rows_stored(rows, "work_item_id"),
        .reason = rows_stored(rows, "reason"),
        .by = rows_stored(rows, "set_by"),
        .since_us = rows_int(rows, "since_us"),
        .until_us = rows_int(rows, "until_us"),
    };
}

enum err guard_read(struct store_rows rows, struct store_guard *ret)
{
    struct store_guard guard = {.is_newer = false};
    while (rows_next(&rows)) {
        guard.is_newer = schema_is_newer(rows_int(&rows, "version"));
        if (rows_null(&rows, "scope"))
            continue;
        guard.holds.rows = list_room(guard.holds.rows, guard.holds.n, sizeof *guard.holds.rows);
        guard.holds.rows[guard.holds.n++] = hold_read(&rows);
    }
    enum err err = rows_end(&rows);
    if (err)
        guard_done(&guard);
    else
        *ret = guard;
    return err;
}

enum err store_holds_list(struct store *store, struct store_holds *ret, struct why *why)
{
    struct store_guard guard;
    enum err err = guard_read(store_query(store, SQL_HOLDS, NO_PARAMS, why), &guard);
    if (!err)
        *ret = guard.holds;
    return err;
}

void guard_done(struct store_guard *guard)
{
    store_holds_done(&guard->holds);
}

void store_holds_done(struct store_holds *holds)
{
    for (size_t i = 0; i < holds->n; i++) {
        struct store_hold *hold = &holds->rows[i];
        free(hold->scope);
        free(hold->plane_id);
        free(hold->work_item_id);
        free(hold->reason);
        free(hold->by);
    }
    free(holds->rows);
    *holds = (struct store_holds){0};
}

/* deciding */

static bool is_same_text(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

static bool is_same_task(const struct store_hold *hold, const char *id, const struct store_task *task)
{
    if (task->id == 0 || strtoll(id, NULL, 10) != task->id)
        return false;
    return is_same_text(hold->work_item_id, task->work_item_id) ||
           is_same_text(hold->plane_id, task->plane_id) ||
           (!hold->work_item_id && !task->work_item_id && (!hold->plane_id || !task->plane_id));
}

bool store_hold_covers(const struct store_hold *hold, const struct store_task *task)
{
    const char *name;
    if ((name = text_behind(hold->scope, "task/")))
        return is_same_task(hold, name, task);
    if ((name = text_behind(hold->scope, "repo/")))
        return task->repo && repo_compare(name, task->repo) == 0;
    name = text_behind(hold->scope, "stage/");
    return name && is_same_text(name, task->stage);
}

/* In alphabetical order a repository's hold comes before a stage's, and a task's comes last. */
const struct store_hold *store_hold_of(const struct store_holds *holds, const struct store_task *task)
{
    const struct store_hold *first = NULL;
    for (size_t i = 0; i < holds->n; i++)
        if (store_hold_covers(&holds->rows[i], task) &&
            (!first || text_behind(holds->rows[i].scope, "task/")))
            first = &holds->rows[i];
    return first;
}

static json_t *held_task_json(const struct store_hold *hold, const char *id)
{
    json_t *task = json_array();
    json_push(task, json_integer(strtoll(id, NULL, 10)));
    json_push(task, json_text(hold->work_item_id));
    json_push(task, json_text(hold->plane_id));
    return task;
}

json_t *holds_json(const struct store_holds *holds)
{
    if (!holds)
        return json_null();
    json_t *lists = json_object(), *repos = json_array(), *stages = json_array(), *tasks = json_array();
    for (size_t i = 0; i < holds->n; i++) {
        const char *scope = holds->rows[i].scope, *name;
        if ((name = text_behind(scope, "repo/")))
            json_push(repos, json_text(name));
        else if ((name = text_behind(scope, "stage/")))
            json_push(stages, json_text(name));
        else if ((name = text_behind(scope, "task/")))
            json_push(tasks, held_task_json(&holds->rows[i], name));
    }
    json_put(lists, "repos", repos);
    json_put(lists, "stages", stages);
    json_put(lists, "tasks", tasks);
    return lists;
}

struct why store_hold_words(const struct store_hold *hold)
{
    struct why words;
    char until[INSTANT_TEXT_SIZE] = "";
    if (hold->until_us)
        instant_format(hold->until_us, until);
    (void)why_set(&words, ERR_OK, "held%s%s%s%s: %s", hold->by ? " by " : "", hold->by ? hold->by : "",
                  *until ? " until " : "", until, hold->reason);
    return words;
}

bool guard_keeps(const struct store_guard *guard, const struct store_task *task, struct why *ret)
{
    const struct store_hold *hold = store_hold_of(&guard->holds, task);
    if (guard->is_newer)
        (void)why_set(ret, ERR_OK, "a newer version has migrated");
    else if (hold && ret)
        *ret = store_hold_words(hold);
    return guard->is_newer || hold;
}

struct store_task new_task_view(const struct store_new_task *task)
{
    return (struct store_task){.plane_id = (char *)(uintptr_t)task->plane_id,
                               .work_item_id = (char *)(uintptr_t)task->work_item_id,
                               .repo = (char *)(uintptr_t)task->repo,
                               .stage = (char *)(uintptr_t)task->stage};
}

/* writing */

/* `because`: of the change, for the history. */
static json_t *hold_json(const struct store_new_hold *hold, const char *because)
{
    const struct {
        const char *key, *text;
    } texts[] = {
        {"scope", hold->scope}, {"name", hold->name}, {"plane_id", hold->plane_id},
        {"set_by", hold->by},   {"why", because},     {"work_item_id", hold->work_item_id},
    };
    json_t *row = json_object();
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        AUTO_FREE char *stored = text_stored(texts[i].text);
        json_put(row, texts[i].key, json_text(stored));
    }
    AUTO_FREE char *reason = hold->reason ? string_stored(hold->reason) : NULL;
    json_put(row, "reason", json_text(reason)); /* in the history it is a JSON document */
    json_put(row, "until_us", hold->until_us ? json_integer(hold->until_us) : json_null());
    return row;
}

enum err store_hold_put(struct store *store, const struct store_new_hold *hold, enum store_hold_set *ret,
                        struct why *why)
{
    json_auto_t *row = hold_json(hold, hold->reason);
    AUTO_FREE char *scope = text_stored(hold->scope);
    size_t replaced = 0, added = 0;
    const struct store_params params = PARAMS(JSON_PARAM(row), NUMBER_PARAM(LIMIT_HOLDS));
    const struct store_step steps[] = {
        {SQL_SETTINGS_LOCK, NO_PARAMS, NULL}, {SQL_HOLDS_EXPIRE, NO_PARAMS, NULL},
        {SQL_HOLD_HISTORY, params, NULL},     {SQL_HOLD_DROP, PARAMS(TEXT_PARAM(scope)), &replaced},
        {SQL_HOLD_ADD, params, &added},
    };
    enum err err = store_write(store, steps, ARRAY_LEN(steps), why);
    if (!err)
        *ret = added == 0 ? STORE_HOLD_TOO_MANY : replaced ? STORE_HOLD_REPLACED : STORE_HOLD_NEW;
    return err;
}

enum err store_hold_end(struct store *store, const char *scope, const char *name, const char *by,
                        const char *why_ended, struct why *why)
{
    const struct store_new_hold no_more = {.scope = scope, .name = name, .by = by};
    json_auto_t *row = hold_json(&no_more, why_ended);
    AUTO_FREE char *stored = text_stored(scope);
    size_t ended = 0;
    const struct store_step steps[] = {
        {SQL_SETTINGS_LOCK, NO_PARAMS, NULL},
        {SQL_HOLDS_EXPIRE, NO_PARAMS, NULL},
        /* A hold that is there fits, however many there are. */
        {SQL_HOLD_HISTORY, PARAMS(JSON_PARAM(row), NUMBER_PARAM(0)), NULL},
        {SQL_HOLD_DROP, PARAMS(TEXT_PARAM(stored)), &ended},
    };
    enum err err = store_write(store, steps, ARRAY_LEN(steps), why);
    return err || ended ? err : why_set(why, ERR_NOT_FOUND, "there is no hold on %s", name);
}

enum err store_release(struct store *store, int64_t task_id, const char *name, const char *by,
                       const char *reason, struct why *why)
{
    const struct store_new_change change = {.kind = "release", .name = name, .by = by, .reason = reason};
    json_auto_t *history = history_json(&change, 1);
    AUTO_FREE char *scope = mem_printf("task/%lld", (long long)task_id);
    const struct store_step steps[] = {
        {SQL_SETTINGS_LOCK, NO_PARAMS, NULL},
        {SQL_RELEASE, PARAMS(NUMBER_PARAM(task_id)), NULL},
        {SQL_HOLD_DROP, PARAMS(TEXT_PARAM(scope)), NULL},
        {SQL_HISTORY_ADD, PARAMS(JSON_PARAM(history)), NULL},
    };
    return store_write(store, steps, ARRAY_LEN(steps), why);
}
