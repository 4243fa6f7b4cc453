#include "reconcile/webhooks/branch_filter.h"

#include <regex.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"

static const char *put_class(FILE *out, const char *at)
{
    fputc('[', out);
    if (at[1] == '!' || at[1] == '^') {
        fputc('^', out);
        at++;
    }
    for (at++; *at && *at != ']'; at++)
        fputc(*at, out);
    fputc(']', out);
    return *at ? at : at - 1;
}

/* The filter as an extended regular expression: `*` and `?` match "/" too, {a,b} may be nested. Caller frees.
 */
static char *expression_of(const char *filter)
{
    char *text = NULL;
    size_t size;
    int braces = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        abort(); /* out of memory, see err.h */
    fputs("^(", out);
    for (const char *at = filter; *at; at++) {
        if (*at == '*')
            fputs(".*", out);
        else if (*at == '?') /* a character of UTF-8 */
            fputs("[^\x80-\xbf][\x80-\xbf]*", out);
        else if (*at == '[')
            at = put_class(out, at);
        else if (*at == '{' || (*at == '}' && braces)) {
            fputc(*at == '{' ? '(' : ')', out);
            braces += *at == '{' ? 1 : -1;
        } else if (*at == ',' && braces)
            fputc('|', out);
        else {
            at += *at == '\\' && at[1];
            if (strchr(".[]()*+?{}|^$\\", *at))
                fputc('\\', out);
            fputc(*at, out);
        }
    }
    fputs(")$", out);
    if (fclose(out) != 0)
        abort();
    return text;
}

bool branch_filter_passes(const char *filter, const char *branch)
{
    if (!*filter)
        return true;
    AUTO_FREE char *expression = expression_of(filter);
    AUTO_FREE char *full = mem_printf("refs/heads/%s", branch);
    regex_t compiled;
    if (regcomp(&compiled, expression, REG_EXTENDED | REG_NOSUB) != 0)
        return true;
    bool passes = regexec(&compiled, branch, 0, NULL, 0) == 0 || regexec(&compiled, full, 0, NULL, 0) == 0;
    regfree(&compiled);
    return passes;
}
