#include "tests/sandbox/telegram.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clients/base/jsonx.h"
#include "clients/base/text.h"
#include "tests/sandbox/sandbox.h"

#define TEXT_MAX 4096 /* UTF-16 units, after the HTML is gone */
#define RETRY_DEFAULT_S 1
#define CHAT_SIZE 64

/* what it knows */

static void begin(struct telegram *telegram)
{
    limit_init(&telegram->limit);
    telegram->limit.calls = 0; /* none unless asked for */
    telegram->retry_s = RETRY_DEFAULT_S;
}

static void end(struct telegram *telegram)
{
    limit_done(&telegram->limit);
    map_done(&telegram->chats);
    arena_done(&telegram->arena);
}

struct telegram *telegram_new(void)
{
    struct telegram *telegram = mem_zero(1, sizeof *telegram);
    begin(telegram);
    return telegram;
}

void telegram_free(struct telegram *telegram)
{
    end(telegram);
    free(telegram);
}

void telegram_reset(struct telegram *telegram)
{
    end(telegram);
    telegram->token = NULL;
    telegram->named = false;
    telegram->refuse = 0;
    telegram->limit = (struct limit){0};
    begin(telegram);
    telegram_forget(telegram);
}

void telegram_forget(struct telegram *telegram)
{
    telegram->messages = (struct list){0}; /* the arena has the rest */
    telegram->bad_requests = 0;
    limit_reset(&telegram->limit);
    atomic_store(&telegram->n_messages, 0);
}

static enum err load_chats(struct telegram *telegram, const json_t *chats, struct why *why)
{
    for (size_t i = 0; i < json_array_size(chats); i++) {
        const json_t *json = json_array_get(chats, i);
        char id[CHAT_SIZE], to[CHAT_SIZE];
        json_t *wrapped = json_is_object(json) ? NULL : json_pack("{s:O}", "id", json);
        const char *text = json_get_text_any(wrapped ? wrapped : json, "id", id, sizeof id);
        struct telegram_chat *chat = text ? arena_get(&telegram->arena, sizeof *chat) : NULL;
        if (chat) {
            chat->id = arena_text(&telegram->arena, text);
            chat->forbidden = arena_text(&telegram->arena, json_get_text(json, "forbidden", NULL));
            chat->migrated_to =
                arena_text(&telegram->arena, json_get_text_any(json, "migrated_to", to, sizeof to));
            map_put(&telegram->chats, chat->id, chat);
        }
        json_decref(wrapped);
        if (!chat)
            return why_set(why, ERR_INVALID, "chats: ids, or objects with an id");
    }
    if (chats)
        telegram->named = json_array_size(chats) > 0;
    return ERR_OK;
}

enum err telegram_load(struct telegram *telegram, const json_t *document, struct why *why)
{
    int64_t calls = json_get_int(document, "limit", telegram->limit.calls),
            window_ms = json_get_int(document, "window_ms", telegram->limit.window_ms),
            refuse = json_get_int(document, "refuse", telegram->refuse),
            retry_s = json_get_int(document, "retry_after", telegram->retry_s);
    if (calls < 0 || window_ms < 1 || refuse < 0 || retry_s < 1)
        return why_set(why, ERR_INVALID,
                       "limit and refuse: not below 0; window_ms and retry_after: 1 or more");
    telegram->limit.calls = calls;
    telegram->limit.window_ms = window_ms;
    telegram->refuse = refuse;
    telegram->retry_s = retry_s;
    if (json_object_get(document, "token"))
        telegram->token = arena_text(&telegram->arena, json_get_text(document, "token", NULL));
    return load_chats(telegram, json_object_get(document, "chats"), why);
}

void telegram_write(const struct telegram *telegram, struct out *out)
{
    limit_write(&telegram->limit, out);
    out_int(out, "bad_requests", telegram->bad_requests);
    out_open(out, "messages", '[');
    for (size_t i = 0; i < telegram->messages.n; i++) {
        const struct telegram_message *message = telegram->messages.items[i];
        char at[INSTANT_TEXT_SIZE];
        instant_format(message->at_us, at);
        out_open(out, NULL, '{');
        out_int(out, "message_id", (int64_t)i + 1);
        out_text(out, "at", at);
        out_text(out, "chat_id", message->chat);
        out_text(out, "message_thread_id", message->thread);
        out_text(out, "text", message->text);
        out_text(out, "parse_mode", message->parse_mode);
        out_close(out, '}');
    }
    out_close(out, ']');
}

/* answers */

static struct out *open_answer(struct call *call, int status)
{
    call->status = status;
    call->content_type = "application/json";
    out_open(&call->out, NULL, '{');
    out_bool(&call->out, "ok", status == 200);
    return &call->out;
}

static struct out *open_error(struct call *call, int status, const char *description)
{
    struct out *out = open_answer(call, status);
    out_int(out, "error_code", status);
    out_text(out, "description", description);
    return out;
}

static void answer_error(struct call *call, int status, const char *description)
{
    out_close(open_error(call, status, description), '}');
}

static void bad_request(struct call *call, const char *words)
{
    char *description = mem_printf("Bad Request: %s", words);
    call->sandbox->telegram->bad_requests++;
    answer_error(call, 400, description);
    free(description);
}

/* In the body, and in a header too (HttpConnection.cpp). */
static void too_many(struct call *call, int64_t retry_s)
{
    char *description = mem_printf("Too Many Requests: retry after %lld", (long long)retry_s);
    struct out *out = open_error(call, 429, description);
    call_header(call, "Retry-After", "%lld", (long long)retry_s);
    out_open(out, "parameters", '{');
    out_int(out, "retry_after", retry_s);
    out_close(out, '}');
    out_close(out, '}');
    free(description);
}

static void migrated(struct call *call, const char *to)
{
    struct out *out = open_error(call, 400, "Bad Request: group chat was upgraded to a supergroup chat");
    call->sandbox->telegram->bad_requests++;
    out_open(out, "parameters", '{');
    out_ready(out, "migrate_to_chat_id", to);
    out_close(out, '}');
    out_close(out, '}');
}

/* parameters: of the query, a form, or JSON */

static int hex_value(char c)
{
    return isdigit((unsigned char)c)    ? c - '0'
           : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
                                        : -1;
}

static char *form_decode(const char *text, size_t len)
{
    char *decoded = mem_zero(len + 1, 1), *to = decoded;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '%' && i + 2 < len && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
            *to++ = (char)(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
            i += 2;
        } else
            *to++ = text[i] == '+' ? ' ' : text[i];
    }
    return decoded;
}

/* The caller frees. NULL when it is not given. */
static char *form_value(const char *form, const char *name)
{
    size_t name_len = strlen(name);
    while (*form) {
        size_t len = strcspn(form, "&");
        if (len > name_len && strncmp(form, name, name_len) == 0 && form[name_len] == '=')
            return form_decode(form + name_len + 1, len - name_len - 1);
        form += len + (form[len] == '&');
    }
    return NULL;
}

static char *parameter(const struct call *call, const json_t *body, const char *name)
{
    char digits[CHAT_SIZE];
    if (call_query(call, name))
        return mem_dup(call_query(call, name));
    if (!body)
        return form_value(call->body, name);
    const char *text = json_get_text(body, name, NULL);
    return mem_dup(text ? text : json_get_text_any(body, name, digits, sizeof digits));
}

/* sendMessage */

/* Continuation bytes count nothing, four-byte characters two. */
static size_t utf16_len(const char *text)
{
    size_t n = 0;
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if ((byte & 0xc0) != 0x80)
            n += byte >= 0xf0 ? 2 : 1;
    }
    return n;
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == '\0';
}

struct message {
    char *chat, *thread, *text, *parse_mode; /* owned */
    struct out plain;
};

static bool text_read(struct call *call, struct message *message)
{
    struct why why;
    if (!message->text || is_blank(message->text)) {
        bad_request(call, "message text is empty");
        return false;
    }
    const char *mode = message->parse_mode ? message->parse_mode : "";
    bool html = strcasecmp(mode, "html") == 0;
    if (*mode && !html && strcasecmp(mode, "markdown") != 0 && strcasecmp(mode, "markdownv2") != 0) {
        bad_request(call, "unsupported parse_mode");
        return false;
    }
    if (!html)
        out_plain(&message->plain, message->text); /* Markdown is not read */
    else if (!telegram_plain(message->text, &message->plain, &why)) {
        char *words = mem_printf("can't parse entities: %s", why.text);
        bad_request(call, words);
        free(words);
        return false;
    }
    if (message->plain.len && !is_blank(message->plain.text))
        return true;
    bad_request(call, "message text is empty");
    return false;
}

static bool chat_read(struct call *call, const struct message *message)
{
    const struct telegram *telegram = call->sandbox->telegram;
    if (!message->chat || !*message->chat) {
        bad_request(call, "chat_id is empty");
        return false;
    }
    const struct telegram_chat *chat = map_get(&telegram->chats, message->chat);
    if (telegram->named && !chat)
        bad_request(call, "chat not found");
    else if (chat && chat->migrated_to)
        migrated(call, chat->migrated_to);
    else if (chat && chat->forbidden) {
        char *description = mem_printf("Forbidden: %s", chat->forbidden);
        answer_error(call, 403, description);
        free(description);
    } else
        return true;
    return false;
}

static bool limit_read(struct call *call, const struct message *message)
{
    struct telegram *telegram = call->sandbox->telegram;
    struct limit_key *key = limit_key(&telegram->limit, &telegram->arena, message->chat, true);
    int64_t now_us = clock_wall_us(), told;
    if (telegram->refuse > 0) {
        telegram->refuse--;
        limit_refuse(key, now_us, telegram->retry_s);
        too_many(call, telegram->retry_s);
        return false;
    }
    if (limit_take(&telegram->limit, key, now_us, &told))
        return true;
    too_many(call, told);
    return false;
}

static void put_chat(struct out *out, const char *key, const char *id)
{
    int64_t number;
    assert(id); /* chat_read has seen to it */
    bool is_number = parse_i64(id, INT64_MIN, INT64_MAX, &number);
    out_open(out, key, '{');
    out_ready(out, "id", is_number ? id : "-1001000000000");
    if (!is_number)
        out_text(out, "username", id + (*id == '@'));
    out_text(out, "type", *id == '-' || !is_number ? "supergroup" : "private");
    out_close(out, '}');
}

static void put_bot(struct out *out, const char *key)
{
    out_open(out, key, '{');
    out_int(out, "id", 1);
    out_bool(out, "is_bot", true);
    out_text(out, "first_name", "Sandbox");
    out_text(out, "username", "sandbox_bot");
    out_close(out, '}');
}

static void message_keep(struct call *call, const struct message *given)
{
    struct telegram *telegram = call->sandbox->telegram;
    struct telegram_message *message = arena_get(&telegram->arena, sizeof *message);
    message->chat = arena_text(&telegram->arena, given->chat);
    message->thread = arena_text(&telegram->arena, given->thread);
    message->text = arena_text(&telegram->arena, given->text);
    message->parse_mode = arena_text(&telegram->arena, given->parse_mode);
    message->at_us = clock_wall_us();
    list_add(&telegram->arena, &telegram->messages, message);
    atomic_store(&telegram->n_messages, telegram->messages.n);
    struct out *out = open_answer(call, 200);
    out_open(out, "result", '{');
    out_int(out, "message_id", (int64_t)telegram->messages.n);
    put_bot(out, "from");
    put_chat(out, "chat", given->chat);
    out_int(out, "date", message->at_us / 1000000);
    out_text(out, "text", given->plain.text);
    out_close(out, '}');
    out_close(out, '}');
}

static void send_message(struct call *call, const json_t *body)
{
    struct message message = {.chat = parameter(call, body, "chat_id"),
                              .thread = parameter(call, body, "message_thread_id"),
                              .text = parameter(call, body, "text"),
                              .parse_mode = parameter(call, body, "parse_mode")};
    if (text_read(call, &message) && chat_read(call, &message)) {
        if (utf16_len(message.plain.text) > TEXT_MAX)
            bad_request(call, "message is too long");
        else if (limit_read(call, &message))
            message_keep(call, &message);
    }
    out_free(&message.plain);
    free(message.chat);
    free(message.thread);
    free(message.text);
    free(message.parse_mode);
}

/* other methods */

static void get_me(struct call *call, const json_t *body)
{
    (void)body;
    struct out *out = open_answer(call, 200);
    put_bot(out, "result");
    out_close(out, '}');
}

static void get_chat(struct call *call, const json_t *body)
{
    struct message message = {.chat = parameter(call, body, "chat_id")};
    if (chat_read(call, &message)) {
        struct out *out = open_answer(call, 200);
        put_chat(out, "result", message.chat);
        out_close(out, '}');
    }
    free(message.chat);
}

/* "bot" and digits, ':' and more; NULL when it is nothing of the kind. */
static const char *token_of(const char *segment)
{
    const char *token = strncmp(segment, "bot", 3) == 0 ? segment + 3 : "";
    size_t digits = strspn(token, "0123456789");
    return digits && token[digits] == ':' && token[digits + 1] ? token : NULL;
}

static void method_call(struct call *call)
{
    static const struct {
        const char *name;
        void (*serve)(struct call *call, const json_t *body);
    } methods[] = {{"sendMessage", send_message}, {"getMe", get_me}, {"getChat", get_chat}};
    const struct telegram *telegram = call->sandbox->telegram;
    const char *token = token_of(call->params[0]), *type = call_request_header(call, "Content-Type");
    size_t at = 0;
    while (at < ARRAY_LEN(methods) && strcasecmp(methods[at].name, call->params[1]) != 0)
        at++;
    if (!token)
        answer_error(call, 404, "Not Found");
    else if (telegram->token && !secret_equal(token, telegram->token))
        answer_error(call, 401, "Unauthorized");
    else if (at == ARRAY_LEN(methods))
        answer_error(call, 404, "Not Found: method not found");
    else {
        struct why why;
        bool is_json = type && strncmp(type, "application/json", strlen("application/json")) == 0;
        json_t *body = is_json ? call_json(call, &why) : NULL;
        if (is_json && !json_is_object(body))
            bad_request(call, "can't parse JSON object");
        else
            methods[at].serve(call, body);
        json_decref(body);
    }
}

static void not_found(struct call *call)
{
    answer_error(call, 404, "Not Found");
}

static const struct route routes[] = {{"POST", "{}/{}", method_call, true},
                                      {"GET", "{}/{}", method_call, true}};
const struct stand_in telegram_api = {
    .prefix = "/telegram/", .routes = routes, .n_routes = ARRAY_LEN(routes), .not_found = not_found};
