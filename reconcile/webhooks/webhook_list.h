/* webhook_list.h - the body of GET /reconcile/webhooks: what the newest look of the audit found of each
 * sender's webhooks.
 */
#ifndef RECONCILED_WEBHOOK_LIST_H
#define RECONCILED_WEBHOOK_LIST_H

#include <jansson.h>
#include <stdint.h>

#include "reconcile/webhooks/webhook_check.h"

struct settings;

/* webhook_list_new: {"looked_at","items"} without items; looked_at_us 0: there was no look yet. Caller owns
 * it. webhook_list_add_repo: adds what was found in Gitea of a repo. webhook_list_add_plane: adds Plane's,
 * which no key can read: where to look at it, and what it must be. */
json_t *webhook_list_new(int64_t looked_at_us);
void webhook_list_add_repo(json_t *list, const char *repo, const struct webhook_verdict *verdict);
void webhook_list_add_plane(json_t *list, const struct settings *settings);

#endif
