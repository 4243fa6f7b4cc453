/* follower.h - what other processes change in the database, brought into this process's status: settings,
 * holds and the ledger's totals; and what changes by itself when an `until` has come. One thread: the
 * probe's.
 */
#ifndef RECONCILED_FOLLOWER_H
#define RECONCILED_FOLLOWER_H

#include "clients/base/err.h"

struct follower;
struct settings;
struct store;
struct store_pulse;
struct sweeper;

/* follower_new: borrows both. */
struct follower *follower_new(const struct settings *settings, struct sweeper *sweeper);
void follower_free(struct follower *follower);

/* follower_see: a probe_pulse_fn; `arg` is the follower. Reads more only if something has changed; what it
 * cannot read it reads again at the next pulse. */
void follower_see(void *arg, struct store *store, const struct store_pulse *pulse);

#endif
