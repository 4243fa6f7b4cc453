/* seed.h - databases full of tasks for the benchmarks, and their clock. A failure prints a line and ends the
 * program. */
#ifndef RECONCILED_BENCH_SEED_H
#define RECONCILED_BENCH_SEED_H

#include <stdbool.h>
#include <stddef.h>

#include "clients/base/err.h"
#include "tests/support/clients/store/pg_server.h"

/* must: ends the program unless `err` is ERR_OK. */
void must(enum err err, const struct why *why);
double now_ms(void);
double median(double *values, size_t n);

/* One database of ours with so many tasks, ids from 1. The first 1,000 are stuck (an hour old, on branches
 * task-1 …, in development); the next 1,000 as old but busy; of the others nine in ten are done if
 * `mostly_done`, and all the rest are young. */
enum { SEED_STUCK = 1000 };
struct seeded {
    char *url;
    bool on_postgresql;
    char path[64]; /* of the SQLite file */
};
void seed_sqlite(struct seeded *ret, long tasks, bool mostly_done);
void seed_postgresql(struct seeded *ret, long tasks, bool mostly_done);
/* seed_repo: so many more tasks, of that repo: in development, young, on its branches task-1 …. */
void seed_repo(const struct seeded *seeded, const char *repo, long tasks);
void seeded_done(struct seeded *seeded);

#endif
