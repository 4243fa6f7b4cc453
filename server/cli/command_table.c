#include <string.h>

#include "clients/base/limits.h"
#include "server/cli/cli.h"

#define BIT(id) (UINT32_C(1) << (OPTION_##id))
/* What every command of the running service has. */
#define TALKS (BIT(JSON) | BIT(URL) | BIT(TOKEN_FILE))
#define PAGES (BIT(LIMIT) | BIT(AFTER))

static const struct cli_option options[] = {
    [OPTION_DRY_RUN] = {.name = "--dry-run", .help = "write nothing"},
    [OPTION_SIDE] = {.name = "--side",
                     .value = "SIDE",
                     .choices = "gate plane both",
                     .help = "gate, plane or both (the default)"},
    [OPTION_TASK] = {.name = "--task", .value = "ID", .max = INT64_MAX, .help = "only this task"},
    [OPTION_IGNORE_GRACE] = {.name = "--ignore-grace", .help = "tasks that have not rested yet too"},
    [OPTION_READY] = {.name = "--ready", .help = "whether its database is there as well"},
    [OPTION_WATCH] = {.name = "--watch", .help = "show it again every two seconds"},
    [OPTION_STUCK] = {.name = "--stuck", .help = "only tasks that are stuck"},
    [OPTION_STAGE] = {.name = "--stage", .value = "STAGE", .help = "only tasks in this stage"},
    [OPTION_REPO] = {.name = "--repo", .value = "OWNER/NAME", .help = "only tasks of this repository"},
    [OPTION_LIMIT] = {.name = "--limit",
                      .value = "N",
                      .max = LIMIT_COMMAND_ROWS,
                      .help = "so many rows at most (1000; with --json 500)"},
    [OPTION_AFTER] = {.name = "--after", .value = "NEXT", .help = "the page after; `next` of --json"},
    [OPTION_JSON] = {.name = "--json", .help = "print the service's answer as it is"},
    [OPTION_URL] = {.name = "--url",
                    .value = "URL",
                    .help = "the service there, not the one of the settings"},
    [OPTION_TOKEN_FILE] = {.name = "--token-file", .value = "FILE", .help = "holds the token of the service"},
    [OPTION_ENV_FILE] = {.name = "--env-file",
                         .value = "FILE",
                         .help = "settings, as in systemd's EnvironmentFile"},
};

static const struct command commands[] = {
    {.name = "status",
     .options = TALKS | BIT(WATCH),
     .summary = "what is stuck and why, upstreams, switches, passes",
     .example = "reconciled status --watch",
     .talk = command_status},
    {.name = "tasks",
     .options = TALKS | PAGES | BIT(STUCK) | BIT(STAGE) | BIT(REPO),
     .summary = "tasks that are not done, stuck ones first",
     .example = "reconciled tasks --stuck --repo acme/shop",
     .talk = command_tasks},
    {.name = "why",
     .arguments = "TASK",
     .least = 1,
     .most = 1,
     .options = TALKS,
     .summary = "why a task is where it is, and what comes next",
     .details = "TASK is its number, with or without #, or its work item id.",
     .example = "reconciled why ORCH-44",
     .talk = command_why},
    {.name = "history",
     .arguments = "[TASK]",
     .most = 1,
     .options = TALKS | PAGES,
     .summary = "what was moved, newest first",
     .details = "TASK is its number, with or without #, or its work item id.",
     .example = "reconciled history ORCH-44 --limit 20",
     .talk = command_history},
    {.name = "serve",
     .summary = "make passes by timer, answer HTTP (the default)",
     .details = "SIGTERM stops it cleanly.",
     .example = "reconciled serve --env-file /etc/reconciled/reconciled.env"},
    {.name = "run",
     .options = BIT(DRY_RUN) | BIT(SIDE) | BIT(TASK) | BIT(IGNORE_GRACE),
     .summary = "make one pass by itself, for cron",
     .details = "Prints the report as JSON. Exit status 3: it is switched off.",
     .example = "reconciled run --dry-run --side gate"},
    {.name = "check",
     .summary = "settings, pipeline, database, upstreams: a line each",
     .details = "Exit status 1: something is bad.",
     .example = "reconciled check"},
    {.name = "migrate", .summary = "create the tables that are missing", .example = "reconciled migrate"},
    {.name = "health",
     .options = BIT(READY),
     .summary = "whether the service is alive, for Docker",
     .example = "reconciled health --ready"},
    {.name = NULL},
};

const struct command *command_table(void)
{
    return commands;
}

const struct command *command_find(const char *name)
{
    for (const struct command *row = commands; row->name; row++) {
        if (strcmp(row->name, name) == 0)
            return row;
    }
    return NULL;
}

const struct cli_option *option_table(void)
{
    return options;
}

bool command_takes(const struct command *command, enum option_id id)
{
    return id == OPTION_ENV_FILE || (command->options & UINT32_C(1) << id);
}
