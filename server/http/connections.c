#include "server/http/connections.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/base/wait.h"

enum { HALF_CLOSED_MS = 1000 };

struct peer {
    struct peer *previous, *next; /* under peers->lock */
    int fd;
    /* Phase and the time it began in one word (since_ms * 8 + phase), so that who closes a connection can
     * check that it is still what it looked like. */
    _Atomic int64_t state;
};

struct peers {
    size_t capacity;
    int64_t (*clock_ms)(void);
    atomic_bool draining;
    pthread_mutex_t lock;   /* guards the list and its length */
    pthread_cond_t changed; /* a peer was added, or the last one removed */
    struct peer *first;
    size_t n;
    uint64_t added; /* since the beginning */
};

static int64_t state_of(int64_t since_ms, enum peer_phase phase)
{
    return since_ms * 8 + (int64_t)phase;
}

static enum peer_phase phase_of(int64_t state)
{
    return (enum peer_phase)(state & 7);
}

static int64_t since_of(int64_t state)
{
    return state >> 3;
}

struct peers *peers_new(size_t capacity, int64_t (*clock_ms)(void))
{
    struct peers *peers = mem_zero(1, sizeof *peers);
    peers->capacity = capacity;
    peers->clock_ms = clock_ms;
    pthread_mutex_init(&peers->lock, NULL);
    cond_init(&peers->changed);
    return peers;
}

void peers_free(struct peers *peers)
{
    if (!peers)
        return;
    assert(peers->n == 0);
    pthread_cond_destroy(&peers->changed);
    pthread_mutex_destroy(&peers->lock);
    free(peers);
}

/* Closes a peer that still is what it looked like; one that has moved on meanwhile is spared. */
static void peer_close(struct peer *peer, int64_t seen)
{
    if (atomic_compare_exchange_strong(&peer->state, &seen, state_of(since_of(seen), PEER_CLOSING)))
        (void)shutdown(peer->fd, SHUT_RDWR); /* fails when the peer went first, which is as good */
}

static bool is_evictable(enum peer_phase phase)
{
    return phase != PEER_WORKING && phase != PEER_CLOSING;
}

void peers_make_room(struct peers *peers)
{
    struct peer *oldest = NULL;
    int64_t oldest_state = 0;
    pthread_mutex_lock(&peers->lock);
    size_t open = 0;
    for (struct peer *peer = peers->n < peers->capacity / 4 * 3 ? NULL : peers->first; peer;
         peer = peer->next) {
        int64_t state = atomic_load(&peer->state);
        open += phase_of(state) != PEER_CLOSING;
        /* The newest stands first: of equals the last one came first. */
        if (is_evictable(phase_of(state)) && (!oldest || since_of(state) <= since_of(oldest_state))) {
            oldest = peer;
            oldest_state = state;
        }
    }
    if (oldest && open >= peers->capacity / 4 * 3)
        peer_close(oldest, oldest_state);
    pthread_mutex_unlock(&peers->lock);
}

struct peer *peers_add(struct peers *peers, int fd)
{
    struct peer *peer = mem_zero(1, sizeof *peer);
    peer->fd = fd;
    atomic_store(&peer->state, state_of(peers->clock_ms(), PEER_NEW));
    pthread_mutex_lock(&peers->lock);
    peer->next = peers->first;
    if (peer->next)
        peer->next->previous = peer;
    peers->first = peer;
    peers->n++;
    peers->added++;
    pthread_cond_broadcast(&peers->changed);
    if (atomic_load(&peers->draining))
        peer_close(peer, atomic_load(&peer->state));
    pthread_mutex_unlock(&peers->lock);
    return peer;
}

void peers_remove(struct peers *peers, struct peer *peer)
{
    pthread_mutex_lock(&peers->lock);
    if (peer->previous)
        peer->previous->next = peer->next;
    else
        peers->first = peer->next;
    if (peer->next)
        peer->next->previous = peer->previous;
    if (--peers->n == 0)
        pthread_cond_broadcast(&peers->changed);
    pthread_mutex_unlock(&peers->lock);
    free(peer);
}

void peer_enter(struct peers *peers, struct peer *peer, enum peer_phase phase)
{
    int64_t state = state_of(peers->clock_ms(), phase), old = atomic_load(&peer->state);
    /* Who is being closed stays so, even if what it sent before is still being read. */
    if (phase_of(old) == PEER_CLOSING || !atomic_compare_exchange_strong(&peer->state, &old, state))
        return;
    /* Sequentially consistent: either peers_drain sees the idle peer, or we see that it has begun. */
    if (phase == PEER_IDLE && atomic_load(&peers->draining))
        peer_close(peer, state);
}

static int64_t limit_ms(enum peer_phase phase)
{
    switch (phase) {
    case PEER_NEW:
    case PEER_READING:
        return LIMIT_READ_MS;
    case PEER_SENDING:
        return LIMIT_SEND_MS;
    case PEER_IDLE:
        return LIMIT_IDLE_MS;
    case PEER_WORKING:
    case PEER_CLOSING:
        break;
    }
    return INT64_MAX;
}

/* The library reads edges: a peer's end that arrived together with its last bytes is not seen until something
 * else happens. Who has had a second to be served and has sent its end will send nothing more. */
static bool may_have_left(int64_t state, int64_t now_ms)
{
    return is_evictable(phase_of(state)) && phase_of(state) != PEER_SENDING &&
           now_ms - since_of(state) >= HALF_CLOSED_MS;
}

void peers_reap(struct peers *peers)
{
    int64_t now_ms = peers->clock_ms();
    nfds_t n = 0;
    pthread_mutex_lock(&peers->lock);
    struct pollfd *polls = mem_zero(peers->n + 1, sizeof *polls);
    struct peer **polled = mem_zero(peers->n + 1, sizeof(struct peer *));
    for (struct peer *peer = peers->first; peer; peer = peer->next) {
        int64_t state = atomic_load(&peer->state);
        if (now_ms - since_of(state) > limit_ms(phase_of(state))) {
            peer_close(peer, state);
        } else if (may_have_left(state, now_ms)) {
            polls[n] = (struct pollfd){.fd = peer->fd, .events = POLLRDHUP};
            polled[n++] = peer;
        }
    }
    if (n > 0 && poll(polls, n, 0) > 0)
        for (nfds_t i = 0; i < n; i++) {
            int64_t state = atomic_load(&polled[i]->state);
            if ((polls[i].revents & (POLLRDHUP | POLLHUP | POLLERR)) && may_have_left(state, now_ms))
                peer_close(polled[i], state);
        }
    pthread_mutex_unlock(&peers->lock);
    free(polls);
    free(polled);
}

void peers_drain(struct peers *peers)
{
    atomic_store(&peers->draining, true);
    pthread_mutex_lock(&peers->lock);
    for (struct peer *peer = peers->first; peer; peer = peer->next) {
        int64_t state = atomic_load(&peer->state);
        if (phase_of(state) == PEER_NEW || phase_of(state) == PEER_IDLE)
            peer_close(peer, state);
    }
    pthread_mutex_unlock(&peers->lock);
}

bool peers_wait_empty(struct peers *peers, int64_t wait_ms)
{
    int64_t until_ms = clock_mono_ms() + wait_ms;
    int result = 0;
    pthread_mutex_lock(&peers->lock);
    while (peers->n > 0 && result == 0)
        result = cond_wait_until(&peers->changed, &peers->lock, until_ms);
    bool empty = peers->n == 0;
    pthread_mutex_unlock(&peers->lock);
    return empty;
}

uint64_t peers_added(struct peers *peers)
{
    pthread_mutex_lock(&peers->lock);
    uint64_t added = peers->added;
    pthread_mutex_unlock(&peers->lock);
    return added;
}

void peers_wait_added(struct peers *peers, uint64_t seen, int64_t wait_ms)
{
    int64_t until_ms = clock_mono_ms() + wait_ms;
    int result = 0;
    pthread_mutex_lock(&peers->lock);
    while (peers->added == seen && result == 0)
        result = cond_wait_until(&peers->changed, &peers->lock, until_ms);
    pthread_mutex_unlock(&peers->lock);
}

size_t peers_count(struct peers *peers)
{
    pthread_mutex_lock(&peers->lock);
    size_t n = peers->n;
    pthread_mutex_unlock(&peers->lock);
    return n;
}

int peer_fd(const struct peer *peer)
{
    return peer->fd;
}
