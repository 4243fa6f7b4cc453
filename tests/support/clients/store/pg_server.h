/* pg_server.h - the tests' PostgreSQL server, which tests/postgres.sh started before the program.
 *
 * A problem of the server prints one line and ends the test program: no test could mean anything then. Every
 * function may be called from any thread.
 */
#ifndef RECONCILED_TESTS_PG_SERVER_H
#define RECONCILED_TESTS_PG_SERVER_H

/* pg_server_url: "postgresql://postgres@127.0.0.1:PORT/DATABASE". Caller frees. */
char *pg_server_url(const char *database);
/* pg_server_port, pg_server_folder: what the URL is made of, and where the socket is. */
int pg_server_port(void);
const char *pg_server_folder(void);

/* pg_server_database: an empty database of that name. One that exists is emptied and its connections ended.
 */
void pg_server_database(const char *name);

/* pg_server_exec: runs SQL (one or several statements) on a connection of its own as the superuser.
 * pg_server_value: the same; the first column of the first row of the last statement as text, caller frees;
 * NULL when there is no row or it is null. */
void pg_server_exec(const char *database, const char *sql);
char *pg_server_value(const char *database, const char *sql);

/* pg_server_down: stops the server, breaking its connections, and keeps its data. pg_server_up: starts it
 * again on the same port, unless it runs. pg_server_restart: both. Each returns when it is done. */
void pg_server_down(void);
void pg_server_up(void);
void pg_server_restart(void);

#endif
