/* resolver.h - F-3: answers which branch and task a commit belongs to.
 *
 * The rules are resolve.h's. Tasks are read from the database for every answer; Gitea's answer about a commit
 * is cached for a short time (resolve_cache.h). Equal requests that are not in the cache share one query.
 * Thread-safe.
 */
#ifndef RECONCILED_RESOLVER_H
#define RECONCILED_RESOLVER_H

#include <stdbool.h>

#include "clients/base/err.h"
#include "clients/store/store.h"
#include "reconcile/resolve/resolve.h"

struct gitea;
struct query_pool;
struct resolver;
struct settings;

/* resolver_new: everything given must outlive it, and the query pool must have been stopped before
 * resolver_free. */
struct resolver *resolver_new(const struct settings *settings, const struct pipeline *pipeline,
                              struct store *store, struct gitea *gitea, struct query_pool *query_pool);
void resolver_free(struct resolver *resolver);

struct resolver_answer {
    enum err err; /* not ERR_OK: the database could not be asked, `why` is the reason; else `resolution` */
    struct why why;
    struct resolution resolution;
    struct store_repo_tasks tasks;           /* what the resolution borrows from, … */
    const struct resolve_findings *findings; /* … when kept; else NULL */
};
void resolver_answer_done(struct resolver_answer *answer);

/* resolver_now: an answer from the database and the cache. False: Gitea must be asked. `repo` is
 * "owner/name", `sha` in lower case. */
bool resolver_now(struct resolver *resolver, const char *repo, const char *sha, struct resolver_answer *ret);

/* resolver_ask: asks Gitea. `done` gets a struct resolver_answer, or NULL when the process stops. `done` and
 * the errors are as in query_pool_ask. */
ATTR_NODISCARD enum err resolver_ask(struct resolver *resolver, const char *repo, const char *sha,
                                     void (*done)(void *arg, const void *answer), void *arg, struct why *why);

#endif
