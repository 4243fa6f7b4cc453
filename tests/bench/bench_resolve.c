/* GET /reconcile/resolve on both databases, of 100,000 tasks of which 20 are the repo's own:
 * - at 2,000 requests a second while Gitea's answer is kept; each reads the database;
 * - 1,000 equal questions at once, and how often Gitea was asked for them;
 * - GET /reconcile/status at the same rate, without and with 200 questions that a Gitea that hangs keeps
 * waiting.
 *
 *   resolve sqlite rate=2000 p50_ms=… p99_ms=… max_ms=… failed=0
 *   resolve sqlite equal=1000 lookups=1
 *   resolve sqlite status_p99_ms=… status_p99_ms_while_gitea_hangs=…
 *
 * usage: bench_resolve FOLDER, where the programs `sandbox` and `reconciled` are. */
#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clients/base/jsonx.h"
#include "tests/bench/child.h"
#include "tests/bench/pace.h"
#include "tests/bench/seed.h"

enum { TASKS = 100000, REPO_TASKS = 20, RATE = 2000, SECONDS = 10, WARM_UP_S = 1, EQUAL = 1000, HUNG = 200 };

struct text {
    char bytes[65536];
    size_t len;
};

static size_t append(char *data, size_t size, size_t n, void *arg)
{
    struct text *text = arg;
    size_t len = size * n;
    if (len > sizeof text->bytes - text->len)
        return 0;
    memcpy(text->bytes + text->len, data, len);
    text->len += len;
    return len;
}

/* The sandbox's answer, NULL for an empty one. Caller owns it. */
static json_t *say(const char *method, const char *base, const char *path, const char *body)
{
    static struct text text;
    AUTO_FREE char *url = mem_printf("%s%s", base, path);
    CURL *easy = curl_easy_init();
    long status = 0;
    json_t *json = NULL;
    text.len = 0;
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &text);
    if (body)
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    if (curl_easy_perform(easy) != CURLE_OK)
        bench_die(url);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 300)
        bench_die(url);
    curl_easy_cleanup(easy);
    if (text.len > 0 && json_read(text.bytes, text.len, &json, NULL) != ERR_OK)
        bench_die(path);
    return json;
}

static void tell(const char *method, const char *base, const char *path, const char *body)
{
    json_decref(say(method, base, path, body));
}

/* The target that asks for the head of one of the repo's branches. */
static char *target_of(const char *sandbox, int n)
{
    AUTO_FREE char *path = mem_printf("/gitea/api/v1/repos/acme/ci/branches/task-%d", n);
    json_t *branch = say("GET", sandbox, path, NULL);
    char *target = mem_printf("/reconcile/resolve?repo=acme/ci&sha=%s",
                              json_get_text(json_object_get(branch, "commit"), "id", ""));
    json_decref(branch);
    return target;
}

static void bench_rate(const char *name, const char *url, const char *target)
{
    (void)pace(url, target, RATE, WARM_UP_S);
    const struct paced paced = pace(url, target, RATE, SECONDS);
    printf("resolve %-10s rate=%d p50_ms=%.2f p99_ms=%.2f max_ms=%.2f failed=%zu\n", name, RATE, paced.p50_ms,
           paced.p99_ms, paced.max_ms, paced.failed);
    fflush(stdout);
    if (paced.failed)
        bench_die("a question was not answered");
}

static void open_crowd(const char *url, int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fds[i] = pace_connect(url);
}

static void close_crowd(const int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        close(fds[i]);
}

static void bench_equal(const char *name, const char *url, const char *sandbox, const char *target)
{
    static int fds[EQUAL];
    open_crowd(url, fds, EQUAL);
    tell("DELETE", sandbox, "/sandbox/requests", NULL);
    tell("POST", sandbox, "/sandbox/faults", "{\"path\":\"/gitea/**\",\"kind\":\"hang\"}");
    for (size_t i = 0; i < EQUAL; i++)
        pace_ask(fds[i], target);
    tell("GET", sandbox, "/sandbox/requests?until_hanging=1", NULL);
    tell("DELETE", sandbox, "/sandbox/faults", NULL);
    for (size_t i = 0; i < EQUAL; i++)
        if (pace_answer(fds[i]) != 200)
            bench_die("a question was not answered");
    json_t *requests = say("GET", sandbox, "/sandbox/requests?limit=1", NULL);
    long lookups = (long)json_get_int(requests, "total", 0);
    json_decref(requests);
    printf("resolve %-10s equal=%d lookups=%ld\n", name, EQUAL, lookups);
    fflush(stdout);
    close_crowd(fds, EQUAL);
    if (lookups != 1)
        bench_die("equal questions were asked more than once");
}

static void bench_hung(const char *name, const char *url, const char *sandbox)
{
    static int fds[HUNG];
    static const char status[] = "/reconcile/status";
    (void)pace(url, status, RATE, WARM_UP_S);
    const struct paced before = pace(url, status, RATE, SECONDS / 2);
    open_crowd(url, fds, HUNG);
    tell("POST", sandbox, "/sandbox/faults", "{\"path\":\"/gitea/**\",\"kind\":\"hang\"}");
    for (size_t i = 0; i < HUNG; i++) {
        AUTO_FREE char *target = mem_printf("/reconcile/resolve?repo=acme/ci&sha=%040zx", i / 4);
        pace_ask(fds[i], target);
    }
    tell("GET", sandbox, "/sandbox/requests?until_hanging=16", NULL);
    const struct paced hung = pace(url, status, RATE, SECONDS / 2);
    tell("DELETE", sandbox, "/sandbox/faults", NULL);
    for (size_t i = 0; i < HUNG; i++)
        (void)pace_answer(fds[i]);
    close_crowd(fds, HUNG);
    printf("resolve %-10s status_p99_ms=%.2f status_p99_ms_while_gitea_hangs=%.2f\n", name, before.p99_ms,
           hung.p99_ms);
    fflush(stdout);
}

static void bench(const char *name, struct seeded *seeded, const char *folder, const char *sandbox)
{
    AUTO_FREE char *first = target_of(sandbox, 1);
    AUTO_FREE char *second = target_of(sandbox, 2);
    seed_repo(seeded, "acme/ci", REPO_TASKS);
    setenv("ORCH_DATABASE_URL", seeded->url, 1);
    struct bench_child service = bench_start(folder, "reconciled", "serve", STDERR_FILENO, "addr=");
    bench_rate(name, service.url, first);
    bench_equal(name, service.url, sandbox, second);
    bench_hung(name, service.url, sandbox);
    bench_stop(&service);
    seeded_done(seeded);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        bench_die("usage: bench_resolve FOLDER");
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max < EQUAL + 100)
        bench_die("too few descriptors");
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    struct bench_child sandbox = bench_start(argv[1], "sandbox", NULL, STDOUT_FILENO, "listening on ");
    tell("POST", sandbox.url, "/sandbox/generate",
         "{\"repo\":\"acme/ci\",\"branches\":20,\"state\":\"success\"}");
    AUTO_FREE char *gitea = mem_printf("%s/gitea", sandbox.url);
    setenv("ORCH_GITEA_URL", gitea, 1);
    setenv("ORCH_HTTP_LISTEN", "127.0.0.1:0", 1);
    setenv("ORCH_RECONCILE_ENABLED", "false", 1);
    setenv("ORCH_UPSTREAM_TIMEOUT_S", "60", 1);
    struct seeded seeded;
    seed_sqlite(&seeded, TASKS, true);
    bench("sqlite", &seeded, argv[1], sandbox.url);
    seed_postgresql(&seeded, TASKS, true);
    bench("postgresql", &seeded, argv[1], sandbox.url);
    bench_stop(&sandbox);
    curl_global_cleanup();
    return 0;
}
