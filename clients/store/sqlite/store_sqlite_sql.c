/* Every statement that the SQLite store keeps prepared. The tables are in schema.sql. */
#include "clients/store/sqlite/store_sqlite.h"

#include <assert.h>

#include "clients/base/limits.h"
#include "clients/store/store_columns.h"

#define DIGITS(number) STORE_DIGITS(number)

#define NOW_US                                                                                               \
    "(CAST(strftime('%s', 'now') AS INTEGER) * 1000000 + CAST(substr(strftime('%f', 'now'), 4) AS INTEGER) " \
    "* 1000)"
#define US_OF(instant)                                                                              \
    "(CAST(strftime('%s', " instant ") AS INTEGER) * 1000000 + CAST(substr(strftime('%f', " instant \
    "), 4) AS INTEGER) * 1000)"
#define AT_US US_OF("at")
#define NOW_TEXT "strftime('%Y-%m-%d %H:%M:%f', 'now')"
/* The instant so many seconds from now. */
#define IN_S(seconds) "strftime('%Y-%m-%d %H:%M:%f', 'now', '+' || (" seconds ") || ' seconds')"
#define REVISION "coalesce((SELECT revision FROM reconcile_settings WHERE id = 1), 0)"
#define ACTIVE_JOB "SELECT 1 FROM jobs j WHERE j.status IN ('queued', 'running') AND j.task_id = "
#define STANDS "id = ?1 AND stage IS ?2 AND updated_at IS ?3 AND NOT EXISTS (" ACTIVE_JOB "?1)"
#define LEDGER_COLUMNS                                                                                \
    "seq, id, " AT_US " AS at_us, task_id, pass_id, work_item_id, repo, from_stage, to_stage, side, " \
    "outcome, agent, reason, evidence,"                                                               \
    " missed_source, missed_event"

/* A UUID as it is compared: in lower case, without hyphens. */
#define UUID_KEY(uuid) "lower(replace(" uuid ", '-', ''))"
#define KEY_OF_T UUID_KEY("t.plane_id")
#define KEY_OF_R UUID_KEY("r.plane_id")
#define KEY_OF_VALUE UUID_KEY("value")
/* A column of INTEGER affinity may hold a text or a fraction all the same, unless it is the rowid. Such a row
 * is never read: as a number it would be another task's. */
#define HAS_ID(of) "typeof(" of ".id) = 'integer'"
#define HAS_ID_T HAS_ID("t")
/* Whether a row r that names the task t by its id means this task, and not one that had the id before. A row
 * that has neither name cannot be distinguished. */
#define SAME_TASK                                                  \
    "(r.work_item_id = t.work_item_id OR " KEY_OF_R " = " KEY_OF_T \
    " OR (r.work_item_id IS NULL AND t.work_item_id IS NULL"       \
    "  AND (r.plane_id IS NULL OR t.plane_id IS NULL)))"

/* Of a row t of tasks; null when updated_at holds no time. */
#define TASK_US "reconcile_us(t.updated_at)"
#define TASK_AGE_S "((" NOW_US " - " TASK_US ") / 1000000)"
/* The ledger's rows that moved t out of the stage where it stands, by the index (task_id, seq): as a range,
 * for ANALYZE may have found the heals of one task alone, and without the order of seq, which leads through
 * all. */
#define TASK_HEALS(window_s)                                                                    \
    "FROM reconcile_ledger r WHERE r.task_id BETWEEN t.id AND t.id AND r.from_stage = t.stage " \
    "AND " SAME_TASK " AND r.at > "                                                             \
    "strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || " window_s " || ' seconds')"                   \
    " AND r.seq > coalesce((SELECT e.ledger_seq FROM reconcile_releases e WHERE e.task_id = t.id), 0)"
/* A text of t, and a byte too many if it is longer than so many: by way of a blob, for substr() of a text
 * ends at a NUL (and of nothing makes null). Twice as many bytes, for a file in UTF-16. */
#define TEXT(column, bytes)                                                         \
    "CASE typeof(t." column ") WHEN 'null' THEN NULL"                               \
    " WHEN 'blob' THEN coalesce(substr(t." column ", 1, 2 * (" bytes " + 1)), x'')" \
    " ELSE coalesce(CAST(substr(CAST(t." column " AS BLOB), 1, 2 * (" bytes " + 1)) AS TEXT), '') END"
#define NAME_SIZE DIGITS(LIMIT_TASK_NAME)
#define NAME_PLANE_ID TEXT("plane_id", NAME_SIZE)
#define NAME_WORK_ITEM_ID TEXT("work_item_id", NAME_SIZE)
#define NAME_REPO TEXT("repo", NAME_SIZE)
#define NAME_BRANCH TEXT("branch", NAME_SIZE)
#define NAME_STAGE TEXT("stage", NAME_SIZE)
#define TITLE TEXT("title", DIGITS(LIMIT_TASK_TITLE))
/* For rows_task: these, the age, and HEALS or NO_HEALS. What must not be null is empty then: such a task
 * has no known stage, and no version that a transition could name. */
#define TASK_COLUMNS                                                                                        \
    "t.id AS id, " NAME_PLANE_ID " AS plane_id, " NAME_WORK_ITEM_ID " AS work_item_id, " TITLE " AS title," \
    " " NAME_REPO " AS repo, " NAME_BRANCH " AS branch, coalesce(" NAME_STAGE ", '') AS stage,"             \
    " coalesce(t.updated_at, '') AS version, NULL AS too_long"
#define HEALS(window_s)                                                                     \
    "(SELECT count(*) " TASK_HEALS(window_s) ") AS heals, (SELECT max(+r.seq) " TASK_HEALS( \
        window_s) ") AS newest_heal_seq"
#define NO_HEALS "0 AS heals, 0 AS newest_heal_seq"
#define AGE_S TASK_AGE_S " AS age_s"

/* Each text of a list as it is, in lower and in upper case, with and without hyphens: IN these compares as
 * UUIDs, by the index of an ordinary unique key. */
#define SPELLINGS(list)                                                                    \
    "SELECT value FROM json_each(" list ") UNION SELECT lower(value) FROM json_each(" list \
    ") UNION SELECT upper(value) FROM json_each(" list ") UNION SELECT " KEY_OF_VALUE      \
    " FROM json_each(" list ") UNION SELECT upper(" KEY_OF_VALUE ") FROM json_each(" list ")"
#define SPELLINGS_1 SPELLINGS("?1")
#define SPELLINGS_3 SPELLINGS("?3")

/* The task `of` whose plane_id is a value of `among`, a list in parentheses. INDEXED: a search for each
 * value, as a range, for SQLite takes no statistics and no index of its own making for that. SCANNED: where
 * no index leads there, through all tasks once. sqlite_by_index chooses. */
#define INDEXED(of, among) \
    among " s CROSS JOIN tasks " of " WHERE " of ".plane_id BETWEEN s.value AND s.value"
#define SCANNED(of, among) "tasks " of " WHERE " of ".plane_id IN " among
#define INDEXED_1 INDEXED("t", "(" SPELLINGS_1 ")")
#define SCANNED_1 SCANNED("t", "(" SPELLINGS_1 ")")

/* What is stuck, of ?1 [[stage, grace_s], …]. Written so that the cost follows the stuck tasks:
 *   - CROSS JOIN makes SQLite go from the few stages into the index (stage, updated_at), never back;
 *   - `due` takes of the repo what a name may have, for thousands of long ones are sorted;
 *   - it joins nothing but stages and tasks. Were the clock joined there too, SQLite 3.40 with ANALYZE's
 *     figures would expect so many searches that it made a Bloom filter of the whole table first (200 ms for
 *     a million rows, not 10).
 *   - likelihood(): "=" selects few rows, whatever ANALYZE counted. From 3.46 on, SQLite uses no index for
 *     "=" whose rows ANALYZE found to be all the same, so the same condition is repeated as a range, here and
 * below;
 *   - the index may compare stages without case, a pipeline does not: is_exact.
 * What is no time in updated_at makes no age: not stuck.
 *
 * The index orders updated_at as text. What is due in UTC, or in a zone behind it, stands before the due time
 * with a space, or on that day before the due time with a T (to the minute, for seconds may be missing). What
 * is due in a zone ahead of UTC may stand up to a day behind that. All up to there is looked at where one of
 * the stage's last FORMS_SEEN texts is of such a zone: whatever writes them writes more of them, and they
 * come last. A single one before those is found once its text is due. Then the instant itself decides.
 * RANGES_MAX makes SQLite expect few searches. */
#define RANGES_MAX "200"
#define FORMS_SEEN "50"
#define RARE_STAGE "likelihood(t.stage = w.stage, 0.001)"
#define IS_AHEAD_SEEN                                                                      \
    "(SELECT max(l.updated_at GLOB '*+*' AND l.updated_at NOT GLOB '*+00:00') FROM"        \
    " (SELECT s.updated_at FROM tasks s WHERE s.stage BETWEEN value ->> 0 AND value ->> 0" \
    "  ORDER BY s.stage DESC, s.updated_at DESC LIMIT " FORMS_SEEN ") l)"
#define GRACE "(value ->> 1)"
#define DUE(format, ...) "strftime('" format "', 'now', '-' || " GRACE " || ' seconds'" __VA_ARGS__ ")"
#define RANGE(start, end) "json_array(" start ", " end ")"
#define RANGE_UTC RANGE("''", DUE("%Y-%m-%d %H:%M~")) ", " RANGE(DUE("%Y-%m-%dT"), DUE("%Y-%m-%dT%H:%M~"))
#define RANGE_ALL RANGE("''", DUE("%Y-%m-%d~", ", '+1 day'"))
#define STUCK                                                                                           \
    " watched(stage, due_us, ranges) AS MATERIALIZED ("                                                 \
    "  SELECT value ->> 0, " NOW_US " - " GRACE " * 1000000, CASE WHEN " IS_AHEAD_SEEN                  \
    "   THEN json_array(" RANGE_ALL ") ELSE json_array(" RANGE_UTC ") END FROM json_each(?1)),"         \
    " ranges(stage, due_us, start, end) AS MATERIALIZED ("                                              \
    "  SELECT w.stage, w.due_us, value ->> 0, value ->> 1"                                              \
    "  FROM watched w CROSS JOIN json_each(w.ranges) LIMIT " RANGES_MAX "),"                            \
    " due(id, repo, updated_at, stage, is_exact, us) AS MATERIALIZED ("                                 \
    "  SELECT t.id, substr(t.repo, 1, " NAME_SIZE " + 1), t.updated_at, t.stage,"                       \
    "   t.stage = w.stage COLLATE BINARY, " TASK_US "  FROM ranges w CROSS JOIN tasks t ON " RARE_STAGE \
    " AND t.updated_at BETWEEN w.start AND w.end"                                                       \
    "   AND (t.stage, t.updated_at) BETWEEN (w.stage, w.start) AND (w.stage, w.end)"                    \
    "  WHERE " TASK_US " <= w.due_us AND NOT EXISTS (" ACTIVE_JOB "t.id) AND " HAS_ID_T "),"            \
    " stuck(id, repo, updated_at, us, age_s) AS MATERIALIZED ("                                         \
    "  SELECT id, repo, updated_at, us, (" NOW_US " - us) / 1000000 FROM due WHERE is_exact),"
/* Every stage that a task stands at, by hopping from one to the next greater one in the same index. null is
 * no stage. */
#define STAGES                                                                                          \
    " stages(stage) AS ("                                                                               \
    "  SELECT min(stage) FROM tasks"                                                                    \
    "  UNION ALL"                                                                                       \
    "  SELECT (SELECT min(stage) FROM tasks WHERE stage > s.stage) FROM stages s WHERE s.stage IS NOT " \
    "NULL),"

#define HEAD                                                                                \
    "h.revision AS revision, h.now_us AS now_us, h.stuck AS stuck, h.oldest_s AS oldest_s," \
    " h.strange AS strange"

/* Where an index compares without case, one name stands for all of its spellings in `stages`. Tasks of a name
 * that is known are not looked at one by one; those that are due and differ from it are counted. */
#define IS_UNKNOWN(of) of ".stage COLLATE BINARY NOT IN (SELECT value FROM json_each(?2))"
#define IS_UNKNOWN_S IS_UNKNOWN("s")
#define IS_UNKNOWN_T IS_UNKNOWN("t")

/* 1 as for STUCK, 2 [known stage, …], 3 [resting task id, …], 4 a task id or 0, 5 the limit, 6 the window of
 * heals. One row per listed task, oldest in its repo first; the first columns are the same in every row, and
 * there is always one. */
static const char stuck_sql[] =
    "WITH RECURSIVE" STUCK STAGES " listed(id, turn, us, age_s) AS MATERIALIZED ("
    "  SELECT id, row_number() OVER (PARTITION BY lower(repo) ORDER BY us, id) AS turn, us, age_s"
    "  FROM stuck WHERE id NOT IN (SELECT value FROM json_each(?3)) AND ?4 IN (0, id)"
    "  ORDER BY turn, us, id LIMIT ?5),"
    " head(revision, now_us, stuck, oldest_s, strange) AS MATERIALIZED ("
    "  SELECT " REVISION ", " NOW_US ","
    "   (SELECT count(*) FROM stuck), coalesce((SELECT max(age_s) FROM stuck), 0),"
    "   (SELECT count(*) FROM tasks WHERE stage IS NULL)"
    "   + (SELECT coalesce(sum((SELECT count(*) FROM tasks t"
    "       WHERE t.stage BETWEEN s.stage AND s.stage AND " IS_UNKNOWN_T ")), 0)"
    "      FROM stages s WHERE s.stage IS NOT NULL AND " IS_UNKNOWN_S ")"
    "   + (SELECT count(*) FROM due d WHERE NOT is_exact AND NOT EXISTS"
    "      (SELECT 1 FROM stages s WHERE d.stage = s.stage AND " IS_UNKNOWN_S ")))"
    " SELECT " HEAD ", " TASK_COLUMNS
    ", l.age_s AS age_s, " HEALS("?6") " FROM head h LEFT JOIN listed l LEFT JOIN tasks t ON t.id = l.id"
                                       " ORDER BY l.turn, l.us, l.id";

/* 1 the stage, 2 its grace in seconds, 3 [fresh plane id, …], 4 the limit. The columns of stuck_sql. */
static const char unstarted_sql[] =
    "WITH listed(id, us, age_s) AS MATERIALIZED ("
    "  SELECT t.id, " TASK_US " AS us, " TASK_AGE_S " AS age"
    "  FROM tasks t"
    "  WHERE t.stage BETWEEN ?1 AND ?1 AND +t.stage = ?1 COLLATE BINARY AND " HAS_ID_T
    "   AND NOT EXISTS (" ACTIVE_JOB "t.id)"
    "   AND (us <= " NOW_US " - ?2 * 1000000 OR (us IS NOT NULL AND t.plane_id IN (" SPELLINGS_3 ")))"
    "  ORDER BY us, t.id LIMIT ?4),"
    " head(revision, now_us, stuck, oldest_s, strange) AS MATERIALIZED ("
    "  SELECT " REVISION ", " NOW_US ","
    "   (SELECT count(*) FROM listed), (SELECT coalesce(max(age_s), 0) FROM listed), 0)"
    " SELECT " HEAD ", " TASK_COLUMNS ", l.age_s AS age_s, " NO_HEALS
    " FROM head h LEFT JOIN listed l LEFT JOIN tasks t ON t.id = l.id"
    " ORDER BY l.us, l.id";

/* 1 [plane id, …]. A column that ignores case holds one spelling for several, so DISTINCT. */
#define ISSUE_TASKS(found)                                                                           \
    "WITH found(id) AS MATERIALIZED (SELECT DISTINCT t.id FROM " found " AND " HAS_ID_T "),"         \
    " head(revision, now_us) AS MATERIALIZED (SELECT " REVISION ", " NOW_US ")"                      \
    " SELECT h.revision AS revision, h.now_us AS now_us, " TASK_COLUMNS ", " AGE_S ", " NO_HEALS "," \
    " " TASK_US " AS updated_us, EXISTS (" ACTIVE_JOB "t.id) AS active"                              \
    " FROM head h LEFT JOIN found f LEFT JOIN tasks t ON t.id = f.id"

/* Of a row t of tasks, with its newest active job. */
#define JOB_US "reconcile_us(j.updated_at)"
#define AGENT "substr(j.agent, 1, " NAME_SIZE ")"
#define ENTRY_COLUMNS(window_s)                                                                        \
    TASK_COLUMNS ", " AGE_S ", " HEALS(window_s) ", " TASK_US " AS updated_us, j.id AS job_id, " AGENT \
                                                 " AS job_agent,"                                      \
                                                 " j.status AS job_status, " JOB_US " AS job_updated_us"
#define ENTRY_JOB                                                    \
    " LEFT JOIN jobs j ON j.id = (SELECT a.id FROM jobs a"           \
    "  WHERE a.status IN ('queued', 'running') AND a.task_id = t.id" \
    "  ORDER BY reconcile_us(a.created_at) DESC, a.id DESC LIMIT 1)"

/* 1 as for STUCK, but only of the stage asked for, 2 [terminal stage, …], 3 that stage or null, 4 a repo or
 * null, 5 whether only the stuck ones; where the page before ended: 6 in which part (0: there was none, 1:
 * the stuck ones, 2: the others), 7 with which updated_at and 8 which id; 9 the limit; 10 what a text of the
 * task has in it, or null; 11 as holds_json makes it, or null; 12 more heals than so many, or null; 13 the
 * window of heals.
 *
 * The cost follows the stuck tasks and the page: of each stage at most `limit` others are taken, along
 * (stage, updated_at) from where the page before ended. null comes before everything and is compared with
 * nothing, so there are two ways into a stage and two into none, of which the conditions without a column
 * open one.
 */
#define HAS_PART                                         \
    "(?10 IS NULL OR reconcile_has(t.work_item_id, ?10)" \
    " OR reconcile_has(t.title, ?10) OR reconcile_has(t.branch, ?10))"
/* As store_hold_covers. */
#define IS_HELD                                                                                         \
    "(?11 IS NULL OR lower(t.repo) IN (SELECT value FROM json_each(?11, '$.repos'))"                    \
    " OR t.stage COLLATE BINARY IN (SELECT value FROM json_each(?11, '$.stages'))"                      \
    " OR EXISTS (SELECT 1 FROM json_each(?11, '$.tasks') h WHERE h.value ->> 0 = t.id"                  \
    "  AND (h.value ->> 1 = t.work_item_id OR " UUID_KEY(                                               \
        "(h.value ->> 2)") " = " KEY_OF_T " OR (h.value ->> 1 IS NULL"                                  \
                           "   AND t.work_item_id IS NULL AND (h.value ->> 2 IS NULL OR t.plane_id IS " \
                           "NULL)))))"
#define IS_OFTEN_HEALED "(?12 IS NULL OR (SELECT count(*) " TASK_HEALS("?13") ") > ?12)"
#define IS_WANTED(of)                                                                         \
    " AND (coalesce(?10, ?11, ?12) IS NULL OR EXISTS (SELECT 1 FROM tasks t WHERE t.id = " of \
    ".id AND " HAS_PART " AND " IS_HELD " AND " IS_OFTEN_HEALED "))"
#define OTHER(of)                                                               \
    " AND " of ".id NOT IN (SELECT id FROM stuck) AND (?4 IS NULL OR lower(" of \
    ".repo) = lower(?4)) AND " HAS_ID(of) IS_WANTED(of)
#define FROM_START(of) \
    " AND (?6 < 2 OR ?7 IS NULL) AND (?6 < 2 OR " of ".updated_at IS NOT NULL OR " of ".id > ?8)" OTHER(of)
#define FROM_PLACE(of) \
    " AND ?6 = 2 AND " of ".updated_at >= ?7 AND (" of ".updated_at > ?7 OR " of ".id > ?8)" OTHER(of)
#define OF_STAGE "SELECT u.stage, u.updated_at, u.id FROM tasks u WHERE u.stage <= o.stage"
#define OF_NONE "SELECT n.stage, n.updated_at, n.id FROM tasks n WHERE n.stage IS NULL AND o.stage IS NULL"
static const char tasks_list_sql[] =
    "WITH RECURSIVE" STUCK STAGES " first(part, updated_at, id) AS MATERIALIZED ("
    "  SELECT 1, updated_at, id FROM stuck"
    "  WHERE ?6 < 2 AND (?6 = 0 OR (updated_at, id) > (?7, ?8)) AND (?4 IS NULL OR lower(repo) = "
    "lower(?4))" IS_WANTED(
        "stuck") "  ORDER BY updated_at, id LIMIT ?9),"
                 " open(stage) AS MATERIALIZED ("
                 "  SELECT ?3 WHERE ?3 IS NOT NULL"
                 "  UNION ALL"
                 "  SELECT stage FROM stages"
                 "  WHERE ?3 IS NULL AND stage IS NOT NULL AND stage NOT IN (SELECT value FROM json_each(?2))"
                 "  UNION ALL"
                 "  SELECT NULL WHERE ?3 IS NULL),"
                 " second(part, updated_at, id) AS MATERIALIZED ("
                 "  SELECT 2, t.updated_at, t.id FROM open o CROSS JOIN json_each((SELECT "
                 "json_group_array(id) FROM ("
                 "   " OF_STAGE " AND u.stage >= o.stage" FROM_START(
                     "u") "   UNION ALL "
                          "   " OF_STAGE " AND (u.stage, u.updated_at) >= (o.stage, ?7)" FROM_PLACE(
                              "u") "   UNION ALL "
                                   "   " OF_NONE FROM_START(
                                       "n") "   UNION ALL "
                                            "   " OF_NONE FROM_PLACE(
                                                "n") "   ORDER BY 1, 2, 3 LIMIT ?9))) l CROSS JOIN tasks t "
                                                     "ON t.id = "
                                                     "l.value"
                                                     "  WHERE NOT ?5 AND (SELECT count(*) FROM first) < ?9),"
                                                     " page(part, updated_at, id) AS MATERIALIZED ("
                                                     "  SELECT * FROM first UNION ALL SELECT * FROM second "
                                                     "ORDER BY 1, 2, "
                                                     "3 LIMIT ?9)"
                                                     " SELECT " ENTRY_COLUMNS(
                                                         "?13") ", p.part = 1 AS stuck, p.updated_at AS "
                                                                "place"
                                                                " FROM page p CROSS JOIN tasks t ON t.id "
                                                                "= p.id" ENTRY_JOB
                                                                " ORDER BY p.part, p.updated_at, p.id";

/* 1 as for STUCK, 2 the id, 3 the window of heals. */
static const char task_get_sql[] =
    "WITH" STUCK " asked(id) AS (SELECT ?2)"
    " SELECT " ENTRY_COLUMNS("?3") ", t.id IN (SELECT id FROM stuck) AS stuck, " NOW_US " AS now_us"
                                   " FROM asked a CROSS JOIN tasks t ON t.id = a.id AND " HAS_ID_T ENTRY_JOB;

/* Until a replay's next try; the instant of the one behind that try. */
#define NEXT_S "max(0, (" NEXT_US " - " NOW_US " + 999999) / 1000000)"
#define NEXT_US US_OF("next_at")
#define NEXT_AT(try) "strftime('%Y-%m-%d %H:%M:%f', 'now', '+' || (?16 ->> (" try " - 1)) || ' seconds')"
#define FIRST_NEXT_AT NEXT_AT("1")
/* Farther ahead than any pause is long, the clock was set back. */
#define IS_NEXT_DUE "(r.next_at <= " NOW_TEXT " OR r.next_at > " IN_S(DIGITS(LIMIT_REPLAY_PAUSE_MAX_S)) ")"
#define TRIES "json_array_length(?16)"
#define SAME "(r.delivery = excluded.delivery)"
#define NEXT_TRY "CASE WHEN " SAME " THEN min(r.tries + 1, " TRIES ") ELSE 1 END"
#define NEXT_NEXT_AT NEXT_AT("(" NEXT_TRY ")")
#define FIRST_US US_OF("p.first_at")
#define KEY_OF_P UUID_KEY("p.plane_id")
/* Given up; or moved in the database, by a process that was set to do so. */
#define IS_NO_HEAL                                                                                 \
    "p.given_up OR EXISTS (SELECT 1 FROM reconcile_ledger r WHERE r.task_id BETWEEN t.id AND t.id" \
    " AND r.from_stage = p.from_stage AND r.at >= p.first_at AND " SAME_TASK ")"

/* 1 the subject, 2 the delivery, 3 the task or null, 4 its plane id, 5 the stage it stands at, 6 the one it
 * is to go to, 7 its version, 8 for how long it has rested, 9 the side, 10 the outcome, 11 the reason, 12 the
 * evidence, 13 the verdict, 14 and 15 the event, 16 the pauses between tries. No row: it waits, or is given
 * up. */
static const char replay_begin_sql[] =
    "INSERT INTO reconcile_replays AS r (subject, delivery, task_id, plane_id, from_stage, to_stage, version,"
    " rested_s, side, outcome, reason, evidence, verdict_id, missed_source, missed_event, tries, first_at,"
    " next_at, given_up)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, 1, " NOW_TEXT ","
    " " FIRST_NEXT_AT ", 0)"
    " ON CONFLICT (subject) DO UPDATE SET delivery = excluded.delivery, from_stage = excluded.from_stage,"
    " to_stage = excluded.to_stage, version = excluded.version, tries = " NEXT_TRY ","
    " first_at = CASE WHEN " SAME " THEN r.first_at ELSE excluded.first_at END, next_at = " NEXT_NEXT_AT ","
    " given_up = " SAME " AND r.tries >= " TRIES ","
    " rested_s = CASE WHEN " SAME " THEN r.rested_s ELSE excluded.rested_s END, side = excluded.side,"
    " outcome = excluded.outcome, reason = excluded.reason, evidence = excluded.evidence,"
    " verdict_id = excluded.verdict_id, missed_source = excluded.missed_source,"
    " missed_event = excluded.missed_event"
    " WHERE NOT " SAME " OR (" IS_NEXT_DUE " AND NOT r.given_up)"
    " RETURNING tries AS tries, given_up AS given_up, " NEXT_S " AS next_s";

/* The ways to write the plane_id of a replay p. */
#define SPELLINGS_P                                                                             \
    "(SELECT p.plane_id AS value UNION ALL SELECT upper(p.plane_id) UNION ALL SELECT " KEY_OF_P \
    " UNION ALL SELECT upper(" KEY_OF_P "))"
#define INDEXED_P INDEXED("i", SPELLINGS_P)
#define SCANNED_P SCANNED("i", SPELLINGS_P)
/* 1 the limit. */
#define REPLAYS_MOVED(found)                                                                            \
    "SELECT p.subject AS subject, p.delivery AS delivery, " FIRST_US " AS first_us, p.tries AS tries,"  \
    " p.rested_s + unixepoch('now') - unixepoch(p.first_at) AS rested_s, " IS_NO_HEAL " AS is_no_heal," \
    " p.from_stage AS from_stage, p.side AS side, p.outcome AS outcome, p.reason AS reason,"            \
    " p.evidence AS evidence, p.verdict_id AS verdict_id, p.missed_source AS missed_source,"            \
    " p.missed_event AS missed_event, " TASK_COLUMNS ", " AGE_S ", " NO_HEALS                           \
    " FROM reconcile_replays p LEFT JOIN tasks t ON t.id = coalesce(p.task_id,"                         \
    "  (SELECT i.id FROM " found " LIMIT 1)) AND " HAS_ID_T                                             \
    "  AND (t.plane_id IS NULL OR p.plane_id IS NULL OR " KEY_OF_T " = " KEY_OF_P ")"                   \
    " WHERE CASE WHEN p.task_id IS NULL THEN t.id IS NOT NULL"                                          \
    "  ELSE t.id IS NULL OR t.stage IS NOT p.from_stage OR (p.to_stage = p.from_stage"                  \
    "   AND t.updated_at IS NOT p.version AND EXISTS (" ACTIVE_JOB "t.id)) END"                         \
    " ORDER BY p.first_at, p.subject LIMIT ?1"

/* Of a plane_id p: whether uuid_read would read it; whether it is one all the same. */
#define OF_ONE_CASE(digits) "(" digits " NOT GLOB '*[^0-9a-f]*' OR " digits " NOT GLOB '*[^0-9A-F]*')"
#define BARE_P "replace(p, '-', '')"
#define IS_UUID                                              \
    "typeof(p) = 'text' AND length(" BARE_P                  \
    ") = 32 AND " OF_ONE_CASE(BARE_P) " AND (length(p) = 32" \
                                      " OR p LIKE '________-____-____-____-____________')"
#define HEX_2 "[0-9A-Fa-f][0-9A-Fa-f]"
#define HEX_4 HEX_2 HEX_2
#define HEX_12 HEX_4 HEX_4 HEX_4
#define HIDES_UUID                                                                                      \
    "typeof(p) = 'blob' OR p GLOB '*" HEX_4 HEX_4 HEX_12 HEX_12 "*' OR p GLOB '*" HEX_4 HEX_4 "-" HEX_4 \
    "-" HEX_4 "-" HEX_4 "-" HEX_12 "*'"

/* 1 [plane id, …]; the places of those that have a task. */
#define TASKS_EXISTING(found) \
    "SELECT key AS i FROM json_each(?1) WHERE " KEY_OF_VALUE " IN (SELECT " KEY_OF_T " FROM " found ")"

/* Of a task t and a branch w, as below. */
#define IS_TAKEN                                                       \
    "t.branch = w.value ->> 1 AND t.id <> w.value ->> 2 AND " HAS_ID_T \
    " AND (w.value ->> 2 = 0 OR t.stage IS NOT ?2 OR t.id < w.value ->> 2)"

#define HISTORY_ADD(condition)                                                                    \
    "INSERT INTO reconcile_history (at, kind, name, from_value, to_value, set_by, reason, until)" \
    " SELECT " NOW_TEXT ", value ->> 'kind', value ->> 'name', value ->> 'from_value',"           \
    "  value ->> 'to_value', value ->> 'set_by', value ->> 'reason',"                             \
    "  strftime('%Y-%m-%d %H:%M:%f', (value ->> 'until_us') / 1000000.0, 'unixepoch')"            \
    " FROM json_each(?1) WHERE " condition " ORDER BY key"
#define HOLD_IS_LIVE "(h.until IS NULL OR h.until > " NOW_TEXT ")"
#define HOLD_UNTIL "strftime('%Y-%m-%d %H:%M:%f', (?1 ->> 'until_us') / 1000000.0, 'unixepoch')"
#define HOLD_FITS                                        \
    " WHERE (SELECT count(*) FROM reconcile_holds) < ?2" \
    " OR EXISTS (SELECT 1 FROM reconcile_holds h WHERE h.scope = ?1 ->> 'scope')"

#define NAMED_COLUMNS                                                                       \
    "w.key AS i, t.id AS id, " NAME_WORK_ITEM_ID " AS work_item_id, " NAME_REPO " AS repo," \
    " " NAME_STAGE " AS stage"
#define TASKS_NAMED(found)                                                                             \
    "SELECT i, id, work_item_id, repo, stage FROM (SELECT " NAMED_COLUMNS                              \
    ", 1 AS exact FROM json_each(?1) w CROSS JOIN tasks t WHERE t.id = w.value ->> 1 AND " HAS_ID_T    \
    " UNION ALL SELECT " NAMED_COLUMNS ", t.work_item_id = w.value ->> 0 FROM " found " AND " HAS_ID_T \
    ") ORDER BY i, exact DESC, id LIMIT ?2 * json_array_length(?1)"

/* An index is known by the text of the statement that made it, without blanks and quotes. */
static const char unindexed_sql[] =
    "WITH want(i, name, made) AS (VALUES (0, 'tasks', '*tasks(stage,updated_at[,)]*'),"
    "  (1, 'jobs', '*jobs(task_id[,)]*'), (2, 'tasks', '*tasks(lower(work_item_id)*'),"
    "  (3, 'tasks', '*tasks(lower(repo),stage[,)]*')),"
    " has(name, made) AS (SELECT lower(tbl_name), replace(replace(replace(replace(replace(lower(sql), ' ', "
    "''),"
    "   char(10), ''), '\"', ''), '[', ''), ']', '') FROM sqlite_schema WHERE type = 'index') "
    "SELECT w.i FROM want w WHERE EXISTS (SELECT 1 FROM sqlite_schema s WHERE lower(s.name) = w.name"
    "  AND s.type = 'table') AND NOT EXISTS (SELECT 1 FROM has h WHERE h.name = w.name AND h.made GLOB "
    "w.made)";

static const char *const texts[] = {
    [SQL_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROW_BEGIN] = "SAVEPOINT reconcile_row",
    [SQL_ROW_KEEP] = "RELEASE reconcile_row",
    [SQL_ROW_UNDO] = "ROLLBACK TO reconcile_row",

    [SQL_SETTINGS_READ] = "SELECT " REVISION " AS revision, " NOW_US " AS now_us,"
                          " (SELECT overrides FROM reconcile_settings WHERE id = 1) AS overrides",
    /* The transaction has the lock. */
    [SQL_SETTINGS_LOCK] = "SELECT revision, " NOW_US " AS now_us FROM reconcile_settings WHERE id = 1",
    /* 1 the revision seen, 2 the overrides; no row comes back when another one stands. */
    [SQL_SETTINGS_WRITE] = "INSERT INTO reconcile_settings (id, revision, overrides, updated_at)"
                           " SELECT 1, ?1 + 1, ?2, CURRENT_TIMESTAMP WHERE " REVISION " = ?1"
                           " ON CONFLICT (id) DO UPDATE SET revision = excluded.revision,"
                           " overrides = excluded.overrides, updated_at = excluded.updated_at"
                           " RETURNING revision",

    [SQL_STUCK] = stuck_sql,
    [SQL_UNSTARTED] = unstarted_sql,

    [SQL_ISSUE_TASKS] = ISSUE_TASKS(INDEXED_1),
    [SQL_ISSUE_TASKS_SCANNED] = ISSUE_TASKS(SCANNED_1),
    /* 1 [activity id, …]; the places of those that were replayed. */
    [SQL_VERDICTS_REPLAYED] = "SELECT j.key AS i FROM json_each(?1) j"
                              " WHERE EXISTS (SELECT 1 FROM reconcile_verdicts v WHERE v.id = j.value)",
    /* 1 [[work item id or null, id or null], …], 2 the limit of all. The places of those that have tasks;
     * what is spelled exactly comes first. */
    [SQL_TASKS_NAMED] = TASKS_NAMED("json_each(?1) w CROSS JOIN tasks t WHERE lower(t.work_item_id)"
                                    " BETWEEN lower(w.value ->> 0) AND lower(w.value ->> 0)"),
    [SQL_TASKS_NAMED_SCANNED] =
        TASKS_NAMED("(SELECT * FROM tasks WHERE lower(work_item_id) IN (SELECT lower(value ->> 0) FROM"
                    " json_each(?1))) t CROSS JOIN json_each(?1) w"
                    " ON lower(w.value ->> 0) = lower(t.work_item_id) WHERE true"),
    [SQL_TASKS_ARE_A_VIEW] =
        "SELECT 1 FROM sqlite_schema WHERE name = 'tasks' COLLATE NOCASE AND type = 'view'",
    [SQL_TASKS_ARE_KEYED] = "INSERT INTO tasks (plane_id) SELECT NULL WHERE 0"
                            " ON CONFLICT (plane_id) WHERE plane_id IS NOT NULL DO NOTHING",
    [SQL_TASKS_EXISTING] = TASKS_EXISTING(INDEXED_1),
    [SQL_TASKS_EXISTING_SCANNED] = TASKS_EXISTING(SCANNED_1),
    /* 1 [work item id, …]. The places of those that have a task, with its id and plane_id. */
    [SQL_WORK_ITEMS] =
        "SELECT w.key AS i, t.id AS id, t.plane_id AS plane_id FROM json_each(?1) w CROSS JOIN tasks t"
        " WHERE lower(t.work_item_id) BETWEEN lower(w.value) AND lower(w.value)",
    [SQL_WORK_ITEMS_SCANNED] = "SELECT w.key AS i, t.id AS id, t.plane_id AS plane_id FROM (SELECT id, "
                               "plane_id, lower(work_item_id) AS item FROM tasks"
                               "  WHERE lower(work_item_id) IN (SELECT lower(value) FROM json_each(?1))) t"
                               " CROSS JOIN json_each(?1) w ON lower(w.value) = t.item",
    /* 1 [[repo, branch, id of its own task or 0], …], 2 the first stage. The places of those that another
     * task has, with its id. */
    [SQL_BRANCHES_TAKEN] =
        "SELECT w.key AS i, t.id AS id FROM json_each(?1) w CROSS JOIN tasks t"
        " WHERE t.branch BETWEEN w.value ->> 1 AND w.value ->> 1 AND +lower(t.repo) = lower(w.value ->> 0)"
        " AND " IS_TAKEN,
    [SQL_BRANCHES_TAKEN_SCANNED] =
        "SELECT w.key AS i, t.id AS id FROM (SELECT id, lower(repo) AS repo, branch, stage FROM tasks"
        "  WHERE branch IN (SELECT value ->> 1 FROM json_each(?1))) t"
        " CROSS JOIN json_each(?1) w ON t.repo = lower(w.value ->> 0) AND " IS_TAKEN,
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
    [SQL_TASK_MOVE] = "UPDATE tasks SET stage = ?4, updated_at = reconcile_like(updated_at, " NOW_US
                      ") WHERE " STANDS " RETURNING id",
    [SQL_TASK_STANDS] = "SELECT 1 FROM tasks WHERE " STANDS,
    [SQL_JOB_QUEUE] = "INSERT INTO jobs (task_id, agent, status, created_at, updated_at)"
                      " VALUES (?1, ?2, 'queued', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP) RETURNING 1",
    [SQL_LEDGER_ADD] =
        "INSERT INTO reconcile_ledger (id, at, task_id, pass_id, work_item_id, repo, from_stage,"
        " to_stage, side, outcome, agent, reason, evidence, missed_source, missed_event, plane_id,"
        " rested_s)"
        " VALUES (?1, " NOW_TEXT ", ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",

    /* 1 [[subject, delivery], …]. */
    [SQL_REPLAYS_LOOK] = "SELECT j.key AS i, r.tries AS tries, r.given_up AS given_up, " NEXT_S " AS next_s,"
                         " " IS_NEXT_DUE " AS is_due"
                         " FROM json_each(?1) j CROSS JOIN reconcile_replays r"
                         " ON r.subject = j.value ->> 0 AND r.delivery = j.value ->> 1",
    /* 1 the subject. */
    [SQL_REPLAY_GET] =
        "SELECT delivery, tries, " NEXT_US " AS next_us, given_up FROM reconcile_replays WHERE subject = ?1",
    [SQL_REPLAY_BEGIN] = replay_begin_sql,
    [SQL_REPLAYS_MOVED] = REPLAYS_MOVED(INDEXED_P),
    [SQL_REPLAYS_MOVED_SCANNED] = REPLAYS_MOVED(SCANNED_P),
    /* 1 the subject, 2 the delivery. */
    [SQL_REPLAY_TAKE] = "DELETE FROM reconcile_replays WHERE subject = ?1 AND delivery = ?2 RETURNING 1",

    /* 1 [{"kind", "name", …}, …]. */
    [SQL_HISTORY_ADD] = HISTORY_ADD("true") " RETURNING seq",
    /* The same before a change of the settings, 2 whose revision was seen. */
    [SQL_SETTINGS_HISTORY] = HISTORY_ADD(REVISION " = ?2"),
    /* 1 the seq to stay below, 2 the limit. */
    [SQL_HISTORY_LIST] = "SELECT seq, " AT_US " AS at_us, kind, name, from_value, to_value, set_by, reason,"
                         " " US_OF("until") " AS until_us FROM reconcile_history WHERE seq < ?1"
                                            " ORDER BY seq DESC LIMIT ?2",

    /* One row per hold that is in force, and always one. */
    [SQL_HOLDS] =
        "SELECT (SELECT max(version) FROM reconcile_schema) AS version, h.scope AS scope,"
        " h.plane_id AS plane_id, h.work_item_id AS work_item_id, h.reason AS reason,"
        " h.set_by AS set_by, " US_OF("h.since") " AS since_us, " US_OF(
            "h.until") " AS until_us"
                       " FROM (SELECT 1) LEFT JOIN reconcile_holds h ON " HOLD_IS_LIVE " ORDER BY h.scope",
    [SQL_HOLDS_EXPIRE] = "DELETE FROM reconcile_holds WHERE until <= " NOW_TEXT,
    /* 1 {"scope", "plane_id", …}, 2 the most holds that there may be: nothing is written beyond. */
    [SQL_HOLD_HISTORY] =
        "INSERT INTO reconcile_history (at, kind, name, from_value, to_value, set_by, reason, until)"
        " SELECT " NOW_TEXT ", 'hold', ?1 ->> 'name', (SELECT reason FROM reconcile_holds h"
        "  WHERE h.scope = ?1 ->> 'scope'), ?1 ->> 'reason', ?1 ->> 'set_by', ?1 ->> 'why', " HOLD_UNTIL
            HOLD_FITS,
    /* 1 the scope. */
    [SQL_HOLD_DROP] = "DELETE FROM reconcile_holds WHERE scope = ?1 RETURNING 1",
    /* As for SQL_HOLD_HISTORY. */
    [SQL_HOLD_ADD] =
        "INSERT INTO reconcile_holds (scope, plane_id, work_item_id, reason, set_by, since, until)"
        " SELECT ?1 ->> 'scope', ?1 ->> 'plane_id', ?1 ->> 'work_item_id', ?1 ->> 'reason',"
        "  ?1 ->> 'set_by', " NOW_TEXT ", " HOLD_UNTIL HOLD_FITS " RETURNING 1",
    /* 1 the task. */
    [SQL_RELEASE] = "INSERT INTO reconcile_releases (task_id, ledger_seq)"
                    " VALUES (?1, (SELECT coalesce(max(seq), 0) FROM reconcile_ledger))"
                    " ON CONFLICT (task_id) DO UPDATE SET ledger_seq = excluded.ledger_seq",

    /* 1 the id, 2 the text. */
    [SQL_OUTBOX_ADD] = "INSERT INTO reconcile_outbox (id, at, text, destination)"
                       " VALUES (?1, " NOW_TEXT ", ?2, ?3)"
                       " ON CONFLICT (id) DO NOTHING RETURNING 1",
    /* 1 the limit, 2 the destination. One row per message; the first column is the same in every row, and
     * there is always one.
     */
    [SQL_OUTBOX_LIST] = "WITH head(depth) AS (SELECT count(*) FROM reconcile_outbox"
                        "  WHERE sent_at IS NULL AND destination IS ?2),"
                        " listed AS (SELECT id, seq, max(0, unixepoch('now') - unixepoch(at)) AS age_s, text "
                        "FROM reconcile_outbox"
                        "  WHERE sent_at IS NULL AND destination IS ?2 ORDER BY seq LIMIT ?1)"
                        " SELECT h.depth AS depth, l.id AS id, l.seq AS seq, l.age_s AS age_s, l.text AS text"
                        " FROM head h LEFT JOIN listed l ORDER BY l.seq",
    /* 1 [id, …]. */
    [SQL_OUTBOX_SENT] = "UPDATE reconcile_outbox SET sent_at = " NOW_TEXT
                        " WHERE sent_at IS NULL AND id IN (SELECT value FROM json_each(?1))",
    /* 1 how many stay. */
    [SQL_OUTBOX_PRUNE] = "DELETE FROM reconcile_outbox WHERE sent_at IS NOT NULL AND seq <="
                         " (SELECT seq FROM reconcile_outbox WHERE sent_at IS NOT NULL"
                         " ORDER BY seq DESC LIMIT 1 OFFSET ?1)",

    /* 1 the name, 2 the owner, 3 for how many seconds. A row when there is nothing to write: whether the
     * lease is the owner's. */
    [SQL_LEASE_STANDS] = "SELECT owner = ?2 AS ours FROM reconcile_leases WHERE name = ?1 AND until >"
                         " CASE WHEN owner = ?2 THEN " IN_S("?3 / 2.0") " ELSE " NOW_TEXT " END"
                                                                        " AND (owner = ?2 OR until <= " IN_S(
                                                                            STORE_DIGITS(LIMIT_LEASE_S)) ")",
    /* A row when it is the owner's now. */
    [SQL_LEASE_TAKE] =
        "INSERT INTO reconcile_leases (name, owner, until) VALUES"
        " (?1, ?2, " IN_S(
            "?3") ")"
                  " ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until"
                  " WHERE owner = excluded.owner OR until <= " NOW_TEXT
                  " OR until > " IN_S(STORE_DIGITS(LIMIT_LEASE_S)) " RETURNING 1",
    [SQL_LEASE_DROP] = "DELETE FROM reconcile_leases WHERE name = ?1 AND owner = ?2",

    [SQL_TASKS_LIST] = tasks_list_sql,
    [SQL_TASK_GET] = task_get_sql,
    /* 1 [repo, …], 2 [stage, …], 3 the limit. From repos and stages into the index, never through all tasks
     * in the order of their ids. */
    [SQL_REPO_TASKS] =
        "SELECT t.id AS id, " NAME_WORK_ITEM_ID " AS work_item_id, " NAME_BRANCH " AS branch,"
        " " NAME_STAGE " AS stage, NULL AS too_long"
        " FROM (SELECT DISTINCT lower(value) AS repo FROM json_each(?1)) w"
        " CROSS JOIN (SELECT DISTINCT value FROM json_each(?2)) s CROSS JOIN tasks t"
        " ON likelihood(lower(t.repo) = w.repo, 0.001) AND likelihood(t.stage = s.value, 0.001)"
        " AND lower(t.repo) BETWEEN +w.repo AND +w.repo AND t.stage BETWEEN +s.value AND +s.value"
        " WHERE t.branch <> '' AND " HAS_ID_T " ORDER BY t.id DESC LIMIT ?3",
    /* 1 [stage, …], 2 the limit. */
    [SQL_REPOS] = "SELECT DISTINCT lower(t.repo) AS repo FROM (SELECT DISTINCT value FROM json_each(?1)) s"
                  " CROSS JOIN tasks t ON likelihood(t.stage = s.value, 0.001)"
                  " AND t.stage BETWEEN +s.value AND +s.value"
                  " WHERE t.branch <> '' AND length(t.repo) <= " NAME_SIZE " LIMIT ?2",

    /* 1 the seq to begin above, 2 the seq to end with. */
    [SQL_LEDGER_SINCE] = "SELECT count(*) AS n, max(seq) AS seq, (SELECT work_item_id FROM reconcile_ledger"
                         " WHERE seq <= ?2 ORDER BY seq DESC LIMIT 1) AS last_work_item_id"
                         " FROM reconcile_ledger WHERE seq > ?1 AND seq <= ?2",
    [SQL_PULSE] = "SELECT " REVISION " AS revision, " NOW_US " AS now_us,"
                  " coalesce((SELECT max(seq) FROM reconcile_ledger), 0) AS ledger_seq,"
                  " coalesce((SELECT max(seq) FROM reconcile_history), 0) AS history_seq",
    /* 1 the seq to stay below, 2 the limit, 3 the task. */
    [SQL_LEDGER_LIST] =
        "SELECT " LEDGER_COLUMNS " FROM reconcile_ledger WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
    [SQL_LEDGER_LIST_OF_TASK] =
        "SELECT " LEDGER_COLUMNS " FROM reconcile_ledger r WHERE task_id = ?3 AND seq < ?1"
        " AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.id = ?3 AND " HAS_ID_T " AND " SAME_TASK
        " IS NOT TRUE) ORDER BY seq DESC LIMIT ?2",

    [SQL_PASS_SAVE] =
        "INSERT INTO reconcile_passes (id, started_us, report) VALUES (?1, ?2, ?3)"
        " ON CONFLICT (id) DO UPDATE SET started_us = excluded.started_us, report = excluded.report",
    [SQL_PASS_PRUNE] = "DELETE FROM reconcile_passes WHERE id NOT IN"
                       " (SELECT id FROM reconcile_passes ORDER BY started_us DESC, id DESC LIMIT ?1)",
    [SQL_PASS_GET] = "SELECT report FROM reconcile_passes WHERE id = ?1",
    [SQL_PASS_LIST] =
        "SELECT id, started_us, substr(report, 1, ?3) AS report FROM reconcile_passes WHERE started_us < ?1"
        " ORDER BY started_us DESC, id DESC LIMIT ?2",

    [SQL_PAGES] = "SELECT 1 FROM pragma_page_count WHERE page_count > 0",
    [SQL_SCHEMA_VERSION] = "SELECT max(version) AS version FROM reconcile_schema",
    /* 1 a table or an index, 2 null or a column of the table. A row when it is there. */
    [SQL_SCHEMA_HAS] =
        "SELECT 1 FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE AND type <> 'trigger' AND (?2 IS NULL"
        " OR EXISTS (SELECT 1 FROM pragma_table_xinfo(?1) WHERE name = ?2 COLLATE NOCASE))",
    /* 1 [[table, column], …]. Of the columns that are there: the place in the list, the declared type, what
     * that can hold, whether a row that is inserted without a value gets one (computed, by a default, or as
     * the rowid, of which there is no index), and how many characters a type in parentheses has room for.
     *
     * What SQLite makes of a declared type: https://sqlite.org/datatype3.html, 3.1. A type named UUID
     * keeps such text as it is. Of a column without a type the rows decide: which of them are read, and in
     * which form. What a view computes has none (from 3.41 on, the made-up name of an affinity); in a table
     * without one anything could stand. */
    [SQL_COLUMNS] =
        "WITH seen AS (SELECT w.key AS i, c.type AS type, x.view AS view,"
        "  c.type = '' OR (x.view AND upper(c.type) IN ('BLOB', 'NUM')) AS untyped,"
        "  c.hidden IN (2, 3) OR upper(trim(coalesce(c.dflt_value, 'NULL'), ' ()')) <> 'NULL'"
        "  OR (c.pk = 1 AND upper(c.type) = 'INTEGER'"
        "   AND (SELECT count(*) FROM pragma_table_xinfo(w.value ->> 0) WHERE pk > 0) = 1"
        "   AND NOT EXISTS (SELECT 1 FROM pragma_index_list(w.value ->> 0) WHERE origin = 'pk')) AS filled"
        "  FROM json_each(?1) w JOIN (SELECT name, type = 'view' AS view FROM sqlite_schema"
        "   WHERE type IN ('table', 'view')) x ON x.name = w.value ->> 0 COLLATE NOCASE"
        "  JOIN pragma_table_xinfo(w.value ->> 0) c ON c.name = w.value ->> 1 COLLATE NOCASE)"
        " SELECT i, type, view OR filled AS is_filled,"
        " CASE WHEN untyped THEN view ELSE type LIKE '%INT%' END AS is_integer,"
        " untyped OR (type NOT LIKE '%INT%' AND (type LIKE '%CHAR%' OR type LIKE '%CLOB%' OR type LIKE "
        "'%TEXT%'"
        "  OR type LIKE '%UUID%' OR type LIKE '%GUID%' OR type LIKE '%UNIQUEIDENTIFIER%')) AS is_uuid,"
        " 1 AS is_text, 1 AS is_time, 1 AS is_number," /* its rows have types of their own */
        " CAST(substr(type, instr(type, '(') + 1) AS INTEGER) AS room FROM seen ORDER BY i",
    /* 1 how many of the newest rows. Per form their number, the newest of them and its plane_id. */
    [SQL_PLANE_IDS] =
        "SELECT CASE WHEN " IS_UUID " THEN 'known' WHEN " HIDES_UUID " THEN 'hidden' ELSE 'other' END"
        " AS form, count(*) AS count, max(id) AS task, p AS newest"
        " FROM (SELECT id, plane_id AS p FROM tasks ORDER BY id DESC LIMIT ?1)"
        " WHERE typeof(p) = 'blob' OR length(p) >= " DIGITS(UUID_TEXT_MIN) " GROUP BY form",
    [SQL_COUNTS] = "SELECT (SELECT count(*) FROM tasks) AS tasks, (SELECT count(*) FROM jobs) AS jobs",
    /* The places of the recommended indexes that are missing. A view needs none. */
    [SQL_UNINDEXED] = unindexed_sql,
    /* 1 the slack in microseconds. */
    [SQL_TIMES] = "WITH seen(id, us) AS (SELECT t.id, " TASK_US " FROM tasks t)"
                  " SELECT count(*) FILTER (WHERE us IS NULL) AS unread,"
                  " min(id) FILTER (WHERE us IS NULL) AS unread_task,"
                  " count(*) FILTER (WHERE us > " NOW_US " + ?1) AS ahead,"
                  " min(id) FILTER (WHERE us > " NOW_US " + ?1) AS ahead_task, 0 AS zoneless FROM seen",
};
static_assert(ARRAY_LEN(texts) == SQL_MAX_, "every statement has its text");

const char *sqlite_sql_text(unsigned which)
{
    return texts[which];
}
