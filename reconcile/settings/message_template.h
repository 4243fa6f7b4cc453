/* message_template.h - the placeholders of the operator's template for messages (ORCH_NOTIFY_TEMPLATE). Pure,
 * thread-safe.
 */
#ifndef RECONCILED_MESSAGE_TEMPLATE_H
#define RECONCILED_MESSAGE_TEMPLATE_H

#include <stddef.h>

enum message_place {
    PLACE_WORK_ITEM_ID,
    PLACE_TASK_ID,
    PLACE_TITLE,
    PLACE_REPO,
    PLACE_BRANCH,
    PLACE_STAGE,
    PLACE_TO_STAGE,
    PLACE_OUTCOME,
    PLACE_REASON,
    PLACE_TASK_URL,
    PLACE_BRANCH_URL,
    PLACE_PULL_URL,
    PLACE_MAX_
};

/* message_template_place: the placeholder that `text` begins with, and its length; PLACE_MAX_ and length 0 if
 * it begins with none. */
enum message_place message_template_place(const char *text, size_t *ret_len);

/* message_template_problem: what is wrong with a template, in words that hold none of it, or NULL. Every
 * brace must belong to one of {work_item_id} {task_id} {title} {repo} {branch} {stage} {to_stage} {outcome}
 * {reason} {task_url} {branch_url} {pull_url}. */
const char *message_template_problem(const char *template);

#endif
