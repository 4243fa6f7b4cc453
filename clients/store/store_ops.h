/* store_ops.h - what an implementation of the store provides. Private to clients/store*.c.
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

struct store_ops {
    void (*free)(struct store *store);
    void (*interrupt)(struct store *store);
    /* query, write: store_query and store_write of store_rows.h. */
    struct store_rows (*query)(struct store *store, unsigned which, struct store_params params,
                               struct why *why);
    enum err (*write)(struct store *store, const struct store_step *steps, size_t n, size_t *ret_rows,
                      struct why *why);
    enum err (*migrate)(struct store *store, size_t *ret_created, struct why *why);
    /* ready: the tables and columns alone; store_ready then looks at the newest rows by plane_ids. */
    enum err (*ready)(struct store *store, struct why *why);
    enum err (*plane_ids)(struct store *store, size_t limit, struct plane_ids_seen *ret, struct why *why);
    enum err (*settings_write)(struct store *store, int64_t seen_revision, const char *overrides,
                               int64_t *ret_revision, struct why *why);
    enum err (*stuck)(struct store *store, const struct store_stuck_query *query, struct store_task_list *ret,
                      struct why *why);
    enum err (*issue_tasks)(struct store *store, const char *const *plane_ids, size_t n,
                            struct store_issue_tasks *ret, struct why *why);
    enum err (*work_items)(struct store *store, const char *const *ids, size_t n, struct store_work_item *ret,
                           struct why *why);
    enum err (*verdicts_replayed)(struct store *store, const char *const *ids, size_t n, bool *ret,
                                  struct why *why);
    enum err (*create_tasks)(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                             const struct store_new_task *batch, size_t n, enum store_creation *ret,
                             struct why *why);
    enum err (*unstarted)(struct store *store, const char *stage, int64_t grace_s, const char *const *fresh,
                          size_t n_fresh, size_t limit, struct store_task_list *ret, struct why *why);
    enum err (*transition)(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                           const char *pass_id, const struct store_transition *batch, size_t n,
                           enum store_moved *ret_moved, struct why *why);
    enum err (*replays_look)(struct store *store, const struct store_replay *batch, size_t n,
                             struct store_replay_seen *ret, struct why *why);
    enum err (*replay_get)(struct store *store, const char *subject, struct store_replay_open *ret,
                           struct why *why);
    enum err (*replay_begin)(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                             const struct store_replay *batch, size_t n, struct store_replay_seen *ret,
                             struct why *why);
    enum err (*replays_moved)(struct store *store, size_t limit, struct store_replays_moved *ret,
                              struct why *why);
    enum err (*replays_settle)(struct store *store, const char *pass_id, const struct store_settlement *batch,
                               size_t n, bool *ret_mine, struct why *why);
    enum err (*tasks_list)(struct store *store, const struct store_tasks_query *query,
                           struct store_tasks_page *ret, struct why *why);
    enum err (*task_get)(struct store *store, int64_t id, const struct store_tasks_query *query,
                         struct store_task_entry *ret, int64_t *ret_now_us, struct why *why);
    enum err (*repo_tasks)(struct store *store, const char *repo, const char *const *stages, size_t n_stages,
                           size_t limit, struct store_repo_tasks *ret, struct why *why);
};

struct store {
    const struct store_ops *ops;
    char *describe; /* owned; freed by store_free after ops->free has released the rest */
    _Atomic int64_t plane_ids_good_until_ms; /* clock_mono_ms(): till then the rows are not looked at again */
};

/* store_settings_of: of a row of SQL_SETTINGS_READ; free with store_settings_done. store_policy_stands: by
 * the row of a statement that tells revision and clock, which it releases: ERR_CONFLICT when the settings are
 * no longer those. */
struct store_settings store_settings_of(struct store_rows *rows);
ATTR_NODISCARD enum err store_policy_stands(struct store_rows rows, int64_t settings_revision,
                                            int64_t valid_until_us, struct why *why);

/* A text of a row of tasks for struct store_task: valid UTF-8, cut to its limit; what is wrong with it goes
 * into *unreadable, if that is still NULL. Caller frees. A title may come cut to LIMIT_TASK_TITLE bytes. */
char *store_task_title(const char *bytes, size_t len, char **unreadable);
char *store_task_name(const char *column, const char *bytes, size_t len, char **unreadable);
void store_unreadable(char **unreadable, const char *column, const char *error);
/* store_plane_id_take: a UUID in one form, whatever form it is stored in; another text as it is. Takes it. */
char *store_plane_id_take(char *text_take);

/* store_work_item_found: one more task has the work item id. `plane_id` may be NULL. */
void store_work_item_found(struct store_work_item *item, int64_t task_id, const char *plane_id);

#define STORE_DIGITS_OF(number) #number
#define STORE_DIGITS(number) STORE_DIGITS_OF(number)
#define STORE_TOO_LONG "is longer than " STORE_DIGITS(LIMIT_TASK_NAME) " bytes"

/* The two implementations. `rest` is the URL (PostgreSQL) or the path behind "sqlite:". ops->free frees the
 * struct. */
ATTR_NODISCARD enum err store_postgresql_open(const char *url, const char *schema, struct store **ret,
                                              struct why *why);
ATTR_NODISCARD enum err store_sqlite_open(const char *path, struct store **ret, struct why *why);

#endif
