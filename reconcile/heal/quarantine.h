/* quarantine.h - tasks that are healed again and again. Another program or a person moves them back, and one
 * more heal would only continue the loop. So they are left to a person.
 *
 * A task is quarantined at the stage it is in while more than quarantine_heals rows of the ledger have
 * moved it out of that stage within quarantine_window_s and since a person released it (gates/gate_decide.h).
 * While it is quarantined its gates are not evaluated, even in forced passes. An episode is named after the
 * heal that began it, so that every replica and every later pass use the same name.
 */
#ifndef RECONCILED_QUARANTINE_H
#define RECONCILED_QUARANTINE_H

#include <stdbool.h>

#include "reconcile/heal/pass_context.h"

struct store_task;
struct announced;

/* announced: the episodes that this process has already logged or written a message about, so that it does
 * each once. Holds the newest LIMIT_ANNOUNCED and is empty after a restart, which is harmless: the outbox
 * accepts each name once. One thread.
 *
 * announced_free: NULL is fine. announced_has: the name was added. */
struct announced *announced_new(void);
void announced_free(struct announced *announced);
bool announced_has(const struct announced *announced, const struct uuid_text *name);
void announced_add(struct announced *announced, const struct uuid_text *name);

/* quarantine_reason: "healed 4 times in 24 h at this stage: left to a person". Caller frees. */
char *quarantine_reason(const struct policy *policy, const struct store_task *task);

/* quarantine_announce: logs the episode once per process, and writes its message to the outbox, which accepts
 * each name once. A dry run does neither. While a switch or the mode forbids writing, nothing is announced; a
 * later pass does it when writing is allowed again. */
void quarantine_announce(struct pass *pass, const struct store_task *task);

#endif
