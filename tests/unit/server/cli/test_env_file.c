/* Settings from a file, as systemd reads one. */
#include "server/cli/env_file.h"
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/test.h"

static char folder[64], path[96];

static int set_up(void **state __attribute__((unused)))
{
    snprintf(folder, sizeof folder, "/tmp/env-file-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/env", folder);
    assert_int_equal(clearenv(), 0);
    return 0;
}

static int tear_down(void **state __attribute__((unused)))
{
    (void)unlink(path);
    return chdir("/") != 0 || rmdir(folder) != 0;
}

static void file_write(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0 && fclose(file) == 0, 1);
}

static void assert_value(const char *name, const char *value)
{
    const char *there = getenv(name);
    if (!value) {
        assert_null(there);
        return;
    }
    assert_non_null(there);
    assert_string_equal(there, value);
}

TEST_WITH(a_file_reads_as_systemd_reads_it, set_up, tear_down)
{
    static const struct {
        const char *text, *value;
    } cases[] = {
        {"A=1\n", "1"},
        {"A=1", "1"},
        {"# A=2\n; A=3\n\n  A = 1  \n", "1"},
        {"A=one two  \n", "one two"},
        {"A=\n", ""},
        {"A=\"one  \"\n", "one  "},
        {"A='it is $HOME \\n'\n", "it is $HOME \\n"},
        {"A=\"a \\\"b\\\" \\$c \\d\"\n", "a \"b\" $c \\d"},
        {"A=a\\ b\\\\c\n", "a b\\c"},
        {"A=one \\\ntwo\n", "one two"},
        {"A=\"two\nlines\"\n", "two\nlines"},
        {"A=1\nA=2\n", "2"},
        {"A={\"b\":1}\n", "{b:1}"},
        {"A='{\"b\":1}'\n", "{\"b\":1}"},
        {"A=x#y\n", "x#y"},
        {"export A=1\n", NULL},
        {"1A=1\nA\nB=2\n", NULL},
        {"A=1\r\n", "1"},
        {"\xef\xbb\xbf"
         "A=1\n",
         "1"},
    };
    struct why why;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(clearenv(), 0);
        file_write(cases[i].text);
        assert_int_equal(env_file_load(path, &why), ERR_OK);
        assert_value("A", cases[i].value);
    }
}

TEST_WITH(the_environment_wins, set_up, tear_down)
{
    struct why why;
    file_write("ORCH_LOG_LEVEL=debug\nORCH_LOG_FORMAT=json\n");
    assert_int_equal(setenv("ORCH_LOG_LEVEL", "warn", 1), 0);
    assert_int_equal(env_file_load(path, &why), ERR_OK);
    assert_value("ORCH_LOG_LEVEL", "warn");
    assert_value("ORCH_LOG_FORMAT", "json");
}

TEST_WITH(the_packaged_file_is_for_an_environment_without_settings, set_up, tear_down)
{
    char here[96];
    struct why why;
    assert_int_equal(env_file_packaged(path, folder, true, &why), ERR_OK); /* there is none */
    file_write("ORCH_LOG_FORMAT=json\n");
    assert_int_equal(setenv("ORCH_API_TOKEN_FILE", "/run/token", 1), 0);
    assert_int_equal(env_file_packaged(path, folder, true, &why), ERR_OK);
    assert_value("ORCH_LOG_FORMAT", NULL);
    assert_int_equal(unsetenv("ORCH_API_TOKEN_FILE"), 0);
    assert_int_equal(env_file_packaged(path, "/nowhere", true, &why), ERR_INVALID);
    assert_non_null(strstr(why.text, "/nowhere"));
    assert_int_equal(unsetenv("ORCH_LOG_FORMAT"), 0);
    assert_int_equal(env_file_packaged(path, "/nowhere", false, &why), ERR_OK);
    assert_value("ORCH_LOG_FORMAT", "json");
    assert_int_equal(unsetenv("ORCH_LOG_FORMAT"), 0);
    assert_int_equal(env_file_packaged(path, folder, true, &why), ERR_OK);
    assert_value("ORCH_LOG_FORMAT", "json");
    assert_string_equal(getcwd(here, sizeof here), folder);
}

TEST_WITH(a_file_that_cannot_be_read_is_named, set_up, tear_down)
{
    struct why why;
    assert_int_equal(env_file_load(path, &why), ERR_INVALID);
    assert_non_null(strstr(why.text, path));
    if (geteuid() == 0)
        return; /* root reads everything */
    file_write("A=1\n");
    assert_int_equal(chmod(path, 0), 0);
    assert_int_equal(env_file_packaged(path, folder, true, &why), ERR_INVALID);
    assert_non_null(strstr(why.text, path));
    assert_non_null(strstr(why.text, "sudo"));
}
