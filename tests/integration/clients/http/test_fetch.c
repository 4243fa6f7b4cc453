/* The fetcher against a scripted server. */
#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/http/fetch.h"
#include "tests/support/clients/http/curl_group.h"
#include "tests/support/clients/http/script_server.h"
#include "tests/support/test.h"

#define PATIENCE_MS 10000 /* of tests that do not mean to time out */

struct scene {
    struct script_server *server;
    struct fetch *fetch;
    struct fetch_inbox *inbox;
    bool waited_for; /* what is sent, so that it may use every slot */
};

static void scene_open(struct scene *scene, int64_t timeout_ms, unsigned per_host)
{
    scene->waited_for = false;
    const struct fetch_options options = {.timeout_ms = timeout_ms, .per_host = per_host};
    scene->server = script_server_start();
    assert_int_equal(fetch_new(&options, &scene->fetch, NULL), ERR_OK);
    scene->inbox = fetch_inbox_new(scene->fetch);
}

static void scene_close(struct scene *scene)
{
    fetch_inbox_free(scene->inbox);
    fetch_free(scene->fetch);
    script_server_stop(scene->server);
}

static void send_to(struct scene *scene, const char *method, const char *target, void *tag)
{
    AUTO_FREE char *url = mem_printf("%s%s", script_server_url(scene->server), target);
    fetch_send(
        scene->inbox,
        &(struct fetch_request){
            .part = target, .waited_for = scene->waited_for, .method = method, .url = url, .tag = tag});
}

static struct fetch_answer *get(struct scene *scene, const char *target)
{
    send_to(scene, "GET", target, NULL);
    struct fetch_answer *answer = fetch_take(scene->inbox, -1);
    assert_non_null(answer);
    return answer;
}

/* answers */

TEST(an_answer_carries_what_callers_need)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 4);
    script_server_on(scene.server, "/list?page=1",
                     &(struct script_reply){.status = 200,
                                            .type = "Application/JSON; charset=utf-8",
                                            .headers = "X-Total-Count: 123\r\nX-RateLimit-Remaining: 7\r\n",
                                            .body = "[1,2]"});
    int tag;
    send_to(&scene, "GET", "/list?page=1", &tag);
    assert_int_equal(fetch_pending(scene.inbox), 1);
    struct fetch_answer *answer = fetch_take(scene.inbox, -1);
    assert_int_equal(fetch_pending(scene.inbox), 0);
    assert_ptr_equal(answer->tag, &tag);
    assert_int_equal(answer->result, FETCH_ANSWERED);
    assert_int_equal(answer->status, 200);
    assert_string_equal(answer->body, "[1,2]");
    assert_int_equal(answer->body_len, 5);
    assert_string_equal(answer->content_type, "application/json");
    assert_int_equal(answer->total_count, 123);
    assert_int_equal(answer->ratelimit_remaining, 7);
    assert_int_equal(answer->retry_after_s, -1);
    assert_string_equal(answer->error, "");
    fetch_answer_free(answer);
    scene_close(&scene);
}

TEST(headers_and_bodies_are_sent_as_given)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 4);
    script_server_json(scene.server, "/hook", "{}");
    AUTO_FREE char *url = mem_printf("%s/hook", script_server_url(scene.server));
    const char *const headers[] = {"Authorization: token abc", "Content-Type: application/json", NULL};
    fetch_send(scene.inbox,
               &(struct fetch_request){
                   .method = "POST", .url = url, .headers = headers, .body = "{\"a\":1}", .body_len = 7});
    struct fetch_answer *answer = fetch_take(scene.inbox, -1);
    assert_int_equal(answer->status, 200);
    AUTO_FREE char *request = script_server_request(scene.server, 0);
    assert_ptr_equal(strstr(request, "POST /hook HTTP/1.1\r\n"), request);
    assert_non_null(strstr(request, "Authorization: token abc\r\n"));
    assert_non_null(strstr(request, "Content-Length: 7\r\n"));
    assert_null(strstr(request, "Expect:"));
    fetch_answer_free(answer);
    scene_close(&scene);
}

TEST(retry_after_is_clamped)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 4);
    const struct {
        const char *target, *header;
        int64_t expected;
    } cases[] = {
        {"/long", "Retry-After: 999999\r\n", LIMIT_RETRY_AFTER_S},
        {"/some", "Retry-After: 61\r\n", 61},
        {"/never", "", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        script_server_on(scene.server, cases[i].target,
                         &(struct script_reply){.status = 429, .headers = cases[i].header, .body = "{}"});
        struct fetch_answer *answer = get(&scene, cases[i].target);
        assert_int_equal(answer->status, 429);
        assert_int_equal(answer->retry_after_s, cases[i].expected);
        assert_int_equal(script_server_count(scene.server, cases[i].target), 1);
        fetch_answer_free(answer);
    }
    scene_close(&scene);
}

TEST(connections_are_kept_alive)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 4);
    script_server_json(scene.server, "/x", "{}");
    for (int i = 0; i < 50; i++)
        fetch_answer_free(get(&scene, "/x"));
    assert_int_equal(script_server_connections(scene.server), 1);
    scene_close(&scene);
}

/* redirects */

TEST(a_redirect_within_the_host_is_followed_with_its_headers)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 1);
    script_server_on(scene.server, "/old",
                     &(struct script_reply){.status = 301, .headers = "Location: /new?a=b\r\n"});
    script_server_json(scene.server, "/new?a=b", "{\"here\":1}");
    AUTO_FREE char *url = mem_printf("%s/old", script_server_url(scene.server));
    const char *const headers[] = {"Authorization: token abc", NULL};
    fetch_send(scene.inbox, &(struct fetch_request){.method = "GET", .url = url, .headers = headers});
    struct fetch_answer *answer = fetch_take(scene.inbox, -1);
    assert_int_equal(answer->status, 200);
    assert_string_equal(answer->body, "{\"here\":1}");
    AUTO_FREE char *request = script_server_request(scene.server, 1);
    assert_non_null(strstr(request, "Authorization: token abc\r\n"));
    fetch_answer_free(answer);
    scene_close(&scene);
}

TEST(a_redirect_is_not_followed_elsewhere_nor_for_ever_nor_for_a_post)
{
    struct scene scene, other;
    scene_open(&scene, PATIENCE_MS, 4);
    scene_open(&other, PATIENCE_MS, 4);
    AUTO_FREE char *location = mem_printf("Location: %s/stolen\r\n", script_server_url(other.server));
    script_server_on(scene.server, "/away", &(struct script_reply){.status = 302, .headers = location});
    script_server_on(scene.server, "/round",
                     &(struct script_reply){.status = 301, .headers = "Location: /round\r\n"});

    struct fetch_answer *answer = get(&scene, "/away");
    assert_int_equal(answer->result, FETCH_ANSWERED);
    assert_int_equal(answer->status, 302);
    assert_int_equal(script_server_count(other.server, NULL), 0);
    fetch_answer_free(answer);

    answer = get(&scene, "/round");
    assert_int_equal(answer->status, 301);
    assert_int_equal(script_server_count(scene.server, "/round"), 4);
    fetch_answer_free(answer);

    send_to(&scene, "POST", "/round", NULL);
    answer = fetch_take(scene.inbox, -1);
    assert_int_equal(answer->status, 301);
    assert_int_equal(script_server_count(scene.server, "/round"), 5);
    fetch_answer_free(answer);
    scene_close(&other);
    scene_close(&scene);
}

TEST(a_post_that_says_so_follows_a_redirect_that_keeps_it_a_post)
{
    static const int statuses[] = {301, 302, 303, 307, 308};
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 4);
    script_server_on(scene.server, "/new", &(struct script_reply){.status = 201});
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        AUTO_FREE char *old = mem_printf("/old-%d", statuses[i]);
        AUTO_FREE char *url = mem_printf("%s%s", script_server_url(scene.server), old);
        script_server_on(scene.server, old,
                         &(struct script_reply){.status = statuses[i], .headers = "Location: /new\r\n"});
        fetch_send(scene.inbox,
                   &(struct fetch_request){
                       .method = "POST", .url = url, .body = "{\"a\":1}", .body_len = 7, .follow = true});
        struct fetch_answer *answer = fetch_take(scene.inbox, -1);
        bool kept = statuses[i] != 302 && statuses[i] != 303;
        assert_int_equal(answer->status, kept ? 201 : statuses[i]);
        fetch_answer_free(answer);
    }
    assert_int_equal(script_server_count(scene.server, "/new"), 3);
    AUTO_FREE char *request = script_server_request(scene.server, 1); /* 0 came with the redirect */
    assert_int_equal(strncmp(request, "POST /new ", 10), 0);
    assert_non_null(strstr(request, "Content-Length: 7\r\n"));
    scene_close(&scene);
}

/* trying again */

TEST(a_get_is_tried_again_after_a_passing_failure)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 4);
    const struct script_reply failures[] = {
        {.status = 502, .type = "text/html", .body = "<html>"},
        {.status = 503, .body = "{}"},
        {.status = 504, .body = "{}"},
        {.status = 503, .headers = "Retry-After: 0\r\n", .body = "{}"},
        {.status = 429, .headers = "Retry-After: 0\r\n", .body = "{}"},
        {.act = SCRIPT_CLOSE},
        {.body = "{\"cut\":true}", .cut_after = 5},
    };
    for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
        char target[32];
        snprintf(target, sizeof target, "/failure/%zu", i);
        script_server_on(scene.server, target, &failures[i]);
        script_server_json(scene.server, target, "{\"ok\":1}");
        struct fetch_answer *answer = get(&scene, target);
        assert_int_equal(answer->result, FETCH_ANSWERED);
        assert_int_equal(answer->status, 200);
        assert_string_equal(answer->body, "{\"ok\":1}");
        assert_int_equal(script_server_count(scene.server, target), 2);
        fetch_answer_free(answer);
    }
    scene_close(&scene);
}

TEST(trying_again_ends)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 4);
    script_server_on(scene.server, "/down", &(struct script_reply){.status = 503, .body = "{}"});
    script_server_on(scene.server, "/cut", &(struct script_reply){.body = "{\"cut\":true}", .cut_after = 5});
    struct fetch_answer *answer = get(&scene, "/down");
    assert_int_equal(answer->status, 503);
    assert_int_equal(script_server_count(scene.server, "/down"), 3);
    fetch_answer_free(answer);
    script_server_json(scene.server, "/ok", "{}"); /* else the host is down soon */
    fetch_answer_free(get(&scene, "/ok"));
    answer = get(&scene, "/cut");
    assert_int_equal(answer->result, FETCH_CUT);
    assert_string_equal(answer->error, "the connection was lost in the middle of the answer");
    assert_int_equal(script_server_count(scene.server, "/cut"), 3);
    fetch_answer_free(answer);
    scene_close(&scene);
}

TEST(what_may_not_be_repeated_is_not)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 4);
    script_server_on(scene.server, "/post", &(struct script_reply){.status = 502, .body = "{}"});
    script_server_on(scene.server, "/server", &(struct script_reply){.status = 500, .body = "{}"});
    script_server_on(scene.server, "/busy",
                     &(struct script_reply){.status = 503, .headers = "Retry-After: 600\r\n", .body = "{}"});
    script_server_on(scene.server, "/once", &(struct script_reply){.status = 502, .body = "{}"});
    AUTO_FREE char *post_url = mem_printf("%s/post", script_server_url(scene.server));
    fetch_send(scene.inbox, &(struct fetch_request){.method = "POST", .url = post_url, .attempts = 3});
    fetch_answer_free(fetch_take(scene.inbox, -1));
    fetch_answer_free(get(&scene, "/server"));
    fetch_answer_free(get(&scene, "/busy"));
    AUTO_FREE char *url = mem_printf("%s/once", script_server_url(scene.server));
    fetch_send(scene.inbox, &(struct fetch_request){.method = "GET", .url = url, .attempts = 1});
    fetch_answer_free(fetch_take(scene.inbox, -1));
    assert_int_equal(script_server_count(scene.server, NULL), 4);
    scene_close(&scene);
}

/* limits */

TEST(no_more_than_per_host_are_in_flight_and_all_are_answered)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 4);
    scene.waited_for = true;
    script_server_default(scene.server, &(struct script_reply){.act = SCRIPT_HANG, .body = "{}"});
    for (int i = 0; i < 20; i++)
        send_to(&scene, "GET", "/x", NULL);
    script_server_wait(scene.server, 4);
    assert_null(fetch_take(scene.inbox, 0));
    script_server_release(scene.server);
    for (int i = 0; i < 20; i++) {
        struct fetch_answer *answer = fetch_take(scene.inbox, -1);
        assert_int_equal(answer->status, 200);
        fetch_answer_free(answer);
    }
    assert_int_equal(script_server_peak(scene.server), 4);
    assert_true(script_server_connections(scene.server) <= 4);
    scene_close(&scene);
}

TEST(a_hanging_host_does_not_delay_another)
{
    struct scene hung;
    scene_open(&hung, PATIENCE_MS, 2);
    struct script_server *healthy = script_server_start();
    script_server_json(healthy, "/ok", "{}");
    script_server_default(hung.server, &(struct script_reply){.act = SCRIPT_HANG});
    for (int i = 0; i < 10; i++)
        send_to(&hung, "GET", "/x", NULL);
    AUTO_FREE char *url = mem_printf("%s/ok", script_server_url(healthy));
    fetch_send(hung.inbox, &(struct fetch_request){.method = "GET", .url = url});
    struct fetch_answer *answer = fetch_take(hung.inbox, -1);
    assert_int_equal(answer->status, 200);
    fetch_answer_free(answer);
    scene_close(&hung);
    script_server_stop(healthy);
}

TEST(inboxes_take_turns)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 1);
    script_server_default(scene.server, &(struct script_reply){.act = SCRIPT_HANG, .body = "{}"});
    for (int i = 0; i < 50; i++)
        send_to(&scene, "GET", "/pass", NULL);
    script_server_wait(scene.server, 1);
    struct fetch_inbox *visitor = fetch_inbox_new(scene.fetch);
    AUTO_FREE char *url = mem_printf("%s/visitor", script_server_url(scene.server));
    fetch_send(visitor, &(struct fetch_request){.method = "GET", .url = url});
    script_server_release(scene.server);
    fetch_answer_free(fetch_take(visitor, -1));
    size_t turn = 0;
    for (bool found = false; !found; turn++) {
        AUTO_FREE char *request = script_server_request(scene.server, turn);
        assert_non_null(request);
        found = strncmp(request, "GET /visitor ", 13) == 0;
    }
    /* The one in flight, perhaps one that was let go before the visitor came, one for the turn. */
    assert_true(turn <= 4);
    fetch_inbox_free(visitor);
    scene_close(&scene);
}

TEST(a_call_without_an_answer_times_out_once)
{
    struct scene scene;
    scene_open(&scene, 2000, 4);
    script_server_default(scene.server, &(struct script_reply){.act = SCRIPT_HANG});
    struct fetch_answer *answer = get(&scene, "/x");
    assert_int_equal(answer->result, FETCH_TIMED_OUT);
    assert_string_equal(answer->error, "timed out after 2 s");
    assert_int_equal(script_server_count(scene.server, NULL), 1);
    fetch_answer_free(answer);
    scene_close(&scene);
}

TEST(a_time_out_on_a_kept_connection_names_the_whole_call)
{
    struct scene scene;
    scene_open(&scene, 2000, 4);
    script_server_default(scene.server, &(struct script_reply){.body = "{}"});
    fetch_answer_free(get(&scene, "/first"));
    script_server_on(scene.server, "/second", &(struct script_reply){.act = SCRIPT_HANG});
    struct fetch_answer *answer = get(&scene, "/second");
    assert_int_equal(answer->result, FETCH_TIMED_OUT);
    assert_string_equal(answer->error, "timed out after 2 s");
    fetch_answer_free(answer);
    scene_close(&scene);
}

/* A server of which the test is the one thread: connections wait to be accepted, at most two. */
static int listener_open(char url[40])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    snprintf(url, 40, "http://127.0.0.1:%d/", ntohs(address.sin_port));
    return fd;
}

/* Leaves no room for a connection more: from now on connecting takes for ever. */
static void listener_fill(int listener, int ret_fds[2])
{
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    for (int i = 0; i < 2; i++) {
        ret_fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(ret_fds[i], (struct sockaddr *)&address, len), 0);
    }
}

static void assert_timed_out(struct scene *scene, const char *words)
{
    struct fetch_answer *answer = fetch_take(scene->inbox, -1);
    assert_int_equal(answer->result, FETCH_TIMED_OUT);
    assert_string_equal(answer->error, words);
    fetch_answer_free(answer);
}

TEST(a_time_out_while_connecting_is_named_as_such)
{
    static const char good[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    char url[40], request[1000];
    struct scene scene;
    scene_open(&scene, 1000, 1);
    int listener = listener_open(url), room[2];
    fetch_send(scene.inbox, &(struct fetch_request){.method = "GET", .url = url});
    int kept = accept(listener, NULL, NULL);
    assert_true(read(kept, request, sizeof request) > 0);
    assert_int_equal(write(kept, good, strlen(good)), strlen(good));
    fetch_answer_free(fetch_take(scene.inbox, -1));
    listener_fill(listener, room);
    /* The kept connection dies under the request, so that curl connects again. */
    fetch_send(scene.inbox, &(struct fetch_request){.method = "GET", .url = url});
    assert_true(read(kept, request, sizeof request) > 0);
    close(kept);
    assert_timed_out(&scene, "timed out after 0.5 s while connecting");
    fetch_send(scene.inbox, &(struct fetch_request){.method = "GET", .url = url});
    assert_timed_out(&scene, "timed out after 0.5 s while connecting");
    close(room[0]);
    close(room[1]);
    close(listener);
    scene_close(&scene);
}

TEST(a_deadline_ends_those_in_flight_and_those_in_the_queue)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 1);
    script_server_default(scene.server, &(struct script_reply){.act = SCRIPT_HANG});
    AUTO_FREE char *url = mem_printf("%s/x", script_server_url(scene.server));
    int64_t deadline_ms = clock_mono_ms() + 100;
    for (int i = 0; i < 3; i++)
        fetch_send(scene.inbox,
                   &(struct fetch_request){.method = "GET", .url = url, .deadline_ms = deadline_ms});
    for (int i = 0; i < 3; i++) {
        struct fetch_answer *answer = fetch_take(scene.inbox, -1);
        assert_int_equal(answer->result, FETCH_TIMED_OUT);
        fetch_answer_free(answer);
    }
    fetch_send(scene.inbox, &(struct fetch_request){.method = "GET", .url = url, .deadline_ms = deadline_ms});
    struct fetch_answer *late = fetch_take(scene.inbox, -1);
    assert_int_equal(late->result, FETCH_TIMED_OUT);
    fetch_answer_free(late);
    scene_close(&scene);
}

TEST(too_large_a_body_ends_the_exchange)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 4);
    AUTO_FREE char *big = mem_zero(LIMIT_UPSTREAM_BODY + 1, 1);
    memset(big, 'x', LIMIT_UPSTREAM_BODY + 1);
    script_server_on(scene.server, "/big",
                     &(struct script_reply){.body = big, .body_len = LIMIT_UPSTREAM_BODY + 1});
    script_server_on(scene.server, "/fits",
                     &(struct script_reply){.body = big, .body_len = LIMIT_UPSTREAM_BODY});
    struct fetch_answer *answer = get(&scene, "/big");
    assert_int_equal(answer->result, FETCH_TOO_LARGE);
    assert_string_equal(answer->error, "an answer of more than 3072 KiB");
    assert_null(answer->body);
    fetch_answer_free(answer);
    answer = get(&scene, "/fits");
    assert_int_equal(answer->result, FETCH_ANSWERED);
    assert_int_equal(answer->body_len, LIMIT_UPSTREAM_BODY);
    fetch_answer_free(answer);
    scene_close(&scene);
}

TEST(a_body_is_measured_after_decompression)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 4);
    FILE *pipe = popen("head -c 9000000 /dev/zero | gzip", "re");
    assert_non_null(pipe);
    char packed[65536];
    size_t len = fread(packed, 1, sizeof packed, pipe);
    assert_int_equal(pclose(pipe), 0);
    script_server_on(
        scene.server, "/bomb",
        &(struct script_reply){.headers = "Content-Encoding: gzip\r\n", .body = packed, .body_len = len});
    struct fetch_answer *answer = get(&scene, "/bomb");
    assert_int_equal(answer->result, FETCH_TOO_LARGE);
    fetch_answer_free(answer);
    scene_close(&scene);
}

TEST(a_body_is_measured_by_what_its_request_allows)
{
    static const struct {
        size_t max, len;
        const char *method;
        enum fetch_result result;
        size_t
            requests; /* what is longer than LIMIT_ANSWER_FIRST is asked for twice, unless that may not be */
    } cases[] = {
        {1000, 1000, "GET", FETCH_ANSWERED, 1},
        {1000, 1001, "GET", FETCH_TOO_LARGE, 1},
        {LIMIT_ANSWER_FIRST, LIMIT_ANSWER_FIRST, "GET", FETCH_ANSWERED, 1},
        {LIMIT_ANSWER_FIRST, LIMIT_ANSWER_FIRST + 1, "GET", FETCH_TOO_LARGE, 1},
        {2 * LIMIT_ANSWER_FIRST, LIMIT_ANSWER_FIRST, "GET", FETCH_ANSWERED, 1},
        {2 * LIMIT_ANSWER_FIRST, LIMIT_ANSWER_FIRST + 1, "GET", FETCH_ANSWERED, 2},
        {2 * LIMIT_ANSWER_FIRST, 2 * LIMIT_ANSWER_FIRST, "GET", FETCH_ANSWERED, 2},
        {2 * LIMIT_ANSWER_FIRST, 2 * LIMIT_ANSWER_FIRST + 1, "GET", FETCH_TOO_LARGE,
         1}, /* by its Content-Length */
        {2 * LIMIT_ANSWER_FIRST, 2 * LIMIT_ANSWER_FIRST, "POST", FETCH_ANSWERED, 1},
        {2 * LIMIT_ANSWER_FIRST, 2 * LIMIT_ANSWER_FIRST + 1, "POST", FETCH_TOO_LARGE, 1},
    };
    AUTO_FREE char *body = mem_zero(3 * LIMIT_ANSWER_FIRST, 1);
    memset(body, 'x', 3 * LIMIT_ANSWER_FIRST);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct scene scene;
        scene_open(&scene, PATIENCE_MS, 4);
        script_server_default(scene.server, &(struct script_reply){.body = body, .body_len = cases[i].len});
        fetch_send(scene.inbox, &(struct fetch_request){.method = cases[i].method,
                                                        .url = script_server_url(scene.server),
                                                        .answer_max = cases[i].max});
        struct fetch_answer *answer = fetch_take(scene.inbox, -1);
        assert_int_equal(answer->result, cases[i].result);
        assert_int_equal(answer->body_len, cases[i].result == FETCH_ANSWERED ? cases[i].len : 0);
        assert_int_equal(script_server_count(scene.server, NULL), cases[i].requests);
        fetch_answer_free(answer);
        scene_close(&scene);
    }
}

/* `n` header lines "X: y" beside the status line, Content-Length and the empty one. */
static char *with_headers(size_t n, size_t value)
{
    AUTO_FREE char *line = mem_printf("X: %0*d\r\n", (int)value, 0);
    size_t len = strlen(line);
    AUTO_FREE char *lines = mem_zero(n * len + 1, 1);
    for (size_t i = 0; i < n; i++)
        memcpy(lines + i * len, line, len);
    return mem_printf("HTTP/1.1 200 OK\r\n%sContent-Length: 2\r\n\r\n{}", lines);
}

TEST(headers_are_bounded)
{
    enum { OTHERS = 3 };
    static const struct {
        size_t lines, value;
        enum fetch_result result;
    } cases[] = {
        {LIMIT_ANSWER_HEADER_LINES - OTHERS, 10, FETCH_ANSWERED},
        {LIMIT_ANSWER_HEADER_LINES - OTHERS + 1, 10, FETCH_TOO_LARGE},
        {10000, 10, FETCH_TOO_LARGE},
        {60, 1000, FETCH_ANSWERED},
        {66, 1000, FETCH_TOO_LARGE},
        {1, 60000, FETCH_ANSWERED},
        {1, 70000, FETCH_TOO_LARGE},
        {1, 2000000, FETCH_TOO_LARGE}, /* more than curl takes */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct scene scene;
        scene_open(&scene, PATIENCE_MS, 4);
        AUTO_FREE char *reply = with_headers(cases[i].lines, cases[i].value);
        script_server_on(scene.server, "/x", &(struct script_reply){.act = SCRIPT_RAW, .body = reply});
        struct fetch_answer *answer = get(&scene, "/x");
        assert_int_equal(answer->result, cases[i].result);
        if (cases[i].result == FETCH_TOO_LARGE)
            assert_string_equal(answer->error, "an answer with too many headers");
        fetch_answer_free(answer);
        scene_close(&scene);
    }
}

TEST(nothing_is_unpacked_that_was_not_asked_for)
{
    static const struct {
        const char *headers;
        enum fetch_result result;
    } cases[] = {
        {"Content-Encoding: identity\r\n", FETCH_ANSWERED},
        {"content-encoding:IDENTITY , identity\r\n", FETCH_ANSWERED},
        {"Content-Encoding:\r\n", FETCH_ANSWERED},
        {"X-Content-Encoding: br\r\n", FETCH_ANSWERED},
        {"Content-Encoding: br\r\n", FETCH_TOO_LARGE},
        {"CONTENT-ENCODING: zstd\r\n", FETCH_TOO_LARGE},
        {"Content-Encoding: identity,zstd\r\n", FETCH_TOO_LARGE},
        {"Content-Encoding: identity\r\nContent-Encoding: br\r\n", FETCH_TOO_LARGE},
        {"Transfer-Encoding: zstd\r\n", FETCH_TOO_LARGE},
        {"Content-Encoding: identity,\r\n zstd\r\n", FETCH_TOO_LARGE}, /* folded */
        {"X: y\r\n\tz\r\n", FETCH_TOO_LARGE},
        {"Content-Encoding: identity,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,"
         ",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\r\n",
         FETCH_TOO_LARGE}, /* no list is as long */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct scene scene;
        scene_open(&scene, PATIENCE_MS, 4);
        AUTO_FREE char *reply =
            mem_printf("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n%s\r\n{}", cases[i].headers);
        script_server_on(scene.server, "/x", &(struct script_reply){.act = SCRIPT_RAW, .body = reply});
        struct fetch_answer *answer = get(&scene, "/x");
        if (cases[i].result == FETCH_ANSWERED ||
            answer->result != FETCH_CUT) /* newer curls refuse some themselves */
            assert_int_equal(answer->result, cases[i].result);
        if (answer->result == FETCH_TOO_LARGE)
            assert_string_equal(answer->error, "an answer in a coding that was not asked for");
        fetch_answer_free(answer);
        scene_close(&scene);
    }
}

static void large_send(struct scene *scene, const char *url)
{
    fetch_send(scene->inbox, &(struct fetch_request){.method = "GET",
                                                     .url = url,
                                                     .attempts = 1, /* so that it reserves all at once */
                                                     .answer_max = LIMIT_UPSTREAM_BODY});
}

TEST(large_answers_wait_for_one_another_and_hold_up_nothing_else)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 16);
    AUTO_FREE char *url = mem_printf("%s/large", script_server_url(scene.server));
    script_server_default(scene.server, &(struct script_reply){.act = SCRIPT_HANG, .body = "{}"});
    script_server_on(scene.server, "/small", &(struct script_reply){.body = "{}"});
    for (int i = 0; i < 20; i++)
        large_send(&scene, url);
    script_server_wait(scene.server, LIMIT_FETCH_LARGE);
    struct fetch_answer *answer = get(&scene, "/small");
    assert_int_equal(answer->status, 200);
    fetch_answer_free(answer);
    assert_int_equal(script_server_count(scene.server, "/large"), LIMIT_FETCH_LARGE);
    script_server_release(scene.server);
    for (int i = 0; i < 20; i++) {
        answer = fetch_take(scene.inbox, -1);
        assert_int_equal(answer->status, 200);
        fetch_answer_free(answer);
    }
    assert_true(script_server_peak(scene.server) <= LIMIT_FETCH_LARGE + 1);
    scene_close(&scene);
}

static void ring_count(void *arg)
{
    atomic_fetch_add((atomic_size_t *)arg, 1);
}

TEST(answers_that_nobody_takes_hold_up_new_calls_until_there_is_room)
{
    enum { FIT = LIMIT_FETCH_BYTES / LIMIT_UPSTREAM_BODY, ALL = 2 * FIT };
    struct scene scene;
    atomic_size_t answered = 0;
    scene_open(&scene, PATIENCE_MS, 16);
    fetch_inbox_on_ready(scene.inbox, ring_count, &answered);
    AUTO_FREE char *big = mem_zero(LIMIT_UPSTREAM_BODY, 1);
    memset(big, 'x', LIMIT_UPSTREAM_BODY);
    script_server_default(scene.server, &(struct script_reply){.body = big, .body_len = LIMIT_UPSTREAM_BODY});
    script_server_on(scene.server, "/small", &(struct script_reply){.body = "{}"});
    for (int i = 0; i < ALL; i++)
        large_send(&scene, script_server_url(scene.server));
    while (atomic_load(&answered) < FIT)
        sched_yield();
    struct fetch_inbox *other = fetch_inbox_new(scene.fetch);
    AUTO_FREE char *url = mem_printf("%s/small", script_server_url(scene.server));
    fetch_send(other, &(struct fetch_request){.method = "GET", .url = url});
    fetch_answer_free(fetch_take(other, -1)); /* there is room for it */
    fetch_inbox_free(other);
    assert_int_equal(script_server_count(scene.server, NULL), FIT + 1);
    for (int i = 0; i < ALL; i++) {
        struct fetch_answer *answer = fetch_take(scene.inbox, -1);
        assert_int_equal(answer->body_len, LIMIT_UPSTREAM_BODY);
        fetch_answer_free(answer);
    }
    scene_close(&scene);
}

/* hosts that are not there */

/* An address of this machine where no server listens. */
static char *dead_url(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    return mem_printf("http://127.0.0.1:%u/", ntohs(address.sin_port));
}

TEST(what_cannot_be_reached_is_named)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 4);
    AUTO_FREE char *dead = dead_url();
    const struct {
        const char *url, *error;
    } cases[] = {
        {dead, "connection refused"},
        {"file:///etc/passwd", "the address is no http or https URL"},
        {"ftp://127.0.0.1/", "the address is no http or https URL"},
        {"nonsense", "the address is no http or https URL"},
        {"", "the address is no http or https URL"},
        {"http://no-such-host.invalid/", "no such host name"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        fetch_send(scene.inbox, &(struct fetch_request){.method = "GET", .url = cases[i].url});
        struct fetch_answer *answer = fetch_take(scene.inbox, -1);
        assert_int_equal(answer->result, FETCH_UNREACHABLE);
        assert_string_equal(answer->error, cases[i].error);
        fetch_answer_free(answer);
    }
    scene_close(&scene);
}

TEST(what_is_not_http_is_no_answer)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 4);
    script_server_on(scene.server, "/x",
                     &(struct script_reply){.act = SCRIPT_RAW, .body = "SSH-2.0-OpenSSH\r\n"});
    struct fetch_answer *answer = get(&scene, "/x");
    assert_int_equal(answer->result, FETCH_CUT);
    assert_string_equal(answer->error, "the answer is not HTTP");
    fetch_answer_free(answer);
    scene_close(&scene);
}

TEST(an_answer_in_between_keeps_a_host_whole)
{
    struct scene scene;
    scene_open(&scene, 300, 1);
    script_server_json(scene.server, "/ok", "{}");
    script_server_default(scene.server, &(struct script_reply){.act = SCRIPT_HANG});
    for (int i = 0; i < 4; i++) {
        struct fetch_answer *answer = get(&scene, i % 2 ? "/ok" : "/hang");
        assert_int_equal(answer->result, i % 2 ? FETCH_ANSWERED : FETCH_TIMED_OUT);
        fetch_answer_free(answer);
    }
    scene_close(&scene);
}

/* stopping */

static void *abort_inbox(void *arg)
{
    struct scene *scene = arg;
    script_server_wait(scene->server, 2);
    fetch_inbox_abort(scene->inbox);
    return NULL;
}

TEST(an_abort_answers_everything_and_leaves_the_inbox_usable)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 2);
    scene.waited_for = true;
    script_server_json(scene.server, "/ok", "{}");
    script_server_default(scene.server, &(struct script_reply){.act = SCRIPT_HANG});
    for (int i = 0; i < 10; i++)
        send_to(&scene, "GET", "/hang", NULL);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, abort_inbox, &scene), 0);
    for (int i = 0; i < 10; i++) {
        struct fetch_answer *answer = fetch_take(scene.inbox, -1);
        assert_int_equal(answer->result, FETCH_ABORTED);
        fetch_answer_free(answer);
    }
    pthread_join(thread, NULL);
    struct fetch_answer *answer = get(&scene, "/ok");
    assert_int_equal(answer->status, 200);
    fetch_answer_free(answer);
    scene_close(&scene);
}

TEST(after_a_stop_each_has_its_time_to_end_and_no_more)
{
    struct scene scene;
    enum { IN_FLIGHT, WAITING, AT_ONCE };
    static const int64_t finish_ms[] = {[IN_FLIGHT] = 300, [WAITING] = 600, [AT_ONCE] = 0};
    scene_open(&scene, PATIENCE_MS, 1);
    script_server_default(scene.server, &(struct script_reply){.act = SCRIPT_HANG});
    AUTO_FREE char *url = mem_printf("%s/hang", script_server_url(scene.server));
    for (size_t i = 0; i < ARRAY_LEN(finish_ms); i++)
        fetch_send(scene.inbox, &(struct fetch_request){.waited_for = true,
                                                        .method = "GET",
                                                        .url = url,
                                                        .finish_ms = finish_ms[i],
                                                        .tag = (void *)(uintptr_t)&finish_ms[i]});
    script_server_wait(scene.server, 1);
    int64_t stopped_ms = clock_mono_ms();
    fetch_stop(scene.fetch);
    static const size_t order[] = {AT_ONCE, IN_FLIGHT, WAITING};
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        struct fetch_answer *answer = fetch_take(scene.inbox, PATIENCE_MS);
        assert_non_null(answer);
        assert_int_equal(answer->result, FETCH_ABORTED);
        assert_ptr_equal(answer->tag, &finish_ms[order[i]]);
        assert_in_range(clock_mono_ms() - stopped_ms, finish_ms[order[i]], PATIENCE_MS / 2);
        fetch_answer_free(answer);
    }
    scene_close(&scene);
}

TEST(an_inbox_may_be_freed_with_calls_under_way)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 2);
    script_server_json(scene.server, "/ok", "{}");
    script_server_default(scene.server, &(struct script_reply){.act = SCRIPT_HANG});
    struct fetch_inbox *other = fetch_inbox_new(scene.fetch);
    AUTO_FREE char *url = mem_printf("%s/hang", script_server_url(scene.server));
    for (int i = 0; i < 10; i++)
        fetch_send(other, &(struct fetch_request){.waited_for = true, .method = "GET", .url = url});
    script_server_wait(scene.server, 2);
    fetch_inbox_free(other);
    struct fetch_answer *answer = get(&scene, "/ok"); /* its slots are free again */
    assert_int_equal(answer->status, 200);
    fetch_answer_free(answer);
    for (int i = 0; i < 10; i++)
        send_to(&scene, "GET", "/hang", NULL);
    scene_close(&scene);
}

static void *ask_a_hundred_times(void *arg)
{
    struct scene *shared = arg;
    struct scene mine = *shared;
    mine.inbox = fetch_inbox_new(shared->fetch);
    size_t good = 0;
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 10; i++)
            send_to(&mine, "GET", "/ok", NULL);
        for (int i = 0; i < 10; i++) {
            struct fetch_answer *answer = fetch_take(mine.inbox, -1);
            good += answer->status == 200;
            fetch_answer_free(answer);
        }
    }
    send_to(&mine, "GET", "/ok", NULL);
    fetch_inbox_free(mine.inbox);
    return (void *)(uintptr_t)good;
}

TEST(many_threads_share_a_fetcher)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 8);
    script_server_json(scene.server, "/ok", "{}");
    pthread_t threads[6];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_a_hundred_times, &scene), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *good;
        pthread_join(threads[i], &good);
        assert_int_equal((uintptr_t)good, 100);
    }
    scene_close(&scene);
}

TEST_GROUP(curl_begin, curl_end)
