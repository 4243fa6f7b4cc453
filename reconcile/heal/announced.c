#include "reconcile/heal/announced.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"

struct once {
    struct uuid_text names[LIMIT_ONCE]; /* a ring; "" where none is yet */
    size_t next;
};

struct once *once_new(void)
{
    return mem_zero(1, sizeof(struct once));
}

void once_free(struct once *once)
{
    free(once);
}

bool once_said(const struct once *once, const struct uuid_text *name)
{
    for (size_t i = 0; i < LIMIT_ONCE; i++)
        if (strcmp(once->names[i].s, name->s) == 0)
            return true;
    return false;
}

void once_say(struct once *once, const struct uuid_text *name)
{
    if (once_said(once, name))
        return;
    once->names[once->next] = *name;
    once->next = (once->next + 1) % LIMIT_ONCE;
}
