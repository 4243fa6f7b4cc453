#include "clients/store/store_columns.h"

#include <inttypes.h>
#include <string.h>

#include "clients/base/jsonx.h"

/* types */

static const struct column_rule column_rules[] = {
    {"tasks", "id", "is_integer"},    {"tasks", "plane_id", "is_uuid"},   {"tasks", "repo", "is_text"},
    {"tasks", "branch", "is_text"},   {"tasks", "updated_at", "is_time"}, {"jobs", "id", "is_filled"},
    {"jobs", "task_id", "is_number"}, {"jobs", "updated_at", "is_time"},
};
const struct column_rule column_ids_filled = {"tasks", "id", "is_filled"};

static const struct {
    const char *must, *is_not, *right;
} kinds[] = {
    {"is_integer", "is no integer", "an integer type"},
    {"is_uuid", "can hold no UUID that is understood here", "uuid or a text type"},
    {"is_filled", "is not filled in by the database in new rows",
     "an identity, a default, or INTEGER PRIMARY KEY in SQLite"},
    {"is_text", "is no text", "a text type"},
    {"is_time", "is no timestamp", "timestamptz"},
    {"is_number", "is no number", "the type of tasks.id"},
};

json_t *columns_list(const struct column_rule *rules, size_t n)
{
    json_t *columns = json_array();
    for (size_t i = 0; i < n; i++) {
        const char *const column[] = {rules[i].table, rules[i].column};
        json_push(columns, json_texts(column, ARRAY_LEN(column)));
    }
    return columns;
}

static enum err refuse(const struct column_rule *rule, const char *type, struct why *why)
{
    size_t k = 0;
    while (strcmp(kinds[k].must, rule->must) != 0)
        k++;
    return why_set(why, ERR_UNAVAILABLE, "the column %s.%s (%s) %s; right would be: %s", rule->table,
                   rule->column, type && *type ? type : "no type", kinds[k].is_not, kinds[k].right);
}

enum err columns_check(struct store_rows rows, const struct column_rule *rules, size_t n, struct why *why)
{
    enum { TYPE_SHOWN = 40 };
    enum err refused = ERR_OK;
    size_t i;
    while (!refused && rows_next(&rows) && rows_place(&rows, "i", n, &i)) {
        AUTO_FREE char *type = rows_text(&rows, "type", TYPE_SHOWN);
        if (!rows_bool(&rows, rules[i].must))
            refused = refuse(&rules[i], type, why);
    }
    enum err err = rows_end(&rows);
    return err ? err : refused;
}

enum err columns_ready(struct store *store, struct why *why)
{
    json_auto_t *columns = columns_list(column_rules, ARRAY_LEN(column_rules));
    return columns_check(store_query(store, SQL_COLUMNS, PARAMS(JSON_PARAM(columns)), why), column_rules,
                         ARRAY_LEN(column_rules), why);
}

/* UUIDs */

/* What tasks.plane_id holds in the rows that were looked at. */
struct seen {
    int64_t known;                /* UUIDs that uuid_read knows */
    int64_t odd;                  /* UUIDs written otherwise, and bytes */
    int64_t other;                /* texts that are no UUIDs, or are written in a way of their own */
    int64_t odd_task, other_task; /* one of those tasks each */
    struct uuid_form form;
};

static void seen_read(struct store_rows *rows, struct seen *seen)
{
    int64_t count = rows_int(rows, "count"), task = rows_int(rows, "task");
    switch (rows_field(rows, "form").bytes[0]) {
    case 'k':
        seen->known = count;
        (void)uuid_form_of(rows_field(rows, "newest").bytes, &seen->form);
        break;
    case 'h':
        seen->odd = count;
        seen->odd_task = task;
        break;
    default:
        seen->other = count;
        seen->other_task = task;
    }
}

/* A text column with room for only the digits is meant for them: char(32), as many frameworks make it. */
static enum err room_read(struct store *store, struct uuid_form *ret, struct why *why)
{
    static const struct column_rule plane_id = {"tasks", "plane_id", "is_uuid"};
    json_auto_t *columns = columns_list(&plane_id, 1);
    struct store_rows rows = store_query(store, SQL_COLUMNS, PARAMS(JSON_PARAM(columns)), why);
    while (rows_next(&rows)) {
        int64_t room = rows_int(&rows, "room");
        ret->bare = room > 0 && room < UUID_TEXT_LEN;
    }
    return rows_end(&rows);
}

static enum err seen_check(const struct seen *seen, struct why *why)
{
    static const char right[] = "32 hex digits of one case, with or without hyphens, and nothing else";
    if (seen->odd > 0)
        return why_set(why, ERR_UNAVAILABLE,
                       "the column tasks.plane_id holds UUIDs in a form that is not understood: %" PRId64
                       " rows, among them task %" PRId64 "; right would be: %s",
                       seen->odd, seen->odd_task, right);
    if (seen->other > 0 && seen->known == 0)
        return why_set(why, ERR_UNAVAILABLE,
                       "the column tasks.plane_id holds no UUID, but %" PRId64
                       " other values, among them that of task %" PRId64 "; right would be: %s",
                       seen->other, seen->other_task, right);
    return ERR_OK;
}

/* A view may take long to find its newest rows. Their form is then not known, and the check passes. */
enum err plane_ids_check(struct store *store, size_t limit, struct uuid_form *ret_form, struct why *why)
{
    struct seen seen = {0};
    struct store_rows rows = store_query(store, SQL_PLANE_IDS, PARAMS(LIMIT_PARAM(limit)), why);
    while (rows_next(&rows))
        seen_read(&rows, &seen);
    enum err err = rows_end(&rows);
    if (!err && seen.known == 0)
        err = room_read(store, &seen.form, why);
    if (err == ERR_TIMEOUT)
        seen = (struct seen){0};
    else if (err)
        return err;
    *ret_form = seen.form;
    return seen_check(&seen, why);
}
