/* A publication: one writer at a time, any number of readers, no lock for readers.
 *
 * Eight slots, each with a count of readers and a response; `current` names the newest. All atomics are
 * sequentially consistent.
 *
 *   reader:  i = current; readers[i]++; if current != i: readers[i]--, again; use slot i; readers[i]--
 *   writer:  (one at a time) pick s != current with readers[s] == 0; rebuild slot s; current = s
 *
 * Why a reader never uses a slot that is being rebuilt: let W be the writer's reading of readers[s] == 0, and
 * C its later store current = s. Between W and C current != s, since only writers store it and this one is
 * alone. A reader that uses s has incremented readers[s], then read current == s.
 *   - Its increment precedes W: then W saw the count above zero unless the reader had let go by then, so its
 *     use was over before the rebuild.
 *   - Its increment follows W: its second read of current follows W too, and finds s only after C: it sees
 * the rebuilt slot, whole, for the store C and that read synchronise. Until it lets go readers[s] > 0, and no
 *     writer picks s.
 * A reader retries only if a writer published in between. A writer finds a slot unless seven slots are held
 * at this instant; readers hold one for as long as MHD_queue_response takes, so it yields and looks again.
 *
 * The response outlives the slot where it must: MHD_queue_response takes a reference of its own.
 */
#include "server/publication.h"

#include <microhttpd.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "handlers/handler.h"
#include "server/http/answer.h"

#define SLOTS 8u

struct slot {
    _Alignas(64) _Atomic unsigned readers; /* a line of its own: readers of neighbours do not disturb it */
    struct MHD_Response *response;
    const char *body; /* owned by the response */
    size_t len;
};

struct publication {
    struct slot slots[SLOTS];
    _Alignas(64) _Atomic unsigned current;
    pthread_mutex_t writers;
};

struct publication *publication_new(void)
{
    struct publication *publication = aligned_alloc(64, sizeof *publication);
    if (!publication)
        abort();
    memset(publication, 0, sizeof *publication);
    pthread_mutex_init(&publication->writers, NULL);
    return publication;
}

static void slot_clear(struct slot *slot)
{
    if (slot->response)
        MHD_destroy_response(slot->response);
    slot->response = NULL;
}

void publication_free(struct publication *publication)
{
    if (!publication)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        slot_clear(&publication->slots[i]);
    pthread_mutex_destroy(&publication->writers);
    free(publication);
}

static unsigned free_slot(struct publication *publication)
{
    unsigned current = atomic_load(&publication->current);
    for (;;) {
        for (unsigned i = 0; i < SLOTS; i++)
            if (i != current && atomic_load(&publication->slots[i].readers) == 0)
                return i;
        sched_yield();
    }
}

void publication_set(struct publication *publication, const char *body, size_t len)
{
    char *copy = mem_dupn(body, len);
    struct MHD_Response *response = answer_response(copy, len, ANSWER_FREE, "application/json");
    pthread_mutex_lock(&publication->writers);
    unsigned at = free_slot(publication);
    struct slot *slot = &publication->slots[at];
    slot_clear(slot);
    slot->response = response;
    slot->body = copy;
    slot->len = len;
    atomic_store(&publication->current, at);
    pthread_mutex_unlock(&publication->writers);
}

struct publication_hold publication_acquire(struct publication *publication)
{
    for (;;) {
        unsigned at = atomic_load(&publication->current);
        struct slot *slot = &publication->slots[at];
        atomic_fetch_add(&slot->readers, 1);
        if (atomic_load(&publication->current) == at)
            return (struct publication_hold){at, slot->response, slot->body, slot->len};
        atomic_fetch_sub(&slot->readers, 1);
    }
}

void publication_release(struct publication *publication, const struct publication_hold *hold)
{
    atomic_fetch_sub(&publication->slots[hold->slot].readers, 1);
}
