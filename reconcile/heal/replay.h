/* replay.h - how a transition is carried out where the orchestrator keeps its tasks to itself
 * (ORCH_ADVANCE_VIA=webhook): the event that was lost is sent to it again, and its task is watched.
 *
 * Nothing here writes a task or a job. An answer is no heal, whatever its status: a task that has been seen
 * to move is. Until then the replay stays in the database: it is sent again, under the same delivery id, when
 * its pause is over, and given up after LIMIT_REPLAY_TRIES. What is sent twice because a process died in
 * between is recognised by the receiver, or harmless: the event is true, and the task moves once.
 */
#ifndef RECONCILED_REPLAY_H
#define RECONCILED_REPLAY_H

#include <stddef.h>

#include "clients/base/err.h"
#include "reconcile/heal/pass_context.h"

struct transition;

/* replay_apply: transition_apply in that mode, for n <= LIMIT_BATCH transitions. What was sent counts
 * against the limit on heals. Outcomes: the transition's own word, when its task has been seen to move; held,
 * when the orchestrator took the event and the task has yet to move; failed, with the words of what follows.
 */
ATTR_NODISCARD enum err replay_apply(struct pass *pass, struct transition *batch, size_t n, struct why *why);

/* replay_settle: turns the replays whose tasks have moved since into what they are: rows of the ledger, lines
 * of the log, messages, items of the report. Does nothing in a dry run or while a switch is off. */
ATTR_NODISCARD enum err replay_settle(struct pass *pass, struct why *why);

#endif
