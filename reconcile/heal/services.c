#include "reconcile/heal/services.h"

#include "clients/http/fetch.h"

void services_stop(struct services *services)
{
    atomic_store(&services->stopping, true);
    if (services->fetch)
        fetch_stop(services->fetch);
}
