#include "reconcile/pipeline/settings_text.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "clients/base/text.h"

#define LETTERS_AND_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
/* What RFC 3986 lets stand in a path, percent-encoding included. */
#define PATH_CHARACTERS LETTERS_AND_DIGITS "-._~!$&'()*+,;=:@/%"

bool text_has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

bool text_is_quoted(const char *text)
{
    size_t len = strlen(text);
    return len >= 2 && (*text == '\'' || *text == '"') && text[len - 1] == *text;
}

/* Whether inet_pton accepts text[0..len) as an address of that family. */
static bool address_valid(int family, const char *text, size_t len)
{
    struct in6_addr address;
    char copy[INET6_ADDRSTRLEN];
    if (len >= sizeof copy)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return inet_pton(family, copy, &address) == 1;
}

/* Whether the last label, without a dot at the end, is a number: some readers understand "127.1", "0x7f.1"
 * and "2130706433" as 127.0.0.1. */
static bool ends_in_number(const char *host, size_t len)
{
    len -= host[len - 1] == '.';
    const char *label = memrchr(host, '.', len);
    label = label ? label + 1 : host;
    size_t label_len = (size_t)(host + len - label);
    bool hex = label_len >= 2 && strncasecmp(label, "0x", 2) == 0;
    return strspn(label + (hex ? 2 : 0), hex ? "0123456789ABCDEFabcdef" : "0123456789") + (hex ? 2 : 0) >=
           label_len;
}

static bool host_valid(const char *host, size_t len)
{
    /* RFC 1123 allows no underscore in a host name, but service names in compose files have it. */
    return len > 0 && len <= 253 && strspn(host, LETTERS_AND_DIGITS ".-_") >= len && host[0] != '.' &&
           host[0] != '-' && (!ends_in_number(host, len) || address_valid(AF_INET, host, len));
}

/* The parts of "host:port", "host", "[v6]:port" or "[v6]" in text[0..len). */
struct authority {
    const char *host, *port;
    size_t host_len, port_len;
    bool v6, has_port;
};

static bool authority_split(const char *text, size_t len, struct authority *ret)
{
    const char *end = text + len, *after;
    *ret = (struct authority){.host = text, .port = end};
    if (len > 0 && text[0] == '[') {
        const char *close = memchr(text, ']', len);
        if (!close)
            return false;
        ret->v6 = true;
        ret->host = text + 1;
        ret->host_len = (size_t)(close - ret->host);
        after = close + 1;
    } else {
        const char *colon = memchr(text, ':', len);
        after = colon ? colon : end;
        ret->host_len = (size_t)(after - text);
    }
    if (after < end) {
        if (*after != ':')
            return false;
        ret->has_port = true;
        ret->port = after + 1;
        ret->port_len = (size_t)(end - ret->port);
    }
    return ret->v6 ? address_valid(AF_INET6, ret->host, ret->host_len) : host_valid(ret->host, ret->host_len);
}

static bool port_parse(const struct authority *authority, int64_t min, int64_t *ret)
{
    char text[8];
    if (authority->port_len == 0 || authority->port_len >= sizeof text)
        return false;
    memcpy(text, authority->port, authority->port_len);
    text[authority->port_len] = '\0';
    return parse_i64(text, min, 65535, ret);
}

const char *url_problem(const char *url, bool is_template)
{
    const char *at;
    if (strncasecmp(url, "http://", 7) == 0)
        at = url + 7;
    else if (strncasecmp(url, "https://", 8) == 0)
        at = url + 8;
    else
        return "must begin with http:// or https://";

    size_t len = strcspn(at, "/?#");
    if (memchr(at, '@', len))
        return "must not hold a user or a password";
    struct authority authority;
    int64_t port;
    if (!authority_split(at, len, &authority))
        return "names no valid host";
    if (authority.has_port && !port_parse(&authority, 1, &port))
        return "names no valid port";

    const char *rest = at + len;
    if (strchr(rest, '#'))
        return "must not have a fragment (#)";
    if (!is_template && strchr(rest, '?'))
        return "must not have a query (?)";
    if (strspn(rest, is_template ? PATH_CHARACTERS "?{}" : PATH_CHARACTERS) != strlen(rest))
        return "has a character that must be percent-encoded";
    return NULL;
}

bool host_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6);
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return strcasecmp(host, "localhost") == 0;
}

bool authority_is_loopback(const char *text)
{
    struct authority authority;
    int64_t port;
    if (!authority_split(text, strlen(text), &authority) ||
        (authority.has_port && !port_parse(&authority, 0, &port)))
        return false;
    char host[sizeof((struct listen_address *)NULL)->host] = "";
    memcpy(host, authority.host, authority.host_len);
    return host_is_loopback(host);
}

bool listen_address_parse(const char *text, struct listen_address *ret)
{
    struct authority authority;
    int64_t port;
    if (!authority_split(text, strlen(text), &authority) || !port_parse(&authority, 0, &port))
        return false;
    struct listen_address address = {.port = (int)port, .v6 = authority.v6};
    memcpy(address.host, authority.host, authority.host_len);
    address.loopback = host_is_loopback(address.host);
    *ret = address;
    return true;
}
