/* upstream.h - what the clients of Gitea, Plane, Telegram and the orchestrator share: the address of an
 * upstream, and the names of its settings.
 *
 * A client does not know the environment's variables. Its creator passes the names of its settings, so that
 * an error can name the setting to check.
 */
#ifndef RECONCILED_UPSTREAM_H
#define RECONCILED_UPSTREAM_H

#include <stdbool.h>

#include "clients/base/err.h"

struct fetch_answer;
struct fetch_inbox;
struct fetch_request;

/* The names of an upstream's settings in error texts. A client keeps the pointer. */
struct upstream_names {
    const char *url, *token, *workspace;
};

/* upstream_base: `url` without slashes at its end, as a base for fetch_url. ERR_INVALID, with `name` for the
 * setting: no http(s) URL, or one with a user name in it, for URLs are shown. Caller frees. */
ATTR_NODISCARD enum err upstream_base(const char *url, const char *name, char **ret, struct why *why);

/* upstream_token_check: ERR_INVALID, with `name` for the setting, if no header can hold the token. NULL is
 * fine. */
ATTR_NODISCARD enum err upstream_token_check(const char *token, const char *name, struct why *why);

/* upstream_check_send: sends one GET of a client's self-check, once, even if earlier calls failed. Only
 * upstream, health, url and headers of `request` are used. `about` names the part that is asked about, for a
 * person; it must live until upstream_check_end. */
void upstream_check_send(struct fetch_inbox *inbox, const struct fetch_request *request, const char *about);

/* upstream_words: "answered 404 (text/html)", and through which proxy, or why there was no answer. Caller
 * frees. */
char *upstream_words(const struct fetch_answer *answer);

/* Whether a 2xx or a 404 is the upstream's own, judged by the body: a login page, a single-page application
 * and a proxy answer these too. */
typedef bool upstream_own_fn(const struct fetch_answer *answer);

/* upstream_check_problem: what is wrong with an answer to upstream_check_send: "acme/app: answered 502"; NULL
 * if nothing is. `url_name` is the setting to look at where another server answered. Caller frees. */
char *upstream_check_problem(const struct fetch_answer *answer, upstream_own_fn *own, const char *url_name);

/* upstream_check_end: waits for all answers, and frees the inbox. Returns the problem of the first answer
 * that has one, NULL if none has. Caller frees. */
char *upstream_check_end(struct fetch_inbox *inbox, upstream_own_fn *own, const char *url_name);

#endif
