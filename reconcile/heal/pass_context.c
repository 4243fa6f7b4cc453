#include "reconcile/heal/pass_context.h"

#include <stdlib.h>

#include "reconcile/heal/recheck.h"

/* The settings may change during a write; each change costs one more try, and people do not change them this
 * often. */
enum { POLICY_TRIES = 8 };

static enum err refresh_policy(struct pass *pass, struct why *why)
{
    struct policy *newer = NULL;
    enum err err = policy_read(pass->services->store, pass->services->settings, &newer, why);
    if (err)
        return err;
    policy_free(pass->policy);
    pass->policy = newer;
    return ERR_OK;
}

const char *pass_hold_reason(const struct pass *pass, enum pass_side side)
{
    const struct policy_hold *hold = policy_held_by(pass->policy, side == SIDE_PLANE);
    return hold && !pass->request->dry_run ? hold->text : NULL;
}

enum err pass_retry(struct pass *pass, pass_work_fn *work, void *arg, struct why *why)
{
    for (int try = 0; try < POLICY_TRIES; try++) {
        enum err err = work(pass, arg, why);
        if (err != ERR_CONFLICT)
            return err;
        err = refresh_policy(pass, why);
        if (err)
            return err;
    }
    return why_set(why, ERR_CONFLICT, "the settings kept changing");
}

struct guarded_write {
    enum pass_side side;
    pass_work_fn *write;
    void *arg;
    const char *hold;
};

static enum err write_unless_held(struct pass *pass, void *arg, struct why *why)
{
    struct guarded_write *guarded = arg;
    guarded->hold = pass_hold_reason(pass, guarded->side);
    return guarded->hold ? ERR_OK : guarded->write(pass, guarded->arg, why);
}

enum err pass_write(struct pass *pass, enum pass_side side, pass_work_fn *write, void *arg,
                    const char **ret_hold, struct why *why)
{
    struct guarded_write guarded = {.side = side, .write = write, .arg = arg};
    enum err err = pass_retry(pass, write_unless_held, &guarded, why);
    *ret_hold = guarded.hold;
    return err;
}

bool pass_policy_stands(struct pass *pass, int64_t revision, int64_t now_us)
{
    pass->db_now_us = now_us;
    pass->db_ms = clock_mono_ms();
    return policy_stands(pass->policy, revision, now_us);
}

enum err pass_policy_check(struct pass *pass, int64_t revision, int64_t now_us, struct why *why)
{
    return pass_policy_stands(pass, revision, now_us) ? ERR_OK : refresh_policy(pass, why);
}

void pass_held(struct pass *pass, enum held_by by, size_t n)
{
    pass->report.held[by] += n;
}

enum held_by pass_held_by(const struct pass *pass, enum pass_side side)
{
    return policy_off_by(pass->policy, side == SIDE_PLANE) ? HELD_BY_SWITCH : HELD_BY_MODE;
}

const char *pass_would_hold(struct pass *pass, const struct store_task *task)
{
    const struct store_hold *hold = store_hold_of(&pass->holds, task);
    return hold ? pass_keep(pass, mem_dup(store_hold_words(hold).text)) : NULL;
}

int64_t pass_db_now_us(const struct pass *pass)
{
    return pass->db_now_us ? pass->db_now_us + (clock_mono_ms() - pass->db_ms) * 1000 : 0;
}

void pass_item(struct pass *pass, enum pass_side side, const struct report_item *item)
{
    int64_t now_us = pass_db_now_us(pass);
    if (side == SIDE_PLANE)
        report_plane_item(&pass->report, item);
    else
        report_gate_item(&pass->report, item);
    if (!pass->request->dry_run)
        recheck_saw(pass->services->recheck, item, now_us ? now_us : services_wall_us(pass->services));
}

size_t pass_heals_left(const struct pass *pass)
{
    int64_t left = pass->policy->max_heals_per_pass - pass->healed;
    return left > 0 ? (size_t)left : 0;
}

void pass_heals_take(struct pass *pass, size_t n)
{
    pass->healed += (int)n;
}

bool pass_writes_messages(const struct pass *pass)
{
    return services_destinations(pass->services) && pass->policy->notify_unblock && !pass->request->dry_run;
}

const char *pass_keep(struct pass *pass, char *text_take)
{
    pass->kept = mem_grow(pass->kept, pass->n_kept + 1, sizeof *pass->kept);
    return pass->kept[pass->n_kept++] = text_take;
}

void pass_done(struct pass *pass)
{
    for (size_t i = 0; i < pass->n_kept; i++)
        free(pass->kept[i]);
    free(pass->kept);
    store_holds_done(&pass->holds);
}

bool pass_stopping(const struct pass *pass)
{
    return atomic_load(&pass->services->stopping);
}
