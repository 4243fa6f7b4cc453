/* plane_budget.h - how many calls Plane still accepts, from a sliding log of this client's calls and from
 * what answers show about other clients. Private to clients/plane/ and tests. Pure: the clock
 * (clock_mono_ms()) is a parameter.
 *
 * Plane records a call when it takes it and drops it a window later (plane/api/rate_limit.py, which is Django
 * REST framework's SimpleRateThrottle). That moment lies between our sending and its answer, so a call counts
 * here from before it is sent until a window after its answer: this log never holds fewer of the client's
 * calls than Plane's does. X-RateLimit-Remaining shows how many calls of all clients Plane holds. Those that
 * cannot be this client's are the others', and count for a window too. X-RateLimit-Reset is not used: it is
 * always a window from now.
 *
 * Plane's operator sets the limit (API_KEY_RATE_LIMIT) and no answer states it. It is at least the remaining
 * calls plus those that are certainly this client's. The largest such sum of the newest two windows is taken
 * as the limit, up to LIMIT_PLANE_CALLS, and the reserve is the same share of it.
 *
 * Several calls may be under way at once. It is not known how many of them Plane had counted when it
 * answered. So the count in an answer is compared with the calls that were answered before this one was sent:
 * the number left for other clients is then never too small.
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
    int64_t others, others_until_ms; /* calls of others that Plane holds, until then at the latest */
    int64_t seen, seen_before;       /* the most that answers showed of the limit: in this period, in the one
                                        before; 0: nothing yet */
    int64_t seen_since_ms;           /* when this period began */
    int64_t pause_until_ms;          /* as in the last 429 */
    unsigned refusals;               /* 429 in a row; those to calls side by side count once */
    uint64_t refused_at;             /* the event's number of the newest of them */
};

/* budget_take: 0 when no call may be sent now; otherwise counts a call as under way and returns its name.
 * Call it only while fewer than LIMIT_PLANE_ABREAST are under way. `forced`: may use the reserve. */
uint64_t budget_take(struct budget *budget, bool forced, int64_t now_ms);

/* budget_settle: records the answer to the call of that name, which is under way. */
void budget_settle(struct budget *budget, uint64_t name, const struct fetch_answer *answer, int64_t now_ms);

/* budget_wait_ms: milliseconds until budget_take would succeed, if no call is sent before; 0: now.
 * budget_pause_ms: the part of it that a 429 caused. */
int64_t budget_wait_ms(const struct budget *budget, bool forced, int64_t now_ms);
int64_t budget_pause_ms(const struct budget *budget, int64_t now_ms);

/* budget_show: fills in *ret, except waiting_since_us. */
void budget_show(const struct budget *budget, int64_t now_ms, struct plane_budget *ret);

#endif
