/* replay_event.h - which event stands for a transition, and its body. Private to replay.c, explain.c and
 * tests.
 *
 * A gate's event is its `replay` in pipeline/gate_event.h. Of several gates, the first counts whose event is
 * not this program's own "advance". For what a person did in Plane, the event is Plane's "issue".
 */
#ifndef RECONCILED_REPLAY_EVENT_H
#define RECONCILED_REPLAY_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "clients/base/text.h"
#include "clients/gitea/gitea_event.h"
#include "clients/orchestrator.h"

struct facts;
struct gitea;
struct transition;

struct replay_event {
    const struct transition *transition;
    enum orchestrator_event kind;
    char *subject; /* what the replay is about; at most one replay per subject is in flight */
    /* Identifies what is replayed; a replay that is sent again has the same id. The id is also made from the
     * task's newest heal at that stage, so that a task that comes back to a stage with the same commit gets
     * another id. */
    struct uuid_text delivery;
    char *body;                   /* NULL: not made yet */
    struct gitea_release release; /* of the Gitea whose event it is; set with the body */
    char *problem;                /* why it cannot be made; NULL: it can */
    bool later;                   /* no problem; it could not be asked for now */
    bool refused;                 /* `later`, because the upstream answered this question with 429 */
};
/* replay_event_subject: the `subject` of every replay about that task. Caller frees. */
char *replay_event_subject(int64_t task_id);

/* replay_event_name: fills in everything except body and problem. Free with replay_event_done. */
void replay_event_name(const struct transition *transition, struct replay_event *ret);
void replay_event_done(struct replay_event *event);

/* replay_event_look: makes the body of an event from Gitea's documents or the transition alone, looking them
 * up in the fact set. False while a fact is still being read: call it again. Plane's events are made by
 * replay_event_ask. */
bool replay_event_look(struct replay_event *event, struct facts *facts, struct gitea *gitea);

/* replay_event_ask: makes the body of Plane's event, asking Plane. */
void replay_event_ask(struct replay_event *event);

#endif
