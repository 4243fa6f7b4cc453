/* README.md and the OpenAPI description agree with the table of settings.
 *
 * README has one row a variable, cells separated by '|':  | `NAME` | `default` | `member` | meaning |
 * where a default or a member that does not exist is an empty cell.
 */
#include "clients/base/embedded.h"
#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "reconcile/settings/settings_table.h"
#include "tests/support/test.h"

#define README_SIZE ((size_t)1 << 20)

/* The two documents, for all tests. */
static char *readme;
static json_t *openapi;

static int documents_read(void **state)
{
    (void)state;
    readme = mem_zero(README_SIZE, 1);
    FILE *file = fopen("README.md", "re");
    if (!file)
        return -1;
    size_t len = fread(readme, 1, README_SIZE, file);
    fclose(file);
    enum err err = json_read(embedded_openapi_json, embedded_openapi_json_len, &openapi, NULL);
    return len > 0 && len < README_SIZE && err == ERR_OK ? 0 : -1;
}

static int documents_done(void **state)
{
    (void)state;
    free(readme);
    json_decref(openapi);
    return 0;
}

/* README */

static char *cell(const char *text)
{
    return text ? mem_printf(" `%s` ", text) : mem_dup(" ");
}

/* The beginning of the row that README must have for a setting. */
static char *row_of(const struct setting *row)
{
    AUTO_FREE char *fallback = cell(row->fallback);
    AUTO_FREE char *member = cell(row->member);
    return mem_printf("\n| `%s` |%s|%s|", row->name, fallback, member);
}

TEST(readme_lists_every_setting_with_its_default_and_its_member)
{
    size_t missing = 0;
    for (const struct setting *row = settings_table(); row->name; row++) {
        AUTO_FREE char *expected = row_of(row);
        if (strstr(readme, expected))
            continue;
        print_error("README.md lacks this row:%s\n", expected);
        missing++;
    }
    assert_int_equal(missing, 0);
}

TEST(readme_lists_no_setting_that_there_is_not)
{
    static const char start[] = "\n| `ORCH_";
    for (const char *at = readme; (at = strstr(at, start)); at++) {
        const char *name = at + sizeof start - sizeof "ORCH_";
        AUTO_FREE char *copy = mem_dupn(name, strcspn(name, "`"));
        if (!setting_of_name(copy))
            fail_msg("README.md lists %s", copy);
    }
}

/* OpenAPI */

/* Follows {"$ref":"#/a/b"} within the document. */
static json_t *resolved(json_t *schema)
{
    const char *reference = json_get_text(schema, "$ref", NULL);
    if (!reference)
        return schema;
    json_t *at = openapi;
    for (const char *step = reference + 1; *step == '/';) {
        size_t len = strcspn(++step, "/");
        AUTO_FREE char *key = mem_dupn(step, len);
        at = json_object_get(at, key);
        step += len;
    }
    return at;
}

/* The members that the body of PUT /reconcile/config may have. */
static json_t *put_properties(void)
{
    json_t *at = json_object_get(openapi, "paths");
    static const char *const way[] = {"/reconcile/config", "put",   "requestBody", "content",
                                      "application/json",  "schema"};
    for (size_t i = 0; i < ARRAY_LEN(way); i++)
        at = resolved(json_object_get(at, way[i]));
    return json_object_get(at, "properties");
}

/* A type may be given alone or beside "null". */
static bool has_type(const json_t *property, const char *type)
{
    const json_t *types = json_object_get(property, "type");
    for (size_t i = 0; i < json_array_size(types); i++)
        if (strcmp(json_string_value(json_array_get(types, i)), type) == 0)
            return true;
    return json_is_string(types) && strcmp(json_string_value(types), type) == 0;
}

static void assert_enum(const struct setting *row, const json_t *property)
{
    const json_t *choices = json_object_get(property, "enum");
    size_t n = 0, texts = 0;
    while (row->choices[n])
        n++;
    for (size_t i = 0; i < json_array_size(choices); i++) {
        const json_t *word = json_array_get(choices, i);
        if (!json_is_string(word)) /* null drops the override */
            continue;
        json_auto_t *errors = json_array();
        assert_true(setting_check(row, row->member, word, errors));
        texts++;
    }
    assert_int_equal(texts, n);
}

static void assert_described(const struct setting *row, json_t *property)
{
    static const char *const types[SETTING_TYPE_MAX_] = {[SETTING_BOOL] = "boolean",
                                                         [SETTING_INT] = "integer",
                                                         [SETTING_ENUM] = "string",
                                                         [SETTING_GRACES] = "object"};
    assert_non_null(types[row->type]);
    if (!has_type(property, types[row->type]))
        fail_msg("%s is no %s in openapi.yaml", row->member, types[row->type]);
    json_t *limited = property;
    if (row->type == SETTING_GRACES)
        limited = resolved(json_object_get(property, "additionalProperties"));
    if (row->type == SETTING_INT || row->type == SETTING_GRACES) {
        assert_int_equal(json_get_int(limited, "minimum", -1), row->min);
        assert_int_equal(json_get_int(limited, "maximum", -1), row->max);
    }
    if (row->type == SETTING_ENUM)
        assert_enum(row, property);
}

TEST(openapi_describes_every_run_time_member_and_no_other)
{
    json_t *properties = put_properties();
    assert_non_null(properties);
    for (const struct setting *row = settings_table(); row->name; row++) {
        if (!row->member)
            continue;
        json_t *property = resolved(json_object_get(properties, row->member));
        if (!property)
            fail_msg("openapi.yaml lacks %s", row->member);
        assert_described(row, property);
    }
    const char *name;
    json_t *property;
    json_object_foreach(properties, name, property)
    {
        bool remark = strcmp(name, "reason") == 0 || strcmp(name, "by") == 0 || strcmp(name, "until") == 0;
        if (!remark && !setting_of_member(name))
            fail_msg("openapi.yaml has %s", name);
        if (strcmp(name, "reason") == 0 || strcmp(name, "by") == 0)
            assert_int_equal(json_get_int(resolved(property), "maxLength", 0), LIMIT_REMARK);
    }
}

TEST_GROUP(documents_read, documents_done)
