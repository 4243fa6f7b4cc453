#include "clients/store/store_schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/store/store_ops.h"

/* The version of our tables that this program makes and knows. */
#define VERSION 5

/* Rows that must be there: transitions lock the settings. */
static const char *const fills[] = {
    "INSERT INTO reconcile_settings (id, revision, overrides) VALUES (1, 0, '{}') ON CONFLICT (id) DO "
    "NOTHING",
    "INSERT INTO reconcile_schema (version) VALUES (" STORE_DIGITS(
        VERSION) ") ON CONFLICT (version) DO NOTHING",
};

/* reading schema.sql */

#define NAME_SIZE 64

/* One statement of it: CREATE TABLE table (…), CREATE [UNIQUE] INDEX name ON table (…), or ALTER TABLE table
 * ADD COLUMN name type. */
struct part {
    enum { PART_TABLE, PART_INDEX, PART_COLUMN } kind;
    char table[NAME_SIZE], name[NAME_SIZE];
    const char *at, *end, *body; /* body: behind the names */
};

static const char *word_take(const char *at, char ret[NAME_SIZE])
{
    at += strspn(at, " ");
    size_t len = strcspn(at, " \n(");
    (void)snprintf(ret, NAME_SIZE, "%.*s", (int)len, at);
    return at + len;
}

static const char *words_skip(const char *at, int n)
{
    char word[NAME_SIZE];
    while (n-- > 0)
        at = word_take(at, word);
    return at;
}

static bool begins(const char *at, const char *words)
{
    return strncmp(at, words, strlen(words)) == 0;
}

/* The statement at *at, behind which it goes. False: there is none. */
static bool part_take(const char **at, const char *end, struct part *ret)
{
    const char *from = *at;
    while (from < end && (*from == '\n' || begins(from, "--")))
        from += strcspn(from, "\n") + 1;
    if (from >= end)
        return false;
    *ret = (struct part){.at = from, .end = strstr(from, ";\n")};
    if (begins(from, "CREATE TABLE ")) {
        ret->kind = PART_TABLE;
        ret->body = word_take(words_skip(from, 2), ret->table);
    } else if (begins(from, "ALTER TABLE ")) {
        ret->kind = PART_COLUMN;
        ret->body = word_take(words_skip(word_take(words_skip(from, 2), ret->table), 2), ret->name);
    } else {
        ret->kind = PART_INDEX;
        ret->body = word_take(words_skip(from, begins(from, "CREATE UNIQUE ") ? 3 : 2), ret->name);
        ret->body = word_take(words_skip(ret->body, 1), ret->table);
    }
    *at = ret->end + 2;
    return true;
}

/* what is missing */

static enum err has(const struct schema *schema, const char *name, const char *column, bool *ret,
                    struct why *why)
{
    size_t n = 0;
    enum err err = rows_count(
        schema->query(schema->conn, SQL_SCHEMA_HAS, PARAMS(TEXT_PARAM(name), TEXT_PARAM(column)), why), &n);
    *ret = n > 0;
    return err;
}

/* `made`: the table that was made last. */
static enum err is_missing(const struct schema *schema, const struct part *part, const char *made, bool *ret,
                           struct why *why)
{
    bool there = true, may_index = begins(part->table, "reconcile_") || strcmp(part->table, made) == 0;
    enum err err = ERR_OK;
    if (part->kind == PART_TABLE)
        err = has(schema, part->table, NULL, &there, why);
    else if (part->kind == PART_COLUMN)
        err = has(schema, part->table, part->name, &there, why);
    else if (may_index)
        err = has(schema, part->name, NULL, &there, why);
    *ret = !there;
    return err;
}

bool schema_is_newer(int64_t version)
{
    return version > VERSION;
}

enum err schema_version_check(struct store_rows rows, int64_t *ret_version, struct why *why)
{
    int64_t version = rows_next(&rows) ? rows_int(&rows, "version") : 0;
    enum err err = rows_end(&rows);
    if (!err && schema_is_newer(version))
        return why_set(why, ERR_UNAVAILABLE,
                       "the tables are of version %" PRId64 ", and this program knows versions up to %d:"
                       " install the newer program again",
                       version, VERSION);
    if (!err)
        *ret_version = version;
    return err;
}

/* 0 when the version of the tables is not recorded. */
static enum err version_read(const struct schema *schema, int64_t *ret_version, struct why *why)
{
    bool there;
    enum err err = has(schema, "reconcile_schema", NULL, &there, why);
    *ret_version = 0;
    if (err || !there)
        return err;
    return schema_version_check(schema->query(schema->conn, SQL_SCHEMA_VERSION, NO_PARAMS, why), ret_version,
                                why);
}

enum err schema_is_complete(const struct schema *schema, bool *ret_complete, struct why *why)
{
    int64_t version;
    struct part part;
    enum err err = version_read(schema, &version, why);
    bool missing = version != VERSION;
    for (const char *at = schema->sql; !err && !missing && part_take(&at, schema->sql + schema->len, &part);)
        err = is_missing(schema, &part, "", &missing, why);
    *ret_complete = !missing;
    return err;
}

enum err schema_complete(const struct schema *schema, size_t *ret_created, struct why *why)
{
    int64_t version;
    bool missing;
    char made[NAME_SIZE] = "";
    struct part part;
    *ret_created = 0;
    enum err err = version_read(schema, &version, why);
    for (const char *at = schema->sql; !err && part_take(&at, schema->sql + schema->len, &part);) {
        if ((err = is_missing(schema, &part, made, &missing, why)) || !missing)
            continue;
        AUTO_FREE char *sql = mem_dupn(part.at, (size_t)(part.end - part.at));
        err = schema->run(schema->conn, sql, why);
        if (part.kind != PART_TABLE)
            continue;
        memcpy(made, part.table, sizeof made);
        ++*ret_created;
    }
    for (size_t i = 0; !err && i < ARRAY_LEN(fills); i++)
        err = schema->run(schema->conn, fills[i], why);
    return err;
}

/* is it all there */

/* A column of a table is the first word of a line that begins with a space. Each call takes one, and its
 * type; *line is NULL at first. */
static bool column_take(const struct part *part, const char **line, char ret[NAME_SIZE],
                        char ret_type[NAME_SIZE])
{
    *line = strchr(*line ? *line : part->body, '\n') + 1;
    if (**line != ' ')
        return false;
    (void)word_take(word_take(*line, ret), ret_type);
    ret_type[strcspn(ret_type, ",")] = '\0';
    return true;
}

static void columns_print(struct buffer *out, const struct part *part)
{
    const char *separator = "", *line = NULL;
    char column[NAME_SIZE], type[NAME_SIZE];
    while (column_take(part, &line, column, type)) {
        buffer_printf(out, "%s%s.%s", separator, part->table, column);
        separator = ", ";
    }
}

char *schema_probe(const char *sql, size_t len)
{
    struct buffer out = {.max = LIMIT_OWN_TEXT};
    const char *separator = "SELECT ";
    struct part part;
    for (const char *at = sql; part_take(&at, sql + len, &part);) {
        if (part.kind == PART_INDEX)
            continue;
        buffer_printf(&out, "%sEXISTS (SELECT ", separator);
        if (part.kind == PART_TABLE)
            columns_print(&out, &part);
        else
            buffer_printf(&out, "%s.%s", part.table, part.name);
        buffer_printf(&out, " FROM %s LIMIT 0)", part.table);
        separator = ", ";
    }
    return buffer_take(&out);
}

/* what helps */

/* Adds the columns of a table that are missing; all are if the table is. */
static enum err add_missing(const struct schema *schema, const struct part *part, struct buffer *names,
                            struct buffer *statements, struct why *why)
{
    char column[NAME_SIZE], type[NAME_SIZE];
    const char *line = NULL, *separator = " ";
    bool there;
    enum err err = has(schema, part->table, NULL, &there, why);
    if (!err && !there)
        buffer_printf(names, "%s%s", names->len ? ", " : "", part->table);
    while (!err && there && column_take(part, &line, column, type)) {
        bool has_column;
        if ((err = has(schema, part->table, column, &has_column, why)) || has_column)
            continue;
        buffer_printf(names, "%s%s.%s", names->len ? ", " : "", part->table, column);
        if (*separator == ' ')
            buffer_printf(statements, "%sALTER TABLE %s", statements->len ? "; " : "", part->table);
        buffer_printf(statements, "%sADD COLUMN %s %s", separator, column, type);
        separator = ", ";
    }
    return err;
}

enum err schema_missing(const struct schema *schema, enum err failed, struct why *why)
{
    struct buffer names = {.max = LIMIT_OWN_TEXT}, statements = {.max = LIMIT_OWN_TEXT};
    const struct why first = *why;
    struct part part;
    enum err err = ERR_OK;
    for (const char *at = schema->sql; !err && part_take(&at, schema->sql + schema->len, &part);)
        if (part.kind == PART_TABLE)
            err = add_missing(schema, &part, &names, &statements, why);
    AUTO_FREE char *missing = buffer_take(&names);
    AUTO_FREE char *alter = buffer_take(&statements);
    *why = first;
    if (err || !*missing)
        return failed;
    AUTO_FREE char *words = mem_printf("%s; missing: %s; right would be: %s", first.text, missing,
                                       *alter ? alter : "reconciled migrate");
    if (strlen(words) < sizeof why->text)
        return why_set(why, failed, "%s", words);
    return why_set(why, failed, "%s; missing: %s", first.text, missing);
}
