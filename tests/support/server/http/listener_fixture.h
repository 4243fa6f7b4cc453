/* listener_fixture.h - a listener on a free port with handlers that echo, wait, defer, fail and do not
 * answer, and a clock that stands still unless a test moves it. */
#ifndef RECONCILED_LISTENER_FIXTURE_H
#define RECONCILED_LISTENER_FIXTURE_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "clients/base/limits.h"
#include "server/http/routes.h"

struct deferred;
struct http_client;
struct listen_address;
struct listener;
struct listener_options;
struct publication;

#define HOST "Host: localhost\r\n"
#define JSON "Content-Type: application/json\r\n"

struct fixture {
    struct listener *listener;
    const char *address;
    _Atomic int64_t fake_ms;                           /* the clock of the deadlines */
    atomic_int n_handled;                              /* requests that reached the echo */
    sem_t entered, release_slow;                       /* GET /slow posts the one and waits for the other */
    sem_t was_deferred;                                /* posted by GET /defer and /queued-defer … */
    struct deferred *deferred[LIMIT_WAITING_REQUESTS]; /* … which leave theirs here */
    atomic_size_t n_deferred;
    struct publication *publication; /* of GET /published */
};
extern struct fixture fixture;

/* The routes: /echo (GET, POST), /open (GET, no token), /items/{id} (GET, PUT, queued), /defer, /at-once
 * and their queued kin, /slow, /published, /leaks, /fails (GET). */
extern const struct route fixture_routes[];

int fixture_set_up(void **state);
int fixture_tear_down(void **state);

/* LISTENER_TEST_RUN: all of an array of tests in the clear, then all of it over TLS; the tests that failed.
 */
#define LISTENER_TEST_RUN(tests)                                      \
    (cmocka_run_group_tests_name("in the clear", tests, NULL, NULL) + \
     cmocka_run_group_tests_name("over TLS", tests, fixture_begin_tls, fixture_end_tls))
int fixture_begin_tls(void **state);
int fixture_end_tls(void **state);
/* fixture_certificate: the path of the certificate it then answers with. */
const char *fixture_certificate(void);
#define LISTENER_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

/* fixture_options: of a listener on that address that speaks as the fixture does. */
struct listener_options fixture_options(const struct listen_address *address);

/* fixture_start, fixture_restart: with that token (NULL: none) and room for that many connections (0: as many
 * as can be). */
void fixture_start(const char *token, unsigned connections);
void fixture_restart(const char *token, unsigned connections);

/* fixture_expect: asks with these bytes and fails the test unless the answer has that status. */
void fixture_expect(const char *text, int status);

/* fixture_is_closed_in_time: makes time pass until the listener has closed the client; each turn is past
 * every deadline. */
bool fixture_is_closed_in_time(struct http_client *client);

#endif
