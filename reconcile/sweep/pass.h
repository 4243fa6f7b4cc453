/* pass.h - one pass: look at the stuck tasks and at Plane's issues once, heal what is green, report.
 *
 * A pass is the same code whether the timer, a request or the command line started it, and whether it is dry
 * or not.
 */
#ifndef RECONCILED_PASS_H
#define RECONCILED_PASS_H

#include <stdbool.h>
#include <stdint.h>

#include "clients/base/err.h"
#include "reconcile/heal/report.h"

struct pass_memory;
struct plane_status;
struct policy;
struct policy_hold;
struct services;
struct settings;
struct store;

/* pass_memory_new: empty; caller frees with pass_memory_free (NULL is fine). */
struct pass_memory *pass_memory_new(const struct settings *settings);
void pass_memory_free(struct pass_memory *memory);

/* What a pass leaves. */
struct pass_result {
    struct report report;
    struct plane_status *plane; /* how the Plane side stands; NULL: as before */
    int transitions, unstuck;   /* written; of these, by the gate side */
    int messages;               /* written to the outbox */
    bool looked; /* the report's stuck, oldest_age_s and quarantined count all tasks by their own grace */
};
void pass_result_done(struct pass_result *result);

/* pass_may_run: whether the requested pass may run. ERR_CONFLICT: a switch is off for it, and *ret_hold is
 * the reason (free it with policy_hold_done; it is not set otherwise); stored settings that cannot be
 * understood count as off. ERR_NOT_FOUND: its task does not exist. A dry run may always run. `why` may not be
 * NULL. */
ATTR_NODISCARD enum err pass_may_run(struct store *store, const struct settings *settings,
                                     const struct pass_request *request, struct policy_hold *ret_hold,
                                     struct why *why);

/* pass_run: makes one pass. The failure of one task or upstream does not fail the pass. An error is returned
 * only when the database could not be asked at all (*ret is then a report with that error). `id` names the
 * pass; *policy is replaced by a newer one when the stored settings changed. While the policy is switched
 * off, the pass is empty unless it is a dry run. */
ATTR_NODISCARD enum err pass_run(struct services *services, struct pass_memory *memory,
                                 const struct pass_request *request, const char *id, struct policy **policy,
                                 struct pass_result *ret, struct why *why);

/* pass_save: stores the report of a pass that did not fail, except for dry runs and for passes of the timer
 * that moved nothing: a converged system writes nothing. `place` comes from report_log_place. False: it is
 * not stored; a failure to store it is logged. */
bool pass_save(struct services *services, const struct pass_result *result, int64_t place);

#endif
