/* pass.h - one pass: look at the stuck tasks and at Plane's issues once, heal what is green, report.
 *
 * A pass is the same code whether the timer, a request or the command line started it, and whether it is dry
 * or not.
 */
#ifndef RECONCILED_PASS_H
#define RECONCILED_PASS_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "clients/base/err.h"
#include "clients/base/text.h"
#include "reconcile/heal/pass_request.h"

struct fetch;
struct gitea;
struct orchestrator;
struct notifier;
struct announced;
struct pipeline;
struct plane;
struct plane_scan;
struct plane_unstarted;
struct policy;
struct recheck;
struct settings;
struct store;
struct telegram;

/* What a pass works with. Everything outlives it. */
struct pass_world {
    const struct settings *settings;
    const struct pipeline *pipeline;
    struct store *store;
    struct fetch *fetch;
    struct gitea *gitea;
    struct plane *plane;
    struct orchestrator *orchestrator; /* NULL: tasks are moved in the database */
    struct telegram *telegram;         /* NULL: no token is set, and nobody is told */
    struct notifier *notifier;         /* who sends what a pass has written to the outbox; NULL: the caller */
    /* Owned by the sweeper's thread: tasks that stayed red and are looked at less often; what is known of
     * Plane's issues; what was said of quarantines. */
    struct recheck *recheck;
    struct plane_scan *scan;
    struct announced *announced;
    struct plane_unstarted *unstarted; /* starts that are not finished; read by other threads too */
    atomic_bool *stopping;             /* set: end at the next step */
    struct uuid_text owner;            /* names this process in leases */
};

/* What is left of a pass when it is over. */
struct pass_result {
    json_t *report;           /* the contract's pass report, complete */
    json_t *plane;            /* how Plane's listings stand, for the status; NULL: as before */
    int transitions, unstuck; /* written; those of them that the gate side wrote */
    int messages;             /* written to the outbox */
    bool interrupted;
    bool looked;          /* the next three were counted over all tasks by their own grace */
    size_t stuck;         /* tasks found stuck, healed or not */
    size_t quarantined;   /* of these */
    int64_t oldest_age_s; /* of those */
};
void pass_result_done(struct pass_result *result);

/* pass_check: that the one task that is asked for is there: ERR_NOT_FOUND. Nothing to check in a pass about
 * all. */
ATTR_NODISCARD enum err pass_check(struct store *store, const struct pass_request *request, struct why *why);

/* pass_run: makes one pass. Never fails as a whole for one task's or upstream's failure; ERR_ only when the
 * database could not be asked at all (*ret is then a report that says so). `id` names the pass; *policy is
 * replaced by a newer one when the stored settings moved. A policy that is switched off makes an empty pass
 * unless it is dry. */
ATTR_NODISCARD enum err pass_run(struct pass_world *world, const struct pass_request *request, const char *id,
                                 struct policy **policy, struct pass_result *ret, struct why *why);

#endif
