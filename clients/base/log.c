#include "clients/base/log.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/base/metric.h"
#include "clients/base/text.h"
#include "clients/base/wait.h"

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

/* systemd.exec(5): the variable holds device and inode of the stream that the service was given. A program
 * may inherit the variable while its standard error goes to a file or a terminal, where priorities are of no
 * use. */
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
            size_t hidden = text_hidden_len(text + i, good - i);
            unsigned char c = (unsigned char)text[i];
            if (c == '"' || c == '\\')
                line_printf(line, "\\%c", c);
            else if (c == '\n')
                line_str(line, "\\n");
            else if (hidden > 0) {
                char escaped[TEXT_ESCAPE_SIZE];
                text_escape(text + i, hidden, escaped);
                line_str(line, escaped);
                i += hidden - 1;
            } else
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
        /* A line that was cut is not valid JSON: close it with a string that marks the cut. */
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

static void line_make(struct line *line, enum log_level level, const char *message,
                      const struct log_field *fields)
{
    bool json = line_format == LOG_JSON;
    line->len = 0;
    if (is_journal(line_fd))
        line_printf(line, "<%d>", journal_priorities[level]);
    char now[INSTANT_TEXT_SIZE];
    instant_format(clock_wall_us() / 1000 * 1000, now);
    line_str(line, json ? "{\"ts\":\"" : "ts=");
    line_str(line, now);
    line_str(line, json ? "\",\"level\":\"" : " level=");
    line_str(line, log_level_name(level));
    line_str(line, json ? "\"" : "");
    line_field(line, &(struct log_field)LOG_S("msg", message), json);
    line_field(line, &(struct log_field)LOG_S("pass", pass_id), json);
    for (const struct log_field *field = fields; field->key; field++)
        line_field(line, field, json);
    line_end(line, json);
    secret_scrub(line->text, line->len);
}

/* Lines on their way to standard error. Each ends with its only newline, so they need no other mark. */
static struct {
    pthread_mutex_t lock; /* guards all that follows; not held over any write */
    pthread_cond_t changed;
    pthread_t thread;
    bool running, stopping, ended; /* ended: the thread will touch nothing any more */
    size_t first, len;
    int64_t dropped; /* since the last line that counted them; while it is not 0, further lines are dropped */
    char ring[LIMIT_LOG_WAITING];
} waiting = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* A line is one write(2), so that lines of other processes do not mix with it. Standard error may have been
 * made non-blocking by another process that shares it. */
static void write_line(const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(line_fd, text, len);
        if (n >= 0) {
            text += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN) {
            struct pollfd fd = {.fd = line_fd, .events = POLLOUT};
            (void)poll(&fd, 1, -1);
        } else if (errno != EINTR) {
            return; /* the log cannot be written, and there is no other place for the error */
        }
    }
}

static void waiting_put(const struct line *line)
{
    size_t end = (waiting.first + waiting.len) % sizeof waiting.ring;
    size_t before = sizeof waiting.ring - end;
    size_t part = line->len < before ? line->len : before;
    memcpy(waiting.ring + end, line->text, part);
    memcpy(waiting.ring, line->text + part, line->len - part);
    waiting.len += line->len;
}

static size_t waiting_take(char ret[LIMIT_LOG_LINE])
{
    size_t len = 0;
    do {
        ret[len] = waiting.ring[waiting.first];
        waiting.first = (waiting.first + 1) % sizeof waiting.ring;
        waiting.len--;
    } while (ret[len++] != '\n');
    if (waiting.len == 0)
        waiting.first = 0; /* the rest of the ring stays untouched memory */
    return len;
}

static void *write_lines(void *arg)
{
    char text[LIMIT_LOG_LINE];
    (void)arg;
    pthread_mutex_lock(&waiting.lock);
    for (;;) {
        while (waiting.len == 0 && !waiting.stopping)
            pthread_cond_wait(&waiting.changed, &waiting.lock);
        if (waiting.len == 0)
            break;
        size_t len = waiting_take(text);
        pthread_mutex_unlock(&waiting.lock);
        write_line(text, len);
        pthread_mutex_lock(&waiting.lock);
        if (waiting.len == 0 && waiting.dropped > 0) {
            const struct log_field fields[] = {LOG_I("lines", waiting.dropped), {.key = NULL}};
            struct line line;
            line_make(&line, LOG_LEVEL_WARN, "log lines were dropped: standard error took no more", fields);
            waiting_put(&line);
            waiting.dropped = 0;
        }
    }
    waiting.ended = true;
    pthread_cond_broadcast(&waiting.changed);
    pthread_mutex_unlock(&waiting.lock);
    return NULL;
}

void log_start(void)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_mutex_lock(&waiting.lock);
    if (!waiting.running) {
        cond_init(&waiting.changed);
        waiting.stopping = waiting.ended = false;
        (void)pthread_sigmask(SIG_SETMASK, &all, &before);
        waiting.running = pthread_create(&waiting.thread, NULL, write_lines, NULL) == 0;
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (waiting.running)
            pthread_setname_np(waiting.thread, "log");
    }
    pthread_mutex_unlock(&waiting.lock);
}

void log_stop(void)
{
    int64_t until_ms = clock_mono_ms() + LIMIT_LOG_FLUSH_MS;
    pthread_mutex_lock(&waiting.lock);
    if (waiting.running) {
        waiting.stopping = true;
        pthread_cond_broadcast(&waiting.changed);
        while (!waiting.ended && clock_mono_ms() < until_ms)
            (void)cond_wait_until(&waiting.changed, &waiting.lock, until_ms);
    }
    bool ended = waiting.running && waiting.ended;
    if (ended)
        waiting.running = false;
    pthread_mutex_unlock(&waiting.lock);
    if (!ended)
        return; /* the end of the process ends the thread, too */
    pthread_join(waiting.thread, NULL);
    pthread_cond_destroy(&waiting.changed);
}

void log_write(enum log_level level, const char *message, const struct log_field *fields)
{
    struct line line;
    if ((int)level > threshold)
        return;
    line_make(&line, level, message, fields);
    pthread_mutex_lock(&waiting.lock);
    bool direct = !waiting.running || waiting.ended;
    bool drop = !direct && (waiting.dropped > 0 || line.len > sizeof waiting.ring - waiting.len);
    if (drop) {
        waiting.dropped++;
    } else if (!direct) {
        waiting_put(&line);
        pthread_cond_signal(&waiting.changed);
    }
    pthread_mutex_unlock(&waiting.lock);
    if (direct)
        write_line(line.text, line.len);
    if (drop)
        metric_count(METRIC_LOG_LINES_DROPPED, NULL, NULL);
}
