/* times.h - times as people write and read them. Private to server/cli/. */
#ifndef RECONCILED_CLI_TIMES_H
#define RECONCILED_CLI_TIMES_H

#include <stdbool.h>
#include <stdint.h>

#define TIME_TEXT_SIZE 48

/* duration_words: "12 s", "5 min", "1 h 20 min", "3 d 4 h". */
void duration_words(int64_t seconds, char ret[TIME_TEXT_SIZE]);
/* moment_words: local time, as short as `now_us` allows: "14:05", "Nov 24 14:05", "2025-11-24 14:05"; with
 * seconds where it is today. */
void moment_words(int64_t us, int64_t now_us, char ret[TIME_TEXT_SIZE]);
/* moment_of: the same of an RFC 3339 text; "-" for NULL or what is no instant. */
const char *moment_of(const char *instant, char ret[TIME_TEXT_SIZE]);
/* duration_parse: "2h30m": whole numbers of d, h, m and s, the larger first, each at most once; more than 0.
 */
bool duration_parse(const char *text, int64_t *ret_s);
/* until_parse: RFC 3339, or "HH:MM" local time, the next one after `now_us`. */
bool until_parse(const char *text, int64_t now_us, int64_t *ret_us);

#endif
