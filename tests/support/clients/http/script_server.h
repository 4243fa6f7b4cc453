/* script_server.h - an HTTP server for tests, with scripted answers: one thread on a free port of
 * 127.0.0.1.
 *
 * Replies are scripted per request target ("/a?b=c", exactly as it comes). Several for one target are given
 * in turn, the last again and again. What is not scripted is answered by the default, which is 404 at first.
 * It keeps connections alive and sleeps nowhere. All functions may be called from any thread.
 */
#ifndef RECONCILED_TESTS_SCRIPT_SERVER_H
#define RECONCILED_TESTS_SCRIPT_SERVER_H

#include <stddef.h>
#include <stdint.h>

struct script_server;

enum script_act {
    SCRIPT_ANSWER,
    SCRIPT_HANG,  /* sends nothing until script_server_release, then answers */
    SCRIPT_CLOSE, /* closes the connection instead of answering */
    SCRIPT_RAW,   /* writes `body` as it is, without a status line, and closes */
};

struct script_reply {
    enum script_act act;
    int status;          /* 0: 200 */
    const char *type;    /* content type; NULL: application/json, "": none */
    const char *headers; /* more of them, each ended by "\r\n"; may be NULL */
    const char *body;    /* may be NULL */
    size_t body_len;     /* 0: strlen(body) */
    size_t cut_after;    /* not 0: closes after so many bytes of the body that it announced */
    int64_t delay_ms;    /* for benchmarks alone */
};

/* script_server_start: never NULL, ends the program if there is no port. script_server_stop: NULL is fine. */
struct script_server *script_server_start(void);
void script_server_stop(struct script_server *server);

/* script_server_url: "http://127.0.0.1:PORT". Valid as long as the server. */
const char *script_server_url(const struct script_server *server);

/* A 404 of Gitea's API (services/context/api.go). */
#define SCRIPT_GITEA_MISSING "{\"message\":\"not found\",\"url\":\"http://git/api/swagger\",\"errors\":[]}"

/* script_server_on: what the target is answered next (copied). script_server_json: a 200 with that body.
 * script_server_default: what everything else is answered. */
void script_server_on(struct script_server *server, const char *target, const struct script_reply *reply);
void script_server_json(struct script_server *server, const char *target, const char *body);
void script_server_default(struct script_server *server, const struct script_reply *reply);

/* script_server_release: lets every hanging request have its answer; from now on none hangs. */
void script_server_release(struct script_server *server);

/* script_server_count: requests seen, of one target or (NULL) of all. script_server_wait: returns once `n`
 * have come. script_server_request: the head of the i-th request (0: the first), or NULL; caller frees.
 * script_server_peak: most requests open at one time. script_server_connections: how many were accepted. */
size_t script_server_count(struct script_server *server, const char *target);
void script_server_wait(struct script_server *server, size_t n);
char *script_server_request(struct script_server *server, size_t i);
size_t script_server_peak(struct script_server *server);
size_t script_server_connections(struct script_server *server);

#endif
