/* Finding a request's place in a table of routes, from the bytes of its target. */
#include "server/http/routes.h"
#include "tests/support/test.h"

static void nothing(struct request *request)
{
    (void)request;
}

static const struct route routes[] = {
    {"GET", "/things", nothing, 0, NULL},        {"PUT", "/things", nothing, ROUTE_BODY, NULL},
    {"GET", "/things/{id}", nothing, 0, NULL},   {"POST", "/things/{id}/parts", nothing, 0, NULL},
    {"GET", "/well", nothing, ROUTE_OPEN, NULL}, {NULL, NULL, NULL, 0, NULL},
};

static struct route_match find(const char *method, const char *target)
{
    struct route_match match;
    route_find(routes, method, target, &match);
    return match;
}

TEST(a_path_and_its_method_find_their_route)
{
    assert_ptr_equal(find("GET", "/things").route, &routes[0]);
    assert_ptr_equal(find("GET", "/things?limit=3").route, &routes[0]);
    assert_ptr_equal(find("HEAD", "/things").route, &routes[0]);
    assert_ptr_equal(find("PUT", "/things").route, &routes[1]);
    struct route_match match = find("GET", "/things/a-B_9.x?y=/z");
    assert_ptr_equal(match.route, &routes[2]);
    assert_string_equal(match.param, "a-B_9.x");
    match = find("POST", "/things/7/parts");
    assert_ptr_equal(match.route, &routes[3]);
    assert_string_equal(match.param, "7");
    assert_true(find("GET", "/well").open);
    assert_false(find("GET", "/things").open);
}

TEST(a_wrong_method_is_told_which_ones_there_are)
{
    static const char *const wrong[] = {"POST", "get", "DELETE", "", "GETX", "OPTIONS", "TRACE"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct route_match match = find(wrong[i], "/things");
        assert_true(match.path_known);
        assert_null(match.route);
        assert_string_equal(match.allow, "GET, HEAD, PUT");
    }
    assert_string_equal(find("HEAD", "/things/7/parts").allow, "POST");
    assert_null(find("HEAD", "/things/7/parts").route);
}

TEST(paths_that_only_look_alike_find_nothing)
{
    char long_id[2 * ROUTE_PARAM_MAX + 16] = "/things/";
    memset(long_id + 8, 'a', ROUTE_PARAM_MAX);
    assert_true(find("GET", long_id).path_known);
    memset(long_id + 8, 'a', ROUTE_PARAM_MAX + 1);
    assert_false(find("GET", long_id).path_known);
    static const char *const strange[] = {"",
                                          "/",
                                          "*",
                                          "things",
                                          "/things/",
                                          "//things",
                                          "/things//",
                                          "/things/.",
                                          "/things/..",
                                          "/things/a/b",
                                          "/things/../things",
                                          "/thing%73",
                                          "/things%00",
                                          "/Things",
                                          "/things/a b",
                                          "/things#x",
                                          "/things;x",
                                          "/./things",
                                          "http://h/things",
                                          "/things/7/parts/",
                                          "/things//parts",
                                          "/things/parts",
                                          "/things/{id}",
                                          "/things/\xc3\xa9",
                                          "/things/%",
                                          "/things/%4",
                                          "/things/%4/parts",
                                          "/things/a%zz",
                                          "/things/%2e",
                                          "/things/.%2E",
                                          "/things/%c3",
                                          "/things/%ff%fe",
                                          "/things%2F7",
                                          "/things/7%2Fparts/",
                                          "/things/\"7\"",
                                          "/well\t"};
    for (size_t i = 0; i < ARRAY_LEN(strange); i++) {
        if (strcmp(strange[i], "/things/parts") == 0)
            continue; /* an id like any other */
        assert_false(find("GET", strange[i]).path_known);
    }
    assert_string_equal(find("GET", "/things/parts").param, "parts");
}

TEST(a_variable_segment_is_decoded_once)
{
    static const struct {
        const char *target, *param;
    } cases[] = {{"/things/a%2Fb", "a/b"},     {"/things/%237", "#7"},
                 {"/things/a%20b", "a b"},     {"/things/%252F", "%2F"},
                 {"/things/a+b", "a+b"},       {"/things/%c3%84-1", "\xc3\x84-1"},
                 {"/things/a%3fb?c=d", "a?b"}, {"/things/a:b@c;d=e", "a:b@c;d=e"},
                 {"/things/%2e%2e%2f", "../"}, {"/things/7%2Fparts", "7/parts"},
                 {"/things/...", "..."}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct route_match match = find("GET", cases[i].target);
        assert_ptr_equal(match.route, &routes[2]);
        assert_string_equal(match.param, cases[i].param);
    }
    struct route_match match = find("POST", "/things/%2Fparts/parts");
    assert_ptr_equal(match.route, &routes[3]);
    assert_string_equal(match.param, "/parts");
    char long_id[3 * ROUTE_PARAM_MAX + 16] = "/things/";
    for (size_t i = 0; i < ROUTE_PARAM_MAX; i++)
        memcpy(long_id + 8 + 3 * i, "%41", 4);
    assert_int_equal(strlen(find("GET", long_id).param), ROUTE_PARAM_MAX);
    memcpy(long_id + 8 + 3 * ROUTE_PARAM_MAX, "A", 2);
    assert_false(find("GET", long_id).path_known);
    assert_true(find("GET", "/things/%00").path_known); /* which the request is refused for */
}

TEST(the_table_is_sorted_unique_and_complete)
{
    const struct route *table = routes_table();
    size_t n = 0;
    for (; table[n].path; n++) {
        assert_non_null(table[n].handler);
        assert_int_equal(table[n].path[0], '/');
        if (n == 0)
            continue;
        int order = strcmp(table[n - 1].path, table[n].path);
        assert_true(order < 0 || (order == 0 && strcmp(table[n - 1].method, table[n].method) < 0));
    }
    assert_true(n >= 9);
    for (size_t i = 0; i < n; i++) {
        bool takes_body = strcmp(table[i].method, "PUT") == 0 || strcmp(table[i].method, "POST") == 0;
        assert_int_equal((table[i].flags & ROUTE_BODY) != 0, takes_body);
        assert_int_equal((table[i].flags & ROUTE_OPEN) != 0,
                         strcmp(table[i].path, "/healthz") == 0 || strcmp(table[i].path, "/readyz") == 0);
    }
}
