/* overrides.c - the document of overrides: what may be written into it, and how it is read. */
#include "reconcile/settings/remark.h"
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
        if (remark_has(field))
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
        if (!remark_has(member) && !json_is_null(value))
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
    struct remark remark;
    remark_read(body, now_us, errors, &remark);
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
