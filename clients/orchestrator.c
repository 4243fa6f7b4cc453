#include "clients/orchestrator.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/gitea/gitea_event.h"
#include "clients/http/fetch.h"
#include "clients/http/signature.h"
#include "clients/http/upstream.h"
#include "clients/http/upstream_health.h"

enum { HEADERS_MAX = 24 };

struct orchestrator {
    char *base, *plane_url, *gitea_url, *advance_url;
    char *plane_secret, *gitea_secret, *token;
    struct upstream_health *health;
};

/* X-Gitea-Event and X-Gitea-Event-Type (modules/webhook/type.go). */
static const struct {
    const char *name, *type;
} events[] = {
    [EVENT_STATUS] = {"status", "status"},
    [EVENT_APPROVED] = {"pull_request_approved", "pull_request_review_approved"},
    [EVENT_CLOSED] = {"pull_request", "pull_request"},
    [EVENT_ISSUE] = {"issue", NULL},
    [EVENT_ADVANCE] = {"advance", NULL},
};
static_assert(ARRAY_LEN(events) == EVENT_MAX_, "every event has its names");

const char *orchestrator_event_name(enum orchestrator_event event)
{
    return events[event].name;
}

enum err orchestrator_new(const struct orchestrator_place *place, struct orchestrator **ret, struct why *why)
{
    char *base = NULL;
    enum err err = upstream_base(place->url, place->url_name, &base, why);
    if (err)
        return err;
    struct orchestrator *orchestrator = mem_zero(1, sizeof *orchestrator);
    orchestrator->base = base;
    orchestrator->plane_url = mem_printf("%s%s", base, place->plane_path);
    orchestrator->gitea_url = mem_printf("%s%s", base, place->gitea_path);
    orchestrator->advance_url = mem_printf("%s%s", base, place->advance_path);
    orchestrator->plane_secret = mem_dup(place->plane_secret);
    orchestrator->gitea_secret = mem_dup(place->gitea_secret);
    orchestrator->token = mem_dup(place->token);
    orchestrator->health = upstream_health_new();
    *ret = orchestrator;
    return ERR_OK;
}

void orchestrator_free(struct orchestrator *orchestrator)
{
    if (!orchestrator)
        return;
    free(orchestrator->base);
    free(orchestrator->plane_url);
    free(orchestrator->gitea_url);
    free(orchestrator->advance_url);
    free(orchestrator->plane_secret);
    free(orchestrator->gitea_secret);
    free(orchestrator->token);
    upstream_health_free(orchestrator->health);
    free(orchestrator);
}

struct upstream_health *orchestrator_health(const struct orchestrator *orchestrator)
{
    return orchestrator->health;
}

/* headers */

struct headers {
    char *lines[HEADERS_MAX + 1]; /* NULL-terminated */
    size_t n;
};

static void add(struct headers *headers, char *line_take)
{
    assert(headers->n < HEADERS_MAX);
    headers->lines[headers->n++] = line_take;
}

static void headers_done(struct headers *headers)
{
    for (size_t i = 0; i < headers->n; i++)
        free(headers->lines[i]);
}

/* deliver.go, addDefaultHeaders. */
static void gitea_headers(struct headers *headers, const struct orchestrator *orchestrator,
                          const struct orchestrator_post *post)
{
    static const char *const families[] = {"Gitea", "Gogs", "Forgejo"};
    const char *name = events[post->event].name, *type = events[post->event].type;
    const char *delivery = post->delivery->s, *body = post->body;
    size_t n_families = ARRAY_LEN(families) - !post->release->forgejo;
    char sha1[SIGNATURE_SIZE] = "", sha256[SIGNATURE_SIZE] = "";
    if (orchestrator->gitea_secret) {
        signature_sha1(orchestrator->gitea_secret, body, sha1);
        signature_sha256(orchestrator->gitea_secret, body, sha256);
    }
    for (size_t i = 0; i < n_families; i++) {
        add(headers, mem_printf("X-%s-Delivery: %s", families[i], delivery));
        add(headers, mem_printf("X-%s-Event: %s", families[i], name));
        add(headers, mem_printf("X-%s-Event-Type: %s", families[i], type));
        add(headers, mem_printf("X-%s-Signature: %s", families[i], sha256));
    }
    if (post->release->names_target) {
        add(headers, mem_dup("X-Gitea-Hook-Installation-Target-Type: repository"));
        add(headers, mem_dup("X-GitHub-Hook-Installation-Target-Type: repository"));
    }
    add(headers, mem_dup("Accept:")); /* curl's own is left out */
    add(headers, mem_printf("X-Hub-Signature: sha1=%s", sha1));
    add(headers, mem_printf("X-Hub-Signature-256: sha256=%s", sha256));
    add(headers, mem_printf("X-GitHub-Delivery: %s", delivery));
    add(headers, mem_printf("X-GitHub-Event: %s", name));
    add(headers, mem_printf("X-GitHub-Event-Type: %s", type));
}

/* webhook_task.py: the signature is hex alone. */
static void plane_headers(struct headers *headers, const struct orchestrator *orchestrator,
                          const char *delivery, const char *body)
{
    char sha256[SIGNATURE_SIZE];
    add(headers, mem_dup("User-Agent: Autopilot"));
    add(headers, mem_printf("X-Plane-Delivery: %s", delivery));
    add(headers, mem_printf("X-Plane-Event: %s", events[EVENT_ISSUE].name));
    if (!orchestrator->plane_secret)
        return;
    signature_sha256(orchestrator->plane_secret, body, sha256);
    add(headers, mem_printf("X-Plane-Signature: %s", sha256));
}

static void advance_headers(struct headers *headers, const struct orchestrator *orchestrator,
                            const char *delivery)
{
    add(headers, mem_printf("X-Reconciled-Delivery: %s", delivery));
    if (orchestrator->token)
        add(headers, mem_printf("Authorization: Bearer %s", orchestrator->token));
}

/* sending */

void orchestrator_send(const struct orchestrator *orchestrator, struct fetch_inbox *inbox,
                       const struct orchestrator_post *post, const struct fetch_request *asker)
{
    struct headers headers = {.n = 0};
    const char *url = orchestrator->gitea_url;
    add(&headers, mem_dup("Content-Type: application/json"));
    if (post->event == EVENT_ISSUE) {
        url = orchestrator->plane_url;
        plane_headers(&headers, orchestrator, post->delivery->s, post->body);
    } else if (post->event == EVENT_ADVANCE) {
        url = orchestrator->advance_url;
        advance_headers(&headers, orchestrator, post->delivery->s);
    } else {
        gitea_headers(&headers, orchestrator, post);
    }
    struct fetch_request request = *asker;
    request.upstream = FETCH_TO_ORCHESTRATOR;
    request.health = orchestrator->health;
    request.method = "POST";
    request.url = url;
    request.headers = (const char *const *)headers.lines;
    request.body = post->body;
    request.body_len = strlen(post->body);
    request.answer_max = LIMIT_ANSWER_ORCHESTRATOR;
    request.attempts = 1;
    fetch_send(inbox, &request);
    headers_done(&headers);
}

bool orchestrator_answer_read(const struct fetch_answer *answer, char ret_words[ORCHESTRATOR_WORDS_SIZE])
{
    bool answered = answer->result == FETCH_ANSWERED;
    if (answered)
        snprintf(ret_words, ORCHESTRATOR_WORDS_SIZE, "answered %d%s%s", answer->status,
                 *answer->proxy ? " through " : "", answer->proxy);
    else
        snprintf(ret_words, ORCHESTRATOR_WORDS_SIZE, "%s", answer->error);
    return answered && answer->status >= 200 && answer->status < 300;
}

char *orchestrator_check(const struct orchestrator *orchestrator, struct fetch *fetch, bool *ret_page)
{
    struct fetch_inbox *inbox = fetch_inbox_new(fetch);
    fetch_send(inbox, &(const struct fetch_request){.upstream = FETCH_TO_ORCHESTRATOR,
                                                    .method = "GET",
                                                    .url = orchestrator->base,
                                                    .attempts = 1});
    struct fetch_answer *answer = fetch_take(inbox, -1);
    char *problem = NULL;
    if (answer->result != FETCH_ANSWERED)
        problem = mem_printf("the orchestrator: %s", answer->error);
    else if (answer->status >= 500)
        problem = mem_printf("the orchestrator answered %d", answer->status);
    bool is_redirect = answer->status >= 300 && answer->status <= 399;
    *ret_page = is_redirect ||
                (answer->status >= 200 && answer->status <= 299 && strstr(answer->content_type, "html"));
    fetch_answer_free(answer);
    fetch_inbox_free(inbox);
    return problem;
}
