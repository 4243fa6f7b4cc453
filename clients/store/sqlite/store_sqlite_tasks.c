/* Looking at tasks: page by page, one, and those of a repo.
 *
 * A page ends with a place: the part of the list, updated_at as it stands in the column, and the id of the
 * last task. Written as "o3323032362d….17": the part, the type of the value as SQLite numbers it, its bytes
 * in hexadecimal digits, the id. A column may hold anything, and a page must not stumble over it. */
#include "clients/store/sqlite/store_sqlite.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"

/* one entry */

/* The columns of SQL_TASKS_LIST and SQL_TASK_GET. */
enum {
    COL_TASK,
    COL_UPDATED_US = SQLITE_TASK_COLUMNS,
    COL_JOB_ID,
    COL_JOB_AGENT,
    COL_JOB_STATUS,
    COL_JOB_UPDATED_US,
    COL_STUCK,
    COL_NOW_US,                 /* of SQL_TASK_GET */
    COL_UPDATED_AT = COL_NOW_US /* of SQL_TASKS_LIST: as it stands in the column */
};

static struct store_task_entry entry_read(sqlite3_stmt *row)
{
    return (struct store_task_entry){
        .task = sqlite_task(row, COL_TASK),
        .updated_us = sqlite3_column_int64(row, COL_UPDATED_US),
        .stuck = sqlite3_column_int(row, COL_STUCK) != 0,
        .job_id = sqlite_text(row, COL_JOB_ID, LIMIT_REASON),
        .job_agent = sqlite_text(row, COL_JOB_AGENT, LIMIT_TASK_NAME),
        .job_status = sqlite_text(row, COL_JOB_STATUS, LIMIT_TASK_NAME),
        .job_updated_us = sqlite3_column_int64(row, COL_JOB_UPDATED_US),
    };
}

enum err sqlite_task_get(struct store *store, int64_t id, const struct store_tasks_query *query,
                         struct store_task_entry *ret, int64_t *ret_now_us, struct why *why)
{
    AUTO_FREE char *graces = sqlite_graces_line(query->gated, query->n_gated);
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    sqlite3_stmt *statement;
    bool row;
    enum err err = sqlite_take(store, SQLITE_USE_READ, &conn, why);
    if (err || (err = sqlite_statement(conn, SQL_TASK_GET, &statement, why)))
        return err;
    sqlite_put(statement, 1, graces);
    (void)sqlite3_bind_int64(statement, 2, id);
    if ((err = sqlite_step(conn, statement, &row, why)))
        return err;
    if (!row)
        return why_set(why, ERR_NOT_FOUND, "no task has the id %lld", (long long)id);
    *ret = entry_read(statement);
    if (ret_now_us)
        *ret_now_us = sqlite3_column_int64(statement, COL_NOW_US);
    return ERR_OK;
}

/* where a page ends */

/* The letters stand in the place, the numbers in the statement. */
enum part { PART_NONE, PART_STUCK, PART_OTHERS };
static const char part_letters[] = {[PART_NONE] = ' ', [PART_STUCK] = 's', [PART_OTHERS] = 'o'};

struct place {
    enum part part;
    int type; /* SQLITE_INTEGER … SQLITE_NULL, which are 1 to 5 */
    unsigned char *bytes;
    size_t n;
    int64_t id;
};

/* The bytes that make up a value; a number's are put into `number`. */
static const unsigned char *value_bytes(sqlite3_stmt *row, int column, int64_t *number, size_t *ret_n)
{
    const unsigned char *bytes;
    double real;
    switch (sqlite3_column_type(row, column)) {
    case SQLITE_INTEGER:
        *number = sqlite3_column_int64(row, column);
        *ret_n = sizeof *number;
        return (const unsigned char *)number;
    case SQLITE_FLOAT:
        real = sqlite3_column_double(row, column);
        memcpy(number, &real, sizeof *number);
        *ret_n = sizeof *number;
        return (const unsigned char *)number;
    case SQLITE_TEXT:
        bytes = sqlite3_column_text(row, column);
        break;
    default:
        bytes = sqlite3_column_blob(row, column);
    }
    *ret_n = (size_t)sqlite3_column_bytes(row, column);
    return bytes;
}

/* place_write: of the row that was read last. Caller frees. */
static char *place_write(sqlite3_stmt *row, const struct store_task_entry *entry)
{
    static const char digits[] = "0123456789abcdef";
    int64_t number;
    size_t n;
    int type = sqlite3_column_type(row, COL_UPDATED_AT);
    const unsigned char *bytes = value_bytes(row, COL_UPDATED_AT, &number, &n);
    AUTO_FREE char *hex = mem_zero(2 * n + 1, 1);
    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    return mem_printf("%c%d%s.%lld", part_letters[entry->stuck ? PART_STUCK : PART_OTHERS], type, hex,
                      (long long)entry->task.id);
}

static bool hex_read(const char *hex, size_t n, unsigned char *ret)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < 2 * n; i++) {
        const char *digit = memchr(digits, hex[i], sizeof digits - 1);
        if (!digit)
            return false;
        ret[i / 2] = (unsigned char)(ret[i / 2] << 4 | (digit - digits));
    }
    return true;
}

/* place_read: false when the text is none. place->bytes is the caller's in either case. */
static bool place_read(const char *text, struct place *place)
{
    const char *dot = strchr(text, '.');
    size_t head = dot ? (size_t)(dot - text) : 0;
    if (head < 2 || head % 2 != 0 || !parse_i64(dot + 1, INT64_MIN, INT64_MAX, &place->id))
        return false;
    place->part = text[0] == part_letters[PART_STUCK]    ? PART_STUCK
                  : text[0] == part_letters[PART_OTHERS] ? PART_OTHERS
                                                         : PART_NONE;
    place->type = text[1] - '0';
    place->n = head / 2 - 1;
    place->bytes = mem_zero(place->n + 1, 1);
    bool fits = place->type == SQLITE_INTEGER || place->type == SQLITE_FLOAT ? place->n == sizeof(int64_t)
                : place->type == SQLITE_TEXT || place->type == SQLITE_BLOB   ? true
                                                                             : place->n == 0;
    return place->part != PART_NONE && place->type >= SQLITE_INTEGER && place->type <= SQLITE_NULL && fits &&
           hex_read(text + 2, place->n, place->bytes);
}

static void place_put(sqlite3_stmt *statement, int index, const struct place *place)
{
    sqlite3_int64 integer = 0;
    double real = 0;
    if (place->n == sizeof integer) {
        memcpy(&integer, place->bytes, sizeof integer);
        memcpy(&real, place->bytes, sizeof real);
    }
    if (place->type == SQLITE_INTEGER)
        (void)sqlite3_bind_int64(statement, index, integer);
    else if (place->type == SQLITE_FLOAT)
        (void)sqlite3_bind_double(statement, index, real);
    else if (place->type == SQLITE_TEXT)
        (void)sqlite3_bind_text(statement, index, (const char *)place->bytes, (int)place->n, SQLITE_STATIC);
    else if (place->type == SQLITE_BLOB)
        (void)sqlite3_bind_blob(statement, index, place->bytes, (int)place->n, SQLITE_STATIC);
}

/* page by page */

/* One more row than the page holds was asked for: it tells that there is another page. */
static enum err page_read(struct sqlite_conn *conn, sqlite3_stmt *statement, size_t limit,
                          struct store_tasks_page *ret, struct why *why)
{
    struct store_tasks_page page = {0};
    bool row, more = false;
    enum err err;
    while (!(err = sqlite_step(conn, statement, &row, why)) && row) {
        if ((more = page.n == limit))
            break;
        page.rows = mem_grow(page.rows, page.n + 1, sizeof *page.rows);
        page.rows[page.n] = entry_read(statement);
        if (++page.n == limit)
            page.next = place_write(statement, &page.rows[page.n - 1]);
    }
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

/* When a task is stuck, of the stage asked for if there is one. */
static char *graces_line(const struct store_tasks_query *query)
{
    if (!query->stage)
        return sqlite_graces_line(query->gated, query->n_gated);
    for (size_t i = 0; i < query->n_gated; i++)
        if (strcmp(query->gated[i].stage, query->stage) == 0)
            return sqlite_graces_line(&query->gated[i], 1);
    return sqlite_graces_line(NULL, 0);
}

enum err sqlite_tasks_list(struct store *store, const struct store_tasks_query *query,
                           struct store_tasks_page *ret, struct why *why)
{
    struct place place = {0};
    bool placed = !query->after || place_read(query->after, &place);
    AUTO_FREE unsigned char *bytes = place.bytes;
    if (!placed)
        return why_set(why, ERR_INVALID, "no page of tasks ended at this place");
    AUTO_FREE char *graces = graces_line(query);
    AUTO_FREE char *terminal = sqlite_texts_line(query->terminal, query->n_terminal);
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    sqlite3_stmt *statement;
    enum err err = sqlite_take(store, SQLITE_USE_READ, &conn, why);
    if (err || (err = sqlite_statement(conn, SQL_TASKS_LIST, &statement, why)))
        return err;
    sqlite_put(statement, 1, graces);
    sqlite_put(statement, 2, terminal);
    sqlite_put(statement, 3, query->stage);
    sqlite_put(statement, 4, query->repo);
    (void)sqlite3_bind_int(statement, 5, query->stuck_only);
    (void)sqlite3_bind_int(statement, 6, place.part);
    place_put(statement, 7, &place);
    (void)sqlite3_bind_int64(statement, 8, place.id);
    sqlite_put_limit(statement, 9, query->limit + 1);
    return page_read(conn, statement, query->limit, ret, why);
}

/* those of a repo */

static struct store_repo_task repo_task_read(sqlite3_stmt *row)
{
    enum { ID, WORK_ITEM_ID, BRANCH, STAGE };
    struct store_repo_task task = {.id = sqlite3_column_int64(row, ID)};
    task.work_item_id = sqlite_task_name(row, WORK_ITEM_ID, "work_item_id", &task.unreadable);
    task.branch = sqlite_task_name(row, BRANCH, "branch", &task.unreadable);
    task.stage = sqlite_task_name(row, STAGE, "stage", &task.unreadable);
    return task;
}

enum err sqlite_repo_tasks(struct store *store, const char *repo, const char *const *stages, size_t n_stages,
                           size_t limit, struct store_repo_tasks *ret, struct why *why)
{
    AUTO_FREE char *line = sqlite_texts_line(stages, n_stages);
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    sqlite3_stmt *statement;
    enum err err = sqlite_take(store, SQLITE_USE_READ, &conn, why);
    if (err || (err = sqlite_statement(conn, SQL_REPO_TASKS, &statement, why)))
        return err;
    sqlite_put(statement, 1, repo);
    sqlite_put(statement, 2, line);
    sqlite_put_limit(statement, 3, limit + 1);
    struct store_repo_tasks tasks = {0};
    bool row;
    while (!(err = sqlite_step(conn, statement, &row, why)) && row && !(tasks.more = tasks.n == limit)) {
        tasks.rows = mem_grow(tasks.rows, tasks.n + 1, sizeof *tasks.rows);
        tasks.rows[tasks.n++] = repo_task_read(statement);
    }
    if (err)
        store_repo_tasks_done(&tasks);
    else
        *ret = tasks;
    return err;
}
