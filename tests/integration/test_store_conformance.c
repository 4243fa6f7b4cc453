/* The conformance suite of the store, on SQLite and on PostgreSQL. "test_store_conformance sqlite" runs one.
 */
#include "tests/support/store_suite.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/pg_server.h"
#include "tests/support/sqlite_file.h"
#include "tests/support/store_version_1.h"

static char *sqlite_create(void)
{
    sqlite_file_make();
    return mem_dup(sqlite_file_url());
}

static const struct suite_backend on_sqlite = {
    .name = "SQLite",
    .create = sqlite_create,
    .create_raw = sqlite_create,
    .destroy = sqlite_file_remove,
    .exec = sqlite_file_exec,
    .value = sqlite_file_value,
    .ago = "datetime('now', (-1 * %lld) || ' seconds')",
    .instant_type = "TEXT",
    .dump = sqlite_file_dump,
    .bytes = "CAST(x'%s' AS TEXT)",
    .version_1 = store_version_1_sqlite,
};

#define PG_DATABASE "conformance"
#define PG_DATABASE_RAW "conformance_raw"
static struct pg_server *server;
static const char *pg_database; /* of the test that runs */

static char *pg_create(void)
{
    pg_database = PG_DATABASE;
    pg_server_database(server, pg_database);
    return pg_server_url(server, pg_database);
}

static char *pg_create_raw(void)
{
    pg_database = PG_DATABASE_RAW;
    pg_server_exec(server, "postgres", "DROP DATABASE IF EXISTS " PG_DATABASE_RAW " WITH (FORCE)");
    pg_server_exec(server, "postgres",
                   "CREATE DATABASE " PG_DATABASE_RAW " TEMPLATE template0 ENCODING 'SQL_ASCII'"
                   " LC_COLLATE 'C' LC_CTYPE 'C'");
    return pg_server_url(server, pg_database);
}

static void pg_destroy(void)
{
    /* The next create drops it. */
}

static void pg_exec(const char *sql)
{
    pg_server_exec(server, pg_database, sql);
}

static char *pg_value(const char *sql)
{
    return pg_server_value(server, pg_database, sql);
}

static const struct suite_backend on_postgresql = {
    .name = "PostgreSQL",
    .create = pg_create,
    .create_raw = pg_create_raw,
    .destroy = pg_destroy,
    .exec = pg_exec,
    .value = pg_value,
    .ago = "(now() - interval '1 second' * %lld)",
    .instant_type = "timestamptz",
    .dump =
        "SELECT coalesce(string_agg(line, E'\\n' ORDER BY line), '') FROM (SELECT 'task ' || t::text AS line"
        " FROM tasks t UNION ALL SELECT 'job ' || j::text FROM jobs j) lines",
    .bytes = "convert_from(decode('%s', 'hex'), 'SQL_ASCII')",
    .version_1 = store_version_1_postgresql,
};

int main(int argc, char **argv)
{
    const char *only = argc > 1 ? argv[1] : "";
    int failed = 0;
    if (strcmp(only, "postgresql") != 0)
        failed += store_suite_run(&on_sqlite);
    if (strcmp(only, "sqlite") != 0) {
        server = pg_server_start();
        failed += store_suite_run(&on_postgresql);
        pg_server_stop(server);
    }
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
