/* plane.h - what we ask of Plane (REST API v1), one call at a time and within its budget.
 *
 * Plane allows 60 calls a minute per key, or as many as its API_KEY_RATE_LIMIT sets, shared by all users of
 * that key (plane/api/rate_limit.py; a sliding log). The client keeps the same log of its own calls, believes
 * the server where that knows of more (X-RateLimit-Remaining, 429 with Retry-After), and sends nothing that
 * would be refused: such a call returns PLANE_WAITING at once. A call never waits for budget. A sixth of the
 * calls of each minute is kept for passes that a person asked for (plane_call.forced). Calls of all threads
 * go one after the other: what an answer shows of the budget is known before anything else is sent, and one
 * refusal is never followed by another before its time. Only plane_probe sends up to LIMIT_PLANE_ABREAST side
 * by side. Every call is one exchange; none is repeated.
 *
 * A call that fails concerns its issue or its project alone. Plane as a whole is down by the rule of
 * upstream_health.h, whose parts are the projects; then one pass gets UPSTREAM_PROBES calls through, each to
 * another project, until one succeeds. The rest is PLANE_SPARED.
 *
 * Answers get different words; what cannot be understood is PLANE_FAILED, never a guess. Sources are
 * in plane*.c. Thread-safe but for struct plane_call, which belongs to one thread.
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

/* plane_new: `base_url` NULL or "" gives a Plane that is not configured, of which every call is PLANE_FAILED.
 * `api_token` may be NULL (every call is then refused, in words). `workspace` is a slug, percent-encoded into
 * paths as it is. `names` must outlive the client. ERR_INVALID: no http(s) URL, one with a user name in it, a
 * missing workspace beside a URL, or a token that no header can carry. Free with plane_free. */
struct upstream_names;
ATTR_NODISCARD enum err plane_new(const char *base_url, const char *api_token, const char *workspace,
                                  const struct upstream_names *names, struct plane **ret, struct why *why);
void plane_free(struct plane *plane);
bool plane_configured(const struct plane *plane);

/* plane_health: by project id, in lower case. A page or an object that was understood is a success; a 404 of
 * a single thing too. A 429 and a call that was stopped do not count. It lives as long as `plane`. */
struct upstream_health *plane_health(const struct plane *plane);

/* plane_budget: the state of the sliding log now. `limit` is what Plane's answers have shown of its limit;
 * LIMIT_PLANE_CALLS before the first. `left` counts what a timed pass may still
 * send. `retry_after_s`: how long the server asked to wait, from now; 0: it did not. Thread-safe. */
struct plane_budget {
    int64_t limit, reserve, left;
    int64_t retry_after_s;
    int64_t next_s;           /* until `left` is above 0, as far as is known; 0: it is */
    int64_t waiting_since_us; /* wall clock: since then calls of timed passes have been turned
                                 away; 0: the last one was sent */
};
void plane_budget(struct plane *plane, struct plane_budget *ret);

/* plane_records_api_changes: false once this Plane is known to be older than v1.1.0: it has issues/ but no
 * work-items/, and its activities lack changes of state that were made with an API key. Thread-safe. */
bool plane_records_api_changes(struct plane *plane);

/* plane_skew_measure: Plane's clock by the Date of its newest answer, against the database's, which showed
 * db_now_us at db_ms (clock_mono_ms()). Nothing when the newest Date is older than LIMIT_DATE_MS. Less than
 * LIMIT_SKEW_S counts as none. plane_skew_us: as it was measured last; by so much Plane's instants are later
 * than the database's. plane_clock_is_off: by more than LIMIT_CLOCK_SLACK_S. */
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
    int64_t wait_s; /* of the newest question that came to PLANE_WAITING: until it may be asked again */
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
    PLANE_SPARED,  /* not sent: Plane is down, and this pass has tried what it may */
    PLANE_FAILED,  /* a refusal or an unusable answer: 401, 403, 404 of a project, 400, nonsense */
    PLANE_STOPPED, /* the process ends, or the deadline has passed: does not count against Plane */
};
/* Every result but PLANE_OK fills `why`, which is never NULL, and leaves *ret alone: "Plane refused the API
 * key (403: Given API token is not valid)". */

/* plane_in_use: a pass is going to ask about the project, which counts by the rule of upstream_health.h. */
void plane_in_use(struct plane *plane, const char *project_id);

/* plane_probe: asks up to UPSTREAM_PROBES of these projects something cheap, side by side, those that worked
 * last first. True: Plane was down and is up again. Nothing when it is not down, or when this pass has probed
 * it before. */
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
/* plane_states: all states of a project, over all pages. An archived project has none: PLANE_OK with n == 0.
 */
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
 * Asks `work-items/`, and `issues/` of a server that is too old for it (before v1.1.0), and keeps to it. Rows
 * may stand on two pages, or on none, when they move while pages are read. */
ATTR_NODISCARD enum plane_result plane_issues(struct plane_call *call, const char *project_id, size_t page,
                                              struct plane_page *ret, struct why *why);

/* One issue as it is now; PLANE_ABSENT when it was deleted, archived or made a draft. */
ATTR_NODISCARD enum plane_result plane_issue(struct plane_call *call, const char *project_id,
                                             const char *issue_id, struct plane_issue *ret, struct why *why);
void plane_issue_done(struct plane_issue *issue);

/* plane_issue_document: the issue as Plane answers it, whole, with state, labels, assignees and created_by
 * expanded, for an event. More than one label or assignee takes a second call, for their order
 * (event_plane_order). Caller owns *ret. */
ATTR_NODISCARD enum plane_result plane_issue_document(struct plane_call *call, const char *project_id,
                                                      const char *issue_id, json_t **ret, struct why *why);

/* The newest change of an issue's state: the identity of a verdict. `at_us` is the moment of the change (the
 * row's `epoch`, whole seconds rounded down, else its created_at, which is later and finer), and the newest
 * is the one with the latest: rows are written by a queue, and not always in order. found is false when no
 * activity is of any (an issue created in that state, one that is gone, or a row not written yet). */
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
/* plane_last_change_from: the same for one call a page of activities, from page *page on, which is 0 at
 * first. When it ends before it has an answer, *page is where the next question about the issue goes on,
 * provided that the issue's updated_at is still the same. */
ATTR_NODISCARD enum plane_result plane_last_change_from(struct plane_call *call, const char *project_id,
                                                        const char *issue_id, size_t *page,
                                                        struct plane_change *ret, struct why *why);

#endif
