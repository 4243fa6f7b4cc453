#include <string.h>

#include "clients/base/limits.h"
#include "server/cli/cli.h"

#define BIT(id) (UINT32_C(1) << (OPTION_##id))
/* What every command of the running service has. */
#define TALKS (BIT(JSON) | BIT(URL) | BIT(TOKEN_FILE))
#define REMARKS (BIT(REASON) | BIT(BY))
#define ENDS (BIT(FOR) | BIT(UNTIL))
#define PAGES (BIT(LIMIT) | BIT(AFTER))

static const struct cli_option options[] = {
    [OPTION_DRY_RUN] = {.name = "--dry-run", .help = "write nothing"},
    [OPTION_SIDE] = {.name = "--side",
                     .value = "SIDE",
                     .choices = "gate plane both",
                     .help = "gate, plane or both (the default)"},
    [OPTION_TASK] = {.name = "--task", .value = "TASK", .help = "only this task"},
    [OPTION_IGNORE_GRACE] = {.name = "--ignore-grace", .help = "tasks that have not rested yet too"},
    [OPTION_CREATE] = {.name = "--create", .help = "even beside tables of the same names"},
    [OPTION_READY] = {.name = "--ready", .help = "whether its database is there as well"},
    [OPTION_WATCH] = {.name = "--watch", .help = "show it again every two seconds"},
    [OPTION_STUCK] = {.name = "--stuck", .help = "only tasks that are stuck"},
    [OPTION_HELD] = {.name = "--held", .help = "only tasks that a hold keeps where they are"},
    [OPTION_QUARANTINED] = {.name = "--quarantined", .help = "only tasks healed too often"},
    [OPTION_STAGE] = {.name = "--stage", .value = "STAGE", .help = "only tasks in this stage"},
    [OPTION_REPO] = {.name = "--repo", .value = "OWNER/NAME", .help = "only tasks of this repository"},
    [OPTION_LIMIT] = {.name = "--limit",
                      .value = "N",
                      .max = LIMIT_COMMAND_ROWS,
                      .help = "so many rows at most (1000; with --json 500)"},
    [OPTION_AFTER] = {.name = "--after", .value = "NEXT", .help = "the page after; `next` of --json"},
    [OPTION_PLANE] = {.name = "--plane", .help = "the Plane side alone"},
    [OPTION_REASON] = {.name = "--reason", .value = "TEXT", .help = "why; it is shown to others"},
    [OPTION_BY] = {.name = "--by", .value = "NAME", .help = "whose change it is; else the login name"},
    [OPTION_FOR] = {.name = "--for", .value = "TIME", .help = "for so long: 2h30m, 3d"},
    [OPTION_UNTIL] = {.name = "--until", .value = "TIME", .help = "until then: 18:30, 2026-11-24T18:30:00Z"},
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
     .arguments = "[TEXT]",
     .most = 1,
     .options = TALKS | PAGES | BIT(STUCK) | BIT(HELD) | BIT(QUARANTINED) | BIT(STAGE) | BIT(REPO),
     .summary = "tasks that are not done, stuck ones first",
     .details = "TEXT is a part of the work item id, the title or the branch.",
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
    {.name = "pass",
     .arguments = "[TASK]",
     .most = 1,
     .options = TALKS | BIT(DRY_RUN) | BIT(SIDE) | BIT(IGNORE_GRACE),
     .summary = "a pass now, and what became of each task",
     .details = "Exit status 1: something failed; 3: it is switched off.",
     .example = "reconciled pass ORCH-44 --dry-run",
     .talk = command_pass},
    {.name = "pause",
     .options = TALKS | REMARKS | ENDS | BIT(PLANE),
     .needs = BIT(REASON),
     .summary = "switch it off: nothing is moved any more",
     .example = "reconciled pause --reason 'moving Gitea' --for 2h30m",
     .talk = command_pause},
    {.name = "resume",
     .options = TALKS | REMARKS | BIT(PLANE),
     .summary = "switch it on again",
     .details = "Exit status 1: the environment still switches it off.",
     .example = "reconciled resume",
     .talk = command_resume},
    {.name = "observe",
     .options = TALKS | REMARKS | ENDS,
     .summary = "read gates and report, but move nothing",
     .example = "reconciled observe --reason 'a first look' --until 18:30",
     .talk = command_mode},
    {.name = "heal",
     .options = TALKS | REMARKS | ENDS,
     .summary = "move what is green",
     .example = "reconciled heal",
     .talk = command_mode},
    {.name = "hold",
     .arguments = "SCOPE",
     .least = 1,
     .most = 1,
     .options = TALKS | REMARKS | ENDS,
     .needs = BIT(REASON),
     .summary = "keep a task, a repository or a stage where it is",
     .details = "SCOPE is a task (number or work item id), repo/OWNER/NAME or stage/NAME.",
     .example = "reconciled hold ORCH-44 --reason 'looked at by hand' --for 2h",
     .talk = command_hold},
    {.name = "holds",
     .options = TALKS | PAGES,
     .summary = "what is held, by whom and why",
     .example = "reconciled holds",
     .talk = command_holds},
    {.name = "release",
     .arguments = "SCOPE",
     .least = 1,
     .most = 1,
     .options = TALKS | REMARKS,
     .summary = "end a hold, and of a task its quarantine",
     .details = "SCOPE is a task (number or work item id), repo/OWNER/NAME or stage/NAME.",
     .example = "reconciled release ORCH-44 --reason 'mended'",
     .talk = command_release},
    {.name = "config",
     .arguments = "[NAME=VALUE … | history]",
     .most = 64,
     .options = TALKS | REMARKS | ENDS | PAGES,
     .summary = "show or set run-time settings; who changed what",
     .details = "VALUE is JSON or a text; NAME= drops what was set.",
     .example = "reconciled config interval_s=30 log_level=debug --for 1h",
     .talk = command_config},
    {.name = "resolve",
     .arguments = "REPO SHA",
     .least = 2,
     .most = 2,
     .options = TALKS,
     .summary = "which branch and task a commit belongs to",
     .example = "reconciled resolve acme/shop 8997fa9454530e4122c3d087b5238cdc2f351566",
     .talk = command_resolve},
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
    {.name = "migrate",
     .options = BIT(CREATE),
     .summary = "create the tables that are missing",
     .example = "reconciled migrate"},
    {.name = "health",
     .options = BIT(READY),
     .summary = "whether the service is alive, for Docker",
     .example = "reconciled health --ready"},
    {.name = "completion",
     .arguments = "SHELL",
     .least = 1,
     .most = 1,
     .choices = "bash zsh fish",
     .summary = "print the completion of a shell",
     .details = "SHELL is bash, zsh or fish; `make install` installs all three.",
     .example = "eval \"$(reconciled completion bash)\""},
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
