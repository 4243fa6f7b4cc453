#include "reconcile/heal/report.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"

static const char *const state_names[] = {
    [PASS_QUEUED] = "queued",           [PASS_RUNNING] = "running", [PASS_DONE] = "done",
    [PASS_INTERRUPTED] = "interrupted", [PASS_FAILED] = "failed",
};
static_assert(ARRAY_LEN(state_names) == PASS_STATE_MAX_, "every state has a name");

const char *pass_state_name(enum pass_state state)
{
    return (unsigned)state < PASS_STATE_MAX_ ? state_names[state] : "failed";
}

static const char *const held_names[] = {
    [HELD_BY_HOLD] = "hold",     [HELD_BY_LIMIT] = "limit",   [HELD_BY_MODE] = "mode",
    [HELD_BY_REPLAY] = "replay", [HELD_BY_SWITCH] = "switch",
};
static_assert(ARRAY_LEN(held_names) == HELD_BY_MAX_, "everything that holds has a name");

const char *held_by_name(enum held_by by)
{
    return held_names[by];
}

void report_begin(struct report *report, const char *id, const struct pass_request *request,
                  int64_t started_us)
{
    *report = (struct report){.request = *request, .state = PASS_RUNNING, .started_us = started_us};
    (void)snprintf(report->id.s, sizeof report->id.s, "%s", id);
}

void report_done(struct report *report)
{
    arena_done(&report->texts);
    free(report->items);
    free(report->error);
    *report = (struct report){0};
}

static void add_item(struct report *report, enum pass_side side, const struct report_item *item)
{
    const char *const texts[] = {item->work_item_id, item->stage, item->to_stage, item->reason};
    size_t bytes = 0;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        bytes += texts[i] ? strlen(texts[i]) : 0;
    if (report->n_items >= LIMIT_PASS_ITEMS || report->items_bytes + bytes > LIMIT_REPORT_ITEMS_BYTES) {
        report->items_left_out++;
        return;
    }
    report->items_bytes += bytes;
    report->items = mem_grow(report->items, report->n_items + 1, sizeof *report->items);
    report->items[report->n_items++] = (struct report_item){
        .task_id = item->task_id,
        .work_item_id = arena_text(&report->texts, item->work_item_id),
        .stage = arena_text(&report->texts, item->stage),
        .to_stage = arena_text(&report->texts, item->to_stage),
        .verdict = arena_text(&report->texts, item->verdict),
        .reason = arena_text(&report->texts, item->reason),
        .outcome = item->outcome,
        .side = side,
    };
}

void report_gate_item(struct report *report, const struct report_item *item)
{
    report->gate[item->outcome]++;
    add_item(report, SIDE_GATE, item);
}

void report_plane_item(struct report *report, const struct report_item *item)
{
    report->plane[item->outcome]++;
    add_item(report, SIDE_PLANE, item);
}

size_t report_count(const struct report *report, enum outcome outcome)
{
    return report->gate[outcome] + report->plane[outcome];
}

struct report report_head(const struct report *report)
{
    struct report head = *report;
    head.items = NULL;
    head.n_items = 0;
    head.texts = (struct arena){.blocks = NULL};
    head.error = mem_dup(report->error);
    return head;
}

static void put_counts(json_t *object, const size_t *counts, const enum outcome *which, size_t n)
{
    for (size_t i = 0; i < n; i++)
        json_put(object, outcome_name(which[i]), json_integer((json_int_t)counts[which[i]]));
}

static json_t *gate_counts(const struct report *report)
{
    static const enum outcome which[] = {OUTCOME_ADVANCED, OUTCOME_RED,    OUTCOME_UNKNOWN,    OUTCOME_RACED,
                                         OUTCOME_HELD,     OUTCOME_FAILED, OUTCOME_QUARANTINED};
    json_t *object = json_object();
    json_put(object, "candidates", json_integer((json_int_t)report->candidates));
    put_counts(object, report->gate, which, ARRAY_LEN(which));
    json_put(object, "resting", json_integer((json_int_t)report->resting));
    return object;
}

static json_t *waiting_json(const struct report_waiting *waiting)
{
    if (waiting->projects + waiting->issues == 0)
        return json_null();
    json_t *object = json_object();
    json_put(object, "projects", json_integer((json_int_t)waiting->projects));
    json_put(object, "issues", json_integer((json_int_t)waiting->issues));
    json_put(object, "seconds", json_integer(waiting->seconds));
    json_put(object, "reason", json_text(waiting->reason));
    return object;
}

static json_t *plane_counts(const struct report *report)
{
    static const enum outcome which[] = {OUTCOME_STARTED, OUTCOME_APPROVED, OUTCOME_REJECTED,
                                         OUTCOME_RACED,   OUTCOME_HELD,     OUTCOME_FAILED};
    json_t *object = json_object();
    json_put(object, "projects", json_integer((json_int_t)report->projects));
    json_put(object, "issues", json_integer((json_int_t)report->issues));
    put_counts(object, report->plane, which, ARRAY_LEN(which));
    json_put(object, "errors", json_integer((json_int_t)report->errors));
    json_put(object, "unreadable", json_integer((json_int_t)report->unreadable));
    json_put(object, "waiting", waiting_json(&report->waiting));
    return object;
}

json_t *report_summary(const struct report *report)
{
    json_t *object = json_object();
    json_put(object, "id", json_text(report->id.s));
    json_put(object, "state", json_text(pass_state_name(report->state)));
    json_put(object, "trigger", json_text(pass_trigger_name(report->request.trigger)));
    json_put(object, "dry_run", json_boolean(report->request.dry_run));
    json_put(object, "side", json_text(pass_side_name(report->request.side)));
    json_put(object, "started_at", json_instant(report->started_us));
    json_put(object, "duration_ms", json_integer(report->duration_ms));
    json_put(object, "gate", gate_counts(report));
    json_put(object, "plane", plane_counts(report));
    json_put(object, "unknown_stage", json_integer((json_int_t)report->unknown_stage));
    json_put(object, "error", json_text(report->error));
    json_put(object, "items_left_out", json_integer((json_int_t)report->items_left_out));
    return object;
}

static json_t *item_json(const struct report_item *item)
{
    json_t *object = json_object();
    json_put(object, "task_id", item->task_id ? json_integer(item->task_id) : json_null());
    json_put(object, "work_item_id", json_text(item->work_item_id));
    json_put(object, "stage", json_text(item->stage));
    json_put(object, "to_stage", json_text(item->to_stage));
    json_put(object, "side", json_text(pass_side_name(item->side)));
    json_put(object, "verdict", json_text(item->verdict));
    json_put(object, "outcome", json_text(outcome_name(item->outcome)));
    json_put(object, "reason", json_text(item->reason));
    return object;
}

json_t *report_json(const struct report *report)
{
    json_t *object = report_summary(report), *items = json_array();
    for (size_t i = 0; i < report->n_items; i++)
        json_push(items, item_json(&report->items[i]));
    json_put(object, "items", items); /* the last: see report_summary_read */
    return object;
}

char *report_text(const struct report *report)
{
    json_auto_t *document = report_json(report);
    return json_shown(document, 0);
}

/* In a JSON text a quotation mark within a string follows a backslash, so this text occurs only where the
 * member begins. */
json_t *report_summary_read(const char *text)
{
    json_t *summary = NULL;
    const char *items = strstr(text, ",\"items\":[");
    AUTO_FREE char *head = items ? mem_printf("%.*s}", (int)(items - text), text) : mem_dup(text);
    if (json_read_within(head, strlen(head), LIMIT_JSON_TREE_SMALL, &summary, NULL) != ERR_OK)
        return NULL;
    return summary;
}
