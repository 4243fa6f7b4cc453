/* sweeper.h - the thread that makes passes: by timer with jitter, and when asked.
 *
 * One pass at a time. Equal requests that arrive before their pass begins share it; a request that arrives
 * during a pass waits for the next one. After a failure of the database it tries again after growing pauses.
 * Correctness does not depend on this state: if the process is killed at any instant, the next process reads
 * everything again.
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

/* sweeper_stop: starts no new pass; ends the pass under way at its next step, aborting requests in flight,
 * and reports it as "interrupted"; answers every waiter for a pass; joins the thread. No task is left half
 * moved. */
void sweeper_stop(struct sweeper *sweeper);
void sweeper_free(struct sweeper *sweeper);

/* sweeper_request: asks for a pass. `done` (may be NULL) is called exactly once, from the sweeper's thread,
 * with the report (borrowed: the function reads or copies it before it returns), unless this returns an
 * error: ERR_UNAVAILABLE when stopping or too many distinct requests wait. */
typedef void sweeper_done_fn(void *arg, const struct report *report);
ATTR_NODISCARD enum err sweeper_request(struct sweeper *sweeper, const struct pass_request *request,
                                        sweeper_done_fn *done, void *arg, struct uuid_text *ret_id,
                                        struct why *why);

/* sweeper_wake: the settings were changed to `policy` (borrowed): when this returns, the status shows it and
 * the next pass is due by its interval. Starts no pass and does not use the database. */
void sweeper_wake(struct sweeper *sweeper, const struct policy *policy);

/* sweeper_due_ms: milliseconds until the timer's next pass; 0 when it is due or under way, or not known yet.
 */
int64_t sweeper_due_ms(struct sweeper *sweeper);

/* sweeper_tick: now_ms of clock_mono_ms; called every LIMIT_TICK_MS as long as the process runs. A longer
 * pause between two calls means that the process was stopped or suspended: no pass counts as late because of
 * that. sweeper_alive: at now_ms of clock_mono_ms; false when a pass is far overdue or takes much longer than
 * it may; `why` states which. A sweeper that is idle, switched off or waiting for the database is alive. */
void sweeper_tick(struct sweeper *sweeper, int64_t now_ms);
bool sweeper_alive(struct sweeper *sweeper, int64_t now_ms, struct why *why);

/* sweeper_report: the text of a pass's report (report_text), while it waits, while it runs, and later as long
 * as it is kept (report_log.h); ERR_NOT_FOUND. Caller frees *ret. sweeper_report_log: the reports of passes
 * that are over. As long as the sweeper. */
ATTR_NODISCARD enum err sweeper_report(struct sweeper *sweeper, const char *id, char **ret, struct why *why);
struct report_log *sweeper_report_log(struct sweeper *sweeper);

#endif
