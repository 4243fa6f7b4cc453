/* What task a person means. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "server/cli/cli.h"
#include "server/cli/service.h"

/* Digits alone, with or without '#', are the id. */
static bool is_id(const char *name, int64_t *ret_id)
{
    return parse_i64(name + (*name == '#'), 1, INT64_MAX, ret_id);
}

/* Tasks whose work item id is the name: exactly, or except for case. */
struct matches {
    const char *name;
    json_t *exact, *folded;
};

static void page_match(const json_t *rows, void *arg)
{
    struct matches *matches = arg;
    json_t *task;
    size_t i;
    json_array_foreach(rows, i, task)
    {
        const char *there = json_get_text(task, "work_item_id", NULL);
        if (there && strcmp(there, matches->name) == 0)
            (void)json_array_append(matches->exact, task);
        else if (there && text_same_letters(there, matches->name))
            (void)json_array_append(matches->folded, task);
    }
}

static int refuse_name(const char *line)
{
    AUTO_FREE char *shown = text_cut(line, LIMIT_LISTED + LIMIT_REASON);
    fprintf(stderr, "reconciled: %s\n", shown);
    return EXIT_FAILED;
}

static int refuse_ambiguous(const char *name, const json_t *found)
{
    struct buffer list = {.max = LIMIT_LISTED};
    const json_t *task;
    size_t i;
    json_array_foreach(found, i, task)
        buffer_item(&list, ", ", "#%" PRId64 " %s (%s, %s)", json_get_int(task, "task_id", 0),
                    json_get_text(task, "work_item_id", "-"), json_get_text(task, "repo", "-"),
                    json_get_text(task, "stage", "-"));
    AUTO_FREE char *text = buffer_take(&list);
    AUTO_FREE char *line = mem_printf("%s may be each of these, name one by its number: %s", name, text);
    return refuse_name(line);
}

int task_find(struct service *service, const char *name, int64_t *ret_id)
{
    json_auto_t *exact = json_array(), *folded = json_array();
    if (is_id(name, ret_id))
        return EXIT_DONE;
    struct matches matches = {name, exact, folded};
    bool more;
    int status = service_pages(service, "tasks", NULL, SIZE_MAX, page_match, &matches, &more);
    if (status != EXIT_DONE)
        return status;
    const json_t *found = json_array_size(exact) ? exact : folded;
    if (json_array_size(found) > 1)
        return refuse_ambiguous(name, found);
    if (json_array_size(found) == 0) {
        AUTO_FREE char *line =
            mem_printf("no task has the work item id %s (a task that is done has a number alone)", name);
        return refuse_name(line);
    }
    *ret_id = json_get_int(json_array_get(found, 0), "task_id", 0);
    return EXIT_DONE;
}
