/* check: asks everything outside once, the way a pass would, and says in one line each how it is. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/http/upstream.h"
#include "clients/plane/plane.h"
#include "clients/store/store.h"
#include "clients/telegram.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/plane/plane_state_map.h"
#include "reconcile/settings/settings.h"
#include "server/commands.h"
#include "server/options.h"

/* Questions per upstream: Plane allows 60 a minute to everybody together. */
enum { QUESTIONS_MAX = 20 };

static bool tell(const char *what, bool good, const char *error)
{
    printf("%-9s %s%s%s\n", what, good ? "ok" : "BAD", *error ? ": " : "", error);
    return good;
}

static void tell_off(const char *what, const char *error)
{
    printf("%-9s off: %s\n", what, error);
}

static bool tell_problems(const char *what, const json_t *problems)
{
    for (size_t i = 0; i < json_array_size(problems); i++)
        (void)tell(what, false, json_string_value(json_array_get(problems, i)));
    return json_array_size(problems) == 0;
}

static bool check_database(const struct settings *settings)
{
    struct store *store = NULL;
    struct why why;
    if (store_open(settings->database_url, settings->database_schema, &store, &why) != ERR_OK)
        return tell("database", false, why.text);
    bool good = store_ready(store, &why) == ERR_OK;
    tell("database", good, good ? store_describe(store) : why.text);
    store_free(store);
    return good;
}

/* upstreams */

struct question {
    char *url;
    const char *about; /* what is named when the answer is bad: the part of the upstream that is asked */
};

struct questions {
    struct question list[QUESTIONS_MAX];
    size_t n;
};

static void questions_add(struct questions *questions, char *url_take, const char *about)
{
    if (url_take && questions->n < QUESTIONS_MAX)
        questions->list[questions->n++] = (struct question){url_take, about};
    else
        free(url_take);
}

/* What an upstream that says no means by it; NULL: it said yes. */
static const char *meaning(const struct fetch_answer *answer)
{
    if (answer->result != FETCH_ANSWERED)
        return answer->error;
    if (answer->status >= 200 && answer->status < 300)
        return NULL;
    switch (answer->status) {
    case 401:
        return "the token is not accepted";
    case 403:
        return "the token is not accepted, or may not read this";
    case 404:
        return "there is no such thing, or the token may not see it";
    default:
        return "";
    }
}

/* Asks all questions at once; the first bad answer is the one told. */
static bool ask(const char *what, const struct settings *settings, struct questions *questions,
                const char *header)
{
    const struct fetch_options options = upstream_options(settings);
    const char *const headers[] = {"Accept: application/json", header, NULL};
    struct fetch *fetch = NULL;
    struct why why;
    char error[400] = "";
    if (fetch_new(&options, &fetch, &why) != ERR_OK)
        return tell(what, false, why.text);
    struct fetch_inbox *inbox = fetch_inbox_new(fetch);
    for (size_t i = 0; i < questions->n; i++)
        fetch_send(inbox, &(const struct fetch_request){.method = "GET",
                                                        .url = questions->list[i].url,
                                                        .part = questions->list[i].about,
                                                        .forced = true,
                                                        .waited_for = true,
                                                        .headers = headers,
                                                        .answer_max = LIMIT_ANSWER_CHECK,
                                                        .attempts = 1,
                                                        .tag = &questions->list[i]});
    while (fetch_pending(inbox) > 0) {
        struct fetch_answer *answer = fetch_take(inbox, -1);
        const struct question *question = answer->tag;
        const char *bad = meaning(answer);
        if (bad && !*error && answer->result == FETCH_ANSWERED)
            snprintf(error, sizeof error, "%s: answered %d%s%s", question->about, answer->status,
                     *bad ? ", " : "", bad);
        else if (bad && !*error)
            snprintf(error, sizeof error, "%s: %s", question->about, bad);
        fetch_answer_free(answer);
    }
    fetch_inbox_free(inbox);
    fetch_free(fetch);
    for (size_t i = 0; i < questions->n; i++)
        free(questions->list[i].url);
    return tell(what, !*error, error);
}

static bool check_gitea(const struct settings *settings)
{
    struct questions questions = {.n = 0};
    if (!settings->gitea_url) {
        tell_off("gitea", "ORCH_GITEA_URL is not set: gates that need it are unknown");
        return true;
    }
    AUTO_FREE char *header =
        settings->gitea_token ? mem_printf("Authorization: token %s", settings->gitea_token) : NULL;
    for (size_t i = 0; i < settings->n_projects; i++) {
        AUTO_FREE char *owner = mem_dup(settings->projects[i].repo);
        char *slash = strchr(owner, '/');
        *slash = '\0';
        const char *const path[] = {"api", "v1", "repos", owner, slash + 1, NULL};
        questions_add(&questions, fetch_url(settings->gitea_url, path, NULL), settings->projects[i].repo);
    }
    if (questions.n == 0) {
        const char *const path[] = {"api", "v1", "version", NULL};
        questions_add(&questions, fetch_url(settings->gitea_url, path, NULL), settings->gitea_url);
    }
    return ask("gitea", settings, &questions, header);
}

/* The states of one project, by which the Plane side knows what an issue is; NULL: they are all there. */
static char *plane_problem(struct plane_call *call, const struct settings *settings,
                           const struct project *project)
{
    struct plane_states states = {.n = 0};
    struct plane_state_map kinds = {.n = 0};
    struct why why;
    if (plane_states(call, project->plane_project_id, &states, &why) != PLANE_OK)
        return mem_printf("%s: %s", project->repo, why.text);
    (void)plane_state_map_update(&kinds, &states, settings->plane_states);
    char *problem = kinds.problem ? mem_printf("%s: %s", project->repo, kinds.problem) : NULL;
    plane_state_map_done(&kinds);
    plane_states_done(&states);
    return problem;
}

static bool check_projects(const struct settings *settings, struct plane *plane, struct fetch *fetch)
{
    struct plane_call call;
    AUTO_FREE char *problem = NULL;
    size_t asked = 0;
    plane_call_begin(&call, plane, fetch, true, INT64_MAX, NULL);
    for (size_t i = 0; i < settings->n_projects && asked < QUESTIONS_MAX && !problem; i++)
        if (settings->projects[i].plane_project_id) {
            problem = plane_problem(&call, settings, &settings->projects[i]);
            asked++;
        }
    plane_call_end(&call);
    if (!asked) {
        tell_off("plane", "no project in ORCH_PROJECTS_JSON has a plane_project_id");
        return true;
    }
    return tell("plane", !problem, problem ? problem : "");
}

static bool check_plane(const struct settings *settings)
{
    const struct fetch_options options = upstream_options(settings);
    struct plane *plane = NULL;
    struct fetch *fetch = NULL;
    struct why why;
    if (!settings->plane_url) {
        tell_off("plane", "ORCH_PLANE_URL is not set: only gates are reconciled");
        return true;
    }
    enum err err = plane_open(settings, &plane, &why);
    if (!err)
        err = fetch_new(&options, &fetch, &why);
    bool good = err ? tell("plane", false, why.text) : check_projects(settings, plane, fetch);
    fetch_free(fetch);
    plane_free(plane);
    return good;
}

static bool check_telegram(const struct settings *settings)
{
    static const struct upstream_names telegram_names = {.url = "ORCH_TELEGRAM_URL",
                                                         .token = "ORCH_TELEGRAM_BOT_TOKEN"};
    struct questions questions = {.n = 0};
    char *url = NULL;
    struct why why;
    if (!settings->telegram_bot_token) {
        tell_off("telegram", "ORCH_TELEGRAM_BOT_TOKEN is not set: messages are only logged");
        return true;
    }
    if (telegram_url(settings->telegram_url, settings->telegram_bot_token, "getMe", &telegram_names, &url,
                     &why) != ERR_OK)
        return tell("telegram", false, why.text);
    questions_add(&questions, url, "getMe");
    return ask("telegram", settings, &questions, NULL);
}

/* Nothing is sent to its endpoints, for it would be an event: that it answers at all must do. */
static bool check_orchestrator(const struct settings *settings)
{
    const struct fetch_options options = upstream_options(settings);
    struct fetch *fetch = NULL;
    struct why why;
    if (settings->advance_via != ADVANCE_VIA_WEBHOOK) {
        tell_off("webhooks", "ORCH_ADVANCE_VIA is database: tasks are moved there");
        return true;
    }
    if (fetch_new(&options, &fetch, &why) != ERR_OK)
        return tell("webhooks", false, why.text);
    struct fetch_inbox *inbox = fetch_inbox_new(fetch);
    fetch_send(inbox, &(const struct fetch_request){
                          .method = "GET", .url = settings->orchestrator_url, .attempts = 1});
    struct fetch_answer *answer = fetch_take(inbox, -1);
    bool good = answer->result == FETCH_ANSWERED && answer->status < 500;
    AUTO_FREE char *error = answer->result == FETCH_ANSWERED
                                ? mem_printf("the orchestrator answered %d", answer->status)
                                : mem_printf("the orchestrator: %s", answer->error);
    fetch_answer_free(answer);
    fetch_inbox_free(inbox);
    fetch_free(fetch);
    return tell("webhooks", good, good ? "the orchestrator answers" : error);
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
        tell("settings", true, "");
    if (tell_problems("pipeline", pipeline_problems) && setup.pipeline) {
        char error[64];
        snprintf(error, sizeof error, "%zu stages", setup.pipeline->n_stages);
        tell("pipeline", true, error);
    }
    if (setup.settings && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
        good &= check_database(setup.settings);
        good &= check_gitea(setup.settings);
        good &= check_plane(setup.settings);
        good &= check_telegram(setup.settings);
        good &= check_orchestrator(setup.settings);
        curl_global_cleanup();
    }
    setup_done(&setup);
    json_decref(settings_problems);
    json_decref(pipeline_problems);
    return good && fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}
