/* hold, release; and the author, reason and end of any change. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "server/cli/cli.h"
#include "server/cli/screen.h"
#include "server/cli/service.h"
#include "server/cli/times.h"

/* remarks */

/* The author of a change: --by, or the login name. Caller frees. */
static char *by_of(const struct command_line *line)
{
    char name[256], buffer[1024];
    struct passwd entry, *found = NULL;
    if (line->values[OPTION_BY])
        return mem_dup(line->values[OPTION_BY]);
    if (getlogin_r(name, sizeof name) == 0)
        return text_cut(name, LIMIT_REMARK);
    if (getpwuid_r(getuid(), &entry, buffer, sizeof buffer, &found) == 0 && found)
        return text_cut(found->pw_name, LIMIT_REMARK);
    return NULL;
}

bool remarks_add(const struct command_line *line, json_t *body)
{
    const char *how_long = line->values[OPTION_FOR], *until = line->values[OPTION_UNTIL];
    AUTO_FREE char *by = by_of(line);
    int64_t seconds, until_us = 0, now_us = clock_wall_us();
    if (how_long && until) {
        usage_refuse(line->command, "--for and --until exclude each other");
        return false;
    }
    if (how_long && !duration_parse(how_long, &seconds)) {
        usage_refuse(line->command, "--for takes a duration such as 2h30m (d, h, m, s)");
        return false;
    }
    if (until && !until_parse(until, now_us, &until_us)) {
        usage_refuse(line->command, "--until takes a time such as 18:30 or 2026-11-24T18:30:00Z");
        return false;
    }
    if (how_long)
        until_us = (now_us / 1000000 + seconds) * 1000000;
    if (by)
        json_put(body, "by", json_text(by));
    if (line->values[OPTION_REASON])
        json_put(body, "reason", json_text(line->values[OPTION_REASON]));
    if (until_us)
        json_put(body, "until", json_instant(until_us));
    return true;
}

/* scopes */

enum { SEGMENTS_MAX = 6 };

/* The path of a scope. */
struct scope_path {
    char *owner; /* of a repository; owned */
    const char *segments[SEGMENTS_MAX];
    bool is_task;
};

/* A text that is neither a repository nor a stage is a task. */
static struct scope_path scope_path(const char *scope)
{
    struct scope_path path = {.segments = {"reconcile", "holds"}};
    const char **rest = path.segments + 2, *repo = text_behind(scope, "repo/"),
               *stage = text_behind(scope, "stage/");
    const char *task = text_behind(scope, "task/"), *slash = repo ? strchr(repo, '/') : NULL;
    if (repo) {
        path.owner = mem_dupn(repo, slash ? (size_t)(slash - repo) : strlen(repo));
        rest[0] = "repo";
        rest[1] = path.owner;
        rest[2] = slash ? slash + 1 : NULL;
    } else {
        rest[0] = stage ? "stage" : "task";
        rest[1] = stage ? stage : task ? task : scope;
        path.is_task = !stage;
    }
    return path;
}

static void print_hold(const json_t *hold)
{
    char until[TIME_TEXT_SIZE];
    const char *end = json_get_text(hold, "until", NULL);
    print_labelled("Held", TONE_WARN, "%s", json_get_text(hold, "scope", "-"));
    print_labelled("Reason", TONE_PLAIN, "%s", json_get_text(hold, "reason", "-"));
    print_labelled("By", TONE_PLAIN, "%s", json_get_text(hold, "by", "-"));
    print_labelled("Until", TONE_PLAIN, "%s", end ? moment_of(end, until) : "it is released");
}

/* Sends it and shows the answer; `show` NULL: prints `done` instead. */
static int ask(const struct command_line *line, struct service *service, const char *method,
               const char *const *segments, const char *const *query, const json_t *body,
               void (*show)(const json_t *answer), const char *done)
{
    const bool json = line->values[OPTION_JSON];
    struct service_answer answer;
    int status = EXIT_DONE;
    service_send(service, method, segments, query, body, NULL, &answer);
    if (!service_failed(service, &answer, json, &status)) {
        if (json)
            status = service_print(&answer);
        else if (show)
            show(answer.json);
        else
            printf("%s\n", done);
    }
    service_answer_done(&answer);
    return status;
}

int command_hold(const struct command_line *line, struct service *service)
{
    json_auto_t *body = json_object();
    if (!remarks_add(line, body))
        return EXIT_USAGE;
    struct scope_path path = scope_path(line->arguments[0]);
    int status = ask(line, service, "PUT", path.segments, NULL, body, print_hold, NULL);
    free(path.owner);
    return status;
}

int command_release(const struct command_line *line, struct service *service)
{
    json_auto_t *body = json_object();
    if (!remarks_add(line, body))
        return EXIT_USAGE;
    struct scope_path path = scope_path(line->arguments[0]);
    const char *by = json_get_text(body, "by", NULL), *reason = json_get_text(body, "reason", NULL);
    const char *query[5] = {NULL};
    size_t n = 0;
    if (by) {
        query[n++] = "by";
        query[n++] = by;
    }
    if (reason) {
        query[n++] = "reason";
        query[n++] = reason;
    }
    const char *const task[] = {"reconcile", "tasks", path.segments[3], "release", NULL};
    int status = path.is_task ? ask(line, service, "POST", task, NULL, body, NULL, "released")
                              : ask(line, service, "DELETE", path.segments, query, NULL, NULL, "released");
    free(path.owner);
    return status;
}
