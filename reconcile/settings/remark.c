#include "reconcile/settings/remark.h"

#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"

static bool is_absent(const json_t *value)
{
    return !value || json_is_null(value);
}

/* The number of characters, or −1 when one of them is a control character (C0, DEL, C1). */
static int remark_length(const json_t *value)
{
    const unsigned char *text = (const unsigned char *)json_string_value(value);
    int length = 0;
    if (strlen((const char *)text) != json_string_length(value))
        return -1;
    for (size_t i = 0; text[i]; i++) {
        bool c1 = text[i] == 0xc2 && text[i + 1] < 0xa0;
        if (text[i] < 0x20 || text[i] == 0x7f || c1)
            return -1;
        length += (text[i] & 0xc0) != 0x80;
    }
    return length;
}

bool remark_text_check(const char *field, const json_t *value, json_t *errors)
{
    int length = json_is_string(value) ? remark_length(value) : -1;
    if (!json_is_string(value))
        problem_add(errors, field, "must be text");
    else if (length < 0)
        problem_add(errors, field, "must not have line breaks or other control characters");
    else if (length > (int)LIMIT_REMARK)
        problem_add(errors, field, "must be at most %u characters", LIMIT_REMARK);
    else
        return true;
    return false;
}

static const char *remark_text(const json_t *body, const char *field, json_t *errors)
{
    const json_t *value = json_object_get(body, field);
    bool given = !is_absent(value) && remark_text_check(field, value, errors);
    return given && json_string_length(value) > 0 ? json_string_value(value) : NULL;
}

static int64_t remark_until(const json_t *body, int64_t now_us, json_t *errors)
{
    const json_t *value = json_object_get(body, "until");
    const int64_t farthest_us = now_us + LIMIT_OVERRIDE_S * 1000000;
    int64_t until_us;
    if (is_absent(value))
        return 0;
    if (!json_is_string(value) || !instant_parse(json_string_value(value), &until_us))
        problem_add(errors, "until",
                    "must be an RFC 3339 date and time with a zone, like 2026-11-24T10:00:00Z");
    else if (until_us <= now_us)
        problem_add(errors, "until", "must be in the future");
    else if (until_us >= farthest_us)
        problem_add(errors, "until", "must be less than a year ahead");
    else
        return until_us;
    return 0;
}

bool remark_has(const char *field)
{
    return strcmp(field, "reason") == 0 || strcmp(field, "by") == 0 || strcmp(field, "until") == 0;
}

void remark_read(const json_t *body, int64_t now_us, json_t *errors, struct remark *ret)
{
    *ret = (struct remark){
        .reason = remark_text(body, "reason", errors),
        .by = remark_text(body, "by", errors),
        .until_us = remark_until(body, now_us, errors),
    };
}
