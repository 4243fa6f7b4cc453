/* plane_budget.h - how many calls Plane still takes: a sliding log of our own, and what its answers show of
 * others. Private to clients/plane/ and tests. Pure: the clock (clock_mono_ms()) is a parameter.
 *
 * Plane records a call when it takes it and drops it a window later (plane/api/rate_limit.py, which is Django
 * REST framework's SimpleRateThrottle). That moment lies between our sending and its answer, so a call counts
 * here from before it is sent until a window after its answer: our log never holds less of our calls than
 * Plane's does. X-RateLimit-Remaining shows how many of all callers' Plane holds; those that cannot be ours
 * are the others', and count for a window too. X-RateLimit-Reset is not used: it is always a window from now.
 *
 * The limit is the operator's to set (API_KEY_RATE_LIMIT), and no answer names it: it is at least what
 * remains and what is surely ours. The most of that, of the newest two windows, is taken for the limit, up to
 * LIMIT_PLANE_CALLS; and the reserve is the same share of it.
 *
 * Calls may be under way side by side. How many of them Plane held when it gave an answer is not known, so
 * that answer's count is compared with the calls that were answered before this one was sent: what it leaves
 * for others is then never too little.
 *
 * Invariants: at most LIMIT_PLANE_ABREAST calls are under way; after a 429 none is let through before its
 * Retry-After has passed.
 */
#ifndef RECONCILED_PLANE_BUDGET_H
#define RECONCILED_PLANE_BUDGET_H

#include "clients/base/limits.h"
#include "clients/http/fetch.h"
#include "clients/plane/plane.h"

struct budget_call {
    uint64_t sent_at, done_at; /* the event's number; sent_at names the call, done_at is 0 while under way */
    int64_t sent_ms, done_ms;  /* done_ms: INT64_MAX while it is under way */
    bool counted;              /* the answer shows that Plane counted it */
};

struct budget {
    struct budget_call calls[LIMIT_PLANE_CALLS]; /* in the order they were sent */
    size_t n;
    uint64_t events;                 /* calls sent and answers received so far */
    int64_t others, others_until_ms; /* calls of others that Plane holds, at the most until then */
    int64_t seen, seen_before;       /* the most that answers showed of the limit: in this period, in the one
                                        before; 0: nothing yet */
    int64_t seen_since_ms;           /* when this period began */
    int64_t pause_until_ms;          /* as in the last 429 */
    unsigned refusals;               /* 429 in a row; those to calls side by side count once */
    uint64_t refused_at;             /* the event's number of the newest of them */
};

/* budget_take: 0 when no call may be sent now; else one is under way, and this names it. Only when fewer than
 * LIMIT_PLANE_ABREAST are. `forced`: the reserve too. */
uint64_t budget_take(struct budget *budget, bool forced, int64_t now_ms);

/* budget_settle: what became of the call of that name, which is under way. */
void budget_settle(struct budget *budget, uint64_t name, const struct fetch_answer *answer, int64_t now_ms);

/* budget_wait_ms: until budget_take would be true, if no call comes before; 0: now. budget_pause_ms: the part
 * of it that a 429 imposed. */
int64_t budget_wait_ms(const struct budget *budget, bool forced, int64_t now_ms);
int64_t budget_pause_ms(const struct budget *budget, int64_t now_ms);

/* budget_show: all of *ret but waiting_since_us. */
void budget_show(const struct budget *budget, int64_t now_ms, struct plane_budget *ret);

#endif
