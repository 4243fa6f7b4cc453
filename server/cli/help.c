#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "server/cli/cli.h"

enum { SUMMARY_AT = 26 };

char *help_commands(void)
{
    struct buffer out = {.max = LIMIT_OWN_TEXT};
    buffer_puts(&out, "usage: reconciled [COMMAND] [--env-file FILE] …\n\nOf the running service, which the "
                      "settings or --url and --token-file name:\n");
    for (int of_service = 1; of_service >= 0; of_service--) {
        for (const struct command *row = command_table(); row->name; row++) {
            AUTO_FREE char *names = mem_printf("%s%s%s", row->name, row->arguments ? " " : "",
                                               row->arguments ? row->arguments : "");
            if (!row->talk == !of_service)
                buffer_printf(&out, "  %-*s%s\n", SUMMARY_AT, names, row->summary);
        }
        if (of_service)
            buffer_puts(&out, "\nBy themselves, with the same settings:\n");
    }
    buffer_puts(&out, "\nreconciled COMMAND --help describes one; --help settings lists every setting;\n"
                      "--manual prints the manual page, --version the version.\n\n"
                      "Exit status: 0 done; 1 something failed or was refused, or check or health found\n"
                      "something bad; 2 wrong usage, settings or pipeline; 3 switched off; 4 no service\n"
                      "answers.\n");
    return buffer_take(&out);
}

char *help_command(const struct command *command)
{
    struct buffer out = {.max = LIMIT_OWN_TEXT};
    buffer_printf(&out, "usage: reconciled %s%s%s [OPTION…]\n\n%s.\n", command->name,
                  command->arguments ? " " : "", command->arguments ? command->arguments : "",
                  command->summary);
    if (command->details)
        buffer_printf(&out, "%s\n", command->details);
    buffer_puts(&out, "\n");
    for (int id = 0; id < OPTION_MAX_; id++) {
        const struct cli_option *row = &option_table()[id];
        AUTO_FREE char *names =
            row->name ? mem_printf("%s%s%s", row->name, row->value ? " " : "", row->value ? row->value : "")
                      : NULL;
        if (names && command_takes(command, (enum option_id)id))
            buffer_printf(&out, "  %-*s%s\n", SUMMARY_AT, names, row->help);
    }
    buffer_printf(&out, "\nExample: %s\n", command->example);
    return buffer_take(&out);
}
