#include "clients/base/log.h"

#include <assert.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"

static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};
static_assert(ARRAY_LEN(level_names) == LOG_LEVEL_MAX_, "every level has a name");

/* sd-daemon(3): priorities as in syslog. */
static const int journal_priorities[] = {3, 4, 6, 7};

static _Atomic int threshold = LOG_LEVEL_INFO;
static _Atomic int line_format = LOG_LOGFMT;
static _Atomic int line_fd = STDERR_FILENO;

static _Thread_local const char *pass_id;

bool log_level_parse(const char *text, enum log_level *ret_level)
{
    for (int i = 0; i < LOG_LEVEL_MAX_; i++)
        if (strcmp(text, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return true;
        }
    return false;
}

const char *log_level_name(enum log_level level)
{
    return (unsigned)level < LOG_LEVEL_MAX_ ? level_names[level] : "?";
}

void log_set_format(enum log_format format)
{
    line_format = format;
}

void log_set_level(enum log_level level)
{
    threshold = level;
}

void log_set_fd(int fd)
{
    line_fd = fd;
}

void log_set_pass(const char *id)
{
    pass_id = id;
}

/* systemd.exec(5): the variable holds device and inode of the stream that the service was given. Whoever
 * inherits it with a redirected standard error writes to a file or a terminal, where priorities are noise. */
static bool is_journal(int fd)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat file;
    char name[64];
    if (!stream || fstat(fd, &file) != 0)
        return false;
    snprintf(name, sizeof name, "%llu:%llu", (unsigned long long)file.st_dev,
             (unsigned long long)file.st_ino);
    return strcmp(stream, name) == 0;
}

/* One line under construction; what does not fit is left out, the last byte is kept for the newline. */
struct line {
    size_t len;
    char text[LIMIT_LOG_LINE];
};

static void line_bytes(struct line *line, const char *bytes, size_t len)
{
    size_t room = sizeof line->text - 1 - line->len;
    size_t n = len < room ? len : room;
    memcpy(line->text + line->len, bytes, n);
    line->len += n;
}

static void line_str(struct line *line, const char *text)
{
    line_bytes(line, text, strlen(text));
}

static void line_printf(struct line *line, const char *fmt, ...) ATTR_PRINTF(2, 3);
static void line_printf(struct line *line, const char *fmt, ...)
{
    char piece[64];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(piece, sizeof piece, fmt, args);
    va_end(args);
    if (len > 0)
        line_bytes(line, piece, (size_t)len < sizeof piece ? (size_t)len : sizeof piece - 1);
}

static void line_quoted(struct line *line, const char *text)
{
    line_str(line, "\"");
    while (*text) {
        size_t good = utf8_valid_len(text, strlen(text));
        for (size_t i = 0; i < good; i++) {
            unsigned char c = (unsigned char)text[i];
            if (c == '"' || c == '\\')
                line_printf(line, "\\%c", c);
            else if (c == '\n')
                line_str(line, "\\n");
            else if (c < 0x20 || c == 0x7f)
                line_printf(line, "\\u%04x", c);
            else
                line_bytes(line, text + i, 1);
        }
        text += good;
        if (*text) {
            line_str(line, "?");
            text++;
        }
    }
    line_str(line, "\"");
}

/* logfmt leaves a value bare when nothing in it can be taken for syntax. */
static bool is_bare(const char *text)
{
    if (!*text)
        return false;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\')
            return false;
    }
    return true;
}

static void line_value(struct line *line, const struct log_field *field, bool json)
{
    switch (field->kind) {
    case LOG_FIELD_INT:
        line_printf(line, "%lld", (long long)field->number);
        break;
    case LOG_FIELD_BOOL:
        line_str(line, field->number ? "true" : "false");
        break;
    case LOG_FIELD_TEXT:
        if (!json && is_bare(field->text))
            line_str(line, field->text);
        else
            line_quoted(line, field->text);
        break;
    }
}

static void line_field(struct line *line, const struct log_field *field, bool json)
{
    if (field->kind == LOG_FIELD_TEXT && !field->text)
        return;
    line_str(line, json ? ",\"" : " ");
    line_str(line, field->key);
    line_str(line, json ? "\":" : "=");
    line_value(line, field, json);
}

static void line_end(struct line *line, bool json)
{
    if (json) {
        /* A line that was cut is no JSON any more: end it inside a string that says so. */
        if (line->len >= sizeof line->text - 1) {
            static const char cut[] = "\",\"cut\":true}";
            size_t at = sizeof line->text - sizeof cut - 64;
            while (at > 0 &&
                   !(line->text[at] == '"' && line->text[at + 1] == ',' && line->text[at + 2] == '"'))
                at--;
            line->len = at;
            line_str(line, cut);
        } else {
            line_str(line, "}");
        }
    } else {
        line->len = utf8_valid_len(line->text, line->len);
    }
    line->text[line->len++] = '\n';
}

void log_write(enum log_level level, const char *message, const struct log_field *fields)
{
    if ((int)level > threshold)
        return;
    bool json = line_format == LOG_JSON;
    struct line line;
    line.len = 0;
    if (is_journal(line_fd))
        line_printf(&line, "<%d>", journal_priorities[level]);
    char now[INSTANT_TEXT_SIZE];
    instant_format(clock_wall_us() / 1000 * 1000, now);
    line_str(&line, json ? "{\"ts\":\"" : "ts=");
    line_str(&line, now);
    line_str(&line, json ? "\",\"level\":\"" : " level=");
    line_str(&line, log_level_name(level));
    line_str(&line, json ? "\"" : "");
    line_field(&line, &(struct log_field)LOG_S("msg", message), json);
    line_field(&line, &(struct log_field)LOG_S("pass", pass_id), json);
    for (const struct log_field *field = fields; field->key; field++)
        line_field(&line, field, json);
    line_end(&line, json);
    /* Nowhere is left to say that the log cannot be written. */
    (void)!write(line_fd, line.text, line.len);
}
