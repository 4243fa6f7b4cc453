/* Every statement that the SQLite store keeps prepared. Schema and its inspection are in
 * store_sqlite_schema.c. */
#include "clients/store_sqlite.h"

#include <assert.h>

#define NOW_US                                                                                               \
    "(CAST(strftime('%s', 'now') AS INTEGER) * 1000000 + CAST(substr(strftime('%f', 'now'), 4) AS INTEGER) " \
    "* 1000)"
#define AT_US                                                                                            \
    "(CAST(strftime('%s', at) AS INTEGER) * 1000000 + CAST(substr(strftime('%f', at), 4) AS INTEGER) * " \
    "1000)"
#define REVISION "coalesce((SELECT revision FROM reconcile_settings WHERE id = 1), 0)"
#define ACTIVE_JOB "SELECT 1 FROM jobs j WHERE j.status IN ('queued', 'running') AND j.task_id = "
#define STANDS "id = ?1 AND stage IS ?2 AND updated_at IS ?3 AND NOT EXISTS (" ACTIVE_JOB "?1)"
#define LEDGER_COLUMNS \
    "seq, id, " AT_US  \
    ", task_id, pass_id, work_item_id, repo, from_stage, to_stage, side, outcome, agent, reason, evidence"

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
    " SELECT h.*, t.id, t.plane_id, t.work_item_id, t.title, t.repo, t.branch, t.stage, l.updated_at, l.age_s"
    " FROM head h LEFT JOIN listed l LEFT JOIN tasks t ON t.id = l.id"
    " ORDER BY l.turn, l.updated_at, l.id";

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

    [SQL_LEDGER_HAS] = "SELECT 1 FROM reconcile_ledger WHERE id = ?1",
    /* 1 the task, 2 its stage and 3 its version as they were read, 4 the stage it goes to. */
    [SQL_TASK_MOVE] =
        "UPDATE tasks SET stage = ?4, updated_at = CURRENT_TIMESTAMP WHERE " STANDS " RETURNING id",
    [SQL_TASK_STANDS] = "SELECT 1 FROM tasks WHERE " STANDS,
    [SQL_JOB_QUEUE] = "INSERT INTO jobs (task_id, agent, status, created_at, updated_at)"
                      " VALUES (?1, ?2, 'queued', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP) RETURNING 1",
    [SQL_LEDGER_ADD] =
        "INSERT INTO reconcile_ledger (id, at, task_id, pass_id, work_item_id, repo, from_stage,"
        " to_stage, side, outcome, agent, reason, evidence)"
        " VALUES (?1, strftime('%Y-%m-%d %H:%M:%f', 'now'), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,"
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
