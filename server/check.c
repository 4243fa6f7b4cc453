/* check: asks the database and each upstream once, as a pass does, and prints one line for each. */
#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/text.h"
#include "clients/gitea/gitea.h"
#include "clients/notify_webhook.h"
#include "clients/orchestrator.h"
#include "clients/plane/plane.h"
#include "clients/store/store.h"
#include "clients/telegram.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/plane/plane_state_map.h"
#include "reconcile/settings/settings.h"
#include "reconcile/sweep/overview.h"
#include "reconcile/readiness/trial.h"
#include "server/commands.h"
#include "server/options.h"

/* How many repositories or projects an upstream is asked about: Plane allows 60 calls a minute for all users
 * of a key. */
enum { ASKED_MAX = 20 };

static bool line_print(const char *what, bool good, const char *error)
{
    AUTO_FREE char *shown = text_cut(error, strlen(error));
    printf("%-9s %s%s%s\n", what, good ? "ok" : "BAD", *shown ? ": " : "", shown);
    return good;
}

static bool tell_off(const char *what, const char *error)
{
    printf("%-9s off: %s\n", what, error);
    return true;
}

static bool tell_problems(const char *what, const json_t *problems)
{
    for (size_t i = 0; i < json_array_size(problems); i++)
        (void)line_print(what, false, json_string_value(json_array_get(problems, i)));
    return json_array_size(problems) == 0;
}

static void warning_print(const char *what, const char *text)
{
    AUTO_FREE char *shown = text_cut(text, strlen(text));
    printf("%-9s warning: %s\n", what, shown);
}

static void print_warnings(const struct setup *setup)
{
    json_auto_t *warnings = setup_warnings(setup);
    for (size_t i = 0; i < json_array_size(warnings); i++)
        warning_print("settings", json_string_value(json_array_get(warnings, i)));
}

/* The tables are there; whether they take what a pass writes. */
static bool check_writes(struct store *store, const struct setup *setup)
{
    json_auto_t *problems = json_array();
    AUTO_FREE char *done = NULL;
    struct why why;
    if (!setup->pipeline)
        return line_print("database", true, store_describe(store));
    if (trial_run(store, setup->pipeline, setup->settings, problems, &done, &why) != ERR_OK)
        return line_print("database", false, why.text);
    if (!tell_problems("database", problems))
        return false;
    struct overview overview;
    if (overview_read(store, setup->settings, setup->pipeline, &overview, &why) != ERR_OK)
        return line_print("database", false, why.text);
    AUTO_FREE char *words = overview_words(&overview);
    AUTO_FREE char *text = mem_printf("%s: %s; %s", store_describe(store), words, done);
    return line_print("database", true, text);
}

/* In `rows` rows, one of which is `task`'s. */
static void warn_of_rows(const char *what, int64_t rows, int64_t task, const char *then)
{
    AUTO_FREE char *line =
        rows == 1
            ? mem_printf("tasks.updated_at %s in 1 row, task %" PRId64 ": it is %s", what, task, then)
            : mem_printf("tasks.updated_at %s in %" PRId64 " rows, among them task %" PRId64 ": they are %s",
                         what, rows, task, then);
    warning_print("database", line);
}

/* Without them a pass reads all tasks. */
static void warn_of_indexes(struct store *store)
{
    struct store_overview tables;
    struct why why;
    if (store_overview(store, &tables, &why) != ERR_OK)
        return; /* what the look at the tables found is printed already */
    for (size_t i = 0; i < tables.n_unindexed; i++) {
        AUTO_FREE char *line =
            mem_printf("an index is missing, so that passes are slow: %s", tables.unindexed[i]);
        warning_print("database", line);
    }
}

static void warn_of_tables(struct store *store)
{
    struct store_overview tables;
    struct why why;
    AUTO_FREE char *missing =
        store_overview(store, &tables, &why) == ERR_OK ? overview_missing(&tables) : NULL;
    if (missing)
        warning_print("database", missing);
}

/* A warning, and no reason to fail: the tasks are left alone. */
static void warn_of_times(struct store *store)
{
    struct store_times times;
    struct why why;
    if (store_times(store, &times, &why) != ERR_OK) {
        AUTO_FREE char *line = mem_printf("tasks.updated_at was not looked at: %s", why.text);
        warning_print("database", line);
        return;
    }
    if (times.unread)
        warn_of_rows("holds no time that can be read", times.unread, times.unread_task, "left alone");
    if (times.ahead)
        warn_of_rows("is in the future", times.ahead, times.ahead_task, "left alone until then");
    if (times.zoneless)
        printf("%-9s warning: tasks.updated_at is a timestamp without time zone: its times are read and "
               "written as UTC\n",
               "database");
}

static bool check_database(const struct setup *setup)
{
    struct store *store = NULL;
    struct why why;
    if (setup_store(setup->settings, &store, &why) != ERR_OK)
        return line_print("database", false, why.text);
    bool ready = store_ready(store, &why) == ERR_OK;
    bool good = ready ? check_writes(store, setup) : line_print("database", false, why.text);
    if (ready) {
        warn_of_times(store);
        warn_of_indexes(store);
    } else {
        AUTO_FREE char *shown = text_cut(store_describe(store), strlen(store_describe(store)));
        printf("%-9s at: %s\n", "database", shown);
        warn_of_tables(store);
    }
    store_free(store);
    return good;
}

/* upstreams */

/* Frees the problem. */
static bool tell_problem(const char *what, char *problem)
{
    bool good = line_print(what, !problem, problem ? problem : "");
    free(problem);
    return good;
}

static bool check_gitea(const struct settings *settings, struct fetch *fetch)
{
    const char *repos[ASKED_MAX];
    struct gitea *gitea = NULL;
    struct why why;
    size_t n = 0;
    if (!settings->gitea_url)
        return tell_off("gitea", "ORCH_GITEA_URL is not set: gates that need it are unknown");
    if (gitea_open(settings, &gitea, &why) != ERR_OK)
        return line_print("gitea", false, why.text);
    for (; n < settings->n_repos && n < ASKED_MAX; n++)
        repos[n] = settings->repos[n];
    char *problem = gitea_check(gitea, fetch, repos, n);
    gitea_free(gitea);
    return tell_problem("gitea", problem);
}

/* By its states the Plane side knows what an issue of a project is. */
static char *states_problem(const struct plane_states *states, const void *arg)
{
    const struct settings *settings = arg;
    struct plane_state_map map = {.n = 0};
    (void)plane_state_map_update(&map, states, settings->plane_states);
    char *problem = mem_dup(map.problem);
    plane_state_map_done(&map);
    return problem;
}

static bool check_plane(const struct settings *settings, struct fetch *fetch)
{
    struct plane_project projects[ASKED_MAX];
    struct plane *plane = NULL;
    struct why why;
    size_t n = 0;
    if (!settings->plane_url)
        return tell_off("plane", "ORCH_PLANE_URL is not set: only gates are reconciled");
    if (plane_open(settings, &plane, &why) != ERR_OK)
        return line_print("plane", false, why.text);
    for (size_t i = 0; i < settings->n_projects && n < ASKED_MAX; i++)
        if (settings->projects[i].plane_project_id)
            projects[n++] = (struct plane_project){.about = settings->projects[i].repo,
                                                   .id = settings->projects[i].plane_project_id};
    char *problem = plane_check(plane, fetch, projects, n, states_problem, settings);
    plane_free(plane);
    return n > 0 ? tell_problem("plane", problem)
                 : tell_off("plane", "no project in ORCH_PROJECTS_JSON has a plane_project_id");
}

static bool check_telegram(const struct settings *settings, struct fetch *fetch)
{
    struct telegram *telegram = NULL;
    struct why why;
    if (!settings->telegram_bot_token)
        return tell_off("telegram", "ORCH_TELEGRAM_BOT_TOKEN is not set: it gets no messages");
    if (telegram_open(settings, &telegram, &why) != ERR_OK)
        return line_print("telegram", false, why.text);
    char *problem = telegram_check(telegram, fetch);
    telegram_free(telegram);
    return tell_problem("telegram", problem);
}

/* Its server alone: a call of the webhook would be a message. */
static bool check_notify_webhook(const struct settings *settings, struct fetch *fetch)
{
    struct notify_webhook *webhook = NULL;
    struct why why;
    if (!settings->notify_webhook_url)
        return tell_off("notify", "ORCH_NOTIFY_WEBHOOK_URL is not set: no webhook gets messages");
    if (notify_webhook_open(settings, &webhook, &why) != ERR_OK)
        return line_print("notify", false, why.text);
    char *problem = notify_webhook_check(webhook, fetch);
    notify_webhook_free(webhook);
    return tell_problem("notify", problem);
}

static bool check_orchestrator(const struct settings *settings, struct fetch *fetch)
{
    struct orchestrator *orchestrator = NULL;
    struct why why;
    if (settings->advance_via != ADVANCE_VIA_WEBHOOK)
        return tell_off("webhooks", "ORCH_ADVANCE_VIA is database: tasks are moved there");
    if (orchestrator_open(settings, &orchestrator, &why) != ERR_OK)
        return line_print("webhooks", false, why.text);
    bool page;
    AUTO_FREE char *problem = orchestrator_check(orchestrator, fetch, &page);
    orchestrator_free(orchestrator);
    if (page)
        printf("%-9s warning: ORCH_ORCHESTRATOR_URL answers with a page or a redirect; if that is a login's "
               "or a "
               "proxy's, no webhook passes it\n",
               "webhooks");
    return line_print("webhooks", !problem, problem ? problem : "the orchestrator answers");
}

static bool check_upstreams(const struct settings *settings)
{
    const struct fetch_options options = upstream_options(settings);
    struct fetch *fetch = NULL;
    struct why why;
    if (fetch_new(&options, &fetch, &why) != ERR_OK)
        return line_print("upstreams", false, why.text);
    bool good = check_gitea(settings, fetch);
    good &= check_plane(settings, fetch);
    good &= check_telegram(settings, fetch);
    good &= check_notify_webhook(settings, fetch);
    good &= check_orchestrator(settings, fetch);
    fetch_free(fetch);
    return good;
}

static void check_certificates(const struct settings *settings, json_t *problems)
{
    struct certificate_pair pair;
    struct why why;
    if (setup_certificates(settings, &pair, &why) == ERR_OK)
        certificate_pair_done(&pair);
    else
        json_push(problems, json_text(why.text));
}

int check(void)
{
    json_t *settings_problems = json_array(), *pipeline_problems = json_array();
    struct setup setup;
    bool good = setup_load(&setup, settings_problems, pipeline_problems) == ERR_OK;
    if (setup.settings)
        check_certificates(setup.settings, settings_problems);
    good &= json_array_size(settings_problems) == 0;
    if (tell_problems("settings", settings_problems))
        line_print("settings", true, "");
    print_warnings(&setup);
    if (tell_problems("pipeline", pipeline_problems) && setup.pipeline) {
        char error[64];
        snprintf(error, sizeof error, "%zu stages", setup.pipeline->n_stages);
        line_print("pipeline", true, error);
    }
    if (setup.settings && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
        good &= check_database(&setup);
        good &= check_upstreams(setup.settings);
        curl_global_cleanup();
    }
    setup_done(&setup);
    json_decref(settings_problems);
    json_decref(pipeline_problems);
    return good && fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}
