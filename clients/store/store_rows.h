/* store_rows.h - one statement, its parameters and its rows, for both databases. Private to clients/store.
 *
 * A statement has a number here and a text for each database. Its columns are read by name; a name is looked
 * up once per result. Errors are sticky: after an error no more rows or values are returned, and rows_end
 * returns the error.
 *
 *   struct store_rows rows = store_query(store, SQL_X, PARAMS(TEXT_PARAM(id), NUMBER_PARAM(limit)), why);
 *   while (rows_next(&rows))
 *       … rows_text(&rows, "report") …
 *   return rows_end(&rows);
 */
#ifndef RECONCILED_STORE_ROWS_H
#define RECONCILED_STORE_ROWS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"
#include "clients/base/text.h"
#include "clients/store/store.h"

/* The statements that both databases have; statements of one database have numbers from STORE_SQL_SHARED on.
 */
enum store_sql {
    SQL_SETTINGS_READ,
    SQL_SETTINGS_LOCK,
    SQL_STUCK,
    SQL_UNSTARTED,
    SQL_ISSUE_TASKS,
    SQL_WORK_ITEMS,
    SQL_BRANCHES_TAKEN,
    SQL_VERDICTS_REPLAYED,
    SQL_REPLAYS_LOOK,
    SQL_REPLAY_GET,
    SQL_REPLAYS_MOVED,
    SQL_LEDGER_SINCE,
    SQL_PULSE,
    SQL_LEDGER_LIST,
    SQL_LEDGER_LIST_OF_TASK,
    SQL_HISTORY_ADD,
    SQL_HISTORY_LIST,
    SQL_HOLDS,
    SQL_HOLDS_EXPIRE,
    SQL_HOLD_HISTORY,
    SQL_HOLD_DROP,
    SQL_HOLD_ADD,
    SQL_RELEASE,
    SQL_OUTBOX_LIST,
    SQL_OUTBOX_ADD,
    SQL_OUTBOX_SENT,
    SQL_OUTBOX_PRUNE,
    SQL_LEASE_STANDS,
    SQL_LEASE_TAKE,
    SQL_LEASE_DROP,
    SQL_TASK_GET,
    SQL_TASKS_NAMED,
    SQL_REPO_TASKS,
    SQL_REPOS,
    SQL_PASS_SAVE,
    SQL_PASS_PRUNE,
    SQL_PASS_GET,
    SQL_PASS_LIST,
    SQL_SCHEMA_VERSION,
    SQL_SCHEMA_HAS,
    SQL_COLUMNS,
    SQL_PLANE_IDS,
    SQL_TIMES,
    SQL_COUNTS,
    SQL_UNINDEXED,
    STORE_SQL_SHARED
};

/* parameters */

struct store_param {
    enum { PARAM_NUMBER, PARAM_TEXT, PARAM_STORED, PARAM_DOCUMENT, PARAM_JSON, PARAM_IDS } kind;
    int64_t number;
    const char *text;   /* NULL: null */
    const json_t *json; /* a list, as JSON text */
    const char *const *ids;
    size_t n;
};
/* STORED_PARAM, DOCUMENT_PARAM: a text, a JSON document of ours as it is stored. IDS_PARAM: a list of UUIDs
 * for a statement that compares them with tasks.plane_id; the orchestrator decides that column's type and
 * spelling. */
#define NUMBER_PARAM(value) ((struct store_param){.kind = PARAM_NUMBER, .number = (value)})
#define TEXT_PARAM(value) ((struct store_param){.kind = PARAM_TEXT, .text = (value)})
#define STORED_PARAM(value) ((struct store_param){.kind = PARAM_STORED, .text = (value)})
#define DOCUMENT_PARAM(value) ((struct store_param){.kind = PARAM_DOCUMENT, .text = (value)})
#define JSON_PARAM(value) ((struct store_param){.kind = PARAM_JSON, .json = (value)})
#define IDS_PARAM(list, count) ((struct store_param){.kind = PARAM_IDS, .ids = (list), .n = (count)})
/* LIMIT_PARAM: a limit, cut to what the database's integer holds. ONE_MORE_PARAM: one row more, which shows
 * whether there are more. BEFORE_PARAM: an upper bound for a key, exclusive; 0: none. */
#define LIMIT_PARAM(limit) NUMBER_PARAM((limit) < INT64_MAX ? (int64_t)(limit) : INT64_MAX)
#define ONE_MORE_PARAM(limit) NUMBER_PARAM((limit) < INT64_MAX ? (int64_t)(limit) + 1 : INT64_MAX)
#define BEFORE_PARAM(key) NUMBER_PARAM((key) ? (key) : INT64_MAX)

struct store_params {
    const struct store_param *list;
    size_t n;
};
#define PARAMS(...)                                                                 \
    ((struct store_params){.list = (const struct store_param[]){__VA_ARGS__},       \
                           .n = sizeof((const struct store_param[]){__VA_ARGS__}) / \
                                sizeof(struct store_param)})
#define NO_PARAMS ((struct store_params){.list = NULL})

/* heals_window_param: the seconds for which heals count, as in struct store_stuck_query. */
struct store_param heals_window_param(int64_t seconds);

/* text_stored: a text of ours as it is stored; rows_stored reads it. One in ASCII stands as it is, unless it
 * begins with a quotation mark; any other as a JSON string in ASCII: the database's encoding may lack its
 * characters. document_stored: a JSON document, which means the same before and after. NULL gives NULL;
 * caller frees. */
char *text_stored(const char *text);
char *document_stored(const char *json);
/* string_stored: a text of ours as a JSON string in ASCII, for what is read as a JSON document. Never NULL;
 * caller frees. */
char *string_stored(const char *text);

/* Lists for JSON_PARAM: of texts; of pairs [stage, grace]. Caller releases. */
json_t *json_texts(const char *const *texts, size_t n);
/* branch_json: a branch as SQL_BRANCHES_TAKEN takes it; caller releases. */
json_t *branch_json(const struct store_branch *branch);
json_t *json_graces(const struct store_stage_grace *stages, size_t n);

/* rows */

struct store_rows;

/* A field of the row that was read last. */
struct store_field {
    bool is_null, is_blob;
    const char *bytes; /* valid until the next row; never NULL */
    size_t len;
};
/* What a database does for its rows. */
struct store_rows_ops {
    bool (*next)(struct store_rows *rows); /* false: no more, or rows->err is the reason */
    int (*find)(const struct store_rows *rows, const char *name); /* a column's place; -1: there is none */
    struct store_field (*field)(const struct store_rows *rows, int column);
    int64_t (*number)(const struct store_rows *rows, int column); /* of null, 0; of a boolean, 0 or 1 */
    void (*close)(struct store_rows *rows);
};

#define ROWS_COLUMNS_KNOWN 32

struct store_rows {
    const struct store_rows_ops *ops; /* NULL: the statement failed */
    void *source, *conn;              /* the database's own */
    int row;
    enum err err;
    struct why *why;
    struct {
        const char *name;
        int column;
    } known[ROWS_COLUMNS_KNOWN]; /* columns that were asked for, in that order */
    size_t n_known, next_known;
};

/* store_query: a statement that reads, on any connection. */
struct store_rows store_query(struct store *store, unsigned which, struct store_params params,
                              struct why *why);
/* rows_failed: the rows of a statement that failed before it had any. */
struct store_rows rows_failed(enum err err);

/* rows_next: moves to the next row; false: there is none. rows_end: releases the rows and returns the first
 * error.
 */
bool rows_next(struct store_rows *rows);
ATTR_NODISCARD enum err rows_end(struct store_rows *rows);
/* rows_count: counts rows without reading them, and releases them; *ret_n may be NULL. */
ATTR_NODISCARD enum err rows_count(struct store_rows rows, size_t *ret_n);

/* A field of the row by its column's name. rows_text: valid UTF-8, within the limit; NULL for null; caller
 * frees. rows_own: a text that this program wrote, read whole. rows_stored: the same, of a text that
 * text_stored made. rows_place: an index into a list of n; false: out of range. */
struct store_field rows_field(struct store_rows *rows, const char *name);
bool rows_null(struct store_rows *rows, const char *name);
int64_t rows_int(struct store_rows *rows, const char *name);
bool rows_bool(struct store_rows *rows, const char *name);
char *rows_text(struct store_rows *rows, const char *name, size_t max);
char *rows_own(struct store_rows *rows, const char *name);
char *rows_stored(struct store_rows *rows, const char *name);
struct uuid_text rows_uuid(struct store_rows *rows, const char *name);
bool rows_place(struct store_rows *rows, const char *name, size_t n, size_t *ret);

/* rows_task: reads the columns TASK_COLUMNS; free with store_task_done. */
struct store_task rows_task(struct store_rows *rows);

/* list_room: the list, grown if needed, with room for one more element after its n. */
void *list_room(void *list, size_t n, size_t size);

/* writes */

struct store_step {
    unsigned which;
    struct store_params params;
    size_t *ret_rows; /* gets the number of rows that it returned; may be NULL */
};
/* store_write: these statements in one transaction. */
ATTR_NODISCARD enum err store_write(struct store *store, const struct store_step *steps, size_t n,
                                    struct why *why);

#endif
