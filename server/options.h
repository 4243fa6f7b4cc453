/* options.h - the command line. */
#ifndef RECONCILED_OPTIONS_H
#define RECONCILED_OPTIONS_H

#include "reconcile/sweep/pass.h"

enum command {
    COMMAND_SERVE,
    COMMAND_RUN,
    COMMAND_CHECK,
    COMMAND_MIGRATE,
    COMMAND_HEALTH,
    COMMAND_HELP,
    COMMAND_MANUAL,
    COMMAND_VERSION
};

/* Exit statuses, as --help lists them. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_SWITCHED_OFF = 3 };

struct options {
    enum command command;
    struct pass_request run; /* of COMMAND_RUN */
    bool ready;              /* of COMMAND_HEALTH */
};

/* options_read: ERR_INVALID, with the reason, when the command line is invalid. */
ATTR_NODISCARD enum err options_read(int argc, char *const *argv, struct options *ret, struct why *why);

/* options_usage: the text of --help, except the settings. Static. */
const char *options_usage(void);

#endif
