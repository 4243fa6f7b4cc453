/* wire.h - the HTTP side: takes requests in, lets faults have their way, sends answers.
 *
 * poll, not epoll: with hundreds of connections, libmicrohttpd's epoll loop stalls whenever a multiple of 128
 * of them is ready at once, and suspended connections cost poll nothing.
 */
#ifndef SANDBOX_WIRE_H
#define SANDBOX_WIRE_H

#include "clients/base/err.h"

struct sandbox;
struct wire;

/* wire_start: listens on 127.0.0.1; port 0 picks one. sandbox->port is set. wire_stop: wakes who is parked,
 * ends. */
ATTR_NODISCARD enum err wire_start(struct sandbox *sandbox, int port, struct wire **ret, struct why *why);
void wire_stop(struct wire *wire);

#endif
