#include "server/cli/times.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clients/base/err.h"
#include "clients/base/text.h"

enum { MINUTE_S = 60, HOUR_S = 3600, DAY_S = 86400 };
#define SECOND_US INT64_C(1000000)

void duration_words(int64_t seconds, char ret[TIME_TEXT_SIZE])
{
    int64_t days = seconds / DAY_S, hours = seconds % DAY_S / HOUR_S, minutes = seconds % HOUR_S / MINUTE_S;
    if (days && hours)
        snprintf(ret, TIME_TEXT_SIZE, "%" PRId64 " d %" PRId64 " h", days, hours);
    else if (days)
        snprintf(ret, TIME_TEXT_SIZE, "%" PRId64 " d", days);
    else if (hours && minutes)
        snprintf(ret, TIME_TEXT_SIZE, "%" PRId64 " h %" PRId64 " min", hours, minutes);
    else if (hours)
        snprintf(ret, TIME_TEXT_SIZE, "%" PRId64 " h", hours);
    else if (minutes)
        snprintf(ret, TIME_TEXT_SIZE, "%" PRId64 " min", minutes);
    else
        snprintf(ret, TIME_TEXT_SIZE, "%" PRId64 " s", seconds);
}

void moment_words(int64_t us, int64_t now_us, char ret[TIME_TEXT_SIZE])
{
    time_t at = us / SECOND_US, now = now_us / SECOND_US;
    struct tm then, today;
    if (!localtime_r(&at, &then) || !localtime_r(&now, &today)) {
        snprintf(ret, TIME_TEXT_SIZE, "-");
        return;
    }
    size_t len;
    if (then.tm_year != today.tm_year)
        len = strftime(ret, TIME_TEXT_SIZE, "%Y-%m-%d %H:%M", &then);
    else if (then.tm_yday != today.tm_yday)
        len = strftime(ret, TIME_TEXT_SIZE, "%b %e %H:%M", &then);
    else
        len = strftime(ret, TIME_TEXT_SIZE, "%H:%M:%S", &then);
    if (len == 0)
        snprintf(ret, TIME_TEXT_SIZE, "-");
}

const char *moment_of(const char *instant, char ret[TIME_TEXT_SIZE])
{
    int64_t us;
    if (instant && instant_parse(instant, &us))
        moment_words(us, clock_wall_us(), ret);
    else
        snprintf(ret, TIME_TEXT_SIZE, "-");
    return ret;
}

bool duration_parse(const char *text, int64_t *ret_s)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'d', DAY_S}, {'h', HOUR_S}, {'m', MINUTE_S}, {'s', 1}};
    int64_t total = 0, number;
    size_t at = 0;
    while (*text) {
        size_t len = strspn(text, "0123456789");
        char digits[8];
        if (len == 0 || len >= sizeof digits)
            return false;
        memcpy(digits, text, len);
        digits[len] = '\0';
        while (at < ARRAY_LEN(units) && units[at].unit != text[len])
            at++;
        if (at == ARRAY_LEN(units) || !parse_i64(digits, 0, INT32_MAX, &number))
            return false;
        total += number * units[at++].seconds;
        text += len + 1;
    }
    if (total == 0)
        return false;
    *ret_s = total;
    return true;
}

/* "HH:MM" into hour and minute. */
static bool clock_parse(const char *text, struct tm *ret)
{
    const char *rest = strptime(text, "%H:%M", ret);
    return strspn(text, "0123456789:") == 5 && rest && *rest == '\0';
}

bool until_parse(const char *text, int64_t now_us, int64_t *ret_us)
{
    time_t now = now_us / SECOND_US, at;
    struct tm local, wanted = {0};
    if (instant_parse(text, ret_us))
        return true;
    if (!clock_parse(text, &wanted) || !localtime_r(&now, &local))
        return false;
    local.tm_hour = wanted.tm_hour;
    local.tm_min = wanted.tm_min;
    local.tm_sec = 0;
    local.tm_isdst = -1;
    struct tm next = local;
    next.tm_mday++;
    at = mktime(&local);
    if (at <= now)
        at = mktime(&next);
    *ret_us = at * SECOND_US;
    return at > now;
}
