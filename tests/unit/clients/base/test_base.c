/* What everything stands on: instants, numbers, UTF-8, JSON limits, log lines. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "clients/base/metric.h"
#include "clients/base/text.h"
#include "clients/base/wait.h"
#include "tests/support/test.h"

TEST(instants_are_compared_across_zones_and_fractions)
{
    static const struct {
        const char *text;
        int64_t us;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-11-23T20:00:00Z", 1795464000000000},
        {"2026-11-24T01:30:00+05:30", 1795464000000000},
        {"2026-11-23T20:00:00.000001Z", 1795464000000001},
        {"2026-11-23T20:00:00.5Z", 1795464000500000},
        {"2026-11-23T20:00:00.123456789Z", 1795464000123456},
        {"2026-11-23 12:00:00-08:00", 1795464000000000},
        {"2026-11-23T20:00:00.12345678901234567890Z", 1795464000123456},
        {"2028-02-29T00:00:00Z", 1835395200000000},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        int64_t us = -1;
        assert_true(instant_parse(good[i].text, &us));
        assert_int_equal(us, good[i].us);
    }
    static const char *const bad[] = {"",
                                      "2026-11-23",
                                      "2026-11-23T20:00:00",
                                      "2026-11-23T20:00:00.Z",
                                      "2026-02-30T00:00:00Z",
                                      "2026-13-01T00:00:00Z",
                                      "2026-11-23T24:00:00Z",
                                      "2026-11-23T20:00:00Zx",
                                      "2026-11-23T20:00:00+5:30",
                                      "2026-11-23T20:00:00+25:00",
                                      "2026-00-10T00:00:00Z",
                                      "2026-11-00T00:00:00Z",
                                      "20261123T200000Z",
                                      "2026-11-23T20:60:00Z",
                                      "2026-11-31T23:59:60Z",
                                      "2026-11-31T23:59:59Z",
                                      "2026-12-31T23:59:60Z",
                                      "2026-02-29T00:00:00Z",
                                      "2100-02-29T00:00:00Z",
                                      "2026-11-23T20:00Z"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t us = 42;
        assert_false(instant_parse(bad[i], &us));
        assert_int_equal(us, 42);
    }
}

TEST(an_instant_is_written_in_the_form_that_was_read)
{
    static const char *const forms[] = {"2026-11-23 20:00:00",
                                        "2026-11-23T20:00:00",
                                        "2026-11-23 20:00",
                                        "2026-11-23T20:00Z",
                                        "2026-11-23T20:00:00z",
                                        "2026-11-23 20:00:00.250",
                                        "2026-11-23T20:00:00.5Z",
                                        "2026-11-23T23:00:00+03:00",
                                        "2026-11-23 12:00:00.25-08:00",
                                        "2026-11-24T01:30+05:30",
                                        "2026-11-23T20:00:00.000000001Z",
                                        "2026-11-23T20:00:00-00:00"};
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct instant_form form;
        char text[INSTANT_TEXT_SIZE];
        int64_t us;
        assert_true(instant_read(forms[i], &us, &form));
        assert_in_range(us, 1795464000000000, 1795464000999999);
        instant_write(us, &form, text);
        if (form.digits < 9)
            assert_string_equal(text, forms[i]);
    }
    static const char *const bad[] = {
        "2026-11-31 00:00", "2026-11-23",       "2026-11-23 20", "2026-11-23 20:00.5", "now", "12:00",
        "2460000.5",        "2026-11-23 20:00 "};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct instant_form form;
        int64_t us;
        assert_false(instant_read(bad[i], &us, &form));
    }
}

TEST(instants_print_as_rfc_3339_utc)
{
    char text[INSTANT_TEXT_SIZE];
    instant_format(1795464000000000, text);
    assert_string_equal(text, "2026-11-23T20:00:00Z");
    instant_format(1795464000000001, text);
    assert_string_equal(text, "2026-11-23T20:00:00.000001Z");
    instant_format(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999999Z");
}

TEST(numbers_are_parsed_whole_and_within_bounds)
{
    int64_t value = 7;
    assert_true(parse_i64("-12", -20, 20, &value));
    assert_int_equal(value, -12);
    static const char *const bad[] = {"",   "-", "+1", " 1", "1 ", "1x", "0x10", "21", "99999999999999999999",
                                      "1.0"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(parse_i64(bad[i], -20, 20, &value));
    assert_int_equal(value, -12);
}

TEST(text_is_cut_at_a_character_and_broken_bytes_are_mended)
{
    static const struct {
        const char *in;
        size_t max;
        const char *out;
    } cases[] = {
        {"plain", 10, "plain"},
        {"plain", 3, "pla"},
        {"\xd0\xa4\xd0\xa4", 3, "\xd0\xa4"},
        {"a\xff"
         "b",
         10, "a?b"},
        {"a\nb\x7f", 10, "a b "},
        {"\xc0\x80", 10, "??"},
        {"\xed\xa0\x80", 10, "???"},
        {"\xf0\x9f\x94\xa7", 3, ""},
        {"\xf0\x9f\x94\xa7", 4, "\xf0\x9f\x94\xa7"},
        {"\xd0", 10, "?"},
        {"", 10, ""},
        {"a\xc2\x9b"
         "b\xc2\x85",
         10, "a b "},                                         /* C1: escape sequences, a line's end */
        {"\xe2\x80\xaegnp.exe\xe2\x80\xac", 20, " gnp.exe "}, /* direction */
        {"\u200f\u061c\ufeff\u2028\u00ad", 20, "     "},
        {"\U000e0041x", 2, " x"}, /* a tag; takes the room of what stands for it */
        {"\u200d\u200c", 10, "\u200d\u200c"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *cut = text_cut(cases[i].in, cases[i].max);
        assert_string_equal(cut, cases[i].out);
        free(cut);
    }
    assert_null(text_cut(NULL, 5));
}

TEST(secrets_are_scrubbed_in_every_spelling)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"", ""},
        {"nothing", "nothing"},
        {"a tok/en+1%2Fx b", "a ************ b"},
        {"TOK/EN+1%2fX", "************"},
        {"tok%2Fen%2b1%252Fx.", "******************."},
        {"\"tok\\/en\\u002b1%2Fx\"", "\"******************\""},
        {"tok/en+1%2F", "tok/en+1%2F"},
        {"tok/en+1%2Fxtok/en+1%2Fx", "************************"},
        {"tok/tok/en+1%2Fx", "tok/************"},
        {"another-secret another", "************** another"},
        {"short", "short"},
    };
    secret_keep("tok/en+1%2Fx");
    secret_keep("another-secret");
    secret_keep("another-secret-that-is-longer");
    secret_keep("short");
    secret_keep(NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *text = mem_dup(cases[i].in);
        secret_scrub(text, strlen(text));
        assert_int_equal(strlen(text), strlen(cases[i].in));
        assert_string_equal(text, cases[i].out);
        free(text);
    }
    char longer[] = "another-secret-that-is-longer!";
    secret_scrub(longer, strlen(longer));
    assert_string_equal(longer, "*****************************!");
}

TEST(a_name_gives_the_same_uuid_every_time)
{
    assert_string_equal(uuid_from_name("a").s, uuid_from_name("a").s);
    assert_string_not_equal(uuid_from_name("a").s, uuid_from_name("b").s);
    assert_int_equal(uuid_from_name("a").s[14], '5');
    assert_int_equal(uuid_new().s[14], '4');
    assert_true(uuid_valid(uuid_new().s));
    assert_false(uuid_valid("not-a-uuid"));
}

TEST(a_uuid_is_read_in_four_forms_and_written_in_each)
{
    static const char id[] = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    static const char *const forms[] = {id, "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
                                        "a0eebc999c0b4ef8bb6d6bb9bd380a11",
                                        "A0EEBC999C0B4EF8BB6D6BB9BD380A11"};
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct uuid_text read;
        struct uuid_form form;
        assert_true(uuid_read(forms[i], &read) && uuid_form_of(forms[i], &form));
        assert_string_equal(read.s, id);
        AUTO_FREE char *written = uuid_write(id, form);
        assert_string_equal(written, forms[i]);
    }
    static const char *const none[] = {"",
                                       "p1",
                                       "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
                                       "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11 ",
                                       "A0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                                       "{a0eebc999c0b4ef8bb6d6bb9bd380a1",
                                       "a0eebc999c0b-4ef8-bb6d-6bb9bd380a11-",
                                       "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g",
                                       "a0eebc999c0b4ef8bb6d6bb9bd380a1\xc3"};
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        struct uuid_text read = {"x"};
        assert_false(uuid_read(none[i], &read));
        assert_string_equal(read.s, "x");
        AUTO_FREE char *written = uuid_write(none[i], (struct uuid_form){.bare = true});
        assert_string_equal(written, none[i]);
    }
}

TEST(json_is_refused_when_broken_repeated_or_too_deep)
{
    json_t *value = NULL;
    struct why why;
    static const char *const bad[] = {"", "{", "{\"a\":1,\"a\":2}", "{} x", "\"bare\"", "{\"a\":\"\xff\"}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(json_read(bad[i], strlen(bad[i]), &value, &why), ERR_INVALID);
    assert_int_equal(json_read("[\x1b[31m]", 7, &value, &why), ERR_INVALID);
    assert_null(strchr(why.text, '\x1b'));
    char deep[2 * (LIMIT_JSON_DEPTH + 1)];
    memset(deep, '[', LIMIT_JSON_DEPTH + 1);
    memset(deep + LIMIT_JSON_DEPTH + 1, ']', LIMIT_JSON_DEPTH + 1);
    assert_int_equal(json_read(deep, sizeof deep, &value, &why), ERR_INVALID);
    assert_int_equal(json_read(deep + 1, sizeof deep - 2, &value, &why), ERR_OK);
    json_decref(value);
}

/* "[{},{},…]" and the like: `n` times `item`, commas between, in brackets. Caller frees. */
static char *json_many(const char *open, size_t n, const char *item, const char *close)
{
    size_t len = strlen(item), at = strlen(open);
    char *text = mem_zero(at + n * (len + 1) + strlen(close) + 1, 1);
    memcpy(text, open, at);
    for (size_t i = 0; i < n; i++, at += len + 1) {
        memcpy(text + at, item, len);
        text[at + len] = ',';
    }
    memcpy(text + at - 1, close, strlen(close) + 1);
    return text;
}

/* An object of `n` members of different names. */
static char *json_members(size_t n, const char *value)
{
    char *text = mem_printf("{\"\":0");
    for (size_t i = 0; i < n; i++) {
        char *longer = mem_printf("%s,\"%zu\":%s", text, i, value);
        free(text);
        text = longer;
    }
    char *whole = mem_printf("%s}", text);
    free(text);
    return whole;
}

static size_t json_taken, json_peak;

static void *counting_malloc(size_t size)
{
    void *memory = malloc(size);
    json_taken += malloc_usable_size(memory) + sizeof(size_t);
    json_peak = json_taken > json_peak ? json_taken : json_peak;
    return memory;
}

static void counting_free(void *memory)
{
    if (memory)
        json_taken -= malloc_usable_size(memory) + sizeof(size_t);
    free(memory);
}

/* What jansson takes at most while it reads the text, whether it is JSON or not. */
static size_t json_taken_by(const char *text)
{
    json_taken = json_peak = 0;
    json_set_alloc_funcs(counting_malloc, counting_free);
    json_decref(json_loadb(text, strlen(text), JSON_REJECT_DUPLICATES, NULL));
    json_set_alloc_funcs(malloc, free);
    return json_peak;
}

TEST(what_json_costs_is_never_less_than_what_it_takes)
{
    enum { PARSER = 1024 }; /* what jansson takes for any text */
    AUTO_FREE char *spaces = mem_printf("[\"%70000s\"]", "");
    char *const texts[] = {
        json_many("[", 10000, "{}", "]"),
        json_many("[", 10000, "[]", "]"),
        json_many("[", 10000, "1", "]"),
        json_many("[", 10000, "1.5", "]"),
        json_many("[", 10000, "null", "]"),
        json_many("[", 10000, "\"\"", "]"),
        json_many("[", 10000, "\"0123456789012345678901234567890\"", "]"),
        json_many("[", 10000, "\"\\\"{[,:\\\\\"", "]"),
        json_many("[", 10000, "{\"a\":{}}", "]"),
        json_many("[", 10000, "{\"a\":[1,2]}", "]"),
        json_many("[", 10000, "[[[[[[[[[[]]]]]]]]]]", "]"),
        json_many("{\"statuses\":[", 50, "{\"id\":1,\"context\":\"ci/build\",\"status\":\"success\"}", "]}"),
        json_many("[", 10000, "{}", ""),     /* cut */
        json_many("[", 10000, "{}", ",}"),   /* broken at its end */
        json_many("[", 10000, "{}", ",\"]"), /* in a string that does not end */
        json_members(3000, "1"),
        json_members(3000, "{}"),
        json_members(3000, "\"text\""),
        json_many("", 10000, "[", "["),
        mem_dup(spaces),
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        unsigned depth;
        size_t taken = json_taken_by(texts[i]), cost = json_cost(texts[i], strlen(texts[i]), &depth);
        if (depth <= LIMIT_JSON_DEPTH)
            assert_in_range(taken, 0, cost + PARSER);
        free(texts[i]);
    }
}

TEST(json_that_would_take_too_much_is_refused_before_it_is_read)
{
    static const struct {
        const char *text;
        unsigned depth;
    } cases[] = {
        {"", 0},
        {"{}", 1},
        {"[[],[]]", 2},
        {"[\"[[[[\"]", 1},
        {"[\"\\\"[[\"]", 1},
        {"[\"\\\\\",[]]", 2},
        {"[[[", 3},
        {"]]]][[", 2},
        {"\"[[[", 0},
        {"\"\\", 0},
        {"{\"a\":[{\"b\":[]}]}", 4},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned depth;
        (void)json_cost(cases[i].text, strlen(cases[i].text), &depth);
        assert_int_equal(depth, cases[i].depth);
    }
    AUTO_FREE char *text = json_many("[", 1000, "{\"a\":\"b\"}", "]");
    unsigned depth;
    size_t cost = json_cost(text, strlen(text), &depth);
    json_t *value = NULL;
    struct why why;
    assert_int_equal(json_read_within(text, strlen(text), cost - 1, &value, &why), ERR_INVALID);
    assert_null(value);
    assert_non_null(strstr(why.text, "so many values"));
    assert_int_equal(json_read_within(text, strlen(text), cost, &value, &why), ERR_OK);
    assert_int_equal(json_array_size(value), 1000);
    json_decref(value);
    AUTO_FREE char *nodes = json_many("[", 2800000, "{}", "]");
    json_taken = json_peak = 0;
    json_set_alloc_funcs(counting_malloc, counting_free);
    assert_int_equal(json_read(nodes, strlen(nodes), &value, &why), ERR_INVALID);
    json_set_alloc_funcs(malloc, free);
    assert_int_equal(json_peak, 0);
}

TEST(a_number_without_a_fraction_is_an_integer)
{
    static const char text[] = "[60.0,6e1,-0.0,-9223372036854775808.0,9223372036854775808.0,0.5,1e300,"
                               "{\"a\":{\"b\":[1.0]}}]";
    json_t *value = NULL;
    struct why why;
    assert_int_equal(json_read(text, strlen(text), &value, &why), ERR_OK);
    json_integers(value);
    AUTO_FREE char *line = json_line(value);
    assert_string_equal(line,
                        "[60,60,0,-9223372036854775808,9.22337203685478e18,0.5,1e300,{\"a\":{\"b\":[1]}}]");
    json_decref(value);
}

TEST(json_text_accepts_what_a_database_may_hold)
{
    json_t *value = json_text("a\xff"
                              "b");
    assert_string_equal(json_string_value(value), "a?b");
    json_decref(value);
    value = json_text(NULL);
    assert_true(json_is_null(value));
}

static bool journal_is_here; /* `logged` plays journald */

static void play_journald(int fd)
{
    struct stat file;
    char stream[64];
    assert_int_equal(fstat(fd, &file), 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)file.st_dev,
             (unsigned long long)file.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
}

/* Runs log_write into a pipe and gives back what came out. */
static char *logged(enum log_format format, enum log_level level, const char *text)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    if (journal_is_here)
        play_journald(ends[1]);
    log_set_fd(ends[1]);
    log_set_format(format);
    log_event(level, "an event", LOG_S("text", text), LOG_S("absent", NULL), LOG_I("n", -3),
              LOG_B("yes", true));
    log_set_format(LOG_LOGFMT);
    log_set_fd(STDERR_FILENO);
    close(ends[1]);
    static char line[2 * LIMIT_LOG_LINE];
    ssize_t len = read(ends[0], line, sizeof line - 1);
    close(ends[0]);
    line[len < 0 ? 0 : len] = '\0';
    return line;
}

static void *log_in_a_thread(void *arg)
{
    (void)arg;
    return logged(LOG_LOGFMT, LOG_LEVEL_WARN, "x");
}

TEST(a_log_line_is_one_escaped_line)
{
    char *line = logged(LOG_LOGFMT, LOG_LEVEL_INFO, "two\nlines \"quoted\" \xff");
    assert_non_null(
        strstr(line, " level=info msg=\"an event\" text=\"two\\nlines \\\"quoted\\\" ?\" n=-3 yes=true\n"));
    line = logged(LOG_JSON, LOG_LEVEL_WARN, "two\nlines \"quoted\"\x01");
    json_t *value = json_loads(line, 0, NULL);
    assert_non_null(value);
    assert_string_equal(json_get_text(value, "text", ""), "two\nlines \"quoted\"\x01");
    assert_int_equal(json_get_int(value, "n", 0), -3);
    json_decref(value);
}

TEST(what_is_hidden_in_a_text_is_escaped_in_lines_and_answers)
{
    static const char hidden[] = "a\xe2\x80\xae"
                                 "b\xe2\x80\xac\xc2\x9b\U000e0041\x7f\u200d";
    char *line = logged(LOG_LOGFMT, LOG_LEVEL_INFO, hidden);
    assert_non_null(strstr(line, " text=\"a\\u202eb\\u202c\\u009b\\udb40\\udc41\\u007f\u200d\" "));
    line = logged(LOG_JSON, LOG_LEVEL_INFO, hidden);
    static const char override[] = {'\xe2', '\x80', '\xae', '\0'};
    assert_null(strstr(line, override));
    json_t *value = json_loads(line, 0, NULL);
    assert_string_equal(json_get_text(value, "text", ""), hidden);
    char *shown = json_shown(value, 2);
    assert_non_null(strstr(shown, "a\\u202eb\\u202c\\u009b\\udb40\\udc41\\u007f\u200d"));
    json_t *again = json_loads(shown, 0, NULL);
    assert_true(json_equal(again, value));
    json_decref(again);
    json_decref(value);
    free(shown);
}

TEST(a_secret_in_a_line_or_an_answer_is_scrubbed)
{
    secret_keep("hunter2-hunter2");
    char *line = logged(LOG_JSON, LOG_LEVEL_INFO, "Bearer hunter2-hunter2");
    assert_non_null(strstr(line, "Bearer ***************\""));
    json_auto_t *value = json_pack("[s]", "Bearer hunter2-hunter2");
    AUTO_FREE char *shown = json_shown(value, 0);
    assert_string_equal(shown, "[\"Bearer ***************\"]");
}

TEST(a_pass_is_named_on_every_line_of_its_thread)
{
    log_set_pass("e73e667e-2f58-4043-a06c-f85c012d3af9");
    char *line = logged(LOG_LOGFMT, LOG_LEVEL_WARN, "x");
    assert_non_null(strstr(line, " msg=\"an event\" pass=e73e667e-2f58-4043-a06c-f85c012d3af9 text=x "));
    line = logged(LOG_JSON, LOG_LEVEL_WARN, "x");
    assert_non_null(strstr(line, "\"pass\":\"e73e667e-2f58-4043-a06c-f85c012d3af9\""));
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, log_in_a_thread, NULL), 0);
    void *seen = NULL;
    pthread_join(other, &seen);
    assert_null(strstr(seen, "pass="));
    log_set_pass(NULL);
    assert_null(strstr(logged(LOG_LOGFMT, LOG_LEVEL_WARN, "x"), "pass="));
}

/* As systemd sets it for a unit whose standard error is journald, and as it is inherited by a process that
 * has another. */
TEST(lines_to_the_journal_and_no_others_begin_with_their_priority)
{
    static const char *const priorities[] = {"<3>ts=", "<4>ts=", "<6>ts=", "<7>ts="};
    log_set_level(LOG_LEVEL_DEBUG);
    journal_is_here = true;
    for (int level = 0; level < LOG_LEVEL_MAX_; level++)
        assert_int_equal(strncmp(logged(LOG_LOGFMT, (enum log_level)level, "x"), priorities[level], 6), 0);
    assert_int_equal(strncmp(logged(LOG_JSON, LOG_LEVEL_INFO, "x"), "<6>{\"ts\":", 9), 0);
    journal_is_here = false;
    static const char *const elsewhere[] = {"8:12345", "", "x"};
    for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++) {
        setenv("JOURNAL_STREAM", elsewhere[i], 1);
        assert_int_equal(strncmp(logged(LOG_LOGFMT, LOG_LEVEL_INFO, "x"), "ts=", 3), 0);
    }
    unsetenv("JOURNAL_STREAM");
    log_set_level(LOG_LEVEL_INFO);
}

TEST(a_level_that_is_off_writes_nothing)
{
    assert_string_equal(logged(LOG_LOGFMT, LOG_LEVEL_DEBUG, "x"), "");
}

TEST(an_endless_field_is_cut_and_json_stays_json)
{
    char *text = mem_zero(3 * LIMIT_LOG_LINE, 1);
    memset(text, 'x', 3 * LIMIT_LOG_LINE - 1);
    char *line = logged(LOG_LOGFMT, LOG_LEVEL_INFO, text);
    assert_int_equal(strlen(line), LIMIT_LOG_LINE);
    assert_int_equal(line[LIMIT_LOG_LINE - 1], '\n');
    line = logged(LOG_JSON, LOG_LEVEL_INFO, text);
    json_t *value = json_loads(line, 0, NULL);
    assert_non_null(value);
    assert_true(json_get_bool(value, "cut", false));
    json_decref(value);
    free(text);
}

/* standard error that takes nothing */

static int full_pipe[2]; /* where lines go */
static char filling[1 << 20];

static void open_full_pipe(void)
{
    assert_int_equal(pipe(full_pipe), 0);
    int flags = fcntl(full_pipe[1], F_GETFL);
    assert_int_equal(fcntl(full_pipe[1], F_SETFL, flags | O_NONBLOCK), 0);
    memset(filling, '.', sizeof filling);
    while (write(full_pipe[1], filling, sizeof filling) > 0)
        ;
    while (write(full_pipe[1], filling, 1) > 0)
        ;
    assert_int_equal(fcntl(full_pipe[1], F_SETFL, flags), 0);
    log_set_fd(full_pipe[1]);
}

/* The next line behind the filling, from the pipe. */
static void read_line(char *ret, size_t size)
{
    size_t len = 0;
    char c;
    while (len < size - 1 && read(full_pipe[0], &c, 1) == 1 && c != '\n')
        if (c != '.' || len > 0)
            ret[len++] = c;
    ret[len] = '\0';
}

TEST(lines_that_find_no_room_are_dropped_and_counted)
{
    enum { LINES = 3000 };
    int64_t counted = metric_read(METRIC_LOG_LINES_DROPPED, NULL, NULL), dropped = 0, n;
    open_full_pipe();
    log_start();
    for (int i = 0; i < LINES; i++)
        log_info("a line", LOG_I("n", i));
    log_stop(); /* gives up */
    counted = metric_read(METRIC_LOG_LINES_DROPPED, NULL, NULL) - counted;
    assert_true(counted > 0);
    char line[LIMIT_LOG_LINE];
    for (int i = 0; i <= LINES; i++) {
        read_line(line, sizeof line);
        const char *number = strstr(line, " lines=");
        if (number) {
            assert_non_null(strstr(line, "level=warn msg=\"log lines were dropped"));
            assert_true(parse_i64(number + 7, 1, LINES, &dropped));
            assert_int_equal(i, LINES - dropped); /* behind the last that was kept */
            break;
        }
        number = strstr(line, " n=");
        assert_non_null(number);
        assert_true(parse_i64(number + 3, i, i, &n)); /* none is missing, out of order or torn */
    }
    assert_int_equal(dropped, counted);
    log_info("a line", LOG_I("n", LINES)); /* there is room again */
    log_stop();
    read_line(line, sizeof line);
    assert_non_null(strstr(line, "msg=\"a line\" n=3000"));
    log_set_fd(STDERR_FILENO);
    close(full_pipe[0]);
    close(full_pipe[1]);
}

TEST(the_last_lines_come_out_before_the_end)
{
    char line[LIMIT_LOG_LINE];
    assert_int_equal(pipe(full_pipe), 0);
    log_set_fd(full_pipe[1]);
    log_start();
    for (int i = 0; i < 100; i++)
        log_info("a line", LOG_I("n", i));
    log_stop();
    log_info("a line", LOG_I("n", 100)); /* and later ones go straight there */
    log_set_fd(STDERR_FILENO);
    close(full_pipe[1]);
    for (int i = 0; i <= 100; i++) {
        int64_t n;
        read_line(line, sizeof line);
        assert_non_null(strstr(line, " n="));
        assert_true(parse_i64(strstr(line, " n=") + 3, i, i, &n));
    }
    read_line(line, sizeof line);
    assert_string_equal(line, "");
    close(full_pipe[0]);
}

TEST(a_buffer_takes_whole_pieces_up_to_its_limit)
{
    struct buffer buffer = {.max = 10};
    buffer_puts(&buffer, "abc");
    buffer_printf(&buffer, "%d", 4567);
    buffer_put(&buffer, "\0z", 2);
    buffer_putc(&buffer, '!');
    assert_int_equal(buffer.len, 10);
    assert_false(buffer.full);
    assert_memory_equal(buffer.text, "abc4567\0z!", 11);
    buffer_puts(&buffer, "");
    assert_false(buffer.full);
    buffer_putc(&buffer, '?');
    assert_true(buffer.full);
    assert_null(buffer_take_whole(&buffer));

    buffer_puts(&buffer, "12345");
    buffer_puts(&buffer, "678901");
    buffer_puts(&buffer, "6"); /* would fit, but what stands before it is left out */
    assert_true(buffer.full);
    AUTO_FREE char *text = buffer_take(&buffer);
    assert_string_equal(text, "12345");
    AUTO_FREE char *none = buffer_take(&buffer);
    assert_string_equal(none, "");
}

TEST(a_list_ends_before_the_item_that_does_not_fit)
{
    static const struct {
        size_t max;
        const char *expected;
    } rows[] = {{0, ""},   {1, ""},       {2, "ab"},     {3, "ab"},
                {5, "ab"}, {6, "ab, cd"}, {8, "ab, cd"}, {9, "ab, cd, e"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buffer buffer = {.max = rows[i].max};
        buffer_item(&buffer, ", ", "%s", "ab");
        buffer_item(&buffer, ", ", "c%c", 'd');
        buffer_item(&buffer, ", ", "e");
        AUTO_FREE char *text = buffer_take(&buffer);
        assert_string_equal(text, rows[i].expected);
    }
    AUTO_FREE char *list = text_list((const char *const[]){"a", "b", "c", NULL});
    AUTO_FREE char *empty = text_list((const char *const[]){NULL});
    assert_string_equal(list, "a, b, c");
    assert_string_equal(empty, "");
}

TEST(names_differ_in_case_alone_in_any_script)
{
    assert_true(text_same_letters("In Progress", "iN pROGRESS"));
    assert_true(text_same_letters("Відхилено é Σς", "ВІДХИЛЕНО É σσ"));
    assert_true(text_same_letters("", ""));
    assert_true(text_has_letters("Den KORB mending", "korb M"));
    assert_true(text_has_letters("aab", "AB"));
    assert_true(text_has_letters("Кошик зламано", "ЗЛАМ"));
    assert_true(text_has_letters("a", ""));
    assert_false(text_has_letters("a", "ab"));
    assert_false(text_has_letters("\xc3\xa9", "\xa9")); /* no part of a character */
    assert_false(text_same_letters("Approved", "Approved "));
    assert_false(text_same_letters("é", "e"));
    assert_false(text_same_letters("é", "è"));
    assert_true(text_same_letters("a\xff", "A\xff")); /* no UTF-8 */
    assert_false(text_same_letters("\xff", "\xfe"));
    assert_false(text_same_letters("\xc3", "\xc3\xa9"));
    assert_int_equal(repo_compare("Acme/App", "aCME/aPP"), 0);
    assert_int_not_equal(repo_compare("acme/app", "acme/apps"), 0);
    AUTO_FREE char *key = repo_key("Acme/A_p-p.1");
    assert_string_equal(key, "acme/a_p-p.1");
}

TEST(a_glob_counts_characters_and_names_itself)
{
    assert_true(text_glob("Build / test (ubuntu, [3.11]) (push)", "Build / test (ubuntu, [3.11]) (push)"));
    assert_true(text_glob("build?", "buildé"));
    assert_true(text_glob("☂?[ä-ü]*", "☂ öx"));
    assert_false(text_glob("build??", "buildé"));
    assert_true(text_glob("build*", "build / linux"));
    assert_false(text_glob("build*", "Build / linux"));
    assert_false(text_glob("test [3.11]", "test 3"
                                          "x"));
}

TEST(what_failed_is_left_alone_for_a_growing_while)
{
    static const int64_t expected[] = {1000, 2000, 4000, 5000, 5000};
    for (unsigned i = 0; i < ARRAY_LEN(expected); i++)
        assert_int_equal(backoff_ms(1000, 5000, i), expected[i]);
    assert_int_equal(backoff_ms(9000, 5000, 0), 5000);
    assert_int_equal(backoff_ms(1000, 5000, UINT32_MAX), 5000);
}

TEST(a_moment_that_has_passed_is_not_waited_for)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t cond;
    cond_init(&cond);
    pthread_mutex_lock(&lock);
    assert_int_equal(cond_wait_until(&cond, &lock, clock_mono_ms() - 1), ETIMEDOUT);
    int64_t until_ms = clock_mono_ms() + 2;
    while (cond_wait_until(&cond, &lock, until_ms) != ETIMEDOUT)
        ;
    assert_true(clock_mono_ms() >= until_ms);
    pthread_mutex_unlock(&lock);
    pthread_cond_destroy(&cond);
}
