/* pass_context.h - a pass under way, as its two sides and the transition share it. Private to reconcile/. One
 * thread. */
#ifndef RECONCILED_PASS_CONTEXT_H
#define RECONCILED_PASS_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "clients/facts/facts.h"
#include "reconcile/sweep/pass.h"
#include "reconcile/settings/policy.h"
#include "reconcile/heal/report.h"

struct pass {
    struct pass_world *world;
    const struct pass_request *request;
    struct policy *policy;    /* as of the newest look; owned by the caller of pass_run */
    int64_t deadline_ms;      /* clock_mono_ms() */
    struct facts_asker asker; /* of every call to an upstream */
    int healed;               /* transitions made (or, when dry, that would be), against max_heals_per_pass */
    int written;              /* transitions written */
    int messages;             /* written to the outbox */
    json_t *plane;            /* see pass_result */
    char **kept;              /* words that are valid as long as the pass */
    size_t n_kept;
    struct report report;
};

/* pass_refresh_policy: reads the stored settings again and replaces pass->policy. */
ATTR_NODISCARD enum err pass_refresh_policy(struct pass *pass, struct why *why);

/* pass_hold_reason: why nothing may be written now (switched off, observing, or the side's own switch), or
 * NULL when it may. A dry run is never held: it writes nothing anyway, and shows what would be. Valid until
 * the policy is refreshed. */
const char *pass_hold_reason(const struct pass *pass, enum pass_side side);

/* pass_write: has `write` write under pass->policy: it must name that policy's revision and end to the store,
 * which answers ERR_CONFLICT when they do not stand any more. Then the policy is read again, and it is called
 * again. Not called, and *ret_hold says why, when nothing may be written.
 *
 * Invariant (reconcile/README.md, rule 8): every move, start and replay comes through here, so that what a
 * switch holds back is never decided by a policy that is not the one it is written under. */
typedef enum err pass_write_fn(struct pass *pass, void *arg, struct why *why);
ATTR_NODISCARD enum err pass_write(struct pass *pass, enum pass_side side, pass_write_fn *write, void *arg,
                                   const char **ret_hold, struct why *why);

/* pass_tells: people are to be told: not by a dry run, not when notify_unblock is off, and not without a
 * Telegram to tell them. */
bool pass_tells(const struct pass *pass);

/* pass_keep: takes words made up on the way, which are then valid as long as the pass. */
const char *pass_keep(struct pass *pass, char *words_take);

/* pass_stopping: the process ends: go no further. */
bool pass_stopping(const struct pass *pass);

#endif
