/* journal.h - what was asked: counters, how many at once, and the last requests.
 *
 * A request counts from the moment it has arrived whole until the moment its answer is handed to the socket
 * (or its connection is given up), so that a client which waits for each answer never seems to have two in
 * flight.
 */
#ifndef SANDBOX_JOURNAL_H
#define SANDBOX_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sandbox/out.h"

struct call;
struct journal;

struct journal *journal_new(void);
void journal_free(struct journal *journal);

/* journal_begin: returns the number of the request. journal_end: status 0: it got no answer. */
int64_t journal_begin(struct journal *journal, const struct call *call);
void journal_end(struct journal *journal, int64_t number, int status);

int64_t journal_total(struct journal *journal);
/* journal_write: members of an object: total, in_flight, max_in_flight, routes, requests (the newest `limit`
 * whose "METHOD target" fits the glob, oldest first). */
void journal_write(struct journal *journal, struct out *out, const char *glob, size_t limit);
/* journal_reset: zeroes the counters; max_in_flight starts from what is in flight. */
void journal_reset(struct journal *journal);

#endif
