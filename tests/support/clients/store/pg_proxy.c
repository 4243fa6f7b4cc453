#include "tests/support/clients/store/pg_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clients/base/err.h"

enum { PAIRS_MAX = 16 };

/* fds are 0 when the pair is free: a socket is never standard input. */
struct pair {
    int client, server;
    bool swallow; /* the server's next bytes are lost, and the connection with them */
    bool asked;   /* the client spoke last */
    int number;   /* of all that were opened, from 1 */
};

struct pg_proxy {
    int listener, port, server_port, stop_fd;
    struct pair pairs[PAIRS_MAX]; /* the thread's own */
    atomic_int fault, faults, trips;
    atomic_int opened, forgotten; /* pairs; of the first ones nothing gets through any more */
    pthread_t thread;
};

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void pair_close(struct pair *pair)
{
    close(pair->client);
    close(pair->server);
    *pair = (struct pair){0};
}

static void pair_open(struct pg_proxy *proxy)
{
    struct sockaddr_in at = loopback(proxy->server_port);
    struct pair pair = {.client = accept(proxy->listener, NULL, NULL),
                        .server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    for (size_t i = 0; i < PAIRS_MAX; i++)
        if (!proxy->pairs[i].client && pair.client > 0 && pair.server > 0 &&
            connect(pair.server, (struct sockaddr *)&at, sizeof at) == 0) {
            proxy->pairs[i] = pair;
            proxy->pairs[i].number = ++proxy->opened;
            return;
        }
    pair_close(&pair);
}

/* False: the pair is at its end. */
static bool pass_on(int from, int to, char *buffer, size_t size, size_t *ret_len)
{
    ssize_t len = recv(from, buffer, size, 0);
    if (len <= 0)
        return false;
    *ret_len = (size_t)len;
    return to < 0 || send(to, buffer, (size_t)len, MSG_NOSIGNAL) == len;
}

/* The word, and not READ COMMITTED. */
static bool says_commit(const char *bytes, size_t len)
{
    static const char word[] = "COMMIT";
    const char *end = bytes + len, *at = bytes;
    while ((at = memmem(at, (size_t)(end - at), word, strlen(word)))) {
        at += strlen(word);
        if (at == end || *at != 'T')
            return true;
    }
    return false;
}

static bool client_said(struct pg_proxy *proxy, struct pair *pair)
{
    char buffer[65536];
    size_t len = 0;
    if (!pass_on(pair->client, -1, buffer, sizeof buffer, &len))
        return false;
    if (pair->number <= proxy->forgotten)
        return true;
    proxy->trips += !pair->asked;
    pair->asked = true;
    if (proxy->fault != PG_PROXY_NONE && says_commit(buffer, len)) {
        bool commits = proxy->fault == PG_PROXY_LOSE_ANSWER;
        proxy->fault = PG_PROXY_NONE;
        proxy->faults++;
        pair->swallow = commits;
        if (!commits)
            return false;
    }
    return send(pair->server, buffer, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static bool server_said(const struct pg_proxy *proxy, struct pair *pair)
{
    char buffer[65536];
    size_t len;
    pair->asked = false;
    if (pair->number <= proxy->forgotten)
        return pass_on(pair->server, -1, buffer, sizeof buffer, &len);
    return !pair->swallow && pass_on(pair->server, pair->client, buffer, sizeof buffer, &len);
}

static void *proxy_run(void *arg)
{
    struct pg_proxy *proxy = arg;
    for (;;) {
        struct pollfd fds[2 + 2 * PAIRS_MAX] = {{.fd = proxy->stop_fd, .events = POLLIN},
                                                {.fd = proxy->listener, .events = POLLIN}};
        for (size_t i = 0; i < PAIRS_MAX; i++) {
            const struct pair *pair = &proxy->pairs[i];
            fds[2 + 2 * i] = (struct pollfd){.fd = pair->client ? pair->client : -1, .events = POLLIN};
            fds[3 + 2 * i] = (struct pollfd){.fd = pair->client ? pair->server : -1, .events = POLLIN};
        }
        if (poll(fds, ARRAY_LEN(fds), -1) < 0 || fds[0].revents)
            return NULL;
        for (size_t i = 0; i < PAIRS_MAX; i++) {
            struct pair *pair = &proxy->pairs[i];
            if ((fds[2 + 2 * i].revents && !client_said(proxy, pair)) ||
                (fds[3 + 2 * i].revents && !server_said(proxy, pair)))
                pair_close(pair);
        }
        if (fds[1].revents)
            pair_open(proxy);
    }
}

struct pg_proxy *pg_proxy_start(int server_port)
{
    struct pg_proxy *proxy = mem_zero(1, sizeof *proxy);
    struct sockaddr_in at = loopback(0);
    socklen_t len = sizeof at;
    proxy->server_port = server_port;
    proxy->stop_fd = eventfd(0, EFD_CLOEXEC);
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (proxy->stop_fd < 0 || bind(proxy->listener, (struct sockaddr *)&at, len) != 0 ||
        listen(proxy->listener, PAIRS_MAX) != 0 ||
        getsockname(proxy->listener, (struct sockaddr *)&at, &len) != 0 ||
        pthread_create(&proxy->thread, NULL, proxy_run, proxy) != 0) {
        fprintf(stderr, "pg_proxy: cannot start\n");
        exit(1);
    }
    proxy->port = ntohs(at.sin_port);
    return proxy;
}

void pg_proxy_stop(struct pg_proxy *proxy)
{
    (void)eventfd_write(proxy->stop_fd, 1);
    pthread_join(proxy->thread, NULL);
    for (size_t i = 0; i < PAIRS_MAX; i++)
        if (proxy->pairs[i].client)
            pair_close(&proxy->pairs[i]);
    close(proxy->listener);
    close(proxy->stop_fd);
    free(proxy);
}

int pg_proxy_port(const struct pg_proxy *proxy)
{
    return proxy->port;
}

void pg_proxy_arm(struct pg_proxy *proxy, enum pg_proxy_fault fault)
{
    proxy->fault = fault;
}

int pg_proxy_faults(const struct pg_proxy *proxy)
{
    return proxy->faults;
}

void pg_proxy_forget(struct pg_proxy *proxy)
{
    proxy->forgotten = proxy->opened;
}

int pg_proxy_trips(const struct pg_proxy *proxy)
{
    return proxy->trips;
}
