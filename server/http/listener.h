/* listener.h - the HTTP interface: a socket, libmicrohttpd's threads, deadlines, and an orderly stop.
 *
 * Listener threads never wait: handlers that touch the database run on threads of their own (job_queue.h),
 * and those that wait for a pass leave their connection suspended (request_defer).
 *
 * With a certificate it accepts only TLS 1.2 and 1.3. A connection in its handshake is a CONNECTION_NEW: it
 * has the same deadline, and is among the first to be closed when few connections are left.
 */
#ifndef RECONCILED_LISTENER_H
#define RECONCILED_LISTENER_H

#include <stdint.h>

#include "clients/base/err.h"
#include "server/http/access.h"

struct app;
struct listen_address;
struct listener;
struct route;

struct listener_options {
    const struct listen_address *address;
    struct access_tokens tokens; /* none: then only a loopback address is allowed */
    /* PEM texts; NULL: plain HTTP. Read only at the start. */
    const char *certificate, *key;
    const struct route *routes;
    struct app *app;
    unsigned workers;          /* 0: by the number of processors */
    unsigned connections;      /* 0: as many as workers and RLIMIT_NOFILE allow */
    int64_t (*clock_ms)(void); /* for the deadlines; NULL: clock_mono_ms */
};

/* listener_check: ERR_OK if the process may open as many files as the service needs at least. */
ATTR_NODISCARD enum err listener_check(struct why *why);

/* listener_start: binds and serves. What `options` points to must outlive the listener. ERR_INVALID: without
 * a token this address is not allowed; ERR_UNAVAILABLE: it cannot be bound. */
ATTR_NODISCARD enum err listener_start(const struct listener_options *options, struct listener **ret,
                                       struct why *why);

/* listener_address: the address number `at` (from 0) that it listens on, "127.0.0.1:8787" or "[::1]:8787";
 * for the name localhost there are both. NULL if there are not so many. */
const char *listener_address(const struct listener *listener, size_t at);

/* listener_tick: enforces the deadlines. Call it every LIMIT_TICK_MS, in one thread. */
void listener_tick(struct listener *listener);

/* listener_drain: stops accepting, lets requests under way end for up to wait_ms. listener_stop: answers 503
 * to every waiting request, then closes everything and frees the listener. Requests that are still deferred
 * may be answered later; those answers are dropped. NULL is fine. */
void listener_drain(struct listener *listener, int64_t wait_ms);
void listener_stop(struct listener *listener);

#endif
