#include "clients/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <limits.h>
#include <locale.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uuid/uuid.h>
#include <wchar.h>
#include <wctype.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"

enum { SECRETS_MAX = 64 };

bool parse_i64(const char *text, int64_t min, int64_t max, int64_t *ret)
{
    const char *digits = *text == '-' ? text + 1 : text;
    if (!*digits || strspn(digits, "0123456789") != strlen(digits))
        return false;
    errno = 0;
    intmax_t value = strtoimax(text, NULL, 10);
    if (errno || value < min || value > max)
        return false;
    *ret = (int64_t)value;
    return true;
}

bool parse_bool(const char *text, bool *ret)
{
    static const struct {
        const char *word;
        bool value;
    } error[] = {{"true", true},   {"1", true},  {"yes", true}, {"on", true},
                 {"false", false}, {"0", false}, {"no", false}, {"off", false}};
    for (size_t i = 0; i < ARRAY_LEN(error); i++)
        if (strcasecmp(text, error[i].word) == 0) {
            *ret = error[i].value;
            return true;
        }
    return false;
}

/* Reads exactly `digits` decimal digits at *at and moves it on. */
static bool take_digits(const char **at, int digits, int *ret)
{
    int value = 0;
    for (int i = 0; i < digits; i++, (*at)++) {
        if (!isdigit((unsigned char)**at))
            return false;
        value = value * 10 + (**at - '0');
    }
    *ret = value;
    return true;
}

static bool take_char(const char **at, const char *any_of)
{
    if (!**at || !strchr(any_of, **at))
        return false;
    (*at)++;
    return true;
}

/* Of any length; what is finer than a microsecond is dropped. */
static bool take_fraction(const char **at, size_t *ret_digits, int *ret_us)
{
    enum { DIGITS = 6 };
    *ret_digits = 0;
    *ret_us = 0;
    if (!take_char(at, "."))
        return true;
    *ret_digits = strspn(*at, "0123456789");
    for (size_t i = 0; i < DIGITS; i++)
        *ret_us = *ret_us * 10 + (i < *ret_digits ? (*at)[i] - '0' : 0);
    *at += *ret_digits;
    return *ret_digits > 0;
}

/* No zone is UTC. */
static bool take_zone(const char **at, char *ret_zone, int *ret_offset_s)
{
    *ret_zone = **at;
    *ret_offset_s = 0;
    if (!**at || take_char(at, "Zz"))
        return true;
    int sign = **at == '-' ? -1 : 1, hours, minutes;
    if (!take_char(at, "+-") || !take_digits(at, 2, &hours) || !take_char(at, ":") ||
        !take_digits(at, 2, &minutes))
        return false;
    *ret_offset_s = sign * (hours * 3600 + minutes * 60);
    return hours <= 23 && minutes <= 59;
}

/* The day must exist, and leap seconds are refused: the clocks that are compared have none. */
static bool exists(int year, const struct tm *tm)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return tm->tm_mon >= 0 && tm->tm_mon <= 11 && tm->tm_mday >= 1 &&
           tm->tm_mday <= days[tm->tm_mon] + (tm->tm_mon == 1 && is_leap) && tm->tm_hour <= 23 &&
           tm->tm_min <= 59 && tm->tm_sec <= 59;
}

bool instant_read(const char *text, int64_t *ret_us, struct instant_form *ret_form)
{
    const char *at = text;
    struct instant_form form = {.separator = ' '};
    struct tm tm = {0};
    int year, month, us = 0;
    if (!take_digits(&at, 4, &year) || !take_char(&at, "-") || !take_digits(&at, 2, &month) ||
        !take_char(&at, "-") || !take_digits(&at, 2, &tm.tm_mday))
        return false;
    form.separator = *at;
    if (!take_char(&at, "Tt ") || !take_digits(&at, 2, &tm.tm_hour) || !take_char(&at, ":") ||
        !take_digits(&at, 2, &tm.tm_min))
        return false;
    form.has_seconds = take_char(&at, ":");
    if ((form.has_seconds && (!take_digits(&at, 2, &tm.tm_sec) || !take_fraction(&at, &form.digits, &us))) ||
        !take_zone(&at, &form.zone, &form.offset_s) || *at)
        return false;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    if (!exists(year, &tm))
        return false;
    *ret_us = ((int64_t)timegm(&tm) - form.offset_s) * 1000000 + us;
    *ret_form = form;
    return true;
}

bool instant_parse(const char *text, int64_t *ret_us)
{
    int64_t us;
    struct instant_form form;
    if (!instant_read(text, &us, &form) || !form.has_seconds || !form.zone)
        return false;
    *ret_us = us;
    return true;
}

void instant_write(int64_t us, const struct instant_form *form, char ret_text[INSTANT_TEXT_SIZE])
{
    enum { DIGITS_MAX = 9 };
    us += form->offset_s * INT64_C(1000000);
    int64_t fraction = (us % 1000000 + 1000000) % 1000000;
    time_t time = (time_t)((us - fraction) / 1000000);
    struct tm tm;
    gmtime_r(&time, &tm);
    char day[16], clock[16], digits[16], zone[16] = "";
    (void)strftime(day, sizeof day, "%Y-%m-%d", &tm);
    (void)strftime(clock, sizeof clock, form->has_seconds ? "%H:%M:%S" : "%H:%M", &tm);
    (void)snprintf(digits, sizeof digits, ".%06d000", (int)fraction);
    size_t n = form->digits < DIGITS_MAX ? form->digits : DIGITS_MAX;
    int offset_min = abs(form->offset_s) / 60;
    if (form->zone == '+' || form->zone == '-')
        (void)snprintf(zone, sizeof zone, "%c%02d:%02d", form->zone, offset_min / 60, offset_min % 60);
    else if (form->zone)
        zone[0] = form->zone;
    (void)snprintf(ret_text, INSTANT_TEXT_SIZE, "%s%c%s%.*s%s", day, form->separator, clock,
                   n ? (int)n + 1 : 0, digits, zone);
}

void instant_format(int64_t us, char ret_text[INSTANT_TEXT_SIZE])
{
    int64_t seconds = us / 1000000, fraction = us % 1000000;
    if (fraction < 0) {
        fraction += 1000000;
        seconds--;
    }
    time_t time = (time_t)seconds;
    struct tm tm;
    gmtime_r(&time, &tm);
    size_t len = strftime(ret_text, INSTANT_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    if (fraction)
        len += (size_t)snprintf(ret_text + len, INSTANT_TEXT_SIZE - len, ".%06d", (int)fraction);
    snprintf(ret_text + len, INSTANT_TEXT_SIZE - len, "Z");
}

static int64_t clock_read(clockid_t clock, int64_t per_second)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * per_second + now.tv_nsec / (1000000000 / per_second);
}

int64_t clock_wall_us(void)
{
    return clock_read(CLOCK_REALTIME, 1000000);
}

int64_t clock_mono_ms(void)
{
    return clock_read(CLOCK_MONOTONIC, 1000);
}

struct uuid_text uuid_new(void)
{
    uuid_t id;
    struct uuid_text text;
    uuid_generate_random(id);
    uuid_unparse_lower(id, text.s);
    return text;
}

struct uuid_text uuid_from_name(const char *name)
{
    /* The namespace of this program, made once at random. */
    static const char namespace[] = "3d0f3a52-8c1e-4b7e-9a53-6c2f7f0b9d41";
    uuid_t space, id;
    struct uuid_text text;
    (void)uuid_parse(namespace, space);
    uuid_generate_sha1(id, space, name, strlen(name));
    uuid_unparse_lower(id, text.s);
    return text;
}

bool uuid_valid(const char *text)
{
    uuid_t id;
    return strlen(text) == UUID_TEXT_LEN && uuid_parse(text, id) == 0;
}

bool uuid_form_of(const char *text, struct uuid_form *ret)
{
    size_t lower = 0, upper = 0, len = strlen(text);
    if (len != UUID_TEXT_LEN && len != UUID_DIGITS)
        return false;
    for (size_t i = 0; i < len; i++) {
        bool hyphen = len == UUID_TEXT_LEN && (i == 8 || i == 13 || i == 18 || i == 23);
        if (hyphen ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
            return false;
        lower += text[i] >= 'a';
        upper += text[i] >= 'A' && text[i] <= 'F';
    }
    if (lower && upper)
        return false;
    *ret = (struct uuid_form){.bare = len == UUID_DIGITS, .upper = upper > 0};
    return true;
}

bool uuid_read(const char *text, struct uuid_text *ret)
{
    struct uuid_form form;
    struct uuid_text id = {""};
    if (!uuid_form_of(text, &form))
        return false;
    for (size_t i = 0; i < UUID_TEXT_LEN; i++) {
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        id.s[i] = hyphen ? '-' : (char)tolower((unsigned char)*text);
        text += !hyphen || !form.bare;
    }
    *ret = id;
    return true;
}

char *uuid_write(const char *text, struct uuid_form form)
{
    struct uuid_text id;
    if (!uuid_read(text, &id))
        return mem_dup(text);
    size_t len = 0;
    for (const char *c = id.s; *c; c++)
        if (*c != '-' || !form.bare)
            id.s[len++] = (char)(form.upper ? toupper((unsigned char)*c) : *c);
    id.s[len] = '\0';
    return mem_dup(id.s);
}

/* utf8_next: the length of the character at text, or 0 if there is none that RFC 3629 allows. */
static size_t utf8_next(const unsigned char *text, size_t len)
{
    unsigned char first = text[0];
    if (first == 0)
        return 0;
    if (first < 0x80)
        return 1;
    size_t n = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || n > len)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (first == 0xe0 && text[1] < 0xa0) || (first == 0xf0 && text[1] < 0x90);
    bool surrogate = first == 0xed && text[1] >= 0xa0;
    bool too_high = first == 0xf4 && text[1] >= 0x90;
    return overlong || surrogate || too_high ? 0 : n;
}

size_t utf8_valid_len(const char *text, size_t len)
{
    size_t at = 0;
    while (at < len) {
        size_t n = utf8_next((const unsigned char *)text + at, len - at);
        if (n == 0)
            break;
        at += n;
    }
    return at;
}

size_t text_bom_len(const char *text, size_t len)
{
    static const char mark[] = "\xef\xbb\xbf";
    return len >= sizeof mark - 1 && memcmp(text, mark, sizeof mark - 1) == 0 ? sizeof mark - 1 : 0;
}

static uint32_t utf8_value(const char *text, size_t len)
{
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t value = (unsigned char)text[0] & masks[len];
    for (size_t i = 1; i < len; i++)
        value = value << 6 | ((unsigned char)text[i] & 0x3f);
    return value;
}

size_t text_hidden_len(const char *text, size_t len)
{
    /* Unicode 16: categories Cc, Cf, Zl, Zp. */
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x0001, 0x001f},   {0x007f, 0x009f},   {0x00ad, 0x00ad},   {0x0600, 0x0605},   {0x061c, 0x061c},
        {0x06dd, 0x06dd},   {0x070f, 0x070f},   {0x0890, 0x0891},   {0x08e2, 0x08e2},   {0x180e, 0x180e},
        {0x200b, 0x200b},   {0x200e, 0x200f},   {0x2028, 0x202e},   {0x2060, 0x206f},   {0xfeff, 0xfeff},
        {0xfff9, 0xfffb},   {0x110bd, 0x110bd}, {0x110cd, 0x110cd}, {0x13430, 0x1343f}, {0x1bca0, 0x1bca3},
        {0x1d173, 0x1d17a}, {0xe0001, 0xe007f},
    };
    size_t n = utf8_next((const unsigned char *)text, len);
    uint32_t value = n ? utf8_value(text, n) : 0;
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
        if (value >= ranges[i].first && value <= ranges[i].last)
            return n;
    return 0;
}

void text_escape(const char *character, size_t len, char ret[TEXT_ESCAPE_SIZE])
{
    uint32_t value = utf8_value(character, len);
    if (value > 0xffff)
        snprintf(ret, TEXT_ESCAPE_SIZE, "\\u%04x\\u%04x", (unsigned)(0xd7c0 + (value >> 10)) & 0xffffU,
                 (unsigned)(0xdc00 + (value & 0x3ff)));
    else
        snprintf(ret, TEXT_ESCAPE_SIZE, "\\u%04x", (unsigned)value);
}

char *text_cut(const char *text, size_t max)
{
    return text ? text_mend(text, strnlen(text, max + 4), max) : NULL;
}

char *text_mend(const char *bytes, size_t len, size_t max)
{
    size_t at = 0, used = 0;
    char *copy = mem_zero(max + 1, 1);
    while (at < len && used < max) {
        size_t n = utf8_next((const unsigned char *)bytes + at, len - at);
        bool hidden = text_hidden_len(bytes + at, len - at) > 0;
        if (!hidden && n > max - used)
            break;
        if (n == 0)
            copy[used] = '?';
        else if (hidden)
            copy[used] = ' ';
        else
            memcpy(copy + used, bytes + at, n);
        used += n && !hidden ? n : 1;
        at += n ? n : 1;
    }
    return copy;
}

/* Room for `more` bytes and a NUL. It doubles, but to the limit at most. */
static bool buffer_reserve(struct buffer *buffer, size_t more)
{
    buffer->full = buffer->full || more > buffer->max - buffer->len;
    if (buffer->full)
        return false;
    size_t needed = buffer->len + more + 1;
    if (needed > buffer->size) {
        buffer->size = 2 * needed < buffer->max ? 2 * needed : buffer->max + 1;
        buffer->text = mem_grow(buffer->text, buffer->size, 1);
    }
    return true;
}

void buffer_put(struct buffer *buffer, const char *bytes, size_t len)
{
    if (!buffer_reserve(buffer, len))
        return;
    memcpy(buffer->text + buffer->len, bytes, len);
    buffer->len += len;
    buffer->text[buffer->len] = '\0';
}

void buffer_puts(struct buffer *buffer, const char *text)
{
    buffer_put(buffer, text, strlen(text));
}

void buffer_putc(struct buffer *buffer, char byte)
{
    buffer_put(buffer, &byte, 1);
}

static void buffer_vprintf(struct buffer *buffer, const char *fmt, va_list args) ATTR_PRINTF(2, 0);
static void buffer_vprintf(struct buffer *buffer, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    if (buffer_reserve(buffer, 0)) {
        size_t room = buffer->size - buffer->len;
        int len = vsnprintf(buffer->text + buffer->len, room, fmt, args);
        if (len >= 0 && (size_t)len >= room && buffer_reserve(buffer, (size_t)len))
            (void)vsnprintf(buffer->text + buffer->len, (size_t)len + 1, fmt, again);
        buffer->len += len > 0 && !buffer->full ? (size_t)len : 0;
        buffer->text[buffer->len] = '\0'; /* a piece that was cut is left out */
    }
    va_end(again);
}

void buffer_printf(struct buffer *buffer, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    buffer_vprintf(buffer, fmt, args);
    va_end(args);
}

void buffer_item(struct buffer *buffer, const char *separator, const char *fmt, ...)
{
    va_list args;
    size_t before = buffer->len;
    if (before > 0)
        buffer_puts(buffer, separator);
    va_start(args, fmt);
    buffer_vprintf(buffer, fmt, args);
    va_end(args);
    buffer->len = buffer->full ? before : buffer->len;
    if (buffer->full && buffer->text)
        buffer->text[before] = '\0';
}

char *buffer_take(struct buffer *buffer)
{
    char *text = buffer->text ? buffer->text : mem_dupn("", 0);
    *buffer = (struct buffer){.max = buffer->max};
    return text;
}

char *buffer_take_whole(struct buffer *buffer)
{
    if (!buffer->full)
        return buffer_take(buffer);
    free(buffer->text);
    *buffer = (struct buffer){.max = buffer->max};
    return NULL;
}

char *text_list(const char *const *texts)
{
    struct buffer list = {.max = LIMIT_LISTED};
    for (; *texts; texts++)
        buffer_item(&list, ", ", "%s", *texts);
    return buffer_take(&list);
}

/* open's own error for a socket, and for a device that is not there. */
enum { NOT_REGULAR = ENXIO };

static int file_open(const char *path)
{
    struct stat stat;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || (fstat(fd, &stat) == 0 && (S_ISREG(stat.st_mode) || S_ISDIR(stat.st_mode))))
        return fd; /* to read a folder is an error of its own */
    close(fd);
    errno = NOT_REGULAR;
    return -1;
}

ssize_t file_read(const char *path, char *ret_bytes, size_t size)
{
    int fd = file_open(path);
    if (fd < 0)
        return -1;
    size_t used = 0;
    ssize_t got = 1;
    while (used < size && got != 0) {
        got = read(fd, ret_bytes + used, size - used);
        if (got < 0 && errno != EINTR)
            break;
        used += got > 0 ? (size_t)got : 0;
    }
    int failure = errno;
    close(fd);
    errno = failure;
    return got < 0 ? -1 : (ssize_t)used;
}

const char *file_error(void)
{
    return errno == NOT_REGULAR ? "it is no regular file" : strerror(errno);
}

/* Written by secret_keep alone, before there are threads. */
static struct {
    char *texts[SECRETS_MAX];
    size_t n;
    bool begins[UCHAR_MAX + 1]; /* bytes with which one may begin, in any spelling */
} secrets;

void secret_keep(const char *secret)
{
    if (!secret || strlen(secret) < SECRET_LEN_MIN || secrets.n == SECRETS_MAX)
        return;
    for (size_t i = 0; i < secrets.n; i++)
        if (strcmp(secrets.texts[i], secret) == 0)
            return;
    secrets.begins[tolower((unsigned char)*secret)] = true;
    secrets.begins[toupper((unsigned char)*secret)] = true;
    secrets.begins['%'] = secrets.begins['\\'] = true;
    secrets.texts[secrets.n++] = mem_dup(secret);
}

static int hex_value(const char *digits, size_t n)
{
    int value = 0;
    for (size_t i = 0; i < n; i++) {
        int c = tolower((unsigned char)digits[i]);
        if (!isxdigit(c))
            return -1;
        value = value * 16 + (c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return value;
}

/* How many bytes at `text` spell the character `c`; 0: they do not. */
static size_t spelling_len(const char *text, size_t len, char c)
{
    int wanted = tolower((unsigned char)c);
    if (len >= 3 && *text == '%' && tolower(hex_value(text + 1, 2)) == wanted)
        return 3;
    if (len >= 6 && *text == '\\' && text[1] == 'u' && hex_value(text + 2, 4) < 0x80 &&
        tolower(hex_value(text + 2, 4)) == wanted)
        return 6;
    if (len >= 2 && *text == '\\' && text[1] == c)
        return 2;
    return len >= 1 && tolower((unsigned char)*text) == wanted;
}

static size_t secret_len(const char *text, size_t len, const char *secret)
{
    size_t at = 0;
    for (; *secret; secret++) {
        size_t n = spelling_len(text + at, len - at, *secret);
        if (n == 0)
            return 0;
        at += n;
    }
    return at;
}

void secret_scrub(char *text, size_t len)
{
    for (size_t at = 0; at < len && secrets.n > 0; at++) {
        size_t longest = 0;
        for (size_t i = 0; secrets.begins[(unsigned char)text[at]] && i < secrets.n; i++) {
            size_t n = secret_len(text + at, len - at, secrets.texts[i]);
            longest = n > longest ? n : longest;
        }
        if (longest == 0)
            continue;
        memset(text + at, '*', longest);
        at += longest - 1;
    }
}

static locale_t utf8; /* (locale_t)0: not installed */

static void utf8_open(void)
{
    utf8 = newlocale(LC_CTYPE_MASK | LC_COLLATE_MASK, "C.UTF-8", (locale_t)0);
}

locale_t text_utf8_use(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, utf8_open);
    return uselocale(utf8);
}

/* The next character, the same for both of its cases; a byte that begins none is beyond all of them. */
static wint_t letter_take(const char **at)
{
    enum { BEYOND = 0x110000 };
    mbstate_t state = {0};
    wchar_t c;
    size_t len = mbrtowc(&c, *at, strnlen(*at, MB_LEN_MAX), &state);
    if (len == 0 || len > MB_LEN_MAX)
        return BEYOND + (unsigned char)*(*at)++;
    *at += len;
    return towlower(towupper((wint_t)c));
}

bool text_same_letters(const char *a, const char *b)
{
    locale_t before = text_utf8_use();
    bool same = true;
    while (same && *a && *b)
        same = letter_take(&a) == letter_take(&b);
    (void)uselocale(before);
    return same && *a == *b;
}

bool text_has_letters(const char *text, const char *part)
{
    locale_t before = text_utf8_use();
    bool has = !*part;
    while (!has && *text) {
        const char *at = text, *of = part;
        bool same = true;
        while (same && *at && *of)
            same = letter_take(&at) == letter_take(&of);
        has = same && !*of;
        (void)letter_take(&text);
    }
    (void)uselocale(before);
    return has;
}

/* If the characters do not match, glibc's fnmatch compares bytes, so that ? may match a part of a character.
 * A prefix before pattern and text prevents that: it holds [é], which matches é as a character but not as two
 * bytes. */
bool text_glob(const char *pattern, const char *text)
{
    if (strcmp(pattern, text) == 0)
        return true;
    locale_t before = text_utf8_use();
    AUTO_FREE char *whole_pattern = mem_printf("%s%s", utf8 ? "[\xc3\xa9]x" : "", pattern);
    AUTO_FREE char *whole_text = mem_printf("%s%s", utf8 ? "\xc3\xa9x" : "", text);
    bool matches = fnmatch(whole_pattern, whole_text, 0) == 0;
    (void)uselocale(before);
    return matches;
}

int repo_compare(const char *a, const char *b)
{
    return strcasecmp(a, b);
}

char *repo_key(const char *repo)
{
    char *key = mem_dup(repo);
    for (char *at = key; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return key;
}

bool secret_equal(const char *a, const char *b)
{
    size_t len = strlen(a);
    return len == strlen(b) && CRYPTO_memcmp(a, b, len) == 0;
}

const char *text_behind(const char *text, const char *begin)
{
    size_t len = strlen(begin);
    return strncmp(text, begin, len) == 0 ? text + len : NULL;
}

char *duration_text(int64_t seconds)
{
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = {{3600, "h"}, {60, "min"}, {1, "s"}};
    size_t i = 0;
    while (seconds % units[i].seconds != 0)
        i++;
    return mem_printf("%" PRId64 " %s", seconds / units[i].seconds, units[i].name);
}
