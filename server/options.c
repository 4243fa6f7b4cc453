#include "server/options.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "clients/base/text.h"

const char *options_usage(void)
{
    return "usage: reconciled [serve]      make passes by timer, answer HTTP; SIGTERM stops cleanly\n"
           "       reconciled run          one pass, its report as JSON on standard output\n"
           "           --dry-run           write nothing\n"
           "           --side SIDE         gate, plane or both\n"
           "           --task ID           only this task\n"
           "           --ignore-grace      tasks that have not rested yet too\n"
           "       reconciled check        settings, pipeline, database, upstreams: one line each\n"
           "       reconciled migrate      create the tables that are missing\n"
           "       reconciled health       is the service that runs with these settings alive?\n"
           "           --ready             and its database there?\n"
           "       reconciled --help | --manual | --version\n"
           "\n"
           "Exit status: 0 done; 1 something failed, or check or health found something bad; 2 wrong "
           "usage,\n"
           "settings or pipeline; 3 run: not run, because it is switched off.\n";
}

/* The value of "--name value" or "--name=value" at argv[*at]; moves *at to its last word. NULL: it is another
 * option. */
static const char *value_of(const char *name, int argc, char *const *argv, int *at)
{
    size_t len = strlen(name);
    const char *argument = argv[*at];
    assert(argument); /* *at < argc */
    if (strncmp(argument, name, len) != 0 || (argument[len] && argument[len] != '='))
        return NULL;
    if (argument[len] == '=')
        return argument + len + 1;
    return *at + 1 < argc ? argv[++*at] : "";
}

static enum err run_option(int argc, char *const *argv, int *at, struct pass_request *run, struct why *why)
{
    const char *argument = argv[*at], *value;
    if (strcmp(argument, "--dry-run") == 0) {
        run->dry_run = true;
    } else if (strcmp(argument, "--ignore-grace") == 0) {
        run->ignore_grace = true;
    } else if ((value = value_of("--side", argc, argv, at))) {
        if (!pass_side_parse(value, &run->side))
            return why_set(why, ERR_INVALID, "--side is gate, plane or both");
    } else if ((value = value_of("--task", argc, argv, at))) {
        if (!parse_i64(value, 1, INT64_MAX, &run->task_id))
            return why_set(why, ERR_INVALID, "--task is the id of a task, a positive number");
    } else {
        return why_set(why, ERR_INVALID, "run has no option %s", argument);
    }
    return ERR_OK;
}

enum err options_read(int argc, char *const *argv, struct options *ret, struct why *why)
{
    static const struct {
        const char *word;
        enum command command;
    } commands[] = {
        {"serve", COMMAND_SERVE},     {"run", COMMAND_RUN},         {"check", COMMAND_CHECK},
        {"migrate", COMMAND_MIGRATE}, {"health", COMMAND_HEALTH},   {"--help", COMMAND_HELP},
        {"-h", COMMAND_HELP},         {"help", COMMAND_HELP},       {"--version", COMMAND_VERSION},
        {"version", COMMAND_VERSION}, {"--manual", COMMAND_MANUAL},
    };
    *ret = (struct options){.command = COMMAND_SERVE, .run = {.trigger = TRIGGER_COMMAND}};
    if (argc < 2)
        return ERR_OK;
    size_t i = 0;
    while (i < ARRAY_LEN(commands) && strcmp(commands[i].word, argv[1]) != 0)
        i++;
    if (i == ARRAY_LEN(commands))
        return why_set(why, ERR_INVALID, "there is no command %s", argv[1]);
    ret->command = commands[i].command;
    for (int at = 2; at < argc; at++) {
        if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
            ret->command = COMMAND_HELP;
            continue;
        }
        if (ret->command == COMMAND_HEALTH && strcmp(argv[at], "--ready") == 0) {
            ret->ready = true;
            continue;
        }
        if (ret->command != COMMAND_RUN)
            return why_set(why, ERR_INVALID, "%s takes no argument %s", argv[1], argv[at]);
        enum err err = run_option(argc, argv, &at, &ret->run, why);
        if (err)
            return err;
    }
    return ERR_OK;
}
