/* store.h - the database: the orchestrator's tasks and jobs, and our own tables, behind one interface.
 *
 * Two implementations, PostgreSQL (libpq) and SQLite, chosen by the URL and held to the same conformance
 * suite. Each function is one question or one act of the domain, named after its meaning, and at most a fixed
 * number of statements whatever the number of tasks. Every function is thread-safe (it checks a connection
 * out for itself), ends within LIMIT_STATEMENT_MS per statement, and heals a broken connection by itself: a
 * call that met a dead connection before anything was sent reconnects once; otherwise it returns
 * ERR_UNAVAILABLE and the next one reconnects. Serialization failures, deadlocks and SQLITE_BUSY are retried
 * inside, bounded; the caller never sees ERR_RETRY.
 *
 * The clock is the database's (reconcile/README.md, rule 9): ages and "now" come from it, never from this
 * machine. Words in `why` name no secret and no SQL.
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
 * `schema` is NULL or the PostgreSQL schema that holds tasks and jobs. Connects to nothing yet: a database
 * that is down is an error of the first call, not of this one. ERR_INVALID for a URL that cannot be meant.
 * Free with store_free. */
ATTR_NODISCARD enum err store_open(const char *url, const char *schema, struct store **ret, struct why *why);

/* store_free: closes every connection. No other call may be under way. NULL is fine. */
void store_free(struct store *store);

/* store_describe: what the URL names, without user and password ("postgresql db1:5432,db2:5432/orch", "sqlite
 * /var/lib/x.db"). Valid as long as the store. */
const char *store_describe(const struct store *store);

/* store_interrupt: makes statements under way fail soon (ERR_TIMEOUT) and refuses new ones, so that a clean
 * stop waits for no lock. Irreversible. */
void store_interrupt(struct store *store);

/* store_migrate: creates whatever table or index of ours, or table of the orchestrator's, is missing, and
 * never alters what is there, but that tables of ours gain the columns that an earlier version did not have.
 * Tables of a later version than this program's are ERR_UNAVAILABLE, and are left alone. Safe to run from
 * several replicas at once, any number of times. *ret_created (may be NULL): number of tables created. A
 * SQLite file that this creates uses WAL; one that was there keeps its journal mode. */
ATTR_NODISCARD enum err store_migrate(struct store *store, size_t *ret_created, struct why *why);

/* store_ready: the database answers, and every table that we need is there with the columns we need, of types
 * that we can work with, and of no later version than ours; tasks.plane_id holds UUIDs in forms that are
 * understood (the newest LIMIT_PLANE_IDS_READ rows are looked at, again after LIMIT_PLANE_IDS_GOOD_MS); and
 * they can be written. Else ERR_UNAVAILABLE, naming what is missing, with table and column.
 * store_write_only_ours: tasks and jobs need not be writable, for the orchestrator moves them, or only
 * observing is set. Before any other thread uses the store. */
ATTR_NODISCARD enum err store_ready(struct store *store, struct why *why);
void store_write_only_ours(struct store *store);

/* What tasks.updated_at holds that keeps a task from ever being stuck. */
struct store_times {
    int64_t unread, unread_task; /* rows without a time that can be read; the id of one */
    int64_t ahead, ahead_task; /* rows of the future, by the database's clock, but for LIMIT_CLOCK_SLACK_S */
    bool zoneless;             /* PostgreSQL's timestamp without time zone, which is taken for UTC */
};
/* store_times: looks at all tasks: for check alone. Reads only. */
ATTR_NODISCARD enum err store_times(struct store *store, struct store_times *ret, struct why *why);

/* settings that were changed at run time */

struct store_settings {
    int64_t revision; /* 0 before the first change; each write adds one */
    char *overrides;  /* JSON object, as settings_merge() wrote it; "{}" before the first change */
    int64_t now_us;   /* the database's clock at the time of reading */
};
void store_settings_done(struct store_settings *settings);

ATTR_NODISCARD enum err store_settings_read(struct store *store, struct store_settings *ret, struct why *why);

/* store_settings_write: compare-and-set. Writes `overrides` as revision seen_revision + 1 if the stored
 * revision is still seen_revision, else ERR_CONFLICT and nothing written. Waits for transitions under way:
 * once this has returned, no transition that was decided under an older revision commits
 * (reconcile/README.md, rule 8). */
ATTR_NODISCARD enum err store_settings_write(struct store *store, int64_t seen_revision,
                                             const char *overrides, int64_t *ret_revision, struct why *why);

/* F-1: choosing the stuck tasks */

struct store_task {
    int64_t id;
    /* May be NULL. plane_id: a UUID in lower case with hyphens, however it is stored; else as it is. */
    char *plane_id, *work_item_id, *title;
    char *repo, *branch; /* may be NULL: the row is invalid, and the pass reports it */
    char *stage;
    char *version; /* opaque: names the row as it was read (its updated_at, in the database's own words) */
    int64_t age_s; /* since updated_at, by the database's clock */
    /* Filled in by store_task_list: ledger rows that moved this task out of this stage within
     * LIMIT_HEALS_WINDOW_S and agree with it in work_item_id or plane_id, and the seq of the newest of them;
     * 0 when there is none. */
    int64_t recent_heals, newest_heal_seq;
    /* Why a text above is not what the column holds ("tasks.branch holds bytes that are not UTF-8"): it was
     * mended or cut, so the row is shown and never acted on. NULL: each is as it stands there, or a title
     * that is merely long. */
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
    int64_t only_task; /* a task id, or 0 for all */
    size_t limit;      /* at most this many tasks listed */
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
 * another. Cost follows the stuck tasks, not the healthy ones, where (stage, updated_at) and active jobs are
 * indexed as store_migrate does. Reads only. */
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
 * or without hyphens), by one statement whatever n is. A row that lacks a stage or a time has a
 * stage "" or a version that never moves. n 0 is fine: revision and clock are still read. Reads only. */
ATTR_NODISCARD enum err store_issue_tasks(struct store *store, const char *const *plane_ids, size_t n,
                                          struct store_issue_tasks *ret, struct why *why);

/* store_verdicts_replayed: which of these state-change activities have been replayed; ret[i] is for ids[i].
 * One statement. Reads only. */
ATTR_NODISCARD enum err store_verdicts_replayed(struct store *store, const char *const *ids, size_t n,
                                                bool *ret, struct why *why);

/* The task of a work item, as far as it matters to one who would make it. */
struct store_work_item {
    bool found;
    bool of_issue;             /* of all that were found, every plane_id is a UUID */
    int64_t task_id;           /* of one that was found */
    struct uuid_text plane_id; /* of the same one; valid when of_issue */
};
/* store_work_items: for each of these work item ids, compared without case, whether a task has it. One
 * statement; by an index where lower(work_item_id) has one. Reads only. */
ATTR_NODISCARD enum err store_work_items(struct store *store, const char *const *ids, size_t n,
                                         struct store_work_item *ret, struct why *why);

/* A branch of a repo, and whose it is to be: a task, or 0 for one that is yet to be made. */
struct store_branch {
    const char *repo, *name;
    int64_t task_id;
};
/* store_branches_taken: for each branch a task that has it, other than its own; 0: none. Of two that stand at
 * `stage` (the first one: neither has begun) the one made first has it. One statement; goes through
 * all tasks where branch has no index. Reads only. */
ATTR_NODISCARD enum err store_branches_taken(struct store *store, const struct store_branch *branches,
                                             size_t n, const char *stage, int64_t *ret_tasks,
                                             struct why *why);

struct store_new_task {
    const char *plane_id, *work_item_id, *title, *repo, *branch, *stage;
    struct why *refusal; /* filled in when it is STORE_NOT_CREATED: the database's words; may be NULL */
};
enum store_creation {
    STORE_CREATED,
    STORE_EXISTS,       /* a task of that plane_id is there: nothing written */
    STORE_BRANCH_TAKEN, /* another task has that branch of that repo: nothing written for it */
    STORE_NOT_CREATED,  /* the database refused this row (a trigger, a constraint): nothing written for it */
};

/* store_create_tasks: atomic creation: the unique key on tasks.plane_id decides between replicas and webhooks
 * (ON CONFLICT DO NOTHING). One transaction for the batch (n <= LIMIT_BATCH), under the settings row's lock
 * and revision as store_transition: ERR_CONFLICT and nothing written when they moved. The lock is exclusive,
 * so that of two replicas only one makes a task of a branch, which is looked for under it. No job is queued:
 * the task stands at `stage` until store_transition moves it. plane_id is written in the form that the newest
 * rows have. A table without such a key, without ids of its own for new rows, or whose newest rows hold
 * plane_ids in a form that is not understood, is ERR_INTERNAL in words. */
ATTR_NODISCARD enum err store_create_tasks(struct store *store, int64_t settings_revision,
                                           int64_t valid_until_us, const struct store_new_task *batch,
                                           size_t n, enum store_creation *ret, struct why *why);

/* store_unstarted: tasks at `stage` without a queued or running job, untouched for at least grace_s or whose
 * plane_id is among `fresh` (just created: no need to rest); oldest first, at most `limit`. One statement.
 * Reads only. Free with store_task_list_done; count, oldest_age_s and unknown_stage are of the list alone. */
ATTR_NODISCARD enum err store_unstarted(struct store *store, const char *stage, int64_t grace_s,
                                        const char *const *fresh, size_t n_fresh, size_t limit,
                                        struct store_task_list *ret, struct why *why);

/* the one transition */

struct store_transition {
    struct uuid_text id; /* of its ledger row: written once, however often this is called */
    const struct store_task *task;
    const char *to_stage;
    const char *agent;         /* whose job is queued on entry; NULL: none */
    const char *side;          /* "gate" or "plane" */
    const char *outcome;       /* "advanced", "approved", "rejected" … as in the ledger */
    const char *reason;        /* in words */
    const char *evidence;      /* JSON text of what was seen */
    const char *verdict_id;    /* the state-change activity this replays; NULL: none. Replayed once for ever:
                                  when it is in reconcile_verdicts already, or twice in this batch, the
                                  transition is STORE_RACED; else it is written there in the same transaction */
    const char *missed_source; /* whose event was lost: "plane", "gitea"; NULL: no sender has one */
    const char *missed_event;  /* which: "status", "pull_request_approved", "issue.updated" … or NULL */
    const char *message;       /* for the outbox, under the ledger row's id; NULL: none */
    struct why *refusal;       /* filled in when it is STORE_REFUSED: the database's words; may be NULL */
};

enum store_moved {
    STORE_MOVED,  /* task, job and ledger row are written */
    STORE_RACED,  /* the row is no longer what task->stage and task->version name, or has an active job, or
                     its verdict has been replayed: nothing written */
    STORE_REFUSED /* the database refused this one write (a trigger, a constraint): nothing written for it */
};

/* store_transition: THE function that moves tasks; nothing else in the program writes tasks.stage. One
 * transaction for the batch (n <= LIMIT_BATCH): first it locks the settings row against change and checks
 * that its revision is still `settings_revision` and that the database's clock has not reached
 * `valid_until_us` (0: no limit), else ERR_CONFLICT and nothing is written; then each task that still stands
 * at its stage and version and has no active job gets to_stage, updated_at = now, one queued job, and one
 * ledger row. ret_moved[i] is for batch[i]. A row the database refuses does not stop the others. After a
 * connection lost at commit the ledger ids show what was written: the answer is right even then. On any error
 * nothing of the batch that is not in the ledger was written. */
ATTR_NODISCARD enum err store_transition(struct store *store, int64_t settings_revision,
                                         int64_t valid_until_us, const char *pass_id,
                                         const struct store_transition *batch, size_t n,
                                         enum store_moved *ret_moved, struct why *why);

/* replays: where the orchestrator moves tasks, and we send it the events that it lost */

/* A replay is a row under the name of what it is about, its subject: so there is one in flight per task, for
 * all replicas. It goes when its task has been seen to move; only then it is a heal, and in the ledger. */
struct store_replay {
    const char *subject;       /* "task/<id>", "issue/<uuid>" */
    struct uuid_text delivery; /* names what is sent: the same when it is sent again */
    /* What it is to bring about, but for its id. A task whose id is 0 has yet to be made, of its plane_id. */
    const struct store_transition *row;
    struct uuid_text message_id;
    const char *message; /* for the outbox, when it is given up; NULL: none */
};

enum store_replay_state {
    STORE_REPLAY_DUE,      /* to be sent now. Of begin: and the try is counted */
    STORE_REPLAY_LAST,     /* of look: was sent LIMIT_REPLAY_TRIES times; begin gives it up */
    STORE_REPLAY_WAITS,    /* was sent, and the next try is not due */
    STORE_REPLAY_GIVEN_UP, /* earlier */
    STORE_REPLAY_GIVEN_UP_NOW /* by this call, and its message is in the outbox */,
    STORE_REPLAY_RACED, /* its task is no longer what was seen, or its verdict has been replayed */
};
struct store_replay_seen {
    enum store_replay_state state;
    int64_t tries;  /* sent so often, this time included */
    int64_t next_s; /* the next try is due in so many seconds */
};

/* store_replays_look: what store_replay_begin would return for them, as far as can be known without the
 * tasks: never RACED or GIVEN_UP_NOW. Only subject and delivery are looked at. One statement. Reads only. */
ATTR_NODISCARD enum err store_replays_look(struct store *store, const struct store_replay *batch, size_t n,
                                           struct store_replay_seen *ret, struct why *why);

struct store_replay_open {
    struct uuid_text delivery;
    int64_t tries;   /* sent so often */
    int64_t next_us; /* when the next try is due, or was */
    bool given_up;
};
/* store_replay_get: the replay of a subject, whatever it delivers: ERR_NOT_FOUND. One statement. Reads only.
 */
ATTR_NODISCARD enum err store_replay_get(struct store *store, const char *subject,
                                         struct store_replay_open *ret, struct why *why);

/* store_replay_begin: THE moment at which a replay starts: under the settings row's lock and revision as
 * store_transition (ERR_CONFLICT and nothing written when they moved), so that none starts once a switch was
 * thrown. One transaction for the batch (n <= LIMIT_BATCH), whose subjects differ. A replay of another
 * delivery than the subject's last starts over; the pauses between tries of one double from
 * LIMIT_REPLAY_PAUSE_S up to LIMIT_REPLAY_PAUSE_MAX_S. The caller that gets DUE must send it, and may fail
 * to: it is then sent again when it is due again. */
ATTR_NODISCARD enum err store_replay_begin(struct store *store, int64_t settings_revision,
                                           int64_t valid_until_us, const struct store_replay *batch, size_t n,
                                           struct store_replay_seen *ret, struct why *why);

struct store_replay_moved {
    char *subject;
    struct uuid_text delivery;
    int64_t first_us; /* when it was sent first */
    int64_t tries;
    int64_t rested_s; /* for how long its task had rested when it moved, or a little more */
    bool given_up; /* the task moved afterwards, not on account of it; or the ledger has its move already */
    bool gone;     /* there is no such task any more; the task below is empty then */
    struct store_task task; /* as it is now, but at the stage that it left */
    char *to_stage;         /* where it stands now */
    char *side, *outcome, *reason, *evidence, *verdict_id, *missed_source, *missed_event; /* as begun */
};
struct store_replays_moved {
    struct store_replay_moved *rows;
    size_t n;
};
void store_replays_moved_done(struct store_replays_moved *moved);

/* store_replays_moved: the replays whose task has moved: it stands at another stage; or, where the stage was
 * to stay the same, it was touched and has an active job; or, where it was to be made, it is there; or it is
 * gone. Oldest first, at most `limit`. One statement, whose cost follows the replays in flight. Reads only.
 */
ATTR_NODISCARD enum err store_replays_moved(struct store *store, size_t limit,
                                            struct store_replays_moved *ret, struct why *why);

struct store_settlement {
    const struct store_replay_moved *replay;
    const struct store_transition *row; /* its ledger row, verdict and message; NULL: it was no heal */
};
/* store_replays_settle: takes these replays away and writes their rows, in one transaction (n <=
 * LIMIT_BATCH). ret_mine[i]: by this call; another replica may be faster, and then nothing is written. */
ATTR_NODISCARD enum err store_replays_settle(struct store *store, const char *pass_id,
                                             const struct store_settlement *batch, size_t n, bool *ret_mine,
                                             struct why *why);

/* the ledger */

struct store_ledger_summary {
    int64_t total;
    char *last_work_item_id; /* of the newest row; NULL when there is none */
};
void store_ledger_summary_done(struct store_ledger_summary *summary);
ATTR_NODISCARD enum err store_ledger_summary(struct store *store, struct store_ledger_summary *ret,
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
 * (task_id 0). Of a task that is there, only rows that agree with it in work_item_id or plane_id: an id may
 * be used again. */
ATTR_NODISCARD enum err store_ledger_list(struct store *store, int64_t task_id, int64_t before_seq,
                                          size_t limit, struct store_ledger_page *ret, struct why *why);

/* a trial of transitions: everything is written as it would be, and rolled back */

enum store_trial_result {
    STORE_TRIAL_WRITTEN,
    STORE_TRIAL_REFUSED, /* `refusal` names column or constraint, and the SQLSTATE where there is one */
    STORE_TRIAL_UNTRIED  /* no task rests at that stage, and none could be made there */
};
struct store_trial {
    const char *from_stage, *to_stage;
    const char *agent; /* as in store_transition */
    enum store_trial_result result;
    struct why refusal;
};
/* store_trial: moves a task for each of the n <= LIMIT_BATCH / 2 trials: one that rests at from_stage, else
 * one that it makes there. *ret_start: why no task can be made at `first_stage`, "" when one can. One
 * transaction; nothing of it stays but numbers that sequences gave out; triggers run. A lock is waited for
 * LIMIT_TRIAL_LOCK_MS at most. store_trial_of_ours: writes to our own tables alone. */
ATTR_NODISCARD enum err store_trial(struct store *store, struct store_trial *trials, size_t n,
                                    const char *first_stage, struct why *ret_start, struct why *why);
ATTR_NODISCARD enum err store_trial_of_ours(struct store *store, struct why *why);

/* the outbox: messages written in the transaction that they report, sent after it */

struct store_message {
    struct uuid_text id; /* a ledger row's, or a name's (uuid_from_name) */
    int64_t seq;         /* grows with time */
    int64_t age_s;
    char *text;
};
struct store_outbox {
    size_t depth; /* all that are unsent, listed or not */
    struct store_message *rows;
    size_t n;
};
void store_outbox_done(struct store_outbox *outbox);

/* store_outbox_list: what is unsent, oldest first, at most `limit`. One statement; cost follows the unsent.
 * Reads only. */
ATTR_NODISCARD enum err store_outbox_list(struct store *store, size_t limit, struct store_outbox *ret,
                                          struct why *why);
/* store_outbox_add: a message of no transition, unless one of that id was ever written and is still kept:
 * sent once, whichever process writes it. *ret_new (may be NULL): it was not there. */
ATTR_NODISCARD enum err store_outbox_add(struct store *store, const char *id, const char *text, bool *ret_new,
                                         struct why *why);
/* store_outbox_sent: marks them, and drops all sent ones but the newest LIMIT_OUTBOX_KEPT. Marking twice is
 * fine. */
ATTR_NODISCARD enum err store_outbox_sent(struct store *store, const struct uuid_text *ids, size_t n,
                                          struct why *why);

/* leases: they save work between replicas; nothing correct rests upon them */

/* store_lease_take: takes the lease of that name for `owner`, or renews it, for `seconds` from now by the
 * database's clock. *ret_held: it is ours now. Writes nothing while ours has more than half of `seconds` left
 * or another process's has not run out; one that ends later than one taken now is of a clock that was ahead,
 * and does not count. */
ATTR_NODISCARD enum err store_lease_take(struct store *store, const char *name, const char *owner,
                                         int64_t seconds, bool *ret_held, struct why *why);
/* store_lease_drop: gives it back if it is ours. */
ATTR_NODISCARD enum err store_lease_drop(struct store *store, const char *name, const char *owner,
                                         struct why *why);

/* looking at tasks */

/* A task as it stands, with its newest queued or running job. */
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
    const char *stage, *repo; /* NULL: any. A terminal stage that is asked for by name is listed */
    bool stuck_only;
    const char *after; /* the `next` of an earlier page; NULL: from the beginning */
    size_t limit;
};
struct store_tasks_page {
    struct store_task_entry *rows;
    size_t n;
    char *next; /* NULL: this was the last page. [A-Za-z0-9._-] only */
};
void store_tasks_page_done(struct store_tasks_page *page);

/* store_tasks_list: stuck tasks first, each part by updated_at (oldest first), then id; keyset-paged. One
 * statement, whose cost follows the tasks of the page and the stuck ones where (stage, updated_at) is
 * indexed. ERR_INVALID: `after` is no `next`. Reads only. */
ATTR_NODISCARD enum err store_tasks_list(struct store *store, const struct store_tasks_query *query,
                                         struct store_tasks_page *ret, struct why *why);

/* store_task_get: one task, recent_heals filled in; ERR_NOT_FOUND. query->gated is used, the rest of it not.
 * *ret_now_us (may be NULL): the database's clock. Reads only. */
ATTR_NODISCARD enum err store_task_get(struct store *store, int64_t id, const struct store_tasks_query *query,
                                       struct store_task_entry *ret, int64_t *ret_now_us, struct why *why);

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
 * have a branch. One statement; cost follows those repos' tasks at these stages where (lower(repo), stage) is
 * indexed. Reads only. */
ATTR_NODISCARD enum err store_repo_tasks(struct store *store, const char *const *repos, size_t n_repos,
                                         const char *const *stages, size_t n_stages, size_t limit,
                                         struct store_repo_tasks *ret, struct why *why);

/* store_repos: the repos of the tasks at one of these stages, in lower case, each once, at most `limit`.
 * Caller frees each and *ret_repos with free(). One statement; cost follows the tasks at these stages. Reads
 * only. */
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
