/* load.h - the world from JSON: in bulk, and one change at a time. README.md describes both documents. */
#ifndef SANDBOX_LOAD_H
#define SANDBOX_LOAD_H

#include <jansson.h>

#include "clients/base/err.h"
#include "tests/sandbox/out.h"

struct repo;
struct sandbox;
struct world;

/* load_world: adds to what is there. After ERR_INVALID what came before the fault is there. No webhooks. */
ATTR_NODISCARD enum err load_world(struct world *world, const json_t *document, struct why *why);
/* load_gitea: how the stand-in Gitea is to behave: version, token, token_scope, root_url, zone_minutes. */
ATTR_NODISCARD enum err load_gitea(struct world *world, const json_t *document, struct why *why);
/* load_webhook: {"url","secret","lose"} of the system webhook. */
void load_webhook(struct world *world, const json_t *document);
/* load_generate: {"repo","branches","state","context"}. */
ATTR_NODISCARD enum err load_generate(struct world *world, const json_t *document, struct why *why);

/* change_make: one change, as a person or a CI server would make it, with its webhooks. Writes one object to
 * `out` with the results (sha, number, review). */
ATTR_NODISCARD enum err change_make(struct sandbox *sandbox, const json_t *change, struct out *out,
                                    struct why *why);

/* Shared by the two: a status from its JSON; a branch's or sha's commit; a review's state by any of its usual
 * names; an instant "2026-01-02T03:04:05Z" in seconds, or now. */
struct commit;
struct review;
struct pull;
struct status;
ATTR_NODISCARD enum err load_status(struct repo *repo, struct commit *commit, const json_t *json,
                                    struct status **ret, struct why *why);
ATTR_NODISCARD enum err load_review(struct repo *repo, struct pull *pull, const json_t *json,
                                    struct review **ret, struct why *why);
int64_t load_instant(const json_t *json, const char *key, int64_t fallback_s);

#endif
