#include "reconcile/heal/services.h"

#include "clients/http/fetch.h"
#include "clients/store/store.h"

unsigned services_destinations(const struct services *services)
{
    return (services->telegram ? 1u << STORE_TO_TELEGRAM : 0) |
           (services->notify_webhook ? 1u << STORE_TO_WEBHOOK : 0);
}

void services_stop(struct services *services)
{
    atomic_store(&services->stopping, true);
    if (services->fetch)
        fetch_stop(services->fetch);
}
