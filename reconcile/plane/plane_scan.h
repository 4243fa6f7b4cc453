/* plane_scan.h - the issues in Plane that matter, read within its budget and kept between passes.
 *
 * Plane cannot be asked for the issues of a state, only for all of a project, newest change first. So each
 * project has two listings, both of which go on in the next pass where the budget ended this one: the *news*,
 * once a pass, down to the watermark less an overlap; and the *full* listing, at the start and every
 * LIMIT_PLANE_FULL_S, for issues that moved without a new time. Projects take turns, one call each, and the
 * one that waited longest comes first, so that a large project does not starve the others.
 *
 * Invariant: every issue that Plane showed in one of the three states is in the table of open issues until it
 * is settled, and the watermark never moves past an issue that found no room there. So the watermark may move
 * on although an issue is young, busy or held: every pass looks at the issues in the table, which costs no
 * call while they wait, and Plane confirms an issue before anything is done about it. Settled issues are
 * dropped, except for those whose verdict was acted on before: finding that out cost a call, so they are kept
 * until they change.
 *
 * A call that fails delays only its own subject. An issue that cannot be asked about rests for a growing
 * pause. A project that cannot be read is not read again in this pass and rests too; its known issues are
 * still looked at until a call about one of them fails as well. What failed most recently is asked last.
 * Reading takes at most half of the pass's time, so that time for single issues is left when projects hang.
 *
 * A row that cannot be read is skipped and counted, and the watermark moves past it: otherwise every pass
 * would have to read all pages above it again. Once the row can be read, the news shows it if its time is
 * new, else the next full listing does.
 *
 * A page that fails makes no issue "gone": the listing stays at that page. An issue is gone only when Plane,
 * asked for it alone, shows that. Everything is kept in memory only: after a restart everything is listed
 * again. One thread.
 */
#ifndef RECONCILED_PLANE_SCAN_H
#define RECONCILED_PLANE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/plane/plane.h"
#include "reconcile/plane/plane_state_map.h"

struct plane_scan;
struct project;
struct settings;
struct why;

struct plane_scan *plane_scan_new(const struct settings *settings);
/* plane_scan_copy: for a pass that must leave no trace. */
struct plane_scan *plane_scan_copy(const struct plane_scan *scan);
/* plane_scan_free: NULL is fine. */
void plane_scan_free(struct plane_scan *scan);

/* An issue in one of the three states, as Plane showed it last. */
struct open_issue {
    const struct project *project;
    struct plane_issue issue;
    enum issue_meaning meaning;
    int64_t since_us; /* its updated_us when Plane first showed it in this state: the state was set then or
                         earlier */
    char *state_name;
    uint64_t shown_at;          /* the turn in which Plane showed it; private */
    struct plane_change change; /* what made its state what it is; valid when activity_known */
    bool activity_known;
    size_t activity_page; /* where the search for it goes on; private */
    bool settled;         /* nothing to do until it changes: dropped at the end of the pass */
    bool
        acted_on; /* its verdict led to a transition before: kept, and not looked at again until it changes */
    unsigned misses;       /* how often it was looked at without a result */
    int64_t recheck_at_ms; /* not looked at by the timer until then */
    bool failed;           /* the newest call about it failed */
    /* Of this pass: */
    bool confirmed; /* Plane has shown it; else to be confirmed before anything is done */
    bool gone;      /* it has left the three states, or was deleted: leave it */
    bool no_budget; /* a call about it was not made because budget or time ran out */
    bool useless;   /* a call about it failed, or its answer cannot be used */
    char *error;    /* why Plane could not be asked about it, or why the answer is useless; else NULL */
};

/* plane_scan_lease: records whether this replica asks Plane by timer. plane_scan_leased: the last recorded
 * value. */
void plane_scan_lease(struct plane_scan *scan, bool ours);
bool plane_scan_leased(const struct plane_scan *scan);

/* plane_scan_clock: notes whether Plane's clock is off; true when it was not known to be so before. */
bool plane_scan_clock(struct plane_scan *scan, bool off);

/* plane_scan_begin: a pass begins. */
struct plane_scan_pass {
    int64_t now_ms;      /* clock_mono_ms() */
    int64_t revision;    /* of the settings: when it changes, every rest ends */
    int64_t interval_ms; /* between passes */
    bool forced;         /* no project rests */
};
void plane_scan_begin(struct plane_scan *scan, const struct plane_scan_pass *pass);
/* plane_scan_read: reads news and full listings as far as the pass's budget and half of its time allow,
 * except for late projects. A project is late when reading it failed the last time, until it has waited for
 * long. plane_scan_read_late: reads the late ones; call it when everything about the other projects is done.
 */
void plane_scan_read(struct plane_scan *scan, struct plane_call *call);
void plane_scan_read_late(struct plane_scan *scan, struct plane_call *call);
/* plane_scan_read_states: reads the states of projects, to find what listings of issues do not show: a state
 * that was deleted or renamed, a project that was archived. Reads each project whose states are older than
 * LIMIT_PLANE_AGAIN_MS, as long as more than half of the budget is left. Call it last, once in a pass. */
void plane_scan_read_states(struct plane_scan *scan, struct plane_call *call);
bool plane_scan_is_late(const struct plane_scan *scan, const struct project *project);

/* plane_scan_read_one: reads one issue alone, and the project's states where they are older than
 * LIMIT_PLANE_STATES_MS. Texts and `open` belong to the scan and are valid until its next call. */
struct plane_scan_one {
    const char *error;      /* why it could not be read; NULL: it was, or Plane has no such issue */
    bool found;             /* Plane showed it: */
    const char *state_name; /* NULL: Plane's list of states has none of that id */
    enum issue_meaning meaning;
    int64_t updated_us;
    const char *problem; /* which of the three states the project lacks; NULL: none */
    struct open_issue *
        open; /* its entry in the table of open issues, even if it could not be read now; NULL: it has none */
};
void plane_scan_read_one(struct plane_scan *scan, struct plane_call *call, const struct project *project,
                         const char *issue_id, struct plane_scan_one *ret);

/* plane_scan_issues: the issues to look at: all open ones; those that rest only if `resting`. Caller frees
 * *ret_issues; what it points to is valid until plane_scan_end. */
size_t plane_scan_issues(const struct plane_scan *scan, bool resting, struct open_issue ***ret_issues);

/* plane_scan_confirm: asks Plane to confirm the issues that are not confirmed yet, by a listing or one by
 * one, whichever is expected to take fewer calls. Afterwards each issue is confirmed (its state may have
 * changed), gone, or unconfirmed because Plane could not be asked. */
void plane_scan_confirm(struct plane_scan *scan, struct plane_call *call, struct open_issue *const *issues,
                        size_t n);

/* plane_scan_identify: asks which change set the issue's state, unless that is known and the issue is
 * confirmed. If the newest change is the known one, the issue is confirmed too. False: Plane could not be
 * asked, and the issue's error is the reason. activity_known stays false when Plane shows no change that set
 * this state. */
bool plane_scan_identify(struct plane_scan *scan, struct plane_call *call, struct open_issue *issue);

/* plane_scan_recheck_later: the issue was looked at without a result; the timer leaves it alone for a growing
 * pause. The pause is at most ten intervals; if a call failed, at most one interval or LIMIT_FAILURE_REST_MS,
 * whichever is longer. */
enum plane_recheck_cause { PLANE_RECHECK_USELESS, PLANE_RECHECK_FAILED };
void plane_scan_recheck_later(const struct plane_scan *scan, struct open_issue *issue,
                              enum plane_recheck_cause cause);

/* plane_scan_tired: several calls about issues of the project have failed in this pass; other projects come
 * first. */
bool plane_scan_tired(const struct plane_scan *scan, const struct project *project);

/* plane_scan_end: drops what is settled or gone. What was seen: */
struct plane_scan_seen {
    size_t projects; /* asked in this pass, or tried to */
    size_t rows;     /* of issues that were read */
    size_t errors;   /* projects that could not be read as they should */
    size_t odd;      /* rows that could not be read, as far as they are known */
    size_t waiting;  /* projects and single issues that wait for budget or time */
    size_t waiting_projects;
    bool wait_begins, wait_ends; /* some wait now and none did after the previous pass; the reverse */
    char wait_reason[256];
    size_t broke;    /* projects that could be read before, and now not */
    bool recovered;  /* all projects can be read now, and before not all could */
    char error[256]; /* of one that broke in this pass, else of any with an error */
};
void plane_scan_end(struct plane_scan *scan, struct plane_scan_seen *ret);

/* plane_scan_odd: the next row that cannot be read and was not returned before; false: there is none. */
struct plane_scan_odd {
    const struct project *project;
    struct plane_odd_row row;
};
bool plane_scan_odd(struct plane_scan *scan, struct plane_scan_odd *ret);

/* plane_scan_forget_issues: call it instead of plane_scan_end in a scan that only reads single issues. Keeps
 * the states of the projects and drops the rest. */
void plane_scan_forget_issues(struct plane_scan *scan);

/* How Plane's listings and the interrupted starts stand after a pass: "plane" of the status document. */
struct plane_project_status {
    const struct project *project; /* of the settings */
    bool full;                     /* the full listing is under way or due, else the news */
    size_t pages_read;             /* of that listing */
    size_t odd;                    /* rows that cannot be read */
    char *odd_error;               /* about one of them; NULL: none */
    char *error;                   /* NULL: none */
};
struct plane_status {
    bool elsewhere; /* another replica holds the lease */
    size_t waiting; /* projects and single issues that wait for budget or time */
    struct plane_project_status *projects;
    size_t n_projects;
    size_t n_interrupted;    /* starts */
    char *interrupted_error; /* of the newest failure of one of them; NULL: none */
};

/* plane_scan_status: everything except the interrupted starts. Caller frees with plane_status_free (NULL is
 * fine). */
struct plane_status *plane_scan_status(const struct plane_scan *scan);
void plane_status_free(struct plane_status *status);

#endif
