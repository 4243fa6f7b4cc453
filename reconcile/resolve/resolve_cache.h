/* resolve_cache.h - Gitea's recent answers about commits, so that a burst of events about one commit is one
 * question.
 *
 * A push makes another commit and so asks again; other changes (a branch that is moved back, a pull request
 * that is closed) are seen when the entry expires, after LIMIT_RESOLVE_HIT_MS or LIMIT_RESOLVE_MISS_MS. The
 * cache keeps findings by commit rather than the facts they come from: the head of a branch that was read
 * before a push would hide the commit that was pushed. Bounded by LIMIT_RESOLVE_CACHE and
 * LIMIT_RESOLVE_CACHE_BYTES: the oldest entries are dropped first. Tasks are not kept: they are read for
 * every answer. Thread-safe.
 */
#ifndef RECONCILED_RESOLVE_CACHE_H
#define RECONCILED_RESOLVE_CACHE_H

#include <stdint.h>

#include "reconcile/resolve/resolve.h"

struct resolve_cache;

struct resolve_cache *resolve_cache_new(void);
/* resolve_cache_free: every entry must have been given back. NULL is fine. */
void resolve_cache_free(struct resolve_cache *cache);

/* resolve_cache_put: takes `findings`, of which no part may have failed, and leaves it empty. Returns it as
 * resolve_cache_get does. */
const struct resolve_findings *resolve_cache_put(struct resolve_cache *cache, const char *repo,
                                                 const char *sha, struct resolve_findings *facts_take,
                                                 int64_t until_ms);

/* resolve_cache_get: NULL when there is no entry, or it has expired at now_ms. Give it back with
 * resolve_cache_give_back (NULL is fine); until then it stays as it is. */
const struct resolve_findings *resolve_cache_get(struct resolve_cache *cache, const char *repo,
                                                 const char *sha, int64_t now_ms);
void resolve_cache_give_back(const struct resolve_findings *findings);

#endif
