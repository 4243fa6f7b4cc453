/* screen.h - what people read on a terminal: tables that fit its width, and colours. Private to server/cli/.
 *
 * Texts come from others: what could steer a terminal is replaced by a space (text_cut).
 */
#ifndef RECONCILED_CLI_SCREEN_H
#define RECONCILED_CLI_SCREEN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "clients/base/err.h"

enum tone { TONE_PLAIN, TONE_GOOD, TONE_BAD, TONE_WARN, TONE_HEAD, TONE_MAX_ };

/* screen_is_terminal: standard output is one. screen_width: its columns, else 80. */
bool screen_is_terminal(void);
size_t screen_width(void);
/* text_columns: how many columns a text in UTF-8 takes. text_fit: the text in at most so many columns, cut
 * with "…"; caller frees. */
size_t text_columns(const char *text);
char *text_fit(const char *text, size_t columns) __attribute__((returns_nonnull));

/* value_words: a text as it is, any other JSON value as JSON. Caller frees. */
char *value_words(const json_t *value) __attribute__((returns_nonnull));

/* print_labelled: prints "LABEL  text" with the label in a column of its own, the text broken at spaces
 * alone, so that an address stays whole. */
void print_labelled(const char *label, enum tone tone, const char *fmt, ...) ATTR_PRINTF(3, 4);

/* A table: its columns, then cells row by row. The last columns give way where it would be too wide. */
struct table;
struct column {
    const char *head;
    bool gives_way; /* cut to fit */
};
/* table_new: `columns` ends with one without head; borrowed. table_add: the next cell; NULL is "-".
 * table_print: prints all rows to standard output and frees the table. */
struct table *table_new(const struct column *columns);
void table_add(struct table *table, enum tone tone, const char *fmt, ...) ATTR_PRINTF(3, 4);
void table_print(struct table *table);

/* tone_of: the tone of a verdict or an outcome. */
enum tone tone_of(const char *word);

#endif
