#include "reconcile/resolve/resolve.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/gitea/gitea.h"
#include "clients/store/store.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/settings/settings.h"

static const char *const method_names[] = {[METHOD_BRANCH_HEAD] = "branch_head",
                                           [METHOD_PULL_REQUEST] = "pull_request",
                                           [METHOD_SOLE_TASK] = "sole_task"};

const char *resolve_method_name(enum resolve_method method)
{
    return method_names[method];
}

void resolve_findings_done(struct resolve_findings *findings)
{
    for (size_t i = 0; i < findings->n_branches; i++)
        free(findings->branches[i].name);
    for (size_t i = 0; i < findings->n_pull_branches; i++)
        free(findings->pull_branches[i]);
    for (size_t i = 0; i < findings->n_names; i++)
        free(findings->names[i]);
    free(findings->branches);
    free(findings->pull_branches);
    free(findings->names);
    free(findings->base_name);
    free(findings->reason);
    *findings = (struct resolve_findings){0};
}

void resolution_done(struct resolution *resolution)
{
    free(resolution->candidates);
    free(resolution->reason);
    *resolution = (struct resolution){0};
}

const char **resolve_stages(const struct pipeline *pipeline, size_t *ret_n)
{
    const char **names = mem_zero(pipeline->n_stages + 1, sizeof *names);
    *ret_n = 0;
    for (size_t i = 0; i < pipeline->n_stages; i++)
        if (!pipeline->stages[i].terminal)
            names[(*ret_n)++] = pipeline->stages[i].name;
    return names;
}

/* the rules */

static int compare_branches(const void *a, const void *b)
{
    return strcmp(((const struct resolve_branch *)a)->name, ((const struct resolve_branch *)b)->name);
}

/* A branch whose name cannot be read is none that Gitea shows. */
static enum resolve_head head_of(const struct resolve_findings *findings, const struct store_repo_task *task)
{
    const struct resolve_branch wanted = {.name = task->branch};
    if (task->unreadable)
        return HEAD_OTHER;
    const struct resolve_branch *found =
        findings->n_branches
            ? bsearch(&wanted, findings->branches, findings->n_branches, sizeof wanted, compare_branches)
            : NULL;
    return found ? found->head : HEAD_UNASKED;
}

static bool is_open_question(enum resolve_head head)
{
    return head == HEAD_UNASKED || head == HEAD_PENDING;
}

static void candidate_add(struct resolution *resolution, const char *branch,
                          const struct store_repo_task *task)
{
    resolution->candidates =
        mem_grow(resolution->candidates, resolution->n + 1, sizeof *resolution->candidates);
    resolution->candidates[resolution->n++] = (struct resolve_candidate){branch, task};
}

static void conclude(struct resolution *resolution, enum resolve_result result, char *words_take)
{
    resolution->result = result;
    resolution->reason = text_cut(words_take, LIMIT_REASON);
    free(words_take);
}

/* The candidates of one rule: one is the answer, of more none is. */
static void conclude_candidates(struct resolution *resolution, enum resolve_method method, char *words_take)
{
    resolution->method = method;
    if (resolution->n > 1)
        conclude(resolution, RESOLVE_AMBIGUOUS, words_take);
    else
        free(words_take);
}

static void conclude_unavailable(struct resolution *resolution, const struct store_repo_tasks *tasks,
                                 const struct resolve_findings *findings)
{
    const char *reason = findings->reason ? findings->reason : "Gitea did not answer";
    if (tasks->n == 0)
        conclude(
            resolution, RESOLVE_NONE,
            mem_printf("the database knows no unfinished task of the repo, and pull requests could not be "
                       "looked at: %s",
                       reason));
    else
        conclude(resolution, RESOLVE_UNAVAILABLE, mem_dup(reason));
}

/* Rule 1. True: it has decided. */
static bool by_branch_head(const struct store_repo_tasks *tasks, const struct resolve_findings *findings,
                           struct resolution *ret)
{
    size_t open = 0, failed = 0;
    for (size_t i = 0; i < tasks->n; i++) {
        enum resolve_head head = head_of(findings, &tasks->rows[i]);
        open += is_open_question(head);
        failed += head == HEAD_FAILED;
    }
    if (open > 0) {
        ret->result = RESOLVE_PENDING;
        return true;
    }
    for (size_t i = 0; i < tasks->n; i++)
        if (head_of(findings, &tasks->rows[i]) == HEAD_SAME)
            candidate_add(ret, tasks->rows[i].branch, &tasks->rows[i]);
    if (ret->n > 0)
        conclude_candidates(ret, METHOD_BRANCH_HEAD,
                            mem_printf("it is the head of the branches of %zu tasks", ret->n));
    else if (tasks->more)
        conclude(ret, RESOLVE_UNAVAILABLE,
                 mem_printf("the repo has more than %zu unfinished tasks, and it is the head of none of the "
                            "newest of them",
                            tasks->n));
    else if (failed > 0)
        conclude_unavailable(ret, tasks, findings);
    else
        return false;
    return true;
}

static bool is_ci_stage(const struct pipeline *pipeline, const char *name)
{
    const struct stage *stage = pipeline_stage(pipeline, name);
    for (size_t i = 0; stage && i < stage->n_gates; i++)
        if (stage->gates[i].kind == GATE_CI)
            return true;
    return false;
}

/* Rule 2. */
static bool by_pull_request(const struct store_repo_tasks *tasks, const struct resolve_findings *findings,
                            struct resolution *ret)
{
    if (is_open_question(findings->pulls)) {
        ret->result = RESOLVE_PENDING;
        ret->wants_pulls = true;
        return true;
    }
    if (findings->pulls == HEAD_FAILED) {
        conclude_unavailable(ret, tasks, findings);
        return true;
    }
    for (size_t i = 0; i < findings->n_pull_branches; i++) {
        size_t before = ret->n;
        for (size_t k = 0; k < tasks->n; k++)
            if (!tasks->rows[k].unreadable && strcmp(tasks->rows[k].branch, findings->pull_branches[i]) == 0)
                candidate_add(ret, findings->pull_branches[i], &tasks->rows[k]);
        if (ret->n == before)
            candidate_add(ret, findings->pull_branches[i], NULL);
    }
    if (ret->n > 0)
        conclude_candidates(
            ret, METHOD_PULL_REQUEST,
            findings->n_pull_branches > 1
                ? mem_printf("it is the head of open pull requests of %zu branches",
                             findings->n_pull_branches)
                : mem_printf("it is the head of an open pull request, whose branch %zu tasks have", ret->n));
    else if (findings->pulls == HEAD_SAME)
        conclude(ret, RESOLVE_NONE,
                 mem_printf("it is the head of pull request #%lld, whose branch is not in this repo",
                            (long long)findings->foreign_pull));
    else
        return false;
    return true;
}

/* Rule 3. */
static void by_sole_task(const struct resolve_question *question, const struct store_repo_tasks *tasks,
                         const struct resolve_findings *findings, struct resolution *ret)
{
    size_t waiting = 0; /* at a stage with a ci gate */
    for (size_t i = 0; i < tasks->n; i++)
        waiting += is_ci_stage(question->pipeline, tasks->rows[i].stage);
    if (waiting == 0) {
        conclude(ret, RESOLVE_NONE,
                 mem_dup("it is the head of no task's branch and of no open pull request, and no task of the "
                         "repo waits for CI"));
        return;
    }
    switch (findings->base) {
    case HEAD_UNASKED:
    case HEAD_PENDING:
        ret->result = RESOLVE_PENDING;
        ret->wants_base = true;
        break;
    case HEAD_SAME:
        conclude(ret, RESOLVE_NONE,
                 mem_printf("it is the head of %s, and so no task's", findings->base_name));
        break;
    case HEAD_FAILED:
        conclude_unavailable(ret, tasks, findings);
        break;
    case HEAD_OTHER:
        for (size_t i = 0; i < tasks->n; i++)
            if (is_ci_stage(question->pipeline, tasks->rows[i].stage))
                candidate_add(ret, tasks->rows[i].branch, &tasks->rows[i]);
        if (ret->n == 1 && ret->candidates[0].task->unreadable) {
            const struct store_repo_task *task = ret->candidates[0].task;
            conclude(ret, RESOLVE_NONE,
                     mem_printf("the only task of the repo that waits for CI is %" PRId64 ", and %s",
                                task->id, task->unreadable));
            ret->n = 0;
            break;
        }
        conclude_candidates(
            ret, METHOD_SOLE_TASK,
            mem_printf("it is the head of no task's branch and of no open pull request, and %zu tasks of the "
                       "repo wait for CI",
                       waiting));
        break;
    }
}

/* Whether tasks under another name of the repo could change the answer of rule 2. */
static bool may_have_other_tasks(const struct resolve_findings *findings, const struct resolution *resolution)
{
    if (findings->pulls == HEAD_FAILED || resolution->result == RESOLVE_PENDING)
        return false;
    return resolution->n == 0 || (resolution->n == 1 && !resolution->candidates[0].task);
}

void resolve_decide(const struct resolve_question *question, const struct store_repo_tasks *tasks,
                    const struct resolve_findings *findings, struct resolution *ret)
{
    *ret = (struct resolution){.result = RESOLVE_FOUND};
    if (by_branch_head(tasks, findings, ret))
        return;
    bool decided = by_pull_request(tasks, findings, ret);
    if (decided && !may_have_other_tasks(findings, ret))
        return;
    if (!findings->names_known) {
        resolution_done(ret);
        *ret = (struct resolution){.result = RESOLVE_PENDING, .wants_names = true};
    } else if (!decided) {
        by_sole_task(question, tasks, findings, ret);
    }
}

/* the findings */

static void words_note(struct resolve_findings *findings, const struct fact *fact)
{
    if (!findings->reason)
        findings->reason = mem_dup(fact->error ? fact->error : "Gitea did not answer");
}

/* A branch that is not there has another head than any commit. */
static enum resolve_head compare_head(const struct gitea_head *head, const char *sha,
                                      struct resolve_findings *findings)
{
    switch (head->fact.state) {
    case FACT_PENDING:
        return HEAD_PENDING;
    case FACT_KNOWN:
        return strcasecmp(head->sha, sha) == 0 ? HEAD_SAME : HEAD_OTHER;
    case FACT_ABSENT:
        return HEAD_OTHER;
    case FACT_FAILED:
        break;
    }
    words_note(findings, &head->fact);
    return HEAD_FAILED;
}

static void learn_heads(const struct resolve_question *question, const struct store_repo_tasks *tasks,
                        struct facts *facts, struct gitea *gitea, struct resolve_findings *findings)
{
    findings->branches = mem_zero(tasks->n, sizeof *findings->branches);
    gitea_heads_wanted(facts, gitea, question->repo, tasks->n);
    for (size_t i = 0; i < tasks->n; i++)
        if (!tasks->rows[i].unreadable)
            findings->branches[findings->n_branches++] = (struct resolve_branch){
                .name = mem_dup(tasks->rows[i].branch),
                .head = compare_head(gitea_head(facts, gitea, question->repo, tasks->rows[i].branch),
                                     question->sha, findings),
            };
    qsort(findings->branches, findings->n_branches, sizeof *findings->branches, compare_branches);
}

static void pull_branch_add(struct resolve_findings *findings, const char *branch)
{
    for (size_t i = 0; i < findings->n_pull_branches; i++)
        if (strcmp(findings->pull_branches[i], branch) == 0)
            return;
    findings->pull_branches =
        mem_grow(findings->pull_branches, findings->n_pull_branches + 1, sizeof *findings->pull_branches);
    findings->pull_branches[findings->n_pull_branches++] = mem_dup(branch);
}

/* A 404 about the repo is no answer, because Gitea also sends it when the token lacks the right. */
static void learn_pulls(const struct resolve_question *question, struct facts *facts, struct gitea *gitea,
                        struct resolve_findings *findings)
{
    const struct gitea_open_pulls *pulls = gitea_open_pulls(facts, gitea, question->repo);
    if (pulls->fact.state == FACT_PENDING) {
        findings->pulls = HEAD_PENDING;
    } else if (pulls->fact.state != FACT_KNOWN) {
        findings->pulls = HEAD_FAILED;
        words_note(findings, &pulls->fact);
    } else {
        findings->pulls = HEAD_OTHER;
        for (size_t i = 0; i < pulls->n; i++) {
            const struct gitea_open_pull *pull = &pulls->items[i];
            if (!pull->head_sha || strcasecmp(pull->head_sha, question->sha) != 0)
                continue;
            findings->pulls = HEAD_SAME;
            if (pull->branch)
                pull_branch_add(findings, pull->branch);
            else
                findings->foreign_pull = pull->number;
        }
    }
}

static void names_copy(const struct resolve_question *question, struct resolve_findings *findings)
{
    if (!question->names)
        return;
    findings->names_known = true;
    findings->names = mem_zero(question->n_names, sizeof *findings->names);
    while (findings->n_names < question->n_names) {
        findings->names[findings->n_names] = mem_dup(question->names[findings->n_names]);
        findings->n_names++;
    }
}

/* A repo whose present name cannot be read does not count as this one, so that its failure does not block
 * answers about the others. */
static void learn_names(const struct resolve_question *question, struct facts *facts, struct gitea *gitea,
                        struct resolve_findings *findings)
{
    if (!question->others)
        return;
    findings->names_known = true;
    if (question->n_others == 0)
        return;
    const struct gitea_repo *repo = gitea_repo(facts, gitea, question->repo);
    findings->names = mem_zero(question->n_others, sizeof *findings->names);
    for (size_t i = 0; i < question->n_others; i++) {
        const struct gitea_repo *other = gitea_repo(facts, gitea, question->others[i]);
        if (other->fact.state == FACT_PENDING || repo->fact.state == FACT_PENDING)
            findings->names_known = false;
        else if (other->fact.state == FACT_KNOWN && repo->fact.state == FACT_KNOWN &&
                 repo_compare(other->full_name, repo->full_name) == 0)
            findings->names[findings->n_names++] = mem_dup(question->others[i]);
    }
}

/* Joins what is known of one branch with what is known of those before it. */
static void base_add(const struct resolve_question *question, struct facts *facts, struct gitea *gitea,
                     const char *branch, struct resolve_findings *findings)
{
    static const int ranks[] = {
        [HEAD_OTHER] = 0, [HEAD_FAILED] = 1, [HEAD_UNASKED] = 2, [HEAD_PENDING] = 2, [HEAD_SAME] = 3};
    enum resolve_head head =
        compare_head(gitea_head(facts, gitea, question->repo, branch), question->sha, findings);
    if (head == HEAD_SAME && findings->base != HEAD_SAME)
        findings->base_name = mem_dup(branch);
    if (ranks[head] > ranks[findings->base])
        findings->base = head;
}

static bool is_name(const struct resolve_question *question, const struct resolve_findings *findings,
                    const char *repo)
{
    bool same = repo_compare(question->repo, repo) == 0;
    for (size_t i = 0; i < findings->n_names && !same; i++)
        same = repo_compare(findings->names[i], repo) == 0;
    return same;
}

static void learn_base(const struct resolve_question *question, struct facts *facts, struct gitea *gitea,
                       struct resolve_findings *findings)
{
    /* All are asked for before any is waited for. */
    const struct gitea_repo *repo = gitea_repo(facts, gitea, question->repo);
    findings->base = HEAD_OTHER;
    bool has_project = false;
    for (size_t i = 0; i < question->settings->n_projects; i++) {
        const struct project *project = &question->settings->projects[i];
        if (!is_name(question, findings, project->repo))
            continue;
        base_add(question, facts, gitea, project->base_branch, findings);
        has_project = true;
    }
    if (!has_project)
        base_add(question, facts, gitea, settings_base_branch(question->settings, question->repo, NULL),
                 findings);
    if (findings->base == HEAD_SAME)
        return;
    if (repo->fact.state == FACT_KNOWN) {
        base_add(question, facts, gitea, repo->default_branch, findings);
    } else if (repo->fact.state == FACT_PENDING) {
        findings->base = HEAD_PENDING;
    } else if (findings->base != HEAD_PENDING) {
        findings->base = HEAD_FAILED;
        words_note(findings, &repo->fact);
    }
}

void resolve_look(const struct resolve_question *question, const struct store_repo_tasks *tasks,
                  struct facts *facts, struct gitea *gitea, struct resolve_findings *findings,
                  struct resolution *ret)
{
    *findings = (struct resolve_findings){0};
    names_copy(question, findings);
    learn_heads(question, tasks, facts, gitea, findings);
    resolve_decide(question, tasks, findings, ret);
    if (ret->wants_pulls) {
        learn_pulls(question, facts, gitea, findings);
        resolve_decide(question, tasks, findings, ret);
    }
    if (ret->wants_names) {
        learn_names(question, facts, gitea, findings);
        resolve_decide(question, tasks, findings, ret);
    }
    if (ret->wants_base) {
        learn_base(question, facts, gitea, findings);
        resolve_decide(question, tasks, findings, ret);
    }
}
