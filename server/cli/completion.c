/* completion: the scripts with which bash, zsh and fish complete the command line, made from the table. */
#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "server/cli/cli.h"

/* Puts the text between single quotes, as the shells read it; `escaped`: characters that also get a
 * backslash. */
static void put_quoted(struct buffer *out, const char *text, const char *before_quote, const char *escaped)
{
    for (; *text; text++) {
        if (*text == '\'')
            buffer_puts(out, before_quote);
        else if (strchr(escaped, *text))
            buffer_putc(out, '\\');
        buffer_putc(out, *text);
        if (*text == '\'' && before_quote[1])
            buffer_putc(out, '\'');
    }
}

static bool is_file(const struct cli_option *option)
{
    return option->value && strcmp(option->value, "FILE") == 0;
}

/* The rows of the option table that a command has, one after the other; NULL behind the last. */
static const struct cli_option *next_option(const struct command *command, int *at)
{
    const struct cli_option *table = option_table();
    for (; *at < OPTION_MAX_; ++*at) {
        if (table[*at].name && command_takes(command, (enum option_id) * at))
            return &table[(*at)++];
    }
    return NULL;
}

/* bash */

static void put_bash_values(struct buffer *out)
{
    const struct cli_option *table = option_table();
    for (int id = 0; id < OPTION_MAX_; id++) {
        if (!table[id].name || !table[id].value)
            continue;
        buffer_printf(out, "    %s) ", table[id].name);
        if (is_file(&table[id]))
            buffer_puts(
                out, "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return ;;\n");
        else
            buffer_printf(out, "mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\"); return ;;\n",
                          table[id].choices ? table[id].choices : "");
    }
}

static void put_bash(struct buffer *out)
{
    buffer_puts(out, "_reconciled()\n{\n    local words='' cur=${COMP_WORDS[COMP_CWORD]}\n"
                     "    case ${COMP_WORDS[COMP_CWORD-1]} in\n");
    put_bash_values(out);
    buffer_puts(
        out, "    esac\n    case $COMP_CWORD:${COMP_WORDS[1]} in\n    1:*) words='--help --manual --version");
    for (const struct command *row = command_table(); row->name; row++)
        buffer_printf(out, " %s", row->name);
    buffer_puts(out, "' ;;\n");
    for (const struct command *row = command_table(); row->name; row++) {
        const struct cli_option *option;
        buffer_printf(out, "    *:%s) words='--help", row->name);
        for (int at = 0; (option = next_option(row, &at));)
            buffer_printf(out, " %s", option->name);
        buffer_printf(out, "%s%s' ;;\n", row->choices ? " " : "", row->choices ? row->choices : "");
    }
    buffer_puts(out, "    esac\n    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n}\n"
                     "complete -F _reconciled reconciled\n");
}

/* zsh */

static void put_zsh_option(struct buffer *out, const struct cli_option *option)
{
    buffer_printf(out, " \\\n        '%s%s[", option->name, option->value ? "=" : "");
    put_quoted(out, option->help, "'\\", "[]:\\");
    buffer_puts(out, "]");
    if (option->value)
        buffer_printf(out, ":%s:%s%s%s", option->value,
                      option->choices   ? "("
                      : is_file(option) ? "_files"
                                        : "",
                      option->choices ? option->choices : "", option->choices ? ")" : "");
    buffer_puts(out, "'");
}

static void put_zsh(struct buffer *out)
{
    buffer_puts(out, "#compdef reconciled\n_reconciled()\n{\n    local -a commands=(\n");
    for (const struct command *row = command_table(); row->name; row++) {
        buffer_printf(out, "        '%s:", row->name);
        put_quoted(out, row->summary, "'\\", ":\\");
        buffer_puts(out, "'\n");
    }
    buffer_puts(
        out,
        "    )\n    if ((CURRENT == 2)); then\n        _describe command commands\n        return\n    fi\n"
        "    shift words\n    ((CURRENT--))\n    case $words[1] in\n");
    for (const struct command *row = command_table(); row->name; row++) {
        const struct cli_option *option;
        buffer_printf(out, "    %s) _arguments '--help[describe it]'", row->name);
        for (int at = 0; (option = next_option(row, &at));)
            put_zsh_option(out, option);
        if (row->choices)
            buffer_printf(out, " \\\n        ':%s:(%s)'", row->arguments, row->choices);
        buffer_puts(out, " ;;\n");
    }
    buffer_puts(out, "    esac\n}\n_reconciled \"$@\"\n");
}

/* fish */

static void put_fish(struct buffer *out)
{
    buffer_puts(out, "complete -c reconciled -f\n");
    for (const struct command *row = command_table(); row->name; row++) {
        const struct cli_option *option;
        buffer_printf(out, "complete -c reconciled -n __fish_use_subcommand -a %s -d '", row->name);
        put_quoted(out, row->summary, "\\", "\\");
        buffer_puts(out, "'\n");
        for (int at = 0; (option = next_option(row, &at));) {
            buffer_printf(out, "complete -c reconciled -n '__fish_seen_subcommand_from %s' -l %s %s-d '",
                          row->name, option->name + 2,
                          is_file(option) ? "-r -F "
                          : option->value ? "-x "
                                          : "");
            put_quoted(out, option->help, "\\", "\\");
            buffer_printf(out, "'%s%s%s\n", option->choices ? " -a '" : "",
                          option->choices ? option->choices : "", option->choices ? "'" : "");
        }
        if (row->choices)
            buffer_printf(out, "complete -c reconciled -n '__fish_seen_subcommand_from %s' -a '%s'\n",
                          row->name, row->choices);
    }
}

char *completion(const char *shell)
{
    struct buffer out = {.max = LIMIT_OWN_TEXT};
    if (strcmp(shell, "bash") == 0)
        put_bash(&out);
    else if (strcmp(shell, "zsh") == 0)
        put_zsh(&out);
    else
        put_fish(&out);
    return buffer_take(&out);
}
