/* hook_judge.h - is the orchestrator told what it has to be told? By what its senders have set up, and by
 * what had to be healed. Pure.
 *
 * Which events are needed follows from the pipeline's gates: CI is Gitea's "status", files on the branch its
 * "push", a review its "pull_request_review", a merge its "pull_request".
 */
#ifndef RECONCILED_HOOK_JUDGE_H
#define RECONCILED_HOOK_JUDGE_H

#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"

struct gitea_hooks;
struct pipeline;
struct store_ledger_page;

enum hook_state {
    HOOK_OK,
    HOOK_MISSING,   /* the repo has none */
    HOOK_ELSEWHERE, /* it has, but none that goes to the orchestrator */
    HOOK_INACTIVE,  /* it is switched off */
    HOOK_DEAF,      /* it is not told of an event that a gate needs */
    HOOK_UNKNOWN,   /* the webhooks cannot be read */
    HOOK_STATE_MAX_
};
const char *hook_state_name(enum hook_state state);

struct hook_verdict {
    enum hook_state state;
    char *detail; /* for a person; holds the host of a URL at most. NULL: HOOK_OK */
    char *mark;   /* the same as long as nobody touches the webhooks: what was told need not be told again */
};
void hook_verdict_done(struct hook_verdict *verdict);

/* hook_judge: of a repo's webhooks, which must not be pending. `target`: the URL where the orchestrator takes
 * Gitea's events; NULL: not known, any webhook may go to it. */
void hook_judge(const struct gitea_hooks *hooks, const struct pipeline *pipeline, const char *target,
                struct hook_verdict *ret);

/* hook_losses: how many tasks had to be moved because an event of `source` ("plane", "gitea") was lost,
 * within LIMIT_SILENCE_S before now_us, by the newest rows of the ledger. One lost event happens; from
 * LIMIT_SILENCE_LOSSES on the source is silent while its truth keeps changing. */
size_t hook_losses(const struct store_ledger_page *newest, const char *source, int64_t now_us);

#endif
