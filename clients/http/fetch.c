#include "clients/http/fetch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/base/wait.h"
#include "clients/http/fetch_engine.h"

/* inboxes */

static void inbox_unref(struct fetch_inbox *inbox)
{
    if (atomic_fetch_sub(&inbox->refs, 1) != 1)
        return;
    pthread_cond_destroy(&inbox->arrived);
    pthread_mutex_destroy(&inbox->lock);
    free(inbox);
}

uint64_t fetch_pass(struct fetch *fetch)
{
    return atomic_fetch_add(&fetch->passes, 1) + 1;
}

struct fetch_inbox *fetch_inbox_new(struct fetch *fetch)
{
    struct fetch_inbox *inbox = mem_zero(1, sizeof *inbox);
    inbox->fetch = fetch;
    inbox->pass = fetch_pass(fetch);
    atomic_init(&inbox->refs, 1);
    pthread_mutex_init(&inbox->lock, NULL);
    cond_init(&inbox->arrived);
    STAILQ_INIT(&inbox->items);
    TAILQ_INIT(&inbox->gathered);
    return inbox;
}

/* Exchanges that wait for room may begin now. */
static void held_release(struct fetch *fetch, size_t bytes)
{
    size_t before = atomic_fetch_sub(&fetch->held, bytes);
    if (before > LIMIT_FETCH_BYTES / 4)
        curl_multi_wakeup(fetch->multi);
}

static void item_free(struct fetch_item *item)
{
    if (item->answer.body)
        held_release(item->fetch, item->answer.body_len);
    free(item->answer.body);
    free(item);
}

void fetch_inbox_free(struct fetch_inbox *inbox)
{
    if (!inbox)
        return;
    fetch_inbox_abort(inbox);
    struct fetch_job *job;
    while ((job = TAILQ_FIRST(&inbox->gathered))) {
        TAILQ_REMOVE(&inbox->gathered, job, link);
        fetch_job_free(job);
    }
    pthread_mutex_lock(&inbox->lock);
    inbox->closed = true;
    struct fetch_item *item;
    while ((item = STAILQ_FIRST(&inbox->items))) {
        STAILQ_REMOVE_HEAD(&inbox->items, link);
        item_free(item);
    }
    pthread_mutex_unlock(&inbox->lock);
    inbox_unref(inbox);
}

void fetch_inbox_abort(struct fetch_inbox *inbox)
{
    struct fetch *fetch = inbox->fetch;
    atomic_fetch_add(&inbox->epoch, 1);
    pthread_mutex_lock(&fetch->lock);
    fetch->aborting = true;
    pthread_mutex_unlock(&fetch->lock);
    curl_multi_wakeup(fetch->multi);
}

void fetch_inbox_put(struct fetch_job *job, const struct fetch_answer *answer_take)
{
    struct fetch_inbox *inbox = job->inbox;
    struct fetch_item *item = mem_zero(1, sizeof *item);
    item->fetch = inbox->fetch;
    item->answer = *answer_take;
    atomic_fetch_add(&item->fetch->held, item->answer.body_len);
    pthread_mutex_lock(&inbox->lock);
    bool wanted = !inbox->closed;
    if (wanted) {
        STAILQ_INSERT_TAIL(&inbox->items, item, link);
        pthread_cond_signal(&inbox->arrived);
        if (inbox->on_ready)
            inbox->on_ready(inbox->on_ready_arg);
    }
    pthread_mutex_unlock(&inbox->lock);
    if (!wanted)
        item_free(item);
}

void fetch_inbox_on_ready(struct fetch_inbox *inbox, fetch_ready_fn *on_ready, void *arg)
{
    inbox->on_ready = on_ready;
    inbox->on_ready_arg = arg;
}

size_t fetch_pending(const struct fetch_inbox *inbox)
{
    return inbox->pending;
}

static void submit(struct fetch_inbox *inbox)
{
    struct fetch *fetch = inbox->fetch;
    if (TAILQ_EMPTY(&inbox->gathered))
        return;
    pthread_mutex_lock(&fetch->lock);
    bool was_empty = TAILQ_EMPTY(&fetch->submitted);
    if (TAILQ_FIRST(&inbox->gathered)->epoch != atomic_load(&inbox->epoch))
        fetch->aborting = true; /* the abort came while they were gathered */
    TAILQ_CONCAT(&fetch->submitted, &inbox->gathered, link);
    pthread_mutex_unlock(&fetch->lock);
    if (was_empty) /* else the thread has been woken and has not looked yet */
        curl_multi_wakeup(fetch->multi);
}

struct fetch_answer *fetch_take(struct fetch_inbox *inbox, int64_t wait_ms)
{
    submit(inbox);
    int64_t until_ms = clock_mono_ms() + wait_ms;
    pthread_mutex_lock(&inbox->lock);
    int waited = 0;
    while (STAILQ_EMPTY(&inbox->items) && wait_ms != 0 && waited == 0)
        waited = wait_ms < 0 ? pthread_cond_wait(&inbox->arrived, &inbox->lock)
                             : cond_wait_until(&inbox->arrived, &inbox->lock, until_ms);
    struct fetch_item *item = STAILQ_FIRST(&inbox->items);
    if (item)
        STAILQ_REMOVE_HEAD(&inbox->items, link);
    pthread_mutex_unlock(&inbox->lock);
    if (!item)
        return NULL;
    inbox->pending--;
    return &item->answer;
}

void fetch_answer_free(struct fetch_answer *answer)
{
    if (answer)
        item_free((struct fetch_item *)(void *)((char *)answer - offsetof(struct fetch_item, answer)));
}

size_t fetch_keep(struct fetch *fetch, size_t bytes)
{
    return atomic_fetch_add(&fetch->kept, bytes) + bytes;
}

void fetch_unkeep(struct fetch *fetch, size_t bytes)
{
    atomic_fetch_sub(&fetch->kept, bytes);
}

static const char *const upstream_names[] = {
    [FETCH_TO_OTHER] = "other",
    [FETCH_TO_GITEA] = "gitea",
    [FETCH_TO_PLANE] = "plane",
    [FETCH_TO_TELEGRAM] = "telegram",
    [FETCH_TO_ORCHESTRATOR] = "orchestrator",
    [FETCH_TO_NOTIFY_WEBHOOK] = "notify_webhook",
};
static_assert(ARRAY_LEN(upstream_names) == FETCH_TO_MAX_, "every upstream has a name");

const char *fetch_upstream_name(enum fetch_upstream upstream)
{
    return (unsigned)upstream < FETCH_TO_MAX_ ? upstream_names[upstream] : "other";
}

/* jobs */

static struct curl_slist *headers_copy(const struct fetch_request *request)
{
    /* curl asks for "100 Continue" before a long body; not every server behind a proxy answers that. */
    struct curl_slist *list = request->body ? curl_slist_append(NULL, "Expect:") : NULL;
    for (const char *const *header = request->headers; header && *header; header++) {
        struct curl_slist *longer = curl_slist_append(list, *header);
        if (!longer)
            abort(); /* out of memory, see err.h */
        list = longer;
    }
    return list;
}

void fetch_job_free(struct fetch_job *job)
{
    inbox_unref(job->inbox);
    upstream_health_free(job->health);
    curl_slist_free_all(job->headers);
    free(job->part_name);
    free(job->secret);
    free(job->method);
    free(job->url);
    free(job->origin);
    free(job->body);
    free(job->reply.text);
    free(job);
}

void fetch_send(struct fetch_inbox *inbox, const struct fetch_request *request)
{
    struct fetch_job *job = mem_zero(1, sizeof *job);
    job->inbox = inbox;
    atomic_fetch_add(&inbox->refs, 1);
    job->epoch = atomic_load(&inbox->epoch);
    job->tag = request->tag;
    job->upstream = request->upstream;
    job->health = upstream_health_ref(request->health);
    job->part_name = mem_dup(request->part);
    job->judge = request->judge ? request->judge : fetch_judge;
    job->secret = mem_dup(request->secret);
    job->pass = request->pass ? request->pass : inbox->pass;
    job->forced = request->forced;
    job->waited_for = request->waited_for;
    job->method = mem_dup(request->method);
    job->url = mem_dup(request->url ? request->url : "");
    job->origin = fetch_origin(job->url);
    job->body = request->body ? mem_dupn(request->body, request->body_len) : NULL;
    job->body_len = request->body_len;
    job->headers = headers_copy(request);
    job->is_get = strcmp(job->method, "GET") == 0;
    job->follow = request->follow;
    job->finish_ms = request->finish_ms;
    job->deadline_ms = request->deadline_ms ? request->deadline_ms : INT64_MAX;
    job->attempts_left = request->attempts ? request->attempts : job->is_get ? 3 : 1;
    job->sent_ms = clock_mono_ms();
    job->answer_max = request->answer_max ? request->answer_max : LIMIT_UPSTREAM_BODY;
    job->large = job->answer_max > inbox->fetch->first && job->attempts_left == 1;
    job->reserved =
        job->large || job->answer_max < inbox->fetch->first ? job->answer_max : inbox->fetch->first;
    inbox->pending++;
    TAILQ_INSERT_TAIL(&inbox->gathered, job, link);
    if (!inbox->gathers)
        submit(inbox);
}

void fetch_gather(struct fetch_inbox *inbox)
{
    inbox->gathers = true;
}

/* the fetcher */

static void fetch_destroy(struct fetch *fetch)
{
    for (size_t i = 0; i < fetch->n_idle; i++)
        curl_easy_cleanup(fetch->idle[i]);
    free(fetch->idle);
    if (fetch->multi)
        curl_multi_cleanup(fetch->multi);
    pthread_mutex_destroy(&fetch->lock);
    free(fetch->ca_file);
    free(fetch);
}

enum err fetch_new(const struct fetch_options *options, struct fetch **ret, struct why *why)
{
    if (options->timeout_ms <= 0 || options->per_host == 0)
        return why_set(why, ERR_INVALID, "a fetcher needs a time limit and room for one call");
    struct fetch *fetch = mem_zero(1, sizeof *fetch);
    fetch->timeout_ms = options->timeout_ms;
    fetch->per_host = options->per_host;
    fetch->first = LIMIT_FETCH_HOST_BYTES / options->per_host;
    if (fetch->first > LIMIT_ANSWER_FIRST)
        fetch->first = LIMIT_ANSWER_FIRST;
    if (fetch->first < LIMIT_ANSWER_FIRST_LEAST)
        fetch->first = LIMIT_ANSWER_FIRST_LEAST;
    fetch->ourselves = options->ourselves;
    fetch->ca_file = mem_dup(options->ca_file);
    fetch->queue_deadline_ms = INT64_MAX;
    if (getrandom(&fetch->random, sizeof fetch->random, 0) != (ssize_t)sizeof fetch->random)
        fetch->random = (uint64_t)clock_mono_ms();
    LIST_INIT(&fetch->hosts);
    TAILQ_INIT(&fetch->in_flight);
    TAILQ_INIT(&fetch->backing_off);
    TAILQ_INIT(&fetch->submitted);
    pthread_mutex_init(&fetch->lock, NULL);
    fetch->multi = curl_multi_init();
    int failed = fetch->multi ? pthread_create(&fetch->thread, NULL, fetch_engine_run, fetch) : 1;
    if (failed) {
        fetch_destroy(fetch);
        return why_set(why, ERR_INTERNAL, "the fetcher's thread could not be started");
    }
    *ret = fetch;
    return ERR_OK;
}

void fetch_stop(struct fetch *fetch)
{
    atomic_store(&fetch->stopped, true);
    curl_multi_wakeup(fetch->multi);
}

bool fetch_is_stopped(struct fetch *fetch)
{
    return atomic_load(&fetch->stopped);
}

void fetch_free(struct fetch *fetch)
{
    if (!fetch)
        return;
    pthread_mutex_lock(&fetch->lock);
    fetch->stopping = true;
    pthread_mutex_unlock(&fetch->lock);
    curl_multi_wakeup(fetch->multi);
    pthread_join(fetch->thread, NULL);
    fetch_destroy(fetch);
}
