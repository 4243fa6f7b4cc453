#include "tests/sandbox/out.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void out_free(struct out *out)
{
    free(out->text);
    *out = (struct out){0};
}

char *out_take(struct out *out)
{
    out_bytes(out, "", 0);
    char *text = out->text;
    *out = (struct out){0};
    return text;
}

static char *room_for(struct out *out, size_t len)
{
    if (out->len + len + 1 > out->size) {
        size_t size = out->size ? out->size : 512;
        while (size < out->len + len + 1)
            size *= 2;
        out->text = mem_grow(out->text, size, 1);
        out->size = size;
    }
    return out->text + out->len;
}

void out_bytes(struct out *out, const char *bytes, size_t len)
{
    char *at = room_for(out, len);
    memcpy(at, bytes, len);
    at[len] = '\0';
    out->len += len;
}

void out_plain(struct out *out, const char *text)
{
    out_bytes(out, text, strlen(text));
}

static void out_vfmt(struct out *out, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    char small[256];
    int len = vsnprintf(small, sizeof small, fmt, args);
    if (len < 0)
        abort();
    if ((size_t)len < sizeof small)
        out_bytes(out, small, (size_t)len);
    else {
        vsnprintf(room_for(out, (size_t)len), (size_t)len + 1, fmt, again);
        out->len += (size_t)len;
    }
    va_end(again);
}

void out_fmt(struct out *out, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    out_vfmt(out, fmt, args);
    va_end(args);
}

void out_segment(struct out *out, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (; *text; text++)
        if (strchr(plain, *text))
            out_bytes(out, text, 1);
        else
            out_fmt(out, "%%%02X", (unsigned char)*text);
}

/* What stands before decides whether a comma is due: nothing opened or keyed can end in one of these
 * otherwise.
 */
static void begin(struct out *out, const char *key)
{
    char last = out->len ? out->text[out->len - 1] : '[';
    if (last != '[' && last != '{')
        out_bytes(out, ",", 1);
    if (key) {
        out_bytes(out, "\"", 1);
        out_plain(out, key);
        out_bytes(out, "\":", 2);
    }
}

void out_open(struct out *out, const char *key, char bracket)
{
    begin(out, key);
    out_bytes(out, &bracket, 1);
}

void out_close(struct out *out, char bracket)
{
    out_bytes(out, &bracket, 1);
}

static void quoted(struct out *out, const char *text)
{
    out_bytes(out, "\"", 1);
    while (*text) {
        size_t plain = 0;
        while (text[plain] && text[plain] != '"' && text[plain] != '\\' && (unsigned char)text[plain] >= 0x20)
            plain++;
        out_bytes(out, text, plain);
        text += plain;
        if (!*text)
            break;
        if (*text == '"' || *text == '\\')
            out_fmt(out, "\\%c", *text);
        else
            out_fmt(out, "\\u%04x", (unsigned)*text);
        text++;
    }
    out_bytes(out, "\"", 1);
}

void out_text(struct out *out, const char *key, const char *text)
{
    begin(out, key);
    if (text)
        quoted(out, text);
    else
        out_bytes(out, "null", 4);
}

void out_made(struct out *out, const char *key, const char *fmt, ...)
{
    struct out made = {0};
    va_list args;
    va_start(args, fmt);
    out_vfmt(&made, fmt, args);
    va_end(args);
    out_text(out, key, made.text);
    out_free(&made);
}

void out_int(struct out *out, const char *key, int64_t value)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)value);
    begin(out, key);
    out_bytes(out, digits, (size_t)len);
}

void out_bool(struct out *out, const char *key, bool value)
{
    out_ready(out, key, value ? "true" : "false");
}

void out_null(struct out *out, const char *key)
{
    out_ready(out, key, "null");
}

void out_ready(struct out *out, const char *key, const char *json)
{
    begin(out, key);
    out_plain(out, json);
}

void out_instant(struct out *out, const char *key, int64_t seconds, int zone_min)
{
    if (seconds == 0) {
        out_null(out, key);
        return;
    }
    time_t local = (time_t)(seconds + (int64_t)zone_min * 60);
    struct tm tm;
    gmtime_r(&local, &tm);
    char text[64];
    size_t len = strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    int east = abs(zone_min);
    if (zone_min == 0)
        memcpy(text + len, "Z", 2);
    else
        snprintf(text + len, sizeof text - len, "%c%02d:%02d", zone_min < 0 ? '-' : '+', east / 60,
                 east % 60);
    out_text(out, key, text);
}
