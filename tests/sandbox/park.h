/* park.h - requests that wait: for a moment, until released, or until something happened.
 *
 * A parked request is a suspended connection; it costs no thread and no time, so thousands may hang at once.
 * One thread wakes those whose time has come. When a request goes on, its handler is called again and sees
 * why.
 */
#ifndef SANDBOX_PARK_H
#define SANDBOX_PARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct MHD_Connection;
struct park;

enum park_kind { PARK_DELAY, PARK_HANG, PARK_WATCH, PARK_KIND_MAX };
enum park_woken { PARK_NEVER, PARK_TIME_CAME, PARK_RELEASED, PARK_STOPPED };

struct park_place { /* embedded in the request, zeroed at first */
    struct MHD_Connection *connection;
    int64_t due_ms; /* monotonic; INT64_MAX: never */
    size_t at;      /* index in the heap + 1; 0: not parked */
    enum park_kind kind;
    enum park_woken woken;
};

struct park *park_new(void);
/* park_stop: wakes all and lets no thread park any more. park_free: after the HTTP server has ended. */
void park_stop(struct park *park);
void park_free(struct park *park);

/* park_here: suspends the connection for `ms` (-1: until released). From the request's own handler alone,
 * which must then return without an answer. False when stopping: nothing was suspended. */
bool park_here(struct park *park, struct park_place *place, struct MHD_Connection *connection,
               enum park_kind kind, int64_t ms);
/* park_release: wakes every request parked in this way; returns how many. */
size_t park_release(struct park *park, enum park_kind kind);
/* park_count: how many are parked in this way now. */
size_t park_count(struct park *park, enum park_kind kind);

#endif
