#include "reconcile/pipeline/evidence.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/jsonx.h"
#include "clients/base/limits.h"

static const char *const verdict_names[] = {
    [VERDICT_PENDING] = "pending",
    [VERDICT_GREEN] = "green",
    [VERDICT_RED] = "red",
    [VERDICT_UNKNOWN] = "unknown",
};
static_assert(ARRAY_LEN(verdict_names) == VERDICT_MAX_, "every verdict has a name");
static_assert(LIMIT_GATE_ITEMS <= LIMIT_EVIDENCE_ITEMS, "every path of a gate has room");

const char *verdict_name(enum verdict_kind kind)
{
    return (unsigned)kind < VERDICT_MAX_ ? verdict_names[kind] : "unknown";
}

static struct evidence_item *item_of(const struct evidence_list *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i].name, name) == 0)
            return &list->items[i];
    return NULL;
}

void evidence_list_put(struct evidence_list *list, const char *name, const char *seen)
{
    if (list->n == LIMIT_EVIDENCE_ITEMS)
        return;
    struct evidence_item *item = item_of(list, name);
    if (!item) {
        list->items = mem_grow(list->items, list->n + 1, sizeof *list->items);
        item = &list->items[list->n++];
        *item = (struct evidence_item){.name = mem_dup(name)};
    }
    free(item->seen);
    item->seen = mem_dup(seen);
}

bool evidence_list_has(const struct evidence_list *list, const char *name)
{
    return item_of(list, name) != NULL;
}

static void list_done(struct evidence_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->items[i].name);
        free(list->items[i].seen);
    }
    free(list->items);
}

static void gate_done(struct gate_evidence *seen)
{
    list_done(&seen->contexts);
    list_done(&seen->files);
    list_done(&seen->reviews);
    free(seen->sha);
    free(seen->url);
    free(seen->html_url);
}

void evidence_done(struct evidence *evidence)
{
    if (evidence->side == SIDE_GATE) {
        for (size_t i = 0; i < evidence->gates.n; i++)
            gate_done(&evidence->gates.items[i]);
        free(evidence->gates.items);
    }
    *evidence = (struct evidence){.side = SIDE_BOTH};
}

int64_t evidence_pull_request(const struct evidence *evidence)
{
    int64_t number = 0;
    for (size_t i = 0; evidence->side == SIDE_GATE && i < evidence->gates.n && !number; i++)
        number = evidence->gates.items[i].pull_request;
    return number;
}

/* as JSON */

static void put_list(json_t *object, const char *key, const struct evidence_list *list)
{
    if (!list->read)
        return;
    json_t *names = json_object();
    for (size_t i = 0; i < list->n; i++)
        json_put(names, list->items[i].name, json_text(list->items[i].seen));
    json_put(object, key, names);
}

static json_t *gate_json(const struct gate_evidence *seen)
{
    json_t *object = json_object();
    json_put(object, "gate", json_text(gate_kind_name(seen->gate)));
    if (seen->sha || seen->pull_request)
        json_put(object, "sha", json_text(seen->sha));
    put_list(object, "contexts", &seen->contexts);
    put_list(object, "files", &seen->files);
    if (seen->pull_request) {
        json_put(object, "pull_request", json_integer(seen->pull_request));
        json_put(object, "state", json_text(seen->pull_state));
    }
    if (seen->has_url) {
        json_put(object, "url", json_text(seen->url));
        json_put(object, "html_url", json_text(seen->html_url));
    }
    put_list(object, "reviews", &seen->reviews);
    if (seen->review)
        json_put(object, "review", json_integer(seen->review));
    if (seen->verdict != VERDICT_PENDING)
        json_put(object, "verdict", json_text(verdict_name(seen->verdict)));
    return object;
}

static json_t *issue_json(const struct issue_evidence *seen)
{
    json_t *object = json_object();
    json_put(object, "source", json_text("plane"));
    json_put(object, "issue", json_text(seen->issue));
    json_put(object, "html_url", json_text(seen->html_url));
    if (seen->state) {
        json_put(object, "state", json_text(seen->state));
        json_put(object, "activity", json_text(seen->activity));
        json_put(object, "changed_at", json_instant(seen->changed_us));
        json_put(object, "updated_at", json_instant(seen->updated_us));
    }
    if (seen->branch) {
        json_t *branch = json_object();
        json_put(branch, "name", json_text(seen->branch));
        json_put(branch, "base", json_text(seen->base));
        json_put(branch, "made", json_boolean(seen->branch_made));
        json_put(object, "branch", branch);
    }
    return object;
}

json_t *evidence_json(const struct evidence *evidence)
{
    if (evidence->side == SIDE_PLANE)
        return issue_json(&evidence->issue);
    json_t *gates = json_array();
    for (size_t i = 0; evidence->side == SIDE_GATE && i < evidence->gates.n; i++)
        json_push(gates, gate_json(&evidence->gates.items[i]));
    return gates;
}
