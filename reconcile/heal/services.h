/* services.h - what the whole process shares: settings, the pipeline, the clients, and the state that several
 * threads read.
 *
 * Everything here may be used from any thread: the module that owns changing state locks it. What one pass
 * keeps for the next is in struct pass_memory (pass_context.h) instead. All of it outlives the threads.
 */
#ifndef RECONCILED_SERVICES_H
#define RECONCILED_SERVICES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "clients/base/clock.h"

struct fetch;
struct gitea;
struct notifier;
struct notify_webhook;
struct orchestrator;
struct pipeline;
struct plane;
struct plane_unstarted;
struct recheck;
struct settings;
struct store;
struct telegram;

struct services {
    const struct settings *settings;
    const struct pipeline *pipeline;
    const struct clock *clock; /* time, chance and waiting: &clock_system, or a simulator's */
    struct store *store;
    struct fetch *fetch;
    struct gitea *gitea;
    struct plane *plane;
    struct orchestrator *orchestrator;     /* NULL: tasks are moved in the database */
    struct telegram *telegram;             /* NULL: no token is set */
    struct notify_webhook *notify_webhook; /* NULL: no URL is set */
    struct notifier *notifier; /* sends what a pass has written to the outbox; NULL without destinations */
    struct recheck *recheck;   /* tasks that did not move and are evaluated again later */
    struct plane_unstarted *unstarted; /* starts that are not finished */
    struct uuid_text owner;            /* names this process in leases */
    atomic_bool stopping;              /* set by services_stop: every loop ends at its next step */
};

/* The time of services->clock; services_random_below: uniform in [0, bound), 0 for bound 0;
 * services_wait_until: waits for `cond` until services_mono_ms() reaches until_ms. */
static inline int64_t services_mono_ms(const struct services *services)
{
    return services->clock->mono_ms(services->clock->arg);
}

static inline int64_t services_wall_us(const struct services *services)
{
    return services->clock->wall_us(services->clock->arg);
}

static inline struct uuid_text services_uuid(const struct services *services)
{
    return services->clock->uuid(services->clock->arg);
}

static inline uint32_t services_random_below(const struct services *services, uint32_t bound)
{
    return services->clock->random_below(services->clock->arg, bound);
}

static inline void services_wait_until(const struct services *services, pthread_cond_t *cond,
                                       pthread_mutex_t *lock, int64_t until_ms)
{
    (void)services->clock->wait_until(services->clock->arg, cond, lock, until_ms);
}

/* services_destinations: where messages go (store_send_to); 0: nowhere, and none is written. */
unsigned services_destinations(const struct services *services);

/* services_stop: sets `stopping` and ends every wait for an upstream (fetch_stop). From any thread; may be
 * called again. */
void services_stop(struct services *services);

#endif
