/* pipeline_check.h - what a pipeline document must be. Private to pipeline*.c. */
#ifndef RECONCILED_PIPELINE_CHECK_H
#define RECONCILED_PIPELINE_CHECK_H

#include <jansson.h>
#include <stdbool.h>

#include "reconcile/pipeline/pipeline.h"

/* pipeline_check: adds every problem of the document, in words, to an array of strings. A document without
 * any can be built without a further look. */
void pipeline_check(const json_t *document, json_t *problems);

/* pipeline_check_gate: the same for one gate; `where` is what to call it ("stage review, gate 2"). */
void pipeline_check_gate(const json_t *gate, const char *where, json_t *problems);

/* pipeline_problem: adds "where: words". pipeline_check_members: every member of an object is one of `known`,
 * NULL-terminated. */
void pipeline_problem(json_t *problems, const char *where, const char *fmt, ...) ATTR_PRINTF(3, 4);
void pipeline_check_members(const json_t *object, const char *const *known, const char *where,
                            json_t *problems);

/* gate_kind_parse: false when there is no such kind. */
bool gate_kind_parse(const char *name, enum gate_kind *ret);

#endif
