/* auth_failures.h - failed authentications, by address: counted, and logged once a minute per address.
 *
 * Memory is bounded: AUTH_FAILURES_ADDRESSES addresses at once, all others are counted together. Thread-safe.
 */
#ifndef RECONCILED_AUTH_FAILURES_H
#define RECONCILED_AUTH_FAILURES_H

#include <stdbool.h>
#include <stdint.h>

enum { AUTH_FAILURES_ADDRESSES = 16 };

struct auth_failures;
struct sockaddr;

/* auth_failures_new: `clock_ms` is a monotonic clock. auth_failures_free: NULL is fine. */
struct auth_failures *auth_failures_new(int64_t (*clock_ms)(void));
void auth_failures_free(struct auth_failures *failures);

/* auth_failures_note: counts a failure from `address` (NULL: not known). `wrong`: the request had a token,
 * but not the right one. The first failure of an address is logged at once, later ones by auth_failures_tick.
 */
void auth_failures_note(struct auth_failures *failures, const struct sockaddr *address, bool wrong);

/* auth_failures_tick: for each address whose last line is a minute old, logs the failures since then. */
void auth_failures_tick(struct auth_failures *failures);

#endif
