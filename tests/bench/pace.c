#include "tests/bench/pace.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clients/base/err.h"
#include "clients/base/text.h"
#include "tests/bench/child.h"
#include "tests/bench/seed.h"

enum { ANSWER_MAX = 16384, REQUEST_MAX = 512 };

/* One answer, as far as it has come. */
struct reader {
    char bytes[ANSWER_MAX + 1];
    size_t len;
};

struct connection {
    int fd;
    bool busy;
    double due_ms;
    struct reader reader;
};

int pace_connect(const char *url)
{
    int64_t port = 0;
    const char *colon = strrchr(url, ':');
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (!colon || !parse_i64(colon + 1, 1, 65535, &port) || fd < 0)
        bench_die("no connection");
    address.sin_port = htons((uint16_t)port);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        bench_die("no connection");
    return fd;
}

void pace_ask(int fd, const char *target)
{
    char request[REQUEST_MAX];
    int len = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target);
    if (len < 0 || (size_t)len >= sizeof request || send(fd, request, (size_t)len, MSG_NOSIGNAL) != len)
        bench_die("a request could not be sent");
}

/* The status once the answer is whole; 0 before. */
static int reader_status(struct reader *reader)
{
    reader->bytes[reader->len] = '\0';
    const char *end = strstr(reader->bytes, "\r\n\r\n"),
               *length = strcasestr(reader->bytes, "content-length: ");
    char digits[16] = "";
    int64_t body = 0, status = 0;
    if (!end || !length || length > end)
        return 0;
    snprintf(digits, sizeof digits, "%.*s", (int)strcspn(length + 16, "\r"), length + 16);
    if (!parse_i64(digits, 0, ANSWER_MAX, &body) || reader->len < (size_t)(end + 4 - reader->bytes + body))
        return 0;
    snprintf(digits, sizeof digits, "%.3s", reader->bytes + strlen("HTTP/1.1 "));
    (void)parse_i64(digits, 100, 599, &status);
    reader->len = 0;
    return (int)status;
}

/* The same after reading once more. */
static int reader_go_on(struct reader *reader, int fd)
{
    ssize_t n = recv(fd, reader->bytes + reader->len, ANSWER_MAX - reader->len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        bench_die("the server closed a connection");
    reader->len += (size_t)n;
    return reader_status(reader);
}

int pace_answer(int fd)
{
    struct reader reader = {.len = 0};
    int status;
    while ((status = reader_go_on(&reader, fd)) == 0)
        ;
    return status;
}

/* the pace */

struct run {
    struct connection *connections;
    size_t turn; /* the connection that was used last */
    double *took_ms;
    size_t n_took, failed;
};

static void take_answers(struct run *run, int wait_us)
{
    struct pollfd polls[PACE_CONNECTIONS];
    struct connection *polled[PACE_CONNECTIONS];
    const struct timespec wait = {.tv_nsec = wait_us * 1000L};
    nfds_t n = 0;
    for (size_t i = 0; i < PACE_CONNECTIONS; i++)
        if (run->connections[i].busy) {
            polls[n] = (struct pollfd){.fd = run->connections[i].fd, .events = POLLIN};
            polled[n++] = &run->connections[i];
        }
    if (ppoll(polls, n, &wait, NULL) <= 0)
        return;
    for (nfds_t i = 0; i < n; i++) {
        if (!polls[i].revents)
            continue;
        int status = reader_go_on(&polled[i]->reader, polled[i]->fd);
        if (!status)
            continue;
        run->took_ms[run->n_took++] = now_ms() - polled[i]->due_ms;
        run->failed += status != 200;
        polled[i]->busy = false;
    }
}

/* By turns, so that all of the server's threads have their share. */
static struct connection *free_one(struct run *run)
{
    for (size_t i = 1; i <= PACE_CONNECTIONS; i++) {
        size_t at = (run->turn + i) % PACE_CONNECTIONS;
        if (run->connections[at].busy)
            continue;
        run->turn = at;
        return &run->connections[at];
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

struct paced pace(const char *url, const char *target, unsigned rate, unsigned seconds)
{
    size_t total = (size_t)rate * seconds, sent = 0;
    struct run run = {.connections = mem_zero(PACE_CONNECTIONS, sizeof *run.connections),
                      .took_ms = mem_zero(total, sizeof *run.took_ms)};
    for (size_t i = 0; i < PACE_CONNECTIONS; i++) {
        run.connections[i].fd = pace_connect(url);
        (void)fcntl(run.connections[i].fd, F_SETFL, O_NONBLOCK);
    }
    double begin = now_ms();
    while (run.n_took < total) {
        double due = begin + (double)sent * 1000 / rate, now = now_ms();
        struct connection *one = sent < total && due <= now ? free_one(&run) : NULL;
        if (one) {
            one->busy = true;
            one->due_ms = due;
            pace_ask(one->fd, target);
            sent++;
        }
        take_answers(&run, one || sent == total ? 0 : due > now ? (int)((due - now) * 1000) : 100);
    }
    qsort(run.took_ms, total, sizeof *run.took_ms, compare);
    struct paced paced = {.answered = total,
                          .failed = run.failed,
                          .p50_ms = run.took_ms[total / 2],
                          .p99_ms = run.took_ms[total - 1 - total / 100],
                          .max_ms = run.took_ms[total - 1]};
    for (size_t i = 0; i < PACE_CONNECTIONS; i++)
        close(run.connections[i].fd);
    free(run.connections);
    free(run.took_ms);
    return paced;
}
