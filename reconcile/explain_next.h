/* explain_next.h - what happens to a task next, as a pass would decide it. Pure. Private to
 * reconcile/explain*.c and tests. */
#ifndef RECONCILED_EXPLAIN_NEXT_H
#define RECONCILED_EXPLAIN_NEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "reconcile/gate.h"

struct pipeline;
struct policy;
struct stage;
struct store_task_entry;

enum next_action {
    NEXT_NONE,       /* nothing, ever: its stage is the end, or unknown */
    NEXT_WAIT,       /* for what `words` says */
    NEXT_ADVANCE,    /* its gate is green */
    NEXT_HOLD,       /* its gate is green, and a switch or the mode keeps it back */
    NEXT_QUARANTINE, /* its gate is green, and it was healed too often: left to a person */
    NEXT_MAX_
};
const char *next_action_name(enum next_action action);

struct next {
    enum next_action action;
    const struct stage *to; /* or NULL */
    int64_t at_us;          /* at the earliest; 0: nobody can tell */
    char *words;            /* caller frees */
};

struct next_view {
    const struct store_task_entry *entry;
    const struct stage *stage;   /* NULL: the pipeline does not know it */
    const struct policy *policy; /* what is in force */
    const char *unreadable; /* why the stored settings cannot be understood, which counts as off; or NULL */
    const struct verdict *verdict; /* of a stage with gates that can be read; else NULL */
    int64_t next_pass_us;          /* the timer's, by the same clock */
};

/* next_decide. */
void next_decide(const struct next_view *view, struct next *ret);

/* task_is_quarantined: it left its stage too often of late to be moved on by us once more. */
bool task_is_quarantined(const struct store_task_entry *entry);

#endif
