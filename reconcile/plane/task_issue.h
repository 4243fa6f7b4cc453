/* task_issue.h - reads the issue of one task alone, and decides what it calls for.
 *
 * A pass about one task acts on the decision and explain shows it; both use task_issue_read, so that they
 * agree. It takes at most three calls to Plane, or four if a state was added since the states were read. It
 * writes nothing.
 */
#ifndef RECONCILED_TASK_ISSUE_H
#define RECONCILED_TASK_ISSUE_H

#include <stdbool.h>
#include <stdint.h>

#include "clients/base/err.h"
#include "clients/plane/plane.h"
#include "clients/store/store.h"
#include "reconcile/plane/plane_decide.h"
#include "reconcile/plane/plane_state_map.h"

struct open_issue;
struct plane_scan;
struct policy;
struct services;

/* task_issue_obstacle: why Plane cannot be asked about the task at all, for a person; NULL: it can. */
const char *task_issue_obstacle(const struct services *services, const struct store_task *task);

struct task_issue_query {
    const struct services *services;
    const struct policy *policy;
    bool ignore_grace;
    struct plane_scan *scan; /* begun */
    struct plane_call *call;
    const struct store_task_entry *entry; /* of a task without an obstacle */
    int64_t now_us, now_ms; /* the database's clock, and clock_mono_ms(), when `entry` was read */
};

struct task_issue {
    char *error; /* why there is no decision, for a person; NULL: there is one */
    bool gone;   /* Plane has no such issue; `error` is set */
    /* Of an issue that was read; else 0 and NULL. */
    char *state_name; /* NULL: Plane's list of states has none of that id */
    char *problem;    /* which of the three states the project lacks, for a person; NULL: none */
    enum issue_meaning meaning;
    int64_t updated_us; /* as Plane shows it */
    int64_t since_us;   /* when its grace began, by the database's clock */
    bool asked;         /* `change`, the newest change of its state, is known */
    struct plane_change change;
    struct plane_decision decision; /* STEP_NEEDS_ACTIVITY: the change could not be asked for */
    struct store_issue_task task;   /* as it was decided about; texts are those of the entry */
    struct open_issue
        *open; /* belongs to the scan, valid until its end; NULL: it is in none of the three states */
};

/* task_issue_read: reads the issue and decides. Errors are the database's alone: what Plane does wrong is in
 * ret->error. Free with task_issue_done. */
ATTR_NODISCARD enum err task_issue_read(const struct task_issue_query *query, struct task_issue *ret,
                                        struct why *why);
void task_issue_done(struct task_issue *issue);

#endif
