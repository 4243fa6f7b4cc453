#include "clients/telegram.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/delivery.h"
#include "clients/http/fetch.h"
#include "clients/http/upstream.h"
#include "clients/http/upstream_health.h"

enum { FINISH_MS = 1000, WAIT_DEFAULT_S = 5, DESCRIPTION_MAX = 100 };

struct telegram {
    const struct upstream_names *names;
    char *url;     /* of the bot; a method's name goes behind it. It holds the token: never to be shown */
    char *secret;  /* the token behind its bot's number: no word may hold it */
    char *chat;    /* the sender's thread alone: it may move */
    int64_t topic; /* 0: none */
    struct upstream_health *health;
};

/* The bot's token is in the path without encoding: the API does not accept its colon encoded. */
static bool is_token(const char *token)
{
    static const char fit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_-";
    return *token && token[strspn(token, fit)] == '\0';
}

enum err telegram_new(const char *base_url, const char *token, const char *chat, int64_t topic,
                      const struct upstream_names *names, struct telegram **ret, struct why *why)
{
    AUTO_FREE char *base = NULL;
    if (!is_token(token))
        return why_set(why, ERR_INVALID, "%s does not look like a bot's token", names->token);
    enum err err = upstream_base(base_url, names->url, &base, why);
    if (err)
        return err;
    struct telegram *telegram = mem_zero(1, sizeof *telegram);
    telegram->names = names;
    telegram->url = mem_printf("%s/bot%s", base, token);
    const char *colon = strrchr(token, ':');
    telegram->secret = mem_dup(colon && colon[1] ? colon + 1 : token);
    telegram->chat = mem_dup(chat);
    telegram->topic = topic;
    telegram->health = upstream_health_new();
    *ret = telegram;
    return ERR_OK;
}

void telegram_free(struct telegram *telegram)
{
    if (!telegram)
        return;
    upstream_health_free(telegram->health);
    free(telegram->url);
    free(telegram->secret);
    free(telegram->chat);
    free(telegram);
}

/* answers */

static bool is_about_text(const char *description)
{
    static const char *const error[] = {"can't parse entities", "message text is empty", "text must be",
                                        "message is too long", "text is too long"};
    for (size_t i = 0; i < ARRAY_LEN(error); i++)
        if (strcasestr(description, error[i]))
            return true;
    return false;
}

static void outcome_set(struct delivery *answer, enum delivery_result result, const char *fmt, ...)
    ATTR_PRINTF(3, 4);
static void outcome_set(struct delivery *answer, enum delivery_result result, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    answer->result = result;
    vsnprintf(answer->error, sizeof answer->error, fmt, args);
    va_end(args);
}

static void read_slow_down(const struct fetch_answer *answer, const json_t *parameters, struct delivery *ret)
{
    int64_t asked = answer->retry_after_s >= 0 ? answer->retry_after_s : WAIT_DEFAULT_S;
    ret->wait_s = json_get_int(parameters, "retry_after", asked);
    if (ret->wait_s < 1)
        ret->wait_s = 1;
    if (ret->wait_s > LIMIT_RETRY_AFTER_S)
        ret->wait_s = LIMIT_RETRY_AFTER_S;
    outcome_set(ret, DELIVERY_WAIT, "Telegram asks for a pause of %" PRId64 " s", ret->wait_s);
}

static void say_moved(struct delivery *ret, int64_t to)
{
    snprintf(ret->chat, sizeof ret->chat, "%" PRId64, to);
    outcome_set(ret, DELIVERY_MOVED, "the chat has become %s", ret->chat);
}

static void read_error(const struct fetch_answer *answer, const json_t *body,
                       const struct upstream_names *names, struct delivery *ret)
{
    const json_t *parameters = json_object_get(body, "parameters");
    AUTO_FREE char *description = text_cut(json_get_text(body, "description", ""), DESCRIPTION_MAX);
    int64_t moved_to = json_get_int(parameters, "migrate_to_chat_id", 0);
    int status = answer->status;
    if (!*description && *answer->proxy && status != 200 && status != 429)
        outcome_set(ret, DELIVERY_FAILED, "%s, or what is behind it, answered %d", answer->proxy, status);
    else if (status == 429)
        read_slow_down(answer, parameters, ret);
    else if (status == 401)
        outcome_set(ret, DELIVERY_REFUSED, "Telegram does not accept the token (401)");
    else if (status == 404)
        outcome_set(ret, DELIVERY_REFUSED, "the token, or %s, leads to no bot (404)", names->url);
    else if (status == 400 && moved_to)
        say_moved(ret, moved_to);
    else if (status >= 400 && status < 500 && *description)
        outcome_set(ret, is_about_text(description) ? DELIVERY_BAD_TEXT : DELIVERY_REFUSED,
                    "Telegram answered %d: %s", status, description);
    else if (status >= 400 && status < 500)
        outcome_set(ret, DELIVERY_REFUSED, "Telegram answered %d", status);
    else
        outcome_set(ret, DELIVERY_FAILED, "Telegram answered %d (%s)", status,
                    *answer->content_type ? answer->content_type : "no content type");
}

void telegram_answer_read(const struct fetch_answer *answer, const struct upstream_names *names,
                          struct delivery *ret)
{
    *ret = (struct delivery){.result = DELIVERY_SENT};
    if (answer->result == FETCH_ABORTED) {
        outcome_set(ret, DELIVERY_STOPPED, "stopped before Telegram answered");
        return;
    }
    if (answer->result != FETCH_ANSWERED) {
        outcome_set(ret, DELIVERY_FAILED, "Telegram: %s", answer->error);
        return;
    }
    json_t *body = NULL;
    if (!answer->body || json_read_within(answer->body, answer->body_len, LIMIT_JSON_TREE_SMALL, &body, NULL))
        body = NULL;
    if (answer->status != 200 || !json_get_bool(body, "ok", false))
        read_error(answer, body, names, ret);
    json_decref(body);
}

/* health */

struct upstream_health *telegram_health(const struct telegram *telegram)
{
    return telegram->health;
}

/* The request's tag is the names of the settings. */
static enum fetch_sign telegram_judge(const struct fetch_answer *answer, char *error, size_t size)
{
    struct delivery seen;
    telegram_answer_read(answer, answer->tag, &seen);
    snprintf(error, size, "%s", seen.error);
    return seen.result == DELIVERY_SENT || seen.result == DELIVERY_WAIT || seen.result == DELIVERY_MOVED
               ? FETCH_SIGN_GOOD
               : FETCH_SIGN_BAD;
}

/* sending */

static char *body_of(const struct telegram *telegram, const char *html)
{
    json_auto_t *body = json_object();
    json_t *previews = json_object();
    json_put(body, "chat_id", json_text(telegram->chat));
    if (telegram->topic)
        json_put(body, "message_thread_id", json_integer(telegram->topic));
    json_put(body, "text", json_text(html));
    json_put(body, "parse_mode", json_text("HTML"));
    json_put(previews, "is_disabled", json_true());
    json_put(body, "link_preview_options", previews);
    return json_line(body);
}

static void call(const struct telegram *telegram, struct fetch *fetch, const char *html, int64_t deadline_ms,
                 struct delivery *ret)
{
    static const char *const headers[] = {"Content-Type: application/json", "Accept: application/json", NULL};
    AUTO_FREE char *body = body_of(telegram, html), *url = mem_printf("%s/sendMessage", telegram->url);
    struct fetch_inbox *inbox = fetch_inbox_new(fetch);
    /* The outbox has a back-off of its own. */
    fetch_send(inbox, &(const struct fetch_request){.upstream = FETCH_TO_TELEGRAM,
                                                    .health = telegram->health,
                                                    .judge = telegram_judge,
                                                    .secret = telegram->secret,
                                                    .forced = true,
                                                    .method = "POST",
                                                    .url = url,
                                                    .headers = headers,
                                                    .body = body,
                                                    .body_len = strlen(body),
                                                    .answer_max = LIMIT_ANSWER_TELEGRAM,
                                                    .deadline_ms = deadline_ms,
                                                    .finish_ms = FINISH_MS,
                                                    .attempts = 1,
                                                    .tag = (void *)(uintptr_t)telegram->names});
    struct fetch_answer *answer = fetch_take(inbox, -1);
    telegram_answer_read(answer, telegram->names, ret);
    /* A proxy may quote what it was asked for. */
    if (answer->body && memmem(answer->body, answer->body_len, telegram->secret, strlen(telegram->secret)))
        outcome_set(ret, ret->result, "Telegram answered %d", answer->status);
    fetch_answer_free(answer);
    fetch_inbox_free(inbox);
}

void telegram_send(struct telegram *telegram, struct fetch *fetch, const char *html, int64_t deadline_ms,
                   struct delivery *ret)
{
    call(telegram, fetch, html, deadline_ms, ret);
    if (ret->result == DELIVERY_MOVED) {
        const struct delivery moved = *ret;
        free(telegram->chat);
        telegram->chat = mem_dup(moved.chat);
        call(telegram, fetch, html, deadline_ms, ret);
        if (ret->result != DELIVERY_MOVED)
            memcpy(ret->chat, moved.chat, sizeof ret->chat);
    }
}

/* Every answer of the API is an object with `ok`. */
static bool is_own(const struct fetch_answer *answer)
{
    json_t *body = NULL;
    if (!answer->body || json_read_within(answer->body, answer->body_len, LIMIT_JSON_TREE_SMALL, &body, NULL))
        return false;
    const json_t *ok = json_object_get(body, "ok");
    bool own = answer->status == 404 ? json_is_boolean(ok) : json_is_true(ok);
    json_decref(body);
    return own;
}

char *telegram_check(const struct telegram *telegram, struct fetch *fetch)
{
    static const char *const headers[] = {"Accept: application/json", NULL};
    AUTO_FREE char *url = mem_printf("%s/getMe", telegram->url);
    struct fetch_inbox *inbox = fetch_inbox_new(fetch);
    upstream_check_send(
        inbox,
        &(const struct fetch_request){
            .upstream = FETCH_TO_TELEGRAM, .health = telegram->health, .url = url, .headers = headers},
        "getMe");
    return upstream_check_end(inbox, is_own, telegram->names->url);
}
