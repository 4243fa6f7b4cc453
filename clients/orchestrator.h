/* orchestrator.h - sends lost events to the orchestrator's endpoints as their sender would have sent them,
 * with its headers and its signature over the raw body.
 *
 * Sources: go-gitea/gitea services/webhook/deliver.go for Gitea's headers; makeplane/plane
 * plane/bgtasks/webhook_task.py for Plane's. A request is sent once, even if it fails; the replay decides
 * whether and when it is sent again (store_replay_begin). Errors contain no secret and no part of an answer's
 * body.
 */
#ifndef RECONCILED_ORCHESTRATOR_H
#define RECONCILED_ORCHESTRATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "clients/base/err.h"
#include "clients/base/text.h"

struct fetch;
struct fetch_answer;
struct fetch_inbox;
struct fetch_request;
struct gitea_release;
struct orchestrator; /* where it is, the secrets, and its health; thread-safe */
struct upstream_health;

struct orchestrator_place {
    const char *url;
    const char *url_name;                               /* what the setting is called in errors */
    const char *plane_path, *gitea_path, *advance_path; /* below it */
    const char *plane_secret, *gitea_secret;            /* NULL: nothing of that sender is sent */
    const char *token;                                  /* of the advance requests; NULL: none */
};
/* orchestrator_new: copies the place. ERR_INVALID: no http(s) URL, or one with a user name in it. Free with
 * orchestrator_free. */
ATTR_NODISCARD enum err orchestrator_new(const struct orchestrator_place *place, struct orchestrator **ret,
                                         struct why *why);
/* orchestrator_free: NULL is fine. */
void orchestrator_free(struct orchestrator *orchestrator);

/* orchestrator_health: lives as long as `orchestrator`. */
struct upstream_health *orchestrator_health(const struct orchestrator *orchestrator);

enum orchestrator_event {
    EVENT_STATUS,   /* Gitea's status */
    EVENT_APPROVED, /* Gitea's pull_request_approved */
    EVENT_CLOSED,   /* Gitea's pull_request, of one that was closed */
    EVENT_ISSUE,    /* Plane's issue */
    EVENT_ADVANCE,  /* this program's own: a gate is green for which no sender has an event */
    EVENT_MAX_
};
/* orchestrator_event_name: what is sent, in the words of its sender: "status", "issue", "advance" … */
const char *orchestrator_event_name(enum orchestrator_event event);

struct orchestrator_post {
    enum orchestrator_event event;
    const struct uuid_text *delivery;
    const struct gitea_release
        *release; /* of the Gitea that would have sent it; used only for Gitea's events */
    const char *body;
};
/* orchestrator_send: queues one POST. Only part, pass, forced, waited_for, deadline_ms and tag of `asker` are
 * used.
 */
void orchestrator_send(const struct orchestrator *orchestrator, struct fetch_inbox *inbox,
                       const struct orchestrator_post *post, const struct fetch_request *asker);

/* orchestrator_answer_read: whether the orchestrator accepted the event (2xx; it may still not act on it).
 * *ret_words is the answer as a text: "answered 200". */
#define ORCHESTRATOR_WORDS_SIZE 200
bool orchestrator_answer_read(const struct fetch_answer *answer, char ret_words[ORCHESTRATOR_WORDS_SIZE]);

/* orchestrator_check: sends one GET to its URL. The endpoints are not called, because a request there would
 * be an event. Returns NULL for any answer below 500, else what is wrong, for a person; caller frees.
 * *ret_page: the answer is a page or a redirect, as of an orchestrator with pages, a login or a proxy. */
char *orchestrator_check(const struct orchestrator *orchestrator, struct fetch *fetch, bool *ret_page);

#endif
