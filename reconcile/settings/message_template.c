#include "reconcile/settings/message_template.h"

#include <assert.h>
#include <string.h>

#include "clients/base/err.h"

static const char *const place_names[] = {
    [PLACE_WORK_ITEM_ID] = "{work_item_id}",
    [PLACE_TASK_ID] = "{task_id}",
    [PLACE_TITLE] = "{title}",
    [PLACE_REPO] = "{repo}",
    [PLACE_BRANCH] = "{branch}",
    [PLACE_STAGE] = "{stage}",
    [PLACE_TO_STAGE] = "{to_stage}",
    [PLACE_OUTCOME] = "{outcome}",
    [PLACE_REASON] = "{reason}",
    [PLACE_TASK_URL] = "{task_url}",
    [PLACE_BRANCH_URL] = "{branch_url}",
    [PLACE_PULL_URL] = "{pull_url}",
};
static_assert(ARRAY_LEN(place_names) == PLACE_MAX_, "every placeholder has a name");

enum message_place message_template_place(const char *text, size_t *ret_len)
{
    enum message_place place = 0;
    while (place < PLACE_MAX_ && strncmp(text, place_names[place], strlen(place_names[place])) != 0)
        place++;
    *ret_len = place < PLACE_MAX_ ? strlen(place_names[place]) : 0;
    return place;
}

const char *message_template_problem(const char *template)
{
    while (*(template += strcspn(template, "{}"))) {
        size_t len;
        if (message_template_place(template, &len) == PLACE_MAX_)
            return "has a placeholder that nothing fills in; there are {work_item_id} {task_id} {title} "
                   "{repo} {branch} {stage} {to_stage} {outcome} {reason} {task_url} {branch_url} {pull_url}";
        template += len;
    }
    return NULL;
}
