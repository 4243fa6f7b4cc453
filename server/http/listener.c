#include "server/http/listener.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "clients/base/text.h"
#include "reconcile/pipeline/settings_text.h"
#include "server/auth_failures.h"
#include "server/http/acceptor.h"
#include "server/job_queue.h"
#include "server/http/connections.h"
#include "server/http/request.h"

/* Descriptors for everything except clients: database, upstreams, files, the library. */
enum { DESCRIPTORS_ELSE = 128, WORKERS_PER_PROCESSOR = 2, FLUSH_MS = 500 };
/* As many as LIMIT_CONNECTIONS need; they wait for events alone. */
enum { WORKERS_MIN = LIMIT_CONNECTIONS / LIMIT_CONNECTIONS_PER_WORKER };
enum { ADDRESS_SIZE = INET6_ADDRSTRLEN + 16, PORT_SIZE = 8 };
/* Far beyond LIMIT_CONNECTIONS, see start_daemon. */
enum { NEVER_PER_WORKER = 16384 };
/* GnuTLS's own default still has TLS 1.0 and 1.1. */
#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* Version 1.0 then refuses folded lines, NULs and bare LFs, also between chunks; 0.9 refuses only a request
 * without Host.
 */
#if MHD_VERSION >= 0x01000000
#define CLIENT_DISCIPLINE {MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1, NULL}
#else
#define CLIENT_DISCIPLINE {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL}
#endif

struct listener {
    struct request_world world;
    struct MHD_Daemon *daemon;
    struct acceptor *acceptor;
    char said[256]; /* by the library while it was started, and why it was not */
    char addresses[ACCEPTOR_SOCKETS_MAX][ADDRESS_SIZE]; /* "": no more */
};

/* what the library calls */

static void on_message(void *arg, const char *fmt, va_list args)
{
    struct listener *listener = arg;
    char text[256];
    /* Peers often reset connections, so the library's messages are logged only at debug. */
    int len = vsnprintf(text, sizeof text, fmt, args);
    if (len > 0 && (size_t)len < sizeof text && text[len - 1] == '\n')
        text[len - 1] = '\0';
    if (!listener->daemon) /* it has no other thread yet */
        snprintf(listener->said, sizeof listener->said, "%s", text);
    log_debug("microhttpd", LOG_S("text", text));
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct listener *listener = arg;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        *context = connections_add(listener->world.connections, info->connect_fd);
    } else {
        connections_remove(listener->world.connections, *context);
    }
}

static void *on_target(void *arg, const char *target, struct MHD_Connection *connection)
{
    struct listener *listener = arg;
    return request_new(&listener->world, connection, target);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data, size_t *size,
                                  void **context)
{
    (void)arg;
    (void)connection;
    (void)url;
    return request_step(*context, method, version, data, size);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct listener *listener = arg;
    struct request *request = *context;
    (void)connection;
    (void)code;
    connection_enter(listener->world.connections, request->client, CONNECTION_IDLE);
    request_free(request);
    *context = NULL;
}

/* the socket */

static bool address_is_loopback(const struct addrinfo *info)
{
    char host[INET6_ADDRSTRLEN];
    return getnameinfo(info->ai_addr, info->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST) == 0 &&
           host_is_loopback(host);
}

/* "127.0.0.1:8787", which may be NULL, and "8787". */
static void describe(int fd, char ret_address[ADDRESS_SIZE], char ret_port[PORT_SIZE])
{
    struct sockaddr_storage bound = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof bound;
    char host[INET6_ADDRSTRLEN];
    if (getsockname(fd, (struct sockaddr *)&bound, &len) == 0 &&
        getnameinfo((struct sockaddr *)&bound, len, host, sizeof host, ret_port, PORT_SIZE,
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0 &&
        ret_address)
        snprintf(ret_address, ADDRESS_SIZE, bound.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
                 ret_port);
}

/* ERR_NOT_FOUND: this machine has no such address. */
static enum err bind_socket(const struct addrinfo *info, int *ret_fd, struct why *why)
{
    int on = 1, fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0) {
        *ret_fd = fd;
        return ERR_OK;
    }
    bool absent = errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL;
    enum err err =
        why_set(why, absent ? ERR_NOT_FOUND : ERR_UNAVAILABLE, "ORCH_HTTP_LISTEN cannot be listened on: %m");
    if (fd >= 0)
        close(fd);
    return err;
}

static enum err open_socket(const char *host, const char *port, bool has_token, int *ret_fd, struct why *why)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *info = NULL;
    int failed = getaddrinfo(host, port, &hints, &info);
    if (failed)
        return why_set(why, ERR_INVALID, "ORCH_HTTP_LISTEN names no address of this machine: %s",
                       gai_strerror(failed));
    enum err err;
    if (!has_token && !address_is_loopback(info))
        err = why_set(why, ERR_INVALID,
                      "ORCH_HTTP_LISTEN is not a loopback address: that needs an ORCH_API_TOKEN");
    else
        err = bind_socket(info, ret_fd, why);
    freeaddrinfo(info);
    return err;
}

/* A client that connects to "localhost" uses the address that its resolver returns first. So the service
 * listens on both addresses, on one port, or on the only one that this machine has. */
static enum err open_sockets(const struct listen_address *address, bool has_token,
                             struct acceptor_sockets *ret, struct why *why)
{
    static const char *const both[] = {"127.0.0.1", "::1", NULL};
    const char *const one[] = {address->host, NULL};
    bool is_localhost = strcasecmp(address->host, "localhost") == 0;
    struct acceptor_sockets sockets = {.n = 0};
    enum err err = ERR_OK;
    char port[PORT_SIZE];
    snprintf(port, sizeof port, "%u", (unsigned)address->port & 0xffffu);
    for (const char *const *host = is_localhost ? both : one; *host; host++) {
        err = open_socket(*host, port, has_token, &sockets.fds[sockets.n], why);
        if (!err)
            describe(sockets.fds[sockets.n++], NULL, port);
        else if (is_localhost && err == ERR_NOT_FOUND)
            log_warn("localhost has one address alone", LOG_S("missing", *host), LOG_S("reason", why->text));
        else
            break;
    }
    if (sockets.n > 0 && (!err || err == ERR_NOT_FOUND)) {
        *ret = sockets;
        return ERR_OK;
    }
    acceptor_sockets_close(&sockets);
    return err == ERR_NOT_FOUND ? ERR_UNAVAILABLE : err;
}

/* how many */

static unsigned count_workers(void)
{
    cpu_set_t set;
    unsigned processors = sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
    unsigned workers = processors * WORKERS_PER_PROCESSOR;
    if (workers < WORKERS_MIN)
        return WORKERS_MIN;
    return workers > LIMIT_WORKERS ? LIMIT_WORKERS : workers;
}

enum err listener_check(struct why *why)
{
    rlim_t needed = DESCRIPTORS_ELSE + count_workers();
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max >= needed)
        return ERR_OK;
    return why_set(why, ERR_INVALID,
                   "the limit of open files is %llu, and the service needs %llu (ulimit -n, LimitNOFILE=)",
                   (unsigned long long)limit.rlim_max, (unsigned long long)needed);
}

/* What the acceptor keeps the connections below. */
static unsigned count_connections(unsigned workers)
{
    rlim_t wanted = (rlim_t)LIMIT_CONNECTIONS_PER_WORKER * workers;
    if (wanted > LIMIT_CONNECTIONS)
        wanted = LIMIT_CONNECTIONS;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted + DESCRIPTORS_ELSE)
        return (unsigned)wanted;
    limit.rlim_cur = limit.rlim_max < wanted + DESCRIPTORS_ELSE ? limit.rlim_max : wanted + DESCRIPTORS_ELSE;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        (void)getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= wanted + DESCRIPTORS_ELSE)
        return (unsigned)wanted;
    rlim_t room = limit.rlim_cur > DESCRIPTORS_ELSE + workers ? limit.rlim_cur - DESCRIPTORS_ELSE : workers;
    log_warn("few file descriptors: fewer connections", LOG_I("descriptors", limit.rlim_cur),
             LOG_I("connections", room));
    return (unsigned)room;
}

/* A request that waits for a pass or an upstream keeps its connection. The others are reserved for requests
 * that do not wait, so that GET /reconcile/status is answered even while an upstream hangs. */
static unsigned count_waiting(unsigned connections)
{
    unsigned waiting = connections / 4 * 3;
    if (waiting == 0)
        return 1;
    return waiting > LIMIT_WAITING_REQUESTS ? LIMIT_WAITING_REQUESTS : waiting;
}

/* life */

/* The library's own limit must never be reached: a worker that gets one connection too many keeps its mutex
 * locked and hangs for ever (0.9.75, new_connection_process_). */
static struct MHD_Daemon *start_daemon(struct listener *listener, unsigned workers,
                                       const struct listener_options *options)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
                     MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG | (options->certificate ? MHD_USE_TLS : 0);
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)options->certificate},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)options->key},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES},
        {MHD_OPTION_END, 0, NULL},
    };
    /* The logger must be the first option: errors in options before it would be printed directly. */
    struct MHD_OptionItem items[] = {
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)on_message, listener},
        {MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)workers, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)(NEVER_PER_WORKER * workers), NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, LIMIT_CONNECTION_MEMORY, NULL},
        CLIENT_DISCIPLINE,
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, listener},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, listener},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_target, listener},
        {MHD_OPTION_END, 0, NULL},
    };
    const struct MHD_OptionItem *last = options->certificate ? tls : &tls[ARRAY_LEN(tls) - 1];
    return MHD_start_daemon(flags, 0, NULL, NULL, on_request, listener, MHD_OPTION_ARRAY, items,
                            MHD_OPTION_ARRAY, last, MHD_OPTION_END);
}

enum err listener_start(const struct listener_options *options, struct listener **ret, struct why *why)
{
    struct acceptor_sockets sockets = {.n = 0};
    enum err err = open_sockets(options->address, options->tokens.all != NULL, &sockets, why);
    if (err)
        return err;
    /* A pool of one is no pool to the library. */
    unsigned workers = options->workers ? options->workers : count_workers();
    unsigned connections = options->connections ? options->connections : count_connections(workers);
    int64_t (*clock_ms)(void) = options->clock_ms ? options->clock_ms : clock_mono_ms;
    struct listener *listener = mem_zero(1, sizeof *listener);
    listener->world = (struct request_world){
        .app = options->app,
        .tokens = options->tokens,
        .routes = options->routes,
        .waiting_max = count_waiting(connections),
        .deferrals = deferrals_new(clock_ms),
        .auth_failures = auth_failures_new(clock_ms),
        .connections = connections_new(connections, clock_ms),
    };
    for (size_t i = 0; i < sockets.n; i++)
        describe(sockets.fds[i], listener->addresses[i], (char[PORT_SIZE]){""});
    err = job_queue_start(LIMIT_HANDLER_THREADS, LIMIT_WAITING_REQUESTS, &listener->world.job_queue, why);
    if (!err) {
        listener->daemon = start_daemon(listener, workers, options);
        if (!listener->daemon)
            err = why_set(why, ERR_INTERNAL, "the HTTP listener cannot be started: %s", listener->said);
    }
    if (err)
        acceptor_sockets_close(&sockets);
    else
        err = acceptor_start(&sockets, listener->daemon, listener->world.connections, connections,
                             &listener->acceptor, why);
    if (err) {
        listener_stop(listener);
        return err;
    }
    log_debug("listener", LOG_I("workers", workers), LOG_I("connections", connections));
    *ret = listener;
    return ERR_OK;
}

const char *listener_address(const struct listener *listener, size_t at)
{
    return at < ARRAY_LEN(listener->addresses) && *listener->addresses[at] ? listener->addresses[at] : NULL;
}

void listener_tick(struct listener *listener)
{
    connections_reap(listener->world.connections);
    auth_failures_tick(listener->world.auth_failures);
    deferrals_expire(listener->world.deferrals);
    deferrals_reap(listener->world.deferrals);
}

void listener_drain(struct listener *listener, int64_t wait_ms)
{
    acceptor_stop(listener->acceptor);
    listener->acceptor = NULL;
    deferrals_refuse(listener->world.deferrals);
    connections_drain(listener->world.connections);
    (void)connections_wait_empty(listener->world.connections, wait_ms);
}

/* The library aborts the process when it is stopped with a suspended connection that was not resumed. After
 * job_queue_stop no handler thread runs a handler, and after deferrals_stop no request waits. If a listener
 * thread suspends a request after that, it resumes it in the same call, because both refuse. */
void listener_stop(struct listener *listener)
{
    if (!listener)
        return;
    listener_drain(listener, 0);
    if (listener->world.job_queue)
        job_queue_stop(listener->world.job_queue);
    deferrals_stop(listener->world.deferrals);
    (void)connections_wait_empty(listener->world.connections, FLUSH_MS);
    if (listener->daemon)
        MHD_stop_daemon(listener->daemon);
    job_queue_free(listener->world.job_queue);
    connections_free(listener->world.connections);
    deferrals_release(listener->world.deferrals);
    auth_failures_free(listener->world.auth_failures);
    free(listener);
}
