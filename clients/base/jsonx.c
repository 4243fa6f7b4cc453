#include "clients/base/jsonx.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/text.h"

/* what a text costs */

/* What jansson and malloc take for each, on a 64-bit machine: an object with its first buckets; an array with
 * its first slots and one number; a further slot while the slots double, and a number; a name's place in its
 * object and a number; a string beside its bytes. */
enum { COST_OBJECT = 240, COST_ARRAY = 160, COST_ITEM = 64, COST_MEMBER = 96, COST_STRING = 96 };

/* The index of the quotation mark that ends the string which begins before `at`; `len` when there is none. */
static size_t string_end(const char *text, size_t at, size_t len)
{
    while (at < len && text[at] != '"')
        at += text[at] == '\\' ? 2 : 1;
    return at < len ? at : len;
}

size_t json_cost(const char *text, size_t len, unsigned *ret_depth)
{
    uint64_t objects =
        0; /* a bit for each level, set in an object, where the colons count and the commas do not */
    unsigned depth = 0, deepest = 0;
    size_t cost = len, longest = 0;
    static_assert(LIMIT_JSON_DEPTH < 64, "a bit for each level");
    for (size_t at = 0; at < len && deepest <= LIMIT_JSON_DEPTH; at++) {
        char c = text[at];
        if (c == '"') {
            size_t end = string_end(text, at + 1, len);
            longest = end - at > longest ? end - at : longest;
            cost += COST_STRING;
            at = end;
        } else if (c == '{' || c == '[') {
            depth++;
            deepest = depth > deepest ? depth : deepest;
            objects = objects << 1 | (c == '{');
            cost += c == '{' ? COST_OBJECT : COST_ARRAY;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
            objects >>= 1;
        } else if (c == ',') {
            cost += objects & 1 ? 0 : COST_ITEM;
        } else if (c == ':') {
            cost += COST_MEMBER;
        }
    }
    *ret_depth = deepest;
    return cost + 3 * longest; /* jansson's buffer for the string that it reads doubles, and stays */
}

enum err json_read_within(const char *text, size_t len, size_t most, json_t **ret, struct why *why)
{
    json_error_t error;
    unsigned depth;
    size_t cost = json_cost(text, len, &depth);
    if (depth > LIMIT_JSON_DEPTH)
        return why_set(why, ERR_INVALID, "JSON nested deeper than %u", LIMIT_JSON_DEPTH);
    if (cost > most)
        return why_set(why, ERR_INVALID, "JSON of so many values that it would take more than %zu KiB",
                       most / 1024);
    json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (!value) { /* jansson quotes what it met, control characters and all */
        AUTO_FREE char *reason = text_cut(error.text, sizeof error.text);
        return why_set(why, ERR_INVALID, "not JSON at line %d column %d: %s", error.line, error.column,
                       reason);
    }
    *ret = value;
    return ERR_OK;
}

enum err json_read(const char *text, size_t len, json_t **ret, struct why *why)
{
    return json_read_within(text, len, LIMIT_JSON_TREE, ret, why);
}

/* The integer that a number is, or NULL. */
static json_t *integer_of(const json_t *value)
{
    double number = json_real_value(value);
    bool fits = json_is_real(value) && number >= -0x1p63 && number < 0x1p63;
    return fits && number == (double)(json_int_t)number ? json_integer((json_int_t)number) : NULL;
}

/* Depth is bounded by json_read. */
void json_integers(json_t *value)
{
    const char *name;
    json_t *member, *integer;
    size_t i;
    json_object_foreach(value, name, member)
    {
        json_integers(member);
        if ((integer = integer_of(member)))
            json_put(value, name, integer);
    }
    json_array_foreach(value, i, member)
    {
        json_integers(member);
        if ((integer = integer_of(member)) && json_array_set_new(value, i, integer) != 0)
            abort();
    }
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

/* A decimal of so many digits does not change when it is read as a double, so a time in milliseconds is
 * printed as it was. */
enum { REAL_DIGITS = 15 };

static char *json_dumped(const json_t *value, size_t flags)
{
    char *text = json_dumps(value, flags | JSON_ENCODE_ANY | JSON_REAL_PRECISION(REAL_DIGITS));
    if (!text)
        abort();
    return text;
}

char *json_line(const json_t *value)
{
    return json_dumped(value, JSON_COMPACT);
}

void problem_add(json_t *errors, const char *field, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    AUTO_FREE char *detail = NULL;
    if (vasprintf(&detail, fmt, args) < 0)
        detail = mem_dup("is not acceptable");
    va_end(args);
    json_t *error = json_object();
    json_put(error, "field", json_text(field));
    json_put(error, "detail", json_text(detail));
    json_push(errors, error);
}

/* The text with hidden characters escaped, which jansson does not do; the line ends of the layout stay. */
static char *hidden_escaped(const char *text)
{
    char escaped[TEXT_ESCAPE_SIZE];
    size_t left = strlen(text);
    struct buffer shown = {.max = left * TEXT_ESCAPE_SIZE};
    while (left > 0) {
        size_t hidden = *text == '\n' ? 0 : text_hidden_len(text, left), len = hidden ? hidden : 1;
        if (hidden)
            text_escape(text, hidden, escaped);
        buffer_put(&shown, hidden ? escaped : text, hidden ? strlen(escaped) : 1);
        text += len;
        left -= len;
    }
    return buffer_take(&shown);
}

static bool has_hidden(const char *text)
{
    for (size_t left = strlen(text); left > 0; text++, left--)
        if (((unsigned char)*text > 0x7e) && text_hidden_len(text, left) > 0)
            return true;
    return false;
}

char *json_shown(const json_t *value, size_t indent)
{
    char *text = json_dumped(value, indent ? JSON_INDENT(indent) : JSON_COMPACT);
    secret_scrub(text, strlen(text));
    if (!has_hidden(text))
        return text;
    char *shown = hidden_escaped(text);
    free(text);
    return shown;
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
