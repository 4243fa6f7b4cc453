#include "clients/base/clock.h"

#include <stdlib.h>

#include "clients/base/wait.h"

static int64_t system_mono_ms(void *arg)
{
    (void)arg;
    return clock_mono_ms();
}

static int64_t system_wall_us(void *arg)
{
    (void)arg;
    return clock_wall_us();
}

static uint32_t system_random_below(void *arg, uint32_t bound)
{
    (void)arg;
    return arc4random_uniform(bound);
}

static struct uuid_text system_uuid(void *arg)
{
    (void)arg;
    return uuid_new();
}

static int system_wait_until(void *arg, pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_ms)
{
    (void)arg;
    return cond_wait_until(cond, lock, until_ms);
}

const struct clock clock_system = {.mono_ms = system_mono_ms,
                                   .wall_us = system_wall_us,
                                   .random_below = system_random_below,
                                   .uuid = system_uuid,
                                   .wait_until = system_wait_until};
