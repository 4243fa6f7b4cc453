#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "clients/store/store.h"
#include "handlers/app.h"
#include "handlers/handler.h"
#include "reconcile/explain/explain.h"
#include "reconcile/sweep/query_pool.h"
#include "reconcile/notify/notifier.h"
#include "reconcile/sweep/overview.h"
#include "reconcile/sweep/follower.h"
#include "reconcile/readiness/probe.h"
#include "reconcile/resolve/resolver.h"
#include "reconcile/pipeline/settings_text.h"
#include "reconcile/settings/settings.h"
#include "reconcile/sweep/status.h"
#include "reconcile/sweep/sweeper.h"
#include "reconcile/webhooks/webhook_audit.h"
#include "server/commands.h"
#include "server/http/listener.h"
#include "server/notify.h"
#include "server/options.h"
#include "server/http/routes.h"

static void publish_status(void *arg, const json_t *status)
{
    AUTO_FREE char *text = json_shown(status, 0);
    publication_set(arg, text, strlen(text));
}

/* Before any thread: all inherit the mask, and only the main thread takes signals, in wait_for_stop. */
static void block_signals(sigset_t *ret_set)
{
    sigemptyset(ret_set);
    sigaddset(ret_set, SIGTERM);
    sigaddset(ret_set, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, ret_set, NULL);
}

/* The next signal ends the process at once, as if we had never caught it. */
static void unblock_signals(const sigset_t *set)
{
    (void)pthread_sigmask(SIG_UNBLOCK, set, NULL);
}

/* This thread reports to the watchdog only while the sweeper is alive, so that a pass that does not end or
 * does not begin stops the reports. */
static void wait_for_stop(const sigset_t *set, struct listener *listener, struct sweeper *sweeper,
                          struct webhook_audit *audit)
{
    const struct timespec tick = {.tv_nsec = LIMIT_TICK_MS * 1000000L};
    do {
        struct why why;
        int64_t now_ms = clock_mono_ms();
        listener_tick(listener);
        webhook_audit_tick(audit, now_ms);
        sweeper_tick(sweeper, now_ms);
        if (sweeper_alive(sweeper, now_ms, &why))
            notify_send("WATCHDOG=1");
    } while (sigtimedwait(set, NULL, &tick) < 0);
}

static void threads_stop(const struct app *app, const struct services *services)
{
    sweeper_stop(app->sweeper); /* which answers all waiters */
    notifier_stop(services->notifier);
    query_pool_stop(app->query_pool);
}

static struct webhook_audit *audit_new(const struct app *app, struct services *services)
{
    const struct settings *settings = services->settings;
    AUTO_FREE char *target = settings->orchestrator_url ? mem_printf("%s%s", settings->orchestrator_url,
                                                                     settings->orchestrator_gitea_path)
                                                        : NULL;
    return webhook_audit_new(services, app->query_pool, sweeper_status(app->sweeper), target);
}

/* All at work, or none. */
static enum err threads_start(const struct app *app, struct services *services, struct why *why)
{
    enum err err = services->notifier ? notifier_start(services->notifier, why) : ERR_OK;
    if (!err)
        err = sweeper_start(app->sweeper, why);
    if (err)
        threads_stop(app, services);
    return err;
}

/* Requests that wait for a pass or an upstream are answered before the listener drains; those that still wait
 * for the database then are ended. */
static void stop(const sigset_t *set, struct listener *listener, const struct app *app,
                 const struct services *services)
{
    log_info("stopping");
    notify_send("STOPPING=1");
    unblock_signals(set);
    threads_stop(app, services);
    probe_stop(app->probe);
    listener_drain(listener, LIMIT_STOP_MS);
    store_interrupt(app->store);
    listener_stop(listener);
    log_info("stopped");
}

static enum err listen_start(const struct settings *settings, struct app *app, struct listener **ret,
                             struct why *why)
{
    struct listen_address address;
    struct certificate_pair pair;
    if (!listen_address_parse(settings->http_listen, &address))
        return why_set(why, ERR_INVALID, "ORCH_HTTP_LISTEN is no address");
    enum err err = setup_certificates(settings, &pair, why);
    if (err)
        return err;
    const struct listener_options options = {
        .address = &address,
        .tokens = {.all = settings->api_token, .read = settings->api_read_token},
        .certificate = pair.certificate,
        .key = pair.key,
        .routes = routes_table(),
        .app = app};
    err = listener_start(&options, ret, why);
    certificate_pair_done(&pair);
    return err;
}

static int serve_with(const struct setup *setup, struct services *services, struct app *app,
                      const sigset_t *set)
{
    struct listener *listener = NULL;
    struct why why;
    enum err err = listen_start(setup->settings, app, &listener, &why);
    if (err) {
        log_error("cannot start", LOG_S("reason", why.text));
        return err == ERR_INVALID ? EXIT_USAGE : EXIT_FAILED;
    }
    err = threads_start(app, services, &why);
    if (err) {
        log_error("cannot start", LOG_S("reason", why.text));
        listener_stop(listener);
        return EXIT_FAILED;
    }
    overview_log_settings(setup->settings, setup->pipeline);
    for (size_t i = 0; listener_address(listener, i); i++)
        log_info("listening", LOG_S("addr", listener_address(listener, i)));
    notify_send("READY=1");
    struct webhook_audit *audit = audit_new(app, services);
    wait_for_stop(set, listener, app->sweeper, audit);
    stop(set, listener, app, services);
    webhook_audit_free(audit);
    return EXIT_DONE;
}

static void note_outbox(void *status, size_t depth, int64_t oldest_age_s)
{
    status_outbox(status, depth, oldest_age_s);
}

static enum err probe_open(const struct settings *settings, struct follower *follower, struct probe **ret,
                           struct why *why)
{
    struct store *store = NULL;
    enum err err = setup_store(settings, &store, why);
    return err ? err : probe_start(store, NULL, follower_see, follower, ret, why);
}

/* The services behind the listener; app_close: closes those that were opened. */
static enum err app_open(const struct setup *setup, struct services *services, struct app *ret,
                         struct why *why)
{
    *ret = (struct app){.services = services,
                        .settings = setup->settings,
                        .pipeline = setup->pipeline,
                        .store = services->store,
                        .plane = services->plane,
                        .status = publication_new()};
    ret->sweeper = sweeper_new(services, publish_status, ret->status);
    if (services_destinations(services))
        services->notifier = notifier_new(services, note_outbox, sweeper_status(ret->sweeper));
    ret->follower = follower_new(setup->settings, ret->sweeper);
    enum err err = probe_open(setup->settings, ret->follower, &ret->probe, why);
    if (!err)
        err = query_pool_start(services->fetch, setup->settings->upstream_timeout_s * 1000, &ret->query_pool,
                               why);
    if (err)
        return err;
    ret->resolver =
        resolver_new(setup->settings, setup->pipeline, services->store, services->gitea, ret->query_pool);
    ret->explainer = explainer_new(services, ret->sweeper, ret->query_pool);
    return ERR_OK;
}

static void app_close(struct app *app, struct services *services)
{
    if (app->query_pool)
        query_pool_stop(app->query_pool);
    explainer_free(app->explainer);
    resolver_free(app->resolver);
    query_pool_free(app->query_pool);
    probe_stop(app->probe);
    probe_free(app->probe);
    follower_free(app->follower);
    notifier_free(services->notifier);
    sweeper_free(app->sweeper);
    publication_free(app->status);
}

static void log_warnings(const struct setup *setup)
{
    json_auto_t *warnings = setup_warnings(setup);
    for (size_t i = 0; i < json_array_size(warnings); i++)
        log_warn("settings", LOG_S("reason", json_string_value(json_array_get(warnings, i))));
}

int serve(const struct setup *setup)
{
    sigset_t set;
    struct services services;
    struct why why;
    block_signals(&set);
    log_warnings(setup);
    enum err err = listener_check(&why);
    if (!err)
        err = services_open(setup, &services, &why);
    if (err) {
        log_error("cannot start", LOG_S("reason", why.text));
        return err == ERR_INVALID ? EXIT_USAGE : EXIT_FAILED;
    }
    struct app app;
    int status = EXIT_FAILED;
    err = app_open(setup, &services, &app, &why);
    if (err)
        log_error("cannot start", LOG_S("reason", why.text));
    else
        status = serve_with(setup, &services, &app, &set);
    app_close(&app, &services);
    services_close(&services);
    return status;
}
