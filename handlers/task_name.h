/* task_name.h - the task that a request names: TASK of the contract. */
#ifndef RECONCILED_TASK_NAME_H
#define RECONCILED_TASK_NAME_H

#include <stdbool.h>
#include <stdint.h>

struct request;

/* task_named: the id of the one task that `name` means (store_tasks_named). False: the request has been
 * answered: 404 unknown, 409 with `candidates`, or an error of the database. */
bool task_named(struct request *request, const char *name, int64_t *ret_id);

/* task_name_valid: whether a text may name a task, as query_text checks it. */
bool task_name_valid(const char *text);
extern const char task_name_rule[];

#endif
