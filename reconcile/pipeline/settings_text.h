/* settings_text.h - what texts in settings and in the pipeline may look like.
 *
 * URLs are checked more strictly than an HTTP library does, so that every reader understands an accepted URL
 * in the same way. No HTTP library is used, because reconcile/ includes none.
 */
#ifndef RECONCILED_SETTINGS_TEXT_H
#define RECONCILED_SETTINGS_TEXT_H

#include <stdbool.h>

/* text_has_control: an ASCII control character is in it: a line break, a tab, … */
bool text_has_control(const char *text);

/* text_is_quoted: it begins and ends with the same quote, as `docker --env-file` leaves a value. */
bool text_is_quoted(const char *text);

/* url_problem: what is wrong with `url` in words ("must begin with http:// or https://"), or NULL. It has a
 * host (an IPv4 address in four decimal parts), no user or password, no fragment, visible ASCII alone. A
 * template may have a query, and braces behind the host; anything else may not. */
const char *url_problem(const char *url, bool is_template);

/* An address to listen on: "host:port" or "[v6]:port". */
struct listen_address {
    char host[256]; /* without brackets */
    int port;       /* 0: any that is free */
    bool v6;
    bool loopback; /* host_is_loopback */
};
/* listen_address_parse: false when `text` is no such address. */
bool listen_address_parse(const char *text, struct listen_address *ret);

/* host_is_loopback: only this machine can reach it: 127.0.0.0/8, ::1 (without brackets), the name localhost.
 * authority_is_loopback: the same of "host", "host:port", "[v6]" or "[v6]:port", as in a Host header. */
bool host_is_loopback(const char *host);
bool authority_is_loopback(const char *text);

#endif
