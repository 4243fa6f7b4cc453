/* defer.h - the requests that wait for work on another thread. Private to server/.
 *
 * A deferred is owned by the code that must answer it: a handler thread's job, or the module a handler passed
 * it on to by request_defer. Its request may be gone before (the peer left, the job took too long, the
 * service stops), and then the answer is dropped. The lock guards the link between the two and nothing else.
 */
#ifndef RECONCILED_DEFER_H
#define RECONCILED_DEFER_H

#include <stdbool.h>
#include <stdint.h>

struct deferrals;
struct deferred;
struct request;

/* deferred_new: suspends a request. `for_job`: it is answered 503 when LIMIT_ANSWER_MS have passed before.
 * NULL when too many wait or the service is stopping: the request has been answered. */
struct deferred *deferred_new(struct request *request, bool for_job);
/* deferred_refuse_later: suspends a request that was refused, and answers it with that refusal after
 * delay_ms. Nothing more is to be done about it. False, and nothing has happened: too many wait. */
bool deferred_refuse_later(struct request *request, int64_t delay_ms);
/* deferred_begin: a job starts; false: its request has been answered already. `to_the_end`: from now on it is
 * answered by the job alone. */
bool deferred_begin(struct deferred *deferred, bool to_the_end);
/* deferred_carry: answers with what `job` was answered. Once, instead of deferred_answer. */
void deferred_carry(struct deferred *deferred, struct request *job);

/* deferrals_new: `clock_ms` is a monotonic clock. deferrals_release: the listener is gone. Code that still
 * owes an answer keeps the rest alive.
 */
struct deferrals *deferrals_new(int64_t (*clock_ms)(void));
void deferrals_release(struct deferrals *deferrals);

/* deferrals_reap: lets go of requests whose peer has closed the connection while they wait for more than a
 * job. deferrals_expire: answers 503 to those whose job took too long, and refuses those whose delay is over.
 */
void deferrals_reap(struct deferrals *deferrals);
void deferrals_expire(struct deferrals *deferrals);

/* deferrals_refuse: no new ones from now on, and refused requests wait no longer. deferrals_stop: that, and
 * answers 503 to all that wait. */
void deferrals_refuse(struct deferrals *deferrals);
void deferrals_stop(struct deferrals *deferrals);

#endif
