/* Every statement that the PostgreSQL store prepares. The tables are in schema.sql.
 *
 * tasks and jobs may be another program's, or updatable views: no column but those of the contract is named,
 * nothing but tasks.stage, tasks.updated_at, new tasks and new jobs is written, and ids may be of any integer
 * type. */
#include "clients/store/pg/store_pg.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/store/store_columns.h"

#define NOW_US "(extract(epoch FROM now()) * 1000000)::bigint"
#define CLOCK_US "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
#define AT_US "(extract(epoch FROM at) * 1000000)::bigint"
/* PostgreSQL has instants that no count of microseconds in a bigint reaches. What is none (infinity), or
 * farther away, is null. */
#define IS_COUNTABLE(instant) "isfinite(" instant ") AND " instant " < '292000-01-01'"
#define US_OF(instant) \
    "CASE WHEN " IS_COUNTABLE(instant) " THEN (extract(epoch FROM " instant ") * 1000000)::bigint END"

/* A UUID as it is compared: in lower case, without hyphens. */
#define UUID_KEY(uuid) "lower(replace(" uuid "::text, '-', ''))"
#define KEY_OF_L UUID_KEY("l.plane_id")
#define KEY_OF_M UUID_KEY("m.plane_id")
#define KEY_OF_N UUID_KEY("n.plane_id")
#define KEY_OF_R UUID_KEY("r.plane_id")
#define KEY_OF_T UUID_KEY("t.plane_id")
#define KEY_OF_W UUID_KEY("w.plane_id")
/* Whether a ledger row l that names the task t by its id means this task, and not one that had the id before.
 * A row that has neither name cannot be distinguished. */
#define SAME_TASK                                                        \
    "(l.work_item_id = t.work_item_id::text OR " KEY_OF_L " = " KEY_OF_T \
    " OR (l.work_item_id IS NULL AND t.work_item_id IS NULL"             \
    "  AND (l.plane_id IS NULL OR t.plane_id IS NULL)))"
/* A type or a collation may take stages for equal that a pipeline does not: char(16) pads them. concat()
 * gives a value as it is stored. */
#define IS_STAGE(stage) "concat(t.stage) = " stage " COLLATE \"C\""
#define IS_STAGE_W IS_STAGE("w.name")
#define IS_STAGE_1 IS_STAGE("concat($1)")

/* A name of a stage as a value to compare with tasks.stage; pg_sql_text puts in what the column's type takes.
 */
#define PG_STAGE_OPEN "<<stage "
#define PG_STAGE_CLOSE " stage>>"
#define AS_STAGE(name) PG_STAGE_OPEN name PG_STAGE_CLOSE
#define AS_STAGE_1 AS_STAGE("$1")
#define AS_STAGE_3 AS_STAGE("$3::text")
#define AS_STAGE_FIRST AS_STAGE("w->>0")
#define AS_STAGE_FROM AS_STAGE("w.from_stage")
#define AS_STAGE_ELEMENT AS_STAGE("e.stage")
/* Values to write, of the types that the columns have; an error if a type has no such value. */
#define NEW_STAGE "(json_populate_record(NULL::tasks, json_build_object('stage', w.to_stage))).stage"
#define NEW_AGENT "(json_populate_record(NULL::jobs, json_build_object('agent', w.agent))).agent"

/* Of the task t. */
#define IS_BUSY "EXISTS (SELECT FROM jobs j WHERE j.task_id = t.id AND j.status IN ('queued', 'running'))"
/* Of the wanted w. Not EXISTS, which the planner may turn into a join with the whole ledger while it takes it
 * for small. */
#define IS_KNOWN "((SELECT l.seq FROM reconcile_ledger l WHERE l.id = w.id) IS NOT NULL)"
#define IS_REPLAYED "((SELECT v.id FROM reconcile_verdicts v WHERE v.id = w.verdict_id) IS NOT NULL)"

#define REVISION "coalesce((SELECT revision FROM reconcile_settings WHERE id = 1), 0)"

#define LEDGER_COLUMNS                                                                                \
    "seq, id, " AT_US " AS at_us, task_id, pass_id, work_item_id, repo, from_stage, to_stage, side, " \
    "outcome, agent, reason, evidence,"                                                               \
    " missed_source, missed_event"

/* What is read of tasks t, for rows_task: these columns and HEALS with its join, or NO_HEALS.
 * A row without a stage or a time reads so that no transition can match it; what is no point in time has no
 * age. */
#define TASK_FIELDS "t.id, t.plane_id, t.work_item_id, t.title, t.repo, t.branch, t.stage, t.updated_at"
#define NAME_MAX_TEXT PG_DIGITS(LIMIT_TASK_NAME)
#define NAME_SHOWN_TEXT PG_DIGITS(LIMIT_TASK_NAME_SHOWN)
#define IS_LONG(text) "octet_length(" text ") > " NAME_MAX_TEXT
#define NAME_OF(text)                                                                               \
    "CASE WHEN octet_length(" text ") > " NAME_MAX_TEXT " THEN left(" text ", " NAME_SHOWN_TEXT ")" \
    " ELSE " text " END"
#define LONG_PLANE_ID IS_LONG("t.plane_id::text")
#define LONG_WORK_ITEM_ID IS_LONG("t.work_item_id::text")
#define LONG_REPO IS_LONG("t.repo::text")
#define LONG_BRANCH IS_LONG("t.branch::text")
#define LONG_STAGE IS_LONG("concat(t.stage)")
#define NAME_PLANE_ID NAME_OF("t.plane_id::text")
#define NAME_WORK_ITEM_ID NAME_OF("t.work_item_id::text")
#define NAME_REPO NAME_OF("t.repo::text")
#define NAME_BRANCH NAME_OF("t.branch::text")
#define NAME_STAGE NAME_OF("concat(t.stage)") /* as it is stored, padded or not; '' for null */
#define TITLE "left(t.title::text, " PG_DIGITS(LIMIT_TASK_TITLE) ")"
#define AGENT "left(j.agent::text, " PG_DIGITS(LIMIT_TASK_NAME) ")"
/* The name of the first column that holds a name of more than LIMIT_TASK_NAME bytes, or null. */
#define TOO_LONG                                                                                 \
    "CASE WHEN " LONG_PLANE_ID " THEN 'plane_id' WHEN " LONG_WORK_ITEM_ID " THEN 'work_item_id'" \
    " WHEN " LONG_REPO " THEN 'repo' WHEN " LONG_BRANCH " THEN 'branch' WHEN " LONG_STAGE        \
    " THEN 'stage' END"
#define AGE "floor(extract(epoch FROM now() - t.updated_at))::bigint"
#define TASK_COLUMNS                                                                                  \
    "t.id, " NAME_PLANE_ID " AS plane_id, " NAME_WORK_ITEM_ID " AS work_item_id, " TITLE " AS title," \
    " " NAME_REPO " AS repo, " NAME_BRANCH " AS branch, " NAME_STAGE " AS stage,"                     \
    " coalesce(t.updated_at::text, 'infinity') AS version,"                                           \
    " CASE WHEN isfinite(t.updated_at) THEN " AGE " END AS age_s, " TOO_LONG " AS too_long"
#define HEALS ", h.heals AS heals, h.newest AS newest_heal_seq"
#define NO_HEALS ", 0 AS heals, 0 AS newest_heal_seq"
/* The ledger's rows that moved t out of the stage where it stands within so many seconds and since it was
 * released, by the index (task_id, seq). */
#define HEALS_JOIN(window_s)                                                                                \
    " LEFT JOIN LATERAL (SELECT count(*) AS heals, max(l.seq) AS newest FROM reconcile_ledger l"            \
    "  WHERE l.task_id = t.id AND l.from_stage = t.stage::text AND " SAME_TASK                              \
    "  AND l.at > now() - least(" window_s ", 100000000000) * interval '1 second'"                          \
    "  AND l.seq > coalesce((SELECT r.ledger_seq FROM reconcile_releases r WHERE r.task_id = t.id), 0)) h " \
    "ON true"

#define T_IS_COUNTABLE IS_COUNTABLE("t.updated_at")
#define TASK_US US_OF("t.updated_at")
#define IS_NO_TIME "isfinite(t.updated_at) IS NOT TRUE"
#define IS_LATE "isfinite(t.updated_at) AND t.updated_at > now() + $1::bigint * interval '1 microsecond'"

/* The texts of a parameter, a list in JSON. */
#define ELEMENTS(param) "SELECT json_array_elements_text(" param "::json)"
#define ELEMENTS_2 ELEMENTS("$2")
/* Stages and since when a task must rest there to be stuck; of the parameter 1 [[stage, grace], …].
 * WATCHED_FROM: at another time than now. */
#define WATCHED WATCHED_FROM("now()")
#define WATCHED_FROM(now)                                                           \
    " watched AS (SELECT " AS_STAGE_FIRST " AS stage, w->>0 AS name,"               \
    "  " now " - least((w->>1)::bigint, 100000000000) * interval '1 second' AS due" \
    "  FROM json_array_elements($1::json) AS g(w))"
/* Every stage where a task stands, by hopping from one to the next greater one in the index (stage,
 * updated_at); and null, at the end. */
#define STAGES                                                                                \
    " stages AS ("                                                                            \
    "  (SELECT stage FROM tasks WHERE stage IS NOT NULL ORDER BY stage LIMIT 1)"              \
    "  UNION ALL"                                                                             \
    "  SELECT (SELECT t.stage FROM tasks t WHERE t.stage > s.stage ORDER BY t.stage LIMIT 1)" \
    "  FROM stages s WHERE s.stage IS NOT NULL)"

/* 1 as for WATCHED; 2 [known stage, …]; 3 [resting task id, …]; 4 a task id or 0; 5 the limit; 6 the window
 * of heals.
 *
 * One row per listed task, the oldest of each repo first; the first columns are the same in every row, and
 * there is always one. Cost follows the tasks that rested for their grace: `stuck` goes from each stage into
 * the index (stage, updated_at); being LATERAL around an anti-join it cannot be turned into one pass over all
 * tasks, whatever the planner believes. Instants that are no points in time (infinity) make no age: not
 * stuck. A stage that is not exactly the pipeline's is one that it does not know. */
static const char stuck_sql[] =
    "WITH RECURSIVE" WATCHED ","
    " stuck AS MATERIALIZED ("
    "  SELECT t.* FROM watched w CROSS JOIN LATERAL ("
    "   SELECT " TASK_FIELDS ", " IS_STAGE_W " AS is_exact FROM tasks t"
    "   WHERE t.stage = w.stage AND t.updated_at <= w.due"
    "   AND isfinite(t.updated_at) AND NOT " IS_BUSY ") t),"
    " listed AS ("
    "  SELECT *, row_number() OVER (PARTITION BY lower(repo) ORDER BY updated_at, id) AS turn FROM stuck"
    "  WHERE is_exact AND id NOT IN (SELECT r.id::bigint FROM json_array_elements_text($3::json) AS r(id))"
    "  AND $4::bigint IN (0, id)"
    "  ORDER BY turn, updated_at, id LIMIT $5::bigint)," STAGES ","
    " head AS MATERIALIZED ("
    "  SELECT " REVISION " AS revision, " NOW_US " AS now_us,"
    "   (SELECT count(*) FROM stuck WHERE is_exact) AS stuck,"
    "   (SELECT coalesce(floor(extract(epoch FROM now() - min(updated_at))), 0)::bigint FROM stuck"
    "    WHERE is_exact) AS oldest_s,"
    "   (SELECT count(*) FROM tasks WHERE stage IS NULL)"
    "    + (SELECT coalesce(sum((SELECT count(*) FROM tasks t WHERE t.stage = s.stage"
    "        AND concat(t.stage) NOT IN (" ELEMENTS_2 "))), 0)"
    "       FROM stages s WHERE s.stage IS NOT NULL"
    "       AND s.stage::text NOT IN (" ELEMENTS_2 "))"
    "    + (SELECT count(*) FROM stuck t WHERE NOT is_exact AND NOT EXISTS (SELECT FROM stages s"
    "       WHERE s.stage = t.stage AND s.stage::text NOT IN (" ELEMENTS_2 "))) AS strange) "
    "SELECT a.revision, a.now_us, a.stuck, a.oldest_s, a.strange::bigint AS strange, " TASK_COLUMNS HEALS
    " FROM head a LEFT JOIN listed t ON true" HEALS_JOIN("$6::bigint") " ORDER BY t.turn, t.updated_at, t.id";

/* 1 the stage; 2 the grace; 3 {plane id, …} of fresh tasks; 4 the limit. As stuck_sql; the fields that count
 * all stuck tasks there count the listed ones here. Goes along (stage, updated_at) until it has enough.
 */
static const char unstarted_sql[] =
    "WITH listed AS MATERIALIZED ("
    " SELECT " TASK_FIELDS " FROM tasks t WHERE t.stage = " AS_STAGE_1 " AND " IS_STAGE_1
    "  AND isfinite(t.updated_at)"
    "  AND (t.updated_at <= now() - least($2::bigint, 100000000000) * interval '1 second'"
    "   OR t.plane_id = ANY ($3)) AND NOT " IS_BUSY " ORDER BY t.updated_at, t.id LIMIT $4::bigint) "
    "SELECT a.revision, a.now_us, a.listed AS stuck, a.oldest_s, 0 AS strange, " TASK_COLUMNS NO_HEALS " FROM"
    " (SELECT " REVISION " AS revision, " NOW_US " AS now_us, (SELECT count(*) FROM listed) AS listed,"
    "  (SELECT floor(extract(epoch FROM now() - min(updated_at)))::bigint FROM listed) AS oldest_s) a"
    " LEFT JOIN listed t ON true ORDER BY t.updated_at, t.id";

/* 1 {plane id in each spelling, …}: the parameter takes the type of the column. One row per task, and always
 * one. */
static const char issue_tasks_sql[] =
    "WITH found AS MATERIALIZED ("
    " SELECT " TASK_FIELDS ", " IS_BUSY " AS busy FROM tasks t WHERE t.plane_id = ANY ($1)) "
    "SELECT a.revision, a.now_us, t.busy AS active, " TASK_US " AS updated_us, " TASK_COLUMNS NO_HEALS " FROM"
    " (SELECT " REVISION " AS revision, " NOW_US " AS now_us) a LEFT JOIN found t ON true ORDER BY t.id";

/* 1 [{"i", "id", "task_id", "version", …}, …].
 *
 * One row per task that moved, with whether all else was written for it. A trigger may swallow any of the
 * writes, and the caller must see that. One task twice, or one verdict: the first counts. In the order of
 * ids, so that two replicas do not lock each other out. */
#define MESSAGE_FIELDS "message text, telegram_id uuid, webhook_id uuid"
/* For each row w of `rows` that has a message, one to every destination that it has an id for. */
#define OUTBOX_ADD_OF(rows)                                                             \
    "  INSERT INTO reconcile_outbox (id, at, text, destination)"                        \
    "  SELECT d.id, now(), w.message, d.destination FROM " rows                         \
    "  CROSS JOIN LATERAL (VALUES (w.telegram_id, NULL), (w.webhook_id, 'webhook')) AS" \
    "   d(id, destination) WHERE d.id IS NOT NULL"
#define IS_OUTBOXED(id) "(" id " IS NULL OR EXISTS (SELECT FROM outboxed o WHERE o.id = " id "))"

static const char move_sql[] =
    "WITH want AS MATERIALIZED ("
    "  SELECT * FROM (SELECT *,"
    "    row_number() OVER (PARTITION BY task_id, from_stage, version ORDER BY i) AS turn,"
    "    row_number() OVER (PARTITION BY verdict_id ORDER BY i) AS replay"
    "   FROM json_to_recordset($1::json) AS w("
    "    i int, id uuid, task_id bigint, pass_id text, version text, from_stage text, to_stage text, agent "
    "text,"
    "    work_item_id text, plane_id text, repo text, side text, outcome text, reason text, evidence text,"
    "    verdict_id text, missed_source text, missed_event text, " MESSAGE_FIELDS ", rested_s bigint)) w"
    "  WHERE w.turn = 1 AND (w.replay = 1 OR w.verdict_id IS NULL) ORDER BY w.task_id, w.i),"
    " moved AS ("
    "  UPDATE tasks t SET stage = " NEW_STAGE ", updated_at = now() FROM want w"
    "  WHERE t.id = w.task_id AND t.stage = " AS_STAGE_FROM " AND t.updated_at = w.version::timestamptz"
    "  AND NOT " IS_BUSY " AND NOT " IS_KNOWN " AND NOT " IS_REPLAYED " RETURNING w.i),"
    " queued AS ("
    "  INSERT INTO jobs (task_id, agent, status, created_at, updated_at)"
    "  SELECT w.task_id, " NEW_AGENT ", 'queued', now(), now() FROM want w JOIN moved m ON m.i = w.i"
    "  WHERE w.agent IS NOT NULL RETURNING task_id),"
    " replayed AS ("
    "  INSERT INTO reconcile_verdicts (id, task_id, at)"
    "  SELECT w.verdict_id, w.task_id, now() FROM want w JOIN moved m ON m.i = w.i"
    "  WHERE w.verdict_id IS NOT NULL RETURNING id),"
    " written AS ("
    "  INSERT INTO reconcile_ledger (id, at, task_id, pass_id, work_item_id, repo, from_stage,"
    "   to_stage, side, outcome, agent, reason, evidence, missed_source, missed_event, plane_id, rested_s)"
    "  SELECT w.id, now(), w.task_id, w.pass_id, w.work_item_id, w.repo, w.from_stage, w.to_stage, w.side, "
    "w.outcome,"
    "   w.agent, w.reason, w.evidence, w.missed_source, w.missed_event, w.plane_id, w.rested_s"
    "  FROM want w JOIN moved m ON m.i = w.i ORDER BY w.i RETURNING id),"
    " outboxed AS (" OUTBOX_ADD_OF(
        "want w JOIN moved m ON m.i = w.i") " ORDER BY w.i RETURNING id) "
                                            "SELECT w.i, NULL AS made, (w.agent IS NULL OR EXISTS (SELECT "
                                            "FROM queued q WHERE q.task_id = w.task_id))"
                                            " AND (w.verdict_id IS NULL OR EXISTS (SELECT FROM replayed v "
                                            "WHERE v.id = w.verdict_id))"
                                            " AND " IS_OUTBOXED("w.telegram_id") " AND " IS_OUTBOXED(
                                                "w.webhook_id") " AND EXISTS (SELECT FROM written l WHERE "
                                                                "l.id = w.id) AS whole FROM want w JOIN "
                                                                "moved m ON m.i = w.i";

/* 1 as for move_sql, only the keys. What became of rows that did not move: whether the ledger has them, and
 * whether the task still stands as it was seen and the verdict has yet to be replayed. */
static const char move_again_sql[] =
    "SELECT w.i, " IS_KNOWN " AS known,"
    " EXISTS (SELECT FROM tasks t WHERE t.id = w.task_id AND t.stage = " AS_STAGE_FROM ""
    "  AND t.updated_at = w.version::timestamptz AND NOT " IS_BUSY ")"
    " AND NOT " IS_REPLAYED " AND (w.replay = 1 OR w.verdict_id IS NULL) AS stands, NULL AS taken"
    " FROM (SELECT *, row_number() OVER (PARTITION BY verdict_id ORDER BY i) AS replay"
    "  FROM json_to_recordset($1::json) AS w("
    "   i int, id uuid, task_id bigint, version text, from_stage text, verdict_id text)) w";

/* 1 [work item id, …]. The places of those that have a task, from 0, with its id and plane_id. */
static const char work_items_sql[] = "SELECT w.i - 1 AS i, t.id, t.plane_id::text AS plane_id"
                                     " FROM json_array_elements_text($1::json) WITH ORDINALITY AS w(item, i)"
                                     " JOIN tasks t ON lower(t.work_item_id) = lower(w.item)";

/* 1 [{"i", "task": {"plane_id", …}}, …]; 2 {plane id in each spelling, …} of the whole batch.
 *
 * One row per task that was made. A branch that is another task's already is not shared: the settings row is
 * locked exclusively when this begins, so that no other replica makes a task meanwhile. `named` goes by
 * branch alone: most tasks may be of one repo. The unique key of plane_id decides, which must be a plain one,
 * over all of the table or where plane_id is not null. It does not take two spellings of one id for the same;
 * against those that are there already the second parameter helps. In the order of ids, as above. The record
 * takes its types from the table, where plane_id may be text or uuid. */
static const char create_sql[] =
    "WITH want AS MATERIALIZED ("
    "  SELECT DISTINCT ON (" KEY_OF_N ") (e.w->>'i')::int AS i, n.plane_id, n.work_item_id,"
    "   n.title, n.repo, n.branch, n.stage FROM json_array_elements($1::json) AS e(w)"
    "  CROSS JOIN LATERAL json_populate_record(NULL::tasks, e.w->'task') AS n"
    "  WHERE " KEY_OF_N " NOT IN (SELECT " KEY_OF_T " FROM tasks t WHERE t.plane_id = ANY ($2))"
    "  ORDER BY " KEY_OF_N ", (e.w->>'i')::int),"
    " named AS MATERIALIZED ("
    "  SELECT lower(b.repo) AS repo, b.branch FROM tasks b WHERE b.branch IN (SELECT branch FROM want)),"
    " free AS ("
    "  SELECT *, row_number() OVER (PARTITION BY lower(repo), branch ORDER BY i) AS turn FROM want w"
    "  WHERE NOT EXISTS (SELECT FROM named b WHERE b.repo = lower(w.repo) AND b.branch = w.branch)),"
    " made AS ("
    "  INSERT INTO tasks (plane_id, work_item_id, title, repo, branch, stage, created_at, updated_at)"
    "  SELECT plane_id, work_item_id, title, repo, branch, stage, now(), now() FROM free w"
    "  WHERE turn = 1 OR repo IS NULL OR branch IS NULL ORDER BY " KEY_OF_W
    "  ON CONFLICT (plane_id) WHERE plane_id IS NOT NULL DO NOTHING RETURNING id, plane_id) "
    "SELECT w.i, m.id AS made, true AS whole"
    " FROM made m LEFT JOIN want w ON " KEY_OF_W " = " KEY_OF_M;

/* 1 and 2 as for create_sql, and the "id" that was made. Whether the task that was made is there, whether
 * there is none yet, and which task has its branch. The id distinguishes our task from another's of the same
 * issue. */
static const char create_again_sql[] =
    "WITH there AS MATERIALIZED ("
    "  SELECT t.id, " KEY_OF_T " AS key FROM tasks t WHERE t.plane_id = ANY ($2)) "
    "SELECT w.i, EXISTS (SELECT FROM there t WHERE t.key = " KEY_OF_W " AND t.id = w.id) AS known,"
    " NOT EXISTS (SELECT FROM there t WHERE t.key = " KEY_OF_W ") AS stands,"
    " CASE WHEN NOT EXISTS (SELECT FROM there t WHERE t.key = " KEY_OF_W ") THEN"
    "  (SELECT b.id FROM tasks b WHERE b.branch = w.task->>'branch'"
    "   AND concat(lower(b.repo)) = lower(w.task->>'repo') LIMIT 1) END AS taken"
    " FROM json_to_recordset($1::json) AS w(i int, id bigint, plane_id text, task json)";

/* 1 [[repo, branch, id of its own task or 0], …]; 2 the first stage. The places of those that another task
 * has, from 0, with its id. */
static const char branches_taken_sql[] =
    "WITH named AS MATERIALIZED ("
    " SELECT id, lower(repo) AS repo, branch, concat(stage) AS stage FROM tasks"
    " WHERE branch IN (SELECT b->>1 FROM json_array_elements($1::json) AS g(b))) "
    "SELECT w.i - 1 AS i, t.id FROM json_array_elements($1::json) WITH ORDINALITY AS w(b, i)"
    " JOIN named t ON t.repo = lower(w.b->>0) AND t.branch = w.b->>1 AND t.id <> (w.b->>2)::bigint"
    " AND (w.b->>2 = '0' OR t.stage <> $2 OR t.id < (w.b->>2)::bigint)";

/* Of a w or an r with the plane_id of an issue: its task, by the key, whether tasks.plane_id is text or uuid,
 * however it is spelled. */
#define TASK_OF_ISSUE(of)                                                                           \
    "SELECT " TASK_FIELDS " FROM unnest(ARRAY[" of ".plane_id, upper(" of ".plane_id),"             \
    "  replace(" of ".plane_id, '-', ''), upper(replace(" of ".plane_id, '-', ''))]) AS s(spelled)" \
    " CROSS JOIN LATERAL json_populate_record(NULL::tasks,"                                         \
    "  json_build_object('plane_id', s.spelled)) AS n JOIN tasks t ON t.plane_id = n.plane_id"
#define TASK_OF_W TASK_OF_ISSUE("w")
#define TASK_OF_R TASK_OF_ISSUE("r")
/* Between that try and the next, of the parameter 2, which has as many as there are tries. */
#define PAUSE_AFTER(try) "($2::json ->> (" try " - 1)::int)::int * interval '1 second'"
#define FIRST_PAUSE PAUSE_AFTER("1")
#define TRIES "json_array_length($2::json)"
#define SAME "(r.delivery = excluded.delivery)"
#define NEXT_TRY "CASE WHEN " SAME " THEN least(r.tries + 1, " TRIES ") ELSE 1 END"
#define NEXT_PAUSE PAUSE_AFTER(NEXT_TRY)
#define NEXT_S(of) "greatest(0, ceil(extract(epoch FROM " of ".next_at - clock_timestamp())))::bigint"
#define NEXT_S_OF_R NEXT_S("r")
#define NEXT_S_OF_B NEXT_S("b")
#define FIRST_US US_OF("r.first_at")
#define NEXT_US US_OF("r.next_at")
/* Farther ahead than any pause is long, the clock was set back. */
#define IS_NEXT_DUE(now)                        \
    "(r.next_at <= " now " OR r.next_at > " now \
    " + interval '" PG_DIGITS(LIMIT_REPLAY_PAUSE_MAX_S) " seconds')"
/* Given up; or moved in the database, by a process that was set to do so. */
#define IS_NO_HEAL                                                                \
    "r.given_up OR EXISTS (SELECT FROM reconcile_ledger l WHERE l.task_id = t.id" \
    " AND l.from_stage = r.from_stage AND l.at >= r.first_at AND " SAME_TASK ")"

/* 1 [[subject, delivery], …]. */
static const char replays_look_sql[] =
    "SELECT w.i - 1 AS i, r.tries, r.given_up, " NEXT_S_OF_R " AS next_s,"
    " " IS_NEXT_DUE("clock_timestamp()") " AS is_due"
                                         " FROM json_array_elements($1::json) WITH ORDINALITY AS w(key, i)"
                                         " JOIN reconcile_replays r ON r.subject = w.key->>0 AND r.delivery "
                                         "= (w.key->>1)::uuid";

/* 1 the subject. */
static const char replay_get_sql[] = "SELECT r.delivery, r.tries, " NEXT_US " AS next_us, r.given_up"
                                     " FROM reconcile_replays r WHERE r.subject = $1";

/* 1 [{"i", "subject", …}, …]; 2 the pauses. Every row with whether its task stands as it was seen, and what
 * was begun of it, if it was. In the order of subjects, so that two replicas do not lock each other out. */
static const char replay_begin_sql[] =
    "WITH want AS MATERIALIZED ("
    "  SELECT *, CASE WHEN w.task_id = 0 THEN NOT EXISTS (" TASK_OF_W ")"
    "    ELSE EXISTS (SELECT FROM tasks t WHERE t.id = w.task_id AND t.stage = " AS_STAGE_FROM ""
    "     AND t.updated_at = w.version::timestamptz AND NOT " IS_BUSY ") END"
    "    AND NOT " IS_REPLAYED " AS stands"
    "  FROM json_to_recordset($1::json) AS w(i int, subject text, delivery uuid, task_id bigint,"
    "   plane_id text, from_stage text, to_stage text, version text, rested_s bigint, side text,"
    "   outcome text, reason text, evidence text, verdict_id text, missed_source text, missed_event text,"
    "   " MESSAGE_FIELDS ")"
    "  ORDER BY w.subject),"
    " begun AS ("
    "  INSERT INTO reconcile_replays AS r (subject, delivery, task_id, plane_id, from_stage, to_stage,"
    "   version, tries, first_at, next_at, given_up, rested_s, side, outcome, reason, evidence, verdict_id,"
    "   missed_source, missed_event)"
    "  SELECT subject, delivery, nullif(task_id, 0), plane_id, from_stage, to_stage, version, 1, now(),"
    "   now() + " FIRST_PAUSE ", false, rested_s, side, outcome, reason, evidence, verdict_id,"
    "   missed_source, missed_event FROM want WHERE stands ORDER BY subject"
    "  ON CONFLICT (subject) DO UPDATE SET delivery = excluded.delivery, from_stage = excluded.from_stage,"
    "   to_stage = excluded.to_stage, version = excluded.version, tries = " NEXT_TRY ","
    "   first_at = CASE WHEN " SAME " THEN r.first_at ELSE now() END,"
    "   next_at = now() + " NEXT_PAUSE ","
    "   given_up = " SAME " AND r.tries >= " TRIES ","
    "   rested_s = CASE WHEN " SAME " THEN r.rested_s ELSE excluded.rested_s END,"
    "   side = excluded.side, outcome = excluded.outcome, reason = excluded.reason,"
    "   evidence = excluded.evidence, verdict_id = excluded.verdict_id,"
    "   missed_source = excluded.missed_source, missed_event = excluded.missed_event"
    "  WHERE NOT " SAME " OR (" IS_NEXT_DUE(
        "now()") " AND NOT r.given_up)"
                 "  RETURNING r.subject, r.tries, r.given_up, r.next_at),"
                 " outboxed AS (" OUTBOX_ADD_OF(
                     "want w JOIN begun b ON b.subject = w.subject") " AND b.given_up ON CONFLICT (id) DO "
                                                                     "NOTHING RETURNING id) "
                                                                     "SELECT w.i, w.stands, b.tries, "
                                                                     "b.given_up, " NEXT_S_OF_B " AS next_s"
                                                                     " FROM want w LEFT JOIN begun b ON "
                                                                     "b.subject = w.subject";

/* 1 the limit. */
static const char replays_moved_sql[] =
    "SELECT r.subject, r.delivery, " FIRST_US " AS first_us, r.tries,"
    " r.rested_s + floor(extract(epoch FROM now() - r.first_at))::bigint AS rested_s,"
    " " IS_NO_HEAL " AS is_no_heal, r.from_stage,"
    " r.side, r.outcome, r.reason, r.evidence, r.verdict_id, r.missed_source, r.missed_event,"
    " " TASK_COLUMNS NO_HEALS " FROM reconcile_replays r LEFT JOIN LATERAL ("
    "  SELECT t.*, " IS_BUSY " AS busy FROM ("
    "   SELECT " TASK_FIELDS " FROM tasks t WHERE t.id = r.task_id"
    "    AND (t.plane_id IS NULL OR r.plane_id IS NULL OR " KEY_OF_T " = " KEY_OF_R ") UNION ALL"
    "   SELECT * FROM (" TASK_OF_R " LIMIT 1) t WHERE r.task_id IS NULL) t) t ON true"
    " WHERE CASE WHEN r.task_id IS NULL THEN t.id IS NOT NULL"
    "  ELSE t.id IS NULL OR t.stage::text IS DISTINCT FROM r.from_stage OR (r.to_stage = r.from_stage"
    "   AND t.updated_at IS DISTINCT FROM r.version::timestamptz AND t.busy) END"
    " ORDER BY r.first_at, r.subject LIMIT $1::bigint";

/* 1 [{"i", "subject", "delivery", "counts", …}, …]. Those that this took away. */
static const char replays_settle_sql[] =
    "WITH want AS MATERIALIZED ("
    "  SELECT w.* FROM (SELECT FROM reconcile_settings WHERE id = 1 FOR SHARE) s,"
    "   json_to_recordset($1::json) AS w(i int, subject text, delivery uuid, counts boolean,"
    "    id uuid, task_id bigint, pass_id text, from_stage text, to_stage text, agent text, work_item_id "
    "text,"
    "    plane_id text, repo text, side text, outcome text, reason text, evidence text, verdict_id text, "
    "missed_source text,"
    "    missed_event text, " MESSAGE_FIELDS ", rested_s bigint) ORDER BY w.subject),"
    " gone AS ("
    "  DELETE FROM reconcile_replays r USING want w"
    "  WHERE r.subject = w.subject AND r.delivery = w.delivery RETURNING w.i),"
    " mine AS (SELECT w.* FROM want w JOIN gone g ON g.i = w.i WHERE w.counts ORDER BY w.i),"
    " written AS ("
    "  INSERT INTO reconcile_ledger (id, at, task_id, pass_id, work_item_id, repo, from_stage, to_stage,"
    "   side, outcome, agent, reason, evidence, missed_source, missed_event, plane_id, rested_s)"
    "  SELECT id, now(), task_id, pass_id, work_item_id, repo, from_stage, to_stage, side, outcome, agent, "
    "reason,"
    "   evidence, missed_source, missed_event, plane_id, rested_s FROM mine ON CONFLICT (id) DO NOTHING "
    "RETURNING id),"
    " replayed AS ("
    "  INSERT INTO reconcile_verdicts (id, task_id, at) SELECT verdict_id, task_id, now() FROM mine"
    "  WHERE verdict_id IS NOT NULL ON CONFLICT (id) DO NOTHING RETURNING id),"
    " outboxed AS (" OUTBOX_ADD_OF("mine w") " ON CONFLICT (id) DO NOTHING RETURNING id) "
                                             "SELECT i FROM gone";

/* An entry of a list: of a task t and its newest active job j. Were the jobs ordered by their bare id, the
 * planner might walk along all of them; of two numbers as text the longer is the greater. */
#define JOB_US US_OF("j.updated_at")
#define ENTRY_COLUMNS                                                                                 \
    TASK_US " AS updated_us, j.id AS job_id, " AGENT " AS job_agent, j.status AS job_status, " JOB_US \
            " AS job_updated_us, " TASK_COLUMNS HEALS
#define ENTRY_JOINS(window_s)                                                                          \
    " LEFT JOIN LATERAL (SELECT j.id, j.agent, j.status, j.updated_at FROM jobs j"                     \
    "  WHERE j.task_id = t.id AND j.status IN ('queued', 'running')"                                   \
    "  ORDER BY j.created_at DESC NULLS LAST, length(j.id::text) DESC, j.id::text DESC LIMIT 1) j ON " \
    "true" HEALS_JOIN(window_s)

/* Where a task stands in its part of the list; one without a time comes first, for null is compared by
 * nothing. Behind which place the list goes on. */
#define PLACE "coalesce(t.updated_at, '-infinity'), t.id"
#define BEHIND_STUCK "($5::timestamptz + $6::interval, $7::bigint)"
#define BEHIND_OTHERS "($8::timestamptz + $9::interval, $10::bigint)"
#define AS_OF "(SELECT as_of FROM clock)"
#define WATCHED_AS_OF WATCHED_FROM(AS_OF)
#define IS_STAGE_O IS_STAGE("o.exact")

#define HAS_PART(column) "strpos(lower(t." column "::text), lower($14::text)) > 0"
#define IS_PART \
    "($14::text IS NULL OR " HAS_PART("work_item_id") " OR " HAS_PART("title") " OR " HAS_PART("branch") ")"
/* As store_hold_covers. */
#define IS_HELD                                                                                      \
    "($15::json IS NULL OR lower(t.repo) IN (SELECT json_array_elements_text($15::json->'repos'))"   \
    " OR concat(t.stage) IN (SELECT json_array_elements_text($15::json->'stages'))"                  \
    " OR EXISTS (SELECT FROM json_array_elements($15::json->'tasks') h WHERE (h->>0)::bigint = t.id" \
    "  AND (h->>1 = t.work_item_id::text OR " UUID_KEY(                                              \
        "(h->>2)") " = " KEY_OF_T " OR (h->>1 IS NULL"                                               \
                   "   AND t.work_item_id IS NULL AND (h->>2 IS NULL OR t.plane_id IS NULL)))))"
#define IS_OFTEN_HEALED \
    "($16::bigint IS NULL OR (SELECT h.heals FROM (SELECT) one" HEALS_JOIN("$12::bigint") ") > $16::bigint)"

/* 1 as for WATCHED; 2 [terminal stage, …]; 3 a stage or null; 4 the instant of the first page, as an interval
 * since 1970, or null; where to go on, as an instant, an interval to add to it, and an id: 5, 6, 7 among the
 * stuck ones, 8, 9, 10 among the others; 11 the limit; 12 the window of heals; `only`: a further condition.
 *
 * Cost follows the page: of each stage at most the limit is taken of either kind, in the order of (stage,
 * updated_at). The tasks without a stage or a time are looked for on their own, for there is no order by what
 * is not there. What was stuck when the first page was made is so for all of them. */
#define TASKS_LIST(only)                                                                                     \
    "WITH RECURSIVE"                                                                                         \
    " clock AS MATERIALIZED (SELECT coalesce('epoch'::timestamptz + $4::interval, now()) AS "                \
    "as_of)," WATCHED_AS_OF "," STAGES ","                                                                   \
    " open AS MATERIALIZED ("                                                                                \
    "  SELECT s.stage, w.due, w.name AS exact FROM ("                                                        \
    "   SELECT " AS_STAGE_3 " AS stage WHERE $3 IS NOT NULL"                                                 \
    "   UNION ALL SELECT stage FROM stages WHERE $3 IS NULL AND stage::text NOT IN (" ELEMENTS_2 ")) s"      \
    "  LEFT JOIN watched w ON w.stage = s.stage),"                                                           \
    " found AS ("                                                                                            \
    "  SELECT 1 AS part, t.* FROM open o CROSS JOIN LATERAL ("                                               \
    "   SELECT " TASK_FIELDS " FROM tasks t WHERE t.stage = o.stage AND t.updated_at <= o.due"               \
    "   AND isfinite(t.updated_at) AND (t.updated_at, t.id) > " BEHIND_STUCK only "   AND NOT " IS_BUSY      \
    "   AND " IS_STAGE_O " ORDER BY t.updated_at, t.id LIMIT $11::bigint) t"                                 \
    "  UNION ALL"                                                                                            \
    "  SELECT 2, t.* FROM open o CROSS JOIN LATERAL ("                                                       \
    "   SELECT " TASK_FIELDS " FROM tasks t WHERE t.stage = o.stage"                                         \
    "   AND (t.updated_at, t.id) > " BEHIND_OTHERS only                                                      \
    "   AND (o.due IS NULL OR t.updated_at > o.due OR NOT isfinite(t.updated_at) OR " IS_BUSY                \
    "    OR NOT " IS_STAGE_O ")"                                                                             \
    "   ORDER BY t.updated_at, t.id LIMIT $11::bigint) t"                                                    \
    "  UNION ALL"                                                                                            \
    "  SELECT 2, t.* FROM open o CROSS JOIN LATERAL ("                                                       \
    "   SELECT " TASK_FIELDS " FROM tasks t WHERE t.stage = o.stage AND t.updated_at IS NULL"                \
    "   AND (" PLACE ") > " BEHIND_OTHERS only " ORDER BY t.id + 0 LIMIT $11::bigint) t"                     \
    "  UNION ALL"                                                                                            \
    "  (SELECT 2, " TASK_FIELDS " FROM tasks t WHERE $3 IS NULL AND t.stage IS NULL"                         \
    "   AND (" PLACE ") > " BEHIND_OTHERS only " ORDER BY " PLACE " LIMIT $11::bigint)),"                    \
    " page AS MATERIALIZED (SELECT * FROM found t ORDER BY part, " PLACE " LIMIT $11::bigint) "              \
    "SELECT " NOW_US " AS now_us, (extract(epoch FROM " AS_OF ") * 1000000)::bigint AS as_of_us,"            \
    " t.part = 1 AS stuck, CASE WHEN " T_IS_COUNTABLE                                                        \
    "  THEN (extract(epoch FROM t.updated_at) * 1000000)::bigint::text"                                      \
    "  WHEN t.updated_at > now() THEN 'infinity' ELSE coalesce(t.updated_at, '-infinity')::text END AS key," \
    " " ENTRY_COLUMNS " FROM page t" ENTRY_JOINS("$12::bigint") " ORDER BY t.part, " PLACE

/* 1 as for WATCHED; 2 the id; 3 the window of heals. */
static const char task_get_sql[] =
    "WITH" WATCHED " "
    "SELECT " NOW_US " AS now_us, isfinite(t.updated_at) AND j.id IS NULL AND EXISTS"
    " (SELECT FROM watched w WHERE w.stage = t.stage AND " IS_STAGE_W
    " AND t.updated_at <= w.due) AS stuck, " ENTRY_COLUMNS
    " FROM tasks t" ENTRY_JOINS("$3::bigint") " WHERE t.id = $2::bigint";

/* 1 the name, 2 the owner, 3 for how many seconds. A row when there is nothing to write: whether the lease is
 * the owner's. ON CONFLICT would lock, and so write, a row that it leaves alone. */
static const char lease_stands_sql[] =
    "SELECT owner = $2 AS ours FROM reconcile_leases WHERE name = $1 AND until >"
    " now() + CASE WHEN owner = $2 THEN $3::bigint * interval '0.5 seconds' ELSE interval '0' END"
    " AND (owner = $2 OR until <= now() + interval '" PG_DIGITS(LIMIT_LEASE_S) " seconds')";
/* A row when it is the owner's now. */
static const char lease_take_sql[] =
    "INSERT INTO reconcile_leases AS l (name, owner, until)"
    " VALUES ($1, $2, now() + $3::bigint * interval '1 second')"
    " ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until"
    " WHERE l.owner = excluded.owner OR l.until <= now()"
    "  OR l.until > now() + interval '" PG_DIGITS(LIMIT_LEASE_S) " seconds' RETURNING name";

/* The revision and the clock, the clock read after the lock was got. */
#define POLICY_LOCKED(lock)                          \
    "SELECT s.revision, " CLOCK_US " AS now_us FROM" \
    " (SELECT revision FROM reconcile_settings WHERE id = 1 FOR " lock ") s"

/* Of a plane_id: whether uuid_read would read it; whether it is one all the same. */
#define IS_UUID                                                                                          \
    "^([0-9a-f]{32}|[0-9A-F]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9A-F]{8}(-[0-9A-F]{4}){3}" \
    "-[0-9A-F]{12})$"
#define HIDES_UUID "[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"

/* Of a numeric: no digits behind the point, and no more before it than 64 bits hold. PostgreSQL's modifier of
 * a type counts a header of 4 bytes, too. */
#define IS_INTEGER_64 "t.modifier >= 4 AND (t.modifier - 4) & 65535 = 0 AND (t.modifier - 4) >> 16 <= 18"

#define HISTORY_INSERT                                                                            \
    "INSERT INTO reconcile_history (at, kind, name, from_value, to_value, set_by, reason, until)" \
    " SELECT now(), w.kind, w.name, w.from_value, w.to_value, w.set_by, w.reason,"                \
    "  timestamptz 'epoch' + w.until_us * interval '1 microsecond'"
#define HISTORY_ROWS(list)                                                                         \
    "json_to_recordset(" list "::json) AS w(kind text, name text, from_value text, to_value text," \
    " set_by text, reason text, until_us bigint)"

/* The holds in force, as of the start of the transaction: one that ends meanwhile still counts. */
#define HOLD_IS_LIVE "(h.until IS NULL OR h.until > now())"
#define HOLD_UNTIL "timestamptz 'epoch' + w.until_us * interval '1 microsecond'"
#define HOLD_WANTED                                                                                \
    " FROM json_to_record($1::json) AS w(scope text, name text, plane_id text, work_item_id text," \
    "  reason text, set_by text, why text, until_us bigint)"
#define HOLD_FITS                                                \
    " WHERE (SELECT count(*) FROM reconcile_holds) < $2::bigint" \
    " OR EXISTS (SELECT FROM reconcile_holds h WHERE h.scope = w.scope)"

/* An index is known by what it begins with. In lower() a column that is not text stands with a cast. */
static const char unindexed_sql[] =
    "WITH want(i, name, one, two, may_be_partial) AS (VALUES"
    "  (0, 'tasks', '^stage$', '^updated_at$', false), (1, 'jobs', '^task_id$', '', true),"
    "  (2, 'tasks', '^lower[(][(]?work_item_id[)]?(::text)?[)]$', '', false),"
    "  (3, 'tasks', '^lower[(][(]?repo[)]?(::text)?[)]$', '^stage$', false)) "
    "SELECT w.i FROM want w JOIN pg_class c ON c.oid = to_regclass(w.name) AND c.relkind IN ('r', 'p')"
    " WHERE NOT EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisvalid"
    "  AND (x.indpred IS NULL OR w.may_be_partial) AND pg_get_indexdef(x.indexrelid, 1, true) ~ w.one"
    "  AND coalesce(pg_get_indexdef(x.indexrelid, 2, true), '') ~ w.two)";

static const char *const texts[] = {
    [SQL_SETTINGS_READ] = "SELECT " REVISION " AS revision, " NOW_US " AS now_us,"
                          " (SELECT overrides FROM reconcile_settings WHERE id = 1) AS overrides",
    /* 1 the revision seen, 2 the overrides, 3 as for SQL_HISTORY_ADD. */
    [PG_SETTINGS_WRITE] =
        "WITH written AS (UPDATE reconcile_settings SET revision = revision + 1, overrides = $2,"
        "  updated_at = now() WHERE id = 1 AND revision = $1::bigint RETURNING revision),"
        " noted AS (" HISTORY_INSERT " FROM written, " HISTORY_ROWS("$3") ")"
                                                                          " SELECT revision FROM written",
    [SQL_STUCK] = stuck_sql,
    [SQL_UNSTARTED] = unstarted_sql,
    [SQL_ISSUE_TASKS] = issue_tasks_sql,
    /* 1 [id, …]. The places of those that are there, from 0. */
    [SQL_VERDICTS_REPLAYED] =
        "SELECT w.i - 1 AS i FROM json_array_elements_text($1::json) WITH ORDINALITY AS w(verdict_id, i)"
        " WHERE " IS_REPLAYED,
    [PG_POLICY_SHARE] = POLICY_LOCKED("SHARE"),
    /* The same, but waits until every transition under way is over. */
    [SQL_SETTINGS_LOCK] = POLICY_LOCKED("UPDATE"),
    [PG_MOVE] = move_sql,
    [PG_MOVE_AGAIN] = move_again_sql,
    [SQL_WORK_ITEMS] = work_items_sql,
    [SQL_BRANCHES_TAKEN] = branches_taken_sql,
    [PG_CREATE] = create_sql,
    [PG_CREATE_AGAIN] = create_again_sql,
    [SQL_REPLAYS_LOOK] = replays_look_sql,
    [SQL_REPLAY_GET] = replay_get_sql,
    [PG_REPLAY_BEGIN] = replay_begin_sql,
    [SQL_REPLAYS_MOVED] = replays_moved_sql,
    [PG_REPLAYS_SETTLE] = replays_settle_sql,
    /* 1 the seq to begin above, 2 the seq to end with. */
    [SQL_LEDGER_SINCE] = "SELECT count(*) AS n, max(seq) AS seq, (SELECT work_item_id FROM reconcile_ledger"
                         " WHERE seq <= $2::bigint ORDER BY seq DESC LIMIT 1) AS last_work_item_id"
                         " FROM reconcile_ledger WHERE seq > $1::bigint AND seq <= $2::bigint",
    [SQL_PULSE] = "SELECT " REVISION " AS revision, " NOW_US " AS now_us,"
                  " coalesce((SELECT max(seq) FROM reconcile_ledger), 0) AS ledger_seq,"
                  " coalesce((SELECT max(seq) FROM reconcile_history), 0) AS history_seq",
    /* 1 the seq to stay below, 2 the limit, 3 the task. */
    [SQL_LEDGER_LIST] = "SELECT " LEDGER_COLUMNS " FROM reconcile_ledger WHERE seq < $1::bigint"
                        " ORDER BY seq DESC LIMIT $2::bigint",
    [SQL_LEDGER_LIST_OF_TASK] = "SELECT " LEDGER_COLUMNS " FROM reconcile_ledger l WHERE seq < $1::bigint"
                                " AND task_id = $3::bigint AND NOT EXISTS"
                                " (SELECT FROM tasks t WHERE t.id = $3::bigint AND " SAME_TASK
                                " IS NOT TRUE) ORDER BY seq DESC LIMIT $2::bigint",
    /* 1 [{"kind", "name", …}, …]. The lock is taken before a seq is. */
    [SQL_HISTORY_ADD] = HISTORY_INSERT " FROM (SELECT FROM reconcile_settings WHERE id = 1 FOR SHARE) s,"
                                       " " HISTORY_ROWS("$1") " RETURNING seq",
    /* 1 the seq to stay below, 2 the limit. */
    [SQL_HISTORY_LIST] = "SELECT seq, " AT_US " AS at_us, kind, name, from_value, to_value, set_by, reason,"
                         " " US_OF("until") " AS until_us FROM reconcile_history WHERE seq < $1::bigint"
                                            " ORDER BY seq DESC LIMIT $2::bigint",
    /* One row per hold that is in force, and always one. */
    [SQL_HOLDS] =
        "SELECT (SELECT max(version) FROM reconcile_schema) AS version, h.scope, h.plane_id,"
        " h.work_item_id, h.reason, h.set_by, " US_OF(
            "h.since") " AS since_us,"
                       " " US_OF("h.until") " AS until_us"
                                            " FROM (SELECT) one LEFT JOIN reconcile_holds h ON " HOLD_IS_LIVE
                                            " ORDER BY h.scope",
    [SQL_HOLDS_EXPIRE] = "DELETE FROM reconcile_holds WHERE until <= now()",
    /* 1 {"scope", "plane_id", …}, 2 the most holds that there may be: nothing is written beyond. */
    [SQL_HOLD_HISTORY] =
        "INSERT INTO reconcile_history (at, kind, name, from_value, to_value, set_by, reason, until)"
        " SELECT now(), 'hold', w.name, (SELECT reason FROM reconcile_holds h WHERE h.scope = w.scope),"
        "  w.reason, w.set_by, w.why, " HOLD_UNTIL HOLD_WANTED HOLD_FITS,
    /* 1 the scope. */
    [SQL_HOLD_DROP] = "DELETE FROM reconcile_holds h WHERE h.scope = $1 RETURNING 1",
    /* As for SQL_HOLD_HISTORY. */
    [SQL_HOLD_ADD] =
        "INSERT INTO reconcile_holds (scope, plane_id, work_item_id, reason, set_by, since, until)"
        " SELECT w.scope, w.plane_id, w.work_item_id, w.reason, w.set_by, now(), " HOLD_UNTIL
            HOLD_WANTED HOLD_FITS " RETURNING 1",
    /* 1 the task. */
    [SQL_RELEASE] = "INSERT INTO reconcile_releases (task_id, ledger_seq)"
                    " VALUES ($1::bigint, (SELECT coalesce(max(seq), 0) FROM reconcile_ledger))"
                    " ON CONFLICT (task_id) DO UPDATE SET ledger_seq = excluded.ledger_seq",
    /* 1 the limit, 2 the destination. One row per message, and always one. */
    [SQL_OUTBOX_LIST] =
        "SELECT d.depth, o.id, o.seq, greatest(0, floor(extract(epoch FROM now() - o.at)))::bigint"
        " AS age_s, o.text"
        " FROM (SELECT count(*) AS depth FROM reconcile_outbox"
        "  WHERE sent_at IS NULL AND destination IS NOT DISTINCT FROM $2::text) d"
        " LEFT JOIN (SELECT * FROM reconcile_outbox"
        "  WHERE sent_at IS NULL AND destination IS NOT DISTINCT FROM $2::text"
        "  ORDER BY seq LIMIT $1::bigint) o ON true ORDER BY o.seq",
    /* 1 the id, 2 the text, 3 the destination. */
    [SQL_OUTBOX_ADD] = "INSERT INTO reconcile_outbox (id, at, text, destination)"
                       " VALUES ($1::uuid, now(), $2, $3)"
                       " ON CONFLICT (id) DO NOTHING RETURNING seq",
    /* 1 [id, …]. */
    [SQL_OUTBOX_SENT] = "UPDATE reconcile_outbox SET sent_at = now() WHERE id = ANY (ARRAY(SELECT s.id::uuid"
                        " FROM json_array_elements_text($1::json) AS s(id))) AND sent_at IS NULL",
    /* 1 how many stay. */
    [SQL_OUTBOX_PRUNE] = "DELETE FROM reconcile_outbox WHERE sent_at IS NOT NULL AND seq <="
                         " (SELECT seq FROM reconcile_outbox WHERE sent_at IS NOT NULL"
                         "  ORDER BY seq DESC OFFSET $1::bigint LIMIT 1)",
    [SQL_LEASE_STANDS] = lease_stands_sql,
    [SQL_LEASE_TAKE] = lease_take_sql,
    /* 1 the name, 2 the owner. */
    [SQL_LEASE_DROP] = "DELETE FROM reconcile_leases WHERE name = $1 AND owner = $2",
    [PG_TASKS_LIST] = TASKS_LIST(""),
    [PG_TASKS_LIST_OF_REPO] = TASKS_LIST(" AND lower(t.repo) = lower($13::text)"),
    /* 13 a repo or null, 14 what a text of the task has in it or null, 15 as holds_json makes it or null, 16
     * more heals than so many or null. */
    [PG_TASKS_LIST_WITH] = TASKS_LIST(" AND ($13::text IS NULL OR lower(t.repo) = lower($13::text))"
                                      " AND " IS_PART " AND " IS_HELD " AND " IS_OFTEN_HEALED),
    [SQL_TASK_GET] = task_get_sql,
    /* 1 [[work item id or null, id or null], …], 2 the limit of each. The places, from 0, of those that have
     * tasks; what is spelled exactly comes first. */
    [SQL_TASKS_NAMED] =
        "SELECT w.i - 1 AS i, n.id, n.work_item_id, n.repo, n.stage"
        " FROM json_array_elements($1::json) WITH ORDINALITY AS w(name, i) CROSS JOIN LATERAL ("
        "  SELECT t.id, " NAME_WORK_ITEM_ID " AS work_item_id, " NAME_REPO " AS repo, " NAME_STAGE " AS stage"
        "  FROM tasks t WHERE t.id = (w.name->>1)::bigint"
        "  UNION ALL (SELECT t.id, " NAME_WORK_ITEM_ID ", " NAME_REPO ", " NAME_STAGE " FROM tasks t"
        "   WHERE lower(t.work_item_id) = lower(w.name->>0)"
        "   ORDER BY t.work_item_id::text = w.name->>0 DESC, t.id + 0 LIMIT $2::bigint)) n ORDER BY w.i, "
        "n.id",
    /* 1 [repo, …], 2 [stage, …], 3 the limit. Ordered as in ENTRY_JOINS. */
    [SQL_REPO_TASKS] =
        "SELECT t.id, " NAME_WORK_ITEM_ID " AS work_item_id, " NAME_BRANCH " AS branch, t.stage,"
        " " TOO_LONG " AS too_long FROM tasks t"
        " WHERE lower(repo) = ANY (ARRAY(SELECT lower(r) FROM json_array_elements_text($1::json) AS r))"
        " AND stage = ANY (ARRAY(SELECT " AS_STAGE_ELEMENT " FROM"
        "  json_array_elements_text($2::json) AS e(stage))) AND branch <> ''"
        " ORDER BY id + 0 DESC LIMIT $3::bigint",
    /* 1 [stage, …], 2 the limit. */
    [SQL_REPOS] = "SELECT DISTINCT lower(repo) AS repo FROM tasks WHERE stage = ANY (ARRAY(SELECT"
                  " " AS_STAGE_ELEMENT " FROM json_array_elements_text($1::json) AS e(stage)))"
                  " AND branch <> '' AND octet_length(repo) <= " NAME_MAX_TEXT " LIMIT $2::bigint",
    /* 1 the id, 2 the start, 3 the report. */
    [SQL_PASS_SAVE] = "INSERT INTO reconcile_passes (id, started_us, report) VALUES ($1, $2::bigint, $3)"
                      " ON CONFLICT (id) DO UPDATE SET started_us = excluded.started_us,"
                      " report = excluded.report",
    /* 1 how many stay. */
    [SQL_PASS_PRUNE] = "DELETE FROM reconcile_passes WHERE id IN (SELECT id FROM reconcile_passes"
                       " ORDER BY started_us DESC, id DESC OFFSET $1::bigint)",
    [SQL_PASS_GET] = "SELECT report FROM reconcile_passes WHERE id = $1",
    /* 1 the start to stay below, 2 the limit, 3 how many characters of each report. */
    [SQL_PASS_LIST] =
        "SELECT id, started_us, left(report, $3::integer) AS report FROM reconcile_passes WHERE "
        "started_us < $1::bigint"
        " ORDER BY started_us DESC, id DESC LIMIT $2::bigint",
    /* 1 [[table, column], …]. Of the columns that are there: the place in the list, the type in words, what
     * it can hold, below any domain, whether a row that is inserted without a value gets one, and how many
     * characters of text there is room for. What is below a view is not known here. */
    [SQL_COLUMNS] =
        "WITH RECURSIVE types AS ("
        " SELECT w.i - 1 AS i, format_type(a.atttypid, a.atttypmod) AS declared, a.atttypid AS type,"
        "  a.atttypmod AS modifier,"
        "  a.attidentity <> '' OR a.atthasdef OR c.relkind IN ('v', 'm') AS filled"
        " FROM json_array_elements($1::json) WITH ORDINALITY AS w(column_, i)"
        " JOIN pg_class c ON c.oid = to_regclass(quote_ident(w.column_->>0))"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = w.column_->>1"
        "  AND a.attnum > 0 AND NOT a.attisdropped"
        " UNION ALL"
        " SELECT t.i, t.declared, y.typbasetype,"
        "  CASE WHEN y.typtypmod <> -1 THEN y.typtypmod ELSE t.modifier END,"
        "  t.filled OR y.typdefault IS NOT NULL"
        " FROM types t JOIN pg_type y ON y.oid = t.type AND y.typtype = 'd') "
        "SELECT t.i, t.declared AS type, t.filled AS is_filled, y.typname IN ('int2', 'int4', 'int8')"
        "  OR (y.typname = 'numeric' AND " IS_INTEGER_64 ") AS is_integer,"
        " y.typname IN ('uuid', 'text', 'varchar', 'bpchar', 'citext') AS is_uuid,"
        " y.typcategory = 'S' AS is_text, y.typname IN ('timestamptz', 'timestamp') AS is_time,"
        " y.typcategory = 'N' AS is_number,"
        " CASE WHEN y.typname IN ('varchar', 'bpchar') THEN t.modifier - 4 END AS room FROM types t"
        " JOIN pg_type y ON y.oid = t.type AND y.typtype <> 'd' ORDER BY t.i",
    /* 1 how many of the newest rows. Per form their number, the newest of them and, of the known form, its
     * plane_id. */
    [SQL_PLANE_IDS] = "SELECT form, count(*) AS count, (array_agg(id::text ORDER BY id DESC))[1] AS task,"
                      " CASE WHEN form = 'known' THEN (array_agg(p ORDER BY id DESC))[1] END AS newest FROM"
                      " (SELECT id, p, CASE WHEN p ~ '" IS_UUID "' THEN 'known'"
                      "   WHEN p ~* '" HIDES_UUID "' THEN 'hidden' ELSE 'other' END AS form FROM"
                      "  (SELECT t.id, t.plane_id::text COLLATE \"C\" AS p FROM tasks t"
                      "   ORDER BY t.id DESC LIMIT $1::bigint) newest WHERE length(p) >= " PG_DIGITS(
                          UUID_TEXT_MIN) " ) n GROUP BY form",
    /* 1 the slack in microseconds. */
    [SQL_TIMES] =
        "SELECT count(*) FILTER (WHERE " IS_NO_TIME ") AS unread,"
        " min(id) FILTER (WHERE " IS_NO_TIME ") AS unread_task,"
        " count(*) FILTER (WHERE " IS_LATE ") AS ahead, min(id) FILTER (WHERE " IS_LATE ") AS ahead_task,"
        " pg_typeof((SELECT updated_at FROM tasks LIMIT 0)) = 'timestamp'::regtype AS zoneless FROM tasks t",
    [SQL_COUNTS] = "SELECT (SELECT count(*) FROM tasks) AS tasks, (SELECT count(*) FROM jobs) AS jobs",
    /* The places of the recommended indexes that are missing. A view needs none. */
    [SQL_UNINDEXED] = unindexed_sql,
    [SQL_SCHEMA_VERSION] = "SELECT max(version) AS version FROM reconcile_schema",
    /* 1 a table or an index, 2 null or a column of the table. A row when it is there. */
    [SQL_SCHEMA_HAS] = "SELECT 1 FROM (SELECT to_regclass(quote_ident($1)) AS oid) r WHERE r.oid IS NOT NULL"
                       " AND ($2::text IS NULL OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = r.oid"
                       "  AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped))",
    [PG_STAGE_TYPE] =
        "SELECT y.typtype = 'e' AS is_enum FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid"
        " WHERE a.attrelid = to_regclass('tasks') AND a.attname = 'stage'"
        " AND NOT a.attisdropped",
    /* 1 whether tasks and jobs are written. Why no transition can be written; no row: it can, by roles and
     * rights. Rights on a column are there when those on its table are. */
    [PG_NOT_WRITABLE] =
        "SELECT CASE WHEN pg_is_in_recovery() THEN 'it is a standby'"
        "  ELSE 'it is read-only (default_transaction_read_only)' END AS reason"
        " WHERE pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean"
        " UNION ALL"
        " (SELECT format('the role %s lacks %s on %s.%s', current_user, n.need, n.table_, n.column_)"
        "  FROM (VALUES ('tasks', 'stage', 'UPDATE'), ('tasks', 'updated_at', 'UPDATE'),"
        "   ('jobs', 'task_id', 'INSERT'), ('jobs', 'agent', 'INSERT'), ('jobs', 'status', 'INSERT'),"
        "   ('reconcile_settings', 'revision', 'UPDATE'), ('reconcile_ledger', 'task_id', 'INSERT'),"
        "   ('reconcile_verdicts', 'id', 'INSERT'), ('reconcile_outbox', 'text', 'INSERT'),"
        "   ('reconcile_outbox', 'sent_at', 'UPDATE'), ('reconcile_replays', 'subject', 'INSERT'),"
        "   ('reconcile_leases', 'owner', 'UPDATE'), ('reconcile_passes', 'report', 'INSERT'))"
        "  AS n(table_, column_, need) WHERE NOT has_column_privilege(n.table_, n.column_, n.need)"
        "  AND ($1::boolean OR n.table_ NOT IN ('tasks', 'jobs')) LIMIT 1)"
        " UNION ALL"
        " (SELECT format('the view %s takes no %s: it needs an INSTEAD OF trigger', n.table_, n.need)"
        "  FROM (VALUES ('tasks', 'UPDATE', 4), ('jobs', 'INSERT', 8)) AS n(table_, need, event)"
        "  WHERE $1::boolean AND pg_relation_is_updatable(n.table_::regclass, true) & n.event = 0 LIMIT 1)",
    /* The tables of the orchestrator's whose rows a policy may hide from our role. One that reads "true"
     * hides none, unless another one restricts it. */
    [PG_HIDDEN] =
        "WITH policy AS (SELECT p.polrelid, p.polpermissive,"
        "  pg_get_expr(p.polqual, p.polrelid) IS NOT DISTINCT FROM 'true' AS is_open FROM pg_policy p"
        "  WHERE p.polcmd IN ('r', '*') AND EXISTS (SELECT FROM unnest(p.polroles) AS r(oid)"
        "   WHERE r.oid = 0 OR pg_has_role(r.oid, 'USAGE'))) "
        "SELECT current_user AS role, string_agg(n.name, ' and ' ORDER BY n.name DESC) AS tables"
        " FROM (VALUES ('tasks'), ('jobs')) AS n(name) WHERE row_security_active(n.name)"
        " AND (NOT EXISTS (SELECT FROM policy p WHERE p.polrelid = n.name::regclass"
        "   AND p.polpermissive AND p.is_open)"
        "  OR EXISTS (SELECT FROM policy p WHERE p.polrelid = n.name::regclass"
        "   AND NOT p.polpermissive AND NOT p.is_open)) HAVING count(*) > 0",
    /* Which of the orchestrator's tables are not found, and what has their names elsewhere, or here in
     * another case. */
    [PG_DECOYS] = "WITH missing AS (SELECT n.name FROM (VALUES ('tasks'), ('jobs')) AS n(name)"
                  "  WHERE to_regclass(n.name) IS NULL),"
                  " found AS (SELECT format('%I.%I', s.nspname, c.relname) AS place FROM missing m"
                  "  JOIN pg_class c ON lower(c.relname) = m.name AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
                  "  JOIN pg_namespace s ON s.oid = c.relnamespace"
                  "  WHERE s.nspname !~ '^pg_' AND s.nspname <> 'information_schema') "
                  "SELECT (SELECT string_agg(name, ' and ' ORDER BY name DESC) FROM missing) AS missing,"
                  " string_agg(place, ', ' ORDER BY place) AS places FROM found HAVING count(*) > 0",
    [PG_HAS_SCHEMA] = "SELECT 1 FROM pg_namespace WHERE nspname = $1",
};
static_assert(ARRAY_LEN(texts) == PG_SQL_MAX_, "every statement has its text");

bool pg_sql_names_stage(unsigned which)
{
    return strstr(texts[which], PG_STAGE_OPEN);
}

/* `text` with each `mark` replaced. Caller frees. */
static char *marks_replace(const char *text, const char *mark, const char *by)
{
    char *done = mem_dup("");
    for (const char *next; (next = strstr(text, mark)); text = next + strlen(mark)) {
        char *more = mem_printf("%s%.*s%s", done, (int)(next - text), text, by);
        free(done);
        done = more;
    }
    char *whole = mem_printf("%s%s", done, text);
    free(done);
    return whole;
}

/* An enum takes its own labels alone: another name becomes null, which equals nothing. */
char *pg_sql_text(unsigned which, bool stage_is_enum)
{
    static const char open[] =
        "(SELECT n.stage FROM json_populate_record(NULL::tasks, json_build_object('stage',"
        " (SELECT l.enumlabel FROM pg_enum l"
        " WHERE l.enumtypid = pg_typeof((NULL::tasks).stage) AND l.enumlabel = ";
    AUTO_FREE char *opened = marks_replace(texts[which], PG_STAGE_OPEN, stage_is_enum ? open : "(");
    return marks_replace(opened, PG_STAGE_CLOSE, stage_is_enum ? "))) AS n)" : ")");
}
