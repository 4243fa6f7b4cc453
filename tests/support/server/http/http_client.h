/* http_client.h - a client that sends exactly the bytes a test gives it and reads answers one by one, in the
 * clear or over TLS. */
#ifndef RECONCILED_HTTP_CLIENT_H
#define RECONCILED_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

struct http_client {
    void *curl; /* CURL, connected and no more */
    int fd;     /* its socket */
    size_t len;
    char buffer[256 * 1024];
};

struct http_answer {
    int status; /* 0: the connection ended without a whole answer */
    char head[4096];
    char body[64 * 1024];
    size_t body_len;
};

/* http_over_tls: what is opened from now on speaks TLS, or does not. Believes any certificate. */
void http_over_tls(bool on);

/* http_open: connects to "127.0.0.1:8787" or "[::1]:8787". Reads give up after 20 s, so that a test fails
 * instead of hanging. http_close: NULL is fine. */
struct http_client *http_open(const char *address);
void http_close(struct http_client *client);
/* http_open_bare: the same without a word of TLS. */
struct http_client *http_open_bare(const char *address);
/* http_end: ends the sending side. */
void http_end(struct http_client *client);

/* http_send: all of it; false when the peer has closed. */
bool http_send(struct http_client *client, const char *bytes, size_t len);
bool http_say(struct http_client *client, const char *text);

/* http_receive: this many bytes at least are in client->buffer; false when the peer closed before. */
bool http_receive(struct http_client *client, size_t len);

/* http_arrived: some of the next answer is in client->buffer; waits at most wait_ms for it. */
bool http_arrived(struct http_client *client, int wait_ms);

/* http_read: the next answer; `head_only` for one to HEAD. */
struct http_answer *http_read(struct http_client *client, bool head_only);

/* http_ended: the peer has closed; what it sent before is thrown away. Waits at most wait_ms for each piece.
 */
bool http_ended(struct http_client *client, int wait_ms);

/* http_ask: opens, sends, reads one answer, closes. Free the answer with free(). */
struct http_answer *http_ask(const char *address, const char *text);

/* http_header: the value of a header of an answer, or NULL; valid until the thread's next call. */
const char *http_header(const struct http_answer *answer, const char *name);

#endif
