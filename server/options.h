/* options.h - what the command line asks for. */
#ifndef RECONCILED_OPTIONS_H
#define RECONCILED_OPTIONS_H

#include "reconcile/sweep/pass.h"
#include "server/cli/cli.h"

enum command_id {
    COMMAND_SERVE,
    COMMAND_RUN,
    COMMAND_CHECK,
    COMMAND_MIGRATE,
    COMMAND_HEALTH,
    COMMAND_TALK, /* one of the running service: line.command */
    COMMAND_HELP,
    COMMAND_HELP_SETTINGS,
    COMMAND_COMPLETION,
    COMMAND_MANUAL,
    COMMAND_VERSION
};

struct options {
    enum command_id command;
    struct command_line line; /* of COMMAND_HELP, the command that it is about, or NULL */
    struct pass_request run;  /* of COMMAND_RUN */
    bool ready;               /* of COMMAND_HEALTH */
    bool create;              /* of COMMAND_MIGRATE */
};

/* options_read: ERR_INVALID with words when the line is invalid. The order of argv may change. */
ATTR_NODISCARD enum err options_read(int argc, char **argv, struct options *ret, struct why *why);

#endif
