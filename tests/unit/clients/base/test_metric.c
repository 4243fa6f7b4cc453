/* The table of the metrics: the conventions it keeps, the domain's words in it, and the text that is made of
 * it. */
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "clients/base/err.h"
#include "clients/base/metric.h"
#include "clients/base/process.h"
#include "clients/http/fetch.h"
#include "reconcile/gates/gate.h"
#include "reconcile/pipeline/gate_event.h"
#include "reconcile/sweep/pass.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/heal/report.h"
#include "server/http/routes.h"
#include "tests/support/test.h"

/* the table */

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

TEST(names_are_sorted_and_keep_the_conventions)
{
    for (int i = 0; i < METRIC_MAX_; i++) {
        const struct metric_family *family = metric_family((enum metric)i);
        if (i > 0)
            assert_true(strcmp(metric_family((enum metric)(i - 1))->name, family->name) < 0);
        assert_true(strncmp(family->name, "reconciled_", 11) == 0 ||
                    strncmp(family->name, "process_", 8) == 0);
        assert_int_equal(strspn(family->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(family->name));
        assert_int_equal(ends_with(family->name, "_total"), family->type == METRIC_COUNTER);
        static const char *const kept[] = {"_bucket", "_count", "_sum"}, *const no_base[] = {
                                                                             "_ms", "_minutes", "_kb",
                                                                             "_percent"};
        for (size_t k = 0; k < ARRAY_LEN(kept); k++)
            assert_false(ends_with(family->name, kept[k]));
        for (size_t k = 0; k < ARRAY_LEN(no_base); k++)
            assert_null(strstr(family->name, no_base[k]));
        assert_true(strlen(family->help) > 10 && ends_with(family->help, "."));
        assert_int_equal(family->per_unit > 1, strstr(family->name, "_seconds") && family->per_unit);
    }
}

static size_t check_label(const struct metric_label *label)
{
    size_t n = 0;
    assert_int_equal(strspn(label->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(label->name));
    assert_string_not_equal(label->name, "le");
    for (; label->values[n]; n++)
        for (size_t i = 0; i < n; i++)
            assert_string_not_equal(label->values[i], label->values[n]);
    assert_true(n > 0);
    return n;
}

TEST(every_family_has_room_for_all_its_series)
{
    for (int i = 0; i < METRIC_MAX_; i++) {
        const struct metric_family *family = metric_family((enum metric)i);
        size_t n = 1;
        assert_true(family->labels[0].name || !family->labels[1].name);
        for (size_t k = 0; k < METRIC_LABELS_MAX && family->labels[k].name; k++)
            n *= check_label(&family->labels[k]);
        assert_int_equal(family->type == METRIC_HISTOGRAM, family->n_bounds > 0);
        for (size_t k = 1; k < family->n_bounds; k++)
            assert_true(family->bounds[k - 1] < family->bounds[k]);
        assert_true(n * (family->n_bounds ? family->n_bounds + 2 : 1) <= METRIC_CELLS_MAX);
    }
}

/* the domain's words */

static bool has_word(enum metric metric, size_t label, const char *word)
{
    const char *const *values = metric_family(metric)->labels[label].values;
    for (; *values; values++)
        if (strcmp(*values, word) == 0)
            return true;
    return false;
}

static size_t count_words(enum metric metric, size_t label)
{
    size_t n = 0;
    while (metric_family(metric)->labels[label].values[n])
        n++;
    return n;
}

TEST(gates_and_their_verdicts_are_all_there)
{
    for (int kind = 0; kind < GATE_KIND_MAX_; kind++) /* a human gate is read nowhere */
        assert_int_equal(has_word(METRIC_GATE_CHECKS, 0, gate_kind_name((enum gate_kind)kind)),
                         kind != GATE_HUMAN);
    assert_int_equal(count_words(METRIC_GATE_CHECKS, 0), GATE_KIND_MAX_ - 1);
    for (int kind = 0; kind < VERDICT_MAX_; kind++)
        assert_int_equal(has_word(METRIC_GATE_CHECKS, 1, verdict_name((enum verdict_kind)kind)),
                         kind != VERDICT_PENDING);
    assert_int_equal(count_words(METRIC_GATE_CHECKS, 1), VERDICT_MAX_ - 1);
}

TEST(outcomes_of_attempts_are_all_there)
{
    static const enum outcome no_attempt[] = {OUTCOME_RED, OUTCOME_UNKNOWN, OUTCOME_QUARANTINED,
                                              OUTCOME_HELD};
    for (int outcome = 0; outcome < OUTCOME_MAX_; outcome++) {
        bool attempt = true;
        for (size_t i = 0; i < ARRAY_LEN(no_attempt); i++)
            attempt = attempt && outcome != (int)no_attempt[i];
        assert_int_equal(has_word(METRIC_TRANSITIONS, 0, outcome_name((enum outcome)outcome)), attempt);
    }
    assert_int_equal(count_words(METRIC_TRANSITIONS, 0), OUTCOME_MAX_ - ARRAY_LEN(no_attempt));
}

static struct lost_event lost_at(enum pass_side side, const struct gate *gates, size_t n)
{
    const struct stage stage = {.name = "development", .gates = gates, .n_gates = n};
    struct lost_event lost;
    lost_event_of(side, &stage, &lost);
    return lost;
}

TEST(lost_events_and_their_senders_are_all_there)
{
    size_t n = 3; /* "issue.updated", "none", "other" */
    for (int kind = 0; kind < GATE_KIND_MAX_; kind++) {
        const struct gate gate = {.kind = (enum gate_kind)kind};
        struct lost_event lost = lost_at(SIDE_GATE, &gate, 1);
        assert_true(has_word(METRIC_MISSED_EVENTS, 0, lost.source ? lost.source : "none"));
        assert_true(has_word(METRIC_MISSED_EVENTS, 1, lost.source ? lost.event : "none"));
        n += lost.source != NULL;
    }
    struct lost_event lost = lost_at(SIDE_PLANE, NULL, 0);
    assert_true(has_word(METRIC_MISSED_EVENTS, 0, lost.source));
    assert_true(has_word(METRIC_MISSED_EVENTS, 1, lost.event));
    assert_int_equal(count_words(METRIC_MISSED_EVENTS, 1), n);
    static const struct gate both[] = {{.kind = GATE_CI}, {.kind = GATE_REVIEW}};
    lost = lost_at(SIDE_GATE, both, 2);
    int64_t before = metric_read(METRIC_MISSED_EVENTS, "gitea", "other");
    metric_count(METRIC_MISSED_EVENTS, lost.source, lost.event);
    assert_int_equal(metric_read(METRIC_MISSED_EVENTS, "gitea", "other"), before + 1);
}

TEST(triggers_and_ends_of_a_service_s_passes_are_all_there)
{
    assert_true(has_word(METRIC_PASSES, 0, pass_trigger_name(TRIGGER_TIMER)));
    assert_true(has_word(METRIC_PASSES, 0, pass_trigger_name(TRIGGER_REQUEST)));
    for (int ended = PASS_DONE; ended < PASS_STATE_MAX_; ended++)
        assert_true(has_word(METRIC_PASSES, 1, pass_state_name((enum pass_state)ended)));
    assert_int_equal(count_words(METRIC_PASSES, 1), PASS_STATE_MAX_ - PASS_DONE);
}

TEST(upstreams_are_all_there)
{
    for (int upstream = 0; upstream < FETCH_TO_MAX_; upstream++) {
        const char *name = fetch_upstream_name((enum fetch_upstream)upstream);
        assert_true(has_word(METRIC_UPSTREAM_REQUESTS, 0, name));
        assert_true(has_word(METRIC_UPSTREAM_REQUEST_DURATION, 0, name));
    }
    assert_int_equal(count_words(METRIC_UPSTREAM_REQUESTS, 0), FETCH_TO_MAX_);
}

TEST(routes_are_all_there)
{
    size_t n = 1; /* "other" */
    for (const struct route *route = routes_table(), *last = NULL; route->path; last = route++) {
        assert_true(has_word(METRIC_HTTP_REQUESTS, 0, route->path));
        n += !last || strcmp(last->path, route->path) != 0;
    }
    assert_int_equal(count_words(METRIC_HTTP_REQUESTS, 0), n);
}

/* counting and showing */

static char *text_now(void)
{
    size_t len;
    char *text = metrics_text(&len);
    assert_int_equal(strlen(text), len);
    assert_int_equal(text[len - 1], '\n');
    return text;
}

static void assert_line(const char *line)
{
    AUTO_FREE char *text = text_now();
    AUTO_FREE char *whole = mem_printf("\n%s\n", line);
    if (!strstr(text, whole))
        fail_msg("no such line: %s", line);
}

TEST(everything_is_there_before_anything_was_counted)
{
    assert_line("reconciled_transitions_total{outcome=\"advanced\"} 0");
    assert_line("reconciled_gate_checks_total{kind=\"http\",verdict=\"unknown\"} 0");
    assert_line("reconciled_upstream_request_duration_seconds_bucket{upstream=\"other\",le=\"+Inf\"} 0");
    AUTO_FREE char *text = text_now();
    assert_null(strstr(text, "reconciled_upstream_up{")); /* nothing was configured */
    assert_line("reconciled_build_info{version=\"" RECONCILED_VERSION "\"} 1");
}

TEST(families_stand_together_under_one_head_each)
{
    AUTO_FREE char *text = text_now();
    char *rest = text, *line;
    int at = -1;
    while ((line = strsep(&rest, "\n")) && *line) {
        if (strncmp(line, "# HELP ", 7) == 0) {
            const struct metric_family *family = metric_family((enum metric)++ at);
            AUTO_FREE char *head = mem_printf("# HELP %s %s", family->name, family->help);
            assert_string_equal(line, head);
            line = strsep(&rest, "\n");
            assert_int_equal(strncmp(line, "# TYPE ", 7), 0);
        } else {
            const char *name = metric_family((enum metric)at)->name;
            assert_int_equal(strncmp(line, name, strlen(name)), 0);
        }
    }
    assert_int_equal(at, METRIC_MAX_ - 1);
}

TEST(a_counter_counts_its_own_series_alone)
{
    metric_count(METRIC_PASSES, "request", "done");
    metric_add(METRIC_PASSES, "request", "done", 41);
    assert_int_equal(metric_read(METRIC_PASSES, "request", "done"), 42);
    assert_int_equal(metric_read(METRIC_PASSES, "request", "failed"), 0);
    assert_int_equal(metric_read(METRIC_PASSES, "timer", "done"), 0);
    assert_line("reconciled_passes_total{trigger=\"request\",result=\"done\"} 42");
}

TEST(a_word_from_outside_counts_as_other)
{
    metric_count(METRIC_HTTP_REQUESTS, "/reconcile/runs/7", "4xx");
    assert_int_equal(metric_read(METRIC_HTTP_REQUESTS, "other", "4xx"), 1);
    assert_int_equal(metric_read(METRIC_HTTP_REQUESTS, "/reconcile/runs/{id}", "4xx"), 0);
}

TEST(gauges_are_told_in_base_units)
{
    static const struct {
        int64_t us;
        const char *told;
    } cases[] = {{0, "0"},           {1, "0.000001"}, {1500000, "1.5"}, {1795493528354000, "1795493528.354"},
                 {-250000, "-0.25"}, {60000000, "60"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        metric_set(METRIC_LAST_PASS, NULL, cases[i].us);
        AUTO_FREE char *line = mem_printf("reconciled_last_pass_timestamp_seconds %s", cases[i].told);
        assert_line(line);
    }
    metric_set(METRIC_UPSTREAM_UP, "gitea", 0);
    assert_line("reconciled_upstream_up{upstream=\"gitea\"} 0");
    metric_set(METRIC_UPSTREAM_UP, "gitea", 1);
    assert_line("reconciled_upstream_up{upstream=\"gitea\"} 1");
}

TEST(a_histogram_is_cumulative_and_its_bounds_belong_to_their_buckets)
{
    static const int64_t ms[] = {0, 5, 6, 60000, 300000, 300001};
    for (size_t i = 0; i < ARRAY_LEN(ms); i++)
        metric_observe(METRIC_PASS_DURATION, NULL, ms[i]);
    static const char *const lines[] = {
        "bucket{le=\"0.005\"} 2", "bucket{le=\"0.01\"} 3", "bucket{le=\"30\"} 3", "bucket{le=\"60\"} 4",
        "bucket{le=\"300\"} 5",   "bucket{le=\"+Inf\"} 6", "sum 660.012",         "count 6"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        AUTO_FREE char *line = mem_printf("reconciled_pass_duration_seconds_%s", lines[i]);
        assert_line(line);
    }
    assert_int_equal(metric_read(METRIC_PASS_DURATION, NULL, NULL), 6);
    metric_observe(METRIC_UPSTREAM_REQUEST_DURATION, "plane", 2000);
    assert_int_equal(metric_read(METRIC_UPSTREAM_REQUEST_DURATION, "plane", NULL), 1);
    assert_int_equal(metric_read(METRIC_UPSTREAM_REQUEST_DURATION, "gitea", NULL), 0);
}

TEST(the_process_is_measured)
{
    process_measure();
    int64_t before_us = metric_read(METRIC_PROCESS_CPU_SECONDS, NULL, NULL);
    int64_t files = metric_read(METRIC_PROCESS_OPEN_FDS, NULL, NULL);
    int64_t started_us = metric_read(METRIC_PROCESS_START_TIME, NULL, NULL);
    int64_t now_us = (int64_t)time(NULL) * 1000000;
    assert_true(before_us > 0 && files >= 3);
    assert_true(metric_read(METRIC_PROCESS_RESIDENT_MEMORY, NULL, NULL) > 100000);
    assert_true(metric_read(METRIC_PROCESS_MAX_FDS, NULL, NULL) > files);
    assert_true(started_us > now_us - INT64_C(3600000000) && started_us < now_us + 2000000);
    int fd = dup(STDERR_FILENO);
    while (clock() <
           before_us + 1000) /* until the processor has worked for a while; CLOCKS_PER_SEC is 10^6 */
        ;
    process_measure();
    close(fd);
    assert_int_equal(metric_read(METRIC_PROCESS_OPEN_FDS, NULL, NULL), files + 1);
    assert_true(metric_read(METRIC_PROCESS_CPU_SECONDS, NULL, NULL) > before_us);
    assert_int_equal(metric_read(METRIC_PROCESS_START_TIME, NULL, NULL), started_us);
}

TEST(a_protected_process_leaves_no_core)
{
    struct rlimit limit;
    process_protect();
    assert_int_equal(getrlimit(RLIMIT_CORE, &limit), 0);
    assert_int_equal(limit.rlim_max, 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
#endif
    process_measure(); /* still reads what it needs */
    assert_true(metric_read(METRIC_PROCESS_OPEN_FDS, NULL, NULL) > 2);
}
