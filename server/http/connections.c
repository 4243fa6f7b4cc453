#include "server/http/connections.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/base/wait.h"

enum { HALF_CLOSED_MS = 1000 };

struct client_connection {
    LIST_ENTRY(client_connection) link; /* under connections->lock */
    int fd;
    /* The phase and the time it began in one word (since_ms * 8 + phase), so that closing a connection can
     * check that it is still in the state that was seen. */
    _Atomic int64_t state;
};

struct connections {
    size_t capacity;
    int64_t (*clock_ms)(void);
    atomic_bool draining;
    pthread_mutex_t lock;                          /* guards the list and its length */
    pthread_cond_t changed;                        /* a connection was added, or the last one removed */
    LIST_HEAD(clients, client_connection) clients; /* the newest first */
    size_t n;
    uint64_t added; /* since the beginning */
};

static int64_t state_of(int64_t since_ms, enum connection_phase phase)
{
    return since_ms * 8 + (int64_t)phase;
}

static enum connection_phase phase_of(int64_t state)
{
    return (enum connection_phase)(state & 7);
}

static int64_t since_of(int64_t state)
{
    return state >> 3;
}

struct connections *connections_new(size_t capacity, int64_t (*clock_ms)(void))
{
    struct connections *connections = mem_zero(1, sizeof *connections);
    connections->capacity = capacity;
    connections->clock_ms = clock_ms;
    pthread_mutex_init(&connections->lock, NULL);
    cond_init(&connections->changed);
    LIST_INIT(&connections->clients);
    return connections;
}

void connections_free(struct connections *connections)
{
    if (!connections)
        return;
    assert(connections->n == 0);
    pthread_cond_destroy(&connections->changed);
    pthread_mutex_destroy(&connections->lock);
    free(connections);
}

/* Closes a connection that is still in the state that was seen; a connection whose state has changed is not
 * closed. */
static void connection_close(struct client_connection *client, int64_t seen)
{
    if (atomic_compare_exchange_strong(&client->state, &seen, state_of(since_of(seen), CONNECTION_CLOSING)))
        (void)shutdown(client->fd, SHUT_RDWR); /* fails when the peer went first, which is as good */
}

static bool is_evictable(enum connection_phase phase)
{
    return phase != CONNECTION_WORKING && phase != CONNECTION_CLOSING;
}

void connections_make_room(struct connections *connections)
{
    struct client_connection *oldest = NULL, *client;
    int64_t oldest_state = 0;
    pthread_mutex_lock(&connections->lock);
    size_t open = 0;
    LIST_FOREACH(client, &connections->clients, link)
    {
        if (connections->n < connections->capacity / 4 * 3)
            break;
        int64_t state = atomic_load(&client->state);
        open += phase_of(state) != CONNECTION_CLOSING;
        /* The newest stands first: of equals the last one came first. */
        if (is_evictable(phase_of(state)) && (!oldest || since_of(state) <= since_of(oldest_state))) {
            oldest = client;
            oldest_state = state;
        }
    }
    if (oldest && open >= connections->capacity / 4 * 3)
        connection_close(oldest, oldest_state);
    pthread_mutex_unlock(&connections->lock);
}

struct client_connection *connections_add(struct connections *connections, int fd)
{
    struct client_connection *client = mem_zero(1, sizeof *client);
    client->fd = fd;
    atomic_store(&client->state, state_of(connections->clock_ms(), CONNECTION_NEW));
    pthread_mutex_lock(&connections->lock);
    LIST_INSERT_HEAD(&connections->clients, client, link);
    connections->n++;
    connections->added++;
    pthread_cond_broadcast(&connections->changed);
    if (atomic_load(&connections->draining))
        connection_close(client, atomic_load(&client->state));
    pthread_mutex_unlock(&connections->lock);
    return client;
}

void connections_remove(struct connections *connections, struct client_connection *client)
{
    pthread_mutex_lock(&connections->lock);
    LIST_REMOVE(client, link);
    if (--connections->n == 0)
        pthread_cond_broadcast(&connections->changed);
    pthread_mutex_unlock(&connections->lock);
    free(client);
}

void connection_enter(struct connections *connections, struct client_connection *client,
                      enum connection_phase phase)
{
    int64_t state = state_of(connections->clock_ms(), phase), old = atomic_load(&client->state);
    /* A connection that is being closed stays CLOSING while its buffered input is read. */
    if (phase_of(old) == CONNECTION_CLOSING || !atomic_compare_exchange_strong(&client->state, &old, state))
        return;
    /* Sequentially consistent: either connections_drain sees the idle connection, or this thread sees that
     * draining has begun. */
    if (phase == CONNECTION_IDLE && atomic_load(&connections->draining))
        connection_close(client, state);
}

static int64_t limit_ms(enum connection_phase phase)
{
    switch (phase) {
    case CONNECTION_NEW:
    case CONNECTION_READING:
        return LIMIT_READ_MS;
    case CONNECTION_SENDING:
        return LIMIT_SEND_MS;
    case CONNECTION_IDLE:
        return LIMIT_IDLE_MS;
    case CONNECTION_WORKING:
    case CONNECTION_CLOSING:
        break;
    }
    return INT64_MAX;
}

/* The library uses edge-triggered events: if the peer's end arrived together with its last bytes, the library
 * does not see it until the next event. A peer that has closed its side, and has been idle for a second,
 * sends nothing more. */
static bool may_have_left(int64_t state, int64_t now_ms)
{
    return is_evictable(phase_of(state)) && phase_of(state) != CONNECTION_SENDING &&
           now_ms - since_of(state) >= HALF_CLOSED_MS;
}

void connections_reap(struct connections *connections)
{
    int64_t now_ms = connections->clock_ms();
    struct client_connection *client;
    nfds_t n = 0;
    pthread_mutex_lock(&connections->lock);
    struct pollfd *polls = mem_zero(connections->n + 1, sizeof *polls);
    struct client_connection **polled = mem_zero(connections->n + 1, sizeof(struct client_connection *));
    LIST_FOREACH(client, &connections->clients, link)
    {
        int64_t state = atomic_load(&client->state);
        if (now_ms - since_of(state) > limit_ms(phase_of(state))) {
            connection_close(client, state);
        } else if (may_have_left(state, now_ms)) {
            polls[n] = (struct pollfd){.fd = client->fd, .events = POLLRDHUP};
            polled[n++] = client;
        }
    }
    if (n > 0 && poll(polls, n, 0) > 0)
        for (nfds_t i = 0; i < n; i++) {
            int64_t state = atomic_load(&polled[i]->state);
            if ((polls[i].revents & (POLLRDHUP | POLLHUP | POLLERR)) && may_have_left(state, now_ms))
                connection_close(polled[i], state);
        }
    pthread_mutex_unlock(&connections->lock);
    free(polls);
    free(polled);
}

void connections_drain(struct connections *connections)
{
    struct client_connection *client;
    atomic_store(&connections->draining, true);
    pthread_mutex_lock(&connections->lock);
    LIST_FOREACH(client, &connections->clients, link)
    {
        int64_t state = atomic_load(&client->state);
        if (phase_of(state) == CONNECTION_NEW || phase_of(state) == CONNECTION_IDLE)
            connection_close(client, state);
    }
    pthread_mutex_unlock(&connections->lock);
}

bool connections_wait_empty(struct connections *connections, int64_t wait_ms)
{
    int64_t until_ms = clock_mono_ms() + wait_ms;
    int result = 0;
    pthread_mutex_lock(&connections->lock);
    while (connections->n > 0 && result == 0)
        result = cond_wait_until(&connections->changed, &connections->lock, until_ms);
    bool empty = connections->n == 0;
    pthread_mutex_unlock(&connections->lock);
    return empty;
}

uint64_t connections_added(struct connections *connections)
{
    pthread_mutex_lock(&connections->lock);
    uint64_t added = connections->added;
    pthread_mutex_unlock(&connections->lock);
    return added;
}

void connections_wait_added(struct connections *connections, uint64_t seen, int64_t wait_ms)
{
    int64_t until_ms = clock_mono_ms() + wait_ms;
    int result = 0;
    pthread_mutex_lock(&connections->lock);
    while (connections->added == seen && result == 0)
        result = cond_wait_until(&connections->changed, &connections->lock, until_ms);
    pthread_mutex_unlock(&connections->lock);
}

size_t connections_count(struct connections *connections)
{
    pthread_mutex_lock(&connections->lock);
    size_t n = connections->n;
    pthread_mutex_unlock(&connections->lock);
    return n;
}

int connection_fd(const struct client_connection *client)
{
    return client->fd;
}
