/* open_issues.h - the open issues of plane_scan.h, by id. Private to reconcile/plane_scan.c and tests. */
#ifndef RECONCILED_OPEN_ISSUES_H
#define RECONCILED_OPEN_ISSUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct open_issue;
struct plane_change;
struct plane_issue;
struct plane_mapped_state;
struct project;

struct open_issues {
    struct open_issue **items; /* by issue id */
    size_t n;
    size_t bytes; /* of the names of issues and states, which are cut once they are many, and of actors */
};

/* open_issues_find: NULL when it is not there. */
struct open_issue *open_issues_find(const struct open_issues *table, const char *id);

/* open_issues_put: Plane shows the issue thus, at `turn` (grows). One that is there is replaced, and begins
 * anew if it changed; one that means nothing to us any more is gone. False: there is no room for it. */
bool open_issues_put(struct open_issues *table, const struct project *project,
                     const struct plane_issue *issue, const struct plane_mapped_state *kind, uint64_t turn);

/* open_issues_change: what made its state what it is. Who did it is left out once `bytes` is half of what it
 * may be: a replay asks again. */
void open_issues_change(struct open_issues *table, struct open_issue *open, struct plane_change *change_take);

/* open_issues_forget: a full listing of the project, which began at `since`, has not shown these handled
 * issues: nobody will ask for them again. */
void open_issues_forget(struct open_issues *table, const struct project *project, uint64_t since);

/* open_issues_sweep: drops what is gone, and what is settled unless it must be remembered as handled. */
void open_issues_sweep(struct open_issues *table);

void open_issues_copy(struct open_issues *ret, const struct open_issues *table);
void open_issues_done(struct open_issues *table);

#endif
