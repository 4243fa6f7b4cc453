#include "tests/support/server/http/http_client.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include <curl/curl.h>

#include "clients/base/err.h"
#include "clients/base/text.h"

enum { GIVE_UP_S = 20 };

static bool over_tls;

void http_over_tls(bool on)
{
    over_tls = on;
}

static struct http_client *client_open(const char *scheme, const char *address)
{
    struct http_client *client = mem_zero(1, sizeof *client);
    AUTO_FREE char *url = mem_printf("%s://%s", scheme, address);
    curl_socket_t fd = CURL_SOCKET_BAD;
    client->curl = curl_easy_init();
    curl_easy_setopt(client->curl, CURLOPT_URL, url);
    curl_easy_setopt(client->curl, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(client->curl, CURLOPT_CONNECTTIMEOUT, (long)GIVE_UP_S);
    curl_easy_setopt(client->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(client->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(client->curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(client->curl, CURLOPT_SSL_VERIFYHOST, 0L);
    CURLcode code = curl_easy_perform(client->curl);
    (void)curl_easy_getinfo(client->curl, CURLINFO_ACTIVESOCKET, &fd);
    client->fd = fd;
    if (code != CURLE_COULDNT_CONNECT)
        return client; /* a handshake that failed shows when something is sent */
    http_close(client);
    return NULL;
}

struct http_client *http_open_bare(const char *address)
{
    return client_open("http", address);
}

struct http_client *http_open(const char *address)
{
    return client_open(over_tls ? "https" : "http", address);
}

void http_end(struct http_client *client)
{
    (void)shutdown(client->fd, SHUT_WR);
}

void http_close(struct http_client *client)
{
    if (client)
        curl_easy_cleanup(client->curl);
    free(client);
}

static bool await(const struct http_client *client, short events, int wait_ms)
{
    return poll(&(struct pollfd){.fd = client->fd, .events = events}, 1, wait_ms) == 1;
}

bool http_send(struct http_client *client, const char *bytes, size_t len)
{
    while (len > 0) {
        size_t n = 0;
        CURLcode code = curl_easy_send(client->curl, bytes, len, &n);
        if (code != CURLE_OK && (code != CURLE_AGAIN || !await(client, POLLOUT, GIVE_UP_S * 1000)))
            return false;
        bytes += n;
        len -= n;
    }
    return true;
}

bool http_say(struct http_client *client, const char *text)
{
    return http_send(client, text, strlen(text));
}

enum got { GOT_END, GOT_BYTES, GOT_NOTHING };

static enum got read_some(struct http_client *client)
{
    size_t n = 0;
    CURLcode code = curl_easy_recv(client->curl, client->buffer + client->len,
                                   sizeof client->buffer - 1 - client->len, &n);
    client->len += n;
    return code == CURLE_AGAIN ? GOT_NOTHING : n > 0 ? GOT_BYTES : GOT_END;
}

static bool read_more(struct http_client *client)
{
    enum got got;
    do
        got = read_some(client);
    while (got == GOT_NOTHING && await(client, POLLIN, GIVE_UP_S * 1000));
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
    if (client->len == 0 && read_some(client) == GOT_NOTHING && await(client, POLLIN, wait_ms))
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
    enum got got;
    do {
        client->len = 0;
        got = read_some(client);
    } while (got == GOT_BYTES || (got == GOT_NOTHING && await(client, POLLIN, wait_ms)));
    return got == GOT_END;
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
