#include "clients/http/upstream.h"

#include <stdlib.h>
#include <string.h>

#include "clients/http/fetch.h"

enum err upstream_base(const char *url, const char *name, char **ret, struct why *why)
{
    char *base = fetch_url(url, NULL, NULL);
    if (!base || fetch_url_has_user(url)) {
        free(base);
        return why_set(why, ERR_INVALID, "%s must be an http or https URL without a user name", name);
    }
    for (size_t len = strlen(base); len > 0 && base[len - 1] == '/'; len--)
        base[len - 1] = '\0';
    *ret = base;
    return ERR_OK;
}

enum err upstream_token_check(const char *token, const char *name, struct why *why)
{
    for (; token && *token; token++)
        if ((unsigned char)*token < 0x21 || (unsigned char)*token > 0x7e)
            return why_set(why, ERR_INVALID, "%s holds characters that no token has", name);
    return ERR_OK;
}
