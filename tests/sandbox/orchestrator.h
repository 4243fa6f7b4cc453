/* orchestrator.h - a stand-in for the orchestrator's webhook endpoints: takes what is sent as a careful
 * receiver would, and moves the task that it is about. It shares no code with what sends.
 *
 * A request whose signature over the raw body is not right is 401, and moves nothing. What is right is looked
 * up: a status by the branch whose head is that sha, a pull request by its head, an issue by its id; and the
 * task moves on if it stands where such an event moves it. It may be set to answer 200 and move nothing, or
 * only later.
 */
#ifndef SANDBOX_ORCHESTRATOR_H
#define SANDBOX_ORCHESTRATOR_H

#include <stdatomic.h>

struct orchestrator;

struct orchestrator *orchestrator_stand_in_new(void);
void orchestrator_stand_in_free(struct orchestrator *orchestrator);

/* orchestrator_received: requests so far, for control_waits. */
long orchestrator_received(struct orchestrator *orchestrator);

#endif
