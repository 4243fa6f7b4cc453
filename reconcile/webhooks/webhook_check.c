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
#include "reconcile/webhooks/branch_filter.h"

static const char *const state_names[] = {
    [WEBHOOK_OK] = "ok",
    [WEBHOOK_MISSING] = "missing",
    [WEBHOOK_ELSEWHERE] = "elsewhere",
    [WEBHOOK_INACTIVE] = "inactive",
    [WEBHOOK_EVENTS_MISSING] = "events_missing",
    [WEBHOOK_FILTERED] = "filtered",
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

bool webhook_needs_ci(const struct pipeline *pipeline)
{
    return has_gate(pipeline, GATE_CI);
}

bool webhook_has_filter(const struct gitea_hooks *hooks)
{
    for (size_t i = 0; i < hooks->n; i++)
        if (*hooks->items[i].branch_filter)
            return true;
    return false;
}

/* The webhooks of all levels, in one list. */
struct found {
    struct {
        const struct gitea_hook *hook;
        enum gitea_hooks_level level;
        bool ours; /* goes to the orchestrator */
    } *items;
    size_t n;
    const char *unread;    /* why a level could not be read; NULL: all were */
    bool repo_unread;      /* the repo's own could not */
    size_t ours, n_active; /* the first of ours, or n; how many of ours are switched on */
};

static struct found found_make(const struct webhook_facts *facts)
{
    struct found found = {.items = NULL};
    for (enum gitea_hooks_level level = 0; level < GITEA_HOOKS_MAX_; level++) {
        const struct gitea_hooks *hooks = facts->levels[level];
        if (hooks && hooks->fact.state != FACT_KNOWN) {
            found.unread = found.unread ? found.unread : hooks->fact.error;
            found.repo_unread |= level == GITEA_HOOKS_REPO;
        }
        size_t n = hooks && hooks->fact.state == FACT_KNOWN ? hooks->n : 0;
        found.items = mem_grow(found.items, found.n + n + 1, sizeof *found.items);
        for (size_t i = 0; i < n; i++, found.n++) {
            found.items[found.n].hook = &hooks->items[i];
            found.items[found.n].level = level;
            found.items[found.n].ours =
                !facts->target || fetch_url_difference(hooks->items[i].url, facts->target) == FETCH_URL_SAME;
        }
    }
    found.ours = found.n;
    for (size_t i = found.n; i-- > 0;)
        if (found.items[i].ours) {
            found.ours = i;
            found.n_active += found.items[i].hook->active;
        }
    return found;
}

static const char *level_name(enum gitea_hooks_level level)
{
    static const char *const names[] = {[GITEA_HOOKS_REPO] = "of the repository",
                                        [GITEA_HOOKS_OWNER] = "of its owner",
                                        [GITEA_HOOKS_SYSTEM] = "of the whole Gitea"};
    static_assert(ARRAY_LEN(names) == GITEA_HOOKS_MAX_, "every level has a name");
    return names[level];
}

static bool lists(const struct gitea_hook *hook, const struct gate_event *needed)
{
    for (const char *const *event = hook->events; *event; event++)
        if (strcmp(*event, needed->listed) == 0 ||
            (needed->listed_by_older && strcmp(*event, needed->listed_by_older) == 0))
            return true;
    return false;
}

/* The first of the branches whose pushes the webhook drops, or NULL. Gitea applies the filter only to pushes
 * (services/webhook/webhook.go). */
static const char *dropped_by(const struct gitea_hook *hook, const struct webhook_facts *facts)
{
    for (size_t i = 0; i < facts->n_branches; i++)
        if (!branch_filter_passes(hook->branch_filter, facts->branches[i]))
            return facts->branches[i];
    return NULL;
}

/* Whether a needed event is sent: yes, yes except for the pushes of a branch, or no. */
struct delivery {
    bool sent;
    size_t filtered;     /* the webhook whose filter drops some, or found->n */
    const char *dropped; /* a branch whose pushes it drops */
};

static struct delivery delivery_of(const struct found *found, const struct webhook_facts *facts,
                                   enum gate_kind kind)
{
    struct delivery delivery = {.filtered = found->n};
    for (size_t i = 0; i < found->n && !delivery.sent; i++) {
        const struct gitea_hook *hook = found->items[i].hook;
        if (!found->items[i].ours || !hook->active || !lists(hook, gate_event_of(kind)))
            continue;
        const char *dropped = kind == GATE_FILES ? dropped_by(hook, facts) : NULL;
        delivery.sent = !dropped;
        if (dropped && !delivery.dropped) {
            delivery.filtered = i;
            delivery.dropped = dropped;
        }
    }
    return delivery;
}

static bool is_needed(const struct webhook_facts *facts, const struct pipeline *pipeline, enum gate_kind kind)
{
    bool can_be_sent = kind != GATE_CI || facts->sends_status || facts->release_unknown;
    return gate_event_of(kind)->listed && can_be_sent && has_gate(pipeline, kind);
}

/* The state by the events that are needed. */
static void judge_events(const struct found *found, const struct webhook_facts *facts,
                         const struct pipeline *pipeline, struct webhook_verdict *ret)
{
    struct buffer missed = {.max = LIMIT_LISTED};
    long long id = (long long)found->items[found->ours].hook->id;
    const char *owner = level_name(found->items[found->ours].level);
    for (enum gate_kind kind = 0; kind < GATE_KIND_MAX_; kind++) {
        if (!is_needed(facts, pipeline, kind))
            continue;
        struct delivery delivery = delivery_of(found, facts, kind);
        if (delivery.sent)
            continue;
        if (delivery.dropped) {
            const struct gitea_hook *hook = found->items[delivery.filtered].hook;
            ret->state = WEBHOOK_FILTERED;
            ret->detail = mem_printf("the branch filter \"%s\" of webhook %lld %s drops the pushes of %s",
                                     hook->branch_filter, (long long)hook->id,
                                     level_name(found->items[delivery.filtered].level), delivery.dropped);
            continue;
        }
        buffer_item(&missed, ", ", "%s", gate_event_of(kind)->listed);
    }
    if (!missed.text)
        return;
    free(ret->detail);
    ret->state = WEBHOOK_EVENTS_MISSING;
    ret->detail = mem_printf("webhook %lld %s does not send: %s", id, owner, missed.text);
    free(missed.text);
}

/* The difference between the closest webhook and the target; without its path, which may be a secret. Caller
 * frees. */
static char *elsewhere_detail(const struct found *found, const char *target)
{
    const char *other = found->items[0].hook->url;
    enum fetch_url_part difference = fetch_url_difference(other, target);
    for (size_t i = 1; i < found->n; i++) {
        enum fetch_url_part of_this = fetch_url_difference(found->items[i].hook->url, target);
        if (of_this > difference) {
            difference = of_this;
            other = found->items[i].hook->url;
        }
    }
    const char *and_others = found->n > 1 ? " and others" : "";
    AUTO_FREE char *wanted_host = fetch_url_host(target), *host = fetch_url_host(other);
    AUTO_FREE char *wanted_origin = fetch_origin(target), *origin = fetch_origin(other);
    AUTO_FREE char *wanted = fetch_url_shown(target);
    if (difference == FETCH_URL_PATH)
        return mem_printf("no webhook goes to the orchestrator at %s, but to another path of %s%s", wanted,
                          origin, and_others);
    bool same_host = difference == FETCH_URL_PORT;
    return mem_printf("no webhook goes to the orchestrator at %s, but to %s%s",
                      same_host ? wanted_origin : wanted_host, same_host ? origin : host, and_others);
}

/* A text made from the times of change of all webhooks at every level; it differs once one of them is
 * changed. Caller frees. */
static char *mark_of(const struct found *found)
{
    struct buffer mark = {.max = LIMIT_ANSWER_HOOKS};
    for (size_t i = 0; i < found->n; i++)
        buffer_printf(&mark, " %lld@%s", (long long)found->items[i].hook->id,
                      found->items[i].hook->updated_at);
    return buffer_take(&mark);
}

static bool needs_nothing(const struct webhook_facts *facts, const struct pipeline *pipeline)
{
    for (enum gate_kind kind = 0; kind < GATE_KIND_MAX_; kind++)
        if (is_needed(facts, pipeline, kind))
            return false;
    return true;
}

static void judge(const struct found *found, const struct webhook_facts *facts,
                  const struct pipeline *pipeline, struct webhook_verdict *ret)
{
    if (needs_nothing(facts, pipeline))
        return;
    if (found->n == 0) {
        ret->state = WEBHOOK_MISSING;
        ret->detail = mem_dup("the repository has no webhook, nor have its owner and the whole Gitea");
    } else if (found->ours == found->n) {
        ret->state = WEBHOOK_ELSEWHERE;
        ret->detail = elsewhere_detail(found, facts->target);
    } else if (found->n_active == 0) {
        ret->state = WEBHOOK_INACTIVE;
        ret->detail =
            mem_printf("webhook %lld %s is switched off", (long long)found->items[found->ours].hook->id,
                       level_name(found->items[found->ours].level));
    } else {
        judge_events(found, facts, pipeline, ret);
    }
}

/* The state becomes unknown if the missing webhook may be among those that could not be read. */
static void doubt(const struct found *found, const struct webhook_facts *facts, struct webhook_verdict *ret)
{
    char *reason = NULL;
    if (ret->state == WEBHOOK_OK)
        return;
    if (found->repo_unread)
        reason = mem_dup(found->unread);
    else if (found->unread && found->ours == found->n)
        reason = mem_printf("no webhook of the repository goes to the orchestrator, and others cannot be "
                            "read: %s",
                            found->unread);
    else if (ret->state == WEBHOOK_EVENTS_MISSING && facts->release_unknown)
        reason = mem_dup(facts->release_unknown);
    if (!reason)
        return;
    free(ret->detail);
    ret->state = WEBHOOK_UNKNOWN;
    ret->detail = reason;
}

void webhook_check(const struct webhook_facts *facts, const struct pipeline *pipeline,
                   struct webhook_verdict *ret)
{
    struct found found = found_make(facts);
    *ret = (struct webhook_verdict){.state = WEBHOOK_OK, .mark = mark_of(&found)};
    judge(&found, facts, pipeline, ret);
    doubt(&found, facts, ret);
    char *detail = text_cut(ret->detail, LIMIT_REASON);
    free(ret->detail);
    ret->detail = detail;
    free(found.items);
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
