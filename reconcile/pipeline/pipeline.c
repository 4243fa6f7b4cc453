#include "reconcile/pipeline/pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/embedded.h"
#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "reconcile/pipeline/pipeline_check.h"

/* The pipeline and its memory: texts borrow from the document, and all lists of a kind are slices of one
 * array. */
struct built {
    struct pipeline pipeline; /* first: pipeline_free gets a pointer to it */
    json_t *document;
    struct stage *stages;
    struct gate *gates;
    const char **texts, **names;
    size_t n_gates, n_texts; /* used so far */
};

static void count_parts(const json_t *stages, size_t *ret_gates, size_t *ret_texts)
{
    *ret_gates = *ret_texts = 0;
    for (size_t i = 0; i < json_array_size(stages); i++) {
        const json_t *gates = json_object_get(json_array_get(stages, i), "gates");
        *ret_gates += json_array_size(gates);
        for (size_t k = 0; k < json_array_size(gates); k++) {
            const json_t *gate = json_array_get(gates, k);
            *ret_texts += json_array_size(json_object_get(gate, "contexts")) +
                          json_array_size(json_object_get(gate, "paths"));
        }
    }
}

static const char *const *build_texts(struct built *built, const json_t *list, size_t *ret_n)
{
    const char **first = built->texts + built->n_texts;
    *ret_n = json_array_size(list);
    for (size_t i = 0; i < *ret_n; i++)
        built->texts[built->n_texts++] = json_string_value(json_array_get(list, i));
    return *ret_n ? first : NULL;
}

static void build_gate(struct built *built, const json_t *given)
{
    struct gate *gate = &built->gates[built->n_gates++];
    *gate = (struct gate){.url = json_get_text(given, "url", NULL)};
    (void)gate_kind_parse(json_get_text(given, "kind", ""), &gate->kind); /* checked before */
    gate->contexts = build_texts(built, json_object_get(given, "contexts"), &gate->n_contexts);
    gate->paths = build_texts(built, json_object_get(given, "paths"), &gate->n_paths);
    if (gate->kind == GATE_REVIEW) {
        gate->approvals = (int)json_get_int(given, "approvals", 1);
        gate->official = json_get_bool(given, "official", true);
    }
}

static void build_stage(struct built *built, size_t at, const json_t *given)
{
    const json_t *gates = json_object_get(given, "gates");
    struct stage *stage = &built->stages[at];
    *stage = (struct stage){
        .name = json_get_text(given, "name", NULL),
        .agent = json_get_text(given, "agent", NULL),
        .terminal = json_get_bool(given, "terminal", false),
        .n_gates = json_array_size(gates),
    };
    stage->gates = stage->n_gates ? built->gates + built->n_gates : NULL;
    for (size_t i = 0; i < stage->n_gates; i++)
        build_gate(built, json_array_get(gates, i));
    stage->human = stage->n_gates == 1 && stage->gates[0].kind == GATE_HUMAN;
    built->names[at] = stage->name;
}

/* pipeline_build: of a document that was checked; takes it. */
static struct pipeline *pipeline_build(json_t *document_take)
{
    const json_t *stages = json_object_get(document_take, "stages");
    size_t n = json_array_size(stages), n_gates, n_texts;
    count_parts(stages, &n_gates, &n_texts);
    struct built *built = mem_zero(1, sizeof *built);
    built->document = document_take;
    built->stages = mem_zero(n, sizeof *built->stages);
    built->gates = mem_zero(n_gates, sizeof *built->gates);
    built->texts = mem_zero(n_texts, sizeof *built->texts);
    built->names = mem_zero(n + 1, sizeof *built->names);
    for (size_t i = 0; i < n; i++)
        build_stage(built, i, json_array_get(stages, i));
    built->pipeline = (struct pipeline){.stages = built->stages, .n_stages = n, .names = built->names};
    for (size_t i = 0; i < n; i++) {
        const json_t *given = json_array_get(stages, i);
        built->stages[i].next = pipeline_stage(&built->pipeline, json_get_text(given, "next", NULL));
        built->stages[i].on_rejected =
            pipeline_stage(&built->pipeline, json_get_text(given, "on_rejected", NULL));
    }
    return &built->pipeline;
}

/* `name` is the document's. */
static enum err document_load(const char *name, const char *text, size_t len, struct pipeline **ret,
                              json_t *problems)
{
    struct why why;
    json_t *document = NULL;
    if (json_read(text, len, &document, &why) != ERR_OK) {
        pipeline_problem(problems, name, "%s", why.text);
        return ERR_INVALID;
    }
    json_auto_t *found = json_array();
    pipeline_check(document, found);
    if (json_array_size(found) > 0) {
        json_decref(document);
        return json_array_extend(problems, found) == 0 ? ERR_INVALID : ERR_INTERNAL;
    }
    *ret = pipeline_build(document);
    return ERR_OK;
}

enum err pipeline_load(const char *text, size_t len, struct pipeline **ret, json_t *problems)
{
    return document_load("pipeline", text, len, ret, problems);
}

enum err pipeline_load_file(const char *path, struct pipeline **ret, json_t *problems)
{
    if (!path)
        return pipeline_load(embedded_pipeline_json, embedded_pipeline_json_len, ret, problems);
    AUTO_FREE char *text = mem_zero(LIMIT_PIPELINE_FILE + 1, 1);
    ssize_t len = file_read(path, text, LIMIT_PIPELINE_FILE + 1);
    if (len < 0) {
        pipeline_problem(problems, path, "cannot be read: %s", file_error());
        return ERR_INVALID;
    }
    if ((size_t)len > LIMIT_PIPELINE_FILE) {
        pipeline_problem(problems, path, "is larger than %zu KiB", LIMIT_PIPELINE_FILE / 1024);
        return ERR_INVALID;
    }
    size_t mark = text_bom_len(text, (size_t)len);
    return document_load(path, text + mark, (size_t)len - mark, ret, problems);
}

void pipeline_free(struct pipeline *pipeline)
{
    if (!pipeline)
        return;
    struct built *built = (struct built *)pipeline;
    json_decref(built->document);
    free(built->stages);
    free(built->gates);
    free(built->texts);
    free(built->names);
    free(built);
}

const struct stage *pipeline_stage(const struct pipeline *pipeline, const char *name)
{
    for (size_t i = 0; name && i < pipeline->n_stages; i++)
        if (strcmp(pipeline->stages[i].name, name) == 0)
            return &pipeline->stages[i];
    return NULL;
}

bool stage_is_gated(const struct stage *stage)
{
    return !stage->terminal && !stage->human && stage->n_gates > 0;
}
