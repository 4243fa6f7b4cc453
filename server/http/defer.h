/* defer.h - the requests that wait for work on another thread. Private to server/.
 *
 * A deferred is owned by the code that must answer it: the job of a handler thread, or the module that a
 * handler passed it to after request_defer. Its request may end earlier (the peer left, the job took too
 * long, the service stops); the answer is then dropped. The lock guards only the link between the two.
 */
#ifndef RECONCILED_DEFER_H
#define RECONCILED_DEFER_H

#include <stdbool.h>
#include <stdint.h>

struct deferrals;
struct deferred;
struct request;

/* deferred_new: suspends a request. `for_job`: it is answered 503 if there is no answer within
 * LIMIT_ANSWER_MS. NULL when too many wait or the service is stopping: the request has been answered. */
struct deferred *deferred_new(struct request *request, bool for_job);
/* deferred_refuse_later: suspends a request that was refused, and answers it with that refusal after
 * delay_ms; the caller need do no more. False: too many wait, and nothing was done. */
bool deferred_refuse_later(struct request *request, int64_t delay_ms);
/* deferred_begin: a job starts; false: its request has been answered already. `to_the_end`: from now on only
 * the job answers it, even if it takes too long. */
bool deferred_begin(struct deferred *deferred, bool to_the_end);
/* deferred_carry: answers with the answer that `job` got. Call it once, instead of deferred_answer. */
void deferred_carry(struct deferred *deferred, struct request *job);

/* deferrals_new: `clock_ms` is a monotonic clock. deferrals_release: gives up the listener's reference; each
 * deferred without an answer keeps the rest alive.
 */
struct deferrals *deferrals_new(int64_t (*clock_ms)(void));
void deferrals_release(struct deferrals *deferrals);

/* deferrals_reap: ends requests whose peer has closed the connection, unless they wait for a job.
 * deferrals_expire: answers 503 to requests whose job took too long, and answers refused requests whose delay
 * is over.
 */
void deferrals_reap(struct deferrals *deferrals);
void deferrals_expire(struct deferrals *deferrals);

/* deferrals_refuse: makes no new ones from now on, and answers refused requests without further delay.
 * deferrals_stop: the same, and answers 503 to all that wait. */
void deferrals_refuse(struct deferrals *deferrals);
void deferrals_stop(struct deferrals *deferrals);

#endif
