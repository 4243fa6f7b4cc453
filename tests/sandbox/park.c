#include "tests/sandbox/park.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdlib.h>

#include "clients/base/err.h"
#include "clients/base/text.h"
#include "clients/base/wait.h"

struct park {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    pthread_t thread;
    struct park_place **heap; /* by due_ms, the soonest first */
    size_t n, size;
    size_t counts[PARK_KIND_MAX];
    bool stopping;
};

static void put_at(struct park *park, struct park_place *place, size_t at)
{
    park->heap[at] = place;
    place->at = at + 1;
}

static void sift_up(struct park *park, size_t at)
{
    struct park_place *place = park->heap[at];
    for (size_t up = (at - 1) / 2; at > 0 && park->heap[up]->due_ms > place->due_ms;
         at = up, up = (at - 1) / 2)
        put_at(park, park->heap[up], at);
    put_at(park, place, at);
}

static void sift_down(struct park *park, size_t at)
{
    struct park_place *place = park->heap[at];
    for (size_t down; (down = at * 2 + 1) < park->n; at = down) {
        if (down + 1 < park->n && park->heap[down + 1]->due_ms < park->heap[down]->due_ms)
            down++;
        if (park->heap[down]->due_ms >= place->due_ms)
            break;
        put_at(park, park->heap[down], at);
    }
    put_at(park, place, at);
}

/* Takes a place out of the heap and lets its connection go on. The lock is held. */
static void wake(struct park *park, struct park_place *place, enum park_woken why)
{
    size_t at = place->at - 1;
    struct park_place *last = park->heap[--park->n];
    if (last != place) {
        put_at(park, last, at);
        sift_down(park, at);
        sift_up(park, last->at - 1);
    }
    place->at = 0;
    place->woken = why;
    park->counts[place->kind]--;
    MHD_resume_connection(place->connection);
}

static void wait_until(struct park *park, int64_t due_ms)
{
    if (due_ms == INT64_MAX) {
        pthread_cond_wait(&park->changed, &park->lock);
        return;
    }
    (void)cond_wait_until(&park->changed, &park->lock, due_ms);
}

static void *park_thread(void *arg)
{
    struct park *park = arg;
    pthread_mutex_lock(&park->lock);
    while (!park->stopping) {
        while (park->n && park->heap[0]->due_ms <= clock_mono_ms())
            wake(park, park->heap[0], PARK_TIME_CAME);
        wait_until(park, park->n ? park->heap[0]->due_ms : INT64_MAX);
    }
    pthread_mutex_unlock(&park->lock);
    return NULL;
}

struct park *park_new(void)
{
    struct park *park = mem_zero(1, sizeof *park);
    pthread_mutex_init(&park->lock, NULL);
    cond_init(&park->changed);
    if (pthread_create(&park->thread, NULL, park_thread, park) != 0)
        abort();
    return park;
}

void park_stop(struct park *park)
{
    pthread_mutex_lock(&park->lock);
    park->stopping = true;
    while (park->n)
        wake(park, park->heap[0], PARK_STOPPED);
    pthread_cond_signal(&park->changed);
    pthread_mutex_unlock(&park->lock);
    pthread_join(park->thread, NULL);
}

void park_free(struct park *park)
{
    pthread_cond_destroy(&park->changed);
    pthread_mutex_destroy(&park->lock);
    free(park->heap);
    free(park);
}

bool park_here(struct park *park, struct park_place *place, struct MHD_Connection *connection,
               enum park_kind kind, int64_t ms)
{
    pthread_mutex_lock(&park->lock);
    bool parks = !park->stopping;
    if (parks) {
        if (park->n == park->size) {
            park->size = park->size ? park->size * 2 : 64;
            park->heap = mem_grow(park->heap, park->size, sizeof(struct park_place *));
        }
        place->connection = connection;
        place->kind = kind;
        place->due_ms = ms < 0 ? INT64_MAX : clock_mono_ms() + ms;
        MHD_suspend_connection(connection);
        park->counts[kind]++;
        put_at(park, place, park->n++);
        sift_up(park, place->at - 1);
        if (park->heap[0] == place)
            pthread_cond_signal(&park->changed);
    }
    pthread_mutex_unlock(&park->lock);
    return parks;
}

size_t park_release(struct park *park, enum park_kind kind)
{
    pthread_mutex_lock(&park->lock);
    size_t released = 0;
    for (size_t i = 0; i < park->n && park->counts[kind];)
        if (park->heap[i]->kind == kind) {
            wake(park, park->heap[i], PARK_RELEASED);
            released++;
            i = 0; /* the heap has moved */
        } else
            i++;
    pthread_mutex_unlock(&park->lock);
    return released;
}

size_t park_count(struct park *park, enum park_kind kind)
{
    pthread_mutex_lock(&park->lock);
    size_t n = park->counts[kind];
    pthread_mutex_unlock(&park->lock);
    return n;
}
