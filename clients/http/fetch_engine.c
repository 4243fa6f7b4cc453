/* The fetcher's thread. Each round: take submitted jobs, drop aborted and expired ones, start those whose
 * turn it is, let curl work, read results, sleep until something happens. */
#include "clients/http/fetch_engine.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/text.h"

#define BACKOFF_FIRST_MS 50
#define BACKOFF_MAX_MS 2000
#define LONGEST_SLEEP_MS 60000

static int64_t min_ms(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* xorshift64*: spreads retries, nothing more. */
static uint64_t random_below(struct fetch *fetch, uint64_t bound)
{
    uint64_t x = fetch->random | 1;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    fetch->random = x;
    return (x * 2685821657736338717u >> 11) % bound;
}

/* ending a job */

/* job_finish: the job, in no list any more, gets its answer. */
static void job_finish(struct fetch_job *job, const struct fetch_answer *answer_take)
{
    fetch_inbox_put(job, answer_take);
    fetch_job_free(job);
}

void job_fail(struct fetch_job *job, enum fetch_result result, const char *error)
{
    struct fetch_answer answer = {
        .tag = job->tag, .result = result, .total_count = -1, .retry_after_s = -1, .ratelimit_remaining = -1};
    snprintf(answer.error, sizeof answer.error, "%s", error);
    job_finish(job, &answer);
}

/* When it is to be aborted, as far as is known. */
static int64_t abort_ms(const struct fetch_job *job)
{
    int64_t stopped_ms = job->inbox->fetch->stopped_ms;
    if (job->epoch != atomic_load(&job->inbox->epoch))
        return 0;
    return stopped_ms ? stopped_ms + job->finish_ms : INT64_MAX;
}

/* health */

enum fetch_sign fetch_judge(const struct fetch_answer *answer, char *error, size_t size)
{
    if (answer->result == FETCH_ANSWERED && answer->status < 500 && answer->status != 429)
        return FETCH_SIGN_GOOD;
    if (answer->result != FETCH_ANSWERED)
        snprintf(error, size, "%s", answer->error);
    else
        snprintf(error, size, "answered %d", answer->status);
    return FETCH_SIGN_BAD;
}

/* A call that the request's deadline ended, before half of the time limit of a call, shows nothing about the
 * host. */
static enum fetch_sign sign_of(const struct fetch *fetch, const struct fetch_job *job,
                               const struct fetch_answer *answer, char *error, size_t size)
{
    if (answer->result == FETCH_ABORTED ||
        (answer->result == FETCH_TIMED_OUT && job->limit_ms < fetch->timeout_ms / 2))
        return FETCH_SIGN_NONE;
    enum fetch_sign sign = job->judge(answer, error, size);
    if (job->secret && answer->body &&
        memmem(answer->body, answer->body_len, job->secret, strlen(job->secret)))
        snprintf(error, size, "answered %d", answer->status);
    return sign;
}

/* The one place where an exchange is recorded. */
static void job_record(struct fetch *fetch, struct fetch_job *job, const struct fetch_outcome *outcome,
                       int64_t now_ms)
{
    char error[UPSTREAM_ERROR_SIZE] = "";
    enum fetch_sign sign = sign_of(fetch, job, &outcome->answer, error, sizeof error);
    enum upstream_result result = sign == FETCH_SIGN_GOOD ? UPSTREAM_WORKED
                                  : outcome->silent       ? UPSTREAM_SILENT
                                                          : UPSTREAM_FAILED;
    turn_over(fetch, job, sign == FETCH_SIGN_NONE ? NULL : &result, error, now_ms);
}

/* in_flight */

static CURL *easy_take(struct fetch *fetch)
{
    return fetch->n_idle > 0 ? fetch->idle[--fetch->n_idle] : curl_easy_init();
}

static void easy_give_back(struct fetch *fetch, CURL *easy)
{
    if (fetch->n_idle == fetch->size_idle) {
        fetch->size_idle = fetch->size_idle ? 2 * fetch->size_idle : 16;
        fetch->idle = mem_grow(fetch->idle, fetch->size_idle, sizeof(CURL *));
    }
    fetch->idle[fetch->n_idle++] = easy;
}

/* The one end of every exchange; the job keeps its turn. */
static void job_detach(struct fetch *fetch, struct fetch_job *job, enum fetch_result result)
{
    exchange_count(job, result);
    TAILQ_REMOVE(&fetch->in_flight, job, link);
    exchange_drop_reply(job); /* what it did not answer with */
    curl_multi_remove_handle(fetch->multi, job->easy);
    easy_give_back(fetch, job->easy);
    job->easy = NULL;
}

static void job_start(struct fetch *fetch, struct fetch_job *job, int64_t now_ms)
{
    CURL *easy = easy_take(fetch);
    if (!easy || !exchange_start(fetch, easy, job, now_ms) ||
        curl_multi_add_handle(fetch->multi, easy) != CURLM_OK) {
        curl_easy_cleanup(easy);
        turn_over(fetch, job, NULL, NULL, now_ms);
        job_fail(job, FETCH_UNREACHABLE, "the call could not be prepared");
        return;
    }
    job->attempts_left--;
    TAILQ_INSERT_TAIL(&fetch->in_flight, job, link);
}

static void hosts_start(struct fetch *fetch, int64_t now_ms)
{
    struct fetch_host *host;
    for (host = LIST_FIRST(&fetch->hosts); host; host = LIST_NEXT(host, link)) {
        struct fetch_job *job;
        while ((job = turns_next(fetch, host, now_ms)))
            job_start(fetch, job, now_ms);
    }
}

/* Decorrelated jitter: each pause is random between the first and three times the last. */
static bool job_back_off(struct fetch *fetch, struct fetch_job *job, int64_t retry_after_s, int64_t now_ms)
{
    int64_t spread =
        3 * job->backoff_ms > BACKOFF_FIRST_MS ? 3 * job->backoff_ms - BACKOFF_FIRST_MS : BACKOFF_FIRST_MS;
    int64_t pause = BACKOFF_FIRST_MS + (int64_t)random_below(fetch, (uint64_t)spread);
    job->backoff_ms = min_ms(pause, BACKOFF_MAX_MS);
    int64_t wait_ms = retry_after_s > 0 ? retry_after_s * 1000 + pause : job->backoff_ms;
    if (job->attempts_left == 0 || wait_ms >= job->deadline_ms - now_ms)
        return false;
    job->due_ms = now_ms + wait_ms;
    job->again = true;
    TAILQ_INSERT_TAIL(&fetch->backing_off, job, link);
    return true;
}

static bool job_redirect(struct fetch *fetch, struct fetch_job *job, int64_t now_ms)
{
    char *url = exchange_redirect(job);
    if (!url)
        return false;
    job_detach(fetch, job, FETCH_ANSWERED);
    free(job->url);
    job->url = url;
    job->redirects++;
    job->attempts_left++; /* the same attempt goes on */
    if (job->deadline_ms <= now_ms) {
        turn_over(fetch, job, NULL, NULL, now_ms);
        job_fail(job, FETCH_TIMED_OUT, "the time was over while following a redirect");
    } else {
        job_start(fetch, job, now_ms);
    }
    return true;
}

/* job_enlarge: the answer was longer than its reservation but not than answer_max: the job waits for another
 * turn, as a large one. The exchange counts as aborted, not as an attempt.
 */
static bool job_enlarge(struct fetch *fetch, struct fetch_job *job, int64_t now_ms)
{
    if (!exchange_outgrew(job))
        return false;
    job_detach(fetch, job, FETCH_ABORTED);
    job->attempts_left++;
    turn_enlarge(fetch, job, now_ms);
    return true;
}

static void job_done(struct fetch *fetch, struct fetch_job *job, CURLcode code, int64_t now_ms)
{
    if (code == CURLE_OK ? job_redirect(fetch, job, now_ms) : job_enlarge(fetch, job, now_ms))
        return;
    struct fetch_outcome outcome;
    exchange_end(job, code, &outcome);
    job_detach(fetch, job, outcome.result);
    job_record(fetch, job, &outcome, now_ms);
    if (outcome.may_repeat && job->is_get && turn_may_repeat(job) &&
        job_back_off(fetch, job, outcome.answer.retry_after_s, now_ms)) {
        free(outcome.answer.body);
        return;
    }
    job_finish(job, &outcome.answer);
}

static bool read_done(struct fetch *fetch)
{
    bool any = false;
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(fetch->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result; /* the message dies with its handle's leaving */
        struct fetch_job *job = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &job);
        job_done(fetch, job, code, clock_mono_ms());
        any = true;
    }
    return any;
}

/* what waits */

static int64_t deadline_ms(const struct fetch_job *job)
{
    return job->deadline_ms;
}

/* Returns when the next of those left is to be aborted. */
static int64_t drop_aborted(struct fetch *fetch, int64_t now_ms)
{
    int64_t next_ms = turns_drop(fetch, abort_ms, FETCH_ABORTED, "stopped", now_ms);
    struct fetch_job *job, *next;
    for (job = TAILQ_FIRST(&fetch->backing_off); job; job = next) {
        next = TAILQ_NEXT(job, link);
        int64_t end_ms = abort_ms(job);
        if (end_ms <= now_ms) {
            TAILQ_REMOVE(&fetch->backing_off, job, link);
            job_fail(job, FETCH_ABORTED, "stopped");
        } else {
            next_ms = min_ms(next_ms, end_ms);
        }
    }
    for (job = TAILQ_FIRST(&fetch->in_flight); job; job = next) {
        next = TAILQ_NEXT(job, link);
        int64_t end_ms = abort_ms(job);
        if (end_ms <= now_ms) {
            job_detach(fetch, job, FETCH_ABORTED);
            turn_over(fetch, job, NULL, NULL, now_ms);
            job_fail(job, FETCH_ABORTED, "stopped");
        } else {
            next_ms = min_ms(next_ms, end_ms);
        }
    }
    return next_ms;
}

/* Puts the rested ones whose time has come back into their queues; returns when the next is due. */
static int64_t wake_backed_off(struct fetch *fetch, int64_t now_ms)
{
    int64_t next_due = INT64_MAX;
    struct fetch_job *job, *next;
    for (job = TAILQ_FIRST(&fetch->backing_off); job; job = next) {
        next = TAILQ_NEXT(job, link);
        if (job->due_ms > now_ms) {
            next_due = min_ms(next_due, job->due_ms);
            continue;
        }
        TAILQ_REMOVE(&fetch->backing_off, job, link);
        turns_put(fetch, job, now_ms);
    }
    return next_due;
}

static bool take_submitted(struct fetch *fetch, struct fetch_jobs *ret_jobs, bool *ret_aborting)
{
    TAILQ_INIT(ret_jobs);
    pthread_mutex_lock(&fetch->lock);
    TAILQ_CONCAT(ret_jobs, &fetch->submitted, link);
    *ret_aborting = fetch->aborting;
    fetch->aborting = false;
    bool stopping = fetch->stopping;
    pthread_mutex_unlock(&fetch->lock);
    return !stopping;
}

static void enqueue_submitted(struct fetch *fetch, struct fetch_jobs *jobs, int64_t now_ms)
{
    struct fetch_job *job;
    while ((job = TAILQ_FIRST(jobs))) {
        TAILQ_REMOVE(jobs, job, link);
        if (!job->origin)
            job_fail(job, FETCH_UNREACHABLE, "the address is no http or https URL");
        else
            turns_put(fetch, job, now_ms);
    }
}

static void end_everything(struct fetch *fetch, struct fetch_jobs *submitted)
{
    TAILQ_CONCAT(submitted, &fetch->backing_off, link);
    struct fetch_job *job;
    while ((job = TAILQ_FIRST(&fetch->in_flight))) {
        job_detach(fetch, job, FETCH_ABORTED);
        TAILQ_INSERT_TAIL(submitted, job, link);
    }
    turns_empty(fetch, submitted);
    while ((job = TAILQ_FIRST(submitted))) {
        TAILQ_REMOVE(submitted, job, link);
        job_fail(job, FETCH_ABORTED, "stopped");
    }
    turns_free(fetch);
}

void *fetch_engine_run(void *arg)
{
    struct fetch *fetch = arg;
    (void)pthread_setname_np(pthread_self(), "fetcher"); /* for ps and gdb; its failure changes nothing */
    curl_multi_setopt(fetch->multi, CURLMOPT_MAXCONNECTS, (long)(4 * fetch->per_host));
    struct fetch_jobs submitted;
    bool aborting;
    while (take_submitted(fetch, &submitted, &aborting)) {
        int64_t now_ms = clock_mono_ms();
        enqueue_submitted(fetch, &submitted, now_ms);
        if (!fetch->stopped_ms && fetch_is_stopped(fetch))
            fetch->stopped_ms = now_ms;
        int64_t wake_ms = now_ms + LONGEST_SLEEP_MS;
        if (aborting || fetch->stopped_ms)
            wake_ms = min_ms(wake_ms, drop_aborted(fetch, now_ms));
        wake_ms = min_ms(wake_ms, wake_backed_off(fetch, now_ms));
        if (fetch->queue_deadline_ms <= now_ms)
            fetch->queue_deadline_ms =
                turns_drop(fetch, deadline_ms, FETCH_TIMED_OUT, "timed out before its turn came", now_ms);
        hosts_start(fetch, now_ms);

        int running;
        curl_multi_perform(fetch->multi, &running);
        if (read_done(fetch))
            continue; /* there may be room for others now */
        int64_t sleep_ms = min_ms(wake_ms, fetch->queue_deadline_ms) - clock_mono_ms();
        curl_multi_poll(fetch->multi, NULL, 0, sleep_ms > 0 ? (int)sleep_ms : 0, NULL);
    }
    end_everything(fetch, &submitted);
    return NULL;
}
