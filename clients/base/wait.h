/* wait.h - waiting by the monotonic clock: condition variables, and the pause after a failure.
 *
 * Times are those of clock_mono_ms().
 */
#ifndef RECONCILED_BASE_WAIT_H
#define RECONCILED_BASE_WAIT_H

#include <pthread.h>
#include <stdint.h>

/* cond_init: a condition variable for cond_wait_until; end it with pthread_cond_destroy. */
void cond_init(pthread_cond_t *cond);

/* cond_wait_until: waits until until_ms; returns as pthread_cond_timedwait. If that time has passed, it does
 * not wait. */
int cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_ms);

/* backoff_ms: first_ms doubled `times` times, but at most last_ms. */
int64_t backoff_ms(int64_t first_ms, int64_t last_ms, unsigned times);

#endif
