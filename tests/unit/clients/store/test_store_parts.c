/* What the store does above its databases: rows read by name, the pauses of replays, the probe of the tables.
 */

#include "clients/base/embedded.h"
#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/store/store_ops.h"
#include "clients/store/store_schema.h"
#include "tests/support/test.h"

/* rows of one column, "n", whose value is the row's number */

static int lookups;

static bool next(struct store_rows *rows)
{
    return ++rows->row <= 3;
}

static int find(const struct store_rows *rows, const char *name)
{
    (void)rows;
    lookups++;
    return strcmp(name, "n") == 0 ? 0 : -1;
}

static struct store_field field(const struct store_rows *rows, int column)
{
    (void)rows;
    (void)column;
    return (struct store_field){.bytes = ""};
}

static int64_t number(const struct store_rows *rows, int column)
{
    (void)column;
    return rows->row;
}

static void done(struct store_rows *rows)
{
    rows->row = -1;
}

static struct store_rows rows_open(struct why *why)
{
    static const struct store_rows_ops ops = {
        .next = next, .find = find, .field = field, .number = number, .close = done};
    lookups = 0;
    return (struct store_rows){.ops = &ops, .why = why};
}

TEST(a_name_is_looked_up_once_per_result)
{
    struct store_rows rows = rows_open(NULL);
    int64_t sum = 0;
    while (rows_next(&rows))
        sum += rows_int(&rows, "n");
    assert_int_equal(rows_end(&rows), ERR_OK);
    assert_int_equal(sum, 1 + 2 + 3);
    assert_int_equal(lookups, 1);
}

TEST(a_column_that_is_not_there_ends_the_rows)
{
    struct why why = {""};
    struct store_rows rows = rows_open(&why);
    assert_true(rows_next(&rows));
    assert_int_equal(rows_int(&rows, "m"), 0);
    assert_int_equal(rows_int(&rows, "n"), 1);
    assert_false(rows_next(&rows));
    assert_int_equal(rows_end(&rows), ERR_INTERNAL);
    assert_non_null(strstr(why.text, "column m"));
}

TEST(a_place_beyond_the_list_ends_the_rows)
{
    struct store_rows rows = rows_open(NULL);
    size_t i = 0;
    assert_true(rows_next(&rows) && rows_place(&rows, "n", 2, &i));
    assert_int_equal(i, 1);
    assert_true(rows_next(&rows));
    assert_false(rows_place(&rows, "n", 2, &i));
    assert_int_equal(rows_end(&rows), ERR_INTERNAL);
}

TEST(a_statement_that_failed_has_no_rows)
{
    struct store_rows rows = rows_failed(ERR_TIMEOUT);
    assert_false(rows_next(&rows));
    assert_int_equal(rows_end(&rows), ERR_TIMEOUT);
}

/* replays */

TEST(pauses_double_up_to_the_longest)
{
    json_auto_t *pauses = replay_pauses();
    assert_int_equal(json_array_size(pauses), LIMIT_REPLAY_TRIES);
    json_int_t expected = LIMIT_REPLAY_PAUSE_S;
    for (size_t i = 0; i < json_array_size(pauses); i++) {
        assert_int_equal(json_integer_value(json_array_get(pauses, i)), expected);
        expected = expected * 2 > LIMIT_REPLAY_PAUSE_MAX_S ? LIMIT_REPLAY_PAUSE_MAX_S : expected * 2;
    }
}

/* tables */

TEST(the_probe_names_every_column_and_those_of_later_versions)
{
    static const char sql[] =
        "-- A comment; with a semicolon.\n\n"
        "CREATE TABLE a (\n    x text PRIMARY KEY,\n    y text CHECK (y IN ('p', 'q'))\n);\n"
        "CREATE UNIQUE INDEX a_y ON a (y);\n"
        "-- Later.\n"
        "ALTER TABLE a ADD COLUMN z text;\n";
    AUTO_FREE char *probe = schema_probe(sql, strlen(sql));
    assert_string_equal(probe,
                        "SELECT EXISTS (SELECT a.x, a.y FROM a LIMIT 0), EXISTS (SELECT a.z FROM a LIMIT 0)");
}

TEST(both_databases_have_the_same_columns)
{
    AUTO_FREE char *pg = schema_probe(embedded_schema_pg, embedded_schema_pg_len);
    AUTO_FREE char *sqlite = schema_probe(embedded_schema_sqlite, embedded_schema_sqlite_len);
    assert_string_equal(pg, sqlite);
}
