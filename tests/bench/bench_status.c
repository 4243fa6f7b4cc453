/* GET /reconcile/status against a bare libmicrohttpd program that returns the same bytes, both under the same
 * load from wrk: 64 kept-alive connections. Rounds alternate, the medians are compared.
 *
 *   status bare_rps=… ours_rps=… ratio=…
 *
 * usage: bench_status FOLDER, where the program `reconciled` is. */
#include <curl/curl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/child.h"
#include "tests/bench/seed.h"

enum { ROUNDS = 5 };

struct text {
    char bytes[16384];
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

static void read_status(const char *url, struct text *ret)
{
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, ret);
    ret->len = 0;
    if (curl_easy_perform(easy) != CURLE_OK)
        bench_die(url);
    curl_easy_cleanup(easy);
}

/* The least that libmicrohttpd asks for: one shared response, in its fastest mode, a thread a core. */
static enum MHD_Result answer(void *response, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data, size_t *size,
                              void **seen)
{
    (void)url;
    (void)method;
    (void)version;
    (void)data;
    (void)size;
    if (!*seen) {
        *seen = response;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, response);
}

static struct MHD_Daemon *bare_start(const struct text *text, char *ret_url, size_t size)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(text->len, (void *)(uintptr_t)text->bytes, MHD_RESPMEM_PERSISTENT);
    (void)MHD_add_response_header(response, "Content-Type", "application/json");
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, response, MHD_OPTION_SOCK_ADDR, &address,
        MHD_OPTION_THREAD_POOL_SIZE, 2u, MHD_OPTION_CONNECTION_LIMIT, 240u, MHD_OPTION_END);
    if (!daemon)
        bench_die("the bare program does not start");
    snprintf(ret_url, size, "http://127.0.0.1:%u/reconcile/status",
             (unsigned)MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    return daemon;
}

/* Requests a second, as wrk counts them. */
static double load(const char *url)
{
    char command[256], line[256];
    double rate = 0;
    snprintf(command, sizeof command, "wrk -t1 -c64 -d3s %s", url);
    FILE *wrk = popen(command, "re");
    while (wrk && fgets(line, sizeof line, wrk))
        if (strncmp(line, "Requests/sec:", 13) == 0)
            rate = strtod(line + 13, NULL);
    if (!wrk || pclose(wrk) != 0 || rate <= 0)
        bench_die("wrk did not run");
    return rate;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        bench_die("usage: bench_status FOLDER");
    struct seeded seeded;
    seed_sqlite(&seeded, 1000, true);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    setenv("ORCH_DATABASE_URL", seeded.url, 1);
    setenv("ORCH_HTTP_LISTEN", "127.0.0.1:0", 1);
    setenv("ORCH_RECONCILE_ENABLED", "false", 1);
    struct bench_child service = bench_start(argv[1], "reconciled", "serve", STDERR_FILENO, "addr=");
    char ours[128], bare[128];
    static struct text text;
    snprintf(ours, sizeof ours, "%s/reconcile/status", service.url);
    read_status(ours, &text);
    struct MHD_Daemon *daemon = bare_start(&text, bare, sizeof bare);
    double ours_rps[ROUNDS], bare_rps[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        bare_rps[i] = load(bare);
        ours_rps[i] = load(ours);
    }
    double one = median(bare_rps, ROUNDS), other = median(ours_rps, ROUNDS);
    printf("status bare_rps=%.0f ours_rps=%.0f ratio=%.2f\n", one, other, other / one);
    MHD_stop_daemon(daemon);
    bench_stop(&service);
    seeded_done(&seeded);
    curl_global_cleanup();
    return 0;
}
