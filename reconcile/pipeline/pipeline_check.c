/* pipeline_check.c - checks the stages of a document and the links between them. */
#include "reconcile/pipeline/pipeline_check.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"

void pipeline_problem(json_t *problems, const char *where, const char *fmt, ...)
{
    char reason[512];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(reason, sizeof reason, fmt, args);
    va_end(args);
    AUTO_FREE char *line = mem_printf("%s: %s", where, len < 0 ? "is not acceptable" : reason);
    AUTO_FREE char *clean = text_cut(line, strlen(line));
    json_push(problems, json_text(clean));
}

static bool is_one_of(const char *const *texts, const char *text)
{
    for (; *texts; texts++)
        if (strcmp(*texts, text) == 0)
            return true;
    return false;
}

void pipeline_check_members(const json_t *object, const char *const *known, const char *where,
                            json_t *problems)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        AUTO_FREE char *shown = text_cut(key, 64);
        if (!is_one_of(known, key))
            pipeline_problem(problems, where, "unknown member: %s", shown);
    }
}

#define NO_NODE SIZE_MAX

/* The stages as a graph of numbers. Names borrow from the document. */
struct graph {
    size_t n;
    struct node {
        const char *name; /* NULL: it has no valid one */
        char label[80];   /* "stage review", "stage number 3" */
        size_t next, on_rejected;
        bool terminal;
    } nodes[LIMIT_STAGES];
    bool broken; /* a name or a reference is wrong: walking it would only repeat that */
};

static bool is_name(const char *text)
{
    size_t len = text ? strlen(text) : 0;
    return len >= 1 && len <= 64 && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-") == len;
}

/* The orchestrator chooses the names of agents: letters of both cases and dots occur. */
static bool is_agent(const char *text)
{
    size_t len = text ? strlen(text) : 0;
    return len >= 1 && len <= 64 &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == len;
}

static size_t node_find(const struct graph *graph, const char *name)
{
    for (size_t i = 0; i < graph->n; i++)
        if (graph->nodes[i].name && strcmp(graph->nodes[i].name, name) == 0)
            return i;
    return NO_NODE;
}

static void graph_name(struct graph *graph, const json_t *stages, json_t *problems)
{
    for (size_t i = 0; i < json_array_size(stages); i++) {
        struct node *node = &graph->nodes[i];
        const char *name = json_get_text(json_array_get(stages, i), "name", NULL);
        *node = (struct node){.next = NO_NODE, .on_rejected = NO_NODE};
        snprintf(node->label, sizeof node->label, "stage number %zu", i + 1);
        if (!is_name(name)) {
            pipeline_problem(problems, node->label,
                             "name must be 1 to 64 small letters, digits, hyphens or underscores");
            graph->broken = true;
        } else if (node_find(graph, name) != NO_NODE) {
            pipeline_problem(problems, node->label, "there is a stage called %s before it", name);
            graph->broken = true;
        } else {
            snprintf(node->label, sizeof node->label, "stage %s", name);
            node->name = name;
        }
        graph->n = i + 1;
    }
}

/* The stage that a member names, or NO_NODE, with a problem if it names none. */
static size_t graph_refer(struct graph *graph, const struct node *node, const json_t *stage,
                          const char *member, json_t *problems)
{
    const json_t *value = json_object_get(stage, member);
    if (!value)
        return NO_NODE;
    size_t found = json_is_string(value) ? node_find(graph, json_string_value(value)) : NO_NODE;
    if (found != NO_NODE)
        return found;
    graph->broken = true;
    if (json_is_string(value)) {
        AUTO_FREE char *shown = text_cut(json_string_value(value), 64);
        pipeline_problem(problems, node->label, "%s names no stage: %s", member, shown);
    } else {
        pipeline_problem(problems, node->label, "%s must be the name of a stage", member);
    }
    return NO_NODE;
}

static void check_gates(const json_t *gates, const struct node *node, json_t *problems)
{
    size_t n = json_array_size(gates);
    if (!gates)
        return;
    if (!json_is_array(gates) || n > LIMIT_STAGE_GATES) {
        pipeline_problem(problems, node->label, "gates must be a list of at most %u", LIMIT_STAGE_GATES);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *gate = json_array_get(gates, i);
        char where[112];
        snprintf(where, sizeof where, "%s, gate %zu", node->label, i + 1);
        pipeline_check_gate(gate, where, problems);
        if (n > 1 && strcmp(json_get_text(gate, "kind", ""), "human") == 0)
            pipeline_problem(problems, where, "a human gate stands alone");
    }
}

static void check_end(const json_t *stage, const struct node *node, json_t *problems)
{
    static const char *const leaving[] = {"agent", "gates", "next", "on_rejected"};
    if (!node->terminal && !json_object_get(stage, "next"))
        pipeline_problem(problems, node->label, "has no next and is not terminal");
    for (size_t i = 0; node->terminal && i < ARRAY_LEN(leaving); i++)
        if (json_object_get(stage, leaving[i]))
            pipeline_problem(problems, node->label, "is terminal and must not have %s", leaving[i]);
}

static void check_stage(struct graph *graph, size_t at, const json_t *stage, json_t *problems)
{
    static const char *const members[] = {"name", "agent", "gates", "next", "on_rejected", "terminal", NULL};
    struct node *node = &graph->nodes[at];
    if (!json_is_object(stage)) {
        pipeline_problem(problems, node->label, "must be an object");
        return;
    }
    pipeline_check_members(stage, members, node->label, problems);
    const json_t *agent = json_object_get(stage, "agent"), *terminal = json_object_get(stage, "terminal");
    if (terminal && !json_is_boolean(terminal))
        pipeline_problem(problems, node->label, "terminal must be true or false");
    if (agent && !is_agent(json_string_value(agent)))
        pipeline_problem(problems, node->label,
                         "agent must be 1 to 64 letters, digits, hyphens, underscores or dots");
    node->terminal = json_is_true(terminal);
    node->next = graph_refer(graph, node, stage, "next", problems);
    node->on_rejected = graph_refer(graph, node, stage, "on_rejected", problems);
    check_end(stage, node, problems);
    check_gates(json_object_get(stage, "gates"), node, problems);
}

static void check_reachable(const struct graph *graph, json_t *problems)
{
    bool reached[LIMIT_STAGES] = {true};
    size_t queue[LIMIT_STAGES] = {0}, head = 0, tail = 1;
    while (head < tail) {
        const struct node *node = &graph->nodes[queue[head++]];
        const size_t ways[] = {node->next, node->on_rejected};
        for (size_t i = 0; i < ARRAY_LEN(ways); i++)
            if (ways[i] != NO_NODE && !reached[ways[i]]) {
                reached[ways[i]] = true;
                queue[tail++] = ways[i];
            }
    }
    for (size_t i = 0; i < graph->n; i++)
        if (!reached[i])
            pipeline_problem(problems, graph->nodes[i].label, "cannot be reached from the first stage");
}

/* Follows only `next`: a path to the end that needs a rejection does not count. A stage without a next has
 * been reported already. */
static void check_ends(const struct graph *graph, json_t *problems)
{
    for (size_t i = 0; i < graph->n; i++) {
        size_t at = i, steps = 0;
        while (graph->nodes[at].next != NO_NODE && steps++ < graph->n)
            at = graph->nodes[at].next;
        if (graph->nodes[at].next != NO_NODE)
            pipeline_problem(problems, graph->nodes[i].label, "never reaches a terminal stage by its nexts");
    }
}

void pipeline_check(const json_t *document, json_t *problems)
{
    /* "$schema" is what editors look for. */
    static const char *const members[] = {"$schema", "stages", NULL};
    const json_t *stages = json_object_get(document, "stages");
    size_t n = json_array_size(stages);
    if (!json_is_object(document)) {
        pipeline_problem(problems, "pipeline", "must be an object");
        return;
    }
    pipeline_check_members(document, members, "pipeline", problems);
    if (!json_is_array(stages) || n < 1 || n > LIMIT_STAGES) {
        pipeline_problem(problems, "pipeline", "stages must be a list of 1 to %u stages", LIMIT_STAGES);
        return;
    }
    struct graph *graph = mem_zero(1, sizeof *graph);
    graph_name(graph, stages, problems);
    for (size_t i = 0; i < n; i++)
        check_stage(graph, i, json_array_get(stages, i), problems);
    if (graph->nodes[0].terminal)
        pipeline_problem(problems, graph->nodes[0].label, "is the first and must not be terminal");
    if (!graph->broken) {
        check_reachable(graph, problems);
        check_ends(graph, problems);
    }
    free(graph);
}
