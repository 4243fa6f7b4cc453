/* gate_decide.h - F-1's decision about one task. Pure, thread-safe.
 *
 * Invariant (reconcile/README.md, "One decision"): the pass and explain both call it, so that what explain
 * shows is what the next pass does.
 */
#ifndef RECONCILED_GATE_DECIDE_H
#define RECONCILED_GATE_DECIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stage;
struct store_task;
struct verdict;

enum gate_action {
    GATE_NONE,     /* F-1 does nothing about the task where it stands */
    GATE_EVALUATE, /* its gates are to be evaluated first */
    GATE_WAIT,
    GATE_HOLD,
    GATE_QUARANTINE,
    GATE_ADVANCE
};

enum gate_cause {
    GATE_CAUSE_STAGE_UNKNOWN, /* NONE: the pipeline does not know its stage */
    GATE_CAUSE_NOT_GATED,     /* NONE: its stage is terminal, human or without a gate */
    GATE_CAUSE_JOB,           /* WAIT: a job of it is queued or running */
    GATE_CAUSE_HEALED_OFTEN,  /* QUARANTINE */
    GATE_CAUSE_NOT_LISTED,    /* WAIT: the query for stuck tasks does not find it */
    GATE_CAUSE_NO_VERDICT,    /* EVALUATE */
    GATE_CAUSE_RED,           /* WAIT */
    GATE_CAUSE_UNKNOWN,       /* WAIT: its gates will be evaluated again */
    GATE_CAUSE_SWITCH,        /* HOLD: green, but a switch or the mode keeps it back */
    GATE_CAUSE_LIMIT,         /* HOLD: green, but max_heals_per_pass leaves no room for it */
    GATE_CAUSE_GREEN          /* ADVANCE */
};

struct gate_decide_view {
    const struct store_task *task; /* recent_heals filled in */
    const struct stage *stage;     /* NULL: the pipeline does not know it */
    bool has_job;                  /* queued or running */
    bool listed;                   /* the query for stuck tasks finds it, or will once it has rested */
    const struct verdict *verdict; /* NULL or pending: not evaluated yet */
    const char *hold;              /* why nothing may be written, or NULL */
    int64_t hold_until_us;         /* 0: not known */
    int64_t quarantine_heals;      /* healed more often, it is quarantined */
    bool has_room;                 /* max_heals_per_pass leaves a heal for it when its turn comes */
    /* Times by the database's clock; a pass leaves them 0. */
    int64_t due_us;  /* when a pass of the timer looks at it at the earliest */
    int64_t room_us; /* without room: when a pass may have room for it at the earliest; 0: not known */
};

struct gate_decision {
    enum gate_action action;
    enum gate_cause cause;
    const struct stage *to; /* ADVANCE and HOLD: where the task goes or would go; else NULL */
    int64_t at_us;          /* the earliest time of the action; 0: not known */
    const char *reason;     /* of RED, UNKNOWN, SWITCH, LIMIT and GREEN; borrowed from the view; else NULL */
};

/* gate_quarantines: the task was healed at its stage more often than quarantine_heals (settings/policy.h): it
 * is in a loop, which one more heal would continue. task->recent_heals must have been filled in. */
bool gate_quarantines(const struct store_task *task, int64_t quarantine_heals);

/* gate_decide: a job takes precedence over quarantine, quarantine over the verdict, and a switch over the
 * limit. */
struct gate_decision gate_decide(const struct gate_decide_view *view);

#endif
