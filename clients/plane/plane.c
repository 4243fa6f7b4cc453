/* Plane as an upstream: its address, its calls within the budget, its health. plane_requests.c has the
 * questions, plane_parse.c reads the answers, plane_budget.c computes the budget.
 *
 * Sources, makeplane/plane v0.23.0 to v1.3.1: plane/api/middleware/api_authentication.py for the header,
 * plane/api/rate_limit.py for the limit, plane/api/urls/ for paths. */
#include "clients/plane/plane.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/metric.h"
#include "clients/base/wait.h"
#include "clients/http/fetch.h"
#include "clients/http/upstream.h"
#include "clients/plane/plane_budget.h"
#include "clients/plane/plane_io.h"
#include "clients/plane/plane_parse.h"

struct plane {
    const struct upstream_names *names;
    char *workspace_url; /* NULL: not set up */
    char *token, *key_header;
    const char *headers[3];
    int64_t (*now_ms)(void); /* the budget's clock */

    pthread_mutex_t lock; /* guards the rest; never held over I/O */
    pthread_cond_t turn;
    bool busy; /* a call is under way */
    bool old;  /* issues/, not work-items/ */
    struct budget budget;
    int64_t waiting_since_us;
    int64_t date_us, date_ms; /* of the newest answer with a Date, and when it came; 0: none yet */
    int64_t skew_us;

    struct upstream_health *health; /* by project; has its own lock */
};

/* Whether all settings that calls to Plane need are set; `why` names a missing one. */
static bool is_set_up(const struct plane *plane, struct why *why)
{
    const char *missing = !plane->workspace_url ? plane->names->url
                          : !plane->token       ? plane->names->token
                                                : NULL;
    if (missing)
        (void)why_set(why, ERR_INVALID, "%s is not set", missing);
    return !missing;
}

static enum err workspace_url(const char *base_url, const char *workspace, const struct upstream_names *names,
                              char **ret, struct why *why)
{
    const char *const below[] = {"api", "v1", "workspaces", workspace, NULL};
    AUTO_FREE char *base = NULL;
    if (!workspace || !*workspace)
        return why_set(why, ERR_INVALID, "%s needs %s beside it", names->url, names->workspace);
    enum err err = upstream_base(base_url, names->url, &base, why);
    if (err)
        return err;
    *ret = fetch_url(base, below, NULL);
    return *ret ? ERR_OK
                : why_set(why, ERR_INVALID, "%s must be a workspace's name in URLs", names->workspace);
}

enum err plane_new(const char *base_url, const char *api_token, const char *workspace,
                   const struct upstream_names *names, struct plane **ret, struct why *why)
{
    char *url = NULL;
    struct why missing;
    enum err err = upstream_token_check(api_token, names->token, why);
    if (!err && base_url && *base_url)
        err = workspace_url(base_url, workspace, names, &url, why);
    if (err)
        return err;
    struct plane *plane = mem_zero(1, sizeof *plane);
    plane->names = names;
    plane->workspace_url = url;
    plane->now_ms = clock_mono_ms;
    plane->headers[0] = "Accept: application/json";
    if (api_token && *api_token) {
        plane->token = mem_dup(api_token);
        plane->key_header = mem_printf("X-Api-Key: %s", api_token);
        plane->headers[1] = plane->key_header;
    }
    cond_init(&plane->turn);
    pthread_mutex_init(&plane->lock, NULL);
    plane->health = upstream_health_new();
    if (!is_set_up(plane, &missing))
        (void)upstream_health_record(plane->health, NULL, UPSTREAM_FAILED, missing.text, clock_mono_ms());
    *ret = plane;
    return ERR_OK;
}

void plane_free(struct plane *plane)
{
    if (!plane)
        return;
    pthread_cond_destroy(&plane->turn);
    pthread_mutex_destroy(&plane->lock);
    upstream_health_free(plane->health);
    free(plane->workspace_url);
    free(plane->token);
    free(plane->key_header);
    free(plane);
}

bool plane_configured(const struct plane *plane)
{
    return plane->workspace_url != NULL;
}

void plane_clock(struct plane *plane, int64_t (*now_ms)(void))
{
    plane->now_ms = now_ms;
}

/* what all threads share */

struct upstream_health *plane_health(const struct plane *plane)
{
    return plane->health;
}

void plane_in_use(struct plane *plane, const char *project_id)
{
    char part[UUID_TEXT_LEN + 1];
    if (plane_uuid(project_id, part))
        upstream_health_want(plane->health, part, clock_mono_ms());
}

enum plane_result plane_told(struct plane *plane, const char *project_id, enum plane_result result,
                             const struct why *why)
{
    bool well = result == PLANE_OK || result == PLANE_ABSENT;
    if (result == PLANE_WAITING)
        metric_count(METRIC_PLANE_DEFERRED_CALLS, NULL, NULL);
    if (!well && result != PLANE_DOWN && result != PLANE_FAILED)
        return result;
    bool ok = upstream_health_record(plane->health, project_id, well ? UPSTREAM_WORKED : UPSTREAM_FAILED,
                                     why->text, clock_mono_ms());
    metric_set(METRIC_UPSTREAM_UP, "plane", ok);
    return result;
}

void plane_budget(struct plane *plane, struct plane_budget *ret)
{
    pthread_mutex_lock(&plane->lock);
    budget_show(&plane->budget, plane->now_ms(), ret);
    ret->waiting_since_us = plane->waiting_since_us;
    pthread_mutex_unlock(&plane->lock);
}

void plane_skew_measure(struct plane *plane, int64_t db_now_us, int64_t db_ms)
{
    pthread_mutex_lock(&plane->lock);
    if (plane->date_us && clock_mono_ms() - plane->date_ms <= LIMIT_DATE_MS) {
        int64_t skew_us = plane->date_us - db_now_us - (plane->date_ms - db_ms) * 1000;
        plane->skew_us = llabs(skew_us) < LIMIT_SKEW_S * INT64_C(1000000) ? 0 : skew_us;
    }
    pthread_mutex_unlock(&plane->lock);
}

int64_t plane_skew_us(struct plane *plane)
{
    pthread_mutex_lock(&plane->lock);
    int64_t skew_us = plane->skew_us;
    pthread_mutex_unlock(&plane->lock);
    return skew_us;
}

bool plane_clock_is_off(struct plane *plane)
{
    return llabs(plane_skew_us(plane)) > LIMIT_CLOCK_SLACK_S * INT64_C(1000000);
}

bool plane_is_old(struct plane *plane)
{
    pthread_mutex_lock(&plane->lock);
    bool old = plane->old;
    pthread_mutex_unlock(&plane->lock);
    return old;
}

bool plane_records_api_changes(struct plane *plane)
{
    return !plane_is_old(plane);
}

void plane_is_old_set(struct plane *plane, bool old)
{
    pthread_mutex_lock(&plane->lock);
    plane->old = old;
    pthread_mutex_unlock(&plane->lock);
}

/* one call after the other */

void plane_call_begin(struct plane_call *call, struct plane *plane, struct fetch *fetch, bool forced,
                      int64_t deadline_ms)
{
    *call = (struct plane_call){.plane = plane,
                                .fetch = fetch,
                                .inbox = fetch_inbox_new(fetch),
                                .pass = fetch_pass(fetch),
                                .forced = forced,
                                .deadline_ms = deadline_ms};
}

void plane_call_end(struct plane_call *call)
{
    fetch_inbox_free(call->inbox);
    call->inbox = NULL;
}

static bool is_stopping(const struct plane_call *call)
{
    return fetch_is_stopped(call->fetch) || clock_mono_ms() >= call->deadline_ms;
}

static enum plane_result stopped(const char *what, struct why *why)
{
    (void)why_set(why, ERR_UNAVAILABLE, "stopped while Plane was asked for %s", what);
    return PLANE_STOPPED;
}

/* Sets how long the call must wait when the budget allows no call. Called with the lock held. */
static void wait_begin(struct plane_call *call, int64_t now_ms)
{
    struct plane *plane = call->plane;
    call->wait_s = (budget_wait_ms(&plane->budget, call->forced, now_ms) + 999) / 1000;
    if (!call->forced && plane->waiting_since_us == 0)
        plane->waiting_since_us = clock_wall_us();
}

/* The same in words. */
static enum plane_result waiting(struct plane_call *call, int64_t now_ms, struct why *why)
{
    struct plane *plane = call->plane;
    bool forced = call->forced;
    struct plane_budget budget;
    wait_begin(call, now_ms);
    budget_show(&plane->budget, now_ms, &budget);
    long long wait_s = call->wait_s;
    if (budget_pause_ms(&plane->budget, now_ms) > 0)
        (void)why_set(why, ERR_RETRY, "Plane refused calls (429): it asks to wait %lld s more", wait_s);
    else if (forced)
        (void)why_set(why, ERR_RETRY,
                      "all %" PRId64 " calls a minute that Plane accepts are used up, for %lld s more",
                      budget.limit, wait_s);
    else
        (void)why_set(why, ERR_RETRY,
                      "of the %" PRId64 " calls a minute that Plane accepts only the %" PRId64
                      " reserved for forced passes are left, for %lld s more",
                      budget.limit, budget.reserve, wait_s);
    return PLANE_WAITING;
}

/* On PLANE_OK this caller has its turn, and the budget counts up to `n` calls as under way: *ret_n is their
 * number, ret[] their names. */
static enum plane_result turn_take(struct plane_call *call, const char *what, uint64_t *ret, size_t n,
                                   size_t *ret_n, struct why *why)
{
    struct plane *plane = call->plane;
    enum plane_result result = PLANE_OK;
    pthread_mutex_lock(&plane->lock);
    while (plane->busy && !is_stopping(call))
        (void)cond_wait_until(&plane->turn, &plane->lock, call->deadline_ms);
    int64_t now_ms = plane->now_ms();
    *ret_n = 0;
    while (!is_stopping(call) && *ret_n < n &&
           (ret[*ret_n] = budget_take(&plane->budget, call->forced, now_ms)))
        ++*ret_n;
    if (*ret_n > 0) {
        plane->busy = true;
        if (!call->forced)
            plane->waiting_since_us = 0;
    } else {
        result = is_stopping(call) ? stopped(what, why) : waiting(call, now_ms, why);
    }
    pthread_mutex_unlock(&plane->lock);
    return result;
}

static void call_settle(struct plane_call *call, uint64_t name, const struct fetch_answer *answer)
{
    struct plane *plane = call->plane;
    int64_t now_ms = plane->now_ms();
    pthread_mutex_lock(&plane->lock);
    budget_settle(&plane->budget, name, answer, now_ms);
    if (answer->result == FETCH_ANSWERED && answer->date_us) {
        plane->date_us = answer->date_us;
        plane->date_ms = clock_mono_ms();
    }
    if (answer->result == FETCH_ANSWERED && answer->status == 429)
        wait_begin(call, now_ms);
    pthread_mutex_unlock(&plane->lock);
}

static void turn_end(const struct plane_call *call)
{
    pthread_mutex_lock(&call->plane->lock);
    call->plane->busy = false;
    pthread_cond_broadcast(&call->plane->turn); /* the one that a signal wakes may send nothing */
    pthread_mutex_unlock(&call->plane->lock);
}

/* plane_told records the result for Plane's health, after the answer has been read. */
static enum fetch_sign no_judge(const struct fetch_answer *answer, char *error, size_t size)
{
    (void)answer, (void)error, (void)size;
    return FETCH_SIGN_NONE;
}

/* One exchange only: otherwise the fetcher would repeat a GET, and each would count. Callers decide how long
 * a project or an issue rests after a failure, so no back-off applies here. `tag` may be NULL. */
static void exchange_begin(struct plane_call *call, const char *project_id, const char *url,
                           size_t answer_max, void *tag)
{
    fetch_send(call->inbox, &(struct fetch_request){.upstream = FETCH_TO_PLANE,
                                                    .health = call->plane->health,
                                                    .part = project_id,
                                                    .judge = no_judge,
                                                    .pass = call->pass,
                                                    .forced = true,
                                                    .method = "GET",
                                                    .url = url,
                                                    .headers = call->plane->headers,
                                                    .answer_max = answer_max,
                                                    .deadline_ms = call->deadline_ms,
                                                    .attempts = 1,
                                                    .tag = tag});
    call->sent++;
}

/* The first answer to a request under way. Never NULL, because the deadline and fetch_stop end every request.
 */
static struct fetch_answer *exchange_end(struct plane_call *call)
{
    return fetch_take(call->inbox, -1);
}

/* A proxy may quote the request, and its text may be cut, so that only a part of the key is in it. */
static bool quotes_key(const struct plane *plane, const struct fetch_answer *answer)
{
    return answer->body && strstr(answer->body, plane->token);
}

static void answer_read(const struct plane_call *call, const struct fetch_answer *answer, const char *what,
                        struct plane_reply *ret, struct why *why)
{
    plane_reply_read(answer, what, call->plane->names, ret, why);
    if (ret->result != PLANE_OK && quotes_key(call->plane, answer))
        (void)why_set(why, ERR_INVALID, "Plane answered %d for %s", answer->status, what);
    if (answer->result == FETCH_TIMED_OUT && is_stopping(call)) /* the pass's time, not Plane's */
        ret->result = stopped(what, why);
}

enum plane_result plane_ask(struct plane_call *call, const char *const *path, const char *const *query,
                            const char *what, size_t answer_max, json_t **ret, bool *ret_unrouted,
                            struct why *why)
{
    struct plane *plane = call->plane;
    uint64_t name;
    size_t n;
    call->refused = false;
    if (!is_set_up(plane, why))
        return PLANE_FAILED;
    enum plane_result turn = turn_take(call, what, &name, 1, &n, why);
    if (turn != PLANE_OK)
        return turn;
    AUTO_FREE char *url = fetch_url(plane->workspace_url, path, query);
    exchange_begin(call, path[1], url, answer_max, NULL);
    struct fetch_answer *answer = exchange_end(call);
    struct plane_reply reply;
    call->refused = answer->result == FETCH_ANSWERED && answer->status == 429;
    call_settle(call, name, answer);
    turn_end(call);
    answer_read(call, answer, what, &reply, why);
    if (call->refused) {
        AUTO_FREE char *refusal = mem_dup(why->text);
        (void)why_set(why, ERR_RETRY, "%s; it takes calls again in %" PRId64 " s", refusal, call->wait_s);
    }
    fetch_answer_free(answer);
    *ret = reply.json;
    *ret_unrouted = reply.unrouted;
    return reply.result;
}

/* is it up again? */

/* One project's question. */
struct probe {
    char project_id[UUID_TEXT_LEN + 1]; /* lower case */
    int64_t worked_ms;
    uint64_t name; /* in the budget */
};

static int worked_last_first(const void *a, const void *b)
{
    int64_t left = ((const struct probe *)a)->worked_ms, right = ((const struct probe *)b)->worked_ms;
    return (left < right) - (left > right);
}

static void probe_send(struct plane_call *call, struct probe *probe)
{
    const char *const path[] = {"projects", probe->project_id, "states", "", NULL};
    static const char *const query[] = {"per_page", "1", "cursor", "1:0:0", "fields", "id", NULL};
    AUTO_FREE char *url = fetch_url(call->plane->workspace_url, path, query);
    exchange_begin(call, probe->project_id, url, LIMIT_ANSWER_PLANE_PROBE, probe);
}

static void probe_take(struct plane_call *call)
{
    struct fetch_answer *answer = exchange_end(call);
    const struct probe *probe = answer->tag;
    struct plane_reply reply;
    struct why why = {.text = ""};
    char what[sizeof "states of project " + UUID_TEXT_LEN];
    snprintf(what, sizeof what, "states of project %s", probe->project_id);
    call_settle(call, probe->name, answer);
    answer_read(call, answer, what, &reply, &why);
    (void)plane_told(call->plane, probe->project_id, reply.result, &why);
    json_decref(reply.json);
    fetch_answer_free(answer);
}

bool plane_probe(struct plane_call *call, const char *const *project_ids, size_t n)
{
    struct plane *plane = call->plane;
    uint64_t names[LIMIT_PLANE_ABREAST];
    struct why why;
    size_t may = UPSTREAM_PROBES < LIMIT_PLANE_ABREAST ? UPSTREAM_PROBES : LIMIT_PLANE_ABREAST, taken;
    if (call->probed || n == 0 || !upstream_health_is_down(plane->health))
        return false;
    if (turn_take(call, "its states", names, n < may ? n : may, &taken, &why) != PLANE_OK)
        return false;
    struct probe *probes = mem_zero(n, sizeof *probes);
    call->probed = true;
    for (size_t i = 0; i < n; i++) {
        (void)plane_uuid(project_ids[i], probes[i].project_id);
        struct upstream_part part;
        upstream_health_part(plane->health, probes[i].project_id, &part);
        probes[i].worked_ms = part.worked_ms;
    }
    qsort(probes, n, sizeof *probes, worked_last_first);
    for (size_t i = 0; i < taken; i++) {
        probes[i].name = names[i];
        probe_send(call, &probes[i]);
    }
    for (size_t i = 0; i < taken; i++)
        probe_take(call);
    turn_end(call);
    free(probes);
    return !upstream_health_is_down(plane->health);
}
