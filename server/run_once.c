#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "clients/base/text.h"
#include "clients/store/store.h"
#include "reconcile/notify/notifier.h"
#include "reconcile/settings/policy.h"
#include "reconcile/sweep/overview.h"
#include "reconcile/sweep/report_log.h"
#include "reconcile/readiness/trial.h"
#include "server/commands.h"
#include "server/options.h"

/* Blocked in every thread: the one that waits for them takes them. */
static void stop_signals_block(sigset_t *ret_set)
{
    sigemptyset(ret_set);
    sigaddset(ret_set, SIGTERM);
    sigaddset(ret_set, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, ret_set, NULL);
}

/* The first signal ends the pass at its next step, the second one ends the process. */
static void *stop_at_signal(void *arg)
{
    struct services *services = arg;
    sigset_t set;
    int signal_number;
    stop_signals_block(&set);
    if (sigwait(&set, &signal_number) == 0) {
        (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
        services_stop(services);
        notifier_wake(services->notifier);
        (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
        (void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
        (void)pause();
    }
    return NULL;
}

static int complain(int status, const char *text)
{
    AUTO_FREE char *shown = text_cut(text, strlen(text));
    fprintf(stderr, "reconciled: %s\n", shown);
    return status;
}

/* The same for a pass: it is printed once all is closed, if standard error takes it. */
static int complain_later(char **ret_complaint, int status, const char *text)
{
    *ret_complaint = mem_dup(text);
    return status;
}

/* False: standard output does not take it. */
static bool print_report(const struct report *report)
{
    json_auto_t *document = report_json(report);
    AUTO_FREE char *text = json_shown(document, 2);
    return puts(text) != EOF && fflush(stdout) == 0;
}

static bool is_waiting(const struct report *report)
{
    return report->waiting.projects + report->waiting.issues > 0;
}

/* If Plane accepted no call of the pass, the pass has not looked at Plane. */
static bool is_good(const struct report *report)
{
    return report->state == PASS_DONE && report_count(report, OUTCOME_FAILED) == 0 && report->errors == 0 &&
           (report->issues > 0 || !is_waiting(report));
}

static int complain_waiting(char **ret_complaint, int status, const struct report_waiting *waiting)
{
    *ret_complaint = mem_printf("Plane was not read to the end: %zu projects and %zu issues wait (%s)",
                                waiting->projects, waiting->issues, waiting->reason);
    return status;
}

static int make_pass(struct services *services, const struct pass_request *request, struct policy **policy,
                     char **ret_complaint)
{
    struct uuid_text id = uuid_new();
    struct pass_result result;
    struct why why = {.text = ""};
    log_set_pass(id.s);
    struct pass_memory *memory = pass_memory_new(services->settings);
    enum err err = pass_run(services, memory, request, id.s, policy, &result, &why);
    if (!print_report(&result.report))
        err = why_set(&why, ERR_INTERNAL, "the report cannot be written");
    int status = !err && is_good(&result.report) ? EXIT_DONE : EXIT_FAILED;
    if (!err) {
        struct report_log *reports = report_log_new(services->store);
        (void)pass_save(services, &result, report_log_place(reports, result.report.started_us));
        report_log_free(reports);
    }
    if (err)
        status = complain_later(ret_complaint, status, why.text);
    else if (is_waiting(&result.report))
        status = complain_waiting(ret_complaint, status, &result.report.waiting);
    log_set_pass(NULL);
    pass_result_done(&result);
    pass_memory_free(memory);
    return status;
}

/* The one task that is meant by --task. */
static int task_find(struct store *store, const char *name, int64_t *ret_id, char **ret_complaint)
{
    struct store_named_tasks named;
    struct why why;
    int status = EXIT_FAILED;
    if (store_tasks_named(store, &name, 1, &named, &why) != ERR_OK)
        return complain_later(ret_complaint, EXIT_FAILED, why.text);
    struct buffer words = {.max = LIMIT_LISTED};
    if (named.n == 0)
        buffer_printf(&words, "there is no task %s", name);
    else if (named.n > 1)
        buffer_printf(&words, "%s may be each of these tasks, name one by its number: ", name);
    for (size_t i = 0; named.n > 1 && i < named.n; i++)
        buffer_printf(&words, "%s#%" PRId64 " (%s, %s)", i ? ", " : "", named.rows[i].id,
                      named.rows[i].repo ? named.rows[i].repo : "no repo", named.rows[i].stage);
    if (named.n == 1) {
        *ret_id = named.rows[0].id;
        status = EXIT_DONE;
    }
    AUTO_FREE char *text = buffer_take(&words);
    store_named_tasks_done(&named);
    return status == EXIT_DONE ? status : complain_later(ret_complaint, status, text);
}

static int run_with(struct services *services, struct pass_request *request, const char *task,
                    char **ret_complaint)
{
    struct policy *policy = NULL;
    struct why why;
    /* A dry run writes nothing, tables included. */
    if (!request->dry_run && store_migrate(services->store, NULL, &why) != ERR_OK)
        return complain_later(ret_complaint, EXIT_FAILED, why.text);
    if (store_ready(services->store, &why) != ERR_OK)
        return complain_later(ret_complaint, EXIT_FAILED, why.text);
    struct policy_hold hold = {.held = false};
    int status = task ? task_find(services->store, task, &request->task_id, ret_complaint) : EXIT_DONE;
    if (status != EXIT_DONE)
        return status;
    enum err err = pass_may_run(services->store, services->settings, request, &hold, &why);
    bool found = !err;
    if (found)
        err = policy_read(services->store, services->settings, &policy, &why);
    if (err) { /* settings that cannot be understood count as switched off, for a dry run too */
        bool off = hold.held || (found && err == ERR_INVALID);
        status = complain_later(ret_complaint, off ? EXIT_SWITCHED_OFF : EXIT_FAILED,
                                hold.held ? hold.text : why.text);
    } else {
        status = make_pass(services, request, &policy, ret_complaint);
        if (!request->dry_run && services->notifier) /* what this pass wrote, and an earlier one left */
            notifier_drain(services->notifier, clock_mono_ms() + LIMIT_SEND_ALL_MS);
    }
    policy_free(policy);
    policy_hold_done(&hold);
    return status;
}

static bool takes_words(void)
{
    struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&fd, 1, LIMIT_LOG_FLUSH_MS) == 1;
}

/* With a thread beside the pass that takes the signals. */
static int run_until_signal(struct services *services, struct pass_request *request, const char *task,
                            char **ret_complaint)
{
    pthread_t thread;
    int status;
    if (services_destinations(services))
        services->notifier = notifier_new(services, NULL, NULL);
    if (pthread_create(&thread, NULL, stop_at_signal, services) == 0) {
        status = run_with(services, request, task, ret_complaint);
        (void)pthread_cancel(thread);
        (void)pthread_join(thread, NULL);
    } else {
        status = complain_later(ret_complaint, EXIT_FAILED, "no thread can be started");
    }
    notifier_free(services->notifier);
    return status;
}

int run_once(const struct setup *setup, const struct pass_request *asked, const char *task)
{
    struct pass_request request = *asked;
    struct services services;
    AUTO_FREE char *complaint = NULL;
    struct why why;
    sigset_t set;
    int status;
    stop_signals_block(&set);
    log_start();
    enum err err = services_open(setup, &services, &why);
    if (err) {
        status = complain_later(&complaint, err == ERR_INVALID ? EXIT_USAGE : EXIT_FAILED, why.text);
    } else {
        status = run_until_signal(&services, &request, task, &complaint);
        services_close(&services);
    }
    log_stop();
    return complaint && takes_words() ? complain(status, complaint) : status;
}

static enum err migrate_trial(struct store *store, const struct setup *setup)
{
    json_auto_t *problems = json_array();
    AUTO_FREE char *done = NULL;
    struct why why;
    enum err err = trial_run(store, setup->pipeline, setup->settings, problems, &done, &why);
    if (err)
        (void)complain(EXIT_FAILED, why.text);
    for (size_t i = 0; i < json_array_size(problems); i++)
        (void)complain(EXIT_FAILED, json_string_value(json_array_get(problems, i)));
    return json_array_size(problems) > 0 ? ERR_INTERNAL : err;
}

/* Tables that cannot be counted are complained of next. */
static void print_created(struct store *store, const struct setup *setup, size_t created)
{
    struct overview overview;
    struct why why;
    enum err err = overview_read(store, setup->settings, setup->pipeline, &overview, &why);
    AUTO_FREE char *words = err ? NULL : overview_words(&overview);
    AUTO_FREE char *made = created
                               ? mem_printf("created %zu missing table%s", created, created == 1 ? "" : "s")
                               : mem_dup("nothing was missing");
    AUTO_FREE char *line =
        mem_printf("%s: %s%s%s", store_describe(store), made, words ? "; " : "", words ? words : "");
    AUTO_FREE char *shown = text_cut(line, strlen(line));
    puts(shown);
}

/* Why the tables may be the wrong ones, before they are made; NULL: they are there. A file that does not
 * exist has none. Caller frees. */
static char *missing_before(struct store *store)
{
    struct store_overview tables = {.tasks = 0};
    struct why why;
    if (store_overview(store, &tables, &why) != ERR_OK)
        tables.has_tasks = tables.has_jobs = false;
    return overview_missing(&tables);
}

int migrate(const struct setup *setup, bool create)
{
    struct store *store = NULL;
    struct why why;
    size_t created = 0;
    enum err err = setup_store(setup->settings, &store, &why);
    if (err)
        return complain(EXIT_USAGE, why.text);
    if (create)
        store_create_beside(store);
    AUTO_FREE char *missing = missing_before(store);
    err = store_migrate(store, &created, &why);
    if (err)
        (void)complain(EXIT_FAILED, why.text);
    else
        print_created(store, setup, created);
    if (!err && missing && created > 0) {
        AUTO_FREE char *warning = mem_printf("warning: %s", missing);
        (void)complain(EXIT_DONE, warning);
    }
    /* Tables that existed may still have unusable types, or refuse writes. */
    if (!err && (err = store_ready(store, &why)))
        (void)complain(EXIT_FAILED, why.text);
    else if (!err)
        err = migrate_trial(store, setup);
    store_free(store);
    return err ? EXIT_FAILED : EXIT_DONE;
}
