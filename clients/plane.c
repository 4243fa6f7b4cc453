/* Plane as an upstream: where it is, how it is asked within its budget, how it fares. The questions are in
 * plane_questions.c, what answers mean in plane_parse.c, the budget's arithmetic in plane_budget.c.
 *
 * Sources, makeplane/plane v0.23.0 to v1.3.1: plane/api/middleware/api_authentication.py for the header,
 * plane/api/rate_limit.py for the limit, plane/api/urls/ for paths. */
#include "clients/plane.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/metric.h"
#include "clients/base/wait.h"
#include "clients/fetch.h"
#include "clients/plane_budget.h"
#include "clients/plane_io.h"
#include "clients/plane_parse.h"

#define LOOK_MS 50 /* how often a call under way looks whether it is to stop */

struct plane {
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
    struct plane_health health;
};

static const char url_missing[] = "ORCH_PLANE_URL is not set";
static const char token_missing[] = "ORCH_PLANE_API_TOKEN is not set";

static bool is_header_text(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x21 || (unsigned char)*text > 0x7e)
            return false;
    return true;
}

static void health_set(struct plane *plane, bool ok, const char *words)
{
    AUTO_FREE char *cut = text_cut(words, sizeof plane->health.words - 1);
    pthread_mutex_lock(&plane->lock);
    if (ok != plane->health.ok || plane->health.since_us == 0)
        plane->health.since_us = clock_wall_us();
    plane->health.ok = ok;
    memcpy(plane->health.words, cut, strlen(cut) + 1);
    pthread_mutex_unlock(&plane->lock);
}

enum err plane_new(const char *base_url, const char *api_token, const char *workspace, struct plane **ret,
                   struct why *why)
{
    bool wanted = base_url && *base_url;
    const char *const below[] = {"api", "v1", "workspaces", workspace ? workspace : "", NULL};
    if (wanted && !(workspace && *workspace))
        return why_set(why, ERR_INVALID, "ORCH_PLANE_URL needs ORCH_PLANE_WORKSPACE beside it");
    if (api_token && !is_header_text(api_token))
        return why_set(why, ERR_INVALID, "ORCH_PLANE_API_TOKEN holds characters that no token has");
    char *url = wanted ? fetch_url(base_url, below, NULL) : NULL;
    if (wanted && (!url || fetch_url_has_user(base_url))) {
        free(url);
        return why_set(why, ERR_INVALID,
                       "ORCH_PLANE_URL must be an http or https URL without a user name, and "
                       "ORCH_PLANE_WORKSPACE a workspace's name in URLs");
    }
    struct plane *plane = mem_zero(1, sizeof *plane);
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
    health_set(plane, url && plane->token, !url ? url_missing : !plane->token ? token_missing : "");
    *ret = plane;
    return ERR_OK;
}

void plane_free(struct plane *plane)
{
    if (!plane)
        return;
    pthread_cond_destroy(&plane->turn);
    pthread_mutex_destroy(&plane->lock);
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

/* ---- what all threads share -------------------------------------------------------------------------- */

void plane_health(struct plane *plane, struct plane_health *ret)
{
    pthread_mutex_lock(&plane->lock);
    *ret = plane->health;
    pthread_mutex_unlock(&plane->lock);
}

enum plane_result plane_told(struct plane *plane, enum plane_result result, const struct why *why)
{
    bool well = result == PLANE_OK || result == PLANE_ABSENT;
    if (result == PLANE_WAITING)
        metric_count(METRIC_PLANE_DEFERRED_CALLS, NULL, NULL);
    if (!well && result != PLANE_DOWN && result != PLANE_FAILED)
        return result;
    health_set(plane, well, well ? "" : why->text);
    metric_set(METRIC_UPSTREAM_UP, "plane", well);
    return result;
}

void plane_budget(struct plane *plane, struct plane_budget *ret)
{
    pthread_mutex_lock(&plane->lock);
    budget_show(&plane->budget, plane->now_ms(), ret);
    ret->waiting_since_us = plane->waiting_since_us;
    pthread_mutex_unlock(&plane->lock);
}

bool plane_is_old(struct plane *plane)
{
    pthread_mutex_lock(&plane->lock);
    bool old = plane->old;
    pthread_mutex_unlock(&plane->lock);
    return old;
}

void plane_is_old_set(struct plane *plane, bool old)
{
    pthread_mutex_lock(&plane->lock);
    plane->old = old;
    pthread_mutex_unlock(&plane->lock);
}

/* ---- one call after the other ------------------------------------------------------------------------ */

void plane_call_begin(struct plane_call *call, struct plane *plane, struct fetch *fetch, bool forced,
                      int64_t deadline_ms, const atomic_bool *stopping)
{
    *call = (struct plane_call){.plane = plane,
                                .fetch = fetch,
                                .inbox = fetch_inbox_new(fetch),
                                .forced = forced,
                                .deadline_ms = deadline_ms,
                                .stopping = stopping};
}

void plane_call_end(struct plane_call *call)
{
    fetch_inbox_free(call->inbox);
    call->inbox = NULL;
}

static bool is_stopping(const struct plane_call *call)
{
    return (call->stopping && atomic_load(call->stopping)) || clock_mono_ms() >= call->deadline_ms;
}

static enum plane_result stopped(const char *what, struct why *why)
{
    (void)why_set(why, ERR_UNAVAILABLE, "stopped while Plane was asked for %s", what);
    return PLANE_STOPPED;
}

/* Called with the lock held, when the budget lets nothing through. */
static enum plane_result waiting(struct plane *plane, bool forced, int64_t now_ms, struct why *why)
{
    long long wait_s = (budget_wait_ms(&plane->budget, forced, now_ms) + 999) / 1000;
    if (!forced && plane->waiting_since_us == 0)
        plane->waiting_since_us = clock_wall_us();
    if (budget_pause_ms(&plane->budget, now_ms) > 0)
        (void)why_set(why, ERR_RETRY, "Plane said to wait (429): for %lld s more", wait_s);
    else if (forced)
        (void)why_set(why, ERR_RETRY, "all %u calls that Plane takes a minute are used up, for %lld s more",
                      LIMIT_PLANE_CALLS, wait_s);
    else
        (void)why_set(why, ERR_RETRY,
                      "of %u calls that Plane takes a minute all are used up but %u kept for forced passes, "
                      "for %lld s more",
                      LIMIT_PLANE_CALLS, LIMIT_PLANE_RESERVE, wait_s);
    return PLANE_WAITING;
}

/* The turn is taken, and a call noted in the budget, for PLANE_OK alone. */
static enum plane_result turn_take(const struct plane_call *call, const char *what, struct why *why)
{
    struct plane *plane = call->plane;
    enum plane_result result = PLANE_OK;
    pthread_mutex_lock(&plane->lock);
    while (plane->busy && !is_stopping(call))
        (void)cond_wait_until(&plane->turn, &plane->lock, clock_mono_ms() + LOOK_MS);
    int64_t now_ms = plane->now_ms();
    if (is_stopping(call)) {
        result = stopped(what, why);
    } else if (!budget_take(&plane->budget, call->forced, now_ms)) {
        result = waiting(plane, call->forced, now_ms, why);
    } else {
        plane->busy = true;
        if (!call->forced)
            plane->waiting_since_us = 0;
    }
    pthread_mutex_unlock(&plane->lock);
    return result;
}

static void turn_end(const struct plane_call *call, const struct fetch_answer *answer)
{
    struct plane *plane = call->plane;
    bool refused = answer->result == FETCH_ANSWERED && answer->status == 429;
    pthread_mutex_lock(&plane->lock);
    budget_settle(&plane->budget, answer, plane->now_ms());
    if (refused && !call->forced && plane->waiting_since_us == 0)
        plane->waiting_since_us = clock_wall_us();
    plane->busy = false;
    pthread_cond_signal(&plane->turn);
    pthread_mutex_unlock(&plane->lock);
}

/* Never NULL. One exchange: fetch would repeat a GET otherwise, and each would count. */
static struct fetch_answer *exchange(struct plane_call *call, const char *url, size_t answer_max)
{
    struct fetch_answer *answer = NULL;
    bool aborted = false;
    fetch_send(call->inbox, &(struct fetch_request){.upstream = FETCH_TO_PLANE,
                                                    .method = "GET",
                                                    .url = url,
                                                    .headers = call->plane->headers,
                                                    .answer_max = answer_max,
                                                    .deadline_ms = call->deadline_ms,
                                                    .attempts = 1});
    call->sent++;
    while (!answer) {
        answer = fetch_take(call->inbox, LOOK_MS);
        if (!answer && !aborted && is_stopping(call)) {
            fetch_inbox_abort(call->inbox);
            aborted = true;
        }
    }
    return answer;
}

/* A proxy that quotes what it got; of its words a part may be left, and of the key in them. */
static bool quotes_key(const struct plane *plane, const struct fetch_answer *answer)
{
    return answer->body && strstr(answer->body, plane->token);
}

enum plane_result plane_ask(struct plane_call *call, const char *const *path, const char *const *query,
                            const char *what, size_t answer_max, json_t **ret, bool *ret_unrouted,
                            struct why *why)
{
    struct plane *plane = call->plane;
    if (!plane->workspace_url || !plane->token) {
        (void)why_set(why, ERR_INVALID, "%s", plane->workspace_url ? token_missing : url_missing);
        return PLANE_FAILED;
    }
    enum plane_result turn = turn_take(call, what, why);
    if (turn != PLANE_OK)
        return turn;
    AUTO_FREE char *url = fetch_url(plane->workspace_url, path, query);
    struct fetch_answer *answer = exchange(call, url, answer_max);
    struct plane_reply reply;
    turn_end(call, answer);
    plane_reply_read(answer, what, &reply, why);
    if (reply.result != PLANE_OK && quotes_key(plane, answer))
        (void)why_set(why, ERR_INVALID, "Plane answered %d for %s", answer->status, what);
    if (answer->result == FETCH_TIMED_OUT && is_stopping(call)) /* the pass's time, not Plane's */
        reply.result = stopped(what, why);
    fetch_answer_free(answer);
    *ret = reply.json;
    *ret_unrouted = reply.unrouted;
    return reply.result;
}
