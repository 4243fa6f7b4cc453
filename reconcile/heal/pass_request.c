#include "reconcile/heal/pass_request.h"

#include <assert.h>
#include <string.h>

#include "clients/base/err.h"

static const char *const trigger_names[] = {
    [TRIGGER_TIMER] = "timer", [TRIGGER_REQUEST] = "request", [TRIGGER_COMMAND] = "command"};

static const char *const outcome_names[] = {
    [OUTCOME_ADVANCED] = "advanced", [OUTCOME_STARTED] = "started",
    [OUTCOME_APPROVED] = "approved", [OUTCOME_REJECTED] = "rejected",
    [OUTCOME_RACED] = "raced",       [OUTCOME_RED] = "red",
    [OUTCOME_UNKNOWN] = "unknown",   [OUTCOME_QUARANTINED] = "quarantined",
    [OUTCOME_HELD] = "held",         [OUTCOME_FAILED] = "failed",
};
static_assert(ARRAY_LEN(outcome_names) == OUTCOME_MAX_, "every outcome has a name");

const char *pass_trigger_name(enum pass_trigger trigger)
{
    return trigger_names[trigger];
}

const char *outcome_name(enum outcome outcome)
{
    return (unsigned)outcome < OUTCOME_MAX_ ? outcome_names[outcome] : "unknown";
}

enum outcome outcome_parse(const char *name)
{
    enum outcome outcome = 0;
    while (outcome < OUTCOME_MAX_ && strcmp(outcome_names[outcome], name) != 0)
        outcome++;
    return outcome;
}

bool outcome_is_attempt(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_ADVANCED:
    case OUTCOME_STARTED:
    case OUTCOME_APPROVED:
    case OUTCOME_REJECTED:
    case OUTCOME_RACED:
    case OUTCOME_FAILED:
        return true;
    case OUTCOME_RED:
    case OUTCOME_UNKNOWN:
    case OUTCOME_QUARANTINED:
    case OUTCOME_HELD:
    case OUTCOME_MAX_:
        break;
    }
    return false;
}
