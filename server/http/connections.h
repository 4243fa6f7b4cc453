/* peers.h - the connections that are open, and how long each may keep us waiting.
 *
 * libmicrohttpd knows only an inactivity time-out, which one byte now and then defeats. Here each connection
 * has a deadline for what it is doing, and when connections run short the one that has kept us waiting
 * longest goes first. Whoever is being worked for is left alone.
 *
 * A connection is closed by shutdown(2) alone; the library then sees its end and closes the descriptor. The
 * descriptor stays valid while its peer is in the table: peers_remove runs before the library closes it.
 */
#ifndef RECONCILED_PEERS_H
#define RECONCILED_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peer;
struct peers;

enum peer_phase {
    PEER_NEW,     /* connected; no request line yet */
    PEER_READING, /* the request line is there, the rest is being read */
    PEER_WORKING, /* the request is whole; we are working, or it waits for a pass */
    PEER_SENDING, /* answered; the peer is taking the answer */
    PEER_IDLE,    /* between two requests */
    PEER_CLOSING, /* shut down by us */
};

/* peers_new: for at most `capacity` connections; `clock_ms` is a monotonic clock. */
struct peers *peers_new(size_t capacity, int64_t (*clock_ms)(void));
/* peers_free: every peer must have been removed. NULL is fine. */
void peers_free(struct peers *peers);

/* peers_add: a new connection. peers_remove: it is gone. */
struct peer *peers_add(struct peers *peers, int fd);
void peers_remove(struct peers *peers, struct peer *peer);

/* peers_make_room: when three quarters of the capacity are in use, closes the connection that has been new,
 * reading, sending or idle for longest. To be called before each new connection. */
void peers_make_room(struct peers *peers);

/* peer_enter: what the connection does from now on. By the connection's own thread alone; no lock. */
void peer_enter(struct peers *peers, struct peer *peer, enum peer_phase phase);

/* peers_reap: closes whoever is past the deadline of its phase (LIMIT_READ_MS, LIMIT_SEND_MS, LIMIT_IDLE_MS),
 * or has sent its end and has nothing under way. */
void peers_reap(struct peers *peers);

/* peers_drain: from now on a connection is closed as soon as it has nothing under way. */
void peers_drain(struct peers *peers);

/* peers_wait_empty: until no peer is left or wait_ms of real time have passed; true when none is left. */
bool peers_wait_empty(struct peers *peers, int64_t wait_ms);

size_t peers_count(struct peers *peers);

/* peers_added: how many were ever added. peers_wait_added: until it is no longer `seen`, or wait_ms of real
 * time have passed. */
uint64_t peers_added(struct peers *peers);
void peers_wait_added(struct peers *peers, uint64_t seen, int64_t wait_ms);

/* peer_fd: valid until peers_remove. */
int peer_fd(const struct peer *peer);

#endif
