/* metric.h - what is counted, for GET /metrics: one static table of families over atomics.
 *
 * This is the lowest layer, so that every layer can count. The families, their labels and the values of each
 * label are fixed at compile time. So there is no hash table, no lock and nothing that grows with tasks,
 * hosts or callers. Every series exists from the start, at zero, except those that start as METRIC_ABSENT.
 *
 * The value of a label is the domain's word ("advanced", "timeout"), as it is spelt everywhere else. A value
 * that is not in its label's set counts as "other" if the set has that; otherwise it is a programmer's error.
 * Thread-safe; nothing here waits.
 */
#ifndef RECONCILED_BASE_METRIC_H
#define RECONCILED_BASE_METRIC_H

#include <stddef.h>
#include <stdint.h>

/* In the order of their names. In brackets: labels, and what a value is counted in where it is not the
 * family's own unit. */
enum metric {
    METRIC_PROCESS_CPU_SECONDS, /* [us] */
    METRIC_PROCESS_MAX_FDS,
    METRIC_PROCESS_OPEN_FDS,
    METRIC_PROCESS_RESIDENT_MEMORY,
    METRIC_PROCESS_START_TIME, /* [us] */
    METRIC_BUILD_INFO,         /* [version] */
    METRIC_DATABASE_UP,
    METRIC_ENABLED,
    METRIC_GATE_CHECKS, /* [kind, verdict] */
    METRIC_HELD_TASKS,
    METRIC_HTTP_AUTH_FAILURES, /* [reason] */
    METRIC_HTTP_REQUESTS,      /* [route, class] */
    METRIC_LAST_PASS,          /* [us] */
    METRIC_LOG_LINES_DROPPED,
    METRIC_MISSED_EVENTS, /* [source, event] */
    METRIC_OBSERVING,
    METRIC_OUTBOX_DEPTH,
    METRIC_OUTBOX_OLDEST_AGE,
    METRIC_PASS_DURATION, /* [ms] */
    METRIC_PASS_INTERVAL,
    METRIC_PASSES, /* [trigger, result] */
    METRIC_PLANE_BUDGET_LEFT,
    METRIC_PLANE_BUDGET_LIMIT,
    METRIC_PLANE_DEFERRED_CALLS,
    METRIC_PLANE_ENABLED,
    METRIC_PLANE_WAITING,
    METRIC_QUARANTINED_TASKS,
    METRIC_STUCK_OLDEST_AGE,
    METRIC_STUCK_TASKS,
    METRIC_TIME_TO_HEAL,
    METRIC_TRANSITIONS, /* [outcome] */
    METRIC_UNKNOWN_STAGE_TASKS,
    METRIC_UPSTREAM_REQUEST_DURATION, /* [upstream; us] */
    METRIC_UPSTREAM_REQUESTS,         /* [upstream, class] */
    METRIC_UPSTREAM_UP,               /* [upstream] */
    METRIC_MAX_
};

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* METRIC_ABSENT: a series is not in the text before it is first set. */
enum { METRIC_LABELS_MAX = 2, METRIC_CELLS_MAX = 80, METRIC_ABSENT = -1 };

struct metric_label {
    const char *name;
    const char *const *values; /* every value it may have, NULL-terminated */
};

struct metric_family {
    const char *name, *help;
    enum metric_type type;
    struct metric_label labels[METRIC_LABELS_MAX]; /* name NULL: none */
    const int64_t *bounds; /* a histogram's upper bounds, growing; +Inf not among them */
    size_t n_bounds;
    int64_t per_unit;  /* how many values make one of the family's unit; 0: one */
    int64_t starts_at; /* what every series is before it is first set, or METRIC_ABSENT */
};

/* metric_family: a row of the table, for tests. */
const struct metric_family *metric_family(enum metric metric);

/* metric_add: to a counter. `first` and `second` are the words of its labels; NULL for a label that it lacks.
 * metric_count: adds one. metric_set: a gauge's value (or a counter's that the kernel keeps).
 * metric_observe: into a histogram. */
void metric_add(enum metric metric, const char *first, const char *second, int64_t n);
void metric_count(enum metric metric, const char *first, const char *second);
void metric_set(enum metric metric, const char *first, int64_t value);
void metric_observe(enum metric metric, const char *first, int64_t value);

/* metric_read: the value of a series; of a histogram, the number of observations. For tests. */
int64_t metric_read(enum metric metric, const char *first, const char *second);

/* metrics_text: all families in Prometheus' text format 0.0.4. The numbers of a histogram are consistent even
 * while other threads count. Never NULL; caller frees. */
char *metrics_text(size_t *ret_len);

#endif
