/* clock.h - the source of time, random numbers and waiting, for code that also runs under a simulated clock.
 * Thread-safe.
 */
#ifndef RECONCILED_BASE_CLOCK_H
#define RECONCILED_BASE_CLOCK_H

#include <pthread.h>
#include <stdint.h>

#include "clients/base/text.h"

struct clock {
    int64_t (*mono_ms)(void *arg);                       /* for durations and deadlines within the process */
    int64_t (*wall_us)(void *arg);                       /* since 1970, UTC; for display and logs */
    uint32_t (*random_below)(void *arg, uint32_t bound); /* uniform in [0, bound); 0 for bound 0 */
    struct uuid_text (*uuid)(void *arg);                 /* random (v4) */
    /* Waits until mono_ms() reaches until_ms; returns as pthread_cond_timedwait. `cond` was made by
     * cond_init. */
    int (*wait_until)(void *arg, pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_ms);
    void *arg;
};

/* clock_system: clock_mono_ms, clock_wall_us, uuid_new and cond_wait_until. */
extern const struct clock clock_system;

#endif
