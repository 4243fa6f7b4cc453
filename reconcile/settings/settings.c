#include "reconcile/pipeline/settings_text.h"
#include "reconcile/settings/settings.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/settings/settings_table.h"

typedef const char *lookup_fn(const char *name);

static const char *lookup_set(lookup_fn *lookup, const char *name)
{
    const char *text = lookup(name);
    return text && *text ? text : NULL;
}

/* The text in a secret's file; NULL: it cannot be used, and a problem was added that shows none of it. Caller
 * frees. */
static char *secret_read(const char *variable, const char *path, json_t *errors)
{
    AUTO_FREE char *buffer = mem_zero(LIMIT_SETTING_FILE + 1, 1);
    ssize_t len = file_read(path, buffer, LIMIT_SETTING_FILE + 1);
    const char *text = buffer;
    if (len > 0 && (size_t)len <= LIMIT_SETTING_FILE) {
        size_t mark = text_bom_len(buffer, (size_t)len);
        text += mark;
        len -= (ssize_t)mark;
        len -= len > 0 && text[len - 1] == '\n';
    }
    if (len < 0)
        problem_add(errors, variable, "the file cannot be read: %s", file_error());
    else if ((size_t)len > LIMIT_SETTING_FILE)
        problem_add(errors, variable, "the file is larger than %zu KiB", LIMIT_SETTING_FILE / 1024);
    else if (len == 0)
        problem_add(errors, variable, "the file is empty");
    else if (memchr(text, '\0', (size_t)len))
        problem_add(errors, variable, "the file has a NUL byte in it");
    else if (memchr(text, '\n', (size_t)len))
        problem_add(errors, variable, "the file has more than one line");
    else
        return mem_dupn(text, (size_t)len);
    return NULL;
}

/* The text of a row and its origin. NULL: neither set nor defaulted, or a problem was added. Caller frees. */
static char *row_text(const struct setting *row, lookup_fn *lookup, struct setting_source *ret_source,
                      json_t *errors)
{
    const char *text = lookup_set(lookup, row->name), *path = NULL;
    AUTO_FREE char *file_variable = mem_printf("%s_FILE", row->name);
    if (row->secret)
        path = lookup_set(lookup, file_variable);
    if (text && path) {
        ret_source->origin = ORIGIN_ENVIRONMENT;
        problem_add(errors, row->name, "is set, and %s too: set only one of them", file_variable);
        return NULL;
    }
    if (path) {
        ret_source->origin = ORIGIN_FILE;
        return secret_read(file_variable, path, errors);
    }
    ret_source->origin = text ? ORIGIN_ENVIRONMENT : ORIGIN_DEFAULT;
    return mem_dup(text ? text : row->fallback);
}

static void row_read(const struct setting *row, lookup_fn *lookup, struct settings *settings,
                     struct setting_source *source, json_t *errors)
{
    AUTO_FREE char *text = row_text(row, lookup, source, errors);
    if (!text)
        return;
    json_auto_t *value = setting_from_text(row, text, errors);
    if (value && setting_check(row, row->name, value, errors))
        setting_store(row, value, settings);
}

enum setting_origin setting_origin(const struct settings *settings, const struct setting *row)
{
    return settings->sources[row - settings_table()].origin;
}

/* Given, valid or not: an invalid one has its problem already. */
static bool is_given(const struct settings *settings, const char *name)
{
    return setting_origin(settings, setting_of_name(name)) != ORIGIN_DEFAULT;
}

/* A receiver treats a missing signature as a wrong one, so a secret that it has for a sender must be set here
 * too. */
static void check_webhooks(const struct settings *settings, json_t *errors)
{
    static const char *const secrets[][2] = {{"ORCH_PLANE_URL", "ORCH_PLANE_WEBHOOK_SECRET"},
                                             {"ORCH_GITEA_URL", "ORCH_GITEA_WEBHOOK_SECRET"}};
    if (settings->advance_via != ADVANCE_VIA_WEBHOOK)
        return;
    if (!is_given(settings, "ORCH_ORCHESTRATOR_URL"))
        problem_add(errors, "ORCH_ORCHESTRATOR_URL", "is needed: ORCH_ADVANCE_VIA is webhook");
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++)
        if (is_given(settings, secrets[i][0]) && !is_given(settings, secrets[i][1]))
            problem_add(errors, secrets[i][1], "is needed: ORCH_ADVANCE_VIA is webhook, and %s is set",
                        secrets[i][0]);
}

static void check_together(const struct settings *settings, json_t *errors)
{
    struct listen_address listen;
    if (settings->http_listen && listen_address_parse(settings->http_listen, &listen) && !listen.loopback &&
        !is_given(settings, "ORCH_API_TOKEN"))
        problem_add(errors, "ORCH_API_TOKEN", "is needed: ORCH_HTTP_LISTEN is not a loopback address");
    else if (settings->api_token && strlen(settings->api_token) < LIMIT_TOKEN_OPEN && settings->http_listen &&
             listen_address_parse(settings->http_listen, &listen) && !listen.loopback)
        problem_add(errors, "ORCH_API_TOKEN",
                    "has fewer than %u characters, too few where ORCH_HTTP_LISTEN is not a loopback address",
                    LIMIT_TOKEN_OPEN);
    if (settings->api_read_token && !is_given(settings, "ORCH_API_TOKEN"))
        problem_add(errors, "ORCH_API_TOKEN", "is needed: ORCH_API_READ_TOKEN is set");
    if (settings->api_read_token && settings->api_token &&
        strcmp(settings->api_read_token, settings->api_token) == 0)
        problem_add(errors, "ORCH_API_READ_TOKEN", "is the same as ORCH_API_TOKEN");
    if (is_given(settings, "ORCH_TLS_CERT_FILE") && !is_given(settings, "ORCH_TLS_KEY_FILE"))
        problem_add(errors, "ORCH_TLS_KEY_FILE", "is needed: ORCH_TLS_CERT_FILE is set");
    if (is_given(settings, "ORCH_TLS_KEY_FILE") && !is_given(settings, "ORCH_TLS_CERT_FILE"))
        problem_add(errors, "ORCH_TLS_CERT_FILE", "is needed: ORCH_TLS_KEY_FILE is set");
    if (is_given(settings, "ORCH_PLANE_URL") && !is_given(settings, "ORCH_PLANE_API_TOKEN"))
        problem_add(errors, "ORCH_PLANE_API_TOKEN", "is needed: ORCH_PLANE_URL is set");
    if (is_given(settings, "ORCH_PLANE_URL") && !is_given(settings, "ORCH_PLANE_WORKSPACE"))
        problem_add(errors, "ORCH_PLANE_WORKSPACE", "is needed: ORCH_PLANE_URL is set");
    if (is_given(settings, "ORCH_TELEGRAM_BOT_TOKEN") && !is_given(settings, "ORCH_TELEGRAM_CHAT_ID"))
        problem_add(errors, "ORCH_TELEGRAM_CHAT_ID", "is needed: ORCH_TELEGRAM_BOT_TOKEN is set");
    if (is_given(settings, "ORCH_NOTIFY_WEBHOOK_SECRET") && !is_given(settings, "ORCH_NOTIFY_WEBHOOK_URL"))
        problem_add(errors, "ORCH_NOTIFY_WEBHOOK_URL", "is needed: ORCH_NOTIFY_WEBHOOK_SECRET is set");
    check_webhooks(settings, errors);
}

static void check_unknown(const char *const *environment, json_t *errors)
{
    for (; environment && *environment; environment++) {
        if (strncmp(*environment, SETTING_PREFIX, strlen(SETTING_PREFIX)) != 0)
            continue;
        AUTO_FREE char *name = mem_dupn(*environment, strcspn(*environment, "="));
        AUTO_FREE char *shown = text_cut(name, 100);
        AUTO_FREE char *nearest = setting_nearest(name);
        if (setting_of_name(name))
            continue;
        if (nearest)
            problem_add(errors, shown, "there is no such setting; did you mean %s?", nearest);
        else
            problem_add(errors, shown, "there is no such setting; reconciled --help lists them all");
    }
}

static enum err problems_tell(const json_t *errors, json_t *problems)
{
    for (size_t i = 0; i < json_array_size(errors); i++) {
        const json_t *error = json_array_get(errors, i);
        AUTO_FREE char *line =
            mem_printf("%s: %s", json_get_text(error, "field", ""), json_get_text(error, "detail", ""));
        json_push(problems, json_text(line));
    }
    return json_array_size(errors) ? ERR_INVALID : ERR_OK;
}

static size_t table_length(void)
{
    size_t n = 0;
    while (settings_table()[n].name)
        n++;
    return n;
}

enum err settings_read(const char *(*lookup)(const char *name), const char *const *environment,
                       struct settings **ret, json_t *problems)
{
    struct settings *settings = mem_zero(1, sizeof *settings);
    struct setting_source *sources = mem_zero(table_length(), sizeof *sources);
    settings->sources = sources;
    json_auto_t *errors = json_array();
    for (const struct setting *row = settings_table(); row->name; row++)
        row_read(row, lookup, settings, &sources[row - settings_table()], errors);
    projects_bind(settings);
    check_together(settings, errors);
    check_unknown(environment, errors);

    enum err err = problems_tell(errors, problems);
    if (err == ERR_OK)
        *ret = settings;
    else
        settings_free(settings);
    return err;
}

/* The password of a URL, as it is written; NULL: it has none, or the rest of the URL contains the same word,
 * as in "postgres:postgres@", which would then be scrubbed everywhere. Caller frees. */
static char *url_password(const char *url)
{
    const char *user = url ? strstr(url, "://") : NULL;
    size_t len = user ? strcspn(user + 3, "/?#") : 0;
    const char *end = user ? memrchr(user + 3, '@', len) : NULL;
    const char *colon = end ? memchr(user + 3, ':', (size_t)(end - user - 3)) : NULL;
    char *password = colon ? mem_dupn(colon + 1, (size_t)(end - colon - 1)) : NULL;
    if (password && (strstr(url, password) < colon || strstr(end, password))) {
        free(password);
        return NULL;
    }
    return password;
}

void settings_keep_secrets(const struct settings *settings)
{
    const char *bot = settings->telegram_bot_token;
    const char *webhook = settings->notify_webhook_url ? strstr(settings->notify_webhook_url, "://") : NULL;
    AUTO_FREE char *password = url_password(settings->database_url);
    for (const struct setting *row = settings_table(); row->name; row++)
        if (row->secret)
            secret_keep(*(char *const *)(const void *)((const char *)settings + row->offset));
    secret_keep(bot && strchr(bot, ':') ? strchr(bot, ':') + 1 : NULL);
    secret_keep(password);
    /* Its path and query, which a log line may have without the host. */
    secret_keep(webhook ? strchr(webhook + strlen("://"), '/') : NULL);
}

void settings_free(struct settings *settings)
{
    if (!settings)
        return;
    for (const struct setting *row = settings_table(); row->name; row++)
        setting_clear(row, settings);
    free(settings->projects);
    free(settings->repos);
    free((void *)(uintptr_t)settings->sources);
    free(settings);
}

enum err settings_check_stages(const struct settings *settings, const struct pipeline *pipeline,
                               json_t *problems)
{
    json_auto_t *errors = json_array();
    graces_check_stages("ORCH_RECONCILE_GRACE_OVERRIDES_JSON", settings->grace_overrides, pipeline->names,
                        errors);
    return problems_tell(errors, problems);
}
