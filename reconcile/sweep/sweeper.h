/* sweeper.h - the thread that makes passes: by timer with jitter, and when asked.
 *
 * One pass at a time. Requests that are alike and arrive before their pass has begun share it; what arrives
 * while a pass runs waits for the next. A database that fails is asked again after growing pauses, never in a
 * hot loop. Nothing here is needed for correctness: a process killed at any instant is replaced by another
 * that looks again.
 */
#ifndef RECONCILED_SWEEPER_H
#define RECONCILED_SWEEPER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "clients/base/err.h"
#include "clients/base/text.h"
#include "reconcile/sweep/pass.h"

struct report_log;
struct status;
struct sweeper;

/* sweeper_new: prepares it; sweeper_start: starts the thread. `services` must outlive it. `on_change` (may be
 * NULL) is called from the sweeper's thread whenever the status changed, with the new status document
 * (borrowed). */
typedef void sweeper_change_fn(void *arg, const json_t *status);
struct sweeper *sweeper_new(struct services *services, sweeper_change_fn *on_change, void *arg);
ATTR_NODISCARD enum err sweeper_start(struct sweeper *sweeper, struct why *why);

/* sweeper_status: the status that it keeps up to date, for other modules that have news. As long as the
 * sweeper. */
struct status *sweeper_status(struct sweeper *sweeper);

/* sweeper_stop: no new pass, the one under way is cut short at its next step (what is in flight is aborted;
 * no half state) and reported "interrupted"; every waiter for a pass gets its answer; joins the thread. */
void sweeper_stop(struct sweeper *sweeper);
void sweeper_free(struct sweeper *sweeper);

/* sweeper_request: asks for a pass. `done` (may be NULL) is called exactly once, from the sweeper's thread,
 * with the report (borrowed: the function reads or copies it before it returns), unless this returns an
 * error: ERR_UNAVAILABLE when stopping or too many distinct requests wait. */
typedef void sweeper_done_fn(void *arg, const struct report *report);
ATTR_NODISCARD enum err sweeper_request(struct sweeper *sweeper, const struct pass_request *request,
                                        sweeper_done_fn *done, void *arg, struct uuid_text *ret_id,
                                        struct why *why);

/* sweeper_wake: the settings were changed to `policy` (borrowed): the status shows it when this returns, and
 * the next pass is due as it sets. Makes no pass by itself, and asks no database. */
void sweeper_wake(struct sweeper *sweeper, const struct policy *policy);

/* sweeper_due_ms: until the timer's next pass; 0 when it is due or under way, or nothing is known yet. */
int64_t sweeper_due_ms(struct sweeper *sweeper);

/* sweeper_tick: now_ms of clock_mono_ms; called every LIMIT_TICK_MS as long as the process runs. A longer
 * pause means that it was stopped or suspended: no pass counts as late because of that.
 * sweeper_alive: at now_ms of clock_mono_ms; false when a pass is overdue by far or one takes much longer
 * than it may; `why` is which. Idle, switched off and waiting for a database are alive. */
void sweeper_tick(struct sweeper *sweeper, int64_t now_ms);
bool sweeper_alive(struct sweeper *sweeper, int64_t now_ms, struct why *why);

/* sweeper_report: the text of a pass's report (report_text), while it waits, while it runs, and later as long
 * as it is kept (report_log.h); ERR_NOT_FOUND. Caller frees *ret. sweeper_report_log: the reports of passes
 * that are over. As long as the sweeper. */
ATTR_NODISCARD enum err sweeper_report(struct sweeper *sweeper, const char *id, char **ret, struct why *why);
struct report_log *sweeper_report_log(struct sweeper *sweeper);

#endif
