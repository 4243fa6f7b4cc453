/* pipeline.h - stages and gates as data: read from JSON (the built-in default or ORCH_PIPELINE_FILE), checked
 * once, then immutable. pipeline.schema.json describes the document; pipeline_load checks what a schema can
 * and what it cannot.
 *
 * {"stages":[{"name":"development","agent":"developer","gates":[{"kind":"ci","contexts":["build"]}],"next":"review",
 *             "on_rejected":"development"}, …, {"name":"done","terminal":true}]}
 * The first stage is where tasks are created. A list of gates: all must be green.
 */
#ifndef RECONCILED_PIPELINE_H
#define RECONCILED_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "clients/base/err.h"

enum gate_kind { GATE_HUMAN, GATE_CI, GATE_FILES, GATE_REVIEW, GATE_MERGED, GATE_HTTP, GATE_KIND_MAX_ };
const char *gate_kind_name(enum gate_kind kind);

struct gate {
    enum gate_kind kind;
    /* ci: globs (fnmatch) of which a status context must match one to count; n 0: all count */
    const char *const *contexts;
    size_t n_contexts;
    /* files: each must hold a file; {work_item_id} {task_id} {stage} {branch} are filled in */
    const char *const *paths;
    size_t n_paths;
    int approvals;   /* review: at least 1 */
    bool official;   /* review: only official reviews count, as at Gitea itself */
    const char *url; /* http: a URL template, placeholders as above and {repo}; values are percent-encoded */
};

struct stage {
    const char *name;
    const char *agent; /* whose job is queued on entry; NULL: none */
    const struct gate *gates;
    size_t n_gates;
    const struct stage *next;        /* NULL for a terminal stage */
    const struct stage *on_rejected; /* or NULL */
    bool terminal;
    bool human; /* has a human gate: left by F-2 alone */
};

struct pipeline {
    const struct stage *stages;
    size_t n_stages;
    const char *const *names; /* of all stages, NULL-terminated */
};

/* pipeline_load: text[0..len) is the JSON. Every problem is added to `problems` (JSON array of strings:
 * "stage review: next names no stage: shipping"); ERR_INVALID if there was any. Checked: names unique and
 * [a-z0-9_-]{1,64}; next and on_rejected exist; a stage is terminal or has a next, and the first is not
 * terminal; every stage is reachable from the first and reaches a terminal one by its nexts; gate kinds and
 * their options known, complete and within limits; a human gate stands alone. Free with pipeline_free. */
ATTR_NODISCARD enum err pipeline_load(const char *text, size_t len, struct pipeline **ret, json_t *problems);
/* pipeline_load_file: the file, with a byte order mark or without, or the built-in default when `path` is
 * NULL. */
ATTR_NODISCARD enum err pipeline_load_file(const char *path, struct pipeline **ret, json_t *problems);
/* pipeline_free: NULL is fine. */
void pipeline_free(struct pipeline *pipeline);

/* pipeline_stage: by name, or NULL. */
const struct stage *pipeline_stage(const struct pipeline *pipeline, const char *name);

/* stage_is_gated: F-1 evaluates it: it has gates, none of them human, and is not terminal. */
bool stage_is_gated(const struct stage *stage);

#endif
