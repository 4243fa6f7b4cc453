#include "clients/base/jsonx.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/text.h"

static bool is_deeper_than(const json_t *value, unsigned depth)
{
    if (!json_is_object(value) && !json_is_array(value))
        return false;
    if (depth == 0)
        return true;
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)(uintptr_t)value, key,
                        member) if (is_deeper_than(member, depth - 1)) return true;
    for (size_t i = 0; i < json_array_size(value); i++)
        if (is_deeper_than(json_array_get(value, i), depth - 1))
            return true;
    return false;
}

enum err json_read(const char *text, size_t len, json_t **ret, struct why *why)
{
    json_error_t error;
    json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (!value) { /* jansson quotes what it met, control characters and all */
        AUTO_FREE char *words = text_cut(error.text, sizeof error.text);
        return why_set(why, ERR_INVALID, "not JSON at line %d column %d: %s", error.line, error.column,
                       words);
    }
    if (is_deeper_than(value, LIMIT_JSON_DEPTH)) {
        json_decref(value);
        return why_set(why, ERR_INVALID, "JSON nested deeper than %u", LIMIT_JSON_DEPTH);
    }
    *ret = value;
    return ERR_OK;
}

/* Out of memory is the only way left in which jansson can fail here, see err.h. */
static json_t *made(json_t *value)
{
    if (!value)
        abort();
    return value;
}

json_t *json_text(const char *text)
{
    if (!text)
        return json_null();
    json_t *value = json_string(text);
    if (value)
        return value;
    char *mended = text_cut(text, strlen(text));
    value = made(json_string(mended));
    free(mended);
    return value;
}

void json_put(json_t *object, const char *key, json_t *value_take)
{
    assert(json_is_object(object) && value_take);
    if (json_object_set_new(object, key, value_take) != 0)
        abort();
}

void json_push(json_t *array, json_t *value_take)
{
    assert(json_is_array(array) && value_take);
    if (json_array_append_new(array, value_take) != 0)
        abort();
}

json_t *json_instant(int64_t us)
{
    if (us == 0)
        return json_null();
    char text[INSTANT_TEXT_SIZE];
    instant_format(us, text);
    return json_text(text);
}

/* Every decimal of this many digits survives the way through a double, so a time in milliseconds prints as it
 * was. */
enum { REAL_DIGITS = 15 };

char *json_line(const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(REAL_DIGITS));
    if (!text)
        abort();
    return text;
}

const char *json_get_text(const json_t *object, const char *key, const char *fallback)
{
    const json_t *member = json_object_get(object, key);
    return json_is_string(member) ? json_string_value(member) : fallback;
}

int64_t json_get_int(const json_t *object, const char *key, int64_t fallback)
{
    const json_t *member = json_object_get(object, key);
    return json_is_integer(member) ? json_integer_value(member) : fallback;
}

bool json_get_bool(const json_t *object, const char *key, bool fallback)
{
    const json_t *member = json_object_get(object, key);
    return json_is_boolean(member) ? json_is_true(member) : fallback;
}

const char *json_get_text_any(const json_t *object, const char *key, char *buffer, size_t size)
{
    const json_t *member = json_object_get(object, key);
    if (json_is_string(member))
        return json_string_value(member);
    if (!json_is_integer(member))
        return NULL;
    snprintf(buffer, size, "%" JSON_INTEGER_FORMAT, json_integer_value(member));
    return buffer;
}
