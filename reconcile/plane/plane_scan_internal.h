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
    size_t bytes; /* of the names of issues and states, which are cut once they are many, and of actors */
};

/* open_issues_find: NULL when it is not there. */
struct open_issue *open_issues_find(const struct open_issues *table, const char *id);

/* open_issues_put: Plane shows the issue thus, at `turn` (grows). One that is there is replaced, and begins
 * again if it changed; one in no state of ours is dropped. False: there is no room for it. */
bool open_issues_put(struct open_issues *table, const struct project *project,
                     const struct plane_issue *issue, const struct plane_mapped_state *state, uint64_t turn);

/* open_issues_change: what made its state what it is. The actor is left out once `bytes` is half of what it
 * may be: a replay asks again. */
void open_issues_change(struct open_issues *table, struct open_issue *open, struct plane_change *change_take);

/* open_issues_forget: a full listing of the project, which began at `since`, has not shown these issues,
 * whose verdicts were acted on: they are not asked for again. */
void open_issues_forget(struct open_issues *table, const struct project *project, uint64_t since);

/* open_issues_sweep: drops what is gone, and what is settled unless it must be kept as acted on. */
void open_issues_sweep(struct open_issues *table);

void open_issues_copy(struct open_issues *ret, const struct open_issues *table);
void open_issues_done(struct open_issues *table);

/* The rows of a project that could not be read (odd_issues below are in open_issues.c too). What was read, or
 * was not shown by a full listing, is none of them any more. */
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
    bool listed;            /* its first page has been read, so that watermark_us is one */
    int64_t watermark_us;
    struct plane_cursor news, full;
    bool full_listed;          /* all pages of `full` are in; the news since it began are not yet */
    int64_t full_due_ms;       /* clock_mono_ms() */
    uint64_t turn, full_since; /* its newest turn; the turn in which `full` began */
    bool last_was_full;        /* what its last turn went to: the two listings alternate */
    bool spilled;              /* an issue found no room in the table: the listing does not count */
    struct odd_issues odd;
    char *error;           /* NULL: none */
    unsigned failures;     /* of reading it, in a row */
    int64_t recheck_at_ms; /* not read by the timer until then */
    /* Of this pass: */
    bool
        late; /* reading it failed the last time, and it has not waited for long since: see plane_scan_read */
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
    size_t wanted;           /* calls about single issues that the pass before could not make */
    enum plane_result ended; /* PLANE_OK: Plane may still be asked */
    struct why why;          /* else: why not */
    bool clock_is_off;       /* of Plane, when it was looked at last */
    bool cut;                /* reading ended for want of budget or time */
    size_t waiting;
};

/* project_scan_of: never NULL: callers got the project from here. */
struct project_scan *project_scan_of(const struct plane_scan *scan, const struct project *project);

/* project_scan_error: what is wrong with the project; NULL: nothing. */
void project_scan_error(struct project_scan *of, const char *error);

/* project_scan_result: the result of a call about the project. A failure ends the reading of this project,
 * and it rests. Want of budget or time ends the asking, as project_scan_over does; so does a call that Plane
 * refused (429), which is a failure of its project too, for else it would be the first to be refused in each
 * pass. */
void project_scan_result(struct plane_scan *scan, struct project_scan *of, const struct plane_call *call,
                         enum plane_result result, const struct why *why);
void project_scan_over(struct plane_scan *scan, enum plane_result result, const struct why *why);

/* project_scan_recheck_ms: how long what has failed `failures` times in a row rests. */
int64_t project_scan_recheck_ms(const struct plane_scan *scan, unsigned failures);

/* project_scan_probe: if Plane is down, finds out whether it is up again, once in a pass. Then nothing rests
 * any longer because of a failure. */
void project_scan_probe(struct plane_scan *scan, struct plane_call *call);

/* project_scan_issue_error: why the issue could not be asked about. */
void project_scan_issue_error(struct open_issue *issue, const char *error);

/* project_scan_put: Plane shows the issue thus. One of a state that is not known yet is left as it was, and
 * the states are read again. */
void project_scan_put(struct plane_scan *scan, struct project_scan *of, const struct plane_issue *issue);

/* project_scan_states: reads the states of the project. project_scan_states_of: reads them if the page shows
 * an issue in one that is not known, unless that was done in this pass. */
ATTR_NODISCARD enum plane_result project_scan_states(struct plane_scan *scan, struct project_scan *of,
                                                     struct plane_call *call, struct why *why);
ATTR_NODISCARD enum plane_result project_scan_states_of(struct plane_scan *scan, struct project_scan *of,
                                                        const struct plane_page *page,
                                                        struct plane_call *call, struct why *why);

/* project_scan_wants: the project has something left to read in this pass, were there budget. */
bool project_scan_wants(const struct plane_scan *scan, const struct project_scan *of);

#endif
