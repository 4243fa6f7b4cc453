/* orchestrator_tasks.h - the tasks of the stand-in orchestrator, in a database of the two kinds. */
#ifndef SANDBOX_ORCHESTRATOR_TASKS_H
#define SANDBOX_ORCHESTRATOR_TASKS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "clients/base/err.h"

/* What an event asks for. */
struct order {
    int64_t task_id; /* 0: to be made */
    char from[32], to[32];
    char plane_id[40], work_item_id[64], title[256], repo[128], branch[256]; /* of one to be made */
};

/* tasks_of: rows [id, branch, stage, plane_id] of the tasks of a repo, or with `plane_id` of that issue.
 * Caller owns *ret. */
ATTR_NODISCARD enum err tasks_of(const char *database, const char *repo, const char *plane_id, json_t **ret,
                                 struct why *why);

/* tasks_order: carries it out, with the next stage's job, if the task still stands at `from`. *ret_moved. */
ATTR_NODISCARD enum err tasks_order(const char *database, const struct order *order, bool *ret_moved,
                                    struct why *why);

#endif
