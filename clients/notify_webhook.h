/* notify_webhook.h - a webhook that takes messages as {"text": …}, as those of Slack and Mattermost do.
 *
 * Where a secret is set, X-Reconciled-Signature is "sha256=" and the HMAC-SHA256 of the body in hex digits.
 * The path and the query of its URL may be what lets a sender in, so no error names them, and none quotes an
 * answer.
 */
#ifndef RECONCILED_NOTIFY_WEBHOOK_H
#define RECONCILED_NOTIFY_WEBHOOK_H

#include <stdint.h>

#include "clients/base/err.h"

struct delivery;
struct fetch;
struct fetch_answer;
struct notify_webhook; /* immutable, thread-safe */
struct upstream_health;

/* notify_webhook_new: `secret` may be NULL. ERR_INVALID, with `url_name` for the setting: no http(s) URL, or
 * one with a user name in it. Free with notify_webhook_free. */
ATTR_NODISCARD enum err notify_webhook_new(const char *url, const char *url_name, const char *secret,
                                           struct notify_webhook **ret, struct why *why);
/* notify_webhook_free: NULL is fine. */
void notify_webhook_free(struct notify_webhook *webhook);

/* notify_webhook_send: sends plain text, once, and waits for the answer until deadline_ms (clock_mono_ms) or
 * the fetcher's limit for a call: 2xx is DELIVERY_SENT. Never DELIVERY_MOVED. After fetch_stop a call under
 * way has one second to end. */
void notify_webhook_send(const struct notify_webhook *webhook, struct fetch *fetch, const char *text,
                         int64_t deadline_ms, struct delivery *ret);

/* notify_webhook_check: one GET to the root of its server, which is no message. Returns NULL for any answer
 * below 500, else what is wrong, for a person; caller frees. */
char *notify_webhook_check(const struct notify_webhook *webhook, struct fetch *fetch);

/* notify_webhook_answer_read: what an answer to a message means. Pure. */
void notify_webhook_answer_read(const struct fetch_answer *answer, struct delivery *ret);

/* notify_webhook_health: lives as long as `webhook`. A request to wait counts as success. */
struct upstream_health *notify_webhook_health(const struct notify_webhook *webhook);

#endif
