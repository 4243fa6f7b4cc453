#include "reconcile/webhooks/webhook_watch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "clients/base/text.h"
#include "clients/base/wait.h"
#include "reconcile/webhooks/webhook_audit.h"
#include "reconcile/sweep/status.h"

/* A database that cannot be asked; at the start its tables may not be there yet. */
enum { RETRY_FIRST_MS = 1000, RETRY_LAST_MS = 60000 };

struct webhook_watch {
    struct services *services;
    struct status *status;
    char *target;
    pthread_t thread;
    /* The thread's alone. */
    json_t *last; /* the look before */
    unsigned failures;

    pthread_mutex_t lock; /* guards `stop` */
    pthread_cond_t wake;
    bool stop;
};

static const json_t *row_of(const json_t *look, const char *repo)
{
    const json_t *bad = json_object_get(look, "bad");
    for (size_t i = 0; i < json_array_size(bad); i++)
        if (strcmp(json_get_text(json_array_get(bad, i), "repo", ""), repo) == 0)
            return json_array_get(bad, i);
    return NULL;
}

static void log_changes(const json_t *before, const json_t *now)
{
    const json_t *bad = json_object_get(now, "bad"), *was = json_object_get(before, "bad");
    for (size_t i = 0; i < json_array_size(bad); i++) {
        const json_t *row = json_array_get(bad, i);
        const char *repo = json_get_text(row, "repo", "");
        const json_t *old = row_of(before, repo);
        if (!old || !json_equal(old, row))
            log_warn("the orchestrator is told too little", LOG_S("repo", repo),
                     LOG_S("state", json_get_text(row, "state", "")),
                     LOG_S("reason", json_get_text(row, "detail", "")));
    }
    for (size_t i = 0; i < json_array_size(was); i++) {
        const char *repo = json_get_text(json_array_get(was, i), "repo", "");
        if (!row_of(now, repo))
            log_info("the webhook of a repository is as it should be again", LOG_S("repo", repo));
    }
    const char *source;
    json_t *losses;
    json_object_foreach(json_object_get(now, "losses"), source, losses)
    {
        bool silent = json_get_bool(losses, "silent", false);
        if (silent !=
            json_get_bool(json_object_get(json_object_get(before, "losses"), source), "silent", false))
            log_warn(silent ? "a sender of webhooks is silent" : "a sender of webhooks is no longer silent",
                     LOG_S("source", source), LOG_I("tasks", json_get_int(losses, "tasks", 0)));
    }
}

/* How long to wait for the next one. */
static int64_t look(struct webhook_watch *watch)
{
    struct why why;
    json_t *found = NULL;
    if (webhook_audit(watch->services, watch->target, &found, &why) != ERR_OK) {
        log_debug("webhooks were not looked at", LOG_S("reason", why.text));
        return backoff_ms(RETRY_FIRST_MS, RETRY_LAST_MS, watch->failures++);
    }
    if (!atomic_load(&watch->services->stopping)) {
        log_changes(watch->last, found);
        status_hooks(watch->status, found);
    }
    json_decref(watch->last);
    watch->last = found;
    watch->failures = 0;
    return LIMIT_WEBHOOKS_EVERY_S * 1000LL;
}

/* False: told to stop. */
static bool wait_ms(struct webhook_watch *watch, int64_t ms)
{
    int64_t until_ms = clock_mono_ms() + ms;
    pthread_mutex_lock(&watch->lock);
    while (!watch->stop && clock_mono_ms() < until_ms)
        (void)cond_wait_until(&watch->wake, &watch->lock, until_ms);
    bool go_on = !watch->stop;
    pthread_mutex_unlock(&watch->lock);
    return go_on;
}

static void *keep_watch(void *arg)
{
    struct webhook_watch *watch = arg;
    while (wait_ms(watch, look(watch)))
        ;
    return NULL;
}

static void watch_free(struct webhook_watch *watch)
{
    json_decref(watch->last);
    pthread_cond_destroy(&watch->wake);
    pthread_mutex_destroy(&watch->lock);
    free(watch->target);
    free(watch);
}

enum err webhook_watch_start(struct services *services, struct status *status, const char *target,
                             struct webhook_watch **ret, struct why *why)
{
    struct webhook_watch *watch = mem_zero(1, sizeof *watch);
    *watch = (struct webhook_watch){.services = services, .status = status, .target = mem_dup(target)};
    pthread_mutex_init(&watch->lock, NULL);
    cond_init(&watch->wake);
    if (pthread_create(&watch->thread, NULL, keep_watch, watch) != 0) {
        watch_free(watch);
        return why_set(why, ERR_INTERNAL, "the thread that looks at webhooks cannot be started");
    }
    pthread_setname_np(watch->thread, "webhook-watch");
    *ret = watch;
    return ERR_OK;
}

void webhook_watch_stop(struct webhook_watch *watch)
{
    if (!watch)
        return;
    pthread_mutex_lock(&watch->lock);
    watch->stop = true;
    pthread_cond_broadcast(&watch->wake);
    pthread_mutex_unlock(&watch->lock);
    pthread_join(watch->thread, NULL);
    watch_free(watch);
}
