/* plane_scan_internal.h - what plane_scan.h keeps of each project, for its parts: the life of a scan and of
 * a pass (plane_scan.c), listings and turns (plane_scan_pages.c), single issues (plane_scan_issues.c), the
 * table of open issues (open_issues.c). Private to them and tests.
 */
#ifndef RECONCILED_PLANE_SCAN_INTERNAL_H
#define RECONCILED_PLANE_SCAN_INTERNAL_H

#include "clients/base/err.h"
#include "reconcile/plane/plane_cursor.h"
#include "reconcile/plane/plane_scan.h"

/* The open issues, by id (open_issues.c). */
struct open_issues {
    struct open_issue **items; /* by issue id */
    size_t n;
    size_t bytes; /* of the names of issues and states, which are cut above a limit, and of actors */
};

/* open_issues_find: NULL when it is not there. */
struct open_issue *open_issues_find(const struct open_issues *table, const char *id);

/* open_issues_put: stores an issue as Plane showed it at `turn` (grows). Replaces an entry of the same id,
 * which starts over if the issue changed; drops it if its state is none of the three. False: there is no room
 * for it. */
bool open_issues_put(struct open_issues *table, const struct project *project,
                     const struct plane_issue *issue, const struct plane_mapped_state *state, uint64_t turn);

/* open_issues_change: stores the change that set the issue's state. The actor is left out once `bytes` is
 * half of its limit: a replay asks for it again. */
void open_issues_change(struct open_issues *table, struct open_issue *open, struct plane_change *change_take);

/* open_issues_forget: drops issues whose verdict was acted on and that a full listing of the project, which
 * began at turn `since`, has not shown. */
void open_issues_forget(struct open_issues *table, const struct project *project, uint64_t since);

/* open_issues_sweep: drops issues that are gone, and settled ones unless their verdict was acted on. */
void open_issues_sweep(struct open_issues *table);

void open_issues_copy(struct open_issues *ret, const struct open_issues *table);
void open_issues_done(struct open_issues *table);

/* The rows of a project that could not be read (odd_issues below are in open_issues.c too). A row leaves the
 * list when it can be read, or when a full listing does not show it. */
struct odd_issue {
    struct plane_odd_row row;
    uint64_t shown_at; /* the turn */
    bool returned;     /* by plane_scan_odd */
};
struct odd_issues {
    struct odd_issue *items; /* at most LIMIT_PLANE_ODD */
    size_t n;
};
void odd_issues_put(struct odd_issues *odd, const struct plane_odd_row *row, uint64_t turn);
void odd_issues_drop(struct odd_issues *odd, const char *id);
void odd_issues_forget(struct odd_issues *odd, uint64_t since);

/* A project of Plane's. */
struct project_scan {
    const struct project *project;
    struct plane_state_map states;
    bool states_stale;      /* to be read (again) before anything else */
    int64_t states_read_ms; /* clock_mono_ms() */
    bool states_fresh;      /* read since the newest full listing began */
    bool listed;            /* its first page has been read, so watermark_us is valid */
    int64_t watermark_us;
    struct plane_cursor news, full;
    bool full_listed;          /* all pages of `full` have been read; the news since it began have not */
    int64_t full_due_ms;       /* clock_mono_ms() */
    uint64_t turn, full_since; /* its newest turn; the turn in which `full` began */
    bool last_was_full;        /* its last turn read the full listing; the two listings alternate */
    bool spilled; /* the table had no room for an issue: the listing does not count as complete */
    struct odd_issues odd;
    char *error;           /* NULL: none */
    unsigned failures;     /* of reading it, in a row */
    int64_t recheck_at_ms; /* not read by the timer until then */
    /* Of this pass: */
    bool late; /* reading it failed the last time, and it has not waited for long: see plane_scan_read */
    bool asked, states_read, news_read;
    bool refused;    /* Plane answered a call about it with 429 */
    bool out;        /* not to be read any further */
    unsigned misses; /* calls about single issues that failed */
    bool broken_before;
};

struct plane_scan {
    const struct settings *settings;
    struct project_scan *projects;
    const char **ids; /* of the projects, in their order */
    size_t n;
    struct open_issues table;
    uint64_t turns;
    int64_t revision; /* of the settings, in the newest pass */
    enum { LEASE_UNKNOWN, LEASE_OURS, LEASE_ELSEWHERE } lease;
    /* Of this pass: */
    struct plane_scan_pass pass;
    size_t rows;
    size_t wanted;           /* calls about single issues that the previous pass could not make */
    enum plane_result ended; /* PLANE_OK: Plane may still be asked */
    struct why why;          /* else: why not */
    bool clock_is_off;       /* of Plane, when it was looked at last */
    bool cut;                /* reading ended because budget or time ran out */
    size_t waiting;
};

/* project_scan_of: never NULL: callers got the project from here. */
struct project_scan *project_scan_of(const struct plane_scan *scan, const struct project *project);

/* project_scan_error: records what is wrong with the project; NULL: nothing is. */
void project_scan_error(struct project_scan *of, const char *error);

/* project_scan_result: the result of a call about the project. A failure ends the reading of this project,
 * which then rests. When budget or time runs out, no more calls are made in this pass (project_scan_over).
 * The same holds when Plane answers 429, which also counts as a failure of the project: otherwise the same
 * project would be the first to be refused in every pass. */
void project_scan_result(struct plane_scan *scan, struct project_scan *of, const struct plane_call *call,
                         enum plane_result result, const struct why *why);
void project_scan_over(struct plane_scan *scan, enum plane_result result, const struct why *why);

/* project_scan_recheck_ms: how long a project or issue rests after `failures` failures in a row. */
int64_t project_scan_recheck_ms(const struct plane_scan *scan, unsigned failures);

/* project_scan_probe: if Plane is down, asks once in a pass whether it is up again. If so, every rest after a
 * failure ends. */
void project_scan_probe(struct plane_scan *scan, struct plane_call *call);

/* project_scan_issue_error: records why the issue could not be asked about. */
void project_scan_issue_error(struct open_issue *issue, const char *error);

/* project_scan_put: stores an issue as Plane shows it. If its state is not known yet, its entry stays
 * unchanged and the states are read again. */
void project_scan_put(struct plane_scan *scan, struct project_scan *of, const struct plane_issue *issue);

/* project_scan_states: reads the states of the project. project_scan_states_of: reads them if the page shows
 * an issue in an unknown state, unless they were read in this pass. */
ATTR_NODISCARD enum plane_result project_scan_states(struct plane_scan *scan, struct project_scan *of,
                                                     struct plane_call *call, struct why *why);
ATTR_NODISCARD enum plane_result project_scan_states_of(struct plane_scan *scan, struct project_scan *of,
                                                        const struct plane_page *page,
                                                        struct plane_call *call, struct why *why);

/* project_scan_wants: the project would read more in this pass if there were budget. */
bool project_scan_wants(const struct plane_scan *scan, const struct project_scan *of);

#endif
