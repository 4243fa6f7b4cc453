#include "tests/support/reconcile/pipeline/url_curl.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clients/base/err.h"
#include "clients/base/text.h"
#include "reconcile/pipeline/settings_text.h"

/* NULL when the URL has no such part. Caller frees with curl_free. */
static char *part_of(CURLU *url, CURLUPart part, unsigned flags)
{
    char *text = NULL;
    return curl_url_get(url, part, &text, flags) == CURLUE_OK ? text : NULL;
}

static bool has_part(CURLU *url, CURLUPart part)
{
    char *text = part_of(url, part, 0);
    curl_free(text);
    return text;
}

static bool is_same_host(const char *written, const char *read)
{
    struct in6_addr one, other;
    AUTO_FREE char *bare = *read == '[' ? mem_dupn(read + 1, strlen(read) - 2) : NULL;
    if (bare && *written == '[') {
        AUTO_FREE char *written_bare = mem_dupn(written + 1, strlen(written) - 2);
        return inet_pton(AF_INET6, written_bare, &one) == 1 && inet_pton(AF_INET6, bare, &other) == 1 &&
               memcmp(&one, &other, sizeof one) == 0;
    }
    return strcasecmp(written, read) == 0;
}

static const char *differs(CURLU *url, const char *scheme, char *authority)
{
    const char *difference = NULL;
    char *host_end = *authority == '[' ? strchr(authority, ']') + 1 : authority + strcspn(authority, ":");
    int64_t port = strcasecmp(scheme, "http") == 0 ? 80 : 443, port_read = -1;
    if (*host_end && !parse_i64(host_end + 1, 1, 65535, &port))
        return "a port that is no number";
    *host_end = '\0';
    char *host = part_of(url, CURLUPART_HOST, 0),
         *port_text = part_of(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    char *scheme_read = part_of(url, CURLUPART_SCHEME, 0);
    if (!scheme_read || strcasecmp(scheme_read, scheme) != 0)
        difference = "scheme";
    else if (!host || !is_same_host(authority, host))
        difference = "host";
    else if (!port_text || !parse_i64(port_text, 1, 65535, &port_read) || port_read != port)
        difference = "port";
    else if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD) ||
             has_part(url, CURLUPART_OPTIONS))
        difference = "user or password";
    else if (has_part(url, CURLUPART_FRAGMENT))
        difference = "fragment";
    curl_free(host);
    curl_free(port_text);
    curl_free(scheme_read);
    return difference;
}

const char *url_curl_differs(const char *url, bool is_template)
{
    if (url_problem(url, is_template))
        return NULL;
    size_t scheme_len = strcspn(url, ":");
    AUTO_FREE char *scheme = mem_dupn(url, scheme_len);
    const char *at = url + scheme_len + strlen("://");
    AUTO_FREE char *authority = mem_dupn(at, strcspn(at, "/?#"));
    CURLU *parsed = curl_url();
    const char *difference = "the whole: it is no URL";
    if (curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK)
        difference = differs(parsed, scheme, authority);
    curl_url_cleanup(parsed);
    return difference;
}
