#include "reconcile/sweep/sweeper.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "clients/base/metric.h"
#include "clients/base/wait.h"
#include "clients/gitea/gitea.h"
#include "clients/orchestrator.h"
#include "clients/store/store.h"
#include "reconcile/notify/notifier.h"
#include "reconcile/plane/plane_side.h"
#include "reconcile/settings/policy.h"
#include "reconcile/heal/report.h"
#include "reconcile/sweep/observe_log.h"
#include "reconcile/sweep/overview.h"
#include "reconcile/sweep/report_log.h"
#include "reconcile/sweep/status.h"
#include "reconcile/sweep/upstream_watch.h"

/* After a failure the database is asked again in 1, 2, 4 … 30 s, independent of the interval: with an
 * interval of an hour, an outage of a second must not last an hour. */
enum { BACKOFF_FIRST_MS = 1000, BACKOFF_LAST_MS = 30000, OVERDUE_MS = 60000, JITTER_PERCENT = 10 };

/* Without a tick for so long, the process did not run. */
enum { FROZEN_MS = 5000 };

struct waiter {
    sweeper_done_fn *done;
    void *arg;
};

/* A pass that was asked for and has not begun. */
struct pending {
    struct pass_request request;
    struct uuid_text id;
    struct waiter *waiters;
    size_t n_waiters;
};

struct sweeper {
    struct services *services;
    struct pass_memory *memory;
    struct status *status;
    struct report_log *reports;
    pthread_t thread;
    bool started;

    /* The sweeper's thread alone. */
    struct policy *policy;
    struct store_ledger_count ledger;
    bool prepared;   /* the tables are there */
    bool introduced; /* what the service works with was logged */
    unsigned failures;
    size_t stuck; /* as of the newest look at all tasks */
    struct upstream_watch gitea, orchestrator;
    struct observe_log *observed;

    pthread_mutex_t lock; /* guards all that follows */
    pthread_cond_t wake;
    struct pending pending[LIMIT_PENDING_RUNS]; /* first come, first served */
    size_t n_pending, n_waiting;
    bool stop, settings_moved;
    int64_t ended_ms;       /* when the newest pass ended; 0: before the first */
    int64_t due_ms;         /* when the timer's next pass is due */
    int64_t began_ms;       /* when the pass under way began; 0: none */
    struct pending running; /* what it is; its waiters are not ours */
    int64_t running_since_us;
    int64_t tick_ms;  /* the last sweeper_tick; 0: none */
    int64_t awake_ms; /* since when the process has run without a pause */
};

struct sweeper *sweeper_new(struct services *services, sweeper_change_fn *on_change, void *arg)
{
    struct sweeper *sweeper = mem_zero(1, sizeof *sweeper);
    sweeper->services = services;
    sweeper->status = status_new(services, on_change, arg);
    sweeper->gitea = (struct upstream_watch){
        .name = "gitea", .health = gitea_configured(services->gitea) ? gitea_health(services->gitea) : NULL};
    sweeper->orchestrator = (struct upstream_watch){
        .name = "orchestrator",
        .health = services->orchestrator ? orchestrator_health(services->orchestrator) : NULL};
    sweeper->memory = pass_memory_new(services->settings);
    status_plane(sweeper->status, plane_side_status(services, sweeper->memory));
    sweeper->reports = report_log_new(services->store);
    sweeper->observed = observe_log_new();
    pthread_mutex_init(&sweeper->lock, NULL);
    cond_init(&sweeper->wake);
    return sweeper;
}

void sweeper_free(struct sweeper *sweeper)
{
    if (!sweeper)
        return;
    policy_free(sweeper->policy);
    store_ledger_count_done(&sweeper->ledger);
    pass_memory_free(sweeper->memory);
    status_free(sweeper->status);
    report_log_free(sweeper->reports);
    observe_log_free(sweeper->observed);
    pthread_cond_destroy(&sweeper->wake);
    pthread_mutex_destroy(&sweeper->lock);
    free(sweeper);
}

/* what a pass leaves behind */

/* A database that takes reads and no writes has failed, too. */
static void note_database(struct sweeper *sweeper, enum err err, const struct why *why)
{
    struct why refusal;
    enum err refused = err ? ERR_OK : store_refusal(sweeper->services->store, &refusal);
    const char *reason = err ? why->text : refusal.text;
    bool failed = err || refused == ERR_UNAVAILABLE;
    if (failed && sweeper->failures++ == 0)
        log_warn("the database cannot be asked", LOG_I("tasks", sweeper->stuck), LOG_S("reason", reason),
                 LOG_S("result", err_name(err ? err : refused)));
    if (!failed && sweeper->failures > 0) {
        log_info("the database answers again");
        sweeper->failures = 0;
    }
    status_database(sweeper->status, refused ? refused : err, refused ? &refusal : why);
}

/* After a write that failed, a pass that had none to make proves nothing: a lease is written instead. */
static void end_refusal(struct sweeper *sweeper)
{
    static const char name[] = "writes";
    struct store *store = sweeper->services->store;
    const char *owner = sweeper->services->owner.s;
    bool held = false;
    struct why why;
    if (store_refusal(store, NULL) != ERR_UNAVAILABLE || store_ready(store, &why) != ERR_OK ||
        store_lease_take(store, name, owner, 1, &held, &why) != ERR_OK || !held ||
        store_lease_drop(store, name, owner, &why) != ERR_OK)
        return;
    store_refusal_over(store);
}

static void refresh_ledger(struct sweeper *sweeper)
{
    struct why why;
    if (store_ledger_advance(sweeper->services->store, &sweeper->ledger, &why) == ERR_OK)
        status_ledger(sweeper->status, &sweeper->ledger); /* else the next pass reports the database */
}

/* A pass that only looked, red gates and all, is silence. */
static bool has_acted(const struct report *report)
{
    for (enum outcome outcome = 0; outcome < OUTCOME_MAX_; outcome++)
        if (outcome_is_attempt(outcome) && report_count(report, outcome) > 0)
            return true;
    return false;
}

static void log_pass(const struct report *report)
{
    const size_t *gate = report->gate, *plane = report->plane;
    log_event(has_acted(report) ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "pass",
              LOG_S("trigger", pass_trigger_name(report->request.trigger)),
              LOG_S("state", pass_state_name(report->state)), LOG_B("dry_run", report->request.dry_run),
              LOG_I("ms", report->duration_ms), LOG_I("candidates", report->candidates),
              LOG_I("resting", report->resting), LOG_I("advanced", gate[OUTCOME_ADVANCED]),
              LOG_I("red", gate[OUTCOME_RED]), LOG_I("unknown", gate[OUTCOME_UNKNOWN]),
              LOG_I("raced", report_count(report, OUTCOME_RACED)),
              LOG_I("held", report_count(report, OUTCOME_HELD)),
              LOG_I("failed", report_count(report, OUTCOME_FAILED)),
              LOG_I("quarantined", gate[OUTCOME_QUARANTINED]), LOG_I("started", plane[OUTCOME_STARTED]),
              LOG_I("approved", plane[OUTCOME_APPROVED]), LOG_I("rejected", plane[OUTCOME_REJECTED]));
}

/* Plane's edges are logged by its own side, Telegram's by the notifier. A task that waits for the
 * orchestrator is one that it was asked to move. */
static void watch_upstreams(struct sweeper *sweeper, const struct pass_result *result)
{
    const struct report *report = &result->report;
    int64_t now_ms = services_mono_ms(sweeper->services);
    if (result->looked)
        sweeper->stuck = report->stuck - (size_t)result->unstuck;
    upstream_watch_look(&sweeper->gitea, report->gate[OUTCOME_UNKNOWN], now_ms);
    upstream_watch_look(&sweeper->orchestrator, report_count(report, OUTCOME_FAILED), now_ms);
}

static void count_pass(const struct report *report)
{
    metric_count(METRIC_PASSES, pass_trigger_name(report->request.trigger), pass_state_name(report->state));
}

/* one pass */

/* look_at_settings: reads the stored policy; creates the tables the first time. */
static enum err look_at_settings(struct sweeper *sweeper, struct why *why)
{
    if (!sweeper->prepared) {
        size_t created = 0;
        enum err err = store_migrate(sweeper->services->store, &created, why);
        if (err)
            return err;
        if (created)
            log_info("created missing tables", LOG_I("tables", created));
        /* Tables whose types this program would misread are refused here, before any task is moved. */
        if ((err = store_ready(sweeper->services->store, why)))
            return err;
        sweeper->prepared = true;
        refresh_ledger(sweeper);
        notifier_wake(sweeper->services->notifier); /* for what was left unsent when the last process ended */
    }
    struct policy *policy = NULL;
    enum err err = policy_read(sweeper->services->store, sweeper->services->settings, &policy, why);
    if (err)
        return err;
    policy_free(sweeper->policy);
    sweeper->policy = policy;
    log_set_level(policy->log_level);
    status_policy(sweeper->status, policy);
    if (!sweeper->introduced)
        overview_log_state(sweeper->services, policy);
    sweeper->introduced = true;
    return ERR_OK;
}

/* A report without counts: of a pass that waits, runs, or failed before it began. */
static struct report unborn_report(const struct pending *run, enum pass_state state, int64_t since_us,
                                   const char *error)
{
    struct report report;
    report_begin(&report, run->id.s, &run->request, since_us);
    report.state = state;
    report.error = mem_dup(error);
    return report;
}

static void tell_waiters(struct sweeper *sweeper, struct pending *run, const struct report *report)
{
    for (size_t i = 0; i < run->n_waiters; i++)
        run->waiters[i].done(run->waiters[i].arg, report);
    pthread_mutex_lock(&sweeper->lock);
    sweeper->n_waiting -= run->n_waiters;
    pthread_mutex_unlock(&sweeper->lock);
    free(run->waiters);
}

/* If the policy is known to be current, a pass needs only its own statement; the settings are read only when
 * they may have changed. */
static bool must_look(struct sweeper *sweeper)
{
    pthread_mutex_lock(&sweeper->lock);
    bool moved = sweeper->settings_moved;
    sweeper->settings_moved = false;
    pthread_mutex_unlock(&sweeper->lock);
    return moved || !sweeper->policy || !sweeper->policy->enabled || sweeper->failures > 0;
}

/* A pass that could not begin: the timer's leaves no report. */
static void fail_pass(struct sweeper *sweeper, const struct pending *run, enum err err, const struct why *why,
                      struct report *ret)
{
    note_database(sweeper, err, why);
    *ret = unborn_report(run, PASS_FAILED, services_wall_us(sweeper->services), why->text);
    if (err)
        count_pass(ret);
    if (run->request.trigger != TRIGGER_TIMER)
        report_log_put(sweeper->reports, ret);
}

static void make_pass(struct sweeper *sweeper, const struct pending *run, struct report *ret)
{
    struct why why = {.text = ""};
    enum err err = must_look(sweeper) ? look_at_settings(sweeper, &why) : ERR_OK;
    if (err || (run->request.trigger == TRIGGER_TIMER && !sweeper->policy->enabled)) {
        fail_pass(sweeper, run, err, &why, ret);
        return;
    }
    int64_t revision = sweeper->policy->revision;
    status_pass_begins(sweeper->status);
    struct pass_result result;
    err = pass_run(sweeper->services, sweeper->memory, &run->request, run->id.s, &sweeper->policy, &result,
                   &why);
    if (!err)
        end_refusal(sweeper);
    note_database(sweeper, err, &why);
    if (sweeper->policy->revision != revision)
        status_policy(sweeper->status, sweeper->policy);
    count_pass(&result.report);
    metric_observe(METRIC_PASS_DURATION, NULL, result.report.duration_ms);
    log_pass(&result.report);
    watch_upstreams(sweeper, &result);
    if (sweeper->policy->mode == MODE_OBSERVE && !run->request.dry_run)
        observe_log_pass(sweeper->observed, &result.report);
    if (!pass_save(sweeper->services, &result, report_log_place(sweeper->reports, result.report.started_us)))
        report_log_put(sweeper->reports, &result.report);
    if (result.transitions > 0)
        refresh_ledger(sweeper);
    if (result.messages > 0)
        notifier_wake(sweeper->services->notifier);
    status_pass_ended(sweeper->status, &result);
    *ret = result.report;
}

/* the thread */

static int64_t pause_ms(const struct sweeper *sweeper)
{
    int64_t pause =
        (sweeper->policy ? sweeper->policy->interval_s : sweeper->services->settings->interval_s) * 1000;
    if (sweeper->failures > 0)
        pause = backoff_ms(BACKOFF_FIRST_MS, BACKOFF_LAST_MS, sweeper->failures - 1);
    int64_t spread = pause * JITTER_PERCENT / 100;
    return pause - spread + services_random_below(sweeper->services, (uint32_t)(2 * spread + 1));
}

enum next { NEXT_STOP, NEXT_LOOK, NEXT_PASS };

/* Waits until a pass is due, the settings must be read, or the sweeper stops. */
static enum next next_step(struct sweeper *sweeper, struct pending *ret)
{
    enum next next = NEXT_PASS;
    pthread_mutex_lock(&sweeper->lock);
    while (!sweeper->stop && sweeper->n_pending == 0 && !sweeper->settings_moved &&
           services_mono_ms(sweeper->services) < sweeper->due_ms) {
        services_wait_until(sweeper->services, &sweeper->wake, &sweeper->lock, sweeper->due_ms);
    }
    if (sweeper->stop) {
        next = NEXT_STOP;
    } else if (sweeper->n_pending > 0) {
        *ret = sweeper->pending[0];
        sweeper->n_pending--;
        memmove(&sweeper->pending[0], &sweeper->pending[1], sweeper->n_pending * sizeof sweeper->pending[0]);
    } else if (services_mono_ms(sweeper->services) < sweeper->due_ms) {
        next = NEXT_LOOK;
        sweeper->settings_moved = false;
    } else {
        *ret =
            (struct pending){.request = {.trigger = TRIGGER_TIMER}, .id = services_uuid(sweeper->services)};
    }
    if (next == NEXT_PASS) {
        sweeper->began_ms = services_mono_ms(sweeper->services);
        sweeper->running = (struct pending){.request = ret->request, .id = ret->id};
        sweeper->running_since_us = services_wall_us(sweeper->services);
    }
    pthread_mutex_unlock(&sweeper->lock);
    return next;
}

/* The pause begins at the end of the newest pass: a shorter interval takes effect at once, and a change of a
 * setting does not start a pass. */
static void set_due(struct sweeper *sweeper, enum next done)
{
    int64_t pause = pause_ms(sweeper);
    pthread_mutex_lock(&sweeper->lock);
    if (done == NEXT_PASS) {
        sweeper->ended_ms = services_mono_ms(sweeper->services);
        sweeper->began_ms = 0;
    }
    sweeper->due_ms = sweeper->ended_ms + pause;
    pthread_mutex_unlock(&sweeper->lock);
}

static void look_only(struct sweeper *sweeper)
{
    struct why why;
    enum err err = look_at_settings(sweeper, &why);
    /* A database that can be read, and not written, is no better before the next pass. */
    if (err || store_refusal(sweeper->services->store, NULL) != ERR_UNAVAILABLE)
        note_database(sweeper, err, &why);
}

/* After a large pass megabytes are free in the heap, and the next pass may be hours away, so they are given
 * back. */
static void free_report(struct report *report)
{
    bool large = report->n_items > 0;
    report_done(report);
    if (large)
        (void)malloc_trim(0);
}

/* The report is readable and the pass is over before its waiters are called, so that their next request sees
 * both.
 */
static void run_pass(struct sweeper *sweeper, struct pending *run)
{
    struct report report;
    log_set_pass(run->id.s);
    make_pass(sweeper, run, &report);
    log_set_pass(NULL);
    set_due(sweeper, NEXT_PASS);
    tell_waiters(sweeper, run, &report);
    free_report(&report);
}

static void *sweep(void *arg)
{
    struct sweeper *sweeper = arg;
    struct pending run;
    enum next next;
    while ((next = next_step(sweeper, &run)) != NEXT_STOP) {
        if (next == NEXT_PASS) {
            run_pass(sweeper, &run);
        } else {
            look_only(sweeper);
            set_due(sweeper, NEXT_LOOK);
        }
    }
    for (size_t i = 0; i < sweeper->n_pending; i++) {
        struct report report = unborn_report(&sweeper->pending[i], PASS_INTERRUPTED,
                                             services_wall_us(sweeper->services), "the service is stopping");
        tell_waiters(sweeper, &sweeper->pending[i], &report);
        report_done(&report);
    }
    sweeper->n_pending = 0;
    plane_side_leave(sweeper->services, sweeper->memory);
    return NULL;
}

enum err sweeper_start(struct sweeper *sweeper, struct why *why)
{
    if (pthread_create(&sweeper->thread, NULL, sweep, sweeper) != 0)
        return why_set(why, ERR_INTERNAL, "the sweeper's thread cannot be started");
    pthread_setname_np(sweeper->thread, "sweeper");
    sweeper->started = true;
    return ERR_OK;
}

void sweeper_stop(struct sweeper *sweeper)
{
    pthread_mutex_lock(&sweeper->lock);
    sweeper->stop = true;
    pthread_cond_broadcast(&sweeper->wake);
    pthread_mutex_unlock(&sweeper->lock);
    services_stop(sweeper->services);
    if (sweeper->started)
        pthread_join(sweeper->thread, NULL);
    sweeper->started = false;
}

struct status *sweeper_status(struct sweeper *sweeper)
{
    return sweeper->status;
}

/* for other threads */

static bool requests_alike(const struct pass_request *a, const struct pass_request *b)
{
    return a->trigger == b->trigger && a->dry_run == b->dry_run && a->side == b->side &&
           a->task_id == b->task_id && a->ignore_grace == b->ignore_grace;
}

enum err sweeper_request(struct sweeper *sweeper, const struct pass_request *request, sweeper_done_fn *done,
                         void *arg, struct uuid_text *ret_id, struct why *why)
{
    enum err err = ERR_OK;
    pthread_mutex_lock(&sweeper->lock);
    size_t at = 0;
    while (at < sweeper->n_pending && !requests_alike(&sweeper->pending[at].request, request))
        at++;
    if (sweeper->stop) {
        err = why_set(why, ERR_UNAVAILABLE, "the service is stopping");
    } else if (at == LIMIT_PENDING_RUNS || (done && sweeper->n_waiting >= LIMIT_WAITING_REQUESTS)) {
        err = why_set(why, ERR_UNAVAILABLE, "too many passes are waited for");
    } else {
        struct pending *run = &sweeper->pending[at];
        if (at == sweeper->n_pending) {
            *run = (struct pending){.request = *request, .id = services_uuid(sweeper->services)};
            sweeper->n_pending++;
        }
        if (done) {
            run->waiters = mem_grow(run->waiters, run->n_waiters + 1, sizeof *run->waiters);
            run->waiters[run->n_waiters++] = (struct waiter){done, arg};
            sweeper->n_waiting++;
        }
        *ret_id = run->id;
        pthread_cond_broadcast(&sweeper->wake);
    }
    pthread_mutex_unlock(&sweeper->lock);
    return err;
}

void sweeper_wake(struct sweeper *sweeper, const struct policy *policy)
{
    status_policy(sweeper->status, policy);
    pthread_mutex_lock(&sweeper->lock);
    sweeper->settings_moved = true;
    pthread_cond_broadcast(&sweeper->wake);
    pthread_mutex_unlock(&sweeper->lock);
}

int64_t sweeper_due_ms(struct sweeper *sweeper)
{
    pthread_mutex_lock(&sweeper->lock);
    int64_t left_ms = sweeper->began_ms ? 0 : sweeper->due_ms - services_mono_ms(sweeper->services);
    pthread_mutex_unlock(&sweeper->lock);
    return left_ms > 0 ? left_ms : 0;
}

/* Called with the lock held. */
static int64_t awake_since_ms(const struct sweeper *sweeper, int64_t now_ms)
{
    return sweeper->tick_ms && now_ms - sweeper->tick_ms > FROZEN_MS ? now_ms : sweeper->awake_ms;
}

void sweeper_tick(struct sweeper *sweeper, int64_t now_ms)
{
    pthread_mutex_lock(&sweeper->lock);
    sweeper->awake_ms = awake_since_ms(sweeper, now_ms);
    sweeper->tick_ms = now_ms;
    pthread_mutex_unlock(&sweeper->lock);
}

static int64_t later_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

bool sweeper_alive(struct sweeper *sweeper, int64_t now_ms, struct why *why)
{
    pthread_mutex_lock(&sweeper->lock);
    int64_t awake_ms = awake_since_ms(sweeper, now_ms);
    bool wedged =
        sweeper->began_ms && now_ms - later_of(sweeper->began_ms, awake_ms) > LIMIT_PASS_MS + OVERDUE_MS;
    bool overdue =
        !sweeper->began_ms && sweeper->due_ms && now_ms - later_of(sweeper->due_ms, awake_ms) > OVERDUE_MS;
    if (wedged)
        (void)why_set(why, ERR_TIMEOUT, "pass %s has been running for %lld s", sweeper->running.id.s,
                      (long long)(now_ms - sweeper->began_ms) / 1000);
    else if (overdue)
        (void)why_set(why, ERR_TIMEOUT, "a pass is overdue by %lld s",
                      (long long)(now_ms - sweeper->due_ms) / 1000);
    pthread_mutex_unlock(&sweeper->lock);
    return !wedged && !overdue;
}

/* The report of a pass that waits or runs; NULL: it is neither. */
static char *report_so_far(struct sweeper *sweeper, const char *id)
{
    const struct pending *run = NULL;
    enum pass_state state = PASS_QUEUED;
    int64_t since_us = 0;
    for (size_t i = 0; i < sweeper->n_pending; i++)
        if (strcmp(sweeper->pending[i].id.s, id) == 0)
            run = &sweeper->pending[i];
    if (!run && sweeper->began_ms && strcmp(sweeper->running.id.s, id) == 0) {
        run = &sweeper->running;
        state = PASS_RUNNING;
        since_us = sweeper->running_since_us;
    }
    if (!run)
        return NULL;
    struct report report = unborn_report(run, state, since_us, NULL);
    char *text = report_text(&report);
    report_done(&report);
    return text;
}

enum err sweeper_report(struct sweeper *sweeper, const char *id, char **ret, struct why *why)
{
    pthread_mutex_lock(&sweeper->lock);
    char *text = report_so_far(sweeper, id);
    pthread_mutex_unlock(&sweeper->lock);
    if (!text)
        return report_log_get(sweeper->reports, id, ret, why);
    *ret = text;
    return ERR_OK;
}

struct report_log *sweeper_report_log(struct sweeper *sweeper)
{
    return sweeper->reports;
}
