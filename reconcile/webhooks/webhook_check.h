/* hook_judge.h - is the orchestrator told what it has to be told? By what its senders have set up, and by
 * what had to be healed. Pure.
 *
 * Which events are needed follows from the pipeline's gates: CI is Gitea's "status", files on the branch its
 * "push", a review its "pull_request_review", a merge its "pull_request".
 */
#ifndef RECONCILED_HOOK_JUDGE_H
#define RECONCILED_HOOK_JUDGE_H

#include <stdbool.h>
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

/* What became of the events of a source ("plane", "gitea") of late, by the newest rows of the ledger. */
struct hook_losses {
    size_t tasks; /* had to be moved within LIMIT_SILENCE_S before now because an event was lost */
    bool
        silent; /* LIMIT_SILENCE_LOSSES at least, and LIMIT_SILENCE_SPREAD_S between the first and the last of
                   them: one outage loses many at once; a source that is silent loses them again and again */
};
struct hook_losses hook_losses(const struct store_ledger_page *newest, const char *source, int64_t now_us);

#endif
