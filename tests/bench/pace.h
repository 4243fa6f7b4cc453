/* pace.h - requests at a steady rate over kept-alive connections, and how long each took.
 *
 * Open loop: each request has a time at which it is due and is sent then, on any connection that is free;
 * what it waits for one counts too, so that a server that stalls cannot hide it. One thread. A failure of the
 * client itself ends the benchmark.
 */
#ifndef RECONCILED_BENCH_PACE_H
#define RECONCILED_BENCH_PACE_H

#include <stddef.h>

struct paced {
    size_t answered, failed; /* failed: another status than 200 */
    double p50_ms, p99_ms, max_ms;
};

/* pace: GET `target` of `url` ("http://127.0.0.1:PORT"), `rate` times a second for so many seconds. */
enum { PACE_CONNECTIONS = 64 };
struct paced pace(const char *url, const char *target, unsigned rate, unsigned seconds);

/* pace_connect: a blocking connection to the server of that url. pace_ask: sends a GET on it without waiting.
 * pace_answer: reads its answer; the status. */
int pace_connect(const char *url);
void pace_ask(int fd, const char *target);
int pace_answer(int fd);

#endif
