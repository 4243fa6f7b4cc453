#include "reconcile/webhooks/webhook_check.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/http/fetch.h"
#include "clients/gitea/gitea.h"
#include "clients/store/store.h"
#include "reconcile/pipeline/gate_event.h"
#include "reconcile/pipeline/pipeline.h"

static const char *const state_names[] = {
    [WEBHOOK_OK] = "ok",
    [WEBHOOK_MISSING] = "missing",
    [WEBHOOK_ELSEWHERE] = "elsewhere",
    [WEBHOOK_INACTIVE] = "inactive",
    [WEBHOOK_EVENTS_MISSING] = "deaf",
    [WEBHOOK_UNKNOWN] = "unknown",
};
static_assert(ARRAY_LEN(state_names) == WEBHOOK_STATE_MAX_, "every state has a name");

const char *webhook_state_name(enum webhook_state state)
{
    return state_names[state];
}

void webhook_verdict_done(struct webhook_verdict *verdict)
{
    free(verdict->detail);
    free(verdict->mark);
    *verdict = (struct webhook_verdict){.state = WEBHOOK_OK};
}

static bool has_gate(const struct pipeline *pipeline, enum gate_kind kind)
{
    for (size_t i = 0; i < pipeline->n_stages; i++)
        for (size_t k = 0; k < pipeline->stages[i].n_gates; k++)
            if (pipeline->stages[i].gates[k].kind == kind)
                return true;
    return false;
}

static bool is_ours(const struct gitea_hook *hook, const char *target)
{
    return !target || fetch_url_same_place(hook->url, target);
}

static bool is_told(const struct gitea_hooks *hooks, const char *target, const struct gate_event *needed)
{
    for (size_t i = 0; i < hooks->n; i++)
        for (const char *const *event = hooks->items[i].events; hooks->items[i].active && *event; event++)
            if (is_ours(&hooks->items[i], target) &&
                (strcmp(*event, needed->listed) == 0 ||
                 (needed->listed_by_older && strcmp(*event, needed->listed_by_older) == 0)))
                return true;
    return false;
}

/* The events that are needed and that no webhook of ours gets, or NULL. Caller frees. */
static char *unheard(const struct gitea_hooks *hooks, const struct pipeline *pipeline, const char *target)
{
    struct buffer list = {.max = LIMIT_LISTED};
    for (enum gate_kind kind = 0; kind < GATE_KIND_MAX_; kind++) {
        const struct gate_event *needed = gate_event_of(kind);
        if (needed->listed && has_gate(pipeline, kind) && !is_told(hooks, target, needed))
            buffer_item(&list, ", ", "%s", needed->listed);
    }
    return list.text;
}

/* Author and time of every webhook: changes with every hand that touches them. Caller frees. */
static char *mark_of(const struct gitea_hooks *hooks)
{
    struct buffer mark = {.max = LIMIT_ANSWER_HOOKS};
    for (size_t i = 0; i < hooks->n; i++)
        buffer_printf(&mark, " %lld@%s", (long long)hooks->items[i].id, hooks->items[i].updated_at);
    return buffer_take(&mark);
}

static void judge_known(const struct gitea_hooks *hooks, const struct pipeline *pipeline, const char *target,
                        struct webhook_verdict *ret)
{
    const struct gitea_hook *ours = NULL;
    bool active = false;
    for (size_t i = 0; i < hooks->n; i++)
        if (is_ours(&hooks->items[i], target)) {
            ours = ours ? ours : &hooks->items[i];
            active |= hooks->items[i].active;
        }
    AUTO_FREE char *missed = active ? unheard(hooks, pipeline, target) : NULL;
    AUTO_FREE char *found = hooks->n > 0 ? fetch_url_host(hooks->items[0].url) : NULL;
    AUTO_FREE char *wanted = target ? fetch_url_host(target) : NULL;
    if (hooks->n == 0) {
        ret->state = WEBHOOK_MISSING;
        ret->detail =
            mem_dup("the repository has no webhook of its own; those of its organization are not seen here");
    } else if (!ours) {
        ret->state = WEBHOOK_ELSEWHERE;
        ret->detail = mem_printf("no webhook of the repository goes to the orchestrator at %s, but to %s%s",
                                 wanted, found, hooks->n > 1 ? " and others" : "");
    } else if (!active) {
        ret->state = WEBHOOK_INACTIVE;
        ret->detail = mem_printf("webhook %lld of the repository is switched off", (long long)ours->id);
    } else if (missed) {
        ret->state = WEBHOOK_EVENTS_MISSING;
        ret->detail =
            mem_printf("webhook %lld of the repository does not send: %s", (long long)ours->id, missed);
    }
}

void webhook_check(const struct gitea_hooks *hooks, const struct pipeline *pipeline, const char *target,
                   struct webhook_verdict *ret)
{
    *ret = (struct webhook_verdict){.state = WEBHOOK_UNKNOWN};
    assert(hooks->fact.state != FACT_PENDING);
    if (hooks->fact.state != FACT_KNOWN) {
        ret->detail = text_cut(hooks->fact.error, LIMIT_REASON);
        ret->mark = mem_dup("");
        return;
    }
    ret->state = WEBHOOK_OK;
    ret->mark = mark_of(hooks);
    judge_known(hooks, pipeline, target, ret);
}

static bool is_loss(const struct store_ledger_row *row, const char *source, int64_t since_us)
{
    return row->at_us >= since_us && row->missed_source && strcmp(row->missed_source, source) == 0;
}

struct webhook_losses webhook_losses(const struct store_ledger_page *newest, const char *source,
                                     int64_t now_us)
{
    struct webhook_losses losses = {.tasks = 0};
    int64_t since_us = now_us - LIMIT_SILENCE_S * 1000000, first_us = INT64_MAX, last_us = INT64_MIN;
    for (size_t i = 0; i < newest->n; i++) {
        const struct store_ledger_row *row = &newest->rows[i];
        bool counts = is_loss(row, source, since_us);
        if (counts && row->at_us < first_us)
            first_us = row->at_us;
        if (counts && row->at_us > last_us)
            last_us = row->at_us;
        for (size_t k = 0; k < i && counts; k++)
            counts = newest->rows[k].task_id != row->task_id || !is_loss(&newest->rows[k], source, since_us);
        losses.tasks += counts;
    }
    losses.silent =
        losses.tasks >= LIMIT_SILENCE_LOSSES && last_us - first_us >= LIMIT_SILENCE_SPREAD_S * 1000000;
    return losses;
}
