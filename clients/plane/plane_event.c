#include "clients/plane/plane_event.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"

/* Python's way of writing JSON */

/* The character at `at`, valid UTF-8; *ret_len bytes long. */
static uint32_t char_at(const char *at, size_t *ret_len)
{
    unsigned char first = (unsigned char)*at;
    size_t len = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint32_t code = len == 1 ? first : first & (0x7fu >> len);
    for (size_t i = 1; i < len; i++)
        code = code << 6 | ((unsigned char)at[i] & 0x3f);
    *ret_len = len;
    return code;
}

/* json.encoder.py_encode_basestring_ascii: all but printable ASCII is escaped, beyond the basic plane by
 * surrogates. */
static void put_text(struct buffer *out, const char *text)
{
    static const char plain[] = "\"\\\n\r\t\b\f", escaped[] = "\"\\nrtbf";
    buffer_putc(out, '"');
    for (size_t len; *text; text += len) {
        uint32_t code = char_at(text, &len);
        const char *special = code < 0x80 ? strchr(plain, (int)code) : NULL;
        if (special)
            buffer_printf(out, "\\%c", escaped[special - plain]);
        else if (code >= 0x20 && code < 0x7f)
            buffer_putc(out, (char)code);
        else if (code < 0x10000)
            buffer_printf(out, "\\u%04x", code);
        else
            buffer_printf(out, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10),
                          0xdc00 + ((code - 0x10000) & 0x3ff));
    }
    buffer_putc(out, '"');
}

/* float.__repr__: the shortest digits that read back as the same number; a fraction or an exponent always. */
static void put_real(struct buffer *out, double real)
{
    char text[40];
    int digits = 1;
    do
        snprintf(text, sizeof text, "%.*e", digits - 1, real);
    while (strtod(text, NULL) != real && ++digits <= 17);
    const char *mark = strchr(text, 'e');
    int64_t exponent = 0;
    bool known = mark && parse_i64(mark[1] == '+' ? mark + 2 : mark + 1, -400, 400, &exponent);
    if (known && (exponent < -4 || exponent >= 16)) {
        buffer_printf(out, "%.*se%+03d", (int)(mark - text), text, (int)exponent);
    } else {
        int behind = digits - 1 - (int)exponent;
        buffer_printf(out, "%.*f", behind > 1 ? behind : 1, real);
    }
}

static void put_value(struct buffer *out, const json_t *value);

static void put_object(struct buffer *out, const json_t *object)
{
    const char *key, *between = "";
    json_t *member;
    buffer_putc(out, '{');
    json_object_foreach((json_t *)(uintptr_t)object, key, member)
    {
        buffer_puts(out, between);
        put_text(out, key);
        buffer_puts(out, ": ");
        put_value(out, member);
        between = ", ";
    }
    buffer_putc(out, '}');
}

static void put_array(struct buffer *out, const json_t *array)
{
    buffer_putc(out, '[');
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i > 0)
            buffer_puts(out, ", ");
        put_value(out, json_array_get(array, i));
    }
    buffer_putc(out, ']');
}

/* Depth is bounded by json_read. */
static void put_value(struct buffer *out, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        put_object(out, value);
        break;
    case JSON_ARRAY:
        put_array(out, value);
        break;
    case JSON_STRING:
        put_text(out, json_string_value(value));
        break;
    case JSON_INTEGER:
        buffer_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        put_real(out, json_real_value(value));
        break;
    case JSON_TRUE:
        buffer_puts(out, "true");
        break;
    case JSON_FALSE:
        buffer_puts(out, "false");
        break;
    case JSON_NULL:
        buffer_puts(out, "null");
        break;
    }
}

char *event_plane_text(const json_t *value)
{
    struct buffer out = {.max = LIMIT_EVENT};
    put_value(&out, value);
    return buffer_take_whole(&out);
}

/* the event */

/* Puts the items of an expanded list into the order of `ids`. */
static void put_in_order(json_t *issue, const char *list, const json_t *ids)
{
    json_t *items = json_object_get(issue, list), *ordered = json_array();
    for (size_t i = 0; i < json_array_size(ids); i++)
        for (size_t k = 0; k < json_array_size(items); k++) {
            json_t *item = json_array_get(items, k);
            if (strcmp(json_get_text(item, "id", ""), json_string_value(json_array_get(ids, i))) == 0)
                json_push(ordered, json_incref(item));
        }
    if (json_array_size(ordered) == json_array_size(items))
        json_put(issue, list, ordered);
    else
        json_decref(ordered);
}

void event_plane_order(json_t *issue, const json_t *bare)
{
    put_in_order(issue, "labels", json_object_get(bare, "labels"));
    put_in_order(issue, "assignees", json_object_get(bare, "assignees"));
}

static void put_shared(json_t *object, const char *key, const json_t *value)
{
    json_put(object, key, value ? json_incref((json_t *)(uintptr_t)value) : json_null());
}

/* LabelLiteSerializer. */
static json_t *labels_of(const json_t *issue)
{
    const json_t *labels = json_object_get(issue, "labels");
    json_t *lite = json_array();
    for (size_t i = 0; i < json_array_size(labels); i++) {
        const json_t *label = json_array_get(labels, i);
        json_t *object = json_object();
        put_shared(object, "id", json_object_get(label, "id"));
        put_shared(object, "name", json_object_get(label, "name"));
        put_shared(object, "color", json_object_get(label, "color"));
        json_push(lite, object);
    }
    return lite;
}

/* REST prints times in the zone of the key's user, a webhook in UTC; what is expanded for the actor alone is
 * an id in a webhook. */
static void put_column(json_t *data, const char *key, const json_t *value)
{
    static const char *const times[] = {"created_at", "updated_at", "completed_at", "deleted_at"};
    int64_t us;
    if (strcmp(key, "created_by") == 0 && json_is_object(value))
        value = json_object_get(value, "id");
    for (size_t i = 0; i < ARRAY_LEN(times); i++)
        if (strcmp(key, times[i]) == 0 && json_is_string(value) &&
            instant_parse(json_string_value(value), &us)) {
            json_put(data, key, json_instant(us));
            return;
        }
    put_shared(data, key, value);
}

/* IssueExpandSerializer: what it declares first, then the model's columns in the order of REST, with the two
 * forms of the description that REST leaves out. */
static json_t *data_of(const json_t *issue)
{
    static const char *const not_columns[] = {"id", "labels", "assignees", "state", "type_id"};
    json_t *data = json_object(), *value;
    const char *key;
    put_shared(data, "id", json_object_get(issue, "id"));
    json_put(data, "labels", labels_of(issue));
    put_shared(data, "assignees", json_object_get(issue, "assignees"));
    put_shared(data, "state", json_object_get(issue, "state"));
    json_put(data, "description", json_object());
    json_object_foreach((json_t *)(uintptr_t)issue, key, value)
    {
        bool is_html = strcmp(key, "description_html") == 0, is_column = true;
        for (size_t i = 0; i < ARRAY_LEN(not_columns); i++)
            is_column &= strcmp(key, not_columns[i]) != 0;
        if (is_html)
            json_put(data, "description_json", json_object());
        if (is_column)
            put_column(data, key, value);
        if (is_html)
            json_put(data, "description_stripped", json_text(""));
    }
    return data;
}

static json_t *text_or_null(const char *text)
{
    return text && *text ? json_text(text) : json_null();
}

/* UserLiteSerializer, of a person of whom the id alone is known. */
static json_t *stranger(const json_t *id)
{
    json_t *actor = json_object();
    put_shared(actor, "id", id);
    json_put(actor, "first_name", json_text(""));
    json_put(actor, "last_name", json_text(""));
    json_put(actor, "email", json_null());
    json_put(actor, "avatar", json_text(""));
    json_put(actor, "avatar_url", json_null());
    json_put(actor, "display_name", json_text(""));
    return actor;
}

char *event_plane_issue(const json_t *issue, const struct event_plane_change *change)
{
    if (!json_get_text(issue, "id", NULL) || !json_is_object(json_object_get(issue, "state")))
        return NULL;
    json_auto_t *payload = json_object();
    json_t *activity = json_object();
    const json_t *actor = change ? change->actor : json_object_get(issue, "created_by");
    json_put(activity, "field", change ? json_text("state_id") : json_null());
    json_put(activity, "new_value", change ? text_or_null(change->new_state) : json_null());
    json_put(activity, "old_value", change ? text_or_null(change->old_state) : json_null());
    if (json_is_object(actor))
        put_shared(activity, "actor", actor);
    else
        json_put(activity, "actor", stranger(actor));
    json_put(activity, "old_identifier", json_null());
    json_put(activity, "new_identifier", json_null());
    json_put(payload, "event", json_text("issue"));
    json_put(payload, "action", json_text(change ? "updated" : "created"));
    json_put(payload, "webhook_id", json_text(uuid_from_name("plane webhook").s));
    put_shared(payload, "workspace_id", json_object_get(issue, "workspace"));
    json_put(payload, "data", data_of(issue));
    json_put(payload, "activity", activity);
    return event_plane_text(payload);
}
