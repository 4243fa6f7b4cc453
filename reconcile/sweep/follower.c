#include "reconcile/sweep/follower.h"

#include <stdbool.h>
#include <stdlib.h>

#include "clients/base/text.h"
#include "clients/store/store.h"
#include "reconcile/settings/policy.h"
#include "reconcile/sweep/status.h"
#include "reconcile/sweep/sweeper.h"

struct follower {
    const struct settings *settings;
    struct sweeper *sweeper;
    /* As they are shown. */
    struct store_pulse seen;
    bool policy_seen, holds_seen;
    int64_t policy_until_us, holds_until_us; /* when they change by themselves; 0: never */
    struct store_ledger_count ledger;
};

struct follower *follower_new(const struct settings *settings, struct sweeper *sweeper)
{
    struct follower *follower = mem_zero(1, sizeof *follower);
    follower->settings = settings;
    follower->sweeper = sweeper;
    return follower;
}

void follower_free(struct follower *follower)
{
    if (!follower)
        return;
    store_ledger_count_done(&follower->ledger);
    free(follower);
}

static bool is_over(int64_t until_us, const struct store_pulse *pulse)
{
    return until_us && pulse->now_us >= until_us;
}

static void see_policy(struct follower *follower, struct store *store, const struct store_pulse *pulse)
{
    struct policy *policy = NULL;
    if (follower->policy_seen && follower->seen.settings_revision == pulse->settings_revision &&
        !is_over(follower->policy_until_us, pulse))
        return;
    follower->policy_seen = policy_read(store, follower->settings, &policy, NULL) == ERR_OK;
    if (!follower->policy_seen)
        return;
    follower->policy_until_us = policy->valid_until_us;
    follower->seen.settings_revision = policy->revision;
    sweeper_wake(follower->sweeper, policy);
    policy_free(policy);
}

static int64_t earlier(int64_t a_us, int64_t b_us)
{
    return a_us && (!b_us || a_us < b_us) ? a_us : b_us;
}

static void see_holds(struct follower *follower, struct store *store, const struct store_pulse *pulse)
{
    struct store_holds holds;
    if (follower->holds_seen && follower->seen.history_seq == pulse->history_seq &&
        !is_over(follower->holds_until_us, pulse))
        return;
    follower->holds_seen = store_holds_list(store, &holds, NULL) == ERR_OK;
    if (!follower->holds_seen)
        return;
    follower->holds_until_us = 0;
    for (size_t i = 0; i < holds.n; i++)
        follower->holds_until_us = earlier(holds.rows[i].until_us, follower->holds_until_us);
    follower->seen.history_seq = pulse->history_seq;
    status_holds(sweeper_status(follower->sweeper), holds.n);
    store_holds_done(&holds);
}

static void see_ledger(struct follower *follower, struct store *store, const struct store_pulse *pulse)
{
    if (pulse->ledger_seq > follower->ledger.seq &&
        store_ledger_advance(store, &follower->ledger, NULL) == ERR_OK)
        status_ledger(sweeper_status(follower->sweeper), &follower->ledger);
}

void follower_see(void *arg, struct store *store, const struct store_pulse *pulse)
{
    struct follower *follower = arg;
    see_policy(follower, store, pulse);
    see_holds(follower, store, pulse);
    see_ledger(follower, store, pulse);
}
