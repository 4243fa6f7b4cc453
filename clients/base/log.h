/* log.h - one line per event on standard error, logfmt or JSON.
 *
 * An event is a level, a short constant message and typed fields. Each line is one write(2), escaped, cut at
 * LIMIT_LOG_LINE. If standard error is journald (JOURNAL_STREAM names its descriptor), lines start with their
 * priority, "<6>".
 *
 * Between log_start and log_stop a thread writes, so that no caller waits for standard error. Lines that find
 * no room are dropped and counted; once standard error has taken the lines before, one line gives their
 * number. Never pass a secret to a field: secret_scrub finds only whole secrets. Thread-safe.
 */
#ifndef RECONCILED_BASE_LOG_H
#define RECONCILED_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, LOG_LEVEL_MAX_ };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log_field {
    const char *key; /* NULL ends the list */
    enum { LOG_FIELD_TEXT, LOG_FIELD_INT, LOG_FIELD_BOOL } kind;
    const char *text; /* NULL leaves the field out */
    int64_t number;
};

#define LOG_S(k, v) {.key = (k), .kind = LOG_FIELD_TEXT, .text = (v)}
#define LOG_I(k, v) {.key = (k), .kind = LOG_FIELD_INT, .number = (int64_t)(v)}
#define LOG_B(k, v) {.key = (k), .kind = LOG_FIELD_BOOL, .number = (v)}

const char *log_level_name(enum log_level level);

/* log_set_*: how lines look and which are written. The level may change at any time, from any thread. */
void log_set_format(enum log_format format);
void log_set_level(enum log_level level);

/* log_set_fd: where lines go, for tests; the default is 2. */
void log_set_fd(int fd);

/* log_start: starts a thread that writes the lines, if one can be made. log_stop: waits up to
 * LIMIT_LOG_FLUSH_MS until all lines are written, and then ends the thread; if some are left, the thread
 * stays. */
void log_start(void);
void log_stop(void);

/* log_set_pass: sets the pass that the calling thread works for: every later line of this thread, from any
 * module, has its id. NULL: none. Borrowed. */
void log_set_pass(const char *id);

/* log_write: writes one line, if `level` is on. Use the macros: log_info("pass done", LOG_S("pass", id),
 * LOG_I("ms", 41)). */
void log_write(enum log_level level, const char *message, const struct log_field *fields);

#define log_event(level, message, ...) \
    log_write((level), (message), (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){.key = NULL}})
#define log_error(message, ...) log_event(LOG_LEVEL_ERROR, message __VA_OPT__(, ) __VA_ARGS__)
#define log_warn(message, ...) log_event(LOG_LEVEL_WARN, message __VA_OPT__(, ) __VA_ARGS__)
#define log_info(message, ...) log_event(LOG_LEVEL_INFO, message __VA_OPT__(, ) __VA_ARGS__)
#define log_debug(message, ...) log_event(LOG_LEVEL_DEBUG, message __VA_OPT__(, ) __VA_ARGS__)

#endif
