/* once.h - what this process has said, so that it says it once.
 *
 * An economy of the process that no correctness rests upon: it lives in memory, is empty after a restart, and
 * remembers the newest LIMIT_ONCE alone. One thread.
 */
#ifndef RECONCILED_ONCE_H
#define RECONCILED_ONCE_H

#include <stdbool.h>

#include "clients/base/text.h"

struct once;

struct once *once_new(void);
/* once_free: NULL is fine. */
void once_free(struct once *once);

/* once_said: whether the thing of that name has been said. once_say: it has. */
bool once_said(const struct once *once, const struct uuid_text *name);
void once_say(struct once *once, const struct uuid_text *name);

#endif
