/* why and resolve: about one task, in sentences. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "server/cli/cli.h"
#include "server/cli/screen.h"
#include "server/cli/service.h"
#include "server/cli/times.h"

/* One value of evidence: a text as it is, lists and objects as "a success, b failure". */
static void add_value(struct buffer *out, const json_t *value)
{
    struct buffer list = {.max = LIMIT_LISTED};
    const char *name;
    const json_t *row;
    size_t i;
    json_object_foreach((json_t *)(uintptr_t)value, name, row)
    {
        AUTO_FREE char *text = value_words(row);
        buffer_item(&list, ", ", "%s %s", name, text);
    }
    json_array_foreach(value, i, row)
    {
        AUTO_FREE char *text = value_words(row);
        buffer_item(&list, ", ", "%s", text);
    }
    bool is_list = json_is_object(value) || json_is_array(value);
    AUTO_FREE char *text = is_list ? buffer_take(&list) : value_words(value);
    buffer_puts(out, text);
}

/* What was seen of one gate, and on lines of their own the addresses where a person sees it too. */
static void print_evidence_item(const char *label, const json_t *item)
{
    struct buffer out = {.max = LIMIT_LOG_LINE};
    const char *name, *verdict = json_get_text(item, "verdict", "");
    const json_t *value;
    buffer_printf(&out, "%s", json_get_text(item, "gate", ""));
    if (*verdict)
        buffer_printf(&out, " %s", verdict);
    json_object_foreach((json_t *)(uintptr_t)item, name, value)
    {
        if (strcmp(name, "gate") == 0 || strcmp(name, "verdict") == 0 || strstr(name, "url") ||
            json_is_null(value))
            continue;
        buffer_item(&out, "; ", "%s ", name);
        add_value(&out, value);
    }
    AUTO_FREE char *text = buffer_take(&out);
    print_labelled(label, tone_of(verdict), "%s", text);
    const char *url = json_get_text(item, "html_url", json_get_text(item, "url", NULL));
    if (url)
        print_labelled("", TONE_PLAIN, "%s", url);
}

static void print_evidence(const json_t *evidence)
{
    const json_t *item;
    size_t i;
    if (json_is_object(evidence))
        print_evidence_item("Evidence", evidence);
    json_array_foreach(evidence, i, item) print_evidence_item(i ? "" : "Evidence", item);
}

static void print_task(const json_t *task)
{
    const json_t *job = json_object_get(task, "job");
    char age[TIME_TEXT_SIZE], grace[TIME_TEXT_SIZE], moment[TIME_TEXT_SIZE];
    duration_words(json_get_int(task, "age_s", 0), age);
    duration_words(json_get_int(task, "grace_s", 0), grace);
    print_labelled("Task", TONE_HEAD, "%s (#%" PRId64 ") %s", json_get_text(task, "work_item_id", "-"),
                   json_get_int(task, "task_id", 0), json_get_text(task, "title", ""));
    print_labelled("Where", TONE_PLAIN, "%s, branch %s", json_get_text(task, "repo", "no repository"),
                   json_get_text(task, "branch", "-"));
    bool stuck = json_get_bool(task, "stuck", false),
         has_grace = json_is_integer(json_object_get(task, "grace_s"));
    print_labelled("Stage", stuck ? TONE_BAD : TONE_PLAIN, "%s, not touched for %s%s%s%s",
                   json_get_text(task, "stage", "-"), age, has_grace ? " (grace " : "",
                   has_grace ? grace : "",
                   !has_grace ? ""
                   : stuck    ? "): stuck"
                              : ")");
    if (json_is_object(job))
        print_labelled("Job", TONE_PLAIN, "%s is %s since %s", json_get_text(job, "agent", "an agent"),
                       json_get_text(job, "status", "-"),
                       moment_of(json_get_text(job, "updated_at", NULL), moment));
}

static void print_plane(const json_t *plane)
{
    char moment[TIME_TEXT_SIZE];
    if (!json_is_object(plane))
        return;
    const char *error = json_get_text(plane, "error", NULL),
               *changed = json_get_text(plane, "changed_at", NULL);
    if (error)
        print_labelled("Plane", TONE_WARN, "issue %s cannot be read: %s", json_get_text(plane, "issue", "-"),
                       error);
    else
        print_labelled("Plane", TONE_PLAIN, "its issue is in state %s%s%s",
                       json_get_text(plane, "state", "-"), changed ? " since " : "",
                       changed ? moment_of(changed, moment) : "");
    const char *page = json_get_text(plane, "html_url", NULL);
    if (page)
        print_labelled("", TONE_PLAIN, "%s", page);
}

static void print_replay(const json_t *replay)
{
    char moment[TIME_TEXT_SIZE];
    const char *next = json_get_text(replay, "next_at", NULL);
    if (!json_is_object(replay))
        return;
    print_labelled("Replay", TONE_WARN, "its event was sent to the orchestrator %" PRId64 " times; %s%s",
                   json_get_int(replay, "tries", 0), next ? "again at " : "it is sent no more",
                   next ? moment_of(next, moment) : "");
}

static void print_next(const json_t *task)
{
    const json_t *next = json_object_get(task, "next"), *hold;
    const char *at = json_get_text(next, "at", NULL);
    char moment[TIME_TEXT_SIZE];
    size_t i;
    json_array_foreach(json_object_get(task, "holds"), i, hold)
        print_labelled(i ? "" : "Held", TONE_WARN, "%s", json_get_text(hold, "words", "-"));
    if (json_get_bool(task, "quarantined", false))
        print_labelled("Quarantined", TONE_BAD, "healed %" PRId64 " times at this stage within a day",
                       json_get_int(task, "recent_heals", 0));
    print_labelled("Next", TONE_PLAIN, "%s%s%s", json_get_text(next, "words", "-"),
                   at ? "; at the earliest " : "", at ? moment_of(at, moment) : "");
}

static void print_explanation(const json_t *task)
{
    const json_t *gate = json_object_get(task, "gate"), *moves = json_object_get(task, "transitions");
    print_task(task);
    if (json_is_object(gate)) {
        const char *verdict = json_get_text(gate, "verdict", "-");
        print_labelled("Verdict", tone_of(verdict), "%s: %s", verdict, json_get_text(gate, "reason", "-"));
        print_evidence(json_object_get(gate, "evidence"));
    }
    print_plane(json_object_get(task, "plane"));
    print_replay(json_object_get(task, "replay"));
    print_next(task);
    if (json_array_size(moves)) {
        putchar('\n');
        transition_table_print(moves);
    }
}

int command_why(const struct command_line *line, struct service *service)
{
    return service_show(service, (const char *const[]){"reconcile", "tasks", line->arguments[0], NULL}, NULL,
                        line->values[OPTION_JSON], print_explanation);
}

static void print_resolution(const json_t *found)
{
    const char *stage = json_get_text(found, "stage", NULL);
    int64_t id = json_get_int(found, "task_id", 0);
    print_labelled("Branch", TONE_PLAIN, "%s", json_get_text(found, "branch", "-"));
    if (id)
        print_labelled("Task", TONE_PLAIN, "%s (#%" PRId64 "), in %s",
                       json_get_text(found, "work_item_id", "-"), id, stage ? stage : "-");
    else
        print_labelled("Task", TONE_PLAIN, "none has this branch");
    print_labelled("Found by", TONE_PLAIN, "%s", json_get_text(found, "method", "-"));
}

int command_resolve(const struct command_line *line, struct service *service)
{
    const char *const query[] = {"repo", line->arguments[0], "sha", line->arguments[1], NULL};
    return service_show(service, (const char *const[]){"reconcile", "resolve", NULL}, query,
                        line->values[OPTION_JSON], print_resolution);
}
