/* store_pg_connect.h - making a connection to PostgreSQL within a bounded time. Private to the PostgreSQL
 * store.
 *
 * libpq resolves names in the calling thread, for as long as the resolver takes: connect_timeout does not
 * bound that. Its asynchronous functions block there too. So a thread makes the connection, and the caller
 * waits for a bounded time. Once the caller has given up for good, the thread frees what it made.
 */
#ifndef RECONCILED_STORE_PG_CONNECT_H
#define RECONCILED_STORE_PG_CONNECT_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "clients/base/err.h"

struct pg_connect;

/* pg_connect_start: the parameters are those of PQconnectdbParams, copied. */
ATTR_NODISCARD enum err pg_connect_start(char *const *keywords, char *const *values, struct pg_connect **ret,
                                         struct why *why);
/* pg_connect_wait: true once the attempt has succeeded or failed; false after wait_ms, or when stop_fd is
 * readable. */
bool pg_connect_wait(const struct pg_connect *connect, int stop_fd, int64_t wait_ms);
/* pg_connect_take: returns the result of PQconnectdbParams and frees `connect`, whose attempt must have
 * ended. */
PGconn *pg_connect_take(struct pg_connect *connect);
/* pg_connect_drop: the caller has given up for good. NULL is fine. */
void pg_connect_drop(struct pg_connect *connect);

#endif
