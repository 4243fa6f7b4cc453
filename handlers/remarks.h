/* remarks.h - the body of a request that has only a reason, an author and an end. */
#ifndef RECONCILED_REMARKS_H
#define RECONCILED_REMARKS_H

#include <stdbool.h>

#include "reconcile/settings/remark.h"

struct request;

enum remarks_rule { REMARK_REASON_NEEDED = 1, REMARK_MAY_END = 2 /* `until` may be there */ };

/* remarks_read: the members reason, by and until of the body, which live as long as the request. False: the
 * request has been answered; 422 names each bad or unknown member, and `nothing` is the detail: what did not
 * happen. */
bool remarks_read(struct request *request, unsigned rules, const char *nothing, struct remark *ret);

#endif
