#include "reconcile/sweep/observe_log.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "clients/base/text.h"
#include "reconcile/heal/report.h"

/* A task, and what was seen of it last. */
struct seen {
    char *task;  /* its id, or the work item of one that is not made yet */
    char *state; /* stage, next stage and verdict */
};

struct observe_log {
    void *tree; /* of struct seen, by task; see tsearch(3) */
    size_t n;
};

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct seen *)a)->task, ((const struct seen *)b)->task);
}

static void seen_free(void *node)
{
    struct seen *seen = node;
    free(seen->task);
    free(seen->state);
    free(seen);
}

struct observe_log *observe_log_new(void)
{
    return mem_zero(1, sizeof(struct observe_log));
}

static void forget_all(struct observe_log *log)
{
    tdestroy(log->tree, seen_free);
    log->tree = NULL;
    log->n = 0;
}

void observe_log_free(struct observe_log *log)
{
    if (!log)
        return;
    forget_all(log);
    free(log);
}

/* What was seen of this task; its state is NULL if nothing was. When there is no room, all are dropped, and
 * each is logged once more. */
static struct seen *seen_of(struct observe_log *log, char *task_take)
{
    struct seen *fresh = mem_zero(1, sizeof *fresh);
    fresh->task = task_take;
    if (log->n >= LIMIT_OBSERVED)
        forget_all(log);
    struct seen **found = tsearch(fresh, &log->tree, compare);
    if (!found)
        abort();
    if (*found != fresh)
        seen_free(fresh);
    else
        log->n++;
    return *found;
}

static const char *or_none(const char *text)
{
    return text ? text : "-";
}

static void look_at(struct observe_log *log, const struct report_item *item)
{
    char *task = item->task_id ? mem_printf("#%lld", (long long)item->task_id)
                               : mem_printf("@%s", or_none(item->work_item_id));
    char *state =
        mem_printf("%s %s %s", or_none(item->stage), or_none(item->to_stage), or_none(item->verdict));
    struct seen *seen = seen_of(log, task);
    bool is_new = !seen->state || strcmp(seen->state, state) != 0;
    free(seen->state);
    seen->state = state;
    if (is_new && item->outcome == OUTCOME_HELD)
        log_info("observed: a task would have been moved", LOG_I("task_id", item->task_id),
                 LOG_S("work_item_id", item->work_item_id), LOG_S("stage", item->stage),
                 LOG_S("to_stage", item->to_stage), LOG_S("side", pass_side_name(item->side)),
                 LOG_S("verdict", item->verdict));
}

void observe_log_pass(struct observe_log *log, const struct report *report)
{
    for (size_t i = 0; i < report->n_items; i++)
        look_at(log, &report->items[i]);
}
