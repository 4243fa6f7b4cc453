/* plane.h - what we ask of Plane (REST API v1), one call at a time and within its budget.
 *
 * Plane allows 60 calls a minute per key, or as many as its API_KEY_RATE_LIMIT sets, shared by all users of
 * that key (plane/api/rate_limit.py; a sliding log). The client keeps the same log of its own calls, and
 * corrects it when the server counts more (X-RateLimit-Remaining, 429 with Retry-After). A call that Plane
 * would refuse is not sent: it returns PLANE_WAITING at once, and never waits for budget. A sixth of the
 * calls of each minute is reserved for passes that a person asked for (plane_call.forced). Calls of all
 * threads are sent one after the other, so that the budget shown by one answer is known before the next call,
 * and after a 429 no call is sent before its Retry-After. Only plane_probe sends up to LIMIT_PLANE_ABREAST
 * calls at the same time. Every call is one exchange; none is repeated.
 *
 * A call that fails concerns only its issue or project. Plane as a whole is down by the rule of
 * upstream_health.h, whose parts are the projects. While it is down, a pass may send UPSTREAM_PROBES calls,
 * each about another project, until one succeeds; its other calls return PLANE_SPARED.
 *
 * An answer that cannot be understood is PLANE_FAILED, never a guess. Sources are in plane*.c. Thread-safe,
 * except that a struct plane_call belongs to one thread.
 */
#ifndef RECONCILED_PLANE_H
#define RECONCILED_PLANE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"
#include "clients/base/text.h"
#include "clients/http/upstream_health.h"

struct fetch;
struct plane;

/* plane_new: if `base_url` is NULL or "", Plane is not configured and every call returns PLANE_FAILED.
 * `api_token` may be NULL (every call then fails, with the reason). `workspace` is a slug; paths contain it
 * percent-encoded. `names` must outlive the client. ERR_INVALID: no http(s) URL, one with a user name in it,
 * a missing workspace beside a URL, or a token that no header can carry. Free with plane_free. */
struct upstream_names;
ATTR_NODISCARD enum err plane_new(const char *base_url, const char *api_token, const char *workspace,
                                  const struct upstream_names *names, struct plane **ret, struct why *why);
void plane_free(struct plane *plane);
bool plane_configured(const struct plane *plane);

/* plane_health: by project id, in lower case. A page or an object that was understood counts as a success,
 * and so does a 404 for a single object. A 429 and a stopped call do not count. It lives as long as `plane`.
 */
struct upstream_health *plane_health(const struct plane *plane);

/* plane_budget: the present state of the sliding log. `limit` is Plane's limit as far as its answers have
 * shown it; LIMIT_PLANE_CALLS before the first. `left` is the number of calls that a timed pass may still
 * send. `retry_after_s`: how long the server asked to wait, from now; 0: it did not. Thread-safe. */
struct plane_budget {
    int64_t limit, reserve, left;
    int64_t retry_after_s;
    int64_t next_s;           /* seconds until `left` is above 0, as far as is known; 0: it is */
    int64_t waiting_since_us; /* wall clock: since when calls of timed passes are not sent; 0: the last one
                                 was sent */
};
void plane_budget(struct plane *plane, struct plane_budget *ret);

/* plane_records_api_changes: false once this Plane is known to be older than v1.1.0: it has issues/ but no
 * work-items/, and its activities lack changes of state that were made with an API key. Thread-safe. */
bool plane_records_api_changes(struct plane *plane);

/* plane_skew_measure: compares Plane's clock, by the Date of its newest answer, with the database's, which
 * was db_now_us at db_ms (clock_mono_ms()). Does nothing if that Date is older than LIMIT_DATE_MS. A
 * difference below LIMIT_SKEW_S counts as none. plane_skew_us: the difference as measured last; positive if
 * Plane's clock is ahead. plane_clock_is_off: the difference is more than LIMIT_CLOCK_SLACK_S. */
void plane_skew_measure(struct plane *plane, int64_t db_now_us, int64_t db_ms);
int64_t plane_skew_us(struct plane *plane);
bool plane_clock_is_off(struct plane *plane);

/* One pass's calls. plane_call_begin / _end: a call under way ends at deadline_ms (clock_mono_ms()) and when
 * `fetch` is stopped. */
struct plane_call {
    struct plane *plane;
    struct fetch *fetch;
    struct fetch_inbox *inbox;
    bool forced; /* may use the reserve */
    int64_t deadline_ms;
    size_t sent;    /* exchanges so far */
    bool refused;   /* the newest question was answered with 429 */
    int64_t wait_s; /* of the newest PLANE_WAITING: seconds until the call may be sent again */
    uint64_t pass;  /* fetch_pass(); private */
    bool probed;    /* plane_probe has asked; private */
};
void plane_call_begin(struct plane_call *call, struct plane *plane, struct fetch *fetch, bool forced,
                      int64_t deadline_ms);
void plane_call_end(struct plane_call *call);

enum plane_result {
    PLANE_OK,
    PLANE_ABSENT,  /* Plane has no such issue */
    PLANE_WAITING, /* not sent, or refused with 429: the budget is used up; a later pass may ask again */
    PLANE_DOWN,    /* no answer, or 5xx, to this call */
    PLANE_SPARED,  /* not sent: Plane is down, and this pass has used its probes */
    PLANE_FAILED,  /* a refusal or an unusable answer: 401, 403, 404 of a project, 400, nonsense */
    PLANE_STOPPED, /* the process is stopping, or the deadline has passed: does not affect Plane's health */
};
/* `why` is never NULL. Every result except PLANE_OK fills it and does not change *ret: "Plane refused the API
 * key (403: Given API token is not valid)". */

/* plane_in_use: a pass will ask about the project; upstream_health.h then counts it as in use. */
void plane_in_use(struct plane *plane, const char *project_id);

/* plane_probe: sends a cheap call about up to UPSTREAM_PROBES of these projects, at the same time, starting
 * with those that worked last. True: Plane was down and is up again. Does nothing if Plane is not down or
 * this pass has probed it before. */
bool plane_probe(struct plane_call *call, const char *const *project_ids, size_t n);

struct plane_state {
    char id[UUID_TEXT_LEN + 1]; /* lower case */
    char *name;
};
struct plane_states {
    struct plane_state *items;
    size_t n;
};
void plane_states_done(struct plane_states *states);
/* plane_states: all states of a project, over all pages. For an archived project: PLANE_OK with n == 0. */
ATTR_NODISCARD enum plane_result plane_states(struct plane_call *call, const char *project_id,
                                              struct plane_states *ret, struct why *why);

/* plane_check: reads the states of these projects, one after the other, until some cannot be read or
 * `judge(states, arg)` returns a problem. Returns NULL when there was none, else "acme/app: " and the
 * problem; caller frees, as plane_check frees what `judge` returns. */
struct plane_project {
    const char *about; /* what the project is called in the problem */
    const char *id;
};
typedef char *plane_states_judge_fn(const struct plane_states *states, const void *arg);
char *plane_check(struct plane *plane, struct fetch *fetch, const struct plane_project *projects, size_t n,
                  plane_states_judge_fn *judge, const void *arg);

struct plane_issue {
    char id[UUID_TEXT_LEN + 1];    /* lower case */
    char state[UUID_TEXT_LEN + 1]; /* lower case; "" when it has none */
    char *name;                    /* valid UTF-8; never NULL */
    int64_t sequence;              /* the number in PREFIX-number */
    int64_t updated_us;
};
/* A row that cannot be read. */
struct plane_odd_row {
    char id[UUID_TEXT_LEN + 1]; /* lower case; "" when it has none */
    const char *wrong;          /* "an issue without a number" */
};
struct plane_page {
    struct plane_issue *items;
    size_t n;
    struct plane_odd_row *odd;
    size_t n_odd;
    bool more;     /* next_page_results */
    int64_t total; /* total_count at the time of this page; -1 when not given */
};
void plane_page_done(struct plane_page *page);
/* plane_issues: one page (from 0, LIMIT_PLANE_PAGE rows each) of a project's issues, the most recently
 * updated first. An invalid row (no id, no number, no time, of another project) is skipped and is in `odd`.
 * Asks `work-items/`; if the server is too old for that (before v1.1.0), asks `issues/` from then on. A row
 * may be on two pages, or on none, when rows move while pages are read. */
ATTR_NODISCARD enum plane_result plane_issues(struct plane_call *call, const char *project_id, size_t page,
                                              struct plane_page *ret, struct why *why);

/* One issue as it is now; PLANE_ABSENT when it was deleted, archived or made a draft. */
ATTR_NODISCARD enum plane_result plane_issue(struct plane_call *call, const char *project_id,
                                             const char *issue_id, struct plane_issue *ret, struct why *why);
void plane_issue_done(struct plane_issue *issue);

/* plane_issue_document: Plane's whole answer about the issue, with state, labels, assignees and created_by
 * expanded, for an event. If there is more than one label or assignee, a second call reads their order
 * (event_plane_order). Caller owns *ret. */
ATTR_NODISCARD enum plane_result plane_issue_document(struct plane_call *call, const char *project_id,
                                                      const char *issue_id, json_t **ret, struct why *why);

/* The newest change of an issue's state: the identity of a verdict. `at_us` is the moment of the change (the
 * row's `epoch`, whole seconds rounded down, else its created_at, which is later and finer), and the newest
 * change is the one with the latest at_us, because a queue writes the rows, not always in order. `found` is
 * false when no activity is a change of state (the issue was created in its state, it is gone, or the row is
 * not written yet). */
struct plane_change {
    bool found;
    char id[UUID_TEXT_LEN + 1];        /* of the activity; lower case */
    char new_state[UUID_TEXT_LEN + 1]; /* lower case; "" when the row does not have it */
    char old_state[UUID_TEXT_LEN + 1]; /* as new_state */
    char *actor;                       /* JSON text: who did it, as Plane shows a person; NULL: not known */
    int64_t at_us, created_us;
};
/* plane_change_done: frees what it holds, and empties it. */
void plane_change_done(struct plane_change *change);
ATTR_NODISCARD enum plane_result plane_last_change(struct plane_call *call, const char *project_id,
                                                   const char *issue_id, struct plane_change *ret,
                                                   struct why *why);
/* plane_last_change_from: the same, from page *page of the activities on (0 at first), with one call per
 * page. If it ends without an answer, *page is the page to continue at, provided that the issue's updated_at
 * is still the same. */
ATTR_NODISCARD enum plane_result plane_last_change_from(struct plane_call *call, const char *project_id,
                                                        const char *issue_id, size_t *page,
                                                        struct plane_change *ret, struct why *why);

#endif
