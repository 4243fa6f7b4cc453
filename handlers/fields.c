#include "handlers/fields.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "handlers/handler.h"

static void error_add(json_t *errors, const char *field, const char *fmt, ...) ATTR_PRINTF(3, 4);
static void error_add(json_t *errors, const char *field, const char *fmt, ...)
{
    char detail[256];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(detail, sizeof detail, fmt, args);
    va_end(args);
    json_t *error = json_object();
    json_put(error, "field", json_text(field));
    json_put(error, "detail", json_text(detail));
    json_push(errors, error);
}

static void read_word(const struct field *field, const json_t *value, json_t *errors)
{
    char words[200] = "";
    for (int i = 0; field->words[i]; i++) {
        if (json_is_string(value) && strcmp(json_string_value(value), field->words[i]) == 0) {
            *(int *)field->dest = i;
            return;
        }
        size_t len = strlen(words);
        snprintf(words + len, sizeof words - len, "%s%s", len ? ", " : "", field->words[i]);
    }
    error_add(errors, field->name, "must be one of %s", words);
}

static void read_field(const struct field *field, const json_t *value, json_t *errors)
{
    if (field->nullable && json_is_null(value))
        return;
    switch (field->kind) {
    case FIELD_BOOL:
        if (json_is_boolean(value))
            *(bool *)field->dest = json_is_true(value);
        else
            error_add(errors, field->name, "must be true or false");
        break;
    case FIELD_INT:
        if (json_is_integer(value) && json_integer_value(value) >= field->min &&
            json_integer_value(value) <= field->max)
            *(int64_t *)field->dest = json_integer_value(value);
        else
            error_add(errors, field->name, "must be an integer from %lld to %lld%s", (long long)field->min,
                      (long long)field->max, field->nullable ? ", or null" : "");
        break;
    case FIELD_WORD:
        read_word(field, value, errors);
        break;
    }
}

static const struct field *field_named(const struct field *fields, const char *name)
{
    while (fields->name && strcmp(fields->name, name) != 0)
        fields++;
    return fields->name ? fields : NULL;
}

bool fields_read(const json_t *body, const struct field *fields, json_t **ret_errors)
{
    json_t *errors = json_array(), *value;
    const char *name;
    json_object_foreach((json_t *)(uintptr_t)body, name, value)
    {
        const struct field *field = field_named(fields, name);
        if (field)
            read_field(field, value, errors);
        else
            error_add(errors, name, "is not known");
    }
    if (json_array_size(errors) == 0) {
        json_decref(errors);
        return true;
    }
    *ret_errors = errors;
    return false;
}

bool page_read(struct request *request, struct page *ret)
{
    const char *limit_text = request_query(request, "limit"), *after_text = request_query(request, "after");
    int64_t limit = LIMIT_LIST_DEFAULT;
    json_t *errors = json_array();
    ret->after = 0;
    if (limit_text && !parse_i64(limit_text, 1, LIMIT_LIST_MAX, &limit))
        error_add(errors, "limit", "must be an integer from 1 to %u", LIMIT_LIST_MAX);
    if (after_text && !parse_i64(after_text, 1, INT64_MAX, &ret->after))
        error_add(errors, "after", "must be the \"next\" of an earlier answer");
    ret->limit = (size_t)limit;
    if (json_array_size(errors) > 0) {
        answer_fields(request, 400, "a query parameter makes no sense", errors);
        return false;
    }
    json_decref(errors);
    return true;
}
