#include "tests/support/server/http/http_client.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "clients/base/err.h"
#include "clients/base/text.h"

enum { GIVE_UP_S = 20 };

static SSL_CTX *tls_context; /* NULL: in the clear */

void http_over_tls(bool on)
{
    SSL_CTX_free(tls_context);
    tls_context = on ? SSL_CTX_new(TLS_client_method()) : NULL;
    /* Or a read would wait for data behind a session ticket that came alone. */
    if (tls_context)
        SSL_CTX_clear_mode(tls_context, SSL_MODE_AUTO_RETRY);
}

struct http_client *http_open_bare(const char *address)
{
    const char *colon = strrchr(address, ':');
    bool v6 = address[0] == '[';
    AUTO_FREE char *host = mem_dupn(address + v6, (size_t)(colon - address) - (v6 ? 2 : 0));
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *info = NULL;
    if (getaddrinfo(host, colon + 1, &hints, &info) != 0)
        return NULL;
    struct http_client *client = mem_zero(1, sizeof *client);
    const struct timeval limit = {.tv_sec = GIVE_UP_S};
    client->fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1; /* a small write behind another would wait for the peer's delayed acknowledgement */
    (void)setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    bool connected = client->fd >= 0 && connect(client->fd, info->ai_addr, info->ai_addrlen) == 0;
    freeaddrinfo(info);
    if (!connected) {
        http_close(client);
        return NULL;
    }
    (void)setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return client;
}

struct http_client *http_open(const char *address)
{
    struct http_client *client = http_open_bare(address);
    if (!client || !tls_context)
        return client;
    client->tls = SSL_new(tls_context);
    if (client->tls && SSL_set_fd(client->tls, client->fd) == 1)
        (void)SSL_connect(client->tls); /* a peer that closed is found out when something is sent */
    return client;
}

void http_end(struct http_client *client)
{
    if (client->tls)
        (void)SSL_shutdown(client->tls);
    (void)shutdown(client->fd, SHUT_WR);
}

void http_close(struct http_client *client)
{
    if (client)
        SSL_free(client->tls);
    if (client && client->fd >= 0)
        close(client->fd);
    free(client);
}

bool http_send(struct http_client *client, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = client->tls ? SSL_write(client->tls, bytes, (int)len)
                                : send(client->fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

bool http_say(struct http_client *client, const char *text)
{
    return http_send(client, text, strlen(text));
}

enum got { GOT_END, GOT_BYTES, GOT_NOTHING };

/* GOT_NOTHING: what came was TLS's own. */
static enum got read_some(struct http_client *client)
{
    char *to = client->buffer + client->len;
    size_t room = sizeof client->buffer - 1 - client->len;
    ssize_t n = client->tls ? SSL_read(client->tls, to, (int)room) : recv(client->fd, to, room, 0);
    if (n > 0)
        client->len += (size_t)n;
    if (n <= 0 && client->tls && SSL_get_error(client->tls, (int)n) == SSL_ERROR_WANT_READ)
        return GOT_NOTHING;
    return n > 0 ? GOT_BYTES : GOT_END;
}

static bool read_more(struct http_client *client)
{
    int64_t until_ms = clock_mono_ms() + (int64_t)GIVE_UP_S * 1000;
    enum got got;
    do
        got = read_some(client);
    while (got == GOT_NOTHING && clock_mono_ms() < until_ms);
    return got == GOT_BYTES;
}

bool http_receive(struct http_client *client, size_t len)
{
    while (client->len < len)
        if (!read_more(client))
            return false;
    return true;
}

bool http_arrived(struct http_client *client, int wait_ms)
{
    struct pollfd readable = {.fd = client->fd, .events = POLLIN};
    if (client->len == 0 && poll(&readable, 1, wait_ms) == 1)
        (void)read_some(client);
    return client->len > 0;
}

static void consume(struct http_client *client, size_t len)
{
    memmove(client->buffer, client->buffer + len, client->len - len);
    client->len -= len;
}

static size_t head_length(const struct http_client *client)
{
    const char *end = memmem(client->buffer, client->len, "\r\n\r\n", 4);
    return end ? (size_t)(end - client->buffer) + 4 : 0;
}

const char *http_header(const struct http_answer *answer, const char *name)
{
    static _Thread_local char value[1024];
    size_t len = strlen(name);
    for (const char *line = strstr(answer->head, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n")) {
        const char *start = line + 2;
        if (strncasecmp(start, name, len) != 0 || start[len] != ':')
            continue;
        start += len + 1;
        start += strspn(start, " ");
        size_t n = strcspn(start, "\r");
        if (n >= sizeof value)
            return NULL;
        memcpy(value, start, n);
        value[n] = '\0';
        return value;
    }
    return NULL;
}

struct http_answer *http_read(struct http_client *client, bool head_only)
{
    struct http_answer *answer = mem_zero(1, sizeof *answer);
    size_t head = 0;
    int64_t status = 0, length = 0;
    for (;;) {
        while ((head = head_length(client)) == 0)
            if (!read_more(client))
                return answer;
        if (strncmp(client->buffer, "HTTP/1.1 100", 12) != 0)
            break;
        consume(client, head);
    }
    if (head >= sizeof answer->head || head < 12)
        return answer;
    memcpy(answer->head, client->buffer, head);
    consume(client, head);
    const char digits[4] = {answer->head[9], answer->head[10], answer->head[11], '\0'};
    const char *text = http_header(answer, "Content-Length");
    if (text && !head_only && (!parse_i64(text, 0, (int64_t)sizeof answer->body - 1, &length)))
        return answer;
    while (client->len < (size_t)length)
        if (!read_more(client))
            return answer;
    memcpy(answer->body, client->buffer, (size_t)length);
    answer->body_len = (size_t)length;
    consume(client, (size_t)length);
    if (parse_i64(digits, 100, 599, &status))
        answer->status = (int)status;
    return answer;
}

bool http_ended(struct http_client *client, int wait_ms)
{
    struct pollfd readable = {.fd = client->fd, .events = POLLIN};
    do {
        client->len = 0;
        if (poll(&readable, 1, wait_ms) != 1)
            return false;
    } while (read_some(client) != GOT_END);
    return true;
}

struct http_answer *http_ask(const char *address, const char *text)
{
    struct http_client *client = http_open(address);
    if (!client)
        return mem_zero(1, sizeof(struct http_answer));
    (void)http_say(client, text); /* a peer that closes early may still have answered */
    struct http_answer *answer = http_read(client, strncmp(text, "HEAD ", 5) == 0);
    http_close(client);
    return answer;
}
