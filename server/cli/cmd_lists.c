/* tasks and history: lists of the service as tables. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "server/cli/cli.h"
#include "server/cli/screen.h"
#include "server/cli/service.h"
#include "server/cli/times.h"

enum { QUERY_MAX = 24 };

/* Name and value of each option of the line that is a parameter of the resource. For people, the limit is of
 * all rows, over several pages; with --json it is the page's. */
static void query_make(const struct command_line *line, const char **query)
{
    static const struct {
        enum option_id id;
        const char *name;
    } parameters[] = {{OPTION_STUCK, "stuck"}, {OPTION_HELD, "held"}, {OPTION_QUARANTINED, "quarantined"},
                      {OPTION_STAGE, "stage"}, {OPTION_REPO, "repo"}, {OPTION_AFTER, "after"},
                      {OPTION_LIMIT, "limit"}};
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(parameters); i++) {
        const char *value = line->values[parameters[i].id];
        if (!value || (parameters[i].id == OPTION_LIMIT && !line->values[OPTION_JSON]))
            continue;
        query[n++] = parameters[i].name;
        query[n++] = *value ? value : "true";
    }
    query[n] = NULL;
}

static const char *state_of(const json_t *task, bool stuck)
{
    if (json_get_bool(task, "quarantined", false))
        return "quarantined";
    return json_get_bool(task, "held", false) ? "held" : stuck ? "stuck" : "-";
}

void task_table_print(const json_t *tasks)
{
    static const struct column columns[] = {{.head = "TASK", .gives_way = true},
                                            {.head = "ID"},
                                            {.head = "STAGE"},
                                            {.head = "RESTED"},
                                            {.head = "STATE"},
                                            {.head = "REPO", .gives_way = true},
                                            {.head = "TITLE", .gives_way = true},
                                            {.head = NULL}};
    struct table *table = table_new(columns);
    const json_t *task;
    size_t i;
    json_array_foreach(tasks, i, task)
    {
        const json_t *job = json_object_get(task, "job");
        bool stuck = json_get_bool(task, "stuck", false);
        bool dated = json_is_string(json_object_get(task, "updated_at")); /* else its age is not known */
        char rested[TIME_TEXT_SIZE];
        duration_words(json_get_int(task, "age_s", 0), rested);
        table_add(table, TONE_PLAIN, "%s", json_get_text(task, "work_item_id", "-"));
        table_add(table, TONE_PLAIN, "#%" PRId64, json_get_int(task, "task_id", 0));
        table_add(table, TONE_PLAIN, "%s", json_get_text(task, "stage", "-"));
        table_add(table, TONE_PLAIN, "%s", dated ? rested : "-");
        if (json_is_object(job))
            table_add(table, TONE_PLAIN, "%s", json_get_text(job, "status", "-"));
        else
            table_add(table, stuck ? TONE_BAD : TONE_PLAIN, "%s", state_of(task, stuck));
        table_add(table, TONE_PLAIN, "%s", json_get_text(task, "repo", "-"));
        table_add(table, TONE_PLAIN, "%s", json_get_text(task, "title", "-"));
    }
    table_print(table);
}

/* One page as it comes, or the rows of all as a table. */
static int list_show(const struct command_line *line, struct service *service, const char *resource,
                     const char **query, void (*print)(const json_t *rows), const char *none)
{
    json_t *rows = NULL;
    bool more;
    if (line->values[OPTION_JSON])
        return service_page_show(service, resource, query);
    int64_t most = command_line_number(line, OPTION_LIMIT, LIMIT_COMMAND_ROWS);
    int status = service_list(service, resource, query, (size_t)most, &rows, &more);
    if (status != EXIT_DONE)
        return status;
    if (json_array_size(rows) == 0)
        puts(none);
    else
        print(rows);
    if (more)
        puts("There are more.");
    json_decref(rows);
    return EXIT_DONE;
}

void transition_table_print(const json_t *transitions)
{
    static const struct column columns[] = {
        {.head = "WHEN"},    {.head = "TASK", .gives_way = true},   {.head = "ID"}, {.head = "MOVED"},
        {.head = "OUTCOME"}, {.head = "REASON", .gives_way = true}, {.head = NULL}};
    struct table *table = table_new(columns);
    const json_t *row;
    size_t i;
    json_array_foreach(transitions, i, row)
    {
        const char *outcome = json_get_text(row, "outcome", "-");
        char when[TIME_TEXT_SIZE];
        table_add(table, TONE_PLAIN, "%s", moment_of(json_get_text(row, "at", NULL), when));
        table_add(table, TONE_PLAIN, "%s", json_get_text(row, "work_item_id", "-"));
        table_add(table, TONE_PLAIN, "#%" PRId64, json_get_int(row, "task_id", 0));
        table_add(table, TONE_PLAIN, "%s → %s", json_get_text(row, "from_stage", "-"),
                  json_get_text(row, "to_stage", "-"));
        table_add(table, tone_of(outcome), "%s", outcome);
        table_add(table, TONE_PLAIN, "%s", json_get_text(row, "reason", "-"));
    }
    table_print(table);
}

void hold_table_print(const json_t *holds)
{
    static const struct column columns[] = {{.head = "SCOPE", .gives_way = true},
                                            {.head = "SINCE"},
                                            {.head = "UNTIL"},
                                            {.head = "BY", .gives_way = true},
                                            {.head = "REASON", .gives_way = true},
                                            {.head = NULL}};
    struct table *table = table_new(columns);
    const json_t *hold;
    size_t i;
    json_array_foreach(holds, i, hold)
    {
        char since[TIME_TEXT_SIZE], until[TIME_TEXT_SIZE];
        table_add(table, TONE_WARN, "%s", json_get_text(hold, "scope", "-"));
        table_add(table, TONE_PLAIN, "%s", moment_of(json_get_text(hold, "since", NULL), since));
        table_add(table, TONE_PLAIN, "%s", moment_of(json_get_text(hold, "until", NULL), until));
        table_add(table, TONE_PLAIN, "%s", json_get_text(hold, "by", "-"));
        table_add(table, TONE_PLAIN, "%s", json_get_text(hold, "reason", "-"));
    }
    table_print(table);
}

static void change_table_print(const json_t *changes)
{
    static const struct column columns[] = {{.head = "WHEN"},
                                            {.head = "WHAT", .gives_way = true},
                                            {.head = "FROM", .gives_way = true},
                                            {.head = "TO", .gives_way = true},
                                            {.head = "UNTIL"},
                                            {.head = "BY", .gives_way = true},
                                            {.head = "REASON", .gives_way = true},
                                            {.head = NULL}};
    struct table *table = table_new(columns);
    const json_t *row;
    size_t i;
    json_array_foreach(changes, i, row)
    {
        const char *kind = json_get_text(row, "kind", "-"), *name = json_get_text(row, "name", "-");
        const json_t *from = json_object_get(row, "from"), *to = json_object_get(row, "to");
        AUTO_FREE char *old = json_is_null(from) ? mem_dup("-") : value_words(from);
        AUTO_FREE char *new = json_is_null(to) ? mem_dup("-") : value_words(to);
        char when[TIME_TEXT_SIZE], until[TIME_TEXT_SIZE];
        table_add(table, TONE_PLAIN, "%s", moment_of(json_get_text(row, "at", NULL), when));
        table_add(table, TONE_PLAIN, "%s%s%s", strcmp(kind, "setting") ? kind : "",
                  strcmp(kind, "setting") ? " " : "", name);
        table_add(table, TONE_PLAIN, "%s", old);
        table_add(table, TONE_PLAIN, "%s", new);
        table_add(table, TONE_PLAIN, "%s", moment_of(json_get_text(row, "until", NULL), until));
        table_add(table, TONE_PLAIN, "%s", json_get_text(row, "by", "-"));
        table_add(table, TONE_PLAIN, "%s", json_get_text(row, "reason", "-"));
    }
    table_print(table);
}

int command_holds(const struct command_line *line, struct service *service)
{
    const char *query[QUERY_MAX];
    query_make(line, query);
    return list_show(line, service, "holds", query, hold_table_print, "nothing is held");
}

int change_list_show(const struct command_line *line, struct service *service)
{
    const char *query[QUERY_MAX];
    query_make(line, query);
    return list_show(line, service, "config/history", query, change_table_print, "nothing was changed");
}

/* query_make, with the argument of the line as a parameter too. */
static void query_make_with(const struct command_line *line, const char *name, const char **query)
{
    size_t n = 0;
    query_make(line, query);
    while (query[n])
        n++;
    if (line->n_arguments) {
        query[n++] = name;
        query[n++] = line->arguments[0];
        query[n] = NULL;
    }
}

int command_tasks(const struct command_line *line, struct service *service)
{
    const char *query[QUERY_MAX];
    query_make_with(line, "q", query);
    return list_show(line, service, "tasks", query, task_table_print, "no such task");
}

int command_history(const struct command_line *line, struct service *service)
{
    const char *query[QUERY_MAX];
    query_make_with(line, "task_id", query);
    return list_show(line, service, "history", query, transition_table_print, "nothing was moved");
}
