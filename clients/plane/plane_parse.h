/* plane_parse.h - reads Plane's answers: bytes in, rows out, no requests. Private to clients/plane/ and
 * tests.
 *
 * Parsers return NULL when the answer was understood, else what is wrong with it ("an issue without an id");
 * then *ret is as it was, or holds nothing that must be freed.
 */
#ifndef RECONCILED_PLANE_PARSE_H
#define RECONCILED_PLANE_PARSE_H

#include <jansson.h>

#include "clients/http/fetch.h"
#include "clients/plane/plane.h"

/* An answer whose JSON is not interpreted yet. The caller owns `json`, which is set only for PLANE_OK. */
struct plane_reply {
    enum plane_result result;
    bool unrouted; /* a 404 because Plane has no such path: an older one knows no work-items/ */
    json_t *json;
};
/* plane_reply_read: `what` was asked for, for a person; `names` are those of the settings that may be wrong.
 * `why` is filled for all but PLANE_OK. */
void plane_reply_read(const struct fetch_answer *answer, const char *what, const struct upstream_names *names,
                      struct plane_reply *ret, struct why *why);

/* plane_parse_states: reads a page and appends its states to `states`. A state without an id is skipped: no
 * issue can be in it. */
const char *plane_parse_states(const json_t *json, struct plane_states *states, bool *ret_more);

/* A row that names another project than `project_id` (lower case) is invalid. On a page, invalid rows are in
 * ret->odd. plane_parse_issue sets ret->id to "" when the id is invalid. */
const char *plane_parse_issue(const json_t *json, const char *project_id, struct plane_issue *ret);
const char *plane_parse_issues(const json_t *json, const char *project_id, struct plane_page *ret);

/* plane_parse_changes: the newest change of a state on a page of activities. */
const char *plane_parse_changes(const json_t *json, struct plane_change *ret, bool *ret_more);

/* plane_uuid: `text` in lower case; false when it is no uuid. */
bool plane_uuid(const char *text, char ret[UUID_TEXT_LEN + 1]);

#endif
