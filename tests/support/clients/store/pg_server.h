/* pg_server.h - a PostgreSQL server that belongs to one test program alone.
 *
 * It lives in a temporary folder (under $TMPDIR, else /tmp), listens on a free port of 127.0.0.1 and on a
 * socket in that folder, trusts everybody and never syncs. As root it runs as an unprivileged user. A keeper
 * process owns it: however the test program ends, exit, abort or SIGKILL, the keeper stops the server and
 * removes the folder. A problem of the fixture itself prints one line and ends the test program: no test
 * could mean anything then.
 *
 * Start it before the program has threads. The functions that only read `server`, and pg_server_exec and
 * pg_server_value, may be called from any thread.
 */
#ifndef RECONCILED_TESTS_PG_SERVER_H
#define RECONCILED_TESTS_PG_SERVER_H

struct pg_server;

/* pg_server_start: a running server that answers. End it with pg_server_stop; it also ends with the program.
 */
struct pg_server *pg_server_start(void);

/* pg_server_stop: stops the server, removes its folder and frees it. NULL is fine. */
void pg_server_stop(struct pg_server *server);

/* pg_server_url: "postgresql://postgres@127.0.0.1:PORT/DATABASE". Caller frees. */
char *pg_server_url(const struct pg_server *server, const char *database);
/* pg_server_port, pg_server_folder: what the URL is made of, and where the socket lives. */
int pg_server_port(const struct pg_server *server);
const char *pg_server_folder(const struct pg_server *server);

/* pg_server_database: an empty database of that name; one that is there is emptied and its connections ended.
 */
void pg_server_database(const struct pg_server *server, const char *name);

/* pg_server_exec: runs SQL (one or several statements) on a connection of its own as the superuser.
 * pg_server_value: the same; the first column of the first row of the last statement as text, caller frees;
 * NULL when there is no row or it is null. */
void pg_server_exec(const struct pg_server *server, const char *database, const char *sql);
char *pg_server_value(const struct pg_server *server, const char *database, const char *sql);

/* pg_server_down: stops the server, breaking its connections, and keeps its data. pg_server_up: starts it
 * again on the same port. pg_server_restart: both. Each returns when it is done. */
void pg_server_down(struct pg_server *server);
void pg_server_up(struct pg_server *server);
void pg_server_restart(struct pg_server *server);

#endif
