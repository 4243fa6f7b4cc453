/* Healing 1,000 stuck tasks among 100,000: a pass of ours against the same work done one after another, on
 * both databases, and a pass against a Gitea that takes 20 ms for each answer. Then the memory of the service
 * after a pass over as many.
 *
 *   heal sqlite sequential_ms=… pass_ms=… times_faster=…
 *   heal sqlite delay_ms=20 in_flight=16 pass_ms=… ideal_ms=1250 times_ideal=…
 *   heal sqlite service_rss_kib=…
 *
 * usage: bench_heal FOLDER, where the programs `sandbox` and `reconciled` are. */
#include <curl/curl.h>
#include <libpq-fe.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clients/base/jsonx.h"
#include "clients/base/log.h"
#include "clients/base/text.h"
#include "clients/store/store.h"
#include "reconcile/sweep/pass.h"
#include "reconcile/settings/policy.h"
#include "server/commands.h"
#include "tests/bench/child.h"
#include "tests/bench/seed.h"

enum { TASKS = 100000, DELAY_MS = 20, IN_FLIGHT = 16 };

static size_t drop(char *data, size_t size, size_t n, void *arg)
{
    (void)data;
    (void)arg;
    return size * n;
}

/* One exchange on a connection of its own, as the simplest of clients does it. */
static void exchange(const char *method, const char *base, const char *path, const char *body)
{
    CURL *easy = curl_easy_init();
    AUTO_FREE char *url = mem_printf("%s%s", base, path);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    long status = 0;
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
    if (body) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    }
    if (curl_easy_perform(easy) != CURLE_OK)
        bench_die(url);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 300)
        bench_die(url);
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
}

/* one after another */

/* As the predecessor works: look at every task that is not done; for each, ask for an active job, look at its
 * age; for a stuck one read its branch and its status, then move it in a transaction of its own. */
static void read_gate(const char *gitea, long id)
{
    AUTO_FREE char *branch = mem_printf("/gitea/api/v1/repos/acme/app/branches/task-%ld", id);
    AUTO_FREE char *status = mem_printf("/gitea/api/v1/repos/acme/app/commits/task-%ld/status", id);
    exchange("GET", gitea, branch, NULL);
    exchange("GET", gitea, status, NULL);
}

static PGresult *pg_do(PGconn *conn, const char *sql, const char *id)
{
    const char *const values[] = {id};
    PGresult *result = PQexecParams(conn, sql, id ? 1 : 0, NULL, values, NULL, NULL, 0);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
        bench_die(PQerrorMessage(conn));
    return result;
}

static void sequential_postgresql(const struct seeded *seeded, const char *gitea)
{
    PGconn *conn = PQconnectdb(seeded->url);
    PGresult *tasks = pg_do(
        conn,
        "SELECT id, extract(epoch FROM now() - updated_at)::int FROM tasks WHERE stage <> 'done' ORDER BY id",
        NULL);
    for (int i = 0; i < PQntuples(tasks); i++) {
        const char *id = PQgetvalue(tasks, i, 0);
        int64_t number = 0, age = 0;
        (void)parse_i64(id, 0, INT64_MAX, &number);
        (void)parse_i64(PQgetvalue(tasks, i, 1), 0, INT64_MAX, &age);
        PGresult *busy = pg_do(
            conn, "SELECT 1 FROM jobs WHERE task_id = $1 AND status IN ('queued', 'running') LIMIT 1", id);
        bool stuck = PQntuples(busy) == 0 && age >= 600;
        PQclear(busy);
        if (!stuck)
            continue;
        read_gate(gitea, (long)number);
        PQclear(pg_do(conn, "BEGIN", NULL));
        PQclear(pg_do(conn, "UPDATE tasks SET stage = 'review', updated_at = now() WHERE id = $1", id));
        PQclear(
            pg_do(conn, "INSERT INTO jobs (task_id, agent, status) VALUES ($1, 'reviewer', 'queued')", id));
        PQclear(pg_do(conn, "COMMIT", NULL));
    }
    PQclear(tasks);
    PQfinish(conn);
}

static sqlite3_stmt *lite_prepare(sqlite3 *db, const char *sql, long id)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        bench_die(sqlite3_errmsg(db));
    if (id)
        sqlite3_bind_int64(statement, 1, id);
    return statement;
}

static void lite_do(sqlite3 *db, const char *sql, long id)
{
    sqlite3_stmt *statement = lite_prepare(db, sql, id);
    if (sqlite3_step(statement) != SQLITE_DONE)
        bench_die(sqlite3_errmsg(db));
    sqlite3_finalize(statement);
}

static void sequential_sqlite(const struct seeded *seeded, const char *gitea)
{
    sqlite3 *db;
    if (sqlite3_open(seeded->path, &db) != SQLITE_OK)
        bench_die("the database cannot be opened");
    long *ids = mem_zero(TASKS, sizeof *ids), *ages = mem_zero(TASKS, sizeof *ages);
    size_t n = 0;
    sqlite3_stmt *tasks = lite_prepare(
        db, "SELECT id, unixepoch() - unixepoch(updated_at) FROM tasks WHERE stage <> 'done' ORDER BY id", 0);
    for (; sqlite3_step(tasks) == SQLITE_ROW; n++) {
        ids[n] = (long)sqlite3_column_int64(tasks, 0);
        ages[n] = (long)sqlite3_column_int64(tasks, 1);
    }
    sqlite3_finalize(tasks);
    for (size_t i = 0; i < n; i++) {
        sqlite3_stmt *busy = lite_prepare(
            db, "SELECT 1 FROM jobs WHERE task_id = ? AND status IN ('queued', 'running') LIMIT 1", ids[i]);
        bool stuck = sqlite3_step(busy) != SQLITE_ROW && ages[i] >= 600;
        sqlite3_finalize(busy);
        if (!stuck)
            continue;
        read_gate(gitea, ids[i]);
        lite_do(db, "BEGIN IMMEDIATE", 0);
        lite_do(db, "UPDATE tasks SET stage = 'review', updated_at = CURRENT_TIMESTAMP WHERE id = ?", ids[i]);
        lite_do(db, "INSERT INTO jobs (task_id, agent, status) VALUES (?, 'reviewer', 'queued')", ids[i]);
        lite_do(db, "COMMIT", 0);
    }
    free(ids);
    free(ages);
    sqlite3_close(db);
}

/* ours */

static double pass_ms(const struct seeded *seeded, const char *gitea)
{
    AUTO_FREE char *gitea_url = mem_printf("%s/gitea", gitea);
    setenv("ORCH_DATABASE_URL", seeded->url, 1);
    setenv("ORCH_GITEA_URL", gitea_url, 1);
    setenv("ORCH_RECONCILE_MAX_HEALS_PER_PASS", "100000", 1);
    struct setup setup;
    struct services services;
    struct policy *policy = NULL;
    struct why why;
    json_t *problems = json_array();
    if (setup_load(&setup, problems, problems) != ERR_OK)
        bench_die("settings");
    log_set_level(LOG_LEVEL_WARN);
    must(services_open(&setup, &services, &why), &why);
    const struct pass_request request = {.trigger = TRIGGER_COMMAND, .side = SIDE_GATE};
    struct pass_result result;
    double begin = now_ms();
    must(policy_read(services.store, setup.settings, &policy, &why), &why);
    struct pass_memory *memory = pass_memory_new(setup.settings);
    must(pass_run(&services, memory, &request, uuid_new().s, &policy, &result, &why), &why);
    double took = now_ms() - begin;
    if (result.transitions != SEED_STUCK)
        bench_die("not every stuck task was healed");
    pass_result_done(&result);
    pass_memory_free(memory);
    policy_free(policy);
    services_close(&services);
    setup_done(&setup);
    json_decref(problems);
    return took;
}

static long rss_kib(pid_t pid)
{
    char path[64], line[256];
    long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "VmRSS:", 6) == 0) {
            int64_t value = 0;
            char *digits = line + 6 + strspn(line + 6, " \t");
            digits[strcspn(digits, " ")] = '\0';
            if (parse_i64(digits, 0, INT64_MAX, &value))
                kib = (long)value;
        }
    if (file)
        fclose(file);
    return kib;
}

static long service_rss_kib(const char *folder, const struct seeded *seeded, const char *gitea)
{
    AUTO_FREE char *gitea_url = mem_printf("%s/gitea", gitea);
    setenv("ORCH_DATABASE_URL", seeded->url, 1);
    setenv("ORCH_GITEA_URL", gitea_url, 1);
    setenv("ORCH_HTTP_LISTEN", "127.0.0.1:0", 1);
    setenv("ORCH_LOG_LEVEL", "info", 1);
    struct bench_child service = bench_start(folder, "reconciled", "serve", STDERR_FILENO, "addr=");
    exchange("POST", service.url, "/reconcile/run", "{\"side\":\"gate\"}");
    long kib = rss_kib(service.pid);
    bench_stop(&service);
    return kib;
}

/* both */

typedef void seed_fn(struct seeded *seeded);
static void seed_one_sqlite(struct seeded *seeded)
{
    seed_sqlite(seeded, TASKS, false);
}
static void seed_one_postgresql(struct seeded *seeded)
{
    seed_postgresql(seeded, TASKS, false);
}

static void bench(const char *name, seed_fn *seed, void (*sequential)(const struct seeded *, const char *),
                  const char *folder, const char *gitea)
{
    struct seeded seeded;
    seed(&seeded);
    double begin = now_ms();
    sequential(&seeded, gitea);
    double one_by_one = now_ms() - begin;
    seeded_done(&seeded);

    seed(&seeded);
    double ours = pass_ms(&seeded, gitea);
    seeded_done(&seeded);
    printf("heal %-10s sequential_ms=%.0f pass_ms=%.0f times_faster=%.1f\n", name, one_by_one, ours,
           one_by_one / ours);

    exchange("POST", gitea, "/sandbox/faults", "{\"path\":\"/gitea/**\",\"kind\":\"delay\",\"ms\":20}");
    seed(&seeded);
    ours = pass_ms(&seeded, gitea);
    seeded_done(&seeded);
    double ideal = (double)SEED_STUCK * DELAY_MS / IN_FLIGHT;
    printf("heal %-10s delay_ms=%d in_flight=%d pass_ms=%.0f ideal_ms=%.0f times_ideal=%.2f\n", name,
           DELAY_MS, IN_FLIGHT, ours, ideal, ours / ideal);
    exchange("POST", gitea, "/sandbox/reset", "{}");
    exchange("POST", gitea, "/sandbox/generate",
             "{\"repo\":\"acme/app\",\"branches\":1000,\"state\":\"success\"}");

    seed(&seeded);
    printf("heal %-10s service_rss_kib=%ld\n", name, service_rss_kib(folder, &seeded, gitea));
    seeded_done(&seeded);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        bench_die("usage: bench_heal FOLDER");
    curl_global_init(CURL_GLOBAL_DEFAULT);
    struct bench_child sandbox = bench_start(argv[1], "sandbox", NULL, STDOUT_FILENO, "listening on ");
    /* The branches of tasks that are done are gone, as they are after a merge. */
    exchange("POST", sandbox.url, "/sandbox/generate",
             "{\"repo\":\"acme/app\",\"branches\":1000,\"state\":\"success\"}");
    bench("sqlite", seed_one_sqlite, sequential_sqlite, argv[1], sandbox.url);
    bench("postgresql", seed_one_postgresql, sequential_postgresql, argv[1], sandbox.url);
    bench_stop(&sandbox);
    curl_global_cleanup();
    return 0;
}
