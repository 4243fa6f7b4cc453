/* That curl reads a URL of a setting or of a gate as it is written. */
#include "clients/base/err.h"
#include "reconcile/pipeline/settings_text.h"
#include "tests/support/reconcile/pipeline/url_curl.h"
#include "tests/support/test.h"

static const char *const accepted[] = {
    "http://h",
    "https://git.example.org",
    "HTTPS://Git.Example.ORG:443/",
    "http://gitea:3000",
    "http://plane_api:8000/base/",
    "http://h:1",
    "http://h:65535/a",
    "http://h:00080/a",
    "http://127.0.0.1:8080/x",
    "http://[::1]",
    "http://[::1]:3000/a/b",
    "https://[2001:DB8:0:0:0:0:0:1]:443",
    "http://[::ffff:10.0.0.1]/x",
    "http://h./a",
    "http://a.b-c_d.1e/",
    "http://1.2.3.4.example",
    "http://h//a//b",
    "http://h/a/../b/./c",
    "http://h/%2e%2e/%40%3a",
    "http://h/@b:c@d",
    "http://h/a;b=c,d!e$f&g'(h)*+~",
};
static const char *const templates[] = {
    "http://h/{branch}",
    "http://h?a={task_id}",
    "https://h:8/a/{repo}?b={branch}&c=@d:e",
    "http://[::1]?x=/a@b",
};
static const char *const refused[] = {
    "http://user@h",
    "http://user:password@h",
    "http://@h",
    "http://h@evil.example",
    "http://h:80@evil",
    "http://h\\@evil.example",
    "http://h\\evil",
    "http://h#@evil",
    "http://h:80:90",
    "http://h:",
    "http://h:0",
    "http://h:65536",
    "http://h:8 0",
    "http://",
    "http:///h",
    "http:/h",
    "http:h",
    "//h",
    "h",
    "ftp://h",
    "file:///etc/passwd",
    "http://.h",
    "http://-h",
    "http://h%00.evil",
    "http://h%2eexample",
    "http://\xc3\xa9.example",
    "http://h\t",
    "http://h\n",
    " http://h",
    "http://[::1",
    "http://::1",
    "http://[::1]x",
    "http://[::1%25eth0]",
    "http://[127.0.0.1]",
    "http://[v1.x]",
    "http://h,evil",
    "http://h;evil",
    "http://127.1",
    "http://2130706433",
    "http://0x7f000001",
    "http://0x7f.0.0.1",
    "http://0177.0.0.1",
    "http://127.0.0.01/",
    "http://1.2.3.4.",
    "http://1.2.3.4.5",
    "http://256.0.0.1",
    "http://a.0x1",
    "http://1.2.3",
};

static void assert_read_as_written(const char *url, bool is_template)
{
    const char *difference = url_curl_differs(url, is_template);
    if (difference)
        fail_msg("%s: curl reads otherwise: %s", url, difference);
}

TEST(curl_reads_what_is_accepted_as_it_is_written)
{
    for (size_t i = 0; i < ARRAY_LEN(accepted); i++) {
        const char *problem = url_problem(accepted[i], false);
        if (problem)
            fail_msg("%s %s", accepted[i], problem);
        assert_read_as_written(accepted[i], false);
    }
    for (size_t i = 0; i < ARRAY_LEN(templates); i++) {
        assert_non_null(url_problem(templates[i], false));
        assert_null(url_problem(templates[i], true));
        assert_read_as_written(templates[i], true);
    }
}

TEST(what_readers_could_take_for_another_host_is_refused)
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (!url_problem(refused[i], true))
            fail_msg("%s was accepted", refused[i]);
}

/* Each byte of each text is replaced by each other byte, and each byte is put in before it. */
static void assert_neighbours_read_as_written(const char *text, bool is_template)
{
    size_t len = strlen(text);
    for (size_t at = 0; at <= len; at++)
        for (int byte = 1; byte < 256; byte++)
            for (size_t replaced = 0; replaced <= (at < len); replaced++) {
                AUTO_FREE char *changed = mem_printf("%.*s%c%s", (int)at, text, byte, text + at + replaced);
                assert_read_as_written(changed, is_template);
            }
}

TEST(one_byte_more_or_another_changes_nothing_of_that)
{
    for (size_t i = 0; i < ARRAY_LEN(accepted); i++)
        assert_neighbours_read_as_written(accepted[i], false);
    for (size_t i = 0; i < ARRAY_LEN(templates); i++)
        assert_neighbours_read_as_written(templates[i], true);
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        assert_neighbours_read_as_written(refused[i], true);
}
