#include "clients/store/store_columns.h"

#include <inttypes.h>

#include "clients/base/limits.h"

const struct column_rule column_rules[] = {
    {"tasks", "id", COLUMN_INTEGER},
    {"tasks", "plane_id", COLUMN_UUID},
    {"jobs", "id", COLUMN_FILLED},
};
const size_t column_rules_n = ARRAY_LEN(column_rules);

static const struct {
    const char *is_not, *right;
} kinds[COLUMN_KINDS_] = {
    [COLUMN_INTEGER] = {"is no integer", "an integer type"},
    [COLUMN_UUID] = {"can hold no UUID that is understood here", "uuid or a text type"},
    [COLUMN_FILLED] = {"is not filled in by the database in new rows",
                       "an identity, a default, or INTEGER PRIMARY KEY in SQLite"},
};

enum err column_check(const struct column_rule *rule, const struct column_seen *seen, struct why *why)
{
    if (seen->is[rule->kind])
        return ERR_OK;
    AUTO_FREE char *type = text_cut(*seen->type ? seen->type : "no type", 40);
    return why_set(why, ERR_UNAVAILABLE, "the column %s.%s (%s) %s; right would be: %s", rule->table,
                   rule->column, type, kinds[rule->kind].is_not, kinds[rule->kind].right);
}

enum err plane_ids_check(const struct plane_ids_seen *seen, struct why *why)
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
