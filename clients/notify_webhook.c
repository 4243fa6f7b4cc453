#include "clients/notify_webhook.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/delivery.h"
#include "clients/http/fetch.h"
#include "clients/http/signature.h"
#include "clients/http/upstream.h"
#include "clients/http/upstream_health.h"

enum { FINISH_MS = 1000, WAIT_DEFAULT_S = 5 };

struct notify_webhook {
    char *url, *root; /* root: of its server */
    char *secret;     /* NULL: none */
    struct upstream_health *health;
};

enum err notify_webhook_new(const char *url, const char *url_name, const char *secret,
                            struct notify_webhook **ret, struct why *why)
{
    AUTO_FREE char *base = NULL;
    enum err err = upstream_base(url, url_name, &base, why);
    if (err)
        return err;
    const char *host = strstr(url, "://") + strlen("://");
    struct notify_webhook *webhook = mem_zero(1, sizeof *webhook);
    webhook->url = mem_dup(url);
    AUTO_FREE char *origin = mem_dupn(url, (size_t)(host - url) + strcspn(host, "/?#"));
    webhook->root = mem_printf("%s/", origin);
    webhook->secret = mem_dup(secret);
    webhook->health = upstream_health_new();
    *ret = webhook;
    return ERR_OK;
}

void notify_webhook_free(struct notify_webhook *webhook)
{
    if (!webhook)
        return;
    upstream_health_free(webhook->health);
    free(webhook->url);
    free(webhook->root);
    free(webhook->secret);
    free(webhook);
}

struct upstream_health *notify_webhook_health(const struct notify_webhook *webhook)
{
    return webhook->health;
}

/* answers */

static void read_slow_down(const struct fetch_answer *answer, struct delivery *ret)
{
    int64_t asked_s = answer->retry_after_s >= 0 ? answer->retry_after_s : WAIT_DEFAULT_S;
    ret->result = DELIVERY_WAIT;
    ret->wait_s = asked_s < 1 ? 1 : asked_s > LIMIT_RETRY_AFTER_S ? LIMIT_RETRY_AFTER_S : asked_s;
    snprintf(ret->error, sizeof ret->error, "the webhook asks for a pause of %" PRId64 " s", ret->wait_s);
}

/* 400 and 422 are about what was sent, 413 about its size; every other 4xx is about the sender or the URL. */
static enum delivery_result result_of(int status)
{
    if (status >= 200 && status <= 299)
        return DELIVERY_SENT;
    if (status == 400 || status == 413 || status == 422)
        return DELIVERY_BAD_TEXT;
    return status >= 400 && status <= 499 ? DELIVERY_REFUSED : DELIVERY_FAILED;
}

void notify_webhook_answer_read(const struct fetch_answer *answer, struct delivery *ret)
{
    *ret = (struct delivery){.result = DELIVERY_FAILED};
    if (answer->result == FETCH_ABORTED) {
        ret->result = DELIVERY_STOPPED;
        snprintf(ret->error, sizeof ret->error, "stopped before the webhook answered");
    } else if (answer->result != FETCH_ANSWERED) {
        snprintf(ret->error, sizeof ret->error, "the webhook: %.140s", answer->error);
    } else if (answer->status == 429 || (answer->status == 503 && answer->retry_after_s >= 0)) {
        read_slow_down(answer, ret);
    } else {
        ret->result = result_of(answer->status);
        if (ret->result != DELIVERY_SENT)
            snprintf(ret->error, sizeof ret->error, "the webhook answered %d", answer->status);
    }
}

static enum fetch_sign judge(const struct fetch_answer *answer, char *error, size_t size)
{
    struct delivery seen;
    notify_webhook_answer_read(answer, &seen);
    snprintf(error, size, "%s", seen.error);
    return seen.result == DELIVERY_SENT || seen.result == DELIVERY_WAIT ? FETCH_SIGN_GOOD : FETCH_SIGN_BAD;
}

/* sending */

void notify_webhook_send(const struct notify_webhook *webhook, struct fetch *fetch, const char *text,
                         int64_t deadline_ms, struct delivery *ret)
{
    json_auto_t *json = json_object();
    json_put(json, "text", json_text(text));
    AUTO_FREE char *body = json_line(json), *signature = NULL;
    if (webhook->secret) {
        char hex[SIGNATURE_SIZE];
        signature_sha256(webhook->secret, body, hex);
        signature = mem_printf("X-Reconciled-Signature: sha256=%s", hex);
    }
    const char *const headers[] = {"Content-Type: application/json", signature, NULL};
    struct fetch_inbox *inbox = fetch_inbox_new(fetch);
    /* The outbox has a back-off of its own. */
    fetch_send(inbox, &(const struct fetch_request){.upstream = FETCH_TO_NOTIFY_WEBHOOK,
                                                    .health = webhook->health,
                                                    .judge = judge,
                                                    .forced = true,
                                                    .method = "POST",
                                                    .url = webhook->url,
                                                    .headers = headers,
                                                    .body = body,
                                                    .body_len = strlen(body),
                                                    .answer_max = LIMIT_ANSWER_ORCHESTRATOR,
                                                    .deadline_ms = deadline_ms,
                                                    .finish_ms = FINISH_MS,
                                                    .attempts = 1});
    struct fetch_answer *answer = fetch_take(inbox, -1);
    notify_webhook_answer_read(answer, ret);
    fetch_answer_free(answer);
    fetch_inbox_free(inbox);
}

char *notify_webhook_check(const struct notify_webhook *webhook, struct fetch *fetch)
{
    struct fetch_inbox *inbox = fetch_inbox_new(fetch);
    fetch_send(inbox, &(const struct fetch_request){.upstream = FETCH_TO_NOTIFY_WEBHOOK,
                                                    .method = "GET",
                                                    .url = webhook->root,
                                                    .attempts = 1});
    struct fetch_answer *answer = fetch_take(inbox, -1);
    char *problem = NULL;
    if (answer->result != FETCH_ANSWERED)
        problem = mem_printf("the webhook's server: %s", answer->error);
    else if (answer->status >= 500)
        problem = mem_printf("the webhook's server answered %d", answer->status);
    fetch_answer_free(answer);
    fetch_inbox_free(inbox);
    return problem;
}
