#include "reconcile/holds/holds.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/store/store.h"
#include "reconcile/gates/gate_decide.h"
#include "reconcile/heal/services.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/settings/policy.h"
#include "reconcile/settings/remark.h"
#include "reconcile/settings/settings.h"

static const struct {
    const char *begins;
    enum hold_kind kind;
} kinds[] = {{"task/", HOLD_TASK}, {"repo/", HOLD_REPO}, {"stage/", HOLD_STAGE}};

static const char *begin_of(enum hold_kind kind)
{
    size_t i = 0;
    while (kinds[i].kind != kind)
        i++;
    return kinds[i].begins;
}

bool hold_target_read(const char *scope, struct hold_target *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const char *name = text_behind(scope, kinds[i].begins);
        if (!name || !*name)
            continue;
        *ret = (struct hold_target){.kind = kinds[i].kind, .name = name};
        return true;
    }
    return false;
}

/* names */

static bool is_task(const struct store_hold *hold, int64_t *ret_id)
{
    struct hold_target target;
    return hold_target_read(hold->scope, &target) && target.kind == HOLD_TASK &&
           parse_i64(target.name, INT64_MIN, INT64_MAX, ret_id);
}

/* The work item id of a hold, where the task of that id is the only one with it. */
static const char *own_name(const struct store_named_tasks *named, const struct store_hold *holds, size_t i,
                            int64_t id)
{
    size_t found = 0;
    bool is_own = false;
    for (size_t k = 0; k < named->n; k++)
        if (named->rows[k].name == i) {
            found++;
            is_own = named->rows[k].id == id;
        }
    return found == 1 && is_own ? holds[i].work_item_id : NULL;
}

enum err hold_names(struct store *store, const struct store_hold *holds, size_t n, char ***ret,
                    struct why *why)
{
    struct store_named_tasks named = {0};
    AUTO_FREE const char **items = mem_zero(n + 1, sizeof *items);
    for (size_t i = 0; i < n; i++)
        items[i] = holds[i].work_item_id ? holds[i].work_item_id : "";
    enum err err = n == 0 ? ERR_OK : store_tasks_named(store, items, n, &named, why);
    if (err)
        return err;
    *ret = mem_zero(n + 1, sizeof **ret);
    for (size_t i = 0; i < n; i++) {
        int64_t id;
        bool task = is_task(&holds[i], &id);
        const char *name = task ? own_name(&named, holds, i, id) : NULL;
        (*ret)[i] = name   ? mem_printf("task/%s", name)
                    : task ? mem_printf("task/#%" PRId64, id)
                           : mem_dup(holds[i].scope);
    }
    store_named_tasks_done(&named);
    return ERR_OK;
}

static enum err hold_name(struct store *store, const struct store_hold *hold, char **ret, struct why *why)
{
    char **names = NULL;
    enum err err = hold_names(store, hold, 1, &names, why);
    if (!err)
        *ret = names[0];
    free(names);
    return err;
}

static json_t *hold_document(const struct store_hold *hold, const char *name)
{
    json_t *document = json_object();
    json_put(document, "scope", json_text(name));
    json_put(document, "reason", json_text(hold->reason));
    json_put(document, "by", json_text(hold->by));
    json_put(document, "since", json_instant(hold->since_us));
    json_put(document, "until", json_instant(hold->until_us));
    return document;
}

/* setting and ending */

static char *lower_ascii(char *text_take)
{
    for (char *at = text_take; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return text_take;
}

/* The scope as it is stored. Caller frees. */
static char *scope_of(const struct hold_target *target)
{
    const char *begin = begin_of(target->kind);
    if (target->kind == HOLD_TASK)
        return mem_printf("%s%" PRId64, begin, target->task_id);
    char *scope = mem_printf("%s%s", begin, target->name);
    return target->kind == HOLD_REPO ? lower_ascii(scope) : scope;
}

/* ERR_NOT_FOUND: neither a project nor a task has that repository. */
static enum err repo_known(const struct services *services, const char *repo, struct why *why)
{
    const struct settings *settings = services->settings;
    const struct store_tasks_query query = {.repo = repo, .limit = 1};
    struct store_tasks_page page;
    for (size_t i = 0; i < settings->n_projects; i++)
        if (repo_compare(settings->projects[i].repo, repo) == 0)
            return ERR_OK;
    enum err err = store_tasks_list(services->store, &query, &page, why);
    if (err)
        return err;
    bool found = page.n > 0;
    store_tasks_page_done(&page);
    return found ? ERR_OK
                 : why_set(why, ERR_NOT_FOUND, "neither a task nor ORCH_PROJECTS_JSON has the repository %s",
                           repo);
}

/* Whether there is such a thing, and of a task what it is called. */
static enum err target_check(const struct services *services, const struct hold_target *target,
                             struct store_task_entry *ret_task, struct why *why)
{
    const struct store_tasks_query any = {.limit = 1};
    switch (target->kind) {
    case HOLD_TASK:
        return store_task_get(services->store, target->task_id, &any, ret_task, NULL, why);
    case HOLD_REPO:
        return repo_known(services, target->name, why);
    case HOLD_STAGE:
        break;
    }
    return pipeline_stage(services->pipeline, target->name)
               ? ERR_OK
               : why_set(why, ERR_NOT_FOUND, "the pipeline has no stage %.100s", target->name);
}

static const struct store_hold *hold_find(const struct store_holds *holds, const char *scope)
{
    for (size_t i = 0; i < holds->n; i++)
        if (strcmp(holds->rows[i].scope, scope) == 0)
            return &holds->rows[i];
    return NULL;
}

/* As the database has it now; if it is over already, as it was set. */
static enum err stored_document(struct store *store, const struct store_hold *set, const char *name,
                                json_t **ret, struct why *why)
{
    struct store_holds holds;
    enum err err = store_holds_list(store, &holds, why);
    if (err)
        return err;
    const struct store_hold *stored = hold_find(&holds, set->scope);
    *ret = hold_document(stored ? stored : set, name);
    store_holds_done(&holds);
    return ERR_OK;
}

enum err holds_put(const struct services *services, const struct hold_target *target,
                   const struct remark *remark, json_t **ret_document, bool *ret_new, struct why *why)
{
    struct store_task_entry entry = {0};
    enum store_hold_set set;
    AUTO_FREE char *scope = scope_of(target), *name = NULL;
    enum err err = target_check(services, target, &entry, why);
    if (err)
        return err;
    struct store_hold hold = {.scope = scope,
                              .plane_id = entry.task.plane_id,
                              .work_item_id = entry.task.work_item_id,
                              .reason = (char *)(uintptr_t)remark->reason,
                              .by = (char *)(uintptr_t)remark->by,
                              .until_us = remark->until_us};
    if (!(err = hold_name(services->store, &hold, &name, why)))
        err = store_hold_put(services->store,
                             &(const struct store_new_hold){.scope = scope,
                                                            .plane_id = hold.plane_id,
                                                            .work_item_id = hold.work_item_id,
                                                            .name = name,
                                                            .reason = hold.reason,
                                                            .by = hold.by,
                                                            .until_us = hold.until_us},
                             &set, why);
    if (!err && set == STORE_HOLD_TOO_MANY)
        err = why_set(why, ERR_CONFLICT, "there are %d holds already: release one first", LIMIT_HOLDS);
    if (!err)
        err = stored_document(services->store, &hold, name, ret_document, why);
    if (!err)
        *ret_new = set == STORE_HOLD_NEW;
    store_task_entry_done(&entry);
    return err;
}

enum err holds_end(const struct services *services, const struct hold_target *target, const char *by,
                   const char *reason, struct why *why)
{
    struct store_holds holds;
    AUTO_FREE char *scope = scope_of(target), *name = NULL;
    enum err err = store_holds_list(services->store, &holds, why);
    if (err)
        return err;
    const struct store_hold *hold = hold_find(&holds, scope);
    if (!hold)
        err =
            why_set(why, ERR_NOT_FOUND, "there is no hold on %s%.100s", begin_of(target->kind), target->name);
    else
        err = hold_name(services->store, hold, &name, why);
    if (!err)
        err = store_hold_end(services->store, scope, name, by, reason, why);
    store_holds_done(&holds);
    return err;
}

/* listing */

enum err holds_list(struct store *store, const char *after, size_t limit, json_t **ret, struct why *why)
{
    struct store_holds holds;
    char **names = NULL;
    enum err err = store_holds_list(store, &holds, why);
    size_t first = 0;
    if (err)
        return err;
    while (after && first < holds.n && strcmp(holds.rows[first].scope, after) <= 0)
        first++;
    size_t n = holds.n - first < limit ? holds.n - first : limit;
    if (!(err = hold_names(store, holds.rows + first, n, &names, why))) {
        json_t *items = json_array();
        for (size_t i = 0; i < n; i++) {
            json_push(items, hold_document(&holds.rows[first + i], names[i]));
            free(names[i]);
        }
        bool more = first + n < holds.n;
        *ret = json_object();
        json_put(*ret, "items", items);
        json_put(*ret, "next", more ? json_text(holds.rows[first + n - 1].scope) : json_null());
    }
    free(names);
    store_holds_done(&holds);
    return err;
}

/* release */

static bool is_quarantined(const struct services *services, const struct policy *policy,
                           const struct store_task *task)
{
    const struct stage *stage = pipeline_stage(services->pipeline, task->stage);
    return stage && stage_is_gated(stage) && gate_quarantines(task, policy->quarantine_heals);
}

/* The name of its scope; ERR_CONFLICT: there is nothing to release. */
static enum err release_check(const struct services *services, int64_t task_id, char **ret_name,
                              struct why *why)
{
    struct policy *policy = NULL;
    struct store_task_entry entry = {0};
    struct store_holds holds = {0};
    enum err err = policy_read(services->store, services->settings, &policy, why);
    if (err == ERR_INVALID)
        err = ERR_INTERNAL;
    if (!err) {
        const struct store_tasks_query query = {.limit = 1, .heals_window_s = policy->quarantine_window_s};
        err = store_task_get(services->store, task_id, &query, &entry, NULL, why);
    }
    if (!err)
        err = store_holds_list(services->store, &holds, why);
    if (!err) {
        AUTO_FREE char *scope = mem_printf("task/%" PRId64, task_id);
        const struct store_hold own = {
            .scope = scope, .plane_id = entry.task.plane_id, .work_item_id = entry.task.work_item_id};
        err = hold_name(services->store, &own, ret_name, why);
        if (!err && !hold_find(&holds, scope) && !is_quarantined(services, policy, &entry.task))
            err = why_set(
                why, ERR_CONFLICT,
                "%s is neither quarantined nor held by a hold of its own: there is nothing to release",
                *ret_name);
    }
    store_holds_done(&holds);
    store_task_entry_done(&entry);
    policy_free(policy);
    return err;
}

enum err holds_release(const struct services *services, int64_t task_id, const struct remark *remark,
                       struct why *why)
{
    AUTO_FREE char *name = NULL;
    enum err err = release_check(services, task_id, &name, why);
    return err ? err : store_release(services->store, task_id, name, remark->by, remark->reason, why);
}
