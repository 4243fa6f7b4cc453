/* publication.h - how the listener gets the prepared response of a publication (handlers/handler.h). */
#ifndef RECONCILED_PUBLICATION_H
#define RECONCILED_PUBLICATION_H

#include <stddef.h>

struct MHD_Response;
struct publication;

/* A reference to one version, valid from publication_acquire to publication_release. */
struct publication_version;
struct publication_hold {
    struct publication_version *version;
    struct MHD_Response *response; /* NULL: nothing was published yet */
    const char *body;
    size_t len;
};

/* publication_acquire: takes hold of the newest version. */
struct publication_hold publication_acquire(struct publication *publication);
void publication_release(struct publication *publication, const struct publication_hold *hold);

#endif
