/* manual: the manual page in the words of mdoc(7): server/reconciled.8.in with the settings put into it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/embedded.h"
#include "server/commands.h"
#include "server/options.h"
#include "server/settings_help.h"

/* Prints the page up to the mark, which must be in it, and returns what follows. */
static const char *print_to(const char *page, const char *mark)
{
    const char *at = strstr(page, mark);
    fwrite(page, 1, (size_t)(at - page), stdout);
    return at + strlen(mark);
}

int manual(void)
{
    AUTO_FREE char *settings = settings_manual();
    const char *rest = print_to(embedded_manual, "@VERSION@");
    fputs(RECONCILED_VERSION, stdout);
    rest = print_to(rest, "@SETTINGS@\n");
    fputs(settings, stdout);
    fputs(rest, stdout);
    return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_DONE : EXIT_FAILED;
}
