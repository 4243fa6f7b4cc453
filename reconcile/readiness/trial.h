/* trial.h - checks that the database accepts what passes write: writes every transition of the pipeline and
 * rolls it back.
 */
#ifndef RECONCILED_TRIAL_H
#define RECONCILED_TRIAL_H

#include <jansson.h>

#include "clients/base/err.h"

struct pipeline;
struct settings;
struct store;

/* trial_run: writes each transition of the pipeline, and a new task where the Plane side is on, in a
 * transaction that is rolled back. Where the orchestrator moves tasks or the mode is observe, only this
 * program's own tables are written. `problems` (an array of strings) gets a line with the database's error
 * for each write that it refuses. *ret_done: a sentence about what was tried; caller frees. Returns an error
 * when nothing could be tried. */
ATTR_NODISCARD enum err trial_run(struct store *store, const struct pipeline *pipeline,
                                  const struct settings *settings, json_t *problems, char **ret_done,
                                  struct why *why);

#endif
