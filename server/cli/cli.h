/* cli.h - the command line: one table of commands and options, from which parsing, --help and the completion
 * of shells follow, and the commands that talk to the running service. Private to server/ and tests.
 */
#ifndef RECONCILED_CLI_H
#define RECONCILED_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"

/* Exit statuses, as the manual lists them. */
enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_SWITCHED_OFF = 3,
    EXIT_NO_SERVICE = 4,
};

enum option_id {
    OPTION_DRY_RUN,
    OPTION_SIDE,
    OPTION_TASK,
    OPTION_IGNORE_GRACE,
    OPTION_READY,
    OPTION_CREATE,
    OPTION_WATCH,
    OPTION_STUCK,
    OPTION_HELD,
    OPTION_QUARANTINED,
    OPTION_STAGE,
    OPTION_REPO,
    OPTION_LIMIT,
    OPTION_AFTER,
    OPTION_PLANE,
    OPTION_REASON,
    OPTION_BY,
    OPTION_FOR,
    OPTION_UNTIL,
    OPTION_JSON,
    OPTION_URL,
    OPTION_TOKEN_FILE,
    OPTION_ENV_FILE,
    OPTION_MAX_
};

struct cli_option {
    const char *name;    /* "--side" */
    const char *value;   /* what stands for its value in --help; NULL: it takes none */
    const char *choices; /* the values that it may have, with a space between two; NULL: any */
    int64_t max;         /* its value is a whole number from 1 to this; 0: it is a text */
    const char *help;
};

struct command_line;
struct service;

struct command {
    const char *name;
    const char *arguments; /* as --help shows them; NULL: none */
    size_t least, most;    /* how many there may be */
    const char *choices;   /* the texts that an argument may be, with a space between two; NULL: any */
    uint32_t options;      /* a bit for each option_id, besides --env-file and --help */
    uint32_t needs;        /* of these, the ones that must be given */
    const char *summary;   /* up to 50 characters */
    const char *details;   /* more lines for COMMAND --help; NULL: none */
    const char *example;
    /* What a command of the running service does; NULL for the others. Returns the exit status. */
    int (*talk)(const struct command_line *line, struct service *service);
};

/* command_table: the rows, ended by one without a name. command_find: by name, or NULL. option_table: of
 * OPTION_MAX_ rows. command_takes: whether the command has that option. */
const struct command *command_table(void);
const struct command *command_find(const char *name);
const struct cli_option *option_table(void);
bool command_takes(const struct command *command, enum option_id id);

/* What a person asked for; borrows from argv. */
struct command_line {
    const struct command *command;
    bool help;                       /* --help instead of the command */
    const char *values[OPTION_MAX_]; /* NULL: not given; "" for one that takes no value */
    char *const *arguments;
    size_t n_arguments;
};

/* command_line_read: `words` begins with the command's name; getopt_long(3) puts the arguments last.
 * ERR_INVALID with words. Values are checked as the option's row describes. */
ATTR_NODISCARD enum err command_line_read(const struct command *command, int n_words, char **words,
                                          struct command_line *ret, struct why *why);
/* command_line_number: the value of an option with a maximum, or the fallback. */
int64_t command_line_number(const struct command_line *line, enum option_id id, int64_t fallback);

/* usage_refuse: prints what is wrong and where help is, as one line on standard error; `command` may be NULL.
 * Returns EXIT_USAGE. */
int usage_refuse(const struct command *command, const char *fmt, ...) ATTR_PRINTF(2, 3);

/* The texts of --help and of COMMAND --help. Caller frees. */
char *help_commands(void) __attribute__((returns_nonnull));
char *help_command(const struct command *command) __attribute__((returns_nonnull));

/* completion: the script for the shell (bash, zsh or fish). Caller frees. */
char *completion(const char *shell) __attribute__((returns_nonnull));

/* token_file_read: the token in a file, without the spaces around it. Caller frees. */
ATTR_NODISCARD enum err token_file_read(const char *path, char **ret, struct why *why);
/* talk: does what the line asks of the running service. `settings` NULL: --url names it, and `token` is all
 * that it is shown; else `token` (NULL: that of the settings) is. Returns the exit status. */
struct settings;
int talk(const struct command_line *line, const struct settings *settings, const char *token);

/* The commands of the running service. */
int command_status(const struct command_line *line, struct service *service);
int command_tasks(const struct command_line *line, struct service *service);
int command_why(const struct command_line *line, struct service *service);
int command_history(const struct command_line *line, struct service *service);
int command_pass(const struct command_line *line, struct service *service);
int command_pause(const struct command_line *line, struct service *service);
int command_resume(const struct command_line *line, struct service *service);
int command_mode(const struct command_line *line, struct service *service);
int command_config(const struct command_line *line, struct service *service);
int command_hold(const struct command_line *line, struct service *service);
int command_holds(const struct command_line *line, struct service *service);
int command_release(const struct command_line *line, struct service *service);
int command_resolve(const struct command_line *line, struct service *service);

/* remarks_add: adds author, reason and end to a change. False: the usage is wrong, which has been printed. */
bool remarks_add(const struct command_line *line, json_t *body);

/* change_list_show: what people changed, as the service lists it. Returns the exit status. */
int change_list_show(const struct command_line *line, struct service *service);

/* task_table_print: tasks as GET /reconcile/tasks lists them. */
void task_table_print(const json_t *tasks);
/* hold_table_print: holds as GET /reconcile/holds lists them. */
void hold_table_print(const json_t *holds);
/* transition_table_print: rows of the ledger. */
void transition_table_print(const json_t *transitions);

#endif
