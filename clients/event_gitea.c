#include "clients/event_gitea.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/jsonx.h"
#include "clients/base/text.h"

/* ---- Go's way of writing JSON ------------------------------------------------------------------------- */

/* encoding/json, with HTML escaped: < > & and the two line separators that JavaScript stumbles over. */
static size_t put_escaped(FILE *out, const char *at)
{
    unsigned char byte = (unsigned char)*at;
    if (byte == '"' || byte == '\\')
        fprintf(out, "\\%c", byte);
    else if (byte == '\n')
        fputs("\\n", out);
    else if (byte == '\r')
        fputs("\\r", out);
    else if (byte == '\t')
        fputs("\\t", out);
    else if (byte == '\b')
        fputs("\\b", out);
    else if (byte == '\f')
        fputs("\\f", out);
    else if (byte < 0x20 || byte == '<' || byte == '>' || byte == '&')
        fprintf(out, "\\u%04x", byte);
    else if (strncmp(at, "\xe2\x80\xa8", 3) == 0 || strncmp(at, "\xe2\x80\xa9", 3) == 0)
        return (void)fprintf(out, "\\u202%x", (unsigned char)at[2] & 0x0f), 3;
    else
        fputc(byte, out);
    return 1;
}

static void put_text(FILE *out, const char *text)
{
    fputc('"', out);
    while (*text)
        text += put_escaped(out, text);
    fputc('"', out);
}

static void put_line(FILE *out, int depth)
{
    fprintf(out, "\n%*s", 2 * depth, "");
}

static void put_value(FILE *out, const json_t *value, int depth);

static void put_object(FILE *out, const json_t *object, int depth)
{
    const char *key, *between = "";
    json_t *member;
    fputc('{', out);
    json_object_foreach((json_t *)(uintptr_t)object, key, member)
    {
        fputs(between, out);
        put_line(out, depth + 1);
        put_text(out, key);
        fputs(": ", out);
        put_value(out, member, depth + 1);
        between = ",";
    }
    if (*between)
        put_line(out, depth);
    fputc('}', out);
}

static void put_array(FILE *out, const json_t *array, int depth)
{
    fputc('[', out);
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i > 0)
            fputc(',', out);
        put_line(out, depth + 1);
        put_value(out, json_array_get(array, i), depth + 1);
    }
    if (json_array_size(array) > 0)
        put_line(out, depth);
    fputc(']', out);
}

/* Depth is bounded by json_read. No member of Gitea's is a fraction. */
static void put_value(FILE *out, const json_t *value, int depth)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        put_object(out, value, depth);
        break;
    case JSON_ARRAY:
        put_array(out, value, depth);
        break;
    case JSON_STRING:
        put_text(out, json_string_value(value));
        break;
    case JSON_INTEGER:
        fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        fprintf(out, "%.17g", json_real_value(value));
        break;
    case JSON_TRUE:
        fputs("true", out);
        break;
    case JSON_FALSE:
        fputs("false", out);
        break;
    case JSON_NULL:
        fputs("null", out);
        break;
    }
}

char *event_gitea_text(const json_t *value)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        abort(); /* out of memory, see err.h */
    put_value(out, value, 0);
    if (fclose(out) != 0)
        abort();
    return text;
}

/* ---- the events, their members in the order of modules/structs/hook.go ------------------------------------
 */

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

char *event_gitea_status(const json_t *repository, const json_t *commit, const json_t *status)
{
    int64_t created_us;
    /* A row of the list has `status` where the webhook has `state`. */
    const char *state = json_get_text(status, "status", json_get_text(status, "state", NULL));
    if (!json_is_object(repository) || !json_get_text(commit, "id", NULL) || !state ||
        !instant_parse(json_get_text(status, "created_at", ""), &created_us))
        return NULL;
    json_t *payload = json_object();
    put_shared(payload, "commit", commit);
    json_put(payload, "context", json_text(json_get_text(status, "context", "")));
    json_put(payload, "created_at", json_instant(created_us));
    json_put(payload, "description", json_text(json_get_text(status, "description", "")));
    json_put(payload, "id", json_integer(json_get_int(status, "id", 0)));
    put_shared(payload, "repository", repository);
    put_shared(payload, "sender", json_object_get(status, "creator"));
    put_shared(payload, "sha", json_object_get(commit, "id"));
    json_put(payload, "state", json_text(state));
    json_put(payload, "target_url", json_text(json_get_text(status, "target_url", "")));
    json_put(payload, "updated_at", json_null());
    return text_take(payload);
}

static char *about_pull(const char *action, const json_t *repository, const json_t *pull,
                        const json_t *sender, json_t *review_take)
{
    json_t *payload = json_object();
    json_put(payload, "action", json_text(action));
    put_shared(payload, "number", json_object_get(pull, "number"));
    put_shared(payload, "pull_request", pull);
    json_put(payload, "requested_reviewer", json_null());
    put_shared(payload, "repository", repository);
    put_shared(payload, "sender", sender);
    json_put(payload, "commit_id", json_text(""));
    json_put(payload, "review", review_take);
    return text_take(payload);
}

char *event_gitea_approved(const json_t *repository, const json_t *pull, const json_t *review)
{
    if (!json_is_object(repository) || !json_is_integer(json_object_get(pull, "number")) ||
        !json_is_object(review))
        return NULL;
    json_t *said = json_object();
    json_put(said, "type", json_text("pull_request_review_approved"));
    json_put(said, "content", json_text(json_get_text(review, "body", "")));
    return about_pull("reviewed", repository, pull, json_object_get(review, "user"), said);
}

char *event_gitea_closed(const json_t *repository, const json_t *pull)
{
    if (!json_is_object(repository) || !json_is_integer(json_object_get(pull, "number")) ||
        !json_get_bool(pull, "merged", false))
        return NULL;
    return about_pull("closed", repository, pull, json_object_get(pull, "merged_by"), json_null());
}
