/* What the columns are that store_columns.h has rules for, by PostgreSQL's catalogue and the rows. */
#include "clients/store/pg/store_pg.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/store/store_columns.h"

/* The columns of PG_COLUMNS. */
enum { COL_NTH, COL_SAID, COL_TYPE, COL_MODIFIER, COL_FILLED };

/* The lengths that PostgreSQL puts into the modifier of a type count these bytes too. */
enum { HEADER = 4, PRECISION_MAX = 18 /* decimal digits of which every number fits into 64 bits */ };

static bool is_among(const char *name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static bool is_integer(const char *type, int64_t modifier)
{
    static const char *const integers[] = {"int2", "int4", "int8"};
    if (strcmp(type, "numeric") == 0)
        return modifier >= HEADER && ((modifier - HEADER) & 0xffff) == 0 &&
               (modifier - HEADER) >> 16 <= PRECISION_MAX;
    return is_among(type, integers, ARRAY_LEN(integers));
}

static struct column_seen seen_read(const PGresult *result, int row)
{
    static const char *const texts[] = {"uuid", "text", "varchar", "bpchar", "citext"};
    const char *type = PQgetvalue(result, row, COL_TYPE);
    return (struct column_seen){
        .type = PQgetvalue(result, row, COL_SAID),
        .is = {[COLUMN_INTEGER] = is_integer(type, pg_int(result, row, COL_MODIFIER)),
               [COLUMN_UUID] = is_among(type, texts, ARRAY_LEN(texts)),
               [COLUMN_FILLED] = PQgetvalue(result, row, COL_FILLED)[0] == 't'},
    };
}

static enum err columns_ask(struct pg_conn *conn, PGresult **ret, struct why *why)
{
    json_t *columns = json_array();
    for (size_t i = 0; i < column_rules_n; i++) {
        json_t *column = json_object();
        json_put(column, "relation", json_text(column_rules[i].table));
        json_put(column, "attribute", json_text(column_rules[i].column));
        json_push(columns, column);
    }
    AUTO_FREE char *line = json_line(columns);
    json_decref(columns);
    const char *const params[] = {line};
    return pg_run(conn, PG_COLUMNS, params, ret, why);
}

/* The rule that a row of PG_COLUMNS is about; NULL: none. */
static const struct column_rule *rule_of(const PGresult *result, int row)
{
    int64_t nth = pg_int(result, row, COL_NTH);
    return nth >= 1 && (size_t)nth <= column_rules_n ? &column_rules[nth - 1] : NULL;
}

enum err pg_columns_check(struct pg_conn *conn, struct why *why)
{
    AUTO_RESULT PGresult *result = NULL;
    enum err err = columns_ask(conn, &result, why);
    for (int row = 0; !err && row < PQntuples(result); row++) {
        const struct column_rule *rule = rule_of(result, row);
        struct column_seen seen = seen_read(result, row);
        if (rule)
            err = column_check(rule, &seen, why);
    }
    return err;
}

/* A text column with room for the digits alone is meant for them: char(32), as many frameworks make it. */
static enum err room_read(struct pg_conn *conn, struct uuid_form *ret, struct why *why)
{
    static const char *const sized[] = {"varchar", "bpchar"};
    AUTO_RESULT PGresult *result = NULL;
    enum err err = columns_ask(conn, &result, why);
    for (int row = 0; !err && row < PQntuples(result); row++) {
        const struct column_rule *rule = rule_of(result, row);
        int64_t modifier = pg_int(result, row, COL_MODIFIER);
        if (rule && rule->kind == COLUMN_UUID &&
            is_among(PQgetvalue(result, row, COL_TYPE), sized, ARRAY_LEN(sized)))
            ret->bare = modifier >= HEADER && modifier - HEADER < UUID_TEXT_LEN;
    }
    return err;
}

struct looking {
    size_t limit;
    struct plane_ids_seen seen;
};

static enum err plane_ids_look(struct pg_conn *conn, void *arg, struct why *why)
{
    enum { COL_FORM, COL_COUNT, COL_TASK, COL_NEWEST };
    struct looking *looking = arg;
    struct plane_ids_seen seen = {0};
    AUTO_RESULT PGresult *result = NULL;
    char limit[PG_INT_SIZE];
    const char *const params[] = {pg_limit_text(looking->limit, limit)};
    enum err err = pg_run(conn, PG_PLANE_IDS, params, &result, why);
    for (int row = 0; !err && row < PQntuples(result); row++) {
        int64_t count = pg_int(result, row, COL_COUNT), task = pg_int(result, row, COL_TASK);
        switch (PQgetvalue(result, row, COL_FORM)[0]) {
        case 'k':
            seen.known = count;
            (void)uuid_form_of(PQgetvalue(result, row, COL_NEWEST), &seen.form);
            break;
        case 'h':
            seen.odd = count;
            seen.odd_task = task;
            break;
        default:
            seen.other = count;
            seen.other_task = task;
        }
    }
    if (!err && seen.known == 0)
        err = room_read(conn, &seen.form, why);
    looking->seen = seen;
    return err;
}

enum err pg_plane_ids(struct store *store, size_t limit, struct plane_ids_seen *ret, struct why *why)
{
    struct looking looking = {.limit = limit};
    enum err err = pg_call(store, plane_ids_look, &looking, why);
    if (!err)
        *ret = looking.seen;
    return err;
}
