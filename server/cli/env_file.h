/* env_file.h - settings from a file of the form of systemd's EnvironmentFile. Private to server/ and tests.
 */
#ifndef RECONCILED_CLI_ENV_FILE_H
#define RECONCILED_CLI_ENV_FILE_H

#include <stdbool.h>

#include "clients/base/err.h"

/* The settings of the packaged service, and the folder that it runs in. */
#define ENV_FILE_PACKAGED "/etc/reconciled/reconciled.env"
#define ENV_FILE_FOLDER "/var/lib/reconciled"

/* env_file_load: puts what the file sets into the environment, where that does not have the name. A line that
 * systemd ignores is ignored. Before any thread starts. */
ATTR_NODISCARD enum err env_file_load(const char *path, struct why *why);
/* env_file_packaged: the same of the packaged service's file, if it is there and the environment has none of
 * our settings; the process then works in `folder`, as relative paths in the file mean. Where it may not,
 * that is an error with `must_enter` alone. */
ATTR_NODISCARD enum err env_file_packaged(const char *path, const char *folder, bool must_enter,
                                          struct why *why);

#endif
