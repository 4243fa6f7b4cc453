/* overrides.c - the document of overrides: what may be written into it, and how it is read. */
#include "reconcile/settings/settings_table.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"

/* reading */

static bool is_absent(const json_t *value)
{
    return !value || json_is_null(value);
}

static bool is_entry(const json_t *entry)
{
    const json_t *reason = json_object_get(entry, "reason"), *by = json_object_get(entry, "by"),
                 *until = json_object_get(entry, "until"), *set_at = json_object_get(entry, "set_at");
    return json_is_object(entry) && json_object_get(entry, "value") &&
           (is_absent(reason) || json_is_string(reason)) && (is_absent(by) || json_is_string(by)) &&
           (is_absent(until) || (json_is_integer(until) && json_integer_value(until) > 0)) &&
           (is_absent(set_at) || json_is_integer(set_at));
}

enum err overrides_check(const json_t *overrides, struct why *why)
{
    if (!json_is_object(overrides))
        return why_set(why, ERR_INVALID, "the stored settings are not an object");
    const char *member;
    json_t *entry;
    json_auto_t *errors = json_array();
    json_object_foreach((json_t *)(uintptr_t)overrides, member, entry)
    {
        AUTO_FREE char *name = text_cut(member, 64);
        if (!is_entry(entry))
            return why_set(why, ERR_INVALID, "the stored setting %s cannot be understood", name);
        const struct setting *row = setting_of_member(member);
        if (row && !setting_check(row, member, json_object_get(entry, "value"), errors))
            return why_set(why, ERR_INVALID, "the stored setting %s %s", name,
                           json_get_text(json_array_get(errors, 0), "detail", "is not acceptable"));
    }
    return ERR_OK;
}

static bool has_ended(const json_t *entry, int64_t now_us)
{
    int64_t until = json_get_int(entry, "until", 0);
    return until > 0 && until <= now_us;
}

const json_t *override_live(const json_t *overrides, const char *member, int64_t now_us)
{
    const json_t *entry = json_object_get(overrides, member);
    return entry && !has_ended(entry, now_us) ? entry : NULL;
}

/* merging */

/* What a body has for all the members it sets. */
struct remark {
    const char *reason, *by; /* NULL: not given */
    int64_t until_us;        /* 0: not given */
};

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

static const char *remark_text(const json_t *body, const char *field, json_t *errors)
{
    const json_t *value = json_object_get(body, field);
    if (is_absent(value))
        return NULL;
    int length = json_is_string(value) ? remark_length(value) : -1;
    if (!json_is_string(value))
        problem_add(errors, field, "must be text");
    else if (length < 0)
        problem_add(errors, field, "must not have line breaks or other control characters");
    else if (length > (int)LIMIT_REMARK)
        problem_add(errors, field, "must be at most %u characters", LIMIT_REMARK);
    else if (length > 0)
        return json_string_value(value);
    return NULL;
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

static bool is_remark(const char *field)
{
    return strcmp(field, "reason") == 0 || strcmp(field, "by") == 0 || strcmp(field, "until") == 0;
}

struct named {
    size_t set, dropped;
};

static void check_members(const json_t *body, const char *const *stages, struct named *ret, json_t *errors)
{
    const char *field;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)body, field, value)
    {
        const struct setting *row = setting_of_member(field);
        if (is_remark(field))
            continue;
        if (!row) {
            AUTO_FREE char *name = text_cut(field, 64);
            problem_add(errors, name, "is no setting that can be changed at run time");
        } else if (json_is_null(value)) {
            ret->dropped++;
        } else {
            ret->set++;
            if (setting_check(row, field, value, errors) && row->type == SETTING_GRACES)
                graces_check_stages(field, value, stages, errors);
        }
    }
}

/* A remark without a member to set is refused: its author believes that a setting was changed. */
static void check_purpose(const json_t *body, const struct named *named, json_t *errors)
{
    static const char *const remarks[] = {"reason", "by", "until"};
    if (named->set)
        return;
    if (named->dropped) {
        if (!is_absent(json_object_get(body, "until")))
            problem_add(errors, "until",
                        "limits nothing: the request sets no member, it only drops overrides");
        return;
    }
    size_t before = json_array_size(errors);
    for (size_t i = 0; i < ARRAY_LEN(remarks); i++)
        if (!is_absent(json_object_get(body, remarks[i])))
            problem_add(errors, remarks[i], "goes with a setting, and the request names none");
    if (json_array_size(errors) == before)
        problem_add(errors, "body", "names no setting");
}

static json_t *entry_make(json_t *value, const struct remark *remark, int64_t now_us)
{
    json_t *entry = json_object();
    json_put(entry, "value", json_deep_copy(value));
    json_put(entry, "set_at", json_integer(now_us));
    if (remark->reason)
        json_put(entry, "reason", json_text(remark->reason));
    if (remark->by)
        json_put(entry, "by", json_text(remark->by));
    if (remark->until_us)
        json_put(entry, "until", json_integer(remark->until_us));
    return entry;
}

static json_t *merged_make(const json_t *overrides, const json_t *body, const struct remark *remark,
                           int64_t now_us)
{
    json_t *merged = json_object();
    const char *member;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)overrides, member, value)
    {
        if (!json_object_get(body, member) && !has_ended(value, now_us))
            json_put(merged, member, json_incref(value));
    }
    json_object_foreach((json_t *)(uintptr_t)body, member, value)
    {
        if (!is_remark(member) && !json_is_null(value))
            json_put(merged, member, entry_make(value, remark, now_us));
    }
    return merged;
}

enum err settings_merge(const json_t *overrides, const json_t *body, const char *const *stages,
                        int64_t now_us, json_t **ret_overrides, json_t **ret_errors)
{
    json_t *errors = json_array();
    struct named named = {0};
    if (!json_is_object(body)) {
        problem_add(errors, "body", "must be a JSON object");
        *ret_errors = errors;
        return ERR_INVALID;
    }
    check_members(body, stages, &named, errors);
    struct remark remark = {
        .reason = remark_text(body, "reason", errors),
        .by = remark_text(body, "by", errors),
        .until_us = remark_until(body, now_us, errors),
    };
    if (json_array_size(errors) == 0)
        check_purpose(body, &named, errors);
    if (json_array_size(errors) > 0) {
        *ret_errors = errors;
        return ERR_INVALID;
    }
    json_decref(errors);
    *ret_overrides = merged_make(overrides, body, &remark, now_us);
    return ERR_OK;
}
