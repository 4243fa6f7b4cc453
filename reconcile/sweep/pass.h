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
    int transitions, unstuck;   /* written; those of them that the gate side wrote */
    int messages;               /* written to the outbox */
    bool looked; /* the report's stuck, oldest_age_s and quarantined count all tasks by their own grace */
};
void pass_result_done(struct pass_result *result);

/* pass_may_run: whether a pass may be made as asked. ERR_CONFLICT: what it would act on is switched off, as
 * *ret_hold is the reason (free it with policy_hold_done; it is left alone otherwise); stored settings that
 * cannot be understood count as off. ERR_NOT_FOUND: the one task that it is about is not there. A dry run is
 * never switched off. `why` may not be NULL. */
ATTR_NODISCARD enum err pass_may_run(struct store *store, const struct settings *settings,
                                     const struct pass_request *request, struct policy_hold *ret_hold,
                                     struct why *why);

/* pass_run: makes one pass. Never fails as a whole for one task's or upstream's failure; ERR_ only when the
 * database could not be asked at all (*ret is then a report with that error). `id` names the pass; *policy is
 * replaced by a newer one when the stored settings moved. A policy that is switched off makes an empty pass
 * unless it is dry. */
ATTR_NODISCARD enum err pass_run(struct services *services, struct pass_memory *memory,
                                 const struct pass_request *request, const char *id, struct policy **policy,
                                 struct pass_result *ret, struct why *why);

/* pass_save: stores the report of a pass that did not fail, unless it was dry, or the timer's and moved
 * nothing: a converged system writes nothing. `place`: of report_log_place. False: it is not stored; a
 * failure to store it is logged. */
bool pass_save(struct services *services, const struct pass_result *result, int64_t place);

#endif
