/* acceptor.h - the thread that accepts connections and hands them to libmicrohttpd's workers in turn.
 *
 * Why not the library's own accepting: its MHD_quiesce_daemon (0.9.75) races with its workers for taking the
 * listen socket out of their epoll sets, and the loser aborts the process; every worker wakes for every
 * connection; and the spread over the workers is a matter of luck, while each has a limit of its own.
 */
#ifndef RECONCILED_ACCEPTOR_H
#define RECONCILED_ACCEPTOR_H

#include <stddef.h>

#include "clients/base/err.h"

struct MHD_Daemon;
struct acceptor;
struct connections;

/* One for each address of the name localhost. */
enum { ACCEPTOR_SOCKETS_MAX = 2 };
struct acceptor_sockets {
    int fds[ACCEPTOR_SOCKETS_MAX];
    size_t n;
};
/* acceptor_sockets_close: those that no acceptor has taken. */
void acceptor_sockets_close(struct acceptor_sockets *sockets);

/* acceptor_start: takes the listening sockets. When nearly `capacity` connections are connected it lets the
 * next ones wait in the kernel's queue until some have been closed. */
ATTR_NODISCARD enum err acceptor_start(const struct acceptor_sockets *sockets_take, struct MHD_Daemon *daemon,
                                       struct connections *connections, size_t capacity,
                                       struct acceptor **ret, struct why *why);

/* acceptor_stop: no connection is accepted any more; frees it. NULL is fine. */
void acceptor_stop(struct acceptor *acceptor);

#endif
