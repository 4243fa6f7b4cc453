/* Any bytes as Plane's answer: either words for what is wrong with it, or rows that keep every promise
 * of plane.h. The first byte chooses the status. */
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/plane/plane_parse.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/clients/http/names.h"

#define PROJECT "11111111-aaaa-4bbb-8ccc-222222222222"

static bool is_uuid(const char *text)
{
    return uuid_valid(text) && !strpbrk(text, "ABCDEF");
}

static bool is_line(const char *text)
{
    for (const char *at = text; *at; at++)
        if ((unsigned char)*at < 0x20)
            return false;
    return utf8_valid_len(text, strlen(text)) == strlen(text);
}

static void issue_judge(const struct plane_issue *issue)
{
    PROMISE(is_uuid(issue->id) && (!*issue->state || is_uuid(issue->state)));
    PROMISE(issue->sequence > 0 && issue->name && is_line(issue->name));
}

static void states_judge(const json_t *json)
{
    struct plane_states states = {0};
    bool more = false;
    const char *wrong = plane_parse_states(json, &states, &more);
    for (size_t i = 0; i < states.n; i++)
        PROMISE(is_uuid(states.items[i].id) && is_line(states.items[i].name));
    PROMISE(wrong || !more || states.n == LIMIT_PLANE_PAGE);
    plane_states_done(&states);
}

static void issues_judge(const json_t *json)
{
    struct plane_page page;
    struct plane_issue issue;
    if (!plane_parse_issues(json, PROJECT, &page)) {
        for (size_t i = 0; i < page.n; i++)
            issue_judge(&page.items[i]);
        for (size_t i = 0; i < page.n_odd; i++)
            PROMISE(page.odd[i].wrong && (!*page.odd[i].id || is_uuid(page.odd[i].id)));
        plane_page_done(&page);
    }
    if (!plane_parse_issue(json, PROJECT, &issue)) {
        issue_judge(&issue);
        plane_issue_done(&issue);
    }
}

static void changes_judge(const json_t *json)
{
    ATTR_CLEANUP(plane_change_done) struct plane_change change = {0};
    bool more;
    if (plane_parse_changes(json, &change, &more))
        return;
    PROMISE(!change.found || is_uuid(change.id));
    PROMISE(!*change.new_state || is_uuid(change.new_state));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 400, 401, 403, 404, 429, 500, 302};
    if (size == 0)
        return 0;
    AUTO_FREE char *body = mem_dupn((const char *)data + 1, size - 1);
    const struct fetch_answer answer = {.result = FETCH_ANSWERED,
                                        .status = statuses[data[0] % ARRAY_LEN(statuses)],
                                        .body = body,
                                        .body_len = size - 1,
                                        .content_type = "application/json"};
    struct plane_reply reply;
    struct why why = {""};
    plane_reply_read(&answer, "X", &test_names, &reply, &why);
    PROMISE((reply.result == PLANE_OK) == (reply.json != NULL));
    PROMISE(reply.result == PLANE_OK || (*why.text && is_line(why.text)));
    PROMISE(!reply.unrouted || reply.result == PLANE_FAILED);
    if (reply.json) {
        states_judge(reply.json);
        issues_judge(reply.json);
        changes_judge(reply.json);
    }
    json_decref(reply.json);
    return 0;
}
