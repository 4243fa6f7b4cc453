/* A publication: a mutex, and the newest version with a count of its holders, one of which is the
 * publication. Setting and acquiring only exchange a pointer under the mutex; the last holder of a version
 * frees it.
 *
 * A response may outlive its version: MHD_queue_response takes a reference of its own.
 */
#include "server/publication.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdlib.h>

#include "clients/base/err.h"
#include "handlers/handler.h"
#include "server/http/answer.h"

struct publication_version {
    unsigned holders; /* under the publication's lock */
    struct MHD_Response *response;
    const char *body; /* owned by the response */
    size_t len;
};

struct publication {
    pthread_mutex_t lock;               /* guards `newest` and the counts */
    struct publication_version *newest; /* NULL: nothing was published yet */
};

struct publication *publication_new(void)
{
    struct publication *publication = mem_zero(1, sizeof *publication);
    pthread_mutex_init(&publication->lock, NULL);
    return publication;
}

static void let_go(struct publication *publication, struct publication_version *version)
{
    pthread_mutex_lock(&publication->lock);
    bool last = version && --version->holders == 0;
    pthread_mutex_unlock(&publication->lock);
    if (!last)
        return;
    MHD_destroy_response(version->response);
    free(version);
}

void publication_free(struct publication *publication)
{
    if (!publication)
        return;
    let_go(publication, publication->newest);
    pthread_mutex_destroy(&publication->lock);
    free(publication);
}

void publication_set(struct publication *publication, const char *body, size_t len)
{
    char *copy = mem_dupn(body, len);
    struct publication_version *version = mem_zero(1, sizeof *version);
    *version =
        (struct publication_version){.holders = 1,
                                     .response = answer_response(copy, len, ANSWER_FREE, "application/json"),
                                     .body = copy,
                                     .len = len};
    pthread_mutex_lock(&publication->lock);
    struct publication_version *before = publication->newest;
    publication->newest = version;
    pthread_mutex_unlock(&publication->lock);
    let_go(publication, before);
}

struct publication_hold publication_acquire(struct publication *publication)
{
    pthread_mutex_lock(&publication->lock);
    struct publication_version *version = publication->newest;
    if (version)
        version->holders++;
    pthread_mutex_unlock(&publication->lock);
    if (!version)
        return (struct publication_hold){.version = NULL};
    return (struct publication_hold){version, version->response, version->body, version->len};
}

void publication_release(struct publication *publication, const struct publication_hold *hold)
{
    let_go(publication, hold->version);
}
