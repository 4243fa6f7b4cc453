#include "server/settings_help.h"

#include <string.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "reconcile/settings/settings_table.h"

#define HELP_COLUMNS 100
#define HELP_TEXT_AT 39

/* The width of text[0..len) in columns, one for each character. The only wider character in the table is the
 * wrench of the message template. */
static int columns_of(const char *text, size_t len)
{
    int columns = 0;
    for (size_t i = 0; i < len; i++)
        columns += ((unsigned char)text[i] & 0xc0) != 0x80;
    return columns;
}

/* Prints `text` from column HELP_TEXT_AT on, where the cursor must be; breaks lines at spaces. */
static void print_wrapped(struct buffer *out, const char *text)
{
    int column = HELP_TEXT_AT;
    for (const char *word = text; *word;) {
        size_t len = strcspn(word, " ");
        int width = columns_of(word, len);
        if (column > HELP_TEXT_AT && column + 1 + width > HELP_COLUMNS) {
            buffer_printf(out, "\n%*s", HELP_TEXT_AT, "");
            column = HELP_TEXT_AT;
        } else if (column > HELP_TEXT_AT) {
            buffer_putc(out, ' ');
            column++;
        }
        buffer_put(out, word, len);
        column += width;
        word += len;
        word += strspn(word, " ");
    }
    buffer_putc(out, '\n');
}

/* Further facts about a row, as one line; "" if there are none. Caller frees. */
static char *facts_make(const struct setting *row)
{
    struct buffer out = {.max = LIMIT_OWN_TEXT};
    AUTO_FREE char *choices = row->choices ? text_list(row->choices) : NULL;
    if (row->secret)
        buffer_puts(&out, "secret");
    if (row->type == SETTING_BOOL)
        buffer_item(&out, "; ", "true or false");
    if (choices)
        buffer_item(&out, "; ", "one of %s", choices);
    if (row->max)
        buffer_item(&out, "; ", "%lld to %lld", (long long)row->min, (long long)row->max);
    if (row->member)
        buffer_item(&out, "; ", "at run time %s", row->member);
    if (row->fallback)
        buffer_item(&out, "; ", "default %s", row->fallback);
    return buffer_take(&out);
}

char *settings_help(void)
{
    struct buffer out = {.max = LIMIT_OWN_TEXT};
    buffer_puts(
        &out,
        "Settings are environment variables; an empty one counts as not set. A secret can be read from a\n"
        "file instead: NAME_FILE=PATH. PUT /reconcile/config changes those that have a name at run "
        "time.\n\n");
    for (const struct setting *row = settings_table(); row->name; row++) {
        AUTO_FREE char *facts = facts_make(row);
        buffer_printf(&out, "  %-*s", HELP_TEXT_AT - 2, row->name);
        print_wrapped(&out, row->help);
        if (*facts) {
            buffer_printf(&out, "%*s", HELP_TEXT_AT, "");
            print_wrapped(&out, facts);
        }
    }
    return buffer_take(&out);
}

/* the manual page */

/* Each sentence begins a line, and no line is taken for mdoc's own. */
static void print_mdoc(struct buffer *out, const char *text)
{
    bool begins = true;
    for (; *text; text++) {
        if (begins && (*text == '.' || *text == '\''))
            buffer_puts(out, "\\&");
        begins = strncmp(text, ". ", 2) == 0;
        if (*text == '\\')
            buffer_puts(out, "\\e");
        else
            buffer_putc(out, *text);
        if (begins) {
            buffer_putc(out, '\n');
            text++;
        }
    }
}

char *settings_manual(void)
{
    struct buffer out = {.max = LIMIT_OWN_TEXT};
    for (const struct setting *row = settings_table(); row->name; row++) {
        AUTO_FREE char *facts = facts_make(row);
        buffer_printf(&out, ".It Ev %s\n", row->name);
        print_mdoc(&out, row->help);
        buffer_putc(&out, '\n');
        if (*facts) {
            buffer_puts(&out, ".br\n(");
            print_mdoc(&out, facts);
            buffer_puts(&out, ")\n");
        }
    }
    return buffer_take(&out);
}
