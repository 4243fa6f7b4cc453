#include "server/options.h"

#include <string.h>

#include "clients/base/text.h"

static const struct {
    const char *word;
    enum command_id command;
} words[] = {
    {"serve", COMMAND_SERVE},     {"run", COMMAND_RUN},         {"check", COMMAND_CHECK},
    {"migrate", COMMAND_MIGRATE}, {"health", COMMAND_HEALTH},   {"--help", COMMAND_HELP},
    {"-h", COMMAND_HELP},         {"help", COMMAND_HELP},       {"--version", COMMAND_VERSION},
    {"version", COMMAND_VERSION}, {"--manual", COMMAND_MANUAL}, {"completion", COMMAND_COMPLETION},
};

/* --help, --version, …: what is no row of the table. */
static enum err other_read(int argc, char *const *argv, struct options *ret, struct why *why)
{
    const char *about = argc > 2 ? argv[2] : NULL;
    bool help = ret->command == COMMAND_HELP;
    if (argc > (help ? 3 : 2))
        return why_set(why, ERR_INVALID, "%s takes no argument %s", argv[1], argv[argc - 1]);
    if (help && about && strcmp(about, "settings") == 0) {
        ret->command = COMMAND_HELP_SETTINGS;
    } else if (help && about) {
        ret->line.command = command_find(about);
        if (!ret->line.command)
            return why_set(why, ERR_INVALID, "there is no command %s", about);
    }
    return ERR_OK;
}

static void run_read(const struct command_line *line, struct pass_request *run)
{
    run->dry_run = line->values[OPTION_DRY_RUN];
    run->ignore_grace = line->values[OPTION_IGNORE_GRACE];
    if (line->values[OPTION_SIDE])
        (void)pass_side_parse(line->values[OPTION_SIDE], &run->side);
}

enum err options_read(int argc, char **argv, struct options *ret, struct why *why)
{
    const char *name = argc > 1 ? argv[1] : "serve";
    const struct command *command = command_find(name);
    size_t i = 0;
    *ret = (struct options){.command = COMMAND_TALK, .run = {.trigger = TRIGGER_COMMAND}};
    while (i < ARRAY_LEN(words) && strcmp(words[i].word, name) != 0)
        i++;
    if (i < ARRAY_LEN(words))
        ret->command = words[i].command;
    else if (!command)
        return why_set(why, ERR_INVALID, "there is no command %s", name);
    if (!command)
        return other_read(argc, argv, ret, why);
    ret->line.command = command;
    enum err err = argc > 1 ? command_line_read(command, argc - 1, argv + 1, &ret->line, why) : ERR_OK;
    if (err)
        return err;
    if (ret->line.help)
        ret->command = COMMAND_HELP;
    ret->ready = ret->line.values[OPTION_READY];
    ret->create = ret->line.values[OPTION_CREATE];
    run_read(&ret->line, &ret->run);
    return ERR_OK;
}
