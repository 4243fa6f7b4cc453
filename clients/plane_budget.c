#include "clients/plane_budget.h"

#include <assert.h>

/* Clocks that do not run quite alike, and seconds that were rounded. */
#define MARGIN_MS 1000
#define WINDOW_MS (LIMIT_PLANE_WINDOW_MS + MARGIN_MS)

/* A call under way ends no earlier than now. */
static int64_t call_until_ms(const struct budget_call *call, int64_t now_ms)
{
    return (call->done_ms == INT64_MAX ? now_ms : call->done_ms) + WINDOW_MS;
}

/* Calls that Plane may still hold at a time to come, as known now. */
static int64_t held_at(const struct budget *budget, int64_t now_ms, int64_t at_ms)
{
    int64_t held = at_ms < budget->others_until_ms ? budget->others : 0;
    for (size_t i = 0; i < budget->n; i++)
        held += at_ms < call_until_ms(&budget->calls[i], now_ms);
    return held;
}

static int64_t allowed(bool forced)
{
    return forced ? LIMIT_PLANE_CALLS : LIMIT_PLANE_CALLS - LIMIT_PLANE_RESERVE;
}

int64_t budget_pause_ms(const struct budget *budget, int64_t now_ms)
{
    return now_ms < budget->pause_until_ms ? budget->pause_until_ms - now_ms : 0;
}

/* The next moment after `at_ms` at which something is forgotten. There is one while anything is held. */
static int64_t next_forgotten_ms(const struct budget *budget, int64_t now_ms, int64_t at_ms)
{
    int64_t next_ms = INT64_MAX;
    if (budget->others_until_ms > at_ms)
        next_ms = budget->others_until_ms;
    for (size_t i = 0; i < budget->n; i++) {
        int64_t until_ms = call_until_ms(&budget->calls[i], now_ms);
        if (until_ms > at_ms && until_ms < next_ms)
            next_ms = until_ms;
    }
    return next_ms;
}

int64_t budget_wait_ms(const struct budget *budget, bool forced, int64_t now_ms)
{
    int64_t at_ms = now_ms + budget_pause_ms(budget, now_ms);
    while (held_at(budget, now_ms, at_ms) >= allowed(forced))
        at_ms = next_forgotten_ms(budget, now_ms, at_ms);
    return at_ms - now_ms;
}

static void calls_forget(struct budget *budget, int64_t now_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < budget->n; i++)
        if (now_ms < call_until_ms(&budget->calls[i], now_ms))
            budget->calls[kept++] = budget->calls[i];
    budget->n = kept;
}

bool budget_take(struct budget *budget, bool forced, int64_t now_ms)
{
    calls_forget(budget, now_ms);
    if (budget_wait_ms(budget, forced, now_ms) > 0)
        return false;
    assert(budget->n < LIMIT_PLANE_CALLS);
    assert(budget->n == 0 || budget->calls[budget->n - 1].done_ms != INT64_MAX);
    budget->calls[budget->n++] = (struct budget_call){.sent_ms = now_ms, .done_ms = INT64_MAX};
    return true;
}

/* Nothing of a refused call stays in Plane's log. How many calls of others it holds is as good as unknown by
 * the time that the pause is over: the next answer tells. A refusal right after another says that our picture
 * is wrong (others take what becomes free, or the window is another than we think), so the pause doubles. */
static void settle_refused(struct budget *budget, int64_t retry_after_s, int64_t now_ms)
{
    int64_t pause_ms = retry_after_s >= 0 ? retry_after_s * 1000 + MARGIN_MS : WINDOW_MS;
    for (unsigned i = 0; i < budget->refusals && pause_ms < LIMIT_RETRY_AFTER_S * INT64_C(500); i++)
        pause_ms *= 2;
    budget->n--;
    budget->refusals++;
    budget->others = 0;
    budget->pause_until_ms = now_ms + pause_ms;
}

/* Plane took the call and holds LIMIT_PLANE_CALLS - remaining, this one with them. Of ours those are surely
 * among them that it counted and that were sent within the window; what is left is the others'. A limit that
 * is set lower than usual looks like others' calls, and is kept as well. */
static void settle_taken(struct budget *budget, int64_t remaining, int64_t now_ms)
{
    int64_t ours = 0;
    for (size_t i = 0; i < budget->n; i++)
        ours +=
            budget->calls[i].counted && now_ms - budget->calls[i].sent_ms < LIMIT_PLANE_WINDOW_MS - MARGIN_MS;
    int64_t others = LIMIT_PLANE_CALLS - remaining - ours;
    budget->others = others > 0 ? others : 0;
    budget->others_until_ms = now_ms + WINDOW_MS;
}

void budget_settle(struct budget *budget, const struct fetch_answer *answer, int64_t now_ms)
{
    assert(budget->n > 0);
    struct budget_call *call = &budget->calls[budget->n - 1];
    assert(call->done_ms == INT64_MAX);
    if (answer->result == FETCH_UNREACHABLE || answer->result == FETCH_NOT_ASKED) {
        budget->n--; /* it never got there */
        return;
    }
    call->done_ms = now_ms;
    if (answer->result != FETCH_ANSWERED)
        return; /* Plane may have counted it */
    if (answer->status == 429) {
        settle_refused(budget, answer->retry_after_s, now_ms);
        return;
    }
    budget->refusals = 0;
    if (answer->ratelimit_remaining >= 0) {
        call->counted = true;
        settle_taken(budget, answer->ratelimit_remaining, now_ms);
    }
}

void budget_show(const struct budget *budget, int64_t now_ms, struct plane_budget *ret)
{
    int64_t left = allowed(false) - held_at(budget, now_ms, now_ms);
    int64_t pause_ms = budget_pause_ms(budget, now_ms);
    ret->limit = LIMIT_PLANE_CALLS;
    ret->reserve = LIMIT_PLANE_RESERVE;
    ret->left = left > 0 && pause_ms == 0 ? left : 0;
    ret->retry_after_s = (pause_ms + 999) / 1000;
    ret->next_s = (budget_wait_ms(budget, false, now_ms) + 999) / 1000;
}
