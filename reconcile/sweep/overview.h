/* overview.h - what the program works with, in a few words: for the first lines of the log, and for the
 * commands check and migrate.
 */
#ifndef RECONCILED_OVERVIEW_H
#define RECONCILED_OVERVIEW_H

#include <stddef.h>

#include "clients/base/err.h"
#include "clients/store/store.h"

struct pipeline;
struct policy;
struct services;
struct settings;

struct overview {
    struct store_overview tables;
    size_t stuck; /* tasks; 0 without the tables */
};

/* overview_read: reads the database. The tables may be missing. */
ATTR_NODISCARD enum err overview_read(struct store *store, const struct settings *settings,
                                      const struct pipeline *pipeline, struct overview *ret, struct why *why);

/* overview_words: "12 tasks, 3 jobs, 1 stuck"; caller frees. overview_missing: why nothing will ever be stuck
 * although all looks well: tasks or jobs were not there; NULL: both were. Caller frees. */
char *overview_words(const struct overview *overview);
char *overview_missing(const struct store_overview *tables);

/* overview_log_settings: logs version, pipeline and projects. overview_log_state: logs the mode, the sides
 * and the database, under the policy in force. One line each. */
void overview_log_settings(const struct settings *settings, const struct pipeline *pipeline);
void overview_log_state(const struct services *services, const struct policy *policy);

#endif
