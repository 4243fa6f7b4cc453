/* The bot against the sandbox's Telegram, and against what stands between: what arrives, and what never
 * leaves. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>

#include "clients/base/jsonx.h"
#include "clients/base/text.h"
#include "clients/http/fetch.h"
#include "clients/delivery.h"
#include "clients/telegram.h"
#include "clients/http/upstream_health.h"
#include "tests/support/clients/http/curl_group.h"
#include "tests/support/sandbox_run.h"
#include "tests/support/clients/http/script_server.h"
#include "tests/support/clients/http/names.h"
#include "tests/support/test.h"

#define TOKEN "123456:AAF-s3cret_x"
enum { PATIENCE_MS = 20000 };

struct scene {
    struct sandbox_run *sandbox;
    struct script_server *server;
    struct fetch *fetch;
    struct telegram *telegram;
};

static int scene_open(void **state, const char *base)
{
    struct scene *scene = *state;
    const struct fetch_options options = {.timeout_ms = PATIENCE_MS, .per_host = 8};
    return fetch_new(&options, &scene->fetch, NULL) ||
           telegram_new(base, TOKEN, "-5", 0, &test_names, &scene->telegram, NULL);
}

static int sandbox_open(void **state)
{
    struct scene *scene = *state = mem_zero(1, sizeof *scene);
    scene->sandbox = sandbox_start();
    sandbox_tell(scene->sandbox, "telegram", "{'token':'" TOKEN "'}");
    AUTO_FREE char *base = mem_printf("%s/telegram/", sandbox_url(scene->sandbox));
    return scene_open(state, base);
}

static int scripted_open(void **state)
{
    struct scene *scene = *state = mem_zero(1, sizeof *scene);
    scene->server = script_server_start();
    return scene_open(state, script_server_url(scene->server));
}

static int scene_close(void **state)
{
    struct scene *scene = *state;
    telegram_free(scene->telegram);
    fetch_free(scene->fetch);
    script_server_stop(scene->server);
    sandbox_stop(scene->sandbox);
    free(scene);
    return 0;
}

static struct delivery say(struct scene *scene, const char *html)
{
    struct delivery answer;
    telegram_send(scene->telegram, scene->fetch, html, clock_mono_ms() + PATIENCE_MS, &answer);
    assert_null(strstr(answer.error, "s3cret"));
    return answer;
}

static void assert_said(struct scene *scene, const char *html, enum delivery_result result)
{
    struct delivery answer = say(scene, html);
    if (answer.result != result)
        fail_msg("%d: %s", answer.result, answer.error);
}

static bool is_healthy(struct scene *scene)
{
    struct upstream_view health;
    upstream_health_view(telegram_health(scene->telegram), clock_mono_ms(), &health);
    assert_null(strstr(health.error, "s3cret"));
    assert_true(health.ok || *health.error);
    return health.ok;
}

/* How many messages there are; the last one's text and chat. */
static void assert_messages(struct scene *scene, size_t n, const char *text, const char *chat)
{
    json_t *seen = sandbox_told(scene->sandbox, "GET", "telegram", NULL);
    const json_t *messages = json_object_get(seen, "messages");
    assert_int_equal(json_array_size(messages), n);
    if (n > 0) {
        assert_string_equal(json_get_text(json_array_get(messages, n - 1), "text", ""), text);
        assert_string_equal(json_get_text(json_array_get(messages, n - 1), "chat_id", ""), chat);
        assert_string_equal(json_get_text(json_array_get(messages, n - 1), "parse_mode", ""), "HTML");
    }
    json_decref(seen);
}

/* Of the newest message; "": none. */
static const char *newest_topic(struct scene *scene)
{
    static char topic[24];
    json_t *seen = sandbox_told(scene->sandbox, "GET", "telegram", NULL);
    const json_t *messages = json_object_get(seen, "messages");
    const json_t *newest = json_array_get(messages, json_array_size(messages) - 1);
    snprintf(topic, sizeof topic, "%s", json_get_text(newest, "message_thread_id", ""));
    json_decref(seen);
    return topic;
}

TEST_WITH(a_message_arrives_as_it_was_written, sandbox_open, scene_close)
{
    assert_said(*state, "🔧 ORCH-1 &lt;b&gt; &amp; \"more\" \\ /", DELIVERY_SENT);
    assert_messages(*state, 1, "🔧 ORCH-1 &lt;b&gt; &amp; \"more\" \\ /", "-5");
    assert_true(is_healthy(*state));
}

TEST_WITH(a_topic_is_named_with_every_message, sandbox_open, scene_close)
{
    struct scene *scene = *state;
    AUTO_FREE char *base = mem_printf("%s/telegram", sandbox_url(scene->sandbox));
    assert_said(scene, "x", DELIVERY_SENT);
    assert_string_equal(newest_topic(scene), "");
    telegram_free(scene->telegram);
    assert_int_equal(telegram_new(base, TOKEN, "-5", 77, &test_names, &scene->telegram, NULL), ERR_OK);
    assert_said(scene, "y", DELIVERY_SENT);
    assert_string_equal(newest_topic(scene), "77");
}

TEST_WITH(a_refusal_for_now_says_for_how_long, sandbox_open, scene_close)
{
    struct scene *scene = *state;
    sandbox_tell(scene->sandbox, "telegram", "{'refuse':1,'retry_after':7}");
    struct delivery answer = say(scene, "x");
    assert_int_equal(answer.result, DELIVERY_WAIT);
    assert_int_equal(answer.wait_s, 7);
    assert_true(is_healthy(scene)); /* it answers, and knows us */
    assert_said(scene, "x", DELIVERY_SENT);
    assert_messages(scene, 1, "x", "-5");
}

TEST_WITH(a_group_that_became_a_supergroup_is_followed_from_then_on, sandbox_open, scene_close)
{
    struct scene *scene = *state;
    sandbox_tell(scene->sandbox, "telegram", "{'chats':[{'id':-5,'migrated_to':'-1005'},-1005]}");
    struct delivery answer = say(scene, "x");
    assert_int_equal(answer.result, DELIVERY_SENT);
    assert_string_equal(answer.chat, "-1005");
    assert_messages(scene, 1, "x", "-1005");
    answer = say(scene, "y");
    assert_int_equal(answer.result, DELIVERY_SENT);
    assert_string_equal(answer.chat, "");
    assert_messages(scene, 2, "y", "-1005");
    assert_int_equal(sandbox_asked(scene->sandbox, "POST */sendMessage"), 3);
}

TEST_WITH(refusals_for_good_are_told_apart_from_bad_texts, sandbox_open, scene_close)
{
    struct scene *scene = *state;
    assert_said(scene, "<x>", DELIVERY_BAD_TEXT);
    assert_said(scene, " ", DELIVERY_BAD_TEXT);
    sandbox_tell(scene->sandbox, "telegram",
                 "{'chats':[{'id':-5,'forbidden':'bot was kicked from the group chat'}]}");
    assert_non_null(strstr(say(scene, "x").error, "bot was kicked from the group chat"));
    sandbox_tell(scene->sandbox, "telegram", "{'chats':[42]}");
    sandbox_tell(scene->sandbox, "telegram", "{'token':'123456:another'}");
    assert_said(scene, "x", DELIVERY_REFUSED);
    assert_false(is_healthy(scene));
    assert_messages(scene, 0, NULL, NULL);
}

TEST_WITH(what_breaks_on_the_way_is_tried_later_and_sent_once, sandbox_open, scene_close)
{
    struct scene *scene = *state;
    static const char *const faults[] = {"'kind':'close'", "'kind':'cut','bytes':5", "'kind':'garbage'",
                                         "'kind':'status','status':502,'html':'<p>bad gateway'",
                                         "'kind':'status','status':504,'body':''"};
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        sandbox_tell(scene->sandbox, "faults", "{'path':'/telegram',%s,'count':1}", faults[i]);
        assert_said(scene, "x", DELIVERY_FAILED);
        assert_false(is_healthy(scene));
        assert_int_equal(sandbox_asked(scene->sandbox, "POST */sendMessage"), i + 1);
    }
    assert_said(scene, "x", DELIVERY_SENT);
    assert_true(is_healthy(scene));
}

TEST_WITH(a_deadline_ends_a_call, sandbox_open, scene_close)
{
    struct scene *scene = *state;
    struct delivery answer;
    sandbox_tell(scene->sandbox, "faults", "{'path':'/telegram','kind':'hang'}");
    telegram_send(scene->telegram, scene->fetch, "x", clock_mono_ms() + 50, &answer);
    assert_int_equal(answer.result, DELIVERY_FAILED);
    assert_non_null(strstr(answer.error, "timed out"));
}

static void *say_until_stopped(void *arg)
{
    assert_said(arg, "x", DELIVERY_STOPPED);
    return NULL;
}

TEST_WITH(a_stop_ends_a_call_under_way, sandbox_open, scene_close)
{
    struct scene *scene = *state;
    pthread_t thread;
    sandbox_tell(scene->sandbox, "faults", "{'path':'/telegram','kind':'hang'}");
    assert_int_equal(pthread_create(&thread, NULL, say_until_stopped, scene), 0);
    json_decref(sandbox_told(scene->sandbox, "GET", "requests?until_hanging=1", NULL));
    fetch_stop(scene->fetch);
    pthread_join(thread, NULL);
    assert_true(is_healthy(scene)); /* our own doing */
}

TEST_WITH(a_stop_waits_for_an_answer_that_is_on_its_way, sandbox_open, scene_close)
{
    struct scene *scene = *state;
    fetch_stop(scene->fetch);
    assert_said(scene, "x", DELIVERY_SENT);
    assert_messages(scene, 1, "x", "-5");
}

TEST_WITH(a_proxy_that_quotes_the_url_gives_nothing_away, scripted_open, scene_close)
{
    struct scene *scene = *state;
    static const char target[] = "/bot" TOKEN "/sendMessage";
    static const char *const bodies[] = {
        "{\"ok\":false,\"description\":\"no route to /bot" TOKEN "/sendMessage\"}",
        "{\"ok\":false,\"description\":\"no route to /bot123456%3AAAF-s3cret_x/sendMessage\"}",
        "{\"ok\":false,\"description\":"
        "\"0123456789012345678901234567890123456789012345678901234567890123456789"
        "012345678 /bot" TOKEN "/sendMessage\"}"};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        script_server_on(scene->server, target,
                         &(const struct script_reply){.status = 403, .body = bodies[i]});
        struct delivery answer = say(scene, "x");
        assert_int_equal(answer.result, DELIVERY_REFUSED);
        assert_string_equal(answer.error, "Telegram answered 403");
        assert_false(is_healthy(scene));
    }
    script_server_on(
        scene->server, target,
        &(const struct script_reply){.status = 302, .headers = "Location: /elsewhere\r\n", .body = ""});
    assert_said(scene, "x", DELIVERY_FAILED);
    assert_int_equal(script_server_count(scene->server, "/elsewhere"), 0);
    char *head = script_server_request(scene->server, 0);
    assert_non_null(strstr(head, "POST /bot" TOKEN "/sendMessage HTTP/1.1\r\n")); /* its colon bare */
    assert_non_null(strstr(head, "Content-Type: application/json\r\n"));
    free(head);
}

TEST_WITH(where_no_bot_is_found_the_setting_of_the_url_is_named, scripted_open, scene_close)
{
    struct scene *scene = *state;
    struct upstream_view health;
    assert_string_equal(say(scene, "x").error, "the token, or THE_URL, leads to no bot (404)");
    upstream_health_view(telegram_health(scene->telegram), clock_mono_ms(), &health);
    assert_string_equal(health.error, "the token, or THE_URL, leads to no bot (404)");
}

TEST(what_cannot_be_a_url_or_a_token_is_refused_at_once)
{
    static const char *const urls[] = {"", "ftp://x", "https://ann:pass@x", "telegram"},
                             *const tokens[] = {"", "1:a b", "1:a/b", "1:a?b", "../1:a", "1:é"};
    struct telegram *telegram = NULL;
    struct why why;
    for (size_t i = 0; i < ARRAY_LEN(urls); i++)
        assert_int_equal(telegram_new(urls[i], TOKEN, "1", 0, &test_names, &telegram, &why), ERR_INVALID);
    for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
        assert_int_equal(
            telegram_new("https://api.telegram.org", tokens[i], "1", 0, &test_names, &telegram, &why),
            ERR_INVALID);
        assert_true(!*tokens[i] || !strstr(why.text, tokens[i]));
    }
    assert_null(telegram);
}

TEST_GROUP(curl_begin, curl_end)
