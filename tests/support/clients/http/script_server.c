#include "tests/support/clients/http/script_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clients/base/err.h"
#include "clients/base/text.h"

#define CONNECTIONS_MAX 256u
#define REQUEST_MAX ((size_t)256 * 1024)
#define KEPT_HEADS 4096u

struct script {
    struct script *next;
    char *target; /* NULL: the default */
    struct script_reply reply;
};

struct connection {
    int fd;
    char *in, *out;
    size_t in_len, in_size, out_len, out_done;
    bool waiting; /* has a request that hangs or is delayed */
    bool closes;  /* after what is in `out` */
    int64_t due_ms;
    const struct script *script;
};

struct script_server {
    int listener, wakeup;
    char url[64];
    pthread_t thread;
    struct connection connections[CONNECTIONS_MAX]; /* the thread's alone, like n_connections */
    size_t n_connections;

    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t came;
    struct script *scripts; /* in the order they were given; freed at the end alone */
    struct script *fallback;
    char **heads;
    size_t n_heads, n_requests, n_accepted, open_requests, peak;
    bool released, stopping;
};

static void die(const char *what)
{
    fprintf(stderr, "script_server: %s: %s\n", what, strerror(errno));
    exit(70);
}

/* scripts */

static struct script *script_new(const char *target, const struct script_reply *reply)
{
    struct script *script = mem_zero(1, sizeof *script);
    script->target = mem_dup(target);
    script->reply = *reply;
    script->reply.type = mem_dup(reply->type);
    script->reply.headers = mem_dup(reply->headers);
    if (reply->body) {
        script->reply.body_len = reply->body_len ? reply->body_len : strlen(reply->body);
        script->reply.body = mem_dupn(reply->body, script->reply.body_len);
    }
    return script;
}

static void script_free(struct script *script)
{
    free(script->target);
    free((char *)(uintptr_t)script->reply.type);
    free((char *)(uintptr_t)script->reply.headers);
    free((char *)(uintptr_t)script->reply.body);
    free(script);
}

void script_server_on(struct script_server *server, const char *target, const struct script_reply *reply)
{
    struct script *script = script_new(target, reply);
    pthread_mutex_lock(&server->lock);
    struct script **end = &server->scripts;
    while (*end)
        end = &(*end)->next;
    *end = script;
    pthread_mutex_unlock(&server->lock);
}

void script_server_json(struct script_server *server, const char *target, const char *body)
{
    script_server_on(server, target, &(struct script_reply){.body = body});
}

void script_server_default(struct script_server *server, const struct script_reply *reply)
{
    struct script *script = script_new(NULL, reply);
    pthread_mutex_lock(&server->lock);
    script->next = server->fallback; /* the one before may be under way */
    server->fallback = script;
    pthread_mutex_unlock(&server->lock);
}

static size_t heads_of(struct script_server *server, const char *target)
{
    size_t n = 0;
    for (size_t i = 0; i < server->n_heads; i++) {
        const char *at = strchr(server->heads[i], ' ');
        size_t len = strlen(target);
        n += at && strncmp(at + 1, target, len) == 0 && at[1 + len] == ' ';
    }
    return n;
}

/* The n-th reply of a target answers its n-th request. Called with the lock held, the request's head kept. */
static const struct script *script_for(struct script_server *server, const char *target)
{
    const struct script *last = NULL;
    size_t turn = heads_of(server, target);
    for (const struct script *script = server->scripts; script && turn > 0; script = script->next)
        if (strcmp(script->target, target) == 0) {
            last = script;
            turn--;
        }
    return last ? last : server->fallback;
}

/* the thread */

static void connection_close(struct script_server *server, struct connection *connection)
{
    close(connection->fd);
    free(connection->in);
    free(connection->out);
    if (connection->waiting) {
        pthread_mutex_lock(&server->lock);
        server->open_requests--;
        pthread_mutex_unlock(&server->lock);
    }
    *connection = server->connections[--server->n_connections];
}

static void reply_write(struct connection *connection)
{
    const struct script_reply *reply = &connection->script->reply;
    const char *type = reply->type ? reply->type : "application/json";
    int status = reply->status ? reply->status : 200;
    AUTO_FREE char *head = NULL;
    if (reply->act == SCRIPT_CLOSE || reply->act == SCRIPT_RAW)
        head = mem_dup("");
    else
        head = mem_printf("HTTP/1.1 %d Scripted\r\n%s%s%s%sContent-Length: %zu\r\n\r\n", status,
                          *type ? "Content-Type: " : "", type, *type ? "\r\n" : "",
                          reply->headers ? reply->headers : "", reply->body_len);
    size_t body_len = reply->act == SCRIPT_CLOSE ? 0 : reply->cut_after ? reply->cut_after : reply->body_len;
    size_t head_len = strlen(head);
    connection->out = mem_grow(connection->out, head_len + body_len, 1);
    memcpy(connection->out, head, head_len);
    if (body_len)
        memcpy(connection->out + head_len, reply->body, body_len);
    connection->out_len = head_len + body_len;
    connection->out_done = 0;
    connection->closes = reply->act == SCRIPT_CLOSE || reply->act == SCRIPT_RAW || reply->cut_after > 0;
}

static size_t body_length(const char *head)
{
    for (const char *line = head; (line = strstr(line, "\r\n")); line += 2) {
        if (strncasecmp(line + 2, "Content-Length:", 15) != 0)
            continue;
        const char *digits = line + 17 + strspn(line + 17, " ");
        AUTO_FREE char *text = mem_dupn(digits, strspn(digits, "0123456789"));
        int64_t len = 0;
        return parse_i64(text, 0, (int64_t)REQUEST_MAX, &len) ? (size_t)len : REQUEST_MAX;
    }
    return 0;
}

/* A whole request in the buffer: notes it and chooses its reply. */
static bool request_take(struct script_server *server, struct connection *connection)
{
    if (connection->in_len == 0 || connection->waiting || connection->out_len > connection->out_done ||
        connection->closes)
        return false;
    connection->in[connection->in_len] = '\0';
    char *end = strstr(connection->in, "\r\n\r\n");
    if (!end)
        return false;
    char *head = mem_dupn(connection->in, (size_t)(end - connection->in) + 2);
    size_t whole = (size_t)(end - connection->in) + 4 + body_length(head);
    if (connection->in_len < whole) {
        free(head);
        return false;
    }
    const char *target = strchr(head, ' ');
    AUTO_FREE char *name = target ? mem_dupn(target + 1, strcspn(target + 1, " ")) : mem_dup("");
    pthread_mutex_lock(&server->lock);
    server->n_requests++;
    if (server->n_heads < KEPT_HEADS) {
        server->heads = mem_grow(server->heads, server->n_heads + 1, sizeof(char *));
        server->heads[server->n_heads++] = head;
    } else {
        free(head);
    }
    connection->script = server->scripts ? script_for(server, name) : server->fallback;
    if (++server->open_requests > server->peak)
        server->peak = server->open_requests;
    pthread_cond_broadcast(&server->came);
    pthread_mutex_unlock(&server->lock);
    connection->waiting = true;
    connection->due_ms =
        connection->script->reply.delay_ms ? clock_mono_ms() + connection->script->reply.delay_ms : 0;
    memmove(connection->in, connection->in + whole, connection->in_len - whole);
    connection->in_len -= whole;
    return true;
}

static void request_answer_if_due(struct script_server *server, struct connection *connection)
{
    if (!connection->waiting)
        return;
    pthread_mutex_lock(&server->lock);
    bool hangs = connection->script->reply.act == SCRIPT_HANG && !server->released;
    bool due = !hangs && (connection->due_ms == 0 || connection->due_ms <= clock_mono_ms());
    if (due)
        server->open_requests--;
    pthread_mutex_unlock(&server->lock);
    if (!due)
        return;
    connection->waiting = false;
    reply_write(connection);
}

/* Writes and reads what can be; false when the connection is over. */
static bool connection_serve(struct script_server *server, struct connection *connection)
{
    for (;;) {
        request_answer_if_due(server, connection);
        while (connection->out_done < connection->out_len) {
            ssize_t n = send(connection->fd, connection->out + connection->out_done,
                             connection->out_len - connection->out_done, MSG_NOSIGNAL);
            if (n < 0)
                return errno == EAGAIN;
            connection->out_done += (size_t)n;
        }
        if (connection->closes && !connection->waiting)
            return false;
        if (request_take(server, connection))
            continue;
        if (connection->in_size < connection->in_len + 4097) {
            if (connection->in_len > REQUEST_MAX)
                return false;
            connection->in_size = connection->in_len + 16384;
            connection->in = mem_grow(connection->in, connection->in_size, 1);
        }
        ssize_t n = recv(connection->fd, connection->in + connection->in_len,
                         connection->in_size - connection->in_len - 1, 0);
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n <= 0)
            return false;
        connection->in_len += (size_t)n;
    }
}

static void connections_accept(struct script_server *server)
{
    int fd;
    while (server->n_connections < CONNECTIONS_MAX &&
           (fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        server->connections[server->n_connections++] = (struct connection){.fd = fd};
        pthread_mutex_lock(&server->lock);
        server->n_accepted++;
        pthread_mutex_unlock(&server->lock);
    }
}

static int next_due(const struct script_server *server)
{
    int64_t wait_ms = 60000, now_ms = clock_mono_ms();
    for (size_t i = 0; i < server->n_connections; i++)
        if (server->connections[i].waiting && server->connections[i].due_ms &&
            server->connections[i].due_ms - now_ms < wait_ms)
            wait_ms = server->connections[i].due_ms - now_ms;
    return wait_ms > 0 ? (int)wait_ms : 0;
}

static void *server_run(void *arg)
{
    struct script_server *server = arg;
    struct pollfd *polled = mem_zero(CONNECTIONS_MAX + 2, sizeof *polled);
    for (;;) {
        polled[0] = (struct pollfd){.fd = server->listener, .events = POLLIN};
        polled[1] = (struct pollfd){.fd = server->wakeup, .events = POLLIN};
        for (size_t i = 0; i < server->n_connections; i++) {
            const struct connection *connection = &server->connections[i];
            short events = connection->out_done < connection->out_len ? POLLOUT : POLLIN;
            polled[i + 2] = (struct pollfd){.fd = connection->fd, .events = events};
        }
        size_t n_polled = server->n_connections;
        if (poll(polled, n_polled + 2, next_due(server)) < 0 && errno != EINTR)
            die("poll");
        eventfd_t count;
        if (polled[1].revents)
            (void)eventfd_read(server->wakeup, &count);
        pthread_mutex_lock(&server->lock);
        bool stopping = server->stopping;
        pthread_mutex_unlock(&server->lock);
        if (stopping)
            break;
        for (size_t i = n_polled; i-- > 0;)
            if (!connection_serve(server, &server->connections[i]))
                connection_close(server, &server->connections[i]);
        connections_accept(server);
    }
    while (server->n_connections > 0)
        connection_close(server, &server->connections[0]);
    free(polled);
    return NULL;
}

/* from outside */

struct script_server *script_server_start(void)
{
    struct script_server *server = mem_zero(1, sizeof *server);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    server->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->listener < 0 || server->wakeup < 0 ||
        bind(server->listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(server->listener, 256) < 0 ||
        getsockname(server->listener, (struct sockaddr *)&address, &len) < 0)
        die("listen");
    snprintf(server->url, sizeof server->url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->came, NULL);
    server->fallback = script_new(NULL, &(struct script_reply){.status = 404, .body = SCRIPT_GITEA_MISSING});
    if (pthread_create(&server->thread, NULL, server_run, server) != 0)
        die("thread");
    return server;
}

void script_server_stop(struct script_server *server)
{
    if (!server)
        return;
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    pthread_mutex_unlock(&server->lock);
    (void)eventfd_write(server->wakeup, 1);
    pthread_join(server->thread, NULL);
    struct script *lists[] = {server->scripts, server->fallback};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        for (struct script *script = lists[i], *next; script; script = next) {
            next = script->next;
            script_free(script);
        }
    for (size_t i = 0; i < server->n_heads; i++)
        free(server->heads[i]);
    free(server->heads);
    close(server->listener);
    close(server->wakeup);
    pthread_cond_destroy(&server->came);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

const char *script_server_url(const struct script_server *server)
{
    return server->url;
}

void script_server_release(struct script_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->released = true;
    pthread_mutex_unlock(&server->lock);
    (void)eventfd_write(server->wakeup, 1);
}

size_t script_server_count(struct script_server *server, const char *target)
{
    pthread_mutex_lock(&server->lock);
    size_t n = target ? heads_of(server, target) : server->n_requests;
    pthread_mutex_unlock(&server->lock);
    return n;
}

void script_server_wait(struct script_server *server, size_t n)
{
    pthread_mutex_lock(&server->lock);
    while (server->n_requests < n)
        pthread_cond_wait(&server->came, &server->lock);
    pthread_mutex_unlock(&server->lock);
}

char *script_server_request(struct script_server *server, size_t i)
{
    pthread_mutex_lock(&server->lock);
    char *head = i < server->n_heads ? mem_dup(server->heads[i]) : NULL;
    pthread_mutex_unlock(&server->lock);
    return head;
}

size_t script_server_peak(struct script_server *server)
{
    pthread_mutex_lock(&server->lock);
    size_t peak = server->peak;
    pthread_mutex_unlock(&server->lock);
    return peak;
}

size_t script_server_connections(struct script_server *server)
{
    pthread_mutex_lock(&server->lock);
    size_t n = server->n_accepted;
    pthread_mutex_unlock(&server->lock);
    return n;
}
