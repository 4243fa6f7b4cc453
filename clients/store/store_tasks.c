/* Tasks as the orchestrator's table holds them: which are stuck, the list and its pages, one, those of a
 * repo. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/store/store_ops.h"
#include "clients/store/store_rows.h"

#define TOO_LONG "is longer than " STORE_DIGITS(LIMIT_TASK_NAME) " bytes"

/* texts of a task */

static void unreadable_set(char **unreadable, const char *column, const char *error)
{
    if (!*unreadable)
        *unreadable = mem_printf("tasks.%s %s", column, error);
}

/* The name of the column whose text a statement cut because it is too long. */
static char *unreadable_read(struct store_rows *rows)
{
    char *unreadable = NULL;
    AUTO_FREE char *column = rows_own(rows, "too_long");
    if (column)
        unreadable_set(&unreadable, column, TOO_LONG);
    return unreadable;
}

static char *name_read(struct store_rows *rows, const char *name, char **unreadable)
{
    struct store_field field = rows_field(rows, name);
    if (field.is_null)
        return NULL;
    if (field.is_blob)
        unreadable_set(unreadable, name, "holds a blob, not text");
    if (field.len > LIMIT_TASK_NAME)
        unreadable_set(unreadable, name, TOO_LONG);
    else if (utf8_valid_len(field.bytes, field.len) != field.len)
        unreadable_set(unreadable, name, "holds bytes that are not UTF-8");
    else
        return mem_dupn(field.bytes, field.len);
    return text_mend(field.bytes, field.len, field.len > LIMIT_TASK_NAME ? LIMIT_TASK_NAME_SHOWN : field.len);
}

/* A title that was cut may have lost the end of its last character. */
static bool is_utf8(const char *bytes, size_t len, size_t max)
{
    enum { CHARACTER_MAX = 4 };
    size_t valid = utf8_valid_len(bytes, len);
    return valid == len || (len >= max && len - valid < CHARACTER_MAX);
}

static char *title_read(struct store_rows *rows, char **unreadable)
{
    struct store_field field = rows_field(rows, "title");
    if (field.is_null)
        return NULL;
    if (field.is_blob)
        unreadable_set(unreadable, "title", "holds a blob, not text");
    if (!is_utf8(field.bytes, field.len, LIMIT_TASK_TITLE))
        unreadable_set(unreadable, "title", "holds bytes that are not UTF-8");
    else if (field.len <= LIMIT_TASK_TITLE)
        return mem_dupn(field.bytes, field.len);
    return text_mend(field.bytes, field.len, LIMIT_TASK_TITLE);
}

/* A UUID in one form, whatever form it is stored in; another text as it is. */
static char *plane_id_read(struct store_rows *rows, char **unreadable)
{
    char *text = name_read(rows, "plane_id", unreadable);
    struct uuid_text id;
    if (!text || !uuid_read(text, &id))
        return text;
    free(text);
    return mem_dup(id.s);
}

/* What must not be null, whatever the statement made of it. */
static char *or_empty(char *text_take)
{
    return text_take ? text_take : mem_dup("");
}

struct store_task rows_task(struct store_rows *rows)
{
    struct store_task task = {
        .id = rows_int(rows, "id"),
        .version = or_empty(rows_text(rows, "version", LIMIT_TASK_VERSION)),
        .age_s = rows_int(rows, "age_s"),
        .recent_heals = rows_int(rows, "heals"),
        .newest_heal_seq = rows_int(rows, "newest_heal_seq"),
        .unreadable = unreadable_read(rows),
    };
    char **unreadable = &task.unreadable;
    if (!rows_null(rows, "id") && rows_null(rows, "age_s"))
        unreadable_set(unreadable, "updated_at", "holds no time that is understood");
    task.plane_id = plane_id_read(rows, unreadable);
    task.work_item_id = name_read(rows, "work_item_id", unreadable);
    task.title = title_read(rows, unreadable);
    task.repo = name_read(rows, "repo", unreadable);
    task.branch = name_read(rows, "branch", unreadable);
    task.stage = or_empty(name_read(rows, "stage", unreadable));
    return task;
}

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

/* the stuck ones, and those that were never started */

/* The counts over all tasks are the same in every row, and there is always one. */
static enum err task_list_read(struct store_rows rows, struct store_task_list *ret)
{
    struct store_task_list list = {0};
    while (rows_next(&rows)) {
        if (list.n_tasks == 0) {
            list.settings_revision = rows_int(&rows, "revision");
            list.now_us = rows_int(&rows, "now_us");
            list.count = (size_t)rows_int(&rows, "stuck");
            list.oldest_age_s = rows_int(&rows, "oldest_s");
            list.unknown_stage = (size_t)rows_int(&rows, "strange");
        }
        if (rows_null(&rows, "id")) /* the one row there always is, or what a view made up */
            continue;
        list.tasks = list_room(list.tasks, list.n_tasks, sizeof *list.tasks);
        list.tasks[list.n_tasks++] = rows_task(&rows);
    }
    enum err err = rows_end(&rows);
    if (err)
        store_task_list_done(&list);
    else
        *ret = list;
    return err;
}

struct store_param heals_window_param(int64_t seconds)
{
    return NUMBER_PARAM(seconds ? seconds : LIMIT_HEALS_WINDOW_S);
}

enum err store_task_list(struct store *store, const struct store_stuck_query *query,
                         struct store_task_list *ret, struct why *why)
{
    for (size_t i = 0; i < query->n_stages; i++)
        if (query->stages[i].grace_s < 0)
            return why_set(why, ERR_INVALID, "the grace of stage %s is negative", query->stages[i].stage);
    json_auto_t *graces = json_graces(query->stages, query->n_stages);
    json_auto_t *known = json_texts(query->known, query->n_known);
    json_auto_t *resting = json_array();
    for (size_t i = 0; i < query->n_resting; i++)
        json_push(resting, json_integer(query->resting[i]));
    return task_list_read(store_query(store, SQL_STUCK,
                                      PARAMS(JSON_PARAM(graces), JSON_PARAM(known), JSON_PARAM(resting),
                                             NUMBER_PARAM(query->only_task), LIMIT_PARAM(query->limit),
                                             heals_window_param(query->heals_window_s)),
                                      why),
                          ret);
}

enum err store_unstarted(struct store *store, const char *stage, int64_t grace_s, const char *const *fresh,
                         size_t n_fresh, size_t limit, struct store_task_list *ret, struct why *why)
{
    if (grace_s < 0)
        return why_set(why, ERR_INVALID, "the grace of stage %s is negative", stage);
    return task_list_read(store_query(store, SQL_UNSTARTED,
                                      PARAMS(TEXT_PARAM(stage), NUMBER_PARAM(grace_s),
                                             IDS_PARAM(fresh, n_fresh), LIMIT_PARAM(limit)),
                                      why),
                          ret);
}

void store_task_list_done(struct store_task_list *stuck)
{
    for (size_t i = 0; i < stuck->n_tasks; i++)
        store_task_done(&stuck->tasks[i]);
    free(stuck->tasks);
    *stuck = (struct store_task_list){0};
}

/* their times */

enum err store_times(struct store *store, struct store_times *ret, struct why *why)
{
    struct store_times times = {0};
    struct store_rows rows =
        store_query(store, SQL_TIMES, PARAMS(NUMBER_PARAM(LIMIT_CLOCK_SLACK_S * INT64_C(1000000))), why);
    while (rows_next(&rows))
        times = (struct store_times){.unread = rows_int(&rows, "unread"),
                                     .unread_task = rows_int(&rows, "unread_task"),
                                     .ahead = rows_int(&rows, "ahead"),
                                     .ahead_task = rows_int(&rows, "ahead_task"),
                                     .zoneless = rows_bool(&rows, "zoneless")};
    enum err err = rows_end(&rows);
    if (!err)
        *ret = times;
    return err;
}

/* what the tables hold */

/* In the order of SQL_UNINDEXED. */
static const char *const recommended[] = {
    "CREATE INDEX tasks_stage_updated_at ON tasks (stage, updated_at)",
    "CREATE INDEX jobs_active ON jobs (task_id) WHERE status IN ('queued', 'running')",
    "CREATE INDEX tasks_work_item ON tasks (lower(work_item_id))",
    "CREATE INDEX tasks_repo_stage ON tasks (lower(repo), stage)",
};
static_assert(ARRAY_LEN(recommended) == STORE_INDEXES, "store_overview has room for all of them");

static enum err has_table(struct store *store, const char *name, bool *ret, struct why *why)
{
    size_t n = 0;
    enum err err =
        rows_count(store_query(store, SQL_SCHEMA_HAS, PARAMS(TEXT_PARAM(name), TEXT_PARAM(NULL)), why), &n);
    *ret = n > 0;
    return err;
}

static enum err counts_read(struct store *store, struct store_overview *ret, struct why *why)
{
    struct store_rows rows = store_query(store, SQL_COUNTS, NO_PARAMS, why);
    while (rows_next(&rows)) {
        ret->tasks = rows_int(&rows, "tasks");
        ret->jobs = rows_int(&rows, "jobs");
    }
    return rows_end(&rows);
}

static enum err unindexed_read(struct store *store, struct store_overview *ret, struct why *why)
{
    struct store_rows rows = store_query(store, SQL_UNINDEXED, NO_PARAMS, why);
    size_t i;
    while (rows_next(&rows) && rows_place(&rows, "i", STORE_INDEXES, &i))
        ret->unindexed[ret->n_unindexed++] = recommended[i];
    return rows_end(&rows);
}

enum err store_overview(struct store *store, struct store_overview *ret, struct why *why)
{
    struct store_overview overview = {.tasks = 0};
    enum err err = has_table(store, "tasks", &overview.has_tasks, why);
    if (!err)
        err = has_table(store, "jobs", &overview.has_jobs, why);
    if (!err && overview.has_tasks && overview.has_jobs && !(err = counts_read(store, &overview, why)))
        err = unindexed_read(store, &overview, why);
    if (!err)
        *ret = overview;
    return err;
}

/* page by page */

static struct store_task_entry entry_read(struct store_rows *rows)
{
    return (struct store_task_entry){
        .updated_us = rows_int(rows, "updated_us"),
        .stuck = rows_bool(rows, "stuck"),
        .job_id = rows_text(rows, "job_id", LIMIT_REASON),
        .job_agent = rows_text(rows, "job_agent", LIMIT_TASK_NAME),
        .job_status = rows_text(rows, "job_status", LIMIT_TASK_NAME),
        .job_updated_us = rows_int(rows, "job_updated_us"),
        .task = rows_task(rows),
    };
}

/* One more row than the page holds is asked for: it shows that there is another page. */
enum err store_tasks_list(struct store *store, const struct store_tasks_query *query,
                          struct store_tasks_page *ret, struct why *why)
{
    struct store_tasks_page page = {0};
    bool more = false;
    struct store_rows rows = store->ops->tasks_query(store, query, why);
    while (rows_next(&rows) && !(more = page.n == query->limit)) {
        page.rows = list_room(page.rows, page.n, sizeof *page.rows);
        page.rows[page.n] = entry_read(&rows);
        if (++page.n == query->limit)
            page.next = store->ops->tasks_place(&rows, &page.rows[page.n - 1]);
    }
    enum err err = rows_end(&rows);
    if (!more) {
        free(page.next);
        page.next = NULL;
    }
    if (err)
        store_tasks_page_done(&page);
    else
        *ret = page;
    return err;
}

enum err store_task_get(struct store *store, int64_t id, const struct store_tasks_query *query,
                        struct store_task_entry *ret, int64_t *ret_now_us, struct why *why)
{
    struct store_task_entry entry = {0};
    json_auto_t *graces = json_graces(query->gated, query->n_gated);
    struct store_rows rows = store_query(
        store, SQL_TASK_GET,
        PARAMS(JSON_PARAM(graces), NUMBER_PARAM(id), heals_window_param(query->heals_window_s)), why);
    bool found = rows_next(&rows);
    int64_t now_us = 0;
    if (found) {
        entry = entry_read(&rows);
        now_us = rows_int(&rows, "now_us");
    }
    enum err err = rows_end(&rows);
    if (!err && !found)
        return why_set(why, ERR_NOT_FOUND, "no task has the id %" PRId64, id);
    if (err) {
        store_task_entry_done(&entry);
        return err;
    }
    *ret = entry;
    if (ret_now_us)
        *ret_now_us = now_us;
    return ERR_OK;
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

/* those of a repo */

static struct store_repo_task repo_task_read(struct store_rows *rows)
{
    struct store_repo_task task = {.id = rows_int(rows, "id"), .unreadable = unreadable_read(rows)};
    task.work_item_id = name_read(rows, "work_item_id", &task.unreadable);
    task.branch = name_read(rows, "branch", &task.unreadable);
    task.stage = name_read(rows, "stage", &task.unreadable);
    return task;
}

enum err store_repo_tasks(struct store *store, const char *const *repos, size_t n_repos,
                          const char *const *stages, size_t n_stages, size_t limit,
                          struct store_repo_tasks *ret, struct why *why)
{
    struct store_repo_tasks tasks = {0};
    json_auto_t *of = json_texts(repos, n_repos), *list = json_texts(stages, n_stages);
    struct store_rows rows = store_query(
        store, SQL_REPO_TASKS, PARAMS(JSON_PARAM(of), JSON_PARAM(list), ONE_MORE_PARAM(limit)), why);
    while (rows_next(&rows) && !(tasks.more = tasks.n == limit)) {
        tasks.rows = list_room(tasks.rows, tasks.n, sizeof *tasks.rows);
        tasks.rows[tasks.n++] = repo_task_read(&rows);
    }
    enum err err = rows_end(&rows);
    if (err)
        store_repo_tasks_done(&tasks);
    else
        *ret = tasks;
    return err;
}

enum err store_repos(struct store *store, const char *const *stages, size_t n_stages, size_t limit,
                     char ***ret_repos, size_t *ret_n, struct why *why)
{
    char **repos = NULL;
    size_t n = 0;
    json_auto_t *list = json_texts(stages, n_stages);
    struct store_rows rows = store_query(store, SQL_REPOS, PARAMS(JSON_PARAM(list), LIMIT_PARAM(limit)), why);
    while (rows_next(&rows)) {
        repos = list_room(repos, n, sizeof *repos);
        repos[n++] = rows_own(&rows, "repo");
    }
    enum err err = rows_end(&rows);
    if (!err) {
        *ret_repos = repos;
        *ret_n = n;
        return ERR_OK;
    }
    for (size_t i = 0; i < n; i++)
        free(repos[i]);
    free(repos);
    return err;
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
