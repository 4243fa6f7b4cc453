/* plane_scanned.h - what plane_scan.h keeps of each project, for its three parts: the life of a scan and of a
 * pass (plane_scan.c), listings and turns (plane_scan_pages.c), single issues (plane_scan_issues.c). Private
 * to them.
 */
#ifndef RECONCILED_PLANE_SCANNED_H
#define RECONCILED_PLANE_SCANNED_H

#include "clients/base/err.h"
#include "reconcile/plane/plane_cursor.h"
#include "reconcile/plane/plane_scan.h"
#include "reconcile/plane/open_issues.h"

/* A project of Plane's. */
struct scanned {
    const struct project *project;
    struct plane_kinds kinds;
    bool kinds_stale; /* to be read (again) before anything else */
    bool kinds_fresh; /* read since the newest full listing began */
    bool listed;      /* its first page has been read, so that watermark_us is one */
    int64_t watermark_us;
    struct plane_listing news, full;
    bool full_listed;          /* all pages of `full` are in; the news since it began are not yet */
    int64_t full_due_ms;       /* clock_mono_ms() */
    uint64_t turn, full_since; /* its newest turn; the turn in which `full` began */
    bool last_was_full;        /* what its last turn went to: the two listings alternate */
    bool spilled;              /* an issue found no room in the table: the listing does not count */
    char *error;               /* NULL: none */
    unsigned failures;         /* of reading it, in a row */
    int64_t rest_until_ms;     /* not read by the timer until then */
    /* Of this pass: */
    bool
        late; /* reading it failed the last time, and it has not waited for long since: see plane_scan_read */
    bool asked, kinds_read, news_read;
    bool out;        /* not to be read any further */
    unsigned misses; /* calls about single issues that failed */
    bool broken_before;
};

struct plane_scan {
    const struct settings *settings;
    struct scanned *projects;
    const char **ids; /* of the projects, in their order */
    size_t n;
    struct plane_table table;
    uint64_t turns;
    int64_t revision; /* of the settings, in the newest pass */
    enum { LEASE_UNKNOWN, LEASE_OURS, LEASE_ELSEWHERE } lease;
    /* Of this pass: */
    struct plane_scan_pass pass;
    size_t rows;
    size_t wanted;           /* calls about single issues that the pass before could not make */
    enum plane_result ended; /* PLANE_OK: Plane may still be asked */
    struct why why;          /* else: why not */
    bool cut;                /* reading ended for want of budget or time */
    size_t waiting;
};

/* scanned_of: never NULL: whoever asks about a project got it from here. */
struct scanned *scanned_of(const struct plane_scan *scan, const struct project *project);

/* scanned_error: what is wrong with the project; NULL: nothing. */
void scanned_error(struct scanned *of, const char *words);

/* scanned_heard: the result of a call about the project. A failure ends the reading of this project, and it
 * rests. Want of budget or time ends the asking, as scanned_over does; so does a call that Plane refused
 * (429), which is a failure of its project too, for else it would be the first to be refused in each pass. */
void scanned_heard(struct plane_scan *scan, struct scanned *of, const struct plane_call *call,
                   enum plane_result result, const struct why *why);
void scanned_over(struct plane_scan *scan, enum plane_result result, const struct why *why);

/* scanned_rest_ms: how long what has failed `failures` times in a row rests. */
int64_t scanned_rest_ms(const struct plane_scan *scan, unsigned failures);

/* scanned_probe: if Plane is down, finds out whether it is up again, once in a pass. Then nothing rests any
 * longer because of a failure. */
void scanned_probe(struct plane_scan *scan, struct plane_call *call);

/* scanned_words: why the issue could not be asked about. */
void scanned_words(struct open_issue *issue, const char *words);

/* scanned_put: Plane shows the issue thus. One of a state that is not known yet is left as it was, and the
 * states are read again. */
void scanned_put(struct plane_scan *scan, struct scanned *of, const struct plane_issue *issue);

/* scanned_learn: reads the states of the project. scanned_learn_of: reads them if the page shows an issue in
 * one that is not known, unless that was done in this pass. */
ATTR_NODISCARD enum plane_result scanned_learn(struct plane_scan *scan, struct scanned *of,
                                               struct plane_call *call, struct why *why);
ATTR_NODISCARD enum plane_result scanned_learn_of(struct plane_scan *scan, struct scanned *of,
                                                  const struct plane_page *page, struct plane_call *call,
                                                  struct why *why);

/* scanned_wants: the project has something left to read in this pass, were there budget. */
bool scanned_wants(const struct plane_scan *scan, const struct scanned *of);

#endif
