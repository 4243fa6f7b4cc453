/* fetch.h - many HTTP exchanges at once, for any number of threads: one thread, one curl multi handle.
 *
 * A caller owns an inbox, sends requests from it and takes answers out of it, in the order they arrive. The
 * fetcher's thread does the input and output alone: parsing and deciding happen in the caller's thread.
 *
 * Policy, set in one place and nowhere else: http and https only; TLS verified; HTTP/1.1; kept-alive
 * connections; at most `per_host` exchanges in flight per host, the rest wait their turn outside curl (queue
 * time is not call time): passes take turns, and so do the parts of the host within each; three time limits
 * (connecting: half of the call's; the whole call; the request's own deadline); a body longer than the
 * request allows ends the exchange (counted after decompression), and so do too many headers and a coding
 * other than gzip, which might take more memory to unpack than any answer may; no proxy unless the
 * environment names one (http_proxy, https_proxy, all_proxy, no_proxy, as curl knows them); no cookies; no
 * redirect but to the same scheme, host and port, at most 3 (Gitea answers 301 or 307 after a rename), for
 * GET and for requests that ask for it, whose method is kept. GET is tried again, after a decorrelated
 * back-off, on a lost connection or 502, 503, 504 (or 429 with a short Retry-After), within the request's
 * deadline; never after a time-out, and nothing but GET ever (so all else goes over a connection of its own:
 * curl repeats what met a kept-alive one that had died).
 *
 * A host is a scheme, host and port, and whose health its calls are recorded in; a part of it is a repository
 * or a project. Each exchange is recorded once (upstream_health.h). What is asked about a part that backs off
 * fails at once, without a call. While a host is down each pass sends UPSTREAM_PROBES calls at most, side by
 * side, about different parts, those that worked last first; its others wait until one of these succeeds and
 * then go on, or fail once all have failed.
 *
 * Memory: every exchange reserves LIMIT_ANSWER_FIRST (less with more than 16 `per_host`), or what its request
 * allows if that is less. A GET whose answer is longer is begun again with all that its request allows; what
 * cannot be begun again reserves that at once. Of such large ones LIMIT_FETCH_LARGE are under way per host,
 * so that they delay one another and nothing else; all others of a host reserve LIMIT_FETCH_HOST_BYTES
 * together. No exchange begins while it, the others under way and the answers in inboxes would take more than
 * LIMIT_FETCH_BYTES.
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
    bool ourselves;      /* what is asked is this program on this machine: past every proxy, and whatever its
                            certificate names, for it names us as others do */
};

/* fetch_new: starts the thread. curl_global_init must have been called. Free with fetch_free. */
ATTR_NODISCARD enum err fetch_new(const struct fetch_options *options, struct fetch **ret, struct why *why);
/* fetch_free: aborts what is in flight and joins the thread. Every inbox must have been freed. NULL is fine.
 */
void fetch_free(struct fetch *fetch);

/* fetch_stop: from now on every request is answered FETCH_ABORTED at once, those under way included, so that
 * no wait for an answer outlasts it; a request with `finish_ms` gets that long to end first. From any thread;
 * returns at once. fetch_is_stopped: it was called. */
void fetch_stop(struct fetch *fetch);
bool fetch_is_stopped(struct fetch *fetch);

/* Whom a request is for, as a label of the metrics. */
enum fetch_upstream {
    FETCH_TO_OTHER,
    FETCH_TO_GITEA,
    FETCH_TO_PLANE,
    FETCH_TO_TELEGRAM,
    FETCH_TO_ORCHESTRATOR,
    FETCH_TO_MAX_
};
/* fetch_upstream_name: "gitea", … Never NULL. */
const char *fetch_upstream_name(enum fetch_upstream upstream);

/* What an answer shows of the part of the upstream that gave it. */
enum fetch_sign {
    FETCH_SIGN_NONE, /* nothing */
    FETCH_SIGN_GOOD,
    FETCH_SIGN_BAD,
};
/* A judge is pure, and called by the fetcher's thread with every exchange that was not aborted, perhaps
 * after its inbox was freed: what it reads of the tag must live as long as the fetcher. For FETCH_SIGN_BAD it
 * writes a short error, without secrets. fetch_judge is what a request without a judge of its own gets: bad
 * is no answer, 429, 500 and above. */
typedef enum fetch_sign fetch_judge_fn(const struct fetch_answer *answer, char *error, size_t size);
fetch_judge_fn fetch_judge;

struct fetch_request {
    enum fetch_upstream upstream;
    struct upstream_health *health; /* whose calls this is one of; NULL: that of its scheme, host and port */
    const char *part;      /* of the upstream: a repository, a project, each with one spelling; NULL */
    fetch_judge_fn *judge; /* NULL: fetch_judge */
    const char *secret;    /* an answer that holds it is quoted in no recorded error; NULL: none */
    uint64_t pass;         /* fetch_pass(): calls of one pass share what it may ask of a host that is
                              down; 0: the inbox is a pass of its own */
    bool forced;           /* a person asked for this pass: back-offs from before do not hold it up */
    bool waited_for;    /* a person waits for this answer: may use the slots that are kept for such calls */
    const char *method; /* "GET", "POST", … */
    const char *url;    /* absolute; built with fetch_url */
    const char *const
        *headers;     /* "Name: value", NULL-terminated; may be NULL. May hold secrets: never logged */
    const char *body; /* NULL: none */
    size_t body_len;
    bool follow;         /* not for GET, which always does: 301, 307 and 308 are followed */
    size_t answer_max;   /* bytes that the answer's body may have, unpacked; 0: LIMIT_UPSTREAM_BODY */
    int64_t deadline_ms; /* clock_mono_ms() after which this must have been answered; 0: none but the call's
                            own limit */
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
    FETCH_NOT_ASKED,   /* not sent: its part backs off, or the host is down; see upstream_health.h */
    FETCH_ABORTED,     /* the inbox or the fetcher was stopped */
};

/* Secrets that it holds are scrubbed (secret_scrub): a server or a proxy may quote what it was asked. */
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
    char error[160]; /* why it failed, for a person: "timed out after 10 s", "connection refused"; "" when
                        answered */
};
/* fetch_answer_free: before fetch_free. NULL is fine. */
void fetch_answer_free(struct fetch_answer *answer);

/* fetch_keep: `bytes` more are kept of what was answered; returns the total over all callers.
 * fetch_unkeep: so many are kept no longer. For callers to bound; the fetcher only counts. */
size_t fetch_keep(struct fetch *fetch, size_t bytes);
void fetch_unkeep(struct fetch *fetch, size_t bytes);

/* fetch_inbox_new / _free: an inbox belongs to one thread at a time. Freeing it abandons what it still waits
 * for. */
struct fetch_inbox *fetch_inbox_new(struct fetch *fetch);
void fetch_inbox_free(struct fetch_inbox *inbox);

/* fetch_pass: a number that no pass has had yet, for fetch_request.pass. From any thread. */
uint64_t fetch_pass(struct fetch *fetch);

/* fetch_send: copies the request and queues it; an answer will come, whatever happens. */
void fetch_send(struct fetch_inbox *inbox, const struct fetch_request *request);

/* fetch_gather: from now on, what is sent waits for the next fetch_take, so that the fetcher chooses among
 * all of it. Before the first request. */
void fetch_gather(struct fetch_inbox *inbox);

/* fetch_take: the next answer, waiting up to `wait_ms` (0: not at all, -1: for ever); NULL when there was
 * none in time. Caller frees with fetch_answer_free. */
struct fetch_answer *fetch_take(struct fetch_inbox *inbox, int64_t wait_ms);

/* fetch_inbox_on_ready: `on_ready(arg)` is called whenever an answer has come in, by the fetcher's thread and
 * under the inbox's lock: it must only wake a thread, and call nothing here. Never again once the inbox is
 * freed. Before the first request. */
typedef void fetch_ready_fn(void *arg);
void fetch_inbox_on_ready(struct fetch_inbox *inbox, fetch_ready_fn *on_ready, void *arg);

/* fetch_pending: requests sent and not yet taken. */
size_t fetch_pending(const struct fetch_inbox *inbox);

/* fetch_inbox_abort: every request still waiting or in flight is answered FETCH_ABORTED soon. From any
 * thread. What is sent afterwards is not touched. */
void fetch_inbox_abort(struct fetch_inbox *inbox);

/* fetch_url: base + path segments + query, each segment and value percent-encoded ('/' too), by curl's URL
 * API. `segments` and `query` (name, value, name, value, …) are NULL-terminated and may be NULL. Keeps a path
 * that the base has, drops its query. Returns NULL if `base` is no http(s) URL, or if a segment is "." or
 * "..", which could not reach the server as such, or if it would be longer than LIMIT_URL_MADE. Caller frees
 * with free(). */
char *fetch_url(const char *base, const char *const *segments, const char *const *query);

/* fetch_escape: `text` percent-encoded for one path segment or query value, '/' too. Caller frees with
 * free(). */
char *fetch_escape(const char *text);

/* fetch_url_shown: `text` as a person may see it: without user name and password, its query as "?...". Never
 * NULL. Caller frees with free(). */
char *fetch_url_shown(const char *text);
/* fetch_url_host: of `text`, in lower case, or "(not a URL)". Caller frees. */
char *fetch_url_host(const char *text);
/* fetch_url_difference: the first thing in which two URLs differ. The scheme does not matter, and the port
 * only where both name one. */
enum fetch_url_part { FETCH_URL_SAME, FETCH_URL_HOST, FETCH_URL_PORT, FETCH_URL_PATH };
enum fetch_url_part fetch_url_difference(const char *a, const char *b);
/* fetch_origin: "scheme://host:port" in lower case, NULL if it is no http(s) URL. Caller frees. */
char *fetch_origin(const char *text);
/* fetch_url_has_user: `text` is a URL, and holds a user name or a password. */
bool fetch_url_has_user(const char *text);

#endif
