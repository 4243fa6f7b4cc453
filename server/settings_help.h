/* settings_help.h - the table of settings, printed for people. Private to server/ and tests. */
#ifndef RECONCILED_SETTINGS_HELP_H
#define RECONCILED_SETTINGS_HELP_H

/* settings_help: the settings as text for --help, at most 100 columns wide. Caller frees. */
char *settings_help(void) __attribute__((returns_nonnull));

/* settings_manual: the settings for the manual page, as items of a list of mdoc(7). Caller frees. */
char *settings_manual(void) __attribute__((returns_nonnull));

#endif
