#include <jansson.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/log.h"
#include "clients/base/process.h"
#include "clients/base/text.h"
#include "server/cli/cli.h"
#include "server/cli/env_file.h"
#include "server/commands.h"
#include "server/options.h"
#include "server/settings_help.h"

static void print_lines(const char *kind, const json_t *lines)
{
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const char *line = json_string_value(json_array_get(lines, i));
        AUTO_FREE char *shown = text_cut(line, strlen(line));
        fprintf(stderr, "reconciled: %s%s\n", kind, shown);
    }
}

/* A name that may be misspelt can be the cause of a problem. */
static void print_problems(const json_t *problems)
{
    json_auto_t *warnings = setup_warnings(&(const struct setup){.settings = NULL});
    print_lines("", problems);
    print_lines("warning: ", warnings);
}

static int print_text(char *text_take)
{
    int failed = fputs(text_take, stdout) < 0;
    free(text_take);
    return failed || fflush(stdout) != 0 ? EXIT_FAILED : EXIT_DONE;
}

static int help(const struct command *command)
{
    return print_text(command ? help_command(command) : help_commands());
}

static int refuse(const struct why *why)
{
    AUTO_FREE char *shown = text_cut(why->text, strlen(why->text));
    fprintf(stderr, "reconciled: %s\n", shown);
    return EXIT_USAGE;
}

static int serve_with_log(const struct setup *setup)
{
    log_start();
    int status = serve(setup);
    log_stop();
    return status;
}

static int run_command(const struct options *options, const char *token)
{
    json_t *problems = json_array();
    struct setup setup;
    int status = EXIT_USAGE;
    if (setup_load(&setup, problems, problems) != ERR_OK)
        print_problems(problems);
    else if (options->command == COMMAND_TALK)
        status = talk(&options->line, setup.settings, token);
    else if (options->command == COMMAND_SERVE)
        status = serve_with_log(&setup);
    else if (options->command == COMMAND_RUN)
        status = run_once(&setup, &options->run, options->line.values[OPTION_TASK]);
    else if (options->command == COMMAND_HEALTH)
        status = health(&setup, options->ready);
    else
        status = migrate(&setup, options->create);
    setup_done(&setup);
    json_decref(problems);
    return status;
}

/* Files that the line names: settings for the environment, and a token. Their relative paths start here, and
 * not where the packaged service runs. */
static enum err files_read(const struct options *options, char **ret_token, struct why *why)
{
    const char *env_file = options->line.values[OPTION_ENV_FILE];
    const char *token_file = options->line.values[OPTION_TOKEN_FILE];
    const bool asks_service = options->command == COMMAND_TALK || options->command == COMMAND_HEALTH;
    enum err err = token_file ? token_file_read(token_file, ret_token, why) : ERR_OK;
    if (!err && env_file)
        err = env_file_load(env_file, why);
    else if (!err && options->command != COMMAND_SERVE && !options->line.values[OPTION_URL])
        err = env_file_packaged(ENV_FILE_PACKAGED, ENV_FILE_FOLDER, !asks_service, why);
    return err;
}

static int with_files(const struct options *options)
{
    AUTO_FREE char *token = NULL;
    struct why why;
    if (files_read(options, &token, &why) != ERR_OK)
        return refuse(&why);
    if (options->command == COMMAND_CHECK)
        return check();
    if (options->line.values[OPTION_URL])
        return talk(&options->line, NULL, token);
    return run_command(options, token);
}

int main(int argc, char **argv)
{
    struct options options;
    struct why why;
    process_open_standard();
    process_protect();
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* the limit of a file's size is an error of the write */
    (void)signal(SIGHUP, SIG_IGN);
    json_object_seed(0);
    (void)mallopt(M_ARENA_MAX, 2); /* some twenty threads, few of which ever allocate much at once */
    (void)mallopt(M_MMAP_THRESHOLD,
                  128 * 1024); /* set, it stays: a large body goes back to the system when it is freed */
    if (options_read(argc, argv, &options, &why) != ERR_OK)
        return usage_refuse(options.line.command, "%s", why.text);
    switch (options.command) {
    case COMMAND_HELP:
        return help(options.line.command);
    case COMMAND_HELP_SETTINGS:
        return print_text(settings_help());
    case COMMAND_MANUAL:
        return manual();
    case COMMAND_COMPLETION:
        return print_text(completion(options.line.arguments[0]));
    case COMMAND_VERSION:
        return puts("reconciled " RECONCILED_VERSION) < 0 ? EXIT_FAILED : EXIT_DONE;
    case COMMAND_CHECK:
    case COMMAND_SERVE:
    case COMMAND_RUN:
    case COMMAND_MIGRATE:
    case COMMAND_HEALTH:
    case COMMAND_TALK:
        break;
    }
    return with_files(&options);
}
