/* fetch_engine.h - what the parts of the fetcher share. Private to clients/fetch*.c.
 *
 * fetch.c is the callers' side: inboxes, sending, taking. fetch_engine.c is the thread: whose turn it is,
 * what is tried again, which host is broken. fetch_exchange.c is one exchange: how curl is set up, what its
 * result means. fetch_url.c builds and compares URLs.
 *
 * A job belongs to its caller until it is submitted, then to the engine's thread, which ends it with
 * job_finish. What the threads share is `struct fetch` from `lock` on and `struct fetch_inbox`; everything
 * else has one owner.
 */
#ifndef RECONCILED_FETCH_ENGINE_H
#define RECONCILED_FETCH_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include <curl/curl.h>

#include "clients/fetch.h"

struct fetch_item { /* an answer in an inbox */
    STAILQ_ENTRY(fetch_item) link;
    struct fetch *fetch;
    struct fetch_answer answer;
};

struct fetch_inbox {
    struct fetch *fetch;
    size_t pending;     /* the owner's alone */
    atomic_uint epoch;  /* jobs sent in an earlier epoch are aborted */
    atomic_size_t refs; /* the owner and each job */
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    STAILQ_HEAD(fetch_items, fetch_item) items; /* guarded by lock, like `closed` */
    bool closed;                                /* nobody will take anything any more */
    fetch_bell_fn *ring;                        /* set before the first request; NULL: nobody listens */
    void *ring_arg;
};

struct fetch_host;

struct fetch_job {
    TAILQ_ENTRY(fetch_job) link; /* in exactly one list of the engine, or in `submitted` */
    struct fetch_inbox *inbox;
    unsigned epoch;
    void *tag;
    enum fetch_upstream upstream;
    char *method, *url, *origin, *body; /* origin is NULL when the URL is none */
    size_t body_len;
    struct curl_slist *headers;
    bool is_get;
    int64_t deadline_ms; /* INT64_MAX: none */
    unsigned attempts_left, redirects;
    size_t answer_max, reserved; /* reserved: what the exchange may hold now */
    bool large;                  /* reserves all of answer_max */

    struct fetch_host *host;
    bool probes;        /* this exchange tells whether a broken host is back */
    int64_t backoff_ms; /* the last pause */
    int64_t due_ms;     /* when it is tried again */

    CURL *easy; /* while in flight */
    int64_t limit_ms, connect_ms;
    char *reply;
    size_t reply_len, reply_size;
    size_t header_bytes;
    unsigned header_lines;
    const char *refused; /* why the answer is not read to its end, for a person; NULL: it is */
};
TAILQ_HEAD(fetch_jobs, fetch_job);

/* The jobs of one inbox that wait for one host: inboxes take turns, so that a question asked while a pass has
 * thousands waiting is not behind them. */
struct fetch_lane {
    TAILQ_ENTRY(fetch_lane) link;
    const struct fetch_inbox *inbox;
    bool large; /* all of its jobs are, or none */
    struct fetch_jobs jobs;
};

struct fetch_host {
    LIST_ENTRY(fetch_host) link;
    char *origin;
    TAILQ_HEAD(fetch_lanes, fetch_lane) lanes; /* none is empty */
    unsigned flying, flying_large;
    size_t reserved; /* by those that fly and are not large */
    unsigned silent; /* exchanges in a row that timed out or could not be connected */
    bool broken, probing;
    int64_t probe_ms; /* when the next probe may go */
    char words[80];   /* how the last of them failed */
};

struct fetch {
    /* immutable */
    int64_t timeout_ms, probe_ms;
    unsigned per_host;
    size_t first; /* what an exchange reserves at first */
    bool ourselves;
    char *ca_file;
    CURLM *multi;
    pthread_t thread;

    /* the thread's alone */
    LIST_HEAD(fetch_hosts, fetch_host) hosts;
    size_t n_hosts;
    struct fetch_jobs flying, resting; /* resting: to be tried again at due_ms */
    size_t reserved;                   /* by those that fly */
    int64_t queue_deadline_ms;         /* no job that waits for its turn expires before */
    CURL **idle;
    size_t n_idle, size_idle;
    uint64_t random;

    atomic_size_t held;   /* bytes of bodies that were answered and not freed */
    atomic_size_t kept;   /* see fetch_keep */
    pthread_mutex_t lock; /* guards the rest; wakes the thread by curl_multi_wakeup */
    struct fetch_jobs submitted;
    bool stopping, aborting;
};

/* What became of an exchange. */
struct fetch_outcome {
    enum fetch_result result;
    bool may_repeat; /* the connection was lost, or the status asks for it */
    bool silent;     /* counts towards the host being broken */
    struct fetch_answer answer;
};

/* fetch.c */
void fetch_job_free(struct fetch_job *job);
void fetch_inbox_put(struct fetch_job *job, const struct fetch_answer *answer_take);

/* fetch_engine.c: the body of the thread; arg is the struct fetch. */
void *fetch_engine_run(void *arg);

/* fetch_exchange.c. exchange_start: prepares `easy` for the job; false if curl would not. exchange_end: reads
 * the result; takes the job's reply. exchange_redirect: the URL to go on to, when the answer is a redirect
 * that may be followed; caller frees; else NULL. exchange_count: into the metrics, once for every exchange
 * that was started, while it still has its `easy`.
 * exchange_outgrew: the answer was not read to its end because it passed what is reserved, which is less than
 * the request allows, and did not announce more than that either. exchange_drop_reply: frees what was read of
 * it. */
bool exchange_start(const struct fetch *fetch, CURL *easy, struct fetch_job *job, int64_t now_ms);
void exchange_end(struct fetch_job *job, CURLcode code, struct fetch_outcome *ret);
char *exchange_redirect(const struct fetch_job *job);
void exchange_count(const struct fetch_job *job, enum fetch_result result);
bool exchange_outgrew(const struct fetch_job *job);
void exchange_drop_reply(struct fetch_job *job);

/* fetch_url.c. fetch_origin: "scheme://host:port" in lower case, NULL if it is no http(s) URL. Caller
 * frees. */
char *fetch_origin(const char *text);

#endif
