/* holds.h - holds on tasks, repositories and stages, and the release of a task. A hold is exact: see
 * store_hold_put. Thread-safe; everything here uses the database.
 */
#ifndef RECONCILED_HOLDS_H
#define RECONCILED_HOLDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"

struct remark;
struct services;
struct store;
struct store_hold;
struct store_holds;

enum hold_kind { HOLD_TASK, HOLD_REPO, HOLD_STAGE };

/* What is held. */
struct hold_target {
    enum hold_kind kind;
    const char *name; /* TASK, OWNER/NAME or the stage; borrowed from the scope */
    int64_t task_id;  /* of HOLD_TASK: the caller fills it in */
};
/* hold_target_read: of "task/TASK", "repo/OWNER/NAME", "stage/NAME". False: it is none of these. */
bool hold_target_read(const char *scope, struct hold_target *ret);

/* holds_put: sets the hold, or replaces it. remark->reason must be there. *ret_document is the hold as
 * holds_list shows it; *ret_new: there was none. ERR_NOT_FOUND: no such task, no task or project has that
 * repository, the pipeline has no such stage. ERR_CONFLICT: there are LIMIT_HOLDS. */
ATTR_NODISCARD enum err holds_put(const struct services *services, const struct hold_target *target,
                                  const struct remark *remark, json_t **ret_document, bool *ret_new,
                                  struct why *why);
/* holds_end: ERR_NOT_FOUND: there is none. */
ATTR_NODISCARD enum err holds_end(const struct services *services, const struct hold_target *target,
                                  const char *by, const char *reason, struct why *why);

/* holds_list: {"items":[{"scope","reason","by","since","until"}],"next"}, in the order of the stored scopes;
 * `after` NULL: from the beginning. Caller owns *ret. */
ATTR_NODISCARD enum err holds_list(struct store *store, const char *after, size_t limit, json_t **ret,
                                   struct why *why);

/* hold_names: the scopes of these holds as people write them: a task by its work item id where that is its
 * alone, else by its number. Caller frees each and *ret with free(). */
ATTR_NODISCARD enum err hold_names(struct store *store, const struct store_hold *holds, size_t n, char ***ret,
                                   struct why *why);

/* holds_release: ends the task's quarantine and its own hold. ERR_NOT_FOUND: no such task. ERR_CONFLICT: it
 * has neither. */
ATTR_NODISCARD enum err holds_release(const struct services *services, int64_t task_id,
                                      const struct remark *remark, struct why *why);

#endif
