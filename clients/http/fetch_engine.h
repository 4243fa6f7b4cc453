/* fetch_engine.h - what the parts of the fetcher share. Private to clients/fetch*.c.
 *
 * fetch.c is the callers' side: inboxes, sending, taking. fetch_engine.c is the thread: exchanges in flight,
 * repeats, results. fetch_turns.c holds the waiting jobs: it chooses the next one, and fails those that must
 * not be sent. fetch_exchange.c is one exchange: it sets curl up and reads its result. fetch_url.c builds and
 * compares URLs.
 *
 * A job belongs to its caller until it is submitted, then to the engine's thread, which ends it with
 * job_finish. The threads share `struct fetch` from `lock` on and `struct fetch_inbox`; everything else has
 * one owner.
 */
#ifndef RECONCILED_FETCH_ENGINE_H
#define RECONCILED_FETCH_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include <curl/curl.h>

#include "clients/base/text.h"
#include "clients/http/fetch.h"
#include "clients/http/upstream_health.h"

struct fetch_job;
TAILQ_HEAD(fetch_jobs, fetch_job);

struct fetch_item { /* an answer in an inbox */
    STAILQ_ENTRY(fetch_item) link;
    struct fetch *fetch;
    struct fetch_answer answer;
};

struct fetch_inbox {
    struct fetch *fetch;
    uint64_t pass;  /* of requests that name none */
    size_t pending; /* the owner's alone, like the next two */
    bool gathers;
    struct fetch_jobs gathered; /* sent with the next fetch_take */
    atomic_uint epoch;          /* jobs sent in an earlier epoch are aborted */
    atomic_size_t refs;         /* the owner and each job */
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    STAILQ_HEAD(fetch_items, fetch_item) items; /* guarded by lock, like `closed` */
    bool closed;                                /* no more answers will be taken */
    fetch_ready_fn *on_ready;                   /* set before the first request; NULL: none */
    void *on_ready_arg;
};

struct fetch_host;
struct fetch_part_queue;
struct fetch_part;
struct fetch_queue;

struct fetch_job {
    TAILQ_ENTRY(fetch_job) link; /* in exactly one list of the engine, or in `submitted` or `gathered` */
    struct fetch_inbox *inbox;
    unsigned epoch;
    void *tag;
    enum fetch_upstream upstream;
    struct upstream_health *health; /* a reference; NULL: its host's own */
    char *part_name;                /* may be NULL */
    fetch_judge_fn *judge;
    char *secret; /* may be NULL */
    uint64_t pass;
    bool forced, waited_for;
    int64_t sent_ms;
    char *method, *url, *origin, *body; /* origin is NULL when the URL is none */
    size_t body_len;
    struct curl_slist *headers;
    bool is_get, follow;
    int64_t deadline_ms; /* INT64_MAX: none */
    int64_t finish_ms;
    unsigned attempts_left, redirects;
    size_t answer_max, reserved; /* reserved: what the exchange may hold now */
    bool large;                  /* reserves all of answer_max */

    struct fetch_host *host;   /* these three from turns_put on */
    struct fetch_queue *queue; /* while it waits, and while it is a probe */
    struct fetch_part *part;   /* while it waits or has its turn */
    bool probe;                /* of a host that is down */
    bool trial;                /* the one call about a part whose back-off is over */
    bool again;                /* had a turn before, and continues in another one */
    int64_t backoff_ms;        /* the last pause */
    int64_t due_ms;            /* when it is tried again */

    CURL *easy; /* while in flight */
    int64_t limit_ms, connect_ms;
    struct buffer reply; /* up to `reserved` */
    size_t header_bytes;
    unsigned header_lines;
    const char *proxy;   /* the variable of the environment that names the proxy in use; NULL: none */
    const char *refused; /* why the answer is not read to its end, for a person; NULL: it is read */
};

/* A part of a host: a repository or a project. Kept while a job of it waits or is in flight, and as long as
 * its newest success counts. */
struct fetch_part {
    TAILQ_ENTRY(fetch_part) link;
    char *name;                /* may be NULL */
    size_t waiting;            /* jobs */
    size_t part_queues;        /* that are of this part */
    unsigned in_flight;        /* jobs that have their turn */
    unsigned window;           /* at most so many of them */
    bool trying;               /* one of them is a trial */
    struct upstream_part seen; /* its health, as of the last exchange */
};

/* The jobs of one pass that wait for one part of a host. Passes take turns, and so do the parts within each,
 * so that a request does not wait behind the thousands of another pass. */
struct fetch_part_queue {
    TAILQ_ENTRY(fetch_part_queue) link;
    struct fetch_part *part;
    bool large; /* all of its jobs are, or none */
    struct fetch_jobs jobs;
    bool probed; /* since the host is down */
};
TAILQ_HEAD(fetch_part_queues, fetch_part_queue);

/* The part_queues of one pass. Neither the queue nor any of them is empty, unless it keeps counts about a
 * host that is down.
 */
struct fetch_queue {
    TAILQ_ENTRY(fetch_queue) link;
    uint64_t pass;
    struct fetch_part_queues part_queues;
    unsigned probes;  /* sent since the host is down */
    unsigned probing; /* of these, not answered yet */
};

struct fetch_host {
    LIST_ENTRY(fetch_host) link;
    char *origin;
    struct upstream_health *health; /* a reference */
    bool own_health;                /* it is of calls that named none */
    TAILQ_HEAD(fetch_parts, fetch_part) parts;
    TAILQ_HEAD(fetch_queues, fetch_queue) queues;
    size_t n_queues, waiting;
    unsigned in_flight; /* jobs that have their turn */
    unsigned in_flight_large;
    size_t reserved;  /* by those of them that are not large */
    unsigned working; /* of these, jobs that no person waits for */
    bool was_down;    /* when last looked at */
};

struct fetch {
    /* immutable */
    int64_t timeout_ms;
    unsigned per_host;
    size_t first; /* what an exchange reserves at first */
    bool ourselves;
    char *ca_file;
    CURLM *multi;
    pthread_t thread;
    atomic_uint_fast64_t passes; /* from any thread: the last number given out */

    /* the thread's alone */
    LIST_HEAD(fetch_hosts, fetch_host) hosts;
    size_t n_hosts;
    struct fetch_jobs in_flight, backing_off; /* backing_off: to be tried again at due_ms */
    size_t reserved;                          /* by those that fly */
    int64_t queue_deadline_ms;                /* no job that waits for its turn expires before */
    CURL **idle;
    size_t n_idle, size_idle;
    uint64_t random;

    atomic_bool stopped;  /* fetch_stop was called */
    int64_t stopped_ms;   /* when the thread saw it; 0: not yet. The thread's alone */
    atomic_size_t held;   /* bytes of bodies that were answered and not freed */
    atomic_size_t kept;   /* see fetch_keep */
    pthread_mutex_t lock; /* guards the rest; wakes the thread by curl_multi_wakeup */
    struct fetch_jobs submitted;
    bool stopping, aborting;
};

/* The result of an exchange. */
struct fetch_outcome {
    enum fetch_result result;
    bool may_repeat; /* the connection was lost, or the status asks for it */
    bool silent;     /* there was no answer at all */
    struct fetch_answer answer;
};

/* fetch.c */
void fetch_job_free(struct fetch_job *job);
void fetch_inbox_put(struct fetch_job *job, const struct fetch_answer *answer_take);

/* fetch_engine.c: the body of the thread; arg is the struct fetch. job_fail: answers a job that is in no list
 * any more. */
void *fetch_engine_run(void *arg);
void job_fail(struct fetch_job *job, enum fetch_result result, const char *error);

/* fetch_turns.c. turns_put: the job waits for its turn, or fails at once. turns_next: removes and returns the
 * job whose turn it is, or NULL; fails jobs that must not be sent. turn_over: ends the turn; `result` is that
 * of the exchange, NULL when it showed nothing. turn_enlarge: ends the turn; the job waits for another, in
 * which it reserves all of answer_max, even if its part backs off by then. turns_drop: fails the waiting jobs
 * whose `end` (clock_mono_ms) has come, and returns the earliest end of the others. turns_empty: moves all
 * waiting jobs to `ret`. */
void turns_put(struct fetch *fetch, struct fetch_job *job, int64_t now_ms);
struct fetch_job *turns_next(struct fetch *fetch, struct fetch_host *host, int64_t now_ms);
void turn_over(struct fetch *fetch, struct fetch_job *job, const enum upstream_result *result,
               const char *error, int64_t now_ms);
void turn_enlarge(struct fetch *fetch, struct fetch_job *job, int64_t now_ms);
bool turn_may_repeat(const struct fetch_job *job);
typedef int64_t fetch_job_end(const struct fetch_job *job);
int64_t turns_drop(struct fetch *fetch, fetch_job_end *end, enum fetch_result result, const char *error,
                   int64_t now_ms);
void turns_empty(struct fetch *fetch, struct fetch_jobs *ret);
void turns_free(struct fetch *fetch);

/* fetch_exchange.c. exchange_start: prepares `easy` for the job; false if curl refused an option.
 * exchange_end: reads the result; takes the job's reply. exchange_redirect: the next URL, when the answer is
 * a redirect that may be followed; caller frees; else NULL. exchange_count: adds the exchange to the metrics;
 * call it once for every exchange that was started, while it has its `easy`. exchange_outgrew: the answer was
 * longer than `reserved`, which is less than answer_max, and did not announce more than answer_max.
 * exchange_drop_reply: frees what was read of it. */
bool exchange_start(const struct fetch *fetch, CURL *easy, struct fetch_job *job, int64_t now_ms);
void exchange_end(struct fetch_job *job, CURLcode code, struct fetch_outcome *ret);
char *exchange_redirect(const struct fetch_job *job);
void exchange_count(const struct fetch_job *job, enum fetch_result result);
bool exchange_outgrew(const struct fetch_job *job);
void exchange_drop_reply(struct fetch_job *job);

#endif
