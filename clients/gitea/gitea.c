/* Gitea as an upstream: its address, its requests, its health. The facts themselves are in gitea_heads.c,
 * gitea_facts.c and gitea_pulls.c.
 *
 * Sources, all of go-gitea/gitea 1.22 to 1.27: routers/api/v1/repo/{branch,status,pull,pull_review,file}.go
 * for what is answered; services/context/{api,base_path,pagination}.go for errors, escaping and
 * X-Total-Count; services/context/ repo.go for 301 after a rename and for 404 in place of 403. Gitea decodes
 * path parameters itself, even where a route takes the rest of the path, so every segment is sent
 * percent-encoded, "/" in it included. */
#include "clients/gitea/gitea.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/gitea/gitea_io.h"
#include "clients/http/upstream.h"
#include "clients/http/upstream_health.h"

#define WHAT_MAX ((size_t)200)

struct gitea {
    const struct upstream_names *names;
    char *base, *api; /* NULL: not set up */
    char *token, *authorization;
    const char *headers[3], *post_headers[4];
    struct upstream_health *health; /* NULL: not set up */
};

enum err gitea_new(const char *base_url, const char *token, const struct upstream_names *names,
                   struct gitea **ret, struct why *why)
{
    static const char *const api[] = {"api", "v1", NULL};
    char *base = NULL;
    enum err err = upstream_token_check(token, names->token, why);
    if (!err && base_url && *base_url)
        err = upstream_base(base_url, names->url, &base, why);
    if (err)
        return err;
    struct gitea *gitea = mem_zero(1, sizeof *gitea);
    gitea->names = names;
    gitea->base = base;
    gitea->api = base ? fetch_url(base, api, NULL) : NULL;
    gitea->headers[0] = "Accept: application/json";
    if (token && *token) {
        gitea->token = mem_dup(token);
        gitea->authorization = mem_printf("Authorization: token %s", token);
        gitea->headers[1] = gitea->authorization;
    }
    gitea->post_headers[0] = "Content-Type: application/json";
    memcpy(gitea->post_headers + 1, gitea->headers, sizeof gitea->headers);
    if (base)
        gitea->health = upstream_health_new();
    *ret = gitea;
    return ERR_OK;
}

void gitea_free(struct gitea *gitea)
{
    if (!gitea)
        return;
    upstream_health_free(gitea->health);
    free(gitea->base);
    free(gitea->api);
    free(gitea->token);
    free(gitea->authorization);
    free(gitea);
}

bool gitea_configured(const struct gitea *gitea)
{
    return gitea->api != NULL;
}

struct upstream_health *gitea_health(const struct gitea *gitea)
{
    return gitea->health;
}

/* asking */

bool gitea_repo_split(struct arena *arena, const char *repo, const char **ret_owner, const char **ret_name)
{
    const char *slash = repo ? strchr(repo, '/') : NULL;
    if (!slash || slash == repo || !slash[1] || strchr(slash + 1, '/'))
        return false;
    *ret_owner = arena_printf(arena, "%.*s", (int)(slash - repo), repo);
    *ret_name = arena_text(arena, slash + 1);
    return true;
}

const char *gitea_what(struct arena *arena, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *whole = NULL;
    int len = vasprintf(&whole, fmt, args);
    va_end(args);
    if (len < 0)
        abort(); /* out of memory, see err.h */
    AUTO_FREE char *cut = text_cut(whole, WHAT_MAX);
    free(whole);
    return arena_text(arena, cut);
}

const char *gitea_url(struct arena *arena, const struct gitea *gitea, const char *const *segments,
                      const char *const *query)
{
    AUTO_FREE char *url = gitea->api ? fetch_url(gitea->api, segments, query) : NULL;
    return arena_text(arena, url);
}

struct ask {
    struct gitea *gitea;
    const char *what;
    gitea_replied_fn *replied;
    void *arg;
};

static void ask_answered(struct facts *facts, void *arg, const struct fetch_answer *answer)
{
    struct ask *ask = arg;
    struct gitea_reply reply;
    gitea_reply_read(answer, ask->what, ask->gitea->names, facts_arena(facts), &reply);
    /* A proxy may quote the request, and its text may be cut, so that only a part of the token is in it. */
    if (reply.error && ask->gitea->token && answer->body && strstr(answer->body, ask->gitea->token))
        reply.error = arena_printf(facts_arena(facts), "Gitea answered %d for %s", answer->status, ask->what);
    ask->replied(facts, ask->arg, &reply);
    json_decref(reply.json);
}

/* NULL when nothing can be sent; `replied` has then been called. */
static struct ask *ask_new(struct facts *facts, struct gitea *gitea, const char *url, const char *what,
                           gitea_replied_fn *replied, void *arg)
{
    if (!url) {
        struct arena *arena = facts_arena(facts);
        struct gitea_reply reply = {.state = FACT_FAILED, .total = -1};
        reply.error =
            gitea->api ? arena_printf(arena, "Gitea cannot be asked for %s: no URL can hold that name", what)
                       : arena_printf(arena, "%s is not set", gitea->names->url);
        replied(facts, arg, &reply);
        return NULL;
    }
    struct ask *ask = arena_zero(facts_arena(facts), 1, sizeof *ask);
    *ask = (struct ask){.gitea = gitea, .what = what, .replied = replied, .arg = arg};
    return ask;
}

/* The repository that a URL is about, as a part of Gitea's health: Gitea ignores case. NULL:
 * none. */
static const char *part_of(struct arena *arena, const struct gitea *gitea, const char *url)
{
    static const char repos[] = "/repos/";
    size_t len = strlen(gitea->api);
    if (strncmp(url, gitea->api, len) != 0 || strncmp(url + len, repos, strlen(repos)) != 0)
        return NULL;
    const char *owner = url + len + strlen(repos), *name = strchr(owner, '/');
    if (!name)
        return NULL;
    len = (size_t)(name - owner) + 1 + strcspn(name + 1, "/?");
    AUTO_FREE char *repo = mem_dupn(owner, len);
    AUTO_FREE char *part = repo_key(repo);
    return arena_text(arena, part);
}

static void ask_send(struct facts *facts, struct ask *ask, struct fetch_request *request)
{
    request->upstream = FETCH_TO_GITEA;
    request->health = ask->gitea->health;
    request->part = part_of(facts_arena(facts), ask->gitea, request->url);
    facts_get(facts, request, ask_answered, ask);
}

static void ask_get(struct facts *facts, struct gitea *gitea, const char *url, const char *what,
                    size_t answer_max, fetch_judge_fn *judge, gitea_replied_fn *replied, void *arg)
{
    struct ask *ask = ask_new(facts, gitea, url, what, replied, arg);
    if (ask)
        ask_send(facts, ask,
                 &(struct fetch_request){.method = "GET",
                                         .url = url,
                                         .headers = gitea->headers,
                                         .answer_max = answer_max,
                                         .judge = judge});
}

void gitea_ask(struct facts *facts, struct gitea *gitea, const char *url, const char *what, size_t answer_max,
               gitea_replied_fn *replied, void *arg)
{
    ask_get(facts, gitea, url, what, answer_max, gitea_judge, replied, arg);
}

void gitea_ask_if_allowed(struct facts *facts, struct gitea *gitea, const char *url, const char *what,
                          size_t answer_max, gitea_replied_fn *replied, void *arg)
{
    ask_get(facts, gitea, url, what, answer_max, gitea_judge_allowed, replied, arg);
}

void gitea_post(struct facts *facts, struct gitea *gitea, const char *url, const char *what, const char *body,
                gitea_replied_fn *replied, void *arg)
{
    struct ask *ask = ask_new(facts, gitea, url, what, replied, arg);
    if (ask)
        ask_send(facts, ask,
                 &(struct fetch_request){.method = "POST",
                                         .url = url,
                                         .headers = gitea->post_headers,
                                         .body = body,
                                         .body_len = strlen(body),
                                         .follow = true,
                                         .answer_max = LIMIT_ANSWER_HEAD,
                                         .judge = gitea_judge});
}

/* checking */

static void check_send(const struct gitea *gitea, struct fetch_inbox *inbox, const char *url,
                       const char *about)
{
    if (url)
        upstream_check_send(
            inbox,
            &(const struct fetch_request){
                .upstream = FETCH_TO_GITEA, .health = gitea->health, .url = url, .headers = gitea->headers},
            about);
}

static bool has_text(const struct fetch_answer *answer, const char *member)
{
    json_t *json = NULL;
    if (!answer->body || json_read(answer->body, answer->body_len, &json, NULL) != ERR_OK)
        return false;
    bool has = json_get_text(json, member, NULL) != NULL;
    json_decref(json);
    return has;
}

static bool is_own_repo(const struct fetch_answer *answer)
{
    return answer->status == 404 ? gitea_missing(answer) : has_text(answer, "full_name");
}

static bool is_own_version(const struct fetch_answer *answer)
{
    return answer->status == 200 && has_text(answer, "version");
}

/* Every Gitea has a version, so that another answer is not a Gitea's: its URL is wrong, and not the token or
 * a repository. 401, 403 and 429 may be Gitea's, and are shown by what is asked next. */
static bool is_elsewhere(const struct fetch_answer *answer)
{
    int status = answer->status;
    if (answer->result != FETCH_ANSWERED)
        return answer->result == FETCH_TOO_LARGE;
    return status < 500 && status != 401 && status != 403 && status != 429 && !is_own_version(answer);
}

/* Whether a Gitea is at the URL; `alone`: nothing else will be asked. */
static char *version_problem(const struct gitea *gitea, struct fetch *fetch, bool alone)
{
    static const char *const version[] = {"version", NULL};
    AUTO_FREE char *url = fetch_url(gitea->api, version, NULL);
    if (!url)
        return mem_printf("%s is too long", gitea->names->url);
    struct fetch_inbox *inbox = fetch_inbox_new(fetch);
    check_send(gitea, inbox, url, gitea->base);
    struct fetch_answer *answer = fetch_take(inbox, -1);
    AUTO_FREE char *words = upstream_words(answer);
    char *problem = NULL;
    if (is_elsewhere(answer))
        problem =
            mem_printf("%s is not Gitea's: %s: %s; it must be the URL of Gitea's start page, with the path "
                       "if Gitea is below one, without /api/v1 or a repository",
                       gitea->names->url, url, words);
    else if (alone)
        problem = upstream_check_problem(answer, is_own_version, gitea->names->url);
    fetch_answer_free(answer);
    fetch_inbox_free(inbox);
    return problem;
}

char *gitea_check(const struct gitea *gitea, struct fetch *fetch, const char *const *repos, size_t n)
{
    char *problem = version_problem(gitea, fetch, n == 0);
    if (problem)
        return problem;
    struct fetch_inbox *inbox = fetch_inbox_new(fetch);
    struct arena arena = {.blocks = NULL};
    for (size_t i = 0; i < n; i++) {
        const char *path[] = {"repos", NULL, NULL, NULL};
        if (gitea_repo_split(&arena, repos[i], &path[1], &path[2]))
            check_send(gitea, inbox, gitea_url(&arena, gitea, path, NULL), repos[i]);
    }
    arena_done(&arena);
    return upstream_check_end(inbox, is_own_repo, gitea->names->url);
}
