#include "server/http/acceptor.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clients/base/log.h"
#include "server/http/connections.h"

/* How many connections to accept before the table is read again, how long to wait for room or descriptors,
 * and how long at most for a worker to take a connection over. */
enum { ACCEPT_BURST = 16, ACCEPT_PAUSE_MS = 5, TAKE_OVER_MS = 1000 };

struct acceptor {
    struct acceptor_sockets sockets;
    int stop_fd;
    struct MHD_Daemon *daemon;
    struct connections *connections;
    size_t capacity;
    pthread_t thread;
};

/* False when there is nothing more to accept for now. */
static bool accept_one(struct acceptor *acceptor, int listen_fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    int fd = accept4(listen_fd, (struct sockaddr *)&address, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        /* One at a time: a worker counts a connection only after taking it over, and a worker that gets more
         * than its limit never releases a lock (0.9.75, new_connection_process_). While no connection is on
         * its way, the counts are exact, and the library refuses and closes a connection that no worker has
         * room for. */
        uint64_t seen = connections_added(acceptor->connections);
        if (MHD_add_connection(acceptor->daemon, fd, (struct sockaddr *)&address, len) == MHD_YES)
            connections_wait_added(acceptor->connections, seen, TAKE_OVER_MS);
        return true;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        log_warn("a connection waits: no descriptor or memory for it");
        struct pollfd stop = {.fd = acceptor->stop_fd, .events = POLLIN};
        (void)poll(&stop, 1, ACCEPT_PAUSE_MS * 100);
        return false;
    }
    /* accept(2): errors of the new connection itself are reported here too; only an empty queue ends the
     * burst.
     */
    return errno != EAGAIN && errno != EWOULDBLOCK;
}

static void *accept_all(void *arg)
{
    struct acceptor *acceptor = arg;
    for (;;) {
        bool full = connections_count(acceptor->connections) >= acceptor->capacity / 8 * 7;
        const struct acceptor_sockets *sockets = &acceptor->sockets;
        struct pollfd polls[1 + ACCEPTOR_SOCKETS_MAX] = {{.fd = acceptor->stop_fd, .events = POLLIN}};
        for (size_t i = 0; i < sockets->n; i++)
            polls[1 + i] = (struct pollfd){.fd = sockets->fds[i], .events = POLLIN};
        (void)poll(polls, full ? 1 : 1 + sockets->n, full ? ACCEPT_PAUSE_MS : -1);
        if (polls[0].revents)
            return NULL;
        connections_make_room(acceptor->connections);
        for (size_t at = 0; !full && at < sockets->n; at++)
            for (int i = 0; i < ACCEPT_BURST && accept_one(acceptor, sockets->fds[at]); i++)
                connections_make_room(acceptor->connections);
    }
}

void acceptor_sockets_close(struct acceptor_sockets *sockets)
{
    while (sockets->n > 0)
        close(sockets->fds[--sockets->n]);
}

enum err acceptor_start(const struct acceptor_sockets *sockets_take, struct MHD_Daemon *daemon,
                        struct connections *connections, size_t capacity, struct acceptor **ret,
                        struct why *why)
{
    struct acceptor *acceptor = mem_zero(1, sizeof *acceptor);
    *acceptor = (struct acceptor){.sockets = *sockets_take,
                                  .stop_fd = eventfd(0, EFD_CLOEXEC),
                                  .daemon = daemon,
                                  .connections = connections,
                                  .capacity = capacity};
    if (acceptor->stop_fd < 0 || pthread_create(&acceptor->thread, NULL, accept_all, acceptor) != 0) {
        if (acceptor->stop_fd >= 0)
            close(acceptor->stop_fd);
        acceptor_sockets_close(&acceptor->sockets);
        free(acceptor);
        return why_set(why, ERR_INTERNAL, "the thread that accepts connections cannot be started");
    }
    pthread_setname_np(acceptor->thread, "acceptor");
    *ret = acceptor;
    return ERR_OK;
}

void acceptor_stop(struct acceptor *acceptor)
{
    if (!acceptor)
        return;
    (void)eventfd_write(acceptor->stop_fd, 1);
    pthread_join(acceptor->thread, NULL);
    close(acceptor->stop_fd);
    acceptor_sockets_close(&acceptor->sockets);
    free(acceptor);
}
