/* clock.h - where time, chance and waiting come from, for code that is to run under another clock than this
 * machine's. Thread-safe.
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
    /* pthread_cond_timedwait, and its result, until mono_ms() reaches until_ms. `cond` is of cond_init. */
    int (*wait_until)(void *arg, pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_ms);
    void *arg;
};

/* clock_system: clock_mono_ms, clock_wall_us, uuid_new and cond_wait_until. */
extern const struct clock clock_system;

#endif
