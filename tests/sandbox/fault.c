#include "tests/sandbox/fault.h"

#include <fnmatch.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "tests/sandbox/call.h"

#define FAULT_RULES_MAX 256
#define FAULT_BYTES_MAX ((int64_t)1 << 32)

struct rule {
    int64_t id, skip, left, hits;       /* left: matches to come, -1 without end */
    char *method, *path, *query, *sent; /* NULL: any */
    struct fault fault;
};

struct faults {
    atomic_size_t n; /* read without the lock, so that no rule costs nothing */
    pthread_mutex_t lock;
    struct rule rules[FAULT_RULES_MAX];
    int64_t last_id;
};

static const char *const kind_names[] = {
    [FAULT_NONE] = "none",     [FAULT_DELAY] = "delay",     [FAULT_HANG] = "hang",
    [FAULT_CLOSE] = "close",   [FAULT_CUT] = "cut",         [FAULT_DRIP] = "drip",
    [FAULT_ANSWER] = "status", [FAULT_GARBAGE] = "garbage", [FAULT_RETYPE] = "content_type",
    [FAULT_HUGE] = "huge",
};
_Static_assert(ARRAY_LEN(kind_names) == FAULT_KIND_MAX, "a name for each kind");

void fault_done(struct fault *fault)
{
    free(fault->body);
    free(fault->content_type);
    *fault = (struct fault){0};
}

static void rule_done(struct rule *rule)
{
    free(rule->method);
    free(rule->path);
    free(rule->query);
    free(rule->sent);
    fault_done(&rule->fault);
}

struct faults *faults_new(void)
{
    struct faults *faults = mem_zero(1, sizeof *faults);
    pthread_mutex_init(&faults->lock, NULL);
    return faults;
}

void faults_free(struct faults *faults)
{
    (void)faults_clear(faults, 0);
    pthread_mutex_destroy(&faults->lock);
    free(faults);
}

/* A glob without wildcards is a prefix; '*' takes slashes too. */
static bool glob_fits(const char *glob, const char *text)
{
    if (!glob)
        return true;
    if (!strpbrk(glob, "*?["))
        return strncmp(text, glob, strlen(glob)) == 0;
    return fnmatch(glob, text, 0) == 0;
}

static bool rule_fits(const struct rule *rule, const struct call *call, const char *path)
{
    const char *query = call->target + call->path_len;
    return rule->left != 0 && (!rule->method || strcmp(rule->method, call->method) == 0) &&
           glob_fits(rule->path, path) && glob_fits(rule->query, *query ? query + 1 : "") &&
           glob_fits(rule->sent, call->body);
}

void faults_match(struct faults *faults, const struct call *call, struct fault *ret)
{
    *ret = (struct fault){0};
    if (atomic_load_explicit(&faults->n, memory_order_acquire) == 0)
        return;
    char *path = mem_dupn(call->target, call->path_len);
    pthread_mutex_lock(&faults->lock);
    for (size_t i = 0; i < faults->n; i++) {
        struct rule *rule = &faults->rules[i];
        if (!rule_fits(rule, call, path))
            continue;
        if (rule->skip > 0) {
            rule->skip--;
            continue;
        }
        rule->hits++;
        if (rule->left > 0)
            rule->left--;
        *ret = rule->fault;
        ret->body = mem_dup(rule->fault.body);
        ret->content_type = mem_dup(rule->fault.content_type);
        break;
    }
    pthread_mutex_unlock(&faults->lock);
    free(path);
}

/* "429" is short for the answer a rate limiter gives. */
static enum err read_kind(const json_t *json, struct fault *fault, struct why *why)
{
    const char *kind = json_get_text(json, "kind", "");
    fault->retry_after_s = json_get_int(json, "retry_after", -1);
    fault->status = (int)json_get_int(json, "status", 500);
    fault->made = true;
    if (strcmp(kind, "429") == 0) {
        fault->kind = FAULT_ANSWER;
        fault->status = 429;
        fault->retry_after_s = json_get_int(json, "retry_after", 1);
        return ERR_OK;
    }
    for (int i = FAULT_DELAY; i < FAULT_KIND_MAX; i++)
        if (strcmp(kind, kind_names[i]) == 0) {
            fault->kind = (enum fault_kind)i;
            fault->made =
                i == FAULT_ANSWER || ((i == FAULT_CUT || i == FAULT_DRIP) && json_object_get(json, "status"));
            return fault->status >= 200 && fault->status <= 599
                       ? ERR_OK
                       : why_set(why, ERR_INVALID, "status: 200 to 599");
        }
    return why_set(why, ERR_INVALID, "kind \"%s\" is unknown", kind);
}

/* The body of an answer: "json" any JSON value, "html" or "body" text; the content type follows unless given.
 */
static void read_body(const json_t *json, struct fault *fault)
{
    const json_t *document = json_object_get(json, "json");
    const char *html = json_get_text(json, "html", NULL), *body = json_get_text(json, "body", "");
    const char *type =
        json_get_text(json, "content_type", document ? "application/json" : "text/html; charset=utf-8");
    fault->content_type = mem_dup(type);
    fault->body = document ? json_line(document) : mem_dup(html ? html : body);
}

enum err faults_add(struct faults *faults, const json_t *json, int64_t *ret_id, struct why *why)
{
    struct rule rule = {.skip = json_get_int(json, "skip", 0), .left = json_get_int(json, "count", -1)};
    enum err err = read_kind(json, &rule.fault, why);
    if (err)
        return err;
    rule.fault.delay_ms = json_get_int(json, "delay_ms", json_get_int(json, "ms", 0));
    rule.fault.bytes = json_get_int(json, "bytes", rule.fault.kind == FAULT_HUGE ? 16 << 20 : 1);
    rule.fault.chunked = json_get_bool(json, "chunked", false);
    if (rule.fault.delay_ms < 0 || rule.fault.bytes < 0 || rule.fault.bytes > FAULT_BYTES_MAX)
        return why_set(why, ERR_INVALID, "ms and bytes: not below 0, bytes not above 2^32");
    if (rule.fault.kind == FAULT_DRIP && (rule.fault.delay_ms == 0 || rule.fault.bytes == 0))
        return why_set(why, ERR_INVALID, "drip needs ms and bytes above 0");
    read_body(json, &rule.fault);
    rule.method = mem_dup(json_get_text(json, "method", NULL));
    rule.path = mem_dup(json_get_text(json, "path", NULL));
    rule.query = mem_dup(json_get_text(json, "query", NULL));
    rule.sent = mem_dup(json_get_text(json, "sent", NULL));
    pthread_mutex_lock(&faults->lock);
    if (faults->n == FAULT_RULES_MAX) {
        rule_done(&rule);
        err = why_set(why, ERR_INVALID, "at most %d rules", FAULT_RULES_MAX);
    } else {
        *ret_id = rule.id = ++faults->last_id;
        faults->rules[faults->n] = rule;
        atomic_fetch_add(&faults->n, 1);
    }
    pthread_mutex_unlock(&faults->lock);
    return err;
}

bool faults_clear(struct faults *faults, int64_t id)
{
    bool found = id == 0;
    pthread_mutex_lock(&faults->lock);
    size_t kept = 0;
    for (size_t i = 0; i < faults->n; i++)
        if (id != 0 && faults->rules[i].id != id)
            faults->rules[kept++] = faults->rules[i];
        else {
            rule_done(&faults->rules[i]);
            found = true;
        }
    atomic_store(&faults->n, kept);
    pthread_mutex_unlock(&faults->lock);
    return found;
}

void faults_list(struct faults *faults, struct out *out, const char *key)
{
    out_open(out, key, '[');
    pthread_mutex_lock(&faults->lock);
    for (size_t i = 0; i < faults->n; i++) {
        const struct rule *rule = &faults->rules[i];
        out_open(out, NULL, '{');
        out_int(out, "id", rule->id);
        out_text(out, "kind", kind_names[rule->fault.kind]);
        out_text(out, "method", rule->method);
        out_text(out, "path", rule->path);
        out_text(out, "query", rule->query);
        out_text(out, "sent", rule->sent);
        out_int(out, "hits", rule->hits);
        out_int(out, "left", rule->left);
        out_close(out, '}');
    }
    pthread_mutex_unlock(&faults->lock);
    out_close(out, ']');
}
