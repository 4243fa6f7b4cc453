/* Where an upstream is, and which setting is named when that is invalid. */

#include "clients/http/upstream.h"
#include "tests/support/test.h"

TEST(a_base_has_no_slash_at_its_end)
{
    static const char *const cases[][2] = {
        {"http://h:3000", "http://h:3000"},
        {"http://h:3000//", "http://h:3000"},
        {"https://h/git/", "https://h/git"},
        {"https://h/a/b", "https://h/a/b"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_FREE char *base = NULL;
        assert_int_equal(upstream_base(cases[i][0], "NAME", &base, NULL), ERR_OK);
        assert_string_equal(base, cases[i][1]);
    }
}

TEST(a_url_that_is_no_base_is_refused_by_the_name_of_its_setting)
{
    static const char *const bad[] = {"", "git.example", "ftp://h/", "http://", "http://ann:pw@h"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char *base = NULL;
        struct why why;
        assert_int_equal(upstream_base(bad[i], "NAME", &base, &why), ERR_INVALID);
        assert_string_equal(why.text, "NAME must be an http or https URL without a user name");
        assert_null(base);
    }
}

TEST(a_token_is_visible_ascii)
{
    static const char *const bad[] = {"a b", "a\r\nX: y", "\x7f", "h\xc3\xbc", "\t"};
    assert_int_equal(upstream_token_check(NULL, "NAME", NULL), ERR_OK);
    assert_int_equal(upstream_token_check("", "NAME", NULL), ERR_OK);
    assert_int_equal(upstream_token_check("!~plane_api_0", "NAME", NULL), ERR_OK);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct why why;
        assert_int_equal(upstream_token_check(bad[i], "NAME", &why), ERR_INVALID);
        assert_string_equal(why.text, "NAME holds characters that no token has");
    }
}
