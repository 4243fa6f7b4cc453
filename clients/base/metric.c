#include "clients/base/metric.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"

/* the values of the labels; tests/unit/test_metric.c compares them with the domain's words */

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static const char *const upstreams[] = {"gitea",        "plane", "telegram", "notify_webhook",
                                        "orchestrator", "other", NULL};

#define BOUNDS(...)                           \
    .bounds = (const int64_t[]){__VA_ARGS__}, \
    .n_bounds = sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)

enum { PER_MS = 1000, PER_US = 1000000 };

/* the table */

static const struct metric_family families[] = {
    [METRIC_PROCESS_CPU_SECONDS] = {.name = "process_cpu_seconds_total",
                                    .help = "User and system CPU time spent.",
                                    .type = METRIC_COUNTER,
                                    .per_unit = PER_US},
    [METRIC_PROCESS_MAX_FDS] = {.name = "process_max_fds",
                                .help = "How many file descriptors may be open.",
                                .type = METRIC_GAUGE},
    [METRIC_PROCESS_OPEN_FDS] = {.name = "process_open_fds",
                                 .help = "How many file descriptors are open.",
                                 .type = METRIC_GAUGE},
    [METRIC_PROCESS_RESIDENT_MEMORY] = {.name = "process_resident_memory_bytes",
                                        .help = "Resident memory.",
                                        .type = METRIC_GAUGE},
    [METRIC_PROCESS_START_TIME] = {.name = "process_start_time_seconds",
                                   .help = "When the process started, in unix time.",
                                   .type = METRIC_GAUGE,
                                   .per_unit = PER_US},
    [METRIC_BUILD_INFO] = {.name = "reconciled_build_info",
                           .help = "Always 1; its label is the version.",
                           .type = METRIC_GAUGE,
                           .labels = {{"version", WORDS(RECONCILED_VERSION)}},
                           .starts_at = 1},
    [METRIC_DATABASE_UP] = {.name = "reconciled_database_up",
                            .help = "0 when the database did not answer the newest pass.",
                            .type = METRIC_GAUGE,
                            .starts_at = 1},
    [METRIC_ENABLED] = {.name = "reconciled_enabled",
                        .help = "1 unless the kill switch holds everything.",
                        .type = METRIC_GAUGE},
    [METRIC_GATE_CHECKS] = {.name = "reconciled_gate_checks_total",
                            .help = "Gates read at their source, by verdict.",
                            .type = METRIC_COUNTER,
                            .labels = {{"kind", WORDS("ci", "files", "review", "merged", "http")},
                                       {"verdict", WORDS("green", "red", "unknown")}}},
    [METRIC_HELD_TASKS] =
        {.name = "reconciled_held_tasks",
         .help = "Tasks and issues that the newest whole pass found green and could not move yet.",
         .type = METRIC_GAUGE,
         .labels = {{"by", WORDS("hold", "limit", "mode", "replay", "switch")}}},
    [METRIC_HTTP_AUTH_FAILURES] = {.name = "reconciled_http_auth_failures_total",
                                   .help = "Requests refused because they gave no token, or a wrong one.",
                                   .type = METRIC_COUNTER,
                                   .labels = {{"reason", WORDS("missing", "wrong")}}},
    [METRIC_HTTP_REQUESTS] =
        {.name = "reconciled_http_requests_total",
         .help = "Requests answered by our own HTTP interface.",
         .type = METRIC_COUNTER,
         .labels = {{"route",
                     WORDS("/healthz", "/metrics", "/openapi.json", "/readyz", "/reconcile/config",
                           "/reconcile/config/history", "/reconcile/history", "/reconcile/holds",
                           "/reconcile/holds/{scope}", "/reconcile/resolve", "/reconcile/run",
                           "/reconcile/runs", "/reconcile/runs/{id}", "/reconcile/status", "/reconcile/tasks",
                           "/reconcile/tasks/{id}", "/reconcile/tasks/{id}/release", "other")},
                    {"class", WORDS("2xx", "3xx", "4xx", "5xx")}}},
    [METRIC_LAST_PASS] = {.name = "reconciled_last_pass_timestamp_seconds",
                          .help = "When the newest pass ended, in unix time; 0 before the first.",
                          .type = METRIC_GAUGE,
                          .per_unit = PER_US},
    [METRIC_LOG_LINES_DROPPED] = {.name = "reconciled_log_lines_dropped_total",
                                  .help = "Log lines dropped because standard error took no more.",
                                  .type = METRIC_COUNTER},
    [METRIC_MISSED_EVENTS] = {.name = "reconciled_missed_events_total",
                              .help = "Transitions made, by the source and the name of the lost event.",
                              .type = METRIC_COUNTER,
                              .labels = {{"source", WORDS("gitea", "plane", "none")},
                                         {"event", WORDS("status", "push", "pull_request_approved",
                                                         "pull_request", "issue.updated", "none", "other")}}},
    [METRIC_OBSERVING] = {.name = "reconciled_observing",
                          .help = "1 when the mode is observe: nothing is written.",
                          .type = METRIC_GAUGE},
    [METRIC_OUTBOX_DEPTH] = {.name = "reconciled_outbox_depth",
                             .help = "Messages that Telegram has not taken yet.",
                             .type = METRIC_GAUGE},
    [METRIC_OUTBOX_OLDEST_AGE] = {.name = "reconciled_outbox_oldest_age_seconds",
                                  .help =
                                      "How long the oldest of them had waited when the outbox was read last.",
                                  .type = METRIC_GAUGE},
    [METRIC_PASS_DURATION] = {.name = "reconciled_pass_duration_seconds",
                              .help = "How long passes took.",
                              .type = METRIC_HISTOGRAM,
                              .per_unit = PER_MS,
                              BOUNDS(5, 10, 50, 100, 500, 1000, 5000, 10000, 30000, 60000, 300000)},
    [METRIC_PASS_INTERVAL] = {.name = "reconciled_pass_interval_seconds",
                              .help = "The pause between passes that is in force.",
                              .type = METRIC_GAUGE},
    [METRIC_PASSES] = {.name = "reconciled_passes_total",
                       .help = "Passes made, dry ones too; failed are those that had no database.",
                       .type = METRIC_COUNTER,
                       .labels = {{"trigger", WORDS("timer", "request")},
                                  {"result", WORDS("done", "interrupted", "failed")}}},
    [METRIC_PLANE_BUDGET_LEFT] = {.name = "reconciled_plane_budget_left",
                                  .help =
                                      "Calls to Plane that a pass of the timer may still make this minute.",
                                  .type = METRIC_GAUGE},
    [METRIC_PLANE_BUDGET_LIMIT] = {.name = "reconciled_plane_budget_limit",
                                   .help = "Calls that Plane takes in a minute.",
                                   .type = METRIC_GAUGE},
    [METRIC_PLANE_DEFERRED_CALLS] = {.name = "reconciled_plane_deferred_calls_total",
                                     .help = "Questions to Plane put off because its budget was used up.",
                                     .type = METRIC_COUNTER},
    [METRIC_PLANE_ENABLED] = {.name = "reconciled_plane_enabled",
                              .help = "1 unless the Plane side's own kill switch holds it.",
                              .type = METRIC_GAUGE},
    [METRIC_PLANE_WAITING] = {.name = "reconciled_plane_waiting",
                              .help = "Projects and issues that the newest pass could not ask Plane about.",
                              .type = METRIC_GAUGE},
    [METRIC_QUARANTINED_TASKS] = {.name = "reconciled_quarantined_tasks",
                                  .help = "Tasks that the newest whole pass left to a person.",
                                  .type = METRIC_GAUGE},
    [METRIC_STUCK_OLDEST_AGE] = {.name = "reconciled_stuck_oldest_age_seconds",
                                 .help = "How long the oldest stuck task has rested.",
                                 .type = METRIC_GAUGE},
    [METRIC_STUCK_TASKS] = {.name = "reconciled_stuck_tasks",
                            .help = "Tasks at a readable gate for longer than their grace and without a job.",
                            .type = METRIC_GAUGE},
    [METRIC_TIME_TO_HEAL] = {.name = "reconciled_time_to_heal_seconds",
                             .help = "How long tasks had rested when their gate was found green.",
                             .type = METRIC_HISTOGRAM,
                             BOUNDS(60, 300, 600, 900, 1200, 1800, 3600, 7200, 14400, 28800, 86400, 604800)},
    [METRIC_TRANSITIONS] = {.name = "reconciled_transitions_total",
                            .help = "Attempts to move a task or to start one, by outcome.",
                            .type = METRIC_COUNTER,
                            .labels = {{"outcome", WORDS("advanced", "started", "approved", "rejected",
                                                         "raced", "failed")}}},
    [METRIC_UNKNOWN_STAGE_TASKS] = {.name = "reconciled_unknown_stage_tasks",
                                    .help = "Tasks in a stage that the pipeline does not know.",
                                    .type = METRIC_GAUGE},
    [METRIC_UPSTREAM_REQUEST_DURATION] = {.name = "reconciled_upstream_request_duration_seconds",
                                          .help = "How long calls to an upstream took, failed ones too.",
                                          .type = METRIC_HISTOGRAM,
                                          .labels = {{"upstream", upstreams}},
                                          .per_unit = PER_US,
                                          BOUNDS(5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000,
                                                 2500000, 5000000, 10000000)},
    [METRIC_UPSTREAM_REQUESTS] = {.name = "reconciled_upstream_requests_total",
                                  .help = "Calls to an upstream, retries and redirects too, by result.",
                                  .type = METRIC_COUNTER,
                                  .labels = {{"upstream", upstreams},
                                             {"class", WORDS("2xx", "3xx", "4xx", "429", "5xx", "timeout",
                                                             "unreachable", "cut", "too_large", "aborted")}}},
    [METRIC_UPSTREAM_UP] =
        {.name = "reconciled_upstream_up",
         .help = "0 while the upstream is down, or the newest call about each of its parts failed.",
         .type = METRIC_GAUGE,
         .labels = {{"upstream", WORDS("gitea", "plane", "telegram", "notify_webhook", "orchestrator")}},
         .starts_at = METRIC_ABSENT},
};
static_assert(ARRAY_LEN(families) == METRIC_MAX_, "every family has a row");

/* A series' cells: one, or for a histogram each bucket's own count, +Inf's, and the sum. Series are in the
 * order of their label values; the second label changes fastest. A gauge's cell holds the difference from
 * `starts_at`, so that no initialisation is needed. */
static _Atomic int64_t cells[METRIC_MAX_][METRIC_CELLS_MAX];

const struct metric_family *metric_family(enum metric metric)
{
    return &families[metric];
}

static size_t words_of(const struct metric_label *label)
{
    size_t n = 0;
    while (label->name && label->values[n])
        n++;
    return label->name ? n : 1;
}

static size_t cells_of_series(const struct metric_family *family)
{
    return family->type == METRIC_HISTOGRAM ? family->n_bounds + 2 : 1;
}

static size_t word_index(const struct metric_label *label, const char *word)
{
    assert((label->name != NULL) == (word != NULL));
    size_t i = 0;
    if (!word)
        return 0;
    while (label->values[i] && strcmp(label->values[i], word) != 0)
        i++;
    if (label->values[i])
        return i;
    assert(i > 0 && strcmp(label->values[i - 1], "other") == 0);
    return i - 1;
}

static _Atomic int64_t *series(enum metric metric, const char *first, const char *second)
{
    const struct metric_family *family = &families[metric];
    size_t at = word_index(&family->labels[0], first) * words_of(&family->labels[1]) +
                word_index(&family->labels[1], second);
    return &cells[metric][at * cells_of_series(family)];
}

void metric_add(enum metric metric, const char *first, const char *second, int64_t n)
{
    assert(families[metric].type == METRIC_COUNTER && n >= 0);
    atomic_fetch_add_explicit(series(metric, first, second), n, memory_order_relaxed);
}

void metric_count(enum metric metric, const char *first, const char *second)
{
    metric_add(metric, first, second, 1);
}

void metric_set(enum metric metric, const char *first, int64_t value)
{
    assert(families[metric].type != METRIC_HISTOGRAM);
    atomic_store_explicit(series(metric, first, NULL), value - families[metric].starts_at,
                          memory_order_relaxed);
}

void metric_observe(enum metric metric, const char *first, int64_t value)
{
    const struct metric_family *family = &families[metric];
    assert(family->type == METRIC_HISTOGRAM);
    _Atomic int64_t *cell = series(metric, first, NULL);
    size_t bucket = 0;
    while (bucket < family->n_bounds && value > family->bounds[bucket])
        bucket++;
    atomic_fetch_add_explicit(&cell[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&cell[family->n_bounds + 1], value, memory_order_relaxed);
}

static int64_t cell_read(const _Atomic int64_t *cell)
{
    return atomic_load_explicit(cell, memory_order_relaxed);
}

int64_t metric_read(enum metric metric, const char *first, const char *second)
{
    const struct metric_family *family = &families[metric];
    const _Atomic int64_t *cell = series(metric, first, second);
    int64_t value = family->starts_at + cell_read(cell);
    for (size_t i = 1; family->type == METRIC_HISTOGRAM && i <= family->n_bounds; i++)
        value += cell_read(&cell[i]);
    return value;
}

/* the text */

/* Escaped as a label's value, or as a help text, in which a quote stands for itself. */
static void put_escaped(struct buffer *out, const char *text, bool quoted)
{
    for (; *text; text++)
        if (*text == '\\' || (quoted && *text == '"'))
            buffer_printf(out, "\\%c", *text);
        else if (*text == '\n')
            buffer_puts(out, "\\n");
        else
            buffer_putc(out, *text);
}

/* A decimal without an exponent, and without the fraction's trailing zeros. */
static void put_number(struct buffer *out, int64_t value, int64_t per_unit)
{
    uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value, unit = per_unit ? (uint64_t)per_unit : 1;
    buffer_printf(out, "%s%llu", value < 0 ? "-" : "", (unsigned long long)(size / unit));
    uint64_t rest = size % unit;
    if (rest)
        buffer_putc(out, '.');
    for (; rest; rest = rest * 10 % unit)
        buffer_putc(out, (char)('0' + rest * 10 / unit));
}

/* The braces of a sample: the values of its labels, and the bound of a bucket. */
struct place {
    const struct metric_family *family;
    const char *values[METRIC_LABELS_MAX];
};

/* `bound` is an index into the bounds, n_bounds for +Inf, or -1 for a sample that is no bucket. */
static void put_sample(struct buffer *out, const struct place *place, const char *suffix, long bound,
                       int64_t value, int64_t per_unit)
{
    const struct metric_family *family = place->family;
    const char *before = "{";
    buffer_printf(out, "%s%s", family->name, suffix);
    for (size_t i = 0; i < METRIC_LABELS_MAX && place->values[i]; i++, before = ",") {
        buffer_printf(out, "%s%s=\"", before, family->labels[i].name);
        put_escaped(out, place->values[i], true);
        buffer_putc(out, '"');
    }
    if (bound >= 0) {
        buffer_printf(out, "%sle=\"", before);
        if ((size_t)bound < family->n_bounds)
            put_number(out, family->bounds[bound], family->per_unit);
        else
            buffer_puts(out, "+Inf");
        buffer_putc(out, '"');
        before = ",";
    }
    buffer_puts(out, *before == ',' ? "} " : " ");
    put_number(out, value, per_unit);
    buffer_putc(out, '\n');
}

/* The count is the sum of the buckets as read here: a separate counter could have changed since. */
static void put_histogram(struct buffer *out, const struct place *place, const _Atomic int64_t *cell)
{
    const struct metric_family *family = place->family;
    int64_t sum = cell_read(&cell[family->n_bounds + 1]), count = 0;
    for (size_t i = 0; i <= family->n_bounds; i++) {
        count += cell_read(&cell[i]);
        put_sample(out, place, "_bucket", (long)i, count, 1);
    }
    put_sample(out, place, "_sum", -1, sum, family->per_unit);
    put_sample(out, place, "_count", -1, count, 1);
}

static void put_family(struct buffer *out, enum metric metric)
{
    static const char *const types[] = {
        [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};
    const struct metric_family *family = &families[metric];
    size_t n_first = words_of(&family->labels[0]), n_second = words_of(&family->labels[1]);
    buffer_printf(out, "# HELP %s ", family->name);
    put_escaped(out, family->help, false);
    buffer_printf(out, "\n# TYPE %s %s\n", family->name, types[family->type]);
    for (size_t at = 0; at < n_first * n_second; at++) {
        const _Atomic int64_t *cell = &cells[metric][at * cells_of_series(family)];
        struct place place = {.family = family};
        if (family->labels[0].name)
            place.values[0] = family->labels[0].values[at / n_second];
        if (family->labels[1].name)
            place.values[1] = family->labels[1].values[at % n_second];
        if (family->type == METRIC_HISTOGRAM)
            put_histogram(out, &place, cell);
        else if (family->starts_at != METRIC_ABSENT || cell_read(cell) != 0)
            put_sample(out, &place, "", -1, family->starts_at + cell_read(cell), family->per_unit);
    }
}

char *metrics_text(size_t *ret_len)
{
    struct buffer out = {.max = LIMIT_OWN_TEXT};
    for (int metric = 0; metric < METRIC_MAX_; metric++)
        put_family(&out, (enum metric)metric);
    *ret_len = out.len;
    return buffer_take(&out);
}
