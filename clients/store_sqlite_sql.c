/* Every statement that the SQLite store keeps prepared. Schema and its inspection are in
 * store_sqlite_schema.c. */
#include "clients/store_sqlite.h"

#include <assert.h>

#include "clients/base/limits.h"

#define DIGITS_OF(number) #number
#define DIGITS(number) DIGITS_OF(number)

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
#define LEDGER_COLUMNS                                                                                      \
    "seq, id, " AT_US                                                                                       \
    ", task_id, pass_id, work_item_id, repo, from_stage, to_stage, side, outcome, agent, reason, evidence," \
    " missed_source, missed_event"

/* Of a row t of tasks. What is no time in updated_at (null, a number, words) is null here; an impossible date
 * makes no age either. */
#define TASK_TIME "CASE WHEN t.updated_at LIKE '____-__-__%' THEN t.updated_at END"
#define TASK_AGE_S "(unixepoch('now') - unixepoch(" TASK_TIME "))"
#define TASK_US US_OF(TASK_TIME)
/* The ledger's rows that moved t out of the stage where it stands, by the index (task_id, seq). */
#define TASK_HEALS                                                                          \
    "FROM reconcile_ledger r WHERE r.task_id = t.id AND r.from_stage = t.stage AND r.at > " \
    "strftime('%Y-%m-%d %H:%M:%f', 'now', '-" DIGITS(LIMIT_HEALS_WINDOW_S) " seconds')"
/* For sqlite_task(): these, the age, and HEALS or NO_HEALS. What must not be null is empty then: such a task
 * has no stage that anybody knows, and no version that a transition could name. */
#define TASK_COLUMNS                                               \
    "t.id, t.plane_id, t.work_item_id, t.title, t.repo, t.branch," \
    " coalesce(t.stage, ''), coalesce(t.updated_at, '')"
#define HEALS "(SELECT count(*) " TASK_HEALS "), (SELECT max(r.seq) " TASK_HEALS ")"
#define NO_HEALS "0, 0"

/* Each text of a list as it is, in lower and in upper case: IN these compares uuids without case, by the
 * index of an ordinary unique key. */
#define SPELLINGS(list)                                                                    \
    "SELECT value FROM json_each(" list ") UNION SELECT lower(value) FROM json_each(" list \
    ") UNION SELECT upper(value) FROM json_each(" list ")"
#define SPELLINGS_1 SPELLINGS("?1")
#define SPELLINGS_3 SPELLINGS("?3")

/* What is stuck, of ?1 [[stage, grace_s], …]. Written so that the cost follows the stuck tasks:
 *   - CROSS JOIN makes SQLite go from the few stages into the index (stage, updated_at), never back;
 *   - `due` joins nothing but stages and tasks. Were the clock joined there too, SQLite 3.40 with ANALYZE's
 *     figures would expect so many searches that it made a Bloom filter of the whole table first (200 ms for
 *     a million rows, not 10).
 * What is no time in updated_at (null, a number, words, an impossible date) makes no age: not stuck. */
#define STUCK                                                                                \
    " clock(now_s) AS MATERIALIZED (SELECT unixepoch('now')),"                               \
    " watched(stage, grace_s, due) AS MATERIALIZED ("                                        \
    "  SELECT value ->> 0, value ->> 1, datetime('now', '-' || (value ->> 1) || ' seconds')" \
    "  FROM json_each(?1)),"                                                                 \
    " due(id, repo, updated_at, grace_s) AS MATERIALIZED ("                                  \
    "  SELECT t.id, t.repo, t.updated_at, w.grace_s"                                         \
    "  FROM watched w CROSS JOIN tasks t ON t.stage = w.stage AND t.updated_at <= w.due"     \
    "  WHERE NOT EXISTS (" ACTIVE_JOB "t.id)),"                                              \
    " stuck(id, repo, updated_at, age_s) AS MATERIALIZED ("                                  \
    "  SELECT d.id, d.repo, d.updated_at, c.now_s - unixepoch(d.updated_at) AS age"          \
    "  FROM clock c CROSS JOIN due d"                                                        \
    "  WHERE d.updated_at LIKE '____-__-__%' AND age >= d.grace_s),"
/* Every stage that a task stands at, by hopping from one to the next greater one in the same index. null is
 * no stage; IS (SELECT NULL) finds those tasks by the index even where a NOT NULL column makes SQLite scan.
 */
#define STAGES                                                                                          \
    " stages(stage) AS ("                                                                               \
    "  SELECT min(stage) FROM tasks"                                                                    \
    "  UNION ALL"                                                                                       \
    "  SELECT (SELECT min(stage) FROM tasks WHERE stage > s.stage) FROM stages s WHERE s.stage IS NOT " \
    "NULL),"

/* 1 as for STUCK, 2 [known stage, …], 3 [resting task id, …], 4 a task id or 0, 5 the limit. One row per
 * listed task, oldest in its repo first; the first columns are the same in every row, and there is always
 * one. */
static const char stuck_sql[] =
    "WITH RECURSIVE" STUCK STAGES " listed(id, turn, updated_at, age_s) AS MATERIALIZED ("
    "  SELECT id, row_number() OVER (PARTITION BY repo ORDER BY updated_at, id) AS turn, updated_at, age_s"
    "  FROM stuck WHERE id NOT IN (SELECT value FROM json_each(?3)) AND ?4 IN (0, id)"
    "  ORDER BY turn, updated_at, id LIMIT ?5),"
    " head(revision, now_us, stuck, oldest_s, strange) AS MATERIALIZED ("
    "  SELECT " REVISION ", " NOW_US ","
    "   (SELECT count(*) FROM stuck), coalesce((SELECT max(age_s) FROM stuck), 0),"
    "   (SELECT count(*) FROM tasks WHERE stage IS (SELECT NULL))"
    "   + (SELECT coalesce(sum((SELECT count(*) FROM tasks t WHERE t.stage = s.stage)), 0) FROM stages s"
    "      WHERE s.stage IS NOT NULL AND s.stage NOT IN (SELECT value FROM json_each(?2))))"
    " SELECT h.*, " TASK_COLUMNS ", l.age_s, " HEALS
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
    " SELECT h.*, " TASK_COLUMNS ", l.age_s, " NO_HEALS
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
    " SELECT h.*, " TASK_COLUMNS ", " TASK_AGE_S ", " NO_HEALS ", f.issue, " TASK_US ", EXISTS (" ACTIVE_JOB
    "t.id)"
    " FROM head h LEFT JOIN found f LEFT JOIN tasks t ON t.id = f.id"
    " ORDER BY f.issue, f.id";

/* Of a row t of tasks, with its newest active job. */
#define JOB_US US_OF("CASE WHEN j.updated_at LIKE '____-__-__%' THEN j.updated_at END")
#define ENTRY_COLUMNS \
    TASK_COLUMNS ", " TASK_AGE_S ", " HEALS ", " TASK_US ", j.id, j.agent, j.status, " JOB_US
#define ENTRY_JOB                                               \
    " LEFT JOIN jobs j ON j.id = (SELECT max(a.id) FROM jobs a" \
    "  WHERE a.status IN ('queued', 'running') AND a.task_id = t.id)"

/* 1 as for STUCK, but only of the stage asked for, 2 [terminal stage, …], 3 that stage or null, 4 a repo or
 * null, 5 whether only the stuck ones; where the page before ended: 6 in which part (0: there was none, 1:
 * the stuck ones, 2: the others), 7 with which updated_at and 8 which id; 9 the limit.
 *
 * The cost follows the stuck tasks and the page: of each stage at most `limit` others are taken, along
 * (stage, updated_at) from where the page before ended. null comes before everything and is compared with
 * nothing, hence two ways into a stage, of which the condition without a column opens one. */
#define OTHER "u.id NOT IN (SELECT id FROM stuck) AND (?4 IS NULL OR u.repo = ?4)"
static const char tasks_list_sql[] =
    "WITH RECURSIVE" STUCK STAGES " first(part, updated_at, id) AS MATERIALIZED ("
    "  SELECT 1, updated_at, id FROM stuck"
    "  WHERE ?6 < 2 AND (?6 = 0 OR (updated_at, id) > (?7, ?8)) AND (?4 IS NULL OR repo = ?4)"
    "  ORDER BY updated_at, id LIMIT ?9),"
    " open(stage) AS MATERIALIZED ("
    "  SELECT ?3 WHERE ?3 IS NOT NULL"
    "  UNION ALL"
    "  SELECT stage FROM stages"
    "  WHERE ?3 IS NULL AND stage IS NOT NULL AND stage NOT IN (SELECT value FROM json_each(?2))"
    "  UNION ALL"
    "  SELECT NULL WHERE ?3 IS NULL),"
    " second(part, updated_at, id) AS MATERIALIZED ("
    "  SELECT 2, t.updated_at, t.id FROM open o CROSS JOIN tasks t ON t.id IN (SELECT id FROM ("
    "   SELECT u.updated_at, u.id FROM tasks u WHERE u.stage IS o.stage AND (?6 < 2 OR ?7 IS NULL)"
    "    AND (?6 < 2 OR u.updated_at IS NOT NULL OR u.id > ?8) AND " OTHER "   UNION ALL"
    "   SELECT u.updated_at, u.id FROM tasks u WHERE u.stage IS o.stage AND ?6 = 2"
    "    AND u.updated_at >= ?7 AND (u.updated_at > ?7 OR u.id > ?8) AND " OTHER "   ORDER BY 1, 2 LIMIT ?9))"
    "  WHERE NOT ?5 AND (SELECT count(*) FROM first) < ?9),"
    " page(part, updated_at, id) AS MATERIALIZED ("
    "  SELECT * FROM first UNION ALL SELECT * FROM second ORDER BY 1, 2, 3 LIMIT ?9)"
    " SELECT " ENTRY_COLUMNS ", p.part = 1, p.updated_at"
    " FROM page p CROSS JOIN tasks t ON t.id = p.id" ENTRY_JOB " ORDER BY p.part, p.updated_at, p.id";

/* 1 as for STUCK, 2 the id. */
static const char task_get_sql[] = "WITH" STUCK " asked(id) AS (SELECT ?2)"
                                   " SELECT " ENTRY_COLUMNS ", t.id IN (SELECT id FROM stuck), " NOW_US
                                   " FROM asked a CROSS JOIN tasks t ON t.id = a.id" ENTRY_JOB;

/* Until a replay's next try; the instant of the one behind that try. */
#define NEXT_S "max(0, (" NEXT_US " - " NOW_US " + 999999) / 1000000)"
#define NEXT_US US_OF("next_at")
#define NEXT_AT(tries)                                                                               \
    "strftime('%Y-%m-%d %H:%M:%f', 'now', '+' || min(" DIGITS(LIMIT_REPLAY_PAUSE_MAX_S) ", " DIGITS( \
        LIMIT_REPLAY_PAUSE_S) " << (" tries " - 1)) || ' seconds')"
#define FIRST_NEXT_AT NEXT_AT("1")
#define SAME "(r.delivery = excluded.delivery)"
#define NEXT_TRY "CASE WHEN " SAME " THEN min(r.tries + 1, " DIGITS(LIMIT_REPLAY_TRIES) ") ELSE 1 END"
#define NEXT_NEXT_AT NEXT_AT("(" NEXT_TRY ")")
#define FIRST_US US_OF("r.first_at")
/* Given up; or moved in the database, by a process that was set to do so. */
#define IS_NO_HEAL                                                                  \
    "r.given_up OR EXISTS (SELECT 1 FROM reconcile_ledger l WHERE l.task_id = t.id" \
    " AND l.from_stage = r.from_stage AND l.at >= r.first_at)"

/* 1 the subject, 2 the delivery, 3 the task or null, 4 its plane id, 5 the stage it stands at, 6 the one it
 * is to go to, 7 its version, 8 for how long it has rested, 9 the side, 10 the outcome, 11 the reason, 12 the
 * evidence, 13 the verdict, 14 and 15 the event. No row: it waits, or is given up. */
static const char replay_begin_sql[] =
    "INSERT INTO reconcile_replays AS r (subject, delivery, task_id, plane_id, from_stage, to_stage, version,"
    " rested_s, side, outcome, reason, evidence, verdict_id, missed_source, missed_event, tries, first_at,"
    " next_at, given_up)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, 1, " NOW_TEXT ","
    " " FIRST_NEXT_AT ", 0)"
    " ON CONFLICT (subject) DO UPDATE SET delivery = excluded.delivery, from_stage = excluded.from_stage,"
    " to_stage = excluded.to_stage, version = excluded.version, tries = " NEXT_TRY ","
    " first_at = CASE WHEN " SAME " THEN r.first_at ELSE excluded.first_at END, next_at = " NEXT_NEXT_AT ","
    " given_up = " SAME " AND r.tries >= " DIGITS(
        LIMIT_REPLAY_TRIES) ","
                            " rested_s = CASE WHEN " SAME
                            " THEN r.rested_s ELSE excluded.rested_s END, side = excluded.side,"
                            " outcome = excluded.outcome, reason = excluded.reason, evidence = "
                            "excluded.evidence,"
                            " verdict_id = excluded.verdict_id, missed_source = excluded.missed_source,"
                            " missed_event = excluded.missed_event"
                            " WHERE NOT " SAME " OR (r.next_at <= " NOW_TEXT " AND NOT r.given_up)"
                            " RETURNING tries, given_up, " NEXT_S;

/* 1 the limit. */
static const char replays_moved_sql[] =
    "SELECT r.subject, r.delivery, " FIRST_US ", r.tries,"
    " r.rested_s + unixepoch('now') - unixepoch(r.first_at), " IS_NO_HEAL ", r.from_stage, r.side,"
    " r.outcome, r.reason, r.evidence, r.verdict_id, r.missed_source, r.missed_event,"
    " " TASK_COLUMNS ", " TASK_AGE_S ", " NO_HEALS
    " FROM reconcile_replays r LEFT JOIN tasks t ON t.id = coalesce(r.task_id,"
    "  (SELECT i.id FROM tasks i WHERE i.plane_id IN (r.plane_id, upper(r.plane_id)) LIMIT 1))"
    " WHERE CASE WHEN r.task_id IS NULL THEN t.id IS NOT NULL"
    "  ELSE t.id IS NULL OR t.stage IS NOT r.from_stage OR (r.to_stage = r.from_stage"
    "   AND t.updated_at IS NOT r.version AND EXISTS (" ACTIVE_JOB "t.id)) END"
    " ORDER BY r.first_at, r.subject LIMIT ?1";

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
        " to_stage, side, outcome, agent, reason, evidence, missed_source, missed_event)"
        " VALUES (?1, " NOW_TEXT ", ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",

    /* 1 [[subject, delivery], …]. */
    [SQL_REPLAYS_LOOK] = "SELECT j.key, r.tries, r.given_up, " NEXT_S ", r.next_at <= " NOW_TEXT
                         " FROM json_each(?1) j CROSS JOIN reconcile_replays r"
                         " ON r.subject = j.value ->> 0 AND r.delivery = j.value ->> 1",
    /* 1 the subject. */
    [SQL_REPLAY_GET] =
        "SELECT delivery, tries, " NEXT_US ", given_up FROM reconcile_replays WHERE subject = ?1",
    [SQL_REPLAY_BEGIN] = replay_begin_sql,
    [SQL_REPLAYS_MOVED] = replays_moved_sql,
    /* 1 the subject, 2 the delivery. */
    [SQL_REPLAY_TAKE] = "DELETE FROM reconcile_replays WHERE subject = ?1 AND delivery = ?2 RETURNING 1",

    /* 1 the id, 2 the text. */
    [SQL_OUTBOX_ADD] = "INSERT INTO reconcile_outbox (id, at, text) VALUES (?1, " NOW_TEXT ", ?2)"
                       " ON CONFLICT (id) DO NOTHING RETURNING 1",
    /* 1 the limit. One row per message; the first column is the same in every row, and there is always one.
     */
    [SQL_OUTBOX_LIST] =
        "WITH head(depth) AS (SELECT count(*) FROM reconcile_outbox WHERE sent_at IS NULL),"
        " listed AS (SELECT id, seq, unixepoch('now') - unixepoch(at) AS age_s, text FROM reconcile_outbox"
        "  WHERE sent_at IS NULL ORDER BY seq LIMIT ?1)"
        " SELECT h.depth, l.* FROM head h LEFT JOIN listed l ORDER BY l.seq",
    /* 1 [id, …]. */
    [SQL_OUTBOX_SENT] = "UPDATE reconcile_outbox SET sent_at = " NOW_TEXT
                        " WHERE sent_at IS NULL AND id IN (SELECT value FROM json_each(?1))",
    /* 1 how many stay. */
    [SQL_OUTBOX_PRUNE] = "DELETE FROM reconcile_outbox WHERE sent_at IS NOT NULL AND seq <="
                         " (SELECT seq FROM reconcile_outbox WHERE sent_at IS NOT NULL"
                         " ORDER BY seq DESC LIMIT 1 OFFSET ?1)",

    /* 1 the name, 2 the owner, 3 for how many seconds. A row when there is nothing to write: whether the
     * lease is the owner's. */
    [SQL_LEASE_STANDS] =
        "SELECT owner = ?2 FROM reconcile_leases WHERE name = ?1 AND until >"
        " CASE WHEN owner = ?2 THEN strftime('%Y-%m-%d %H:%M:%f', 'now', '+' || (?3 / 2.0) || ' seconds')"
        " ELSE " NOW_TEXT " END",
    /* A row when it is the owner's now. */
    [SQL_LEASE_TAKE] = "INSERT INTO reconcile_leases (name, owner, until) VALUES"
                       " (?1, ?2, strftime('%Y-%m-%d %H:%M:%f', 'now', '+' || ?3 || ' seconds'))"
                       " ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until"
                       " WHERE owner = excluded.owner OR until <= " NOW_TEXT " RETURNING 1",
    [SQL_LEASE_DROP] = "DELETE FROM reconcile_leases WHERE name = ?1 AND owner = ?2",

    [SQL_TASKS_LIST] = tasks_list_sql,
    [SQL_TASK_GET] = task_get_sql,
    /* 1 the repo, 2 [stage, …], 3 the limit. From the stages into the index, never through all tasks in the
     * order of their ids. */
    [SQL_REPO_TASKS] = "SELECT t.id, t.work_item_id, t.branch, t.stage"
                       " FROM (SELECT DISTINCT value FROM json_each(?2)) s CROSS JOIN tasks t"
                       " ON t.repo = ?1 AND t.stage = s.value WHERE t.branch <> ''"
                       " ORDER BY t.id DESC LIMIT ?3",

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
    [SQL_PASS_LIST] =
        "SELECT id, started_us, substr(report, 1, ?3) FROM reconcile_passes WHERE started_us < ?1"
        " ORDER BY started_us DESC, id DESC LIMIT ?2",
};
static_assert(ARRAY_LEN(texts) == SQL_MAX_, "every statement has its text");

const char *sqlite_sql_text(enum sqlite_sql which)
{
    return texts[which];
}
