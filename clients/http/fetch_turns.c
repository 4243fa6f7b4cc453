/* The waiting jobs: chooses the next one to send, and fails those that must not be sent.
 *
 * A part may have `window` exchanges in flight: a few at first, one more after each success, a few again
 * after a call without an answer. So a part that hangs uses only a few slots, however many jobs it has, and a
 * part that answers soon may use all. While other parts wait, it uses at most half of the slots. Some slots
 * are kept for calls that a person waits for, which no window limits; a part whose newest call worked may use
 * them too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/base/metric.h"
#include "clients/http/fetch_engine.h"

#define HOSTS_KEPT 64u  /* beyond it, hosts with nothing to do are dropped */
#define QUEUES_KEPT 64u /* of a host that is down; beyond it, passes with nothing to do are dropped */
#define WINDOW_FIRST UPSTREAM_FAILURES_IN_A_ROW /* enough to find out in one time-out */
#define JUST_NOW_MS 1000
#define KEPT_DIVISOR 8u /* one slot in so many is kept */

static unsigned min_u(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned max_u(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

static bool same_name(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* hosts, parts, queues, part_queues */

static bool worked_just_now(const struct fetch_part *part, int64_t now_ms)
{
    return part->seen.worked_ms >= now_ms - JUST_NOW_MS;
}

static void part_drop(struct fetch_host *host, struct fetch_part *part)
{
    TAILQ_REMOVE(&host->parts, part, link);
    free(part->name);
    free(part);
}

static struct fetch_part *part_of(const struct fetch *fetch, struct fetch_host *host, const char *name,
                                  int64_t now_ms)
{
    struct fetch_part *part, *next, *found = NULL;
    for (part = TAILQ_FIRST(&host->parts); part && !found; part = next) {
        next = TAILQ_NEXT(part, link);
        if (same_name(part->name, name))
            found = part;
        else if (!part->waiting && !part->in_flight && !part->part_queues && !worked_just_now(part, now_ms))
            part_drop(host, part);
    }
    if (!found) {
        found = mem_zero(1, sizeof *found);
        found->name = mem_dup(name);
        found->window = min_u(WINDOW_FIRST, fetch->per_host);
        upstream_health_part(host->health, name, &found->seen);
        TAILQ_INSERT_HEAD(&host->parts, found, link);
    }
    return found;
}

static void part_queue_drop(struct fetch_queue *queue, struct fetch_part_queue *part_queue)
{
    TAILQ_REMOVE(&queue->part_queues, part_queue, link);
    part_queue->part->part_queues--;
    free(part_queue);
}

static void queue_drop(struct fetch_host *host, struct fetch_queue *queue)
{
    struct fetch_part_queue *part_queue, *next;
    for (part_queue = TAILQ_FIRST(&queue->part_queues); part_queue; part_queue = next) {
        next = TAILQ_NEXT(part_queue, link);
        part_queue_drop(queue, part_queue);
    }
    TAILQ_REMOVE(&host->queues, queue, link);
    host->n_queues--;
    free(queue);
}

static bool has_jobs(const struct fetch_queue *queue)
{
    const struct fetch_part_queue *part_queue;
    TAILQ_FOREACH(part_queue, &queue->part_queues, link)
    if (!TAILQ_EMPTY(&part_queue->jobs))
        return true;
    return false;
}

static void queue_tidy(struct fetch_host *host, struct fetch_queue *queue)
{
    if (TAILQ_EMPTY(&queue->part_queues) && queue->probes == 0 && queue->probing == 0)
        queue_drop(host, queue);
}

/* After a job has left the part_queue. */
static void part_queue_tidy(struct fetch_host *host, struct fetch_queue *queue,
                            struct fetch_part_queue *part_queue)
{
    if (!TAILQ_EMPTY(&part_queue->jobs))
        return;
    if (!part_queue->probed)
        part_queue_drop(queue, part_queue);
    queue_tidy(host, queue);
}

static struct fetch_queue *queue_of(struct fetch_host *host, uint64_t pass)
{
    struct fetch_queue *queue, *next;
    TAILQ_FOREACH(queue, &host->queues, link)
    if (queue->pass == pass)
        return queue;
    for (queue = TAILQ_FIRST(&host->queues); queue && host->n_queues >= QUEUES_KEPT; queue = next) {
        next = TAILQ_NEXT(queue, link);
        if (queue->probing == 0 && !has_jobs(queue))
            queue_drop(host, queue);
    }
    queue = mem_zero(1, sizeof *queue);
    queue->pass = pass;
    TAILQ_INIT(&queue->part_queues);
    TAILQ_INSERT_TAIL(&host->queues, queue, link);
    host->n_queues++;
    return queue;
}

static struct fetch_part_queue *part_queue_of(struct fetch_queue *queue, struct fetch_part *part, bool large)
{
    struct fetch_part_queue *part_queue;
    bool probed = false;
    TAILQ_FOREACH(part_queue, &queue->part_queues, link)
    {
        if (part_queue->part == part && part_queue->large == large)
            return part_queue;
        probed |= part_queue->part == part && part_queue->probed;
    }
    part_queue = mem_zero(1, sizeof *part_queue);
    part_queue->part = part;
    part_queue->large = large;
    part_queue->probed = probed;
    part->part_queues++;
    TAILQ_INIT(&part_queue->jobs);
    TAILQ_INSERT_TAIL(&queue->part_queues, part_queue, link);
    return part_queue;
}

static void host_drop(struct fetch *fetch, struct fetch_host *host)
{
    struct fetch_queue *queue, *next_queue;
    struct fetch_part *part, *next_part;
    for (queue = TAILQ_FIRST(&host->queues); queue; queue = next_queue) {
        next_queue = TAILQ_NEXT(queue, link);
        queue_drop(host, queue);
    }
    for (part = TAILQ_FIRST(&host->parts); part; part = next_part) {
        next_part = TAILQ_NEXT(part, link);
        part_drop(host, part);
    }
    LIST_REMOVE(host, link);
    fetch->n_hosts--;
    upstream_health_free(host->health);
    free(host->origin);
    free(host);
}

static void hosts_forget(struct fetch *fetch, bool all)
{
    struct fetch_host *next;
    for (struct fetch_host *host = LIST_FIRST(&fetch->hosts); host; host = next) {
        next = LIST_NEXT(host, link);
        if (all || (host->in_flight == 0 && host->waiting == 0))
            host_drop(fetch, host);
    }
}

void turns_free(struct fetch *fetch)
{
    hosts_forget(fetch, true);
}

static struct fetch_host *host_of(struct fetch *fetch, const struct fetch_job *job)
{
    struct fetch_host *host;
    LIST_FOREACH(host, &fetch->hosts, link)
    if (strcmp(host->origin, job->origin) == 0 &&
        (job->health ? host->health == job->health : host->own_health))
        return host;
    if (fetch->n_hosts >= HOSTS_KEPT)
        hosts_forget(fetch, false);
    host = mem_zero(1, sizeof *host);
    host->origin = mem_dup(job->origin);
    host->own_health = !job->health;
    host->health = job->health ? upstream_health_ref(job->health) : upstream_health_new();
    TAILQ_INIT(&host->parts);
    TAILQ_INIT(&host->queues);
    LIST_INSERT_HEAD(&fetch->hosts, host, link);
    fetch->n_hosts++;
    return host;
}

/* Takes a waiting job out. The caller tidies the part_queue. */
static void job_leave(struct fetch_job *job, struct fetch_part_queue *part_queue)
{
    TAILQ_REMOVE(&part_queue->jobs, job, link);
    part_queue->part->waiting--;
    job->host->waiting--;
}

/* who is not asked */

/* A back-off that began before a forced call was sent does not delay it. The same holds for a call that a
 * person waits for, while the part gives answers, even bad ones: other objects of the same part may work. */
static bool ignores_backoff(const struct fetch_job *job, const struct fetch_part *part)
{
    if (job->again || (job->forced && part->seen.failed_ms <= job->sent_ms))
        return true;
    return (job->forced || job->waited_for) && part->seen.silent < UPSTREAM_FAILURES_IN_A_ROW;
}

static bool is_backing_off(const struct fetch_part *part, int64_t now_ms)
{
    return now_ms < part->seen.retry_ms && !part->trying;
}

static void job_fail_backing_off(struct fetch_job *job, const struct fetch_part *part, int64_t now_ms)
{
    char error[160];
    long long wait_s = (part->seen.retry_ms - now_ms + 999) / 1000;
    snprintf(error, sizeof error, "not asked: the last %u calls%s%.50s failed (%.50s); next try in %lld s",
             part->seen.failures, part->name ? " about " : "", part->name ? part->name : "", part->seen.error,
             wait_s > 0 ? wait_s : 1);
    job_fail(job, FETCH_NOT_ASKED, error);
}

/* Jobs of a part that backs off fail at once, without waiting for a slot. */
static void part_fail(struct fetch_host *host, struct fetch_part *part, int64_t now_ms)
{
    struct fetch_queue *queue, *next_queue;
    struct fetch_part_queue *part_queue, *next_part_queue;
    struct fetch_job *job, *next;
    for (queue = TAILQ_FIRST(&host->queues); queue && part->waiting; queue = next_queue) {
        next_queue = TAILQ_NEXT(queue, link);
        for (part_queue = TAILQ_FIRST(&queue->part_queues); part_queue; part_queue = next_part_queue) {
            next_part_queue = TAILQ_NEXT(part_queue, link);
            for (job = part_queue->part == part ? TAILQ_FIRST(&part_queue->jobs) : NULL; job; job = next) {
                next = TAILQ_NEXT(job, link);
                if (ignores_backoff(job, part))
                    continue;
                job_leave(job, part_queue);
                job_fail_backing_off(job, part, now_ms);
            }
            part_queue_tidy(host, queue, part_queue);
        }
    }
}

static void queue_fail_down(struct fetch_host *host, struct fetch_queue *queue, int64_t now_ms)
{
    struct upstream_view view;
    char error[160];
    upstream_health_view(host->health, now_ms, &view);
    snprintf(error, sizeof error, "not asked: the host is down (%.100s)", view.error);
    struct fetch_part_queue *part_queue, *next_part_queue;
    struct fetch_job *job;
    for (part_queue = TAILQ_FIRST(&queue->part_queues); part_queue; part_queue = next_part_queue) {
        next_part_queue = TAILQ_NEXT(part_queue, link);
        while ((job = TAILQ_FIRST(&part_queue->jobs))) {
            job_leave(job, part_queue);
            job_fail(job, FETCH_NOT_ASKED, error);
        }
        if (!part_queue->probed)
            part_queue_drop(queue, part_queue);
    }
}

void turns_put(struct fetch *fetch, struct fetch_job *job, int64_t now_ms)
{
    struct fetch_host *host = job->host = host_of(fetch, job);
    struct fetch_part *part = job->part = part_of(fetch, host, job->part_name, now_ms);
    upstream_health_want(host->health, job->part_name, now_ms);
    if (is_backing_off(part, now_ms) && !ignores_backoff(job, part) &&
        !upstream_health_is_down(host->health)) {
        job_fail_backing_off(job, part, now_ms);
        return;
    }
    job->queue = queue_of(host, job->pass);
    struct fetch_part_queue *part_queue = part_queue_of(job->queue, part, job->large);
    TAILQ_INSERT_TAIL(&part_queue->jobs, job, link);
    part->waiting++;
    host->waiting++;
    if (job->deadline_ms < fetch->queue_deadline_ms)
        fetch->queue_deadline_ms = job->deadline_ms;
}

/* whose turn it is */

static bool has_room(const struct fetch *fetch, const struct fetch_host *host, const struct fetch_job *job)
{
    return (job->large ? host->in_flight_large < LIMIT_FETCH_LARGE
                       : host->reserved + job->reserved <= LIMIT_FETCH_HOST_BYTES) &&
           fetch->reserved + atomic_load(&fetch->held) + job->reserved <= LIMIT_FETCH_BYTES;
}

/* While a part gives no answers, it may have only as many calls as are needed to make it back off. */
static unsigned part_limit(const struct fetch_part *part)
{
    unsigned silent = part->seen.silent;
    if (silent == 0)
        return part->window;
    return silent < UPSTREAM_FAILURES_IN_A_ROW ? UPSTREAM_FAILURES_IN_A_ROW - silent : 1;
}

static bool has_slot(const struct fetch *fetch, const struct fetch_host *host, const struct fetch_job *job,
                     int64_t now_ms)
{
    const struct fetch_part *part = job->part;
    if (!has_room(fetch, host, job))
        return false;
    unsigned limit = job->waited_for ? fetch->per_host : part_limit(part);
    if (host->waiting > part->waiting)
        limit = min_u(limit, max_u(1, fetch->per_host / 2));
    if (part->in_flight >= limit)
        return false;
    unsigned kept = fetch->per_host > 1 ? max_u(1, fetch->per_host / KEPT_DIVISOR) : 0;
    return job->waited_for || host->working < fetch->per_host - kept || worked_just_now(part, now_ms);
}

/* The first job of the part_queue gets its turn, and its queue moves behind the others. */
static struct fetch_job *turn_give(struct fetch *fetch, struct fetch_host *host, struct fetch_queue *queue,
                                   struct fetch_part_queue *part_queue)
{
    struct fetch_job *job = TAILQ_FIRST(&part_queue->jobs);
    job_leave(job, part_queue);
    job->part->in_flight++;
    host->in_flight++;
    host->working += !job->waited_for;
    host->in_flight_large += job->large;
    host->reserved += job->large ? 0 : job->reserved;
    fetch->reserved += job->reserved;
    TAILQ_REMOVE(&queue->part_queues, part_queue, link);
    TAILQ_INSERT_TAIL(&queue->part_queues, part_queue, link);
    TAILQ_REMOVE(&host->queues, queue, link);
    TAILQ_INSERT_TAIL(&host->queues, queue, link);
    part_queue_tidy(host, queue, part_queue);
    return job;
}

static bool works(const struct fetch_host *host, const struct fetch_part *part, int64_t now_ms)
{
    struct upstream_part now; /* what a caller has recorded itself is not seen yet */
    upstream_health_part(host->health, part->name, &now);
    return now.failures == 0 && now.worked_ms != UPSTREAM_NEVER &&
           now_ms - now.worked_ms < UPSTREAM_WINDOW_MS;
}

static bool is_probed(const struct fetch_queue *queue, const struct fetch_part *part)
{
    const struct fetch_part_queue *part_queue;
    TAILQ_FOREACH(part_queue, &queue->part_queues, link)
    if (part_queue->part == part && part_queue->probed)
        return true;
    return false;
}

/* A pass keeps its last probe for a part that works, as long as such a part has no call under way: a job of
 * it may arrive soon. Otherwise parts that always fail could use up all probes before that, and the pass
 * would not ask the working part again. */
static bool is_last_probe_kept(const struct fetch_host *host, const struct fetch_queue *queue, int64_t now_ms)
{
    const struct fetch_part *part;
    if (queue->probes + 1 < UPSTREAM_PROBES)
        return false;
    TAILQ_FOREACH(part, &host->parts, link)
    if (part->in_flight == 0 && !is_probed(queue, part) && works(host, part, now_ms))
        return true;
    return false;
}

/* The part that worked last, among those that this pass has not asked since the host is down. *ret_left:
 * there is such a part, even if it has no free slot. */
static struct fetch_part_queue *part_queue_to_probe(const struct fetch *fetch, const struct fetch_host *host,
                                                    const struct fetch_queue *queue, int64_t now_ms,
                                                    bool *ret_left)
{
    struct fetch_part_queue *part_queue, *best = NULL;
    *ret_left = false;
    if (queue->probes >= UPSTREAM_PROBES)
        return NULL;
    bool kept = is_last_probe_kept(host, queue, now_ms);
    TAILQ_FOREACH(part_queue, &queue->part_queues, link)
    {
        if (part_queue->probed || TAILQ_EMPTY(&part_queue->jobs) ||
            (kept && !works(host, part_queue->part, now_ms)))
            continue;
        *ret_left = true;
        if (has_slot(fetch, host, TAILQ_FIRST(&part_queue->jobs), now_ms) &&
            (!best || part_queue->part->seen.worked_ms > best->part->seen.worked_ms))
            best = part_queue;
    }
    return best;
}

static void probed_set(struct fetch_queue *queue, const struct fetch_part *part, bool probed)
{
    struct fetch_part_queue *part_queue;
    TAILQ_FOREACH(part_queue, &queue->part_queues, link)
    if (part_queue->part == part)
        part_queue->probed = probed;
}

/* A call to a part that works, sent before the host went down, is still under way. */
static bool is_hopeful(const struct fetch_host *host, int64_t now_ms)
{
    const struct fetch_part *part;
    TAILQ_FOREACH(part, &host->parts, link)
    if (part->in_flight > 0 && works(host, part, now_ms))
        return true;
    return false;
}

/* While the host is down: the next probe of any pass. A pass whose probes have all failed asks no more. */
static struct fetch_job *probe_next(struct fetch *fetch, struct fetch_host *host, int64_t now_ms)
{
    struct fetch_queue *queue, *next;
    host->was_down = true;
    for (queue = TAILQ_FIRST(&host->queues); queue; queue = next) {
        next = TAILQ_NEXT(queue, link);
        bool left;
        struct fetch_part_queue *part_queue = part_queue_to_probe(fetch, host, queue, now_ms, &left);
        if (part_queue) {
            probed_set(queue, part_queue->part, true);
            queue->probes++;
            queue->probing++;
            struct fetch_job *job = turn_give(fetch, host, queue, part_queue);
            job->probe = true;
            return job;
        }
        if (!left && queue->probing == 0 && has_jobs(queue) && !is_hopeful(host, now_ms))
            queue_fail_down(host, queue, now_ms);
    }
    return NULL;
}

static void host_recovers(struct fetch_host *host)
{
    struct fetch_queue *queue, *next;
    struct fetch_part_queue *part_queue, *next_part_queue;
    host->was_down = false;
    for (queue = TAILQ_FIRST(&host->queues); queue; queue = next) {
        next = TAILQ_NEXT(queue, link);
        for (part_queue = TAILQ_FIRST(&queue->part_queues); part_queue; part_queue = next_part_queue) {
            next_part_queue = TAILQ_NEXT(part_queue, link);
            part_queue->probed = false;
            if (TAILQ_EMPTY(&part_queue->jobs))
                part_queue_drop(queue, part_queue);
        }
        queue->probes = 0;
        queue_tidy(host, queue);
    }
}

/* NULL: no more now. *ret_again: something failed, look again. */
static struct fetch_job *host_next(struct fetch *fetch, struct fetch_host *host, int64_t now_ms,
                                   bool *ret_again)
{
    struct fetch_queue *queue;
    struct fetch_part_queue *part_queue;
    *ret_again = false;
    TAILQ_FOREACH(queue, &host->queues, link)
    TAILQ_FOREACH(part_queue, &queue->part_queues, link)
    {
        struct fetch_job *job = TAILQ_FIRST(&part_queue->jobs);
        struct fetch_part *part = part_queue->part;
        if (!job || !has_slot(fetch, host, job, now_ms))
            continue;
        bool forced = ignores_backoff(job, part);
        if (part->trying && !forced)
            continue; /* its end decides for the others */
        enum upstream_permit permit = upstream_health_permit(host->health, part->name, forced, now_ms);
        if (permit == UPSTREAM_ASK) {
            job->trial = part->seen.retry_ms != 0 && !forced;
            part->trying |= job->trial;
            return turn_give(fetch, host, queue, part_queue);
        }
        *ret_again = true;
        upstream_health_part(host->health, part->name, &part->seen);
        if (permit == UPSTREAM_BACKING_OFF)
            part_fail(host, part, now_ms);
        return NULL;
    }
    return NULL;
}

struct fetch_job *turns_next(struct fetch *fetch, struct fetch_host *host, int64_t now_ms)
{
    bool again = true;
    struct fetch_job *job = NULL;
    while (again && !job && host->waiting > 0 && host->in_flight < fetch->per_host) {
        if (upstream_health_is_down(host->health))
            return probe_next(fetch, host, now_ms);
        if (host->was_down)
            host_recovers(host);
        job = host_next(fetch, host, now_ms, &again);
    }
    return job;
}

void turn_over(struct fetch *fetch, struct fetch_job *job, const enum upstream_result *result,
               const char *error, int64_t now_ms)
{
    struct fetch_host *host = job->host;
    struct fetch_part *part = job->part;
    host->in_flight--;
    host->working -= !job->waited_for;
    host->in_flight_large -= job->large;
    host->reserved -= job->large ? 0 : job->reserved;
    fetch->reserved -= job->reserved;
    part->in_flight--;
    part->trying &= !job->trial;
    if (job->probe) {
        job->queue->probing--;
        queue_tidy(host, job->queue);
    }
    job->probe = job->trial = false;
    if (result) {
        bool ok = upstream_health_record(host->health, part->name, *result, error, now_ms);
        if (job->health)
            metric_set(METRIC_UPSTREAM_UP, fetch_upstream_name(job->upstream), ok);
        if (*result == UPSTREAM_WORKED)
            part->window = min_u(fetch->per_host, part->window + 1);
        else if (*result == UPSTREAM_SILENT)
            part->window = min_u(fetch->per_host, WINDOW_FIRST);
    }
    upstream_health_part(host->health, part->name, &part->seen);
    bool down = upstream_health_is_down(host->health);
    if (host->was_down && !down) /* at once: it may be down again before anything else has its turn */
        host_recovers(host);
    if (is_backing_off(part, now_ms) && !down)
        part_fail(host, part, now_ms);
}

void turn_enlarge(struct fetch *fetch, struct fetch_job *job, int64_t now_ms)
{
    if (job->probe) {
        probed_set(job->queue, job->part, false);
        job->queue->probes -= job->queue->probes > 0; /* none counts any more once the host has recovered */
    }
    job->again = true;
    turn_over(fetch, job, NULL, NULL, now_ms);
    job->large = true;
    job->reserved = job->answer_max;
    turns_put(fetch, job, now_ms);
}

bool turn_may_repeat(const struct fetch_job *job)
{
    return job->part->seen.silent == 0 && !upstream_health_is_down(job->host->health);
}

/* what waits no more */

int64_t turns_drop(struct fetch *fetch, fetch_job_end *end, enum fetch_result result, const char *error,
                   int64_t now_ms)
{
    struct fetch_host *host;
    struct fetch_queue *queue, *next_queue;
    struct fetch_part_queue *part_queue, *next_part_queue;
    struct fetch_job *job, *next;
    int64_t next_ms = INT64_MAX;
    LIST_FOREACH(host, &fetch->hosts, link)
    for (queue = TAILQ_FIRST(&host->queues); queue; queue = next_queue) {
        next_queue = TAILQ_NEXT(queue, link);
        for (part_queue = TAILQ_FIRST(&queue->part_queues); part_queue; part_queue = next_part_queue) {
            next_part_queue = TAILQ_NEXT(part_queue, link);
            for (job = TAILQ_FIRST(&part_queue->jobs); job; job = next) {
                next = TAILQ_NEXT(job, link);
                int64_t end_ms = end(job);
                if (end_ms <= now_ms) {
                    job_leave(job, part_queue);
                    job_fail(job, result, error);
                } else if (end_ms < next_ms) {
                    next_ms = end_ms;
                }
            }
            part_queue_tidy(host, queue, part_queue);
        }
    }
    return next_ms;
}

void turns_empty(struct fetch *fetch, struct fetch_jobs *ret)
{
    struct fetch_host *host;
    struct fetch_queue *queue;
    struct fetch_part_queue *part_queue;
    LIST_FOREACH(host, &fetch->hosts, link)
    TAILQ_FOREACH(queue, &host->queues, link)
    TAILQ_FOREACH(part_queue, &queue->part_queues, link)
    TAILQ_CONCAT(ret, &part_queue->jobs, link);
}
