/* plane_scan.h - the issues in Plane that matter, read within its budget and kept between
 * passes.
 *
 * Plane cannot be asked for the issues of a state, only for all of a project, newest change first. So each
 * project has two listings, both of which go on in the next pass where the budget ended this one: the *news*,
 * once a pass, down to the watermark less an overlap; and the *full* listing, at the start and every
 * LIMIT_PLANE_FULL_S, for whatever moved without a new time. Projects take turns, a call at a time, the one
 * that waited longest first, so that none starves behind a large one.
 *
 * Invariant: every issue in one of the three states that Plane showed is in the table of open issues until it
 * is settled, and the watermark passes nothing that could not be put there. So the watermark may move on
 * although an issue is young, busy or held back: a kept issue is looked at in every pass, costs no call
 * while it waits, and is confirmed by Plane before anything is done about it. What is settled is dropped;
 * but a verdict that was acted on before, which cost a call to find, is kept until its issue changes.
 *
 * A call that fails delays what it was about: an issue that cannot be asked about rests for a growing while,
 * a project that cannot be read is not read any further in this pass and rests too, but the issues that are
 * known of it are looked at until a call about one of them fails as well. What failed last is asked last.
 * Reading takes at most half of the pass's time, so that projects that hang leave some for single issues.
 *
 * A row that cannot be read is skipped and counted, and the watermark passes it: to hold the watermark there
 * would cost every page above it in every pass. When the row can be read, its new time or the next full
 * listing shows it.
 *
 * A page that fails makes nothing "gone": the listing stays where it is. An issue is gone when Plane, asked
 * for it alone, shows it. All of it lives in memory: a process that starts lists everything again. One
 * thread.
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
    int64_t since_us; /* its updated_us when Plane first showed it in this state: it was set then or before */
    char *state_name;
    uint64_t shown_at;          /* the turn in which Plane showed it; private */
    struct plane_change change; /* what made its state what it is; valid when activity_known */
    bool activity_known;
    size_t activity_page;  /* where the search for it goes on; private */
    bool settled;          /* nothing is due while it stays as it is: dropped at the end of the pass */
    bool acted_on;         /* its verdict led to a transition before: kept until it changes, and not
                              looked at again */
    unsigned misses;       /* how often it was looked at without a result */
    int64_t recheck_at_ms; /* not looked at by the timer until then */
    bool failed;           /* the newest call about it failed */
    /* Of this pass: */
    bool confirmed; /* Plane has shown it; else to be confirmed before anything is done */
    bool gone;      /* it is in none of the three states any more, or not there at all: leave it */
    bool no_budget; /* a call about it was not made for want of budget or time */
    bool useless;   /* a call about it failed, or its answer cannot be used */
    char *error;    /* why Plane could not be asked about it, or why the answer is useless; else NULL */
};

/* plane_scan_lease: whether it is this replica that asks Plane by timer. plane_scan_leased: the last such. */
void plane_scan_lease(struct plane_scan *scan, bool ours);
bool plane_scan_leased(const struct plane_scan *scan);

/* plane_scan_clock: notes whether Plane's clock is off; true when it was not known to be so before. */
bool plane_scan_clock(struct plane_scan *scan, bool off);

/* plane_scan_begin: a pass begins. */
struct plane_scan_pass {
    int64_t now_ms;      /* clock_mono_ms() */
    int64_t revision;    /* of the settings: when they moved, nothing rests any longer */
    int64_t interval_ms; /* between passes */
    bool forced;         /* no project rests */
};
void plane_scan_begin(struct plane_scan *scan, const struct plane_scan_pass *pass);
/* plane_scan_read: reads what the pass's budget and half of its time allow, news and full listings, of all
 * projects but the late ones: those whose reading failed the last time, until that has kept them waiting for
 * long. plane_scan_read_late: reads these, when all is done that the others call for. */
void plane_scan_read(struct plane_scan *scan, struct plane_call *call);
void plane_scan_read_late(struct plane_scan *scan, struct plane_call *call);
/* plane_scan_read_states: what listings of issues do not show: that a state was deleted or renamed, or the
 * project archived. Once in a pass for projects whose states are older than LIMIT_PLANE_AGAIN_MS, as
 * long as more than half of the budget is left. The last of a pass. */
void plane_scan_read_states(struct plane_scan *scan, struct plane_call *call);
bool plane_scan_is_late(const struct plane_scan *scan, const struct project *project);

/* plane_scan_read_one: reads one issue alone, and the project's states where they are older than
 * LIMIT_PLANE_STATES_MS. What is borrowed is the scan's, valid until its next call. */
struct plane_scan_one {
    const char *error;      /* why it could not be read; NULL: it was, or Plane has no such issue */
    bool found;             /* Plane showed it: */
    const char *state_name; /* NULL: Plane's list of states has none of that id */
    enum issue_meaning meaning;
    int64_t updated_us;
    const char *problem;     /* which of the three states the project lacks; NULL: none */
    struct open_issue *open; /* as it is known, read or not; NULL: not as one in the three states */
};
void plane_scan_read_one(struct plane_scan *scan, struct plane_call *call, const struct project *project,
                         const char *issue_id, struct plane_scan_one *ret);

/* plane_scan_issues: the issues to look at: all that are open, but for those that rest, unless `resting` are
 * wanted too. Caller frees *ret_issues; what it points to is valid until plane_scan_end. */
size_t plane_scan_issues(const struct plane_scan *scan, bool resting, struct open_issue ***ret_issues);

/* plane_scan_confirm: has Plane confirm those of the issues that are not confirmed, by its list or one by
 * one, whatever seems to take fewer calls. Afterwards each is confirmed (and perhaps another than it was),
 * gone, or as it was because Plane could not be asked. */
void plane_scan_confirm(struct plane_scan *scan, struct plane_call *call, struct open_issue *const *issues,
                        size_t n);

/* plane_scan_identify: asks which change made the issue's state what it is, unless that is known and
 * the issue is confirmed: that its newest change is this one confirms it too. False: it could not be asked,
 * and the issue's error is the reason. activity_known is false when Plane shows no change that made it so. */
bool plane_scan_identify(struct plane_scan *scan, struct plane_call *call, struct open_issue *issue);

/* plane_scan_recheck_later: the issue was looked at without a result; the timer leaves it alone for a growing
 * while: up to ten intervals, or, because something failed, up to one interval or LIMIT_FAILURE_REST_MS,
 * whatever is longer.
 */
enum plane_recheck_cause { PLANE_RECHECK_USELESS, PLANE_RECHECK_FAILED };
void plane_scan_recheck_later(const struct plane_scan *scan, struct open_issue *issue,
                              enum plane_recheck_cause cause);

/* plane_scan_tired: several calls about issues of the project have failed in this pass: others come first. */
bool plane_scan_tired(const struct plane_scan *scan, const struct project *project);

/* plane_scan_end: drops what is settled or gone. What was seen: */
struct plane_scan_seen {
    size_t projects; /* asked in this pass, or tried to */
    size_t rows;     /* of issues that were read */
    size_t errors;   /* projects that could not be read as they should */
    size_t odd;      /* rows that could not be read, as far as they are known */
    size_t waiting;  /* projects and single issues that wait for budget or time */
    size_t waiting_projects;
    bool wait_begins, wait_ends; /* some wait, and none did after the pass before; the reverse */
    char wait_reason[256];
    size_t broke;    /* projects that could be read before, and now not */
    bool recovered;  /* all projects can be read, and not all could before */
    char error[256]; /* of one of those that broke, or else of one with an error */
};
void plane_scan_end(struct plane_scan *scan, struct plane_scan_seen *ret);

/* plane_scan_odd: the next row that cannot be read and was not returned before; false: there is none. */
struct plane_scan_odd {
    const struct project *project;
    struct plane_odd_row row;
};
bool plane_scan_odd(struct plane_scan *scan, struct plane_scan_odd *ret);

/* plane_scan_forget_issues: instead of plane_scan_end, of a scan that reads single issues alone: the states
 * of the projects are all that it keeps. */
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

/* plane_scan_status: what the scan knows of it: all but the interrupted starts. Caller frees with
 * plane_status_free (NULL is fine). */
struct plane_status *plane_scan_status(const struct plane_scan *scan);
void plane_status_free(struct plane_status *status);

#endif
