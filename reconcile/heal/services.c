#include "reconcile/heal/services.h"

#include "clients/base/clock.h"
#include "clients/http/fetch.h"

int64_t services_mono_ms(const struct services *services)
{
    return services->clock->mono_ms(services->clock->arg);
}

int64_t services_wall_us(const struct services *services)
{
    return services->clock->wall_us(services->clock->arg);
}

struct uuid_text services_uuid(const struct services *services)
{
    return services->clock->uuid(services->clock->arg);
}

uint32_t services_random_below(const struct services *services, uint32_t bound)
{
    return services->clock->random_below(services->clock->arg, bound);
}

void services_wait_until(const struct services *services, pthread_cond_t *cond, pthread_mutex_t *lock,
                         int64_t until_ms)
{
    (void)services->clock->wait_until(services->clock->arg, cond, lock, until_ms);
}

void services_stop(struct services *services)
{
    atomic_store(&services->stopping, true);
    if (services->fetch)
        fetch_stop(services->fetch);
}
