/* Any {"overrides":…,"body":…} through settings_merge: either errors that name fields, or a document that can
 * be understood again and is changed by nothing but the body. */
#include <string.h>

#include "clients/base/jsonx.h"
#include "reconcile/settings/settings.h"
#include "reconcile/settings/settings_table.h"
#include "tests/fuzz/fuzz.h"

#define NOW_US INT64_C(1795464000000000) /* 2026-11-23T20:00:00Z */

static const char *const stages[] = {"review", "testing", NULL};

static void errors_judge(const json_t *errors)
{
    PROMISE(json_array_size(errors) > 0);
    for (size_t i = 0; i < json_array_size(errors); i++)
        PROMISE(json_get_text(json_array_get(errors, i), "field", NULL) &&
                *json_get_text(json_array_get(errors, i), "detail", ""));
}

static void merged_judge(const json_t *overrides, const json_t *body, json_t *merged)
{
    const char *member;
    json_t *entry;
    PROMISE(overrides_check(overrides, NULL) != ERR_OK || overrides_check(merged, NULL) == ERR_OK);
    json_object_foreach(merged, member, entry)
    {
        const json_t *given = json_object_get(body, member), *old = json_object_get(overrides, member);
        PROMISE(given ? json_equal(given, json_object_get(entry, "value")) : old && json_equal(old, entry));
        PROMISE(!given || setting_of_member(member));
    }
    /* Written, read and written again, as the store does. Writing rounds a real number to its digits. */
    AUTO_FREE char *line = json_line(merged);
    json_t *again = NULL;
    PROMISE(json_read(line, strlen(line), &again, NULL) == ERR_OK);
    AUTO_FREE char *line_again = json_line(again);
    PROMISE(strcmp(line, line_again) == 0);
    json_decref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *input = NULL, *merged = NULL, *errors = NULL;
    if (json_read((const char *)data, size, &input, NULL) != ERR_OK)
        return 0;
    const json_t *overrides = json_object_get(input, "overrides"), *body = json_object_get(input, "body");
    if (json_is_object(overrides) && body) {
        enum err err = settings_merge(overrides, body, stages, NOW_US, &merged, &errors);
        PROMISE((err == ERR_OK) == (merged != NULL) && (err == ERR_OK) == (errors == NULL));
        if (merged)
            merged_judge(overrides, body, merged);
        else
            errors_judge(errors);
    }
    json_decref(merged);
    json_decref(errors);
    json_decref(input);
    return 0;
}
