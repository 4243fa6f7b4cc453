/* resolve.h - F-3, the rules: which branch and task a commit of a repo belongs to.
 *
 * Pure: from the repo's unfinished tasks (the database's) and what Gitea answers about the commit (findings
 * of a fact set, or kept from one: resolver.h) follows one answer. In this order:
 *   1. branch_head   the branch of a task whose head is the commit;
 *   2. pull_request  the open pull requests whose head it is, if they are of one branch;
 *   3. sole_task     the only task at a stage with a ci gate, unless the commit is the head of the repo's
 *                    default branch or of one of its base branches: then it has no task.
 *
 * Before a rule answers without a task, and before the third rule, tasks under other names of the repo are
 * looked up: it may have been renamed, and Gitea redirects from the old name.
 *
 * The answer is never a guess. If a rule leaves more than one candidate, the answer is ambiguous. If a rule
 * needs something that Gitea did not answer, the answer is unavailable, unless there is no task that a later
 * rule could name. If the head of a task's branch was read and is the commit, the answer is that branch, even
 * if other branches are unknown.
 */
#ifndef RECONCILED_RESOLVE_H
#define RECONCILED_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"

struct facts;
struct gitea;
struct pipeline;
struct settings;
struct store_repo_task;
struct store_repo_tasks;

/* Whether the commit is the head of a branch. */
enum resolve_head { HEAD_UNASKED, HEAD_PENDING, HEAD_SAME, HEAD_OTHER, HEAD_FAILED };

struct resolve_branch {
    char *name;
    enum resolve_head head;
};

/* What Gitea answers about one commit. */
struct resolve_findings {
    struct resolve_branch *branches; /* those that were asked about */
    size_t n_branches;
    enum resolve_head pulls; /* whether any open pull request has it: HEAD_SAME or HEAD_OTHER */
    char **pull_branches;    /* each once; of those in this repo */
    size_t n_pull_branches;
    int64_t foreign_pull;   /* one whose branch is not in this repo; 0: none */
    enum resolve_head base; /* of the base branch or of the default branch */
    char *base_name;        /* HEAD_SAME: of that branch */
    bool names_known;       /* the other names of the repo */
    char **names;
    size_t n_names;
    char *reason; /* HEAD_FAILED anywhere: why, the first one's; else NULL */
};
void resolve_findings_done(struct resolve_findings *findings);

struct resolve_question {
    const char *repo, *sha;
    /* Repos that may be this one under another name: those of other tasks and of projects. NULL: not read
     * yet. Once Gitea has answered which of them are, `names`; it is not asked about them again. */
    const char *const *others, *const *names;
    size_t n_others, n_names;
    const struct pipeline *pipeline;
    const struct settings *settings; /* which base branches the repo has */
};

enum resolve_result {
    RESOLVE_FOUND,
    RESOLVE_NONE,        /* no task's */
    RESOLVE_AMBIGUOUS,   /* the candidates are in `candidates` */
    RESOLVE_UNAVAILABLE, /* Gitea did not answer what is needed */
    RESOLVE_PENDING,     /* findings that are needed are unasked or pending */
};
enum resolve_method { METHOD_BRANCH_HEAD, METHOD_PULL_REQUEST, METHOD_SOLE_TASK };
const char *resolve_method_name(enum resolve_method method);

/* A branch and, if one is known, its task. Borrowed from tasks and findings. */
struct resolve_candidate {
    const char *branch;
    const struct store_repo_task *task; /* or NULL */
};

struct resolution {
    enum resolve_result result;
    enum resolve_method method;           /* RESOLVE_FOUND */
    struct resolve_candidate *candidates; /* one for RESOLVE_FOUND, more for RESOLVE_AMBIGUOUS; else NULL */
    size_t n;
    char *reason;                              /* a sentence; NULL for RESOLVE_FOUND and RESOLVE_PENDING */
    bool wants_pulls, wants_names, wants_base; /* RESOLVE_PENDING: beside the heads of the tasks' branches */
};
void resolution_done(struct resolution *resolution);

/* resolve_decide: the rules. `tasks` are all unfinished ones of the repo, under each name that is known. Free
 * with resolution_done. */
void resolve_decide(const struct resolve_question *question, const struct store_repo_tasks *tasks,
                    const struct resolve_findings *findings, struct resolution *ret);

/* resolve_look: the same from findings of a fact set, which it asks for as far as the rules go; they are left
 * in `findings`. Called again, like gate_evaluate, while the answer is RESOLVE_PENDING; with the tasks of
 * findings->names, too, when they were found. Free both. */
void resolve_look(const struct resolve_question *question, const struct store_repo_tasks *tasks,
                  struct facts *facts, struct gitea *gitea, struct resolve_findings *findings,
                  struct resolution *ret);

/* resolve_stages: the stages whose tasks are unfinished, NULL-terminated; caller frees with free(). */
const char **resolve_stages(const struct pipeline *pipeline, size_t *ret_n);

#endif
