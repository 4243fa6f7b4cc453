/* Sources: go-gitea/gitea 1.22 to 1.27: modules/structs/{status,repo_branch,pull,pull_review,repo_file}.go
 * and services/convert/{status,pull,pull_review}.go. */
#include "clients/gitea/gitea_parse.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/http/upstream.h"

#define QUOTE_MAX ((size_t)120)

static const char too_many_rows[] = "a page of far more rows than were asked for";

/* the answer as such */

/* Whatever its body is, NULL if that is no JSON. The caller owns it. */
static json_t *small_body(const struct fetch_answer *answer)
{
    json_t *json = NULL;
    if (!answer->body || json_read_within(answer->body, answer->body_len, LIMIT_JSON_TREE_SMALL, &json, NULL))
        return NULL;
    return json;
}

bool gitea_missing(const struct fetch_answer *answer)
{
    if (answer->result != FETCH_ANSWERED || answer->status != 404)
        return false;
    json_auto_t *json = small_body(answer);
    return json_get_text(json, "message", NULL) && json_get_text(json, "url", NULL);
}

/* The message of Gitea's error body ({"message":…,"url":…}), cut; NULL when there is none. */
static char *error_message(const struct fetch_answer *answer)
{
    json_t *json = small_body(answer);
    const char *message = json_get_text(json, "message", "");
    char *cut = *message ? text_cut(message, QUOTE_MAX) : NULL;
    json_decref(json);
    return cut;
}

static const char *hint_of(int status, const struct upstream_names *names, struct arena *arena)
{
    if (status == 401)
        return arena_printf(arena, "; is %s right?", names->token);
    if (status == 403)
        return arena_printf(arena, "; what may %s do?", names->token);
    if (status >= 300 && status <= 399)
        return arena_printf(arena, "; a redirect elsewhere, is %s right?", names->url);
    if (status == 404) /* not Gitea's own */
        return arena_printf(arena, "; not Gitea's own answer, is %s right?", names->url);
    return "";
}

static const char *answered_words(const struct fetch_answer *answer, const char *what,
                                  const struct upstream_names *names, struct arena *arena)
{
    AUTO_FREE char *message = error_message(answer);
    const char *type = *answer->content_type ? answer->content_type : "no content type";
    const char *hint = hint_of(answer->status, names, arena);
    if (message)
        return arena_printf(arena, "Gitea answered %d for %s: %s%s", answer->status, what, message, hint);
    if (*answer->proxy)
        return arena_printf(arena, "%s, or what is behind it, answered %d (%s) for %s", answer->proxy,
                            answer->status, type, what);
    return arena_printf(arena, "Gitea answered %d (%s) for %s%s", answer->status, type, what, hint);
}

static bool is_null_body(const struct fetch_answer *answer)
{
    const char *at = answer->body;
    while (isspace((unsigned char)*at))
        at++;
    if (strncmp(at, "null", 4) != 0)
        return false;
    at += 4;
    while (isspace((unsigned char)*at))
        at++;
    return at == answer->body + answer->body_len;
}

static void read_body(const struct fetch_answer *answer, const char *what, struct arena *arena,
                      struct gitea_reply *reply)
{
    struct why why;
    reply->state = FACT_FAILED;
    if (!answer->body) {
        reply->error = arena_printf(arena, "Gitea answered 200 with an empty body for %s", what);
    } else if (is_null_body(answer)) { /* an empty list can be: a nil slice in Go */
        reply->json = json_null();
        reply->state = FACT_KNOWN;
    } else if (json_read(answer->body, answer->body_len, &reply->json, &why) == ERR_OK) {
        reply->state = FACT_KNOWN;
    } else if (strstr(answer->content_type, "html")) {
        reply->error = arena_printf(arena, "Gitea answered 200 (%s) for %s: a page, not the API",
                                    answer->content_type, what);
    } else {
        reply->error = arena_printf(arena, "Gitea's answer for %s is cut or broken: %s", what, why.text);
    }
}

void gitea_reply_read(const struct fetch_answer *answer, const char *what, const struct upstream_names *names,
                      struct arena *arena, struct gitea_reply *ret)
{
    *ret = (struct gitea_reply){.state = FACT_FAILED, .status = answer->status, .total = answer->total_count};
    if (answer->result == FETCH_ABORTED) {
        ret->error = "stopped before Gitea answered";
    } else if (answer->result != FETCH_ANSWERED) {
        ret->error = arena_printf(arena, "Gitea: %s, asked for %s", answer->error, what);
    } else if (gitea_missing(answer)) { /* hides a missing right too: services/context/repo.go */
        ret->state = FACT_ABSENT;
        ret->error = arena_printf(arena, "Gitea knows no %s (or the token may not see it)", what);
    } else if (answer->status == 200) {
        read_body(answer, what, arena, ret);
    } else {
        ret->error = answered_words(answer, what, names, arena);
    }
}

/* Whether a 200 may be the API's: an object, a list, or the null of an empty one. */
static bool begins_like_json(const struct fetch_answer *answer)
{
    const char *at = answer->body ? answer->body : "";
    while (isspace((unsigned char)*at))
        at++;
    return *at == '{' || *at == '[' || strncmp(at, "null", 4) == 0;
}

enum fetch_sign gitea_judge(const struct fetch_answer *answer, char *error, size_t size)
{
    if (answer->result != FETCH_ANSWERED)
        return fetch_judge(answer, error, size);
    int status = answer->status;
    if (status < 500 && status != 401 && status != 403 && status != 429 &&
        (status != 200 || begins_like_json(answer)) && (status != 404 || gitea_missing(answer)))
        return FETCH_SIGN_GOOD;
    const char *through = *answer->proxy ? " through " : "";
    if (*answer->content_type)
        snprintf(error, size, "answered %d (%s)%s%s", status, answer->content_type, through, answer->proxy);
    else
        snprintf(error, size, "answered %d%s%s", status, through, answer->proxy);
    return FETCH_SIGN_BAD;
}

enum fetch_sign gitea_judge_allowed(const struct fetch_answer *answer, char *error, size_t size)
{
    return answer->status == 403 ? FETCH_SIGN_NONE : gitea_judge(answer, error, size);
}

/* members of many types */

/* Text, or a number as text; NULL when absent, of more than LIMIT_FACT_TEXT bytes, or anything else. */
static const char *text_of(const json_t *object, const char *key, struct arena *arena)
{
    char buffer[32];
    const char *text = json_get_text_any(object, key, buffer, sizeof buffer);
    return text && strlen(text) <= LIMIT_FACT_TEXT ? arena_text(arena, text) : NULL;
}

/* A number, or a number as text; -1 when absent or anything else. */
static int64_t id_of(const json_t *object, const char *key)
{
    int64_t id = -1;
    const char *text = json_get_text(object, key, NULL);
    if (!text)
        return json_get_int(object, key, -1);
    return parse_i64(text, 0, INT64_MAX, &id) ? id : -1;
}

/* False when the member is there and cannot be meant as a truth value. */
static bool bool_of(const json_t *object, const char *key, bool *ret)
{
    const json_t *member = json_object_get(object, key);
    *ret = json_is_true(member) || (json_is_integer(member) && json_integer_value(member) == 1);
    return !member || json_is_null(member) || json_is_boolean(member) ||
           (json_is_integer(member) && (json_integer_value(member) == 0 || json_integer_value(member) == 1));
}

static int64_t instant_of(const json_t *object, const char *key)
{
    int64_t us = 0;
    const char *text = json_get_text(object, key, "");
    return instant_parse(text, &us) ? us : 0;
}

/* A commit id, SHA-1 or SHA-256. As a number it would have lost its leading zeros. */
static const char *sha_of(const json_t *object, const char *key, struct arena *arena)
{
    const char *text = json_get_text(object, key, "");
    size_t len = strlen(text);
    if (len < 7 || len > 64 || strspn(text, "0123456789abcdefABCDEF") != len)
        return NULL;
    return arena_text(arena, text);
}

static uint64_t mark_add(uint64_t mark, int64_t id)
{
    return (mark ^ (uint64_t)id) * 1099511628211u;
}

static uint64_t mark_add_text(uint64_t mark, const char *text)
{
    for (; *text; text++)
        mark = mark_add(mark, (unsigned char)*text);
    return mark_add(mark, 256);
}

/* pages */

/* Reads one row, and adds its ids to the page's mark. Returns what is wrong with it in words, or NULL. */
typedef const char *row_fn(const json_t *json, struct arena *arena, void *row, uint64_t *mark);

/* The rows of a list; null is an empty one. */
static const char *page_parse(const json_t *list, const char *not_a_list, size_t row_size, row_fn *row_read,
                              struct arena *arena, struct gitea_page *ret)
{
    size_t n = json_array_size(list);
    *ret = (struct gitea_page){0};
    if (json_is_null(list))
        return NULL;
    if (!json_is_array(list))
        return not_a_list;
    if (n > LIMIT_PAGE_ROWS)
        return too_many_rows;
    char *rows = arena_zero(arena, n, row_size);
    for (size_t i = 0; i < n; i++) {
        const char *wrong = row_read(json_array_get(list, i), arena, rows + i * row_size, &ret->mark);
        if (wrong)
            return wrong;
    }
    ret->rows = rows;
    ret->n = n;
    return NULL;
}

/* branches */

const char *gitea_parse_branch(const json_t *json, struct arena *arena, struct gitea_branch *ret)
{
    if (!json_is_object(json))
        return "not a branch";
    ret->name = text_of(json, "name", arena);
    ret->sha = sha_of(json_object_get(json, "commit"), "id", arena);
    if (!ret->name)
        return "a branch without a name";
    return ret->sha ? NULL : "a branch without a commit id";
}

static const char *branch_row(const json_t *json, struct arena *arena, void *row, uint64_t *mark)
{
    struct gitea_branch *branch = row;
    const char *wrong = gitea_parse_branch(json, arena, branch);
    if (!wrong)
        *mark = mark_add_text(*mark, branch->name);
    return wrong;
}

const char *gitea_parse_branches(const json_t *json, const void *arg, struct arena *arena,
                                 struct gitea_page *ret)
{
    (void)arg;
    return page_parse(json, "not a list of branches", sizeof(struct gitea_branch), branch_row, arena, ret);
}

/* a repo */

const char *gitea_parse_repo(const json_t *json, struct arena *arena, const char **ret_branch,
                             const char **ret_full_name)
{
    if (!json_is_object(json))
        return "not a repository";
    *ret_branch = text_of(json, "default_branch", arena);
    *ret_full_name = text_of(json, "full_name", arena);
    if (!*ret_full_name || !**ret_full_name)
        return "a repository without a name";
    return *ret_branch && **ret_branch ? NULL : "a repository without a default branch";
}

/* statuses */

static const char *const state_names[] = {
    [GITEA_SUCCESS] = "success", [GITEA_SKIPPED] = "skipped", [GITEA_PENDING] = "pending",
    [GITEA_FAILURE] = "failure", [GITEA_ERROR] = "error",     [GITEA_WARNING] = "warning",
};

const char *gitea_state_name(enum gitea_state state)
{
    return (size_t)state < ARRAY_LEN(state_names) ? state_names[state] : "unheard of";
}

static enum gitea_state state_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(state_names); i++)
        if (strcmp(state_names[i], name) == 0)
            return (enum gitea_state)i;
    return GITEA_UNHEARD_OF;
}

static const char *status_row(const json_t *json, struct arena *arena, void *ret_row, uint64_t *mark)
{
    struct gitea_status_row *row = ret_row;
    if (!json_is_object(json))
        return "not a status";
    const json_t *context = json_object_get(json, "context");
    row->id = id_of(json, "id");
    row->status.context = text_of(json, "context", arena);
    if (!row->status.context && context && !json_is_null(context))
        return "a status whose context is no text";
    if (!row->status.context)
        row->status.context = "";
    const char *state = json_get_text(json, "status", json_get_text(json, "state", NULL));
    if (!state)
        return "a status without a state";
    row->status.state = state_of(state);
    row->status.target_url = text_of(json, "target_url", arena);
    *mark = mark_add_text(mark_add(*mark, row->id), row->status.context);
    return NULL;
}

const char *gitea_parse_statuses(const json_t *json, const void *arg, struct arena *arena,
                                 struct gitea_page *ret)
{
    const char *asked_sha = arg;
    *ret = (struct gitea_page){0};
    const json_t *list = json_object_get(json, "statuses");
    const char *sha = json_get_text(json, "sha", "");
    if (*sha && strcasecmp(sha, asked_sha) != 0)
        return "it is about another commit, perhaps of a branch named like this one";
    if (!list || json_is_null(list)) { /* no status yet; up to 1.24 everything else is empty too */
        bool combined = list || json_object_get(json, "state");
        if (!combined || id_of(json, "total_count") > 0)
            return "not a combined status";
        return NULL;
    }
    return page_parse(list, "not a list of statuses", sizeof(struct gitea_status_row), status_row, arena,
                      ret);
}

/* pull requests */

static const char *text_or_empty(const json_t *object, const char *key, struct arena *arena)
{
    const char *text = text_of(object, key, arena);
    return text ? text : "";
}

void gitea_parse_pull(const json_t *json, struct arena *arena, struct gitea_pull_row *ret)
{
    *ret = (struct gitea_pull_row){.number = id_of(json, "number")};
    const json_t *base = json_object_get(json, "base"), *head = json_object_get(json, "head");
    const char *state = json_get_text(json, "state", "");
    bool merged;
    ret->readable = ret->number > 0 && json_is_object(base) && json_is_object(head) &&
                    bool_of(json, "merged", &merged) && bool_of(json, "draft", &ret->draft) &&
                    (strcmp(state, "open") == 0 || strcmp(state, "closed") == 0);
    if (!ret->readable)
        return;
    ret->state = merged                       ? GITEA_PULL_MERGED
                 : strcmp(state, "open") == 0 ? GITEA_PULL_OPEN
                                              : GITEA_PULL_CLOSED;
    ret->base = text_or_empty(base, "ref", arena);
    ret->ref = text_or_empty(head, "ref", arena);
    ret->label = text_or_empty(head, "label", arena);
    ret->head_sha = sha_of(head, "sha", arena);
    ret->created_us = instant_of(json, "created_at");
    ret->updated_us = instant_of(json, "updated_at");
    /* -1 for the head of a repo that was deleted, which cannot be the one asked. */
    const json_t *base_repo = json_object_get(base, "repo_id"), *head_repo = json_object_get(head, "repo_id");
    ret->foreign =
        json_is_integer(base_repo) && json_is_integer(head_repo) && !json_equal(base_repo, head_repo);
}

static const char *pull_row(const json_t *json, struct arena *arena, void *row, uint64_t *mark)
{
    struct gitea_pull_row *pull = row;
    gitea_parse_pull(json, arena, pull);
    *mark = mark_add(*mark, pull->number);
    return NULL;
}

const char *gitea_parse_pulls(const json_t *json, const void *arg, struct arena *arena,
                              struct gitea_page *ret)
{
    (void)arg;
    return page_parse(json, "not a list of pull requests", sizeof(struct gitea_pull_row), pull_row, arena,
                      ret);
}

/* reviews */

static enum gitea_review_state review_state_of(const char *name)
{
    static const struct {
        const char *name;
        enum gitea_review_state state;
    } states[] = {
        {"APPROVED", GITEA_REVIEW_APPROVED},        {"REQUEST_CHANGES", GITEA_REVIEW_CHANGES},
        {"COMMENT", GITEA_REVIEW_COMMENT},          {"PENDING", GITEA_REVIEW_PENDING},
        {"REQUEST_REVIEW", GITEA_REVIEW_REQUESTED},
    };
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        if (strcmp(states[i].name, name) == 0)
            return states[i].state;
    return GITEA_REVIEW_OTHER;
}

static const char *review_row(const json_t *json, struct arena *arena, void *ret_row, uint64_t *mark)
{
    struct gitea_review *row = ret_row;
    const char *state = json_get_text(json, "state", NULL);
    if (!state)
        return "a review without a state";
    if (!bool_of(json, "stale", &row->stale) || !bool_of(json, "dismissed", &row->dismissed) ||
        !bool_of(json, "official", &row->official))
        return "a review whose flags are neither true nor false";
    const json_t *user = json_object_get(json, "user");
    row->id = id_of(json, "id");
    row->state = review_state_of(state);
    if (json_get_int(user, "id", 0) >= 0) /* the ghost of a deleted user is -1 */
        row->user = text_of(user, "login", arena);
    if (row->user && !*row->user)
        row->user = NULL;
    row->commit_id = text_of(json, "commit_id", arena);
    *mark = mark_add(*mark, row->id);
    return NULL;
}

const char *gitea_parse_reviews(const json_t *json, const void *arg, struct arena *arena,
                                struct gitea_page *ret)
{
    (void)arg;
    return page_parse(json, "not a list of reviews", sizeof(struct gitea_review), review_row, arena, ret);
}

/* webhooks */

static const char *hook_row(const json_t *json, struct arena *arena, void *ret_row, uint64_t *mark)
{
    struct gitea_hook *row = ret_row;
    const json_t *events = json_object_get(json, "events");
    row->id = id_of(json, "id");
    row->url = text_of(json_object_get(json, "config"), "url", arena);
    row->updated_at = text_or_empty(json, "updated_at", arena);
    row->branch_filter = text_or_empty(json, "branch_filter", arena);
    if (row->id < 0 || !row->url)
        return "a webhook without an id or a URL";
    if (!bool_of(json, "active", &row->active))
        return "a webhook that is neither active nor not";
    const char **names = arena_zero(arena, json_array_size(events) + 1, sizeof(char *));
    for (size_t i = 0, n = 0; i < json_array_size(events); i++) {
        const char *name = json_string_value(json_array_get(events, i));
        if (name)
            names[n++] = arena_text(arena, name);
    }
    row->events = names;
    *mark = mark_add(*mark, row->id);
    return NULL;
}

const char *gitea_parse_hooks(const json_t *json, const void *arg, struct arena *arena,
                              struct gitea_page *ret)
{
    (void)arg;
    return page_parse(json, "not a list of webhooks", sizeof(struct gitea_hook), hook_row, arena, ret);
}

/* trees */

static enum gitea_tree_kind tree_kind_of(const char *type)
{
    static const char *const types[] = {[GITEA_TREE_FILE] = "blob", /* a symbolic link too */
                                        [GITEA_TREE_FOLDER] = "tree",
                                        [GITEA_TREE_OTHER] = "commit"};
    for (size_t i = GITEA_TREE_FILE; i < ARRAY_LEN(types); i++)
        if (strcmp(types[i], type) == 0)
            return (enum gitea_tree_kind)i;
    return GITEA_TREE_NONE;
}

const char *gitea_parse_tree(const json_t *json, const char *name, struct arena *arena,
                             struct gitea_tree_page *ret)
{
    *ret = (struct gitea_tree_page){.n = 0};
    const json_t *list = json_object_get(json, "tree");
    int64_t total = id_of(json, "total_count");
    if (!list || (!json_is_array(list) && !json_is_null(list)) ||
        !bool_of(json, "truncated", &ret->truncated))
        return "not a tree";
    if (json_array_size(list) > LIMIT_PAGE_ROWS)
        return too_many_rows;
    ret->n = json_array_size(list);
    ret->total = total > 0 ? (size_t)total : 0;
    for (size_t i = 0; i < ret->n; i++) {
        const json_t *row = json_array_get(list, i);
        const char *path = json_get_text(row, "path", NULL), *id = json_get_text(row, "sha", NULL);
        enum gitea_tree_kind kind = tree_kind_of(json_get_text(row, "type", ""));
        if (!path || !id || kind == GITEA_TREE_NONE)
            return "an entry without a path, a type or an id";
        bool is_it = name ? strcmp(path, name) == 0 : kind == GITEA_TREE_FILE;
        if (is_it && ret->found.kind == GITEA_TREE_NONE)
            ret->found = (struct gitea_tree_entry){
                .kind = kind, .name = arena_text(arena, path), .id = arena_text(arena, id)};
    }
    return NULL;
}
