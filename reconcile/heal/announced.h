/* announced.h - what this process has said, so that it says it announced.
 *
 * An economy of the process that no correctness rests upon: it lives in memory, is empty after a restart, and
 * remembers the newest LIMIT_ANNOUNCED alone. One thread.
 */
#ifndef RECONCILED_ANNOUNCED_H
#define RECONCILED_ANNOUNCED_H

#include <stdbool.h>

#include "clients/base/text.h"

struct announced;

struct announced *announced_new(void);
/* announced_free: NULL is fine. */
void announced_free(struct announced *announced);

/* announced_has: whether the thing of that name has been said. announced_add: it has. */
bool announced_has(const struct announced *announced, const struct uuid_text *name);
void announced_add(struct announced *announced, const struct uuid_text *name);

#endif
