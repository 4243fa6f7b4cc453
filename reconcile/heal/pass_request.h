/* pass_request.h - what a pass is asked to do, and the outcomes that its items can have. Pure, thread-safe.
 */
#ifndef RECONCILED_PASS_REQUEST_H
#define RECONCILED_PASS_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "reconcile/pipeline/side.h"

enum pass_trigger { TRIGGER_TIMER, TRIGGER_REQUEST, TRIGGER_COMMAND };
/* pass_trigger_name: "timer", "request", "command". */
const char *pass_trigger_name(enum pass_trigger trigger);

struct pass_request {
    enum pass_trigger trigger;
    bool dry_run;
    enum pass_side side;
    int64_t task_id; /* 0: all */
    bool ignore_grace;
};

/* The outcomes of the contract. */
enum outcome {
    OUTCOME_ADVANCED,
    OUTCOME_STARTED,
    OUTCOME_APPROVED,
    OUTCOME_REJECTED,
    OUTCOME_RACED,
    OUTCOME_RED,
    OUTCOME_UNKNOWN,
    OUTCOME_QUARANTINED,
    OUTCOME_HELD,
    OUTCOME_FAILED,
    OUTCOME_MAX_
};
/* outcome_name: the same word in reports, the ledger, metrics and the log. outcome_parse: the reverse;
 * OUTCOME_MAX_: `name` is none of them. */
const char *outcome_name(enum outcome outcome);
enum outcome outcome_parse(const char *name);
/* outcome_is_attempt: the pass tried to move the task: the task moved, another process was faster, or the
 * attempt failed. The other outcomes give the reason why the pass did not try. */
bool outcome_is_attempt(enum outcome outcome);

#endif
