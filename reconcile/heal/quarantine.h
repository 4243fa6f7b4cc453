/* quarantine.h - tasks that are healed again and again: another program or person moves them back, which one
 * more heal would feed, so they are left to a person.
 *
 * A task is quarantined at the stage it is in while more than LIMIT_HEALS_PER_WINDOW rows of the ledger have
 * moved it out of that stage within LIMIT_HEALS_WINDOW_S (gates/gate_decide.h). Its gates are not evaluated
 * then, in forced passes either. An episode is named after the heal that began it, so that every replica and
 * every later pass names it alike.
 */
#ifndef RECONCILED_QUARANTINE_H
#define RECONCILED_QUARANTINE_H

#include <stdbool.h>

#include "reconcile/heal/pass_context.h"

struct store_task;
struct announced;

/* announced: the episodes that this process has logged or written about, so that it does so once; the newest
 * LIMIT_ANNOUNCED, empty after a restart: the outbox itself takes a name once. One thread.
 *
 * announced_free: NULL is fine. announced_has: the name was added. */
struct announced *announced_new(void);
void announced_free(struct announced *announced);
bool announced_has(const struct announced *announced, const struct uuid_text *name);
void announced_add(struct announced *announced, const struct uuid_text *name);

/* quarantine_reason: "healed 4 times in 24 h at this stage: left to a person". Caller frees. */
char *quarantine_reason(const struct store_task *task);

/* quarantine_announce: logs the episode once a process, and writes its message to the outbox, where a name is
 * written once. A dry run does neither; while a switch or the mode forbids writing, nothing is written, and
 * it is reported when that is over. */
void quarantine_announce(struct pass *pass, const struct store_task *task);

#endif
