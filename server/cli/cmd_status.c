/* status: one screen about the service. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clients/base/jsonx.h"
#include "clients/base/text.h"
#include "server/cli/cli.h"
#include "server/cli/screen.h"
#include "server/cli/service.h"
#include "server/cli/times.h"

enum { ROWS_SHOWN = 10, WATCH_S = 2 };
static const char *const status_path[] = {"reconcile", "status", NULL};

/* "by ann until 18:00: moving Gitea", of what holds these three members. */
static void print_switch(const char *label, const char *what, const json_t *held)
{
    const char *by = json_get_text(held, "by", NULL), *reason = json_get_text(held, "reason", NULL);
    const char *until = json_get_text(held, "until", NULL);
    char moment[TIME_TEXT_SIZE];
    print_labelled(label, TONE_BAD, "%s%s%s%s%s%s%s", what, by ? " by " : "", by ? by : "",
                   until ? " until " : "", until ? moment_of(until, moment) : "", reason ? ": " : "",
                   reason ? reason : "");
}

static void print_switches(const json_t *status)
{
    bool on = json_get_bool(status, "enabled", false);
    const char *mode = json_get_text(status, "mode", "-");
    if (on)
        print_labelled("Switch", TONE_GOOD, "on");
    else
        print_switch("Switch", "off", json_object_get(status, "pause"));
    if (!json_get_bool(status, "plane_enabled", false))
        print_labelled("Plane side", TONE_BAD, "off");
    print_labelled("Mode", strcmp(mode, "heal") == 0 ? TONE_PLAIN : TONE_WARN, "%s%s", mode,
                   strcmp(mode, "observe") == 0 ? ": gates are read and nothing is moved" : "");
}

static void print_stuck(const json_t *status)
{
    const json_t *stuck = json_object_get(status, "stuck");
    int64_t count = json_get_int(stuck, "count", 0), quarantined = json_get_int(status, "quarantined", 0);
    int64_t held = json_get_int(json_object_get(status, "holds"), "count", 0);
    char oldest[TIME_TEXT_SIZE];
    duration_words(json_get_int(stuck, "oldest_age_s", 0), oldest);
    if (count == 0)
        print_labelled("Stuck", TONE_GOOD, "nothing");
    else
        print_labelled("Stuck", TONE_BAD, "%" PRId64 " %s, the oldest for %s", count,
                       count == 1 ? "task" : "tasks", oldest);
    if (held)
        print_labelled("Held", TONE_WARN, "%" PRId64 " %s in force", held, held == 1 ? "hold" : "holds");
    if (quarantined)
        print_labelled("Quarantined", TONE_BAD, "%" PRId64 " of them: healed too often, left to a person",
                       quarantined);
}

static void print_passes(const json_t *status)
{
    const json_t *pass = json_object_get(status, "last_pass"), *gate = json_object_get(pass, "gate");
    double last = json_number_value(json_object_get(status, "last_run_ts"));
    double now = (double)clock_wall_us() / 1e6;
    const char *error = json_get_text(pass, "error", NULL);
    char words[TIME_TEXT_SIZE];
    if (json_get_bool(status, "running", false))
        print_labelled("Passes", TONE_PLAIN, "one is under way");
    if (json_is_object(pass)) {
        duration_words(last > 0 && now > last ? (int64_t)(now - last) : 0, words);
        print_labelled("Last pass", error ? TONE_BAD : TONE_PLAIN,
                       "%s ago: %" PRId64 " stuck, %" PRId64 " moved, %" PRId64 " red, %" PRId64
                       " unknown, %" PRId64 " held, %" PRId64 " failed%s%s",
                       words, json_get_int(gate, "candidates", 0), json_get_int(gate, "advanced", 0),
                       json_get_int(gate, "red", 0), json_get_int(gate, "unknown", 0),
                       json_get_int(gate, "held", 0), json_get_int(gate, "failed", 0), error ? ": " : "",
                       error ? error : "");
    } else {
        print_labelled("Last pass", TONE_PLAIN, "none yet");
    }
    double left = last + json_number_value(json_object_get(status, "interval")) - now;
    duration_words(left > 0 ? (int64_t)left : 0, words);
    if (json_get_bool(status, "enabled", false) && last > 0)
        print_labelled("Next pass", TONE_PLAIN, "in about %s", words);
    print_labelled("Unblocked", TONE_PLAIN, "%" PRId64 " so far%s%s",
                   json_get_int(status, "unblocked_total", 0),
                   json_get_text(status, "last_unblocked", NULL) ? ", the last " : "",
                   json_get_text(status, "last_unblocked", ""));
}

static void print_upstreams(const json_t *status)
{
    const char *name;
    json_t *upstream;
    json_object_foreach(json_object_get(status, "upstreams"), name, upstream)
    {
        const json_t *part;
        size_t i;
        char since[TIME_TEXT_SIZE];
        if (!json_is_object(upstream)) {
            print_labelled(name, TONE_PLAIN, "not configured");
        } else if (json_get_bool(upstream, "ok", false)) {
            print_labelled(name, TONE_GOOD, "ok");
        } else {
            const char *from = json_get_text(upstream, "since", NULL);
            print_labelled(name, from ? TONE_BAD : TONE_WARN, "%s%s%s%s",
                           json_get_text(upstream, "error", "-"), from ? " (since " : "",
                           from ? moment_of(from, since) : "", from ? ")" : "");
        }
        json_array_foreach(json_object_get(upstream, "failing"), i, part) print_labelled(
            "", TONE_BAD, "%s: %s", json_get_text(part, "part", "-"), json_get_text(part, "error", "-"));
    }
}

static void print_hooks(const json_t *status)
{
    const json_t *hook;
    size_t i;
    json_array_foreach(json_object_get(json_object_get(status, "hooks"), "bad"), i, hook)
        print_labelled(i ? "" : "Webhooks", TONE_BAD, "%s: %s", json_get_text(hook, "repo", "-"),
                       json_get_text(hook, "detail", "-"));
}

/* The first rows of a list; the exit status. */
static int print_first(struct service *service, const char *resource, const char *const *query,
                       void (*print)(const json_t *rows), const char *command)
{
    json_t *rows = NULL;
    bool more;
    int status = service_list(service, resource, query, ROWS_SHOWN, &rows, &more);
    if (status != EXIT_DONE)
        return status;
    if (json_array_size(rows)) {
        putchar('\n');
        print(rows);
    }
    if (more)
        printf("There are more: reconciled %s\n", command);
    json_decref(rows);
    return EXIT_DONE;
}

static void print_head(const struct service *service, const json_t *status)
{
    int64_t started;
    char up[TIME_TEXT_SIZE] = "-";
    if (instant_parse(json_get_text(status, "started_at", ""), &started))
        duration_words((clock_wall_us() - started) / 1000000, up);
    print_labelled("Service", TONE_HEAD, "reconciled %s at %s, up %s", json_get_text(status, "version", "-"),
                   service_shown(service), up);
}

/* What is stuck and what is held, where there is any. */
static int print_details(struct service *service, const json_t *status)
{
    static const char *const stuck[] = {"stuck", "true", NULL};
    int result = EXIT_DONE;
    if (json_get_int(json_object_get(status, "stuck"), "count", 0))
        result = print_first(service, "tasks", stuck, task_table_print, "tasks --stuck");
    if (result == EXIT_DONE && json_get_int(json_object_get(status, "holds"), "count", 0))
        result = print_first(service, "holds", NULL, hold_table_print, "holds");
    return result;
}

static int status_once(const struct command_line *line, struct service *service)
{
    const bool json = line->values[OPTION_JSON], watch = line->values[OPTION_WATCH];
    struct service_answer answer;
    int result;
    service_get(service, status_path, NULL, &answer);
    if (service_failed(service, &answer, json, &result)) {
        service_answer_done(&answer);
        return result;
    }
    if (json) {
        result = service_print(&answer);
        if (watch)
            putchar('\n');
    } else {
        if (watch && screen_is_terminal())
            fputs("\033[H\033[2J", stdout);
        print_head(service, answer.json);
        print_switches(answer.json);
        print_stuck(answer.json);
        print_passes(answer.json);
        print_upstreams(answer.json);
        print_hooks(answer.json);
        result = print_details(service, answer.json);
    }
    service_answer_done(&answer);
    return result;
}

int command_status(const struct command_line *line, struct service *service)
{
    int result = status_once(line, service);
    if (!line->values[OPTION_WATCH] || result != EXIT_DONE)
        return result;
    while (fflush(stdout) == 0 &&
           !ferror(stdout)) { /* over restarts of the service, until it is interrupted */
        (void)sleep(WATCH_S);
        (void)status_once(line, service);
    }
    return EXIT_FAILED;
}
