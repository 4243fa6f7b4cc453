/* replay.h - how a transition is carried out where the orchestrator keeps its tasks to itself
 * (ORCH_ADVANCE_VIA=webhook): the event that was lost is sent to it again, and its task is watched.
 *
 * Nothing here writes a task or a job. A heal is counted only when the task has been seen to move, never
 * because of the status of an answer. Until then the replay stays in the database: it is sent again, under
 * the same delivery id, when its pause is over, and given up after LIMIT_REPLAY_TRIES. If a process dies
 * between sending and recording, the event is sent twice. That is harmless: the receiver sees the same
 * delivery id, and even without that check the event is true and the task moves once.
 */
#ifndef RECONCILED_REPLAY_H
#define RECONCILED_REPLAY_H

#include <stddef.h>

#include "clients/base/err.h"
#include "reconcile/heal/pass_context.h"

struct transition;

/* replay_apply: transition_apply in that mode, for n <= LIMIT_BATCH transitions. Each event that is sent
 * counts against the limit on heals. Outcomes: transition->success, when the task has been seen to move;
 * held, when the orchestrator took the event and the task has not moved yet; failed, with a reason that
 * states what happens next. */
ATTR_NODISCARD enum err replay_apply(struct pass *pass, struct transition *batch, size_t n, struct why *why);

/* replay_settle: for each replay whose task has moved since: writes the ledger row and the message, logs it,
 * and adds it to the report. Does nothing in a dry run or while a switch is off. */
ATTR_NODISCARD enum err replay_settle(struct pass *pass, struct why *why);

#endif
