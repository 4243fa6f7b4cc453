/* remark.h - what goes with a change that people make: why, who, until when. Pure, thread-safe. */
#ifndef RECONCILED_REMARK_H
#define RECONCILED_REMARK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct remark {
    const char *reason, *by; /* borrowed from the body; NULL: not given */
    int64_t until_us;        /* 0: not given */
};
/* remark_read: the members reason, by and until of a body (NULL: none of them); adds what is wrong with them
 * to `errors`. `until` must be after now_us, by the database's clock, and less than a year ahead. */
void remark_read(const json_t *body, int64_t now_us, json_t *errors, struct remark *ret);
/* remark_text_check: whether a text may be a `reason` or a `by`; adds to `errors` what is wrong. */
bool remark_text_check(const char *field, const json_t *value, json_t *errors);
/* remark_has: whether a member of a body is one of the three. */
bool remark_has(const char *field);

#endif
