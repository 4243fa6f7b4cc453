/* acceptor.h - the thread that accepts connections and hands them to libmicrohttpd's workers in turn.
 *
 * The library's own accepting is not used. In 0.9.75 MHD_quiesce_daemon and the workers race to remove the
 * listen socket from their epoll sets, and the loser aborts the process. Every worker wakes for every
 * connection. And connections are spread by chance over the workers, each of which has its own limit.
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
/* acceptor_sockets_close: closes sockets that no acceptor has taken. */
void acceptor_sockets_close(struct acceptor_sockets *sockets);

/* acceptor_start: takes the listening sockets. When nearly `capacity` connections are open, further ones wait
 * in the kernel's queue until some have been closed. */
ATTR_NODISCARD enum err acceptor_start(const struct acceptor_sockets *sockets_take, struct MHD_Daemon *daemon,
                                       struct connections *connections, size_t capacity,
                                       struct acceptor **ret, struct why *why);

/* acceptor_stop: stops accepting and frees the acceptor. NULL is fine. */
void acceptor_stop(struct acceptor *acceptor);

#endif
