#include "reconcile/heal/announced.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"

struct announced {
    struct uuid_text names[LIMIT_ANNOUNCED]; /* a ring; "" where none is yet */
    size_t next;
};

struct announced *announced_new(void)
{
    return mem_zero(1, sizeof(struct announced));
}

void announced_free(struct announced *announced)
{
    free(announced);
}

bool announced_has(const struct announced *announced, const struct uuid_text *name)
{
    for (size_t i = 0; i < LIMIT_ANNOUNCED; i++)
        if (strcmp(announced->names[i].s, name->s) == 0)
            return true;
    return false;
}

void announced_add(struct announced *announced, const struct uuid_text *name)
{
    if (announced_has(announced, name))
        return;
    announced->names[announced->next] = *name;
    announced->next = (announced->next + 1) % LIMIT_ANNOUNCED;
}
