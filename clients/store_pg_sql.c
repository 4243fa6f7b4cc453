/* Every statement that the PostgreSQL store prepares. The tables are in store_pg_schema.c.
 *
 * tasks and jobs may be somebody else's, or updatable views: no column but those of the contract is named,
 * nothing but tasks.stage, tasks.updated_at and new jobs is written, and ids may be of any integer type. */
#include "clients/store_pg.h"

#include <assert.h>

#include "clients/base/err.h"

#define NOW_US "(extract(epoch FROM now()) * 1000000)::bigint"
#define CLOCK_US "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
#define AT_US "(extract(epoch FROM at) * 1000000)::bigint"

/* Of the task t. */
#define IS_BUSY "EXISTS (SELECT FROM jobs j WHERE j.task_id = t.id AND j.status IN ('queued', 'running'))"
/* Of the wanted w. Not EXISTS, which the planner may turn into a join with the whole ledger while it takes it
 * for small. */
#define IS_KNOWN "((SELECT l.seq FROM reconcile_ledger l WHERE l.id = w.id) IS NOT NULL)"

#define LEDGER_COLUMNS \
    "seq, id, " AT_US  \
    ", task_id, pass_id, work_item_id, repo, from_stage, to_stage, side, outcome, agent, reason, evidence"

/* 1 [{"stage", "grace_s"}, …]; 2 [known stage, …]; 3 {resting task id, …}; 4 a task id or 0; 5 the limit.
 *
 * One row per listed task, the oldest of each repo first; the first columns are the same in every row, and
 * there is always one. Cost follows the tasks that rested for their grace:
 *   - `stuck` goes from each stage into the index (stage, updated_at); being LATERAL around an anti-join it
 *     cannot be turned into one pass over all tasks, whatever the planner believes;
 *   - `stages` hops from one stage to the next greater one in the same index.
 * Instants that are no points in time (infinity) make no age: not stuck. */
static const char stuck_sql[] =
    "WITH RECURSIVE"
    " watched AS ("
    "  SELECT stage, now() - least(grace_s, 100000000000) * interval '1 second' AS due"
    "  FROM json_to_recordset($1::json) AS w(stage text, grace_s bigint)),"
    " stuck AS MATERIALIZED ("
    "  SELECT t.* FROM watched w CROSS JOIN LATERAL ("
    "   SELECT t.id, t.plane_id, t.work_item_id, t.title, t.repo, t.branch, t.stage, t.updated_at"
    "   FROM tasks t WHERE t.stage = w.stage AND t.updated_at <= w.due AND isfinite(t.updated_at)"
    "   AND NOT " IS_BUSY ") t),"
    " listed AS ("
    "  SELECT *, row_number() OVER (PARTITION BY repo ORDER BY updated_at, id) AS turn FROM stuck"
    "  WHERE id NOT IN (SELECT unnest($3::bigint[])) AND $4::bigint IN (0, id)"
    "  ORDER BY turn, updated_at, id LIMIT $5::bigint),"
    " stages AS ("
    "  (SELECT stage FROM tasks WHERE stage IS NOT NULL ORDER BY stage LIMIT 1)"
    "  UNION ALL"
    "  SELECT (SELECT t.stage FROM tasks t WHERE t.stage > s.stage ORDER BY t.stage LIMIT 1)"
    "  FROM stages s WHERE s.stage IS NOT NULL),"
    " head AS MATERIALIZED ("
    "  SELECT coalesce((SELECT revision FROM reconcile_settings WHERE id = 1), 0) AS revision,"
    "   " NOW_US " AS now_us,"
    "   (SELECT count(*) FROM stuck) AS stuck,"
    "   (SELECT coalesce(floor(extract(epoch FROM now() - min(updated_at))), 0)::bigint FROM stuck)"
    "    AS oldest_s,"
    "   (SELECT count(*) FROM tasks WHERE stage IS NULL)"
    "    + (SELECT coalesce(sum((SELECT count(*) FROM tasks t WHERE t.stage = s.stage)), 0)"
    "       FROM stages s WHERE s.stage IS NOT NULL"
    "       AND s.stage NOT IN (SELECT json_array_elements_text($2::json))) AS strange) "
    "SELECT h.revision, h.now_us, h.stuck, h.oldest_s, h.strange::bigint,"
    " l.id, l.plane_id, l.work_item_id, l.title, l.repo, l.branch, l.stage, l.updated_at::text,"
    " floor(extract(epoch FROM now() - l.updated_at))::bigint"
    " FROM head h LEFT JOIN listed l ON true ORDER BY l.turn, l.updated_at, l.id";

/* 1 [{"i", "id", "task_id", "seen", …}, …]; 2 the pass.
 *
 * One row per task that moved, with what else was written for it. A trigger may swallow any of the three
 * writes, and the caller must see that. One task twice: the first counts. In the order of ids, so that two
 * replicas do not lock each other out. */
static const char move_sql[] =
    "WITH want AS MATERIALIZED ("
    "  SELECT DISTINCT ON (task_id, from_stage, seen) * FROM json_to_recordset($1::json) AS w("
    "   i int, id uuid, task_id bigint, seen text, from_stage text, to_stage text, agent text,"
    "   work_item_id text, repo text, side text, outcome text, reason text, evidence text)"
    "  ORDER BY task_id, from_stage, seen, i),"
    " moved AS ("
    "  UPDATE tasks t SET stage = w.to_stage, updated_at = now() FROM want w"
    "  WHERE t.id = w.task_id AND t.stage = w.from_stage AND t.updated_at = w.seen::timestamptz"
    "  AND NOT " IS_BUSY " AND NOT " IS_KNOWN " RETURNING w.i),"
    " queued AS ("
    "  INSERT INTO jobs (task_id, agent, status, created_at, updated_at)"
    "  SELECT w.task_id, w.agent, 'queued', now(), now() FROM want w JOIN moved m ON m.i = w.i"
    "  WHERE w.agent IS NOT NULL RETURNING task_id),"
    " written AS ("
    "  INSERT INTO reconcile_ledger (id, at, task_id, pass_id, work_item_id, repo, from_stage,"
    "   to_stage, side, outcome, agent, reason, evidence)"
    "  SELECT w.id, now(), w.task_id, $2, w.work_item_id, w.repo, w.from_stage,"
    "   w.to_stage, w.side, w.outcome, w.agent, w.reason, w.evidence"
    "  FROM want w JOIN moved m ON m.i = w.i ORDER BY w.i RETURNING id) "
    "SELECT w.i, w.agent IS NULL OR EXISTS (SELECT FROM queued q WHERE q.task_id = w.task_id),"
    " EXISTS (SELECT FROM written l WHERE l.id = w.id) FROM want w JOIN moved m ON m.i = w.i";

/* 1 as for move_sql, only i, id, task_id, seen and from_stage. What became of rows that did not move: whether
 * the ledger has them, and whether the task still stands as it was seen. */
static const char look_again_sql[] =
    "SELECT w.i, " IS_KNOWN ","
    " EXISTS (SELECT FROM tasks t WHERE t.id = w.task_id AND t.stage = w.from_stage"
    "  AND t.updated_at = w.seen::timestamptz AND NOT " IS_BUSY ")"
    " FROM json_to_recordset($1::json) AS w(i int, id uuid, task_id bigint, seen text,"
    " from_stage text)";

/* The revision and the clock, the clock read after the lock was got. */
#define POLICY_LOCKED(lock)                \
    "SELECT s.revision, " CLOCK_US " FROM" \
    " (SELECT revision FROM reconcile_settings WHERE id = 1 FOR " lock ") s"

static const struct pg_statement statements[] = {
    [PG_SETTINGS_READ] = {"settings_read",
                          "SELECT coalesce((SELECT revision FROM reconcile_settings WHERE id = 1), 0), "
                          "(SELECT overrides FROM reconcile_settings WHERE id = 1), " NOW_US,
                          0},
    /* 1 the revision seen, 2 the overrides. */
    [PG_SETTINGS_WRITE] = {"settings_write",
                           "UPDATE reconcile_settings SET revision = revision + 1, overrides = $2,"
                           " updated_at = now() WHERE id = 1 AND revision = $1::bigint RETURNING revision",
                           2},
    [PG_STUCK] = {"stuck", stuck_sql, 5},
    [PG_POLICY_SHARE] = {"policy_share", POLICY_LOCKED("SHARE"), 0},
    /* The same, but waits until every transition under way is over. */
    [PG_POLICY_WAIT] = {"policy_wait", POLICY_LOCKED("UPDATE"), 0},
    [PG_MOVE] = {"move", move_sql, 2},
    [PG_LOOK_AGAIN] = {"look_again", look_again_sql, 1},
    [PG_LEDGER_SUMMARY] = {"ledger_summary",
                           "SELECT count(*), (SELECT work_item_id FROM reconcile_ledger"
                           " ORDER BY seq DESC LIMIT 1) FROM reconcile_ledger",
                           0},
    /* 1 the seq to stay below, 2 the limit, 3 the task. */
    [PG_LEDGER_LIST] = {"ledger_list",
                        "SELECT " LEDGER_COLUMNS " FROM reconcile_ledger WHERE seq < $1::bigint"
                        " ORDER BY seq DESC LIMIT $2::bigint",
                        2},
    [PG_LEDGER_LIST_OF_TASK] = {"ledger_list_of_task",
                                "SELECT " LEDGER_COLUMNS " FROM reconcile_ledger WHERE seq < $1::bigint"
                                " AND task_id = $3::bigint ORDER BY seq DESC LIMIT $2::bigint",
                                3},
    /* 1 the id, 2 the start, 3 the report. */
    [PG_PASS_SAVE] = {"pass_save",
                      "INSERT INTO reconcile_passes (id, started_us, report) VALUES ($1, $2::bigint, $3)"
                      " ON CONFLICT (id) DO UPDATE SET started_us = excluded.started_us,"
                      " report = excluded.report",
                      3},
    /* 1 how many stay. */
    [PG_PASS_PRUNE] = {"pass_prune",
                       "DELETE FROM reconcile_passes WHERE id IN (SELECT id FROM reconcile_passes"
                       " ORDER BY started_us DESC, id DESC OFFSET $1::bigint)",
                       1},
    [PG_PASS_GET] = {"pass_get", "SELECT report FROM reconcile_passes WHERE id = $1", 1},
    /* 1 the start to stay below, 2 the limit. */
    [PG_PASS_LIST] = {"pass_list",
                      "SELECT id, started_us, report FROM reconcile_passes WHERE started_us < $1::bigint"
                      " ORDER BY started_us DESC, id DESC LIMIT $2::bigint",
                      2},
    /* 1 [{"relation", "attribute"}, …]. The first that is not there, and whether its relation is not. */
    [PG_MISSING] = {"missing",
                    "SELECT w.relation, w.attribute, to_regclass(quote_ident(w.relation)) IS NULL"
                    " FROM ROWS FROM (json_to_recordset($1::json) AS (relation text, attribute text))"
                    " WITH ORDINALITY AS w(relation, attribute, nth)"
                    " WHERE NOT EXISTS (SELECT FROM pg_attribute a"
                    "  WHERE a.attrelid = to_regclass(quote_ident(w.relation))"
                    "  AND a.attname = w.attribute AND a.attnum > 0 AND NOT a.attisdropped)"
                    " ORDER BY w.nth LIMIT 1",
                    1},
    [PG_HAS_RELATION] = {"has_relation", "SELECT to_regclass(quote_ident($1)) IS NOT NULL", 1},
    [PG_HAS_SCHEMA] = {"has_schema", "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", 1},
};
static_assert(ARRAY_LEN(statements) == PG_SQL_MAX_, "every statement has its text");

const struct pg_statement *pg_statement(enum pg_sql which)
{
    return &statements[which];
}
