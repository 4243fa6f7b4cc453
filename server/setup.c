#include <curl/curl.h>
#include <stdlib.h>
#include <unistd.h>

#include "clients/base/clock.h"
#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "clients/base/text.h"
#include "clients/gitea/gitea.h"
#include "clients/http/upstream.h"
#include "clients/notify_webhook.h"
#include "clients/orchestrator.h"
#include "clients/plane/plane.h"
#include "clients/store/store.h"
#include "clients/telegram.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/plane/plane_unstarted.h"
#include "reconcile/heal/recheck.h"
#include "reconcile/settings/settings.h"
#include "server/commands.h"

static const char *lookup(const char *name)
{
    return getenv(name);
}

static enum err check_authorities(const struct settings *settings, json_t *problems)
{
    struct why why;
    enum err err = settings->ca_file ? certificates_check(settings->ca_file, &why) : ERR_OK;
    if (err) {
        AUTO_FREE char *line = mem_printf("ORCH_CA_FILE: %s", why.text);
        json_push(problems, json_text(line));
    }
    return err;
}

enum err setup_load(struct setup *ret, json_t *settings_problems, json_t *pipeline_problems)
{
    *ret = (struct setup){.settings = NULL};
    enum err err = settings_read(lookup, (const char *const *)environ, &ret->settings, settings_problems);
    if (err)
        return err;
    settings_keep_secrets(ret->settings);
    log_set_format((enum log_format)ret->settings->log_format);
    log_set_level((enum log_level)ret->settings->log_level);
    err = check_authorities(ret->settings, settings_problems);
    enum err bad = pipeline_load_file(ret->settings->pipeline_file, &ret->pipeline, pipeline_problems);
    if (!bad)
        bad = settings_check_stages(ret->settings, ret->pipeline, settings_problems);
    return err ? err : bad;
}

enum err setup_certificates(const struct settings *settings, struct certificate_pair *ret, struct why *why)
{
    *ret = (struct certificate_pair){.certificate = NULL};
    if (!settings->tls_cert_file)
        return ERR_OK;
    struct why found;
    enum err err = certificate_pair_load(settings->tls_cert_file, settings->tls_key_file, ret, &found);
    return err ? why_set(why, err, "ORCH_TLS_CERT_FILE, ORCH_TLS_KEY_FILE: %s", found.text) : ERR_OK;
}

/* A pair that cannot be loaded is a problem of its own. */
static void warn_of_certificate(const struct settings *settings, json_t *warnings)
{
    struct certificate_pair pair;
    if (setup_certificates(settings, &pair, NULL) != ERR_OK || !pair.certificate)
        return;
    int64_t left_us = pair.ends_us - clock_wall_us();
    char end[INSTANT_TEXT_SIZE];
    instant_format(pair.ends_us, end);
    certificate_pair_done(&pair);
    if (left_us >= LIMIT_CERTIFICATE_WARN_DAYS * 86400 * INT64_C(1000000))
        return;
    AUTO_FREE char *line =
        left_us < 0
            ? mem_printf("ORCH_TLS_CERT_FILE: the certificate expired at %s: clients refuse it", end)
            : mem_printf("ORCH_TLS_CERT_FILE: the certificate expires at %s; a renewed one is read at a "
                         "restart",
                         end);
    json_push(warnings, json_text(line));
}

json_t *setup_warnings(const struct setup *setup)
{
    json_t *warnings = json_array();
    if (setup->settings) {
        settings_warn(setup->settings, warnings);
        warn_of_certificate(setup->settings, warnings);
    }
    settings_warn_names((const char *const *)environ, warnings);
    return warnings;
}

void setup_done(struct setup *setup)
{
    pipeline_free(setup->pipeline);
    settings_free(setup->settings);
    *setup = (struct setup){.settings = NULL};
}

enum err gitea_open(const struct settings *settings, struct gitea **ret, struct why *why)
{
    static const struct upstream_names names = {.url = "ORCH_GITEA_URL", .token = "ORCH_GITEA_TOKEN"};
    return gitea_new(settings->gitea_url, settings->gitea_token, &names, ret, why);
}

enum err plane_open(const struct settings *settings, struct plane **ret, struct why *why)
{
    static const struct upstream_names names = {
        .url = "ORCH_PLANE_URL", .token = "ORCH_PLANE_API_TOKEN", .workspace = "ORCH_PLANE_WORKSPACE"};
    return plane_new(settings->plane_url, settings->plane_api_token, settings->plane_workspace, &names, ret,
                     why);
}

enum err telegram_open(const struct settings *settings, struct telegram **ret, struct why *why)
{
    static const struct upstream_names names = {.url = "ORCH_TELEGRAM_URL",
                                                .token = "ORCH_TELEGRAM_BOT_TOKEN"};
    return telegram_new(settings->telegram_url, settings->telegram_bot_token, settings->telegram_chat_id,
                        settings->telegram_topic_id, &names, ret, why);
}

enum err notify_webhook_open(const struct settings *settings, struct notify_webhook **ret, struct why *why)
{
    return notify_webhook_new(settings->notify_webhook_url, "ORCH_NOTIFY_WEBHOOK_URL",
                              settings->notify_webhook_secret, ret, why);
}

enum err orchestrator_open(const struct settings *settings, struct orchestrator **ret, struct why *why)
{
    const struct orchestrator_place place = {.url = settings->orchestrator_url,
                                             .url_name = "ORCH_ORCHESTRATOR_URL",
                                             .plane_path = settings->orchestrator_plane_path,
                                             .gitea_path = settings->orchestrator_gitea_path,
                                             .advance_path = settings->orchestrator_advance_path,
                                             .plane_secret = settings->plane_webhook_secret,
                                             .gitea_secret = settings->gitea_webhook_secret,
                                             .token = settings->orchestrator_token};
    return orchestrator_new(&place, ret, why);
}

struct fetch_options upstream_options(const struct settings *settings)
{
    return (struct fetch_options){.timeout_ms = settings->upstream_timeout_s * 1000,
                                  .per_host = (unsigned)settings->upstream_concurrency,
                                  .ca_file = settings->ca_file};
}

enum err setup_store(const struct settings *settings, struct store **ret, struct why *why)
{
    enum err err = store_open(settings->database_url, settings->database_schema, ret, why);
    if (!err && (settings->advance_via == ADVANCE_VIA_WEBHOOK || settings->mode == MODE_OBSERVE))
        store_write_only_ours(*ret);
    return err;
}

enum err services_open(const struct setup *setup, struct services *ret, struct why *why)
{
    const struct settings *settings = setup->settings;
    const struct fetch_options fetch = upstream_options(settings);
    *ret = (struct services){
        .settings = settings, .clock = &clock_system, .pipeline = setup->pipeline, .owner = uuid_new()};
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return why_set(why, ERR_INTERNAL, "libcurl cannot be initialised");
    ret->recheck = recheck_new();
    ret->unstarted = plane_unstarted_new();
    enum err err = setup_store(settings, &ret->store, why);
    if (!err)
        err = gitea_open(settings, &ret->gitea, why);
    if (!err && settings->telegram_bot_token)
        err = telegram_open(settings, &ret->telegram, why);
    if (!err && settings->notify_webhook_url)
        err = notify_webhook_open(settings, &ret->notify_webhook, why);
    if (!err)
        store_send_to(ret->store, services_destinations(ret));
    if (!err && settings->advance_via == ADVANCE_VIA_WEBHOOK)
        err = orchestrator_open(settings, &ret->orchestrator, why);
    if (!err)
        err = plane_open(settings, &ret->plane, why);
    if (!err)
        err = fetch_new(&fetch, &ret->fetch, why);
    if (err)
        services_close(ret);
    return err;
}

void services_close(struct services *services)
{
    fetch_free(services->fetch);
    telegram_free(services->telegram);
    notify_webhook_free(services->notify_webhook);
    orchestrator_free(services->orchestrator);
    plane_free(services->plane);
    gitea_free(services->gitea);
    store_free(services->store);
    plane_unstarted_free(services->unstarted);
    recheck_free(services->recheck);
    curl_global_cleanup();
}
