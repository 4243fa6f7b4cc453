#include "reconcile/explain/explain.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/store/store.h"
#include "reconcile/explain/explain_gate.h"
#include "reconcile/explain/explain_next.h"
#include "reconcile/gates/gate.h"
#include "reconcile/explain/history.h"
#include "reconcile/sweep/query_pool.h"
#include "reconcile/sweep/pass.h"
#include "reconcile/heal/pass_context.h"
#include "reconcile/holds/holds.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/plane/plane_scan.h"
#include "reconcile/plane/plane_start.h"
#include "reconcile/plane/plane_unstarted.h"
#include "reconcile/plane/task_issue.h"
#include "reconcile/settings/policy.h"
#include "reconcile/heal/quarantine.h"
#include "reconcile/heal/recheck.h"
#include "reconcile/heal/replay_event.h"
#include "reconcile/settings/settings.h"
#include "reconcile/settings/weblink.h"
#include "reconcile/sweep/sweeper.h"

/* How many of its last transitions are shown with a task. */
enum { TRANSITIONS_TOLD = 10 };

struct explainer {
    struct services *services;
    struct sweeper *sweeper;
    struct query_pool *query_pool;
    struct plane_scan *scan; /* the query pool's asking thread's alone; keeps states, and no issue */
    const char **terminal;   /* stages */
    size_t n_terminal;
};

struct explanation {
    struct explainer *explainer;
    struct store_task_entry entry;
    const struct stage *stage; /* NULL: the pipeline does not know it */
    struct policy *policy;
    char *unreadable;                     /* why the stored settings cannot be understood, or NULL */
    int64_t now_us, now_ms, next_pass_us; /* now_ms: clock_mono_ms() at now_us */
    int64_t ahead;                        /* tasks that the next pass of the timer may heal before this one */
    struct store_holds holds;             /* all that are in force */
    struct store_hold *own_holds;         /* those of them that keep this task, whose texts they borrow */
    size_t n_own_holds;
    char **own_names;
    json_t *transitions;
    bool replayed; /* its event was sent to the orchestrator, and it has not been seen to move: */
    struct store_replay_open replay;
    struct verdict verdict; /* VERDICT_PENDING: not asked for */
    const char *obstacle;   /* see explain_next.h */
    char *taken;            /* the same, when it is that its branch is another task's; else NULL */
    bool asked;             /* Plane was, about: */
    struct task_issue issue;
    json_t *document; /* what the query answered */
};

struct explainer *explainer_new(struct services *services, struct sweeper *sweeper,
                                struct query_pool *query_pool)
{
    const struct pipeline *pipeline = services->pipeline;
    struct explainer *explainer = mem_zero(1, sizeof *explainer);
    *explainer = (struct explainer){.services = services,
                                    .sweeper = sweeper,
                                    .query_pool = query_pool,
                                    .scan = plane_scan_new(services->settings)};
    explainer->terminal = mem_zero(pipeline->n_stages, sizeof *explainer->terminal);
    for (size_t i = 0; i < pipeline->n_stages; i++)
        if (pipeline->stages[i].terminal)
            explainer->terminal[explainer->n_terminal++] = pipeline->stages[i].name;
    return explainer;
}

void explainer_free(struct explainer *explainer)
{
    if (!explainer)
        return;
    plane_scan_free(explainer->scan);
    free(explainer->terminal);
    free(explainer);
}

void explanation_free(struct explanation *explanation)
{
    if (!explanation)
        return;
    store_task_entry_done(&explanation->entry);
    policy_free(explanation->policy);
    free(explanation->unreadable);
    free(explanation->taken);
    json_decref(explanation->transitions);
    for (size_t i = 0; explanation->own_names && i < explanation->n_own_holds; i++)
        free(explanation->own_names[i]);
    free(explanation->own_names);
    free(explanation->own_holds);
    store_holds_done(&explanation->holds);
    verdict_done(&explanation->verdict);
    task_issue_done(&explanation->issue);
    json_decref(explanation->document);
    free(explanation);
}

/* what is in force */

/* Settings that cannot be read count as off (policy.h); the other settings then have their values of the
 * start, and *ret_unreadable is the reason, else NULL. */
static enum err read_policy(const struct explainer *explainer, struct policy **ret, char **ret_unreadable,
                            struct why *why)
{
    const struct services *services = explainer->services;
    enum err err = policy_read(services->store, services->settings, ret, why);
    *ret_unreadable = NULL;
    if (err != ERR_INVALID)
        return err;
    const struct store_settings none = {.overrides = (char *)(uintptr_t)"{}",
                                        .now_us = services_wall_us(services)};
    *ret_unreadable = mem_printf("switched off: %s", why->text);
    return policy_make(services->settings, &none, ret, why);
}

static struct store_tasks_query tasks_query(const struct explainer *explainer, const struct policy *policy,
                                            const struct store_stage_grace *graces, size_t n)
{
    return (struct store_tasks_query){.gated = graces,
                                      .n_gated = n,
                                      .terminal = explainer->terminal,
                                      .n_terminal = explainer->n_terminal,
                                      .heals_window_s = policy->quarantine_window_s};
}

/* a task, as the list and the explanation begin */

static json_t *job_document(const struct store_task_entry *entry)
{
    if (!entry->job_id)
        return json_null();
    json_t *job = json_object();
    int64_t number;
    bool numbered = parse_i64(entry->job_id, INT64_MIN, INT64_MAX, &number);
    json_put(job, "id", numbered ? json_integer(number) : json_text(entry->job_id));
    json_put(job, "agent", json_text(entry->job_agent));
    json_put(job, "status", json_text(entry->job_status));
    json_put(job, "updated_at", json_instant(entry->job_updated_us));
    return job;
}

/* The timer evaluates the task again when its recheck is due, in a pass. */
static json_t *last_document(const struct explainer *explainer, const struct store_task_entry *entry)
{
    const struct services *services = explainer->services;
    struct recheck_look look;
    if (!recheck_last(services->recheck, entry->task.id, entry->task.stage, &look))
        return json_null();
    int64_t again_ms = recheck_at(services->recheck, entry->task.id);
    int64_t rests_ms = again_ms ? again_ms - services_mono_ms(services) : 0;
    int64_t pass_ms = sweeper_due_ms(explainer->sweeper);
    int64_t wait_ms = rests_ms > pass_ms ? rests_ms : pass_ms;
    int64_t now_us = entry->updated_us + entry->task.age_s * 1000000; /* by the database's clock */
    json_t *document = json_object();
    json_put(document, "verdict", json_text(*look.verdict ? look.verdict : NULL));
    json_put(document, "reason", json_text(*look.reason ? look.reason : NULL));
    json_put(document, "outcome", json_text(outcome_name(look.outcome)));
    json_put(document, "at", json_instant(look.at_us));
    json_put(document, "next_at", json_instant(entry->stuck ? now_us + wait_ms * 1000 : 0));
    return document;
}

static json_t *task_document(const struct explainer *explainer, const struct policy *policy,
                             const struct store_task_entry *entry)
{
    const struct store_task *task = &entry->task;
    const struct stage *stage = pipeline_stage(explainer->services->pipeline, task->stage);
    bool gated = stage && stage_is_gated(stage);
    json_t *document = json_object();
    json_put(document, "task_id", json_integer(task->id));
    json_put(document, "work_item_id", json_text(task->work_item_id));
    json_put(document, "plane_id", json_text(task->plane_id));
    json_put(document, "title", json_text(task->title));
    json_put(document, "repo", json_text(task->repo));
    json_put(document, "branch", json_text(task->branch));
    json_put(document, "stage", json_text(task->stage));
    json_put(document, "updated_at", json_instant(entry->updated_us));
    json_put(document, "age_s", json_integer(task->age_s));
    json_put(document, "grace_s", gated ? json_integer(policy_grace_s(policy, task->stage)) : json_null());
    json_put(document, "stuck", json_boolean(entry->stuck));
    json_put(document, "job", job_document(entry));
    json_put(document, "last", last_document(explainer, entry));
    return document;
}

enum err explain_list(struct explainer *explainer, const struct explain_list_query *wanted, json_t **ret,
                      struct why *why)
{
    struct policy *policy = NULL;
    AUTO_FREE char *unreadable = NULL;
    enum err err = read_policy(explainer, &policy, &unreadable, why);
    if (err)
        return err;
    size_t n;
    struct store_stage_grace *graces = policy_graces(policy, explainer->services->pipeline, &n);
    struct store_tasks_query query = tasks_query(explainer, policy, graces, n);
    query.stage = wanted->stage;
    query.repo = wanted->repo;
    query.part = wanted->part;
    query.stuck_only = wanted->stuck_only;
    query.after = wanted->after;
    query.limit = wanted->limit;
    query.often_healed = wanted->quarantined_only;
    query.heals = policy->quarantine_heals;
    struct store_tasks_page page;
    struct store_holds holds = {0};
    err = store_holds_list(explainer->services->store, &holds, why);
    query.held = wanted->held_only ? &holds : NULL;
    if (!err)
        err = store_tasks_list(explainer->services->store, &query, &page, why);
    if (!err) {
        json_t *items = json_array();
        for (size_t i = 0; i < page.n; i++) {
            json_t *item = task_document(explainer, policy, &page.rows[i]);
            const struct store_task *task = &page.rows[i].task;
            json_put(item, "held", json_boolean(store_hold_of(&holds, task)));
            json_put(item, "quarantined", json_boolean(gate_quarantines(task, policy->quarantine_heals)));
            json_push(items, item);
        }
        *ret = json_object();
        json_put(*ret, "items", items);
        json_put(*ret, "next", json_text(page.next));
        store_tasks_page_done(&page);
    }
    store_holds_done(&holds);
    free(graces);
    policy_free(policy);
    return err;
}

/* one task */

static enum err read_task(struct explanation *explanation, int64_t task_id, struct why *why)
{
    const struct explainer *explainer = explanation->explainer;
    size_t n;
    struct store_stage_grace *graces = policy_graces(explanation->policy, explainer->services->pipeline, &n);
    const struct store_tasks_query query = tasks_query(explainer, explanation->policy, graces, n);
    enum err err = store_task_get(explainer->services->store, task_id, &query, &explanation->entry,
                                  &explanation->now_us, why);
    explanation->now_ms = clock_mono_ms();
    free(graces);
    return err;
}

static enum err read_transitions(struct explanation *explanation, int64_t task_id, struct why *why)
{
    json_t *page = NULL;
    enum err err =
        history_list(explanation->explainer->services->store, task_id, 0, TRANSITIONS_TOLD, &page, why);
    if (err)
        return err;
    explanation->transitions = json_incref(json_object_get(page, "items"));
    json_decref(page);
    return ERR_OK;
}

static bool sends(const struct explanation *explanation)
{
    return explanation->explainer->services->settings->advance_via == ADVANCE_VIA_WEBHOOK;
}

static enum err read_replay(struct explanation *explanation, int64_t task_id, struct why *why)
{
    if (!sends(explanation))
        return ERR_OK;
    AUTO_FREE char *subject = replay_event_subject(task_id);
    enum err err =
        store_replay_get(explanation->explainer->services->store, subject, &explanation->replay, why);
    explanation->replayed = err == ERR_OK;
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* Why the Plane side can do nothing about the task at its stage; NULL: it can, or its stage is not the Plane
 * side's. */
static const char *obstacle_of(const struct explanation *explanation)
{
    struct services *services = explanation->explainer->services;
    const struct stage *stage = explanation->stage;
    bool is_plane_s = stage && (stage->human || stage == &services->pipeline->stages[0]);
    if (is_plane_s && explanation->entry.task.unreadable)
        return explanation->entry.task.unreadable;
    if (stage && stage->human)
        return task_issue_obstacle(services, &explanation->entry.task);
    if (stage != &services->pipeline->stages[0] || stage->n_gates > 0)
        return NULL;
    if (sends(explanation))
        return "the orchestrator finishes itself what it began";
    return plane_configured(services->plane) ? plane_start_obstacle(services)
                                             : "ORCH_PLANE_URL is not set: it is not started here";
}

static enum err read_obstacle(struct explanation *explanation, struct why *why)
{
    const struct services *services = explanation->explainer->services;
    const struct store_task *task = &explanation->entry.task;
    explanation->stage = pipeline_stage(services->pipeline, task->stage);
    explanation->obstacle = obstacle_of(explanation);
    bool starts = explanation->stage == &services->pipeline->stages[0] && explanation->stage->n_gates == 0;
    if (!starts || explanation->obstacle || !task->repo || !task->branch)
        return ERR_OK;
    enum err err = plane_start_taken(services, task, &explanation->taken, why);
    explanation->obstacle = explanation->taken;
    return err;
}

static enum err read_holds(struct explanation *explanation, struct why *why)
{
    struct store *store = explanation->explainer->services->store;
    struct store_holds *holds = &explanation->holds;
    enum err err = store_holds_list(store, holds, why);
    if (err)
        return err;
    explanation->own_holds = mem_zero(holds->n + 1, sizeof *explanation->own_holds);
    for (size_t i = 0; i < holds->n; i++)
        if (store_hold_covers(&holds->rows[i], &explanation->entry.task))
            explanation->own_holds[explanation->n_own_holds++] = holds->rows[i];
    return hold_names(store, explanation->own_holds, explanation->n_own_holds, &explanation->own_names, why);
}

enum err explain_read(struct explainer *explainer, int64_t task_id, struct explanation **ret, struct why *why)
{
    struct explanation *explanation = mem_zero(1, sizeof *explanation);
    explanation->explainer = explainer;
    enum err err = read_policy(explainer, &explanation->policy, &explanation->unreadable, why);
    if (!err)
        err = read_task(explanation, task_id, why);
    if (!err)
        err = read_holds(explanation, why);
    if (!err)
        err = read_transitions(explanation, task_id, why);
    if (!err)
        err = read_replay(explanation, task_id, why);
    if (!err)
        err = explain_gate_ahead(explainer->services, explanation->policy, &explanation->holds,
                                 &explanation->entry, &explanation->ahead, why);
    if (!err)
        err = read_obstacle(explanation, why);
    if (err) {
        explanation_free(explanation);
        return err;
    }
    explanation->next_pass_us = explanation->now_us + sweeper_due_ms(explainer->sweeper) * 1000;
    *ret = explanation;
    return ERR_OK;
}

bool explanation_is_whole(const struct explanation *explanation)
{
    const struct stage *stage = explanation->stage;
    bool asks_plane = stage && stage->human && !explanation->obstacle && !explanation->entry.job_id;
    return !stage || (!stage_is_gated(stage) && !asks_plane);
}

static void hold_add(json_t *holds, const char *what, const struct policy_hold *hold)
{
    if (!hold->held)
        return;
    json_t *object = json_object();
    json_put(object, "switch", json_text(what));
    json_put(object, "scope", json_null());
    json_put(object, "by", json_text(hold->by));
    json_put(object, "reason", json_text(hold->reason));
    json_put(object, "until", json_instant(hold->until_us));
    json_put(object, "words", json_text(hold->text));
    json_push(holds, object);
}

static void own_hold_add(json_t *holds, const struct store_hold *hold, const char *name)
{
    json_t *object = json_object();
    json_put(object, "switch", json_null());
    json_put(object, "scope", json_text(name));
    json_put(object, "by", json_text(hold->by));
    json_put(object, "reason", json_text(hold->reason));
    json_put(object, "until", json_instant(hold->until_us));
    json_put(object, "words", json_text(store_hold_words(hold).text));
    json_push(holds, object);
}

static json_t *holds_document(const struct explanation *explanation)
{
    const struct policy *policy = explanation->policy;
    const struct policy_hold unreadable = {.held = explanation->unreadable != NULL,
                                           .text = explanation->unreadable};
    json_t *holds = json_array();
    hold_add(holds, "enabled", unreadable.held ? &unreadable : &policy->enabled_hold);
    hold_add(holds, "plane_enabled", &policy->plane_hold);
    hold_add(holds, "mode", &policy->mode_hold);
    for (size_t i = 0; i < explanation->n_own_holds; i++)
        own_hold_add(holds, &explanation->own_holds[i], explanation->own_names[i]);
    return holds;
}

static json_t *verdict_document(const struct verdict *verdict)
{
    if (verdict->kind == VERDICT_PENDING)
        return json_null();
    json_t *document = json_object();
    json_put(document, "verdict", json_text(verdict_name(verdict->kind)));
    json_put(document, "reason", json_text(verdict->reason));
    json_put(document, "evidence", evidence_json(&verdict->evidence));
    return document;
}

static json_t *plane_document(const struct explanation *explanation)
{
    const struct task_issue *issue = &explanation->issue;
    bool changed = issue->asked && issue->change.found;
    if (!explanation->asked)
        return json_null();
    const struct store_task *task = &explanation->entry.task;
    AUTO_FREE char *page = weblink_task(explanation->explainer->services->settings, task->repo,
                                        task->work_item_id, task->plane_id);
    json_t *document = json_object();
    json_put(document, "issue", json_text(task->plane_id));
    json_put(document, "html_url", json_text(page));
    json_put(document, "state", json_text(issue->state_name));
    json_put(document, "updated_at", json_instant(issue->updated_us));
    json_put(document, "changed_at", json_instant(changed ? issue->change.at_us : 0));
    json_put(document, "activity", json_text(changed ? issue->change.id : NULL));
    json_put(document, "error", json_text(issue->error));
    return document;
}

static json_t *replay_document(const struct explanation *explanation)
{
    const struct store_replay_open *replay = &explanation->replay;
    if (!explanation->replayed)
        return json_null();
    json_t *document = json_object();
    json_put(document, "delivery", json_text(replay->delivery.s));
    json_put(document, "tries", json_integer(replay->tries));
    json_put(document, "next_at", json_instant(replay->given_up ? 0 : replay->next_us));
    json_put(document, "given_up", json_boolean(replay->given_up));
    return document;
}

/* The replay, if it is of the event that a pass would send now; NULL: it is of another one, and a pass would
 * start over. */
static const struct store_replay_open *replay_now(const struct explanation *explanation)
{
    const struct transition_issue issue = {.id = explanation->entry.task.plane_id};
    const struct transition transition = {.task = &explanation->entry.task,
                                          .evidence = &explanation->verdict.evidence,
                                          .verdict_id = explanation->issue.change.id,
                                          .issue = explanation->asked ? &issue : NULL};
    struct replay_event event;
    if (!explanation->replayed)
        return NULL;
    replay_event_name(&transition, &event);
    bool same = strcmp(event.delivery.s, explanation->replay.delivery.s) == 0;
    replay_event_done(&event);
    return same ? &explanation->replay : NULL;
}

/* The task's start, if this process began it; *ret_us: when its pause ends, by the database's clock. */
static bool is_begun(const struct explanation *explanation, struct plane_unstarted_start *ret,
                     int64_t *ret_us)
{
    const struct services *services = explanation->explainer->services;
    if (explanation->stage != &services->pipeline->stages[0] ||
        !plane_unstarted_get(services->unstarted, &explanation->entry.task,
                             explanation->policy->interval_s * 1000, ret))
        return false;
    int64_t pause_ms = ret->retry_ms - services_mono_ms(explanation->explainer->services);
    *ret_us = pause_ms > 0 ? explanation->now_us + pause_ms * 1000 : 0;
    return true;
}

static json_t *next_document(const struct explanation *explanation)
{
    struct plane_unstarted_start start;
    int64_t start_us = 0;
    bool begun = is_begun(explanation, &start, &start_us);
    const struct next_view view = {
        .entry = &explanation->entry,
        .pipeline = explanation->explainer->services->pipeline,
        .policy = explanation->policy,
        .hold = store_hold_of(&explanation->holds, &explanation->entry.task),
        .unreadable = explanation->unreadable,
        .gate = explain_gate_view(&(struct explain_gate){
            .services = explanation->explainer->services,
            .policy = explanation->policy,
            .unreadable = explanation->unreadable,
            .entry = &explanation->entry,
            .stage = explanation->stage,
            .verdict = &explanation->verdict,
            .ahead = explanation->ahead,
            .now_us = explanation->now_us,
            .next_pass_us = explanation->next_pass_us,
        }),
        .ahead = explanation->ahead,
        .obstacle = explanation->obstacle,
        .issue = &explanation->issue,
        .start = begun ? &start : NULL,
        .start_us = start_us,
        .sends = sends(explanation),
        .replay = replay_now(explanation),
        .next_pass_us = explanation->next_pass_us,
    };
    struct next next;
    next_decide(&view, &next);
    AUTO_FREE char *error = text_cut(next.reason, LIMIT_REASON);
    json_t *document = json_object();
    json_put(document, "action", json_text(next_action_name(next.action)));
    json_put(document, "to_stage", json_text(next.to ? next.to->name : NULL));
    json_put(document, "at", json_instant(next.at_us));
    json_put(document, "words", json_text(error));
    free(next.reason);
    return document;
}

json_t *explanation_document(const struct explanation *explanation)
{
    const struct store_task_entry *entry = &explanation->entry;
    json_t *document = task_document(explanation->explainer, explanation->policy, entry);
    json_put(document, "held", json_boolean(explanation->n_own_holds > 0));
    json_put(document, "recent_heals", json_integer(entry->task.recent_heals));
    json_put(document, "quarantined",
             json_boolean(gate_quarantines(&entry->task, explanation->policy->quarantine_heals)));
    json_put(document, "holds", holds_document(explanation));
    json_put(document, "gate", verdict_document(&explanation->verdict));
    json_put(document, "plane", plane_document(explanation));
    json_put(document, "replay", replay_document(explanation));
    json_put(document, "next", next_document(explanation));
    json_put(document, "transitions", json_incref(explanation->transitions));
    return document;
}

/* the gate */

static const void *look(void *arg, struct facts *facts)
{
    struct explanation *explanation = arg;
    const struct services *services = explanation->explainer->services;
    const struct gate_view view = {
        .facts = facts,
        .gitea = services->gitea,
        .task = &explanation->entry.task,
        .stage = explanation->stage,
        .settings = services->settings,
    };
    verdict_done(&explanation->verdict);
    gate_evaluate(&view, &explanation->verdict);
    if (explanation->verdict.kind == VERDICT_PENDING)
        return NULL;
    json_decref(explanation->document);
    explanation->document = explanation_document(explanation);
    return explanation->document;
}

/* a person's verdict */

/* Passes need Plane's budget more. */
static bool leaves_enough(const struct services *services)
{
    struct plane_budget budget;
    plane_budget(services->plane, &budget);
    return budget.retry_after_s == 0 && budget.left >= budget.limit / LIMIT_EXPLAIN_PLANE_SHARE;
}

static void read_issue(struct explanation *explanation, int64_t deadline_ms)
{
    const struct explainer *explainer = explanation->explainer;
    const struct services *services = explainer->services;
    const struct policy *policy = explanation->policy;
    const struct plane_scan_pass pass = {.now_ms = services_mono_ms(services),
                                         .revision = policy->revision,
                                         .interval_ms = policy->interval_s * 1000};
    struct plane_call call;
    const struct task_issue_query query = {.services = services,
                                           .policy = policy,
                                           .scan = explainer->scan,
                                           .call = &call,
                                           .entry = &explanation->entry,
                                           .now_us = explanation->now_us,
                                           .now_ms = explanation->now_ms};
    struct task_issue *issue = &explanation->issue;
    struct why why;
    plane_call_begin(&call, services->plane, services->fetch, false, deadline_ms);
    plane_scan_begin(explainer->scan, &pass);
    if (task_issue_read(&query, issue, &why) != ERR_OK)
        *issue = (struct task_issue){.error = mem_dup(why.text)};
    issue->open = NULL;
    plane_scan_forget_issues(explainer->scan);
    plane_call_end(&call);
}

static const void *ask(void *arg, int64_t deadline_ms)
{
    struct explanation *explanation = arg;
    task_issue_done(&explanation->issue);
    if (leaves_enough(explanation->explainer->services))
        read_issue(explanation, deadline_ms);
    else
        explanation->issue.error = mem_dup("what is left of Plane's calls in this minute is kept for passes");
    explanation->asked = true;
    json_decref(explanation->document);
    explanation->document = explanation_document(explanation);
    return explanation->document;
}

static void subject_free(void *arg)
{
    explanation_free(arg);
}

enum err explain_ask(struct explainer *explainer, struct explanation *explanation_take,
                     void (*done)(void *arg, const void *document), void *arg, struct why *why)
{
    static const struct query_ops gate = {.look = look, .free = subject_free},
                                  person = {.ask = ask, .free = subject_free};
    return query_pool_ask(explainer->query_pool, NULL, explanation_take->stage->human ? &person : &gate,
                          explanation_take, done, arg, why);
}
