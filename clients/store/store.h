/* store.h - the interface to the database, which holds the orchestrator's tasks and jobs and this program's
 * own tables.
 *
 * Two implementations, PostgreSQL (libpq) and SQLite, chosen by the URL and held to the same conformance
 * suite. Each function is one operation of the domain, named after its meaning, and takes a fixed number of
 * statements however many tasks there are. Every function is thread-safe (it takes a connection for itself),
 * ends within LIMIT_STATEMENT_MS per statement, and replaces a broken connection: if the connection was dead
 * before anything was sent, the call reconnects once; otherwise it returns ERR_UNAVAILABLE and the next call
 * reconnects. Serialization failures, deadlocks and SQLITE_BUSY are retried inside, bounded; the caller never
 * sees ERR_RETRY.
 *
 * The clock is the database's (reconcile/README.md, rule 9): ages and "now" come from it, never from this
 * machine. `why` contains no secret and no SQL.
 */
#ifndef RECONCILED_STORE_H
#define RECONCILED_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"
#include "clients/base/text.h"

struct store;

/* store_open: parses `url` ("postgresql://…", "postgres://…", or "sqlite:PATH") and prepares a store;
 * `schema` is NULL or the PostgreSQL schema that holds tasks and jobs. Does not connect: if the database is
 * down, the first other call fails. ERR_INVALID for an invalid URL. Free with store_free. */
ATTR_NODISCARD enum err store_open(const char *url, const char *schema, struct store **ret, struct why *why);

/* store_free: closes every connection. No other call may be under way. NULL is fine. */
void store_free(struct store *store);

/* store_describe: what the URL names, without user and password ("postgresql db1:5432,db2:5432/orch", "sqlite
 * /var/lib/x.db"). Valid as long as the store. */
const char *store_describe(const struct store *store);

/* store_interrupt: makes statements under way fail soon (ERR_TIMEOUT) and refuses new ones, so that a clean
 * stop waits for no lock. Irreversible. */
void store_interrupt(struct store *store);

/* store_migrate: creates missing tables, and missing indexes of this program's own tables. It changes no
 * existing table, except that it adds to this program's own tables the columns that an earlier version did
 * not have. ERR_UNAVAILABLE, and no change, if the tables are of a later version than this program. Safe to
 * run from several replicas at once, any number of times. *ret_created (may be NULL): number of tables
 * created. A SQLite file that this creates uses WAL; one that was there keeps its journal mode.
 * ERR_UNAVAILABLE, and no change, if tasks or jobs are missing and PostgreSQL has tables of these names in
 * another schema or in another case, which `why` names. */
ATTR_NODISCARD enum err store_migrate(struct store *store, size_t *ret_created, struct why *why);

/* store_create_beside: lets store_migrate create tasks and jobs beside such tables. Before its first call. */
void store_create_beside(struct store *store);

/* store_ready: ERR_OK if the database answers; every table that this program needs has the columns that it
 * needs, with usable types; no table is of a later version than this program; tasks.plane_id holds UUIDs in
 * known forms (the newest LIMIT_PLANE_IDS_READ rows are read, and again after LIMIT_PLANE_IDS_GOOD_MS); and
 * the tables can be written. Otherwise ERR_UNAVAILABLE, and `why` names what is missing, with table and
 * column.
 * store_write_only_ours: tasks and jobs need not be writable, because the orchestrator moves tasks or the
 * mode is observe. Call it before any other thread uses the store. */
ATTR_NODISCARD enum err store_ready(struct store *store, struct why *why);
void store_write_only_ours(struct store *store);

/* Values of tasks.updated_at that keep a task from ever being stuck. */
struct store_times {
    int64_t unread, unread_task; /* rows without a time that can be read; the id of one */
    int64_t ahead,
        ahead_task; /* rows more than LIMIT_CLOCK_SLACK_S ahead of the database's clock; the id of one */
    bool zoneless;  /* PostgreSQL's timestamp without time zone, which is read as UTC */
};
/* store_times: reads all tasks, so only the command check uses it. Reads only. */
ATTR_NODISCARD enum err store_times(struct store *store, struct store_times *ret, struct why *why);

/* What the orchestrator's tables hold, for a person. */
enum { STORE_INDEXES = 4 };
struct store_overview {
    bool has_tasks, has_jobs; /* false: there is no such table or view; the rest is then empty */
    int64_t tasks, jobs;      /* rows */
    const char
        *unindexed[STORE_INDEXES]; /* statements that create the recommended indexes that are missing */
    size_t n_unindexed;
};
/* store_overview: counts all tasks and jobs, so only commands and the start of the service use it. Views need
 * no index. Reads only. */
ATTR_NODISCARD enum err store_overview(struct store *store, struct store_overview *ret, struct why *why);

/* settings that were changed at run time */

struct store_settings {
    int64_t revision; /* 0 before the first change; each write adds one */
    char *overrides;  /* JSON object, as settings_merge() wrote it; "{}" before the first change */
    int64_t now_us;   /* the database's clock at the time of reading */
};
void store_settings_done(struct store_settings *settings);

ATTR_NODISCARD enum err store_settings_read(struct store *store, struct store_settings *ret, struct why *why);

/* store_settings_write: compare-and-set. Writes `overrides` as revision seen_revision + 1 if the stored
 * revision is still seen_revision, else ERR_CONFLICT and nothing written. `changes` go into the history in
 * the same transaction. Waits for transitions under way: once this has returned, no transition that was
 * decided under an older revision commits (reconcile/README.md, rule 8). */
struct store_new_change;
ATTR_NODISCARD enum err store_settings_write(struct store *store, int64_t seen_revision,
                                             const char *overrides, const struct store_new_change *changes,
                                             size_t n_changes, int64_t *ret_revision, struct why *why);

/* What shows that another process changed something. */
struct store_pulse {
    int64_t now_us, settings_revision;
    int64_t ledger_seq, history_seq; /* the greatest; 0: there is no row */
};
/* store_pulse: one statement, by primary keys. Reads only. */
ATTR_NODISCARD enum err store_pulse(struct store *store, struct store_pulse *ret, struct why *why);

/* F-1: choosing the stuck tasks */

struct store_task {
    int64_t id;
    /* May be NULL. plane_id: if it is a UUID in any form, in lower case with hyphens; otherwise as stored. */
    char *plane_id, *work_item_id, *title;
    char *repo, *branch; /* may be NULL: the row is invalid, and the pass reports it */
    char *stage;
    char *version; /* opaque: names the row as it was read (its updated_at, in the database's own words) */
    int64_t age_s; /* since updated_at, by the database's clock */
    /* Filled in by store_task_list: ledger rows that moved this task out of this stage within
     * the query's window and since its release, and agree with it in work_item_id or plane_id, and the seq of
     * the newest of them; 0 when there is none. */
    int64_t recent_heals, newest_heal_seq;
    /* Why a text above differs from its column ("tasks.branch holds bytes that are not UTF-8"): it was mended
     * or cut, so the task is shown but never acted on. NULL: all texts are as stored, except that a long
     * title is cut. */
    char *unreadable;
};
void store_task_done(struct store_task *task);

struct store_stage_grace {
    const char *stage;
    int64_t grace_s;
};

struct store_stuck_query {
    const struct store_stage_grace *stages; /* the stages whose gates F-1 evaluates */
    size_t n_stages;
    const char *const *known; /* every stage of the pipeline; tasks in any other are counted */
    size_t n_known;
    const int64_t *resting; /* tasks to leave out of the list this time (they still count as stuck) */
    size_t n_resting;
    int64_t only_task;      /* a task id, or 0 for all */
    size_t limit;           /* at most this many tasks listed */
    int64_t heals_window_s; /* heals count for so long; 0: LIMIT_HEALS_WINDOW_S */
};

struct store_task_list {
    int64_t settings_revision, now_us;
    size_t count;         /* all stuck tasks, listed or not */
    int64_t oldest_age_s; /* of all stuck tasks; 0 when there are none */
    size_t unknown_stage; /* tasks in a stage the pipeline does not know */
    struct store_task *tasks;
    size_t n_tasks;
};
void store_task_list_done(struct store_task_list *stuck);

/* store_task_list: one statement. A task is stuck when its stage is one of query->stages, its updated_at is
 * at least that stage's grace ago, and it has no queued or running job. Listed in fair order: the oldest of
 * each repo first, then the second oldest of each, … (ties by age, then id), so that no project starves
 * another. With the indexes on (stage, updated_at) and on active jobs that store_migrate makes, the cost
 * grows with the number of stuck tasks and not of healthy ones. Reads only. */
ATTR_NODISCARD enum err store_task_list(struct store *store, const struct store_stuck_query *query,
                                        struct store_task_list *ret, struct why *why);

/* F-2: what Plane's issues are compared with */

struct store_issue_task {
    size_t issue; /* index into the ids asked about */
    struct store_task task;
    int64_t updated_us; /* the task's updated_at */
    bool active;        /* has a queued or running job */
};
struct store_issue_tasks {
    int64_t settings_revision, now_us;
    struct store_issue_task *rows; /* only of ids that have a task; by `issue` */
    size_t n;
};
void store_issue_tasks_done(struct store_issue_tasks *tasks);

/* store_issue_tasks: the tasks of these issues (uuids; plane_id may have them in lower or in upper case, with
 * or without hyphens), by one statement whatever n is. A row without a stage has stage "", and a row without
 * a time has a version that no move matches. With n 0, revision and clock are still read. Reads only. */
ATTR_NODISCARD enum err store_issue_tasks(struct store *store, const char *const *plane_ids, size_t n,
                                          struct store_issue_tasks *ret, struct why *why);

/* store_verdicts_replayed: which of these state-change activities have been replayed; ret[i] is for ids[i].
 * One statement. Reads only. */
ATTR_NODISCARD enum err store_verdicts_replayed(struct store *store, const char *const *ids, size_t n,
                                                bool *ret, struct why *why);

/* What must be known of a work item's task before another one is made. */
struct store_work_item {
    bool found;
    bool of_issue;             /* every plane_id of the tasks found is a UUID */
    int64_t task_id;           /* of one of them */
    struct uuid_text plane_id; /* of the same one; valid when of_issue */
};
/* store_work_items: for each of these work item ids, compared without case, whether a task has it. One
 * statement; by an index where lower(work_item_id) has one. Reads only. */
ATTR_NODISCARD enum err store_work_items(struct store *store, const char *const *ids, size_t n,
                                         struct store_work_item *ret, struct why *why);

/* A branch of a repo and the task that it is for; 0: a task that is not made yet. */
struct store_branch {
    const char *repo, *name;
    int64_t task_id;
};
/* store_branches_taken: for each branch, another task that has it; 0: none. If both tasks are at `stage` (the
 * first one, so neither has begun), the branch belongs to the one made first. One statement, which reads all
 * tasks if branch has no index. Reads only. */
ATTR_NODISCARD enum err store_branches_taken(struct store *store, const struct store_branch *branches,
                                             size_t n, const char *stage, int64_t *ret_tasks,
                                             struct why *why);

struct store_new_task {
    const char *plane_id, *work_item_id, *title, *repo, *branch, *stage;
    struct why *refusal; /* filled in when it is STORE_NOT_CREATED or STORE_START_HELD: the database's words,
                            the hold's; may be NULL */
};
enum store_creation {
    STORE_CREATED,
    STORE_EXISTS,       /* a task of that plane_id is there: nothing written */
    STORE_BRANCH_TAKEN, /* another task has that branch of that repo: nothing written for it */
    STORE_NOT_CREATED,  /* the database refused this row (a trigger, a constraint): nothing written for it */
    STORE_START_HELD,   /* a hold on its repository or on that stage: nothing written for it */
};

/* store_create_tasks: creates tasks atomically: the unique key on tasks.plane_id decides between replicas and
 * webhooks (ON CONFLICT DO NOTHING). One transaction for the batch (n <= LIMIT_BATCH), under the settings
 * row's lock and revision as in store_transition: ERR_CONFLICT and nothing written if the settings changed.
 * The lock is exclusive and branches are checked under it, so that only one of two replicas makes a task with
 * a given branch. No job is queued: the task stays at `stage` until store_transition moves it. plane_id is
 * written in the form of the newest rows. ERR_INTERNAL, with the reason: the table has no such key, does not
 * fill in the ids of new rows, or its newest rows hold plane_ids in an unknown form. */
ATTR_NODISCARD enum err store_create_tasks(struct store *store, int64_t settings_revision,
                                           int64_t valid_until_us, const struct store_new_task *batch,
                                           size_t n, enum store_creation *ret, struct why *why);

/* store_unstarted: tasks at `stage` without a queued or running job, that have rested for at least grace_s,
 * or whose plane_id is in `fresh` (just created, so no grace is needed); oldest first, at most `limit`. One
 * statement. Reads only. Free with store_task_list_done; count, oldest_age_s and unknown_stage cover only the
 * tasks in the list. */
ATTR_NODISCARD enum err store_unstarted(struct store *store, const char *stage, int64_t grace_s,
                                        const char *const *fresh, size_t n_fresh, size_t limit,
                                        struct store_task_list *ret, struct why *why);

/* the one transition */

struct store_transition {
    struct uuid_text id; /* of its ledger row, which is written once even if the transition is repeated */
    const struct store_task *task;
    const char *to_stage;
    const char *agent;    /* whose job is queued on entry; NULL: none */
    const char *side;     /* "gate" or "plane" */
    const char *outcome;  /* "advanced", "approved", "rejected" … as in the ledger */
    const char *reason;   /* in words */
    const char *evidence; /* JSON text of what was seen */
    const char
        *verdict_id; /* the state-change activity that this replays; NULL: none. Each is replayed at most
                        once: if it is already in reconcile_verdicts, or twice in this batch, the transition
                        is STORE_RACED; otherwise it is added there in the same transaction */
    const char *missed_source; /* whose event was lost: "plane", "gitea"; NULL: no sender has one */
    const char *missed_event;  /* which: "status", "pull_request_approved", "issue.updated" … or NULL */
    const char *message;       /* for the outbox, under the ledger row's id; NULL: none */
    struct why *refusal;       /* filled in when it is STORE_REFUSED or STORE_HELD: the database's words, the
                                  hold's; may be NULL */
    int64_t rested_s;          /* how long what was missed had been true; for the ledger */
};

enum store_moved {
    STORE_MOVED, /* task, job and ledger row are written */
    STORE_RACED, /* the row no longer matches task->stage and task->version, has an active job, or its verdict
                    was replayed: nothing written */
    STORE_REFUSED, /* the database refused this one write (a trigger, a constraint): nothing written for it */
    STORE_HELD     /* by a hold, or because the tables are of a later version than this program: nothing
                      written for it */
};

/* store_transition: the only function that moves tasks; no other code writes tasks.stage. One transaction for
 * the batch (n <= LIMIT_BATCH). First it locks the settings row against change and checks that its revision
 * is still `settings_revision` and that the database's clock has not reached `valid_until_us` (0: no limit);
 * otherwise ERR_CONFLICT and nothing is written. Then each task that is still at its stage and version and
 * has no active job gets to_stage, updated_at = now, one queued job and one ledger row. ret_moved[i] is for
 * batch[i]. A row that the database refuses does not stop the others. If the connection breaks at COMMIT, the
 * ledger ids show what was written, so the result is right even then. After an error, only transitions that
 * are in the ledger have been written. */
ATTR_NODISCARD enum err store_transition(struct store *store, int64_t settings_revision,
                                         int64_t valid_until_us, const char *pass_id,
                                         const struct store_transition *batch, size_t n,
                                         enum store_moved *ret_moved, struct why *why);

/* store_refusal: why the newest store_transition or store_create_tasks of this store wrote nothing; ERR_OK
 * when it wrote a row, or none has failed. Never waits. ERR_INTERNAL: the database refused its rows.
 * ERR_UNAVAILABLE: it could write none; store_refusal_over: another write has succeeded since, and such a
 * failure counts no longer. */
ATTR_NODISCARD enum err store_refusal(struct store *store, struct why *why);
void store_refusal_over(struct store *store);

/* replays: where the orchestrator moves tasks, and this program sends it the events that it lost */

/* A replay is a row whose key is its subject, what it is about. So at most one per task is in flight, for all
 * replicas. When its task has been seen to move, the row is removed; only then it counts as a heal and is
 * written to the ledger. */
struct store_replay {
    const char *subject;       /* "task/<id>", "issue/<uuid>" */
    struct uuid_text delivery; /* the delivery id: the same when the event is sent again */
    /* The expected transition; its id is not used. A task with id 0 is not made yet: its plane_id names the
     * issue. */
    const struct store_transition *row;
    struct uuid_text message_id;
    const char *message; /* for the outbox, when it is given up; NULL: none */
};

enum store_replay_state {
    STORE_REPLAY_DUE,      /* send it now; store_replay_begin has counted the try */
    STORE_REPLAY_LAST,     /* only from store_replays_look: it was sent LIMIT_REPLAY_TRIES times, and
                              store_replay_begin would give it up */
    STORE_REPLAY_WAITS,    /* it was sent, and the next try is not due yet */
    STORE_REPLAY_GIVEN_UP, /* earlier */
    STORE_REPLAY_GIVEN_UP_NOW /* given up by this call, which also wrote its message to the outbox */,
    STORE_REPLAY_RACED, /* its task has changed since it was read, or its verdict was replayed */
    STORE_REPLAY_HELD,  /* only from store_replay_begin: as STORE_HELD */
};
struct store_replay_seen {
    enum store_replay_state state;
    int64_t tries;  /* number of times sent, this one included */
    int64_t next_s; /* seconds until the next try is due */
};

/* store_replays_look: what store_replay_begin would return, as far as the replays alone show it: never RACED
 * or GIVEN_UP_NOW. Uses only subject and delivery. One statement. Reads only. */
ATTR_NODISCARD enum err store_replays_look(struct store *store, const struct store_replay *batch, size_t n,
                                           struct store_replay_seen *ret, struct why *why);

struct store_replay_open {
    struct uuid_text delivery;
    int64_t tries;   /* sent so often */
    int64_t next_us; /* when the next try is due, or was */
    bool given_up;
};
/* store_replay_get: the replay of a subject, with any delivery; ERR_NOT_FOUND: there is none. One statement.
 * Reads only.
 */
ATTR_NODISCARD enum err store_replay_get(struct store *store, const char *subject,
                                         struct store_replay_open *ret, struct why *why);

/* store_replay_begin: starts replays, under the settings row's lock and revision as in store_transition
 * (ERR_CONFLICT and nothing written if the settings changed), so that none starts after a switch was set off.
 * One transaction for the batch (n <= LIMIT_BATCH), whose subjects differ. A new delivery of a subject starts
 * over. The pauses between the tries of a delivery double from LIMIT_REPLAY_PAUSE_S up to
 * LIMIT_REPLAY_PAUSE_MAX_S. On DUE the caller must send the event; if that fails, it is sent again when the
 * next try is due. */
ATTR_NODISCARD enum err store_replay_begin(struct store *store, int64_t settings_revision,
                                           int64_t valid_until_us, const struct store_replay *batch, size_t n,
                                           struct store_replay_seen *ret, struct why *why);

struct store_replay_moved {
    char *subject;
    struct uuid_text delivery;
    int64_t first_us; /* when it was sent first */
    int64_t tries;
    int64_t rested_s;       /* how long its task had rested when it moved; at most a little too long */
    bool given_up;          /* it was given up before the task moved, or its move is already in the ledger */
    bool gone;              /* the task was deleted; `task` is empty then */
    struct store_task task; /* its present row, but with the stage that it left */
    char *to_stage;         /* where it stands now */
    char *side, *outcome, *reason, *evidence, *verdict_id, *missed_source, *missed_event; /* as begun */
};
struct store_replays_moved {
    struct store_replay_moved *rows;
    size_t n;
};
void store_replays_moved_done(struct store_replays_moved *moved);

/* store_replays_moved: the replays whose task has moved. That is: it is at another stage; or, if the stage
 * was to stay the same, it was updated and has an active job; or, if it was to be made, it exists; or it was
 * deleted. Oldest first, at most `limit`. One statement, whose cost grows with the number of replays in
 * flight. Reads only.
 */
ATTR_NODISCARD enum err store_replays_moved(struct store *store, size_t limit,
                                            struct store_replays_moved *ret, struct why *why);

struct store_settlement {
    const struct store_replay_moved *replay;
    const struct store_transition
        *row; /* its ledger row, verdict and message; NULL: it does not count as a heal */
};
/* store_replays_settle: removes these replays and writes their ledger rows, in one transaction (n <=
 * LIMIT_BATCH). ret_mine[i] is false if another replica has already done it for replay i; then nothing is
 * written for it. */
ATTR_NODISCARD enum err store_replays_settle(struct store *store, const char *pass_id,
                                             const struct store_settlement *batch, size_t n, bool *ret_mine,
                                             struct why *why);

/* the ledger */

/* How many rows there are up to a seq. It begins empty: {0}. */
struct store_ledger_count {
    int64_t total, seq;
    char *last_work_item_id; /* of the newest of them; NULL when there is none */
};
void store_ledger_count_done(struct store_ledger_count *count);
/* store_ledger_advance: counts the rows that came since. Where a seq is missing, it waits for the settings
 * row's lock: a row that is missing then was rolled back, so none is ever passed over. */
ATTR_NODISCARD enum err store_ledger_advance(struct store *store, struct store_ledger_count *count,
                                             struct why *why);

struct store_ledger_row {
    int64_t seq; /* grows with time; the key of paging */
    struct uuid_text id;
    int64_t at_us, task_id;
    char *pass_id, *work_item_id, *repo, *from_stage, *to_stage, *side, *outcome, *agent, *reason, *evidence;
    char *missed_source, *missed_event; /* NULL in rows of versions that did not store it */
};
struct store_ledger_page {
    struct store_ledger_row *rows;
    size_t n;
};
void store_ledger_page_done(struct store_ledger_page *page);

/* store_ledger_list: newest first; rows with seq < before_seq (0: from the newest), of one task or all
 * (task_id 0). If that task exists, only rows with its work_item_id or its plane_id, because an id may be
 * used again. */
ATTR_NODISCARD enum err store_ledger_list(struct store *store, int64_t task_id, int64_t before_seq,
                                          size_t limit, struct store_ledger_page *ret, struct why *why);

/* holds: what people keep from leaving its stage */

struct store_hold {
    char *scope;                   /* "task/7", "repo/acme/app" in lower case, "stage/review" */
    char *plane_id, *work_item_id; /* of a task's hold, the task that it was set on; NULL: none */
    char *reason, *by;             /* by: may be NULL */
    int64_t since_us, until_us;    /* until_us 0: until it is ended */
};
struct store_holds {
    struct store_hold *rows; /* in the order of scopes */
    size_t n;
};
void store_holds_done(struct store_holds *holds);

/* store_holds_list: those in force by the database's clock. One statement. Reads only. */
ATTR_NODISCARD enum err store_holds_list(struct store *store, struct store_holds *ret, struct why *why);

/* store_hold_covers: whether a hold keeps this task from leaving its stage. A task's hold does if the task's
 * work_item_id or plane_id is the hold's: an id may be used again. store_hold_of: the first that does: the
 * task's own, its repository's, its stage's; NULL: none. store_hold_words: "held by ann until
 * 2026-11-24T10:00:00Z: deploy freeze". store_transition, store_create_tasks and store_replay_begin decide by
 * these functions. */
bool store_hold_covers(const struct store_hold *hold, const struct store_task *task);
const struct store_hold *store_hold_of(const struct store_holds *holds, const struct store_task *task);
struct why store_hold_words(const struct store_hold *hold);

struct store_new_hold {
    const char *scope, *plane_id, *work_item_id; /* as in struct store_hold */
    const char *name;                            /* the scope as people write it; for the history */
    const char *reason, *by;                     /* by: may be NULL */
    int64_t until_us;                            /* 0: until it is ended */
};
enum store_hold_set { STORE_HOLD_NEW, STORE_HOLD_REPLACED, STORE_HOLD_TOO_MANY };

/* store_hold_put: sets the hold of a scope, or replaces it, and writes it to the history. Waits for
 * transitions under way: once this has returned, nothing that the hold covers moves (reconcile/README.md,
 * rule 8). The settings' revision stays. STORE_HOLD_TOO_MANY: there are LIMIT_HOLDS, and nothing was written.
 * store_hold_end: ends it; ERR_NOT_FOUND: there is none. `why_ended` (may be NULL) is for the history. */
ATTR_NODISCARD enum err store_hold_put(struct store *store, const struct store_new_hold *hold,
                                       enum store_hold_set *ret, struct why *why);
ATTR_NODISCARD enum err store_hold_end(struct store *store, const char *scope, const char *name,
                                       const char *by, const char *why_ended, struct why *why);

/* store_release: ends the quarantine of a task (ledger rows until now count no longer for it) and its own
 * hold, and writes that to the history under `name`. */
ATTR_NODISCARD enum err store_release(struct store *store, int64_t task_id, const char *name, const char *by,
                                      const char *reason, struct why *why);

/* what people changed: settings, holds, releases, webhooks */

struct store_new_change {
    const char *kind;        /* "setting", "hold", "release", "webhook" */
    const char *name;        /* of the setting, the scope or the repository */
    const char *from, *to;   /* JSON texts; NULL: nothing */
    const char *by, *reason; /* may be NULL */
    int64_t until_us;        /* 0: until it is changed */
};
struct store_change {
    int64_t seq, at_us;
    char *kind, *name, *from, *to, *by, *reason;
    int64_t until_us;
};
struct store_changes {
    struct store_change *rows;
    size_t n;
};
void store_changes_done(struct store_changes *changes);

/* Rows are written with what they are about (store_settings_write, store_hold_put, store_release). Like every
 * writer of the ledger, these take the settings row's lock before they take a seq: a reader that finds a gap
 * and then holds that lock exclusively knows that the missing rows were rolled back. */

/* store_history_list: newest first; rows with seq < before_seq (0: from the newest). Reads only. */
ATTR_NODISCARD enum err store_history_list(struct store *store, int64_t before_seq, size_t limit,
                                           struct store_changes *ret, struct why *why);

/* a trial of transitions: everything is written as in a pass, and rolled back */

enum store_trial_result {
    STORE_TRIAL_WRITTEN,
    STORE_TRIAL_REFUSED, /* `refusal` names column or constraint, and the SQLSTATE where there is one */
    STORE_TRIAL_UNTRIED  /* no task is at that stage, and none could be made there */
};
struct store_trial {
    const char *from_stage, *to_stage;
    const char *agent; /* as in store_transition */
    enum store_trial_result result;
    struct why refusal;
};
/* store_trial: moves a task for each of the n <= LIMIT_BATCH / 2 trials: one that is at from_stage, else a
 * new one that it makes there. *ret_start: why no task can be made at `first_stage`, or "". One transaction,
 * which is rolled back; only the numbers taken from sequences are lost, and triggers run. Waits for a lock at
 * most LIMIT_TRIAL_LOCK_MS. store_trial_of_ours: writes only to this program's own tables. Both:
 * ERR_UNAVAILABLE where PostgreSQL's row level security may hide tasks or jobs from this role. */
ATTR_NODISCARD enum err store_trial(struct store *store, struct store_trial *trials, size_t n,
                                    const char *first_stage, struct why *ret_start, struct why *why);
ATTR_NODISCARD enum err store_trial_of_ours(struct store *store, struct why *why);

/* the outbox: messages, written in the transaction that they report and sent after it */

/* Where messages go. */
enum store_destination { STORE_TO_TELEGRAM, STORE_TO_WEBHOOK, STORE_TO_MAX_ };
/* store_send_to: every message that is written from now on gets a row for each destination of this set (bits
 * 1u << destination); Telegram alone before the first call. For the start, before other threads use the
 * store. */
void store_send_to(struct store *store, unsigned destinations);

struct store_message {
    struct uuid_text id; /* of a ledger row, or made from a name (uuid_from_name) or from one of these */
    int64_t seq;         /* grows with time */
    int64_t age_s;
    char *text;
};
struct store_outbox {
    size_t depth; /* all unsent messages to that destination, listed or not */
    struct store_message *rows;
    size_t n;
};
void store_outbox_done(struct store_outbox *outbox);

/* store_outbox_list: what is unsent to a destination, oldest first, at most `limit`. One statement; cost
 * follows the unsent. Reads only. */
ATTR_NODISCARD enum err store_outbox_list(struct store *store, enum store_destination to, size_t limit,
                                          struct store_outbox *ret, struct why *why);
/* store_outbox_add: adds a message without a transition, unless one with this id is kept, sent or not. So it
 * is sent once, even if several processes add it. *ret_new (may be NULL): it was added. */
ATTR_NODISCARD enum err store_outbox_add(struct store *store, const char *id, const char *text, bool *ret_new,
                                         struct why *why);
/* store_outbox_sent: marks them, and drops all sent ones but the newest LIMIT_OUTBOX_KEPT. Marking twice is
 * fine. */
ATTR_NODISCARD enum err store_outbox_sent(struct store *store, const struct uuid_text *ids, size_t n,
                                          struct why *why);

/* leases: they save work between replicas; correctness does not depend on them */

/* store_lease_take: takes the lease of that name for `owner`, or renews it, for `seconds` from now by the
 * database's clock. *ret_held: `owner` holds it now. Writes nothing while that lease has more than half of
 * `seconds` left, or while the lease of another process is valid. A lease that ends more than LIMIT_LEASE_S
 * from now comes from a clock that was ahead, and does not count. */
ATTR_NODISCARD enum err store_lease_take(struct store *store, const char *name, const char *owner,
                                         int64_t seconds, bool *ret_held, struct why *why);
/* store_lease_drop: gives the lease back if `owner` holds it. */
ATTR_NODISCARD enum err store_lease_drop(struct store *store, const char *name, const char *owner,
                                         struct why *why);

/* looking at tasks */

/* A task with its newest queued or running job. */
struct store_task_entry {
    struct store_task task;
    int64_t updated_us;
    bool stuck;                            /* as in store_task_list */
    char *job_id, *job_agent, *job_status; /* as text; NULL: no active job */
    int64_t job_updated_us;
};
void store_task_entry_done(struct store_task_entry *entry);

struct store_tasks_query {
    const struct store_stage_grace *gated; /* as in store_stuck_query: what makes a task stuck */
    size_t n_gated;
    const char *const *terminal; /* stages whose tasks are done: not listed */
    size_t n_terminal;
    const char *stage, *repo;       /* NULL: any. A terminal stage that is asked for by name is listed */
    const char *part;               /* NULL: any. In work item id, title or branch, without regard to case */
    const struct store_holds *held; /* NULL: any; else those that one of these holds covers */
    bool often_healed;              /* only those with more than `heals` recent heals */
    int64_t heals;
    bool stuck_only;
    const char *after; /* the `next` of an earlier page; NULL: from the beginning */
    size_t limit;
    int64_t heals_window_s; /* as in store_stuck_query */
};
struct store_tasks_page {
    struct store_task_entry *rows;
    size_t n;
    char *next; /* NULL: this was the last page. [A-Za-z0-9._-] only */
};
void store_tasks_page_done(struct store_tasks_page *page);

/* store_tasks_list: stuck tasks first, each part by updated_at (oldest first), then id; keyset-paged. One
 * statement, whose cost grows with the tasks of the page and the stuck ones if (stage, updated_at) is
 * indexed. ERR_INVALID: `after` is not the `next` of a page. Reads only. */
ATTR_NODISCARD enum err store_tasks_list(struct store *store, const struct store_tasks_query *query,
                                         struct store_tasks_page *ret, struct why *why);

/* store_task_get: one task, with recent_heals; ERR_NOT_FOUND. Of `query` only the gated stages are used.
 * *ret_now_us (may be NULL): the database's clock. Reads only. */
ATTR_NODISCARD enum err store_task_get(struct store *store, int64_t id, const struct store_tasks_query *query,
                                       struct store_task_entry *ret, int64_t *ret_now_us, struct why *why);

/* A task that a person may mean by a name. */
struct store_named_task {
    size_t name; /* index into the names asked about */
    int64_t id;
    bool is_exact;                     /* its work_item_id is the name, case included */
    char *work_item_id, *repo, *stage; /* each may be NULL */
};
struct store_named_tasks {
    struct store_named_task *rows; /* by `name`, then id; of each name at most LIMIT_CANDIDATES */
    size_t n;
};
void store_named_tasks_done(struct store_named_tasks *named);

/* store_tasks_named: the tasks that are meant by each name. Digits alone, with or without '#', are an id;
 * anything else is a work item id: those with exactly this one, else those that differ from it in case
 * alone. One statement; by an index where lower(work_item_id) has one. Reads only. */
ATTR_NODISCARD enum err store_tasks_named(struct store *store, const char *const *names, size_t n,
                                          struct store_named_tasks *ret, struct why *why);

struct store_repo_task {
    int64_t id;
    char *work_item_id, *branch, *stage; /* the first may be NULL */
    char *unreadable;                    /* as in struct store_task */
};
struct store_repo_tasks {
    struct store_repo_task *rows; /* newest first */
    size_t n;
    bool more; /* there are more than `limit` */
};
void store_repo_tasks_done(struct store_repo_tasks *tasks);
/* store_repo_tasks: the tasks of these repos (compared without regard to case) at one of these stages that
 * have a branch. One statement, whose cost grows with these repos' tasks at these stages if (lower(repo),
 * stage) is indexed. Reads only. */
ATTR_NODISCARD enum err store_repo_tasks(struct store *store, const char *const *repos, size_t n_repos,
                                         const char *const *stages, size_t n_stages, size_t limit,
                                         struct store_repo_tasks *ret, struct why *why);

/* store_repos: the repos of the tasks at one of these stages, in lower case, each once, at most `limit`.
 * Caller frees each and *ret_repos with free(). One statement, whose cost grows with the tasks at these
 * stages. Reads only. */
ATTR_NODISCARD enum err store_repos(struct store *store, const char *const *stages, size_t n_stages,
                                    size_t limit, char ***ret_repos, size_t *ret_n, struct why *why);

/* pass reports */

struct store_pass {
    struct uuid_text id;
    int64_t started_us; /* the order of the list: as in the report, or later where the clock was set back */
    char *report;       /* JSON text: its first LIMIT_REPORT_HEAD characters alone */
};
struct store_pass_page {
    struct store_pass *rows;
    size_t n;
};
void store_pass_page_done(struct store_pass_page *page);

/* store_pass_save: inserts the report, or replaces the one with that id, and drops all but the newest
 * LIMIT_PASSES_KEPT. */
ATTR_NODISCARD enum err store_pass_save(struct store *store, const char *id, int64_t started_us,
                                        const char *report, struct why *why);
/* store_pass_get: ERR_NOT_FOUND when there is none. Caller frees *ret_report. */
ATTR_NODISCARD enum err store_pass_get(struct store *store, const char *id, char **ret_report,
                                       struct why *why);
/* store_pass_list: newest first, those that started before before_us (0: from the newest). */
ATTR_NODISCARD enum err store_pass_list(struct store *store, int64_t before_us, size_t limit,
                                        struct store_pass_page *ret, struct why *why);

#endif
