/* pg_pooler.h - a pgbouncer between clients and the tests' PostgreSQL server, on a socket in a folder of its
 * own.
 *
 * A problem of it prints one line and ends the test program. One thread.
 */
#ifndef RECONCILED_TESTS_PG_POOLER_H
#define RECONCILED_TESTS_PG_POOLER_H

/* pg_pooler_start: `settings` are lines of its [pgbouncer] section, beside those for places;
 * none means its defaults. pg_pooler_stop: ends it and removes the folder; at the latest at the program's
 * end. */
void pg_pooler_start(const char *settings);
void pg_pooler_stop(void);

/* pg_pooler_url: that database, through it. Caller frees. */
char *pg_pooler_url(const char *database);

#endif
