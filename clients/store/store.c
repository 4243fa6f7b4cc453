/* The store as the rest of the program sees it: arguments checked, then the implementation's own function. */
#include "clients/store/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/store/store_ops.h"

enum err store_open(const char *url, const char *schema, struct store **ret, struct why *why)
{
    static const char sqlite[] = "sqlite:";
    if (strncmp(url, "postgresql://", 13) == 0 || strncmp(url, "postgres://", 11) == 0)
        return store_postgresql_open(url, schema && *schema ? schema : NULL, ret, why);
    if (strncmp(url, sqlite, strlen(sqlite)) != 0)
        return why_set(why, ERR_INVALID, "a database URL begins with postgresql:// or sqlite:");
    if (schema && *schema)
        return why_set(why, ERR_INVALID, "a schema is for PostgreSQL alone");
    return store_sqlite_open(url + strlen(sqlite), ret, why);
}

void store_free(struct store *store)
{
    if (!store)
        return;
    char *describe = store->describe;
    store->ops->free(store);
    free(describe);
}

const char *store_describe(const struct store *store)
{
    return store->describe;
}

void store_interrupt(struct store *store)
{
    store->ops->interrupt(store);
}

enum err store_migrate(struct store *store, size_t *ret_created, struct why *why)
{
    return store->ops->migrate(store, ret_created, why);
}

/* A view may take long to find its newest rows. Then nothing is known of them, which is no reason to stand
 * still. */
static enum err plane_ids_look(struct store *store, size_t limit, struct plane_ids_seen *ret, struct why *why)
{
    *ret = (struct plane_ids_seen){0};
    enum err err = store->ops->plane_ids(store, limit, ret, why);
    return err == ERR_TIMEOUT ? ERR_OK : err;
}

enum err store_ready(struct store *store, struct why *why)
{
    enum err err = store->ops->ready(store, why);
    int64_t now_ms = clock_mono_ms();
    struct plane_ids_seen seen;
    if (err || now_ms < atomic_load(&store->plane_ids_good_until_ms))
        return err;
    if ((err = plane_ids_look(store, LIMIT_PLANE_IDS_READ, &seen, why)) ||
        (err = plane_ids_check(&seen, why)))
        return err;
    atomic_store(&store->plane_ids_good_until_ms, now_ms + LIMIT_PLANE_IDS_GOOD_MS);
    return ERR_OK;
}

enum err store_task_list(struct store *store, const struct store_stuck_query *query,
                         struct store_task_list *ret, struct why *why)
{
    for (size_t i = 0; i < query->n_stages; i++)
        if (query->stages[i].grace_s < 0)
            return why_set(why, ERR_INVALID, "the grace of stage %s is negative", query->stages[i].stage);
    return store->ops->stuck(store, query, ret, why);
}

enum err store_issue_tasks(struct store *store, const char *const *plane_ids, size_t n,
                           struct store_issue_tasks *ret, struct why *why)
{
    return store->ops->issue_tasks(store, plane_ids, n, ret, why);
}

void store_work_item_found(struct store_work_item *item, int64_t task_id, const char *plane_id)
{
    struct uuid_text id = {.s = ""};
    bool of_issue = plane_id && uuid_read(plane_id, &id);
    *item = (struct store_work_item){.found = true,
                                     .of_issue = of_issue && (item->of_issue || !item->found),
                                     .task_id = task_id,
                                     .plane_id = id};
}

enum err store_work_items(struct store *store, const char *const *ids, size_t n, struct store_work_item *ret,
                          struct why *why)
{
    return n == 0 ? ERR_OK : store->ops->work_items(store, ids, n, ret, why);
}

enum err store_verdicts_replayed(struct store *store, const char *const *ids, size_t n, bool *ret,
                                 struct why *why)
{
    return n == 0 ? ERR_OK : store->ops->verdicts_replayed(store, ids, n, ret, why);
}

enum err store_create_tasks(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                            const struct store_new_task *batch, size_t n, enum store_creation *ret,
                            struct why *why)
{
    if (n == 0)
        return ERR_OK;
    if (n > LIMIT_BATCH)
        return why_set(why, ERR_INVALID, "%zu new tasks are too many for one transaction", n);
    struct plane_ids_seen seen;
    enum err err = plane_ids_look(store, LIMIT_BATCH, &seen, why);
    if (err)
        return err;
    if (plane_ids_check(&seen, why) != ERR_OK)
        return ERR_INTERNAL;
    struct store_new_task tasks[LIMIT_BATCH];
    char *plane_ids[LIMIT_BATCH];
    for (size_t i = 0; i < n; i++) {
        assert(batch[i].plane_id && batch[i].stage);
        tasks[i] = batch[i];
        tasks[i].plane_id = plane_ids[i] = uuid_write(batch[i].plane_id, seen.form);
    }
    err = store->ops->create_tasks(store, settings_revision, valid_until_us, tasks, n, ret, why);
    for (size_t i = 0; i < n; i++)
        free(plane_ids[i]);
    return err;
}

enum err store_unstarted(struct store *store, const char *stage, int64_t grace_s, const char *const *fresh,
                         size_t n_fresh, size_t limit, struct store_task_list *ret, struct why *why)
{
    if (grace_s < 0)
        return why_set(why, ERR_INVALID, "the grace of stage %s is negative", stage);
    return store->ops->unstarted(store, stage, grace_s, fresh, n_fresh, limit, ret, why);
}

enum err store_transition(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                          const char *pass_id, const struct store_transition *batch, size_t n,
                          enum store_moved *ret_moved, struct why *why)
{
    if (n == 0)
        return ERR_OK;
    if (n > LIMIT_BATCH)
        return why_set(why, ERR_INVALID, "%zu transitions are too many for one transaction", n);
    for (size_t i = 0; i < n; i++)
        assert(batch[i].task && batch[i].task->stage && batch[i].task->version && batch[i].to_stage &&
               batch[i].side && batch[i].outcome && uuid_valid(batch[i].id.s));
    return store->ops->transition(store, settings_revision, valid_until_us, pass_id, batch, n, ret_moved,
                                  why);
}

enum err store_replays_look(struct store *store, const struct store_replay *batch, size_t n,
                            struct store_replay_seen *ret, struct why *why)
{
    return n == 0 ? ERR_OK : store->ops->replays_look(store, batch, n, ret, why);
}

enum err store_replay_get(struct store *store, const char *subject, struct store_replay_open *ret,
                          struct why *why)
{
    return store->ops->replay_get(store, subject, ret, why);
}

enum err store_replay_begin(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                            const struct store_replay *batch, size_t n, struct store_replay_seen *ret,
                            struct why *why)
{
    if (n == 0)
        return ERR_OK;
    if (n > LIMIT_BATCH)
        return why_set(why, ERR_INVALID, "%zu replays are too many for one transaction", n);
    for (size_t i = 0; i < n; i++)
        assert(batch[i].subject && uuid_valid(batch[i].delivery.s) && batch[i].row->task->stage &&
               batch[i].row->to_stage && batch[i].row->side && batch[i].row->outcome &&
               (batch[i].row->task->id ? batch[i].row->task->version : batch[i].row->task->plane_id));
    return store->ops->replay_begin(store, settings_revision, valid_until_us, batch, n, ret, why);
}

enum err store_replays_moved(struct store *store, size_t limit, struct store_replays_moved *ret,
                             struct why *why)
{
    return store->ops->replays_moved(store, limit, ret, why);
}

enum err store_replays_settle(struct store *store, const char *pass_id, const struct store_settlement *batch,
                              size_t n, bool *ret_mine, struct why *why)
{
    assert(n <= LIMIT_BATCH);
    return n == 0 ? ERR_OK : store->ops->replays_settle(store, pass_id, batch, n, ret_mine, why);
}

enum err store_tasks_list(struct store *store, const struct store_tasks_query *query,
                          struct store_tasks_page *ret, struct why *why)
{
    return store->ops->tasks_list(store, query, ret, why);
}

enum err store_task_get(struct store *store, int64_t id, const struct store_tasks_query *query,
                        struct store_task_entry *ret, int64_t *ret_now_us, struct why *why)
{
    return store->ops->task_get(store, id, query, ret, ret_now_us, why);
}

enum err store_repo_tasks(struct store *store, const char *repo, const char *const *stages, size_t n_stages,
                          size_t limit, struct store_repo_tasks *ret, struct why *why)
{
    return store->ops->repo_tasks(store, repo, stages, n_stages, limit, ret, why);
}

/* texts of tasks, as the implementations read them */

void store_unreadable(char **unreadable, const char *column, const char *error)
{
    if (!*unreadable)
        *unreadable = mem_printf("tasks.%s %s", column, error);
}

/* A title that was cut may have lost the end of its last character. */
static bool is_utf8(const char *bytes, size_t len, size_t max)
{
    enum { CHARACTER_MAX = 4 };
    size_t valid = utf8_valid_len(bytes, len);
    return valid == len || (len >= max && len - valid < CHARACTER_MAX);
}

char *store_task_title(const char *bytes, size_t len, char **unreadable)
{
    if (!is_utf8(bytes, len, LIMIT_TASK_TITLE))
        store_unreadable(unreadable, "title", "holds bytes that are not UTF-8");
    else if (len <= LIMIT_TASK_TITLE)
        return mem_dupn(bytes, len);
    return text_mend(bytes, len, LIMIT_TASK_TITLE);
}

char *store_task_name(const char *column, const char *bytes, size_t len, char **unreadable)
{
    if (len > LIMIT_TASK_NAME)
        store_unreadable(unreadable, column, STORE_TOO_LONG);
    else if (utf8_valid_len(bytes, len) != len)
        store_unreadable(unreadable, column, "holds bytes that are not UTF-8");
    else
        return mem_dupn(bytes, len);
    return text_mend(bytes, len, len > LIMIT_TASK_NAME ? LIMIT_TASK_NAME_SHOWN : len);
}

char *store_plane_id_take(char *text_take)
{
    struct uuid_text id;
    if (!text_take || !uuid_read(text_take, &id))
        return text_take;
    free(text_take);
    return mem_dup(id.s);
}

/* what callers free */

void store_task_done(struct store_task *task)
{
    free(task->plane_id);
    free(task->work_item_id);
    free(task->title);
    free(task->repo);
    free(task->branch);
    free(task->stage);
    free(task->version);
    free(task->unreadable);
    *task = (struct store_task){0};
}

void store_task_list_done(struct store_task_list *stuck)
{
    for (size_t i = 0; i < stuck->n_tasks; i++)
        store_task_done(&stuck->tasks[i]);
    free(stuck->tasks);
    *stuck = (struct store_task_list){0};
}

void store_issue_tasks_done(struct store_issue_tasks *tasks)
{
    for (size_t i = 0; i < tasks->n; i++)
        store_task_done(&tasks->rows[i].task);
    free(tasks->rows);
    *tasks = (struct store_issue_tasks){0};
}

void store_replays_moved_done(struct store_replays_moved *moved)
{
    for (size_t i = 0; i < moved->n; i++) {
        struct store_replay_moved *row = &moved->rows[i];
        store_task_done(&row->task);
        free(row->subject);
        free(row->to_stage);
        free(row->side);
        free(row->outcome);
        free(row->reason);
        free(row->evidence);
        free(row->verdict_id);
        free(row->missed_source);
        free(row->missed_event);
    }
    free(moved->rows);
    *moved = (struct store_replays_moved){0};
}

void store_task_entry_done(struct store_task_entry *entry)
{
    store_task_done(&entry->task);
    free(entry->job_id);
    free(entry->job_agent);
    free(entry->job_status);
    *entry = (struct store_task_entry){0};
}

void store_tasks_page_done(struct store_tasks_page *page)
{
    for (size_t i = 0; i < page->n; i++)
        store_task_entry_done(&page->rows[i]);
    free(page->rows);
    free(page->next);
    *page = (struct store_tasks_page){0};
}

void store_repo_tasks_done(struct store_repo_tasks *tasks)
{
    for (size_t i = 0; i < tasks->n; i++) {
        free(tasks->rows[i].work_item_id);
        free(tasks->rows[i].branch);
        free(tasks->rows[i].stage);
        free(tasks->rows[i].unreadable);
    }
    free(tasks->rows);
    *tasks = (struct store_repo_tasks){0};
}
