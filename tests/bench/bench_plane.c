/* What Plane's side of a pass costs: calls to Plane and round trips to PostgreSQL, by the number of issues,
 * of those in the three states, and of those that are started at once. Plane is the sandbox's; the minute of
 * its budget is a clock of ours.
 *
 *   plane issues=10000 in_states=5 first_passes=3 first_calls=… calls=1 round_trips=… pass_ms=…
 *   plane started=200 calls=… round_trips=… pass_ms=…
 *
 * usage: bench_plane FOLDER. More than two calls in a pass where nothing changed end it with status 1. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/log.h"
#include "clients/plane/plane_io.h"
#include "clients/store/store.h"
#include "reconcile/sweep/pass.h"
#include "reconcile/settings/policy.h"
#include "server/commands.h"
#include "tests/bench/child.h"
#include "tests/bench/seed.h"
#include "tests/support/clients/store/pg_proxy.h"
#include "tests/support/sandbox_run.h"

#define DATABASE "plane"

enum { QUIET_PASSES = 15 };

static struct {
    struct sandbox_run *sandbox;
    struct pg_proxy *proxy;
    struct setup setup;
    struct services services;
    struct pass_memory *memory;
    struct policy *policy;
} bench;

static int64_t fake_ms = 1000000;

static int64_t fake_now_ms(void)
{
    return fake_ms;
}

struct cost {
    size_t calls;
    int round_trips;
    double ms;
    size_t items, started; /* of its report */
};

static size_t calls_to_plane(void)
{
    json_t *counters = sandbox_told(bench.sandbox, "GET", "plane/counters", NULL);
    int64_t accepted = json_get_int(counters, "accepted", 0);
    json_decref(counters);
    return (size_t)accepted;
}

/* A pass in a minute of its own. */
static void make_pass(enum pass_trigger trigger, struct cost *ret)
{
    const struct pass_request request = {.trigger = trigger, .side = SIDE_PLANE};
    struct pass_result result;
    struct why why;
    size_t calls = calls_to_plane();
    int trips = pg_proxy_trips(bench.proxy);
    fake_ms += 70000;
    double begin = now_ms();
    must(pass_run(&bench.services, bench.memory, &request, uuid_new().s, &bench.policy, &result, &why), &why);
    *ret = (struct cost){.ms = now_ms() - begin,
                         .round_trips = pg_proxy_trips(bench.proxy) - trips,
                         .calls = calls_to_plane() - calls,
                         .items = result.report.n_items,
                         .started = result.report.plane[OUTCOME_STARTED]};
    pass_result_done(&result);
}

static void add_task(const char *plane_id, const char *key, const char *stage)
{
    AUTO_FREE char *sql = mem_printf(
        "INSERT INTO tasks (plane_id, work_item_id, title, repo, branch, stage, created_at, updated_at) "
        "VALUES ('%s', '%s', 't', 'acme/app', 'b', '%s', now() - interval '90 days', now() - interval '90 "
        "days')",
        plane_id, key, stage);
    pg_server_exec(DATABASE, sql);
}

/* Issues of which so many are in the three states, each with its task where it belongs. */
static void make_world(long issues, long in_states)
{
    long starts = in_states * 2 / 5, approvals = starts;
    sandbox_tell(bench.sandbox, "reset", NULL);
    sandbox_tell(bench.sandbox, "world", "{'repos':[{'full_name':'acme/app','branches':[{'name':'main'}]}]}");
    sandbox_tell(bench.sandbox, "plane", "{'limit':0,'projects':[{'identifier':'ORCH'}]}");
    json_t *made = sandbox_told(bench.sandbox, "POST", "plane/generate",
                                "{'project':'ORCH','issues':%ld,'states':{'In Progress':%ld,'Approved':%ld,"
                                "'Rejected':%ld}}",
                                issues, starts, approvals, in_states - starts - approvals);
    size_t i;
    json_t *issue;
    json_array_foreach(json_object_get(made, "issues"), i, issue)
        add_task(json_get_text(issue, "id", ""), json_get_text(issue, "key", ""), "development");
    json_decref(made);
}

static char *project_setting(void)
{
    json_t *world = sandbox_told(bench.sandbox, "GET", "plane", NULL);
    const json_t *project = json_array_get(json_object_get(world, "projects"), 0);
    char *text = mem_printf("[{\"repo\":\"acme/app\",\"plane_project_id\":\"%s\",\"prefix\":\"ORCH\"}]",
                            json_get_text(project, "id", ""));
    json_decref(world);
    return text;
}

static void open_services(void)
{
    struct why why;
    json_t *problems = json_array();
    AUTO_FREE char *database =
        mem_printf("postgresql://postgres@127.0.0.1:%d/" DATABASE, pg_proxy_port(bench.proxy));
    AUTO_FREE char *gitea = mem_printf("%s/gitea", sandbox_url(bench.sandbox));
    AUTO_FREE char *plane = mem_printf("%s/plane", sandbox_url(bench.sandbox));
    AUTO_FREE char *projects = project_setting();
    setenv("ORCH_DATABASE_URL", database, 1);
    setenv("ORCH_GITEA_URL", gitea, 1);
    setenv("ORCH_PLANE_URL", plane, 1);
    setenv("ORCH_PLANE_API_TOKEN", "plane_api_bench", 1);
    setenv("ORCH_PLANE_WORKSPACE", "acme", 1);
    setenv("ORCH_PROJECTS_JSON", projects, 1);
    setenv("ORCH_RECONCILE_MAX_HEALS_PER_PASS", "1000", 1);
    if (setup_load(&bench.setup, problems, problems) != ERR_OK)
        bench_die("settings");
    json_decref(problems);
    log_set_level(LOG_LEVEL_WARN);
    must(services_open(&bench.setup, &bench.services, &why), &why);
    plane_clock(bench.services.plane, fake_now_ms);
    must(policy_read(bench.services.store, bench.setup.settings, &bench.policy, &why), &why);
    bench.memory = pass_memory_new(bench.setup.settings);
}

static void close_services(void)
{
    pass_memory_free(bench.memory);
    policy_free(bench.policy);
    services_close(&bench.services);
    setup_done(&bench.setup);
    bench.policy = NULL;
}

static void empty_database(void)
{
    struct store *store;
    struct why why;
    pg_server_database(DATABASE);
    AUTO_FREE char *url = pg_server_url(DATABASE);
    must(store_open(url, NULL, &store, &why), &why);
    must(store_migrate(store, NULL, &why), &why);
    store_free(store);
}

/* The passes of the timer until the full listing is through, and then what a quiet one costs. */
static void measure_quiet(long issues, long in_states)
{
    struct cost cost, first = {.calls = 0};
    double ms[QUIET_PASSES];
    int passes = 0, most_trips = 0;
    size_t most_calls = 0;
    empty_database();
    make_world(issues, in_states);
    open_services();
    do {
        make_pass(TRIGGER_TIMER, &cost);
        first.calls += cost.calls;
        passes++;
    } while (first.calls < (size_t)issues / 100 + 1);
    make_pass(TRIGGER_TIMER, &cost); /* sees that it was complete */
    for (size_t i = 0; i < QUIET_PASSES; i++) {
        make_pass(TRIGGER_TIMER, &cost);
        if (cost.items)
            bench_die("something happened in a quiet pass");
        ms[i] = cost.ms;
        most_calls = cost.calls > most_calls ? cost.calls : most_calls;
        most_trips = cost.round_trips > most_trips ? cost.round_trips : most_trips;
    }
    printf("plane issues=%ld in_states=%ld first_passes=%d first_calls=%zu calls=%zu round_trips=%d "
           "pass_ms=%.1f\n",
           issues, in_states, passes, first.calls, most_calls, most_trips, median(ms, QUIET_PASSES));
    fflush(stdout);
    close_services();
    if (most_calls > 2)
        bench_die("a quiet pass makes more than two calls");
}

static void measure_starts(long n)
{
    struct cost cost;
    empty_database();
    make_world(0, 0);
    open_services();
    make_pass(TRIGGER_TIMER, &cost);
    sandbox_tell(bench.sandbox, "plane/generate",
                 "{'project':'ORCH','issues':%ld,'states':{'In Progress':%ld}}", n, n);
    make_pass(TRIGGER_TIMER, &cost);
    if (cost.started != (size_t)n)
        bench_die("not every issue was started");
    printf("plane started=%ld calls=%zu round_trips=%d pass_ms=%.1f\n", n, cost.calls, cost.round_trips,
           cost.ms);
    fflush(stdout);
    close_services();
}

int main(int argc, char **argv)
{
    if (argc != 2)
        bench_die("usage: bench_plane FOLDER");
    AUTO_FREE char *sandbox = mem_printf("%s/sandbox", argv[1]);
    setenv("SANDBOX", sandbox, 0);
    pg_server_database(DATABASE);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    bench.sandbox = sandbox_start();
    bench.proxy = pg_proxy_start(pg_server_port());
    measure_quiet(1000, 5);
    measure_quiet(10000, 5);
    measure_quiet(10000, 500);
    measure_starts(10);
    measure_starts(200);
    pg_proxy_stop(bench.proxy);
    sandbox_stop(bench.sandbox);
    curl_global_cleanup();
    return 0;
}
