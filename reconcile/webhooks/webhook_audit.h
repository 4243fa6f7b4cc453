/* webhook_audit.h - checks at intervals whether the orchestrator gets the events that it needs: the webhooks
 * of every configured repo (webhook_check.h), and how often lost events had to be healed in the last hour.
 *
 * A check is a background query of the query pool. Its result goes into the status, and a change since the
 * last result into the log. A fault becomes one message: the message's id is made from the fault and the
 * webhooks' time of change, so that every replica and every later check makes the same id. No message is
 * written while a switch or the mode forbids writing, or when notify_unblock is off.
 */
#ifndef RECONCILED_WEBHOOK_AUDIT_H
#define RECONCILED_WEBHOOK_AUDIT_H

#include <stdint.h>

struct query_pool;
struct services;
struct status;
struct webhook_audit;

/* webhook_audit_new: `services`, `query_pool` and `status` must outlive it; `target`: see webhook_check,
 * copied. webhook_audit_free: after query_pool_stop. NULL is fine. */
struct webhook_audit *webhook_audit_new(struct services *services, struct query_pool *query_pool,
                                        struct status *status, const char *target);
void webhook_audit_free(struct webhook_audit *audit);

/* webhook_audit_tick: begins a check if one is due at now_ms (clock_mono_ms) and none is under way: the first
 * at once, the next LIMIT_WEBHOOKS_EVERY_S after each; sooner if the database failed or the query pool was
 * full. Does not wait. */
void webhook_audit_tick(struct webhook_audit *audit, int64_t now_ms);

#endif
