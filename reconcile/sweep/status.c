#include "reconcile/sweep/status.h"

#include <pthread.h>
#include <stdlib.h>

#include "clients/base/jsonx.h"
#include "clients/base/metric.h"
#include "clients/base/text.h"
#include "clients/gitea/gitea.h"
#include "clients/notify_webhook.h"
#include "clients/orchestrator.h"
#include "clients/plane/plane.h"
#include "clients/store/store.h"
#include "clients/telegram.h"
#include "clients/http/upstream_health.h"
#include "reconcile/plane/plane_decide.h"
#include "reconcile/plane/plane_scan.h"
#include "reconcile/sweep/pass.h"
#include "reconcile/settings/policy.h"
#include "reconcile/heal/report.h"
#include "reconcile/heal/services.h"
#include "reconcile/settings/settings.h"

enum { FAILING_SHOWN = 10 };

struct status {
    struct gitea *gitea;
    struct plane *plane;
    struct telegram *telegram;             /* NULL: no token is set */
    struct notify_webhook *notify_webhook; /* NULL: no URL is set */
    struct orchestrator *orchestrator;     /* NULL: tasks are moved in the database */
    status_change_fn *on_change;
    void *arg;
    int64_t started_us;

    pthread_mutex_t lock; /* guards all that follows */
    int64_t revision;     /* of the policy shown: an older one that comes late changes nothing */
    bool enabled, plane_enabled, observing;
    int64_t interval_s;
    json_t *pause; /* null or who holds the switch */
    bool running;
    int64_t last_run_us;     /* 0: never */
    struct report last_pass; /* without its items */
    size_t stuck, quarantined, holds;
    int64_t oldest_age_s;
    size_t outbox_depth;
    int64_t outbox_since_ms; /* since when the oldest message has waited, by the monotonic clock */
    int64_t unblocked_total;
    char *last_unblocked;
    json_t *hooks;                     /* null before the first look */
    struct plane_status *plane_status; /* NULL before the first status_plane */
    bool database_ok;
    int64_t database_since_us; /* since when it has not been ok */
    char *database_words;
};

static int64_t outbox_age_s(const struct status *status)
{
    return status->outbox_depth ? (clock_mono_ms() - status->outbox_since_ms) / 1000 : 0;
}

/* The gauges show what the document shows. */
static void set_gauges(const struct status *status)
{
    metric_set(METRIC_ENABLED, NULL, status->enabled);
    metric_set(METRIC_PLANE_ENABLED, NULL, status->plane_enabled);
    metric_set(METRIC_OBSERVING, NULL, status->observing);
    metric_set(METRIC_PASS_INTERVAL, NULL, status->interval_s);
    metric_set(METRIC_LAST_PASS, NULL, status->last_run_us);
    metric_set(METRIC_STUCK_TASKS, NULL, (int64_t)status->stuck);
    metric_set(METRIC_STUCK_OLDEST_AGE, NULL, status->oldest_age_s);
    metric_set(METRIC_DATABASE_UP, NULL, status->database_ok);
    metric_set(METRIC_PLANE_WAITING, NULL, status->plane_status ? (int64_t)status->plane_status->waiting : 0);
    metric_set(METRIC_OUTBOX_DEPTH, NULL, (int64_t)status->outbox_depth);
    metric_set(METRIC_OUTBOX_OLDEST_AGE, NULL, outbox_age_s(status));
}

/* An upstream that is not configured has no series. */
static void start_gauges(const struct status *status)
{
    if (gitea_configured(status->gitea))
        metric_set(METRIC_UPSTREAM_UP, "gitea", 1);
    if (plane_configured(status->plane))
        metric_set(METRIC_UPSTREAM_UP, "plane", 1);
    if (status->telegram)
        metric_set(METRIC_UPSTREAM_UP, "telegram", 1);
    if (status->notify_webhook)
        metric_set(METRIC_UPSTREAM_UP, "notify_webhook", 1);
    if (status->orchestrator)
        metric_set(METRIC_UPSTREAM_UP, "orchestrator", 1);
    set_gauges(status);
}

struct status *status_new(const struct services *services, status_change_fn *on_change, void *arg)
{
    const struct settings *settings = services->settings;
    struct status *status = mem_zero(1, sizeof *status);
    *status = (struct status){
        .gitea = services->gitea,
        .plane = services->plane,
        .telegram = services->telegram,
        .notify_webhook = services->notify_webhook,
        .orchestrator = services->orchestrator,
        .on_change = on_change,
        .arg = arg,
        .started_us = clock_wall_us(),
        .enabled = settings->enabled,
        .plane_enabled = settings->plane_enabled,
        .observing = settings->mode == MODE_OBSERVE,
        .interval_s = settings->interval_s,
        .pause = json_null(),
        .hooks = json_null(),
        .database_ok = true,
    };
    pthread_mutex_init(&status->lock, NULL);
    start_gauges(status);
    return status;
}

void status_free(struct status *status)
{
    if (!status)
        return;
    pthread_mutex_destroy(&status->lock);
    json_decref(status->pause);
    report_done(&status->last_pass);
    plane_status_free(status->plane_status);
    json_decref(status->hooks);
    free(status->last_unblocked);
    free(status->database_words);
    free(status);
}

static json_t *health(bool ok, const char *error, int64_t since_us)
{
    json_t *object = json_object();
    json_put(object, "ok", json_boolean(ok));
    if (!ok) {
        json_put(object, "error", json_text(error));
        if (since_us)
            json_put(object, "since", json_instant(since_us));
    }
    return object;
}

/* The failing parts of an upstream, even if the upstream as a whole is ok. */
static void put_failing(json_t *object, struct upstream_health *upstream, int64_t now_ms)
{
    struct upstream_failing parts[FAILING_SHOWN];
    size_t n = upstream_health_failing(upstream, now_ms, parts, ARRAY_LEN(parts));
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *part = json_object();
        json_put(part, "part", json_text(*parts[i].part ? parts[i].part : NULL));
        json_put(part, "error", json_text(parts[i].error));
        json_put(part, "since", json_instant(parts[i].since_us));
        json_push(list, part);
    }
    json_put(object, "failing", list);
}

static json_t *upstream_state(struct upstream_health *upstream)
{
    struct upstream_view view;
    int64_t now_ms = clock_mono_ms();
    upstream_health_view(upstream, now_ms, &view);
    json_t *object = health(view.ok, view.error, view.since_us);
    if (view.failing == 0)
        return object;
    json_put(object, "failing_count", json_integer((json_int_t)view.failing));
    put_failing(object, upstream, now_ms);
    return object;
}

static json_t *plane_state(struct plane *plane)
{
    json_t *object = upstream_state(plane_health(plane));
    if (plane_clock_is_off(plane))
        json_put(object, "clock_skew_s", json_integer(plane_skew_us(plane) / 1000000));
    return object;
}

/* Null: not configured. */
static json_t *upstreams(const struct status *status)
{
    json_t *object = json_object();
    json_put(object, "database",
             health(status->database_ok, status->database_words, status->database_since_us));
    json_put(object, "plane", plane_configured(status->plane) ? plane_state(status->plane) : json_null());
    json_put(object, "gitea",
             gitea_configured(status->gitea) ? upstream_state(gitea_health(status->gitea)) : json_null());
    json_put(object, "telegram",
             status->telegram ? upstream_state(telegram_health(status->telegram)) : json_null());
    json_put(object, "notify_webhook",
             status->notify_webhook ? upstream_state(notify_webhook_health(status->notify_webhook))
                                    : json_null());
    json_put(object, "orchestrator",
             status->orchestrator ? upstream_state(orchestrator_health(status->orchestrator)) : json_null());
    return object;
}

static json_t *outbox_state(const struct status *status)
{
    json_t *object = json_object();
    json_put(object, "depth", json_integer((json_int_t)status->outbox_depth));
    json_put(object, "oldest_age_s", json_integer(outbox_age_s(status)));
    return object;
}

/* Unix seconds, to the millisecond. */
static double seconds_of(int64_t us)
{
    int64_t ms = us / 1000;
    return (double)ms / 1000.0;
}

static json_t *project_state(const struct plane_project_status *project)
{
    json_t *object = json_object(), *unreadable = json_object();
    json_put(object, "repo", json_text(project->project->repo));
    json_put(object, "prefix", json_text(project->project->prefix));
    json_put(object, "listing", json_text(project->full ? "full" : "incremental"));
    json_put(object, "pages_read", json_integer((json_int_t)project->pages_read));
    json_put(unreadable, "count", json_integer((json_int_t)project->odd));
    json_put(unreadable, "error", json_text(project->odd_error));
    json_put(object, "unreadable", unreadable);
    json_put(object, "error", json_text(project->error));
    return object;
}

static void put_plane_status(json_t *object, const struct plane_status *plane)
{
    json_t *projects = json_array(), *interrupted = json_object();
    for (size_t i = 0; i < plane->n_projects; i++)
        json_push(projects, project_state(&plane->projects[i]));
    json_put(interrupted, "count", json_integer((json_int_t)plane->n_interrupted));
    json_put(interrupted, "error", json_text(plane->interrupted_error));
    json_put(object, "elsewhere", json_boolean(plane->elsewhere));
    json_put(object, "waiting", json_integer((json_int_t)plane->waiting));
    json_put(object, "projects", projects);
    json_put(object, "interrupted_starts", interrupted);
}

/* Null where Plane is not configured. The budget is as of now. */
static json_t *plane_block(const struct status *status)
{
    if (!plane_configured(status->plane))
        return json_null();
    struct plane_budget budget;
    plane_budget(status->plane, &budget);
    json_t *object = json_object(), *numbers = json_object();
    if (status->plane_status)
        put_plane_status(object, status->plane_status);
    bool records = plane_records_api_changes(status->plane);
    json_put(object, "unrecorded", records ? json_null() : json_text(PLANE_UNRECORDED));
    json_put(numbers, "limit", json_integer(budget.limit));
    json_put(numbers, "reserve", json_integer(budget.reserve));
    json_put(numbers, "left", json_integer(budget.left));
    json_put(numbers, "retry_after_s", json_integer(budget.retry_after_s));
    json_put(object, "budget", numbers);
    return object;
}

/* The first six members have the names and meanings of the predecessor's. Members that are kept are copied
 * deeply: another thread may still use the document, and jansson's reference counts must not be shared
 * between threads. */
static json_t *build(const struct status *status)
{
    json_t *object = json_object();
    json_put(object, "enabled", json_boolean(status->enabled));
    json_put(object, "plane_enabled", json_boolean(status->plane_enabled));
    json_put(object, "interval", json_integer(status->interval_s));
    json_put(object, "last_run_ts",
             status->last_run_us ? json_real(seconds_of(status->last_run_us)) : json_null());
    json_put(object, "unblocked_total", json_integer(status->unblocked_total));
    json_put(object, "last_unblocked", json_text(status->last_unblocked));
    json_put(object, "mode", json_text(status->observing ? "observe" : "heal"));
    json_put(object, "version", json_text(RECONCILED_VERSION));
    json_put(object, "started_at", json_instant(status->started_us));
    json_put(object, "running", json_boolean(status->running));
    json_put(object, "pause", json_deep_copy(status->pause));
    json_t *holds = json_object();
    json_put(holds, "count", json_integer((json_int_t)status->holds));
    json_put(object, "holds", holds);
    json_t *stuck = json_object();
    json_put(stuck, "count", json_integer((json_int_t)status->stuck));
    json_put(stuck, "oldest_age_s", json_integer(status->oldest_age_s));
    json_put(object, "stuck", stuck);
    json_put(object, "quarantined", json_integer((json_int_t)status->quarantined));
    json_put(object, "outbox", outbox_state(status));
    json_put(object, "last_pass", status->last_run_us ? report_summary(&status->last_pass) : json_null());
    json_put(object, "plane", plane_block(status));
    json_put(object, "hooks", json_deep_copy(status->hooks));
    json_put(object, "upstreams", upstreams(status));
    return object;
}

/* Publishing under the lock keeps the documents in the order of the changes. */
static void publish_and_unlock(struct status *status)
{
    set_gauges(status);
    if (status->on_change) {
        json_t *document = build(status);
        status->on_change(status->arg, document);
        json_decref(document);
    }
    pthread_mutex_unlock(&status->lock);
}

static json_t *pause_of(const struct policy *policy)
{
    const struct policy_hold *hold = &policy->enabled_hold;
    if (!hold->held)
        return json_null();
    json_t *object = json_object();
    json_put(object, "by", json_text(hold->by));
    json_put(object, "reason", json_text(hold->reason));
    json_put(object, "until", json_instant(hold->until_us));
    return object;
}

void status_policy(struct status *status, const struct policy *policy)
{
    pthread_mutex_lock(&status->lock);
    if (policy->revision < status->revision) {
        pthread_mutex_unlock(&status->lock);
        return;
    }
    status->revision = policy->revision;
    status->enabled = policy->enabled;
    status->plane_enabled = policy->plane_enabled;
    status->observing = policy->mode == MODE_OBSERVE;
    status->interval_s = policy->interval_s;
    json_decref(status->pause);
    status->pause = pause_of(policy);
    publish_and_unlock(status);
}

void status_ledger(struct status *status, const struct store_ledger_count *count)
{
    pthread_mutex_lock(&status->lock);
    if (count->total < status->unblocked_total) {
        pthread_mutex_unlock(&status->lock);
        return;
    }
    status->unblocked_total = count->total;
    free(status->last_unblocked);
    status->last_unblocked = mem_dup(count->last_work_item_id);
    publish_and_unlock(status);
}

void status_holds(struct status *status, size_t count)
{
    pthread_mutex_lock(&status->lock);
    status->holds = count;
    publish_and_unlock(status);
}

void status_database(struct status *status, enum err err, const struct why *why)
{
    pthread_mutex_lock(&status->lock);
    if (err == ERR_OK) {
        status->database_ok = true;
    } else {
        if (status->database_ok)
            status->database_since_us = clock_wall_us();
        status->database_ok = false;
        free(status->database_words);
        status->database_words = mem_dup(why->text);
    }
    publish_and_unlock(status);
}

void status_hooks(struct status *status, const json_t *found)
{
    pthread_mutex_lock(&status->lock);
    json_decref(status->hooks);
    status->hooks = json_deep_copy(found);
    publish_and_unlock(status);
}

static void take_plane_status(struct status *status, struct plane_status *plane_take)
{
    plane_status_free(status->plane_status);
    status->plane_status = plane_take;
}

void status_plane(struct status *status, struct plane_status *plane_take)
{
    pthread_mutex_lock(&status->lock);
    take_plane_status(status, plane_take);
    publish_and_unlock(status);
}

void status_pass_begins(struct status *status)
{
    pthread_mutex_lock(&status->lock);
    status->running = true;
    publish_and_unlock(status);
}

/* A dry pass holds nothing back. */
static void set_pass_gauges(const struct report *report)
{
    if (report->request.dry_run)
        return;
    for (enum held_by by = 0; by < HELD_BY_MAX_; by++)
        metric_set(METRIC_HELD_TASKS, held_by_name(by), (int64_t)report->held[by]);
    metric_set(METRIC_QUARANTINED_TASKS, NULL, (int64_t)report->gate[OUTCOME_QUARANTINED]);
    metric_set(METRIC_UNKNOWN_STAGE_TASKS, NULL, (int64_t)report->unknown_stage);
}

void status_pass_ended(struct status *status, struct pass_result *result)
{
    pthread_mutex_lock(&status->lock);
    status->running = false;
    status->last_run_us = clock_wall_us();
    report_done(&status->last_pass);
    status->last_pass = report_head(&result->report);
    if (result->plane)
        take_plane_status(status, result->plane);
    result->plane = NULL;
    if (result->looked) {
        status->stuck = result->report.stuck - (size_t)result->unstuck;
        status->oldest_age_s = result->report.oldest_age_s;
        status->quarantined = result->report.gate[OUTCOME_QUARANTINED];
        set_pass_gauges(&result->report);
    }
    publish_and_unlock(status);
}

void status_outbox(struct status *status, size_t depth, int64_t oldest_age_s)
{
    pthread_mutex_lock(&status->lock);
    status->outbox_depth = depth;
    status->outbox_since_ms = clock_mono_ms() - oldest_age_s * 1000;
    publish_and_unlock(status);
}
