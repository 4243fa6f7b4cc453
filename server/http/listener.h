/* listener.h - our HTTP interface: a socket, libmicrohttpd's threads, deadlines, and a stop in order.
 *
 * Listener threads never wait: handlers that touch the database run on threads of their own (job_queue.h),
 * and those that wait for a pass leave their connection suspended (request_defer).
 *
 * With a certificate it speaks TLS 1.2 and 1.3 and nothing else. A handshake under way is a request that has
 * not come yet, with the same deadline and first to go when connections run short.
 */
#ifndef RECONCILED_LISTENER_H
#define RECONCILED_LISTENER_H

#include <stdint.h>

#include "clients/base/err.h"

struct app;
struct listen_address;
struct listener;
struct route;

struct listener_options {
    const struct listen_address *address;
    const char *token; /* NULL: none; then only a loopback address is listened on */
    /* PEM texts; NULL: plain HTTP. Read at the start alone. */
    const char *certificate, *key;
    const struct route *routes;
    struct app *app;
    unsigned workers;          /* 0: by the number of processors */
    unsigned connections;      /* 0: as many as workers and RLIMIT_NOFILE allow */
    int64_t (*clock_ms)(void); /* for the deadlines; NULL: clock_mono_ms */
};

/* listener_check: whether the process may open as many files as the service needs at least. */
ATTR_NODISCARD enum err listener_check(struct why *why);

/* listener_start: binds and serves. What `options` points to must outlive the listener. ERR_INVALID: the
 * address is not one to listen on without a token; ERR_UNAVAILABLE: it cannot be bound. */
ATTR_NODISCARD enum err listener_start(const struct listener_options *options, struct listener **ret,
                                       struct why *why);

/* listener_address: where it really listens, "127.0.0.1:8787" or "[::1]:8787", and for the name localhost on
 * both; NULL from the number of its addresses on. */
const char *listener_address(const struct listener *listener, size_t at);

/* listener_tick: keeps the deadlines; to be called every LIMIT_TICK_MS, by one thread. */
void listener_tick(struct listener *listener);

/* listener_drain: stops accepting, lets requests under way end for up to wait_ms. listener_stop: answers 503
 * to every waiting request, then closes everything and frees the listener. A request deferred and not yet
 * answered may still be answered later, into the void. NULL is fine. */
void listener_drain(struct listener *listener, int64_t wait_ms);
void listener_stop(struct listener *listener);

#endif
