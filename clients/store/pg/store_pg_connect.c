#include "clients/store/pg/store_pg_connect.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clients/base/text.h"

struct pg_connect {
    atomic_int holders; /* the thread and the waiting caller; the last one frees it */
    int ended_fd;       /* readable once `pg` is there */
    PGconn *pg;
    char **keywords, **values;
};

static char **texts_copy(char *const *texts)
{
    size_t n = 0;
    while (texts[n])
        n++;
    char **copy = mem_zero(n + 1, sizeof *copy);
    for (size_t i = 0; i < n; i++)
        copy[i] = mem_dup(texts[i]);
    return copy;
}

static void texts_free(char **texts)
{
    for (size_t i = 0; texts[i]; i++)
        free(texts[i]);
    free(texts);
}

static void let_go(struct pg_connect *connect)
{
    if (atomic_fetch_sub(&connect->holders, 1) != 1)
        return;
    PQfinish(connect->pg);
    close(connect->ended_fd);
    texts_free(connect->keywords);
    texts_free(connect->values);
    free(connect);
}

static void *connect_run(void *arg)
{
    struct pg_connect *connect = arg;
    connect->pg =
        PQconnectdbParams((const char *const *)connect->keywords, (const char *const *)connect->values, 0);
    (void)eventfd_write(connect->ended_fd, 1);
    let_go(connect);
    return NULL;
}

static bool thread_start(struct pg_connect *connect)
{
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&thread, NULL, connect_run, connect) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started) {
        pthread_setname_np(thread, "connect");
        pthread_detach(thread);
    }
    return started;
}

enum err pg_connect_start(char *const *keywords, char *const *values, struct pg_connect **ret,
                          struct why *why)
{
    int ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (ended_fd < 0)
        return why_set(why, ERR_INTERNAL, "no file descriptor is left");
    struct pg_connect *connect = mem_zero(1, sizeof *connect);
    connect->ended_fd = ended_fd;
    connect->keywords = texts_copy(keywords);
    connect->values = texts_copy(values);
    atomic_store(&connect->holders, 2);
    if (!thread_start(connect)) {
        atomic_store(&connect->holders, 1);
        let_go(connect);
        return why_set(why, ERR_INTERNAL, "the thread that connects to the database cannot be started");
    }
    *ret = connect;
    return ERR_OK;
}

bool pg_connect_wait(const struct pg_connect *connect, int stop_fd, int64_t wait_ms)
{
    struct pollfd fds[] = {{.fd = connect->ended_fd, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};
    int64_t until_ms = clock_mono_ms() + wait_ms;
    for (;;) {
        int64_t left_ms = until_ms - clock_mono_ms();
        int n = poll(fds, ARRAY_LEN(fds), left_ms > 0 ? (int)left_ms : 0);
        if (n > 0 || left_ms <= 0)
            return n > 0 && fds[0].revents;
    }
}

PGconn *pg_connect_take(struct pg_connect *connect)
{
    PGconn *pg = connect->pg;
    connect->pg = NULL;
    let_go(connect);
    return pg;
}

void pg_connect_drop(struct pg_connect *connect)
{
    if (connect)
        let_go(connect);
}
