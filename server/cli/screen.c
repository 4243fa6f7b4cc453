#include "server/cli/screen.h"

#include <assert.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"

enum { WIDTH_DEFAULT = 80, WIDTH_LEAST = 40, LABEL_COLUMNS = 13, CELL_LEAST = 8 };

struct cell {
    char *text;
    enum tone tone;
};

struct table {
    const struct column *columns;
    size_t n_columns, n_cells, size;
    struct cell *cells;
};

bool screen_is_terminal(void)
{
    return isatty(STDOUT_FILENO);
}

size_t screen_width(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return WIDTH_DEFAULT;
    return size.ws_col < WIDTH_LEAST ? WIDTH_LEAST : size.ws_col;
}

/* The character at `text`: its bytes, and in *ret_columns its columns. */
static size_t character(const char *text, size_t *ret_columns)
{
    wchar_t wide;
    mbstate_t state = {0};
    size_t len = mbrtowc(&wide, text, strlen(text), &state);
    if (len == 0 || len > strlen(text)) {
        *ret_columns = 1;
        return 1;
    }
    int columns = wcwidth(wide);
    *ret_columns = columns < 0 ? 1 : (size_t)columns;
    return len;
}

/* The longest beginning of text that takes at most `most` columns: its bytes, and in *ret_columns its
 * columns. */
static size_t beginning(const char *text, size_t most, size_t *ret_columns)
{
    locale_t before = text_utf8_use();
    size_t at = 0, total = 0, columns;
    while (text[at]) {
        size_t len = character(text + at, &columns);
        if (total + columns > most)
            break;
        total += columns;
        at += len;
    }
    (void)uselocale(before);
    *ret_columns = total;
    return at;
}

size_t text_columns(const char *text)
{
    size_t columns;
    (void)beginning(text, SIZE_MAX, &columns);
    return columns;
}

char *text_fit(const char *text, size_t columns)
{
    size_t taken;
    if (text_columns(text) <= columns)
        return mem_printf("%s", text);
    size_t len = beginning(text, columns ? columns - 1 : 0, &taken);
    return mem_printf("%.*s…", (int)len, text);
}

char *value_words(const json_t *value)
{
    return json_is_string(value) ? mem_printf("%s", json_string_value(value)) : json_line(value);
}

static const char *colour_of(enum tone tone)
{
    static const char *const colours[TONE_MAX_] = {[TONE_PLAIN] = "",
                                                   [TONE_GOOD] = "\033[32m",
                                                   [TONE_BAD] = "\033[31m",
                                                   [TONE_WARN] = "\033[33m",
                                                   [TONE_HEAD] = "\033[1m"};
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    if (!screen_is_terminal() || (no_color && *no_color) || !term || strcmp(term, "dumb") == 0)
        return "";
    return colours[tone];
}

static void print_toned(enum tone tone, const char *text)
{
    const char *colour = colour_of(tone);
    printf("%s%s%s", colour, text, *colour ? "\033[0m" : "");
}

/* The words of a format, without what could steer a terminal. */
static char *format(const char *fmt, va_list args)
{
    char *raw = NULL;
    if (vasprintf(&raw, fmt, args) < 0)
        return mem_printf("-");
    char *text = text_cut(raw, LIMIT_LOG_LINE);
    free(raw);
    return text;
}

void print_labelled(const char *label, enum tone tone, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    AUTO_FREE char *text = format(fmt, args);
    va_end(args);
    const size_t width = screen_width() - LABEL_COLUMNS;
    const char *rest = text;
    printf("%-*s", LABEL_COLUMNS, label);
    do {
        size_t columns, len = beginning(rest, width, &columns), end = len;
        if (rest[len]) {
            while (end && rest[end] != ' ')
                end--;
            end = end ? end : len + strcspn(rest + len, " ");
        }
        AUTO_FREE char *line = mem_dupn(rest, end);
        print_toned(tone, line);
        rest += end + strspn(rest + end, " ");
        printf("\n%*s", *rest ? LABEL_COLUMNS : 0, "");
    } while (*rest);
}

struct table *table_new(const struct column *columns)
{
    struct table *table = mem_zero(1, sizeof *table);
    table->columns = columns;
    while (columns[table->n_columns].head)
        table->n_columns++;
    return table;
}

void table_add(struct table *table, enum tone tone, const char *fmt, ...)
{
    if (table->n_cells == table->size) {
        table->size = table->size ? table->size * 2 : 64;
        table->cells = mem_grow(table->cells, table->size, sizeof *table->cells);
    }
    va_list args;
    va_start(args, fmt);
    table->cells[table->n_cells++] =
        (struct cell){.text = fmt ? format(fmt, args) : mem_printf("-"), .tone = tone};
    va_end(args);
}

/* The width of each column: what its cells need, and less in those that give way until the table fits. */
static void widths_set(const struct table *table, size_t *widths)
{
    size_t total = 0;
    for (size_t i = 0; i < table->n_columns; i++)
        widths[i] = text_columns(table->columns[i].head);
    for (size_t i = 0; i < table->n_cells; i++) {
        size_t columns = text_columns(table->cells[i].text), *width = &widths[i % table->n_columns];
        *width = columns > *width ? columns : *width;
    }
    for (size_t i = 0; i < table->n_columns; i++)
        total += widths[i] + (i ? 2 : 0);
    for (size_t over = total > screen_width() ? total - screen_width() : 0; over; over--) {
        size_t *widest = NULL;
        for (size_t i = 0; i < table->n_columns; i++) {
            if (table->columns[i].gives_way && widths[i] > CELL_LEAST && (!widest || widths[i] >= *widest))
                widest = &widths[i];
        }
        if (!widest)
            break;
        --*widest;
    }
}

static void print_cell(const char *text, enum tone tone, size_t width, bool last)
{
    AUTO_FREE char *fit = text_fit(text, width);
    print_toned(tone, fit);
    if (last)
        putchar('\n');
    else
        printf("%*s", (int)(width - text_columns(fit) + 2), "");
}

void table_print(struct table *table)
{
    assert(table->n_columns > 0);
    size_t *widths = mem_zero(table->n_columns, sizeof *widths);
    widths_set(table, widths);
    for (size_t i = 0; i < table->n_columns; i++)
        print_cell(table->columns[i].head, TONE_HEAD, widths[i], i + 1 == table->n_columns);
    for (size_t i = 0; i < table->n_cells; i++) {
        size_t column = i % table->n_columns;
        print_cell(table->cells[i].text, table->cells[i].tone, widths[column],
                   column + 1 == table->n_columns);
        free(table->cells[i].text);
    }
    free(table->cells);
    free(table);
    free(widths);
}

enum tone tone_of(const char *word)
{
    static const struct {
        const char *word;
        enum tone tone;
    } tones[] = {{"green", TONE_GOOD},    {"advanced", TONE_GOOD},  {"started", TONE_GOOD},
                 {"approved", TONE_GOOD}, {"rejected", TONE_GOOD},  {"red", TONE_BAD},
                 {"failed", TONE_BAD},    {"unknown", TONE_WARN},   {"held", TONE_WARN},
                 {"raced", TONE_WARN},    {"quarantined", TONE_BAD}};
    for (size_t i = 0; i < ARRAY_LEN(tones); i++) {
        if (strcmp(tones[i].word, word) == 0)
            return tones[i].tone;
    }
    return TONE_PLAIN;
}
