#include "reconcile/gates/gate.h"

#include <assert.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/metric.h"
#include "clients/base/text.h"
#include "clients/http/fetch.h"
#include "clients/gitea/gitea.h"
#include "clients/facts/http_gate.h"
#include "clients/store/store.h"
#include "reconcile/pipeline/pipeline.h"

static const char *const verdict_names[] = {
    [VERDICT_PENDING] = "pending",
    [VERDICT_GREEN] = "green",
    [VERDICT_RED] = "red",
    [VERDICT_UNKNOWN] = "unknown",
};
static_assert(ARRAY_LEN(verdict_names) == VERDICT_MAX_, "every verdict has a name");

const char *verdict_name(enum verdict_kind kind)
{
    return (unsigned)kind < VERDICT_MAX_ ? verdict_names[kind] : "unknown";
}

void verdict_done(struct verdict *verdict)
{
    free(verdict->reason);
    free(verdict->sha);
    json_decref(verdict->evidence);
    *verdict = (struct verdict){0};
}

/* One gate's answer under construction; `evidence` is its object. */
struct answer {
    enum verdict_kind kind;
    char *reason;
    json_t *evidence;
    const char *sha;
    bool unasked;
};

/* decide: takes `reason`. */
static void decide(struct answer *answer, enum verdict_kind kind, char *reason_take)
{
    answer->kind = kind;
    answer->reason = text_cut(reason_take, LIMIT_REASON);
    free(reason_take);
}

/* Whether a fact is there; if not, the answer is decided (or left pending) on account of it. An absent thing
 * is unknown here: who takes absence for an answer looks at the state itself first. */
static bool is_known(struct answer *answer, const struct fact *fact)
{
    if (fact->state == FACT_KNOWN)
        return true;
    if (fact->state == FACT_PENDING) {
        answer->kind = VERDICT_PENDING;
        return false;
    }
    json_put(answer->evidence, "url", json_text(fact->url));
    answer->unasked = fact->unasked;
    decide(answer, VERDICT_UNKNOWN, mem_dup(fact->error ? fact->error : "no answer"));
    return false;
}

static const struct gitea_head *known_head(const struct gate_view *view, struct answer *answer)
{
    const struct gitea_head *head =
        gitea_head(view->facts, view->gitea, view->task->repo, view->task->branch);
    if (!is_known(answer, &head->fact))
        return NULL;
    answer->sha = head->sha;
    json_put(answer->evidence, "sha", json_text(head->sha));
    return head;
}

/* ci */

static bool context_counts(const struct gate *gate, const char *context)
{
    for (size_t i = 0; i < gate->n_contexts; i++)
        if (fnmatch(gate->contexts[i], context, 0) == 0)
            return true;
    return gate->n_contexts == 0;
}

static const char *missing_context(const struct gate *gate, const struct gitea_statuses *statuses)
{
    for (size_t i = 0; i < gate->n_contexts; i++) {
        bool found = false;
        for (size_t k = 0; k < statuses->n && !found; k++)
            found = fnmatch(gate->contexts[i], statuses->items[k].context, 0) == 0;
        if (!found)
            return gate->contexts[i];
    }
    return NULL;
}

/* How the contexts that count stand; `name` is the first of each kind, for the reason. */
struct ci_tally {
    size_t all, passed, failed, pending, unheard_of;
    const struct gitea_status *first_failed, *first_pending, *first_unheard_of;
};

static void tally_status(struct ci_tally *tally, const struct gitea_status *status)
{
    tally->all++;
    switch (status->state) {
    case GITEA_SUCCESS:
    case GITEA_SKIPPED:
        tally->passed++;
        break;
    case GITEA_PENDING:
        if (tally->pending++ == 0)
            tally->first_pending = status;
        break;
    case GITEA_FAILURE:
    case GITEA_ERROR:
    case GITEA_WARNING:
        if (tally->failed++ == 0)
            tally->first_failed = status;
        break;
    case GITEA_UNHEARD_OF:
        if (tally->unheard_of++ == 0)
            tally->first_unheard_of = status;
        break;
    }
}

static void evidence_put(json_t *object, const char *name, const char *word)
{
    AUTO_FREE char *cut = text_cut(name, LIMIT_EVIDENCE_NAME);
    json_put(object, cut, json_text(word));
}

static json_t *context_evidence(const struct gate *gate, const struct gitea_statuses *statuses)
{
    json_t *contexts = json_object();
    for (size_t i = 0; i < statuses->n && json_object_size(contexts) < LIMIT_EVIDENCE_ITEMS; i++)
        if (context_counts(gate, statuses->items[i].context))
            evidence_put(contexts, statuses->items[i].context, gitea_state_name(statuses->items[i].state));
    return contexts;
}

static void evaluate_ci(const struct gate_view *view, const struct gate *gate, struct answer *answer)
{
    const struct gitea_head *head = known_head(view, answer);
    if (!head)
        return;
    const struct gitea_statuses *statuses =
        gitea_statuses(view->facts, view->gitea, view->task->repo, head->sha);
    if (!is_known(answer, &statuses->fact))
        return;
    struct ci_tally tally = {0};
    for (size_t i = 0; i < statuses->n; i++)
        if (context_counts(gate, statuses->items[i].context))
            tally_status(&tally, &statuses->items[i]);
    json_put(answer->evidence, "contexts", context_evidence(gate, statuses));
    json_put(answer->evidence, "url", json_text(statuses->fact.url));

    const char *missing = missing_context(gate, statuses);
    if (tally.failed)
        decide(answer, VERDICT_RED,
               mem_printf("ci: %zu of %zu contexts failed: %s is %s", tally.failed, tally.all,
                          tally.first_failed->context, gitea_state_name(tally.first_failed->state)));
    else if (tally.pending)
        decide(answer, VERDICT_RED, mem_printf("ci: pending: %s", tally.first_pending->context));
    else if (tally.unheard_of)
        decide(
            answer, VERDICT_UNKNOWN,
            mem_printf("ci: %s is in a state this version does not know", tally.first_unheard_of->context));
    else if (statuses->n == 0)
        decide(answer, VERDICT_RED, mem_printf("ci: no status yet on %.12s", head->sha));
    else if (missing)
        decide(answer, VERDICT_RED, mem_printf("ci: no status yet for context %s", missing));
    else
        decide(answer, VERDICT_GREEN,
               mem_printf("ci: %zu of %zu contexts passed on %.12s", tally.passed, tally.all, head->sha));
}

/* files */

/* template_fill: the pipeline was checked when it was read: every placeholder in it is one of these. `escape`
 * is NULL or makes a value safe for the place it goes to. Caller frees. */
static char *template_fill(const char *template, const struct gate_view *view, char *(*escape)(const char *))
{
    const struct store_task *task = view->task;
    char id[24];
    snprintf(id, sizeof id, "%lld", (long long)task->id);
    const struct {
        const char *name, *value;
    } places[] = {
        {"{task_id}", id},        {"{work_item_id}", task->work_item_id},
        {"{stage}", task->stage}, {"{branch}", task->branch},
        {"{repo}", task->repo},
    };
    char *out = mem_dup("");
    for (const char *at = template; *at;) {
        size_t i = 0;
        while (i < ARRAY_LEN(places) && strncmp(at, places[i].name, strlen(places[i].name)) != 0)
            i++;
        char *grown;
        if (i < ARRAY_LEN(places)) {
            const char *value = places[i].value ? places[i].value : "";
            AUTO_FREE char *safe = escape ? escape(value) : mem_dup(value);
            grown = mem_printf("%s%s", out, safe);
            at += strlen(places[i].name);
        } else {
            size_t plain = 1 + strcspn(at + 1, "{");
            grown = mem_printf("%s%.*s", out, (int)(*at ? plain : 0), at);
            at += plain;
        }
        free(out);
        out = grown;
    }
    return out;
}

static bool names_work_item(const char *template)
{
    return strstr(template, "{work_item_id}") != NULL;
}

static void evaluate_files(const struct gate_view *view, const struct gate *gate, struct answer *answer)
{
    const struct gitea_head *head = known_head(view, answer);
    if (!head)
        return;
    json_t *files = json_object();
    json_put(answer->evidence, "files", files);
    const char *empty = NULL;
    for (size_t i = 0; i < gate->n_paths; i++) {
        if (names_work_item(gate->paths[i]) && (!view->task->work_item_id || !*view->task->work_item_id)) {
            decide(answer, VERDICT_UNKNOWN, mem_dup("files: the task has no work_item_id"));
            return;
        }
        AUTO_FREE char *path = template_fill(gate->paths[i], view, NULL);
        const struct gitea_files *found =
            gitea_files(view->facts, view->gitea, view->task->repo, head->sha, path);
        if (found->fact.state != FACT_ABSENT && !is_known(answer, &found->fact))
            return;
        bool there = found->fact.state == FACT_KNOWN && found->n > 0;
        AUTO_FREE char *first = there ? text_cut(found->first, LIMIT_EVIDENCE_NAME) : NULL;
        json_put(files, path, json_text(first));
        if (!there && !empty)
            empty = gate->paths[i];
    }
    if (empty) {
        AUTO_FREE char *path = template_fill(empty, view, NULL);
        decide(answer, VERDICT_RED, mem_printf("files: %s holds no file on %.12s", path, head->sha));
    } else {
        decide(answer, VERDICT_GREEN,
               mem_printf("files: %zu of %zu paths hold a file on %.12s", gate->n_paths, gate->n_paths,
                          head->sha));
    }
}

/* review and merged */

static const char *pull_state_word(const struct gitea_pull *pull)
{
    switch (pull->state) {
    case GITEA_PULL_OPEN:
        return "open";
    case GITEA_PULL_MERGED:
        return "merged";
    case GITEA_PULL_CLOSED:
        break;
    }
    return "closed";
}

/* The task's pull request, if there is one and its facts are known; else the answer is decided or pending. */
static const struct gitea_pull *known_pull(const struct gate_view *view, struct answer *answer,
                                           const char *gate_word)
{
    const struct gitea_pull *pull =
        gitea_pull(view->facts, view->gitea, view->task->repo, view->base_branch, view->task->branch);
    if (pull->fact.state == FACT_ABSENT) {
        json_put(answer->evidence, "url", json_text(pull->fact.url));
        decide(answer, VERDICT_RED,
               mem_printf("%s: no pull request of the branch into %s", gate_word, view->base_branch));
        return NULL;
    }
    if (!is_known(answer, &pull->fact))
        return NULL;
    answer->sha = pull->head_sha;
    json_put(answer->evidence, "sha", json_text(pull->head_sha));
    json_put(answer->evidence, "pull_request", json_integer(pull->number));
    json_put(answer->evidence, "state", json_text(pull_state_word(pull)));
    json_put(answer->evidence, "url", json_text(pull->html_url ? pull->html_url : pull->fact.url));
    return pull;
}

static bool is_verdict(const struct gitea_review *review)
{
    return review->state == GITEA_REVIEW_APPROVED || review->state == GITEA_REVIEW_CHANGES;
}

/* The list is a history, oldest first: what counts is each person's last word. */
static bool is_last_word(const struct gitea_reviews *reviews, size_t at)
{
    const char *user = reviews->items[at].user;
    for (size_t i = at + 1; user && i < reviews->n; i++)
        if (is_verdict(&reviews->items[i]) && reviews->items[i].user &&
            strcmp(reviews->items[i].user, user) == 0)
            return false;
    return true;
}

static void approve(struct answer *answer, int64_t review, char *reason_take)
{
    if (review >= 0)
        json_put(answer->evidence, "review", json_integer(review));
    decide(answer, VERDICT_GREEN, reason_take);
}

static void evaluate_review(const struct gate_view *view, const struct gate *gate, struct answer *answer)
{
    const struct gitea_pull *pull = known_pull(view, answer, "review");
    if (!pull)
        return;
    if (pull->state != GITEA_PULL_OPEN) {
        decide(
            answer, VERDICT_RED,
            mem_printf("review: pull request #%lld is %s", (long long)pull->number, pull_state_word(pull)));
        return;
    }
    const struct gitea_reviews *reviews =
        gitea_reviews(view->facts, view->gitea, view->task->repo, pull->number);
    if (!is_known(answer, &reviews->fact))
        return;

    int approvals = 0;
    int64_t approval = -1; /* the newest that counts */
    const char *objector = NULL;
    json_t *seen = json_object();
    json_put(answer->evidence, "reviews", seen);
    for (size_t i = 0; i < reviews->n; i++) {
        const struct gitea_review *review = &reviews->items[i];
        if (!is_verdict(review) || review->dismissed || !is_last_word(reviews, i))
            continue;
        bool approves = review->state == GITEA_REVIEW_APPROVED;
        const char *word = !approves ? "changes requested" : review->stale ? "approved, stale" : "approved";
        if (json_object_size(seen) < LIMIT_EVIDENCE_ITEMS)
            evidence_put(seen, review->user ? review->user : "(nobody)", word);
        /* A request for changes stands until its author takes it back or it is dismissed: new commits make it
         * stale, and Gitea itself still blocks the merge on it. A stale approval was given to other code. */
        if (!approves)
            objector = review->user ? review->user : "(nobody)";
        else if (!review->stale && review->user) {
            approvals++;
            approval = review->id;
        }
    }
    if (objector)
        decide(answer, VERDICT_RED,
               mem_printf("review: %s requests changes on #%lld", objector, (long long)pull->number));
    else if (approvals < gate->approvals)
        decide(answer, VERDICT_RED,
               mem_printf("review: %d of %d approvals on #%lld", approvals, gate->approvals,
                          (long long)pull->number));
    else
        approve(answer, approval,
                mem_printf("review: #%lld is approved (%d of %d)", (long long)pull->number, approvals,
                           gate->approvals));
}

static void evaluate_merged(const struct gate_view *view, struct answer *answer)
{
    const struct gitea_pull *pull = known_pull(view, answer, "merged");
    if (pull)
        decide(
            answer, pull->state == GITEA_PULL_MERGED ? VERDICT_GREEN : VERDICT_RED,
            mem_printf("merged: pull request #%lld is %s", (long long)pull->number, pull_state_word(pull)));
}

/* http */

static void evaluate_http(const struct gate_view *view, const struct gate *gate, struct answer *answer)
{
    AUTO_FREE char *url = template_fill(gate->url, view, fetch_escape);
    const struct http_gate *asked = http_gate(view->facts, url, view->task->repo);
    json_put(answer->evidence, "url", json_text(asked->fact.url));
    if (!is_known(answer, &asked->fact))
        return;
    static const enum verdict_kind kinds[] = {[HTTP_GATE_GREEN] = VERDICT_GREEN,
                                              [HTTP_GATE_RED] = VERDICT_RED,
                                              [HTTP_GATE_UNKNOWN] = VERDICT_UNKNOWN};
    enum verdict_kind kind = kinds[asked->verdict];
    decide(answer, kind,
           *asked->reason ? mem_printf("http: %s", asked->reason)
                          : mem_printf("http: the gate says %s", verdict_name(kind)));
}

/* all gates of a stage */

static void evaluate_one(const struct gate_view *view, const struct gate *gate, struct answer *answer)
{
    switch (gate->kind) {
    case GATE_CI:
        evaluate_ci(view, gate, answer);
        break;
    case GATE_FILES:
        evaluate_files(view, gate, answer);
        break;
    case GATE_REVIEW:
        evaluate_review(view, gate, answer);
        break;
    case GATE_MERGED:
        evaluate_merged(view, answer);
        break;
    case GATE_HTTP:
        evaluate_http(view, gate, answer);
        break;
    case GATE_HUMAN:
    case GATE_KIND_MAX_:
        decide(answer, VERDICT_UNKNOWN, mem_dup("human: a person decides, in Plane"));
        break;
    }
    if (answer->kind != VERDICT_PENDING)
        json_put(answer->evidence, "verdict", json_text(verdict_name(answer->kind)));
}

/* Three-valued "and": what the joint verdict of `a` and `b` is. Red needs nobody else; then pending, so that
 * a red still under way is not missed; then unknown. */
static enum verdict_kind verdict_and(enum verdict_kind a, enum verdict_kind b)
{
    static const enum verdict_kind order[] = {VERDICT_RED, VERDICT_PENDING, VERDICT_UNKNOWN};
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        if (a == order[i] || b == order[i])
            return order[i];
    return VERDICT_GREEN;
}

static void join(struct verdict *verdict, struct answer *answer)
{
    enum verdict_kind joint = verdict_and(verdict->kind, answer->kind);
    bool speaks = joint == answer->kind && (joint != verdict->kind || !verdict->reason);
    if (speaks)
        verdict->unasked = answer->unasked;
    if (speaks && answer->reason) {
        free(verdict->reason);
        verdict->reason = mem_dup(answer->reason);
    }
    if (!verdict->sha && answer->sha)
        verdict->sha = mem_dup(answer->sha);
    verdict->kind = joint;
    json_push(verdict->evidence, answer->evidence);
    free(answer->reason);
}

/* Once for each gate that has answered, when all are joined and nobody evaluates them again. A human one was
 * not read anywhere. */
static void count_checks(const struct stage *stage, const struct verdict *verdict)
{
    for (size_t i = 0; i < stage->n_gates; i++) {
        const char *said = json_get_text(json_array_get(verdict->evidence, i), "verdict", NULL);
        if (said && stage->gates[i].kind != GATE_HUMAN)
            metric_count(METRIC_GATE_CHECKS, gate_kind_name(stage->gates[i].kind), said);
    }
}

static bool makes_sense(const struct store_task *task, char **ret_reason)
{
    if (task->unreadable)
        *ret_reason = mem_dup(task->unreadable);
    else if (!task->repo || !strchr(task->repo, '/'))
        *ret_reason = mem_dup("the task has no repo of the form owner/name");
    else if (!task->branch || !*task->branch)
        *ret_reason = mem_dup("the task has no branch");
    else
        return true;
    return false;
}

void gate_evaluate(const struct gate_view *view, struct verdict *ret)
{
    *ret = (struct verdict){.kind = VERDICT_GREEN, .evidence = json_array()};
    char *nonsense = NULL;
    if (!makes_sense(view->task, &nonsense)) {
        ret->kind = VERDICT_UNKNOWN;
        ret->reason = nonsense;
        return;
    }
    if (view->stage->n_gates == 0) {
        ret->kind = VERDICT_UNKNOWN;
        ret->reason = mem_dup("the stage has no gate");
        return;
    }
    /* All gates are asked before any is waited for, so that their questions travel together. */
    for (size_t i = 0; i < view->stage->n_gates; i++) {
        struct answer answer = {.evidence = json_object()};
        json_put(answer.evidence, "gate", json_text(gate_kind_name(view->stage->gates[i].kind)));
        evaluate_one(view, &view->stage->gates[i], &answer);
        join(ret, &answer);
    }
    if (ret->kind == VERDICT_PENDING)
        verdict_done(ret);
    else
        count_checks(view->stage, ret);
}
