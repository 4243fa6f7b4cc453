/* plane_start.h - starting the pipeline for an issue, in an order that survives a crash at any point: the
 * task's row (the database decides who makes it), its branch (one that is there is fine, unless it is another
 * task's), then the transition out of the first stage, which queues the first job.
 *
 * A start that was interrupted leaves a task at the first stage without a job, and a later pass finishes it
 * with the same code. If this process began it, that is the next pass, or after a failure the first pass
 * after a pause (plane_unstarted.h). Otherwise it is the first pass after the task has rested for its grace.
 * This needs a first stage without a gate, which a task leaves as soon as its branch exists.
 *
 * Where the orchestrator keeps its tasks to itself (ORCH_ADVANCE_VIA=webhook), a start is one replay of the
 * issue's event: the orchestrator makes task, branch and job, and finishes what it left half done.
 */
#ifndef RECONCILED_PLANE_START_H
#define RECONCILED_PLANE_START_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"
#include "reconcile/heal/pass_context.h"

struct evidence;
struct plane_call;
struct project;
struct store_task;

/* plane_start_obstacle: why no task can be started with these settings and this pipeline; NULL: it can. */
const char *plane_start_obstacle(const struct services *services);

/* plane_start_taken: if the branch of a task at the first stage belongs to another task, *ret is a sentence
 * that states this, else NULL. Caller frees. */
ATTR_NODISCARD enum err plane_start_taken(const struct services *services, const struct store_task *task,
                                          char **ret, struct why *why);

/* plane_start_interrupted: finishes the interrupted starts that are due. The report gets an item for each.
 * Errors are the database's alone. */
ATTR_NODISCARD enum err plane_start_interrupted(struct pass *pass, struct why *why);

/* An issue that is to be started. Texts are borrowed. */
struct plane_start {
    const struct project *project;
    struct plane_call *call;
    const char *plane_id, *title, *state;
    int64_t sequence;
    const char *reason;
    const struct evidence *evidence; /* the Plane side's */
    bool there;                      /* filled in: a task of that issue is there now */
    bool not_made; /* filled in: it could not be made, for another reason than the limit on heals */
    bool failed;   /* filled in, of one not made: something failed */
};

/* plane_start_issues: makes their tasks and starts them, at most as many as the limit on heals allows; the
 * others are held. The report gets an item for each. Errors are the database's alone. */
ATTR_NODISCARD enum err plane_start_issues(struct pass *pass, struct plane_start *starts, size_t n,
                                           struct why *why);

#endif
