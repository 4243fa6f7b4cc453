/* Choosing the stuck tasks: 1,000 stuck among 1,000,000, on SQLite and on PostgreSQL, and again among a tenth
 * as many, to show that the cost follows the stuck ones. Prints a line each:
 *
 *   stuck sqlite tasks=1000000 stuck=1000 listed=1000 best_ms=… median_ms=…
 */
#include <stdio.h>
#include <stdlib.h>

#include "clients/store/store.h"
#include "tests/bench/seed.h"

enum { ROUNDS = 15 };

static void measure(const char *name, const struct seeded *seeded, long tasks)
{
    static const struct store_stage_grace graces[] = {
        {"architecture", 600}, {"development", 600}, {"review", 600}, {"testing", 600}, {"deploy", 600}};
    static const char *const known[] = {"created", "analysis", "architecture", "development",
                                        "review",  "testing",  "deploy",       "done"};
    const struct store_stuck_query query = {.stages = graces,
                                            .n_stages = ARRAY_LEN(graces),
                                            .known = known,
                                            .n_known = ARRAY_LEN(known),
                                            .limit = 5000};
    struct store *store;
    struct why why;
    must(store_open(seeded->url, NULL, &store, &why), &why);
    double times[ROUNDS];
    size_t count = 0, listed = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct store_task_list stuck;
        double begin = now_ms();
        must(store_task_list(store, &query, &stuck, &why), &why);
        times[i] = now_ms() - begin;
        count = stuck.count;
        listed = stuck.n_tasks;
        store_task_list_done(&stuck);
    }
    store_free(store);
    double middle = median(times, ROUNDS);
    printf("stuck %-10s tasks=%ld stuck=%zu listed=%zu best_ms=%.2f median_ms=%.2f\n", name, tasks, count,
           listed, times[0], middle);
    fflush(stdout);
    if (count != SEED_STUCK) {
        fprintf(stderr, "bench_stuck: %zu tasks found, not %d\n", count, SEED_STUCK);
        exit(1);
    }
}

int main(void)
{
    for (long tasks = 100000; tasks <= 1000000; tasks *= 10) {
        struct seeded seeded;
        seed_sqlite(&seeded, tasks, true);
        measure("sqlite", &seeded, tasks);
        seeded_done(&seeded);
        seed_postgresql(&seeded, tasks, true);
        measure("postgresql", &seeded, tasks);
        seeded_done(&seeded);
    }
    return 0;
}
