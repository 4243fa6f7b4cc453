/* plane_table.h - the open issues of plane_scan.h, by id. Private to reconcile/plane_scan.c and tests. */
#ifndef RECONCILED_PLANE_TABLE_H
#define RECONCILED_PLANE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct open_issue;
struct plane_issue;
struct plane_kind;
struct project;

struct plane_table {
    struct open_issue **items; /* by issue id */
    size_t n;
    size_t bytes; /* of the names of issues and states; once they are many, further ones are cut */
};

/* plane_table_find: NULL when it is not there. */
struct open_issue *plane_table_find(const struct plane_table *table, const char *id);

/* plane_table_put: Plane shows the issue thus, at `turn` (grows). One that is there is replaced, and begins
 * anew if it changed; one that means nothing to us any more is gone. False: there is no room for it. */
bool plane_table_put(struct plane_table *table, const struct project *project,
                     const struct plane_issue *issue, const struct plane_kind *kind, uint64_t turn);

/* plane_table_forget: a full listing of the project, which began at `since`, has not shown these handled
 * issues: nobody will ask for them again. */
void plane_table_forget(struct plane_table *table, const struct project *project, uint64_t since);

/* plane_table_sweep: drops what is gone, and what is settled unless it must be remembered as handled. */
void plane_table_sweep(struct plane_table *table);

void plane_table_copy(struct plane_table *ret, const struct plane_table *table);
void plane_table_done(struct plane_table *table);

#endif
