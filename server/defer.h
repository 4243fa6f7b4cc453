/* defer.h - the requests that wait for somebody else's work. Private to server/.
 *
 * A deferred is owned by whoever promised to answer it; its request may be gone before (the peer left, the
 * service stops), and then the answer is dropped. The lock guards the link between the two and nothing else.
 */
#ifndef RECONCILED_DEFER_H
#define RECONCILED_DEFER_H

struct deferrals;

/* deferrals_new; deferrals_release: the listener is gone. Whoever still owes an answer keeps the rest alive.
 */
struct deferrals *deferrals_new(void);
void deferrals_release(struct deferrals *deferrals);

/* deferrals_reap: lets go of requests whose peer has closed the connection. */
void deferrals_reap(struct deferrals *deferrals);

/* deferrals_refuse: no new ones from now on. deferrals_stop: that, and answers 503 to all that wait. */
void deferrals_refuse(struct deferrals *deferrals);
void deferrals_stop(struct deferrals *deferrals);

#endif
