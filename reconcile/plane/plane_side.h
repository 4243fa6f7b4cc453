/* plane_side.h - F-2: starts, approvals and rejections whose webhook was lost, found by asking Plane.
 *
 * The order of a pass: finish the starts that were cut short; read what the budget allows (plane_scan.h);
 * compare all of it with the tasks by one statement; confirm and identify the issues that call for an action;
 * act, within the limit on heals. No action is based only on what an earlier pass read.
 *
 * The replicas share Plane's budget, so only the one that holds the lease "plane" asks Plane by timer. The
 * lease only saves calls; forced passes do not use it.
 */
#ifndef RECONCILED_PLANE_SIDE_H
#define RECONCILED_PLANE_SIDE_H

#include "clients/base/err.h"
#include "reconcile/heal/pass_context.h"

/* plane_side_run: one pass's look at Plane. Errors are the database's alone: what Plane does wrong is in the
 * report and the status, and stops nothing else. */
ATTR_NODISCARD enum err plane_side_run(struct pass *pass, struct why *why);

/* plane_side_status: how the Plane side stands. Caller frees with plane_status_free. */
struct plane_status *plane_side_status(const struct services *services, const struct pass_memory *memory);

/* plane_side_leave: gives up the lease at the end of the process, so that another replica need not wait for
 * it. */
void plane_side_leave(struct services *services, const struct pass_memory *memory);

#endif
