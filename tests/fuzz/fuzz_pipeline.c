/* Any bytes as a pipeline: either problems in words, or a pipeline that keeps every promise of pipeline.h. */
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "reconcile/pipeline/pipeline.h"
#include "tests/fuzz/fuzz.h"

static void gate_judge(const struct gate *gate)
{
    PROMISE(gate->kind < GATE_KIND_MAX_);
    PROMISE(gate->kind == GATE_CI || gate->n_contexts == 0);
    PROMISE((gate->kind == GATE_FILES) == (gate->n_paths > 0));
    PROMISE((gate->kind == GATE_HTTP) == (gate->url != NULL));
    PROMISE((gate->kind == GATE_REVIEW) == (gate->approvals >= 1));
    for (size_t i = 0; i < gate->n_contexts; i++)
        PROMISE(*gate->contexts[i]);
    for (size_t i = 0; i < gate->n_paths; i++)
        PROMISE(*gate->paths[i] && *gate->paths[i] != '/');
}

static void stage_judge(const struct pipeline *pipeline, const struct stage *stage)
{
    const struct stage *at = stage;
    PROMISE(pipeline_stage(pipeline, stage->name) == stage);
    PROMISE(stage->terminal == (stage->next == NULL));
    for (size_t steps = 0; !at->terminal; at = at->next)
        PROMISE(steps++ < pipeline->n_stages);
    for (size_t i = 0; i < stage->n_gates; i++) {
        gate_judge(&stage->gates[i]);
        PROMISE(stage->gates[i].kind != GATE_HUMAN || (stage->human && stage->n_gates == 1));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pipeline *pipeline = NULL;
    json_t *problems = json_array();
    enum err err = pipeline_load((const char *)data, size, &pipeline, problems);
    PROMISE((err == ERR_OK) == (json_array_size(problems) == 0));
    PROMISE((err == ERR_OK) == (pipeline != NULL));
    for (size_t i = 0; i < json_array_size(problems); i++)
        PROMISE(!strchr(json_string_value(json_array_get(problems, i)), '\n'));
    if (pipeline) {
        PROMISE(!pipeline->stages[0].terminal && pipeline->n_stages <= LIMIT_STAGES);
        for (size_t i = 0; i < pipeline->n_stages; i++)
            stage_judge(pipeline, &pipeline->stages[i]);
    }
    pipeline_free(pipeline);
    json_decref(problems);
    return 0;
}
