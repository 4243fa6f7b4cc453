#include "clients/base/wait.h"

#include <time.h>

void cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

int cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_ms)
{
    const struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    return pthread_cond_timedwait(cond, lock, &until);
}

int64_t backoff_ms(int64_t first_ms, int64_t last_ms, unsigned times)
{
    int64_t length_ms = first_ms;
    for (unsigned i = 0; i < times && length_ms < last_ms; i++)
        length_ms *= 2;
    return length_ms < last_ms ? length_ms : last_ms;
}
