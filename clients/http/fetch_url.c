#include "clients/http/fetch.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/http/fetch_engine.h"

#define PROXY_HOST_MAX ((size_t)64)

static void url_cleanup(CURLU **url)
{
    curl_url_cleanup(*url);
}
#define AUTO_URL ATTR_CLEANUP(url_cleanup)

static void curl_text_free(char **text)
{
    curl_free(*text);
}
#define AUTO_CURL_TEXT ATTR_CLEANUP(curl_text_free)

/* The parsed URL, or NULL when it is not one of http or https. */
static CURLU *url_parse(const char *text)
{
    CURLU *url = curl_url();
    if (url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK) {
        AUTO_CURL_TEXT char *scheme = NULL;
        if (curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
            (strcasecmp(scheme, "http") == 0 || strcasecmp(scheme, "https") == 0))
            return url;
    }
    curl_url_cleanup(url);
    return NULL;
}

static void put_escaped(struct buffer *out, const char *text)
{
    AUTO_FREE char *escaped = fetch_escape(text);
    buffer_puts(out, escaped);
}

/* curl, a proxy or the server would remove a segment of dots. */
static bool is_dots(const char *segment)
{
    return strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0;
}

char *fetch_url(const char *base, const char *const *segments, const char *const *query)
{
    AUTO_URL CURLU *url = url_parse(base);
    AUTO_CURL_TEXT char *path = NULL, *root = NULL;
    if (!url || curl_url_get(url, CURLUPART_PATH, &path, 0) != CURLUE_OK ||
        curl_url_set(url, CURLUPART_PATH, "/", 0) != CURLUE_OK ||
        curl_url_set(url, CURLUPART_QUERY, NULL, 0) != CURLUE_OK ||
        curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_URL, &root, 0) != CURLUE_OK)
        return NULL;

    /* Appended as text: curl would write the escapes of parts in lower case, which some proxies and logs
     * treat as another URL. */
    struct buffer made = {.max = LIMIT_URL_MADE};
    size_t len = strlen(path);
    while (len > 0 && path[len - 1] == '/')
        len--;
    buffer_put(&made, root, strlen(root) - 1);
    buffer_put(&made, path, len);
    if (len == 0 && !(segments && *segments))
        buffer_puts(&made, "/");
    for (; segments && *segments; segments++) {
        if (is_dots(*segments)) {
            free(made.text);
            return NULL;
        }
        buffer_puts(&made, "/");
        put_escaped(&made, *segments);
    }
    for (size_t i = 0; query && query[i] && query[i + 1]; i += 2) {
        buffer_puts(&made, i ? "&" : "?");
        put_escaped(&made, query[i]);
        buffer_puts(&made, "=");
        put_escaped(&made, query[i + 1]);
    }
    return buffer_take_whole(&made);
}

char *fetch_escape(const char *text)
{
    AUTO_CURL_TEXT char *escaped = curl_easy_escape(NULL, text, 0);
    return mem_dup(escaped ? escaped : "");
}

char *fetch_url_shown(const char *text)
{
    AUTO_URL CURLU *url = url_parse(text);
    if (!url)
        return mem_dup("(not a URL)");
    AUTO_CURL_TEXT char *query = NULL, *whole = NULL;
    bool has_query = curl_url_get(url, CURLUPART_QUERY, &query, 0) == CURLUE_OK;
    (void)curl_url_set(url, CURLUPART_USER, NULL, 0); /* clearing a part cannot fail */
    (void)curl_url_set(url, CURLUPART_PASSWORD, NULL, 0);
    (void)curl_url_set(url, CURLUPART_QUERY, NULL, 0);
    (void)curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0);
    if (curl_url_get(url, CURLUPART_URL, &whole, 0) != CURLUE_OK)
        return mem_dup("(not a URL)");
    return mem_printf("%s%s", whole, has_query ? "?..." : "");
}

char *fetch_proxy_shown(const char *variable)
{
    AUTO_URL CURLU *url = curl_url();
    AUTO_CURL_TEXT char *scheme = NULL, *host = NULL, *port = NULL;
    const char *text = getenv(variable);
    if (!url || !text ||
        curl_url_set(url, CURLUPART_URL, text, CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK)
        return mem_printf("the proxy of %s", variable);
    (void)curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
    (void)curl_url_get(url, CURLUPART_PORT, &port, 0);
    /* Without a port curl takes that of SOCKS, for http too. */
    const char *usual = scheme && strcmp(scheme, "https") == 0 ? "443" : "1080";
    AUTO_FREE char *shown = text_cut(host, PROXY_HOST_MAX);
    return mem_printf("the proxy %s:%s (%s)", shown, port ? port : usual, variable);
}

char *fetch_origin(const char *text)
{
    AUTO_URL CURLU *url = url_parse(text);
    AUTO_CURL_TEXT char *scheme = NULL, *host = NULL, *port = NULL;
    if (!url || curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
        return NULL;
    char *origin = mem_printf("%s://%s:%s", scheme, host, port);
    for (char *at = origin; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return origin;
}

bool fetch_url_has_user(const char *text)
{
    AUTO_URL CURLU *url = url_parse(text);
    AUTO_CURL_TEXT char *user = NULL, *password = NULL;
    return url && (curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_OK ||
                   curl_url_get(url, CURLUPART_PASSWORD, &password, 0) == CURLUE_OK);
}

/* A part of a URL, or NULL when it has none; free with curl_free. */
static char *part_of(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    return curl_url_get(url, part, &text, 0) == CURLUE_OK ? text : NULL;
}

char *fetch_url_host(const char *text)
{
    AUTO_URL CURLU *url = url_parse(text);
    AUTO_CURL_TEXT char *host = url ? part_of(url, CURLUPART_HOST) : NULL;
    char *copy = mem_dup(host ? host : "(not a URL)");
    for (char *at = copy; host && *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return copy;
}

static size_t path_len(const char *path)
{
    size_t len = strlen(path);
    while (len > 0 && path[len - 1] == '/')
        len--;
    return len;
}

enum fetch_url_part fetch_url_difference(const char *a, const char *b)
{
    AUTO_URL CURLU *left = url_parse(a);
    AUTO_URL CURLU *right = url_parse(b);
    if (!left || !right)
        return FETCH_URL_HOST;
    AUTO_CURL_TEXT char *host_a = part_of(left, CURLUPART_HOST), *host_b = part_of(right, CURLUPART_HOST);
    AUTO_CURL_TEXT char *port_a = part_of(left, CURLUPART_PORT), *port_b = part_of(right, CURLUPART_PORT);
    AUTO_CURL_TEXT char *path_a = part_of(left, CURLUPART_PATH), *path_b = part_of(right, CURLUPART_PATH);
    if (!host_a || !host_b || strcasecmp(host_a, host_b) != 0)
        return FETCH_URL_HOST;
    if (port_a && port_b && strcmp(port_a, port_b) != 0)
        return FETCH_URL_PORT;
    bool same_path = path_a && path_b && path_len(path_a) == path_len(path_b) &&
                     strncmp(path_a, path_b, path_len(path_a)) == 0;
    return same_path ? FETCH_URL_SAME : FETCH_URL_PATH;
}
