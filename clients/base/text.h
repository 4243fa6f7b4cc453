/* text.h - checked parsing of numbers and instants, UUIDs, text that must be valid UTF-8, and text that grows
 * up to a limit, and files read up to one.
 *
 * Instants are int64 microseconds since 1970-01-01T00:00:00Z ("us"); durations are int64 milliseconds ("ms")
 * of the monotonic clock, or seconds ("s") where a setting or a column is in seconds. Thread-safe; the locale
 * of the process does not matter.
 */
#ifndef RECONCILED_BASE_TEXT_H
#define RECONCILED_BASE_TEXT_H

#include <locale.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "clients/base/err.h"

#define UUID_TEXT_LEN 36
#define UUID_DIGITS 32
struct uuid_text {
    char s[UUID_TEXT_LEN + 1]; /* lower case */
};

/* parse_i64: the whole of `text` as a decimal integer within [min, max]; no spaces, no '+'. On false *ret is
 * unchanged. */
bool parse_i64(const char *text, int64_t min, int64_t max, int64_t *ret);

/* parse_bool: true/false, 1/0, yes/no, on/off, any case. */
bool parse_bool(const char *text, bool *ret);

/* instant_parse: RFC 3339 (also what Plane and Gitea print): 'T' or space, a fraction of any length, 'Z' or
 * ±hh:mm. Refuses a text without a zone, a date that does not exist, and further characters. */
bool instant_parse(const char *text, int64_t *ret_us);

/* instant_format: RFC 3339 UTC; microseconds are printed only when not zero ("2026-11-23T20:00:00Z"). */
#define INSTANT_TEXT_SIZE 64
void instant_format(int64_t us, char ret_text[INSTANT_TEXT_SIZE]);

/* How an instant is written. */
struct instant_form {
    char separator;   /* 'T', 't' or a space */
    bool has_seconds; /* else hours and minutes alone */
    size_t digits;    /* of the fraction; 0: none */
    char zone;        /* 'Z', 'z', '+', '-'; '\0': none, which is UTC */
    int offset_s;
};
/* instant_read: as instant_parse, but seconds and zone may be missing. instant_write: writes the instant in
 * that form, with at most 9 digits of the fraction; smaller parts are cut off. */
bool instant_read(const char *text, int64_t *ret_us, struct instant_form *ret_form);
void instant_write(int64_t us, const struct instant_form *form, char ret_text[INSTANT_TEXT_SIZE]);

/* clock_wall_us: this machine's clock, only for display and logs: ages come from the database's clock
 * (reconcile/README.md, rule 9). clock_mono_ms: for durations and deadlines within the process. */
int64_t clock_wall_us(void);
int64_t clock_mono_ms(void);

/* uuid_new: a random UUID (v4). uuid_from_name: v5 (RFC 9562) of `name` in the namespace of this program: the
 * same name always gives the same id. uuid_valid: 8-4-4-4-12 hex digits, any case. */
struct uuid_text uuid_new(void);
struct uuid_text uuid_from_name(const char *name);
bool uuid_valid(const char *text);

/* uuid_read: what a database may hold: 32 hex digits with the usual four hyphens or without any, all lower or
 * all upper case, and nothing else. *ret is lower case with hyphens. On false *ret is unchanged. */
bool uuid_read(const char *text, struct uuid_text *ret);

/* How a UUID is written in such a column. uuid_form_of: false when `text` is not one. */
struct uuid_form {
    bool bare;  /* without hyphens */
    bool upper; /* in upper case */
};
bool uuid_form_of(const char *text, struct uuid_form *ret);
/* uuid_write: `text` in that form if uuid_read accepts it, else a copy of `text`. Caller frees. */
char *uuid_write(const char *text, struct uuid_form form);

/* utf8_valid_len: the length of the longest prefix of text[0..len) that is valid UTF-8 (RFC 3629) and has no
 * NUL. */
size_t utf8_valid_len(const char *text, size_t len);

/* text_bom_len: the length of the byte order mark that the text begins with; 0: it has none. Editors put one
 * before the UTF-8 of a file. */
size_t text_bom_len(const char *text, size_t len);

/* text_hidden_len: the length in bytes of the character at `text` if it is hidden: invisible, and able to
 * change how the text around it is shown. These are control characters (C0, DEL, C1), line separators,
 * direction marks and other format characters, except the joiners (U+200C, U+200D), which words and emoji
 * need. 0: it is not hidden.
 */
size_t text_hidden_len(const char *text, size_t len);
/* text_escape: a hidden character as JSON writes it: "\u202e", in UTF-16. */
#define TEXT_ESCAPE_SIZE 13
void text_escape(const char *character, size_t len, char ret[TEXT_ESCAPE_SIZE]);

/* text_cut: `text` cut to at most `max` bytes at a character boundary, invalid bytes replaced by '?', hidden
 * characters by ' '. NULL gives NULL. Caller frees. Use it for every text from outside that goes into a
 * reason or a log line. */
char *text_cut(const char *text, size_t max);

/* text_utf8_use: makes UTF-8 the character encoding of the calling thread, where C.UTF-8 is installed;
 * returns the thread's locale before, for uselocale(3). */
locale_t text_utf8_use(void);

/* text_same_letters: whether two texts in UTF-8 differ in case at most, by Unicode's simple mapping of one
 * character to one. text_glob: whether `text` is `pattern` itself, or matches it as fnmatch(3) does, where ?
 * is one character. Both read UTF-8 by glibc's C.UTF-8, and bytes where that is not installed. */
bool text_same_letters(const char *a, const char *b);
/* text_has_letters: whether `part` is in the text, compared in the same way. */
bool text_has_letters(const char *text, const char *part);
bool text_glob(const char *pattern, const char *text);

/* text_mend: as text_cut, for bytes that may hold a NUL. */
char *text_mend(const char *bytes, size_t len, size_t max);

/* struct buffer: text that grows, up to `max` bytes and a NUL. A piece that does not fit is left out,
 * together with every later one, and `full` is set. Initialise it as {.max = LIMIT_…}. */
struct buffer {
    size_t max;
    char *text; /* NULL before the first piece */
    size_t len, size;
    bool full;
};
void buffer_put(struct buffer *buffer, const char *bytes, size_t len);
void buffer_puts(struct buffer *buffer, const char *text);
void buffer_putc(struct buffer *buffer, char byte);
void buffer_printf(struct buffer *buffer, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* buffer_item: the same, with `separator` before it unless the buffer is empty. */
void buffer_item(struct buffer *buffer, const char *separator, const char *fmt, ...) ATTR_PRINTF(3, 4);

/* buffer_take: returns the text and empties the buffer; "" if nothing was put. buffer_take_whole: the same,
 * but NULL if the buffer is full. Caller frees. */
char *buffer_take(struct buffer *buffer) __attribute__((returns_nonnull));
char *buffer_take_whole(struct buffer *buffer);

/* text_list: the texts of a list that NULL ends, as "a, b, c", without those beyond LIMIT_LISTED. Caller
 * frees. */
char *text_list(const char *const *texts) __attribute__((returns_nonnull));

/* file_read: at most `size` bytes of a regular file, from its beginning; how many, or -1 with errno. It does
 * not wait, as for a writer to a pipe it would. file_error: that errno in words. */
ssize_t file_read(const char *path, char *ret_bytes, size_t size);
const char *file_error(void);

/* secret_keep: registers a secret for secret_scrub. A secret of fewer than SECRET_LEN_MIN characters is not
 * registered, because ordinary words would match it. Call it before any thread starts. secret_scrub:
 * overwrites each secret in text[0..len) with '*', in any case, and also where it is percent-encoded or
 * escaped as in JSON. For answers of upstreams and for text that leaves the process. */
enum { SECRET_LEN_MIN = 8 };
void secret_keep(const char *secret);
void secret_scrub(char *text, size_t len);

/* duration_text: "24 h", "90 min", "45 s": the largest of these units that divides it. Caller frees. */
char *duration_text(int64_t seconds);

/* text_behind: what follows `begin` in a text that begins with it, borrowed; NULL: it begins otherwise. */
const char *text_behind(const char *text, const char *begin);

/* repo_compare: compares two repositories' names; 0 if they name the same repository. Names are ASCII, and
 * Gitea ignores their case. repo_key: the name as a key, the same for every spelling. Caller frees.
 */
int repo_compare(const char *a, const char *b);
char *repo_key(const char *repo);

/* secret_equal: compares in a time that depends only on the lengths. */
bool secret_equal(const char *a, const char *b);

#endif
