#include "clients/plane/plane_budget.h"

#include <assert.h>
#include <string.h>

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

/* The limit that is assumed. A lower limit and calls of others look the same at first. After a window, Plane
 * holds no earlier call of others, so the value that was seen is then the limit. */
static int64_t limit_of(const struct budget *budget)
{
    int64_t seen = budget->seen > budget->seen_before ? budget->seen : budget->seen_before;
    return budget->seen_before > 0 ? seen : LIMIT_PLANE_CALLS;
}

/* The same share of a lower limit, rounded up, but not more than two thirds of what others leave. */
static int64_t reserve_at(const struct budget *budget, int64_t at_ms)
{
    int64_t limit = limit_of(budget), rest = limit - (at_ms < budget->others_until_ms ? budget->others : 0);
    int64_t reserve = (limit * LIMIT_PLANE_RESERVE + LIMIT_PLANE_CALLS - 1) / LIMIT_PLANE_CALLS;
    return reserve < rest * 2 / 3 ? reserve : rest * 2 / 3;
}

static int64_t allowed_at(const struct budget *budget, bool forced, int64_t at_ms)
{
    return limit_of(budget) - (forced ? 0 : reserve_at(budget, at_ms));
}

int64_t budget_pause_ms(const struct budget *budget, int64_t now_ms)
{
    return now_ms < budget->pause_until_ms ? budget->pause_until_ms - now_ms : 0;
}

/* The next moment after `at_ms` at which an entry expires. There is one while any is held. */
static int64_t next_expiry_ms(const struct budget *budget, int64_t now_ms, int64_t at_ms)
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
    while (held_at(budget, now_ms, at_ms) >= allowed_at(budget, forced, at_ms))
        at_ms = next_expiry_ms(budget, now_ms, at_ms);
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

static size_t count_under_way(const struct budget *budget)
{
    size_t n = 0;
    for (size_t i = 0; i < budget->n; i++)
        n += budget->calls[i].done_at == 0;
    return n;
}

uint64_t budget_take(struct budget *budget, bool forced, int64_t now_ms)
{
    calls_forget(budget, now_ms);
    assert(count_under_way(budget) < LIMIT_PLANE_ABREAST);
    if (budget_wait_ms(budget, forced, now_ms) > 0)
        return 0;
    assert(budget->n < LIMIT_PLANE_CALLS);
    budget->calls[budget->n++] =
        (struct budget_call){.sent_at = ++budget->events, .sent_ms = now_ms, .done_ms = INT64_MAX};
    return budget->events;
}

/* Plane's log does not keep a refused call. How many calls of others it holds is not known when the pause is
 * over; the next answer shows it. If a call is refused again although the pause was kept, the estimate is
 * wrong (other clients take each free call, or the window is longer), so the pause doubles. */
static void settle_refused(struct budget *budget, uint64_t sent_at, int64_t retry_after_s, int64_t now_ms)
{
    int64_t pause_ms = retry_after_s >= 0 ? retry_after_s * 1000 + MARGIN_MS : WINDOW_MS;
    if (sent_at > budget->refused_at)
        budget->refusals++;
    for (unsigned i = 1; i < budget->refusals && pause_ms < LIMIT_RETRY_AFTER_S * INT64_C(500); i++)
        pause_ms *= 2;
    budget->refused_at = budget->events;
    budget->others = 0;
    if (budget->pause_until_ms < now_ms + pause_ms)
        budget->pause_until_ms = now_ms + pause_ms;
}

/* Records the limit that this answer shows, in two periods of a window each, so that a lowered limit is
 * detected too. */
static void limit_learn(struct budget *budget, int64_t shown, int64_t now_ms)
{
    if (budget->seen > 0 && now_ms - budget->seen_since_ms >= WINDOW_MS) {
        budget->seen_before = budget->seen;
        budget->seen = 0;
    }
    if (budget->seen == 0)
        budget->seen_since_ms = now_ms;
    if (budget->seen < shown)
        budget->seen = shown < LIMIT_PLANE_CALLS ? shown : LIMIT_PLANE_CALLS;
}

/* Plane accepted the call and now holds limit - `remaining` calls, including this one. This client's calls
 * certainly among them are those that Plane counted, that were sent within the window and that were answered
 * before this one was sent. The rest are calls of others. */
static void settle_taken(struct budget *budget, const struct budget_call *taken, int64_t remaining,
                         int64_t now_ms)
{
    int64_t ours = 0;
    for (size_t i = 0; i < budget->n; i++) {
        const struct budget_call *call = &budget->calls[i];
        bool surely = call == taken || (call->counted && call->done_at < taken->sent_at);
        ours += surely && now_ms - call->sent_ms < LIMIT_PLANE_WINDOW_MS - MARGIN_MS;
    }
    if (remaining > LIMIT_PLANE_CALLS)
        remaining = LIMIT_PLANE_CALLS;
    limit_learn(budget, remaining + ours, now_ms);
    int64_t others = limit_of(budget) - remaining - ours;
    budget->others = others > 0 ? others : 0;
    budget->others_until_ms = now_ms + WINDOW_MS;
}

static struct budget_call *call_named(struct budget *budget, uint64_t name)
{
    size_t at = 0;
    while (at < budget->n && budget->calls[at].sent_at != name)
        at++;
    assert(at < budget->n && budget->calls[at].done_at == 0);
    return &budget->calls[at];
}

static void call_drop(struct budget *budget, struct budget_call *call)
{
    size_t behind = budget->n - (size_t)(call - budget->calls) - 1;
    memmove(call, call + 1, behind * sizeof *call);
    budget->n--;
}

void budget_settle(struct budget *budget, uint64_t name, const struct fetch_answer *answer, int64_t now_ms)
{
    struct budget_call *call = call_named(budget, name);
    if (answer->result == FETCH_UNREACHABLE || answer->result == FETCH_NOT_ASKED) {
        call_drop(budget, call); /* it never got there */
        return;
    }
    call->done_ms = now_ms;
    call->done_at = ++budget->events;
    if (answer->result != FETCH_ANSWERED)
        return; /* Plane may have counted it */
    if (answer->status == 429) {
        call_drop(budget, call);
        settle_refused(budget, name, answer->retry_after_s, now_ms);
        return;
    }
    if (name > budget->refused_at)
        budget->refusals = 0;
    if (answer->ratelimit_remaining >= 0) {
        call->counted = true;
        settle_taken(budget, call, answer->ratelimit_remaining, now_ms);
    }
}

void budget_show(const struct budget *budget, int64_t now_ms, struct plane_budget *ret)
{
    int64_t left = allowed_at(budget, false, now_ms) - held_at(budget, now_ms, now_ms);
    int64_t pause_ms = budget_pause_ms(budget, now_ms);
    int64_t seen = budget->seen > budget->seen_before ? budget->seen : budget->seen_before;
    ret->limit = seen > 0 ? seen : LIMIT_PLANE_CALLS;
    ret->reserve = reserve_at(budget, now_ms);
    ret->left = left > 0 && pause_ms == 0 ? left : 0;
    ret->retry_after_s = (pause_ms + 999) / 1000;
    ret->next_s = (budget_wait_ms(budget, false, now_ms) + 999) / 1000;
}
