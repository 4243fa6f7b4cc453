#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "clients/base/text.h"
#include "server/cli/cli.h"

enum { HELP_CODE = 'h', CODE_BASE = 256 };

/* Whether `value` is one of the words in `choices`. */
static bool is_choice(const char *choices, const char *value)
{
    size_t len = strlen(value);
    for (const char *word = choices; *word; word += strspn(word, " ")) {
        size_t word_len = strcspn(word, " ");
        if (word_len == len && strncmp(word, value, len) == 0)
            return true;
        word += word_len;
    }
    return false;
}

static enum err check_value(const struct cli_option *option, const char *value, struct why *why)
{
    int64_t number;
    if (option->choices && !is_choice(option->choices, value))
        return why_set(why, ERR_INVALID, "%s is one of: %s", option->name, option->choices);
    if (option->max && !parse_i64(value, 1, option->max, &number))
        return why_set(why, ERR_INVALID,
                       option->max == INT64_MAX ? "%s takes a positive whole number"
                                                : "%s takes a whole number from 1 to %lld",
                       option->name, (long long)option->max);
    return *value ? ERR_OK : why_set(why, ERR_INVALID, "%s needs a value: %s", option->name, option->value);
}

enum err command_line_read(const struct command *command, int n_words, char **words, struct command_line *ret,
                           struct why *why)
{
    struct option known[OPTION_MAX_ + 2] = {{.name = "help", .val = HELP_CODE}};
    const struct cli_option *table = option_table();
    size_t n = 1;
    *ret = (struct command_line){.command = command};
    for (int id = 0; id < OPTION_MAX_; id++) {
        if (table[id].name && command_takes(command, (enum option_id)id))
            known[n++] = (struct option){.name = table[id].name + 2,
                                         .has_arg = table[id].value ? required_argument : no_argument,
                                         .val = CODE_BASE + id};
    }
    opterr = 0;
    optind = 0;
    for (int code; (code = getopt_long(n_words, words, ":h", known, NULL)) != -1;) {
        const char *word = words[optind - 1];
        if (code == HELP_CODE) {
            ret->help = true;
        } else if (code == ':') {
            return why_set(why, ERR_INVALID, "%s needs a value", word);
        } else if (code < CODE_BASE) {
            return why_set(why, ERR_INVALID, "%s has no option %s", command->name, word);
        } else {
            const struct cli_option *option = &table[code - CODE_BASE];
            ret->values[code - CODE_BASE] = optarg ? optarg : "";
            if (option->value && check_value(option, optarg ? optarg : "", why) != ERR_OK)
                return ERR_INVALID;
        }
    }
    ret->arguments = words + optind;
    ret->n_arguments = (size_t)(n_words - optind);
    if (ret->help)
        return ERR_OK;
    if (ret->n_arguments > command->most)
        return why_set(why, ERR_INVALID, "%s takes no argument %s", command->name,
                       words[optind + (int)command->most]);
    if (ret->n_arguments < command->least)
        return why_set(why, ERR_INVALID, "%s needs %s", command->name, command->arguments);
    for (size_t i = 0; i < ret->n_arguments; i++) {
        if (command->choices && !is_choice(command->choices, ret->arguments[i]))
            return why_set(why, ERR_INVALID, "%s is one of: %s", command->arguments, command->choices);
    }
    for (int id = 0; id < OPTION_MAX_; id++) {
        if ((command->needs & UINT32_C(1) << id) && !ret->values[id])
            return why_set(why, ERR_INVALID, "%s needs %s %s", command->name, table[id].name,
                           table[id].value);
    }
    return ERR_OK;
}

int usage_refuse(const struct command *command, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    AUTO_FREE char *shown = text_cut(text, sizeof text);
    fprintf(stderr, "reconciled: %s (see reconciled %s%s--help)\n", shown, command ? command->name : "",
            command ? " " : "");
    return EXIT_USAGE;
}

int64_t command_line_number(const struct command_line *line, enum option_id id, int64_t fallback)
{
    int64_t number = fallback;
    if (line->values[id])
        (void)parse_i64(line->values[id], 1, option_table()[id].max, &number);
    return number;
}
