#include "server/settings_help.h"

#include <stdio.h>
#include <string.h>

#include "clients/base/err.h"
#include "reconcile/settings/settings_table.h"

#define HELP_COLUMNS 100
#define HELP_TEXT_AT 39

/* Columns that text[0..len) takes, where every character takes one. The only wider one in the table is the
 * wrench of the message template. */
static int columns_of(const char *text, size_t len)
{
    int columns = 0;
    for (size_t i = 0; i < len; i++)
        columns += ((unsigned char)text[i] & 0xc0) != 0x80;
    return columns;
}

/* Prints `text` from column HELP_TEXT_AT on, where the cursor is, broken at spaces. */
static void print_wrapped(FILE *out, const char *text)
{
    int column = HELP_TEXT_AT;
    for (const char *word = text; *word;) {
        size_t len = strcspn(word, " ");
        int width = columns_of(word, len);
        if (column > HELP_TEXT_AT && column + 1 + width > HELP_COLUMNS) {
            fprintf(out, "\n%*s", HELP_TEXT_AT, "");
            column = HELP_TEXT_AT;
        } else if (column > HELP_TEXT_AT) {
            fputc(' ', out);
            column++;
        }
        fwrite(word, 1, len, out);
        column += width;
        word += len;
        word += strspn(word, " ");
    }
    fputc('\n', out);
}

static void print_words(FILE *out, const char *const *choices)
{
    for (size_t i = 0; choices[i]; i++)
        fprintf(out, "%s%s", i ? ", " : "one of ", choices[i]);
    fputs("; ", out);
}

/* What else there is to know of a row, as one line; "" when there is nothing. Caller frees. */
static char *facts_make(const struct setting *row)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return mem_dup("");
    if (row->secret)
        fputs("secret; ", out);
    if (row->type == SETTING_BOOL)
        fputs("true or false; ", out);
    if (row->choices)
        print_words(out, row->choices);
    if (row->max)
        fprintf(out, "%lld to %lld; ", (long long)row->min, (long long)row->max);
    if (row->member)
        fprintf(out, "at run time %s; ", row->member);
    if (row->fallback)
        fprintf(out, "default %s; ", row->fallback);
    fclose(out);
    size_t len = strlen(text);
    if (len > 2)
        text[len - 2] = '\0';
    return text;
}

char *settings_help(void)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return mem_dup("");
    fputs(
        "Settings are environment variables; an empty one counts as not set. A secret can be read from a\n"
        "file instead: NAME_FILE=PATH. PUT /reconcile/config changes those that have a name at run time.\n\n",
        out);
    for (const struct setting *row = settings_table(); row->name; row++) {
        AUTO_FREE char *facts = facts_make(row);
        fprintf(out, "  %-*s", HELP_TEXT_AT - 2, row->name);
        print_wrapped(out, row->help);
        if (*facts) {
            fprintf(out, "%*s", HELP_TEXT_AT, "");
            print_wrapped(out, facts);
        }
    }
    fclose(out);
    return text;
}

/* the manual page */

/* Each sentence begins a line, and no line is taken for mdoc's own. */
static void print_mdoc(FILE *out, const char *text)
{
    bool begins = true;
    for (; *text; text++) {
        if (begins && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        begins = strncmp(text, ". ", 2) == 0;
        if (*text == '\\')
            fputs("\\e", out);
        else
            fputc(*text, out);
        if (begins) {
            fputc('\n', out);
            text++;
        }
    }
}

char *settings_manual(void)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return mem_dup("");
    for (const struct setting *row = settings_table(); row->name; row++) {
        AUTO_FREE char *facts = facts_make(row);
        fprintf(out, ".It Ev %s\n", row->name);
        print_mdoc(out, row->help);
        fputc('\n', out);
        if (*facts) {
            fputs(".br\n(", out);
            print_mdoc(out, facts);
            fputs(")\n", out);
        }
    }
    fclose(out);
    return text;
}
