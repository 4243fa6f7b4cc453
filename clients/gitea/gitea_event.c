#include "clients/gitea/gitea_event.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"

/* Go's way of writing JSON */

/* The length of the character at `at` if encoding/json escapes it and jansson does not: < > & and the two
 * line separators that are no part of a JavaScript string. 0: it is another one. JSON has them only within
 * strings. */
static size_t foreign_len(const char *at)
{
    if (*at == '<' || *at == '>' || *at == '&')
        return 1;
    return strncmp(at, "\xe2\x80\xa8", 3) == 0 || strncmp(at, "\xe2\x80\xa9", 3) == 0 ? 3 : 0;
}

static void put_as_go(struct buffer *out, const char *json)
{
    for (size_t len; *json; json += len) {
        len = foreign_len(json);
        if (len == 1) {
            buffer_printf(out, "\\u%04x", (unsigned char)*json);
        } else if (len == 3) {
            buffer_printf(out, "\\u202%x", (unsigned char)json[2] & 0x0f);
        } else if (*json != '\\') {
            buffer_putc(out, *json);
            len = 1;
        } else { /* an escape; of a control character in upper-case hex, so far */
            len = json[1] == 'u' ? 6 : 2;
            for (size_t i = 0; i < len; i++)
                buffer_putc(out, i < 2 ? json[i] : (char)tolower((unsigned char)json[i]));
        }
    }
}

char *event_gitea_text(const json_t *value)
{
    char *json = json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY);
    struct buffer out = {.max = LIMIT_EVENT};
    if (!json)
        abort(); /* out of memory, see err.h */
    put_as_go(&out, json);
    free(json);
    return buffer_take_whole(&out);
}

/* 1.23.0 and 1.23.1 know the event and cannot subscribe to it by the API (go-gitea/gitea#33302). */
static bool is_before_1_23_2(const char *text)
{
    static const char *const names[] = {"1.23", "1.23.0", "1.23.1"};
    size_t len = strcspn(text, "+-");
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strlen(names[i]) == len && strncmp(text, names[i], len) == 0)
            return true;
    return false;
}

struct gitea_release event_gitea_release(const json_t *version)
{
    const char *text = json_get_text(version, "version", "");
    if (strstr(text, "+gitea-"))
        return (struct gitea_release){.forgejo = true, .names_reviewer = true};
    struct gitea_release release = {.names_reviewer = true, .names_target = true, .sends_status = true};
    const char *dot = strchr(text, '.');
    int64_t minor;
    char digits[4] = "";
    if (strncmp(text, "1.", 2) != 0)
        return release;
    snprintf(digits, sizeof digits, "%.*s", (int)strspn(dot + 1, "0123456789"), dot + 1);
    if (parse_i64(digits, 0, 999, &minor)) {
        release.names_reviewer = minor >= 23;
        release.names_target = minor >= 24;
        release.sends_status = minor > 23 || (minor == 23 && !is_before_1_23_2(text));
    }
    return release;
}

/* the events, their members in the order of modules/structs/hook.go */

static void put_shared(json_t *object, const char *key, const json_t *value)
{
    json_put(object, key, value ? json_incref((json_t *)(uintptr_t)value) : json_null());
}

static char *text_take(json_t *payload_take)
{
    char *text = event_gitea_text(payload_take);
    json_decref(payload_take);
    return text;
}

/* Webhooks are made of a repository whose main language is not loaded. */
static void put_repository(json_t *payload, const json_t *repository)
{
    json_t *copy = json_copy((json_t *)(uintptr_t)repository);
    if (json_object_get(copy, "language"))
        json_put(copy, "language", json_text(""));
    json_put(payload, "repository", copy);
}

/* The names of the files with this status in the commit. */
static json_t *files_in(const json_t *git_commit, const char *status)
{
    const json_t *files = json_object_get(git_commit, "files");
    json_t *names = json_array();
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *file = json_array_get(files, i);
        if (strcmp(json_get_text(file, "status", ""), status) == 0)
            json_push(names, json_text(json_get_text(file, "filename", "")));
    }
    return names;
}

static void put_commit(json_t *payload, const json_t *commit, const json_t *git_commit)
{
    static const char *const lists[] = {"added", "removed", "modified"};
    json_t *copy = json_copy((json_t *)(uintptr_t)commit);
    json_put(copy, "verification", json_null());
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        json_put(copy, lists[i], files_in(git_commit, lists[i]));
    json_put(payload, "commit", copy);
}

char *event_gitea_status(const json_t *repository, const json_t *commit, const json_t *git_commit,
                         const json_t *status)
{
    int64_t created_us;
    /* A row of the list has `status` where the webhook has `state`. */
    const char *state = json_get_text(status, "status", json_get_text(status, "state", NULL));
    if (!json_is_object(repository) || !json_get_text(commit, "id", NULL) || !json_is_object(git_commit) ||
        !state || !instant_parse(json_get_text(status, "created_at", ""), &created_us))
        return NULL;
    json_t *payload = json_object();
    put_commit(payload, commit, git_commit);
    json_put(payload, "context", json_text(json_get_text(status, "context", "")));
    json_put(payload, "created_at", json_instant(created_us));
    json_put(payload, "description", json_text(json_get_text(status, "description", "")));
    json_put(payload, "id", json_integer(json_get_int(status, "id", 0)));
    put_repository(payload, repository);
    put_shared(payload, "sender", json_object_get(status, "creator"));
    put_shared(payload, "sha", json_object_get(commit, "id"));
    json_put(payload, "state", json_text(state));
    json_put(payload, "target_url", json_text(json_get_text(status, "target_url", "")));
    json_put(payload, "updated_at", json_instant(created_us));
    return text_take(payload);
}

static char *about_pull(const char *action, const json_t *repository, const json_t *pull,
                        const json_t *reviewer, const json_t *sender, json_t *review_take)
{
    json_t *payload = json_object();
    json_put(payload, "action", json_text(action));
    put_shared(payload, "number", json_object_get(pull, "number"));
    put_shared(payload, "pull_request", pull);
    put_shared(payload, "requested_reviewer", reviewer);
    put_repository(payload, repository);
    put_shared(payload, "sender", sender);
    json_put(payload, "commit_id", json_text(""));
    json_put(payload, "review", review_take);
    return text_take(payload);
}

char *event_gitea_approved(const struct gitea_release *release, const json_t *repository, const json_t *pull,
                           const json_t *review)
{
    if (!json_is_object(repository) || !json_is_integer(json_object_get(pull, "number")) ||
        !json_is_object(review))
        return NULL;
    json_t *review_object = json_object();
    json_put(review_object, "type", json_text("pull_request_review_approved"));
    json_put(review_object, "content", json_text(json_get_text(review, "body", "")));
    const json_t *user = json_object_get(review, "user");
    return about_pull("reviewed", repository, pull, release->names_reviewer ? user : NULL, user,
                      review_object);
}

char *event_gitea_closed(const json_t *repository, const json_t *pull)
{
    if (!json_is_object(repository) || !json_is_integer(json_object_get(pull, "number")) ||
        !json_get_bool(pull, "merged", false))
        return NULL;
    return about_pull("closed", repository, pull, NULL, json_object_get(pull, "merged_by"), json_null());
}
