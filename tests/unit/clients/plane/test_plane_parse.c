/* Plane's answers, from their bytes. */

#include "clients/base/err.h"
#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/plane/plane_parse.h"
#include "tests/support/clients/http/names.h"
#include "tests/support/test.h"

#define PROJECT "11111111-aaaa-4bbb-8ccc-222222222222"
#define ID_1 "33333333-aaaa-4bbb-8ccc-444444444441"
#define ID_2 "33333333-aaaa-4bbb-8ccc-444444444442"
#define STATE "55555555-aaaa-4bbb-8ccc-666666666666"

/* JSON in which ' stands for ". */
static json_t *json_of(const char *text)
{
    AUTO_FREE char *copy = mem_dup(text);
    for (char *at = copy; (at = strchr(at, '\''));)
        *at = '"';
    json_t *json = json_loads(copy, JSON_DECODE_ANY, NULL);
    assert_non_null(json);
    return json;
}

static json_t *page_of(const char *rows, const char *more)
{
    AUTO_FREE char *text = mem_printf("{'grouped_by':null,'total_count':300,'next_cursor':'100:1:0',"
                                      "'prev_cursor':'100:-1:1','next_page_results':%s,'results':[%s]}",
                                      more, rows);
    return json_of(text);
}

/* `row` as often as a full page has rows. */
static json_t *full_page_of(const char *row)
{
    json_t *page = page_of(row, "true"), *rows = json_object_get(page, "results");
    while (json_array_size(rows) < LIMIT_PLANE_PAGE)
        json_array_append(rows, json_array_get(rows, 0));
    return page;
}

/* the answer as such */

static struct fetch_answer answer_of(int status, const char *type, const char *body)
{
    struct fetch_answer answer = {.result = FETCH_ANSWERED, .status = status};
    snprintf(answer.content_type, sizeof answer.content_type, "%s", type);
    answer.body = (char *)(uintptr_t)body;
    answer.body_len = body ? strlen(body) : 0;
    return answer;
}

#define JSON "application/json"
#define HTML "text/html"
static const struct {
    int status;
    const char *type, *body;
    enum plane_result result;
    const char *error;
} odd_answers[] = {
    {200, JSON, "{}", PLANE_OK, NULL},
    {200, "text/plain", "{}", PLANE_OK, NULL},
    {200, JSON, NULL, PLANE_FAILED, "Plane answered 200 with an empty body for X"},
    {200, JSON, "{\"results\":[", PLANE_FAILED, "Plane's answer for X is cut or broken: not JSON"},
    {200, HTML, "<html>sign in", PLANE_FAILED, "Plane answered 200 (text/html) for X: a page, not the API"},
    {200, JSON, "17", PLANE_FAILED, "Plane's answer for X is cut or broken: not JSON"},
    {200, JSON, "null", PLANE_FAILED, "Plane's answer for X is cut or broken: not JSON"},
    {204, "", NULL, PLANE_FAILED, "Plane answered 204 (no content type) for X"},
    {301, HTML, "", PLANE_FAILED,
     "Plane answered 301 (text/html) for X; a redirect elsewhere, is THE_URL right?"},
    {400, JSON, "{\"detail\":\"Invalid cursor parameter.\"}", PLANE_FAILED,
     "Plane answered 400 (Invalid cursor parameter.) for X"},
    {400, JSON, "{\"name\":[\"This field may not be blank.\"]}", PLANE_FAILED,
     "Plane answered 400 (name: This field may not be blank.) for X"},
    {400, JSON, "{\"non_field_errors\":[\"State is not valid\"]}", PLANE_FAILED,
     "Plane answered 400 (non_field_errors: State is not valid) for X"},
    {400, JSON, "{\"error\":\"The payload is not valid\"}", PLANE_FAILED,
     "Plane answered 400 (The payload is not valid) for X"},
    {400, JSON, "{\"detail\":\"\",\"error\":\"E\"}", PLANE_FAILED, "Plane answered 400 (E) for X"},
    {400, JSON, "{\"a\":{}}", PLANE_FAILED, "Plane answered 400 (application/json) for X"},
    {400, JSON, "[]", PLANE_FAILED, "Plane answered 400 (application/json) for X"},
    {401, JSON, "{\"detail\":\"Authentication credentials were not provided.\"}", PLANE_FAILED,
     "Plane saw no API key, asked for X (401: Authentication credentials were not provided.); what drops "
     "X-Api-Key?"},
    {403, JSON, "{\"detail\":\"Given API token is not valid\"}", PLANE_FAILED,
     "Plane refused the API key (403: Given API token is not valid)"},
    {403, JSON, "{\"detail\":\"You do not have permission to perform this action.\"}", PLANE_FAILED,
     "Plane refused the X (403: You do not have permission to perform this action.); is THE_WORKSPACE "
     "right, is there such a project, and is the key's user a member?"},
    {403, HTML, "<html>", PLANE_FAILED, "Plane refused the X (403: text/html)"},
    {404, JSON, "{\"error\":\"The requested resource does not exist.\"}", PLANE_ABSENT, "Plane knows no X"},
    {404, JSON, "{\"error\":\"The required object does not exist.\"}", PLANE_ABSENT, "Plane knows no X"},
    {404, JSON, "{\"error\":\"Page not found.\"}", PLANE_FAILED,
     "Plane has no page for X (404); is THE_URL right?"},
    {404, JSON, "{\"message\":\"no Route matched with those values\"}", PLANE_FAILED,
     "Plane answered 404 (application/json) for X; is THE_URL right?"},
    {404, HTML, "<html>", PLANE_FAILED, "Plane answered 404 (text/html) for X; is THE_URL right?"},
    {409, JSON, "{\"error\":\"exists\",\"id\":\"1\"}", PLANE_FAILED, "Plane answered 409 (exists) for X"},
    {429, JSON, "{\"error_code\":5900,\"error_message\":\"RATE_LIMIT_EXCEEDED\"}", PLANE_WAITING,
     "Plane takes no more calls for now (429: RATE_LIMIT_EXCEEDED), asked for X"},
    {429, HTML, "<html>", PLANE_WAITING, "Plane takes no more calls for now (429: text/html), asked for X"},
    {500, JSON, "{\"error\":\"Something went wrong please try again later\"}", PLANE_DOWN,
     "Plane answered 500 (Something went wrong please try again later) for X"},
    {502, HTML, "<html>", PLANE_DOWN, "Plane answered 502 (text/html) for X"},
    {503, "", NULL, PLANE_DOWN, "Plane answered 503 (no content type) for X"},
};

TEST(what_a_proxy_may_have_answered_blames_no_key)
{
    static const struct {
        int status;
        const char *type, *body;
        enum plane_result result;
        const char *error;
    } cases[] = {
        {403, HTML, "<html>", PLANE_FAILED,
         "the proxy p:1 (http_proxy), or what is behind it, answered 403 (text/html) for X"},
        {503, HTML, "<html>", PLANE_DOWN,
         "the proxy p:1 (http_proxy), or what is behind it, answered 503 (text/html) for X"},
        {403, JSON, "{\"detail\":\"Given API token is not valid\"}", PLANE_FAILED,
         "Plane refused the API key (403: Given API token is not valid)"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fetch_answer answer = answer_of(cases[i].status, cases[i].type, cases[i].body);
        struct plane_reply reply;
        struct why why = {""};
        snprintf(answer.proxy, sizeof answer.proxy, "the proxy p:1 (http_proxy)");
        plane_reply_read(&answer, "X", &test_names, &reply, &why);
        assert_int_equal(reply.result, cases[i].result);
        assert_string_equal(why.text, cases[i].error);
    }
}

TEST(every_odd_answer_is_told_apart_in_words)
{
    for (size_t i = 0; i < ARRAY_LEN(odd_answers); i++) {
        struct fetch_answer answer =
            answer_of(odd_answers[i].status, odd_answers[i].type, odd_answers[i].body);
        struct plane_reply reply;
        struct why why = {""};
        plane_reply_read(&answer, "X", &test_names, &reply, &why);
        assert_int_equal(reply.result, odd_answers[i].result);
        if (odd_answers[i].error && strstr(odd_answers[i].error, "not JSON"))
            assert_memory_equal(why.text, odd_answers[i].error, strlen(odd_answers[i].error));
        else if (odd_answers[i].error)
            assert_string_equal(why.text, odd_answers[i].error);
        assert_int_equal(reply.json != NULL, odd_answers[i].result == PLANE_OK);
        assert_int_equal(reply.unrouted,
                         odd_answers[i].body && strstr(odd_answers[i].body, "Page not found."));
        json_decref(reply.json);
    }
}

TEST(what_never_became_an_answer_is_named)
{
    static const struct {
        enum fetch_result result;
        enum plane_result means;
        const char *error;
    } cases[] = {
        {FETCH_TIMED_OUT, PLANE_DOWN, "Plane: words, asked for X"},
        {FETCH_UNREACHABLE, PLANE_DOWN, "Plane: words, asked for X"},
        {FETCH_CUT, PLANE_DOWN, "Plane: words, asked for X"},
        {FETCH_NOT_ASKED, PLANE_SPARED, "Plane: words, asked for X"},
        {FETCH_TOO_LARGE, PLANE_FAILED, "Plane: words, asked for X"},
        {FETCH_ABORTED, PLANE_STOPPED, "stopped before Plane answered"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct fetch_answer answer = {.result = cases[i].result, .error = "words"};
        struct plane_reply reply;
        struct why why;
        plane_reply_read(&answer, "X", &test_names, &reply, &why);
        assert_int_equal(reply.result, cases[i].means);
        assert_null(reply.json);
        assert_string_equal(why.text, cases[i].error);
    }
}

TEST(a_long_message_is_cut_and_made_printable)
{
    char body[1000];
    snprintf(body, sizeof body, "{\"detail\":\"a\\nb%0500d\"}", 0);
    struct fetch_answer answer = answer_of(400, "application/json", body);
    struct plane_reply reply;
    struct why why;
    plane_reply_read(&answer, "X", &test_names, &reply, &why);
    assert_memory_equal(why.text, "Plane answered 400 (a b000", 26);
    assert_true(strlen(why.text) <= strlen("Plane answered 400 () for X") + 120);
}

/* pages */

TEST(an_envelope_of_another_shape_is_no_page)
{
    static const struct {
        const char *text, *wrong;
    } cases[] = {
        {"[]", "not a page of rows"},
        {"{}", "not a page of rows"},
        {"{'results':{},'next_page_results':false}", "not a page of rows"}, /* as if grouped */
        {"{'results':null,'next_page_results':false}", "not a page of rows"},
        {"{'results':[]}", "a page without next_page_results"},
        {"{'results':[],'next_page_results':'no'}", "a page without next_page_results"},
        {"{'results':[],'next_page_results':true}",
         "a page before the last one that has not the size asked for"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *json = json_of(cases[i].text);
        struct plane_states states = {0};
        struct plane_page page = {0};
        ATTR_CLEANUP(plane_change_done) struct plane_change change = {0};
        bool more = false;
        assert_string_equal(plane_parse_states(json, &states, &more), cases[i].wrong);
        assert_string_equal(plane_parse_issues(json, PROJECT, &page), cases[i].wrong);
        assert_string_equal(plane_parse_changes(json, &change, &more), cases[i].wrong);
        assert_null(page.items);
        plane_states_done(&states);
        json_decref(json);
    }
}

TEST(an_empty_page_is_one)
{
    json_t *json = page_of("", "false");
    struct plane_states states = {0};
    struct plane_page page;
    ATTR_CLEANUP(plane_change_done) struct plane_change change = {0};
    bool more = true;
    assert_null(plane_parse_states(json, &states, &more));
    assert_false(more);
    more = true;
    assert_null(plane_parse_changes(json, &change, &more));
    assert_false(more || change.found);
    assert_null(plane_parse_issues(json, PROJECT, &page));
    assert_int_equal(page.n, 0);
    assert_int_equal(page.total, 300);
    assert_false(page.more);
    plane_page_done(&page);
    plane_states_done(&states);
    json_decref(json);
}

/* states */

TEST(pages_of_states_are_gathered_and_a_wrong_one_is_skipped)
{
    (void)state;
    struct plane_states states = {0};
    bool more = false;
    json_t *first = full_page_of("{'id':'" ID_1 "','name':'In\\tProgress'}"),
           *second = page_of("{'id':'AAAAAAAA-AAAA-4BBB-8CCC-444444444441','name':'\\u00dcber','group':'x'},"
                             "{'id':'" ID_2 "'}",
                             "false"),
           *third = page_of("17,{'id':'x','name':'b'},{'id':'" ID_2 "','name':'a'}", "false");
    assert_null(plane_parse_states(first, &states, &more));
    assert_true(more);
    assert_null(plane_parse_states(second, &states, &more));
    assert_false(more);
    assert_int_equal(states.n, LIMIT_PLANE_PAGE + 2);
    assert_string_equal(states.items[0].name, "In Progress");
    assert_string_equal(states.items[LIMIT_PLANE_PAGE].id, "aaaaaaaa-aaaa-4bbb-8ccc-444444444441");
    assert_string_equal(states.items[LIMIT_PLANE_PAGE].name, "\xc3\x9c"
                                                             "ber");
    assert_string_equal(states.items[LIMIT_PLANE_PAGE + 1].name, "");
    assert_null(plane_parse_states(third, &states, &more));
    assert_int_equal(states.n, LIMIT_PLANE_PAGE + 3);
    assert_string_equal(states.items[LIMIT_PLANE_PAGE + 2].name, "a");
    plane_states_done(&states);
    assert_int_equal(states.n, 0);
    json_decref(first);
    json_decref(second);
    json_decref(third);
}

/* issues */

#define ROW(more) "{'id':'" ID_1 "','sequence_id':7,'name':'N','updated_at':'2026-11-23T10:00:00Z'" more "}"

static int64_t instant(const char *text)
{
    int64_t us = 0;
    assert_true(instant_parse(text, &us));
    return us;
}

TEST(an_issue_is_read_whatever_the_form_of_its_members)
{
    (void)state;
    static const struct {
        const char *row, *state, *name, *updated_at;
    } cases[] = {
        {ROW(",'state':'" STATE "','project':'" PROJECT "'"), STATE, "N", "2026-11-23T10:00:00Z"},
        {ROW(",'state':{'id':'" STATE "','name':'Done','group':'completed'}"), STATE, "N",
         "2026-11-23T10:00:00Z"},
        {ROW(",'state':'55555555-AAAA-4BBB-8CCC-666666666666'"), STATE, "N", "2026-11-23T10:00:00Z"},
        {ROW(",'state':null,'project':{'id':'" PROJECT "'}"), "", "N", "2026-11-23T10:00:00Z"},
        {ROW(""), "", "N", "2026-11-23T10:00:00Z"},
        {"{'id':'" ID_1 "','sequence_id':7,'updated_at':'2026-11-23T15:30:00.000001+05:30','name':null}", "",
         "", "2026-11-23T10:00:00.000001Z"},
        {"{'id':'" ID_1 "','sequence_id':7,'updated_at':'2026-11-23T06:30:00-03:30','name':'a\\nb\\u00fc'}",
         "", "a b\xc3\xbc", "2026-11-23T10:00:00Z"},
        {"{'id':'33333333-AAAA-4BBB-8CCC-444444444441','sequence_id':7,'updated_at':'2026-11-23T10:00:00.5Z'"
         "}",
         "", "", "2026-11-23T10:00:00.500000Z"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *json = json_of(cases[i].row);
        struct plane_issue issue;
        assert_null(plane_parse_issue(json, PROJECT, &issue));
        assert_string_equal(issue.id, ID_1);
        assert_string_equal(issue.state, cases[i].state);
        assert_string_equal(issue.name, cases[i].name);
        assert_int_equal(issue.sequence, 7);
        assert_int_equal(issue.updated_us, instant(cases[i].updated_at));
        plane_issue_done(&issue);
        json_decref(json);
    }
}

TEST(an_issue_that_makes_no_sense_is_skipped_and_the_rest_of_its_page_is_read)
{
    (void)state;
    static const struct {
        const char *row, *wrong;
    } cases[] = {
        {"17", "an issue without an id"},
        {"null", "an issue without an id"},
        {"{'name':'N'}", "an issue without an id"},
        {"{'id':17}", "an issue without an id"},
        {"{'id':'33333333aaaa4bbb8ccc444444444441'}", "an issue without an id"},
        {"{'id':'" ID_1 "','project':'" ID_2 "'}", "an issue of another project"},
        {"{'id':'" ID_1 "','project':17}", "an issue of another project"},
        {"{'id':'" ID_1 "','state':'Approved'}", "an issue whose state is no uuid"},
        {"{'id':'" ID_1 "','state':{'name':'Approved'}}", "an issue whose state is no uuid"},
        {"{'id':'" ID_1 "','state':false}", "an issue whose state is no uuid"},
        {"{'id':'" ID_1 "'}", "an issue without the time of its last change"},
        {"{'id':'" ID_1 "','updated_at':'2026-11-23T10:00:00'}",
         "an issue without the time of its last change"},
        {"{'id':'" ID_1 "','updated_at':1795471200}", "an issue without the time of its last change"},
        {"{'id':'" ID_1 "','updated_at':'2026-11-23T10:00:00Z'}", "an issue without a number"},
        {"{'id':'" ID_1 "','updated_at':'2026-11-23T10:00:00Z','sequence_id':0}",
         "an issue without a number"},
        {"{'id':'" ID_1 "','updated_at':'2026-11-23T10:00:00Z','sequence_id':'7'}",
         "an issue without a number"},
        {"{'id':'" ID_1 "','updated_at':'2026-11-23T10:00:00Z','sequence_id':-7}",
         "an issue without a number"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_FREE char *rows = mem_printf("%s,%s", cases[i].row, ROW(""));
        json_t *json = page_of(rows, "false");
        struct plane_page page = {0};
        assert_null(plane_parse_issues(json, PROJECT, &page));
        assert_int_equal(page.n, 1);
        assert_string_equal(page.items[0].id, ID_1);
        assert_int_equal(page.n_odd, 1);
        assert_string_equal(page.odd[0].wrong, cases[i].wrong);
        assert_string_equal(page.odd[0].id, strstr(cases[i].row, ID_1) ? ID_1 : "");
        plane_page_done(&page);
        json_decref(json);
    }
}

TEST(a_page_holds_its_issues_in_their_order)
{
    json_t *json = full_page_of(ROW("")), *rows = json_object_get(json, "results");
    json_array_set_new(rows, 99,
                       json_of("{'id':'" ID_2 "','sequence_id':8,'updated_at':'2026-01-01T00:00:00Z'}"));
    json_object_del(json, "total_count");
    struct plane_page page;
    assert_null(plane_parse_issues(json, PROJECT, &page));
    assert_int_equal(page.n, LIMIT_PLANE_PAGE);
    assert_true(page.more);
    assert_int_equal(page.total, -1);
    assert_string_equal(page.items[0].id, ID_1);
    assert_string_equal(page.items[99].id, ID_2);
    plane_page_done(&page);
    json_decref(json);
}

TEST(a_name_of_any_length_is_cut_at_a_character)
{
    json_t *json = json_of(ROW(""));
    AUTO_FREE char *name = mem_zero(9001, 1);
    for (size_t i = 0; i < 9000; i += 2)
        memcpy(name + i, "\xc3\xbc", 2);
    json_object_set_new(json, "name", json_string(name));
    struct plane_issue issue;
    assert_null(plane_parse_issue(json, PROJECT, &issue));
    assert_in_range(strlen(issue.name), 255, 4096);
    assert_int_equal(strlen(issue.name) % 2, 0);
    plane_issue_done(&issue);
    json_decref(json);
}

/* activities */

#define CHANGED(id, more) "{'id':'" id "','verb':'updated','field':'state'" more "}"

static void parse_changes(const char *rows, struct plane_change *ret)
{
    json_t *json = page_of(rows, "false");
    bool more;
    assert_null(plane_parse_changes(json, ret, &more));
    json_decref(json);
}

TEST(a_change_of_state_is_read_with_and_without_its_epoch)
{
    static const struct {
        const char *row, *new_state, *at;
    } cases[] = {
        {CHANGED(ID_1,
                 ",'new_identifier':'" STATE "','epoch':1795428000.7,'created_at':'2026-11-23T10:00:05Z'"),
         STATE, "2026-11-23T10:00:00Z"},
        {CHANGED(ID_1, ",'new_identifier':null,'epoch':1795428000,'created_at':'2026-11-23T10:00:05Z'"), "",
         "2026-11-23T10:00:00Z"},
        {CHANGED(ID_1, ",'epoch':null,'created_at':'2026-11-23T15:30:05.25+05:30'"), "",
         "2026-11-23T10:00:05.250000Z"},
        {CHANGED(ID_1, ",'epoch':-5,'created_at':'2026-11-23T10:00:05Z'"), "", "2026-11-23T10:00:05Z"},
        {CHANGED(ID_1, ",'epoch':1e300,'created_at':'2026-11-23T10:00:05Z'"), "", "2026-11-23T10:00:05Z"},
        {CHANGED(ID_1, ",'epoch':'soon','created_at':'2026-11-23T10:00:05Z'"), "", "2026-11-23T10:00:05Z"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ATTR_CLEANUP(plane_change_done) struct plane_change change = {0};
        parse_changes(cases[i].row, &change);
        assert_true(change.found);
        assert_string_equal(change.id, ID_1);
        assert_string_equal(change.new_state, cases[i].new_state);
        assert_int_equal(change.at_us, instant(cases[i].at));
    }
}

TEST(the_latest_change_is_the_newest_in_whatever_order_rows_were_written)
{
    ATTR_CLEANUP(plane_change_done) struct plane_change change = {0};
    parse_changes(
        CHANGED(ID_1, ",'epoch':1795428000,'created_at':'2026-11-23T10:00:09Z'") "," /* written late */
        CHANGED(ID_2, ",'epoch':1795428001,'created_at':'2026-11-23T10:00:05Z'"),
        &change);
    assert_string_equal(change.id, ID_2);
    parse_changes(CHANGED(ID_1, ",'epoch':1795428000,'created_at':'2026-11-23T10:00:05.1Z'") "," CHANGED(
                      ID_2, ",'epoch':1795428000,'created_at':'2026-11-23T10:00:05Z'"),
                  &change);
    assert_string_equal(change.id, ID_1);
    parse_changes(CHANGED(ID_2, ",'created_at':'2026-11-23T10:00:05Z'") "," /* the same one every time */
                  CHANGED(ID_1, ",'created_at':'2026-11-23T10:00:05Z'"),
                  &change);
    assert_string_equal(change.id, ID_2);
}

TEST(only_changes_of_the_state_are_looked_at)
{
    ATTR_CLEANUP(plane_change_done) struct plane_change change = {0};
    parse_changes("{'id':'x','field':'name','created_at':'?'},{'id':17,'field':null},{},"
                  "{'id':'" ID_1 "','field':'state_id','created_at':'2026-11-23T10:00:05Z'}",
                  &change);
    assert_false(change.found);
    parse_changes("{'field':'priority'}," CHANGED(ID_2, ",'created_at':'2026-11-23T10:00:05Z'"), &change);
    assert_true(change.found);
}

TEST(a_change_that_makes_no_sense_is_named)
{
    (void)state;
    static const struct {
        const char *row, *wrong;
    } cases[] = {
        {"17", "a row that is no activity"},
        {"{'field':'state','created_at':'2026-11-23T10:00:05Z'}", "a change of state without an id"},
        {CHANGED(ID_1, ",'new_identifier':'Done','created_at':'2026-11-23T10:00:05Z'"),
         "a change to a state whose id is no uuid"},
        {CHANGED(ID_1, ",'epoch':1795428000"), "a change of state without a time"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *json = page_of(cases[i].row, "false");
        ATTR_CLEANUP(plane_change_done) struct plane_change change = {0};
        bool more = true;
        assert_string_equal(plane_parse_changes(json, &change, &more), cases[i].wrong);
        assert_false(change.found);
        json_decref(json);
    }
}
