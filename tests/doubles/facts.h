/* facts.h - a double of facts.h, gitea.h and http_gate.h: the facts are what the test sets, and no
 * network is near.
 *
 * A test program that links this and the archive gets these functions instead of the real ones. Every fact
 * can be set to come late: the first look-up finds it pending, and facts_wait then names the waiter, as the
 * real fact set does.
 */
#ifndef RECONCILED_DOUBLES_FACTS_H
#define RECONCILED_DOUBLES_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/gitea/gitea.h"

/* facts_clear: drops everything set so far. facts_late: from now on every fact comes late (or not).
 * facts_lookups: how many distinct facts were asked for since facts_clear. */
void facts_clear(void);
void facts_late(bool late);
size_t facts_lookups(void);

/* facts_hook: called once, just before the next facts_wait that names no waiter: the moment between reading
 * and writing. */
void facts_hook(void (*hook)(void *arg), void *arg);

/* What the double answers. Texts are borrowed. A branch that was not set is absent. */
void facts_head(const char *branch, const char *sha);
void facts_head_failed(const char *branch, const char *error);
void facts_status(const char *sha, const char *context, enum gitea_state state);
void facts_statuses_failed(const char *sha, const char *error);
void facts_pull(const char *branch, int64_t number, enum gitea_pull_state state);
void facts_pull_elsewhere(const char *branch, int64_t number, enum gitea_pull_state state,
                          const char *base); /* and none into the base that is asked about */
void facts_open_pull(int64_t number, const char *branch, const char *sha); /* branch NULL: not in the repo */
void facts_open_pulls_failed(enum fact_state state, const char *error);
void facts_repo(const char *default_branch);                    /* else it is absent */
void facts_repo_named(const char *repo, const char *full_name); /* of one that was renamed; else as asked */
void facts_review(int64_t number, const char *user, enum gitea_review_state state, bool stale,
                  bool dismissed);
void facts_review_unofficial(void); /* the review that was added last */
void facts_file(const char *path, size_t n);
void facts_http(const char *url, const char *verdict, const char *reason);

/* gitea_branch_make makes a branch that is not there if its base is; gitea_head of another fact set then
 * knows it. facts_make_failed: none can be made, in these words. facts_made: how many were made. */
void facts_make_failed(const char *error);
size_t facts_made(void);

#endif
