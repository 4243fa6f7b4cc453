/* Widths of texts, and times as people read them. */
#include "server/cli/screen.h"
#include "server/cli/times.h"
#include <time.h>

#include "tests/support/test.h"

TEST(a_text_is_as_wide_as_a_terminal_shows_it)
{
    static const struct {
        const char *text;
        size_t columns;
        const char *in_five;
    } cases[] = {
        {"", 0, ""},         {"abcde", 5, "abcde"},  {"abcdef", 6, "abcd…"},       {"Größe", 5, "Größe"},
        {"表示", 4, "表示"}, {"表示幅", 6, "表示…"}, {"e\u0301té", 3, "e\u0301té"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_FREE char *fit = text_fit(cases[i].text, 5);
        assert_int_equal(text_columns(cases[i].text), cases[i].columns);
        assert_string_equal(fit, cases[i].in_five);
    }
}

TEST(a_duration_has_two_units_at_most)
{
    static const struct {
        int64_t seconds;
        const char *words;
    } cases[] = {{0, "0 s"},           {59, "59 s"},   {60, "1 min"},      {3599, "59 min"}, {3600, "1 h"},
                 {4800, "1 h 20 min"}, {86400, "1 d"}, {90000, "1 d 1 h"}, {86460, "1 d"}};
    char words[TIME_TEXT_SIZE];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        duration_words(cases[i].seconds, words);
        assert_string_equal(words, cases[i].words);
    }
}

TEST(a_moment_is_local_and_as_short_as_it_may_be)
{
    const int64_t now = INT64_C(1795471200) * 1000000; /* 2026-11-23 22:00 UTC, the next day in Moscow */
    char words[TIME_TEXT_SIZE];
    assert_int_equal(setenv("TZ", "MSK-3", 1), 0);
    tzset();
    moment_words(now - INT64_C(1000000), now, words);
    assert_string_equal(words, "00:59:59");
    moment_words(now - INT64_C(3601) * 1000000, now, words);
    assert_string_equal(words, "Nov 23 23:59");
    moment_words(now - INT64_C(86400) * 365 * 1000000, now, words);
    assert_string_equal(words, "2025-11-24 01:00");
    assert_string_equal(moment_of("soon", words), "-");
}

TEST(a_duration_is_read_from_the_largest_unit_on)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } good[] = {{"30s", 30}, {"5m", 300}, {"2h30m", 9000}, {"1d", 86400}, {"1d2h3m4s", 93784}, {"90m", 5400}};
    static const char *const bad[] = {"",     "0s",  "30",   "h",  "2h30",     "30m2h",
                                      "1h1h", "-1h", "1.5h", "1w", "12345678s"};
    int64_t seconds = -1;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(duration_parse(good[i].text, &seconds));
        assert_int_equal(seconds, good[i].seconds);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(duration_parse(bad[i], &seconds));
}

TEST(a_time_of_day_is_the_next_one)
{
    const int64_t now = INT64_C(1795471200); /* 01:00 in Moscow */
    int64_t at = 0;
    assert_int_equal(setenv("TZ", "MSK-3", 1), 0);
    tzset();
    assert_true(until_parse("01:30", now * 1000000, &at));
    assert_int_equal(at / 1000000, now + 1800);
    assert_true(until_parse("01:00", now * 1000000, &at));
    assert_int_equal(at / 1000000, now + 86400);
    assert_true(until_parse("00:30", now * 1000000, &at));
    assert_int_equal(at / 1000000, now + 84600);
    assert_true(until_parse("2026-11-24T18:30:00Z", now * 1000000, &at));
    static const char *const bad[] = {"", "25:00", "12:60", "9:5", "noon", "18:30:00", " 9:30", "2026-11-24"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(until_parse(bad[i], now * 1000000, &at));
}
