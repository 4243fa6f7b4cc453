/* gate.h - the verdict of a stage's gates on one task: green, red or unknown, with a reason and the evidence.
 *
 * A pure function of facts (clients/facts.h): it looks up the facts it needs, and returns VERDICT_PENDING
 * while one of them is still being read; the caller then calls it again from the beginning. Between calls
 * only the fact set keeps state. Nothing is written.
 *
 * Several gates are joined as a three-valued "and": one red makes the verdict red at once; otherwise one
 * unknown makes it unknown.
 */
#ifndef RECONCILED_GATE_H
#define RECONCILED_GATE_H

#include <stdbool.h>

#include "reconcile/pipeline/evidence.h"

struct facts;
struct gitea;
struct settings;
struct stage;
struct store_task;

struct verdict {
    enum verdict_kind kind;
    char *reason; /* a sentence; NULL while pending */
    struct evidence evidence;
    bool unasked;    /* unknown, because the upstream is being left alone for now and was not asked */
    const char *sha; /* the first head in the evidence, or NULL: a red verdict on another sha is news */
};
void verdict_done(struct verdict *verdict);

/* What a gate looks at. Everything is borrowed. */
struct gate_view {
    struct facts *facts;
    struct gitea *gitea;
    const struct store_task *task;
    const struct stage *stage;
    const struct settings *settings; /* which hold the base branch of a task's pull request */
};

/* gate_evaluate: all gates of view->stage. VERDICT_UNKNOWN for a stage without gates or with a human gate,
 * which F-1 never evaluates: no upstream has its answer. Caller frees with verdict_done. */
void gate_evaluate(const struct gate_view *view, struct verdict *ret);

#endif
