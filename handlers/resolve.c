#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "handlers/app.h"
#include "handlers/query.h"
#include "handlers/handlers.h"
#include "reconcile/resolve/resolver.h"
#include "reconcile/settings/settings.h"

/* SHA-1 or SHA-256. */
static bool is_sha(const char *text)
{
    size_t len = strlen(text);
    return (len == 40 || len == 64) && strspn(text, "0123456789abcdefABCDEF") == len;
}

/* What was asked. */
struct question {
    struct deferred *deferred; /* NULL while it may be answered at once */
    char *repo, *sha;
};

static void question_done(struct question *question)
{
    free(question->repo);
    free(question->sha);
}

static bool question_read(struct request *request, struct question *ret)
{
    const char *repo = NULL, *sha = NULL;
    struct query query = {.request = request};
    query_need(&query, "repo");
    query_text(&query, "repo", settings_repo_valid, "must be owner/name", &repo);
    query_need(&query, "sha");
    query_text(&query, "sha", is_sha, "must be 40 or 64 hexadecimal digits", &sha);
    if (!query_done(&query))
        return false;
    *ret = (struct question){.repo = mem_dup(repo), .sha = mem_dup(sha)};
    for (char *c = ret->sha; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return true;
}

static void put_candidate(json_t *object, const struct resolve_candidate *candidate)
{
    const struct store_repo_task *task = candidate->task;
    json_put(object, "branch", json_text(candidate->branch));
    json_put(object, "task_id", task ? json_integer(task->id) : json_null());
    json_put(object, "work_item_id", json_text(task ? task->work_item_id : NULL));
    json_put(object, "stage", json_text(task ? task->stage : NULL));
}

static json_t *found_document(const struct question *question, const struct resolution *resolution)
{
    json_t *body = json_object();
    json_put(body, "repo", json_text(question->repo));
    json_put(body, "sha", json_text(question->sha));
    put_candidate(body, &resolution->candidates[0]);
    json_put(body, "method", json_text(resolve_method_name(resolution->method)));
    return body;
}

static json_t *ambiguous_document(const struct resolution *resolution)
{
    json_t *body = problem_of_type("ambiguous", 409, resolution->reason), *candidates = json_array();
    for (size_t i = 0; i < resolution->n; i++) {
        json_t *candidate = json_object();
        put_candidate(candidate, &resolution->candidates[i]);
        json_push(candidates, candidate);
    }
    json_put(body, "candidates", candidates);
    return body;
}

/* The answer, or an error where there is none for now. */
static enum err answer_of(const struct question *question, const struct resolver_answer *answer,
                          int *ret_status, json_t **ret_body, struct why *why)
{
    const struct resolution *resolution = &answer->resolution;
    if (answer->err)
        return why_set(why, answer->err, "%s", answer->why.text);
    switch (resolution->result) {
    case RESOLVE_FOUND:
        *ret_status = 200;
        *ret_body = found_document(question, resolution);
        return ERR_OK;
    case RESOLVE_NONE:
        *ret_status = 404;
        *ret_body = problem_document(404, resolution->reason);
        return ERR_OK;
    case RESOLVE_AMBIGUOUS:
        *ret_status = 409;
        *ret_body = ambiguous_document(resolution);
        return ERR_OK;
    case RESOLVE_UNAVAILABLE:
    case RESOLVE_PENDING:
        break;
    }
    return why_set(why, ERR_UNAVAILABLE, "%s", resolution->reason);
}

static void on_done(void *arg, const void *answer)
{
    struct question *question = arg;
    int status = 0;
    json_t *body = NULL;
    struct why why;
    enum err err = answer ? answer_of(question, answer, &status, &body, &why)
                          : why_set(&why, ERR_UNAVAILABLE, "the service is stopping");
    if (err)
        deferred_error(question->deferred, err, &why);
    else
        deferred_answer(question->deferred, status, body);
    question_done(question);
    free(question);
}

static void answer_now(struct request *request, const struct question *question,
                       const struct resolver_answer *answer)
{
    int status = 0;
    json_t *body = NULL;
    struct why why;
    enum err err = answer_of(question, answer, &status, &body, &why);
    if (err)
        answer_error(request, err, &why);
    else
        answer_json(request, status, body);
}

static void answer_later(struct request *request, const struct question *question_take)
{
    struct resolver *resolver = request_app(request)->resolver;
    struct question *question = mem_zero(1, sizeof *question);
    struct why why;
    *question = *question_take;
    question->deferred = request_defer(request);
    enum err err = ERR_OK;
    if (question->deferred) {
        err = resolver_ask(resolver, question->repo, question->sha, on_done, question, &why);
        if (err == ERR_OK)
            return;
        deferred_error(question->deferred, err, &why);
    }
    question_done(question);
    free(question);
}

void handle_resolve_get(struct request *request)
{
    struct question question;
    struct resolver_answer answer;
    if (!question_read(request, &question))
        return;
    if (!resolver_now(request_app(request)->resolver, question.repo, question.sha, &answer)) {
        answer_later(request, &question);
        return;
    }
    answer_now(request, &question, &answer);
    resolver_answer_done(&answer);
    question_done(&question);
}
