#include "tests/support/server/http/listener_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/http/certificates.h"
#include "handlers/handler.h"
#include "reconcile/pipeline/settings_text.h"
#include "server/http/listener.h"
#include "server/http/routes.h"
#include "tests/support/server/http/http_client.h"
#include "tests/support/clients/http/tls_files.h"

/* handlers */

struct fixture fixture;

static void echo(struct request *request)
{
    json_t *body = json_object();
    atomic_fetch_add(&fixture.n_handled, 1);
    json_put(body, "param", json_text(request_param(request)));
    json_put(body, "q", json_text(request_query(request, "q")));
    json_put(body, "x", json_text(request_header(request, "X-Test")));
    json_put(body, "body", json_deep_copy(request_json(request) ? request_json(request) : json_null()));
    answer_header(request, "X-Answer", "42");
    answer_json(request, 200, body);
}

static void defer(struct request *request)
{
    struct deferred *mine = request_defer(request);
    if (!mine)
        return;
    fixture.deferred[atomic_fetch_add(&fixture.n_deferred, 1)] = mine;
    sem_post(&fixture.was_deferred);
}

static void defer_and_answer(struct request *request)
{
    struct deferred *mine = request_defer(request);
    if (mine)
        deferred_answer(mine, 200, json_pack("{s:b}", "at_once", 1));
}

/* A change that takes its time. */
static void slow_change(struct request *request)
{
    sem_post(&fixture.entered);
    sem_wait(&fixture.release_slow);
    echo(request);
}

static void slow(struct request *request)
{
    sem_post(&fixture.entered);
    sem_wait(&fixture.release_slow);
    answer_json(request, 200, json_object());
}

static void published(struct request *request)
{
    answer_published(request, fixture.publication);
}

static void forgets(struct request *request)
{
    (void)request;
}

static void fails(struct request *request)
{
    const struct why why = {.text = "the password is hunter2"};
    answer_error(request, ERR_INTERNAL, &why);
}

#define QUERY(...) ((const char *const[]){__VA_ARGS__, NULL})

const struct route fixture_routes[] = {
    {"GET", "/at-once", defer_and_answer, 0, NULL},
    {"GET", "/defer", defer, 0, NULL},
    {"GET", "/echo", echo, 0, QUERY("q")},
    {"POST", "/echo", echo, ROUTE_BODY, NULL},
    {"GET", "/fails", fails, 0, NULL},
    {"GET", "/leaks", forgets, 0, NULL},
    {"GET", "/items/{id}", echo, ROUTE_QUEUED, NULL},
    {"PUT", "/items/{id}", echo, ROUTE_BODY | ROUTE_QUEUED, QUERY("q")},
    {"GET", "/queued-at-once", defer_and_answer, ROUTE_QUEUED, NULL},
    {"GET", "/queued-defer", defer, ROUTE_QUEUED, NULL},
    {"GET", "/open", echo, ROUTE_OPEN, NULL},
    {"GET", "/published", published, 0, NULL},
    {"GET", "/slow", slow, ROUTE_QUEUED, NULL},
    {"PUT", "/slow", slow_change, ROUTE_BODY | ROUTE_QUEUED, NULL},
    {NULL, NULL, NULL, 0, NULL},
};

/* the listener under test */

static int64_t fake_clock(void)
{
    return atomic_load(&fixture.fake_ms);
}

/* Empty: in the clear. */
static struct tls_files tls_files;
static struct certificate_pair tls_pair;

int fixture_begin_tls(void **state)
{
    (void)state;
    tls_files_make(&tls_files);
    http_over_tls(true);
    return certificate_pair_load(tls_files.certificate, tls_files.key, &tls_pair, NULL) == ERR_OK ? 0 : -1;
}

int fixture_end_tls(void **state)
{
    (void)state;
    http_over_tls(false);
    certificate_pair_done(&tls_pair);
    tls_files_remove(&tls_files);
    return 0;
}

const char *fixture_certificate(void)
{
    return tls_files.certificate;
}

struct listener_options fixture_options(const struct listen_address *address)
{
    return (struct listener_options){.address = address,
                                     .certificate = tls_pair.certificate,
                                     .key = tls_pair.key,
                                     .routes = fixture_routes,
                                     .clock_ms = fake_clock};
}

void fixture_start(const char *token, unsigned connections)
{
    static const struct listen_address loopback = {.host = "127.0.0.1", .loopback = true};
    struct listener_options options = fixture_options(&loopback);
    struct why why;
    options.tokens.all = token;
    options.connections = connections;
    assert_int_equal(listener_start(&options, &fixture.listener, &why), ERR_OK);
    fixture.address = listener_address(fixture.listener, 0);
}

int fixture_set_up(void **state)
{
    (void)state;
    sem_init(&fixture.entered, 0, 0);
    sem_init(&fixture.release_slow, 0, 0);
    sem_init(&fixture.was_deferred, 0, 0);
    fixture.n_deferred = 0;
    fixture.n_handled = 0;
    fixture_start(NULL, 0);
    return 0;
}

int fixture_tear_down(void **state)
{
    (void)state;
    listener_stop(fixture.listener);
    fixture.listener = NULL;
    return 0;
}

void fixture_restart(const char *token, unsigned connections)
{
    listener_stop(fixture.listener);
    fixture_start(token, connections);
}

void fixture_expect(const char *text, int status)
{
    struct http_answer *answer = http_ask(fixture.address, text);
    if (answer->status != status)
        fail_msg("%d instead of %d to: %s", answer->status, status, text);
    free(answer);
}

bool fixture_is_closed_in_time(struct http_client *client)
{
    for (int i = 0; i < 1000; i++) {
        atomic_fetch_add(&fixture.fake_ms, LIMIT_IDLE_MS + 1);
        listener_tick(fixture.listener);
        if (http_ended(client, 10))
            return true;
    }
    return false;
}
