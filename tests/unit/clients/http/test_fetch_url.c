/* URLs: built, shown, compared. */
#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/http/fetch.h"
#include "clients/http/fetch_engine.h"
#include "tests/support/test.h"

static void expect_url(const char *base, const char *const *segments, const char *const *query,
                       const char *expected)
{
    AUTO_FREE char *url = fetch_url(base, segments, query);
    if (expected)
        assert_string_equal(url, expected);
    else
        assert_null(url);
}

TEST(every_segment_and_value_is_encoded_whole)
{
    const char *const segments[] = {"repos", "feature/a b", "ü?#%", "a..b", NULL};
    const char *const query[] = {"ref", "a/b&c=d", "page", "2", NULL};
    expect_url("https://git.example", segments, query,
               "https://git.example/repos/feature%2Fa%20b/%C3%BC%3F%23%25/a..b?ref=a%2Fb%26c%3Dd&page=2");
}

TEST(a_base_keeps_its_path_and_loses_its_query)
{
    const char *const segments[] = {"api", "v1", NULL};
    expect_url("http://h:3000", segments, NULL, "http://h:3000/api/v1");
    expect_url("http://h:3000/", segments, NULL, "http://h:3000/api/v1");
    expect_url("http://h/git%20hub//", segments, NULL, "http://h/git%20hub/api/v1");
    expect_url("http://h/x?token=1#y", segments, NULL, "http://h/x/api/v1");
    expect_url("http://[::1]:3000/x", NULL, NULL, "http://[::1]:3000/x");
    expect_url("http://h", NULL, NULL, "http://h/");
}

TEST(what_is_no_http_url_is_refused)
{
    static const char *const bad[] = {"",        "git.example", "ftp://h/", "file:///etc",
                                      "http://", "http://a b/", "//h"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect_url(bad[i], NULL, NULL, NULL);
}

TEST(a_segment_of_dots_is_refused)
{
    const char *const up[] = {"contents", "..", "x", NULL}, *const here[] = {".", NULL},
                      *const more[] = {"...", NULL};
    expect_url("http://h", up, NULL, NULL);
    expect_url("http://h", here, NULL, NULL);
    expect_url("http://h", more, NULL, "http://h/...");
}

TEST(what_a_person_sees_holds_no_secret)
{
    static const char *const cases[][2] = {
        {"http://ann:secret@h/gate/7?key=secret#x", "http://h/gate/7?..."},
        {"https://h/gate", "https://h/gate"},
        {"nonsense secret", "(not a URL)"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_FREE char *shown = fetch_url_shown(cases[i][0]);
        assert_string_equal(shown, cases[i][1]);
    }
    assert_true(fetch_url_has_user("http://ann@h/"));
    assert_true(fetch_url_has_user("http://ann:pw@h/"));
    assert_false(fetch_url_has_user("http://h/@x"));
    assert_false(fetch_url_has_user("nonsense"));
}

TEST(an_origin_is_scheme_host_and_port)
{
    static const char *const cases[][2] = {
        {"HTTP://Git.Example/x", "http://git.example:80"},
        {"https://u:p@git.example/x?y", "https://git.example:443"},
        {"http://git.example:3000", "http://git.example:3000"},
        {"http://[::1]/", "http://[::1]:80"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_FREE char *origin = fetch_origin(cases[i][0]);
        assert_string_equal(origin, cases[i][1]);
    }
    assert_null(fetch_origin("mailto:x@y"));
}

TEST(a_place_is_host_and_path)
{
    static const struct {
        const char *a, *b;
        enum fetch_url_part difference;
    } cases[] = {
        {"https://ci.example/hook", "https://ci.example/hook", FETCH_URL_SAME},
        {"https://CI.example/hook/", "http://ci.example/hook?secret#x", FETCH_URL_SAME},
        {"https://u:p@ci.example:8443/hook", "https://ci.example/hook", FETCH_URL_SAME},
        {"https://ci.example:8443/hook", "https://ci.example:9443/hook", FETCH_URL_PORT},
        {"https://ci.example", "https://ci.example/", FETCH_URL_SAME},
        {"https://ci.example/hook", "https://ci.example/hooks", FETCH_URL_PATH},
        {"https://ci.example/hook", "https://ci.example/Hook", FETCH_URL_PATH},
        {"https://ci.example/hook", "https://ci.example.org/hook", FETCH_URL_HOST},
        {"nonsense", "nonsense", FETCH_URL_HOST},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(fetch_url_difference(cases[i].a, cases[i].b), cases[i].difference);
        assert_int_equal(fetch_url_difference(cases[i].b, cases[i].a), cases[i].difference);
    }
    AUTO_FREE char *host = fetch_url_host("https://u:secret@CI.example:1/hook/secret"),
                   *none = fetch_url_host("secret");
    assert_string_equal(host, "ci.example");
    assert_string_equal(none, "(not a URL)");
}

TEST(a_url_beyond_its_limit_is_none)
{
    AUTO_FREE char *text = mem_zero(LIMIT_URL_MADE + 1, 1);
    memset(text, 'x', LIMIT_URL_MADE);
    assert_null(fetch_url("https://ci.example", (const char *const[]){text, NULL}, NULL));
}

TEST(escaping_leaves_only_what_needs_none)
{
    AUTO_FREE char *escaped = fetch_escape("A-z_0.~/ &"), *empty = fetch_escape("");
    assert_string_equal(escaped, "A-z_0.~%2F%20%26");
    assert_string_equal(empty, "");
}
