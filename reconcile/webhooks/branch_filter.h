/* branch_filter.h - which branches pass a webhook's branch filter, a glob as Gitea matches it
 * (services/webhook/webhook.go, gobwas/glob). Pure.
 */
#ifndef RECONCILED_BRANCH_FILTER_H
#define RECONCILED_BRANCH_FILTER_H

#include <stdbool.h>

/* branch_filter_passes: the filter matches the branch's name, or its full name (refs/heads/…). True also for
 * a filter that cannot be read. */
bool branch_filter_passes(const char *filter, const char *branch);

#endif
