/* The problem documents: their type follows from the status. */
#include <jansson.h>

#include "clients/base/embedded.h"
#include "clients/base/err.h"
#include "clients/base/jsonx.h"
#include "handlers/handler.h"
#include "tests/support/test.h"

TEST(a_problem_has_the_type_of_its_status)
{
    static const struct {
        int status;
        const char *type;
    } cases[] = {
        {400, "invalid-body"},
        {401, "unauthorized"},
        {403, "forbidden"},
        {404, "not-found"},
        {405, "method-not-allowed"},
        {409, "conflict"},
        {412, "precondition-failed"},
        {413, "too-large"},
        {414, "too-large"},
        {415, "unsupported-media"},
        {422, "invalid-body"},
        {500, "internal"},
        {502, "upstream"},
        {503, "unavailable"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_FREE char *type = mem_printf("/problems/%s", cases[i].type);
        json_auto_t *problem = problem_document(cases[i].status, "words");
        assert_string_equal(json_get_text(problem, "type", NULL), type);
        assert_int_equal(json_get_int(problem, "status", 0), cases[i].status);
        assert_string_equal(json_get_text(problem, "detail", NULL), "words");
        assert_non_null(json_get_text(problem, "title", NULL));
    }
}

/* The types are fixed: clients compare them. */
TEST(openapi_lists_the_types_that_there_are)
{
    static const char *const types[] = {
        "not-found",   "ambiguous",    "invalid-parameter",   "invalid-body",
        "conflict",    "switched-off", "precondition-failed", "unauthorized",
        "forbidden",   "too-large",    "unsupported-media",   "method-not-allowed",
        "odd-request", "upstream",     "unavailable",         "internal"};
    json_t *schema = json_loadb(embedded_openapi_json, embedded_openapi_json_len, 0, NULL);
    static const char *const path[] = {"components", "schemas", "Problem", "properties", "type", "enum"};
    json_t *listed = schema;
    for (size_t i = 0; i < ARRAY_LEN(path); i++)
        listed = json_object_get(listed, path[i]);
    assert_int_equal(json_array_size(listed), ARRAY_LEN(types));
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        AUTO_FREE char *type = mem_printf("/problems/%s", types[i]);
        assert_string_equal(json_string_value(json_array_get(listed, i)), type);
    }
    json_decref(schema);
}
