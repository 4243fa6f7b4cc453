/* pass: asks the service for a pass and shows its report. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clients/base/jsonx.h"
#include "clients/base/text.h"
#include "server/cli/cli.h"
#include "server/cli/screen.h"
#include "server/cli/service.h"

enum { PROGRESS_FROM_MS = 1000 };

static void show_progress(int64_t waited_ms)
{
    if (isatty(STDERR_FILENO) && waited_ms >= PROGRESS_FROM_MS)
        fprintf(stderr, "\rthe pass is under way: %" PRId64 " s ", waited_ms / 1000);
}

static void end_progress(void)
{
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
}

static void print_items(const json_t *items)
{
    static const struct column columns[] = {
        {.head = "TASK", .gives_way = true},   {.head = "ID"}, {.head = "STAGE"}, {.head = "OUTCOME"},
        {.head = "REASON", .gives_way = true}, {.head = NULL}};
    struct table *table = table_new(columns);
    const json_t *item;
    size_t i;
    json_array_foreach(items, i, item)
    {
        const char *to = json_get_text(item, "to_stage", NULL),
                   *outcome = json_get_text(item, "outcome", "-");
        int64_t id = json_get_int(item, "task_id", 0);
        table_add(table, TONE_PLAIN, "%s", json_get_text(item, "work_item_id", "-"));
        if (id)
            table_add(table, TONE_PLAIN, "#%" PRId64, id);
        else
            table_add(table, TONE_PLAIN, NULL);
        table_add(table, TONE_PLAIN, "%s%s%s", json_get_text(item, "stage", "-"), to ? " → " : "",
                  to ? to : "");
        table_add(table, tone_of(outcome), "%s", outcome);
        table_add(table, TONE_PLAIN, "%s", json_get_text(item, "reason", "-"));
    }
    table_print(table);
}

/* "3 looked at, 1 advanced, 2 red" of one side: its counts that are not 0. */
static void print_counts(const char *label, const json_t *counts, bool dry_run)
{
    struct buffer out = {.max = 1024};
    const char *name;
    json_t *count;
    json_object_foreach((json_t *)(uintptr_t)counts, name, count)
    {
        if (json_integer_value(count))
            buffer_item(&out, ", ", "%lld %s", (long long)json_integer_value(count), name);
    }
    const char *waiting = json_get_text(json_object_get(counts, "waiting"), "reason", NULL);
    if (waiting)
        buffer_item(&out, ", ", "the rest waits: %s", waiting);
    AUTO_FREE char *text = buffer_take(&out);
    print_labelled(label, TONE_PLAIN, "%s%s", *text ? text : "nothing to do",
                   dry_run ? " (dry run: nothing was written)" : "");
}

static void print_report(const json_t *report)
{
    const json_t *items = json_object_get(report, "items");
    const char *side = json_get_text(report, "side", "both");
    bool dry_run = json_get_bool(report, "dry_run", false);
    int64_t left_out = json_get_int(report, "items_left_out", 0);
    if (json_array_size(items)) {
        print_items(items);
        putchar('\n');
    }
    if (left_out)
        printf("%" PRId64 " more are not listed.\n", left_out);
    if (strcmp(side, "plane") != 0)
        print_counts("Gates", json_object_get(report, "gate"), dry_run);
    if (strcmp(side, "gate") != 0)
        print_counts("Plane", json_object_get(report, "plane"), dry_run);
}

static bool has_failed(const json_t *report)
{
    const json_t *item;
    size_t i;
    json_array_foreach(json_object_get(report, "items"), i, item)
    {
        if (strcmp(json_get_text(item, "outcome", ""), "failed") == 0)
            return true;
    }
    return strcmp(json_get_text(report, "state", ""), "done") != 0;
}

int command_pass(const struct command_line *line, struct service *service)
{
    const bool json = line->values[OPTION_JSON];
    json_auto_t *body = json_object();
    struct service_answer answer;
    int status = EXIT_DONE;
    if (line->n_arguments)
        json_put(body, "task_id", json_text(line->arguments[0]));
    json_put(body, "dry_run", json_boolean(line->values[OPTION_DRY_RUN]));
    json_put(body, "ignore_grace", json_boolean(line->values[OPTION_IGNORE_GRACE]));
    if (line->values[OPTION_SIDE])
        json_put(body, "side", json_text(line->values[OPTION_SIDE]));
    service_send(service, "POST", (const char *const[]){"reconcile", "run", NULL}, NULL, body, show_progress,
                 &answer);
    end_progress();
    if (!service_failed(service, &answer, json, &status)) {
        if (json)
            (void)service_print(&answer);
        else
            print_report(answer.json);
        status = has_failed(answer.json) ? EXIT_FAILED : EXIT_DONE;
    }
    service_answer_done(&answer);
    return status;
}
