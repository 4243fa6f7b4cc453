/* settings_warn.c - what is allowed and probably meant otherwise: variables that are nearly a setting's,
 * values in quotes, a short token. */
#include "reconcile/settings/settings.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "reconcile/pipeline/settings_text.h"
#include "reconcile/settings/settings_table.h"

enum { NAME_LONGEST = 64, EDITS_MAX = 2 };

/* How many letters have to be added, removed or replaced to make one name of the other, by Levenshtein's
 * algorithm; both have at most NAME_LONGEST. */
static size_t edits_between(const char *a, const char *b)
{
    size_t row[NAME_LONGEST + 1];
    size_t len = strlen(b);
    for (size_t j = 0; j <= len; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= len; j++) {
            size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            size_t moved = (row[j - 1] < row[j] ? row[j - 1] : row[j]) + 1;
            row[j] = replaced < moved ? replaced : moved;
        }
    }
    return row[len];
}

struct nearest {
    const char *name;
    const char *suffix; /* "_FILE" or "" */
    size_t edits;
};

static void nearest_try(struct nearest *nearest, const char *variable, const char *name, const char *suffix)
{
    AUTO_FREE char *known = mem_printf("%s%s", name, suffix);
    size_t a = strlen(variable), b = strlen(known);
    if ((a > b ? a - b : b - a) >= nearest->edits || b > NAME_LONGEST)
        return;
    size_t edits = edits_between(variable, known);
    if (edits < nearest->edits)
        *nearest = (struct nearest){.name = name, .suffix = suffix, .edits = edits};
}

/* A shell reads "export NAME=value"; `docker --env-file` and their kind take the word for a part of the name,
 * as they may a byte order mark before the first. Caller frees. */
static char *name_upper(const char *variable)
{
    static const char word[] = "export";
    variable += text_bom_len(variable, strlen(variable));
    size_t skip = strncmp(variable, word, sizeof word - 1) == 0 ? sizeof word - 1 : 0;
    size_t blanks = strspn(variable + skip, " \t");
    char *name = mem_dup(skip && !blanks ? variable : variable + skip + blanks);
    for (char *at = name; *at; at++)
        *at = (char)toupper((unsigned char)*at);
    return name;
}

static void warning_add(json_t *warnings, const char *variable, const char *fmt, ...) ATTR_PRINTF(3, 4);
static void warning_add(json_t *warnings, const char *variable, const char *fmt, ...)
{
    char detail[256];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(detail, sizeof detail, fmt, args);
    va_end(args);
    AUTO_FREE char *shown = text_cut(variable, NAME_LONGEST);
    AUTO_FREE char *line = mem_printf("%s: %s", shown, detail);
    json_push(warnings, json_text(line));
}

char *setting_nearest(const char *variable)
{
    struct nearest nearest = {.edits = EDITS_MAX + 1};
    AUTO_FREE char *name = name_upper(variable);
    for (const struct setting *row = settings_table(); row->name && strlen(name) <= NAME_LONGEST; row++) {
        nearest_try(&nearest, name, row->name, "");
        if (row->secret)
            nearest_try(&nearest, name, row->name, "_FILE");
    }
    return nearest.name ? mem_printf("%s%s", nearest.name, nearest.suffix) : NULL;
}

/* The row of NAME or NAME_FILE; NULL: of none. */
static const struct setting *row_of_variable(const char *variable, bool *ret_is_file)
{
    for (const struct setting *row = settings_table(); row->name; row++) {
        size_t len = strlen(row->name);
        if (strncmp(variable, row->name, len) != 0)
            continue;
        *ret_is_file = strcmp(variable + len, "_FILE") == 0;
        if (*ret_is_file || !variable[len])
            return row;
    }
    return NULL;
}

static void warn_of_name(const char *variable, json_t *warnings)
{
    bool is_file;
    const struct setting *row = row_of_variable(variable, &is_file);
    AUTO_FREE char *nearest = row ? NULL : setting_nearest(variable);
    if (row && is_file && !row->secret)
        warning_add(warnings, variable, "is not read: only a secret can be in a file; set %s", row->name);
    if (nearest)
        warning_add(warnings, variable, "there is no such setting; did you mean %s?", nearest);
}

void settings_warn_names(const char *const *environment, json_t *warnings)
{
    for (; *environment; environment++) {
        AUTO_FREE char *name = mem_dupn(*environment, strcspn(*environment, "="));
        if (strncmp(name, SETTING_PREFIX, strlen(SETTING_PREFIX)) != 0)
            warn_of_name(name, warnings);
    }
}

void settings_warn(const struct settings *settings, json_t *warnings)
{
    if (settings->api_token && strlen(settings->api_token) < LIMIT_TOKEN_GOOD)
        warning_add(warnings, "ORCH_API_TOKEN",
                    "has fewer than %u characters; a longer one is harder to guess (openssl rand -hex 32)",
                    LIMIT_TOKEN_GOOD);
    for (const struct setting *row = settings_table(); row->name; row++) {
        json_auto_t *value = setting_value(row, settings);
        if (json_is_string(value) && text_is_quoted(json_string_value(value)))
            warning_add(warnings, row->name,
                        "%s is in quotes, which are taken as a part of it; if they are not, leave them out",
                        setting_origin(settings, row) == ORIGIN_FILE ? "the text in its file" : "the value");
    }
}
