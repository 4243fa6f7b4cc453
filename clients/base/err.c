#include "clients/base/err.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/log.h"
#include "clients/base/text.h"

static const char *const err_names[] = {
    [ERR_OK] = "ok",           [ERR_NOT_FOUND] = "not_found",     [ERR_CONFLICT] = "conflict",
    [ERR_RETRY] = "retry",     [ERR_TIMEOUT] = "timeout",         [ERR_UNAVAILABLE] = "unavailable",
    [ERR_INVALID] = "invalid", [ERR_INTERNAL] = "internal_error",
};
static_assert(ARRAY_LEN(err_names) == ERR_MAX_, "every result has a name");

const char *err_name(enum err err)
{
    return (unsigned)err < ERR_MAX_ ? err_names[err] : "internal_error";
}

enum err why_set(struct why *why, enum err err, const char *fmt, ...)
{
    if (!why)
        return err;
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(why->text, sizeof why->text, fmt, args);
    va_end(args);
    if (len < 0)
        why->text[0] = '\0';
    else if ((size_t)len >= sizeof why->text)
        why->text[utf8_valid_len(why->text, sizeof why->text - 1)] = '\0';
    return err;
}

static void *mem_checked(void *pointer)
{
    if (!pointer) {
        log_error("out of memory");
        abort();
    }
    return pointer;
}

void *mem_zero(size_t count, size_t size)
{
    return mem_checked(calloc(count ? count : 1, size ? size : 1));
}

void *mem_grow(void *old, size_t count, size_t size)
{
    return mem_checked(reallocarray(old, count ? count : 1, size ? size : 1));
}

char *mem_dup(const char *text)
{
    return text ? mem_checked(strdup(text)) : NULL;
}

char *mem_dupn(const char *text, size_t len)
{
    char *copy = mem_zero(len + 1, 1);
    memcpy(copy, text, len);
    return copy;
}

char *mem_printf(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = NULL;
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    return mem_checked(len < 0 ? NULL : text);
}

void mem_free_p(void *pointer_to_pointer)
{
    void *pointer;
    memcpy(&pointer, pointer_to_pointer, sizeof pointer);
    free(pointer);
}
