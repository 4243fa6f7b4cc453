/* What the store does above its databases: rows read by name, the pauses of replays, the probe of the tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clients/base/embedded.h"
#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/store/store_ops.h"
#include "clients/store/store_schema.h"

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

static void a_name_is_looked_up_once_per_result(void **state)
{
    (void)state;
    struct store_rows rows = rows_open(NULL);
    int64_t sum = 0;
    while (rows_next(&rows))
        sum += rows_int(&rows, "n");
    assert_int_equal(rows_end(&rows), ERR_OK);
    assert_int_equal(sum, 1 + 2 + 3);
    assert_int_equal(lookups, 1);
}

static void a_column_that_is_not_there_ends_the_rows(void **state)
{
    (void)state;
    struct why why = {""};
    struct store_rows rows = rows_open(&why);
    assert_true(rows_next(&rows));
    assert_int_equal(rows_int(&rows, "m"), 0);
    assert_int_equal(rows_int(&rows, "n"), 1);
    assert_false(rows_next(&rows));
    assert_int_equal(rows_end(&rows), ERR_INTERNAL);
    assert_non_null(strstr(why.text, "column m"));
}

static void a_place_beyond_the_list_ends_the_rows(void **state)
{
    (void)state;
    struct store_rows rows = rows_open(NULL);
    size_t i = 0;
    assert_true(rows_next(&rows) && rows_place(&rows, "n", 2, &i));
    assert_int_equal(i, 1);
    assert_true(rows_next(&rows));
    assert_false(rows_place(&rows, "n", 2, &i));
    assert_int_equal(rows_end(&rows), ERR_INTERNAL);
}

static void a_statement_that_failed_has_no_rows(void **state)
{
    (void)state;
    struct store_rows rows = rows_failed(ERR_TIMEOUT);
    assert_false(rows_next(&rows));
    assert_int_equal(rows_end(&rows), ERR_TIMEOUT);
}

/* replays */

static void pauses_double_up_to_the_longest(void **state)
{
    (void)state;
    json_auto_t *pauses = replay_pauses();
    assert_int_equal(json_array_size(pauses), LIMIT_REPLAY_TRIES);
    json_int_t expected = LIMIT_REPLAY_PAUSE_S;
    for (size_t i = 0; i < json_array_size(pauses); i++) {
        assert_int_equal(json_integer_value(json_array_get(pauses, i)), expected);
        expected = expected * 2 > LIMIT_REPLAY_PAUSE_MAX_S ? LIMIT_REPLAY_PAUSE_MAX_S : expected * 2;
    }
}

/* tables */

static void the_probe_names_every_column_and_those_of_later_versions(void **state)
{
    (void)state;
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

static void both_databases_have_the_same_columns(void **state)
{
    (void)state;
    AUTO_FREE char *pg = schema_probe(embedded_schema_pg, embedded_schema_pg_len);
    AUTO_FREE char *sqlite = schema_probe(embedded_schema_sqlite, embedded_schema_sqlite_len);
    assert_string_equal(pg, sqlite);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_looked_up_once_per_result),
        cmocka_unit_test(a_column_that_is_not_there_ends_the_rows),
        cmocka_unit_test(a_place_beyond_the_list_ends_the_rows),
        cmocka_unit_test(a_statement_that_failed_has_no_rows),
        cmocka_unit_test(pauses_double_up_to_the_longest),
        cmocka_unit_test(the_probe_names_every_column_and_those_of_later_versions),
        cmocka_unit_test(both_databases_have_the_same_columns),
    };
    return cmocka_run_group_tests_name("the store above its databases", tests, NULL, NULL);
}
