/* connections.h - the open connections, and how long each may take for what it does.
 *
 * libmicrohttpd knows only an inactivity time-out, which one byte now and then defeats. Here each connection
 * has a deadline for its phase, and when few are left, the one that has been waited for longest is closed
 * first. A connection in CONNECTION_WORKING is never closed.
 *
 * A connection is closed by shutdown(2) alone; the library then sees its end and closes the descriptor. The
 * descriptor stays valid while it is in the table: connections_remove runs before the library closes it.
 */
#ifndef RECONCILED_CONNECTIONS_H
#define RECONCILED_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client_connection;
struct connections;

enum connection_phase {
    CONNECTION_NEW,     /* connected; no request line yet */
    CONNECTION_READING, /* the request line is there, the rest is being read */
    CONNECTION_WORKING, /* the request is whole; we are working, or it waits for a pass */
    CONNECTION_SENDING, /* answered; the peer is taking the answer */
    CONNECTION_IDLE,    /* between two requests */
    CONNECTION_CLOSING, /* shut down by us */
};

/* connections_new: for at most `capacity` connections; `clock_ms` is a monotonic clock. */
struct connections *connections_new(size_t capacity, int64_t (*clock_ms)(void));
/* connections_free: every connection must have been removed. NULL is fine. */
void connections_free(struct connections *connections);

/* connections_add: adds a new connection. connections_remove: removes one that has ended. */
struct client_connection *connections_add(struct connections *connections, int fd);
void connections_remove(struct connections *connections, struct client_connection *client);

/* connections_make_room: when three quarters of the capacity are in use, closes the connection that has been
 * new, reading, sending or idle for longest. To be called before each new connection. */
void connections_make_room(struct connections *connections);

/* connection_enter: sets the phase of a connection. Call it only in the connection's own thread; takes no
 * lock. */
void connection_enter(struct connections *connections, struct client_connection *client,
                      enum connection_phase phase);

/* connections_reap: closes connections past the deadline of their phase (LIMIT_READ_MS, LIMIT_SEND_MS,
 * LIMIT_IDLE_MS), and those whose peer has closed its side while no request is under way. */
void connections_reap(struct connections *connections);

/* connections_drain: from now on a connection is closed as soon as it has nothing under way. */
void connections_drain(struct connections *connections);

/* connections_wait_empty: waits until no connection is left (true) or wait_ms of real time have passed
 * (false).
 */
bool connections_wait_empty(struct connections *connections, int64_t wait_ms);

size_t connections_count(struct connections *connections);

/* connections_added: how many were added in total. connections_wait_added: waits until that number is not
 * `seen`, or wait_ms of real time have passed. */
uint64_t connections_added(struct connections *connections);
void connections_wait_added(struct connections *connections, uint64_t seen, int64_t wait_ms);

/* connection_fd: valid until connections_remove. */
int connection_fd(const struct client_connection *client);

#endif
