#include "reconcile/settings/work_item.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/text.h"

char *work_item_id(const char *prefix, int64_t sequence)
{
    return mem_printf("%s-%" PRId64, prefix, sequence);
}

bool work_item_has_prefix(const char *id, const char *prefix)
{
    const char *dash = strrchr(id, '-');
    if (!dash || !dash[1] || strspn(dash + 1, "0123456789") != strlen(dash + 1))
        return false;
    AUTO_FREE char *own = mem_dupn(id, (size_t)(dash - id));
    return text_same_letters(own, prefix);
}

/* The character as a slug has it, or 0 when it only parts words. */
static char slug_char(char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
        return c;
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : '\0';
}

/* slug_of: returns the length. A title that is longer is cut after its last whole word, if there is one. */
static size_t slug_of(const char *title, char ret[WORK_ITEM_SLUG_MAX + 1])
{
    size_t n = 0, whole = 0;
    bool part = false;
    for (; *title; title++) {
        char c = slug_char(*title);
        if (!c) {
            part = n > 0;
            continue;
        }
        if (part)
            whole = n;
        if (n + part >= WORK_ITEM_SLUG_MAX) {
            n = whole > 0 ? whole : n;
            break;
        }
        if (part)
            ret[n++] = '-';
        part = false;
        ret[n++] = c;
    }
    ret[n] = '\0';
    return n;
}

char *work_item_branch(const char *prefix, int64_t sequence, const char *title)
{
    char slug[WORK_ITEM_SLUG_MAX + 1];
    bool has_slug = title && slug_of(title, slug) > 0;
    AUTO_FREE char *name = mem_dup(prefix);
    for (char *at = name; *(at += strcspn(at, " ~^:?*[\\/.\x7f"));)
        *at = '-';
    return mem_printf("feature/%s-%" PRId64 "%s%s", name, sequence, has_slug ? "-" : "",
                      has_slug ? slug : "");
}
