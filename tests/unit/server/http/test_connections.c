/* How long a connection may keep us waiting, and who goes first when connections run short. */
#include <sys/socket.h>
#include <unistd.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "server/http/connections.h"
#include "tests/support/test.h"

static int64_t now_ms;
static int64_t clock_ms(void)
{
    return now_ms;
}

struct pair {
    int far; /* the client's end */
    int near;
    struct client_connection *peer;
};

static struct pair join(struct connections *connections)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    return (struct pair){ends[0], ends[1], connections_add(connections, ends[1])};
}

static bool is_open(const struct pair *pair)
{
    char byte;
    return recv(pair->far, &byte, 1, 0) < 0; /* EAGAIN; 0 is the end */
}

static void part(struct connections *connections, struct pair *pair)
{
    connections_remove(connections, pair->peer);
    close(pair->near);
    close(pair->far);
}

TEST(each_phase_has_its_own_deadline)
{
    static const struct {
        enum connection_phase phase;
        int64_t limit_ms;
    } cases[] = {{CONNECTION_NEW, LIMIT_READ_MS},
                 {CONNECTION_READING, LIMIT_READ_MS},
                 {CONNECTION_SENDING, LIMIT_SEND_MS},
                 {CONNECTION_IDLE, LIMIT_IDLE_MS},
                 {CONNECTION_WORKING, -1}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct connections *connections = connections_new(100, clock_ms);
        struct pair pair = join(connections);
        connection_enter(connections, pair.peer, cases[i].phase);
        now_ms += cases[i].limit_ms > 0 ? cases[i].limit_ms : (int64_t)100 * LIMIT_IDLE_MS;
        connections_reap(connections);
        assert_true(is_open(&pair));
        now_ms += 1;
        connections_reap(connections);
        assert_int_equal(is_open(&pair), cases[i].limit_ms < 0);
        part(connections, &pair);
        connections_free(connections);
    }
}

TEST(a_byte_now_and_then_moves_no_deadline)
{
    struct connections *connections = connections_new(100, clock_ms);
    struct pair pair = join(connections);
    connection_enter(connections, pair.peer, CONNECTION_READING);
    for (int i = 0; i <= LIMIT_READ_MS / 1000; i++) {
        assert_true(is_open(&pair));
        assert_int_equal(send(pair.far, "x", 1, 0), 1);
        now_ms += 1000;
        connections_reap(connections);
    }
    assert_false(is_open(&pair));
    part(connections, &pair);
    connections_free(connections);
}

TEST(when_connections_run_short_the_one_that_waits_longest_goes)
{
    enum { CAPACITY = 8, CROWD = CAPACITY / 4 * 3 };
    struct connections *connections = connections_new(CAPACITY, clock_ms);
    struct pair crowd[CROWD], late[2];
    static const enum connection_phase phases[] = {CONNECTION_WORKING, CONNECTION_IDLE,    CONNECTION_READING,
                                                   CONNECTION_NEW,     CONNECTION_SENDING, CONNECTION_IDLE};
    for (size_t i = 0; i < CROWD; i++) {
        now_ms++;
        connections_make_room(connections);
        crowd[i] = join(connections);
        connection_enter(connections, crowd[i].peer, phases[i]);
    }
    now_ms++;
    connections_make_room(connections);
    late[0] = join(connections);
    assert_true(is_open(&crowd[0])); /* older, but worked for */
    assert_false(is_open(&crowd[1]));
    assert_true(is_open(&crowd[2]));
    connections_make_room(connections);
    connections_make_room(connections); /* one is on its way out already: there will be room */
    late[1] = join(connections);
    assert_false(is_open(&crowd[2]));
    assert_true(is_open(&crowd[3]));
    assert_true(is_open(&late[0]) && is_open(&late[1]));
    assert_int_equal(connections_count(connections), CROWD + 2);
    for (size_t i = 0; i < CROWD; i++)
        part(connections, &crowd[i]);
    part(connections, &late[0]);
    part(connections, &late[1]);
    connections_free(connections);
}

TEST(who_is_being_closed_stays_so)
{
    struct connections *connections = connections_new(4, clock_ms);
    struct pair crowd[4];
    for (size_t i = 0; i < 3; i++)
        crowd[i] = join(connections);
    connections_make_room(connections);
    assert_false(is_open(&crowd[0]));
    connection_enter(connections, crowd[0].peer,
                     CONNECTION_READING); /* what it sent before is still being read */
    crowd[3] = join(connections);
    connections_make_room(connections);
    assert_false(is_open(&crowd[1]));
    assert_true(is_open(&crowd[2]));
    for (size_t i = 0; i < 4; i++)
        part(connections, &crowd[i]);
    connections_free(connections);
}

TEST(who_has_sent_its_end_is_closed_unless_served)
{
    static const struct {
        enum connection_phase phase;
        bool closed;
    } cases[] = {{CONNECTION_NEW, true},
                 {CONNECTION_READING, true},
                 {CONNECTION_IDLE, true},
                 {CONNECTION_WORKING, false},
                 {CONNECTION_SENDING, false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct connections *connections = connections_new(100, clock_ms);
        struct pair pair = join(connections);
        connection_enter(connections, pair.peer, cases[i].phase);
        assert_int_equal(shutdown(pair.far, SHUT_WR), 0);
        connections_reap(connections);
        assert_true(is_open(&pair)); /* what it sent before may just have arrived */
        now_ms += 1000;
        connections_reap(connections);
        assert_int_equal(is_open(&pair), !cases[i].closed);
        part(connections, &pair);
        connections_free(connections);
    }
}

TEST(draining_closes_the_idle_and_lets_the_busy_finish)
{
    struct connections *connections = connections_new(100, clock_ms);
    struct pair idle = join(connections), busy = join(connections), reading = join(connections);
    connection_enter(connections, idle.peer, CONNECTION_IDLE);
    connection_enter(connections, busy.peer, CONNECTION_WORKING);
    connection_enter(connections, reading.peer, CONNECTION_READING);
    connections_drain(connections);
    assert_false(is_open(&idle));
    assert_true(is_open(&busy));
    assert_true(is_open(&reading));
    connection_enter(connections, busy.peer, CONNECTION_SENDING);
    assert_true(is_open(&busy));
    connection_enter(connections, busy.peer, CONNECTION_IDLE);
    assert_false(is_open(&busy));
    struct pair late = join(connections);
    assert_false(is_open(&late));
    assert_false(connections_wait_empty(connections, 0));
    part(connections, &idle);
    part(connections, &busy);
    part(connections, &reading);
    part(connections, &late);
    assert_true(connections_wait_empty(connections, 0));
    connections_free(connections);
}
