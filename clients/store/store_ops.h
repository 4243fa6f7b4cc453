/* store_ops.h - what an implementation of the store provides. Private to clients/store.
 *
 * Each member keeps the promise of the store_ function of the same name in store.h, which checks its
 * arguments and calls it. struct store is embedded as the first member of the implementation's own struct.
 */
#ifndef RECONCILED_STORE_OPS_H
#define RECONCILED_STORE_OPS_H

#include <stdatomic.h>

#include "clients/base/limits.h"
#include "clients/store/store.h"
#include "clients/store/store_columns.h"
#include "clients/store/store_rows.h"

/* In all texts that a trial writes. */
#define TRIAL_TEXT "trial of reconciled check, rolled back"

struct trial_batch {
    struct store_new_task *creations;
    size_t n_creations;
    enum store_creation created[LIMIT_BATCH];
    struct store_transition *moves;
    size_t n_moves;
    enum store_moved moved[LIMIT_BATCH];
    struct store_task *made;        /* parallel to the creations; id 0: not made */
    const size_t *move_of_creation; /* parallel to the creations; n_moves: none */
};
/* trial_tasks_read: fills in `made` from the rows of SQL_ISSUE_TASKS about all creations, and releases the
 * rows. */
ATTR_NODISCARD enum err trial_tasks_read(struct trial_batch *batch, struct store_rows rows);

struct store_ops {
    void (*free)(struct store *store);
    void (*interrupt)(struct store *store);
    /* query, write: store_query and store_write of store_rows.h. */
    struct store_rows (*query)(struct store *store, unsigned which, struct store_params params,
                               struct why *why);
    enum err (*write)(struct store *store, const struct store_step *steps, size_t n, struct why *why);
    enum err (*migrate)(struct store *store, size_t *ret_created, struct why *why);
    /* ready: every table and column is there. */
    enum err (*ready)(struct store *store, struct why *why);
    /* settings_write: `history` as history_json makes it. */
    enum err (*settings_write)(struct store *store, int64_t seen_revision, const char *overrides,
                               const json_t *history, int64_t *ret_revision, struct why *why);
    /* tasks_query: the rows of store_tasks_list, at most one more than its limit. tasks_place: the `next`
     * that continues after a row; caller frees. */
    struct store_rows (*tasks_query)(struct store *store, const struct store_tasks_query *query,
                                     struct why *why);
    char *(*tasks_place)(struct store_rows *rows, const struct store_task_entry *entry);
    enum err (*create_tasks)(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                             const struct store_new_task *batch, size_t n, enum store_creation *ret,
                             struct why *why);
    enum err (*transition)(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                           const char *pass_id, const struct store_transition *batch, size_t n,
                           enum store_moved *ret_moved, struct why *why);
    /* trial: makes the new tasks as create_tasks does, then the moves as transition does (trial_tasks_read
     * fills in those of new tasks). Without any of both, it writes a message. Rolled back.
     * ERR_UNAVAILABLE where the database may hide rows of tasks or jobs. */
    enum err (*trial)(struct store *store, struct trial_batch *batch, struct why *why);
    enum err (*replay_begin)(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                             const struct store_replay *batch, size_t n, struct store_replay_seen *ret,
                             struct why *why);
    enum err (*replays_settle)(struct store *store, const char *pass_id, const struct store_settlement *batch,
                               size_t n, bool *ret_mine, struct why *why);
};

/* The newest write of tasks that failed, until one succeeds. */
struct store_refusal {
    enum err
        err; /* ERR_OK: none. ERR_INTERNAL: rows were refused. ERR_UNAVAILABLE: nothing could be written */
    struct why why;
};

struct store {
    const struct store_ops *ops;
    char *describe;               /* owned; freed by store_free after ops->free has released the rest */
    bool only_ours;               /* tasks and jobs are only read */
    unsigned destinations;        /* store_send_to */
    bool creates_beside;          /* store_create_beside */
    struct store_refusal refusal; /* under a lock of store.c's own */
    _Atomic int64_t plane_ids_good_until_ms; /* clock_mono_ms(): until then plane_ids are not read again */
};

/* store_settings_of: reads a row of SQL_SETTINGS_READ; free with store_settings_done. store_policy_stands:
 * compares revision and clock in a statement's row, and releases the rows: ERR_CONFLICT if the settings have
 * changed or expired. */
struct store_settings store_settings_of(struct store_rows *rows);
ATTR_NODISCARD enum err store_policy_stands(struct store_rows rows, int64_t settings_revision,
                                            int64_t valid_until_us, struct why *why);

/* What keeps tasks where they are, besides the settings: read in a statement after the one that locks the
 * settings row, so that a hold is exact (reconcile/README.md, rule 8). guard_read: reads and releases the
 * rows of SQL_HOLDS. guard_keeps: whether a task may not move; `ret` (may be NULL) gets the words. */
struct store_guard {
    struct store_holds holds;
    bool is_newer; /* the tables are of a later version than this program */
};
ATTR_NODISCARD enum err guard_read(struct store_rows rows, struct store_guard *ret);
bool guard_keeps(const struct store_guard *guard, const struct store_task *task, struct why *ret);
void guard_done(struct store_guard *guard);
#define AUTO_GUARD __attribute__((cleanup(guard_done)))

/* holds_json: what holds name, for the statements of lists: {"repos":[…],"stages":[…],"tasks":[[id, work item
 * id, plane_id], …]}; JSON null for NULL. Caller releases. */
json_t *holds_json(const struct store_holds *holds);

/* destination_name: as the outbox names it; NULL: Telegram, the only one of 0.1. destination_row: the id of a
 * message's row for one of `destinations`; false: it is not among them. */
const char *destination_name(enum store_destination to);
bool destination_row(unsigned destinations, enum store_destination to, const char *id, struct uuid_text *ret);

/* new_task_view: a task that is to be made, as guard_keeps sees it; its texts are borrowed. */
struct store_task new_task_view(const struct store_new_task *task);

/* history_json: the parameter of SQL_HISTORY_ADD; caller releases. */
json_t *history_json(const struct store_new_change *changes, size_t n);

/* replay_pauses: for each try, the seconds until the next one. replay_keys: the parameter of
 * SQL_REPLAYS_LOOK. Caller releases both. */
json_t *replay_pauses(void);
json_t *replay_keys(const struct store_replay *batch, size_t n);
/* replays_seen: reads the rows of SQL_REPLAYS_LOOK and releases them; an entry without a row is not changed.
 * replay_begun: reads a row of the statement that begins a replay. replay_not_begun: the result for a replay
 * that the statement did not begin although its task is unchanged; if it became due in between, the next pass
 * sends it. */
ATTR_NODISCARD enum err replays_seen(struct store_rows rows, size_t n, struct store_replay_seen *ret);
struct store_replay_seen replay_begun(struct store_rows *rows);
struct store_replay_seen replay_not_begun(struct store_replay_seen seen);

#define STORE_DIGITS_OF(number) #number
#define STORE_DIGITS(number) STORE_DIGITS_OF(number)

/* The two implementations. `rest` is the URL (PostgreSQL) or the path behind "sqlite:". ops->free frees the
 * struct. */
ATTR_NODISCARD enum err store_postgresql_open(const char *url, const char *schema, struct store **ret,
                                              struct why *why);
ATTR_NODISCARD enum err store_sqlite_open(const char *path, struct store **ret, struct why *why);

#endif
