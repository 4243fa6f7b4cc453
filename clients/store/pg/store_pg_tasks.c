/* Looking at tasks: the list and its pages, one task, the tasks of a repo. */
#include "clients/store/pg/store_pg.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The columns of PG_TASKS_LIST and SQL_TASK_GET. */
enum {
    COL_NOW_US,
    COL_AS_OF_US,
    COL_STUCK,
    COL_KEY,
    COL_UPDATED_US,
    COL_JOB_ID,
    COL_JOB_AGENT,
    COL_JOB_STATUS,
    COL_JOB_UPDATED_US,
    COL_TASK
};

/* As a limit: it tells whether there is more. */
static const char *one_more(size_t limit, char buffer[PG_INT_SIZE])
{
    return pg_limit_text(limit < SIZE_MAX ? limit + 1 : limit, buffer);
}

static struct store_task_entry entry_read(const PGresult *result, int row)
{
    return (struct store_task_entry){
        .task = pg_task_read(result, row, COL_TASK),
        .updated_us = pg_int(result, row, COL_UPDATED_US),
        .stuck = PQgetvalue(result, row, COL_STUCK)[0] == 't',
        .job_id = pg_text(result, row, COL_JOB_ID, LIMIT_REASON),
        .job_agent = pg_text(result, row, COL_JOB_AGENT, LIMIT_TASK_NAME),
        .job_status = pg_text(result, row, COL_JOB_STATUS, LIMIT_TASK_NAME),
        .job_updated_us = pg_int(result, row, COL_JOB_UPDATED_US),
    };
}

/* where a page ended */

/* What PostgreSQL has instants for, but for the first day; and what it can still subtract a grace from. */
#define INSTANT_MIN_US INT64_C(-210866716800000000)
#define AS_OF_MIN_US INT64_C(0)

#define PLACE_SEPARATOR '.'
#define INTERVAL_SIZE 80

/* An instant that every version of PostgreSQL reads exactly: "infinity" and nothing to add, or "epoch" and an
 * interval whose numbers are small. */
struct instant_param {
    const char *base;
    char offset[INTERVAL_SIZE];
};

/* Behind which task of its part the list goes on: its updated_at and its id. */
struct place {
    struct instant_param updated_at;
    char id[PG_INT_SIZE];
};

static struct instant_param instant_finite(int64_t us)
{
    const int64_t second = 1000000, day = 86400 * second;
    int64_t days = us / day - (us % day < 0), rest = us - days * day;
    struct instant_param param = {.base = "epoch"};
    (void)snprintf(param.offset, sizeof param.offset,
                   "%" PRId64 " days %" PRId64 " seconds %" PRId64 " microseconds", days, rest / second,
                   rest % second);
    return param;
}

static struct place place_infinite(const char *base, int64_t id)
{
    struct place place = {.updated_at = {.base = base, .offset = "0"}};
    (void)pg_int_text(id, place.id);
    return place;
}

/* Before all tasks of a part, and behind them. */
static struct place place_first(void)
{
    return place_infinite("-infinity", INT64_MIN);
}

static struct place place_last(void)
{
    return place_infinite("infinity", INT64_MAX);
}

static bool place_parse(const char *key, const char *id, struct place *ret)
{
    int64_t us, number;
    struct place place;
    if (!parse_i64(id, INT64_MIN, INT64_MAX, &number))
        return false;
    if (strcmp(key, "infinity") == 0)
        place = place_infinite("infinity", number);
    else if (strcmp(key, "-infinity") == 0)
        place = place_infinite("-infinity", number);
    else if (parse_i64(key, INSTANT_MIN_US, INT64_MAX, &us))
        place = (struct place){.updated_at = instant_finite(us)};
    else
        return false;
    (void)pg_int_text(number, place.id);
    *ret = place;
    return true;
}

struct cursor {
    struct place stuck, others;
    bool begun; /* there was a page before */
    struct instant_param as_of;
};

/* Cuts `text` at its separators. False unless that makes n parts. */
static bool parts_cut(char *text, char **parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        parts[i] = text;
        char *end = strchr(text, PLACE_SEPARATOR);
        if ((end != NULL) != (i + 1 < n))
            return false;
        if (end) {
            *end = '\0';
            text = end + 1;
        }
    }
    return true;
}

/* `after`: "1.KEY.ID.AS_OF" behind a stuck task, "2.…" behind another; NULL: from the beginning. */
static bool cursor_parse(const char *after, bool stuck_only, struct cursor *ret)
{
    struct cursor cursor = {.stuck = place_first(), .others = place_first(), .begun = after};
    AUTO_FREE char *text = mem_dup(after);
    char *parts[4];
    int64_t part, as_of_us;
    if (after) {
        struct place place;
        if (!parts_cut(text, parts, ARRAY_LEN(parts)) || !parse_i64(parts[0], 1, 2, &part) ||
            !place_parse(parts[1], parts[2], &place) ||
            !parse_i64(parts[3], AS_OF_MIN_US, INT64_MAX, &as_of_us))
            return false;
        cursor.stuck = part == 1 ? place : place_last();
        cursor.others = part == 1 ? place_first() : place;
        cursor.as_of = instant_finite(as_of_us);
    }
    if (stuck_only)
        cursor.others = place_last();
    *ret = cursor;
    return true;
}

static char *next_text(const PGresult *result, int row)
{
    return mem_printf("%d%c%s%c%" PRId64 "%c%" PRId64, PQgetvalue(result, row, COL_STUCK)[0] == 't' ? 1 : 2,
                      PLACE_SEPARATOR, PQgetvalue(result, row, COL_KEY), PLACE_SEPARATOR,
                      pg_int(result, row, COL_TASK), PLACE_SEPARATOR, pg_int(result, row, COL_AS_OF_US));
}

/* the list */

enum err pg_tasks_list(struct store *store, const struct store_tasks_query *query,
                       struct store_tasks_page *ret, struct why *why)
{
    struct cursor cursor;
    if (!cursor_parse(query->after, query->stuck_only, &cursor))
        return why_set(why, ERR_INVALID, "this is no place in a list of tasks");
    AUTO_FREE char *graces = pg_graces(query->gated, query->n_gated);
    AUTO_FREE char *terminal = pg_array(query->terminal, query->n_terminal);
    AUTO_RESULT PGresult *result = NULL;
    char limit[PG_INT_SIZE];
    const char *const params[] = {graces,
                                  terminal,
                                  query->stage,
                                  cursor.begun ? cursor.as_of.offset : NULL,
                                  cursor.stuck.updated_at.base,
                                  cursor.stuck.updated_at.offset,
                                  cursor.stuck.id,
                                  cursor.others.updated_at.base,
                                  cursor.others.updated_at.offset,
                                  cursor.others.id,
                                  one_more(query->limit, limit),
                                  query->repo};
    enum err err = pg_read(store, query->repo ? PG_TASKS_LIST_OF_REPO : PG_TASKS_LIST, params, &result, why);
    if (err)
        return err;
    size_t found = (size_t)PQntuples(result), n = found < query->limit ? found : query->limit;
    struct store_tasks_page page = {.rows = mem_zero(n, sizeof *page.rows), .n = n};
    for (size_t i = 0; i < n; i++)
        page.rows[i] = entry_read(result, (int)i);
    if (found > n && n > 0)
        page.next = next_text(result, (int)n - 1);
    *ret = page;
    return ERR_OK;
}

/* one task, and those of a repo */

enum err pg_task_get(struct store *store, int64_t id, const struct store_tasks_query *query,
                     struct store_task_entry *ret, int64_t *ret_now_us, struct why *why)
{
    AUTO_FREE char *graces = pg_graces(query->gated, query->n_gated);
    AUTO_RESULT PGresult *result = NULL;
    char number[PG_INT_SIZE];
    const char *const params[] = {graces, pg_int_text(id, number)};
    enum err err = pg_read(store, SQL_TASK_GET, params, &result, why);
    if (err)
        return err;
    if (PQntuples(result) == 0)
        return why_set(why, ERR_NOT_FOUND, "no task has the id %" PRId64, id);
    *ret = entry_read(result, 0);
    if (ret_now_us)
        *ret_now_us = pg_int(result, 0, COL_NOW_US);
    return ERR_OK;
}

static struct store_repo_task repo_task_read(const PGresult *result, int row)
{
    enum { ID, WORK_ITEM_ID, BRANCH, STAGE, TOO_LONG };
    struct store_repo_task task = {.id = pg_int(result, row, ID)};
    if (!PQgetisnull(result, row, TOO_LONG))
        store_unreadable(&task.unreadable, PQgetvalue(result, row, TOO_LONG), STORE_TOO_LONG);
    task.work_item_id = pg_task_name(result, row, WORK_ITEM_ID, "work_item_id", &task.unreadable);
    task.branch = pg_task_name(result, row, BRANCH, "branch", &task.unreadable);
    task.stage = pg_task_name(result, row, STAGE, "stage", &task.unreadable);
    return task;
}

enum err pg_repo_tasks(struct store *store, const char *repo, const char *const *stages, size_t n_stages,
                       size_t limit, struct store_repo_tasks *ret, struct why *why)
{
    AUTO_FREE char *array = pg_array(stages, n_stages);
    AUTO_RESULT PGresult *result = NULL;
    char most[PG_INT_SIZE];
    const char *const params[] = {repo, array, one_more(limit, most)};
    enum err err = pg_read(store, SQL_REPO_TASKS, params, &result, why);
    if (err)
        return err;
    size_t found = (size_t)PQntuples(result), n = found < limit ? found : limit;
    struct store_repo_tasks tasks = {.rows = mem_zero(n, sizeof *tasks.rows), .n = n, .more = found > n};
    for (size_t i = 0; i < n; i++)
        tasks.rows[i] = repo_task_read(result, (int)i);
    *ret = tasks;
    return ERR_OK;
}
