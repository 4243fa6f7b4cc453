/* health: asks the service that runs with the same settings on this machine for its health. For the health
 * check of a container, and for people, without another program. */
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "reconcile/pipeline/settings_text.h"
#include "reconcile/settings/settings.h"
#include "server/commands.h"
#include "server/options.h"

/* The URL at which a service that listens on this address is reached from its own machine. Caller frees. */
static char *url_of(const struct settings *settings, const struct listen_address *address, const char *path)
{
    const char *host = address->host;
    if (strcmp(host, "0.0.0.0") == 0)
        host = "127.0.0.1";
    else if (strcmp(host, "::") == 0)
        host = "::1";
    return mem_printf(address->v6 ? "%s://[%s]:%d%s" : "%s://%s:%d%s",
                      settings->tls_cert_file ? "https" : "http", host, address->port, path);
}

/* The words of a problem document, or the status alone. Caller frees. */
static char *words_of(const struct fetch_answer *answer)
{
    json_auto_t *document = NULL;
    if (answer->result != FETCH_ANSWERED)
        return mem_printf("no answer: %s", answer->error);
    const char *detail = NULL;
    if (answer->body && json_read(answer->body, answer->body_len, &document, NULL) == ERR_OK)
        detail = json_get_text(document, "detail", NULL);
    return detail ? text_cut(detail, LIMIT_REASON) : mem_printf("answered %d", answer->status);
}

static bool ask(const char *url, struct why *why)
{
    const struct fetch_options options = {.timeout_ms = LIMIT_HEALTH_MS, .per_host = 1, .ourselves = true};
    struct fetch *fetch = NULL;
    if (fetch_new(&options, &fetch, why) != ERR_OK)
        return false;
    struct fetch_inbox *inbox = fetch_inbox_new(fetch);
    fetch_send(inbox, &(const struct fetch_request){.method = "GET", .url = url, .attempts = 1});
    struct fetch_answer *answer = fetch_take(inbox, -1);
    AUTO_FREE char *error = words_of(answer);
    bool good = answer->result == FETCH_ANSWERED && answer->status == 200;
    (void)why_set(why, ERR_UNAVAILABLE, "%s", good ? "ok" : error);
    fetch_answer_free(answer);
    fetch_inbox_free(inbox);
    fetch_free(fetch);
    return good;
}

int health(const struct setup *setup, bool ready)
{
    struct listen_address address;
    struct why why = {"libcurl cannot be initialised"};
    bool good = false;
    if (!listen_address_parse(setup->settings->http_listen, &address) || address.port == 0) {
        fputs("reconciled: ORCH_HTTP_LISTEN names no port to ask at\n", stderr);
        return EXIT_USAGE;
    }
    AUTO_FREE char *url = url_of(setup->settings, &address, ready ? "/readyz" : "/healthz");
    if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
        good = ask(url, &why);
        curl_global_cleanup();
    }
    return puts(why.text) >= 0 && good ? EXIT_DONE : EXIT_FAILED;
}
