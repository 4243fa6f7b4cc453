/* trial.h - can the database hold what passes write? Every transition of the pipeline is written and rolled
 * back.
 */
#ifndef RECONCILED_TRIAL_H
#define RECONCILED_TRIAL_H

#include <jansson.h>

#include "clients/base/err.h"

struct pipeline;
struct settings;
struct store;

/* trial_run: writes each transition of the pipeline, and a new task where the Plane side is on, in a
 * transaction that is rolled back; our own tables alone where the orchestrator moves tasks, or where only
 * observing is set. `problems` (an array of strings) gets a line for each that the database refuses, with its
 * words. *ret_done: what was tried, in words; caller frees. ERR_ and words when nothing could be tried. */
ATTR_NODISCARD enum err trial_run(struct store *store, const struct pipeline *pipeline,
                                  const struct settings *settings, json_t *problems, char **ret_done,
                                  struct why *why);

#endif
