#include "reconcile/notify/notifier.h"

#include <pthread.h>
#include <stdlib.h>

#include "clients/base/log.h"
#include "clients/store/store.h"
#include "reconcile/notify/sender.h"

struct waiting {
    size_t depth;
    int64_t since_ms; /* when the oldest was written, by the monotonic clock */
};

struct notifier {
    struct services *services;
    struct sender *senders[STORE_TO_MAX_]; /* NULL: not set up */
    notifier_outbox_fn *on_outbox;
    void *arg;

    pthread_mutex_t lock; /* guards `waiting` */
    struct waiting waiting[STORE_TO_MAX_];
};

/* The sum over the destinations. */
static void note_outbox(void *arg, enum store_destination to, size_t depth, int64_t oldest_age_s)
{
    struct notifier *notifier = arg;
    int64_t now_ms = services_mono_ms(notifier->services), since_ms = now_ms;
    size_t all = 0;
    pthread_mutex_lock(&notifier->lock);
    notifier->waiting[to] = (struct waiting){.depth = depth, .since_ms = now_ms - oldest_age_s * 1000};
    for (size_t i = 0; i < STORE_TO_MAX_; i++) {
        const struct waiting *waiting = &notifier->waiting[i];
        all += waiting->depth;
        if (waiting->depth > 0 && waiting->since_ms < since_ms)
            since_ms = waiting->since_ms;
    }
    if (notifier->on_outbox)
        notifier->on_outbox(notifier->arg, all, (now_ms - since_ms) / 1000);
    pthread_mutex_unlock(&notifier->lock);
}

struct notifier *notifier_new(struct services *services, notifier_outbox_fn *on_outbox, void *arg)
{
    struct notifier *notifier = mem_zero(1, sizeof *notifier);
    unsigned destinations = services_destinations(services);
    notifier->services = services;
    notifier->on_outbox = on_outbox;
    notifier->arg = arg;
    pthread_mutex_init(&notifier->lock, NULL);
    for (enum store_destination to = 0; to < STORE_TO_MAX_; to++)
        if (destinations & 1u << to)
            notifier->senders[to] = sender_new(services, to, note_outbox, notifier);
    return notifier;
}

void notifier_free(struct notifier *notifier)
{
    if (!notifier)
        return;
    for (size_t i = 0; i < STORE_TO_MAX_; i++)
        sender_free(notifier->senders[i]);
    pthread_mutex_destroy(&notifier->lock);
    free(notifier);
}

enum err notifier_start(struct notifier *notifier, struct why *why)
{
    enum err err = ERR_OK;
    for (size_t i = 0; !err && i < STORE_TO_MAX_; i++)
        if (notifier->senders[i])
            err = sender_start(notifier->senders[i], why);
    return err;
}

void notifier_stop(struct notifier *notifier)
{
    for (size_t i = 0; notifier && i < STORE_TO_MAX_; i++)
        sender_stop(notifier->senders[i]);
}

void notifier_wake(struct notifier *notifier)
{
    for (size_t i = 0; notifier && i < STORE_TO_MAX_; i++)
        sender_wake(notifier->senders[i]);
}

/* without threads that stay */

struct draining {
    struct sender *sender;
    int64_t deadline_ms;
    pthread_t thread;
    bool apart;
};

static void *drain(void *arg)
{
    const struct draining *draining = arg;
    sender_drain(draining->sender, draining->deadline_ms);
    return NULL;
}

void notifier_drain(struct notifier *notifier, int64_t deadline_ms)
{
    struct draining all[STORE_TO_MAX_] = {{.sender = NULL}};
    for (size_t i = 0; i < STORE_TO_MAX_; i++) {
        all[i] = (struct draining){.sender = notifier->senders[i], .deadline_ms = deadline_ms};
        if (all[i].sender)
            all[i].apart = pthread_create(&all[i].thread, NULL, drain, &all[i]) == 0;
        if (all[i].sender && !all[i].apart)
            log_warn("no thread can be started: messages wait for the next process");
    }
    for (size_t i = 0; i < STORE_TO_MAX_; i++)
        if (all[i].apart)
            pthread_join(all[i].thread, NULL);
}
