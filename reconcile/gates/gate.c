#include "reconcile/gates/gate.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/metric.h"
#include "clients/base/text.h"
#include "clients/http/fetch.h"
#include "clients/gitea/gitea.h"
#include "clients/facts/http_gate.h"
#include "clients/store/store.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/settings/settings.h"
#include "reconcile/settings/weblink.h"

void verdict_done(struct verdict *verdict)
{
    free(verdict->reason);
    evidence_done(&verdict->evidence);
    *verdict = (struct verdict){0};
}

/* One gate's answer under construction; its verdict is in `seen`. */
struct answer {
    struct gate_evidence *seen;
    char *reason;
    bool unasked;
};

/* decide: takes `reason`. */
static void decide(struct answer *answer, enum verdict_kind kind, char *reason_take)
{
    answer->seen->verdict = kind;
    answer->reason = text_cut(reason_take, LIMIT_REASON);
    free(reason_take);
}

static void see_url(struct answer *answer, const char *url)
{
    free(answer->seen->url);
    answer->seen->url = mem_dup(url);
    answer->seen->has_url = true;
}

static void see_page(struct answer *answer, char *html_url_take)
{
    free(answer->seen->html_url);
    answer->seen->html_url = html_url_take;
}

/* Whether a fact is known; if not, sets the answer to unknown or leaves it pending. An absent fact is unknown
 * here: callers for which absence is an answer check the state first. */
static bool is_known(struct answer *answer, const struct fact *fact)
{
    if (fact->state == FACT_KNOWN)
        return true;
    if (fact->state == FACT_PENDING)
        return false;
    see_url(answer, fact->url);
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
    answer->seen->sha = mem_dup(head->sha);
    see_page(answer, weblink_commit(view->settings, view->task->repo, head->sha));
    return head;
}

/* ci */

static bool context_counts(const struct gate *gate, const char *context)
{
    for (size_t i = 0; i < gate->n_contexts; i++)
        if (text_glob(gate->contexts[i], context))
            return true;
    return gate->n_contexts == 0;
}

static const char *missing_context(const struct gate *gate, const struct gitea_statuses *statuses)
{
    for (size_t i = 0; i < gate->n_contexts; i++) {
        bool found = false;
        for (size_t k = 0; k < statuses->n && !found; k++)
            found = text_glob(gate->contexts[i], statuses->items[k].context);
        if (!found)
            return gate->contexts[i];
    }
    return NULL;
}

/* The states of the contexts that count; `name` is the first of each kind, for the reason. */
struct ci_tally {
    size_t all, passed, failed, pending, unrecognised;
    const struct gitea_status *first_failed, *first_pending, *first_unrecognised;
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
        if (tally->unrecognised++ == 0)
            tally->first_unrecognised = status;
        break;
    }
}

static void see_name(struct evidence_list *list, const char *name, const char *word)
{
    AUTO_FREE char *cut = text_cut(name, LIMIT_EVIDENCE_NAME);
    evidence_list_put(list, cut, word);
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
    answer->seen->contexts.read = true;
    see_url(answer, statuses->fact.url);
    for (size_t i = 0; i < statuses->n; i++) {
        const struct gitea_status *status = &statuses->items[i];
        if (!context_counts(gate, status->context))
            continue;
        tally_status(&tally, status);
        see_name(&answer->seen->contexts, status->context, gitea_state_name(status->state));
    }

    const char *missing = missing_context(gate, statuses);
    if (tally.failed)
        decide(answer, VERDICT_RED,
               mem_printf("ci: %zu of %zu contexts failed: %s is %s", tally.failed, tally.all,
                          tally.first_failed->context, gitea_state_name(tally.first_failed->state)));
    else if (tally.pending)
        decide(answer, VERDICT_RED, mem_printf("ci: pending: %s", tally.first_pending->context));
    else if (tally.unrecognised)
        decide(
            answer, VERDICT_UNKNOWN,
            mem_printf("ci: %s is in a state this version does not know", tally.first_unrecognised->context));
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
 * (may be NULL) makes a value safe for its place. Caller frees. */
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
    struct buffer out = {.max = LIMIT_URL_MADE};
    for (const char *at = template; *at;) {
        size_t i = 0;
        while (i < ARRAY_LEN(places) && strncmp(at, places[i].name, strlen(places[i].name)) != 0)
            i++;
        if (i < ARRAY_LEN(places)) {
            const char *value = places[i].value ? places[i].value : "";
            AUTO_FREE char *safe = escape ? escape(value) : mem_dup(value);
            buffer_puts(&out, safe);
            at += strlen(places[i].name);
        } else {
            size_t plain = 1 + strcspn(at + 1, "{");
            buffer_put(&out, at, plain);
            at += plain;
        }
    }
    return buffer_take(&out);
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
    answer->seen->files.read = true;
    see_page(answer, weblink_tree(view->settings, view->task->repo, head->sha));
    const char *empty = NULL;
    for (size_t i = 0; i < gate->n_paths; i++) {
        if (names_work_item(gate->paths[i]) && (!view->task->work_item_id || !*view->task->work_item_id)) {
            decide(answer, VERDICT_UNKNOWN, mem_dup("files: the task has no work_item_id"));
            return;
        }
        AUTO_FREE char *path = template_fill(gate->paths[i], view, NULL);
        const struct gitea_files *found =
            gitea_files(view->facts, view->gitea, view->task->repo, head->sha, path);
        see_url(answer, found->fact.url);
        if (found->fact.state != FACT_ABSENT && !is_known(answer, &found->fact))
            return;
        bool there = found->fact.state == FACT_KNOWN && found->first;
        AUTO_FREE char *first = there ? text_cut(found->first, LIMIT_EVIDENCE_NAME) : NULL;
        evidence_list_put(&answer->seen->files, path, first);
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

/* The task's pull request, if it exists and its facts are known; else NULL, and the answer is set or pending.
 */
static const struct gitea_pull *known_pull(const struct gate_view *view, struct answer *answer,
                                           const char *gate_word)
{
    const char *base = settings_base_branch(view->settings, view->task->repo, view->task->work_item_id);
    const struct gitea_pull *pull =
        gitea_pull(view->facts, view->gitea, view->task->repo, base, view->task->branch);
    if (pull->fact.state == FACT_ABSENT) {
        see_url(answer, pull->fact.url);
        decide(answer, VERDICT_RED,
               pull->number
                   ? mem_printf("%s: no pull request of the branch into %s; #%lld into %s is %s", gate_word,
                                base, (long long)pull->number, pull->base, pull_state_word(pull))
                   : mem_printf("%s: no pull request of the branch into %s", gate_word, base));
        return NULL;
    }
    if (!is_known(answer, &pull->fact))
        return NULL;
    answer->seen->sha = mem_dup(pull->head_sha);
    answer->seen->pull_request = pull->number;
    answer->seen->pull_state = pull_state_word(pull);
    see_url(answer, pull->fact.url);
    see_page(answer, weblink_pull(view->settings, view->task->repo, pull->number));
    return pull;
}

static bool is_verdict(const struct gitea_review *review)
{
    return review->state == GITEA_REVIEW_APPROVED || review->state == GITEA_REVIEW_CHANGES;
}

/* Whether a row replaces its author's earlier review. Gitea makes a verdict unofficial once its author is
 * asked to review again, so with `official` the request cancels the verdict. */
static bool is_word(const struct gitea_review *review, bool official)
{
    return official ? review->official && (is_verdict(review) || review->state == GITEA_REVIEW_REQUESTED)
                    : is_verdict(review);
}

/* The list is a history, oldest first: only the last review of each person counts. */
static bool is_last_word(const struct gitea_reviews *reviews, size_t at, bool official)
{
    const char *user = reviews->items[at].user;
    for (size_t i = at + 1; user && i < reviews->n; i++)
        if (is_word(&reviews->items[i], official) && reviews->items[i].user &&
            strcmp(reviews->items[i].user, user) == 0)
            return false;
    return true;
}

/* The reviews that count, and the newest approval among those that do not. */
struct review_tally {
    int approvals;
    int64_t approval; /* id of the newest that counts; 0: none, or it has no id */
    const char *objector, *unofficial;
};

static void tally_review(const struct gitea_review *review, bool counts, struct review_tally *tally,
                         struct evidence_list *seen)
{
    bool approves = review->state == GITEA_REVIEW_APPROVED;
    const char *user = review->user ? review->user : "(no name)";
    if (!counts) {
        see_name(seen, user, approves ? "approved, not official" : "changes requested, not official");
        tally->unofficial = approves && !review->stale ? user : tally->unofficial;
        return;
    }
    see_name(seen, user, !approves ? "changes requested" : review->stale ? "approved, stale" : "approved");
    /* A request for changes counts until its author withdraws it or it is dismissed: new commits make it
     * stale, but Gitea still blocks the merge. A stale approval was given to other code. */
    if (!approves) {
        tally->objector = user;
    } else if (!review->stale && review->user) {
        tally->approvals++;
        tally->approval = review->id > 0 ? review->id : 0;
    }
}

static char *too_few_approvals(const struct review_tally *tally, const struct gate *gate, int64_t number)
{
    const char *unofficial = tally->unofficial;
    return mem_printf("review: %d of %d approvals on #%lld%s%s%s", tally->approvals, gate->approvals,
                      (long long)number, unofficial ? "; the one by " : "", unofficial ? unofficial : "",
                      unofficial ? " is not official" : "");
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

    struct review_tally tally = {0};
    answer->seen->reviews.read = true;
    for (size_t i = 0; i < reviews->n; i++) {
        const struct gitea_review *review = &reviews->items[i];
        bool counts = is_word(review, gate->official);
        if (is_verdict(review) && !review->dismissed && is_last_word(reviews, i, counts && gate->official))
            tally_review(review, counts, &tally, &answer->seen->reviews);
    }
    if (tally.objector)
        decide(answer, VERDICT_RED,
               mem_printf("review: %s requests changes on #%lld", tally.objector, (long long)pull->number));
    else if (tally.approvals < gate->approvals)
        decide(answer, VERDICT_RED, too_few_approvals(&tally, gate, pull->number));
    else {
        answer->seen->review = tally.approval;
        decide(answer, VERDICT_GREEN,
               mem_printf("review: #%lld is approved (%d of %d)", (long long)pull->number, tally.approvals,
                          gate->approvals));
    }
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
    see_url(answer, asked->fact.url);
    if (!is_known(answer, &asked->fact))
        return;
    static const enum verdict_kind kinds[] = {[HTTP_GATE_GREEN] = VERDICT_GREEN,
                                              [HTTP_GATE_RED] = VERDICT_RED,
                                              [HTTP_GATE_UNKNOWN] = VERDICT_UNKNOWN};
    enum verdict_kind kind = kinds[asked->verdict];
    decide(answer, kind,
           *asked->reason ? mem_printf("http: %s", asked->reason)
                          : mem_printf("http: the gate answered %s", verdict_name(kind)));
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
}

/* Three-valued "and": the joint verdict of `a` and `b`. Red comes first; then pending, so that a red verdict
 * that is still under way is not missed; then unknown. */
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
    enum verdict_kind joint = verdict_and(verdict->kind, answer->seen->verdict);
    bool speaks = joint == answer->seen->verdict && (joint != verdict->kind || !verdict->reason);
    if (speaks)
        verdict->unasked = answer->unasked;
    if (speaks && answer->reason) {
        free(verdict->reason);
        verdict->reason = mem_dup(answer->reason);
    }
    if (!verdict->sha)
        verdict->sha = answer->seen->sha;
    verdict->kind = joint;
    free(answer->reason);
}

/* Counts each gate that was answered, once, when the verdict is final. A human gate is never evaluated. */
static void count_checks(const struct evidence *evidence)
{
    for (size_t i = 0; i < evidence->gates.n; i++) {
        const struct gate_evidence *seen = &evidence->gates.items[i];
        if (seen->verdict != VERDICT_PENDING && seen->gate != GATE_HUMAN)
            metric_count(METRIC_GATE_CHECKS, gate_kind_name(seen->gate), verdict_name(seen->verdict));
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
    *ret = (struct verdict){.kind = VERDICT_GREEN, .evidence = {.side = SIDE_GATE}};
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
    /* All gates are evaluated before any is waited for, so that their requests are sent together. */
    size_t n = view->stage->n_gates;
    struct gate_evidence *seen = mem_zero(n, sizeof *seen);
    ret->evidence.gates.items = seen;
    ret->evidence.gates.n = n;
    for (size_t i = 0; i < n; i++) {
        struct answer answer = {.seen = &seen[i]};
        seen[i].gate = view->stage->gates[i].kind;
        evaluate_one(view, &view->stage->gates[i], &answer);
        join(ret, &answer);
    }
    if (ret->kind == VERDICT_PENDING)
        verdict_done(ret);
    else
        count_checks(&ret->evidence);
}
