#include "tests/support/clients/store/pg_server.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

#include "clients/base/err.h"
#include "clients/base/text.h"

static void fail(const char *what) __attribute__((noreturn));
static void fail(const char *what)
{
    fprintf(stderr, "pg_server: %s\n", what);
    exit(1);
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    if (!value)
        fail("no server: start the program by tests/postgres.sh");
    return value;
}

char *pg_server_url(const char *database)
{
    return mem_printf("postgresql://postgres@127.0.0.1:%d/%s", pg_server_port(), database);
}

int pg_server_port(void)
{
    int64_t port = 0;
    if (!parse_i64(variable("TEST_PG_PORT"), 1, UINT16_MAX, &port))
        fail("TEST_PG_PORT is no port");
    return (int)port;
}

const char *pg_server_folder(void)
{
    return variable("TEST_PG_FOLDER");
}

/* Copying the template takes half a second, dropping what a test left a few milliseconds. */
static void database_empty(const char *name)
{
    AUTO_FREE char *reset = mem_printf("ALTER DATABASE \"%s\" RESET ALL", name);
    pg_server_exec("postgres", reset);
    pg_server_exec(name, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                         " WHERE datname = current_database() AND pid <> pg_backend_pid();"
                         "DO $$ DECLARE name text; BEGIN FOR name IN SELECT nspname FROM pg_namespace"
                         " WHERE nspname !~ '^(pg_|information_schema$)' LOOP"
                         " EXECUTE format('DROP SCHEMA %I CASCADE', name); END LOOP; END $$;"
                         "CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC");
}

void pg_server_database(const char *name)
{
    AUTO_FREE char *look = mem_printf("SELECT 1 FROM pg_database WHERE datname = '%s'", name);
    AUTO_FREE char *create = mem_printf("CREATE DATABASE \"%s\"", name);
    AUTO_FREE char *there = pg_server_value("postgres", look);
    if (there)
        database_empty(name);
    else
        pg_server_exec("postgres", create);
}

char *pg_server_value(const char *database, const char *sql)
{
    AUTO_FREE char *url = pg_server_url(database);
    PGconn *connection = PQconnectdb(url);
    (void)PQsetNoticeProcessor(connection, NULL, NULL);
    if (PQstatus(connection) != CONNECTION_OK)
        fail(PQerrorMessage(connection));
    PQclear(PQexec(connection, "SET client_min_messages = warning"));
    PGresult *result = PQexec(connection, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY) {
        fprintf(stderr, "pg_server: %s\n", sql);
        fail(PQerrorMessage(connection));
    }
    char *value = PQntuples(result) > 0 && PQnfields(result) > 0 && !PQgetisnull(result, 0, 0)
                      ? mem_dup(PQgetvalue(result, 0, 0))
                      : NULL;
    PQclear(result);
    PQfinish(connection);
    return value;
}

void pg_server_exec(const char *database, const char *sql)
{
    free(pg_server_value(database, sql));
}

void pg_server_down(void)
{
    if (system("tests/postgres.sh --stop fast") != 0)
        fail("the server did not stop");
}

void pg_server_up(void)
{
    AUTO_FREE char *url = pg_server_url("postgres");
    if (PQping(url) != PQPING_OK && system("tests/postgres.sh --start") != 0)
        fail("the server did not start");
}

void pg_server_restart(void)
{
    pg_server_down();
    pg_server_up();
}
