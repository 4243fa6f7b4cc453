/* gate.h - the verdict of a stage's gates on one task: green, red or unknown, in words and with what was
 * seen.
 *
 * A pure function of facts (clients/facts.h): it looks up what it needs, and says VERDICT_PENDING while
 * something it cannot do without is still under way; it is then called again from the beginning. Nothing is
 * remembered between calls but the fact set's facts, and nothing is ever written.
 *
 * Several gates are joined as a three-valued "and": one red makes it red at once, else one unknown makes it
 * unknown.
 */
#ifndef RECONCILED_GATE_H
#define RECONCILED_GATE_H

#include <jansson.h>
#include <stdbool.h>

#include "clients/base/err.h"

struct facts;
struct gitea;
struct stage;
struct store_task;

enum verdict_kind { VERDICT_PENDING, VERDICT_GREEN, VERDICT_RED, VERDICT_UNKNOWN, VERDICT_MAX_ };
/* verdict_name: "pending", "green", "red", "unknown". */
const char *verdict_name(enum verdict_kind kind);

struct verdict {
    enum verdict_kind kind;
    char *reason;     /* a sentence; NULL while pending */
    json_t *evidence; /* array, one object a gate: {"gate":"ci","verdict":…,"sha":…,"contexts":{…}}; NULL
                         while pending */
    bool unasked;     /* unknown, because an upstream is left alone for now and was not asked */
    char *sha;        /* the head that was looked at, or NULL: a red verdict on another sha is news */
};
void verdict_done(struct verdict *verdict);

/* What a gate looks at. Everything is borrowed. */
struct gate_view {
    struct facts *facts;
    struct gitea *gitea;
    const struct store_task *task;
    const struct stage *stage;
    const char *base_branch; /* where the task's pull request goes */
};

/* gate_evaluate: all gates of view->stage. A stage without gates, or with a human one, is VERDICT_UNKNOWN:
 * nobody can read its answer anywhere (F-1 never asks for it). Caller frees with verdict_done. */
void gate_evaluate(const struct gate_view *view, struct verdict *ret);

#endif
