/* The real listener on a real socket, with handlers of the test's own: hostile HTTP, framing, access. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <microhttpd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "reconcile/pipeline/settings_text.h"
#include "server/http/listener.h"
#include "server/http/routes.h"
#include "tests/support/server/http/http_client.h"
#include "tests/support/server/http/listener_fixture.h"

/* what is asked and answered */

static void a_request_reaches_its_handler_whole(void **state)
{
    (void)state;
    struct http_answer *answer = http_ask(fixture.address, "PUT /items/a.b_c-1?q=x%20y HTTP/1.1\r\n" HOST JSON
                                                           "X-Test: t\r\nContent-Length: 9\r\n\r\n"
                                                           "{\"a\": 1}\n");
    assert_int_equal(answer->status, 200);
    assert_string_equal(answer->body, "{\"param\":\"a.b_c-1\",\"q\":\"x y\",\"x\":\"t\",\"body\":{\"a\":1}}");
    assert_string_equal(http_header(answer, "X-Answer"), "42");
    assert_string_equal(http_header(answer, "Content-Type"), "application/json");
    assert_string_equal(http_header(answer, "X-Content-Type-Options"), "nosniff");
    assert_string_equal(http_header(answer, "Cache-Control"), "no-store");
    free(answer);
}

static void head_answers_as_get_does_without_the_body(void **state)
{
    (void)state;
    struct http_client *client = http_open(fixture.address);
    assert_true(http_say(client, "GET /echo HTTP/1.1\r\n" HOST "\r\n"));
    struct http_answer *get = http_read(client, false);
    assert_true(http_say(client, "HEAD /echo HTTP/1.1\r\n" HOST "\r\nGET /open HTTP/1.1\r\n" HOST "\r\n"));
    struct http_answer *head = http_read(client, true);
    assert_int_equal(head->status, 200);
    char length[32];
    snprintf(length, sizeof length, "%zu", get->body_len);
    assert_string_equal(http_header(head, "Content-Length"), length);
    struct http_answer *next = http_read(client, false); /* had there been a body it would stand here */
    assert_int_equal(next->status, 200);
    free(get);
    free(head);
    free(next);
    http_close(client);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    struct http_client *client = http_open(fixture.address);
    assert_true(http_say(client, "GET /items/1 HTTP/1.1\r\n" HOST "\r\n"
                                 "POST /echo HTTP/1.1\r\n" HOST JSON "Content-Length: 7\r\n\r\n{\"n\":2}"
                                 "GET /at-once HTTP/1.1\r\n" HOST "\r\n"
                                 "GET /nothing HTTP/1.1\r\n" HOST "\r\n"
                                 "GET /items/5 HTTP/1.1\r\n" HOST "\r\n"));
    static const char *const parts[] = {"\"param\":\"1\"", "{\"n\":2}", "at_once", "\"status\":404",
                                        "\"param\":\"5\""};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct http_answer *answer = http_read(client, false);
        assert_non_null(strstr(answer->body, parts[i]));
        free(answer);
    }
    http_close(client);
}

static void errors_are_problem_documents(void **state)
{
    (void)state;
    struct http_answer *answer = http_ask(fixture.address, "DELETE /echo HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(answer->status, 405);
    assert_string_equal(http_header(answer, "Allow"), "GET, HEAD, POST");
    assert_string_equal(http_header(answer, "Content-Type"), "application/problem+json");
    assert_string_equal(
        answer->body,
        "{\"type\":\"/problems/method-not-allowed\",\"title\":\"Method Not Allowed\",\"status\":405,"
        "\"detail\":\"this path does not support the method\"}");
    free(answer);
    fixture_expect("GET /leaks HTTP/1.1\r\n" HOST "\r\n", 500);
    answer = http_ask(fixture.address, "GET /fails HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(answer->status, 500);
    assert_null(strstr(answer->body, "hunter2"));
    free(answer);
}

static void strange_targets_find_nothing(void **state)
{
    (void)state;
    static const char *const targets[] = {"/",          "//echo",   "/echo/",     "/./echo",
                                          "/x/../echo", "/echo%00", "/items/a%2", "/items/%2e%2e",
                                          "/items/..",  "/items/",  "/items/%ff", "/ech%6f",
                                          "*",          "echo",     "/items/a/b", "ftp://localhost/echo"};
    char text[256];
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n" HOST "\r\n", targets[i]);
        fixture_expect(text, 404);
    }
    fixture_expect("GET /items/%00 HTTP/1.1\r\n" HOST "\r\n", 400);
    fixture_expect("GET /items/a%00b HTTP/1.1\r\n" HOST "\r\n", 400);
    fixture_expect("GET /echo?q=%00 HTTP/1.1\r\n" HOST "\r\n", 400);
    fixture_expect("GET /echo?q=a%00b HTTP/1.1\r\n" HOST "\r\n", 400);
    fixture_expect("get /echo HTTP/1.1\r\n" HOST "\r\n", 405);
    assert_int_equal(fixture.n_handled, 0);
}

static void an_escaped_slash_belongs_to_its_segment(void **state)
{
    (void)state;
    struct http_answer *answer = http_ask(fixture.address, "GET /items/a%2Fb%252F HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(answer->status, 200);
    assert_non_null(strstr(answer->body, "\"param\":\"a/b%2F\""));
    free(answer);
}

static void a_target_in_absolute_form_names_the_host(void **state)
{
    (void)state;
    fixture_expect("GET http://localhost/echo HTTP/1.1\r\n" HOST "\r\n", 200);
    fixture_expect("GET HTTPS://127.0.0.1:8787/echo?q=a HTTP/1.1\r\nHost: evil.example\r\n\r\n", 200);
    fixture_expect("GET http://localhost/echo HTTP/1.0\r\n\r\n", 200);
    fixture_expect("GET http://localhost/echo HTTP/1.1\r\n" HOST "Origin: http://localhost\r\n\r\n", 200);
    assert_int_equal(fixture.n_handled, 4);
    fixture_expect("GET http://localhost HTTP/1.1\r\n" HOST "\r\n", 404);
    fixture_expect("GET http://localhost?q=/echo HTTP/1.1\r\n" HOST "\r\n", 404);
    fixture_expect("GET http://localhost//echo HTTP/1.1\r\n" HOST "\r\n", 404);
    static const char *const foreign[] = {"http://evil.example/echo", "http://localhost@evil.example/echo",
                                          "http://evil@localhost/echo", "http:///echo",
                                          "http://evil.example"};
    char text[256];
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n" HOST "\r\n", foreign[i]);
        fixture_expect(text, 403);
    }
    fixture_expect("GET http://localhost/echo HTTP/1.1\r\n" HOST HOST "\r\n", 400);
    fixture_expect("GET http://localhost/echo HTTP/1.1\r\n" HOST "Origin: http://evil.example\r\n\r\n", 403);
    assert_int_equal(fixture.n_handled, 4);
}

static void a_target_that_is_too_long_is_refused(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        int status;
    } cases[] = {{LIMIT_URI - 20, 200}, {LIMIT_URI + 1, 414}, {LIMIT_CONNECTION_MEMORY * 4, 414}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *text = mem_zero(1, cases[i].len + 200);
        memset(text, 'x', cases[i].len + 13);
        memcpy(text, "GET /echo?q=", 12);
        strncat(text, " HTTP/1.1\r\n" HOST "\r\n", 100);
        fixture_expect(text, cases[i].status);
        free(text);
    }
}

static void a_body_must_be_a_json_object(void **state)
{
    (void)state;
    static const struct {
        const char *type, *body;
        int status;
    } cases[] = {
        {JSON, "{}", 200},
        {JSON, "", 200},
        {"", "", 200},
        {JSON, "[]", 400},
        {JSON, "7", 400},
        {JSON, "{", 400},
        {JSON, "{\"a\":1,\"a\":2}", 400},
        {JSON, "{} {}", 400},
        {JSON, "\xff\xfe", 400},
        {JSON, "{\"a\":\"\xc0\x80\"}", 400},
        {JSON, "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", 400},
        {JSON, " ", 400},
        {"", "{}", 415},
        {"Content-Type: text/plain\r\n", "{}", 415},
        {"Content-Type: application/json; charset=utf-16\r\n", "{}", 415},
        {"Content-Type: application/json; charset=utf-8\r\n", "{}", 200},
    };
    char text[512];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(text, sizeof text, "POST /echo HTTP/1.1\r\n" HOST "%sContent-Length: %zu\r\n\r\n%s",
                 cases[i].type, strlen(cases[i].body), cases[i].body);
        fixture_expect(text, cases[i].status);
    }
    struct http_answer *answer = http_ask(fixture.address, "POST /echo HTTP/1.1\r\n" HOST JSON
                                                           "Content-Length: 9\r\n\r\n{\"a\":\n 1 ");
    assert_non_null(strstr(answer->body, "line 2"));
    free(answer);
}

static void a_body_in_chunks_is_one_body(void **state)
{
    (void)state;
    struct http_answer *answer =
        http_ask(fixture.address, "POST /echo HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: chunked\r\n\r\n"
                                  "4\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\nX-Trailer: y\r\nX-Other: z\r\n\r\n");
    assert_int_equal(answer->status, 200);
    assert_non_null(strstr(answer->body, "\"body\":{\"a\":1}"));
    free(answer);
}

static void no_chunk_is_no_body_of_any_type(void **state)
{
    (void)state;
    static const char *const types[] = {"", "Content-Type: text/plain\r\n", JSON};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        AUTO_FREE char *none = mem_printf(
            "POST /echo HTTP/1.1\r\n" HOST "%sTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", types[i]);
        fixture_expect(none, 200);
        AUTO_FREE char *some = mem_printf("POST /echo HTTP/1.1\r\n" HOST
                                          "%sTransfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n",
                                          types[i]);
        fixture_expect(some, i < 2 ? 415 : 200);
    }
    fixture_expect(
        "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n", 415);
}

/* A chunk's extension is ignored. libmicrohttpd 1.0 means to take one as well, but
 * refuses it at every level of discipline (seen with 1.0.1). */
static void the_extension_of_a_chunk_is_passed_over_where_the_library_takes_it(void **state)
{
    (void)state;
    fixture_expect("POST /echo HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: chunked\r\n\r\n"
                   "7;ext=1\r\n{\"a\":1}\r\n0\r\n\r\n",
                   MHD_VERSION < 0x01000000 ? 200 : 400);
    assert_int_equal(fixture.n_handled, MHD_VERSION < 0x01000000 ? 1 : 0);
}

/* Sends a chunked body of so many KiB; false when the peer cut the connection. */
static bool send_chunks(struct http_client *client, const char *method_and_path, size_t kib)
{
    char chunk[1024 + 16] = "400\r\n", head[256];
    memset(chunk + 5, ' ', 1024);
    memcpy(chunk + 5 + 1024, "\r\n", 2);
    snprintf(head, sizeof head, "%s HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: chunked\r\n\r\n",
             method_and_path);
    bool good = http_say(client, head);
    for (size_t i = 0; good && i < kib; i++)
        good = http_send(client, chunk, 5 + 1024 + 2);
    return good && http_say(client, "2\r\n{}\r\n0\r\n\r\n");
}

static void a_body_that_is_too_large_is_refused(void **state)
{
    (void)state;
    fixture_expect("POST /echo HTTP/1.1\r\n" HOST JSON "Content-Length: 65537\r\n\r\n", 413);
    fixture_expect("POST /echo HTTP/1.1\r\n" HOST JSON "Content-Length: 9223372036854775807\r\n\r\n", 413);
    fixture_expect("GET /echo HTTP/1.1\r\n" HOST "Content-Length: 65537\r\n\r\n", 413);
    static const struct {
        const char *what;
        size_t kib;
        int status;
    } cases[] = {{"POST /echo", 63, 200}, {"POST /echo", 64, 413}, {"POST /echo", 500, 413},
                 {"GET /echo", 63, 200},  {"GET /echo", 65, 413},  {"POST /nothing", 500, 404}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_client *client = http_open(fixture.address);
        assert_true(send_chunks(client, cases[i].what, cases[i].kib));
        struct http_answer *answer = http_read(client, false);
        assert_int_equal(answer->status, cases[i].status);
        free(answer);
        /* The refusal cost the client its body, not its connection. */
        assert_true(http_say(client, "GET /echo HTTP/1.1\r\n" HOST "\r\n"));
        answer = http_read(client, false);
        assert_int_equal(answer->status, 200);
        free(answer);
        http_close(client);
    }
    struct http_client *client = http_open(fixture.address);
    (void)send_chunks(client, "POST /echo", 2048); /* without end: cut off without a word */
    struct http_answer *answer = http_read(client, false);
    assert_int_equal(answer->status, 0);
    free(answer);
    http_close(client);
}

static void a_body_is_ignored_where_none_is_wanted(void **state)
{
    (void)state;
    struct http_client *client = http_open(fixture.address);
    assert_true(http_say(client, "GET /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"
                                 "GET /echo?q=next HTTP/1.1\r\n" HOST "\r\n"));
    struct http_answer *answer = http_read(client, false);
    assert_int_equal(answer->status, 200);
    assert_non_null(strstr(answer->body, "\"body\":null"));
    free(answer);
    answer = http_read(client, false);
    assert_non_null(strstr(answer->body, "\"q\":\"next\""));
    free(answer);
    http_close(client);
}

static void who_expects_is_refused_before_sending_the_body(void **state)
{
    (void)state;
    fixture_expect("POST /nothing HTTP/1.1\r\n" HOST JSON "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n",
                   404);
    struct http_client *client = http_open(fixture.address);
    assert_true(http_say(client, "POST /echo HTTP/1.1\r\n" HOST JSON
                                 "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"));
    static const char go_on[] = "HTTP/1.1 100";
    assert_true(http_receive(client, sizeof go_on - 1));
    assert_memory_equal(client->buffer, go_on, sizeof go_on - 1);
    assert_true(http_say(client, "{}"));
    struct http_answer *answer = http_read(client, false);
    assert_int_equal(answer->status, 200);
    free(answer);
    http_close(client);
}

/* parameters */

static void ask_route(const struct route *route, const char *query, const char *headers, int status,
                      const char *part)
{
    char text[512], path[64];
    const char *brace = strchr(route->path, '{');
    snprintf(path, sizeof path, "%.*s%s%s", brace ? (int)(brace - route->path) : (int)strlen(route->path),
             route->path, brace ? "1" : "", brace ? strchr(brace, '}') + 1 : "");
    snprintf(text, sizeof text, "%s %s?%s HTTP/1.1\r\n" HOST "%s\r\n", route->method, path, query, headers);
    struct http_answer *answer = http_ask(fixture.address, text);
    if (answer->status != status || !strstr(answer->body, part))
        fail_msg("%d %s instead of %d %s to: %s", answer->status, answer->body, status, part, text);
    free(answer);
}

#define WITH_TOKEN "Authorization: Bearer s3cret\r\n"

/* No handler of the real table is reached: there is nothing that it could work with. */
static void every_route_refuses_parameters_that_it_does_not_have(void **state)
{
    (void)state;
    static const struct listen_address loopback = {.host = "127.0.0.1", .loopback = true};
    struct listener_options options = fixture_options(&loopback);
    struct why why;
    listener_stop(fixture.listener);
    options.tokens.all = "s3cret";
    options.routes = routes_table();
    assert_int_equal(listener_start(&options, &fixture.listener, &why), ERR_OK);
    fixture.address = listener_address(fixture.listener, 0);
    for (const struct route *route = routes_table(); route->path; route++) {
        bool open = route->flags & ROUTE_OPEN;
        ask_route(route, "limt=1", WITH_TOKEN, 400, "/problems/invalid-parameter");
        ask_route(route, "limt=1", WITH_TOKEN, 400, "{\"field\":\"limt\",\"detail\":\"is not known; ");
        ask_route(route, "dry_run", WITH_TOKEN, 400, "\"dry_run\"");
        ask_route(route, "=1", WITH_TOKEN, 400, "\"field\":\"\"");
        ask_route(route, "LIMIT=1&Repo=2", WITH_TOKEN, 400, "},{\"field\":\"Repo\"");
        ask_route(route, "a&b&c&d&e&f&g&h&i", WITH_TOKEN, 400, "\"h\"");
        ask_route(route, "limt=1", "", open ? 400 : 401, "");
        ask_route(route, "limt=1", WITH_TOKEN "Origin: http://evil.example\r\n", 403, "");
        for (const char *const *known = route->query; known && *known; known++) {
            char twice[128];
            snprintf(twice, sizeof twice, "%s=1&%s=1", *known, *known);
            ask_route(route, twice, WITH_TOKEN, 400, "is there twice");
            ask_route(route, "limt=1", WITH_TOKEN, 400, *known);
        }
    }
}

static void a_parameter_that_is_known_is_read_however_it_is_written(void **state)
{
    (void)state;
    fixture_expect("GET /echo?q=1 HTTP/1.1\r\n" HOST "\r\n", 200);
    fixture_expect("GET /echo?%71=1 HTTP/1.1\r\n" HOST "\r\n", 200);
    fixture_expect("GET /echo? HTTP/1.1\r\n" HOST "\r\n", 200);
    fixture_expect("GET /echo?q HTTP/1.1\r\n" HOST "\r\n", 200);
    fixture_expect("GET /echo?%51=1 HTTP/1.1\r\n" HOST "\r\n", 400);
    fixture_expect("GET /echo?q=1&%71=1 HTTP/1.1\r\n" HOST "\r\n", 400);
    fixture_expect("POST /echo?q=1 HTTP/1.1\r\n" HOST JSON "Content-Length: 2\r\n\r\n{}", 400);
}

/* framing */

#define SMUGGLED "GET /echo?q=smuggled HTTP/1.1\r\n" HOST "\r\n"

/* What comes behind these bytes must never be taken for a request, nor they themselves: one answer at most,
 * the connection is closed, no handler has run. libmicrohttpd 0.9 begins pages of its own with their head
 * twice: read as HTTP, that is one answer and garbage behind it. */
static void expect_refusal(const char *bytes, size_t len)
{
    struct http_client *client = http_open(fixture.address);
    char text[2048];
    assert_true(len + sizeof SMUGGLED <= sizeof text);
    memcpy(text, bytes, len);
    memcpy(text + len, SMUGGLED, sizeof SMUGGLED - 1);
    assert_true(http_send(client, text, len + sizeof SMUGGLED - 1));
    struct http_answer *answer = http_read(client, false);
    if (answer->status != 400 && answer->status != 413 && answer->status != 0)
        fail_msg("%d to %s", answer->status, bytes);
    while (http_receive(client, client->len + 1))
        ;
    if (client->len >= 7 && memcmp(client->buffer, "HTTP/1.", 7) == 0)
        fail_msg("two answers to %s", bytes);
    if (!http_ended(client, 10000))
        fail_msg("not closed after %s", bytes);
    if (fixture.n_handled != 0)
        fail_msg("executed: %s", bytes);
    free(answer);
    http_close(client);
}

/* "*" is the header that is tried; bytes behind the head are a body that some readers would see. */
static void expect_header_refused(const char *header, size_t header_len, bool chunked)
{
    static const char *const heads[] = {
        "POST /echo HTTP/1.1\r\n*" HOST JSON "\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "*" JSON "\r\n",
        "POST /echo HTTP/1.1\r\n" HOST JSON "*\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        char text[1024];
        const char *star = strchr(heads[i], '*');
        size_t len = (size_t)(star - heads[i]);
        memcpy(text, heads[i], len);
        memcpy(text + len, header, header_len);
        len += header_len;
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", star + 1,
                                chunked ? "7\r\n{\"a\":1}\r\n0\r\n\r\n" : "{\"a\":1}");
        expect_refusal(text, len);
    }
}

struct header {
    const char *name, *value;
};

enum { FOLD_SHAPES = 5 };

static void fold(const struct header *header, int shape, char blank, char *ret, size_t size)
{
    const char *name = header->name, *value = header->value;
    if (shape == 0) /* the value on a line of its own */
        snprintf(ret, size, "%s:\r\n%c%s\r\n", name, blank, value);
    else if (shape == 1) /* the same, far down */
        snprintf(ret, size, "%s: \r\n%c \r\n%c%s\r\n", name, blank, blank, value);
    else if (shape == 2) /* nothing on the second line */
        snprintf(ret, size, "%s: %s\r\n%c\r\n", name, value, blank);
    else if (shape == 3) /* a part of it on the first */
        snprintf(ret, size, "%s: %.1s\r\n%c%s\r\n", name, value, blank, value);
    else /* the name's end on the second: libmicrohttpd 0.9 makes it whole again */
        snprintf(ret, size, "%.2s: %s\r\n%c%s\r\n", name, value, blank, name + 2);
}

/* A fold continues a header's value. Readers differ in it, and libmicrohttpd 0.9 continues the name. */
static void no_fold_makes_or_hides_a_header(void **state)
{
    (void)state;
    static const struct header headers[] = {
        {"Content-Length", "7"},         {"Transfer-Encoding", "chunked"},
        {"Connection", "keep-alive"},    {"Expect", "100-continue"},
        {"Host", "localhost"},           {"Content-Type", "application/json"},
        {"Origin", "http://localhost"},  {"Authorization", "Bearer s3cret"},
        {"X-Other", "Content-Length: 7"}};
    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        for (int shape = 0; shape < FOLD_SHAPES; shape++)
            for (const char *blank = " \t"; *blank; blank++) {
                char text[256];
                fold(&headers[i], shape, *blank, text, sizeof text);
                expect_header_refused(text, strlen(text), i == 1);
            }
}

#define BYTES(text) {(text), sizeof(text) - 1}
struct bytes {
    const char *at;
    size_t len;
};

static void no_framing_smuggles_a_second_request(void **state)
{
    (void)state;
    static const struct bytes headers[] = {
        BYTES("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        BYTES("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
        BYTES("Content-Length: 5\r\nContent-Length: 6\r\n"),
        BYTES("Content-Length: 5\r\nContent-Length: 5\r\n"),
        BYTES("Content-Length: 5, 6\r\n"),
        BYTES("Content-Length: 5, 5\r\n"),
        BYTES("Content-Length: +5\r\n"),
        BYTES("Content-Length: 5x\r\n"),
        BYTES("Content-Length:\r\n"),
        BYTES("Content-Length : 5\r\n"),
        BYTES("Content-Length\t: 5\r\n"),
        BYTES("Transfer-Encoding: gzip\r\n"),
        BYTES("Transfer-Encoding: gzip, chunked\r\n"),
        BYTES("Transfer-Encoding: chunked, gzip\r\n"),
        BYTES("Transfer-Encoding: xchunked\r\n"),
        BYTES("Transfer-Encoding: chunked;q=1\r\n"),
        BYTES("Transfer-Encoding: identity\r\n"),
        BYTES("Transfer-Encoding : chunked\r\n"),
        BYTES("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
        BYTES("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        BYTES("Transfer-Encoding:\r\n"),
        BYTES("Host: localhost\r\nContent-Length: 5\r\n"),
        BYTES("Content-Type: text/plain\r\nContent-Length: 5\r\n"),
        BYTES("X-Any: a\rContent-Length: 5\r\n"),
        BYTES("X-Any: a\nContent-Length: 5\r\n"),
        BYTES("Content-Length: 5\n"),
        BYTES("X-Any: a\0b\r\nContent-Length: 5\r\n"),
        BYTES("X-A\0ny: a\r\nContent-Length: 5\r\n"),
        BYTES("Content-Length\0: 5\r\n"),
        BYTES("Content-Length: 5\0\r\n"),
        BYTES("Content-Length: 5\0006\r\n"),
        BYTES("\0Content-Length: 5\r\n"),
        BYTES(": a\r\nContent-Length: 5\r\n"),
        BYTES(": a\r\n"),
        BYTES("Content-Length 5\r\n"),
        BYTES("X Any: a\r\nContent-Length: 5\r\n"),
    };
    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        expect_header_refused(headers[i].at, headers[i].len, false);
    static const struct bytes whole[] = {
        BYTES("POST /echo\0x HTTP/1.1\r\n" HOST JSON "Content-Length: 7\r\n\r\n{\"a\":1}"),
        BYTES("POST /ec\0ho HTTP/1.1\r\n" HOST JSON "Content-Length: 7\r\n\r\n{\"a\":1}"),
        BYTES("POST /echo HTTP/1.1\n" HOST JSON "Content-Length: 7\r\n\r\n{\"a\":1}"),
        BYTES("POST /echo HTTP/1.1\nHost: localhost\nContent-Length: 7\n" JSON "\n{\"a\":1}"),
        BYTES("POST /echo HTTP/1.1\r\n" HOST JSON "Content-Length: 7\r\n\n{\"a\":1}"),
        BYTES("POST /echo HTTP/1.0\r\n" HOST JSON "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        BYTES("POST /echo HTTP/1.1\r\n X: y\r\n" HOST JSON "Content-Length: 7\r\n\r\n{\"a\":1}"),
    };
    for (size_t i = 0; i < ARRAY_LEN(whole); i++)
        expect_refusal(whole[i].at, whole[i].len);
}

#define CHUNKED "POST /echo HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: chunked\r\n\r\n"

static void no_chunk_or_trailer_smuggles_a_second_request(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "-7\r\n{\"a\":1}\r\n0\r\n\r\n",
        "+7\r\n{\"a\":1}\r\n0\r\n\r\n",
        "0x7\r\n{\"a\":1}\r\n0\r\n\r\n",
        " 7\r\n{\"a\":1}\r\n0\r\n\r\n",
        "7 8\r\n{\"a\":1}\r\n0\r\n\r\n",
        "\r\n{\"a\":1}\r\n0\r\n\r\n",
        "10000000000000007\r\n{\"a\":1}\r\n0\r\n\r\n",
        "7\r\n{\"a\":1}xx\r\n0\r\n\r\n",
        "7;a\n;b\r\n{\"a\":1}\r\n0\r\n\r\n",
        "7\r\n{\"a\":1}\r\n0\r\nContent-Length: 5\r\n\r\n",
        "7\r\n{\"a\":1}\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "7\r\n{\"a\":1}\r\n0\r\nHost: evil.example\r\n\r\n",
        "7\r\n{\"a\":1}\r\n0\r\nX y: z\r\n\r\n",
        "7\r\n{\"a\":1}\r\n0\r\nX:\r\n y\r\n\r\n",
        "7\r\n{\"a\":1}\r\n0\r\nX: y\r\n\tContent-Length: 5\r\n\r\n",
        "7\r\n{\"a\":1}\r\n0\r\nGET /echo HTTP/1.1\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        char text[512];
        snprintf(text, sizeof text, CHUNKED "%s", bodies[i]);
        expect_refusal(text, strlen(text));
    }
}

/* libmicrohttpd 0.9 shows nothing of the lines between chunks, so there a bare LF ends one; the request is
 * executed, and is the only one. */
static void a_bare_lf_between_chunks_is_refused_where_the_library_can(void **state)
{
    (void)state;
    static const char *const texts[] = {
        CHUNKED "7\n{\"a\":1}\r\n0\r\n\r\n",
        CHUNKED "7\r\n{\"a\":1}\n0\r\n\r\n",
        CHUNKED "7\r\n{\"a\":1}\r\n0\n\r\n",
        CHUNKED "7\r\n{\"a\":1}\r\n0\r\n\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (MHD_VERSION >= 0x01000000)
            expect_refusal(texts[i], strlen(texts[i]));
        else
            fixture_expect(texts[i], 200);
    }
    assert_int_equal(fixture.n_handled, MHD_VERSION >= 0x01000000 ? 0 : (int)ARRAY_LEN(texts));
}

/* Blanks around values, values that are empty, a header that fills much of the memory there is for it, a
 * pause in the middle of a line: none of it is odd. */
static void plain_headers_are_not_taken_for_odd_ones(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "X:y\r\n",       "X:  y\r\n",       "X:\t y\r\n",  "X: y  \r\n",
        "X:\r\n",        "X: \r\nY:\r\n",   "X: y z\r\n",  "Cookie: a=b; c=d\r\n",
        "Cookie: a\r\n", "X: \xc3\xa9\r\n", "X: a\tb\r\n", "X: y\r\nX: y\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        char text[256];
        snprintf(text, sizeof text, "GET /echo?q=%%20 HTTP/1.1\r\n" HOST "%s\r\n", headers[i]);
        fixture_expect(text, 200);
        snprintf(text, sizeof text, "GET /echo?q=%%20 HTTP/1.1\r\n%s" HOST "\r\n", headers[i]);
        fixture_expect(text, 200);
    }
    struct http_client *client = http_open(fixture.address);
    char line[1024 + 1];
    memset(line, 'x', sizeof line - 1);
    memcpy(line, "X-Long: ", 8);
    memcpy(line + sizeof line - 3, "\r\n", 3);
    for (int request = 0; request < 3; request++) {
        assert_true(http_say(client, "\r\nGET /echo?q=long HTTP/1.1\r\n" HOST));
        for (int i = 0; i < 9; i++) {
            assert_true(http_send(client, line, 500));
            struct http_answer *other = http_ask(fixture.address, "GET /echo HTTP/1.1\r\n" HOST "\r\n");
            assert_int_equal(other->status, 200); /* so what was sent before has almost certainly been read */
            free(other);
            assert_true(http_say(client, line + 500));
        }
        assert_true(http_say(client, "\r\n"));
        struct http_answer *answer = http_read(client, false);
        assert_int_equal(answer->status, 200);
        free(answer);
    }
    http_close(client);
}

static void garbage_hurts_nobody(void **state)
{
    (void)state;
    static const char *const lines[] = {"\r\n\r\n",
                                        "GET\r\n\r\n",
                                        "GET / HTTP/9.9\r\n\r\n",
                                        "\x16\x03\x01\x02\x01\x01",
                                        "GET /echo\r\n\r\n",
                                        "GET /echo HTTP/1.1\r\n\r\n",
                                        ": \r\n\r\n",
                                        "GET /echo HTTP/1.1\r\nHost\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct http_client *client = http_open(fixture.address);
        assert_true(http_say(client, lines[i]));
        http_end(client);
        assert_true(fixture_is_closed_in_time(client));
        http_close(client);
    }
    assert_int_equal(fixture.n_handled, 0);
    fixture_expect("GET /echo HTTP/1.1\r\n" HOST "\r\n", 200);
}

/* access */

static void a_page_of_another_origin_cannot_drive_us(void **state)
{
    (void)state;
    fixture_expect("POST /echo HTTP/1.1\r\n" HOST "Origin: http://evil.example\r\n" JSON
                   "Content-Length: 2\r\n\r\n{}",
                   403);
    fixture_expect("POST /echo HTTP/1.1\r\n" HOST "Origin: null\r\n" JSON "Content-Length: 2\r\n\r\n{}", 403);
    fixture_expect("GET /echo HTTP/1.1\r\nHost: rebound.example\r\n\r\n", 403);
    fixture_expect("GET /open HTTP/1.1\r\nHost: rebound.example\r\n\r\n", 403);
    fixture_expect("GET /echo HTTP/1.0\r\n\r\n", 403);
    fixture_expect("GET /open HTTP/1.0\r\nOrigin: http://evil.example\r\n\r\n", 403);
    assert_int_equal(fixture.n_handled, 0);
    fixture_expect("POST /echo HTTP/1.1\r\n" HOST "Origin: http://localhost\r\n" JSON
                   "Content-Length: 2\r\n\r\n{}",
                   200);
}

/* 401, and not before the delay is over. */
static void expect_late(const char *text)
{
    struct http_client *client = http_open(fixture.address);
    assert_true(http_say(client, text));
    listener_tick(fixture.listener);
    assert_false(http_arrived(client, 100));
    atomic_fetch_add(&fixture.fake_ms, LIMIT_AUTH_DELAY_MS);
    listener_tick(fixture.listener);
    struct http_answer *answer = http_read(client, false);
    assert_int_equal(answer->status, 401);
    free(answer);
    http_close(client);
}

static void a_wrong_token_waits_no_longer_than_the_service(void **state)
{
    (void)state;
    fixture_restart("s3cret", 0);
    struct http_client *client = http_open(fixture.address);
    assert_true(http_say(client, "GET /echo HTTP/1.1\r\n" HOST "Authorization: Bearer wrong\r\n\r\n"));
    assert_false(http_arrived(client, 100));
    listener_drain(fixture.listener, LIMIT_STOP_MS);
    struct http_answer *answer = http_read(client, false);
    assert_int_equal(answer->status, 401);
    free(answer);
    http_close(client);
}

static void a_token_is_needed_for_everything_but_the_open_paths(void **state)
{
    (void)state;
    fixture_restart("s3cret", 0);
    struct http_answer *answer = http_ask(fixture.address, "GET /echo HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(answer->status, 401);
    assert_string_equal(http_header(answer, "WWW-Authenticate"), "Bearer realm=\"reconciled\"");
    free(answer);
    fixture_expect("GET /nothing HTTP/1.1\r\n" HOST "\r\n", 401);
    fixture_expect("PATCH /echo HTTP/1.1\r\n" HOST "\r\n", 401);
    fixture_expect("POST /echo HTTP/1.1\r\n" HOST JSON "Content-Length: 2\r\n\r\n{}", 401);
    expect_late("GET /echo HTTP/1.1\r\n" HOST "Authorization: Bearer wrong\r\n\r\n");
    fixture_expect("GET /echo HTTP/1.1\r\n" HOST
                   "Authorization: Bearer s3cret\r\nAuthorization: Bearer s3cret\r\n\r\n",
                   400);
    assert_int_equal(fixture.n_handled, 0);
    fixture_expect("GET /open HTTP/1.1\r\nHost: any.example\r\n\r\n", 200);
    fixture_expect("GET /echo HTTP/1.1\r\nHost: any.example\r\nAuthorization: Bearer s3cret\r\n\r\n", 200);
}

static void without_a_token_only_loopback_is_listened_on(void **state)
{
    (void)state;
    static const struct listen_address everywhere = {.host = "0.0.0.0"}, other = {.host = "::", .v6 = true};
    static const struct listen_address *const addresses[] = {&everywhere, &other};
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        const struct listener_options options = {.address = addresses[i], .routes = fixture_routes};
        struct listener *none = NULL;
        struct why why;
        assert_int_equal(listener_start(&options, &none, &why), ERR_INVALID);
        assert_null(none);
        assert_non_null(strstr(why.text, "ORCH_API_TOKEN"));
    }
}

static void an_address_in_use_is_said_so(void **state)
{
    (void)state;
    struct listen_address taken = {.host = "127.0.0.1"};
    int64_t port;
    assert_true(parse_i64(strrchr(fixture.address, ':') + 1, 1, 65535, &port));
    taken.port = (int)port;
    const struct listener_options options = {.address = &taken, .routes = fixture_routes};
    struct listener *none = NULL;
    struct why why;
    assert_int_equal(listener_start(&options, &none, &why), ERR_UNAVAILABLE);
    assert_non_null(strstr(why.text, "in use"));
}

static void ipv6_is_listened_on(void **state)
{
    (void)state;
    static const struct listen_address v6 = {.host = "::1", .v6 = true, .loopback = true};
    const struct listener_options options = fixture_options(&v6);
    struct listener *six = NULL;
    struct why why;
    if (listener_start(&options, &six, &why) != ERR_OK) {
        skip(); /* a machine without IPv6 */
        return;
    }
    assert_memory_equal(listener_address(six, 0), "[::1]:", 6);
    struct http_answer *answer =
        http_ask(listener_address(six, 0), "GET /echo HTTP/1.1\r\nHost: [::1]\r\n\r\n");
    assert_int_equal(answer->status, 200);
    free(answer);
    listener_stop(six);
}

/* The error that socket(2) has for IPv6, in place of libc's; 0: none. */
static int v6_errno;

int socket(int domain, int type, int protocol)
{
    if (domain == AF_INET6 && v6_errno) {
        errno = v6_errno;
        return -1;
    }
    return (int)syscall(SYS_socket, domain, type, protocol);
}

static void expect_200(const char *address)
{
    struct http_answer *answer = http_ask(address, "GET /echo HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(answer->status, 200);
    free(answer);
}

static void the_name_localhost_is_both_addresses(void **state)
{
    (void)state;
    static const struct listen_address localhost = {.host = "LocalHost", .loopback = true};
    const struct listener_options options = fixture_options(&localhost);
    struct listener *both = NULL, *second = NULL;
    struct why why;
    assert_int_equal(listener_start(&options, &both, &why), ERR_OK);
    assert_memory_equal(listener_address(both, 0), "127.0.0.1:", 10);
    expect_200(listener_address(both, 0));
    if (!listener_address(both, 1)) {
        listener_stop(both);
        skip(); /* a machine without IPv6 */
        return;
    }
    assert_memory_equal(listener_address(both, 1), "[::1]:", 6);
    assert_string_equal(strrchr(listener_address(both, 0), ':'), strrchr(listener_address(both, 1), ':'));
    expect_200(listener_address(both, 1));
    expect_200(listener_address(both, 0));
    assert_null(listener_address(both, 2));
    /* The one alone is for machines that lack the other, not for those where it is taken. */
    int64_t port;
    assert_true(parse_i64(strrchr(listener_address(both, 1), ':') + 1, 1, 65535, &port));
    struct listen_address taken = localhost;
    taken.port = (int)port;
    const struct listener_options again = fixture_options(&taken);
    assert_int_equal(listener_start(&again, &second, &why), ERR_UNAVAILABLE);
    assert_non_null(strstr(why.text, "in use"));
    listener_stop(both);
}

static void without_ipv6_localhost_is_the_other_address(void **state)
{
    (void)state;
    static const struct listen_address localhost = {.host = "localhost", .loopback = true},
                                       v6 = {.host = "::1", .v6 = true};
    const struct listener_options options = fixture_options(&localhost), other = fixture_options(&v6);
    struct listener *one = NULL, *none = NULL;
    struct why why;
    v6_errno = EAFNOSUPPORT;
    assert_int_equal(listener_start(&options, &one, &why), ERR_OK);
    assert_int_equal(listener_start(&other, &none, &why), ERR_UNAVAILABLE);
    v6_errno = EMFILE; /* which any machine may have */
    assert_int_equal(listener_start(&options, &none, &why), ERR_UNAVAILABLE);
    v6_errno = 0;
    assert_memory_equal(listener_address(one, 0), "127.0.0.1:", 10);
    assert_null(listener_address(one, 1));
    expect_200(listener_address(one, 0));
    listener_stop(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LISTENER_TEST(a_request_reaches_its_handler_whole),
        LISTENER_TEST(head_answers_as_get_does_without_the_body),
        LISTENER_TEST(pipelined_requests_are_answered_in_order),
        LISTENER_TEST(errors_are_problem_documents),
        LISTENER_TEST(strange_targets_find_nothing),
        LISTENER_TEST(an_escaped_slash_belongs_to_its_segment),
        LISTENER_TEST(a_target_in_absolute_form_names_the_host),
        LISTENER_TEST(a_target_that_is_too_long_is_refused),
        LISTENER_TEST(a_body_must_be_a_json_object),
        LISTENER_TEST(a_body_in_chunks_is_one_body),
        LISTENER_TEST(no_chunk_is_no_body_of_any_type),
        LISTENER_TEST(the_extension_of_a_chunk_is_passed_over_where_the_library_takes_it),
        LISTENER_TEST(a_body_that_is_too_large_is_refused),
        LISTENER_TEST(a_body_is_ignored_where_none_is_wanted),
        LISTENER_TEST(who_expects_is_refused_before_sending_the_body),
        LISTENER_TEST(every_route_refuses_parameters_that_it_does_not_have),
        LISTENER_TEST(a_parameter_that_is_known_is_read_however_it_is_written),
        LISTENER_TEST(no_framing_smuggles_a_second_request),
        LISTENER_TEST(no_fold_makes_or_hides_a_header),
        LISTENER_TEST(no_chunk_or_trailer_smuggles_a_second_request),
        LISTENER_TEST(a_bare_lf_between_chunks_is_refused_where_the_library_can),
        LISTENER_TEST(plain_headers_are_not_taken_for_odd_ones),
        LISTENER_TEST(garbage_hurts_nobody),
        LISTENER_TEST(a_page_of_another_origin_cannot_drive_us),
        LISTENER_TEST(a_wrong_token_waits_no_longer_than_the_service),
        LISTENER_TEST(a_token_is_needed_for_everything_but_the_open_paths),
        LISTENER_TEST(without_a_token_only_loopback_is_listened_on),
        LISTENER_TEST(an_address_in_use_is_said_so),
        LISTENER_TEST(ipv6_is_listened_on),
        LISTENER_TEST(the_name_localhost_is_both_addresses),
        LISTENER_TEST(without_ipv6_localhost_is_the_other_address),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return LISTENER_TEST_RUN(tests);
}
