/* What each answer of the Bot API, of a proxy before it, and no answer at all mean for a message. */

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/http/fetch.h"
#include "clients/delivery.h"
#include "clients/telegram.h"
#include "tests/support/clients/http/names.h"
#include "tests/support/test.h"

static struct delivery read_answer(int status, int64_t retry_after_s, const char *body)
{
    const struct fetch_answer given = {.result = FETCH_ANSWERED,
                                       .status = status,
                                       .retry_after_s = retry_after_s,
                                       .content_type = "application/json",
                                       .body = (char *)(uintptr_t)body,
                                       .body_len = body ? strlen(body) : 0};
    struct delivery answer;
    telegram_answer_read(&given, &test_names, &answer);
    return answer;
}

TEST(a_message_counts_as_taken_only_when_telegram_says_so)
{
    static const char *const odd[] = {NULL, "", "<html>", "{}", "[]", "{\"ok\":1}", "{\"ok\":true", "null"};
    struct delivery answer =
        read_answer(200, -1, "{\"ok\":true,\"result\":{\"message_id\":1,\"text\":\"x\"}}");
    assert_int_equal(answer.result, DELIVERY_SENT);
    assert_string_equal(answer.error, "");
    for (size_t i = 0; i < ARRAY_LEN(odd); i++)
        assert_int_equal(read_answer(200, -1, odd[i]).result, DELIVERY_FAILED);
}

TEST(a_pause_is_read_from_the_answer_or_its_header_and_bounded)
{
    static const struct {
        int64_t header;
        const char *body;
        int64_t wait_s;
    } asked[] = {{-1, "{\"ok\":false,\"error_code\":429,\"parameters\":{\"retry_after\":7}}", 7},
                 {30, "{\"ok\":false,\"parameters\":{\"retry_after\":7}}", 7},
                 {30, "<html>", 30},
                 {-1, NULL, 5},
                 {0, "{}", 1},
                 {-1, "{\"parameters\":{\"retry_after\":0}}", 1},
                 {-1, "{\"parameters\":{\"retry_after\":-9}}", 1},
                 {-1, "{\"parameters\":{\"retry_after\":\"soon\"}}", 5},
                 {-1, "{\"parameters\":{\"retry_after\":999999999999}}", LIMIT_RETRY_AFTER_S}};
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        struct delivery answer = read_answer(429, asked[i].header, asked[i].body);
        assert_int_equal(answer.result, DELIVERY_WAIT);
        assert_int_equal(answer.wait_s, asked[i].wait_s);
    }
}

TEST(what_a_person_must_mend_is_said_in_words)
{
    static const struct {
        int status;
        const char *body;
        enum delivery_result result;
        const char *error;
    } refusals[] = {
        {401, "{\"ok\":false,\"description\":\"Unauthorized\"}", DELIVERY_REFUSED, "token"},
        {404, "{\"ok\":false,\"description\":\"Not Found\"}", DELIVERY_REFUSED,
         "the token, or THE_URL, leads to no bot (404)"},
        {403, "{\"ok\":false,\"description\":\"Forbidden: bot was blocked by the user\"}", DELIVERY_REFUSED,
         "403: Forbidden: bot was blocked by the user"},
        {400, "{\"ok\":false,\"description\":\"Bad Request: chat not found\"}", DELIVERY_REFUSED,
         "400: Bad Request: chat not found"},
        {400, "{\"ok\":false,\"description\":\"Bad Request: can't parse entities: x\"}", DELIVERY_BAD_TEXT,
         "can't parse"},
        {400, "{\"ok\":false,\"description\":\"Bad Request: message text is empty\"}", DELIVERY_BAD_TEXT,
         "empty"},
        {400, "{\"ok\":false,\"description\":\"Bad Request: message is too long\"}", DELIVERY_BAD_TEXT,
         "long"},
        {413, "<html>", DELIVERY_REFUSED, "413"},
    };
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct delivery answer = read_answer(refusals[i].status, -1, refusals[i].body);
        assert_int_equal(answer.result, refusals[i].result);
        assert_non_null(strstr(answer.error, refusals[i].error));
        assert_string_equal(answer.chat, "");
    }
}

TEST(what_a_proxy_may_have_answered_blames_no_token)
{
    static const struct fetch_answer refused = {.result = FETCH_ANSWERED,
                                                .status = 403,
                                                .content_type = "text/html",
                                                .proxy = "the proxy p:1 (http_proxy)"};
    struct delivery answer;
    telegram_answer_read(&refused, &test_names, &answer);
    assert_int_equal(answer.result, DELIVERY_FAILED);
    assert_string_equal(answer.error, "the proxy p:1 (http_proxy), or what is behind it, answered 403");
}

TEST(words_are_one_bounded_line)
{
    char body[2000] = "{\"description\":\"a\\nb\\u0007";
    memset(body + strlen(body), 'x', 1000);
    strncat(body, "\"}", 3);
    struct delivery answer = read_answer(403, -1, body);
    assert_true(strlen(answer.error) < 140);
    assert_non_null(strstr(answer.error, "a b x"));
}

TEST(a_group_that_moved_says_where_to)
{
    struct delivery answer =
        read_answer(400, -1,
                    "{\"ok\":false,\"error_code\":400,\"description\":\"Bad Request: group chat was upgraded "
                    "to a supergroup "
                    "chat\",\"parameters\":{\"migrate_to_chat_id\":-1001234567890}}");
    assert_int_equal(answer.result, DELIVERY_MOVED);
    assert_string_equal(answer.chat, "-1001234567890");
}

TEST(what_may_pass_is_tried_again)
{
    static const int statuses[] = {500, 502, 503, 504, 301, 302, 204, 100};
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        assert_int_equal(read_answer(statuses[i], -1, "<html>").result, DELIVERY_FAILED);
    static const enum fetch_result failures[] = {FETCH_TIMED_OUT, FETCH_UNREACHABLE, FETCH_CUT,
                                                 FETCH_TOO_LARGE, FETCH_NOT_ASKED};
    for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
        const struct fetch_answer given = {.result = failures[i], .error = "timed out after 10 s"};
        struct delivery answer;
        telegram_answer_read(&given, &test_names, &answer);
        assert_int_equal(answer.result, DELIVERY_FAILED);
        assert_string_equal(answer.error, "Telegram: timed out after 10 s");
    }
    struct delivery answer;
    telegram_answer_read(&(const struct fetch_answer){.result = FETCH_ABORTED}, &test_names, &answer);
    assert_int_equal(answer.result, DELIVERY_STOPPED);
}
