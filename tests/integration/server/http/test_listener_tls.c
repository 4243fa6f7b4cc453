/* What TLS alone brings: handshakes that do not end, other protocols, the certificate. All else is
 * asked of it by test_listener and test_listener_peers, which run over TLS too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <signal.h>

#include "clients/base/err.h"
#include "reconcile/pipeline/settings_text.h"
#include "server/http/listener.h"
#include "tests/support/server/http/http_client.h"
#include "tests/support/server/http/listener_fixture.h"

#define REQUEST "GET /echo HTTP/1.1\r\n" HOST "\r\n"
#define HALF_A_HELLO "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"

static void half_a_hello(struct http_client *client)
{
    (void)http_send(client, HALF_A_HELLO, sizeof HALF_A_HELLO - 1); /* may have been closed to make room */
}

static void who_does_not_end_a_handshake_is_cut_off(void **state)
{
    (void)state;
    for (int half = 0; half < 2; half++) {
        struct http_client *client = http_open_bare(fixture.address);
        if (half)
            half_a_hello(client);
        assert_true(fixture_is_closed_in_time(client));
        http_close(client);
    }
    fixture_expect(REQUEST, 200);
}

static void more_half_handshakes_than_there_is_room_for_keep_nobody_out(void **state)
{
    (void)state;
    enum { CROWD = 300, ROOM = 64 };
    static struct http_client *crowd[CROWD];
    fixture_restart(NULL, ROOM);
    for (size_t i = 0; i < CROWD; i++) {
        crowd[i] = http_open_bare(fixture.address);
        assert_non_null(crowd[i]);
        half_a_hello(crowd[i]);
    }
    for (int i = 0; i < 20; i++)
        fixture_expect(REQUEST, 200);
    size_t left = 0;
    for (size_t i = 0; i < CROWD; i++) {
        left += !http_ended(crowd[i], 0);
        http_close(crowd[i]);
    }
    assert_true(left <= ROOM);
}

static void a_request_in_the_clear_reaches_no_handler(void **state)
{
    (void)state;
    struct http_client *client = http_open_bare(fixture.address);
    assert_true(http_say(client, REQUEST));
    struct http_answer *answer = http_read(client, false);
    assert_int_equal(answer->status, 0);
    assert_true(http_ended(client, 10000));
    assert_int_equal(fixture.n_handled, 0);
    free(answer);
    http_close(client);
}

/* The version that a handshake with no newer one than `newest` came to; 0: it failed. The certificate is
 * verified. */
static int handshake(int newest, const char *authority)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    assert_non_null(context);
    SSL_CTX_set_security_level(context, 0); /* or the client itself would refuse what is old */
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    assert_int_equal(SSL_CTX_load_verify_file(context, authority), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(context, newest), 1);
    struct http_client *client = http_open_bare(fixture.address);
    SSL *tls = SSL_new(context);
    assert_int_equal(SSL_set_fd(tls, client->fd), 1);
    assert_int_equal(fcntl(client->fd, F_SETFL, 0), 0); /* it did not block */
    int version = SSL_connect(tls) == 1 ? SSL_version(tls) : 0;
    SSL_free(tls);
    SSL_CTX_free(context);
    http_close(client);
    return version;
}

static void old_versions_are_not_spoken(void **state)
{
    (void)state;
    const char *authority = fixture_certificate();
    assert_int_equal(handshake(TLS1_3_VERSION, authority), TLS1_3_VERSION);
    assert_int_equal(handshake(TLS1_2_VERSION, authority), TLS1_2_VERSION);
    assert_int_equal(handshake(TLS1_1_VERSION, authority), 0);
    assert_int_equal(handshake(TLS1_VERSION, authority), 0);
}

static void a_key_that_the_library_does_not_take_stops_the_start_in_words(void **state)
{
    (void)state;
    static const struct listen_address loopback = {.host = "127.0.0.1", .loopback = true};
    struct listener_options options = fixture_options(&loopback);
    struct listener *none = NULL;
    struct why why;
    options.key = options.certificate;
    assert_int_equal(listener_start(&options, &none, &why), ERR_INTERNAL);
    assert_null(none);
    assert_true(strlen(why.text) > sizeof "the HTTP listener cannot be started: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LISTENER_TEST(who_does_not_end_a_handshake_is_cut_off),
        LISTENER_TEST(more_half_handshakes_than_there_is_room_for_keep_nobody_out),
        LISTENER_TEST(a_request_in_the_clear_reaches_no_handler),
        LISTENER_TEST(old_versions_are_not_spoken),
        LISTENER_TEST(a_key_that_the_library_does_not_take_stops_the_start_in_words),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, fixture_begin_tls, fixture_end_tls);
}
