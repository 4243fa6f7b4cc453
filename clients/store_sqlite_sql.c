/* Every statement that the SQLite store keeps prepared. Schema and its inspection are in
 * store_sqlite_schema.c. */
#include "clients/store_sqlite.h"

#include <assert.h>

#define NOW_US                                                                                               \
    "(CAST(strftime('%s', 'now') AS INTEGER) * 1000000 + CAST(substr(strftime('%f', 'now'), 4) AS INTEGER) " \
    "* 1000)"
#define US_OF(instant)                                                                              \
    "(CAST(strftime('%s', " instant ") AS INTEGER) * 1000000 + CAST(substr(strftime('%f', " instant \
    "), 4) AS INTEGER) * 1000)"
#define AT_US US_OF("at")
#define NOW_TEXT "strftime('%Y-%m-%d %H:%M:%f', 'now')"
#define REVISION "coalesce((SELECT revision FROM reconcile_settings WHERE id = 1), 0)"
#define ACTIVE_JOB "SELECT 1 FROM jobs j WHERE j.status IN ('queued', 'running') AND j.task_id = "
#define STANDS "id = ?1 AND stage IS ?2 AND updated_at IS ?3 AND NOT EXISTS (" ACTIVE_JOB "?1)"
#define LEDGER_COLUMNS \
    "seq, id, " AT_US  \
    ", task_id, pass_id, work_item_id, repo, from_stage, to_stage, side, outcome, agent, reason, evidence"

/* Of a row t of tasks. What is no time in updated_at (null, a number, words) is null here; an impossible date
 * makes no age either. */
#define TASK_TIME "CASE WHEN t.updated_at LIKE '____-__-__%' THEN t.updated_at END"
#define TASK_AGE_S "(unixepoch('now') - unixepoch(" TASK_TIME "))"
#define TASK_US US_OF(TASK_TIME)
/* For sqlite_task(), and the age follows. What must not be null is empty then: such a task has no stage that
 * anybody knows, and no version that a transition could name. */
#define TASK_COLUMNS                                               \
    "t.id, t.plane_id, t.work_item_id, t.title, t.repo, t.branch," \
    " coalesce(t.stage, ''), coalesce(t.updated_at, '')"

/* Each text of a list as it is, in lower and in upper case: IN these compares uuids without case, by the
 * index of an ordinary unique key. */
#define SPELLINGS(list)                                                                    \
    "SELECT value FROM json_each(" list ") UNION SELECT lower(value) FROM json_each(" list \
    ") UNION SELECT upper(value) FROM json_each(" list ")"
#define SPELLINGS_1 SPELLINGS("?1")
#define SPELLINGS_3 SPELLINGS("?3")

/* Parameters: 1 [[stage, grace_s], …], 2 [known stage, …], 3 [resting task id, …], 4 a task id or 0,
 * 5 the limit.
 *
 * One row per listed task, oldest in its repo first; the first columns are the same in every row, and there
 * is always one. Written so that the cost follows the stuck tasks:
 *   - CROSS JOIN makes SQLite go from the few stages into the index (stage, updated_at), never back;
 *   - `due` joins nothing but stages and tasks. Were the clock joined there too, SQLite 3.40 with ANALYZE's
 *     figures would expect so many searches that it made a Bloom filter of the whole table first (200 ms for
 *     a million rows, not 10);
 *   - `stages` hops from one stage to the next greater one in the same index;
 *   - IS (SELECT NULL) finds null stages by the index even where a NOT NULL column makes SQLite scan.
 *
 * What is no time in updated_at (null, a number, words, an impossible date) makes no age: not stuck. */
static const char stuck_sql[] =
    "WITH RECURSIVE"
    " clock(now_s) AS MATERIALIZED (SELECT unixepoch('now')),"
    " watched(stage, grace_s, due) AS MATERIALIZED ("
    "  SELECT value ->> 0, value ->> 1, datetime('now', '-' || (value ->> 1) || ' seconds')"
    "  FROM json_each(?1)),"
    " due(id, repo, updated_at, grace_s) AS MATERIALIZED ("
    "  SELECT t.id, t.repo, t.updated_at, w.grace_s"
    "  FROM watched w CROSS JOIN tasks t ON t.stage = w.stage AND t.updated_at <= w.due"
    "  WHERE NOT EXISTS (" ACTIVE_JOB "t.id)),"
    " stuck(id, repo, updated_at, age_s) AS MATERIALIZED ("
    "  SELECT d.id, d.repo, d.updated_at, c.now_s - unixepoch(d.updated_at) AS age"
    "  FROM clock c CROSS JOIN due d"
    "  WHERE d.updated_at LIKE '____-__-__%' AND age >= d.grace_s),"
    " listed(id, turn, updated_at, age_s) AS MATERIALIZED ("
    "  SELECT id, row_number() OVER (PARTITION BY repo ORDER BY updated_at, id) AS turn, updated_at, age_s"
    "  FROM stuck WHERE id NOT IN (SELECT value FROM json_each(?3)) AND ?4 IN (0, id)"
    "  ORDER BY turn, updated_at, id LIMIT ?5),"
    " stages(stage) AS ("
    "  SELECT min(stage) FROM tasks"
    "  UNION ALL"
    "  SELECT (SELECT min(stage) FROM tasks WHERE stage > s.stage) FROM stages s WHERE s.stage IS NOT NULL),"
    " head(revision, now_us, stuck, oldest_s, strange) AS MATERIALIZED ("
    "  SELECT " REVISION ", " NOW_US ","
    "   (SELECT count(*) FROM stuck), coalesce((SELECT max(age_s) FROM stuck), 0),"
    "   (SELECT count(*) FROM tasks WHERE stage IS (SELECT NULL))"
    "   + (SELECT coalesce(sum((SELECT count(*) FROM tasks t WHERE t.stage = s.stage)), 0) FROM stages s"
    "      WHERE s.stage IS NOT NULL AND s.stage NOT IN (SELECT value FROM json_each(?2))))"
    " SELECT h.*, " TASK_COLUMNS ", l.age_s"
    " FROM head h LEFT JOIN listed l LEFT JOIN tasks t ON t.id = l.id"
    " ORDER BY l.turn, l.updated_at, l.id";

/* 1 the stage, 2 its grace in seconds, 3 [fresh plane id, …], 4 the limit. The columns of stuck_sql. */
static const char unstarted_sql[] =
    "WITH listed(id, updated_at, age_s) AS MATERIALIZED ("
    "  SELECT t.id, t.updated_at, " TASK_AGE_S " AS age"
    "  FROM tasks t"
    "  WHERE t.stage = ?1 AND NOT EXISTS (" ACTIVE_JOB "t.id)"
    "   AND ((t.updated_at <= datetime('now', '-' || ?2 || ' seconds') AND age >= ?2)"
    "    OR t.plane_id IN (" SPELLINGS_3 "))"
    "  ORDER BY t.updated_at, t.id LIMIT ?4),"
    " head(revision, now_us, listed, oldest_s, strange) AS MATERIALIZED ("
    "  SELECT " REVISION ", " NOW_US ","
    "   (SELECT count(*) FROM listed), (SELECT coalesce(max(age_s), 0) FROM listed), 0)"
    " SELECT h.*, " TASK_COLUMNS ", l.age_s"
    " FROM head h LEFT JOIN listed l LEFT JOIN tasks t ON t.id = l.id"
    " ORDER BY l.updated_at, l.id";

/* 1 [plane id, …]. Which of these a task is of is told by sorting tasks and ids together: a join would
 * compare each with each where SQLite expects few. */
static const char issue_tasks_sql[] =
    "WITH both(plane_id, issues, id) AS ("
    "  SELECT lower(value), json_group_array(key), NULL FROM json_each(?1) GROUP BY 1"
    "  UNION ALL"
    "  SELECT lower(t.plane_id), NULL, t.id FROM tasks t WHERE t.plane_id IN (" SPELLINGS_1 ")),"
    " found(issue, id) AS MATERIALIZED ("
    "  SELECT i.value, b.id"
    "  FROM (SELECT max(issues) OVER (PARTITION BY plane_id) AS issues, id FROM both) b"
    "  CROSS JOIN json_each(b.issues) i WHERE b.id IS NOT NULL),"
    " head(revision, now_us) AS MATERIALIZED (SELECT " REVISION ", " NOW_US ")"
    " SELECT h.*, " TASK_COLUMNS ", " TASK_AGE_S ", f.issue, " TASK_US ", EXISTS (" ACTIVE_JOB "t.id)"
    " FROM head h LEFT JOIN found f LEFT JOIN tasks t ON t.id = f.id"
    " ORDER BY f.issue, f.id";

static const char *const texts[] = {
    [SQL_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROW_BEGIN] = "SAVEPOINT reconcile_row",
    [SQL_ROW_KEEP] = "RELEASE reconcile_row",
    [SQL_ROW_UNDO] = "ROLLBACK TO reconcile_row",

    [SQL_SETTINGS_READ] =
        "SELECT " REVISION ", " NOW_US ", (SELECT overrides FROM reconcile_settings WHERE id = 1)",
    /* 1 the overrides, 2 the revision seen; no row comes back when another one stands. */
    [SQL_SETTINGS_WRITE] = "INSERT INTO reconcile_settings (id, revision, overrides, updated_at)"
                           " SELECT 1, ?2 + 1, ?1, CURRENT_TIMESTAMP WHERE " REVISION " = ?2"
                           " ON CONFLICT (id) DO UPDATE SET revision = excluded.revision,"
                           " overrides = excluded.overrides, updated_at = excluded.updated_at"
                           " RETURNING revision",

    [SQL_STUCK] = stuck_sql,
    [SQL_UNSTARTED] = unstarted_sql,

    [SQL_ISSUE_TASKS] = issue_tasks_sql,
    /* 1 [activity id, …]; the places of those that were replayed. */
    [SQL_VERDICTS_REPLAYED] = "SELECT j.key FROM json_each(?1) j"
                              " WHERE EXISTS (SELECT 1 FROM reconcile_verdicts v WHERE v.id = j.value)",
    [SQL_TASKS_ARE_A_VIEW] =
        "SELECT 1 FROM sqlite_schema WHERE name = 'tasks' COLLATE NOCASE AND type = 'view'",
    [SQL_TASKS_ARE_KEYED] = "INSERT INTO tasks (plane_id) SELECT NULL WHERE 0"
                            " ON CONFLICT (plane_id) WHERE plane_id IS NOT NULL DO NOTHING",
    /* 1 [plane id, …]; the places of those that have a task. */
    [SQL_TASKS_EXISTING] = "SELECT key FROM json_each(?1) WHERE lower(value) IN"
                           " (SELECT lower(t.plane_id) FROM tasks t WHERE t.plane_id IN (" SPELLINGS_1 "))",
    [SQL_TASKS_TAKE_NEW] =
        "INSERT INTO tasks (plane_id, work_item_id, title, repo, branch, stage, created_at,"
        " updated_at) SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL WHERE 0",
    [SQL_TASK_CREATE] = "INSERT INTO tasks (plane_id, work_item_id, title, repo, branch, stage, created_at,"
                        " updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)"
                        " RETURNING 1",

    [SQL_TASKS_TAKE_MOVES] = "UPDATE tasks SET stage = NULL, updated_at = NULL WHERE 0",
    [SQL_JOBS_TAKE_NEW] = "INSERT INTO jobs (task_id, agent, status, created_at, updated_at)"
                          " SELECT NULL, NULL, NULL, NULL, NULL WHERE 0",
    [SQL_LEDGER_HAS] = "SELECT 1 FROM reconcile_ledger WHERE id = ?1",
    [SQL_VERDICT_ADD] = "INSERT INTO reconcile_verdicts (id, task_id, at) VALUES (?1, ?2, " NOW_TEXT ")"
                        " ON CONFLICT (id) DO NOTHING RETURNING 1",
    /* 1 the task, 2 its stage and 3 its version as they were read, 4 the stage it goes to. */
    [SQL_TASK_MOVE] =
        "UPDATE tasks SET stage = ?4, updated_at = CURRENT_TIMESTAMP WHERE " STANDS " RETURNING id",
    [SQL_TASK_STANDS] = "SELECT 1 FROM tasks WHERE " STANDS,
    [SQL_JOB_QUEUE] = "INSERT INTO jobs (task_id, agent, status, created_at, updated_at)"
                      " VALUES (?1, ?2, 'queued', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP) RETURNING 1",
    [SQL_LEDGER_ADD] =
        "INSERT INTO reconcile_ledger (id, at, task_id, pass_id, work_item_id, repo, from_stage,"
        " to_stage, side, outcome, agent, reason, evidence)"
        " VALUES (?1, " NOW_TEXT ", ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,"
        " ?11, ?12)",

    [SQL_LEDGER_SUMMARY] = "SELECT (SELECT count(*) FROM reconcile_ledger),"
                           " (SELECT work_item_id FROM reconcile_ledger ORDER BY seq DESC LIMIT 1)",
    /* 1 the seq to stay below, 2 the limit, 3 the task. */
    [SQL_LEDGER_LIST] =
        "SELECT " LEDGER_COLUMNS " FROM reconcile_ledger WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
    [SQL_LEDGER_LIST_OF_TASK] =
        "SELECT " LEDGER_COLUMNS " FROM reconcile_ledger WHERE task_id = ?3 AND seq < ?1"
        " ORDER BY seq DESC LIMIT ?2",

    [SQL_PASS_SAVE] =
        "INSERT INTO reconcile_passes (id, started_us, report) VALUES (?1, ?2, ?3)"
        " ON CONFLICT (id) DO UPDATE SET started_us = excluded.started_us, report = excluded.report",
    [SQL_PASS_PRUNE] = "DELETE FROM reconcile_passes WHERE id NOT IN"
                       " (SELECT id FROM reconcile_passes ORDER BY started_us DESC, id DESC LIMIT ?1)",
    [SQL_PASS_GET] = "SELECT report FROM reconcile_passes WHERE id = ?1",
    [SQL_PASS_LIST] = "SELECT id, started_us, report FROM reconcile_passes WHERE started_us < ?1"
                      " ORDER BY started_us DESC, id DESC LIMIT ?2",
};
static_assert(ARRAY_LEN(texts) == SQL_MAX_, "every statement has its text");

const char *sqlite_sql_text(enum sqlite_sql which)
{
    return texts[which];
}
