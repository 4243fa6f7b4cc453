#include "reconcile/heal/replay_event.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/facts/facts.h"
#include "clients/plane/plane_event.h"
#include "clients/gitea/gitea.h"
#include "clients/plane/plane.h"
#include "clients/store/store.h"
#include "reconcile/pipeline/evidence.h"
#include "reconcile/pipeline/gate_event.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/heal/pass_context.h"

/* its name */

/* The evidence of the gate whose event is replayed: the first gate whose event is made from Gitea's
 * documents, else the first gate. */
static const struct gate_evidence *replayed_gate(const struct evidence *evidence)
{
    static const struct gate_evidence none = {.gate = GATE_HUMAN};
    size_t n = evidence->side == SIDE_GATE ? evidence->gates.n : 0;
    for (size_t i = 0; i < n; i++)
        if (gate_event_of(evidence->gates.items[i].gate)->replay != EVENT_ADVANCE)
            return &evidence->gates.items[i];
    return n > 0 ? &evidence->gates.items[0] : &none;
}

static const char *sha_of(const struct gate_evidence *seen)
{
    return seen->sha ? seen->sha : "";
}

char *replay_event_subject(int64_t task_id)
{
    return mem_printf("task/%" PRId64, task_id);
}

static void name_issue(const struct transition *transition, struct replay_event *ret)
{
    const struct store_task *task = transition->task;
    const struct transition_issue *issue = transition->issue;
    AUTO_FREE char *name = task->id ? mem_printf("replay/task/%" PRId64 "/%s/issue/%s", task->id, task->stage,
                                                 transition->verdict_id)
                                    : mem_printf("replay/start/%s/%s", issue->id, issue->state);
    ret->kind = EVENT_ISSUE;
    ret->subject = task->id ? replay_event_subject(task->id) : mem_printf("issue/%s", issue->id);
    ret->delivery = uuid_from_name(name);
}

static void name_gate(const struct transition *transition, struct replay_event *ret)
{
    const struct store_task *task = transition->task;
    const struct gate_evidence *seen = replayed_gate(transition->evidence);
    ret->kind = gate_event_of(seen->gate)->replay;
    AUTO_FREE char *name =
        mem_printf("replay/task/%" PRId64 "/%s/%" PRId64 "/%s/%s/%" PRId64 "/%" PRId64, task->id, task->stage,
                   task->newest_heal_seq, orchestrator_event_name(ret->kind), sha_of(seen),
                   seen->pull_request, seen->review);
    ret->subject = replay_event_subject(task->id);
    ret->delivery = uuid_from_name(name);
}

void replay_event_name(const struct transition *transition, struct replay_event *ret)
{
    *ret = (struct replay_event){.transition = transition};
    if (transition->issue)
        name_issue(transition, ret);
    else
        name_gate(transition, ret);
}

void replay_event_done(struct replay_event *event)
{
    free(event->subject);
    free(event->body);
    free(event->problem);
    *event = (struct replay_event){0};
}

/* Gitea's */

/* NULL when it is too large to be read beside others; sets the problem. Gitea writes null for an empty list.
 */
static json_t *document_json(struct replay_event *event, const char *text)
{
    json_t *json = strcmp(text, "null") == 0 ? json_null() : NULL;
    struct why why;
    if (!json && json_read_within(text, strlen(text), LIMIT_JSON_DOCUMENT, &json, &why) != ERR_OK &&
        !event->problem)
        event->problem = mem_printf("Gitea's answer is cut or broken: %s", why.text);
    return json;
}

/* A document as JSON. False while it is being read, or when it cannot be read; then sets the problem. */
static bool read_document(struct replay_event *event, const struct gitea_document *document, json_t **ret)
{
    *ret = NULL;
    if (document->fact.state == FACT_KNOWN)
        *ret = document_json(event, document->text);
    else if (document->fact.state != FACT_PENDING && !event->problem)
        event->problem = mem_dup(document->fact.error);
    return *ret != NULL;
}

static void made(struct replay_event *event, char *body_take, const char *what)
{
    event->body = body_take;
    if (!body_take)
        event->problem = mem_printf("Gitea's answer for %s is invalid", what);
}

static bool is_in_state(const json_t *status, enum gitea_state state)
{
    const char *name = json_get_text(status, "status", json_get_text(status, "state", ""));
    return strcmp(name, gitea_state_name(state)) == 0;
}

/* The newest row in that state. Rows count from 1 per commit. */
static const json_t *newest_in_state(const json_t *statuses, enum gitea_state state)
{
    const json_t *newest = NULL;
    for (size_t i = 0; i < json_array_size(statuses); i++) {
        const json_t *row = json_array_get(statuses, i);
        if (is_in_state(row, state) &&
            (!newest || json_get_int(row, "id", 0) > json_get_int(newest, "id", 0)))
            newest = row;
    }
    return newest;
}

/* Skipped counts as passed too, but an orchestrator may react only to success. */
static const json_t *newest_passed(const json_t *statuses)
{
    const json_t *newest = newest_in_state(statuses, GITEA_SUCCESS);
    return newest ? newest : newest_in_state(statuses, GITEA_SKIPPED);
}

/* If a branch has the commit's id as its name, Gitea answers about the branch. Up to 1.24 an answer without
 * statuses names no commit. */
static bool is_about(const json_t *combined, const char *sha)
{
    const char *named = json_get_text(combined, "sha", "");
    return !*named || strcasecmp(named, sha) == 0;
}

/* The status of each context that the gate looked at: page after page, until all are found or a page is
 * empty. False while a page is being read, or when one cannot be read; then sets the problem. */
static bool read_statuses(struct replay_event *event, struct facts *facts, struct gitea *gitea,
                          const struct gate_evidence *seen, json_t **ret)
{
    json_auto_t *statuses = json_array();
    size_t rows = 1;
    for (size_t page = 1;
         rows > 0 && json_array_size(statuses) < seen->contexts.n && page <= LIMIT_UPSTREAM_PAGES; page++) {
        json_auto_t *document = NULL;
        if (!read_document(
                event,
                gitea_statuses_document(facts, gitea, event->transition->task->repo, sha_of(seen), page),
                &document))
            return false;
        if (!is_about(document, sha_of(seen))) {
            event->problem =
                mem_printf("Gitea answered for %.12s with the statuses of another commit", sha_of(seen));
            return false;
        }
        const json_t *items = json_object_get(document, "statuses");
        rows = json_array_size(items);
        for (size_t i = 0; i < rows; i++)
            if (evidence_list_has(&seen->contexts, json_get_text(json_array_get(items, i), "context", "")))
                json_push(statuses, json_incref(json_array_get(items, i)));
    }
    *ret = json_incref(statuses);
    return true;
}

static bool read_release(struct replay_event *event, struct facts *facts, struct gitea *gitea)
{
    json_auto_t *version = NULL;
    if (!read_document(event, gitea_version_document(facts, gitea), &version))
        return false;
    event->release = event_gitea_release(version);
    return true;
}

static void look_at_status(struct replay_event *event, struct facts *facts, struct gitea *gitea)
{
    const struct store_task *task = event->transition->task;
    const struct gate_evidence *seen = replayed_gate(event->transition->evidence);
    const char *sha = sha_of(seen);
    json_auto_t *repository = NULL;
    json_auto_t *branch = NULL;
    json_auto_t *git_commit = NULL;
    json_auto_t *statuses = NULL;
    bool known = read_release(event, facts, gitea);
    known &= read_document(event, gitea_repo_document(facts, gitea, task->repo), &repository);
    known &= read_document(event, gitea_branch_document(facts, gitea, task->repo, task->branch), &branch);
    known &= read_document(event, gitea_commit_document(facts, gitea, task->repo, sha), &git_commit);
    known &= read_statuses(event, facts, gitea, seen, &statuses);
    if (!known)
        return;
    const json_t *commit = json_object_get(branch, "commit"), *status = newest_passed(statuses);
    if (strcmp(json_get_text(commit, "id", ""), sha) != 0)
        event->problem = mem_printf("the branch has moved on from %.12s meanwhile", sha);
    else if (!status)
        event->problem = mem_printf("Gitea lists no passed status of %.12s", sha);
    else
        made(event, event_gitea_status(repository, commit, git_commit, status), "a status");
}

static void look_at_pull(struct replay_event *event, struct facts *facts, struct gitea *gitea)
{
    const struct gate_evidence *seen = replayed_gate(event->transition->evidence);
    const char *repo = event->transition->task->repo;
    int64_t number = seen->pull_request;
    json_auto_t *repository = NULL;
    json_auto_t *pull = NULL;
    json_auto_t *review = NULL;
    bool known = read_release(event, facts, gitea);
    known &= read_document(event, gitea_repo_document(facts, gitea, repo), &repository);
    known &= read_document(event, gitea_pull_document(facts, gitea, repo, number), &pull);
    if (event->kind == EVENT_APPROVED)
        known &=
            read_document(event, gitea_review_document(facts, gitea, repo, number, seen->review), &review);
    if (known)
        made(event,
             event->kind == EVENT_APPROVED ? event_gitea_approved(&event->release, repository, pull, review)
                                           : event_gitea_closed(repository, pull),
             "a pull request");
}

/* our own */

static void make_advance(struct replay_event *event)
{
    const struct transition *transition = event->transition;
    json_auto_t *body = json_object();
    json_put(body, "task_id", json_integer(transition->task->id));
    json_put(body, "work_item_id", json_text(transition->task->work_item_id));
    json_put(body, "from_stage", json_text(transition->task->stage));
    json_put(body, "to_stage", json_text(transition->to->name));
    json_put(body, "outcome", json_text(outcome_name(transition->success)));
    json_put(body, "reason", json_text(transition->reason));
    json_put(body, "evidence", evidence_json(transition->evidence));
    json_put(body, "delivery", json_text(event->delivery.s));
    event->body = json_line(body);
}

bool replay_event_look(struct replay_event *event, struct facts *facts, struct gitea *gitea)
{
    if (event->body || event->problem)
        return true;
    if (event->kind == EVENT_ADVANCE)
        make_advance(event);
    else if (event->kind == EVENT_STATUS)
        look_at_status(event, facts, gitea);
    else
        look_at_pull(event, facts, gitea);
    return event->body || event->problem;
}

/* Plane's */

static bool is_of(const struct plane_change *change, const struct transition_issue *issue)
{
    return change->found && strcmp(change->new_state, issue->state) == 0;
}

/* An issue was created in its state only if the state was never changed, and a Plane that leaves changes out
 * cannot show that. Of a change that Plane does not show, only the new state is known. */
static char *issue_body(const struct transition_issue *issue, const struct plane_change *change,
                        const json_t *document)
{
    if (!change->found && plane_records_api_changes(issue->call->plane))
        return event_plane_issue(document, NULL);
    bool shown = is_of(change, issue);
    json_auto_t *actor = shown && change->actor ? json_loads(change->actor, JSON_DECODE_ANY, NULL) : NULL;
    const struct event_plane_change sent = {
        .old_state = shown ? change->old_state : "", .new_state = issue->state, .actor = actor};
    return event_plane_issue(document, &sent);
}

void replay_event_ask(struct replay_event *event)
{
    const struct transition_issue *issue = event->transition->issue;
    struct plane_change asked = {.found = false};
    bool known = issue->change && issue->change->actor;
    const struct plane_change *change = known ? issue->change : &asked;
    json_auto_t *document = NULL;
    struct why why;
    enum plane_result result = PLANE_OK;
    if (!known)
        result = plane_last_change(issue->call, issue->project_id, issue->id, &asked, &why);
    if (result == PLANE_OK)
        result = plane_issue_document(issue->call, issue->project_id, issue->id, &document, &why);
    if (result != PLANE_OK) {
        event->problem = mem_dup(why.text);
        event->later = result == PLANE_WAITING || result == PLANE_STOPPED || result == PLANE_SPARED;
        event->refused = result == PLANE_WAITING && issue->call->refused;
        plane_change_done(&asked);
        return;
    }
    const char *state = json_get_text(json_object_get(document, "state"), "id", "");
    if (strcasecmp(state, issue->state) != 0)
        event->problem = mem_dup("the issue is in another state now");
    else if (issue->change && !is_of(change, issue))
        event->problem = mem_dup("Plane no longer shows the change that set its state");
    else if (!(event->body = issue_body(issue, change, document)))
        event->problem = mem_dup("Plane's answer for the issue is invalid");
    plane_change_done(&asked);
}
