/* Which clients may ask, and which requests are framed so that two readers could understand them differently.
 */
#include "clients/base/err.h"
#include "reconcile/pipeline/settings_text.h"
#include "server/http/access.h"
#include "tests/support/test.h"

static void add(struct access_head *head, const char *name, const char *value)
{
    access_head_add(head, name, strlen(name), value, strlen(value));
}

static int framing_of(const char *const *pairs, bool http_1_1)
{
    struct access_head head = {.host = NULL};
    for (; *pairs; pairs += 2)
        add(&head, pairs[0], pairs[1]);
    return access_framing(&head, http_1_1).status;
}

TEST(the_read_token_opens_what_reads)
{
    static const struct access_tokens tokens = {.all = "all-of-it", .read = "read-only"};
    static const struct {
        const char *authorization, *method;
        int status;
    } cases[] = {{"Bearer read-only", "GET", 0},
                 {"Bearer read-only", "HEAD", 0},
                 {"Bearer read-only", "PUT", 403},
                 {"Bearer read-only", "POST", 403},
                 {"Bearer read-only", "DELETE", 403},
                 {"Bearer all-of-it", "PUT", 0},
                 {"Bearer all-of-it", "GET", 0},
                 {"Bearer read", "GET", 401},
                 {NULL, "GET", 401},
                 {"Bearer other", "PUT", 401}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct access_head head = {.host = "example.org", .authorization = cases[i].authorization};
        assert_int_equal(access_allowed(&head, &tokens, cases[i].method, false).status, cases[i].status);
    }
}

TEST(framing_that_two_readers_could_see_differently_is_refused)
{
    static const struct {
        const char *pairs[7];
        int status;
    } cases[] = {
        {{"Host", "a", "Content-Length", "5"}, 0},
        {{"Host", "a", "Transfer-Encoding", "chunked"}, 0},
        {{"Host", "a", "Transfer-Encoding", "Chunked"}, 0},
        {{"Content-Length", "5", "Transfer-Encoding", "chunked"}, 400},
        {{"Content-Length", "5", "Content-Length", "5"}, 400},
        {{"Content-Length", "5", "content-length", "6"}, 400},
        {{"Transfer-Encoding", "chunked", "Transfer-Encoding", "chunked"}, 400},
        {{"Transfer-Encoding", "gzip, chunked"}, 400},
        {{"Transfer-Encoding", "identity"}, 400},
        {{"Transfer-Encoding", "\x0b"
                               "chunked"},
         400},
        {{"Transfer-Encoding", ""}, 400},
        {{"Host", "a", "Host", "b"}, 400},
        {{"Content-Type", "application/json", "Content-Type", "text/plain"}, 400},
        {{"Authorization", "Bearer a", "Authorization", "Bearer b"}, 400},
        {{"Content-Length", "5, 5"}, 400},
        {{"Content-Length", "+5"}, 400},
        {{"Content-Length", "-1"}, 400},
        {{"Content-Length", "0x5"}, 400},
        {{"Content-Length", "99999999999999999999"}, 400},
        {{"Content-Length", "65536"}, 0},
        {{"Content-Length", "65537"}, 413},
        {{"Content-Length ", "5"}, 400},
        {{"", "5"}, 400},
        {{"X\tY", "5"}, 400},
        {{"X-Any", "a\rb"}, 400},
        {{"X-Any", "a\tb"}, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(framing_of(cases[i].pairs, true), cases[i].status);
    static const char *const chunked[] = {"Transfer-Encoding", "chunked", NULL};
    assert_int_equal(framing_of(chunked, false), 400); /* HTTP/1.0 knows no chunks */
}

TEST(a_host_that_names_this_machine_is_told_from_others)
{
    static const char *const good[] = {"localhost",      "LocalHost",  "localhost:8787", "127.0.0.1",
                                       "127.0.0.1:8787", "127.9.9.9",  "[::1]",          "[::1]:8787",
                                       "[0:0::1]:1",     "localhost:0"};
    static const char *const bad[] = {"",
                                      "evil.example",
                                      "localhost.evil.example",
                                      "127.0.0.1.evil.example",
                                      "127.0.0.1@evil.example",
                                      "127.1",
                                      "::1",
                                      "[::1",
                                      "[::2]",
                                      "[::1]x",
                                      "localhost:",
                                      "localhost:99999",
                                      "localhost:1:2",
                                      "localhost ",
                                      "[]",
                                      "[",
                                      ":8787",
                                      "10.0.0.1",
                                      "[::ffff:10.0.0.1]"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(authority_is_loopback(good[i]));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(authority_is_loopback(bad[i]));
}

static int allowed(const char *host, const char *origin, const char *authorization, const char *token,
                   bool open)
{
    const struct access_head head = {.host = host, .origin = origin, .authorization = authorization};
    return access_allowed(&head, &(const struct access_tokens){.all = token}, "POST", open).status;
}

TEST(without_a_token_only_this_machine_is_answered)
{
    assert_int_equal(allowed("localhost:8787", NULL, NULL, NULL, false), 0);
    assert_int_equal(allowed("rebound.example:8787", NULL, NULL, NULL, false), 403);
    assert_int_equal(allowed("rebound.example:8787", NULL, NULL, NULL, true), 403);
    assert_int_equal(allowed(NULL, NULL, NULL, NULL, false), 403);
    assert_int_equal(allowed(NULL, NULL, NULL, NULL, true), 0);
    assert_int_equal(allowed("", NULL, NULL, NULL, true), 403);
    assert_int_equal(allowed(NULL, "http://evil.example", NULL, NULL, true), 403);
    assert_int_equal(allowed("any.example", NULL, "Bearer s3cret", "s3cret", false), 0);
}

TEST(the_token_must_be_the_right_one)
{
    assert_int_equal(allowed("h", NULL, "Bearer s3cret", "s3cret", false), 0);
    assert_int_equal(allowed("h", NULL, "bearer   s3cret", "s3cret", false), 0);
    static const char *const bad[] = {
        NULL,           "",          "Bearer",         "Bearer ",        "s3cret",
        "Basic s3cret", "Bearer s3", "Bearer s3cretx", "Bearer s3cret ", "Bearers3cret"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(allowed("h", NULL, bad[i], "s3cret", false), 401);
    assert_int_equal(allowed("h", NULL, NULL, "s3cret", true), 0);
}

TEST(a_foreign_origin_is_refused_with_and_without_a_token)
{
    static const struct {
        const char *host, *origin;
        int status;
    } cases[] = {
        {"localhost:8787", "http://localhost:8787", 0},
        {"localhost:8787", "https://localhost:8787", 0},
        {"localhost:8787", "HTTP://LOCALHOST:8787", 0},
        {"localhost", "http://localhost:80", 0},
        {"localhost:443", "https://localhost", 0},
        {"localhost:8787", "http://localhost:3000", 403},
        {"localhost:8787", "http://localhost", 403},
        {"localhost:8787", "http://evil.example", 403},
        {"localhost:8787", "http://localhost:8787.evil.example", 403},
        {"localhost:8787", "null", 403},
        {"localhost:8787", "", 403},
        {"localhost:8787", "ftp://localhost:8787", 403},
        {"localhost:80", "https://localhost", 403},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(allowed(cases[i].host, cases[i].origin, NULL, NULL, false), cases[i].status);
        assert_int_equal(allowed(cases[i].host, cases[i].origin, "Bearer t", "t", false), cases[i].status);
    }
    assert_int_equal(allowed(NULL, "http://", "Bearer t", "t", false), 403);
}

TEST(a_body_is_json_in_utf_8)
{
    static const char *const good[] = {"application/json",
                                       "Application/JSON",
                                       "application/json;charset=utf-8",
                                       "application/json; charset=UTF-8",
                                       "application/json; charset=\"utf-8\"",
                                       "application/json ; version=1 ; charset=utf-8",
                                       "application/json; charset=\"\\U\\tf-8\"",
                                       "application/json;charset=utf-8;;",
                                       "application/json\t;\tCharset=UTF-8 ",
                                       "application/json; a=\"; charset=latin1\"; charset=utf-8",
                                       "application/json; a=\"\\\"; charset=latin1\"",
                                       "application/json; a=\"\"",
                                       "application/json;"};
    static const char *const bad[] = {NULL,
                                      "",
                                      "text/plain",
                                      "application/jsonx",
                                      "application/problem+json",
                                      "application/x-www-form-urlencoded",
                                      "application/json; charset=latin1",
                                      "application/json; version=1; charset=utf-16",
                                      "application/json; charset=\"utf-7\"",
                                      "application/json; charset=",
                                      "application/json; charset=\"\"",
                                      "application/json; charset=\"utf-8",
                                      "application/json; charset=\"utf-8\\\"",
                                      "application/json; charset = utf-8",
                                      "application/json; charset=utf-8 x",
                                      "application/json; charset=utf-8x",
                                      "application/json; charset=utf-8; charset=latin1",
                                      "application/json charset=utf-8",
                                      "application/json; charset",
                                      "application/json; =utf-8",
                                      "application/json; a=\"\\\"; charset=latin1",
                                      "application/json; \"a\"=b",
                                      "application/json, text/plain",
                                      "application"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_int_equal(access_media(&(const struct access_head){.content_type = good[i]}).status, 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(access_media(&(const struct access_head){.content_type = bad[i]}).status, 415);
}

TEST(a_body_is_not_encoded)
{
    static const struct {
        const char *coding;
        int status;
    } cases[] = {{"", 0},     {"identity", 0}, {"Identity", 0},         {"gzip", 415},
                 {"br", 415}, {"utf-8", 415},  {"identity, gzip", 415}, {"gzip, identity", 415}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct access_head head = {.host = NULL};
        add(&head, "Content-Type", "application/json");
        add(&head, "Content-Encoding", cases[i].coding);
        assert_int_equal(access_media(&head).status, cases[i].status);
    }
}
