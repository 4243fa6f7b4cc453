/* pass_context.h - a pass under way, as its two sides and the transition share it. Private to reconcile/. One
 * thread.
 *
 * Three rules are stated here and nowhere else: what keeps a side from writing (pass_hold_reason), whether
 * the policy of a decision is still in force (pass_retry, pass_policy_check), and how many heals are left
 * (pass_heals_left, pass_heals_take).
 */
#ifndef RECONCILED_PASS_CONTEXT_H
#define RECONCILED_PASS_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "clients/facts/facts.h"
#include "clients/store/store.h"
#include "reconcile/heal/report.h"
#include "reconcile/heal/services.h"
#include "reconcile/settings/policy.h"

struct announced;
struct evidence;
struct plane_call;
struct plane_change;
struct plane_scan;
struct plane_status;
struct stage;

/* What one pass leaves for the next. It belongs to the thread that makes the passes. Losing it costs work,
 * not correctness. */
struct pass_memory {
    struct plane_scan *scan;     /* what is known of Plane's issues */
    struct announced *announced; /* quarantines that were logged or written about */
    bool unrecorded;             /* it was logged that Plane does not record changes by API key */
};

struct pass {
    struct services *services;
    struct pass_memory *memory;
    const struct pass_request *request;
    struct policy *policy;      /* as of the newest look; owned by the caller of pass_run */
    int64_t deadline_ms;        /* clock_mono_ms() */
    int64_t db_now_us, db_ms;   /* the database's clock as it was read last, and clock_mono_ms() then; or 0 */
    struct facts_asker asker;   /* of every call to an upstream */
    struct store_holds holds;   /* those in force; of a dry run, for a write reads them itself (store.h) */
    int healed;                 /* see pass_heals_take */
    int written;                /* transitions written */
    int messages;               /* written to the outbox */
    struct plane_status *plane; /* see pass_result */
    char **kept;                /* see pass_keep */
    size_t n_kept;
    struct report report; /* the caller of pass_run gets it */
};

/* The issue behind a transition, and how Plane is asked about it. */
struct transition_issue {
    struct plane_call *call;
    const char *project_id, *id, *state;
    const struct plane_change *change; /* what made its state what it is; NULL: not asked */
};

/* A task and where it is to go. The caller fills in the first part, transition_apply the second. */
struct transition {
    const struct store_task *task; /* id 0: not made yet; its plane_id names the issue (replays only) */
    const struct stage *to;
    enum pass_side side;
    enum outcome success; /* the outcome's word if it moves: advanced, approved, rejected */
    const char *reason;
    const struct evidence *evidence;
    const char *verdict_id; /* the state-change activity that this replays; NULL: none */
    int64_t
        since_us; /* when what was missed became true, by the database's clock; 0: when the task moved last */
    const struct transition_issue *issue; /* of the Plane side, for a replay; else NULL */
    /* Filled in: */
    enum outcome outcome;
    const char *outcome_reason; /* in place of `reason` where the outcome needs another; NULL, or valid as
                                   long as the pass and this transition */
    bool counts;                /* against max_heals_per_pass: written or sent, or a dry run would have */
    struct why refusal;         /* the database's words when it refused the write, a hold's when it held it */
};

/* pass_hold_reason: why nothing may be written now (switched off, observing, or the side's own switch), or
 * NULL when writing is allowed. Always NULL in a dry run, which writes nothing and shows what a pass would
 * do. Valid until the policy is read again. */
const char *pass_hold_reason(const struct pass *pass, enum pass_side side);

/* pass_retry: calls `work`, which reads or writes under pass->policy. If it returns ERR_CONFLICT, the policy
 * is no longer in force: the policy is read again and `work` is called again, a bounded number of times.
 * Returns the last result of `work`. */
typedef enum err pass_work_fn(struct pass *pass, void *arg, struct why *why);
ATTR_NODISCARD enum err pass_retry(struct pass *pass, pass_work_fn *work, void *arg, struct why *why);

/* pass_write: pass_retry for a write, which passes the policy's revision and its end to the store. When
 * nothing may be written, `write` is not called and *ret_hold is the reason.
 *
 * Invariant (reconcile/README.md, rule 8): every move, start and replay is written through this function, so
 * that a switch that was set off during the pass takes effect before the next write. */
ATTR_NODISCARD enum err pass_write(struct pass *pass, enum pass_side side, pass_work_fn *write, void *arg,
                                   const char **ret_hold, struct why *why);

/* pass_policy_stands: whether pass->policy is still in force, given the revision of the settings and the time
 * that the database returned. pass_policy_check: reads the policy again if it is not. */
bool pass_policy_stands(struct pass *pass, int64_t revision, int64_t now_us);
ATTR_NODISCARD enum err pass_policy_check(struct pass *pass, int64_t revision, int64_t now_us,
                                          struct why *why);

/* pass_held: counts tasks whose outcome is OUTCOME_HELD by what keeps them back. pass_held_by: of what
 * pass_hold_reason gives, whether it is a switch or the mode. */
void pass_held(struct pass *pass, enum held_by by, size_t n);
enum held_by pass_held_by(const struct pass *pass, enum pass_side side);

/* pass_would_hold: in a dry run, the words of the hold that would keep this task where it is; NULL: none.
 * Valid as long as the pass. */
const char *pass_would_hold(struct pass *pass, const struct store_task *task);

/* pass_db_now_us: the database's clock now, as it was read last in this pass; 0: it was not read yet. */
int64_t pass_db_now_us(const struct pass *pass);

/* pass_item: puts what became of a task or issue into the report, and keeps it as the newest look at the task
 * (recheck.h) unless the pass is a dry run. */
void pass_item(struct pass *pass, enum pass_side side, const struct report_item *item);

/* pass_heals_left: how many more transitions max_heals_per_pass allows. pass_heals_take: counts `n`
 * transitions that were written or sent, or that a dry run would write or send. */
size_t pass_heals_left(const struct pass *pass);
void pass_heals_take(struct pass *pass, size_t n);

/* pass_writes_messages: whether the pass writes messages. It does not in a dry run, when notify_unblock is
 * off, or where no destination is set up. */
bool pass_writes_messages(const struct pass *pass);

/* pass_keep: takes ownership of a text and keeps it until pass_done. pass_done: frees those texts. */
const char *pass_keep(struct pass *pass, char *text_take);
void pass_done(struct pass *pass);

/* pass_stopping: the process is stopping; the pass must end at this step. */
bool pass_stopping(const struct pass *pass);

#endif
