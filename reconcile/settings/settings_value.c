/* settings_value.c - one value: reads it from a text, checks it, and moves it between JSON and its field. */
#include "reconcile/settings/settings_table.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "reconcile/pipeline/settings_text.h"
#include "reconcile/settings/message_template.h"

static bool is_json_typed(enum setting_type type)
{
    return type == SETTING_GRACES || type == SETTING_PROJECTS || type == SETTING_STATES;
}

static json_t *json_from_text(const struct setting *row, const char *text, json_t *errors)
{
    json_t *value = NULL;
    struct why why;
    if (json_read(text, strlen(text), &value, &why) == ERR_OK) {
        json_integers(value);
        return value;
    }
    AUTO_FREE char *line = text_cut(why.text, sizeof why.text);
    problem_add(errors, row->name, "%s", line);
    return NULL;
}

/* Types no value of which is in quotes. */
static bool has_no_quotes(enum setting_type type)
{
    return type != SETTING_TEXT && type != SETTING_TOKEN && type != SETTING_TEMPLATE;
}

json_t *setting_from_text(const struct setting *row, const char *text, json_t *errors)
{
    size_t len = strlen(text);
    bool flag;
    int64_t number;
    if (len > (is_json_typed(row->type) ? LIMIT_SETTING_FILE : LIMIT_SETTING_TEXT)) {
        problem_add(errors, row->name, "is too long");
        return NULL;
    }
    if (utf8_valid_len(text, len) != len) {
        problem_add(errors, row->name, "is not UTF-8 text");
        return NULL;
    }
    if (has_no_quotes(row->type) && text_is_quoted(text)) {
        problem_add(errors, row->name, "is in quotes, which are taken as a part of it; leave them out");
        return NULL;
    }
    if (is_json_typed(row->type))
        return json_from_text(row, text, errors);
    if (row->type == SETTING_BOOL && parse_bool(text, &flag))
        return json_boolean(flag);
    if (row->type == SETTING_INT && parse_i64(text, row->min, row->max, &number))
        return json_integer(number);
    return json_text(text);
}

/* checks */

static bool is_within(const struct setting *row, const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) >= row->min &&
           json_integer_value(value) <= row->max;
}

static int word_index(const struct setting *row, const char *word)
{
    for (int i = 0; row->choices[i]; i++)
        if (strcmp(row->choices[i], word) == 0)
            return i;
    return -1;
}

static void check_word(const struct setting *row, const char *field, const json_t *value, json_t *errors)
{
    if (json_is_string(value) && word_index(row, json_string_value(value)) >= 0)
        return;
    AUTO_FREE char *choices = text_list(row->choices);
    problem_add(errors, field, "must be one of %s", choices);
}

static void check_graces(const struct setting *row, const char *field, const json_t *value, json_t *errors)
{
    if (!json_is_object(value) || json_object_size(value) > LIMIT_STAGES) {
        problem_add(errors, field, "must be an object of stages and seconds, at most %u", LIMIT_STAGES);
        return;
    }
    const char *stage;
    json_t *seconds;
    json_object_foreach((json_t *)(uintptr_t)value, stage, seconds)
    {
        if (is_within(row, seconds))
            continue;
        AUTO_FREE char *name = text_cut(stage, 64);
        AUTO_FREE char *path = mem_printf("%s.%s", field, name);
        problem_add(errors, path, "must be a whole number from %lld to %lld", (long long)row->min,
                    (long long)row->max);
    }
}

static bool is_visible_ascii(const char *text)
{
    for (; *text; text++)
        if (*text <= 0x20 || *text >= 0x7f)
            return false;
    return true;
}

/* A path as it is sent in a request: no query, no fragment, no character that must be escaped. */
static bool is_path(const char *text)
{
    return *text == '/' && is_visible_ascii(text) && !strpbrk(text, "?#\"<>\\^`{|}") &&
           !strstr(text, "/../") && !strstr(text, "/./");
}

static const char *database_problem(const char *url)
{
    static const char sqlite[] = "sqlite:";
    if (strncmp(url, "postgresql://", 13) == 0 || strncmp(url, "postgres://", 11) == 0)
        return NULL;
    if (strncmp(url, sqlite, strlen(sqlite)) != 0 || !url[strlen(sqlite)])
        return "must be postgresql://… or sqlite:PATH";
    /* SQLAlchemy's, whose third slash is no part of the path: sqlite:///x.db is not /x.db there. */
    if (strncmp(url + strlen(sqlite), "//", 2) == 0)
        return "has slashes before the path: write sqlite:x.db for a relative path, sqlite:/folder/x.db for "
               "an "
               "absolute one";
    return NULL;
}

/* What is wrong with a text of one of the text types, or NULL. Names no part of it: it may be a secret. */
static const char *text_problem(enum setting_type type, const char *text)
{
    struct listen_address address;
    if (text_has_control(text))
        return "has a line break or another control character in it";
    switch (type) {
    case SETTING_TOKEN:
        return is_visible_ascii(text) ? NULL : "must be visible ASCII characters without spaces";
    case SETTING_URL:
        return url_problem(text, false);
    case SETTING_WEBHOOK_URL:
        return strpbrk(text, "{}") ? "has a character that must be percent-encoded" : url_problem(text, true);
    case SETTING_PATH:
        return is_path(text) ? NULL : "must be a path like /webhook, without a query";
    case SETTING_DATABASE:
        return database_problem(text);
    case SETTING_TEMPLATE:
        return message_template_problem(text);
    case SETTING_LISTEN:
        return listen_address_parse(text, &address) ? NULL
                                                    : "must be HOST:PORT or [V6]:PORT, port 0 to 65535";
    default:
        return NULL;
    }
}

static void check_text(const struct setting *row, const char *field, const json_t *value, json_t *errors)
{
    const char *problem = "must be text";
    if (json_is_string(value))
        problem = text_problem(row->type, json_string_value(value));
    if (problem)
        problem_add(errors, field, "%s", problem);
}

bool setting_check(const struct setting *row, const char *field, const json_t *value, json_t *errors)
{
    size_t before = json_array_size(errors);
    switch (row->type) {
    case SETTING_BOOL:
        if (!json_is_boolean(value))
            problem_add(errors, field, "must be true or false");
        break;
    case SETTING_INT:
        if (!is_within(row, value))
            problem_add(errors, field, "must be a whole number from %lld to %lld", (long long)row->min,
                        (long long)row->max);
        break;
    case SETTING_ENUM:
        check_word(row, field, value, errors);
        break;
    case SETTING_GRACES:
        check_graces(row, field, value, errors);
        break;
    case SETTING_PROJECTS:
        projects_check(field, value, errors);
        break;
    case SETTING_STATES:
        states_check(field, value, errors);
        break;
    default:
        check_text(row, field, value, errors);
        break;
    }
    return json_array_size(errors) == before;
}

static bool is_named(const char *const *names, const char *name)
{
    for (; *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

void graces_check_stages(const char *field, const json_t *graces, const char *const *stages, json_t *errors)
{
    const char *stage;
    json_t *seconds;
    json_object_foreach((json_t *)(uintptr_t)graces, stage, seconds)
    {
        if (is_named(stages, stage))
            continue;
        AUTO_FREE char *name = text_cut(stage, 64);
        AUTO_FREE char *path = mem_printf("%s.%s", field, name);
        problem_add(errors, path, "is no stage of the pipeline");
    }
}

/* fields */

static void *field_of(const struct setting *row, const struct settings *settings)
{
    return (char *)(uintptr_t)settings + row->offset;
}

static char *url_trimmed(const char *url)
{
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/')
        len--;
    return mem_dupn(url, len);
}

void setting_store(const struct setting *row, const json_t *value, struct settings *settings)
{
    void *field = field_of(row, settings);
    setting_clear(row, settings);
    switch (row->type) {
    case SETTING_BOOL:
        *(bool *)field = json_is_true(value);
        break;
    case SETTING_INT:
        *(int64_t *)field = json_integer_value(value);
        break;
    case SETTING_ENUM:
        *(int *)field = word_index(row, json_string_value(value));
        break;
    case SETTING_URL:
        *(char **)field = url_trimmed(json_string_value(value));
        break;
    case SETTING_STATES:
        *(json_t **)field = states_complete(value);
        break;
    case SETTING_GRACES:
    case SETTING_PROJECTS:
        *(json_t **)field = json_incref((json_t *)(uintptr_t)value);
        break;
    default:
        *(char **)field = mem_dup(json_string_value(value));
        break;
    }
}

json_t *setting_value(const struct setting *row, const struct settings *settings)
{
    const void *field = field_of(row, settings);
    switch (row->type) {
    case SETTING_BOOL:
        return json_boolean(*(const bool *)field);
    case SETTING_INT: /* without a default, one that is not set is 0, and 0 is no value of it */
        return row->fallback || *(const int64_t *)field >= row->min ? json_integer(*(const int64_t *)field)
                                                                    : json_null();
    case SETTING_ENUM:
        return json_text(row->choices[*(const int *)field]);
    case SETTING_GRACES:
    case SETTING_PROJECTS:
    case SETTING_STATES: {
        /* A copy: listener threads and the sweeper share the settings, and json_incref does not read the
         * count atomically. */
        const json_t *value = *(json_t *const *)field;
        return value ? json_deep_copy(value) : json_null();
    }
    default:
        return json_text(*(const char *const *)field);
    }
}

void setting_clear(const struct setting *row, struct settings *settings)
{
    void *field = field_of(row, settings);
    switch (row->type) {
    case SETTING_BOOL:
    case SETTING_INT:
    case SETTING_ENUM:
        break;
    case SETTING_GRACES:
    case SETTING_PROJECTS:
    case SETTING_STATES:
        json_decref(*(json_t **)field);
        *(json_t **)field = NULL;
        break;
    default:
        free(*(char **)field);
        *(char **)field = NULL;
        break;
    }
}
