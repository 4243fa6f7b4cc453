#include "tests/sandbox/orchestrator.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/text.h"
#include "tests/sandbox/control.h"
#include "tests/sandbox/orchestrator_tasks.h"
#include "tests/sandbox/plane_world.h"
#include "tests/sandbox/sandbox.h"
#include "tests/sandbox/world.h"

#define KEPT 500u

struct orchestrator {
    pthread_mutex_t lock; /* guards all below */
    char *database, *gitea_secret, *plane_secret, *token;
    char *repo; /* of the tasks that it makes */
    bool moves;
    json_t *received; /* array of what control shows */
    struct order *later;
    size_t n_later;
    atomic_long n_received;
};

struct orchestrator *orchestrator_stand_in_new(void)
{
    struct orchestrator *orchestrator = mem_zero(1, sizeof *orchestrator);
    pthread_mutex_init(&orchestrator->lock, NULL);
    orchestrator->moves = true;
    orchestrator->repo = mem_dup("acme/shop");
    orchestrator->received = json_array();
    return orchestrator;
}

void orchestrator_stand_in_free(struct orchestrator *orchestrator)
{
    pthread_mutex_destroy(&orchestrator->lock);
    free(orchestrator->database);
    free(orchestrator->gitea_secret);
    free(orchestrator->plane_secret);
    free(orchestrator->token);
    free(orchestrator->repo);
    free(orchestrator->later);
    json_decref(orchestrator->received);
    free(orchestrator);
}

long orchestrator_received(struct orchestrator *orchestrator)
{
    return atomic_load(&orchestrator->n_received);
}

/* is its signature right */

static bool is_equal(const char *a, const char *b)
{
    return a && b && strlen(a) == strlen(b) && CRYPTO_memcmp(a, b, strlen(a)) == 0;
}

/* An empty signature is none, whatever the secret. */
static bool is_signed(const struct call *call, const char *header, const char *secret)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    char hex[EVP_MAX_MD_SIZE * 2 + 1] = "";
    unsigned len = 0;
    const char *signature = call_request_header(call, header);
    if (!secret || !signature || !*signature)
        return false;
    HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)call->body, call->body_len, mac,
         &len);
    for (unsigned i = 0; i < len; i++)
        snprintf(hex + (size_t)i * 2, 3, "%02x", mac[i]);
    return is_equal(hex, signature);
}

static bool bears_token(const struct call *call, const char *token)
{
    if (!token)
        return true;
    char *wanted = mem_printf("Bearer %s", token);
    bool bears = is_equal(wanted, call_request_header(call, "Authorization"));
    free(wanted);
    return bears;
}

/* what it asks for */

static void order_move(struct order *order, const json_t *task, const char *from, const char *to)
{
    const char *id = json_string_value(json_array_get(task, 0)),
               *stage = json_string_value(json_array_get(task, 2));
    if (stage && strcmp(stage, from) == 0 && parse_i64(id, 1, INT64_MAX, &order->task_id)) {
        snprintf(order->from, sizeof order->from, "%s", from);
        snprintf(order->to, sizeof order->to, "%s", to);
    }
}

/* A status: the tasks whose branch has that head, at a stage that waits for CI. */
static void order_of_status(struct order *order, const struct sandbox *sandbox, const json_t *event,
                            const json_t *tasks)
{
    const char *name = json_get_text(json_object_get(event, "repository"), "full_name", "");
    char *owner = mem_dup(name), *slash = strchr(owner, '/');
    if (slash)
        *slash = '\0';
    const struct repo *repo = slash ? world_repo(sandbox->world, owner, slash + 1) : NULL;
    free(owner);
    for (size_t i = 0; repo && i < json_array_size(tasks) && !order->task_id; i++) {
        struct branch_room room;
        const json_t *task = json_array_get(tasks, i);
        const char *branch_name = json_string_value(json_array_get(task, 1));
        const struct branch *branch = branch_name ? repo_branch(repo, branch_name, &room) : NULL;
        if (!branch || strcmp(branch->commit->sha, json_get_text(event, "sha", "")) != 0)
            continue;
        order_move(order, task, "development", "review");
        order_move(order, task, "testing", "deploy");
    }
}

static void order_of_pull(struct order *order, const json_t *event, const json_t *tasks, bool approved)
{
    const json_t *pull = json_object_get(event, "pull_request");
    const char *head = json_get_text(json_object_get(pull, "head"), "ref", "");
    for (size_t i = 0; i < json_array_size(tasks) && !order->task_id; i++) {
        const json_t *task = json_array_get(tasks, i);
        const char *branch = json_string_value(json_array_get(task, 1));
        if (!branch || strcmp(branch, head) != 0)
            continue;
        if (approved)
            order_move(order, task, "review", "testing");
        else if (json_get_bool(pull, "merged", false))
            order_move(order, task, "deploy", "done");
    }
}

static void order_of_issue(struct order *order, const struct sandbox *sandbox, const json_t *event,
                           const json_t *tasks, const char *repo)
{
    const json_t *data = json_object_get(event, "data"), *task = json_array_get(tasks, 0);
    const char *state = json_get_text(json_object_get(data, "state"), "name", "");
    const struct plane_issue *issue = map_get(&sandbox->plane->issues, json_get_text(data, "id", ""));
    if (task && strcmp(state, "Approved") == 0)
        order_move(order, task, "analysis", "architecture");
    else if (task && strcmp(state, "Rejected") == 0)
        order_move(order, task, "analysis", "analysis");
    if (task || !issue || strcmp(state, "In Progress") != 0)
        return;
    snprintf(order->plane_id, sizeof order->plane_id, "%s", issue->id.s);
    snprintf(order->work_item_id, sizeof order->work_item_id, "%s-%lld", issue->project->identifier,
             (long long)issue->number);
    snprintf(order->title, sizeof order->title, "%s", issue->name);
    snprintf(order->repo, sizeof order->repo, "%s", repo);
    snprintf(order->branch, sizeof order->branch, "feature/%s", order->work_item_id);
    snprintf(order->to, sizeof order->to, "analysis");
}

static void order_of_advance(struct order *order, const json_t *event)
{
    order->task_id = json_get_int(event, "task_id", 0);
    snprintf(order->from, sizeof order->from, "%s", json_get_text(event, "from_stage", ""));
    snprintf(order->to, sizeof order->to, "%s", json_get_text(event, "to_stage", ""));
}

/* taking */

enum sender { FROM_GITEA, FROM_PLANE, FROM_RECONCILED };

static const struct {
    const char *delivery, *event;
} header_names[] = {
    [FROM_GITEA] = {"X-Gitea-Delivery", "X-Gitea-Event"},
    [FROM_PLANE] = {"X-Plane-Delivery", "X-Plane-Event"},
    [FROM_RECONCILED] = {"X-Reconciled-Delivery", NULL},
};

static json_t *headers_of(struct call *call)
{
    static const char *const names[] = {"Content-Type",
                                        "User-Agent",
                                        "X-Gitea-Delivery",
                                        "X-Gitea-Event",
                                        "X-Gitea-Event-Type",
                                        "X-Gitea-Signature",
                                        "X-Gitea-Hook-Installation-Target-Type",
                                        "X-GitHub-Hook-Installation-Target-Type",
                                        "X-Forgejo-Delivery",
                                        "X-Forgejo-Event",
                                        "X-Forgejo-Event-Type",
                                        "X-Forgejo-Signature",
                                        "Accept",
                                        "X-Gogs-Delivery",
                                        "X-Gogs-Event",
                                        "X-Gogs-Event-Type",
                                        "X-Gogs-Signature",
                                        "X-GitHub-Delivery",
                                        "X-GitHub-Event",
                                        "X-GitHub-Event-Type",
                                        "X-Hub-Signature",
                                        "X-Hub-Signature-256",
                                        "X-Plane-Delivery",
                                        "X-Plane-Event",
                                        "X-Plane-Signature",
                                        "X-Reconciled-Delivery"};
    json_t *headers = json_object();
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (call_request_header(call, names[i]))
            json_put(headers, names[i], json_text(call_request_header(call, names[i])));
    return headers;
}

static enum err order_make(const struct orchestrator *orchestrator, const struct call *call,
                           enum sender sender, const json_t *event, struct order *ret, struct why *why)
{
    const struct sandbox *sandbox = call->sandbox;
    json_auto_t *tasks = NULL;
    *ret = (struct order){.task_id = 0};
    if (sender == FROM_RECONCILED) {
        order_of_advance(ret, event);
        return ERR_OK;
    }
    const char *repo = json_get_text(json_object_get(event, "repository"), "full_name", ""),
               *plane_id =
                   sender == FROM_PLANE ? json_get_text(json_object_get(event, "data"), "id", "") : NULL;
    enum err err = tasks_of(orchestrator->database, repo, plane_id, &tasks, why);
    if (err)
        return err;
    const char *name = call_request_header(call, header_names[sender].event);
    if (sender == FROM_PLANE)
        order_of_issue(ret, sandbox, event, tasks, orchestrator->repo);
    else if (name && strcmp(name, "status") == 0 && strcmp(json_get_text(event, "state", ""), "success") == 0)
        order_of_status(ret, sandbox, event, tasks);
    else if (name && strcmp(name, "pull_request_approved") == 0)
        order_of_pull(ret, event, tasks, true);
    else if (name && strcmp(name, "pull_request") == 0)
        order_of_pull(ret, event, tasks, false);
    return ERR_OK;
}

static void record(struct orchestrator *orchestrator, struct call *call, enum sender sender, bool verified,
                   const struct order *order, bool moved)
{
    json_t *row = json_object();
    char *path = mem_dupn(call->target, call->path_len);
    json_put(row, "path", json_text(path));
    free(path);
    json_put(row, "delivery", json_text(call_request_header(call, header_names[sender].delivery)));
    json_put(row, "event",
             json_text(header_names[sender].event ? call_request_header(call, header_names[sender].event)
                                                  : "advance"));
    json_put(row, "verified", json_boolean(verified));
    json_put(row, "task_id", json_integer(order->task_id));
    json_put(row, "from_stage", json_text(order->from));
    json_put(row, "to_stage", json_text(order->to));
    json_put(row, "moved", json_boolean(moved));
    json_put(row, "headers", headers_of(call));
    json_put(row, "body", json_text(call->body));
    json_push(orchestrator->received, row);
    if (json_array_size(orchestrator->received) > KEPT)
        json_array_remove(orchestrator->received, 0);
    atomic_fetch_add(&orchestrator->n_received, 1);
}

static void take_locked(struct orchestrator *orchestrator, struct call *call, enum sender sender,
                        bool verified)
{
    struct why why = {""};
    struct order order = {.task_id = 0};
    bool moved = false;
    enum err err = ERR_OK;
    json_t *event = verified ? call_json(call, &why) : NULL;
    if (verified && !event)
        err = ERR_INVALID;
    if (event && orchestrator->database)
        err = order_make(orchestrator, call, sender, event, &order, &why);
    bool asked = !err && *order.to;
    if (asked && orchestrator->moves) {
        err = tasks_order(orchestrator->database, &order, &moved, &why);
    } else if (asked) {
        orchestrator->later = mem_grow(orchestrator->later, orchestrator->n_later + 1, sizeof order);
        orchestrator->later[orchestrator->n_later++] = order;
    }
    record(orchestrator, call, sender, verified, &order, moved);
    json_decref(event);
    if (!verified)
        call_plain(call, 401, "application/json", "{\"detail\":\"bad signature\"}");
    else if (err)
        control_error(call, 500, why.text);
    else
        call_plain(call, 200, "application/json", "{\"ok\":true}");
}

static void take_gitea(struct call *call)
{
    struct orchestrator *orchestrator = call->sandbox->orchestrator;
    pthread_mutex_lock(&orchestrator->lock);
    take_locked(orchestrator, call, FROM_GITEA,
                is_signed(call, "X-Gitea-Signature", orchestrator->gitea_secret));
    pthread_mutex_unlock(&orchestrator->lock);
}

static void take_plane(struct call *call)
{
    struct orchestrator *orchestrator = call->sandbox->orchestrator;
    pthread_mutex_lock(&orchestrator->lock);
    take_locked(orchestrator, call, FROM_PLANE,
                is_signed(call, "X-Plane-Signature", orchestrator->plane_secret));
    pthread_mutex_unlock(&orchestrator->lock);
}

static void take_advance(struct call *call)
{
    struct orchestrator *orchestrator = call->sandbox->orchestrator;
    pthread_mutex_lock(&orchestrator->lock);
    take_locked(orchestrator, call, FROM_RECONCILED, bears_token(call, orchestrator->token));
    pthread_mutex_unlock(&orchestrator->lock);
}

static void not_found(struct call *call)
{
    call_plain(call, call->method_known ? 405 : 404, "application/json", "{\"detail\":\"Not Found\"}");
}

static const struct route routes[] = {{"POST", "webhook/gitea", take_gitea, false},
                                      {"POST", "webhook/plane", take_plane, false},
                                      {"POST", "reconcile/advance", take_advance, false}};
const struct stand_in orchestrator_stand_in = {
    .prefix = "/orchestrator/", .routes = routes, .n_routes = ARRAY_LEN(routes), .not_found = not_found};

/* control */

void control_orchestrator_get(struct call *call)
{
    struct orchestrator *orchestrator = call->sandbox->orchestrator;
    struct out *out = control_open(call, 200);
    out_made(out, "url", "http://127.0.0.1:%d/orchestrator", call->sandbox->port);
    pthread_mutex_lock(&orchestrator->lock);
    out_bool(out, "moves", orchestrator->moves);
    out_int(out, "later", (int64_t)orchestrator->n_later);
    char *received = json_line(orchestrator->received);
    pthread_mutex_unlock(&orchestrator->lock);
    out_ready(out, "received", received);
    free(received);
    out_close(out, '}');
}

static void set_text(char **text, const json_t *body, const char *key)
{
    if (!json_object_get(body, key))
        return;
    free(*text);
    *text = mem_dup(json_get_text(body, key, NULL));
}

void control_orchestrator_post(struct call *call)
{
    struct orchestrator *orchestrator = call->sandbox->orchestrator;
    json_t *body = call_json(call, NULL);
    pthread_mutex_lock(&orchestrator->lock);
    set_text(&orchestrator->database, body, "database");
    set_text(&orchestrator->gitea_secret, body, "gitea_secret");
    set_text(&orchestrator->plane_secret, body, "plane_secret");
    set_text(&orchestrator->token, body, "token");
    set_text(&orchestrator->repo, body, "repo");
    orchestrator->moves = json_get_bool(body, "moves", orchestrator->moves);
    pthread_mutex_unlock(&orchestrator->lock);
    json_decref(body);
    control_orchestrator_get(call);
}

void control_orchestrator_move(struct call *call)
{
    struct orchestrator *orchestrator = call->sandbox->orchestrator;
    struct why why = {""};
    enum err err = ERR_OK;
    bool moved;
    pthread_mutex_lock(&orchestrator->lock);
    for (size_t i = 0; !err && i < orchestrator->n_later; i++)
        err = tasks_order(orchestrator->database, &orchestrator->later[i], &moved, &why);
    orchestrator->n_later = 0;
    pthread_mutex_unlock(&orchestrator->lock);
    if (err)
        control_error(call, 500, why.text);
    else
        control_orchestrator_get(call);
}

void control_orchestrator_delete(struct call *call)
{
    struct orchestrator *orchestrator = call->sandbox->orchestrator;
    pthread_mutex_lock(&orchestrator->lock);
    json_array_clear(orchestrator->received);
    orchestrator->n_later = 0;
    atomic_store(&orchestrator->n_received, 0);
    pthread_mutex_unlock(&orchestrator->lock);
    control_orchestrator_get(call);
}
