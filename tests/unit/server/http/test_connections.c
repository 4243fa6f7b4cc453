/* How long a connection may keep us waiting, and who goes first when connections run short. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "server/http/connections.h"

static int64_t now_ms;
static int64_t clock_ms(void)
{
    return now_ms;
}

struct pair {
    int far; /* the client's end */
    int near;
    struct peer *peer;
};

static struct pair join(struct peers *peers)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    return (struct pair){ends[0], ends[1], peers_add(peers, ends[1])};
}

static bool is_open(const struct pair *pair)
{
    char byte;
    return recv(pair->far, &byte, 1, 0) < 0; /* EAGAIN; 0 is the end */
}

static void part(struct peers *peers, struct pair *pair)
{
    peers_remove(peers, pair->peer);
    close(pair->near);
    close(pair->far);
}

static void each_phase_has_its_own_deadline(void **state)
{
    (void)state;
    static const struct {
        enum peer_phase phase;
        int64_t limit_ms;
    } cases[] = {{PEER_NEW, LIMIT_READ_MS},
                 {PEER_READING, LIMIT_READ_MS},
                 {PEER_SENDING, LIMIT_SEND_MS},
                 {PEER_IDLE, LIMIT_IDLE_MS},
                 {PEER_WORKING, -1}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct peers *peers = peers_new(100, clock_ms);
        struct pair pair = join(peers);
        peer_enter(peers, pair.peer, cases[i].phase);
        now_ms += cases[i].limit_ms > 0 ? cases[i].limit_ms : (int64_t)100 * LIMIT_IDLE_MS;
        peers_reap(peers);
        assert_true(is_open(&pair));
        now_ms += 1;
        peers_reap(peers);
        assert_int_equal(is_open(&pair), cases[i].limit_ms < 0);
        part(peers, &pair);
        peers_free(peers);
    }
}

static void a_byte_now_and_then_moves_no_deadline(void **state)
{
    (void)state;
    struct peers *peers = peers_new(100, clock_ms);
    struct pair pair = join(peers);
    peer_enter(peers, pair.peer, PEER_READING);
    for (int i = 0; i <= LIMIT_READ_MS / 1000; i++) {
        assert_true(is_open(&pair));
        assert_int_equal(send(pair.far, "x", 1, 0), 1);
        now_ms += 1000;
        peers_reap(peers);
    }
    assert_false(is_open(&pair));
    part(peers, &pair);
    peers_free(peers);
}

static void when_connections_run_short_the_one_that_waits_longest_goes(void **state)
{
    (void)state;
    enum { CAPACITY = 8, CROWD = CAPACITY / 4 * 3 };
    struct peers *peers = peers_new(CAPACITY, clock_ms);
    struct pair crowd[CROWD], late[2];
    static const enum peer_phase phases[] = {PEER_WORKING, PEER_IDLE,    PEER_READING,
                                             PEER_NEW,     PEER_SENDING, PEER_IDLE};
    for (size_t i = 0; i < CROWD; i++) {
        now_ms++;
        peers_make_room(peers);
        crowd[i] = join(peers);
        peer_enter(peers, crowd[i].peer, phases[i]);
    }
    now_ms++;
    peers_make_room(peers);
    late[0] = join(peers);
    assert_true(is_open(&crowd[0])); /* older, but worked for */
    assert_false(is_open(&crowd[1]));
    assert_true(is_open(&crowd[2]));
    peers_make_room(peers);
    peers_make_room(peers); /* one is on its way out already: there will be room */
    late[1] = join(peers);
    assert_false(is_open(&crowd[2]));
    assert_true(is_open(&crowd[3]));
    assert_true(is_open(&late[0]) && is_open(&late[1]));
    assert_int_equal(peers_count(peers), CROWD + 2);
    for (size_t i = 0; i < CROWD; i++)
        part(peers, &crowd[i]);
    part(peers, &late[0]);
    part(peers, &late[1]);
    peers_free(peers);
}

static void who_is_being_closed_stays_so(void **state)
{
    (void)state;
    struct peers *peers = peers_new(4, clock_ms);
    struct pair crowd[4];
    for (size_t i = 0; i < 3; i++)
        crowd[i] = join(peers);
    peers_make_room(peers);
    assert_false(is_open(&crowd[0]));
    peer_enter(peers, crowd[0].peer, PEER_READING); /* what it sent before is still being read */
    crowd[3] = join(peers);
    peers_make_room(peers);
    assert_false(is_open(&crowd[1]));
    assert_true(is_open(&crowd[2]));
    for (size_t i = 0; i < 4; i++)
        part(peers, &crowd[i]);
    peers_free(peers);
}

static void who_has_sent_its_end_is_closed_unless_served(void **state)
{
    (void)state;
    static const struct {
        enum peer_phase phase;
        bool closed;
    } cases[] = {{PEER_NEW, true},
                 {PEER_READING, true},
                 {PEER_IDLE, true},
                 {PEER_WORKING, false},
                 {PEER_SENDING, false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct peers *peers = peers_new(100, clock_ms);
        struct pair pair = join(peers);
        peer_enter(peers, pair.peer, cases[i].phase);
        assert_int_equal(shutdown(pair.far, SHUT_WR), 0);
        peers_reap(peers);
        assert_true(is_open(&pair)); /* what it sent before may just have arrived */
        now_ms += 1000;
        peers_reap(peers);
        assert_int_equal(is_open(&pair), !cases[i].closed);
        part(peers, &pair);
        peers_free(peers);
    }
}

static void draining_closes_the_idle_and_lets_the_busy_finish(void **state)
{
    (void)state;
    struct peers *peers = peers_new(100, clock_ms);
    struct pair idle = join(peers), busy = join(peers), reading = join(peers);
    peer_enter(peers, idle.peer, PEER_IDLE);
    peer_enter(peers, busy.peer, PEER_WORKING);
    peer_enter(peers, reading.peer, PEER_READING);
    peers_drain(peers);
    assert_false(is_open(&idle));
    assert_true(is_open(&busy));
    assert_true(is_open(&reading));
    peer_enter(peers, busy.peer, PEER_SENDING);
    assert_true(is_open(&busy));
    peer_enter(peers, busy.peer, PEER_IDLE);
    assert_false(is_open(&busy));
    struct pair late = join(peers);
    assert_false(is_open(&late));
    assert_false(peers_wait_empty(peers, 0));
    part(peers, &idle);
    part(peers, &busy);
    part(peers, &reading);
    part(peers, &late);
    assert_true(peers_wait_empty(peers, 0));
    peers_free(peers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_phase_has_its_own_deadline),
        cmocka_unit_test(a_byte_now_and_then_moves_no_deadline),
        cmocka_unit_test(when_connections_run_short_the_one_that_waits_longest_goes),
        cmocka_unit_test(who_is_being_closed_stays_so),
        cmocka_unit_test(who_has_sent_its_end_is_closed_unless_served),
        cmocka_unit_test(draining_closes_the_idle_and_lets_the_busy_finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
