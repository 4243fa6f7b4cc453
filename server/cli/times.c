#include "server/cli/times.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

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
