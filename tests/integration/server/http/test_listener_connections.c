/* The real listener among many and slow connections, with handlers that wait, and while it stops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "handlers/handler.h"
#include "server/http/listener.h"
#include "tests/support/server/http/http_client.h"
#include "tests/support/server/http/listener_fixture.h"

/* many and slow connections */

static void who_dribbles_a_request_is_cut_off(void **state)
{
    (void)state;
    static const char *const starts[] = {
        "",
        "G",
        "GET /echo HTTP/1.1\r\n",
        "GET /echo HTTP/1.1\r\n" HOST "X-Slow: a",
        "POST /echo HTTP/1.1\r\n" HOST JSON "Content-Length: 10\r\n\r\n{\"a\"",
        "POST /echo HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: chunked\r\n\r\n4\r\n{\"a\""};
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        struct http_client *client = http_open(fixture.address);
        assert_true(http_say(client, starts[i]));
        assert_true(fixture_is_closed_in_time(client));
        http_close(client);
    }
    assert_int_equal(fixture.n_handled, 0);
}

static void who_idles_between_requests_is_cut_off(void **state)
{
    (void)state;
    struct http_client *client = http_open(fixture.address);
    assert_true(http_say(client, "GET /echo HTTP/1.1\r\n" HOST "\r\n"));
    struct http_answer *answer = http_read(client, false);
    assert_int_equal(answer->status, 200);
    free(answer);
    assert_true(fixture_is_closed_in_time(client));
    http_close(client);
}

static void who_sends_one_request_and_its_end_is_answered_and_closed(void **state)
{
    (void)state;
    struct http_client *client = http_open(fixture.address);
    assert_true(http_say(client, "GET /echo HTTP/1.1\r\n" HOST "\r\n"));
    http_end(client);
    struct http_answer *answer = http_read(client, false);
    assert_int_equal(answer->status, 200);
    free(answer);
    bool ended = false;
    for (int i = 0; i < 1000 && !ended; i++) {
        atomic_fetch_add(&fixture.fake_ms, 1000); /* far from the deadline of an idle connection */
        listener_tick(fixture.listener);
        ended = i < LIMIT_IDLE_MS / 2000 && http_ended(client, 100);
    }
    assert_true(ended);
    http_close(client);
}

static void who_waits_for_a_pass_is_not_cut_off(void **state)
{
    (void)state;
    static const char *const texts[] = {"GET /defer HTTP/1.1\r\n" HOST "\r\n",
                                        "GET /queued-defer HTTP/1.1\r\n" HOST "\r\n"};
    for (size_t t = 0; t < ARRAY_LEN(texts); t++) {
        struct http_client *client = http_open(fixture.address);
        assert_true(http_say(client, texts[t]));
        sem_wait(&fixture.was_deferred);
        for (int i = 0; i < 5; i++) {
            atomic_fetch_add(&fixture.fake_ms, LIMIT_IDLE_MS + 1);
            listener_tick(fixture.listener);
        }
        deferred_answer(fixture.deferred[t], 200, json_object());
        struct http_answer *answer = http_read(client, false);
        assert_int_equal(answer->status, 200);
        free(answer);
        http_close(client);
    }
}

static void crowd_open(struct http_client **crowd, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++) {
        crowd[i] = http_open(fixture.address);
        assert_non_null(crowd[i]);
        (void)http_say(crowd[i], text); /* may have been closed to make room already */
    }
}

static void raise_descriptors(void)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max < 8192 ? limit.rlim_max : 8192;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void hundreds_of_idle_connections_keep_nobody_out(void **state)
{
    (void)state;
    enum { CROWD = 500 };
    static struct http_client *crowd[CROWD];
    raise_descriptors();
    crowd_open(crowd, CROWD, "GET /ec");
    fixture_expect("GET /echo HTTP/1.1\r\n" HOST "\r\n", 200);
    fixture_expect("POST /echo HTTP/1.1\r\n" HOST JSON "Content-Length: 2\r\n\r\n{}", 200);
    for (size_t i = 0; i < CROWD; i++)
        http_close(crowd[i]);
}

static void more_half_open_connections_than_there_is_room_for_keep_nobody_out(void **state)
{
    (void)state;
    enum { CROWD = 300, ROOM = 64 };
    static struct http_client *crowd[CROWD];
    raise_descriptors();
    fixture_restart(NULL, ROOM);
    crowd_open(crowd, CROWD, "GET /echo HTTP/1.1\r\nHost: lo");
    for (int i = 0; i < 20; i++)
        fixture_expect("GET /echo HTTP/1.1\r\n" HOST "\r\n", 200);
    size_t left = 0;
    for (size_t i = 0; i < CROWD; i++) {
        left += !http_ended(crowd[i], 0);
        http_close(crowd[i]);
    }
    assert_true(left <= ROOM);
}

/* handlers that wait */

static void a_blocked_handler_delays_nobody_else(void **state)
{
    (void)state;
    struct http_client *blocked[LIMIT_HANDLER_THREADS];
    for (size_t i = 0; i < LIMIT_HANDLER_THREADS; i++) {
        blocked[i] = http_open(fixture.address);
        assert_true(http_say(blocked[i], "GET /slow HTTP/1.1\r\n" HOST "\r\n"));
        sem_wait(&fixture.entered);
    }
    for (int i = 0; i < 50; i++) /* connections spread over all listener threads */
        fixture_expect("GET /echo HTTP/1.1\r\n" HOST "\r\n", 200);
    for (size_t i = 0; i < LIMIT_HANDLER_THREADS; i++)
        sem_post(&fixture.release_slow);
    for (size_t i = 0; i < LIMIT_HANDLER_THREADS; i++) {
        struct http_answer *answer = http_read(blocked[i], false);
        assert_int_equal(answer->status, 200);
        free(answer);
        http_close(blocked[i]);
    }
}

/* All handler threads are in GET /slow. */
static void block_handlers(struct http_client *blocked[LIMIT_HANDLER_THREADS])
{
    for (size_t i = 0; i < LIMIT_HANDLER_THREADS; i++) {
        blocked[i] = http_open(fixture.address);
        assert_true(http_say(blocked[i], "GET /slow HTTP/1.1\r\n" HOST "\r\n"));
        sem_wait(&fixture.entered);
    }
}

static void let_time_pass(void)
{
    atomic_fetch_add(&fixture.fake_ms, LIMIT_ANSWER_MS);
    listener_tick(fixture.listener);
}

static void expect_503(struct http_client *client)
{
    struct http_answer *answer = http_read(client, false);
    assert_int_equal(answer->status, 503);
    assert_non_null(http_header(answer, "Retry-After"));
    assert_non_null(strstr(answer->body, "/problems/unavailable"));
    free(answer);
}

/* many large bodies */

#define ANNOUNCED JSON "Content-Length: 65536\r\n\r\n"

/* An object of exactly LIMIT_REQUEST_BODY bytes, except the last `missing`. */
static bool send_body(struct http_client *client, const char *head, size_t missing)
{
    static char body[LIMIT_REQUEST_BODY];
    memset(body, ' ', sizeof body);
    memcpy(body, "{}", 2);
    return http_say(client, head) && http_send(client, body, sizeof body - missing);
}

static int ask_with_body(void)
{
    struct http_client *client = http_open(fixture.address);
    assert_true(send_body(client, "POST /echo HTTP/1.1\r\n" HOST ANNOUNCED, 0));
    struct http_answer *answer = http_read(client, false);
    int status = answer->status;
    if (status == 503) {
        assert_non_null(http_header(answer, "Retry-After"));
        assert_non_null(strstr(answer->body, "/problems/unavailable"));
        /* The refusal cost the client its body, not its connection. */
        assert_true(http_say(client, "GET /echo HTTP/1.1\r\n" HOST "\r\n"));
        struct http_answer *next = http_read(client, false);
        assert_int_equal(next->status, 200);
        free(next);
    }
    free(answer);
    http_close(client);
    return status;
}

static void await_body(int status)
{
    int64_t until_ms = clock_mono_ms() + 20000;
    int seen = ask_with_body();
    while (seen != status && clock_mono_ms() < until_ms)
        seen = ask_with_body();
    assert_int_equal(seen, status);
}

/* How many of them have been refused, once so many have or never will be; all others wait. */
static size_t await_refused(struct http_client **crowd, size_t n, size_t wanted)
{
    size_t refused = 0;
    for (int turn = 0; turn < 20000 && refused < wanted; turn++) {
        refused = 0;
        for (size_t i = 0; i < n; i++)
            refused += http_arrived(crowd[i], turn && i == 0 ? 1 : 0);
    }
    return refused;
}

/* More than fit are sent slowly. Some senders leave; the others end theirs, which then wait for a handler. */
static void large_bodies_round(void)
{
    enum {
        FIT = LIMIT_REQUEST_BODIES / (LIMIT_REQUEST_BODY - LIMIT_REQUEST_BODY_SMALL),
        CROWD = 3 * FIT,
        LEAVE = FIT,
        STAY = CROWD - LEAVE
    };
    static struct http_client *crowd[CROWD];
    struct http_client *blocked[LIMIT_HANDLER_THREADS];
    for (size_t i = 0; i < CROWD; i++) {
        crowd[i] = http_open(fixture.address);
        assert_true(send_body(crowd[i], "PUT /items/1 HTTP/1.1\r\n" HOST ANNOUNCED, 1));
    }
    await_body(503);
    fixture_expect("GET /echo HTTP/1.1\r\n" HOST "\r\n", 200);
    fixture_expect("POST /echo HTTP/1.1\r\n" HOST JSON "Content-Length: 7\r\n\r\n{\"n\":2}", 200);
    for (size_t i = STAY; i < CROWD; i++)
        http_close(crowd[i]);
    block_handlers(blocked);
    for (size_t i = 0; i < STAY; i++)
        (void)http_say(crowd[i], " ");
    size_t refused = await_refused(crowd, STAY, STAY - FIT), answered = 0;
    for (size_t i = 0; i < LIMIT_HANDLER_THREADS; i++)
        sem_post(&fixture.release_slow);
    assert_true(refused >= STAY - FIT);
    for (size_t i = 0; i < STAY; i++) {
        struct http_answer *answer = http_read(crowd[i], false);
        assert_true(answer->status == 200 || answer->status == 503);
        answered += answer->status == 200;
        free(answer);
        http_close(crowd[i]);
    }
    assert_true(answered > 0 && answered <= FIT && answered <= STAY - refused);
    for (size_t i = 0; i < LIMIT_HANDLER_THREADS; i++)
        http_close(blocked[i]);
}

static void large_bodies_share_one_budget_that_comes_back(void **state)
{
    (void)state;
    raise_descriptors();
    for (int round = 0; round < 2; round++) {
        large_bodies_round();
        await_body(200);
    }
}

/* handlers that take long */

/* As if the database hung: the client gets its answer, the handler comes to its end later. */
static void a_read_that_takes_too_long_is_answered_without_its_handler(void **state)
{
    (void)state;
    struct http_client *blocked[LIMIT_HANDLER_THREADS];
    block_handlers(blocked);
    let_time_pass();
    for (size_t i = 0; i < LIMIT_HANDLER_THREADS; i++)
        expect_503(blocked[i]);
    for (size_t i = 0; i < LIMIT_HANDLER_THREADS; i++) {
        /* the connection can be used as before */
        assert_true(http_say(blocked[i], "GET /echo HTTP/1.1\r\n" HOST "\r\n"));
        struct http_answer *answer = http_read(blocked[i], false);
        assert_int_equal(answer->status, 200);
        free(answer);
        if (i % 2)
            http_close(blocked[i]); /* gone before its handler ends */
        sem_post(&fixture.release_slow);
        if (i % 2 == 0)
            http_close(blocked[i]);
    }
    fixture_expect("GET /items/1 HTTP/1.1\r\n" HOST "\r\n", 200);
}

static void what_waits_too_long_for_a_handler_thread_is_refused_and_never_run(void **state)
{
    (void)state;
    enum { QUEUED = 20 };
    struct http_client *blocked[LIMIT_HANDLER_THREADS], *queued[QUEUED];
    block_handlers(blocked);
    for (size_t i = 0; i < QUEUED; i++) {
        queued[i] = http_open(fixture.address);
        assert_true(http_say(queued[i], i % 2 ? "GET /items/1 HTTP/1.1\r\n" HOST "\r\n"
                                              : "PUT /items/1 HTTP/1.1\r\n" HOST JSON
                                                "Content-Length: 2\r\n\r\n{}"));
    }
    for (size_t i = 0; i < QUEUED; i++) {
        while (!http_arrived(queued[i], 10))
            let_time_pass(); /* some may not have been read before */
        expect_503(queued[i]);
        http_close(queued[i]);
    }
    for (size_t i = 0; i < LIMIT_HANDLER_THREADS; i++)
        sem_post(&fixture.release_slow);
    fixture_expect("GET /items/1 HTTP/1.1\r\n" HOST "\r\n", 200); /* behind all of them */
    assert_int_equal(fixture.n_handled, 1);
    for (size_t i = 0; i < LIMIT_HANDLER_THREADS; i++)
        http_close(blocked[i]);
}

static void a_change_that_has_begun_is_answered_by_how_it_ends(void **state)
{
    (void)state;
    struct http_client *client = http_open(fixture.address);
    assert_true(http_say(client, "PUT /slow HTTP/1.1\r\n" HOST JSON "X-Test: t\r\n"
                                 "Content-Length: 9\r\n\r\n{\"a\": 1}\n"));
    sem_wait(&fixture.entered);
    for (int i = 0; i < 5; i++)
        let_time_pass();
    sem_post(&fixture.release_slow);
    struct http_answer *answer = http_read(client, false);
    assert_int_equal(answer->status, 200);
    assert_string_equal(answer->body, "{\"param\":\"\",\"q\":null,\"x\":\"t\",\"body\":{\"a\":1}}");
    free(answer);
    http_close(client);
}

static void a_deferred_request_is_answered_from_another_thread(void **state)
{
    (void)state;
    static const char *const paths[] = {"/defer", "/queued-defer"};
    char text[128];
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct http_client *client = http_open(fixture.address);
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n" HOST "\r\n", paths[i]);
        assert_true(http_say(client, text));
        sem_wait(&fixture.was_deferred);
        deferred_answer(fixture.deferred[i], 409, problem_document(409, "no"));
        struct http_answer *answer = http_read(client, false);
        assert_int_equal(answer->status, 409);
        assert_string_equal(http_header(answer, "Content-Type"), "application/problem+json");
        free(answer);
        assert_true(http_say(client, "GET /queued-at-once HTTP/1.1\r\n" HOST "\r\n"));
        answer = http_read(client, false);
        assert_string_equal(answer->body, "{\"at_once\":true}");
        free(answer);
        http_close(client);
    }
}

static void only_so_many_requests_may_wait(void **state)
{
    (void)state;
    static struct http_client *waiting[LIMIT_WAITING_REQUESTS];
    raise_descriptors();
    for (size_t i = 0; i < LIMIT_WAITING_REQUESTS; i++) {
        waiting[i] = http_open(fixture.address);
        assert_true(http_say(waiting[i], "GET /defer HTTP/1.1\r\n" HOST "\r\n"));
    }
    for (size_t i = 0; i < LIMIT_WAITING_REQUESTS; i++)
        sem_wait(&fixture.was_deferred);
    struct http_answer *answer = http_ask(fixture.address, "GET /defer HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(answer->status, 503);
    assert_non_null(http_header(answer, "Retry-After"));
    free(answer);
    fixture_expect("GET /items/1 HTTP/1.1\r\n" HOST "\r\n", 503); /* would wait for a handler's thread */
    for (int i = 0; i < 20; i++)
        fixture_expect("GET /echo HTTP/1.1\r\n" HOST "\r\n", 200); /* waits for nothing */
    for (size_t i = 0; i < LIMIT_WAITING_REQUESTS; i++)
        deferred_answer(fixture.deferred[i], 200, json_object());
    for (size_t i = 0; i < LIMIT_WAITING_REQUESTS; i++) {
        answer = http_read(waiting[i], false);
        assert_int_equal(answer->status, 200);
        free(answer);
        http_close(waiting[i]);
    }
}

static void a_deferred_503_tells_when_to_try_again(void **state)
{
    (void)state;
    struct http_client *client = http_open(fixture.address);
    for (size_t i = 0; i < 2; i++) {
        assert_true(http_say(client, "GET /defer HTTP/1.1\r\n" HOST "\r\n"));
        sem_wait(&fixture.was_deferred);
        deferred_answer(fixture.deferred[i], i ? 404 : 503, problem_document(i ? 404 : 503, "no"));
        struct http_answer *answer = http_read(client, false);
        assert_int_equal(!http_header(answer, "Retry-After"), i);
        free(answer);
    }
    http_close(client);
}

static void who_leaves_while_waiting_is_let_go(void **state)
{
    (void)state;
    struct http_client *client = http_open(fixture.address);
    assert_true(http_say(client, "GET /defer HTTP/1.1\r\n" HOST "\r\n"));
    sem_wait(&fixture.was_deferred);
    listener_tick(fixture.listener);
    assert_false(http_ended(client, 0));
    http_end(client);
    bool ended = false;
    for (int i = 0; i < 1000 && !ended; i++) {
        listener_tick(fixture.listener);
        ended = http_ended(client, 10);
    }
    assert_true(ended);
    http_close(client);
    deferred_answer(fixture.deferred[0], 200, json_object()); /* into the void */
    fixture_expect("GET /echo HTTP/1.1\r\n" HOST "\r\n", 200);
}

static void an_answer_to_who_has_just_left_is_dropped(void **state)
{
    (void)state;
    for (size_t i = 0; i < 20; i++) {
        struct http_client *client = http_open(fixture.address);
        assert_true(http_say(client, "GET /defer HTTP/1.1\r\n" HOST "\r\n"));
        sem_wait(&fixture.was_deferred);
        http_close(client);
        if (i % 2)
            listener_tick(fixture.listener);
        deferred_answer(fixture.deferred[i], 200, json_object());
    }
    fixture_expect("GET /echo HTTP/1.1\r\n" HOST "\r\n", 200);
}

static void a_publication_is_answered_in_its_newest_version(void **state)
{
    (void)state;
    fixture.publication = publication_new();
    fixture_expect("GET /published HTTP/1.1\r\n" HOST "\r\n", 503);
    publication_set(fixture.publication, "{\"n\":1}", 7);
    publication_set(fixture.publication, "{\"n\":2}", 7);
    struct http_client *client = http_open(fixture.address);
    for (int i = 3; i < 30; i++) {
        char text[16];
        assert_true(http_say(client, "GET /published HTTP/1.1\r\n" HOST "\r\n"));
        struct http_answer *answer = http_read(client, false);
        snprintf(text, sizeof text, "{\"n\":%d}", i - 1);
        assert_string_equal(answer->body, text);
        assert_string_equal(http_header(answer, "Content-Type"), "application/json");
        assert_string_equal(http_header(answer, "Cache-Control"), "no-store");
        free(answer);
        snprintf(text, sizeof text, "{\"n\":%d}", i);
        publication_set(fixture.publication, text, strlen(text));
    }
    http_close(client);
    listener_stop(fixture.listener);
    publication_free(fixture.publication);
    fixture_start(NULL, 0);
}

/* stopping */

static void a_stop_answers_who_waits(void **state)
{
    (void)state;
    struct http_client *client = http_open(fixture.address);
    assert_true(http_say(client, "GET /defer HTTP/1.1\r\n" HOST "\r\n"));
    sem_wait(&fixture.was_deferred);
    listener_stop(fixture.listener);
    fixture.listener = NULL;
    struct http_answer *answer = http_read(client, false);
    assert_int_equal(answer->status, 503);
    free(answer);
    assert_true(http_ended(client, 10000));
    http_close(client);
    deferred_answer(fixture.deferred[0], 200, json_object());
}

static void *drain(void *arg)
{
    (void)arg;
    listener_drain(fixture.listener, 60000);
    return NULL;
}

static void a_drain_closes_the_idle_and_waits_for_who_is_served(void **state)
{
    (void)state;
    struct http_client *idle = http_open(fixture.address), *fresh = http_open(fixture.address),
                       *busy = http_open(fixture.address);
    assert_true(http_say(idle, "GET /echo HTTP/1.1\r\n" HOST "\r\n"));
    struct http_answer *answer = http_read(idle, false);
    free(answer);
    assert_true(http_say(busy, "GET /defer HTTP/1.1\r\n" HOST "\r\n"));
    sem_wait(&fixture.was_deferred);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, drain, NULL), 0);
    assert_true(http_ended(idle, 10000));
    assert_true(http_ended(fresh, 10000));
    assert_null(http_open(fixture.address));
    deferred_answer(fixture.deferred[0], 200, json_object());
    answer = http_read(busy, false);
    assert_int_equal(answer->status, 200);
    free(answer);
    assert_true(http_ended(busy, 10000));
    pthread_join(thread, NULL);
    http_close(idle);
    http_close(fresh);
    http_close(busy);
}

static void *stop(void *arg)
{
    (void)arg;
    listener_stop(fixture.listener);
    return NULL;
}

static void a_stop_waits_for_running_handlers_and_cancels_queued_ones(void **state)
{
    (void)state;
    enum { QUEUED = 3 };
    struct http_client *clients[LIMIT_HANDLER_THREADS + QUEUED];
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        clients[i] = http_open(fixture.address);
        assert_true(http_say(clients[i], "GET /slow HTTP/1.1\r\n" HOST "\r\n"));
        if (i < LIMIT_HANDLER_THREADS)
            sem_wait(&fixture.entered);
    }
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(clients); i++)
        sem_post(&fixture.release_slow);
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        struct http_answer *answer = http_read(clients[i], false);
        assert_true(answer->status == 200 || answer->status == 503 || i >= LIMIT_HANDLER_THREADS);
        free(answer);
        http_close(clients[i]);
    }
    pthread_join(thread, NULL);
    fixture.listener = NULL;
}

/* Handlers that suspend and resume all the time, connections that come and go, and a stop in the middle of
 * it. */
static void *pester(void *arg)
{
    static const char *const texts[] = {
        "GET /at-once HTTP/1.1\r\n" HOST "\r\n", "GET /queued-at-once HTTP/1.1\r\n" HOST "\r\n",
        "GET /items/1 HTTP/1.1\r\n" HOST "\r\n", "GET /echo HTTP/1.1\r\n" HOST "\r\n"};
    const char *where = arg;
    for (size_t round = 0;; round++) {
        struct http_client *client = http_open(where);
        if (!client)
            return NULL;
        bool alive = true;
        for (size_t i = 0; alive && i < 10; i++) {
            alive = http_say(client, texts[(round + i) % ARRAY_LEN(texts)]);
            free(http_read(client, false));
        }
        http_close(client);
    }
}

static void a_stop_in_the_middle_of_traffic_is_clean(void **state)
{
    (void)state;
    enum { THREADS = 6, ROUNDS = 5 };
    for (int round = 0; round < ROUNDS; round++) {
        AUTO_FREE char *where = mem_dup(fixture.address);
        pthread_t threads[THREADS];
        for (size_t i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, pester, where), 0);
        for (int i = 0; i < 20; i++) {
            fixture_expect("GET /queued-at-once HTTP/1.1\r\n" HOST "\r\n", 200);
            listener_tick(fixture.listener);
        }
        listener_stop(fixture.listener);
        for (size_t i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        fixture_start(NULL, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LISTENER_TEST(who_dribbles_a_request_is_cut_off),
        LISTENER_TEST(who_idles_between_requests_is_cut_off),
        LISTENER_TEST(who_sends_one_request_and_its_end_is_answered_and_closed),
        LISTENER_TEST(who_waits_for_a_pass_is_not_cut_off),
        LISTENER_TEST(hundreds_of_idle_connections_keep_nobody_out),
        LISTENER_TEST(more_half_open_connections_than_there_is_room_for_keep_nobody_out),
        LISTENER_TEST(a_blocked_handler_delays_nobody_else),
        LISTENER_TEST(large_bodies_share_one_budget_that_comes_back),
        LISTENER_TEST(a_read_that_takes_too_long_is_answered_without_its_handler),
        LISTENER_TEST(what_waits_too_long_for_a_handler_thread_is_refused_and_never_run),
        LISTENER_TEST(a_change_that_has_begun_is_answered_by_how_it_ends),
        LISTENER_TEST(a_deferred_request_is_answered_from_another_thread),
        LISTENER_TEST(only_so_many_requests_may_wait),
        LISTENER_TEST(a_deferred_503_tells_when_to_try_again),
        LISTENER_TEST(who_leaves_while_waiting_is_let_go),
        LISTENER_TEST(an_answer_to_who_has_just_left_is_dropped),
        LISTENER_TEST(a_publication_is_answered_in_its_newest_version),
        LISTENER_TEST(a_stop_answers_who_waits),
        LISTENER_TEST(a_drain_closes_the_idle_and_waits_for_who_is_served),
        LISTENER_TEST(a_stop_waits_for_running_handlers_and_cancels_queued_ones),
        LISTENER_TEST(a_stop_in_the_middle_of_traffic_is_clean),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return LISTENER_TEST_RUN(tests);
}
