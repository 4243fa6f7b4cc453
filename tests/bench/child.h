/* child.h - programs that a benchmark starts and stops. A failure prints a line and ends the benchmark. */
#ifndef RECONCILED_BENCH_CHILD_H
#define RECONCILED_BENCH_CHILD_H

#include <sys/types.h>

void bench_die(const char *what) __attribute__((noreturn));

struct bench_child {
    pid_t pid;
    char url[64];
};

/* bench_start: FOLDER/NAME ARGUMENT; waits for the line on its file descriptor `output` that holds `mark`,
 * behind which stands its address. What it goes on to print is thrown away. */
struct bench_child bench_start(const char *folder, const char *name, const char *argument, int output,
                               const char *mark);
void bench_stop(struct bench_child *child);

#endif
