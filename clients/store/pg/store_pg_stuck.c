/* Which tasks are stuck, and which were never started: the parameters of the one statement, and its rows. */
#include "clients/store/pg/store_pg.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"

/* The columns of SQL_STUCK and SQL_UNSTARTED. */
enum { COL_REVISION, COL_NOW_US, COL_COUNT, COL_OLDEST_S, COL_UNKNOWN_STAGE, COL_TASK };

char *pg_graces(const struct store_stage_grace *stages, size_t n)
{
    json_t *graces = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *watched = json_object();
        json_put(watched, "stage", json_text(stages[i].stage));
        json_put(watched, "grace_s", json_integer(stages[i].grace_s));
        json_push(graces, watched);
    }
    char *line = json_line(graces);
    json_decref(graces);
    return line;
}

/* An array as PostgreSQL writes it: "{1,2}". */
static char *resting_line(const struct store_stuck_query *query)
{
    size_t size = query->n_resting * PG_INT_SIZE + 3, at = 1;
    char *line = mem_zero(size, 1);
    line[0] = '{';
    for (size_t i = 0; i < query->n_resting; i++)
        at += (size_t)snprintf(line + at, size - at, "%s%" PRId64, i > 0 ? "," : "", query->resting[i]);
    line[at] = '}';
    return line;
}

char *pg_task_name(const PGresult *result, int row, int column, const char *name, char **unreadable)
{
    if (PQgetisnull(result, row, column))
        return NULL;
    return store_task_name(name, PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column),
                           unreadable);
}

static char *title_read(const PGresult *result, int row, int column, char **unreadable)
{
    if (PQgetisnull(result, row, column))
        return NULL;
    return store_task_title(PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column),
                            unreadable);
}

/* What must not be null, whatever the statement made of it. */
static char *or_empty(char *text_take)
{
    return text_take ? text_take : mem_dup("");
}

struct store_task pg_task_read(const PGresult *result, int row, int column)
{
    enum { ID, PLANE_ID, WORK_ITEM_ID, TITLE, REPO, BRANCH, STAGE, VERSION, AGE_S, TOO_LONG, HEALS, NEWEST };
    struct store_task task = {
        .id = pg_int(result, row, column + ID),
        .version = or_empty(pg_text(result, row, column + VERSION, LIMIT_TASK_VERSION)),
        .age_s = pg_int(result, row, column + AGE_S),
        .recent_heals = pg_int(result, row, column + HEALS),
        .newest_heal_seq = pg_int(result, row, column + NEWEST),
    };
    char **unreadable = &task.unreadable;
    if (!PQgetisnull(result, row, column + TOO_LONG))
        store_unreadable(unreadable, PQgetvalue(result, row, column + TOO_LONG), STORE_TOO_LONG);
    task.plane_id = store_plane_id_take(pg_task_name(result, row, column + PLANE_ID, "plane_id", unreadable));
    task.work_item_id = pg_task_name(result, row, column + WORK_ITEM_ID, "work_item_id", unreadable);
    task.title = title_read(result, row, column + TITLE, unreadable);
    task.repo = pg_task_name(result, row, column + REPO, "repo", unreadable);
    task.branch = pg_task_name(result, row, column + BRANCH, "branch", unreadable);
    task.stage = or_empty(pg_task_name(result, row, column + STAGE, "stage", unreadable));
    return task;
}

static struct store_task_list stuck_read(const PGresult *result)
{
    struct store_task_list stuck = {
        .settings_revision = pg_int(result, 0, COL_REVISION),
        .now_us = pg_int(result, 0, COL_NOW_US),
        .count = (size_t)pg_int(result, 0, COL_COUNT),
        .oldest_age_s = pg_int(result, 0, COL_OLDEST_S),
        .unknown_stage = (size_t)pg_int(result, 0, COL_UNKNOWN_STAGE),
    };
    int rows = PQntuples(result);
    stuck.tasks = mem_zero((size_t)rows, sizeof *stuck.tasks);
    for (int i = 0; i < rows; i++)
        if (!PQgetisnull(result, i, COL_TASK)) /* the one row there always is, or what a view made up */
            stuck.tasks[stuck.n_tasks++] = pg_task_read(result, i, COL_TASK);
    return stuck;
}

/* Asks `which`, which answers in the columns above. */
static enum err stuck_ask(struct store *store, unsigned which, const char *const *params,
                          struct store_task_list *ret, struct why *why)
{
    AUTO_RESULT PGresult *result = NULL;
    enum err err = pg_read(store, which, params, &result, why);
    if (err)
        return err;
    if (PQntuples(result) == 0)
        return why_set(why, ERR_INTERNAL, "the database gave no answer about stuck tasks");
    *ret = stuck_read(result);
    return ERR_OK;
}

enum err pg_stuck(struct store *store, const struct store_stuck_query *query, struct store_task_list *ret,
                  struct why *why)
{
    AUTO_FREE char *graces = pg_graces(query->stages, query->n_stages);
    AUTO_FREE char *known = pg_array(query->known, query->n_known);
    AUTO_FREE char *resting = resting_line(query);
    char only[PG_INT_SIZE], limit[PG_INT_SIZE];
    const char *const params[] = {graces, known, resting, pg_int_text(query->only_task, only),
                                  pg_limit_text(query->limit, limit)};
    return stuck_ask(store, SQL_STUCK, params, ret, why);
}

enum err pg_unstarted(struct store *store, const char *stage, int64_t grace_s, const char *const *fresh,
                      size_t n_fresh, size_t limit, struct store_task_list *ret, struct why *why)
{
    AUTO_FREE char *spellings = pg_spellings(fresh, n_fresh);
    char grace[PG_INT_SIZE], most[PG_INT_SIZE];
    const char *const params[] = {stage, pg_int_text(grace_s, grace), spellings, pg_limit_text(limit, most)};
    return stuck_ask(store, SQL_UNSTARTED, params, ret, why);
}
