/* explain_next.h - what happens to a task next, as a pass would decide it. Pure. Private to
 * reconcile/explain*.c and tests. */
#ifndef RECONCILED_EXPLAIN_NEXT_H
#define RECONCILED_EXPLAIN_NEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "reconcile/gates/gate_decide.h"

struct pipeline;
struct plane_unstarted_start;
struct policy;
struct stage;
struct store_hold;
struct store_replay_open;
struct store_task_entry;
struct task_issue;

enum next_action {
    NEXT_NONE,       /* nothing, ever: its stage is the end, or unknown */
    NEXT_WAIT,       /* `reason` is what it waits for */
    NEXT_ADVANCE,    /* its gate is green */
    NEXT_START,      /* its start is finished: its branch made, its first job queued */
    NEXT_APPROVE,    /* a person's verdict in Plane is replayed */
    NEXT_REJECT,     /* as NEXT_APPROVE */
    NEXT_HOLD,       /* it would do one of the four above, but a switch, the mode or a hold forbids it */
    NEXT_QUARANTINE, /* it was healed too often: left to a person */
    NEXT_MAX_
};
const char *next_action_name(enum next_action action);

struct next {
    enum next_action action;
    const struct stage *to; /* or NULL */
    int64_t at_us;          /* at the earliest; 0: not known */
    char *reason;           /* caller frees */
};

struct next_view {
    const struct store_task_entry *entry;
    const struct pipeline *pipeline;
    const struct policy *policy;   /* what is in force */
    const struct store_hold *hold; /* the one that keeps this task where it is; NULL: none */
    const char *unreadable; /* why the stored settings cannot be understood, which counts as off; or NULL */
    struct gate_decide_view gate; /* what F-1 decides by, the stage included */
    int64_t ahead;                /* tasks that the next pass may heal before this one */
    const char
        *obstacle; /* at a stage that the Plane side leaves: why Plane cannot be read or acted on; or NULL */
    const struct task_issue *issue;            /* at a human gate without an obstacle; else NULL */
    const struct plane_unstarted_start *start; /* at the first stage: this process began it; else NULL */
    int64_t start_us;                          /* by the database's clock: when its pause is over; 0: none */
    bool sends;                             /* the orchestrator moves tasks: a pass sends it the lost event */
    const struct store_replay_open *replay; /* of the event that a pass would send; NULL: not sent yet */
    int64_t next_pass_us;                   /* the timer's, by the database's clock */
};

/* next_decide: the decision for `view`. The caller frees ret->reason. */
void next_decide(const struct next_view *view, struct next *ret);

#endif
