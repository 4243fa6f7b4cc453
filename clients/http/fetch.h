/* fetch.h - many HTTP exchanges at once, for any number of calling threads, by one thread with one curl multi
 * handle.
 *
 * A caller owns an inbox, sends requests from it and takes answers out of it, in the order they arrive. The
 * fetcher's thread does only input and output: callers parse and decide in their own threads.
 *
 * The policy of all exchanges is set here:
 * - http and https only; TLS is verified; HTTP/1.1; connections are kept alive; no cookies. A proxy is used
 *   only if the environment names one (http_proxy, https_proxy, all_proxy, no_proxy, as curl reads them).
 * - At most `per_host` exchanges are in flight per host. The others wait outside curl, and the time in the
 *   queue does not count as time of the call. Passes take turns, and within a pass the parts of the host do.
 * - Three time limits: for connecting (half of the call's), for the whole call, and the request's own
 *   deadline.
 * - An exchange ends if the body, after decompression, is longer than the request allows, if there are too
 *   many headers, or if the body has a coding other than gzip, which might need more memory to unpack than an
 *   answer may have.
 * - At most 3 redirects, only to the same scheme, host and port (Gitea answers 301 or 307 after a rename),
 *   for GET and for requests that set `follow`. The method is kept.
 * - GET is repeated after a lost connection or 502, 503, 504 (or 429 with a short Retry-After), after a
 *   decorrelated back-off and within the request's deadline; it is not repeated after a time-out. Other
 *   methods are never repeated. So each uses a new connection: curl would repeat a request that met a
 *   kept-alive connection that had died.
 *
 * A host is a scheme, host and port, together with the health that its calls are recorded in; a part of it is
 * a repository or a project. Each exchange is recorded once (upstream_health.h). A request about a part that
 * backs off fails at once, without a call. While a host is down each pass sends at most UPSTREAM_PROBES calls
 * at the same time, about different parts, starting with the part that worked last. The pass's other requests
 * wait: they go on when one of the probes succeeds, and fail when all have failed.
 *
 * Memory: every exchange reserves LIMIT_ANSWER_FIRST (less with more than 16 `per_host`), or `answer_max` of
 * its request if that is less. If the answer of a GET is longer, the GET starts again and reserves all of
 * answer_max; other methods cannot start again and reserve all of it at once. At most LIMIT_FETCH_LARGE of
 * these large exchanges are under way per host, so that they delay only one another; all other exchanges of a
 * host reserve at most LIMIT_FETCH_HOST_BYTES together. No exchange begins while it, the others under way and
 * the answers in inboxes would take more than LIMIT_FETCH_BYTES.
 */
#ifndef RECONCILED_FETCH_H
#define RECONCILED_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"

struct fetch;
struct fetch_answer;
struct fetch_inbox;
struct upstream_health;

struct fetch_options {
    int64_t timeout_ms;  /* one exchange, from connect to the last byte */
    unsigned per_host;   /* exchanges in flight per host */
    const char *ca_file; /* PEM certificates to be trusted besides the system's; NULL: none */
    bool ourselves; /* the requests go to this program on this machine: no proxy is used, and the certificate
                       may name another host */
};

/* fetch_new: starts the thread. curl_global_init must have been called. Free with fetch_free. */
ATTR_NODISCARD enum err fetch_new(const struct fetch_options *options, struct fetch **ret, struct why *why);
/* fetch_free: aborts what is in flight and joins the thread. Every inbox must have been freed. NULL is fine.
 */
void fetch_free(struct fetch *fetch);

/* fetch_stop: from now on every request, also one under way, is answered FETCH_ABORTED at once, so that every
 * wait for an answer ends. A request under way with `finish_ms` may still end within that time. From any
 * thread; returns at once. fetch_is_stopped: whether fetch_stop was called. */
void fetch_stop(struct fetch *fetch);
bool fetch_is_stopped(struct fetch *fetch);

/* The upstream of a request, as a label of the metrics. */
enum fetch_upstream {
    FETCH_TO_OTHER,
    FETCH_TO_GITEA,
    FETCH_TO_PLANE,
    FETCH_TO_TELEGRAM,
    FETCH_TO_ORCHESTRATOR,
    FETCH_TO_NOTIFY_WEBHOOK,
    FETCH_TO_MAX_
};
/* fetch_upstream_name: "gitea", … Never NULL. */
const char *fetch_upstream_name(enum fetch_upstream upstream);

/* What an answer shows about the health of the part that was asked. */
enum fetch_sign {
    FETCH_SIGN_NONE, /* nothing */
    FETCH_SIGN_GOOD,
    FETCH_SIGN_BAD,
};
/* A judge is pure. The fetcher's thread calls it for every exchange that was not aborted, perhaps after the
 * inbox was freed: what it reads through the tag must live as long as the fetcher. For FETCH_SIGN_BAD it
 * writes a short error, without secrets. fetch_judge is the default: FETCH_SIGN_BAD without an answer, and
 * for 429, 500 and above. */
typedef enum fetch_sign fetch_judge_fn(const struct fetch_answer *answer, char *error, size_t size);
fetch_judge_fn fetch_judge;

struct fetch_request {
    enum fetch_upstream upstream;
    struct upstream_health *health; /* records the call; NULL: the health of its scheme, host and port */
    const char *part;      /* of the upstream: a repository, a project, each with one spelling; NULL */
    fetch_judge_fn *judge; /* NULL: fetch_judge */
    const char *secret;    /* no recorded error quotes an answer that contains it; NULL: none */
    uint64_t pass;   /* fetch_pass(): calls of one pass share its probes of a host that is down; 0: the inbox
                        counts as a pass of its own */
    bool forced;     /* a person asked for this pass: earlier back-offs do not delay it */
    bool waited_for; /* a person waits for this answer: the call may use the slots kept for such calls */
    const char *method; /* "GET", "POST", … */
    const char *url;    /* absolute; built with fetch_url */
    const char *const
        *headers;     /* "Name: value", NULL-terminated; may be NULL. May hold secrets: never logged */
    const char *body; /* NULL: none */
    size_t body_len;
    bool follow;         /* not for GET, which always does: 301, 307 and 308 are followed */
    size_t answer_max;   /* bytes that the answer's body may have, unpacked; 0: LIMIT_UPSTREAM_BODY */
    int64_t deadline_ms; /* the answer must arrive before this clock_mono_ms(); 0: only the limit of a call
                            holds */
    int64_t finish_ms;   /* how long after fetch_stop it may still go on */
    unsigned attempts;   /* at most this many exchanges; 0 means the default of 3 for GET, 1 for all others */
    void *tag;           /* comes back in the answer */
};

enum fetch_result {
    FETCH_ANSWERED,    /* a whole HTTP answer, whatever its status */
    FETCH_TIMED_OUT,   /* no whole answer in time */
    FETCH_UNREACHABLE, /* no connection: refused, no route, unknown name, TLS not verified */
    FETCH_CUT,         /* the connection broke in the middle */
    FETCH_TOO_LARGE,   /* the body or the headers passed their maximum, or might when unpacked */
    FETCH_NOT_ASKED,   /* not sent, because its part backs off or the host is down; see upstream_health.h */
    FETCH_ABORTED,     /* the inbox or the fetcher was stopped */
};

/* Secrets in an answer are scrubbed (secret_scrub): a server or a proxy may quote the request. */
struct fetch_answer {
    void *tag;
    enum fetch_result result;
    int status; /* HTTP status, 0 when not answered */
    char *body; /* NUL-terminated for convenience; NULL when none */
    size_t body_len;
    char content_type[64];       /* lower case, without parameters; "" when absent */
    int64_t total_count;         /* X-Total-Count, or -1 */
    int64_t retry_after_s;       /* Retry-After in seconds, 0 to LIMIT_RETRY_AFTER_S, or -1 */
    int64_t ratelimit_remaining; /* X-RateLimit-Remaining, or -1 */
    int64_t date_us;             /* Date, the middle of its second; 0: none, or a cache's (Age) */
    int64_t duration_ms;         /* of the last exchange */
    char proxy[128]; /* "the proxy HOST:PORT (http_proxy)" that plain http went by, and whose answer this may
                        be; "": none */
    char error[160]; /* why it failed, for a person: "timed out after 10 s", "connection refused"; "" when
                        answered */
};
/* fetch_answer_free: before fetch_free. NULL is fine. */
void fetch_answer_free(struct fetch_answer *answer);

/* fetch_keep: counts `bytes` more of answers that a caller keeps in memory; returns the total of all callers.
 * fetch_unkeep: the caller has freed `bytes`. The fetcher only counts; callers keep the limit. */
size_t fetch_keep(struct fetch *fetch, size_t bytes);
void fetch_unkeep(struct fetch *fetch, size_t bytes);

/* fetch_inbox_new / _free: an inbox belongs to one thread at a time. Freeing it abandons its requests under
 * way. */
struct fetch_inbox *fetch_inbox_new(struct fetch *fetch);
void fetch_inbox_free(struct fetch_inbox *inbox);

/* fetch_pass: a new number for fetch_request.pass. From any thread. */
uint64_t fetch_pass(struct fetch *fetch);

/* fetch_send: copies the request and queues it; every request gets exactly one answer. */
void fetch_send(struct fetch_inbox *inbox, const struct fetch_request *request);

/* fetch_gather: from now on requests wait for the next fetch_take, so that the fetcher can choose among all
 * of them. Call it before the first request. */
void fetch_gather(struct fetch_inbox *inbox);

/* fetch_take: the next answer, waiting up to `wait_ms` (0: no wait, -1: no limit); NULL when none arrived in
 * time. Caller frees with fetch_answer_free. */
struct fetch_answer *fetch_take(struct fetch_inbox *inbox, int64_t wait_ms);

/* fetch_inbox_on_ready: `on_ready(arg)` is called whenever an answer arrives, by the fetcher's thread and
 * under the inbox's lock: it must only wake a thread, and call no function of this header. It is not called
 * after the inbox was freed. Call fetch_inbox_on_ready before the first request. */
typedef void fetch_ready_fn(void *arg);
void fetch_inbox_on_ready(struct fetch_inbox *inbox, fetch_ready_fn *on_ready, void *arg);

/* fetch_pending: requests sent and not yet taken. */
size_t fetch_pending(const struct fetch_inbox *inbox);

/* fetch_inbox_abort: every request that waits or is in flight is answered FETCH_ABORTED soon. From any
 * thread. Later requests are not affected. */
void fetch_inbox_abort(struct fetch_inbox *inbox);

/* fetch_url: base + path segments + query, each segment and value percent-encoded ('/' too), by curl's URL
 * API. `segments` and `query` (name, value, name, value, …) are NULL-terminated and may be NULL. Keeps the
 * path of the base and drops its query. Returns NULL if `base` is no http(s) URL, if a segment is "." or ".."
 * (which curl or the server would remove), or if the URL would be longer than LIMIT_URL_MADE. Caller frees
 * with free(). */
char *fetch_url(const char *base, const char *const *segments, const char *const *query);

/* fetch_escape: `text` percent-encoded for one path segment or query value, '/' too. Caller frees with
 * free(). */
char *fetch_escape(const char *text);

/* fetch_url_shown: `text` in the form that may be shown: without user name and password, its query as "?...".
 * Never NULL. Caller frees with free(). */
char *fetch_url_shown(const char *text);
/* fetch_url_host: of `text`, in lower case, or "(not a URL)". Caller frees. */
char *fetch_url_host(const char *text);
/* fetch_proxy_shown: "the proxy HOST:PORT (VARIABLE)", as the variable of the environment has it, without its
 * user name and password. Caller frees. */
char *fetch_proxy_shown(const char *variable);
/* fetch_url_difference: the first thing in which two URLs differ. Ignores the scheme, and the port unless
 * both URLs have one. */
enum fetch_url_part { FETCH_URL_SAME, FETCH_URL_HOST, FETCH_URL_PORT, FETCH_URL_PATH };
enum fetch_url_part fetch_url_difference(const char *a, const char *b);
/* fetch_origin: "scheme://host:port" in lower case, NULL if it is no http(s) URL. Caller frees. */
char *fetch_origin(const char *text);
/* fetch_url_has_user: `text` is a URL, and holds a user name or a password. */
bool fetch_url_has_user(const char *text);

#endif
