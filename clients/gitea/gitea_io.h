/* gitea_io.h - what the parts of Gitea's client share: asking, lists. Private to clients/gitea/. */
#ifndef RECONCILED_GITEA_IO_H
#define RECONCILED_GITEA_IO_H

#include "clients/facts/fact_source.h"
#include "clients/gitea/gitea.h"
#include "clients/gitea/gitea_parse.h"

#define GITEA_PAGE "50" /* Gitea's MAX_RESPONSE_ITEMS; some servers are set lower, none answers more */

/* A repo's name in two, for path segments; false if it is not "owner/name". Both live in the arena. */
bool gitea_repo_split(struct arena *arena, const char *repo, const char **ret_owner, const char **ret_name);

/* gitea_what: a text that names what is asked for, for errors; in the arena. Printable and bounded, whatever
 * the names contain.
 */
const char *gitea_what(struct arena *arena, const char *fmt, ...) ATTR_PRINTF(2, 3);

/* gitea_url: a URL below /api/v1, in the arena; NULL if none can be made (a segment of dots, no URL set for
 * Gitea). */
const char *gitea_url(struct arena *arena, const struct gitea *gitea, const char *const *segments,
                      const char *const *query);

/* gitea_ask: GET, for a body of at most answer_max bytes; `replied` is called once, before this returns if
 * nothing can be sent (url NULL). The reply's JSON is valid until `replied` returns, its error as long as the
 * fact set. */
typedef void gitea_replied_fn(struct facts *facts, void *arg, const struct gitea_reply *reply);
void gitea_ask(struct facts *facts, struct gitea *gitea, const char *url, const char *what, size_t answer_max,
               gitea_replied_fn *replied, void *arg);
/* gitea_ask_if_allowed: the same where the token may lack the right: a 403 does not affect Gitea's health. */
void gitea_ask_if_allowed(struct facts *facts, struct gitea *gitea, const char *url, const char *what,
                          size_t answer_max, gitea_replied_fn *replied, void *arg);
/* gitea_post: the same by POST, with a JSON body; never repeated. The reply is FACT_KNOWN only for status
 * 200, so read reply->status. */
void gitea_post(struct facts *facts, struct gitea *gitea, const char *url, const char *what, const char *body,
                gitea_replied_fn *replied, void *arg);

/* gitea_head_ask: gitea_head for a caller that is not a waiter: fn(facts, arg) runs once *ret is settled,
 * which may be before this returns; *ret is set before. */
void gitea_head_ask(struct facts *facts, struct gitea *gitea, const char *repo, const char *branch,
                    const struct gitea_head **ret, fact_then_fn *fn, void *arg);

/* A list that comes in pages. The asker fills the first part; `done` is called once. X-Total-Count gives the
 * number of pages, which are then requested at the same time. Without it, if it disagrees with the rows, or
 * if one_by_one, the pages are requested one after the other until one is empty or repeats. */
struct gitea_list;
typedef void gitea_listed_fn(struct facts *facts, struct gitea_list *list);
struct gitea_list {
    struct gitea *gitea;
    const char *what;
    const char *const *segments; /* NULL-terminated, as long as the fact set */
    const char *const *query;    /* name, value, …; or NULL */
    gitea_page_fn *parse;
    const void *parse_arg;
    size_t page_bytes; /* limit for the body of one page */
    size_t pages_max;  /* if there are more pages, only the first ones are read, and `cut` is set */
    bool if_allowed;   /* as gitea_ask_if_allowed */
    bool one_by_one;   /* X-Total-Count may include rows that are hidden from this token */
    gitea_listed_fn *done;
    void *arg;

    enum fact_state state; /* FACT_KNOWN: the pages below */
    const char *error, *url;
    struct gitea_page *pages;
    size_t n_pages, n_rows;
    struct facts_rows rows;
    int64_t total;     /* X-Total-Count, or -1 when unknown */
    bool cut, shifted; /* shifted: the total changed from page to page */

    size_t n_asked, n_answered;
};
void gitea_list_start(struct facts *facts, struct gitea_list *list);

#endif
